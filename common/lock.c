/*
 * "Robust" makes the kernel note the holder's death in the mutex, and
 * the next pthread_mutex_lock return EOWNERDEAD.  What the mutex
 * protects is then the caller's to repair; the mutex is made usable
 * again here, since a lock that is not says ENOTRECOVERABLE for ever.
 *
 * One death goes unnoticed: that of a waiter which release has just
 * woken.  When somebody else takes the free lock before it could, no
 * trace of those who still sleep is left in the mutex, and its next
 * release wakes nobody.  So a sleeper looks again now and then.
 */
#include "lock.h"

#include <errno.h>

#include "clock.h"
#include "cpu.h"

/* ThreadSanitizer 12 does not know this end of timedlock. */
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#define tell_sanitizer(mutex)                                          \
    (__tsan_mutex_pre_lock(mutex, 0),                                  \
     __tsan_mutex_post_lock(mutex, 0, 0))
#else
#define tell_sanitizer(mutex) (void)(mutex)
#endif

int lock_init(struct lock *lock)
{
    pthread_mutexattr_t attributes;
    int error = pthread_mutexattr_init(&attributes);

    if (error != 0)
        return error;
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    error = pthread_mutex_init(&lock->mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return error;
}

void lock_destroy(struct lock *lock)
{
    pthread_mutex_destroy(&lock->mutex);
}

/* For a moment: most sections are shorter than a sleep. */
static int look_again(pthread_mutex_t *mutex)
{
    int error = EBUSY;

    for (int look = cpu_spins(); look > 0 && error == EBUSY; look--) {
        cpu_relax();
        error = pthread_mutex_trylock(mutex);
    }
    return error;
}

static int acquire_in_slices(pthread_mutex_t *mutex)
{
    int error;

    do {
        struct timespec slice = clock_time_of_day(0.1);

        error = pthread_mutex_timedlock(mutex, &slice);
    } while (error == ETIMEDOUT);
    if (error == EOWNERDEAD)
        tell_sanitizer(mutex);
    return error;
}

int lock_acquire(struct lock *lock) NOT_CHECKED
{
    int error = pthread_mutex_trylock(&lock->mutex);

    if (error == EBUSY)
        error = look_again(&lock->mutex);
    if (error == EBUSY)
        error = acquire_in_slices(&lock->mutex);
    if (error == EOWNERDEAD)
        pthread_mutex_consistent(&lock->mutex);
    return error;
}

void lock_release(struct lock *lock) NOT_CHECKED
{
    pthread_mutex_unlock(&lock->mutex);
}
