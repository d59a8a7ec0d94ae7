/*
 * pool_test.c -- what a pool does for those who use it as they should,
 * and what it says to those who do not.  Its siblings: pool_callback,
 * pool_cancel, pool_load, pool_death and pool_refusal.
 */
#include <sched.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

#include "pool_help.h"

/* --------------------------------------------------------- apply -- */

static void apply_gives_the_result(const void *kind)
{
    struct pool *pool = open_pool(kind, 2);

    for (int i = 0; i < 200; i++) {
        int result = -1;

        expect_int(pool_apply(pool, twice, &i, sizeof i, &result,
                              sizeof result),
                   0);
        expect_int(result, 2 * i);
        expect_string(task_message(), "");
    }
    /* Who does not want the result passes NULL. */
    expect_int(pool_apply(pool, twice, &(int){1}, sizeof(int), NULL,
                          sizeof(int)),
               0);
    finish_pool(pool);
}

static int fail_in_words(const void *arg, void *result)
{
    (void)result;
    return task_error(EDOM, "base %d is negative", *(const int *)arg);
}

static int fail_at_length(const void *arg, void *result)
{
    (void)arg, (void)result;
    return task_error(ERANGE, "%0500d", 0);
}

static int apply_int(struct pool *pool, pool_task *task, int number)
{
    int result;

    return pool_apply(pool, task, &number, sizeof number, &result,
                      sizeof result);
}

static void errors_come_back_with_their_messages(const void *kind)
{
    struct pool *pool = open_pool(kind, 1);
    struct future *future;

    expect_int(apply_int(pool, fail_in_words, -3), EDOM);
    expect_string(task_message(), "base -3 is negative");
    /* The message of the task before is not this one's. */
    expect_int(apply_int(pool, fail_with, 4711), 4711);
    expect(strstr(task_message(), "4711") != NULL);
    expect(strstr(task_message(), "base") == NULL);
    expect_int(apply_int(pool, twice, 1), 0);
    expect_string(task_message(), "");
    expect_int(apply_int(pool, fail_at_length, 0), ERANGE);
    expect_int(strlen(task_message()), TASK_MESSAGE_MAX - 1);

    future = submit_int(pool, fail_in_words, -4);
    expect_int(future_result(future, NULL, PATIENCE), EDOM);
    expect_string(task_message(), "base -4 is negative");
    expect_int(apply_int(pool, twice, 1), 0);
    expect_int(future_exception(future, 0), EDOM);
    expect_string(task_message(), "base -4 is negative");
    future_free(future);
    finish_pool(pool);
}

static int fail_because(const void *arg, void *result)
{
    return task_error(ERANGE, "because %s",
                      fail_in_words(arg, result) == EDOM
                          ? task_message()
                          : "of nothing");
}

static void a_message_may_tell_of_another(const void *kind)
{
    struct pool *pool = open_pool(kind, 1);

    expect_int(apply_int(pool, fail_because, -3), ERANGE);
    expect_string(task_message(), "because base -3 is negative");
    finish_pool(pool);
}

static int check_alignment(const void *arg, void *result)
{
    expect_int((uintptr_t)arg % alignof(max_align_t), 0);
    expect_int((uintptr_t)result % alignof(max_align_t), 0);
    return 0;
}

static void arguments_and_results_are_aligned(const void *kind)
{
    struct pool *pool = open_pool(kind, 1);
    char bytes[64] = {0};

    for (size_t i = 0; i < 20; i++)
        expect_int(
            pool_apply(pool, check_alignment, bytes, i, bytes, i), 0);
    expect_int(pool_apply(pool, check_alignment, NULL, 0, NULL, 0), 0);
    finish_pool(pool);
}

enum { SIZES = 100 };

/* So many bytes, each of which tells how many they are. */
static int check_bytes(const void *arg, void *result)
{
    const unsigned char *bytes = arg;

    (void)result;
    for (size_t i = 0; i < bytes[0]; i++)
        expect_int(bytes[i], bytes[0]);
    return bytes[0] > 0 ? 0 : EINVAL;
}

static int make_bytes(const void *arg, void *result)
{
    unsigned char size = *(const unsigned char *)arg;

    memset(result, size, size);
    return 0;
}

static void expect_made(struct future *future, size_t size)
{
    unsigned char bytes[SIZES];

    expect_int(future_result(future, bytes, PATIENCE), 0);
    expect_int(check_bytes(bytes, NULL), 0);
    expect_int(bytes[0], (int)size);
    future_free(future);
}

/* All wait side by side, and nobody's bytes are another's. */
static void payloads_keep_to_their_room(const void *kind)
{
    struct future *blocker, *checked[SIZES], *made[SIZES];
    struct pool *pool;

    set_stage();
    pool = open_pool(kind, 1);
    for (int round = 0; round < 2; round++) {
        blocker = block_worker(pool);
        for (size_t size = 1; size < SIZES; size++) {
            unsigned char bytes[SIZES];

            memset(bytes, (int)size, size);
            checked[size] =
                pool_submit(pool, check_bytes, bytes, size, 0);
            made[size] = pool_submit(pool, make_bytes, bytes, 1, size);
        }
        sem_post(&stage->gate);
        for (size_t size = 1; size < SIZES; size++) {
            expect_end(checked[size], 0);
            expect_made(made[size], size);
        }
        expect_end(blocker, 0);
    }
    finish_pool(pool);
}

/* ----------------------------------------------------------- map -- */

enum { ITEMS = 1000 };

/* The first item has to wait for the last one. */
static int twice_last_first(const void *arg, void *result)
{
    int item = *(const int *)arg;

    if (item == 0)
        await(&stage->gate);
    if (item == ITEMS - 1)
        sem_post(&stage->gate);
    atomic_fetch_add(&stage->runs, 1);
    return twice(arg, result);
}

static void expect_twice(const int *results, int count)
{
    for (int i = 0; i < count; i++)
        expect_int(results[i], 2 * i);
}

static void map_ints(struct pool *pool, pool_task *task, int count,
                     size_t chunk, int error)
{
    static int args[ITEMS], results[ITEMS];

    for (int i = 0; i < ITEMS; i++) {
        args[i] = i;
        results[i] = -1;
    }
    expect_int(pool_map(pool, task, args, sizeof *args, results,
                        sizeof *results, (size_t)count, chunk,
                        INFINITY),
               error);
    if (error == 0)
        expect_twice(results, count);
    for (int i = count; i < ITEMS; i++)
        expect_int(results[i], -1);
}

static void map_gives_results_in_order(const void *kind)
{
    static const size_t chunks[] = {0, 1, 7, ITEMS - 1, ITEMS, 1 << 30};
    struct pool *pool = open_pool(kind, 2);

    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++)
        map_ints(pool, twice, ITEMS, chunks[i], 0);
    map_ints(pool, twice, 1, 0, 0);
    map_ints(pool, twice, 2, 3, 0); /* less than a chunk */
    finish_pool(pool);

    /* One by one, and the first is done last. */
    set_stage();
    pool = open_pool(kind, 2);
    map_ints(pool, twice_last_first, ITEMS, 1, 0);
    expect_int(atomic_load(&stage->runs), ITEMS);
    finish_pool(pool);
}

static void map_of_nothing_does_nothing(const void *kind)
{
    struct pool *pool = open_pool(kind, 2);

    set_stage();
    map_ints(pool, count_run, 0, 0, 0);
    map_ints(pool, count_run, 0, 5, 0);
    expect_int(
        pool_map(pool, count_run, NULL, 0, NULL, 0, 0, 0, INFINITY), 0);
    finish_pool(pool);
    expect_int(atomic_load(&stage->runs), 0);
}

/* clang's sanitizer sees what becomes of the pointer that is NULL. */
static void map_needs_neither_arguments_nor_results(const void *kind)
{
    struct pool *pool;

    set_stage();
    pool = open_pool(kind, 2);
    expect_int(
        pool_map(pool, count_run, NULL, 0, NULL, 0, 100, 7, INFINITY),
        0);
    finish_pool(pool);
    expect_int(atomic_load(&stage->runs), 100);
}

struct item {
    int number;
    int late; /* the number of the item that is done last of all */
};

static int fail_3_7_11(const void *arg, void *result)
{
    const struct item *item = arg;

    atomic_fetch_add(&stage->runs, 1);
    if (item->number == item->late)
        await(&stage->gate);
    if (item->number == ITEMS - 1)
        sem_post(&stage->gate);
    if (item->number == 3 || item->number == 7 || item->number == 11)
        return task_error(item->number, "%d fails", item->number);
    return twice(&item->number, result);
}

static void expect_error_of_3(struct pool *pool, size_t chunk, int late)
{
    static struct item items[ITEMS];
    static int results[ITEMS];

    atomic_store(&stage->runs, 0);
    for (int i = 0; i < ITEMS; i++)
        items[i] = (struct item){i, late};
    expect_int(pool_map(pool, fail_3_7_11, items, sizeof *items,
                        results, sizeof *results, ITEMS, chunk,
                        INFINITY),
               3);
    expect(strstr(task_message(), "item 3") != NULL);
    expect(strstr(task_message(), "3 fails") != NULL);
    expect_int(atomic_load(&stage->runs), ITEMS);
    for (int i = 0; i < ITEMS; i++)
        if (i != 3 && i != 7 && i != 11)
            expect_int(results[i], 2 * i);
}

static void map_reports_the_lowest_error_and_does_all(const void *kind)
{
    struct pool *pool;

    set_stage();
    pool = open_pool(kind, 2);
    for (size_t chunk = 1; chunk < 15; chunk += 4) {
        expect_error_of_3(pool, chunk, 3);
        expect_error_of_3(pool, chunk, 11);
    }
    finish_pool(pool);
}

/* An item that fills a slot alone: its index comes first. */
struct large {
    int index;
    char rest[POOL_PAYLOAD_MAX - 2 * sizeof(int)];
};

static int index_of_large(const void *arg, void *result)
{
    const struct large *large = arg;

    *(int *)result = 2 * large->index;
    return large->rest[sizeof large->rest - 1] == 'x' ? 0 : EINVAL;
}

static void map_makes_chunks_that_fit(const void *kind)
{
    enum { COUNT = 300 };
    static struct large args[COUNT];
    struct pool *pool = open_pool(kind, 2);
    int results[COUNT];

    for (int i = 0; i < COUNT; i++) {
        args[i].index = i;
        memset(args[i].rest, 'x', sizeof args[i].rest);
    }
    for (size_t chunk = 0; chunk < 3; chunk++) {
        memset(results, 0, sizeof results);
        expect_int(pool_map(pool, index_of_large, args, sizeof *args,
                            results, sizeof *results, COUNT, chunk * 10,
                            INFINITY),
                   0);
        expect_twice(results, COUNT);
    }
    finish_pool(pool);
}

/* ------------------------------------------------ numbers and names */

struct numbers {
    int worker;
    uint64_t task;
    pid_t pid;
};

static int give_numbers(const void *arg, void *result)
{
    struct numbers *numbers = result;

    (void)arg;
    numbers->worker = pool_worker();
    numbers->task = pool_task_number();
    numbers->pid = getpid();
    sem_post(&stage->arrived);
    await(&stage->gate);
    return 0;
}

static void workers_and_tasks_are_numbered(const void *kind)
{
    enum { WORKERS = 3, ROUNDS = 4 };
    struct pool *pool;

    set_stage();
    pool = open_pool(kind, WORKERS);
    for (int round = 0; round < ROUNDS; round++) {
        struct future *futures[WORKERS];
        int seen = 0;

        for (int i = 0; i < WORKERS; i++)
            futures[i] = pool_submit(pool, give_numbers, NULL, 0,
                                     sizeof(struct numbers));
        /* All at once, so each has a worker of its own. */
        await_times(&stage->arrived, WORKERS);
        post_times(&stage->gate, WORKERS);
        for (int i = 0; i < WORKERS; i++) {
            struct numbers got;

            expect_int(future_result(futures[i], &got, PATIENCE), 0);
            expect_int(got.task, round * WORKERS + i + 1);
            expect(got.worker >= 1 && got.worker <= WORKERS);
            expect((got.pid != getpid()) == is_processes(kind));
            seen |= 1 << got.worker;
            future_free(futures[i]);
        }
        expect_int(seen, 2 + 4 + 8);
    }
    expect_int(pool_worker(), 0);
    expect_int(pool_task_number(), 0);
    finish_pool(pool);
}

static void kinds_have_names(void)
{
    expect_string(pool_kind_name(&pool_threads), "threads");
    expect_string(pool_kind_name(&pool_processes), "processes");
}

/* -------------------------------------------------------- events -- */

enum { EVENTS = 1000 };

struct log {
    atomic_int count;
    struct {
        enum pool_event event;
        int worker;
        uint64_t task;
        pid_t pid;
        int tid;
    } lines[EVENTS];
};

static struct log *events;

static void note_event(enum pool_event event, int worker, uint64_t task)
{
    int line = atomic_fetch_add(&events->count, 1);

    expect(line < EVENTS);
    events->lines[line].event = event;
    events->lines[line].worker = worker;
    events->lines[line].task = task;
    events->lines[line].pid = getpid();
    events->lines[line].tid = own_tid();
}

/* The line of the only such event. */
static int only(enum pool_event event, int worker, uint64_t task)
{
    int found = -1;

    for (int i = 0; i < atomic_load(&events->count); i++)
        if (events->lines[i].event == event &&
            (worker < 0 || events->lines[i].worker == worker) &&
            events->lines[i].task == task) {
            expect_int(found, -1);
            found = i;
        }
    expect(found >= 0);
    return found;
}

static void expect_events_of_task(uint64_t task)
{
    int submitted = only(POOL_TASK_SUBMITTED, 0, task);
    int begun = only(POOL_TASK_BEGUN, -1, task);
    int worker = events->lines[begun].worker;
    int ended = only(POOL_TASK_ENDED, worker, task);
    int started = only(POOL_WORKER_STARTED, worker, 0);

    expect(submitted < begun && begun < ended && started < begun);
    expect_int(events->lines[submitted].tid, own_tid());
    expect_int(events->lines[begun].tid, events->lines[started].tid);
    expect_int(events->lines[ended].tid, events->lines[started].tid);
}

static void expect_events_of_worker(const void *kind, int worker)
{
    int started = only(POOL_WORKER_STARTED, worker, 0);
    int ended = only(POOL_WORKER_ENDED, worker, 0);
    pid_t there = events->lines[started].pid;

    expect(started < ended);
    expect((there != getpid()) == is_processes(kind));
    expect(events->lines[started].tid != own_tid());
    expect_int(events->lines[ended].pid, getpid());
}

static void an_observer_sees_every_event(const void *kind)
{
    enum { WORKERS = 3, TASKS = 40 };
    struct pool *pool;

    events = shared_alloc(sizeof *events);
    pool_observe(note_event);
    pool = open_pool(kind, WORKERS);
    for (int i = 0; i < TASKS / 2; i++)
        expect_int(apply_int(pool, twice, i), 0);
    for (int i = 0; i < TASKS / 2; i++)
        future_free(submit_int(pool, twice, i));
    finish_pool(pool);
    for (int i = 1; i <= TASKS; i++)
        expect_events_of_task((uint64_t)i);
    for (int i = 1; i <= WORKERS; i++)
        expect_events_of_worker(kind, i);
    expect_int(atomic_load(&events->count), 3 * TASKS + 2 * WORKERS);

    pool_observe(NULL);
    finish_pool(open_pool(kind, 1));
    expect_int(atomic_load(&events->count), 3 * TASKS + 2 * WORKERS);
}

/* --------------------------------------------------- open and close */

static void close_lets_everything_finish(const void *kind)
{
    enum { TASKS = 100 };
    struct pool *pool;

    set_stage();
    pool = open_pool(kind, 1);
    future_free(block_worker(pool));
    for (int i = 0; i < TASKS; i++)
        future_free(submit_bare(pool, count_run));
    expect_int(pool_close(pool), 0); /* does not wait */
    expect_int(atomic_load(&stage->runs), 0);
    sem_post(&stage->gate);
    expect_int(pool_join(pool), 0);
    expect_int(atomic_load(&stage->runs), TASKS);
    pool_free(pool);
}

static void expect_no_entry(struct pool *pool)
{
    int number = 1;

    errno = 0;
    expect(pool_submit(pool, twice, &number, sizeof number,
                       sizeof number) == NULL);
    expect_int(errno, EPIPE);
    expect_int(apply_int(pool, twice, 1), EPIPE);
    expect_int(pool_apply_async(pool, twice, &number, sizeof number,
                                sizeof number, NULL, NULL, NULL),
               EPIPE);
    expect_int(pool_map(pool, twice, &number, sizeof number, &number,
                        sizeof number, 1, 0, INFINITY),
               EPIPE);
}

static void the_order_of_close_and_join_is_kept(const void *kind)
{
    struct pool *pool = open_pool(kind, 2);

    expect_int(pool_join(pool), EBUSY);
    expect_int(apply_int(pool, twice, 1), 0); /* it goes on */
    expect_int(pool_close(pool), 0);
    expect_no_entry(pool);
    expect_int(pool_close(pool), 0);
    expect_int(pool_join(pool), 0);
    expect_int(pool_join(pool), 0);
    expect_int(pool_close(pool), 0);
    expect_int(pool_terminate(pool), 0);
    expect_no_entry(pool);
    pool_free(pool);

    pool = open_pool(kind, 2);
    expect_int(pool_terminate(pool), 0);
    expect_int(pool_terminate(pool), 0);
    expect_no_entry(pool);
    expect_int(pool_close(pool), 0);
    expect_int(pool_join(pool), 0);
    expect_int(pool_terminate(pool), 0);
    expect_int(pool_join(pool), 0);
    pool_free(pool);
    pool_free(NULL);
}

static void *join_as_well(void *pool)
{
    expect_int(pool_join(pool), 0);
    return NULL;
}

static void two_threads_may_join(const void *kind)
{
    struct pool *pool;
    pthread_t other;

    set_stage();
    pool = open_pool(kind, 2);
    future_free(block_worker(pool));
    pool_close(pool);
    other = start_thread(join_as_well, pool);
    sem_post(&stage->gate);
    expect_int(pool_join(pool), 0);
    end_thread(other);
    pool_free(pool);
}

static void nothing_is_left_when_a_pool_is_freed(const void *kind)
{
    int files = entries_of("/proc/self/fd");

    for (int i = 0; i < 20; i++) {
        struct pool *pool = open_pool(kind, 3);

        expect_int(apply_int(pool, twice, 1), 0);
        if (i % 2 == 0)
            finish_pool(pool);
        else
            pool_free(pool);
    }
    expect_int(entries_of("/proc/self/fd"), files);
    expect_alone();
}

/* ------------------------------------------- how it is scheduled */

static int own_policy(const void *arg, void *result)
{
    struct sched_param parameters;

    (void)arg;
    return pthread_getschedparam(pthread_self(), result, &parameters);
}

static int policy_in_callback;

static int note_policy(struct future *future, void *unused)
{
    (void)future, (void)unused;
    return own_policy(NULL, &policy_in_callback);
}

static void expect_policies(int of_worker, int of_callback)
{
    struct pool *pool = open_pool(&pool_processes, 1);
    int policy = -1;

    expect_int(
        pool_apply(pool, own_policy, NULL, 0, &policy, sizeof policy),
        0);
    expect_int(policy, of_worker);
    expect_int(pool_apply_async(pool, twice, &(int){1}, sizeof(int),
                                sizeof(int), note_policy, NULL, NULL),
               0);
    finish_pool(pool);
    expect_int(policy_in_callback, of_callback);
}

static void who_runs_callbacks_interrupts_nobody(void)
{
    const struct sched_param parameters = {0};

    expect_policies(SCHED_OTHER, SCHED_BATCH);
    expect_int(
        pthread_setschedparam(pthread_self(), SCHED_IDLE, &parameters),
        0);
    expect_policies(SCHED_IDLE, SCHED_IDLE);
}

/* ----------------------------------- from inside, and side by side */

/* What a worker process hears from each function. */
static int use_pool(const void *arg, void *result)
{
    struct pool *pool = *(struct pool *const *)arg;
    int number = 1;

    (void)result;
    errno = 0;
    expect(pool_submit(pool, twice, &number, sizeof number,
                       sizeof number) == NULL);
    expect_int(errno, EPERM);
    expect_int(apply_int(pool, twice, 1), EPERM);
    expect_int(pool_apply_async(pool, twice, &number, sizeof number,
                                sizeof number, NULL, NULL, NULL),
               EPERM);
    expect_int(pool_map(pool, twice, &number, sizeof number, &number,
                        sizeof number, 1, 0, INFINITY),
               EPERM);
    expect_int(pool_close(pool), EPERM);
    expect_int(pool_terminate(pool), EPERM);
    expect_int(pool_join(pool), EPERM);
    pool_free(pool);
    return 0;
}

static void a_worker_process_may_not_use_a_pool(void)
{
    struct pool *pool = open_pool(&pool_processes, 1);
    struct pool *later = open_pool(&pool_processes, 1);
    struct pool *const known[] = {pool, later};

    /* Its own, and one that was open when it was forked. */
    expect_int(
        pool_apply(pool, use_pool, known, sizeof *known, NULL, 0), 0);
    expect_int(
        pool_apply(later, use_pool, known, sizeof *known, NULL, 0), 0);
    expect_int(apply_int(pool, twice, 1), 0); /* it is unharmed */
    finish_pool(pool);
    finish_pool(later);
}

static struct pool *pool_of_all;

static int join_own_pool(const void *arg, void *result)
{
    (void)arg, (void)result;
    expect_int(pool_close(pool_of_all), 0);
    expect_int(pool_join(pool_of_all), EDEADLK);
    return 0;
}

static void a_worker_thread_may_not_join_its_pool(void)
{
    struct pool *pool = open_pool(&pool_threads, 2);

    pool_of_all = pool;
    expect_int(pool_apply(pool, join_own_pool, NULL, 0, NULL, 0), 0);
    expect_int(pool_join(pool), 0);
    pool_free(pool);
}

/* A thread's task may use any other pool. */
static int twice_elsewhere(const void *arg, void *result)
{
    return pool_apply(pool_of_all, twice, arg, sizeof(int), result,
                      sizeof(int));
}

static void a_task_may_use_another_pool(const void *kind)
{
    struct pool *outer;
    int args[100], results[100];

    pool_of_all = open_pool(kind, 2);
    outer = open_pool(&pool_threads, 2);
    for (int i = 0; i < 100; i++)
        args[i] = i;
    expect_int(pool_map(outer, twice_elsewhere, args, sizeof *args,
                        results, sizeof *results, 100, 1, INFINITY),
               0);
    expect_twice(results, 100);
    finish_pool(outer);
    finish_pool(pool_of_all);
}

static void *produce(void *pool)
{
    enum { ROUNDS = 30, TASKS = 20 };
    int args[TASKS], results[TASKS];

    for (int round = 0; round < ROUNDS; round++) {
        struct future *futures[TASKS];

        for (int i = 0; i < TASKS; i++) {
            futures[i] = submit_int(pool, twice, i);
            args[i] = i;
        }
        expect_int(apply_int(pool, twice, 1), 0);
        for (int i = 0; i < TASKS; i++)
            expect_int(take_int(futures[i]), 2 * i);
        expect_int(pool_map(pool, twice, args, sizeof *args, results,
                            sizeof *results, TASKS, 3, INFINITY),
                   0);
        expect_twice(results, TASKS);
    }
    return NULL;
}

/* Eight times 20 at once are more than one pool has room for. */
static void many_threads_may_use_two_pools_at_once(const void *kind)
{
    enum { THREADS = 8 };
    struct pool *pools[2] = {open_pool(kind, 2), open_pool(kind, 1)};
    pthread_t threads[2 * THREADS];

    for (int i = 0; i < 2 * THREADS; i++)
        threads[i] = start_thread(produce, pools[i % 2]);
    for (int i = 0; i < 2 * THREADS; i++)
        end_thread(threads[i]);
    finish_pool(pools[0]);
    finish_pool(pools[1]);
}

static const struct test tests[] = {
    BOTH(apply_gives_the_result),
    BOTH(errors_come_back_with_their_messages),
    BOTH(a_message_may_tell_of_another),
    BOTH(arguments_and_results_are_aligned),
    BOTH(payloads_keep_to_their_room),
    BOTH(map_gives_results_in_order),
    BOTH(map_of_nothing_does_nothing),
    BOTH(map_needs_neither_arguments_nor_results),
    BOTH(map_reports_the_lowest_error_and_does_all),
    BOTH(map_makes_chunks_that_fit),
    BOTH(workers_and_tasks_are_numbered),
    TEST(kinds_have_names),
    BOTH(an_observer_sees_every_event),
    BOTH(close_lets_everything_finish),
    BOTH(the_order_of_close_and_join_is_kept),
    BOTH(two_threads_may_join),
    BOTH(nothing_is_left_when_a_pool_is_freed),
    TEST(who_runs_callbacks_interrupts_nobody),
    TEST(a_worker_process_may_not_use_a_pool),
    TEST(a_worker_thread_may_not_join_its_pool),
    BOTH(a_task_may_use_another_pool),
    BOTH(many_threads_may_use_two_pools_at_once),
    {0}};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
