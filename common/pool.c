/*
 * A pool's life: open, close, terminate, join, free.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "pool_internal.h"
#include "shared.h"

static _Thread_local const struct service *service_here;
static _Atomic(pool_observer *) observer_of_all;

/* ------------------------------------------ whose pool is it? -- */

/*
 * A forked child has copies of its parent's pools, which it must not
 * use.  Counting forks costs nothing; getpid is a system call.
 */
static int forks;
static pthread_once_t counting = PTHREAD_ONCE_INIT;
static int counting_error;

static void count_fork(void)
{
    forks++;
}

static void start_counting(void)
{
    counting_error = pthread_atfork(NULL, NULL, count_fork);
}

bool pool_is_ours(const struct pool *pool)
{
    return pool->forks == forks;
}

void pool_serve(struct service *service, const struct pool *pool)
{
    service->pool = pool;
    service->outer = service_here;
    service_here = service;
}

void pool_serve_no_more(const struct service *service)
{
    service_here = service->outer;
}

bool pool_is_served_here(const struct pool *pool)
{
    const struct service *service = service_here;

    while (service != NULL && service->pool != pool)
        service = service->outer;
    return service != NULL;
}

const char *pool_kind_name(const struct pool_kind *kind)
{
    return kind->name;
}

void pool_observe(pool_observer *observer)
{
    atomic_store(&observer_of_all, observer);
}

void pool_notify(enum pool_event event, int worker, uint64_t task)
{
    pool_observer *observer =
        atomic_load_explicit(&observer_of_all, memory_order_acquire);

    if (observer != NULL)
        observer(event, worker, task);
}

/* ----------------------------------------------- open and close -- */

static size_t floor_size(int slots)
{
    return sizeof(struct floor) +
           (size_t)slots * (sizeof(struct slot) + sizeof(struct annex));
}

/* Copes with a pool that is half built. */
static void destroy(struct pool *pool)
{
    pool_free_retired(pool);
    queue_destroy(pool->tasks);
    shared_free(pool->floor, floor_size(pool->slots));
    free(pool->free_slots);
    pthread_cond_destroy(&pool->idle);
    pthread_cond_destroy(&pool->place_free);
    mutex_destroy(&pool->lock);
    free(pool);
}

static int build(struct pool *pool)
{
    size_t slots = (size_t)pool->slots;

    mutex_init(&pool->lock);
    clock_cond_init(&pool->place_free);
    pthread_cond_init(&pool->idle, NULL);
    pthread_once(&counting, start_counting);
    if (counting_error != 0)
        return counting_error;
    pool->forks = forks;
    pool->backlog_end = &pool->backlog;
    pool->places = pool->slots;
    pool->floor = shared_alloc(floor_size(pool->slots));
    pool->free_slots = calloc(slots, sizeof *pool->free_slots);
    /* Twice: the number of a slot may stand there more than once. */
    pool->tasks = queue_create(2 * slots, sizeof(int));
    if (pool->floor == NULL || pool->free_slots == NULL ||
        pool->tasks == NULL)
        return ENOMEM;
    for (int i = pool->slots - 1; i >= 0; i--)
        pool->free_slots[pool->free_count++] = i;
    for (int i = 0; i < pool->workers; i++)
        atomic_store(&pool->floor->workers[i].slot, NO_SLOT);
    return 0;
}

struct pool *pool_open_with(const struct pool_kind *kind, int workers,
                            const struct pool_options *options)
{
    struct pool *pool;

    if (workers < 1 || workers > POOL_WORKERS_MAX ||
        options->tasks_per_worker < 0) {
        errno = EINVAL;
        return NULL;
    }
    pool = aligned_alloc(alignof(struct pool), sizeof *pool);
    if (pool == NULL)
        return NULL;
    memset(pool, 0, sizeof *pool);
    pool->kind = kind;
    pool->workers = workers;
    pool->options = *options;
    pool->slots = 4 * workers > 1024 ? 4 * workers : 1024;
    errno = build(pool);
    if (errno == 0)
        errno = kind->start(pool);
    if (errno != 0) {
        int error = errno;

        destroy(pool);
        errno = error;
        return NULL;
    }
    return pool;
}

struct pool *pool_open(const struct pool_kind *kind, int workers)
{
    const struct pool_options usual = {0};

    return pool_open_with(kind, workers, &usual);
}

static void close_entrance(struct pool *pool) REQUIRES(pool->lock)
{
    pool->closed = true;
    pthread_cond_broadcast(&pool->place_free);
    pool_let_go(pool);
}

int pool_close(struct pool *pool)
{
    if (!pool_is_ours(pool))
        return EPERM;
    mutex_lock(&pool->lock);
    close_entrance(pool);
    mutex_unlock(&pool->lock);
    return 0;
}

/*
 * The first reason counts: what is dropped later has the same.  Returns
 * the futures whose callbacks are still to be run.
 */
static struct future *drop(struct pool *pool, int error,
                           const char *reason)
{
    struct outcome *outcome = &pool->dropped;
    struct future *futures;

    mutex_lock(&pool->lock);
    if (!pool->terminated) {
        outcome->error = error;
        outcome->cancelled = true;
        snprintf(outcome->message, sizeof outcome->message, "%s",
                 reason);
    }
    pool->terminated = true;
    close_entrance(pool);
    futures = pool_withdraw_all(pool, outcome);
    mutex_unlock(&pool->lock);
    return futures;
}

void pool_drop(struct pool *pool, int error, const char *reason)
{
    pool->kind->settle(pool, drop(pool, error, reason));
}

void pool_break(struct pool *pool, const struct outcome *why)
{
    char reason[TASK_MESSAGE_MAX];

    /* "%.99s" so that the compiler sees that it fits. */
    snprintf(reason, sizeof reason, "%s: %.99s",
             pool->options.initializer != NULL
                 ? "the initializer failed"
                 : "workers die before their first task",
             why->message);
    pool_drop(pool, why->error, reason);
}

int pool_cancel(struct pool *pool)
{
    if (!pool_is_ours(pool))
        return EPERM;
    pool_call_back_all(pool,
                       drop(pool, ECANCELED, "the pool was cancelled"));
    return 0;
}

int pool_terminate(struct pool *pool)
{
    if (!pool_is_ours(pool))
        return EPERM;
    pool_call_back_all(
        pool, drop(pool, ECANCELED, "the pool was terminated"));
    mutex_lock(&pool->lock);
    pool->stopped = true;
    mutex_unlock(&pool->lock);
    pool->kind->stop(pool);
    return 0;
}

bool pool_needs_workers(struct pool *pool)
{
    bool needed;

    mutex_lock(&pool->lock);
    needed =
        !pool->terminated && (!pool->closed || pool->unsettled > 0);
    mutex_unlock(&pool->lock);
    return needed;
}

int pool_join(struct pool *pool)
{
    int error = 0;

    if (!pool_is_ours(pool))
        return EPERM;
    if (pool_is_served_here(pool))
        return EDEADLK;
    mutex_lock(&pool->lock);
    if (!pool->closed)
        error = EBUSY;
    while (error == 0 && !pool->joined &&
           (pool->joining || pool->unsettled > 0))
        mutex_wait(&pool->lock, &pool->idle, INFINITY);
    if (error == 0 && !pool->joined) {
        pool->joining = true;
        mutex_unlock(&pool->lock);
        pool->kind->join(pool);
        mutex_lock(&pool->lock);
        pool->joined = true;
        pthread_cond_broadcast(&pool->idle);
    }
    mutex_unlock(&pool->lock);
    return error;
}

/* A forked child's copy has its locks in memory that all share. */
void pool_free(struct pool *pool)
{
    if (pool == NULL || !pool_is_ours(pool))
        return;
    if (!pool->joined) {
        pool_terminate(pool);
        pool_join(pool);
    }
    destroy(pool);
}
