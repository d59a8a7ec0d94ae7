/*
 * lock.h -- a mutex in shared memory that survives its holder.
 *
 * For threads and processes alike.  When a process dies inside its
 * critical section, the next to come gets the lock and is told.
 * Lesson 06 shows the parts.
 */
#ifndef LOCK_H
#define LOCK_H

#include <pthread.h>

#include "thread_safety.h"

struct LOCKABLE lock {
    pthread_mutex_t mutex;
};

/* `lock` stands in memory that all its users share.  0 or errno. */
int lock_init(struct lock *lock);

/* Nobody may hold it or wait for it. */
void lock_destroy(struct lock *lock);

/*
 * Waits until the lock is free and takes it.  Returns 0, or
 * EOWNERDEAD: the caller has the lock, and the last holder died with
 * it, so what it protects may be half changed.  The lock itself is
 * sound again.  Not recursive: a holder that asks again waits for
 * itself.
 */
int lock_acquire(struct lock *lock) ACQUIRES(*lock);

/* Only by the holder. */
void lock_release(struct lock *lock) RELEASES(*lock);

#endif
