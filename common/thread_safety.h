/*
 * thread_safety.h -- what a function does with a lock, for clang.
 *
 *     ACQUIRES(lock)    takes the lock and returns with it
 *     RELEASES(lock)    returns without the lock that the caller had
 *     REQUIRES(lock)    only for a caller that has the lock
 *
 * They stand behind a function's parameters, and clang -Wthread-safety
 * proves them: a path on which a lock stays locked or is taken twice,
 * and a call without the lock that it requires, are warned of.  Other
 * compilers see nothing.
 */
#ifndef THREAD_SAFETY_H
#define THREAD_SAFETY_H

#ifdef __clang__
#define THREAD_SAFETY(attribute) __attribute__((attribute))
#else
#define THREAD_SAFETY(attribute)
#endif

/* A type whose objects are locks. */
#define LOCKABLE THREAD_SAFETY(capability("lock"))

#define ACQUIRES(lock) THREAD_SAFETY(acquire_capability(lock))
#define RELEASES(lock) THREAD_SAFETY(release_capability(lock))
#define REQUIRES(lock) THREAD_SAFETY(requires_capability(lock))

/* For the functions that do it with a lock of another kind. */
#define NOT_CHECKED THREAD_SAFETY(no_thread_safety_analysis)

#endif
