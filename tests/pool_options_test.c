/*
 * pool_options_test.c -- initializers, workers that end after some
 * tasks, cancel, and a map with a time limit.
 */
#include <stdlib.h>

#include "pool_help.h"

enum { WORKERS = 3, TASKS = 60 };

/* Who ran: a process or a thread.  In memory that all share. */
static struct roll {
    atomic_int count;
    int tids[1000];
    sem_t refusal; /* for each initializer that may fail */
} * roll;

static _Thread_local int initialized; /* how often, in this worker */

static void set_roll(void)
{
    set_stage();
    roll = shared_alloc(sizeof *roll);
    expect(roll != NULL);
    sem_init(&roll->refusal, 1, 0);
}

static void sign(void)
{
    roll->tids[atomic_fetch_add(&roll->count, 1)] = own_tid();
}

/* ------------------------------------------------ initializers -- */

static int initialize(void *context)
{
    expect_string(context, "context");
    initialized++;
    sign();
    return 0;
}

static int times_initialized(const void *arg, void *result)
{
    (void)arg;
    *(int *)result = initialized;
    return 0;
}

static void runs_once_in_each(const void *kind)
{
    char context[] = "context";
    struct pool_options options = {.initializer = initialize,
                                   .context = context};
    struct pool *pool;

    set_roll();
    pool = pool_open_with(kind, WORKERS, &options);
    expect(pool != NULL);
    for (int i = 0; i < TASKS; i++)
        expect_int(take_int(submit_int(pool, times_initialized, i)), 1);
    finish_pool(pool);
    expect_int(atomic_load(&roll->count), WORKERS);
}

static void runs_in_a_successor(void)
{
    char context[] = "context";
    struct pool_options options = {.initializer = initialize,
                                   .context = context};
    struct pool *pool;

    set_roll();
    pool = pool_open_with(&pool_processes, 1, &options);
    expect(pool != NULL);
    expect_end(submit_bare(pool, die), EOWNERDEAD);
    expect_int(take_int(submit_int(pool, times_initialized, 0)), 1);
    finish_pool(pool);
    expect_int(atomic_load(&roll->count), 2);
}

static int refuse(void *context)
{
    (void)context;
    sign();
    await(&stage->gate);
    return task_error(EACCES, "no key for the database");
}

static int refuse_in_silence(void *context)
{
    (void)context;
    return EACCES;
}

static void expect_broken(struct pool *pool, const char *reason)
{
    struct future *late = pool_submit(pool, count_run, NULL, 0, 0);

    expect(late == NULL);
    expect_int(errno, EPIPE);
    expect(strstr(task_message(), reason) != NULL);
    expect_int(pool_apply(pool, count_run, NULL, 0, NULL, 0), EPIPE);
    expect(strstr(task_message(), reason) != NULL);
}

/* Nor are workers started again and again. */
static void failure_breaks_the_pool(const void *kind)
{
    struct pool_options options = {.initializer = refuse};
    struct future *futures[TASKS];
    struct pool *pool;

    set_roll();
    pool = pool_open_with(kind, WORKERS, &options);
    expect(pool != NULL);
    for (int i = 0; i < TASKS; i++)
        futures[i] = submit_bare(pool, count_run);
    post_times(&stage->gate, 100);
    for (int i = 0; i < TASKS; i++) {
        expect_int(future_result(futures[i], NULL, PATIENCE), EACCES);
        expect_string(task_message(), "the initializer failed: "
                                      "no key for the database");
        expect(future_cancelled(futures[i]));
        future_free(futures[i]);
    }
    expect_broken(pool, "no key for the database");
    finish_pool(pool);
    expect_alone();
    expect_int(atomic_load(&stage->runs), 0);
    expect(atomic_load(&roll->count) <= 2 * WORKERS);
}

static void failure_without_a_message(const void *kind)
{
    struct pool_options options = {.initializer = refuse_in_silence};
    struct pool *pool;

    set_stage();
    pool = pool_open_with(kind, WORKERS, &options);
    expect(pool != NULL);
    /* Refused or dropped: it may be broken by now. */
    expect(pool_apply(pool, count_run, NULL, 0, NULL, 0) != 0);
    expect_string(task_message(), "the initializer failed: "
                                  "the initializer returned error 13");
    finish_pool(pool);
    expect_int(atomic_load(&stage->runs), 0);
}

/* One fails; a task that another has begun is still done. */
static int refuse_second(void *context)
{
    int before = atomic_fetch_add(&roll->count, 1);

    (void)context;
    if (before == 0)
        return 0;
    await(&roll->refusal);
    return task_error(EACCES, "one is enough");
}

static void what_has_begun_is_done(const void *kind)
{
    struct pool_options options = {.initializer = refuse_second};
    struct future *first, *second;
    struct pool *pool;

    set_roll();
    pool = pool_open_with(kind, 2, &options);
    expect(pool != NULL);
    first = submit_int(pool, twice_at_gate, 21);
    await(&stage->arrived);
    second = submit_int(pool, twice, 1);
    sem_post(&roll->refusal);
    expect_end(second, EACCES);
    sem_post(&stage->gate);
    expect_int(take_int(first), 42);
    finish_pool(pool);
}

static int note_thread(struct future *future, void *tid)
{
    (void)future;
    atomic_store((atomic_int *)tid, own_tid());
    return 0;
}

/* Not the one who found out: that has the other workers to mind. */
static void one_thread_calls_back(void)
{
    struct pool_options options = {.initializer = refuse_second};
    atomic_int of_done = 0, of_dropped = 0;
    struct pool *pool;

    set_roll();
    pool = pool_open_with(&pool_processes, 2, &options);
    expect(pool != NULL);
    expect_int(pool_apply_async(pool, stand_at_gate, NULL, 0, 0,
                                note_thread, NULL, &of_done),
               0);
    await(&stage->arrived);
    expect_int(pool_apply_async(pool, count_run, NULL, 0, 0, NULL,
                                note_thread, &of_dropped),
               0);
    sem_post(&roll->refusal);
    while (atomic_load(&of_dropped) == 0)
        clock_sleep(0.001);
    sem_post(&stage->gate);
    finish_pool(pool);
    expect_int(atomic_load(&of_dropped), atomic_load(&of_done));
}

static int crash(void *context)
{
    (void)context;
    sign();
    abort();
}

static int leave(void *context)
{
    (void)context;
    sign();
    _exit(3);
}

static void expect_end_of_births(int (*initializer)(void *),
                                 const char *reason)
{
    struct pool_options options = {.initializer = initializer};
    struct future *future;
    struct pool *pool;

    set_roll();
    pool = pool_open_with(&pool_processes, WORKERS, &options);
    expect(pool != NULL);
    future = pool_submit(pool, count_run, NULL, 0, 0);
    if (future != NULL)
        expect_end(future, EOWNERDEAD);
    expect(strstr(task_message(), reason) != NULL);
    expect_broken(pool, reason);
    finish_pool(pool);
    expect_childless();
    expect(atomic_load(&roll->count) <= 30 + WORKERS);
}

static void death_in_it_breaks_the_pool(void)
{
    expect_end_of_births(crash, "was killed by signal 6");
    expect_end_of_births(leave, "exited with status 3");
}

/* Whatever it is that kills them: here it is who observes the pool. */
static void kill_newborn(enum pool_event event, int worker,
                         uint64_t task)
{
    (void)worker, (void)task;
    if (event == POOL_WORKER_STARTED)
        kill(getpid(), SIGKILL);
}

static void so_does_death_without_one(void)
{
    struct pool *pool;
    struct future *future;

    set_stage();
    pool_observe(kill_newborn);
    pool = open_pool(&pool_processes, WORKERS);
    future = pool_submit(pool, count_run, NULL, 0, 0);
    if (future != NULL)
        expect_end(future, EOWNERDEAD);
    expect_broken(pool, "workers die before their first task: worker");
    pool_free(pool);
    expect_childless();
}

/* As if the out-of-memory killer had taken each worker once. */
static int be_killed_at_first(void *context)
{
    (void)context;
    if (atomic_fetch_add(&roll->count, 1) < WORKERS)
        kill(getpid(), SIGKILL);
    return 0;
}

static void accidents_do_not(void)
{
    struct pool_options options = {.initializer = be_killed_at_first};
    struct pool *pool;

    set_roll();
    pool = pool_open_with(&pool_processes, WORKERS, &options);
    expect(pool != NULL);
    for (int i = 0; i < TASKS; i++)
        expect_int(take_int(submit_int(pool, twice, i)), 2 * i);
    finish_pool(pool);
    expect_int(atomic_load(&roll->count), 2 * WORKERS);
}

static int be_killed_at_times(void *context)
{
    (void)context;
    if (atomic_fetch_add(&roll->count, 1) % 10 != 0)
        kill(getpid(), SIGKILL);
    return 0;
}

/* One is born among nine that are not. */
static void however_many(void)
{
    struct pool_options options = {.initializer = be_killed_at_times,
                                   .tasks_per_worker = 1};
    struct pool *pool;

    set_roll();
    pool = pool_open_with(&pool_processes, 1, &options);
    expect(pool != NULL);
    for (int i = 0; i < TASKS; i++)
        expect_int(take_int(submit_int(pool, twice, i)), 2 * i);
    finish_pool(pool);
    expect(atomic_load(&roll->count) >= 9 * TASKS);
}

/* ------------------------------------------- tasks per worker -- */

static int sign_in(const void *arg, void *result)
{
    sign();
    return twice(arg, result);
}

/* The most that one worker did. */
static int most_of_one(void)
{
    int most = 0, count = atomic_load(&roll->count);

    for (int i = 0; i < count; i++) {
        int same = 0;

        for (int j = 0; j < count; j++)
            same += roll->tids[i] == roll->tids[j];
        if (same > most)
            most = same;
    }
    return most;
}

static void workers_are_replaced(const void *kind, int each)
{
    struct pool_options options = {.tasks_per_worker = each};
    struct pool *pool;

    set_roll();
    pool = pool_open_with(kind, WORKERS, &options);
    expect(pool != NULL);
    for (int i = 0; i < TASKS; i++)
        future_free(submit_int(pool, sign_in, i));
    finish_pool(pool);
    expect_alone();
    expect_int(atomic_load(&roll->count), TASKS);
    expect_int(most_of_one(), each);
}

static void after_one_task(const void *kind)
{
    workers_are_replaced(kind, 1);
}

static void after_seven_tasks(const void *kind)
{
    workers_are_replaced(kind, 7);
}

static void a_chunk_is_one_task(const void *kind)
{
    struct pool_options options = {.tasks_per_worker = 1};
    int numbers[TASKS], results[TASKS];
    struct pool *pool;

    for (int i = 0; i < TASKS; i++)
        numbers[i] = i;
    set_roll();
    pool = pool_open_with(kind, 1, &options);
    expect(pool != NULL);
    expect_int(pool_map(pool, sign_in, numbers, sizeof *numbers,
                        results, sizeof *results, TASKS, 20, INFINITY),
               0);
    finish_pool(pool);
    for (int i = 0; i < TASKS; i++)
        expect_int(results[i], 2 * i);
    expect_int(most_of_one(), 20);
}

/* A dead one's successor has a share of its own. */
static void and_still_die(void)
{
    struct pool_options options = {.tasks_per_worker = 2};
    struct pool *pool;

    set_roll();
    pool = pool_open_with(&pool_processes, 1, &options);
    expect(pool != NULL);
    for (int i = 0; i < 10; i++) {
        expect_end(submit_bare(pool, die), EOWNERDEAD);
        expect_int(take_int(submit_int(pool, sign_in, i)), 2 * i);
    }
    finish_pool(pool);
    expect_childless();
    expect_int(most_of_one(), 1);
}

static void nothing_less_than_none(const void *kind)
{
    struct pool_options options = {.tasks_per_worker = -1};

    expect(pool_open_with(kind, 1, &options) == NULL);
    expect_int(errno, EINVAL);
}

/* ------------------------------------------------------ cancel -- */

static void cancel_drops_what_has_not_begun(const void *kind)
{
    struct pool *pool;
    struct future *begun, *queued;

    set_stage();
    pool = open_pool(kind, 1);
    begun = submit_int(pool, twice_at_gate, 21);
    await(&stage->arrived);
    queued = submit_int(pool, twice, 1);
    expect_int(pool_cancel(pool), 0);
    expect_int(pool_cancel(pool), 0);
    expect(!future_done(begun));
    expect_int(future_result(queued, NULL, 0), ECANCELED);
    expect_string(task_message(), "the pool was cancelled");
    future_free(queued);
    expect_broken(pool, "the pool was cancelled");
    sem_post(&stage->gate);
    expect_int(take_int(begun), 42);
    expect_int(pool_join(pool), 0);
    pool_free(pool);
    expect_alone();
}

static int die_at_gate(const void *arg, void *result)
{
    stand_at_gate(arg, result);
    return die(arg, result);
}

/* The message says of what it died, not that the pool was cancelled. */
static void cancel_and_then_a_death(void)
{
    struct future *begun;
    struct pool *pool;

    set_stage();
    pool = open_pool(&pool_processes, 1);
    begun = submit_bare(pool, die_at_gate);
    await(&stage->arrived);
    expect_int(pool_cancel(pool), 0);
    expect_int(future_result(begun, NULL, 0), ETIMEDOUT);
    sem_post(&stage->gate);
    expect_int(future_result(begun, NULL, PATIENCE), EOWNERDEAD);
    expect(strstr(task_message(), "signal 9") != NULL);
    future_free(begun);
    expect_int(pool_join(pool), 0);
    pool_free(pool);
    expect_childless();
}

/* ---------------------------------------------- map's time limit -- */

static void map_in_time(const void *kind)
{
    int number = 4, result = 0;
    struct pool *pool;

    set_stage();
    pool = open_pool(kind, 2);
    expect_int(pool_map(pool, twice, &number, sizeof number, &result,
                        sizeof result, 1, 0, PATIENCE),
               0);
    expect_int(result, 8);
    finish_pool(pool);
}

/* All items at the gate: none is done in time, one has begun. */
static void map_too_late(const void *kind)
{
    int numbers[TASKS] = {0}, results[TASKS] = {0};
    struct pool *pool;

    set_stage();
    pool = open_pool(kind, 1);
    expect_int(pool_map(pool, twice_at_gate, numbers, sizeof *numbers,
                        results, sizeof *results, TASKS, 1, 0.01),
               ETIMEDOUT);
    expect_string(task_message(), "not all items were done in time");
    post_times(&stage->gate, TASKS);
    finish_pool(pool);
    expect(sem_trywait(&stage->arrived) != 0 ||
           sem_trywait(&stage->arrived) != 0);
    expect_int(results[0], 0);
}

static int stay_at_third(const void *arg, void *result)
{
    return *(const int *)arg == 3 ? stay(arg, result)
                                  : twice(arg, result);
}

static void *terminate_at_third(void *pool)
{
    await(&stage->arrived);
    expect_int(pool_terminate(pool), 0);
    return NULL;
}

/* In the middle of a chunk: what it has done before is there. */
static void map_terminated(void)
{
    const int numbers[] = {1, 2, 3, 4};
    int results[] = {0, 0, 0, 0};
    pthread_t thread;
    struct pool *pool;

    set_stage();
    pool = open_pool(&pool_processes, 1);
    thread = start_thread(terminate_at_third, pool);
    expect_int(pool_map(pool, stay_at_third, numbers, sizeof *numbers,
                        results, sizeof *results, 4, 4, PATIENCE),
               ECANCELED);
    expect_string(task_message(), "item 2: the pool was terminated");
    expect_int(results[0], 2);
    expect_int(results[1], 4);
    end_thread(thread);
    pool_free(pool);
}

/* The pool is full: the first item finds no place. */
static void map_without_a_place(const void *kind)
{
    struct pool *pool;
    int number = 1;

    set_stage();
    pool = open_pool(kind, 1);
    for (int i = 0; i < places_of(1); i++)
        future_free(submit_bare(pool, stand_at_gate));
    expect_int(pool_map(pool, twice, &number, sizeof number, &number,
                        sizeof number, 1, 0, 0.01),
               ETIMEDOUT);
    post_times(&stage->gate, places_of(1));
    finish_pool(pool);
    expect_int(number, 1);
}

static const struct test tests[] = {
    BOTH(runs_once_in_each),
    TEST(runs_in_a_successor),
    BOTH(failure_breaks_the_pool),
    BOTH(failure_without_a_message),
    BOTH(what_has_begun_is_done),
    TEST(one_thread_calls_back),
    TEST(death_in_it_breaks_the_pool),
    TEST(so_does_death_without_one),
    TEST(accidents_do_not),
    TEST(however_many),
    BOTH(after_one_task),
    BOTH(after_seven_tasks),
    BOTH(a_chunk_is_one_task),
    TEST(and_still_die),
    BOTH(nothing_less_than_none),
    BOTH(cancel_drops_what_has_not_begun),
    TEST(cancel_and_then_a_death),
    BOTH(map_in_time),
    BOTH(map_too_late),
    TEST(map_terminated),
    BOTH(map_without_a_place),
    {0}};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
