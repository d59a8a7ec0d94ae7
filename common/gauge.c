#include "gauge.h"

int gauge_enter(struct gauge *gauge)
{
    int now = atomic_fetch_add(&gauge->inside, 1) + 1;
    int most = atomic_load(&gauge->most);

    /* A failed exchange loads `most` anew. */
    while (now > most &&
           !atomic_compare_exchange_weak(&gauge->most, &most, now))
        continue;
    return now;
}

void gauge_leave(struct gauge *gauge)
{
    atomic_fetch_sub(&gauge->inside, 1);
}
