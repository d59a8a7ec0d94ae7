/*
 * Semaphores in POSIX.1-2008 take their time limit from the wall
 * clock, which can be set.  The limit is therefore kept on the
 * monotonic clock, and the wall clock only says when to look again.
 *
 * And who sleeps has to look again: a process that is killed in
 * sem_post may have counted up and woken nobody, and with musl the
 * next sem_post, which finds the count above 0, wakes nobody either.
 */
#include "clock.h"

#include <errno.h>

/* Longer waits are cut in pieces: time_t holds every piece. */
static const double PIECE = 3600;

/* From one look at a semaphore to the next. */
static const double SLICE = 1;

static struct timespec to_timespec(double seconds)
{
    struct timespec time = {.tv_sec = (time_t)seconds};

    time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
    return time;
}

static double on_clock(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

double clock_now(void)
{
    return on_clock(CLOCK_MONOTONIC);
}

double clock_deadline(double timeout)
{
    return timeout == INFINITY ? INFINITY : clock_now() + timeout;
}

double clock_left(double deadline)
{
    return deadline == INFINITY ? INFINITY : deadline - clock_now();
}

void clock_sleep(double seconds)
{
    double deadline = clock_deadline(seconds);
    double left;

    while ((left = clock_left(deadline)) > 0) {
        struct timespec pause = to_timespec(fmin(left, PIECE) + 1e-9);

        nanosleep(&pause, NULL);
    }
}

struct timespec clock_time_of_day(double seconds)
{
    return to_timespec(on_clock(CLOCK_REALTIME) + seconds);
}

int clock_sem_wait(sem_t *semaphore, double timeout)
{
    double deadline, left;

    if (sem_trywait(semaphore) == 0)
        return 0;
    if (timeout <= 0)
        return ETIMEDOUT;
    deadline = clock_deadline(timeout);
    while ((left = clock_left(deadline)) > 0) {
        struct timespec wall = clock_time_of_day(fmin(left, SLICE));

        if (sem_timedwait(semaphore, &wall) == 0)
            return 0;
    }
    return sem_trywait(semaphore) == 0 ? 0 : ETIMEDOUT;
}

int clock_cond_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    int error = pthread_condattr_init(&attributes);

    if (error != 0)
        return error;
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    error = pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
    return error;
}

int clock_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                    double deadline)
{
    struct timespec until;

    if (deadline == INFINITY)
        return pthread_cond_wait(condition, mutex);
    until = to_timespec(fmax(0, fmin(deadline, clock_now() + PIECE)));
    pthread_cond_timedwait(condition, mutex, &until);
    return clock_left(deadline) > 0 ? 0 : ETIMEDOUT;
}
