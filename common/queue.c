/*
 * The textbook queue, a ring behind a mutex, and two semaphores to
 * sleep on: one for consumers that find it empty, one for producers
 * that find it full.  What the textbook leaves out is death.
 *
 *   - The lock is robust, and each change of the ring is one store to
 *     `first` or `last`, made after the item is copied: there is no
 *     moment at which the ring is half changed, so the next holder of
 *     the lock has nothing to repair.
 *   - A condition variable in shared memory does not survive a waiter
 *     that is killed; a semaphore does.  But the token with which a
 *     sleeper was woken can die with it.  So a token is only a hint to
 *     look again, and queue_recover gives one too many rather than one
 *     too few.
 *
 * The semaphores do not count items.  They could, but then each put
 * would make a system call as long as a sleeper is on its way.
 */
#include "queue.h"

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

#include "clock.h"
#include "cpu.h"
#include "lock.h"
#include "shared.h"

/* Those that wait for the same thing: an item, or a place. */
struct sleepers {
    /* Protected by the queue's lock. */
    unsigned asleep; /* and not woken */
    unsigned coming; /* awake, and about to look */
    sem_t wake;
};

/* What every put and get needs is in the first two cache lines. */
struct queue {
    /* Changed by the holder of the lock, read by anybody. */
    struct lock lock;
    atomic_size_t first; /* how many have been taken, ever */
    atomic_size_t last;  /* how many have been put, ever */
    atomic_bool closed;

    size_t capacity;
    size_t item_size;
    size_t cpus; /* no more can come at once */
    struct sleepers consumers;
    struct sleepers producers;
    unsigned char ring[];
};

static size_t mapping_size(size_t capacity, size_t item_size)
{
    return sizeof(struct queue) + capacity * item_size;
}

struct queue *queue_create(size_t capacity, size_t item_size)
{
    struct queue *queue;

    if (capacity == 0 || item_size == 0 ||
        item_size > (SIZE_MAX / 2) / capacity) {
        errno = EINVAL;
        return NULL;
    }
    queue = shared_alloc(mapping_size(capacity, item_size));
    if (queue == NULL)
        return NULL;
    queue->capacity = capacity;
    queue->item_size = item_size;
    queue->cpus = (size_t)cpu_count();
    sem_init(&queue->consumers.wake, 1, 0);
    sem_init(&queue->producers.wake, 1, 0);
    errno = lock_init(&queue->lock);
    if (errno != 0) {
        queue_destroy(queue);
        return NULL;
    }
    return queue;
}

void queue_destroy(struct queue *queue)
{
    if (queue == NULL)
        return;
    lock_destroy(&queue->lock);
    sem_destroy(&queue->consumers.wake);
    sem_destroy(&queue->producers.wake);
    shared_free(queue, mapping_size(queue->capacity, queue->item_size));
}

static unsigned char *place(struct queue *queue, size_t number)
{
    return queue->ring + number % queue->capacity * queue->item_size;
}

/* Without the lock, many may come and go between the two looks. */
size_t queue_size(const struct queue *queue)
{
    size_t first = atomic_load(&queue->first);
    size_t size = atomic_load(&queue->last) - first;

    return size < queue->capacity ? size : queue->capacity;
}

/* ---------------------------------------------------- the ring -- */

/* The store that ends a change: who sees it sees the item, too. */
static void advance(atomic_size_t *end, size_t from)
{
    atomic_store_explicit(end, from + 1, memory_order_release);
}

static void append(struct queue *queue, const void *item)
    REQUIRES(queue->lock)
{
    size_t last = atomic_load(&queue->last);

    memcpy(place(queue, last), item, queue->item_size);
    advance(&queue->last, last);
}

static void take(struct queue *queue, void *item) REQUIRES(queue->lock)
{
    size_t first = atomic_load(&queue->first);

    memcpy(item, place(queue, first), queue->item_size);
    advance(&queue->first, first);
}

/* Closes the gap from the front, where one store ends it. */
static bool take_out(struct queue *queue, const void *item)
    REQUIRES(queue->lock)
{
    size_t first = atomic_load(&queue->first);
    size_t found = first;

    while (found != atomic_load(&queue->last) &&
           memcmp(place(queue, found), item, queue->item_size) != 0)
        found++;
    if (found == atomic_load(&queue->last))
        return false;
    for (; found != first; found--)
        memcpy(place(queue, found), place(queue, found - 1),
               queue->item_size);
    advance(&queue->first, first);
    return true;
}

/* ------------------------------------------- sleep and wake -- */

static bool can_get(const struct queue *queue)
{
    return queue_size(queue) > 0 || queue->closed;
}

static bool can_put(const struct queue *queue)
{
    return queue_size(queue) < queue->capacity || queue->closed;
}

/* Unless queue_recover has begun to count anew. */
static void has_come(struct sleepers *sleepers)
{
    if (sleepers->coming > 0)
        sleepers->coming--;
}

/*
 * The lock is free meanwhile.  Looks for a short time before anybody
 * sleeps: to wake a sleeper costs more than most tasks.  One at a time,
 * the others would only disturb.
 */
static void look_around(struct queue *queue, struct sleepers *sleepers,
                        bool (*ready)(const struct queue *))
    REQUIRES(queue->lock)
{
    if (sleepers->coming > 0 || cpu_spins() == 0)
        return;
    sleepers->coming++;
    lock_release(&queue->lock);
    for (int look = cpu_spins(); look > 0 && !ready(queue); look--)
        cpu_relax();
    lock_acquire(&queue->lock);
    has_come(sleepers);
}

/*
 * The lock is free while the caller sleeps.  Returns 0, and the caller
 * must look again, or ETIMEDOUT.
 */
static int sleep_among(struct queue *queue, struct sleepers *sleepers,
                       double deadline) REQUIRES(queue->lock)
{
    int error;

    sleepers->asleep++;
    lock_release(&queue->lock);
    error = clock_sem_wait(&sleepers->wake, clock_left(deadline));
    lock_acquire(&queue->lock);
    if (error == 0)
        has_come(sleepers);
    else if (sleepers->asleep > 0)
        sleepers->asleep--;
    return error;
}

/* Until it can be done, or the time is over. */
static void wait_until(struct queue *queue, struct sleepers *sleepers,
                       bool (*ready)(const struct queue *),
                       double timeout) REQUIRES(queue->lock)
{
    double deadline;
    int error = 0;

    if (ready(queue) || !(timeout > 0))
        return;
    deadline = clock_deadline(timeout);
    look_around(queue, sleepers, ready);
    while (error == 0 && !ready(queue))
        error = sleep_among(queue, sleepers, deadline);
}

/*
 * How many to wake when the lock is released.  Those on their way
 * count, and there is no use in more than can run at once: whoever
 * comes calls the next.  So a burst of items makes a system call or
 * two, and not one for each item.
 */
static size_t call_up(struct queue *queue, struct sleepers *sleepers,
                      size_t work) REQUIRES(queue->lock)
{
    size_t most = work < queue->cpus ? work : queue->cpus;
    size_t called = 0;

    while (sleepers->asleep > 0 && sleepers->coming < most) {
        sleepers->asleep--;
        sleepers->coming++;
        called++;
    }
    return called;
}

static void wake(struct sleepers *sleepers, size_t count)
{
    while (count-- > 0)
        sem_post(&sleepers->wake);
}

/*
 * Gives the lock back after a change, and wakes whom it concerns; all,
 * one after another, when it is closed.
 */
static void release(struct queue *queue) RELEASES(queue->lock)
{
    size_t items = queue_size(queue);
    size_t places = queue->capacity - items;
    size_t consumers, producers;

    if (queue->closed)
        items = places = queue->cpus; /* nobody has to wait */
    consumers = call_up(queue, &queue->consumers, items);
    producers = call_up(queue, &queue->producers, places);

    lock_release(&queue->lock);
    wake(&queue->consumers, consumers);
    wake(&queue->producers, producers);
}

/* -------------------------------------------------- put and get -- */

int queue_put(struct queue *queue, const void *item, double timeout)
{
    int error = 0;

    lock_acquire(&queue->lock);
    wait_until(queue, &queue->producers, can_put, timeout);
    if (queue->closed)
        error = EPIPE;
    else if (queue_size(queue) == queue->capacity)
        error = ETIMEDOUT;
    else
        append(queue, item);
    release(queue);
    return error;
}

int queue_get(struct queue *queue, void *item, double timeout)
{
    int error = 0;

    lock_acquire(&queue->lock);
    wait_until(queue, &queue->consumers, can_get, timeout);
    if (queue_size(queue) > 0)
        take(queue, item);
    else
        error = queue->closed ? EPIPE : ETIMEDOUT;
    release(queue);
    return error;
}

bool queue_remove(struct queue *queue, const void *item)
{
    bool found;

    lock_acquire(&queue->lock);
    found = take_out(queue, item);
    release(queue);
    return found;
}

void queue_close(struct queue *queue)
{
    lock_acquire(&queue->lock);
    queue->closed = true;
    release(queue);
}

/*
 * The dead may have been among those that were coming, and its token
 * lost; or it had called others up and died before it woke them, and
 * those sleep uncounted.
 */
void queue_recover(struct queue *queue)
{
    lock_acquire(&queue->lock);
    queue->consumers.coming = 0;
    queue->producers.coming = 0;
    release(queue);
    wake(&queue->consumers, queue->cpus);
    wake(&queue->producers, queue->cpus);
}
