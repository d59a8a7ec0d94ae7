/*
 * checked.h -- system calls that end the program when they fail.
 *
 * Each function is the call of its name without the x.  When that
 * fails, the program ends as check.h says: one line that names the
 * call and the error, and EXIT_REFUSED.  For lessons, where the check
 * would drown the page; the library itself returns errors.
 */
#ifndef CHECKED_H
#define CHECKED_H

#include <pthread.h>
#include <semaphore.h>
#include <stddef.h>
#include <sys/types.h>

#include "process.h"

/* ----------------------------------------------------- threads -- */

/* With default attributes. */
void xpthread_create(pthread_t *thread, void *(*run)(void *),
                     void *arg);
void xpthread_join(pthread_t thread);

void xpthread_mutex_init(pthread_mutex_t *mutex);
void xpthread_mutex_lock(pthread_mutex_t *mutex);
void xpthread_mutex_unlock(pthread_mutex_t *mutex);
void xpthread_mutex_destroy(pthread_mutex_t *mutex);

void xpthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex);
void xpthread_cond_signal(pthread_cond_t *cond);
void xpthread_cond_broadcast(pthread_cond_t *cond);

void xpthread_barrier_init(pthread_barrier_t *barrier, unsigned count);
void xpthread_barrier_wait(pthread_barrier_t *barrier);
void xpthread_barrier_destroy(pthread_barrier_t *barrier);

/* -------------------------------------------------- semaphores -- */

/* `shared` is 1 for processes; it stands in shared memory then. */
void xsem_init(sem_t *semaphore, int shared, unsigned value);
void xsem_wait(sem_t *semaphore); /* goes on after EINTR */
void xsem_post(sem_t *semaphore);
void xsem_destroy(sem_t *semaphore);

/* ------------------------------------------ processes, memory -- */

void xprocess_start(struct process *process, process_function *run,
                    void *arg);
void xprocess_join(struct process *process); /* without a limit */

/* waitpid, which goes on after EINTR. */
pid_t xwaitpid(pid_t pid, int *status, int flags);

/* shared_alloc: memory that this process and its children share. */
void *xshared_alloc(size_t size);

/* malloc, of zeros. */
void *xcalloc(size_t count, size_t size);

/* ------------------------------------------------- descriptors -- */

void xpipe(int ends[2]); /* close-on-exec */
void xclose(int descriptor);

/* All bytes, unless the end comes first.  Returns how many. */
size_t xread(int descriptor, void *bytes, size_t size);
void xwrite(int descriptor, const void *bytes, size_t size);

#endif
