/*
 * shim.c -- preloaded into a lesson (LD_PRELOAD): makes a call fail.
 *
 *     FAULT=fork FAULT_AT=3 FAULT_ERROR=11
 *         the third fork of the lesson and all of its processes
 *         together fails with errno 11
 *     FAULT_COUNTS=FILE
 *         how often each call was made, in the order of `names`; all
 *         processes share it
 *     FAULT_STORM=1
 *         SIGURG is handled, and interrupts calls; a process that has
 *         no handler yet, after exec, ignores it
 *
 * Preloaded and not injected by strace: that counts the calls of each
 * thread by itself, and many containers forbid it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum call {
    FORK,
    PTHREAD_CREATE,
    MMAP,
    SHM_OPEN,
    SEM_OPEN,
    PIPE,
    SOCKET,
    ACCEPT,
    EPOLL_CREATE,
    WRITE,
    CALLS
};

static const char *const names[CALLS] = {
    "fork", "pthread_create", "mmap",   "shm_open",     "sem_open",
    "pipe", "socket",         "accept", "epoll_create", "write"};

static atomic_int *counts; /* a shared mapping of CALLS numbers */
static enum call failing = CALLS;
static int failing_at, failing_with;

/* The real function of this name. */
#define REAL(name) /* NOLINTNEXTLINE(bugprone-macro-parentheses) */    \
    (__extension__(__typeof__(&name)) dlsym(RTLD_NEXT, #name))

static void ignore(int signal)
{
    (void)signal;
}

static int number_in(const char *variable)
{
    const char *text = getenv(variable);

    return text == NULL ? 0 : (int)strtol(text, NULL, 10);
}

__attribute__((constructor)) static void begin(void)
{
    const char *fault = getenv("FAULT"), *file = getenv("FAULT_COUNTS");
    struct sigaction storm = {.sa_handler = ignore};

    if (getenv("FAULT_STORM") != NULL)
        REAL(sigaction)(SIGURG, &storm, NULL);
    if (file != NULL) {
        int descriptor = open(file, O_RDWR | O_CLOEXEC);
        void *(*map)(void *, size_t, int, int, int, off_t) =
            __extension__(void *(*)(void *, size_t, int, int, int,
                                    off_t)) dlsym(RTLD_NEXT, "mmap");
        void *memory =
            map(NULL, sizeof(atomic_int[CALLS]), PROT_READ | PROT_WRITE,
                MAP_SHARED, descriptor, 0);

        close(descriptor);
        if (memory != MAP_FAILED)
            counts = memory;
    }
    for (int call = 0; call < CALLS && fault != NULL; call++)
        if (strcmp(fault, names[call]) == 0)
            failing = (enum call)call;
    if (failing != CALLS) {
        failing_at = number_in("FAULT_AT");
        failing_with = number_in("FAULT_ERROR");
    }
}

/* Counts the call, and says whether it is the one that fails. */
static bool fails(enum call call)
{
    int number =
        counts == NULL ? 0 : atomic_fetch_add(&counts[call], 1) + 1;

    if (call != failing || number != failing_at)
        return false;
    errno = failing_with;
    return true;
}

pid_t fork(void)
{
    return fails(FORK) ? -1 : REAL(fork)();
}

int pthread_create(pthread_t *restrict thread,
                   const pthread_attr_t *restrict attributes,
                   void *(*run)(void *), void *restrict arg)
{
    if (fails(PTHREAD_CREATE))
        return failing_with;
    return REAL(pthread_create)(thread, attributes, run, arg);
}

void *mmap(void *address, size_t size, int protection, int flags,
           int descriptor, off_t offset)
{
    if (fails(MMAP))
        return MAP_FAILED;
    return REAL(mmap)(address, size, protection, flags, descriptor,
                      offset);
}

/* What the storm sends stays handled, in children, too. */
int sigaction(int number, const struct sigaction *restrict action,
              struct sigaction *restrict before)
{
    if (number == SIGURG && getenv("FAULT_STORM") != NULL)
        action = NULL;
    return REAL(sigaction)(number, action, before);
}

int shm_open(const char *name, int flags, mode_t mode)
{
    return fails(SHM_OPEN) ? -1 : REAL(shm_open)(name, flags, mode);
}

sem_t *sem_open(const char *name, int flags, ...)
{
    va_list values;
    mode_t mode;
    unsigned value;

    va_start(values, flags);
    mode = va_arg(values, mode_t);
    value = va_arg(values, unsigned);
    va_end(values);
    if (fails(SEM_OPEN))
        return SEM_FAILED;
    return REAL(sem_open)(name, flags, mode, value);
}

int pipe(int ends[2])
{
    return fails(PIPE) ? -1 : REAL(pipe)(ends);
}

int pipe2(int ends[2], int flags)
{
    return fails(PIPE) ? -1 : REAL(pipe2)(ends, flags);
}

int socket(int domain, int type, int protocol)
{
    return fails(SOCKET) ? -1 : REAL(socket)(domain, type, protocol);
}

int accept(int listener, struct sockaddr *restrict address,
           socklen_t *restrict size)
{
    return fails(ACCEPT) ? -1 : REAL(accept)(listener, address, size);
}

int accept4(int listener, struct sockaddr *restrict address,
            socklen_t *restrict size, int flags)
{
    if (fails(ACCEPT))
        return -1;
    return REAL(accept4)(listener, address, size, flags);
}

int epoll_create1(int flags)
{
    return fails(EPOLL_CREATE) ? -1 : REAL(epoll_create1)(flags);
}

ssize_t write(int descriptor, const void *bytes, size_t size)
{
    if (descriptor == STDOUT_FILENO && fails(WRITE))
        return -1;
    return REAL(write)(descriptor, bytes, size);
}
