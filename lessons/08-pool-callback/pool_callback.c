/*
 * pool_callback.c -- call me when it is done.
 *
 * Whoever hands over a task need not wait for its result: a callback
 * gets that when it is there.  In a pool of processes a thread of the
 * parent runs all callbacks, in a pool of threads each worker those of
 * its own tasks.  A task that fails goes to the error callback, and so
 * does one whose worker is killed in the middle of it.
 *
 * Look at: who made a result and who printed it; what the other tasks
 * do when one fails or a worker dies; the workers in the time line
 * beside the slow callback.
 * Compare with: 07-pool-apply, whose callbacks only count.
 * Try: --threads, where a slow callback keeps one worker busy and
 * delays no other callback.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "checked.h"
#include "clock.h"
#include "lesson.h"
#include "pool.h"
#include "shared.h"
#include "timeline.h"

enum { WORKERS_MAX = 64, TASKS_MAX = 100 };

static int workers = 3, tasks = 10;
static int threads; /* 1: workers are threads, not processes */

static struct pool *pool;
static const struct pool_kind *kind; /* of that pool */
static pid_t parent;

/* The tasks are 1, 2, 3 ...; their arguments stand here. */
static int numbers[TASKS_MAX + 1];

/* What a task returns. */
struct page {
    char name[16]; /* "filename7" */
    int number;
    int maker; /* the pid of the worker, or its thread's id */
};

/*
 * What tasks and callbacks leave behind.  It is shared memory, so a
 * callback that ran in a worker process would be seen too.
 */
struct board {
    atomic_int printed[TASKS_MAX + 1]; /* how often each result was */
    atomic_int by_parent, by_maker;    /* who printed it */
    atomic_int errors;                 /* calls of the error callback */
    int failed;                        /* the task of the last one */
    char message[TASK_MESSAGE_MAX];
    pid_t crew[WORKERS_MAX + 1]; /* by the workers' numbers */
    int victim;                  /* the worker in the task that hangs */
    sem_t begun;                 /* one for each task that waits */
    sem_t go_on;                 /* one for each that need not */
    atomic_bool slow;            /* a callback is the slow one */
    sem_t slow_begun, slow_may_end;
    atomic_bool slow_over;
    sem_t others; /* one for each callback that is not slow */
};

static struct board *board;

static void open_pool(const struct pool_kind *of_kind)
{
    kind = of_kind;
    board = xshared_alloc(sizeof *board);
    xsem_init(&board->begun, 1, 0);
    xsem_init(&board->go_on, 1, 0);
    xsem_init(&board->slow_begun, 1, 0);
    xsem_init(&board->slow_may_end, 1, 0);
    xsem_init(&board->others, 1, 0);
    pool = check_pointer(pool_open(kind, workers), "pool_open");
}

static void close_and_join(void)
{
    check_error(pool_close(pool), "pool_close");
    check_error(pool_join(pool), "pool_join");
    pool_free(pool);
}

static void close_board(void)
{
    shared_free(board, sizeof *board);
}

/* The caller's pid, or its thread's id where they share the pid. */
static int own_id(void)
{
    return kind == &pool_threads ? (int)gettid() : (int)getpid();
}

/* ------------------------------------------------------- tasks */

static int make_page(const void *arg, void *result)
{
    struct page *page = result;

    page->number = *(const int *)arg;
    snprintf(page->name, sizeof page->name, "filename%d", page->number);
    page->maker = own_id();
    unit_sleep(1);
    return 0;
}

/* --------------------------------------------------- callbacks */

static int print_page(struct future *future, void *context)
{
    const char *id = kind == &pool_threads ? "tid" : "pid";
    struct page page;
    int error = future_result(future, &page, 0);

    (void)context;
    if (error != 0)
        return error;
    say_time("%-11s made by %s %d, printed by %s %d", page.name, id,
             page.maker, id, own_id());
    atomic_fetch_add(&board->printed[page.number], 1);
    if (own_id() == page.maker)
        atomic_fetch_add(&board->by_maker, 1);
    if (getpid() == parent)
        atomic_fetch_add(&board->by_parent, 1);
    return 0;
}

static int print_error(struct future *future, void *context)
{
    board->failed = *(const int *)context;
    future_exception(future, 0);
    snprintf(board->message, sizeof board->message, "%s",
             task_message());
    say_time("error: %s", board->message);
    atomic_fetch_add(&board->errors, 1);
    return 0;
}

static void hand_over(pool_task *task, int number)
{
    int *arg = &numbers[number];

    check_error(pool_apply_async(pool, task, arg, sizeof *arg,
                                 sizeof(struct page), print_page,
                                 print_error, arg),
                "pool_apply_async");
}

static void hand_over_all(pool_task *task, int first)
{
    for (int i = first; i <= tasks; i++)
        hand_over(task, i);
    say_time("main has handed over %d tasks and goes on", tasks);
}

/* How many results were printed, and not more than once. */
static int printed_once(void)
{
    int count = 0;

    for (int i = 1; i <= tasks; i++)
        count += board->printed[i] == 1;
    return count;
}

static void part_callback(void)
{
    open_pool(threads ? &pool_threads : &pool_processes);
    hand_over_all(make_page, 1);
    close_and_join();

    saw("%d of %d", printed_once(), tasks);
    claim(printed_once() == tasks,
          "when join returned, all %d results were printed, once each",
          tasks);
    saw("%d by the parent, %d by who made it", board->by_parent,
        board->by_maker);
    if (threads)
        claim(board->by_maker == tasks,
              "the worker that made a result printed it");
    else
        claim(board->by_parent == tasks && board->by_maker == 0,
              "the parent printed all of them, a worker none");
    close_board();
}

/* ------------------------------------------------ a task fails */

static int unreadable; /* the number of the task that fails */

static int make_page_or_fail(const void *arg, void *result)
{
    int number = *(const int *)arg;

    make_page(arg, result);
    if (number == unreadable)
        return task_error(EIO, "filename%d can not be read", number);
    return 0;
}

/* One task failed, with these words; the others were done. */
static void claim_failed(int number, const char *words)
{
    saw("%d calls, the last for filename%d: %s", board->errors,
        board->failed, board->message);
    claim(board->errors == 1 && board->failed == number &&
              strstr(board->message, words) != NULL,
          "only filename%d failed, and the message says \"%s\"", number,
          words);
    saw("%d of %d", printed_once(), tasks - 1);
    claim(printed_once() == tasks - 1 && board->printed[number] == 0,
          "the other %d tasks were done", tasks - 1);
}

static void part_failure(void)
{
    unreadable = (tasks + 1) / 2;
    open_pool(threads ? &pool_threads : &pool_processes);
    hand_over_all(make_page_or_fail, 1);
    close_and_join();

    claim_failed(unreadable, "can not be read");
    close_board();
}

/* ------------------------------------------ a worker is killed */

/* Keeps its worker busy until main has seen who is there. */
static int meet(const void *arg, void *result)
{
    (void)arg, (void)result;
    board->crew[pool_worker()] = getpid();
    xsem_post(&board->begun);
    xsem_wait(&board->go_on);
    unit_sleep(1);
    return 0;
}

/* Does not come to an end: its worker is killed. */
static int make_half_a_page(const void *arg, void *result)
{
    board->victim = pool_worker();
    meet(arg, result);
    return make_page(arg, result);
}

/* Long enough on any machine; it passes only if a claim must fail. */
static double limit(void)
{
    return 20 + 4 * tasks * lesson_unit();
}

/* Waits for tasks that have begun, but not if their worker died. */
static void await_begun(int count, int deaths)
{
    double deadline = clock_deadline(limit());

    while (count > 0 && board->errors <= deaths &&
           clock_left(deadline) > 0)
        count -= clock_sem_wait(&board->begun, 0.02) == 0;
}

/* Each worker gets one of these tasks, for none can do two. */
static void let_all_meet(void)
{
    for (int i = 0; i < workers; i++)
        check_error(
            pool_apply_async(pool, meet, NULL, 0, 0, NULL, NULL, NULL),
            "pool_apply_async");
    await_begun(workers, 1);
    for (int i = 0; i <= workers; i++) /* also for one not killed */
        xsem_post(&board->go_on);
}

static void part_killed(void)
{
    pid_t dead, successor;

    open_pool(&pool_processes);
    hand_over(make_half_a_page, 1);
    await_begun(1, 0);
    dead = board->crew[board->victim];
    board->crew[board->victim] = 0;
    hand_over_all(make_page, 2);
    unit_sleep(1);
    say_time("main kills worker %d (pid %d), which is in filename1",
             board->victim, (int)dead);
    if (dead != 0)
        kill(dead, SIGKILL);
    let_all_meet();
    successor = board->crew[board->victim];
    close_and_join();

    say("Python's Pool would wait for filename1 for ever.");
    claim_failed(1, "was killed by signal 9");
    saw("pid %d after pid %d", (int)successor, (int)dead);
    claim(successor != 0 && successor != dead,
          "a new worker took the place of the dead one");
    close_board();
}

/* --------------------------------------------- a slow callback */

static int make_page_later(const void *arg, void *result)
{
    xsem_wait(&board->go_on);
    return make_page(arg, result);
}

/* The first one called takes its time, until main has looked. */
static int print_slowly(struct future *future, void *context)
{
    char row[TIMELINE_NAME_MAX] = "callbacks";
    int error;

    if (atomic_exchange(&board->slow, true)) {
        error = print_page(future, context);
        xsem_post(&board->others);
        return error;
    }
    if (pool_worker() > 0) /* of a pool of threads */
        snprintf(row, sizeof row, "worker %d", pool_worker());
    timeline_begin(row, "slow", 0);
    say_time("a callback begins, and is slow");
    xsem_post(&board->slow_begun);
    clock_sem_wait(&board->slow_may_end, limit());
    atomic_store(&board->slow_over, true);
    timeline_end(row);
    return print_page(future, context);
}

/* The tasks wait until all have their callbacks. */
static void submit_all(struct future **futures)
{
    for (int i = 1; i <= tasks; i++) {
        struct future *future =
            pool_submit(pool, make_page_later, &numbers[i],
                        sizeof numbers[i], sizeof(struct page));

        futures[i - 1] = check_pointer(future, "pool_submit");
        check_error(
            future_add_done_callback(future, print_slowly, &numbers[i]),
            "future_add_done_callback");
    }
    for (int i = 1; i <= tasks; i++)
        xsem_post(&board->go_on);
}

/* How many other callbacks ran while the slow one did. */
static int callbacks_meanwhile(void)
{
    int count = 0;

    if (threads)
        while (count < tasks - 1 &&
               clock_sem_wait(&board->others, limit()) == 0)
            count++;
    unit_sleep(1);
    while (clock_sem_wait(&board->others, 0) == 0)
        count++;
    return count;
}

static void part_slow(void)
{
    struct future *futures[TASKS_MAX];
    int error, meanwhile;
    bool beside;

    open_pool(threads ? &pool_threads : &pool_processes);
    submit_all(futures);
    clock_sem_wait(&board->slow_begun, limit());
    error = future_wait(futures, (size_t)tasks, FUTURE_ALL_COMPLETED,
                        limit());
    say_time("main has all %d results", tasks);
    meanwhile = callbacks_meanwhile();
    beside = error == 0 && !board->slow_over;
    say_time("main has waited long enough");
    xsem_post(&board->slow_may_end);
    close_and_join();
    for (int i = 0; i < tasks; i++)
        future_free(futures[i]);

    saw("%s", error == 0 ? "it was over" : error_name(error));
    claim(beside,
          "all %d results were there while the first callback ran",
          tasks);
    saw("%d were run", meanwhile);
    if (threads)
        claim(meanwhile == tasks - 1,
              "the other %d callbacks did not wait for it", tasks - 1);
    else
        claim(meanwhile == 0, "the other %d callbacks waited for it",
              tasks - 1);
    saw("%d of %d", printed_once(), tasks);
    claim(printed_once() == tasks, "after join none is missing");
    close_board();
}

int main(int argc, char **argv)
{
    static const struct lesson_option options[] = {
        {"workers", "N", "how many workers", &workers, 2, WORKERS_MAX},
        {"tasks", "N", "how many tasks", &tasks, 2, TASKS_MAX},
        {"threads", NULL, "a pool of threads, where one can be",
         &threads, 0, 1},
        {0},
    };
    static const struct lesson lesson = {
        .name = "lesson-08 pool-callback",
        .summary = "results and errors come back by callback",
        .example = "./lesson-08 --workers 5 --tasks 20",
        .options = options,
    };

    lesson_begin(&lesson, argc, argv);
    parent = getpid();
    for (int i = 0; i <= TASKS_MAX; i++)
        numbers[i] = i;
    PART("A callback prints each result", part_callback);
    PART("A task fails", part_failure);
    PART("A worker is killed in the middle of a task", part_killed);
    PART("A slow callback", part_slow);
    return lesson_end();
}
