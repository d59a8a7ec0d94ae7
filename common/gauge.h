/*
 * gauge.h -- how many are inside now, and the most there ever were.
 *
 * For threads, and for processes when it stands in memory that they
 * share.  All 0 is a gauge that nobody has passed yet.
 */
#ifndef GAUGE_H
#define GAUGE_H

#include <stdatomic.h>

struct gauge {
    atomic_int inside;
    atomic_int most;
};

/* One more is inside.  Returns how many there are now. */
int gauge_enter(struct gauge *gauge);

/* One has left. */
void gauge_leave(struct gauge *gauge);

#endif
