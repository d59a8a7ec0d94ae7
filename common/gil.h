/*
 * gil.h -- a global interpreter lock, with CPython's rule.
 *
 * One thread at a time runs in the interpreter.  Who holds the lock
 * keeps it until it waits for something, or until another thread asks
 * for it; and another asks only after it has waited for the switch
 * interval in vain.  The holder looks at its next check whether
 * somebody asks; if so it gives the lock up, and comes back only after
 * another thread has really taken it.
 *
 *     gil_take(gil);
 *     for (each instruction) {
 *         gil_check(gil);              often, so it costs one load
 *         ...
 *         gil_drop(gil);               around whatever may wait
 *         read(...);
 *         gil_take(gil);
 *     }
 *     gil_drop(gil);
 *
 * For the threads of one process.
 */
#ifndef GIL_H
#define GIL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

struct gil {
    double interval;        /* in seconds; CPython's is 0.005 */
    atomic_long switches;   /* takes by another than the last holder */
    pthread_cond_t freed;   /* a holder has dropped it */
    pthread_cond_t changed; /* another thread has taken it */
    pthread_mutex_t mutex;  /* protects the next two */
    pid_t last_holder;      /* its tid, 0 before the first */
    bool held;
    atomic_bool wanted; /* a waiter asks the holder to give it up */
};

/*
 * `interval` is in seconds, as in sys.setswitchinterval: more than 0.
 * Returns 0, EINVAL, or the error of the parts.
 */
int gil_init(struct gil *gil, double interval);

/* Nobody may hold it or wait for it. */
void gil_destroy(struct gil *gil);

/* Waits for the lock and takes it.  A holder must not ask again. */
void gil_take(struct gil *gil);

/*
 * Gives the lock up.  If somebody has asked for it, this returns only
 * when another thread has it.  Only by the holder.
 */
void gil_drop(struct gil *gil);

/* Has a waiter asked for the lock?  CPython's "eval breaker". */
static inline bool gil_wanted(struct gil *gil)
{
    return atomic_load_explicit(&gil->wanted, memory_order_relaxed);
}

/* Between two instructions: gives way when asked, and comes back. */
static inline void gil_check(struct gil *gil)
{
    if (gil_wanted(gil)) {
        gil_drop(gil);
        gil_take(gil);
    }
}

#endif
