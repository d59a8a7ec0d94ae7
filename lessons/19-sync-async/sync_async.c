/*
 * sync_async.c -- four ways to ask for the same twenty results.
 *
 * Synchronous: hand a task over, wait for its result, then hand over
 * the next.  Asynchronous: hand all over, and learn later that they
 * are done; by waiting then, by asking again and again, or by being
 * called.  The last three take the same time.  What they do to the
 * CPU meanwhile is not the same.
 *
 * Look at: the table.  Who polls is the only one that works while it
 * waits, and all its work is to look.
 * Compare with: 08-pool-callback, for who runs a callback; 20-gil, for
 * whose CPU time polling takes.
 * Try: --nap 1000, which sleeps a millisecond between two looks;
 * --workers 20; --threads.
 */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "checked.h"
#include "clock.h"
#include "gauge.h"
#include "lesson.h"
#include "pool.h"
#include "shared.h"

enum { TASKS_MAX = 100, WORKERS_MAX = 64, ROUNDS_MAX = 99 };

static int tasks = 20, workers = 4, rounds = 3;
static int nap;     /* microseconds, between two looks */
static int threads; /* 1: workers are threads, not processes */

static struct pool *pool;

/* In memory that the workers share. */
static struct board {
    struct gauge busy; /* tasks that run at the same time */
    sem_t begun;       /* one for each task that has begun */
    sem_t go;          /* one for each task that may go on */
} * board;

static int square(const void *arg, void *result)
{
    int number = *(const int *)arg;

    gauge_enter(&board->busy);
    xsem_post(&board->begun);
    xsem_wait(&board->go);
    unit_sleep(0.2);
    *(int *)result = number * number;
    gauge_leave(&board->busy);
    return 0;
}

static struct future *submit(int number)
{
    return check_pointer(pool_submit(pool, square, &number,
                                     sizeof number, sizeof number),
                         "pool_submit");
}

static int take(struct future *future)
{
    int result;

    check_error(future_result(future, &result, INFINITY),
                "future_result");
    future_free(future);
    return result;
}

static void let_go(void)
{
    for (int i = 0; i < tasks; i++)
        xsem_post(&board->go);
}

/* Until all workers are busy, so that it is seen how many can be. */
static void await_busy_workers(void)
{
    for (int i = 0; i < workers && i < tasks; i++)
        clock_sem_wait(&board->begun, 20); /* one may be killed */
}

/* ------------------------------------------------ the four ways */

static void wait_for_each(int *results)
{
    let_go();
    for (int i = 0; i < tasks; i++)
        results[i] = take(submit(i));
}

static void submit_all(struct future **futures)
{
    for (int i = 0; i < tasks; i++)
        futures[i] = submit(i);
    await_busy_workers();
}

static void wait_for_all(int *results)
{
    struct future *futures[TASKS_MAX] = {NULL};

    submit_all(futures);
    let_go();
    for (int i = 0; i < tasks; i++)
        results[i] = take(futures[i]);
}

static long looks; /* at a future, whether it is done */
static long vain;  /* it was not */

static bool all_are_done(struct future **futures)
{
    int done = 0;

    for (int i = 0; i < tasks; i++)
        done += future_done(futures[i]);
    looks += tasks;
    vain += tasks - done;
    return done == tasks;
}

static void poll_all(int *results)
{
    struct future *futures[TASKS_MAX] = {NULL};

    submit_all(futures);
    if (!all_are_done(futures))
        let_go();
    while (!all_are_done(futures))
        clock_sleep(nap * 1e-6);
    for (int i = 0; i < tasks; i++)
        results[i] = take(futures[i]);
}

/* Where a callback puts a result, and whom it tells. */
static struct desk {
    int *results;
    sem_t done;
} desk;

/* Also of a task that failed: then there is nothing to wait for. */
static int note_result(struct future *future, void *context)
{
    int *result = context;

    check_error(future_result(future, result, 0), "future_result");
    xsem_post(&desk.done);
    return 0;
}

static void be_called(int *results)
{
    xsem_init(&desk.done, 0, 0);
    for (int i = 0; i < tasks; i++)
        check_error(pool_apply_async(pool, square, &i, sizeof i,
                                     sizeof i, note_result, note_result,
                                     &results[i]),
                    "pool_apply_async");
    await_busy_workers();
    let_go();
    for (int i = 0; i < tasks; i++)
        xsem_wait(&desk.done);
    xsem_destroy(&desk.done);
}

/* --------------------------------------------------- measure them */

enum way_number { EACH, ALL, POLL, CALLED, WAYS };

static const struct way {
    const char *name;
    void (*run)(int *results);
} ways[WAYS] = {
    [EACH] = {"submit and wait, each", wait_for_each},
    [ALL] = {"submit all, then wait", wait_for_all},
    [POLL] = {"submit all, and poll", poll_all},
    [CALLED] = {"submit all, be called", be_called},
};

/* What one way costs the program that asks, without its workers. */
struct cost {
    double elapsed; /* seconds */
    double best;    /* seconds, of the round least disturbed */
    double cpu;     /* seconds, of all its threads */
    double wakes;   /* of main, which had slept */
    long looks, vain;
    int most; /* tasks at a time */
    int right;
};

static struct cost costs[WAYS]; /* medians */

static double cpu_time(void)
{
    struct timespec now;

    check_call(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now),
               "clock_gettime");
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double wakes(void)
{
    struct rusage usage;

    check_call(getrusage(RUSAGE_THREAD, &usage), "getrusage");
    return (double)usage.ru_nvcsw;
}

static void open_pool(void)
{
    board = xshared_alloc(sizeof *board); /* before the forks */
    xsem_init(&board->begun, 1, 0);
    xsem_init(&board->go, 1, 0);
    pool = check_pointer(
        pool_open(threads ? &pool_threads : &pool_processes, workers),
        "pool_open");
}

static void close_pool(void)
{
    check_error(pool_close(pool), "pool_close");
    check_error(pool_join(pool), "pool_join");
    pool_free(pool);
    shared_free(board, sizeof *board);
}

static struct cost measure(const struct way *way)
{
    int results[TASKS_MAX] = {0};
    struct cost cost = {0};

    open_pool();
    looks = vain = 0;
    cost.cpu = -cpu_time();
    cost.wakes = -wakes();
    cost.elapsed = -clock_now();
    way->run(results);
    cost.elapsed += clock_now();
    cost.wakes += wakes();
    cost.cpu += cpu_time();
    cost.looks = looks;
    cost.vain = vain;
    cost.most = board->busy.most;
    for (int i = 0; i < tasks; i++)
        cost.right += results[i] == i * i;
    close_pool();
    return cost;
}

static int compare_cpu(const void *one, const void *other)
{
    double a = ((const struct cost *)one)->cpu;
    double b = ((const struct cost *)other)->cpu;

    return (a > b) - (a < b);
}

/* The round whose CPU time is the median; the others say the rest. */
static struct cost measure_rounds(enum way_number way)
{
    struct cost round[ROUNDS_MAX] = {{0}};
    struct cost *middle = &round[rounds / 2];
    double best = INFINITY;
    int most = 0, right = tasks;

    for (int i = 0; i < rounds; i++) {
        round[i] = measure(&ways[way]);
        best = fmin(best, round[i].elapsed);
        most = round[i].most > most ? round[i].most : most;
        right = round[i].right < right ? round[i].right : right;
        say("%.2f u, %.2f ms of CPU time",
            round[i].elapsed / lesson_unit(), round[i].cpu * 1e3);
    }
    qsort(round, (size_t)rounds, sizeof *round, compare_cpu);
    middle->best = best;
    middle->most = most;
    middle->right = right;
    return *middle;
}

/* ---------------------------------------------------- the parts */

/* In u, with so many at a time: less is not possible. */
static double least(int at_once)
{
    int turns = (tasks + at_once - 1) / at_once;

    return turns * 0.2;
}

static void claim_way(enum way_number way, int at_once)
{
    struct cost *cost = &costs[way];

    *cost = measure_rounds(way);
    saw("%d of %d", cost->right, tasks);
    claim(cost->right == tasks, "all %d squares came, in order", tasks);
    saw("%d", cost->most);
    claim(cost->most == at_once, "%d at a time", at_once);
    saw("%.2f u", cost->elapsed / lesson_unit());
    claim(cost->elapsed >= least(at_once) * lesson_unit(),
          "it took %.1f u or more", least(at_once));
}

static int busy_workers(void)
{
    return workers < tasks ? workers : tasks;
}

static void part_each(void)
{
    claim_way(EACH, 1);
}

static void part_all(void)
{
    claim_way(ALL, busy_workers());
}

/* It has looked at all of them once before the first could end. */
static void part_poll(void)
{
    claim_way(POLL, busy_workers());
    say("%ld looks for %d results", costs[POLL].looks, tasks);
    saw("%ld", costs[POLL].vain);
    claim(costs[POLL].vain >= tasks, "%d looks were in vain, or more",
          tasks);
}

static void part_called(void)
{
    claim_way(CALLED, busy_workers());
}

/* What a busy machine may stand still for, in seconds. */
static const double grace = 0.3;

static void claim_elapsed(void)
{
    double each = costs[EACH].best, longest = 0;

    for (int i = ALL; i < WAYS; i++)
        longest = fmax(longest, costs[i].best);
    saw("%.2f u against %.2f u", longest / lesson_unit(),
        each / lesson_unit());
    claim(longest <= each * 1.5 / busy_workers() + grace,
          "the other three took about 1/%d of the time of the first",
          busy_workers());
}

/* Shorter than this a stumble of the machine counts for more. */
static const double long_enough = 0.04;

static void claim_cpu(void)
{
    double poll = costs[POLL].cpu, other = 0;

    for (int i = ALL; i < WAYS; i++)
        if (i != POLL)
            other = fmax(other, costs[i].cpu);
    saw("%.2f ms against %.2f ms", poll * 1e3, other * 1e3);
    if (nap > 0)
        say("With a nap between two looks polling costs less CPU "
            "time.");
    else if (least(busy_workers()) * lesson_unit() < long_enough)
        say("Too short to compare CPU times: take a longer --unit.");
    else
        claim(
            poll > 2 * other,
            "polling burns more than twice the CPU time of the others");
}

static void part_table(void)
{
    say("%-24s %8s %10s %8s %9s", "", "elapsed", "CPU time", "woken",
        "looks");
    for (int i = 0; i < WAYS; i++)
        say("%-24s %6.2f u %7.2f ms %8.0f %9ld", ways[i].name,
            costs[i].elapsed / lesson_unit(), costs[i].cpu * 1e3,
            costs[i].wakes, costs[i].looks);
    claim_elapsed();
    claim_cpu();
}

int main(int argc, char **argv)
{
    static const struct lesson_option options[] = {
        {"tasks", "N", "how many tasks", &tasks, 2, TASKS_MAX},
        {"workers", "N", "how many workers", &workers, 2, WORKERS_MAX},
        {"rounds", "N", "how often, for the median", &rounds, 1,
         ROUNDS_MAX},
        {"nap", "US", "microseconds from one look to the next", &nap, 0,
         1000000},
        {"threads", NULL, "a pool of threads, not of processes",
         &threads, 0, 1},
        {0},
    };
    static const struct lesson lesson = {
        .name = "lesson-19 sync-async",
        .summary = "four ways to wait for twenty results",
        .example = "./lesson-19 --nap 1000",
        .options = options,
    };

    lesson_begin(&lesson, argc, argv);
    PART("Submit and wait, each", part_each);
    PART("Submit all, then wait", part_all);
    PART("Submit all, and poll", part_poll);
    PART("Submit all, and be called", part_called);
    PART("What it costs who asks", part_table);
    return lesson_end();
}
