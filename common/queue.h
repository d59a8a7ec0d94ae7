/*
 * queue.h -- a bounded queue in shared memory.
 *
 * First in, first out, for any number of producers and consumers,
 * threads or processes; all items have one size.  Lesson 03 shows it
 * from outside.  A user that dies at any moment, also inside a call,
 * stops nobody: an item is in the queue wholly or not at all, and the
 * others are not blocked, provided that somebody who learns of the
 * death calls queue_recover.
 *
 * Time limits are those of clock.h.
 */
#ifndef QUEUE_H
#define QUEUE_H

#include <math.h> /* INFINITY */
#include <stdbool.h>
#include <stddef.h>

struct queue;

/*
 * A queue for `capacity` items of `item_size` bytes.  Call it before
 * the fork; the children use the same pointer.  NULL and errno:
 * EINVAL when either is 0 or the product too large, ENOMEM.
 */
struct queue *queue_create(size_t capacity, size_t item_size);

/* Nobody may use it any more.  NULL is allowed. */
void queue_destroy(struct queue *queue);

/*
 * Appends a copy of the item; waits while the queue is full.  Returns
 * 0, ETIMEDOUT, or EPIPE when the queue is closed.
 */
int queue_put(struct queue *queue, const void *item, double timeout);

/*
 * Takes the first item; waits while the queue is empty.  The item is
 * copied to `item` before it leaves the queue: a taker that dies
 * leaves it in the queue or in `item`, perhaps in both.  Returns 0,
 * ETIMEDOUT, or EPIPE when the queue is closed and empty.
 */
int queue_get(struct queue *queue, void *item, double timeout);

/*
 * Takes out the first item that is equal, byte for byte, wherever it
 * stands.  Returns whether there was one.  A caller that dies in the
 * middle of it can leave another item in the queue twice.
 */
bool queue_remove(struct queue *queue, const void *item);

/* No more puts; gets go on until it is empty.  May be repeated. */
void queue_close(struct queue *queue);

/* How many items it holds now: 0 to the capacity. */
size_t queue_size(const struct queue *queue);

/*
 * Call it when a process that used the queue has died: the dead may
 * have been woken for an item, or for space, that it did not take.
 * Wakes others in its place.  A call too many does no harm.
 */
void queue_recover(struct queue *queue);

#endif
