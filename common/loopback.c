#include "loopback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

static struct sockaddr_in address(int port)
{
    struct sockaddr_in here = {.sin_family = AF_INET};

    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    here.sin_port = htons((in_port_t)port);
    return here;
}

/* A small message does not wait for more to be sent. */
static void send_at_once(int socket)
{
    int on = 1;

    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/*
 * The packet of a reset can get lost, and TCP does not repeat it: the
 * other side is gone then, and its silence looks like any other.  So
 * the kernel asks it every other second whether it is still there.
 */
static void ask_the_silent(int socket)
{
    int on = 1, seconds = 2;

    setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &seconds,
               sizeof seconds);
    setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &seconds,
               sizeof seconds);
}

/* close may change errno. */
static int give_up(int socket)
{
    int error = errno;

    close(socket);
    errno = error;
    return -1;
}

int loopback_listen(int port)
{
    struct sockaddr_in here = address(port);
    int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (listener < 0)
        return -1;
    /* What is left of a former server's connections is in no way. */
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    send_at_once(listener); /* and all that are accepted there */
    ask_the_silent(listener);
    if (bind(listener, (struct sockaddr *)&here, sizeof here) != 0 ||
        listen(listener, SOMAXCONN) != 0)
        return give_up(listener);
    return listener;
}

int loopback_port(int socket)
{
    struct sockaddr_in here = {0};
    socklen_t size = sizeof here;

    getsockname(socket, (struct sockaddr *)&here, &size);
    return ntohs(here.sin_port);
}

/*
 * A connect that a signal interrupted goes on by itself; who calls it
 * again is told EALREADY, or EISCONN when it is done.
 */
int loopback_connect(int port)
{
    struct sockaddr_in there = address(port);
    int result;
    int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connection < 0)
        return -1;
    do
        result = connect(connection, (struct sockaddr *)&there,
                         sizeof there);
    while (result != 0 && (errno == EINTR || errno == EALREADY));
    if (result != 0 && errno != EISCONN)
        return give_up(connection);
    send_at_once(connection);
    return connection;
}

int loopback_send(int socket, const void *bytes, size_t size)
{
    const char *from = bytes;

    while (size > 0) {
        ssize_t count = send(socket, from, size, MSG_NOSIGNAL);

        if (count < 0 && errno != EINTR)
            return errno;
        if (count > 0) {
            from += count;
            size -= (size_t)count;
        }
    }
    return 0;
}

/* In milliseconds, rounded up: what poll waited is not too little. */
static int poll_time(double deadline)
{
    double left = fmin(clock_left(deadline), 3600);

    return (int)ceil(fmax(left, 0) * 1e3);
}

ssize_t loopback_receive(int socket, void *bytes, size_t size,
                         double deadline)
{
    struct pollfd readable = {.fd = socket, .events = POLLIN};

    for (;;) {
        int ready = poll(&readable, 1, poll_time(deadline));
        ssize_t count = recv(socket, bytes, size, MSG_DONTWAIT);

        if (count >= 0 || (errno != EAGAIN && errno != EINTR))
            return count;
        if (ready == 0 && clock_left(deadline) <= 0) {
            errno = ETIMEDOUT;
            return -1;
        }
    }
}

bool loopback_gets(int socket, const char *expected, double deadline)
{
    size_t left = strlen(expected);
    char bytes[256];

    while (left > 0) {
        size_t size = left < sizeof bytes ? left : sizeof bytes;
        ssize_t count = loopback_receive(socket, bytes, size, deadline);

        if (count <= 0 || memcmp(bytes, expected, (size_t)count) != 0)
            return false;
        expected += count;
        left -= (size_t)count;
    }
    return true;
}
