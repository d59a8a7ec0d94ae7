/*
 * future.c -- a result that is not there yet.
 *
 * To submit a task gives a future: a ticket for the result.  It tells
 * whether the task waits, runs or is done, gives the result to who
 * waits for it, or the error, and calls back when it is there.  Until
 * the task has begun it can be cancelled.
 *
 * Look at: what cancel does to a task that runs, and to one that does
 * not; a time limit that passes and harms nothing; the thread in which
 * each callback runs.
 * Compare with: 07-pool-apply, where tasks are handed over without a
 * future; 19-sync-async, for the ways to ask for a result.
 * Try: --threads, and compare the last part.
 */
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <unistd.h>

#include "checked.h"
#include "clock.h"
#include "lesson.h"
#include "pool.h"
#include "shared.h"

enum { TASKS = 3, TERMS = 10 };

static int threads; /* 1: workers are threads, not processes */

/* Each task waits for its gate, so main decides who is when done. */
static struct board {
    sem_t begun; /* one for each task that runs */
    sem_t gates[TASKS];
} * board;

static struct pool *pool;

static void open_pool(int workers)
{
    const struct pool_kind *kind =
        threads ? &pool_threads : &pool_processes;

    board = xshared_alloc(sizeof *board); /* before the forks */
    xsem_init(&board->begun, 1, 0);
    for (int i = 0; i < TASKS; i++)
        xsem_init(&board->gates[i], 1, 0);
    pool = check_pointer(pool_open(kind, workers), "pool_open");
}

/* ---------------------------------------------------- the tasks */

/* The sum of the TERMS numbers from `base` on, as the notes have it. */
static int sum_from(const void *arg, void *result)
{
    int base = *(const int *)arg, sum = 0;

    for (int i = 0; i < TERMS; i++)
        sum += base + i;
    *(int *)result = sum;
    return 0;
}

static int pass_gate(const void *arg, void *result)
{
    int number = *(const int *)arg;

    xsem_post(&board->begun);
    xsem_wait(&board->gates[number]);
    *(int *)result = number;
    return 0;
}

static int fail(const void *arg, void *result)
{
    (void)result;
    return task_error(EDOM, "base %d is negative", *(const int *)arg);
}

static struct future *submit(pool_task *task, int number)
{
    return check_pointer(
        pool_submit(pool, task, &number, sizeof number, sizeof(int)),
        "pool_submit");
}

static void close_pool(void)
{
    pool_free(pool);
    shared_free(board, sizeof *board);
}

/* ------------------------------------------------- three sums */

static void part_sums(void)
{
    static const int bases[TASKS] = {0, 100, 200};
    static const int sums[TASKS] = {45, 1045, 2045};
    struct future *futures[TASKS];
    int right = 0;

    open_pool(2);
    for (int i = 0; i < TASKS; i++)
        futures[i] = submit(sum_from, bases[i]);
    for (int i = 0; i < TASKS; i++) {
        int sum = 0;

        check_error(future_result(futures[i], &sum, INFINITY),
                    "future_result");
        say("from %3d on: %4d", bases[i], sum);
        right += sum == sums[i];
        future_free(futures[i]);
    }
    close_pool();
    saw("%d of %d", right, TASKS);
    claim(right == TASKS, "each future gave the sum of its own task");
}

/* -------------------------------------- pending, running, done */

static const char *state_of(struct future *future)
{
    return future_cancelled(future) ? "cancelled"
           : future_done(future)    ? "done"
           : future_running(future) ? "running"
                                    : "pending";
}

/* Until it runs; or it has died with its worker. */
static void await_begin(struct future *future)
{
    while (clock_sem_wait(&board->begun, 0.02) != 0 &&
           !future_done(future))
        continue;
}

static void part_states(void)
{
    struct future *first, *second;
    bool first_runs, second_waits, first_cancelled, second_cancelled;
    int result = -1, error;

    open_pool(1);
    first = submit(pass_gate, 0);
    await_begin(first);
    second = submit(pass_gate, 1); /* the one worker is busy */
    say("first %s, second %s", state_of(first), state_of(second));
    first_runs = future_running(first) && !future_done(first);
    second_waits = !future_running(second) && !future_done(second);
    first_cancelled = future_cancel(first);
    second_cancelled = future_cancel(second);
    say("after cancel: first %s, second %s", state_of(first),
        state_of(second));
    xsem_post(&board->gates[0]);
    xsem_post(&board->gates[1]);
    check_error(future_result(first, &result, INFINITY),
                "future_result");
    error = future_result(second, NULL, INFINITY);
    say("at the end: first %s, second %s", state_of(first),
        state_of(second));

    claim(first_runs && second_waits,
          "one runs, and the other is pending");
    claim(!first_cancelled && result == 0,
          "what runs can not be cancelled, and comes to its end");
    saw("%s", error_name(error));
    claim(second_cancelled && future_cancelled(second) &&
              error == ECANCELED,
          "what is pending can, and its result is ECANCELED");
    claim(future_done(first) && future_done(second),
          "both are done: cancelled counts as done");
    future_free(first);
    future_free(second);
    close_pool();
}

/* ------------------------------------------------- result, error */

static void part_result(void)
{
    struct future *slow, *bad;
    int early, late, error, result = -1;
    double took;

    open_pool(2);
    slow = submit(pass_gate, 2);
    early = future_result(slow, &result, lesson_unit());
    took = unit_now();
    say_time("result, within 1 u: %s", error_name(early));
    xsem_post(&board->gates[2]);
    late = future_result(slow, &result, INFINITY);
    say_time("result, without a limit: %d", result);
    bad = submit(fail, -1);
    error = future_exception(bad, INFINITY);
    say_time("exception: %s, \"%s\"", error_name(error),
             task_message());

    saw("%s after %.3f u", error_name(early), took);
    claim(early == ETIMEDOUT && took >= 1,
          "a time limit that passes is told");
    saw("%s, %d", error_name(late), result);
    claim(late == 0 && result == 2,
          "the task went on, and a later result succeeds");
    saw("%s", error_name(error));
    claim(error == EDOM, "an error in the task comes out here");
    future_free(slow);
    future_free(bad);
    close_pool();
}

/* ------------------------------------------------ many at a time */

/* Three tasks run and wait; main lets them out as 2, 0, 1. */
static void part_many(void)
{
    static const int order[TASKS] = {2, 0, 1};
    struct future *futures[TASKS], *next;
    struct completion *completion;
    int none, first, all, in_order = 0;
    bool only_one;

    open_pool(TASKS);
    for (int i = 0; i < TASKS; i++)
        futures[i] = submit(pass_gate, i);
    none = future_wait(futures, TASKS, FUTURE_FIRST_COMPLETED, 0);
    completion = check_pointer(future_as_completed(futures, TASKS),
                               "future_as_completed");
    xsem_post(&board->gates[order[0]]);
    first =
        future_wait(futures, TASKS, FUTURE_FIRST_COMPLETED, INFINITY);
    only_one = future_done(futures[2]) && !future_done(futures[0]) &&
               !future_done(futures[1]);
    for (int i = 0; i < TASKS; i++) {
        int result = -1;

        if (i > 0)
            xsem_post(&board->gates[order[i]]);
        next = completion_next(completion, INFINITY);
        check_error(future_result(next, &result, 0), "future_result");
        say("completed: task %d", result);
        in_order += result == order[i];
    }
    all = future_wait(futures, TASKS, FUTURE_ALL_COMPLETED, 0);

    saw("%s", error_name(none));
    claim(none == ETIMEDOUT, "at first none is completed");
    claim(first == 0 && only_one,
          "to wait for the first does not wait for the others");
    saw("%d of %d", in_order, TASKS);
    claim(in_order == TASKS,
          "as_completed gives them as they end, not as submitted");
    saw("%s", error_name(all));
    claim(all == 0, "then all are completed");
    completion_free(completion);
    for (int i = 0; i < TASKS; i++)
        future_free(futures[i]);
    close_pool();
}

/* -------------------------------------------- until one fails */

static void part_first_error(void)
{
    struct future *futures[2];
    bool others_wait;
    int none, first;

    open_pool(2);
    futures[0] = submit(pass_gate, 0);
    futures[1] = submit(pass_gate, 1);
    none = future_wait(futures, 2, FUTURE_FIRST_ERROR, lesson_unit());
    xsem_post(&board->gates[1]);
    check_error(future_result(futures[1], NULL, INFINITY),
                "future_result");
    future_free(futures[1]);
    futures[1] = submit(fail, -1);
    first = future_wait(futures, 2, FUTURE_FIRST_ERROR, INFINITY);
    others_wait = !future_done(futures[0]);
    xsem_post(&board->gates[0]);
    check_error(future_result(futures[0], NULL, INFINITY),
                "future_result");
    say("the error: %s",
        future_exception(futures[1], 0) == 0 ? "none" : task_message());

    saw("%s", error_name(none));
    claim(none == ETIMEDOUT,
          "to wait for an error takes long where there is none");
    saw("%s, %s", error_name(first), others_wait ? "not yet" : "done");
    claim(first == 0 && others_wait,
          "where there is one it does not wait for the others");
    future_free(futures[0]);
    future_free(futures[1]);
    close_pool();
}

/* ------------------------------------------- who runs a callback */

struct caller {
    pid_t pid, thread;
    sem_t called;
};

static int note_caller(struct future *future, void *context)
{
    struct caller *caller = context;

    (void)future;
    caller->pid = getpid();
    caller->thread = gettid();
    xsem_post(&caller->called);
    return 0;
}

/* The result is the thread that ran the task. */
static int tell_thread(const void *arg, void *result)
{
    xsem_post(&board->begun);
    xsem_wait(&board->gates[*(const int *)arg]);
    *(pid_t *)result = gettid();
    return 0;
}

static void part_callbacks(void)
{
    struct caller before = {0}, after = {0};
    struct future *future;
    pid_t worker = 0;

    open_pool(1);
    xsem_init(&before.called, 0, 0);
    xsem_init(&after.called, 0, 0);
    future = submit(tell_thread, 0);
    check_error(future_add_done_callback(future, note_caller, &before),
                "future_add_done_callback");
    xsem_post(&board->gates[0]);
    check_error(future_result(future, &worker, INFINITY),
                "future_result");
    xsem_wait(&before.called);
    check_error(pool_close(pool), "pool_close");
    check_error(pool_join(pool), "pool_join"); /* callbacks have run */
    check_error(future_add_done_callback(future, note_caller, &after),
                "future_add_done_callback");
    say("main %d, worker %d, callback %d, later callback %d", gettid(),
        worker, before.thread, after.thread);

    saw("%d and %d", before.thread, worker);
    claim(threads ? before.thread == worker
                  : before.pid == getpid() && before.thread != worker,
          threads ? "the worker thread runs the callback"
                  : "the parent runs the callback, not the worker");
    saw("%d", after.thread);
    claim(after.thread == gettid(),
          "on a future that is done the caller runs it, at once");
    future_free(future);
    close_pool();
}

int main(int argc, char **argv)
{
    static const struct lesson_option options[] = {
        {"threads", NULL, "a pool of threads, not of processes",
         &threads, 0, 1},
        {0},
    };
    static const struct lesson lesson = {
        .name = "lesson-18 future",
        .summary = "a result that is not there yet",
        .example = "./lesson-18 --threads",
        .options = options,
    };

    lesson_begin(&lesson, argc, argv);
    PART("Three sums", part_sums);
    PART("Pending, running, done", part_states);
    PART("Result and error", part_result);
    PART("Many at a time", part_many);
    PART("Until one fails", part_first_error);
    PART("Who runs a callback", part_callbacks);
    return lesson_end();
}
