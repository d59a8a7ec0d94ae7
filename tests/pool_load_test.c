/*
 * pool_load_test.c -- many tasks: none lost, none done twice, and no
 * more memory for more of them.
 */
#include <sys/time.h>

#include "pool_help.h"

/* A sanitizer makes a task ten times as long. */
enum { MANY = SANITIZED ? 10000 : 100000 };

/* In shared memory: how often each task ran, and its callback. */
struct books {
    atomic_uchar ran[MANY];
    atomic_uchar called[MANY];
};

static struct books *books;

static void open_books(void)
{
    books = shared_alloc(sizeof *books);
    expect(books != NULL);
}

static void close_books(bool with_calls)
{
    for (int i = 0; i < MANY; i++) {
        expect_int(atomic_load(&books->ran[i]), 1);
        expect_int(atomic_load(&books->called[i]), with_calls);
    }
    shared_free(books, sizeof *books);
}

static int enter_twice(const void *arg, void *result)
{
    atomic_fetch_add(&books->ran[*(const int *)arg], 1);
    return twice(arg, result);
}

static int enter_call(struct future *future, void *context)
{
    int value = -1;

    (void)context;
    expect_int(future_result(future, &value, 0), 0);
    atomic_fetch_add(&books->called[value / 2], 1);
    return 0;
}

static void many_tasks_call_back(const void *kind)
{
    struct pool *pool;

    open_books();
    pool = open_pool(kind, 4);
    for (int i = 0; i < MANY; i++)
        expect_int(pool_apply_async(pool, enter_twice, &i, sizeof i,
                                    sizeof i, enter_call, NULL, NULL),
                   0);
    finish_pool(pool);
    close_books(true);
}

static void many_tasks_give_results(const void *kind)
{
    enum { AHEAD = 100 };
    struct future *futures[AHEAD];
    struct pool *pool;

    open_books();
    pool = open_pool(kind, 4);
    for (int i = 0; i < MANY + AHEAD; i++) {
        if (i >= AHEAD)
            expect_int(take_int(futures[i % AHEAD]), 2 * (i - AHEAD));
        if (i < MANY)
            futures[i % AHEAD] = submit_int(pool, enter_twice, i);
    }
    finish_pool(pool);
    close_books(false);
}

static void many_items_are_mapped(const void *kind)
{
    static int args[MANY], results[MANY];
    struct pool *pool;

    open_books();
    pool = open_pool(kind, 4);
    for (int i = 0; i < MANY; i++)
        args[i] = i;
    expect_int(pool_map(pool, enter_twice, args, sizeof *args, results,
                        sizeof *results, MANY, 0, INFINITY),
               0);
    for (int i = 0; i < MANY; i++)
        expect_int(results[i], 2 * i);
    finish_pool(pool);
    close_books(false);
}

/* --------------------------------------------- interrupted -- */

static atomic_int alarms;

static void count_alarm(int number)
{
    (void)number;
    atomic_fetch_add(&alarms, 1);
}

/* Without SA_RESTART: every call that waits comes back with EINTR. */
static void set_timer(long microseconds)
{
    struct sigaction action = {.sa_handler = count_alarm};
    struct itimerval timer = {{0, microseconds}, {0, microseconds}};

    expect_int(sigaction(SIGALRM, &action, NULL), 0);
    expect_int(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static int nap(const void *arg, void *result)
{
    clock_sleep(0.003);
    return twice(arg, result);
}

static void nothing_is_lost_in_a_storm_of_signals(const void *kind)
{
    enum { ROUNDS = 20, TASKS = 200 };
    const double limit = 0.02;
    struct pool *pool;
    struct future *blocked;
    double start;

    set_timer(500);
    pool = open_pool(kind, 2);
    for (int round = 0; round < ROUNDS; round++) {
        struct future *futures[TASKS];
        int number = round, result = 0;

        for (int i = 0; i < TASKS; i++)
            futures[i] = submit_int(pool, i == 7 ? nap : twice, i);
        expect_int(pool_apply(pool, nap, &number, sizeof number,
                              &result, sizeof result),
                   0);
        expect_int(result, 2 * number);
        for (int i = 0; i < TASKS; i++)
            expect_int(take_int(futures[i]), 2 * i);
    }
    finish_pool(pool);

    /* A time limit is not cut short either. */
    set_stage();
    pool = open_pool(kind, 1);
    blocked = block_worker(pool);
    start = clock_now();
    expect_int(future_result(blocked, NULL, limit), ETIMEDOUT);
    expect(clock_now() - start >= limit);
    set_timer(0);
    sem_post(&stage->gate);
    finish_pool(pool);
    future_free(blocked);
    expect(atomic_load(&alarms) > 0);
}

/* -------------------------------------------- bounded memory -- */

struct producer {
    struct pool *pool;
    atomic_int tid;
    atomic_int submitted;
    int wanted;
};

static void *produce(void *arg)
{
    struct producer *producer = arg;

    atomic_store(&producer->tid, own_tid());
    for (int i = 0; i < producer->wanted; i++) {
        future_free(submit_bare(producer->pool, stand_at_gate));
        atomic_fetch_add(&producer->submitted, 1);
    }
    return NULL;
}

/* The producer stands still with so many tasks in the pool. */
static void until_held_back(struct producer *producer, int submitted)
{
    double end = clock_deadline(PATIENCE);

    while (atomic_load(&producer->submitted) < submitted) {
        expect(clock_left(end) > 0);
        clock_sleep(0.0005);
    }
    until_asleep(&producer->tid);
    expect_int(atomic_load(&producer->submitted), submitted);
}

/* It goes on at the latest when a quarter of the room is free. */
static void expect_places(const void *kind, int workers)
{
    int places = places_of(workers);
    struct producer producer = {.wanted = places + 1};
    pthread_t thread;

    set_stage();
    producer.pool = open_pool(kind, workers);
    thread = start_thread(produce, &producer);
    until_held_back(&producer, places);
    await_times(&stage->arrived, workers);
    post_times(&stage->gate, places / 4 + 1);
    end_thread(thread);
    expect_int(atomic_load(&producer.submitted), places + 1);
    post_times(&stage->gate, places);
    finish_pool(producer.pool);
}

static void who_is_ahead_has_to_wait(const void *kind)
{
    expect_places(kind, 1);
    expect_places(kind, 40);
}

/* Many are held back, and each goes on at last. */
static void all_who_were_held_back_go_on(const void *kind)
{
    enum { THREADS = 300 };
    struct producer producer = {.wanted = 1};
    struct pool *pool;
    pthread_t threads[THREADS];

    set_stage();
    pool = producer.pool = open_pool(kind, 1);
    for (int i = 0; i < places_of(1); i++)
        future_free(submit_bare(pool, stand_at_gate));
    for (int i = 0; i < THREADS; i++) {
        threads[i] = start_thread(produce, &producer);
        until_asleep(&producer.tid);
        atomic_store(&producer.tid, 0);
    }
    expect_int(atomic_load(&producer.submitted), 0);
    post_times(&stage->gate, places_of(1) + THREADS);
    for (int i = 0; i < THREADS; i++)
        end_thread(threads[i]);
    finish_pool(pool);
    expect_int(atomic_load(&producer.submitted), THREADS);
}

struct rush {
    struct pool *pool;
    atomic_int without; /* so many have not been served yet */
};

/* Who has been served comes back at once, until all have been. */
static void *come_again(void *arg)
{
    struct rush *rush = arg;

    for (bool first = true; atomic_load(&rush->without) > 0;
         first = false) {
        expect_int(pool_apply(rush->pool, count_run, NULL, 0, NULL, 0),
                   0);
        if (first)
            atomic_fetch_sub(&rush->without, 1);
    }
    return NULL;
}

/* More come at once than there are places. */
static void nobody_goes_before_those_held_back(const void *kind)
{
    enum { THREADS = 1024 + 76 };
    struct rush rush = {.without = THREADS};
    double end = clock_deadline(PATIENCE);
    pthread_t threads[THREADS];

    set_stage();
    rush.pool = open_pool(kind, 2);
    for (int i = 0; i < THREADS; i++)
        threads[i] = start_thread(come_again, &rush);
    while (atomic_load(&rush.without) > 0) {
        expect(clock_left(end) > 0);
        clock_sleep(0.001);
    }
    for (int i = 0; i < THREADS; i++)
        end_thread(threads[i]);
    finish_pool(rush.pool);
}

/* In kB, of the process itself and what it shares. */
static long memory_of(pid_t pid, const char *which)
{
    char path[64], line[256];
    long size = -1;
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    file = fopen(path, "r");
    if (file == NULL)
        test_skip("needs /proc/PID/smaps_rollup");
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, which, strlen(which)) == 0)
            size = strtol(line + strlen(which), NULL, 10);
    (void)fclose(file);
    expect(size >= 0);
    return size;
}

static int pid_of_worker(const void *arg, void *result)
{
    (void)arg;
    *(pid_t *)result = getpid();
    sem_post(&stage->arrived);
    await(&stage->gate);
    return 0;
}

enum { CREW = 4 };

/* The program, with its workers if they are processes. */
static long memory_of_all(const void *kind, struct pool *pool)
{
    struct future *futures[CREW];
    long size = memory_of(getpid(), "Pss:");

    for (int i = 0; i < CREW; i++)
        futures[i] =
            pool_submit(pool, pid_of_worker, NULL, 0, sizeof(pid_t));
    await_times(&stage->arrived, CREW);
    post_times(&stage->gate, CREW);
    for (int i = 0; i < CREW; i++) {
        pid_t pid = take_int(futures[i]);

        if (is_processes(kind))
            size += memory_of(pid, "Pss:");
    }
    return size;
}

static int ignore(struct future *future, void *context)
{
    (void)future, (void)context;
    return 0;
}

static void run_tasks(struct pool *pool, int count)
{
    for (int i = 0; i < count; i++) {
        expect_int(pool_apply_async(pool, twice, &i, sizeof i, sizeof i,
                                    ignore, NULL, NULL),
                   0);
        if (i % 100 == 0)
            expect_int(take_int(submit_int(pool, twice, i)), 2 * i);
    }
}

/*
 * The first tasks touch all memory that is there to be used; after
 * them 300,000 more may not take a byte per task.  (A million was
 * tried as well and shows no more.)
 */
static void memory_does_not_grow_with_the_tasks(const void *kind)
{
    enum { TASKS = 300000, SLACK = TASKS / 1024 };
    struct pool *pool;
    long before, after;

    if (SANITIZED)
        test_skip("a sanitizer keeps memory that was freed");
    set_stage();
    pool = open_pool(kind, CREW);
    run_tasks(pool, 20000);
    before = memory_of_all(kind, pool);
    run_tasks(pool, TASKS);
    after = memory_of_all(kind, pool);
    finish_pool(pool);
    if (after - before > SLACK)
        test_fail(__FILE__, __LINE__, "%ld kB, and then %ld kB", before,
                  after);
}

/* What it costs to have a pool that has nothing to do. */
static void an_idle_pool_is_small(const void *kind)
{
    struct pool *pool;
    long before, after;

    if (SANITIZED)
        test_skip("a sanitizer takes memory for itself");
    set_stage();
    before = memory_of(getpid(), "Pss:");
    pool = open_pool(kind, CREW);
    after = memory_of_all(kind, pool);
    finish_pool(pool);
    if (after - before > 1024)
        test_fail(__FILE__, __LINE__, "it takes %ld kB",
                  after - before);
}

static const struct test tests[] = {
    BOTH(many_tasks_call_back),
    BOTH(many_tasks_give_results),
    BOTH(many_items_are_mapped),
    BOTH(nothing_is_lost_in_a_storm_of_signals),
    BOTH(who_is_ahead_has_to_wait),
    BOTH(all_who_were_held_back_go_on),
    BOTH(nobody_goes_before_those_held_back),
    BOTH(memory_does_not_grow_with_the_tasks),
    BOTH(an_idle_pool_is_small),
    {0}};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
