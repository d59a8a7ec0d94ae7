/*
 * executor.c -- hand it over, and go on; or wait until all is done.
 *
 * An executor is a pool by another name: submit hands a task over and
 * goes on, shutdown takes no more and waits for those in hand, map
 * asks for many results at once and brings them in the order of the
 * arguments.  Workers can prepare themselves before their first task
 * and can be replaced after some of them.  Why a pool at all is the
 * last part: a process for each task costs more than the task.
 *
 * Look at: where "main goes on" stands among the lines; the same few
 * ids in all of them; what a start costs.
 * Compare with: 07-pool-apply, the same pool by its older names;
 * 18-future, for what submit gives back.
 * Try: --threads, where all tasks have one pid; --seed 7; --chunk 5.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "checked.h"
#include "clock.h"
#include "lesson.h"
#include "pool.h"
#include "shared.h"

enum { TASKS_MAX = 100, WORKERS_MAX = 64, STARTS_MAX = 100000 };

static int tasks = 10, workers = 4, seed = 1, chunk, starts = 1000;
static int share = 3; /* of tasks, after which a worker is replaced */
static int threads;   /* 1: workers are threads, not processes */

static struct pool *pool;

/* What the tasks leave behind, in memory that the workers share. */
static struct board {
    atomic_int ended;
    atomic_int prepared; /* workers */
    sem_t begun;         /* one for each task that has begun */
    sem_t go;            /* one for each task that may end */
    struct run {
        pid_t pid, thread;
    } runs[TASKS_MAX];
} * board;

static void open_pool_with(int count,
                           const struct pool_options *options)
{
    const struct pool_kind *kind =
        threads ? &pool_threads : &pool_processes;

    board = xshared_alloc(sizeof *board); /* before the forks */
    xsem_init(&board->begun, 1, 0);
    xsem_init(&board->go, 1, 0);
    pool = check_pointer(pool_open_with(kind, count, options),
                         "pool_open_with");
}

static void open_pool(void)
{
    open_pool_with(workers, &(struct pool_options){0});
}

static void close_board(void)
{
    pool_free(pool);
    shared_free(board, sizeof *board);
}

/* shutdown(wait=True) */
static void shut_down(void)
{
    check_error(pool_close(pool), "pool_close");
    check_error(pool_join(pool), "pool_join");
}

/* ------------------------------------------------------- submit */

/* A task sleeps 1 to 3 u, and notes who ran it. */
struct job {
    int number;
    int length; /* in u */
};

static struct job jobs[TASKS_MAX];

static int work(const void *arg, void *result)
{
    const struct job *job = arg;

    xsem_post(&board->begun);
    xsem_wait(&board->go);
    unit_sleep(job->length);
    board->runs[job->number] = (struct run){getpid(), gettid()};
    say_time("task %d, %d u, pid %d", job->number, job->length,
             getpid());
    atomic_fetch_add(&board->ended, 1);
    *(int *)result = job->number * job->number;
    return 0;
}

static void submit_all(void)
{
    for (int i = 0; i < tasks; i++) {
        struct future *future = pool_submit(
            pool, work, &jobs[i], sizeof jobs[i], sizeof(int));

        future_free(check_pointer(future, "pool_submit"));
    }
}

static int least(int one, int other)
{
    return one < other ? one : other;
}

/* Until every worker has a task, for none can do two at a time. */
static void await_busy_workers(void)
{
    for (int i = 0; i < least(tasks, workers); i++)
        clock_sem_wait(&board->begun, 20); /* one may be killed */
}

/* So that no task ends before main has looked. */
static void let_go(void)
{
    for (int i = 0; i < tasks; i++)
        xsem_post(&board->go);
}

/* How many different ids there are, of processes or of threads. */
static int count_ids(bool of_threads)
{
    int count = 0;

    for (int i = 0; i < tasks; i++) {
        int first = 0;

        while (of_threads
                   ? board->runs[first].thread != board->runs[i].thread
                   : board->runs[first].pid != board->runs[i].pid)
            first++;
        count += first == i;
    }
    return count;
}

static void claim_ids(void)
{
    int pids = count_ids(false), ids = count_ids(true);

    saw("%d pids, %d threads", pids, ids);
    if (threads)
        claim(pids == 1 && ids == least(tasks, workers),
              "one pid, and %d threads, did all tasks",
              least(tasks, workers));
    else
        claim(pids == least(tasks, workers),
              "exactly %d processes did all tasks",
              least(tasks, workers));
}

static void part_go_on(void)
{
    int ended;

    open_pool();
    submit_all();
    ended = atomic_load(&board->ended);
    say_time("main goes on");
    await_busy_workers();
    let_go();
    shut_down();

    saw("%d had ended", ended);
    claim(ended == 0, "main goes on before any task is done");
    saw("%d of %d", board->ended, tasks);
    claim(board->ended == tasks, "shutdown waits for all %d", tasks);
    claim_ids();
    close_board();
}

static void part_shut_down(void)
{
    struct future *late;
    int ended, error;

    open_pool();
    submit_all();
    let_go();
    shut_down();
    ended = atomic_load(&board->ended);
    say_time("main goes on");
    late =
        pool_submit(pool, work, &jobs[0], sizeof jobs[0], sizeof(int));
    error = errno;

    saw("%d of %d", ended, tasks);
    claim(ended == tasks, "after shutdown main goes on as the last");
    saw("%s", error_name(error));
    claim(late == NULL && error == EPIPE,
          "submit after shutdown is refused");
    close_board();
}

/* ---------------------------------------------------------- map */

static void part_map(void)
{
    int results[TASKS_MAX] = {0}, right = 0;

    open_pool();
    let_go();
    check_error(pool_map(pool, work, jobs, sizeof jobs[0], results,
                         sizeof results[0], (size_t)tasks,
                         (size_t)chunk, INFINITY),
                "pool_map");
    shut_down();
    for (int i = 0; i < tasks; i++)
        right += results[i] == i * i;
    say("results: %d, %d, ... %d", results[0], results[1],
        results[tasks - 1]);

    saw("%d of %d", right, tasks);
    claim(right == tasks, "results come in the order of the arguments");
    close_board();
}

/* ---------------------------------- not longer, and no more of them */

/* The tasks stand at the gate: none can be done in time. */
static void part_late(void)
{
    int results[TASKS_MAX], error;
    double begin = clock_now(), waited;

    open_pool();
    error =
        pool_map(pool, work, jobs, sizeof jobs[0], results,
                 sizeof results[0], (size_t)tasks, 1, lesson_unit());
    waited = (clock_now() - begin) / lesson_unit();
    say_time("map: %s", task_message());
    let_go();
    shut_down();

    saw("%s after %.2f u", error_name(error), waited);
    claim(error == ETIMEDOUT && waited >= 1,
          "map with a time limit of 1 u gives up, and not before");
    saw("%d of %d", board->ended, tasks);
    claim(board->ended <= workers, "what had not begun never runs");
    close_board();
}

/* shutdown(wait=True, cancel_futures=True) */
static void part_cancel(void)
{
    struct future *futures[TASKS_MAX] = {NULL};
    int ended = 0, cancelled = 0;

    open_pool();
    for (int i = 0; i < tasks; i++)
        futures[i] =
            check_pointer(pool_submit(pool, work, &jobs[i],
                                      sizeof jobs[i], sizeof(int)),
                          "pool_submit");
    await_busy_workers();
    check_error(pool_cancel(pool), "pool_cancel");
    let_go();
    check_error(pool_join(pool), "pool_join");
    for (int i = 0; i < tasks; i++) {
        cancelled += future_cancelled(futures[i]);
        ended += future_result(futures[i], NULL, 0) == 0;
        future_free(futures[i]);
    }

    saw("%d ended, %d cancelled", ended, cancelled);
    claim(ended == least(tasks, workers) && ended + cancelled == tasks,
          "cancelled: all but the %d that had begun",
          least(tasks, workers));
    close_board();
}

/* ------------------------------------------ workers that prepare */

static _Thread_local int preparations; /* in this worker */

static int prepare(void *context)
{
    (void)context;
    preparations++;
    atomic_fetch_add(&board->prepared, 1);
    return 0;
}

static int count_preparations(const void *arg, void *result)
{
    int number = *(const int *)arg;

    board->runs[number] = (struct run){getpid(), gettid()};
    *(int *)result = preparations;
    return 0;
}

/* The most tasks that had the same worker. */
static int most_of_one_worker(void)
{
    int most = 0;

    for (int i = 0; i < tasks; i++) {
        int same = 0;

        for (int j = 0; j < tasks; j++)
            same += board->runs[i].thread == board->runs[j].thread;
        most = same > most ? same : most;
    }
    return most;
}

/* In a pool of one, so that they come one after another. */
static void part_prepare(void)
{
    const struct pool_options options = {
        .initializer = prepare,
        .tasks_per_worker = share,
    };
    int numbers[TASKS_MAX], results[TASKS_MAX], once = 0, most;

    for (int i = 0; i < tasks; i++)
        numbers[i] = i;
    open_pool_with(1, &options);
    check_error(pool_map(pool, count_preparations, numbers,
                         sizeof numbers[0], results, sizeof results[0],
                         (size_t)tasks, 1, INFINITY),
                "pool_map");
    shut_down();
    for (int i = 0; i < tasks; i++)
        once += results[i] == 1;
    most = most_of_one_worker();
    say("%d workers prepared themselves", board->prepared);

    saw("%d of %d", once, tasks);
    claim(once == tasks,
          "each task found a worker that had prepared once");
    saw("one did %d", most);
    claim(most <= share, "no worker did more than %d", share);
    saw("%d", board->prepared);
    claim(board->prepared * share >= tasks,
          "so there were at least %d of them",
          (tasks + share - 1) / share);
    close_board();
}

static int fail_to_prepare(void *context)
{
    (void)context;
    atomic_fetch_add(&board->prepared, 1);
    return task_error(EACCES, "no key to the database");
}

static void part_broken(void)
{
    const struct pool_options options = {.initializer =
                                             fail_to_prepare};
    struct future *first, *late;
    int error = EACCES;

    open_pool_with(workers, &options);
    let_go();
    first =
        pool_submit(pool, work, &jobs[0], sizeof jobs[0], sizeof(int));
    if (first != NULL) /* or it is broken by now */
        error = future_result(first, NULL, INFINITY);
    say("%s", task_message());
    late =
        pool_submit(pool, work, &jobs[0], sizeof jobs[0], sizeof(int));
    future_free(first);
    shut_down();

    saw("%s, %d ended", error_name(error), board->ended);
    claim(error == EACCES && board->ended == 0 && late == NULL,
          "an initializer that fails breaks the pool: no task runs");
    saw("%d", board->prepared);
    claim(board->prepared <= 2 * workers,
          "no more than %d workers were started for it", 2 * workers);
    close_board();
}

/* --------------------------------------------- why a pool at all */

static int nothing(const void *arg, void *result)
{
    (void)arg, (void)result;
    return 0;
}

static int nothing_in_a_process(void *arg)
{
    (void)arg;
    return 0;
}

static void run_in_processes(void)
{
    for (int i = 0; i < starts; i++) {
        struct process process;

        xprocess_start(&process, nothing_in_a_process, NULL);
        xprocess_join(&process);
    }
}

static void run_in_pool(void)
{
    open_pool();
    for (int i = 0; i < starts; i++)
        check_error(pool_apply_async(pool, nothing, NULL, 0, 0, NULL,
                                     NULL, NULL),
                    "pool_apply_async");
    shut_down();
    close_board();
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

/* CPU time of this process, and of its children that have ended. */
static double cpu_of_all(void)
{
    struct rusage own, ended;

    check_call(getrusage(RUSAGE_SELF, &own), "getrusage");
    check_call(getrusage(RUSAGE_CHILDREN, &ended), "getrusage");
    return seconds(own.ru_utime) + seconds(own.ru_stime) +
           seconds(ended.ru_utime) + seconds(ended.ru_stime);
}

/* What else the machine does takes time, but hardly CPU time. */
static double measure(const char *what, void run(void))
{
    double elapsed = -clock_now(), cpu = -cpu_of_all();

    run();
    elapsed += clock_now();
    cpu += cpu_of_all();
    say("%-26s %6.0f ms, %6.0f ms of CPU time", what, elapsed * 1e3,
        cpu * 1e3);
    return cpu;
}

static void part_cost(void)
{
    double one_each, pooled;

    say("%d tasks that do nothing:", starts);
    one_each = measure("a process each", run_in_processes);
    pooled = measure("a pool, opened and closed", run_in_pool);
    say("A process each costs %.0f times as much.", one_each / pooled);

    saw("%.1f times", one_each / pooled);
    claim(one_each > 2 * pooled,
          "a process for each task costs more than twice the CPU time");
}

int main(int argc, char **argv)
{
    static const struct lesson_option options[] = {
        {"tasks", "N", "how many tasks", &tasks, 2, TASKS_MAX},
        {"workers", "N", "how many workers", &workers, 1, WORKERS_MAX},
        {"seed", "N", "of the random lengths", &seed, 0, 1000000},
        {"chunk", "N", "items a worker gets at once from map; 0: a fit",
         &chunk, 0, TASKS_MAX},
        {"share", "N", "tasks after which a worker is replaced", &share,
         1, TASKS_MAX},
        {"starts", "N", "tasks in the last part", &starts, 500,
         STARTS_MAX},
        {"threads", NULL, "a pool of threads, not of processes",
         &threads, 0, 1},
        {0},
    };
    static const struct lesson lesson = {
        .name = "lesson-17 executor",
        .summary = "hand it over and go on, or wait until all is done",
        .example = "./lesson-17 --tasks 20 --workers 8 --seed 7",
        .options = options,
    };
    unsigned state;

    lesson_begin(&lesson, argc, argv);
    state = (unsigned)seed;
    for (int i = 0; i < tasks; i++)
        jobs[i] = (struct job){i, 1 + rand_r(&state) % 3};
    PART("Submit, and go on", part_go_on);
    PART("Submit, shut down, and then go on", part_shut_down);
    PART("map: results in order", part_map);
    PART("map: no longer than 1 u", part_late);
    PART("Submit, and cancel what has not begun", part_cancel);
    PART("Workers that prepare, and are replaced", part_prepare);
    PART("Workers that can not prepare", part_broken);
    PART("Why a pool at all", part_cost);
    return lesson_end();
}
