/*
 * shared.h -- memory that a process and its children share.
 *
 * The mapping is anonymous: it has no name, so nothing can be left
 * behind in /dev/shm however the program ends, and the size of
 * /dev/shm is no limit.  Children forked after the call see it at the
 * same address, so pointers into it are valid in all of them.  (The
 * POSIX way with a name, for programs that are not related, is shown
 * in lesson 04.)
 */
#ifndef SHARED_H
#define SHARED_H

#include <stddef.h>

/*
 * `size` bytes, all 0, in whole pages that take no room before they
 * are touched.  NULL and errno when it is refused: EINVAL for
 * size 0, ENOMEM for more than the system gives.
 */
void *shared_alloc(size_t size);

/* Unmaps it here; other processes keep their view.  NULL is allowed. */
void shared_free(void *memory, size_t size);

#endif
