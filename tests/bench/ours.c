/*
 * ours.c -- the pools of common/, and its coroutines, measured from
 * outside.
 *
 * Compare with: raw.c, which has the limits, and cpython.py, which
 * does the same with Python's four pools.
 *
 * A pool has as many workers as it may use CPUs, where the row does
 * not say otherwise; BENCH_WORKERS in the environment changes that.
 */
#include <stdatomic.h>

#include "bench.h"
#include "coroutine.h"
#include "cpu.h"
#include "pool.h"

enum {
    EMPTY_TASKS = 50000, /* in one go, through apply_async */
    TASKS_10US = 50000,  /* the same */
    TASKS_1US = 400000,  /* in one map */
    MILLION = 1000000
};

static const struct pool_kind *kind_of(const struct setting *setting)
{
    return setting->threads ? &pool_threads : &pool_processes;
}

static struct pool *open_pool(const struct setting *setting,
                              int workers)
{
    return check_pointer(pool_open(kind_of(setting), workers),
                         "pool_open");
}

static int workers_of(const struct setting *setting)
{
    const char *text = getenv("BENCH_WORKERS");

    if (text != NULL)
        return (int)strtol(text, NULL, 10);
    return setting->cpus > 0 ? setting->cpus : cpu_count();
}

/* -------------------------------------------------------- tasks -- */

/* How long compute_task is; set before the pool is opened. */
static long task_loops;

static int nothing_task(const void *arg, void *result)
{
    (void)arg;
    (void)result;
    return 0;
}

static int echo_task(const void *arg, void *result)
{
    const int *number = arg;
    int *same = result;

    *same = *number;
    return 0;
}

static int compute_task(const void *arg, void *result)
{
    const int *number = arg;
    uint32_t *computed = result;

    *computed = compute((uint32_t)*number, task_loops);
    return 0;
}

static int sleep_task(const void *arg, void *result)
{
    const double *seconds = arg;

    (void)result;
    clock_sleep(*seconds);
    return 0;
}

/* -------------------------------------------------------- apply -- */

static void apply_once(void *pool)
{
    check_error(pool_apply(pool, nothing_task, NULL, 0, NULL, 0),
                "pool_apply");
}

static double measure_apply(const struct setting *setting)
{
    struct pool *pool = open_pool(setting, workers_of(setting));
    double seconds;

    for (int i = 0; i < 1000; i++)
        apply_once(pool);
    seconds = seconds_each(apply_once, pool, 100);
    pool_free(pool);
    return seconds * 1e6;
}

/* -------------------------------------------------- apply_async -- */

/* Some tasks whose callbacks count them, and who waits for the last. */
struct batch {
    struct pool *pool;
    pool_task *task;
    int tasks;
    atomic_int done;
    atomic_uint sum; /* of the results */
    sem_t all_done;
};

static void batch_init(struct batch *batch, struct pool *pool,
                       pool_task *task, int tasks)
{
    batch->pool = pool;
    batch->task = task;
    batch->tasks = tasks;
    atomic_init(&batch->done, 0);
    atomic_init(&batch->sum, 0);
    check_call(sem_init(&batch->all_done, 0, 0), "sem_init");
}

static int batch_callback(struct future *future, void *context)
{
    struct batch *batch = context;
    unsigned result;

    check_error(future_result(future, &result, 0), "future_result");
    atomic_fetch_add(&batch->sum, result);
    if (atomic_fetch_add(&batch->done, 1) + 1 == batch->tasks)
        check_call(sem_post(&batch->all_done), "sem_post");
    return 0;
}

/* Where the callbacks count, another CPU writes: no look at it here. */
static void batch_run(void *arg)
{
    struct batch *batch = arg;
    struct pool *pool = batch->pool;
    pool_task *task = batch->task;
    int tasks = batch->tasks;

    atomic_store(&batch->done, 0);
    atomic_store(&batch->sum, 0);
    for (int i = 0; i < tasks; i++)
        check_error(pool_apply_async(pool, task, &i, sizeof(i),
                                     sizeof(unsigned), batch_callback,
                                     batch_callback, batch),
                    "pool_apply_async");
    check_error(clock_sem_wait(&batch->all_done, INFINITY), "sem_wait");
}

/* Seconds for each task. */
static double measure_batch(const struct setting *setting,
                            pool_task *task, int tasks)
{
    struct pool *pool = open_pool(setting, workers_of(setting));
    struct batch batch;
    double seconds;

    batch_init(&batch, pool, task, tasks / 10);
    batch_run(&batch); /* to warm up */
    batch.tasks = tasks;
    seconds = seconds_each(batch_run, &batch, 1) / tasks;
    pool_free(pool);
    return seconds;
}

/* Millions of tasks a second. */
static double measure_async(const struct setting *setting)
{
    return 1e-6 / measure_batch(setting, echo_task, EMPTY_TASKS);
}

static double measure_async_10us(const struct setting *setting)
{
    task_loops = 10 * loops_per_us();
    return measure_batch(setting, compute_task, TASKS_10US) * 1e6;
}

/* ---------------------------------------------------------- map -- */

struct numbers {
    struct pool *pool;
    int args[TASKS_1US];
    uint32_t results[TASKS_1US];
};

static void map_once(void *arg)
{
    struct numbers *numbers = arg;

    check_error(pool_map(numbers->pool, compute_task, numbers->args,
                         sizeof(numbers->args[0]), numbers->results,
                         sizeof(numbers->results[0]), TASKS_1US, 0,
                         INFINITY),
                "pool_map");
}

static double measure_map_1us(const struct setting *setting)
{
    static struct numbers numbers;
    double seconds;

    task_loops = loops_per_us();
    for (int i = 0; i < TASKS_1US; i++)
        numbers.args[i] = i;
    numbers.pool = open_pool(setting, workers_of(setting));
    seconds = seconds_each(map_once, &numbers, 1) / TASKS_1US;
    pool_free(numbers.pool);
    return seconds * 1e6;
}

/* ----------------------------------------------- open and close -- */

static void open_once(void *arg)
{
    pool_free(open_pool(arg, 4));
}

static double measure_open(const struct setting *setting)
{
    struct setting copy = *setting;

    open_once(&copy);
    return seconds_each(open_once, &copy, 1) * 1e3;
}

/* --------------------------------------------- sleep and memory -- */

static int sleep_callback(struct future *future, void *context)
{
    check_error(future_exception(future, 0), "sleep_task");
    check_call(sem_post(context), "sem_post");
    return 0;
}

static double measure_sleep(const struct setting *setting)
{
    struct pool *pool = open_pool(setting, 5);
    const double unit = 1;
    double start = clock_now();
    double seconds;
    sem_t done;

    check_call(sem_init(&done, 0, 0), "sem_init");
    for (int i = 0; i < 10; i++)
        check_error(pool_apply_async(pool, sleep_task, &unit,
                                     sizeof(unit), 0, sleep_callback,
                                     sleep_callback, &done),
                    "pool_apply_async");
    for (int i = 0; i < 10; i++)
        check_error(clock_sem_wait(&done, INFINITY), "sem_wait");
    seconds = clock_now() - start;
    pool_free(pool);
    return deviation(seconds, 2 * unit);
}

/*
 * A pool takes more once it has worked, and most when all its places
 * have been in use: while the workers sleep, who submits fills them.
 */
static void work_in(struct batch *batch, struct pool *pool, int workers)
{
    const double nap = 0.2;

    for (int i = 0; i < workers; i++)
        check_error(pool_apply_async(pool, sleep_task, &nap,
                                     sizeof(nap), 0, NULL, NULL, NULL),
                    "pool_apply_async");
    batch_init(batch, pool, echo_task, EMPTY_TASKS);
    batch_run(batch);
}

/* When all have come to rest. */
static long memory_at_rest(void)
{
    clock_sleep(0.05);
    return program_memory();
}

static double measure_memory(const struct setting *setting)
{
    const int workers = 4;
    long before = program_memory();
    struct pool *pool = open_pool(setting, workers);
    struct batch batch;
    long after;

    work_in(&batch, pool, workers);
    after = memory_at_rest();
    pool_free(pool);
    return (double)(after - before);
}

static double measure_growth(const struct setting *setting)
{
    const int workers = 4;
    struct pool *pool = open_pool(setting, workers);
    struct batch batch;
    long before, after;

    work_in(&batch, pool, workers);
    before = memory_at_rest();
    batch.tasks = MILLION;
    batch_run(&batch);
    after = memory_at_rest();
    pool_free(pool);
    return (double)(after - before);
}

static void yield_for_ever(void *unused)
{
    for (;;)
        coroutine_yield(unused);
}

/* In CPU time: a switch waits for nothing. */
static double thread_time(void)
{
    struct timespec now;

    check_call(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now),
               "clock_gettime");
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double measure_switch(const struct setting *setting)
{
    struct coroutine *other =
        check_pointer(coroutine_create("other", yield_for_ever, NULL),
                      "coroutine_create");
    double start = thread_time();

    (void)setting;
    for (int i = 0; i < 10 * MILLION; i++)
        coroutine_resume(other, NULL);
    start = thread_time() - start;
    coroutine_free(other);
    return start / (10 * MILLION) * 1e9;
}

int main(int argc, char **argv)
{
    static const struct measurement measurements[] = {
        {"apply", measure_apply},
        {"async", measure_async},
        {"async-10us", measure_async_10us},
        {"map-1us", measure_map_1us},
        {"open", measure_open},
        {"sleep", measure_sleep},
        {"memory", measure_memory},
        {"growth", measure_growth},
        {"switch", measure_switch},
        {NULL, NULL}};

    return bench_main(measurements, argc, argv);
}
