/*
 * green_internal.h -- what green.c and green_io.c know of each other.
 */
#ifndef GREEN_INTERNAL_H
#define GREEN_INTERNAL_H

#include <stdbool.h>

#include "green.h"

/* ------------------------------------------- green.c, the loop -- */

/* Before all that waits: opens the loop, and 0 if the caller can. */
int loop_begin(void);

/*
 * The same before a call that may not have to wait; who had many of
 * them in a row lets the others run first.
 */
int loop_begin_call(void);

/* Who called.  After loop_begin. */
struct green *loop_self(void);

/*
 * Until somebody wakes the caller (0) or the time is over (ETIMEDOUT).
 * Whoever is woken runs before the loop looks around again.
 */
int loop_pause_until(double deadline);

void loop_wake(struct green *green);

/* -------------------------------- green_io.c, the descriptors -- */

/* One of each thread, from the first wait to the last. */
int watch_open(void); /* 0, or EMFILE and its like */
void watch_close(void);

/* Does anybody wait for a descriptor? */
bool watch_has_waiters(void);

/*
 * Waits for events, at most so many seconds, and wakes who waits for
 * them.  It may come back sooner, after a signal.
 */
void watch_wait(double timeout);

#endif
