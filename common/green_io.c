/*
 * Everybody tries the call first and waits only after EAGAIN.  So it
 * is enough to hear when a descriptor *becomes* readable or writable
 * (EPOLLET): epoll is told of it once, at the first wait, and not
 * again for each.
 *
 * The table has a line for each descriptor, at its number.  An event
 * takes the waiter out of it; one whose time is over does it itself.
 */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "clock.h"
#include "green.h"
#include "green_internal.h"

enum { EVENTS = 256 }; /* taken from epoll at a time */

enum direction { READ, WRITE };

/* A descriptor's line in the table. */
struct line {
    bool known; /* to epoll */
    struct green *waiters[2];
};

static _Thread_local struct watch {
    int epoll;
    struct line *lines;
    size_t size;    /* of the table, in lines */
    size_t waiting; /* green threads */
} watch;

int watch_open(void)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);

    watch = (struct watch){.epoll = epoll};
    return epoll < 0 ? errno : 0;
}

void watch_close(void)
{
    close(watch.epoll);
    free(watch.lines);
    watch.lines = NULL;
    watch.size = 0;
}

bool watch_has_waiters(void)
{
    return watch.waiting > 0;
}

/* ------------------------------------------------------- events -- */

static struct green *take_waiter(int descriptor,
                                 enum direction direction)
{
    struct green **place = &watch.lines[descriptor].waiters[direction];
    struct green *waiter = *place;

    watch.waiting -= waiter != NULL;
    *place = NULL;
    return waiter;
}

static void wake_waiter(int descriptor, enum direction direction)
{
    struct green *waiter = take_waiter(descriptor, direction);

    if (waiter != NULL)
        loop_wake(waiter);
}

/* An error wakes both: the call that they try again will tell. */
void watch_wait(double timeout)
{
    double limit = ceil(fmin(fmax(timeout, 0), 3600) * 1e3);
    struct epoll_event events[EVENTS];
    int count = epoll_wait(watch.epoll, events, EVENTS, (int)limit);

    for (int i = 0; i < count; i++) {
        if ((events[i].events & ~(uint32_t)EPOLLOUT) != 0)
            wake_waiter(events[i].data.fd, READ);
        if ((events[i].events & ~(uint32_t)EPOLLIN) != 0)
            wake_waiter(events[i].data.fd, WRITE);
    }
}

/* -------------------------------------------------------- waits -- */

static int make_room(size_t size)
{
    struct line *lines;

    if (size <= watch.size)
        return 0;
    size = 2 * size + 64;
    lines = realloc(watch.lines, size * sizeof *lines);
    if (lines == NULL)
        return ENOMEM;
    for (size_t i = watch.size; i < size; i++)
        lines[i] = (struct line){0};
    watch.lines = lines;
    watch.size = size;
    return 0;
}

static int make_known(int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET,
                                .data.fd = descriptor};
    int error = make_room((size_t)descriptor + 1);

    if (error != 0 || watch.lines[descriptor].known)
        return error;
    if (epoll_ctl(watch.epoll, EPOLL_CTL_ADD, descriptor, &event) != 0)
        return errno;
    watch.lines[descriptor].known = true;
    return 0;
}

static int wait_for(int descriptor, enum direction direction,
                    double deadline)
{
    int error = make_known(descriptor);

    if (error != 0)
        return error;
    if (watch.lines[descriptor].waiters[direction] != NULL)
        return EBUSY;
    if (clock_left(deadline) <= 0)
        return ETIMEDOUT;
    watch.lines[descriptor].waiters[direction] = loop_self();
    watch.waiting++;
    error = loop_pause_until(deadline);
    if (error != 0)
        take_waiter(descriptor, direction);
    return error;
}

/* -------------------------------------------------------- calls -- */

static bool may_begin(void)
{
    errno = loop_begin_call();
    return errno == 0;
}

/* After a call that failed: true when it is worth another try. */
static bool try_again(int descriptor, enum direction direction,
                      double deadline)
{
    if (errno == EINTR)
        return true;
    if (errno != EAGAIN)
        return false;
    errno = wait_for(descriptor, direction, deadline);
    return errno == 0;
}

ssize_t green_read(int descriptor, void *bytes, size_t size,
                   double timeout)
{
    double deadline = clock_deadline(timeout);
    ssize_t count;

    do
        count = may_begin() ? read(descriptor, bytes, size) : -1;
    while (count < 0 && try_again(descriptor, READ, deadline));
    return count;
}

ssize_t green_write(int descriptor, const void *bytes, size_t size,
                    double timeout)
{
    double deadline = clock_deadline(timeout);
    const char *rest = bytes;

    while (rest < (const char *)bytes + size) {
        size_t left = size - (size_t)(rest - (const char *)bytes);
        ssize_t count =
            may_begin() ? write(descriptor, rest, left) : -1;

        if (count < 0 && !try_again(descriptor, WRITE, deadline))
            return -1;
        rest += count > 0 ? count : 0;
    }
    return (ssize_t)size;
}

/* A client that is gone again before its turn is no error of ours. */
int green_accept(int listener, double timeout)
{
    double deadline = clock_deadline(timeout);
    const int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    int client;

    do
        client =
            may_begin() ? accept4(listener, NULL, NULL, flags) : -1;
    while (client < 0 && (errno == ECONNABORTED ||
                          try_again(listener, READ, deadline)));
    return client;
}

/* Once begun it goes on by itself, also when a signal came. */
int green_connect(int descriptor, const struct sockaddr *address,
                  socklen_t size, double timeout)
{
    double deadline = clock_deadline(timeout);
    int error;
    socklen_t error_size = sizeof error;

    if (!may_begin())
        return -1;
    if (connect(descriptor, address, size) == 0)
        return 0;
    if (errno != EINPROGRESS && errno != EINTR)
        return -1;
    error = wait_for(descriptor, WRITE, deadline);
    if (error == 0)
        getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error,
                   &error_size);
    errno = error;
    return error == 0 ? 0 : -1;
}

int green_close(int descriptor)
{
    if (descriptor >= 0 && (size_t)descriptor < watch.size)
        watch.lines[descriptor].known = false;
    return close(descriptor);
}
