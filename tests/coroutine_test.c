/* coroutine_test.c -- what coroutine.h promises. */
#include "test.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "coroutine.h"
#include "process.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

enum { STRICT = 1 }; /* seccomp's; musl-gcc has no <linux/seccomp.h> */

static struct coroutine *create(const char *name,
                                coroutine_function *run, void *arg)
{
    struct coroutine *coroutine = coroutine_create(name, run, arg);

    expect(coroutine != NULL);
    return coroutine;
}

static pthread_t start(void *(*run)(void *), void *arg)
{
    pthread_t thread;

    expect_int(pthread_create(&thread, NULL, run, arg), 0);
    return thread;
}

/* ------------------------------------------------------- values */

static void count_to(void *arg)
{
    for (int i = 1; i <= *(int *)arg; i++)
        coroutine_yield(&i);
}

static void it_yields_values_and_finishes(void)
{
    int limit = 3;
    struct coroutine *counter = create("counter", count_to, &limit);

    for (int i = 1; i <= limit; i++) {
        int *number = coroutine_resume(counter, NULL);

        expect(number != NULL);
        expect_int(*number, i);
        expect(!coroutine_finished(counter));
    }
    expect(coroutine_resume(counter, NULL) == NULL);
    expect(coroutine_finished(counter));
    coroutine_free(counter);
}

static void add_up(void *arg)
{
    int *sum = arg, *more;

    while ((more = coroutine_yield(sum)) != NULL)
        *sum += *more;
}

static void it_is_sent_values(void)
{
    int sum = 0, numbers[] = {1, 20, 300};
    struct coroutine *adder = create("adder", add_up, &sum);

    expect(coroutine_resume(adder, NULL) == &sum);
    for (int i = 0; i < 3; i++)
        expect(coroutine_resume(adder, &numbers[i]) == &sum);
    expect_int(sum, 321);
    expect(coroutine_resume(adder, NULL) == NULL);
    coroutine_free(adder);
}

static void nothing(void *arg)
{
    (void)arg;
}

static void who_has_finished_can_not_be_resumed(void)
{
    struct coroutine *coroutine = create("short", nothing, NULL);

    expect(coroutine_resume(coroutine, NULL) == NULL);
    errno = 0;
    expect(coroutine_resume(coroutine, NULL) == NULL);
    expect_int(errno, ESRCH);
    coroutine_free(coroutine);
}

static void outside_of_coroutines_nobody_yields(void)
{
    expect(coroutine_current() == NULL);
    expect(coroutine_yield(&errno) == NULL);
    expect_int(errno, EPERM);
}

/* ----------------------------------------- one within another */

static void resume_busy(void *arg)
{
    expect(coroutine_resume(arg, NULL) == NULL);
    expect_int(errno, EBUSY);
}

static void who_runs_can_not_be_resumed(void *arg)
{
    struct coroutine *inner = create("inner", resume_busy, arg);

    resume_busy(arg);              /* the caller itself */
    coroutine_resume(inner, NULL); /* who resumed the caller */
    expect(coroutine_finished(inner));
    coroutine_free(inner);
}

/* It gets the pointer to itself by a place that is filled later. */
static void run_with_itself(void *arg)
{
    who_runs_can_not_be_resumed(*(struct coroutine **)arg);
}

static void who_runs_is_busy(void)
{
    struct coroutine *outer = NULL;

    outer = create("outer", run_with_itself, &outer);
    coroutine_resume(outer, NULL);
    expect(coroutine_finished(outer));
    coroutine_free(outer);
}

/* 1, 2, 3 of the inner one, each ten times as much. */
static void multiply(void *arg)
{
    struct coroutine *self = coroutine_current();
    struct coroutine *inner = create("inner", count_to, arg);
    int *number;

    while ((number = coroutine_resume(inner, NULL)) != NULL) {
        int product = *number * 10;

        expect(coroutine_current() == self);
        coroutine_yield(&product);
    }
    coroutine_free(inner);
}

static void one_resumes_another(void)
{
    int limit = 3;
    struct coroutine *outer = create("outer", multiply, &limit);

    for (int i = 1; i <= limit; i++)
        expect_int(*(int *)coroutine_resume(outer, NULL), i * 10);
    expect(coroutine_resume(outer, NULL) == NULL);
    expect(coroutine_current() == NULL);
    coroutine_free(outer);
}

static void *resume_from_a_thread(void *coroutine)
{
    expect(coroutine_resume(coroutine, NULL) == NULL);
    expect_int(errno, EPERM);
    return NULL;
}

static void another_threads_can_not_be_resumed(void)
{
    struct coroutine *coroutine = create("mine", nothing, NULL);
    pthread_join(start(resume_from_a_thread, coroutine), NULL);
    coroutine_free(coroutine);
}

/* --------------------------------------- what a switch keeps */

/* More values than registers that a call may not change. */
static void keep_values(void *arg)
{
    const int seed = *(int *)arg;
    double x[12];
    long n[12];

    for (int i = 0; i < 12; i++) {
        x[i] = sqrt(seed + i);
        n[i] = (long)seed * 1000003 + i;
    }
    for (int round = 0; round < 10; round++) {
        coroutine_yield(arg);
        for (int i = 0; i < 12; i++) {
            expect(x[i] == sqrt(seed + i));
            expect_int(n[i], (long)seed * 1000003 + i);
        }
    }
}

enum { CROWD = 1000 };

static void each_of_many_keeps_its_values(void)
{
    static struct coroutine *all[CROWD];
    static int seeds[CROWD];

    for (int i = 0; i < CROWD; i++) {
        seeds[i] = i;
        all[i] = create("one of many", keep_values, &seeds[i]);
    }
    for (int round = 0; round <= 10; round++)
        for (int i = 0; i < CROWD; i++)
            coroutine_resume(all[i], NULL);
    for (int i = 0; i < CROWD; i++) {
        expect(coroutine_finished(all[i]));
        coroutine_free(all[i]);
    }
}

static void print_numbers(void *arg)
{
    char text[100];

    /* Some instructions want 16 bytes, and printf has them. */
    expect_int((uintptr_t)__builtin_frame_address(0) % 16, 0);
    snprintf(text, sizeof text, "%.3f %Lg %s", sqrt(2), 0.5L,
             (char *)arg);
    expect_string(text, "1.414 0.5 yes");
}

static void library_calls_work_on_its_stack(void)
{
    char word[] = "yes";
    struct coroutine *coroutine = create("writer", print_numbers, word);

    coroutine_resume(coroutine, NULL);
    expect(coroutine_finished(coroutine));
    coroutine_free(coroutine);
}

static atomic_int signals;

static void count_signal(int number)
{
    (void)number;
    atomic_fetch_add(&signals, 1);
}

static void yield_for_ever(void *arg)
{
    for (;;)
        coroutine_yield(arg);
}

static void signals_may_come_at_any_moment(void)
{
    struct sigaction action = {.sa_handler = count_signal};
    struct itimerval often = {{0, 100}, {0, 100}}, never = {0};
    struct coroutine *coroutine =
        create("target", yield_for_ever, &signals);

    if (SANITIZED)
        test_skip("ThreadSanitizer lets signals wait");
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    while (atomic_load(&signals) < 200)
        expect(coroutine_resume(coroutine, NULL) == &signals);
    setitimer(ITIMER_REAL, &never, NULL);
    coroutine_free(coroutine);
}

/* In its strict mode seccomp kills for all but read, write and exit. */
static int switch_without_system_calls(void *coroutine)
{
    coroutine_resume(coroutine, NULL);
    if (prctl(PR_SET_SECCOMP, STRICT) != 0)
        _exit(TEST_SKIPPED);
    for (int i = 0; i < 1000; i++)
        coroutine_resume(coroutine, NULL);
    syscall(SYS_exit, 0);
    return 1;
}

static void a_switch_makes_no_system_call(void)
{
    struct coroutine *coroutine =
        create("quiet", yield_for_ever, &signals);
    struct process child = {0};

    expect_int(
        process_start(&child, switch_without_system_calls, coroutine),
        0);
    expect_int(process_join(&child, INFINITY), 0);
    if (child.exitcode == TEST_SKIPPED)
        test_skip("needs seccomp");
    expect_int(child.exitcode, 0);
    coroutine_free(coroutine);
}

/* ------------------------------------------------------ memory */

/* The frame below looks into this one, so it can not be given up. */
__attribute__((noinline)) static int dig(int depth, const char *above)
{
    char room[400];

    memset(room, above[depth % 400], sizeof room);
    if (depth == 0)
        return 0;
    return dig(depth - 1, room) + room[depth % 400];
}

static const char surface[400];

static void dig_down(void *arg)
{
    *(int *)arg = dig(*(int *)arg, surface);
}

/* In frames of 400 bytes and what else they take. */
static void it_has_the_stack_that_it_says(void)
{
    int depth = (int)coroutine_stack_size() / 600 / (1 + SANITIZED);
    struct coroutine *coroutine = create("digger", dig_down, &depth);

    coroutine_resume(coroutine, NULL);
    expect(coroutine_finished(coroutine));
    coroutine_free(coroutine);
}

struct pages {
    long mapped, resident;
};

static struct pages pages(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    char text[100] = "", *line, *rest;
    struct pages pages;

    expect(file != NULL);
    line = fgets(text, sizeof text, file);
    (void)fclose(file);
    expect(line != NULL);
    pages.mapped = strtol(text, &rest, 10);
    pages.resident = strtol(rest, NULL, 10);
    return pages;
}

static void *have_a_coroutine(void *unused)
{
    struct coroutine *coroutine = create("one", nothing, NULL);

    coroutine_resume(coroutine, NULL);
    coroutine_free(coroutine);
    return unused;
}

static void all_memory_is_given_back(void)
{
    long before;

    if (SANITIZED)
        test_skip("sanitizers take memory of their own");
    pthread_join(start(have_a_coroutine, NULL), NULL);
    before = pages().mapped;
    for (int i = 0; i < 500; i++) {
        struct coroutine *unused = create("unused", nothing, NULL);
        struct coroutine *paused = create("paused", yield_for_ever, &i);

        coroutine_resume(paused, NULL);
        coroutine_free(unused);
        coroutine_free(paused);
        pthread_join(start(have_a_coroutine, NULL), NULL);
    }
    coroutine_free(NULL);
    expect(pages().mapped < before + 500);
}

static void it_takes_two_pages_of_memory(void)
{
    static struct coroutine *all[CROWD];
    long before;

    if (SANITIZED)
        test_skip("sanitizers take memory of their own");
    before = pages().resident;
    for (int i = 0; i < CROWD; i++) {
        all[i] = create("small", yield_for_ever, &before);
        coroutine_resume(all[i], NULL);
    }
    expect(pages().resident - before < 2 * CROWD + 100);
    for (int i = 0; i < CROWD; i++)
        coroutine_free(all[i]);
}

static void without_memory_it_is_refused(void)
{
    struct rlimit limit;
    struct coroutine *last = NULL;
    int count = 0;

    if (SANITIZED)
        test_skip("sanitizers end the program themselves");
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = 64 << 20;
    expect_int(setrlimit(RLIMIT_AS, &limit), 0);
    do {
        errno = 0;
        last = coroutine_create("one more", nothing, NULL);
        count += last != NULL;
    } while (last != NULL && count < 100000);
    expect_int(errno, ENOMEM);
    expect(count > 10);
}

/* ---------------------------------------------------- overflow */

static void dig_too_deep(void *arg)
{
    *(int *)arg = dig(1 << 30, surface);
}

static int overflow(void *name)
{
    int depth;

    coroutine_resume(create(name, dig_too_deep, &depth), NULL);
    return 0;
}

static void *overflow_in_thread(void *name)
{
    overflow(name);
    return NULL;
}

static int overflow_in_a_thread(void *name)
{
    pthread_join(start(overflow_in_thread, name), NULL);
    return 0;
}

/* Created here, and resumed in the child. */
static int overflow_later(void *coroutine)
{
    coroutine_resume(coroutine, NULL);
    return 0;
}

static int overflow_in_a_child(void *name)
{
    int depth;
    pid_t child;
    int status = 0;

    struct coroutine *older = create(name, dig_too_deep, &depth);

    child = fork();
    if (child == 0)
        overflow_later(older);
    expect_int(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV ? 0 : 1;
}

static void overflow_inside(void *name)
{
    overflow(name);
}

static int overflow_in_an_inner_one(void *name)
{
    coroutine_resume(create("outer", overflow_inside, name), NULL);
    return 0;
}

static void write_where_it_must_not(void *arg)
{
    char *forbidden =
        mmap(NULL, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)arg;
    *forbidden = 1;
}

static int fault_otherwise(void *name)
{
    coroutine_resume(create(name, write_where_it_must_not, NULL), NULL);
    return 0;
}

static void leave_with_7(int number)
{
    (void)number;
    _exit(7);
}

static int fault_with_a_handler(void *name)
{
    signal(SIGSEGV, leave_with_7);
    return fault_otherwise(name);
}

static int be_sent_the_signal(void *name)
{
    struct coroutine *coroutine = create(name, nothing, NULL);

    coroutine_resume(coroutine, NULL);
    kill(getpid(), SIGSEGV);
    return 0;
}

/* What a process prints on stderr; how it ends is in *exitcode. */
static const char *fate_of(process_function *run, int *exitcode)
{
    static char text[4096];
    static char name[] = "diver";
    struct process child = {0};
    ssize_t size = 0, count;
    int ends[2], real = dup(2);

    expect_int(pipe(ends), 0);
    dup2(ends[1], 2);
    expect_int(process_start(&child, run, name), 0);
    dup2(real, 2);
    close(ends[1]);
    while ((count = read(ends[0], text + size,
                         sizeof text - 1 - (size_t)size)) > 0)
        size += count;
    text[size] = '\0';
    close(ends[0]);
    expect_int(process_join(&child, INFINITY), 0);
    *exitcode = child.exitcode;
    return text;
}

static void an_overflow_is_named(void)
{
    const char *line = "coroutine \"diver\" has overflowed its stack\n";
    int exitcode;

    expect_string(fate_of(overflow, &exitcode), line);
    expect_int(exitcode, -SIGSEGV);
    expect_string(fate_of(overflow_in_a_thread, &exitcode), line);
    expect_int(exitcode, -SIGSEGV);
    expect_string(fate_of(overflow_in_an_inner_one, &exitcode), line);
    expect_int(exitcode, -SIGSEGV);
    expect_string(fate_of(overflow_in_a_child, &exitcode), line);
    expect_int(exitcode, 0);
}

static void other_faults_are_as_ever(void)
{
    int exitcode;

    if (SANITIZED)
        test_skip("sanitizers report these faults themselves");
    expect_string(fate_of(fault_otherwise, &exitcode), "");
    expect_int(exitcode, -SIGSEGV);
    expect_string(fate_of(fault_with_a_handler, &exitcode), "");
    expect_int(exitcode, 7);
    expect_string(fate_of(be_sent_the_signal, &exitcode), "");
    expect_int(exitcode, -SIGSEGV);
}

static void a_long_name_is_cut(void)
{
    struct coroutine *coroutine =
        create("a name of more than 23 letters", nothing, NULL);

    expect_string(coroutine_name(coroutine), "a name of more than 23 ");
    coroutine_free(coroutine);
}

static const struct test tests[] = {
    TEST(it_yields_values_and_finishes),
    TEST(it_is_sent_values),
    TEST(who_has_finished_can_not_be_resumed),
    TEST(outside_of_coroutines_nobody_yields),
    TEST(who_runs_is_busy),
    TEST(one_resumes_another),
    TEST(another_threads_can_not_be_resumed),
    TEST(each_of_many_keeps_its_values),
    TEST(library_calls_work_on_its_stack),
    TEST(signals_may_come_at_any_moment),
    TEST(a_switch_makes_no_system_call),
    TEST(it_has_the_stack_that_it_says),
    TEST(all_memory_is_given_back),
    TEST(it_takes_two_pages_of_memory),
    TEST(without_memory_it_is_refused),
    TEST(an_overflow_is_named),
    TEST(other_faults_are_as_ever),
    TEST(a_long_name_is_cut),
    {0},
};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
