#include "checked.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"
#include "shared.h"

/* ----------------------------------------------------- threads -- */

void xpthread_create(pthread_t *thread, void *(*run)(void *), void *arg)
{
    check_error(pthread_create(thread, NULL, run, arg),
                "pthread_create");
}

void xpthread_join(pthread_t thread)
{
    check_error(pthread_join(thread, NULL), "pthread_join");
}

void xpthread_mutex_init(pthread_mutex_t *mutex)
{
    check_error(pthread_mutex_init(mutex, NULL), "pthread_mutex_init");
}

void xpthread_mutex_lock(pthread_mutex_t *mutex)
{
    check_error(pthread_mutex_lock(mutex), "pthread_mutex_lock");
}

void xpthread_mutex_unlock(pthread_mutex_t *mutex)
{
    check_error(pthread_mutex_unlock(mutex), "pthread_mutex_unlock");
}

void xpthread_mutex_destroy(pthread_mutex_t *mutex)
{
    check_error(pthread_mutex_destroy(mutex), "pthread_mutex_destroy");
}

void xpthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    check_error(pthread_cond_wait(cond, mutex), "pthread_cond_wait");
}

void xpthread_cond_signal(pthread_cond_t *cond)
{
    check_error(pthread_cond_signal(cond), "pthread_cond_signal");
}

void xpthread_cond_broadcast(pthread_cond_t *cond)
{
    check_error(pthread_cond_broadcast(cond), "pthread_cond_broadcast");
}

void xpthread_barrier_init(pthread_barrier_t *barrier, unsigned count)
{
    check_error(pthread_barrier_init(barrier, NULL, count),
                "pthread_barrier_init");
}

/* One of the waiters is told that it is the one; nobody here asks. */
void xpthread_barrier_wait(pthread_barrier_t *barrier)
{
    int error = pthread_barrier_wait(barrier);

    if (error != PTHREAD_BARRIER_SERIAL_THREAD)
        check_error(error, "pthread_barrier_wait");
}

void xpthread_barrier_destroy(pthread_barrier_t *barrier)
{
    check_error(pthread_barrier_destroy(barrier),
                "pthread_barrier_destroy");
}

/* -------------------------------------------------- semaphores -- */

void xsem_init(sem_t *semaphore, int shared, unsigned value)
{
    check_call(sem_init(semaphore, shared, value), "sem_init");
}

void xsem_wait(sem_t *semaphore)
{
    int result;

    do
        result = sem_wait(semaphore);
    while (result != 0 && errno == EINTR);
    check_call(result, "sem_wait");
}

void xsem_post(sem_t *semaphore)
{
    check_call(sem_post(semaphore), "sem_post");
}

void xsem_destroy(sem_t *semaphore)
{
    check_call(sem_destroy(semaphore), "sem_destroy");
}

/* ------------------------------------------ processes, memory -- */

void xprocess_start(struct process *process, process_function *run,
                    void *arg)
{
    check_error(process_start(process, run, arg), "fork");
}

void xprocess_join(struct process *process)
{
    check_error(process_join(process, INFINITY), "waitpid");
}

pid_t xwaitpid(pid_t pid, int *status, int flags)
{
    pid_t ended;

    do
        ended = waitpid(pid, status, flags);
    while (ended < 0 && errno == EINTR);
    return check_call(ended, "waitpid");
}

void *xshared_alloc(size_t size)
{
    return check_pointer(shared_alloc(size), "mmap");
}

void *xcalloc(size_t count, size_t size)
{
    return check_pointer(calloc(count, size), "calloc");
}

/* ------------------------------------------------- descriptors -- */

void xpipe(int ends[2])
{
    check_call(pipe2(ends, O_CLOEXEC), "pipe");
}

void xclose(int descriptor)
{
    check_call(close(descriptor), "close");
}

size_t xread(int descriptor, void *bytes, size_t size)
{
    size_t done = 0;

    while (done < size) {
        ssize_t count =
            read(descriptor, (char *)bytes + done, size - done);

        if (count == 0)
            break;
        if (count < 0 && errno == EINTR)
            continue;
        check_call((int)count, "read");
        done += (size_t)count;
    }
    return done;
}

void xwrite(int descriptor, const void *bytes, size_t size)
{
    size_t done = 0;

    while (done < size) {
        ssize_t count =
            write(descriptor, (const char *)bytes + done, size - done);

        if (count < 0 && errno == EINTR)
            continue;
        check_call((int)count, "write");
        done += (size_t)count;
    }
}
