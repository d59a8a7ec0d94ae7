#include "cpu.h"

#include <sched.h>
#include <stdatomic.h>

/*
 * The affinity mask and not the number of processors of the machine:
 * under `taskset -c 0` a spinning waiter would burn the very CPU that
 * the other side needs.
 */
int cpu_count(void)
{
    cpu_set_t mask;

    if (sched_getaffinity(0, sizeof mask, &mask) != 0)
        return 1;
    return CPU_COUNT(&mask);
}

int cpu_spins(void)
{
    enum { UNKNOWN = -1, SPINS = 500 };
    static atomic_int spins = UNKNOWN;
    int known = atomic_load_explicit(&spins, memory_order_relaxed);

    if (known == UNKNOWN) {
        known = cpu_count() > 1 ? SPINS : 0;
        atomic_store_explicit(&spins, known, memory_order_relaxed);
    }
    return known;
}
