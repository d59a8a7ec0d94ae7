/*
 * mutex.c -- ten threads take 1 away, and nine of them for nothing.
 *
 * x = x - 1 is three steps: load x, compute, store the result.  Who
 * comes between the load and the store of another one loads the same
 * old value, and one of the two changes is lost.  A mutex lets one
 * thread at a time into the three steps, the critical section.
 *
 * Luck seldom shows this.  Here a barrier stands between the load and
 * the store: without the mutex no thread stores before all have
 * loaded.  x is atomic, so that each load and each store is whole, and
 * what goes wrong is the lesson and not C's undefined behaviour.
 *
 * Look at: the values that the threads load, 1 each time, or 1, 0, -1
 * and so on; the stairs that the mutex makes of the bars.
 * Compare with: 06-process-lock, a mutex for processes.
 * Try: --threads 20; --wild 100, which leaves the same to luck.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "checked.h"
#include "crowd.h"
#include "gauge.h"
#include "lesson.h"
#include "timeline.h"

enum { THREADS_MAX = 20, ROUNDS = 1000 };

static int threads = 10;
static int wild; /* runs that are left to luck */

static atomic_int x;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* ------------------------------------- changed in between */

static void set_x(void)
{
    atomic_store(&x, 10000);
}

/* Not even a second thread is needed to lose sight of x. */
static void part_one_thread(void)
{
    int before;

    atomic_store(&x, 1);
    before = atomic_load(&x);
    say("x is %d", before);
    set_x();
    say("x is %d: a function that was called has set it", x);
    atomic_store(&x, atomic_load(&x) - 1);
    say("x is %d", x);

    saw("%d, then %d", before, x);
    claim(before == 1 && x == 9999,
          "x was 1, and x - 1 is 9999: it was changed in between");
}

/* ----------------------------------------- the three steps */

static pthread_barrier_t loaded_together;
static struct gauge inside; /* between the load and the store */
static atomic_int loads;    /* how many of the values below */
static int loaded[THREADS_MAX];

static void take_one(int number)
{
    char row[TIMELINE_NAME_MAX], name[TIMELINE_NAME_MAX];
    int t;

    gauge_enter(&inside);
    t = atomic_load(&x);
    loaded[atomic_fetch_add(&loads, 1)] = t;
    snprintf(row, sizeof row, "thread %d", number + 1);
    snprintf(name, sizeof name, "t=%d", t);
    timeline_begin(row, name, 0);
    say_time("%-9s  loads %2d", row, t);
    xpthread_barrier_wait(&loaded_together);
    unit_sleep(1);
    atomic_store(&x, t - 1);
    say_time("%-9s            stores %2d", row, t - 1);
    timeline_end(row);
    gauge_leave(&inside);
}

static void visit_unlocked(int number)
{
    take_one(number);
}

static void visit_locked(int number)
{
    check_error(pthread_mutex_lock(&mutex), "pthread_mutex_lock");
    take_one(number);
    check_error(pthread_mutex_unlock(&mutex), "pthread_mutex_unlock");
}

/* Nobody stores before `together` threads have loaded. */
static void run_visits(crowd_body *visit, int together)
{
    atomic_store(&x, 1);
    inside = (struct gauge){0};
    loads = 0;
    xpthread_barrier_init(&loaded_together, (unsigned)together);
    crowd_threads(threads, visit);
    xpthread_barrier_destroy(&loaded_together);
    say("x is %d", x);
}

/* How many threads loaded 1, or 1, 0, -1 ... when `step` is -1. */
static int loaded_so(int step)
{
    int count = 0;

    for (int i = 0; i < loads; i++)
        count += loaded[i] == 1 + i * step;
    return count;
}

static void part_unlocked(void)
{
    run_visits(visit_unlocked, threads);

    saw("%d", inside.most);
    claim(inside.most == threads,
          "all %d threads are between load and store at once", threads);
    saw("%d of %d", loaded_so(0), loads);
    claim(loaded_so(0) == threads, "all %d loaded 1", threads);
    saw("%d", x);
    claim(x == 0, "x ends at 0: of %d changes one is left", threads);
}

static void part_locked(void)
{
    double took;

    run_visits(visit_locked, 1);
    took = unit_now();

    saw("%d", inside.most);
    claim(inside.most == 1,
          "one thread at a time is between load and store");
    saw("%d of %d", loaded_so(-1), loads);
    claim(loaded_so(-1) == threads,
          "each loaded what the one before it stored");
    saw("%d", x);
    claim(x == 1 - threads, "x ends at %d: no change is lost",
          1 - threads);
    saw("%.3f u", took);
    claim(took >= threads, "the price: %d times 1 u took at least %d u",
          threads, threads);
}

/* -------------------------------------------- left to luck */

/* The same x = x + 1, many times, and nothing that forces it. */
static void count_unlocked(int number)
{
    (void)number;
    for (int i = 0; i < ROUNDS; i++)
        atomic_store(&x, atomic_load(&x) + 1);
}

static void count_locked(int number)
{
    (void)number;
    for (int i = 0; i < ROUNDS; i++) {
        xpthread_mutex_lock(&mutex);
        atomic_store(&x, atomic_load(&x) + 1);
        xpthread_mutex_unlock(&mutex);
    }
}

struct tally {
    int least, most; /* that x came to */
};

static struct tally run_wild(const char *how, crowd_body *count)
{
    int all = threads * ROUNDS, whole = 0;
    struct tally tally = {.least = all, .most = 0};

    for (int run = 0; run < wild; run++) {
        atomic_store(&x, 0);
        crowd_threads(threads, count);
        tally.least = x < tally.least ? x : tally.least;
        tally.most = x > tally.most ? x : tally.most;
        whole += x == all;
    }
    say("%-8s %4d of %4d runs lost something; x came to %d to %d", how,
        wild - whole, wild, tally.least, tally.most);
    return tally;
}

static void part_wild(void)
{
    int all = threads * ROUNDS;
    struct tally unlocked, locked;

    say("%d threads count to %d together, x = x + 1:", threads, all);
    unlocked = run_wild("unlocked", count_unlocked);
    locked = run_wild("locked", count_locked);

    saw("%d to %d", unlocked.least, unlocked.most);
    claim(unlocked.least >= 2 && unlocked.most <= all,
          "unlocked x came to no more than %d, no less than 2", all);
    saw("%d to %d", locked.least, locked.most);
    claim(locked.least == all && locked.most == all,
          "locked x always came to %d", all);
}

int main(int argc, char **argv)
{
    static const struct lesson_option options[] = {
        {"threads", "N", "how many threads change x", &threads, 2,
         THREADS_MAX},
        {"wild", "N", "runs that are left to luck", &wild, 0, 1000},
        {0},
    };
    static const struct lesson lesson = {
        .name = "lesson-11 mutex",
        .summary = "a lost update, and the mutex that prevents it",
        .example = "./lesson-11 --threads 5 --wild 100",
        .options = options,
    };

    lesson_begin(&lesson, argc, argv);
    PART("One thread: x is changed in between", part_one_thread);
    PART("Without the mutex", part_unlocked);
    PART("With the mutex", part_locked);
    if (wild > 0)
        PART("Left to luck", part_wild);
    return lesson_end();
}
