/*
 * mutex.h -- a mutex between threads, whose use clang checks.
 *
 * pthread_mutex_t as it is, in a type of its own that clang knows, see
 * thread_safety.h.  For threads of one process; lock.h is for
 * processes, too.
 */
#ifndef MUTEX_H
#define MUTEX_H

#include <pthread.h>

#include "clock.h"
#include "thread_safety.h"

struct LOCKABLE mutex {
    pthread_mutex_t mutex;
};

/*
 * For sections so short that who finds it taken does better to look
 * again for a moment than to sleep at once.  musl always does so.
 */
static inline void mutex_init(struct mutex *mutex)
{
#ifdef PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP
    static const pthread_mutex_t adaptive =
        PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;

    mutex->mutex = adaptive;
#else
    pthread_mutex_init(&mutex->mutex, NULL); /* can not fail */
#endif
}

/* Nobody may hold it or wait for it. */
static inline void mutex_destroy(struct mutex *mutex)
{
    pthread_mutex_destroy(&mutex->mutex);
}

/* Waits until it is free and takes it.  A holder must not ask again. */
static inline void mutex_lock(struct mutex *mutex)
    ACQUIRES(*mutex) NOT_CHECKED
{
    pthread_mutex_lock(&mutex->mutex);
}

/* Only by the holder. */
static inline void mutex_unlock(struct mutex *mutex)
    RELEASES(*mutex) NOT_CHECKED
{
    pthread_mutex_unlock(&mutex->mutex);
}

/* As clock_cond_wait: the mutex is free meanwhile. */
static inline int mutex_wait(struct mutex *mutex,
                             pthread_cond_t *condition, double deadline)
    REQUIRES(*mutex)
{
    return clock_cond_wait(condition, &mutex->mutex, deadline);
}

#endif
