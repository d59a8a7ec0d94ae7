/*
 * clock.h -- time, time limits, and waiting with one.
 *
 * Times are seconds in a double, from the clock that nobody sets back
 * (CLOCK_MONOTONIC).  One rule for every time limit in the library:
 *
 *     INFINITY      wait for ever
 *     0 or less     do not wait, only look
 *     otherwise     wait at least that many seconds, then ETIMEDOUT
 *
 * Every wait goes on after an interrupting signal (EINTR).
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

/* Seconds since some fixed moment before the program began. */
double clock_now(void);

/*
 * A time limit as a moment on clock_now, and what is left of it: for
 * calls that have to wait more than once.  INFINITY stays INFINITY.
 */
double clock_deadline(double timeout);
double clock_left(double deadline);

/* Sleeps for at least `seconds`; does not sleep for 0 or less. */
void clock_sleep(double seconds);

/*
 * What the wall clock will show in `seconds`: for the calls whose time
 * limit is a time of day, as pthread_mutex_timedlock.
 */
struct timespec clock_time_of_day(double seconds);

/*
 * Takes one from the semaphore, or sleeps until there is one; also
 * when who posts it is killed before it wakes the caller, who then
 * finds it within a second.  Returns 0 or ETIMEDOUT.
 */
int clock_sem_wait(sem_t *semaphore, double timeout);

/* Initialises a condition variable for clock_cond_wait.  0 or errno. */
int clock_cond_init(pthread_cond_t *condition);

/*
 * Waits on the condition until `deadline`, a clock_now() time or
 * INFINITY.  Returns 0 (look at the predicate again) or ETIMEDOUT.
 */
int clock_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                    double deadline);

#endif
