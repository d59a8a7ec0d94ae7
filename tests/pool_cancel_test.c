/*
 * pool_cancel_test.c -- what is cancelled, what is dropped, and that
 * everybody who waits for it is told.
 */
#include "pool_help.h"

static void only_a_waiting_task_can_be_cancelled(const void *kind)
{
    struct pool *pool;
    struct future *running, *waiting;

    set_stage();
    pool = open_pool(kind, 1);
    running = block_worker(pool);
    waiting = submit_bare(pool, count_run);
    expect(!future_cancel(running));
    expect(future_running(running) && !future_cancelled(running));

    expect(!future_running(waiting) && !future_done(waiting));
    expect(future_cancel(waiting));
    expect(future_cancelled(waiting) && future_done(waiting));
    expect(!future_running(waiting));
    expect_int(future_result(waiting, NULL, INFINITY), ECANCELED);
    expect(task_message()[0] != '\0');
    expect(future_cancel(waiting)); /* it is */

    sem_post(&stage->gate);
    expect_int(future_result(running, NULL, PATIENCE), 0);
    expect(!future_cancel(running));
    expect(!future_cancelled(running) && future_done(running));
    expect_int(future_result(running, NULL, 0), 0);
    finish_pool(pool);
    expect_int(atomic_load(&stage->runs), 0);
    future_free(running);
    future_free(waiting);
}

/*
 * A cancelled task's room is there for others at once.  Behind a
 * worker that does nothing, in a pool that is full but for one place,
 * the next submit would otherwise wait for ever.
 */
static void cancelling_makes_room_at_once(const void *kind)
{
    enum { TIMES = 10000 };
    int places = places_of(1);
    struct pool *pool;

    set_stage();
    pool = open_pool(kind, 1);
    future_free(block_worker(pool));
    for (int i = 2; i < places; i++)
        future_free(submit_bare(pool, count_run));
    for (int i = 0; i < TIMES; i++) {
        struct future *future = submit_bare(pool, count_run);

        expect(future_cancel(future));
        expect_end(future, ECANCELED);
    }
    sem_post(&stage->gate);
    for (int i = 0; i < 2 * places; i++)
        expect_int(take_int(submit_int(pool, twice, i)), 2 * i);
    finish_pool(pool);
    expect_int(atomic_load(&stage->runs), places - 2);
}

/* All of a full pool, from behind, in front and in between. */
static void a_full_pool_can_be_cancelled(const void *kind)
{
    enum { ROUNDS = 30, MOST = 1024 };
    struct future *futures[MOST];
    struct pool *pool;
    int count = places_of(1) - 1;

    set_stage();
    pool = open_pool(kind, 1);
    future_free(block_worker(pool));
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < count; i++)
            futures[i] = submit_bare(pool, count_run);
        for (int i = 0; i < count; i++) /* 1023 is 3 * 11 * 31 */
            expect(future_cancel(futures[i * 50 % count]));
        for (int i = 0; i < count; i++)
            expect_end(futures[i], ECANCELED);
    }
    sem_post(&stage->gate);
    expect_int(take_int(submit_int(pool, twice, 1)), 2);
    finish_pool(pool);
    expect_int(atomic_load(&stage->runs), 0);
}

/* What stays in the queue keeps its order, and each runs once. */
static void others_are_done_when_some_are_cancelled(const void *kind)
{
    enum { TASKS = 120 };
    struct future *futures[TASKS];
    struct pool *pool;

    set_stage();
    pool = open_pool(kind, 1);
    future_free(block_worker(pool));
    for (int i = 0; i < TASKS; i++)
        futures[i] = submit_int(pool, twice, i);
    for (int i = 0; i < TASKS; i += 3)
        expect(future_cancel(futures[i]));
    sem_post(&stage->gate);
    for (int i = 0; i < TASKS; i++)
        if (i % 3 == 0)
            expect_end(futures[i], ECANCELED);
        else
            expect_int(take_int(futures[i]), 2 * i);
    finish_pool(pool);
}

static int mark(const void *arg, void *result)
{
    atomic_int *runs = *(atomic_int *const *)arg;

    (void)result;
    atomic_fetch_add(runs, 1);
    return 0;
}

/* Cancelled at the moment they begin: either it ran, or it is not. */
static void cancel_and_begin_exclude_each_other(const void *kind)
{
    enum { ROUNDS = 5000 };
    atomic_int *runs = shared_alloc(ROUNDS * sizeof *runs);
    struct pool *pool = open_pool(kind, 2);
    static struct future *futures[ROUNDS];
    static bool cancelled[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        atomic_int *run = &runs[i];

        futures[i] = pool_submit(pool, mark, &run, sizeof run, 0);
        expect(futures[i] != NULL);
        if (i >= 2)
            cancelled[i - 2] = future_cancel(futures[i - 2]);
    }
    finish_pool(pool);
    for (int i = 0; i < ROUNDS; i++) {
        expect_int(atomic_load(&runs[i]), cancelled[i] ? 0 : 1);
        expect(future_cancelled(futures[i]) == cancelled[i]);
        expect_int(future_result(futures[i], NULL, 0),
                   cancelled[i] ? ECANCELED : 0);
        future_free(futures[i]);
    }
    shared_free(runs, ROUNDS * sizeof *runs);
}

struct canceller {
    struct future *future;
    atomic_bool ready;
};

static void *cancel_as_well(void *arg)
{
    struct canceller *canceller = arg;

    atomic_store(&canceller->ready, true);
    expect(future_cancel(canceller->future));
    expect(future_done(canceller->future));
    return NULL;
}

/* "Is it cancelled now?" has the same answer for everybody. */
static void two_may_cancel_the_same_task(const void *kind)
{
    enum { ROUNDS = 200 };
    struct pool *pool;

    set_stage();
    pool = open_pool(kind, 1);
    future_free(block_worker(pool));
    for (int i = 0; i < ROUNDS; i++) {
        struct canceller canceller = {.future =
                                          submit_bare(pool, count_run)};
        pthread_t other = start_thread(cancel_as_well, &canceller);

        while (!atomic_load(&canceller.ready))
            sched_yield();
        expect(future_cancel(canceller.future));
        end_thread(other);
        future_free(canceller.future);
    }
    sem_post(&stage->gate);
    finish_pool(pool);
    expect_int(atomic_load(&stage->runs), 0);
}

/* -------------------------------------------------- terminate -- */

/* One who waits for something of the pool, and what came of it. */
struct waiter {
    struct pool *pool;
    struct future *future;
    atomic_int tid;
    int error;
};

static void *wait_for_result(void *arg)
{
    struct waiter *waiter = arg;

    atomic_store(&waiter->tid, own_tid());
    waiter->error = future_result(waiter->future, NULL, INFINITY);
    expect(task_message()[0] != '\0');
    return NULL;
}

static void *wait_in_apply(void *arg)
{
    struct waiter *waiter = arg;

    atomic_store(&waiter->tid, own_tid());
    waiter->error =
        pool_apply(waiter->pool, count_run, NULL, 0, NULL, 0);
    expect(task_message()[0] != '\0');
    return NULL;
}

static void *wait_in_map(void *arg)
{
    struct waiter *waiter = arg;
    int numbers[20] = {0};

    atomic_store(&waiter->tid, own_tid());
    waiter->error =
        pool_map(waiter->pool, twice, numbers, sizeof *numbers, numbers,
                 sizeof *numbers, 20, 1, INFINITY);
    return NULL;
}

/* Behind the others, for there is no room. */
static void *wait_in_submit(void *arg)
{
    struct waiter *waiter = arg;
    struct future *future;

    atomic_store(&waiter->tid, own_tid());
    do {
        future = pool_submit(waiter->pool, count_run, NULL, 0, 0);
        waiter->error = future == NULL ? errno : 0;
        future_free(future);
    } while (future != NULL);
    return NULL;
}

typedef void *thread_function(void *);

static void expect_to_be_told(const void *kind, thread_function *wait,
                              int error)
{
    struct waiter waiter = {0};
    struct future *blocked;
    pthread_t thread;

    set_stage();
    waiter.pool = open_pool(kind, 1);
    blocked = block_worker(waiter.pool);
    waiter.future = submit_bare(waiter.pool, count_run);
    thread = start_thread(wait, &waiter);
    until_asleep(&waiter.tid);
    expect_int(pool_terminate(waiter.pool), 0);
    end_thread(thread); /* while a thread still stands at the gate */
    expect_int(waiter.error, error);
    sem_post(&stage->gate);
    pool_free(waiter.pool);
    expect(future_cancelled(waiter.future));
    future_free(waiter.future);
    future_free(blocked);
    expect_int(atomic_load(&stage->runs), 0);
}

static void terminate_tells_all_who_wait(const void *kind)
{
    expect_to_be_told(kind, wait_for_result, ECANCELED);
    expect_to_be_told(kind, wait_in_apply, ECANCELED);
    expect_to_be_told(kind, wait_in_map, ECANCELED);
    expect_to_be_told(kind, wait_in_submit, EPIPE);
}

/* close, too, ends the waiting of those who came too late. */
static void close_tells_who_waits_for_room(const void *kind)
{
    struct waiter waiter = {0};
    pthread_t thread;

    set_stage();
    waiter.pool = open_pool(kind, 1);
    future_free(block_worker(waiter.pool));
    thread = start_thread(wait_in_submit, &waiter);
    until_asleep(&waiter.tid);
    expect_int(pool_close(waiter.pool), 0);
    end_thread(thread);
    expect_int(waiter.error, EPIPE);
    sem_post(&stage->gate);
    expect_int(pool_join(waiter.pool), 0);
    expect_int(atomic_load(&stage->runs), places_of(1) - 1);
    pool_free(waiter.pool);
}

/* A thread in whose signal handler the time stands still. */
static int thaw[2]; /* a pipe */
static sem_t frozen;

static void freeze(int number)
{
    int before = errno;
    char byte;

    (void)number;
    sem_post(&frozen);
    while (read(thaw[0], &byte, 1) < 0)
        continue;
    errno = before;
}

/*
 * The one who waits in pool_apply gets no CPU while terminate drops
 * its task, the worker meets what is left of it, and the pool ends.
 */
static void terminate_tells_who_is_slow_to_hear(const void *kind)
{
    struct sigaction action = {.sa_handler = freeze};
    struct waiter waiter = {0};
    struct future *blocked;
    pthread_t thread;

    expect_int(pipe(thaw), 0);
    sem_init(&frozen, 0, 0);
    sigaction(SIGUSR1, &action, NULL);
    set_stage();
    waiter.pool = open_pool(kind, 1);
    blocked = block_worker(waiter.pool);
    thread = start_thread(wait_in_apply, &waiter);
    until_asleep(&waiter.tid);
    pthread_kill(thread, SIGUSR1);
    await(&frozen);
    expect_int(pool_terminate(waiter.pool), 0);
    sem_post(&stage->gate);
    future_exception(blocked, PATIENCE);
    clock_sleep(0.02); /* the worker's, to come back for more */
    expect_int(write(thaw[1], "x", 1), 1);
    end_thread(thread);
    expect_int(waiter.error, ECANCELED);
    pool_free(waiter.pool);
    future_free(blocked);
    close(thaw[0]);
    close(thaw[1]);
}

static int stop_here(const void *arg, void *result)
{
    (void)arg, (void)result;
    sem_post(&stage->arrived);
    return raise(SIGSTOP);
}

static void terminate_ends_processes_in_their_tasks(void)
{
    enum { WORKERS = 3 };
    struct future *futures[WORKERS];
    struct pool *pool;

    set_stage();
    pool = open_pool(&pool_processes, WORKERS);
    for (int i = 0; i < WORKERS; i++)
        futures[i] = submit_bare(pool, stay);
    await_times(&stage->arrived, WORKERS);
    expect_int(pool_terminate(pool), 0);
    for (int i = 0; i < WORKERS; i++) {
        expect_int(future_result(futures[i], NULL, PATIENCE),
                   ECANCELED);
        expect(task_message()[0] != '\0');
        expect(future_cancelled(futures[i]));
        future_free(futures[i]);
    }
    expect_int(pool_join(pool), 0);
    expect_childless();
    pool_free(pool);

    /* pool_free does both, and a stopped process is no obstacle. */
    pool = open_pool(&pool_processes, WORKERS);
    futures[0] = submit_bare(pool, stop_here);
    await(&stage->arrived);
    pool_free(pool);
    expect_end(futures[0], ECANCELED);
    expect_childless();
}

static void terminate_lets_threads_finish_theirs(void)
{
    struct pool *pool;
    struct future *inside, *waiting;
    int number = 4, result = 0;

    set_stage();
    pool = open_pool(&pool_threads, 1);
    inside = pool_submit(pool, twice_at_gate, &number, sizeof number,
                         sizeof number);
    await(&stage->arrived);
    waiting = submit_bare(pool, count_run);
    expect_int(pool_terminate(pool), 0);
    expect_int(future_result(waiting, NULL, 0), ECANCELED);
    expect(!future_done(inside));
    sem_post(&stage->gate);
    expect_int(pool_join(pool), 0);
    expect_int(future_result(inside, &result, 0), 0);
    expect_int(result, 2 * number);
    pool_free(pool);
    future_free(inside);
    future_free(waiting);
    expect_int(atomic_load(&stage->runs), 0);
}

/* ------------------------------------- terminate in the thick of it */

static int count_end(struct future *future, void *context)
{
    expect(future_done(future));
    atomic_fetch_add((atomic_int *)context, 1);
    return 0;
}

struct crowd {
    struct pool *pool;
    atomic_int accepted, ended;
};

static void *submit_until_refused(void *arg)
{
    struct crowd *crowd = arg;

    while (pool_apply_async(crowd->pool, count_run, NULL, 0, 0,
                            count_end, count_end, &crowd->ended) == 0)
        atomic_fetch_add(&crowd->accepted, 1);
    return NULL;
}

static void *apply_until_refused(void *arg)
{
    struct crowd *crowd = arg;
    int error;

    do
        error = pool_apply(crowd->pool, count_run, NULL, 0, NULL, 0);
    while (error == 0);
    expect(error == EPIPE || error == ECANCELED);
    return NULL;
}

static void *map_until_refused(void *arg)
{
    struct crowd *crowd = arg;
    int error;

    do
        error = pool_map(crowd->pool, count_run, NULL, 0, NULL, 0, 300,
                         7, INFINITY);
    while (error == 0);
    expect(error == EPIPE || error == ECANCELED);
    return NULL;
}

static void terminate_may_come_at_any_moment(const void *kind)
{
    enum { ROUNDS = 40, THREADS = 6 };
    thread_function *const functions[3] = {
        submit_until_refused, apply_until_refused, map_until_refused};

    set_stage();
    for (int round = 0; round < ROUNDS; round++) {
        struct crowd crowd = {.pool = open_pool(kind, 2)};
        pthread_t threads[THREADS];

        for (int i = 0; i < THREADS; i++)
            threads[i] = start_thread(functions[i % 3], &crowd);
        clock_sleep(round % 10 * 0.0003);
        expect_int(pool_terminate(crowd.pool), 0);
        for (int i = 0; i < THREADS; i++)
            end_thread(threads[i]);
        expect_int(pool_join(crowd.pool), 0);
        pool_free(crowd.pool);
        expect_int(atomic_load(&crowd.ended),
                   atomic_load(&crowd.accepted));
    }
}

static const struct test tests[] = {
    BOTH(only_a_waiting_task_can_be_cancelled),
    BOTH(cancelling_makes_room_at_once),
    BOTH(a_full_pool_can_be_cancelled),
    BOTH(others_are_done_when_some_are_cancelled),
    BOTH(cancel_and_begin_exclude_each_other),
    BOTH(two_may_cancel_the_same_task),
    BOTH(terminate_tells_all_who_wait),
    BOTH(close_tells_who_waits_for_room),
    BOTH(terminate_tells_who_is_slow_to_hear),
    TEST(terminate_ends_processes_in_their_tasks),
    TEST(terminate_lets_threads_finish_theirs),
    BOTH(terminate_may_come_at_any_moment),
    {0}};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
