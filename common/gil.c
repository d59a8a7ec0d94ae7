/*
 * gil.c -- the rule of CPython's ceval_gil.c, since 3.2.
 *
 *     waiter                          holder
 *     waits for `freed`, one          runs, and checks `wanted`
 *       interval at most
 *     the time is over, nobody
 *       else has got it: sets
 *       `wanted`, waits again         sees it at the next check
 *                                     drops the lock, signals `freed`,
 *     takes it, clears `wanted`,        waits for `changed`
 *       signals `changed`             waits as any other
 *
 * The wait for `changed` is the forced hand-over.  Without it the
 * holder, which is awake, would have the lock again before a waiter
 * has opened its eyes, and on several cores nobody else would ever
 * run: the trouble of the lock before 3.2.
 */
#include "gil.h"

#include <errno.h>
#include <unistd.h>

#include "clock.h"

int gil_init(struct gil *gil, double interval)
{
    int error;

    if (!(interval > 0))
        return EINVAL;
    *gil = (struct gil){.interval = interval};
    error = pthread_mutex_init(&gil->mutex, NULL);
    if (error != 0)
        return error;
    error = clock_cond_init(&gil->freed);
    if (error != 0)
        goto destroy_mutex;
    error = clock_cond_init(&gil->changed);
    if (error != 0)
        goto destroy_freed;
    return 0;

destroy_freed:
    pthread_cond_destroy(&gil->freed);
destroy_mutex:
    pthread_mutex_destroy(&gil->mutex);
    return error;
}

void gil_destroy(struct gil *gil)
{
    pthread_cond_destroy(&gil->changed);
    pthread_cond_destroy(&gil->freed);
    pthread_mutex_destroy(&gil->mutex);
}

/*
 * One wait, an interval long at most.  Whoever is woken early, or has
 * seen the lock change hands, has no reason to complain, and begins a
 * new interval.
 */
static void wait_an_interval(struct gil *gil)
{
    double deadline = clock_deadline(gil->interval);
    long switches = gil->switches;
    int error = clock_cond_wait(&gil->freed, &gil->mutex, deadline);

    if (error == ETIMEDOUT && gil->held && gil->switches == switches)
        gil->wanted = true;
}

void gil_take(struct gil *gil)
{
    pid_t self = gettid();

    pthread_mutex_lock(&gil->mutex);
    while (gil->held)
        wait_an_interval(gil);
    gil->held = true;
    gil->wanted = false;
    if (gil->last_holder != self) {
        gil->last_holder = self;
        gil->switches++;
        pthread_cond_broadcast(&gil->changed);
    }
    pthread_mutex_unlock(&gil->mutex);
}

/* Who asked is still waiting, so somebody will take it. */
void gil_drop(struct gil *gil)
{
    long switches;

    pthread_mutex_lock(&gil->mutex);
    switches = gil->switches;
    gil->held = false;
    pthread_cond_signal(&gil->freed);
    while (gil->wanted && gil->switches == switches)
        pthread_cond_wait(&gil->changed, &gil->mutex);
    pthread_mutex_unlock(&gil->mutex);
}
