/*
 * From a slot that is done to a task that is settled: result and error
 * go into the future, who waits is woken, callbacks run, and the place
 * in the pool is given back.  Futures come in lists, linked by `next`,
 * so that the pool's lock is taken once for many.
 */
#include <string.h>

#include "cpu.h"
#include "pool_internal.h"

/*
 * Nobody else frees slots or fills them meanwhile.  The number may be
 * an old hint, for a slot that has moved on.
 */
static struct future *future_of(struct pool *pool, int number)
    REQUIRES(pool->lock)
{
    struct slot *slot = pool_slot(pool, number);
    struct future *future = NULL;
    int state = atomic_load(&slot->state);

    if (state == CANCELLED) {
        pool_free_slot(pool, number);
    } else if (state == DONE) {
        future = slot->future; /* none for pool_apply */
        slot->future = NULL;
    }
    return future;
}

static struct future *collect_futures(struct pool *pool,
                                      const int *numbers, size_t count)
{
    struct future *futures = NULL, **end = &futures;

    mutex_lock(&pool->lock);
    for (size_t i = 0; i < count; i++) {
        *end = future_of(pool, numbers[i]);
        if (*end == NULL)
            continue;
        cpu_fetch(*end, sizeof **end);
        end = &(*end)->next;
    }
    *end = NULL;
    mutex_unlock(&pool->lock);
    return futures;
}

static void take_result(struct slot *slot, struct future *future)
{
    memcpy(future->result, pool_results(slot),
           slot->job.count * slot->job.result_size);
    future_finish(future, pool_outcome(slot));
}

void pool_harvest(struct pool *pool, const int *numbers, size_t count)
{
    struct future *futures = collect_futures(pool, numbers, count);
    struct future *future;

    for (future = futures; future != NULL; future = future->next)
        take_result(pool_slot(pool, future->slot), future);
    mutex_lock(&pool->lock);
    for (future = futures; future != NULL; future = future->next) {
        pool_free_slot(pool, future->slot);
        future->slot = NO_SLOT;
    }
    mutex_unlock(&pool->lock);
    if (futures != NULL)
        pool->kind->settle(pool, futures);
}

void pool_harvest_own(struct pool *pool, int number)
{
    struct slot *slot = pool_slot(pool, number);
    struct future *future = NULL;

    cpu_fetch(&pool->lock, POOL_HOT);
    if (atomic_load(&slot->state) == DONE) /* and not cancelled */
        future = slot->future;
    if (future != NULL)
        take_result(slot, future);
    mutex_lock(&pool->lock);
    slot->future = NULL;
    if (future != NULL) {
        future->slot = NO_SLOT;
        future->next = NULL; /* a list of one */
    }
    pool_free_slot(pool, number);
    mutex_unlock(&pool->lock);
    if (future != NULL)
        pool->kind->settle(pool, future);
}

/*
 * Submitters that wait are woken when many places are free: until then
 * the workers have more than enough in the queue, and a switch costs
 * more than a task.  Nobody takes a place before, so the count does get
 * there.  All are woken; who finds none left waits for the next time.
 * The lock is not held then: who wakes up may take the caller's CPU at
 * once, and needs it.
 */
static void give_place_back(struct pool *pool)
{
    int places = atomic_fetch_add(&pool->places, 1) + 1;

    if (places != pool_many(pool) || atomic_load(&pool->held_back) == 0)
        return;
    mutex_lock(&pool->lock); /* who has looked sleeps by now */
    mutex_unlock(&pool->lock);
    pthread_cond_broadcast(&pool->place_free);
}

void pool_one_less(struct pool *pool, bool holds_place)
{
    if (holds_place)
        give_place_back(pool);
    if (atomic_fetch_sub(&pool->unsettled, 1) > 1 ||
        !atomic_load(&pool->closed))
        return;
    mutex_lock(&pool->lock);
    pool_let_go(pool);
    mutex_unlock(&pool->lock);
}

void pool_let_go(struct pool *pool)
{
    if (atomic_load(&pool->unsettled) > 0)
        return;
    queue_close(pool->tasks);
    pthread_cond_broadcast(&pool->idle);
}

/* ------------------------------------------- futures to be freed -- */

/*
 * To free memory that another thread has allocated is slow when both
 * do it all the time.  So futures that nobody holds any more are put
 * aside, and each submitter frees one, whose memory its next future
 * gets.  What is left is freed with the pool.
 */
static void put_aside(struct pool *pool, struct future *future)
{
    future->next = atomic_load(&pool->retired);
    while (!atomic_compare_exchange_weak(&pool->retired, &future->next,
                                         future))
        continue;
}

/* The list is taken as a whole: nobody can mistake its first. */
struct future *pool_next_to_free(struct pool *pool)
{
    struct future *future;

    if (pool->to_free == NULL && atomic_load(&pool->retired) != NULL)
        pool->to_free = atomic_exchange(&pool->retired, NULL);
    future = pool->to_free;
    if (future != NULL)
        pool->to_free = future->next;
    if (pool->to_free != NULL) /* the next submitter's */
        cpu_fetch(pool->to_free, sizeof *future);
    return future;
}

void pool_free_retired(struct pool *pool)
{
    struct future *future;

    mutex_lock(&pool->lock);
    while ((future = pool_next_to_free(pool)) != NULL)
        future_destroy(future);
    mutex_unlock(&pool->lock);
}

void pool_retire(struct pool *pool, struct future *future)
{
    bool held_place = future->holds_place;

    if (future_release(future))
        put_aside(pool, future);
    pool_one_less(pool, held_place);
}

/* ------------------------------------------------- callbacks -- */

/* Whoever runs a callback serves the pool meanwhile. */
void pool_call_back(struct pool *pool, struct future *future)
{
    struct service service;

    pool_serve(&service, pool);
    future_run_callbacks(future);
    pool_serve_no_more(&service);
    pool_retire(pool, future);
}

void pool_call_back_all(struct pool *pool, struct future *futures)
{
    struct future *next;

    for (; futures != NULL; futures = next) {
        next = futures->next;
        pool_call_back(pool, futures);
    }
}
