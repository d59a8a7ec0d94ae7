/*
 * connections.h -- what the threads of a worker do: they answer HTTP.
 *
 * All threads wait on one epoll set, which holds the listening socket
 * and every connection.  It tells one of them, and once, that there is
 * news of a connection (EPOLLET).  Who hears it first serves the
 * connection, and is the only one until the answer is sent: so there
 * may be many more connections than threads, and a slow answer holds
 * up one thread only.
 *
 * Nobody is waited for: a client has a time limit for each head, one
 * who sends garbage is told so, and hung up on, and one who never
 * reads what it asked for is dropped.  What has no room here stays in
 * the kernel's queue.
 */
#ifndef CONNECTIONS_H
#define CONNECTIONS_H

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "checked.h"
#include "clock.h"
#include "http.h"

enum {
    THREADS_MAX = 16,
    ANSWER_MAX = 512,  /* bytes of an answer */
    SOCKETS_MAX = 1024 /* of a process */
};

/* How long a connection may be silent once all are to end, in s. */
static const double farewell = 2;

/* What a worker's process and others see, in shared memory. */
struct traffic {
    atomic_bool ending;     /* take no more, let go those there are */
    atomic_int connections; /* open now */
    atomic_int accepted, answered;
};

/* Is there such a page?  `thread` counts those of a process from 0. */
typedef bool page_function(struct http_text target, int thread);

struct connection {
    atomic_int news;       /* not looked at; 0: nobody serves it */
    _Atomic double since;  /* when it fell silent or began a head, or
                              INFINITY: it has no time limit now */
    atomic_bool timed_out; /* it has been told to close */
    bool answered;         /* for the last time: it may only go */
    size_t filled;         /* of its head, with what has arrived */
};

static struct {
    int listener, epoll;
    pid_t pid;
    int body_size;   /* of any answer: a status has three digits */
    double patience; /* s that a head may take */
    page_function *page;
    struct traffic *traffic;
    pthread_mutex_t lock; /* held while a socket is opened or closed */
    struct connection connections[SOCKETS_MAX]; /* by their sockets */
    char (*heads)[HTTP_HEAD_MAX];               /* the same */
} worker;

static _Thread_local int thread_number;

/* ----------------------------------------------- they come and go */

/*
 * An arrival wakes the worker that has waited for one longest, if it
 * has a thread to wake.  Who asks anew stands at the end of the queue:
 * so they take turns.  Each also does now and then, for an arrival may
 * have woken one that was killed before it could accept, or that left.
 */
static void ask_for_arrivals(void)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE,
                                .data.fd = worker.listener};

    xpthread_mutex_lock(&worker.lock);
    epoll_ctl(worker.epoll, EPOLL_CTL_DEL, worker.listener, NULL);
    if (!atomic_load(&worker.traffic->ending))
        check_call(epoll_ctl(worker.epoll, EPOLL_CTL_ADD,
                             worker.listener, &event),
                   "epoll_ctl");
    xpthread_mutex_unlock(&worker.lock);
}

/* Tells of news of it, at once if there is some. */
static int watch(int socket, int how)
{
    struct epoll_event event = {
        .events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.fd = socket};

    return epoll_ctl(worker.epoll, how, socket, &event);
}

static void open_connection(int socket)
{
    struct connection *connection = &worker.connections[socket];

    xpthread_mutex_lock(&worker.lock);
    connection->since = clock_now();
    connection->timed_out = connection->answered = false;
    connection->filled = 0;
    connection->news = 0; /* at last, for an event of a former one */
    xpthread_mutex_unlock(&worker.lock);
    atomic_fetch_add(&worker.traffic->accepted, 1);
    check_call(watch(socket, EPOLL_CTL_ADD), "epoll_ctl");
}

static void close_connection(int socket)
{
    xpthread_mutex_lock(&worker.lock);
    worker.connections[socket].since = INFINITY;
    close(socket);
    xpthread_mutex_unlock(&worker.lock);
    atomic_fetch_sub(&worker.traffic->connections, 1);
}

/* Without a descriptor for it, it waits until the next tick. */
static void look_away(void)
{
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
        errno == ENOBUFS)
        epoll_ctl(worker.epoll, EPOLL_CTL_DEL, worker.listener, NULL);
}

/*
 * It is counted before it is accepted, and not accepted at the end: so
 * there is none when the process, at its end, has counted down to 0.
 */
static void accept_connection(void)
{
    int socket = -1;

    errno = 0;
    atomic_fetch_add(&worker.traffic->connections, 1);
    if (!atomic_load(&worker.traffic->ending))
        socket = accept4(worker.listener, NULL, NULL,
                         SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket >= 0) {
        ask_for_arrivals();
        open_connection(socket);
    } else {
        atomic_fetch_sub(&worker.traffic->connections, 1);
        look_away();
    }
}

/*
 * Shuts those that are silent, or in the middle of a head, for too
 * long.  A thread notices, and closes: nobody closes what another one
 * may have taken.
 */
static void expire_connections(void)
{
    double limit = worker.patience, now = clock_now();

    if (atomic_load(&worker.traffic->ending))
        limit = fmin(limit, farewell);
    xpthread_mutex_lock(&worker.lock);
    for (int socket = 0; socket < SOCKETS_MAX; socket++)
        if (now - worker.connections[socket].since >= limit) {
            worker.connections[socket].timed_out = true;
            shutdown(socket, SHUT_RD);
        }
    xpthread_mutex_unlock(&worker.lock);
}

/* ---------------------------------------------------- the answers */

/* False when the client is gone, or never reads. */
static bool send_answer(int socket, enum http_status status, bool body,
                        bool keep_alive)
{
    const char *allow =
        status == HTTP_NOT_ALLOWED ? "Allow: GET, HEAD\r\n" : "";
    char answer[ANSWER_MAX];
    int size = snprintf(answer, sizeof answer,
                        "HTTP/1.1 %d %s\r\n"
                        "Content-Type: text/plain\r\n"
                        "Content-Length: %d\r\n"
                        "%sConnection: %s\r\n\r\n"
                        "%d from worker %d\n",
                        status, http_reason(status), worker.body_size,
                        allow, keep_alive ? "keep-alive" : "close",
                        status, worker.pid);

    if (!body)
        size -= worker.body_size;
    atomic_fetch_add(&worker.traffic->answered, 1);
    return send(socket, answer, (size_t)size, MSG_NOSIGNAL) == size;
}

/* Returns whether the connection may go on. */
static bool answer_request(int socket,
                           const struct http_request *request)
{
    bool keep_alive, found;

    worker.connections[socket].since = INFINITY;
    found = worker.page(request->target, thread_number);
    keep_alive =
        request->keep_alive && !atomic_load(&worker.traffic->ending);
    return send_answer(socket, found ? HTTP_OK : HTTP_NOT_FOUND,
                       !request->is_head, keep_alive) &&
           keep_alive;
}

/*
 * All requests that have arrived.  Returns what is to be done with the
 * rest: HTTP_INCOMPLETE is to wait for more, HTTP_OK that no more is
 * wanted, and anything else is the answer to a bad request.
 */
static enum http_status answer_requests(int socket)
{
    struct connection *connection = &worker.connections[socket];
    char *head = worker.heads[socket];
    struct http_request request;
    enum http_status status;
    bool go_on = true;

    while (go_on && (status = http_parse(head, connection->filled,
                                         &request)) == HTTP_OK) {
        go_on = answer_request(socket, &request);
        connection->filled -= request.size;
        memmove(head, head + request.size, connection->filled);
        connection->since = clock_now();
    }
    return status;
}

/*
 * What the client still sends is read and thrown away: to close a
 * socket with unread bytes resets the connection, and the last answer
 * might be lost.
 */
static void hang_up(int socket)
{
    shutdown(socket, SHUT_WR);
    worker.connections[socket].answered = true;
    worker.connections[socket].filled = 0;
}

/* More of a head has arrived. */
static void read_head(int socket, size_t count)
{
    struct connection *connection = &worker.connections[socket];
    enum http_status status;

    if (connection->filled == 0)
        connection->since = clock_now();
    connection->filled += count;
    status = answer_requests(socket);
    if (status == HTTP_INCOMPLETE)
        return;
    if (status != HTTP_OK)
        send_answer(socket, status, true, false);
    hang_up(socket);
}

/* Takes what there is.  Returns whether the connection is to stay. */
static bool serve_connection(int socket)
{
    struct connection *connection = &worker.connections[socket];
    size_t filled = connection->filled, room = HTTP_HEAD_MAX - filled;
    ssize_t count =
        recv(socket, worker.heads[socket] + filled, room, 0);

    if (count < 0)
        return errno == EAGAIN || errno == EINTR;
    if (connection->timed_out && filled > 0)
        send_answer(socket, HTTP_TIMEOUT, true, false);
    if (connection->timed_out || count == 0)
        return false;
    if ((size_t)count == room)
        atomic_fetch_add(&connection->news, 1); /* there may be more */
    if (!connection->answered)
        read_head(socket, (size_t)count);
    return true;
}

/* ---------------------------------------------------- the threads */

/*
 * There is news of a connection.  If another thread serves it now,
 * that one will see that there is more, and has it told again.  So has
 * who is told of its end, for bytes may come before that.
 */
static void take_news(int socket, uint32_t events)
{
    atomic_int *news = &worker.connections[socket].news;

    if (atomic_fetch_add(news, events == EPOLLIN ? 1 : 2) > 0)
        return;
    if (!serve_connection(socket))
        close_connection(socket);
    else if (atomic_exchange(news, 0) > 1)
        watch(socket, EPOLL_CTL_MOD);
}

/* For as long as the process lives. */
static void *serve_connections(void *number)
{
    struct epoll_event event;

    thread_number = *(const int *)number;
    for (;;) {
        if (epoll_wait(worker.epoll, &event, 1, -1) != 1)
            continue; /* EINTR */
        if (event.data.fd == worker.listener)
            accept_connection();
        else
            take_news(event.data.fd, event.events);
    }
    return NULL;
}

/* Each connection has its place in a table: more there can not be. */
static void limit_descriptors(void)
{
    struct rlimit limit;

    check_call(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    if (limit.rlim_cur > SOCKETS_MAX)
        limit.rlim_cur = SOCKETS_MAX;
    check_call(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
}

/*
 * Serves whoever comes to the listener, which does not block, with so
 * many threads: once in a process, which needs to call connections_tick
 * some times a second, and may end when all connections have.
 */
static void connections_open(int listener, int threads, double patience,
                             page_function *page,
                             struct traffic *traffic)
{
    static int numbers[THREADS_MAX];

    limit_descriptors();
    worker.listener = listener;
    worker.pid = getpid();
    worker.body_size =
        snprintf(NULL, 0, "200 from worker %d\n", worker.pid);
    worker.patience = patience;
    worker.page = page;
    worker.traffic = traffic;
    for (int socket = 0; socket < SOCKETS_MAX; socket++)
        worker.connections[socket].since = INFINITY;
    worker.heads = xcalloc(SOCKETS_MAX, sizeof *worker.heads);
    xpthread_mutex_init(&worker.lock);
    worker.epoll =
        check_call(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    ask_for_arrivals();
    for (int i = 0; i < threads; i++) {
        pthread_t thread; /* nobody joins it: see serve_connections */

        numbers[i] = i;
        xpthread_create(&thread, serve_connections, &numbers[i]);
    }
}

static void connections_tick(void)
{
    ask_for_arrivals();
    expire_connections();
}

#endif
