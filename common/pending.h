/*
 * pending.h -- numbers that many report and one takes.
 *
 * A set in shared memory, a bit for each number.  Who adds one never
 * waits and holds no lock, and may die at any moment: the number is in
 * the set or it is not.  To add one that is there already changes
 * nothing, so whoever can not know how far a dead one had come adds
 * its number once more.
 *
 * The kernel notes pending signals in the same way.
 */
#ifndef PENDING_H
#define PENDING_H

#include <stddef.h>

struct pending;

/*
 * For the numbers from 0 to count - 1.  Call it before the fork; the
 * children use the same pointer.  NULL and errno: EINVAL when `count`
 * is not at least 1, ENOMEM.
 */
struct pending *pending_create(int count);

/* Nobody may use it any more.  NULL is allowed. */
void pending_destroy(struct pending *pending);

/*
 * Adds a number, and wakes the taker if that sleeps.  Returns how many
 * have been added, ever.
 */
unsigned pending_add(struct pending *pending, int number);

/*
 * Takes all there are into `numbers`, which has room for `count` of
 * them, in the order in which they were added; waits while there are
 * none.  Returns how many; 0 when the set is closed and empty.  For
 * one thread at a time.
 */
size_t pending_take(struct pending *pending, int *numbers);

/* Nothing more is added: pending_take does not wait any more. */
void pending_close(struct pending *pending);

/*
 * Call it when a process that added numbers has died: it may have been
 * about to wake the taker.  A call too many does no harm.
 */
void pending_recover(struct pending *pending);

#endif
