/* process_test.c -- what process.h promises. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "clock.h"
#include "interrupt.h"
#include "process.h"
#include "shared.h"

static const double limit = 20; /* s: what takes longer is stuck */

static struct process start(process_function *run, void *arg)
{
    struct process process;

    expect_int(process_start(&process, run, arg), 0);
    expect(process.pid > 0);
    return process;
}

static int exitcode_of(struct process process)
{
    expect_int(process_join(&process, limit), 0);
    expect(process.joined);
    return process.exitcode;
}

static int return_number(void *number)
{
    return *(int *)number;
}

static int sleep_for_ever(void *unused)
{
    (void)unused;
    while (pause() < 0)
        continue;
    return 0;
}

static int sleep_seconds(void *seconds)
{
    clock_sleep(*(double *)seconds);
    return 0;
}

/* ---------------------------------------------------- exit codes */

static void an_exit_code_is_what_the_function_returned(void)
{
    static int numbers[] = {0, 1, 3, 255};

    for (int i = 0; i < 4; i++)
        expect_int(exitcode_of(start(return_number, &numbers[i])),
                   numbers[i]);
}

static int exit_with_seven(void *unused)
{
    (void)unused;
    exit(7);
}

static void an_exit_code_is_what_was_given_to_exit(void)
{
    expect_int(exitcode_of(start(exit_with_seven, NULL)), 7);
}

static int raise_signal(void *number)
{
    raise(*(int *)number);
    return 0;
}

static void an_exit_code_is_minus_the_signal(void)
{
    static int numbers[] = {SIGABRT, SIGKILL, SIGTERM, SIGSEGV};

    for (int i = 0; i < 4; i++)
        expect_int(exitcode_of(start(raise_signal, &numbers[i])),
                   -numbers[i]);
}

static void terminate_and_kill_end_a_process(void)
{
    struct process process = start(sleep_for_ever, NULL);

    expect_int(process_terminate(&process), 0);
    expect_int(exitcode_of(process), -SIGTERM);
    process = start(sleep_for_ever, NULL);
    expect_int(process_kill(&process), 0);
    expect_int(exitcode_of(process), -SIGKILL);
}

static void exitcode_reads_what_waitpid_wrote(void)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(5);
    expect_int(waitpid(pid, &status, 0), pid);
    expect_int(process_exitcode(status), 5);
}

/* ----------------------------------------------------------- join */

static void join_with_a_time_limit_leaves_the_child_alive(void)
{
    static const double no_wait[] = {0, -1, -INFINITY};
    struct process process = start(sleep_for_ever, NULL);
    double begin = clock_now();

    expect_int(process_join(&process, 0.05), ETIMEDOUT);
    expect(clock_now() - begin >= 0.05);
    for (int i = 0; i < 3; i++)
        expect_int(process_join(&process, no_wait[i]), ETIMEDOUT);
    expect(!process.joined);
    expect(process_is_alive(&process));
    expect_int(process_kill(&process), 0);
    expect_int(process_join(&process, limit), 0);
}

static void join_waits_until_the_end(void)
{
    static double seconds = 0.05;
    double begin = clock_now();
    struct process process = start(sleep_seconds, &seconds);

    expect_int(process_join(&process, INFINITY), 0);
    expect(clock_now() - begin >= 0.05);
    expect_int(process.exitcode, 0);
}

static void join_may_be_repeated(void)
{
    static int number = 4;
    struct process process = start(return_number, &number);

    for (int i = 0; i < 3; i++) {
        expect_int(process_join(&process, INFINITY), 0);
        expect_int(process.exitcode, 4);
    }
    expect_int(process_join(&process, 0), 0);
}

static void join_reaps_and_leaves_no_zombie(void)
{
    static int number = 0;
    struct process process = start(return_number, &number);

    expect_int(process_join(&process, limit), 0);
    expect_int(waitpid(process.pid, NULL, WNOHANG), -1);
    expect_int(errno, ECHILD);
}

static void join_reaps_its_own_child_only(void)
{
    static int number = 6;
    struct process first = start(return_number, &number);
    struct process second = start(sleep_for_ever, NULL);

    expect_int(process_join(&second, 0.02), ETIMEDOUT);
    expect_int(exitcode_of(first), 6);
    process_kill(&second);
    expect_int(exitcode_of(second), -SIGKILL);
}

static void join_of_what_never_started_says_so(void)
{
    struct process process = {0};

    expect_int(process_join(&process, INFINITY), ECHILD);
    expect_int(process_join(&process, 0), ECHILD);
    expect(!process_is_alive(&process));
    expect_int(process_terminate(&process), ESRCH);
    expect_int(process_kill(&process), ESRCH);
}

static void join_after_somebody_else_reaped_says_so(void)
{
    static const double limits[] = {0, 0.1, INFINITY};
    static int number = 0;

    for (int i = 0; i < 3; i++) {
        struct process process = start(return_number, &number);

        expect_int(waitpid(process.pid, NULL, 0), process.pid);
        expect_int(process_join(&process, limits[i]), ECHILD);
    }
}

/* The kernel reaps by itself then, and there is no status to get. */
static void join_works_where_SIGCHLD_is_ignored(void)
{
    static const double limits[] = {20, INFINITY};
    static double seconds = 0.02;

    signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < 2; i++) {
        struct process process = start(sleep_seconds, &seconds);

        expect_int(process_join(&process, limits[i]), ECHILD);
        expect(!process_is_alive(&process));
    }
}

static void join_goes_on_after_a_signal(void)
{
    static double seconds = 0.1;
    struct process process;
    double begin;

    begin_interruptions();
    process = start(sleep_seconds, &seconds);
    begin = clock_now();
    expect_int(process_join(&process, 0.05), ETIMEDOUT);
    expect(clock_now() - begin >= 0.05);
    expect_int(process_join(&process, INFINITY), 0);

    process = start(sleep_seconds, &seconds);
    expect_int(process_join(&process, limit), 0);
    expect_int(process.exitcode, 0);
}

static void join_without_a_free_descriptor(void)
{
    struct rlimit before, few;
    struct process process = start(sleep_for_ever, NULL);

    expect_int(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = (struct rlimit){0, before.rlim_max};
    expect_int(setrlimit(RLIMIT_NOFILE, &few), 0);
    expect_int(process_join(&process, 0.01), EMFILE);
    expect_int(process_join(&process, 0), ETIMEDOUT);
    expect_int(setrlimit(RLIMIT_NOFILE, &before), 0);
    process_kill(&process);
    expect_int(process_join(&process, INFINITY), 0);
}

static int open_descriptors(void)
{
    int count = 0;

    for (int fd = 0; fd < 100; fd++)
        count += fcntl(fd, F_GETFD) != -1;
    return count;
}

static void join_leaves_no_descriptor_open(void)
{
    int before = open_descriptors();
    struct process process = start(sleep_for_ever, NULL);

    expect_int(process_join(&process, 0.01), ETIMEDOUT);
    process_kill(&process);
    expect_int(process_join(&process, limit), 0);
    expect_int(open_descriptors(), before);
}

/* ---------------------------------------------------------- alive */

static void is_alive_before_during_and_after(void)
{
    struct process process = {0};

    expect(!process_is_alive(&process));
    process = start(sleep_for_ever, NULL);
    expect(process_is_alive(&process));
    process_kill(&process);
    for (double end = clock_deadline(limit);
         process_is_alive(&process);)
        expect(clock_left(end) > 0);
    expect(process.joined);
    expect_int(process.exitcode, -SIGKILL);
    expect(!process_is_alive(&process));
}

/* Its pid may be somebody else's by then. */
static void no_signal_is_sent_after_join(void)
{
    static int number = 0;
    struct process process = start(return_number, &number);

    expect_int(process_join(&process, limit), 0);
    process.pid = getpid();
    expect_int(process_kill(&process), ESRCH);
    expect_int(process_terminate(&process), ESRCH);
}

/* --------------------------------------------------- what it gets */

static int shows_default_actions(void *unused)
{
    struct sigaction action;

    (void)unused;
    sigaction(SIGUSR1, NULL, &action);
    if (action.sa_handler != SIG_DFL)
        return 1;
    sigaction(SIGPIPE, NULL, &action);
    return action.sa_handler != SIG_IGN;
}

static void a_child_gets_no_handlers_of_its_parent(void)
{
    signal(SIGUSR1, do_nothing);
    signal(SIGPIPE, SIG_IGN);
    expect_int(exitcode_of(start(shows_default_actions, NULL)), 0);
}

static int shows_the_mask(void *unused)
{
    sigset_t mask;

    (void)unused;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    return sigismember(&mask, SIGUSR1) +
           2 * sigismember(&mask, SIGUSR2);
}

static void a_child_has_the_signal_mask_of_its_parent(void)
{
    sigset_t mask;

    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &mask, NULL);
    expect_int(exitcode_of(start(shows_the_mask, NULL)), 2);
    expect_int(shows_the_mask(NULL), 2);
}

/* What it prints itself it has to flush itself. */
static int flush_and_print(void *unused)
{
    (void)unused;
    fflush(stdout);
    printf("never");
    return 0;
}

static int print_once(void *file)
{
    dup2(*(int *)file, STDOUT_FILENO);
    setvbuf(stdout, NULL, _IOFBF, BUFSIZ);
    printf("once");
    for (int i = 0; i < 3; i++)
        expect_int(exitcode_of(start(flush_and_print, NULL)), 0);
    fflush(stdout);
    return 0;
}

static void what_stdout_holds_is_written_once(void)
{
    char text[32] = "";
    int pipe_ends[2];

#ifdef __SANITIZE_THREAD__
    test_skip("ThreadSanitizer's _exit writes what stdout holds");
#endif
    expect_int(pipe(pipe_ends), 0);
    expect_int(exitcode_of(start(print_once, &pipe_ends[1])), 0);
    close(pipe_ends[1]);
    expect_int(read(pipe_ends[0], text, sizeof text - 1), 4);
    expect_string(text, "once");
}

/* --------------------------------------------------------- orphans */

static atomic_int *grandchild; /* its pid */

static int start_grandchild(void *unused)
{
    atomic_store(grandchild, start(sleep_for_ever, NULL).pid);
    return sleep_for_ever(unused);
}

static atomic_bool *ready;

static int say_ready_and_sleep(void *unused)
{
    atomic_store(ready, true);
    return sleep_for_ever(unused);
}

static void *start_in_thread(void *process)
{
    *(struct process *)process = start(say_ready_and_sleep, NULL);
    while (!atomic_load(ready))
        clock_sleep(0.001);
    return NULL;
}

/* What is left without a parent becomes a child of this process. */
static void a_child_dies_with_its_killed_parent(void)
{
    struct process process;

    prctl(PR_SET_CHILD_SUBREAPER, 1);
    grandchild = shared_alloc(sizeof *grandchild);
    expect(grandchild != NULL);
    process = start(start_grandchild, NULL);
    while (atomic_load(grandchild) == 0)
        clock_sleep(0.001);
    process_kill(&process);
    expect_int(exitcode_of(process), -SIGKILL);
    alarm((unsigned)limit);
    expect_int(waitpid(*grandchild, NULL, 0), *grandchild);
}

static void a_child_dies_with_the_thread_that_started_it(void)
{
    struct process process;
    pthread_t thread;

    ready = shared_alloc(sizeof *ready);
    expect(ready != NULL);
    expect_int(pthread_create(&thread, NULL, start_in_thread, &process),
               0);
    expect_int(pthread_join(thread, NULL), 0);
    expect_int(exitcode_of(process), -SIGKILL);
}

static int exit_at_once(void *unused)
{
    (void)unused;
    start(sleep_for_ever, NULL);
    return 0;
}

static void a_child_dies_with_a_parent_that_ends_at_once(void)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (int i = 0; i < 50; i++)
        expect_int(exitcode_of(start(exit_at_once, NULL)), 0);
    alarm((unsigned)limit);
    for (int i = 0; i < 50; i++)
        expect(wait(NULL) > 0);
    expect_int(wait(NULL), -1);
}

/* --------------------------------------------------------- refused */

/* Root has no limit, so it becomes somebody else. */
static int start_beyond_the_limit(void *unused)
{
    struct rlimit none = {0, 0};
    struct process process;

    (void)unused;
    if (geteuid() == 0)
        expect_int(setuid((uid_t)(20000 + getpid() % 20000)), 0);
    expect_int(setrlimit(RLIMIT_NPROC, &none), 0);
    expect_int(process_start(&process, sleep_for_ever, NULL), EAGAIN);
    expect_int(process.pid, 0);
    expect_int(process_join(&process, INFINITY), ECHILD);
    return 0;
}

static void a_refused_fork_is_told(void)
{
    expect_int(exitcode_of(start(start_beyond_the_limit, NULL)), 0);
}

static const struct test tests[] = {
    TEST(an_exit_code_is_what_the_function_returned),
    TEST(an_exit_code_is_what_was_given_to_exit),
    TEST(an_exit_code_is_minus_the_signal),
    TEST(terminate_and_kill_end_a_process),
    TEST(exitcode_reads_what_waitpid_wrote),
    TEST(join_with_a_time_limit_leaves_the_child_alive),
    TEST(join_waits_until_the_end),
    TEST(join_may_be_repeated),
    TEST(join_reaps_and_leaves_no_zombie),
    TEST(join_reaps_its_own_child_only),
    TEST(join_of_what_never_started_says_so),
    TEST(join_after_somebody_else_reaped_says_so),
    TEST(join_works_where_SIGCHLD_is_ignored),
    TEST(join_goes_on_after_a_signal),
    TEST(join_without_a_free_descriptor),
    TEST(join_leaves_no_descriptor_open),
    TEST(is_alive_before_during_and_after),
    TEST(no_signal_is_sent_after_join),
    TEST(a_child_gets_no_handlers_of_its_parent),
    TEST(a_child_has_the_signal_mask_of_its_parent),
    TEST(what_stdout_holds_is_written_once),
    TEST(a_child_dies_with_its_killed_parent),
    TEST(a_child_dies_with_the_thread_that_started_it),
    TEST(a_child_dies_with_a_parent_that_ends_at_once),
    TEST(a_refused_fork_is_told),
    {0},
};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
