/*
 * future_test.c -- waiting for one result, with a time limit, or for
 * one of many.
 */
#include "pool_help.h"

/* -------------------------------------------------- one future -- */

static void a_future_tells_its_state(const void *kind)
{
    struct pool *pool;
    struct future *first, *second;

    set_stage();
    pool = open_pool(kind, 1);
    first = submit_int(pool, twice_at_gate, 3);
    second = submit_int(pool, twice, 4);
    await(&stage->arrived);
    expect(future_running(first) && !future_done(first));
    expect(!future_running(second) && !future_done(second));
    sem_post(&stage->gate);
    expect_int(future_exception(first, PATIENCE), 0);
    expect(!future_running(first) && future_done(first));
    expect_int(future_exception(second, PATIENCE), 0);
    expect(!future_running(second) && future_done(second));
    expect(!future_cancelled(first) && !future_cancelled(second));
    finish_pool(pool);
    expect_int(take_int(first), 6);
    expect_int(take_int(second), 8);
}

static void expect_limit(struct future *future, double limit)
{
    double start = clock_now();
    int result = -1;

    expect_int(future_result(future, &result, limit), ETIMEDOUT);
    expect(task_message()[0] != '\0');
    expect_int(future_exception(future, limit), ETIMEDOUT);
    if (limit > 0)
        expect(clock_now() - start >= 2 * limit);
    expect_int(result, -1);
    expect(!future_done(future) && !future_cancelled(future));
}

static void a_time_limit_does_not_cancel(const void *kind)
{
    static const double looks[] = {0, -0.0, -1, -INFINITY};
    struct pool *pool;
    struct future *future;

    set_stage();
    pool = open_pool(kind, 1);
    future = submit_int(pool, twice_at_gate, 5);
    for (size_t i = 0; i < 4; i++)
        expect_limit(future, looks[i]);
    expect_limit(future, 1e-9);
    expect_limit(future, 0.02);
    sem_post(&stage->gate);
    expect_int(future_exception(future, INFINITY), 0);
    expect_string(task_message(), "");
    for (size_t i = 0; i < 4; i++) {
        int result = -1;

        expect_int(future_result(future, &result, looks[i]), 0);
        expect_int(result, 10);
    }
    expect_int(future_result(future, NULL, 0), 0);
    finish_pool(pool);
    future_free(future);
}

struct waiter {
    struct future *future;
    atomic_int tid;
    int result;
};

static void *wait_for_ever(void *arg)
{
    struct waiter *waiter = arg;

    atomic_store(&waiter->tid, own_tid());
    expect_int(future_result(waiter->future, &waiter->result, INFINITY),
               0);
    return NULL;
}

static void all_who_wait_are_woken(const void *kind)
{
    enum { WAITERS = 5 };
    struct waiter waiters[WAITERS] = {0};
    pthread_t threads[WAITERS];
    struct pool *pool;
    struct future *future;

    set_stage();
    pool = open_pool(kind, 1);
    future = submit_int(pool, twice_at_gate, 6);
    for (int i = 0; i < WAITERS; i++) {
        waiters[i].future = future;
        threads[i] = start_thread(wait_for_ever, &waiters[i]);
        until_asleep(&waiters[i].tid);
    }
    /* One who gives up disturbs nobody. */
    expect_int(future_result(future, NULL, 0.001), ETIMEDOUT);
    sem_post(&stage->gate);
    for (int i = 0; i < WAITERS; i++) {
        end_thread(threads[i]);
        expect_int(waiters[i].result, 12);
    }
    finish_pool(pool);
    future_free(future);
}

static int count_call(struct future *future, void *context)
{
    (void)future;
    atomic_fetch_add((atomic_int *)context, 1);
    return 0;
}

static void a_future_may_be_freed_early(const void *kind)
{
    struct pool *pool;
    struct future *running, *waiting;
    atomic_int calls = 0;

    set_stage();
    pool = open_pool(kind, 1);
    running = block_worker(pool);
    waiting = submit_bare(pool, count_run);
    future_add_done_callback(running, count_call, &calls);
    future_add_done_callback(waiting, count_call, &calls);
    future_free(running);
    future_free(waiting);
    future_free(NULL);
    sem_post(&stage->gate);
    finish_pool(pool);
    expect_int(atomic_load(&stage->runs), 1);
    expect_int(atomic_load(&calls), 2);
}

static void futures_outlive_their_pool(const void *kind)
{
    struct pool *pool;
    struct future *done, *failed, *dropped, *blocked;
    struct future *all[3], *next;
    struct completion *completion;
    atomic_int calls = 0;

    set_stage();
    pool = open_pool(kind, 1);
    done = submit_int(pool, twice, 7);
    failed = submit_int(pool, fail_with, EDOM);
    blocked = block_worker(pool);
    dropped = submit_bare(pool, count_run);
    pool_terminate(pool);
    sem_post(&stage->gate);
    pool_free(pool);

    all[0] = done, all[1] = failed, all[2] = dropped;
    expect_int(future_wait(all, 3, FUTURE_ALL_COMPLETED, 0), 0);
    completion = future_as_completed(all, 3);
    for (int i = 0; i < 3; i++) {
        next = completion_next(completion, 0);
        expect(next != NULL && future_done(next));
        expect(!future_running(next));
    }
    completion_free(completion);
    expect_int(future_add_done_callback(dropped, count_call, &calls),
               0);
    expect_int(atomic_load(&calls), 1);
    expect(future_cancel(dropped) && future_cancelled(dropped));
    expect(!future_cancel(done) && !future_cancelled(failed));
    expect_int(future_exception(failed, INFINITY), EDOM);
    expect(strstr(task_message(), "33") != NULL); /* EDOM */
    expect_end(failed, EDOM);
    expect_end(dropped, ECANCELED);
    expect_int(take_int(done), 14);
    future_free(blocked);
}

/* ------------------------------------------------ many at a time -- */

enum { GATES = 4 };

/* Each task has a gate of its own. */
static sem_t *gates;

static int stand_at_own_gate(const void *arg, void *result)
{
    await(&gates[*(const int *)arg]);
    return twice(arg, result);
}

static int fail_at_own_gate(const void *arg, void *result)
{
    (void)result;
    await(&gates[*(const int *)arg]);
    return EDOM;
}

static struct pool *open_gates(const void *kind, pool_task *second,
                               struct future *futures[GATES])
{
    struct pool *pool;

    gates = shared_alloc(GATES * sizeof *gates);
    for (int i = 0; i < GATES; i++)
        sem_init(&gates[i], 1, 0);
    pool = open_pool(kind, GATES);
    for (int i = 0; i < GATES; i++)
        futures[i] =
            submit_int(pool, i == 1 ? second : stand_at_own_gate, i);
    return pool;
}

static void close_gates(struct pool *pool, struct future **futures)
{
    finish_pool(pool);
    for (int i = 0; i < GATES; i++)
        future_free(futures[i]);
    shared_free(gates, GATES * sizeof *gates);
}

static int count_done(struct future **futures)
{
    int done = 0;

    for (int i = 0; i < GATES; i++)
        done += future_done(futures[i]);
    return done;
}

static void wait_waits_for_one_or_all(const void *kind)
{
    struct future *futures[GATES];
    struct pool *pool = open_gates(kind, stand_at_own_gate, futures);
    double start = clock_now();

    expect_int(future_wait(futures, GATES, FUTURE_FIRST_COMPLETED, 0),
               ETIMEDOUT);
    expect_int(future_wait(futures, GATES, FUTURE_ALL_COMPLETED, 0.01),
               ETIMEDOUT);
    expect_int(
        future_wait(futures, GATES, FUTURE_FIRST_COMPLETED, 0.01),
        ETIMEDOUT);
    expect(clock_now() - start >= 0.02);

    sem_post(&gates[2]);
    expect_int(
        future_wait(futures, GATES, FUTURE_FIRST_COMPLETED, PATIENCE),
        0);
    expect(future_done(futures[2]));
    expect_int(count_done(futures), 1);
    /* One that was done before counts too. */
    expect_int(future_wait(futures, GATES, FUTURE_FIRST_COMPLETED, 0),
               0);
    expect_int(future_wait(futures, GATES, FUTURE_ALL_COMPLETED, -1),
               ETIMEDOUT);

    sem_post(&gates[0]);
    sem_post(&gates[1]);
    sem_post(&gates[3]);
    expect_int(
        future_wait(futures, GATES, FUTURE_ALL_COMPLETED, PATIENCE), 0);
    expect_int(count_done(futures), GATES);
    expect_int(future_wait(futures, GATES, FUTURE_ALL_COMPLETED, 0), 0);
    expect_int(future_wait(NULL, 0, FUTURE_ALL_COMPLETED, INFINITY), 0);
    expect_int(future_wait(NULL, 0, FUTURE_FIRST_COMPLETED, 0), 0);
    close_gates(pool, futures);
}

static void wait_waits_for_the_first_error(const void *kind)
{
    struct future *futures[GATES];
    struct pool *pool = open_gates(kind, fail_at_own_gate, futures);

    sem_post(&gates[0]);
    expect_int(future_exception(futures[0], PATIENCE), 0);
    expect_int(future_wait(futures, GATES, FUTURE_FIRST_ERROR, 0.001),
               ETIMEDOUT); /* that was none */
    sem_post(&gates[1]);
    expect_int(
        future_wait(futures, GATES, FUTURE_FIRST_ERROR, PATIENCE), 0);
    expect(future_done(futures[1]));
    expect_int(count_done(futures), 2);

    /* Without an error it is as if for all. */
    sem_post(&gates[2]);
    expect_int(future_exception(futures[2], PATIENCE), 0);
    expect_int(future_wait(futures + 2, 2, FUTURE_FIRST_ERROR, 0),
               ETIMEDOUT);
    sem_post(&gates[3]);
    expect_int(
        future_wait(futures + 2, 2, FUTURE_FIRST_ERROR, PATIENCE), 0);
    expect(future_done(futures[3]));
    close_gates(pool, futures);
}

static void expect_next(struct completion *completion,
                        const struct future *wanted)
{
    expect(completion_next(completion, PATIENCE) == wanted);
}

static void expect_none_yet(struct completion *completion, double limit)
{
    double start = clock_now();

    errno = 0;
    expect(completion_next(completion, limit) == NULL);
    expect_int(errno, ETIMEDOUT);
    expect(clock_now() - start >= limit);
}

static void futures_come_in_the_order_completed(const void *kind)
{
    static const int order[GATES] = {2, 0, 3, 1};
    struct future *futures[GATES];
    struct pool *pool = open_gates(kind, fail_at_own_gate, futures);
    struct completion *completion, *other;

    sem_post(&gates[order[0]]);
    future_exception(futures[order[0]], PATIENCE);
    completion = future_as_completed(futures, GATES);
    other = future_as_completed(futures, GATES);
    expect_next(completion, futures[order[0]]);
    expect_none_yet(completion, 0);
    expect_none_yet(completion, -1);
    for (int i = 1; i < GATES; i++) {
        expect_none_yet(completion, 0.001);
        sem_post(&gates[order[i]]);
        expect_next(completion, futures[order[i]]);
    }
    errno = EDOM;
    expect(completion_next(completion, INFINITY) == NULL);
    expect_int(errno, 0);
    completion_free(completion);
    /* Each list has them all, in the same order. */
    for (int i = 0; i < GATES; i++)
        expect_next(other, futures[order[i]]);
    completion_free(other);
    close_gates(pool, futures);
}

static void a_completion_may_be_left_early(const void *kind)
{
    struct future *futures[GATES];
    struct pool *pool = open_gates(kind, stand_at_own_gate, futures);
    struct completion *completion;

    completion = future_as_completed(futures, GATES);
    sem_post(&gates[1]);
    expect_next(completion, futures[1]);
    sem_post(&gates[3]);
    completion_free(completion); /* and not told of the others */
    completion = future_as_completed(NULL, 0);
    expect(completion_next(completion, INFINITY) == NULL);
    completion_free(completion);
    sem_post(&gates[0]);
    sem_post(&gates[2]);
    close_gates(pool, futures);
}

static const struct test tests[] = {
    BOTH(a_future_tells_its_state),
    BOTH(a_time_limit_does_not_cancel),
    BOTH(all_who_wait_are_woken),
    BOTH(a_future_may_be_freed_early),
    BOTH(futures_outlive_their_pool),
    BOTH(wait_waits_for_one_or_all),
    BOTH(wait_waits_for_the_first_error),
    BOTH(futures_come_in_the_order_completed),
    BOTH(a_completion_may_be_left_early),
    {0}};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
