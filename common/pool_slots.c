/*
 * The slots of a pool, and the backlog that waits for one.
 *
 * Free slots are a stack: the one used last is still in the cache, and
 * a slot that was never needed takes no memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cpu.h"
#include "pool_internal.h"

struct slot *pool_slot(struct pool *pool, int number)
{
    return &pool->floor->slots[number];
}

/* Where the results begin, behind so many bytes of arguments. */
static size_t results_at(const struct job *job)
{
    size_t unit = alignof(max_align_t);
    size_t args = job->count * job->arg_size;

    return (args + unit - 1) / unit * unit;
}

unsigned char *pool_results(struct slot *slot)
{
    return slot->payload + results_at(&slot->job);
}

const struct outcome *pool_outcome(const struct slot *slot)
{
    static const struct outcome success = {0};

    return slot->failed ? &slot->annex->outcome : &success;
}

static struct annex *annex_of(struct pool *pool, int number)
{
    void *annexes = pool_slot(pool, pool->slots);

    return (struct annex *)annexes + number;
}

static unsigned char *payload_of(struct slot *slot)
{
    const struct job *job = &slot->job;
    size_t size = results_at(job) + job->count * job->result_size;

    return size <= sizeof slot->small ? slot->small
                                      : slot->annex->payload;
}

int pool_many(const struct pool *pool)
{
    return pool->slots / 4;
}

void pool_enqueue(struct pool *pool, int number)
{
    queue_put(pool->tasks, &number, INFINITY);
}

/* A token may be left from one who saw that it was done before. */
static void reset_returned(struct slot *slot)
{
    sem_t *returned = &slot->annex->returned;

    if (!slot->has_returned)
        sem_init(returned, 1, 0);
    slot->has_returned = true;
    while (sem_trywait(returned) == 0)
        continue;
}

/* It will be filled soon, as a rule, and was a worker's. */
static void fetch_next_slot(struct pool *pool) REQUIRES(pool->lock)
{
    int next = pool->free_count - 1;

    if (next >= 0)
        cpu_fetch(pool_slot(pool, pool->free_slots[next]),
                  sizeof(struct slot));
}

int pool_start(struct pool *pool, const struct job *job,
               const void *argument, struct future *future)
{
    int number = pool->free_slots[--pool->free_count];
    struct slot *slot = pool_slot(pool, number);
    size_t args = job->count * job->arg_size;

    if (slot->annex == NULL) /* it is read even when the slot is DONE */
        slot->annex = annex_of(pool, number);
    slot->future = future;
    slot->waited_for = future == NULL;
    if (slot->waited_for)
        reset_returned(slot);
    slot->job = *job;
    slot->payload = payload_of(slot);
    /* Nobody looks at these before it is QUEUED. */
    atomic_store_explicit(&slot->failed, false, memory_order_relaxed);
    atomic_store_explicit(&slot->runs, 0, memory_order_relaxed);
    if (args > 0)
        memcpy(slot->payload, argument, args);
    pool_set_state(slot, QUEUED);
    fetch_next_slot(pool);
    return number;
}

bool pool_has_slot(struct pool *pool)
{
    return pool->free_count > 0 && pool->backlog == NULL;
}

void pool_free_slot(struct pool *pool, int number)
{
    struct future *future = pool->backlog;

    pool_set_state(pool_slot(pool, number), FREE);
    pool->free_slots[pool->free_count++] = number;
    if (future == NULL)
        return;
    pool->backlog = future->next;
    if (pool->backlog == NULL)
        pool->backlog_end = &pool->backlog;
    future->slot =
        pool_start(pool, &future->job, future->argument, future);
    pool_enqueue(pool, future->slot); /* rare, so with the lock */
}

int pool_put_aside(struct pool *pool, struct future *future,
                   const void *argument)
{
    size_t args = future->job.count * future->job.arg_size;

    future->argument = malloc(args + 1);
    if (future->argument == NULL)
        return ENOMEM;
    if (args > 0)
        memcpy(future->argument, argument, args);
    future->next = NULL;
    *pool->backlog_end = future;
    pool->backlog_end = &future->next;
    return 0;
}

/* Takes the future out of the backlog, if it is there. */
static bool take_back(struct pool *pool, struct future *future)
    REQUIRES(pool->lock)
{
    struct future **link = &pool->backlog;

    while (*link != NULL && *link != future)
        link = &(*link)->next;
    if (*link == NULL)
        return false;
    *link = future->next;
    if (pool->backlog_end == &future->next)
        pool->backlog_end = link;
    return true;
}

static bool change_state(struct slot *slot, int from, int to)
{
    return atomic_compare_exchange_strong(&slot->state, &from, to);
}

/*
 * If no worker has the number in its hand the slot is free at once;
 * otherwise that worker sends it back.
 */
static bool cancel_slot(struct pool *pool, int number)
    REQUIRES(pool->lock)
{
    struct slot *slot = pool_slot(pool, number);

    if (!change_state(slot, QUEUED, CANCELLED))
        return false;
    slot->future = NULL;
    if (queue_remove(pool->tasks, &number))
        pool_free_slot(pool, number);
    return true;
}

/* Who waits at the slot frees it: the number left behind is stale. */
static void answer_slot(struct slot *slot,
                        const struct outcome *outcome)
{
    if (!change_state(slot, QUEUED, RUNNING_BY(0)))
        return;
    slot->annex->outcome = *outcome;
    slot->failed = true;
    pool_set_state(slot, DONE);
    sem_post(&slot->annex->returned);
}

bool pool_withdraw(struct pool *pool, struct future *future,
                   const struct outcome *outcome)
{
    bool withdrawn = future->slot == NO_SLOT
                         ? take_back(pool, future)
                         : cancel_slot(pool, future->slot);

    if (withdrawn) {
        future->slot = NO_SLOT;
        future_finish(future, outcome);
    }
    return withdrawn;
}

struct future *pool_withdraw_all(struct pool *pool,
                                 const struct outcome *outcome)
{
    struct future *all = NULL, *future;

    while ((future = pool->backlog) != NULL) {
        pool_withdraw(pool, future, outcome);
        future->next = all;
        all = future;
    }
    for (int i = 0; i < pool->slots; i++) {
        struct slot *slot = pool_slot(pool, i);

        future = slot->future;
        if (slot->waited_for) {
            answer_slot(slot, outcome);
        } else if (future != NULL &&
                   pool_withdraw(pool, future, outcome)) {
            future->next = all;
            all = future;
        }
    }
    return all;
}
