/*
 * deadlock.c -- each waits for the next, and nobody ever goes on.
 *
 * Thread 1 has lock A and wants B, thread 2 has B and wants A.  Both
 * wait for ever: no error, no CPU time, no end.  Here nobody asks for
 * a second lock before all have their first, so it happens every time.
 *
 * Who holds which lock and who waits for which is written down, and
 * that is the wait-for graph: thread 1 waits for B, which thread 2
 * holds, who waits for A, and so on.  Where it leads back to its start
 * there is a deadlock.  Nobody can wake a thread that waits for a
 * mutex, so the threads have a process of their own, to be killed.
 *
 * Look at: the cycle; how each of the four cures prevents or ends it.
 * Compare with: 11-mutex, where there is one lock, and so no cycle.
 * Try: --threads 5, a cycle of five; --wild 100, which leaves the same
 * to luck.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "checked.h"
#include "clock.h"
#include "crowd.h"
#include "lesson.h"
#include "lock.h"
#include "process.h"
#include "shared.h"
#include "timeline.h"

enum { THREADS_MAX = 9, NOTES_MAX = 4 * THREADS_MAX, ROUNDS = 100 };
enum { NOBODY = -1, NOTHING = -1 };

static int threads = 2; /* and locks: one for each */
static int wild;        /* runs that are left to luck */

static bool recursive; /* the locks are, and tell their counters */
static bool quiet;     /* what is left to luck tells nothing */

static pthread_mutex_t locks[THREADS_MAX];
static int lock_named[THREADS_MAX]; /* A, B, ...: usually 0, 1, ... */
static char rows[THREADS_MAX][TIMELINE_NAME_MAX]; /* "thread 1" */

/* What the threads leave behind, seen from outside their process. */
struct board {
    struct lock graph;        /* protects the next four */
    int holder[THREADS_MAX];  /* of a lock: a thread, or NOBODY */
    int counter[THREADS_MAX]; /* how many times it has the lock */
    int wanted[THREADS_MAX];  /* by a thread: a lock, or NOTHING */
    int backwards; /* waits for an earlier lock than one had */

    atomic_int through;   /* threads that have had both locks */
    atomic_int gave_way;  /* times that one gave its first back */
    atomic_int too_early; /* and did so before its time was up */
    atomic_int notes;     /* how many of those below */
    struct note {
        int thread, counter;
    } note[NOTES_MAX]; /* after each acquire and release */
};

static struct board *board;

/* ------------------------------------------- the wait-for graph */

/* Who has a recursive lock does not wait for it. */
static void note_wait(int thread, int lock)
{
    lock_acquire(&board->graph);
    if (!recursive || board->holder[lock] != thread)
        board->wanted[thread] = lock;
    for (int later = lock + 1; later < threads; later++)
        board->backwards += board->holder[later] == thread;
    lock_release(&board->graph);
}

static int note_acquire(int thread, int lock)
{
    int counter;

    lock_acquire(&board->graph);
    board->wanted[thread] = NOTHING;
    board->holder[lock] = thread;
    counter = ++board->counter[lock];
    lock_release(&board->graph);
    return counter;
}

/* Before it is released, so that all holders in the graph are true. */
static int note_release(int lock)
{
    int counter;

    lock_acquire(&board->graph);
    counter = --board->counter[lock];
    if (counter == 0)
        board->holder[lock] = NOBODY;
    lock_release(&board->graph);
    return counter;
}

/*
 * Goes from a thread to the lock that it wants, on to the thread that
 * holds it, and so on.  Returns how many steps lead to `start`, or 0.
 */
static int cycle_from(int start, int cycle[THREADS_MAX])
{
    int thread = start, length = 0;

    do {
        int lock = board->wanted[thread];

        if (lock == NOTHING || board->holder[lock] == NOBODY)
            return 0;
        cycle[length++] = thread;
        thread = board->holder[lock];
    } while (thread != start && length < threads);
    return thread == start ? length : 0;
}

/* The threads of a cycle in their order.  Returns how many, or 0. */
static int find_cycle(int cycle[THREADS_MAX])
{
    int length = 0;

    lock_acquire(&board->graph);
    for (int start = 0; start < threads && length == 0; start++)
        length = cycle_from(start, cycle);
    lock_release(&board->graph);
    return length;
}

static void say_cycle(const int cycle[], int length)
{
    for (int i = 0; i < length; i++) {
        int before = cycle[(i + length - 1) % length];
        int wanted = board->wanted[cycle[i]];

        say("%s holds %c and waits for %c, held by %s", rows[cycle[i]],
            'A' + board->wanted[before], 'A' + wanted,
            rows[board->holder[wanted]]);
    }
}

/* --------------------------------------------- acquire, release */

static void tell(int thread, const char *does, int name, int counter)
{
    struct note *note =
        &board->note[atomic_fetch_add(&board->notes, 1) % NOTES_MAX];

    *note = (struct note){thread, counter};
    if (recursive)
        say_time("%s %s %c, counter %d", rows[thread], does, 'A' + name,
                 counter);
    else
        say_time("%s %s %c", rows[thread], does, 'A' + name);
}

static void has(int thread, int name)
{
    char letter[] = {(char)('A' + name), '\0'};
    int counter = note_acquire(thread, lock_named[name]);

    if (quiet)
        return;
    tell(thread, "has", name, counter);
    timeline_begin(rows[thread], letter, 0);
}

static void acquire(int thread, int name)
{
    int lock = lock_named[name];

    note_wait(thread, lock);
    check_error(pthread_mutex_lock(&locks[lock]), "pthread_mutex_lock");
    has(thread, name);
}

static void release(int thread, int name)
{
    int lock = lock_named[name];
    int counter = note_release(lock);

    if (!quiet) {
        tell(thread, "releases", name, counter);
        timeline_end(rows[thread]);
    }
    check_error(pthread_mutex_unlock(&locks[lock]),
                "pthread_mutex_unlock");
}

/* ----------------------------------------- two locks for each */

static pthread_barrier_t with_one_lock;

static void stay(void)
{
    if (!quiet)
        unit_sleep(1);
}

static void stay_with_both(int thread, int first, int second)
{
    stay();
    atomic_fetch_add(&board->through, 1);
    release(thread, second);
    release(thread, first);
}

static void visit(int thread, int first, int second)
{
    acquire(thread, first);
    xpthread_barrier_wait(&with_one_lock);
    stay();
    acquire(thread, second);
    stay_with_both(thread, first, second);
}

static int next(int thread)
{
    return (thread + 1) % threads;
}

/* The last one's next is A: for two threads that is B, then A. */
static void visit_own_and_next(int thread)
{
    visit(thread, thread, next(thread));
}

/* -------------------------------------- a process for all that */

static struct process process;
static crowd_body *visit_of_all;

static void visits(int thread)
{
    int rounds = quiet ? ROUNDS : 1;

    while (rounds-- > 0)
        visit_of_all(thread);
}

static int run_threads(void *arg)
{
    (void)arg;
    crowd_threads(threads, visits);
    return 0;
}

static void make_locks(int type)
{
    pthread_mutexattr_t attributes;

    check_error(pthread_mutexattr_init(&attributes),
                "pthread_mutexattr_init");
    check_error(pthread_mutexattr_settype(&attributes, type),
                "pthread_mutexattr_settype");
    for (int i = 0; i < threads; i++)
        check_error(pthread_mutex_init(&locks[i], &attributes),
                    "pthread_mutex_init");
    check_error(pthread_mutexattr_destroy(&attributes),
                "pthread_mutexattr_destroy");
}

/* No thread goes on before `together` of them have one lock. */
static void start(crowd_body *visit_by, int together)
{
    visit_of_all = visit_by;
    board = xshared_alloc(sizeof *board);
    check_error(lock_init(&board->graph), "pthread_mutex_init");
    for (int i = 0; i < threads; i++) {
        board->holder[i] = NOBODY;
        board->wanted[i] = NOTHING;
    }
    make_locks(recursive ? PTHREAD_MUTEX_RECURSIVE
                         : PTHREAD_MUTEX_NORMAL);
    xpthread_barrier_init(&with_one_lock, (unsigned)together);
    xprocess_start(&process, run_threads, NULL);
}

/* Until there is a cycle, or an end.  Returns the cycle's length. */
static int watch(int cycle[THREADS_MAX])
{
    int length = 0;

    while (length == 0 && process_join(&process, 0.001) == ETIMEDOUT)
        length = find_cycle(cycle);
    return length;
}

/* Returns the exit code, which is negative when it had to be killed. */
static int finish(void)
{
    if (process_is_alive(&process)) {
        process_kill(&process);
        xprocess_join(&process);
    }
    if (process.exitcode == EXIT_REFUSED)
        _exit(EXIT_REFUSED); /* it has said what was refused */
    for (int i = 0; i < threads; i++) {
        timeline_cut(rows[i]);
        check_error(pthread_mutex_destroy(&locks[i]),
                    "pthread_mutex_destroy");
    }
    xpthread_barrier_destroy(&with_one_lock);
    return process.exitcode;
}

static void close_board(void)
{
    lock_destroy(&board->graph);
    shared_free(board, sizeof *board);
}

/* -------------------------------------------------- the deadlock */

static void part_deadlock(void)
{
    int cycle[THREADS_MAX], length, later, exitcode;

    start(visit_own_and_next, threads);
    length = watch(cycle);
    say_cycle(cycle, length);
    unit_sleep(1);
    later = find_cycle(cycle);
    say_time("main kills the process");
    exitcode = finish();

    saw("a cycle of %d", length);
    claim(length == threads, "a cycle of %d: a deadlock", threads);
    saw("a cycle of %d, %d went on", later, board->through);
    claim(later == length && board->through == 0,
          "1 u later nobody had gone on");
    saw("%d", board->backwards);
    claim(board->backwards == 1,
          "one waited for an earlier lock than its own");
    saw("exit code %d", exitcode);
    claim(exitcode == -SIGKILL, "only the end of the process ended it");
    close_board();
}

static void part_recursive_deadlock(void)
{
    recursive = true;
    part_deadlock();
    recursive = false;
}

/* ---------------------------------------------------- four cures */

static void run_cure(crowd_body *visit_by, int together)
{
    int cycle[THREADS_MAX], length, exitcode;

    start(visit_by, together);
    length = watch(cycle);
    say_cycle(cycle, length);
    exitcode = finish();

    saw("a cycle of %d, %d came through, exit code %d", length,
        board->through, exitcode);
    claim(length == 0 && board->through == threads && exitcode == 0,
          "no deadlock: all %d threads came through", threads);
}

/* Did each count 1, 2, 1, 0, with nobody else in between? */
static bool counted_alone(void)
{
    static const int expected[] = {1, 2, 1, 0};
    bool alone = board->notes == 4 * threads;

    for (int i = 0; i < board->notes && alone; i++)
        alone = board->note[i].counter == expected[i % 4] &&
                board->note[i].thread == board->note[i - i % 4].thread;
    return alone;
}

/* Nobody can have one of them while another has the other. */
static void part_one_lock(void)
{
    recursive = true;
    for (int i = 0; i < threads; i++)
        lock_named[i] = 0;
    run_cure(visit_own_and_next, 1);

    saw("%d acquires and releases", board->notes);
    claim(counted_alone(),
          "each counted 1, 2, 1, 0, with nobody in between");
    for (int i = 0; i < threads; i++)
        lock_named[i] = i;
    recursive = false;
    close_board();
}

/* A cycle would need somebody who goes back. */
static void visit_in_order(int thread)
{
    if (thread < next(thread))
        visit(thread, thread, next(thread));
    else
        visit(thread, next(thread), thread);
}

static void part_order(void)
{
    run_cure(visit_in_order, 1);

    saw("%d", board->backwards);
    claim(board->backwards == 0,
          "nobody waited for an earlier lock than its own");
    close_board();
}

/* Not all for the same time, or they would meet again and again. */
static void give_way(int thread, int first)
{
    atomic_fetch_add(&board->gave_way, 1);
    say_time("%s gives way", rows[thread]);
    release(thread, first);
    unit_sleep(0.5 * (thread + 1));
}

static bool try_acquire(int thread, int name)
{
    int error = pthread_mutex_trylock(&locks[lock_named[name]]);

    if (error == EBUSY)
        return false;
    check_error(error, "pthread_mutex_trylock");
    has(thread, name);
    return true;
}

static void visit_and_try(int thread)
{
    acquire(thread, thread);
    xpthread_barrier_wait(&with_one_lock);
    while (!try_acquire(thread, next(thread))) {
        give_way(thread, thread);
        acquire(thread, thread);
    }
    stay_with_both(thread, thread, next(thread));
}

static void claim_gave_way(void)
{
    saw("%d times", board->gave_way);
    claim(board->gave_way >= 1, "somebody gave its first lock back");
}

static void part_try(void)
{
    run_cure(visit_and_try, threads);
    claim_gave_way();
    close_board();
}

/* A wait that ends by itself is no edge of the graph. */
static bool acquire_within(int thread, int name, double units)
{
    struct timespec limit = clock_time_of_day(units * lesson_unit());
    double begin = unit_now();
    int error =
        pthread_mutex_timedlock(&locks[lock_named[name]], &limit);

    if (error == ETIMEDOUT) {
        bool early = unit_now() - begin < 0.99 * units;

        atomic_fetch_add(&board->too_early, early);
        return false;
    }
    check_error(error, "pthread_mutex_timedlock");
    has(thread, name);
    return true;
}

static void visit_with_limit(int thread)
{
    acquire(thread, thread);
    xpthread_barrier_wait(&with_one_lock);
    while (!acquire_within(thread, next(thread), thread + 1)) {
        give_way(thread, thread);
        acquire(thread, thread);
    }
    stay_with_both(thread, thread, next(thread));
}

static void part_limit(void)
{
    run_cure(visit_with_limit, threads);
    claim_gave_way();
    saw("%d of %d", board->too_early, board->gave_way);
    claim(board->too_early == 0, "after a wait of 1 u or more");
    close_board();
}

/* -------------------------------------------------- left to luck */

struct tally {
    int deadlocks, ends;
};

/* The same visits, many times, and nothing that forces a deadlock. */
static struct tally run_wild(const char *how, crowd_body *visit_by)
{
    struct tally tally = {0};
    int cycle[THREADS_MAX];

    for (int i = 0; i < wild; i++) {
        start(visit_by, 1);
        tally.deadlocks += watch(cycle) > 0;
        tally.ends += finish() == 0;
        close_board();
    }
    say("%s  %4d of %4d runs ended in a deadlock", how, tally.deadlocks,
        wild);
    return tally;
}

static void part_wild(void)
{
    struct tally own, order;

    quiet = true;
    say("each thread takes two locks, %d times", ROUNDS);
    own = run_wild("its own, then the next one's", visit_own_and_next);
    order = run_wild("in the same order           ", visit_in_order);
    quiet = false;

    saw("%d and %d", own.deadlocks, own.ends);
    claim(own.deadlocks + own.ends == wild,
          "each run was found in a deadlock or came to its end");
    saw("%d deadlocks, %d ends", order.deadlocks, order.ends);
    claim(order.ends == wild,
          "in the same order all came to their end");
}

int main(int argc, char **argv)
{
    static const struct lesson_option options[] = {
        {"threads", "N", "how many threads, with a lock each", &threads,
         2, THREADS_MAX},
        {"wild", "N", "runs that are left to luck", &wild, 0, 1000},
        {0},
    };
    static const struct lesson lesson = {
        .name = "lesson-12 deadlock",
        .summary = "a deadlock, its cycle, and four cures",
        .example = "./lesson-12 --threads 5",
        .options = options,
    };

    lesson_begin(&lesson, argc, argv);
    for (int i = 0; i < THREADS_MAX; i++) {
        lock_named[i] = i;
        snprintf(rows[i], sizeof rows[i], "thread %d", i + 1);
    }
    PART("Its own lock, then the next one's", part_deadlock);
    PART("Recursive locks: no cure", part_recursive_deadlock);
    PART("Cure 1: one recursive lock with all the names",
         part_one_lock);
    PART("Cure 2: one order for all", part_order);
    PART("Cure 3: try, and give way", part_try);
    PART("Cure 4: wait for a limited time", part_limit);
    if (wild > 0)
        PART("Left to luck", part_wild);
    return lesson_end();
}
