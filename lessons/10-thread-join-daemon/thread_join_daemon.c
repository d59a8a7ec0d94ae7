/*
 * thread_join_daemon.c -- who waits for whom?
 *
 * join waits for one thread.  Threads that were all started before the
 * first join run at the same time, so that joining them one by one
 * takes as long as the longest.  A process ends when its main function
 * returns, and takes its threads along, or, when main has ended alone
 * by pthread_exit, with its last thread.  Python waits for its threads
 * before it returns, but for daemons: those are cut off.
 *
 * pthreads know neither daemons nor a list of the threads that are
 * alive.  A small registry adds both.
 *
 * Look at: the time line of one by one and of all at once; main, which
 * has ended, while its threads go on; who is alive when.
 * Compare with: 02-join-daemon, the same with processes.
 * Try: --threads 5.
 */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checked.h"
#include "clock.h"
#include "gauge.h"
#include "lesson.h"
#include "process.h"
#include "shared.h"
#include "timeline.h"

enum { THREADS_MAX = 6 };

static int threads = 3;

/* -------------------------------------------------------- join */

struct sleeper {
    pthread_t id;
    int number; /* and for how many u it sleeps */
    char row[TIMELINE_NAME_MAX];
    double begin, end;
};

static struct sleeper sleepers[THREADS_MAX];
static struct gauge asleep;
static pthread_barrier_t together; /* those who sleep at once */

static void *sleep_long(void *arg)
{
    struct sleeper *self = arg;

    gauge_enter(&asleep);
    self->begin = unit_now();
    xpthread_barrier_wait(&together);
    timeline_begin(self->row, "asleep", 0);
    unit_sleep(self->number);
    timeline_end(self->row);
    self->end = unit_now();
    gauge_leave(&asleep);
    return NULL;
}

static void start(int number)
{
    struct sleeper *sleeper = &sleepers[number - 1];

    check_error(pthread_create(&sleeper->id, NULL, sleep_long, sleeper),
                "pthread_create");
}

static void join(int number)
{
    check_error(pthread_join(sleepers[number - 1].id, NULL),
                "pthread_join");
    say_time("main has joined thread %d, which slept %d u", number,
             number);
}

static void part_one_by_one(void)
{
    int sum = threads * (threads + 1) / 2;
    double took;

    asleep = (struct gauge){0};
    xpthread_barrier_init(&together, 1);
    for (int i = 1; i <= threads; i++) {
        start(i);
        join(i);
    }
    took = unit_now();
    xpthread_barrier_destroy(&together);

    saw("%d", asleep.most);
    claim(asleep.most == 1, "one thread at a time is asleep");
    saw("%.3f u", took);
    claim(took >= sum, "one after another they took at least %d u",
          sum);
}

static void part_all_at_once(void)
{
    double took, first = INFINITY, last = 0, slept = 0;

    asleep = (struct gauge){0};
    xpthread_barrier_init(&together, (unsigned)threads);
    for (int i = 1; i <= threads; i++)
        start(i);
    for (int i = 1; i <= threads; i++)
        join(i);
    took = unit_now();
    xpthread_barrier_destroy(&together);

    for (int i = 0; i < threads; i++) {
        first = fmin(first, sleepers[i].begin);
        last = fmax(last, sleepers[i].end);
        slept += sleepers[i].end - sleepers[i].begin;
    }
    say("%.1f u, and not the sum of all, %.1f u", last - first, slept);
    saw("%d", asleep.most);
    claim(asleep.most == threads, "all %d threads are asleep at once",
          threads);
    saw("%.3f u", took);
    claim(took >= threads, "together they took at least %d u", threads);
    saw("%.3f u and %.3f u", last - first, slept);
    claim(last - first < slept, "and less than the sum of all");
}

/* ----------------------------------------------- main ends first */

/* What the threads of another process leave behind. */
struct board {
    sem_t ready;         /* one for each thread that has begun */
    atomic_int outlived; /* threads that have seen main end */
    atomic_int done;
    atomic_int daemons_done;
};

static struct board *board;

static void open_board(void)
{
    board = xshared_alloc(sizeof *board);
    xsem_init(&board->ready, 1, 0);
}

static void close_board(void)
{
    shared_free(board, sizeof *board);
}

/* The letter of its state in /proc: Z when it has ended. */
static char state_of_main(void)
{
    FILE *file = check_pointer(fopen("/proc/self/stat", "re"),
                               "/proc/self/stat");
    char state;

    if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = '?';
    (void)fclose(file);
    return state;
}

static void *outlive_main(void *arg)
{
    struct sleeper *self = arg;

    timeline_begin(self->row, "runs", 0);
    xsem_post(&board->ready);
    while (state_of_main() != 'Z')
        clock_sleep(0.001);
    say_time("%s sees that main is in state Z", self->row);
    atomic_fetch_add(&board->outlived, 1);
    unit_sleep(self->number);
    say_time("%s is done", self->row);
    atomic_fetch_add(&board->done, 1);
    timeline_end(self->row);
    return NULL;
}

static void start_survivors(void)
{
    timeline_begin("main", "runs", 0);
    for (int i = 0; i < threads; i++)
        xpthread_create(&sleepers[i].id, outlive_main, &sleepers[i]);
    for (int i = 0; i < threads; i++)
        xsem_wait(&board->ready);
    unit_sleep(1);
}

static int end_by_return(void *arg)
{
    (void)arg;
    start_survivors();
    say_time("main returns");
    timeline_end("main");
    return 0;
}

/*
 * After a fork musl 1.2.3 does not tell the kernel again which lock to
 * release when the first thread is gone: pthread_exit would leave it
 * locked.  The system call is the one with which pthread_exit ends.
 */
static _Noreturn void end_this_thread(void)
{
#ifdef __GLIBC__
    pthread_exit(NULL);
#endif
    for (;;)
        syscall(SYS_exit, 0);
}

static int end_by_pthread_exit(void *arg)
{
    (void)arg;
    start_survivors();
    say_time("main calls pthread_exit");
    timeline_end("main");
    end_this_thread();
}

/*
 * In a process of its own, since this one has more to do.  Returns its
 * exit code.
 */
static int run_process(process_function *run)
{
    struct process process;

    xprocess_start(&process, run, NULL);
    xprocess_join(&process);
    if (process.exitcode == EXIT_REFUSED)
        _exit(EXIT_REFUSED); /* it has said what was refused */
    say_time("the process has ended, exit code %d", process.exitcode);
    for (int i = 0; i < threads; i++)
        timeline_cut(sleepers[i].row);
    return process.exitcode;
}

static void part_return(void)
{
    int exitcode;

    open_board();
    exitcode = run_process(end_by_return);

    saw("%d were done, exit code %d", board->done, exitcode);
    claim(board->done == 0 && exitcode == 0,
          "when main returned, no thread came to its end");
    close_board();
}

static void part_pthread_exit(void)
{
    int exitcode;

    open_board();
    exitcode = run_process(end_by_pthread_exit);

    saw("%d of %d", board->outlived, threads);
    claim(board->outlived == threads,
          "all %d threads went on after main had ended", threads);
    saw("%d of %d, exit code %d", board->done, threads, exitcode);
    claim(board->done == threads && exitcode == 0,
          "the process ended with its last thread");
    close_board();
}

/* ------------------------------------- a registry of the living */

enum { ALIVE_MAX = 8 };

struct thread {
    const char *name;
    bool daemon;
    void (*run)(void);
    pthread_t id;
};

static struct thread main_thread = {.name = "MainThread"};
static pthread_mutex_t registry = PTHREAD_MUTEX_INITIALIZER;
static struct thread *alive[ALIVE_MAX] = {&main_thread};
static int active_count = 1;
static _Thread_local struct thread *current = &main_thread;

/* Copies the list to `list`; returns how many are alive. */
static int enumerate(struct thread *list[ALIVE_MAX])
{
    int count;

    xpthread_mutex_lock(&registry);
    memcpy(list, alive, sizeof alive);
    count = active_count;
    xpthread_mutex_unlock(&registry);
    return count;
}

static bool is_alive(const struct thread *thread)
{
    struct thread *list[ALIVE_MAX];
    int i = enumerate(list) - 1;

    while (i >= 0 && list[i] != thread)
        i--;
    return i >= 0;
}

static void leave(void)
{
    int i = 0;

    xpthread_mutex_lock(&registry);
    while (alive[i] != current)
        i++;
    active_count--;
    memmove(&alive[i], &alive[i + 1],
            (size_t)(active_count - i) * sizeof *alive);
    xpthread_mutex_unlock(&registry);
}

static void *run_thread(void *arg)
{
    current = arg;
    pthread_setname_np(pthread_self(), current->name);
    current->run();
    leave();
    return NULL;
}

static void thread_start(struct thread *thread)
{
    xpthread_mutex_lock(&registry);
    alive[active_count++] = thread;
    xpthread_mutex_unlock(&registry);
    check_error(pthread_create(&thread->id, NULL, run_thread, thread),
                "pthread_create");
}

/* What Python does at its end.  Main stands first in the list. */
static void join_all_but_daemons(void)
{
    struct thread *list[ALIVE_MAX];
    int count = enumerate(list);

    for (int i = 1; i < count; i++)
        if (!list[i]->daemon)
            xpthread_join(list[i]->id);
}

/* "MainThread, thread 1" */
static const char *names_alive(void)
{
    static _Thread_local char text[ALIVE_MAX * 16];
    struct thread *list[ALIVE_MAX];
    int count = enumerate(list), length = 0;

    for (int i = 0; i < count; i++)
        length += snprintf(text + length, sizeof text - (size_t)length,
                           "%s%s", i > 0 ? ", " : "", list[i]->name);
    return text;
}

/* ------------------------------------- names, and who is alive */

static pthread_barrier_t running, leaving; /* main comes to both */
static atomic_int names_known; /* threads the kernel knows by name */

static void tell_name(void)
{
    char name[16] = "";

    pthread_getname_np(pthread_self(), name, sizeof name);
    atomic_fetch_add(&names_known, strcmp(name, current->name) == 0);
    say_time("%s runs; for the kernel it is %s", current->name, name);
    xpthread_barrier_wait(&running);
    xpthread_barrier_wait(&leaving);
}

static void part_registry(void)
{
    struct thread one = {.name = "thread 1", .run = tell_name};
    struct thread two = {.name = "thread 2", .run = tell_name};
    struct thread *list[ALIVE_MAX];
    bool before, during, after;
    int count, left;
    const char *names;

    current->name = "Zhang San"; /* main is a thread like others */
    xpthread_barrier_init(&running, 3);
    xpthread_barrier_init(&leaving, 3);
    before = is_alive(&one);
    thread_start(&one);
    thread_start(&two);
    xpthread_barrier_wait(&running);
    during = is_alive(&one);
    count = enumerate(list);
    names = names_alive();
    say_time("%d are alive: %s", count, names);
    xpthread_barrier_wait(&leaving);
    xpthread_join(one.id);
    xpthread_join(two.id);
    after = is_alive(&one);
    left = enumerate(list);
    say_time("%d is alive", left);

    saw("%d, %d, %d", before, during, after);
    claim(!before && during && !after,
          "a thread is alive from its start to its end");
    saw("%d, then %d", count, left);
    claim(count == 3 && left == 1,
          "3 threads were alive, and 1 after two joins");
    saw("%s", names);
    claim(strcmp(names, "Zhang San, thread 1, thread 2") == 0,
          "enumerate names them, main among them");
    saw("%d", names_known);
    claim(names_known == 2, "the kernel knows them by their names");
    current->name = "MainThread";
}

/* ------------------------------------------------------ daemons */

static void serve(void)
{
    timeline_begin(current->name, "serves", 0);
    say_time("%s serves for ever", current->name);
    xsem_post(&board->ready);
    unit_sleep(1000);
    timeline_end(current->name);
    atomic_fetch_add(&board->daemons_done, 1);
}

static void work(void)
{
    timeline_begin(current->name, "works", 0);
    unit_sleep(2);
    say_time("%s is done; alive: %s", current->name, names_alive());
    timeline_end(current->name);
    atomic_fetch_add(&board->done, 1);
}

static int run_daemon_and_thread(void *arg)
{
    static struct thread daemon = {
        .name = "daemon", .daemon = true, .run = serve};
    static struct thread thread = {.name = "thread", .run = work};

    (void)arg;
    timeline_begin("main", "runs", 0);
    thread_start(&daemon);
    thread_start(&thread);
    xsem_wait(&board->ready);
    unit_sleep(1);
    say_time("main has nothing left to do");
    timeline_end("main");
    join_all_but_daemons();
    return 0;
}

static void part_daemon(void)
{
    int exitcode;

    open_board();
    exitcode = run_process(run_daemon_and_thread);
    timeline_cut("daemon");

    saw("%d, exit code %d", board->done, exitcode);
    claim(board->done == 1 && exitcode == 0,
          "the process waited for the thread");
    saw("%d", board->daemons_done);
    claim(board->daemons_done == 0, "but not for the daemon");
    close_board();
}

int main(int argc, char **argv)
{
    static const struct lesson_option options[] = {
        {"threads", "N", "how many threads: they sleep 1, 2, ... N u",
         &threads, 2, THREADS_MAX},
        {0},
    };
    static const struct lesson lesson = {
        .name = "lesson-10 thread-join-daemon",
        .summary = "join, the end of main, daemons, who is alive",
        .example = "./lesson-10 --threads 5",
        .options = options,
    };

    lesson_begin(&lesson, argc, argv);
    for (int i = 0; i < threads; i++) {
        sleepers[i].number = i + 1;
        snprintf(sleepers[i].row, sizeof sleepers[i].row, "thread %d",
                 i + 1);
    }
    PART("Start and join, one by one", part_one_by_one);
    PART("Start all, then join", part_all_at_once);
    PART("main returns", part_return);
    PART("main ends by pthread_exit", part_pthread_exit);
    PART("Who is alive", part_registry);
    PART("A daemon", part_daemon);
    return lesson_end();
}
