/*
 * pool_refusal_test.c -- what can not be had: too much asked for, or
 * refused by the system, at the start or later.
 */
#include <grp.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "pool_help.h"

/* ---------------------------------------------- too much asked for */

static void the_number_of_workers_has_a_range(const void *kind)
{
    static const int wrong[] = {
        0, -1, -1000, POOL_WORKERS_MAX + 1, INT32_MAX, INT32_MIN};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        errno = 0;
        expect(pool_open(kind, wrong[i]) == NULL);
        expect_int(errno, EINVAL);
    }
}

static int touch_all(const void *arg, void *result)
{
    (void)arg;
    memset(result, 'x', POOL_PAYLOAD_MAX - 8);
    return 0;
}

static void expect_refused(struct pool *pool, pool_task *task,
                           size_t arg_size, size_t result_size,
                           int error)
{
    static char bytes[2 * POOL_PAYLOAD_MAX];

    errno = 0;
    expect(pool_submit(pool, task, bytes, arg_size, result_size) ==
           NULL);
    expect_int(errno, error);
    expect_int(
        pool_apply(pool, task, bytes, arg_size, bytes, result_size),
        error);
    expect_int(pool_apply_async(pool, task, bytes, arg_size,
                                result_size, NULL, NULL, NULL),
               error);
    expect_int(pool_map(pool, task, bytes, arg_size, bytes, result_size,
                        1, 1, INFINITY),
               error);
}

static void a_payload_has_a_limit(const void *kind)
{
    enum { MAX = POOL_PAYLOAD_MAX };
    struct pool *pool;
    char bytes[MAX];

    set_stage();
    pool = open_pool(kind, 1);
    expect_refused(pool, count_run, MAX + 1, 0, EMSGSIZE);
    expect_refused(pool, count_run, 0, MAX + 1, EMSGSIZE);
    expect_refused(pool, count_run, MAX, 1, EMSGSIZE);
    expect_refused(pool, count_run, MAX / 2 + 1, MAX / 2, EMSGSIZE);
    expect_refused(pool, count_run, SIZE_MAX, 1, EMSGSIZE);
    expect_refused(pool, count_run, 1, SIZE_MAX, EMSGSIZE);
    expect_refused(pool, count_run, SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 1,
                   EMSGSIZE);
    expect_refused(pool, NULL, 0, 0, EINVAL);
    expect_refused(NULL, count_run, 0, 0, EINVAL);
    expect_int(atomic_load(&stage->runs), 0);

    /* And is reached. */
    memset(bytes, 0, sizeof bytes);
    expect_int(pool_apply(pool, count_run, bytes, MAX, NULL, 0), 0);
    expect_int(pool_apply(pool, touch_all, bytes, 7, bytes, MAX - 7),
               0);
    expect_int(bytes[MAX - 9], 'x');
    expect_int(atomic_load(&stage->runs), 1);
    finish_pool(pool);
}

static void as_many_workers_as_allowed_can_be_had(const void *kind)
{
    struct pool *pool;

    if (SANITIZED)
        test_skip("a sanitizer makes so many workers slow");
    pool = open_pool(kind, POOL_WORKERS_MAX);
    for (int i = 0; i < 100; i++)
        expect_int(take_int(submit_int(pool, twice, i)), 2 * i);
    finish_pool(pool);
}

/* --------------------------------------------- refused at the start */

/* As setrlimit, whose `which` has another type in each C library. */
static void set_limit(int which, rlim_t limit)
{
    struct rlimit now;

    expect_int(syscall(SYS_prlimit64, 0, which, NULL, &now), 0);
    now.rlim_cur = limit;
    expect_int(syscall(SYS_prlimit64, 0, which, &now, NULL), 0);
}

/*
 * Runs the test as a user of whom there is no other process, whose
 * number of threads and processes can be limited.  The number of the
 * user is that of a process, so tests side by side have their own.
 */
static void as_a_user_alone(void (*test)(const void *kind),
                            const void *kind)
{
    int status;
    pid_t child;

    if (getuid() != 0)
        test_skip("needs root, to become a user without processes");
    child = fork();
    expect(child >= 0);
    if (child == 0) {
        uid_t user = 1000000u + (uid_t)getpid();

        if (setgroups(0, NULL) != 0 || setuid(user) != 0)
            _exit(TEST_SKIPPED);
        test(kind);
        exit(0);
    }
    expect_int(waitpid(child, &status, 0), child);
    expect(WIFEXITED(status));
    if (WEXITSTATUS(status) == TEST_SKIPPED)
        test_skip("needs the right to become another user");
    expect_int(WEXITSTATUS(status), 0);
}

/* With room for so many threads and processes, ours included. */
static bool try_with_room_for(const void *kind, int room, int workers)
{
    struct pool *pool;

    set_limit(RLIMIT_NPROC, (rlim_t)room);
    errno = 0;
    pool = pool_open(kind, workers);
    if (pool == NULL) {
        expect_int(errno, EAGAIN);
        expect_alone();
        return false;
    }
    expect_int(take_int(submit_int(pool, twice, 1)), 2);
    finish_pool(pool);
    expect_alone();
    return true;
}

static void try_every_room(const void *kind)
{
    enum { WORKERS = 4 };
    int room = 1;

    expect(!try_with_room_for(kind, 20, 1000));
    while (!try_with_room_for(kind, room, WORKERS))
        room++;
    expect(room > WORKERS); /* there was one too few before */
    expect(!try_with_room_for(kind, 150, 1000));
    expect(try_with_room_for(kind, 50, WORKERS));
}

static void a_refused_worker_refuses_the_pool(const void *kind)
{
    if (SANITIZED)
        test_skip("a sanitizer may have a thread of its own");
    as_a_user_alone(try_every_room, kind);
}

/* With room for some stacks: musl's default is the smallest, 128 K. */
static void refused_memory_refuses_the_pool(void)
{
    struct pool *pool;

    if (SANITIZED)
        test_skip("a sanitizer reserves more than any limit");
    set_limit(RLIMIT_AS, 64 << 20);
    for (int i = 0; i < 3; i++) {
        errno = 0;
        expect(pool_open(&pool_threads, 1000) == NULL);
        expect(errno == EAGAIN || errno == ENOMEM);
        expect_alone();
    }
    pool = open_pool(&pool_threads, 2);
    expect_int(take_int(submit_int(pool, twice, 1)), 2);
    finish_pool(pool);
}

static void no_descriptor_is_needed(const void *kind)
{
    struct pool *pool;

    set_limit(RLIMIT_NOFILE, 0);
    pool = open_pool(kind, 2);
    for (int i = 0; i < 100; i++)
        expect_int(take_int(submit_int(pool, twice, i)), 2 * i);
    finish_pool(pool);
    set_limit(RLIMIT_NOFILE, 100); /* a leak checker wants some */
}

/* ----------------------------------------------- refused later on */

enum { CREW = 4 };

static atomic_int *pids; /* shared; [0] is not used */

static void note_pids(enum pool_event event, int worker, uint64_t task)
{
    (void)task;
    if (event == POOL_WORKER_STARTED)
        atomic_store(&pids[worker], getpid());
    if (event == POOL_WORKER_ENDED)
        atomic_store(&pids[worker], 0);
}

static struct pool *open_crew(void)
{
    double end = clock_deadline(PATIENCE);
    struct pool *pool;

    set_stage();
    pids = shared_alloc((CREW + 1) * sizeof *pids);
    pool_observe(note_pids);
    pool = open_pool(&pool_processes, CREW);
    for (int i = 1; i <= CREW; i++)
        while (atomic_load(&pids[i]) == 0) {
            expect(clock_left(end) > 0);
            clock_sleep(0.0005);
        }
    return pool;
}

/* Kills so many, and waits until the pool knows. */
static void kill_some(int count)
{
    double end = clock_deadline(PATIENCE);

    for (int i = 1; i <= count; i++) {
        expect_int(kill(atomic_load(&pids[i]), SIGKILL), 0);
        while (atomic_load(&pids[i]) != 0) {
            expect(clock_left(end) > 0);
            clock_sleep(0.0005);
        }
    }
}

static void go_on_with_fewer(const void *kind)
{
    struct future *futures[CREW];
    struct pool *pool = open_crew();

    (void)kind;
    set_limit(RLIMIT_NPROC, 1);
    kill_some(CREW - 1);
    for (int i = 0; i < 200; i++)
        expect_int(take_int(submit_int(pool, twice, i)), 2 * i);

    /* It is tried again: all four are there at the same time. */
    set_limit(RLIMIT_NPROC, 100);
    for (int i = 0; i < CREW; i++)
        futures[i] = submit_int(pool, twice_at_gate, i);
    await_times(&stage->arrived, CREW);
    post_times(&stage->gate, CREW);
    for (int i = 0; i < CREW; i++)
        expect_int(take_int(futures[i]), 2 * i);
    finish_pool(pool);
    expect_alone();
}

static void a_pool_goes_on_with_fewer_workers(void)
{
    as_a_user_alone(go_on_with_fewer, NULL);
}

struct waiter {
    struct pool *pool;
    int error;
};

static void *apply_again_and_again(void *arg)
{
    struct waiter *waiter = arg;

    do
        waiter->error =
            pool_apply(waiter->pool, count_run, NULL, 0, NULL, 0);
    while (waiter->error == 0);
    return NULL;
}

static void end_without_workers(const void *kind)
{
    struct waiter waiter = {open_crew(), 0};
    struct future *futures[20];
    struct pool *pool = waiter.pool;
    pthread_t thread;

    (void)kind;
    /* A thread counts as well: start it while it may be. */
    thread = start_thread(apply_again_and_again, &waiter);
    set_limit(RLIMIT_NPROC, 1);
    kill_some(CREW);
    for (int i = 0; i < 20; i++)
        futures[i] = pool_submit(pool, count_run, NULL, 0, 0);
    for (int i = 0; i < 20 && futures[i] != NULL; i++) {
        expect_int(future_result(futures[i], NULL, PATIENCE), EAGAIN);
        expect(task_message()[0] != '\0');
        future_free(futures[i]);
    }
    end_thread(thread);
    expect(waiter.error == EAGAIN || waiter.error == EPIPE ||
           waiter.error == EOWNERDEAD);
    errno = 0;
    expect(pool_submit(pool, count_run, NULL, 0, 0) == NULL);
    expect_int(errno, EPIPE);
    pool_close(pool);
    expect_int(pool_join(pool), 0);
    pool_free(pool);
    expect_alone();
    set_limit(RLIMIT_NPROC, 100); /* a leak checker forks */
}

static void a_pool_without_workers_says_so(void)
{
    as_a_user_alone(end_without_workers, NULL);
}

static const struct test tests[] = {
    BOTH(the_number_of_workers_has_a_range),
    BOTH(a_payload_has_a_limit),
    BOTH(as_many_workers_as_allowed_can_be_had),
    BOTH(a_refused_worker_refuses_the_pool),
    TEST(refused_memory_refuses_the_pool),
    BOTH(no_descriptor_is_needed),
    TEST(a_pool_goes_on_with_fewer_workers),
    TEST(a_pool_without_workers_says_so),
    {0}};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
