/*
 * pool_help.h -- what the tests of the pool and the future share.
 *
 * A test forces the order of things with a stage: semaphores and
 * counters in memory that worker processes share.  A task that must be
 * running while something else happens says `arrived` and waits at the
 * gate; nobody sleeps and hopes.
 *
 * A wait that takes PATIENCE seconds is a hang.  That is no claim
 * about speed: the longest wait of a sound pool is a small part of it,
 * also on a busy machine.
 */
#ifndef POOL_HELP_H
#define POOL_HELP_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "clock.h"
#include "pool.h"
#include "shared.h"
#include "test.h"

#define PATIENCE 45.0

/* The same test for both kinds. */
#define BOTH(function)                                                 \
    TEST_WITH("threads", &pool_threads, function),                     \
        TEST_WITH("processes", &pool_processes, function)

/* Sanitizers make all slower: long loops are shortened under them. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* ---------------------------------------------------- the stage -- */

struct stage {
    sem_t arrived; /* told by a task that stands at the gate */
    sem_t gate;    /* lets one through for each post */
    atomic_int runs;
};

static struct stage *stage;

/* Never given back: a killed worker may have it in use. */
static inline void set_stage(void)
{
    stage = shared_alloc(sizeof *stage);
    expect(stage != NULL);
    sem_init(&stage->arrived, 1, 0);
    sem_init(&stage->gate, 1, 0);
}

static inline void await(sem_t *semaphore)
{
    expect_int(clock_sem_wait(semaphore, PATIENCE), 0);
}

static inline void await_times(sem_t *semaphore, int times)
{
    for (int i = 0; i < times; i++)
        await(semaphore);
}

static inline void post_times(sem_t *semaphore, int times)
{
    for (int i = 0; i < times; i++)
        sem_post(semaphore);
}

/* ----------------------------------------------------- the tasks -- */

static inline int count_run(const void *arg, void *result)
{
    (void)arg, (void)result;
    atomic_fetch_add(&stage->runs, 1);
    return 0;
}

/* Takes an int and gives twice as much. */
static inline int twice(const void *arg, void *result)
{
    *(int *)result = 2 * *(const int *)arg;
    return 0;
}

/* The same, once it is let through the gate. */
static inline int twice_at_gate(const void *arg, void *result)
{
    sem_post(&stage->arrived);
    await(&stage->gate);
    return twice(arg, result);
}

/* With neither argument nor result. */
static inline int stand_at_gate(const void *arg, void *result)
{
    (void)arg, (void)result;
    sem_post(&stage->arrived);
    await(&stage->gate);
    return 0;
}

/* The argument is its error, and there is no message. */
static inline int fail_with(const void *arg, void *result)
{
    (void)result;
    return *(const int *)arg;
}

/* As if from outside, for a worker process. */
static inline int die(const void *arg, void *result)
{
    (void)arg, (void)result;
    return kill(getpid(), SIGKILL);
}

/* Until a signal ends it. */
static inline int stay(const void *arg, void *result)
{
    (void)arg, (void)result;
    sem_post(&stage->arrived);
    while (pause() != 0)
        continue;
    return 0;
}

/* --------------------------------------------------- pool things -- */

static inline struct pool *open_pool(const void *kind, int workers)
{
    struct pool *pool = pool_open(kind, workers);

    if (pool == NULL)
        test_fail(__FILE__, __LINE__, "pool_open: %s", strerror(errno));
    return pool;
}

/* All is done, and nobody is left. */
static inline void finish_pool(struct pool *pool)
{
    expect_int(pool_close(pool), 0);
    expect_int(pool_join(pool), 0);
    pool_free(pool);
}

static inline bool is_processes(const void *kind)
{
    return kind == &pool_processes;
}

static inline struct future *submit_int(struct pool *pool,
                                        pool_task *task, int number)
{
    struct future *future =
        pool_submit(pool, task, &number, sizeof number, sizeof number);

    expect(future != NULL);
    return future;
}

/* A task that takes nothing and gives nothing. */
static inline struct future *submit_bare(struct pool *pool,
                                         pool_task *task)
{
    struct future *future = pool_submit(pool, task, NULL, 0, 0);

    expect(future != NULL);
    return future;
}

/* The future's result, which must be there in time; frees it. */
static inline int take_int(struct future *future)
{
    int number = 0;

    expect_int(future_result(future, &number, PATIENCE), 0);
    future_free(future);
    return number;
}

static inline void expect_end(struct future *future, int error)
{
    expect_int(future_result(future, NULL, PATIENCE), error);
    future_free(future);
}

/* A worker that does nothing else until the gate opens. */
static inline struct future *block_worker(struct pool *pool)
{
    struct future *future = submit_bare(pool, stand_at_gate);

    await(&stage->arrived);
    return future;
}

/* How many tasks a pool has room for, as pool_submit says. */
static inline int places_of(int workers)
{
    return 4 * workers > 1024 ? 4 * workers : 1024;
}

/* ------------------------------------------------------- threads -- */

static inline int own_tid(void)
{
    return (int)syscall(SYS_gettid);
}

static inline pthread_t start_thread(void *(*run)(void *), void *arg)
{
    pthread_t thread;

    expect_int(pthread_create(&thread, NULL, run, arg), 0);
    return thread;
}

static inline void end_thread(pthread_t thread)
{
    expect_int(pthread_join(thread, NULL), 0);
}

/* "S" sleeping, "R" running, ... as /proc has it; 0 when it is gone. */
static inline char state_of(int tid)
{
    char path[64], text[256] = "";
    const char *end;
    int file;

    snprintf(path, sizeof path, "/proc/%d/task/%d/stat", (int)getpid(),
             tid);
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return 0;
    if (read(file, text, sizeof text - 1) < 0)
        text[0] = '\0';
    close(file);
    end = strrchr(text, ')');
    return end == NULL ? '\0' : end[2];
}

/*
 * Until the thread waits for something.  Where it is used, a thread
 * that sleeps earlier, for another reason, makes the test weaker for
 * this once but never red.
 */
static inline void until_asleep(const atomic_int *tid)
{
    double end = clock_deadline(PATIENCE);

    while (atomic_load(tid) == 0 || state_of(atomic_load(tid)) != 'S') {
        expect(clock_left(end) > 0);
        clock_sleep(0.0005);
    }
}

/* -------------------------------------------------- what is left -- */

/* Of /proc/self/task, say, without "." and "..". */
static inline int entries_of(const char *path)
{
    DIR *directory = opendir(path);
    int count = -2;

    expect(directory != NULL);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

/* There is no child, be it alive or a zombie. */
static inline void expect_childless(void)
{
    expect_int(waitpid(-1, NULL, WNOHANG | __WALL), -1);
    expect_int(errno, ECHILD);
}

/*
 * Nobody is left but the caller.  A thread that was joined may be seen
 * for a moment yet, and a sanitizer may have one of its own.
 */
static inline void expect_alone(void)
{
    double end = clock_deadline(PATIENCE);

    expect_childless();
    while (!SANITIZED && entries_of("/proc/self/task") != 1) {
        expect(clock_left(end) > 0);
        clock_sleep(0.0005);
    }
}

#endif
