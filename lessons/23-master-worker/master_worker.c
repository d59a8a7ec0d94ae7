/*
 * master_worker.c -- a web server that survives its workers.
 *
 * A master opens the socket and starts a worker process for each CPU;
 * it serves nobody, and only sees to it that there are workers.  Those
 * have a few threads each, which share all the worker's connections: a
 * thread takes one that has something to say, answers, and gives it
 * back.  The lesson sends a load of requests, kills a worker, replaces
 * all of them under load, and stops the server while it has requests
 * in hand.
 *
 * Look at: who is lost with a killed worker, and who is not when all
 * are replaced.
 * Compare with: 22-socket-server, where a connection costs a thread;
 * 08-pool-callback, whose pool replaces a dead worker as well.
 * Try: --workers 1; --serve, and then curl or wrk.
 *
 * It is longer than most: a server with three layers, and its clients.
 * http.h beside it understands the requests.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checked.h"
#include "clock.h"
#include "cpu.h"
#include "crowd.h"
#include "http.h"
#include "lesson.h"
#include "loopback.h"
#include "process.h"
#include "shared.h"
#include "timeline.h"

enum {
    WORKERS_MAX = 16,
    THREADS_MAX = 16,
    CLIENTS_MAX = 50,
    REQUESTS = 50,           /* of each client */
    SLOTS = 4 * WORKERS_MAX, /* workers, also those that are leaving */
    ANSWER_MAX = 512
};

/* How long a connection may say nothing once it is to end, in s. */
static const double farewell = 2;

static int workers, threads = 2, clients = 8, port, patience = 50;
static int serve;
static int listener;

/* What all processes see, in shared memory. */
static struct board {
    atomic_bool gate; /* open: slow requests end after 1 u */
    struct slot {
        atomic_int pid; /* 0: nobody */
        atomic_bool ready, leaving;
        atomic_int connections; /* open now */
        atomic_int accepted, answered;
        atomic_int in_hand; /* slow requests */
    } slots[SLOTS];
} * board;

/* ------------------------------------------- a worker: connections */

struct connection {
    int socket;
    struct connection *next, **link; /* in the list of all */
    atomic_bool in_hand;             /* a request is being answered */
    _Atomic double since; /* when it fell silent, or began a request */
    bool hung_up;         /* what it still sends is thrown away */
    size_t filled;
    char bytes[HTTP_HEAD_MAX];
};

static struct {
    struct slot *slot;
    int epoll;
    atomic_bool leaving;
    pthread_mutex_t lock;     /* protects the list */
    struct connection *first; /* of all connections */
} worker;

static _Thread_local int thread_number; /* in the worker, from 0 */

/*
 * An arrival wakes the worker that has waited for one longest, if it
 * has a thread to wake.  Who asks anew stands at the end of the queue:
 * so they take turns.  Each also does now and then, for an arrival may
 * have woken one that was killed before it could accept, or that left.
 */
static void ask_for_arrivals(void)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE};

    xpthread_mutex_lock(&worker.lock);
    epoll_ctl(worker.epoll, EPOLL_CTL_DEL, listener, NULL);
    if (!atomic_load(&worker.leaving))
        check_call(
            epoll_ctl(worker.epoll, EPOLL_CTL_ADD, listener, &event),
            "epoll_ctl");
    xpthread_mutex_unlock(&worker.lock);
}

static void add_connection(int socket)
{
    struct connection *connection = malloc(sizeof *connection);
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT,
                                .data.ptr = connection};

    if (connection == NULL) {
        close(socket);
        atomic_fetch_sub(&worker.slot->connections, 1);
        return;
    }
    connection->socket = socket;
    connection->hung_up = false;
    connection->filled = 0;
    atomic_init(&connection->in_hand, false);
    atomic_init(&connection->since, clock_now());
    xpthread_mutex_lock(&worker.lock);
    connection->next = worker.first;
    connection->link = &worker.first;
    if (worker.first != NULL)
        worker.first->link = &connection->next;
    worker.first = connection;
    xpthread_mutex_unlock(&worker.lock);
    atomic_fetch_add(&worker.slot->accepted, 1);
    check_call(epoll_ctl(worker.epoll, EPOLL_CTL_ADD, socket, &event),
               "epoll_ctl");
}

/* Only the thread that has the connection closes it. */
static void close_connection(struct connection *connection)
{
    xpthread_mutex_lock(&worker.lock);
    *connection->link = connection->next;
    if (connection->next != NULL)
        connection->next->link = connection->link;
    close(connection->socket);
    xpthread_mutex_unlock(&worker.lock);
    free(connection);
    atomic_fetch_sub(&worker.slot->connections, 1);
}

/* Until it has something to say again; then any thread may have it. */
static void give_back(struct connection *connection)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT,
                                .data.ptr = connection};

    check_call(epoll_ctl(worker.epoll, EPOLL_CTL_MOD,
                         connection->socket, &event),
               "epoll_ctl");
}

/*
 * It is counted before it is accepted, and not accepted when the
 * worker leaves: so none is in its hands when it goes with no more to
 * count.
 */
static void accept_connection(void)
{
    int socket = -1;

    atomic_fetch_add(&worker.slot->connections, 1);
    errno = EAGAIN;
    if (!atomic_load(&worker.leaving))
        socket =
            accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (socket >= 0) {
        ask_for_arrivals();
        add_connection(socket);
        return;
    }
    atomic_fetch_sub(&worker.slot->connections, 1);
    if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
        clock_sleep(0.01); /* no descriptors: it stays in the queue */
}

/* ----------------------------------------------- a worker: answers */

/* False when the client is gone, or never reads. */
static bool send_answer(struct connection *connection,
                        enum http_status status, bool body,
                        bool keep_alive)
{
    char text[64], answer[ANSWER_MAX];
    int size, length;

    size = snprintf(text, sizeof text, "%d from worker %d\n", status,
                    worker.slot->pid);
    length =
        snprintf(answer, sizeof answer,
                 "HTTP/1.1 %d %s\r\n"
                 "Content-Type: text/plain\r\n"
                 "Content-Length: %d\r\n"
                 "Connection: %s\r\n\r\n%s",
                 status, http_reason(status), size,
                 keep_alive ? "keep-alive" : "close", body ? text : "");
    atomic_fetch_add(&worker.slot->answered, 1);
    return send(connection->socket, answer, (size_t)length,
                MSG_NOSIGNAL) == length;
}

/* In the time line each thread has a row. */
static void name_row(char *row, size_t size, int slot, int thread)
{
    snprintf(row, size, "worker %hd.%hd", (short)(slot + 1),
             (short)(thread + 1));
}

/* A page that takes 1 u, and longer while the lesson wants it to. */
static void be_slow(void)
{
    char row[TIMELINE_NAME_MAX];
    double deadline;

    name_row(row, sizeof row, (int)(worker.slot - board->slots),
             thread_number);
    timeline_begin(row, "slow", 0);
    atomic_fetch_add(&worker.slot->in_hand, 1);
    unit_sleep(1);
    deadline = clock_deadline(10);
    while (!atomic_load(&board->gate) && clock_left(deadline) > 0)
        clock_sleep(0.001);
    atomic_fetch_sub(&worker.slot->in_hand, 1);
    timeline_end(row);
}

static bool answer_request(struct connection *connection,
                           const struct http_request *request)
{
    const struct http_text *target = &request->target;
    enum http_status status = HTTP_OK;
    bool keep_alive;

    atomic_store(&connection->in_hand, true);
    if (http_same(*target, "/slow"))
        be_slow();
    else if (!http_same(*target, "/"))
        status = HTTP_NOT_FOUND;
    keep_alive = request->keep_alive && !atomic_load(&worker.leaving);
    keep_alive &=
        send_answer(connection, status, !request->is_head, keep_alive);
    atomic_store(&connection->in_hand, false);
    return keep_alive;
}

/*
 * All requests that have arrived; returns what is to be done with the
 * rest: HTTP_INCOMPLETE says wait for more, HTTP_OK that no more is
 * wanted, and any other status is an answer to a bad request.
 */
static enum http_status answer_requests(struct connection *connection)
{
    struct http_request request;
    enum http_status status;

    while ((status = http_parse(connection->bytes, connection->filled,
                                &request)) == HTTP_OK) {
        bool more = answer_request(connection, &request);

        connection->filled -= request.size;
        memmove(connection->bytes, connection->bytes + request.size,
                connection->filled);
        atomic_store(&connection->since, clock_now());
        if (!more)
            return HTTP_OK;
    }
    return status;
}

/*
 * No more answers.  Bytes that are not read when it is closed would
 * reset the connection, and the last answer might be lost.
 */
static void hang_up(struct connection *connection)
{
    shutdown(connection->socket, SHUT_WR);
    connection->hung_up = true;
    give_back(connection);
}

/* Its other end is gone, or expire has shut it. */
static void end_connection(struct connection *connection)
{
    bool too_late = atomic_load(&connection->since) == INFINITY;

    if (too_late && connection->filled > 0 && !connection->hung_up)
        send_answer(connection, HTTP_TIMEOUT, true, false);
    close_connection(connection);
}

/* It has something to say, and is this thread's until given back. */
static void serve_connection(struct connection *connection)
{
    size_t before = connection->hung_up ? 0 : connection->filled;
    ssize_t count = recv(connection->socket, connection->bytes + before,
                         sizeof connection->bytes - before, 0);
    enum http_status status;

    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        give_back(connection);
        return;
    }
    if (count <= 0 ||
        (connection->hung_up && connection->since == INFINITY)) {
        end_connection(connection);
        return;
    }
    if (connection->hung_up) {
        give_back(connection);
        return;
    }
    if (before == 0)
        atomic_store(&connection->since, clock_now());
    connection->filled += (size_t)count;
    status = answer_requests(connection);
    if (status == HTTP_INCOMPLETE) {
        give_back(connection);
        return;
    }
    if (status != HTTP_OK)
        send_answer(connection, status, true, false);
    hang_up(connection);
}

/* ------------------------------------------------ a worker: itself */

/* For as long as the process lives. */
static void *serve_connections(void *number)
{
    struct epoll_event event;

    thread_number = *(const int *)number;
    for (;;) {
        if (epoll_wait(worker.epoll, &event, 1, -1) != 1)
            continue; /* EINTR */
        if (event.data.ptr == NULL)
            accept_connection();
        else
            serve_connection(event.data.ptr);
    }
    return NULL;
}

/*
 * Shuts the connections that were silent, or in the middle of a head,
 * for too long (the lesson's own have time, on a busy machine, too).  Their threads notice, and close them: a connection
 * that one thread closes is never in another's hands.
 */
static void expire_connections(void)
{
    double limit = serve ? patience * lesson_unit() : 30;
    double now = clock_now();

    if (atomic_load(&worker.leaving) && limit > farewell)
        limit = farewell;
    xpthread_mutex_lock(&worker.lock);
    for (struct connection *connection = worker.first;
         connection != NULL; connection = connection->next)
        if (!atomic_load(&connection->in_hand) &&
            now - atomic_load(&connection->since) >= limit) {
            atomic_store(&connection->since, INFINITY);
            shutdown(connection->socket, SHUT_RD);
        }
    xpthread_mutex_unlock(&worker.lock);
}

/* None arrive any more; the last of those there are ends the worker. */
static void leave(void)
{
    atomic_store(&worker.leaving, true);
    atomic_store(&worker.slot->leaving, true);
    ask_for_arrivals();
}

static void open_worker(struct slot *slot)
{
    static int numbers[THREADS_MAX];

    worker.slot = slot;
    atomic_store(&slot->pid, getpid());
    xpthread_mutex_init(&worker.lock);
    worker.epoll =
        check_call(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    ask_for_arrivals();
    for (int i = 0; i < threads; i++) {
        pthread_t thread; /* nobody joins it: see serve_connections */

        numbers[i] = i;
        xpthread_create(&thread, serve_connections, &numbers[i]);
    }
    atomic_store(&slot->ready, true);
}

/* Signals are blocked, and are taken when it is their turn. */
static int next_signal(const sigset_t *set, double seconds)
{
    struct timespec limit = {.tv_nsec = (long)(seconds * 1e9)};

    return sigtimedwait(set, NULL, &limit); /* -1: none */
}

static int run_worker(void *slot)
{
    sigset_t stop;

    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    open_worker(slot);
    while (!worker.leaving || worker.slot->connections > 0) {
        double tick = worker.leaving ? 0.001 : 0.1;

        if (next_signal(&stop, tick) == SIGTERM)
            leave();
        ask_for_arrivals();
        expire_connections();
    }
    return 0;
}

/* -------------------------------------------------- the master */

/* The master's own; processes[i] is in slots[i]. */
static struct {
    struct process processes[SLOTS];
    bool running[SLOTS];
    bool old[SLOTS];  /* to leave as soon as there are new ones */
    bool told[SLOTS]; /* has been told so */
    bool stopping;
} master;

static int count_running(void)
{
    int count = 0;

    for (int i = 0; i < SLOTS; i++)
        count += master.running[i];
    return count;
}

static int count_current(bool ready)
{
    int count = 0;

    for (int i = 0; i < SLOTS; i++)
        count += master.running[i] && !master.old[i] &&
                 (!ready || atomic_load(&board->slots[i].ready));
    return count;
}

static void start_worker(int i)
{
    int error;

    memset(&board->slots[i], 0, sizeof board->slots[i]);
    error = process_start(&master.processes[i], run_worker,
                          &board->slots[i]);
    if (error != 0) {
        report_error(error, "fork");
        clock_sleep(0.1); /* and tries again */
        return;
    }
    master.running[i] = true;
    master.old[i] = master.told[i] = false;
}

/* As many as are missing, where there are slots. */
static void start_workers(void)
{
    for (int i = 0; i < SLOTS && count_current(false) < workers; i++)
        if (!master.running[i])
            start_worker(i);
}

static void report_death(int i, int exitcode)
{
    say_time("worker %d was killed by signal %d",
             master.processes[i].pid, -exitcode);
    for (int thread = 0; thread < threads; thread++) {
        char row[TIMELINE_NAME_MAX];

        name_row(row, sizeof row, i, thread);
        timeline_cut(row);
    }
}

/* What one worker was refused another would be refused, too. */
static void reap_workers(void)
{
    for (int i = 0; i < SLOTS; i++) {
        struct process *process = &master.processes[i];

        if (!master.running[i] || process_is_alive(process))
            continue;
        master.running[i] = false;
        atomic_store(&board->slots[i].pid, 0);
        if (process->exitcode == EXIT_REFUSED)
            _exit(EXIT_REFUSED);
        if (process->exitcode < 0)
            report_death(i, process->exitcode);
        if (!atomic_load(&board->slots[i].ready))
            clock_sleep(0.1); /* or it would die in a busy loop */
    }
}

static void replace_workers(void)
{
    for (int i = 0; i < SLOTS; i++)
        master.old[i] = master.running[i];
}

/* Old ones stay until all new ones are ready, or none is to come. */
static void tell_old_workers(void)
{
    if (!master.stopping && count_current(true) < workers)
        return;
    for (int i = 0; i < SLOTS; i++)
        if (master.running[i] && master.old[i] && !master.told[i]) {
            process_terminate(&master.processes[i]);
            master.told[i] = true;
        }
}

/* Until SIGTERM has come and the last worker has gone. */
static int run_master(void *unused)
{
    static const int signals[] = {SIGTERM, SIGHUP, SIGCHLD};
    sigset_t set;

    (void)unused;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        sigaddset(&set, signals[i]);
    check_error(pthread_sigmask(SIG_BLOCK, &set, NULL),
                "pthread_sigmask");
    do {
        reap_workers();
        if (!master.stopping)
            start_workers();
        tell_old_workers();
        switch (next_signal(&set, 0.01)) {
        case SIGTERM:
            master.stopping = true;
            replace_workers();
            break;
        case SIGHUP:
            replace_workers();
            break;
        default:
            break;
        }
    } while (!master.stopping || count_running() > 0);
    return 0;
}

/* --------------------------------------- the lesson: its service */

static struct process service; /* the master */

static void open_listener(void)
{
    board = xshared_alloc(sizeof *board);
    atomic_store(&board->gate, true);
    listener = check_call(loopback_listen(port), "listen");
    port = loopback_port(listener);
    check_call(fcntl(listener, F_SETFL, O_NONBLOCK), "fcntl");
}

static bool is_current(const struct slot *slot)
{
    return slot->pid != 0 && slot->ready && !slot->leaving;
}

struct counts {
    int workers, accepted, answered, in_hand, full;
};

static struct counts count_slots(void)
{
    struct counts counts = {0};

    for (int i = 0; i < SLOTS; i++) {
        const struct slot *slot = &board->slots[i];

        counts.workers += is_current(slot);
        counts.accepted += slot->accepted;
        counts.answered += slot->answered;
        counts.in_hand += slot->in_hand;
        counts.full += slot->in_hand == threads;
    }
    return counts;
}

/* For 5 s at most, and not when there is no master. */
static bool wait_until(bool is_so(int number), int number)
{
    double deadline = clock_deadline(5);

    while (!is_so(number) && clock_left(deadline) > 0) {
        if (!process_is_alive(&service)) {
            if (service.exitcode == EXIT_REFUSED)
                _exit(EXIT_REFUSED); /* it has said why */
            break;
        }
        clock_sleep(0.001);
    }
    return is_so(number);
}

static bool workers_are(int number)
{
    return count_slots().workers == number;
}

static bool in_hand_are(int number)
{
    return count_slots().in_hand == number;
}

static bool is_gone(int pid)
{
    for (int i = 0; i < SLOTS; i++)
        if (board->slots[i].pid == pid)
            return false;
    return true;
}

static int first_pid(void)
{
    for (int i = 0; i < SLOTS; i++)
        if (is_current(&board->slots[i]))
            return board->slots[i].pid;
    return 0;
}

static void start_service(void)
{
    open_listener();
    xprocess_start(&service, run_master, NULL);
    xclose(listener); /* or it would be open when the master is gone */
    wait_until(workers_are, workers);
}

/* --------------------------------------- the lesson: its clients */

struct answer {
    int status, worker;
    bool closes; /* the connection, says the server */
};

static int number_after(const char *text, const char *word)
{
    const char *found = strstr(text, word);

    return found == NULL ? -1
                         : (int)strtol(found + strlen(word), NULL, 10);
}

static bool is_whole(const char *text)
{
    const char *body = strstr(text, "\r\n\r\n");

    return body != NULL && (int)strlen(body + strlen("\r\n\r\n")) >=
                               number_after(text, "Content-Length: ");
}

/* False when the connection ends before. */
static bool receive(int socket, struct answer *answer)
{
    char text[ANSWER_MAX + 1] = "";
    size_t filled = 0;

    while (!is_whole(text)) {
        ssize_t count =
            recv(socket, text + filled, ANSWER_MAX - filled, 0);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        filled += (size_t)count;
        text[filled] = '\0';
    }
    answer->status = number_after(text, "HTTP/1.1 ");
    answer->worker = number_after(text, "from worker ");
    answer->closes = strstr(text, "Connection: close") != NULL;
    return true;
}

static bool request(int socket, const char *path)
{
    char text[128];

    snprintf(text, sizeof text,
             "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    return loopback_send(socket, text, strlen(text)) == 0;
}

static bool get(int socket, const char *path, struct answer *answer)
{
    return request(socket, path) && receive(socket, answer) &&
           answer->status == HTTP_OK;
}

static int xconnect(void)
{
    return check_call(loopback_connect(port), "connect");
}

/* ---------------------------------------------------------- a load */

static int sockets[CLIENTS_MAX];
static atomic_int good;

static void send_load(int number)
{
    struct answer answer;

    for (int i = 1; i < REQUESTS; i++)
        atomic_fetch_add(&good, get(sockets[number], "/", &answer));
    xclose(sockets[number]);
}

/* They come one by one, so that the workers can take turns. */
static void part_load(void)
{
    struct counts counts;
    struct answer answer;

    start_service();
    for (int i = 0; i < clients; i++) {
        sockets[i] = xconnect();
        atomic_fetch_add(&good, get(sockets[i], "/", &answer));
    }
    crowd_threads(clients, send_load);
    counts = count_slots();
    for (int i = 0; i < SLOTS; i++)
        if (board->slots[i].pid != 0)
            say("worker %d: %d requests, %d connections",
                board->slots[i].pid, board->slots[i].answered,
                board->slots[i].accepted);

    saw("%d", good);
    claim(good == clients * REQUESTS, "%d clients got %d answers",
          clients, clients * REQUESTS);
    saw("%d, %d", counts.workers, counts.answered);
    claim(counts.workers == workers &&
              counts.answered == clients * REQUESTS,
          "%d worker%s gave so many", workers, workers == 1 ? "" : "s");
    saw("%d", counts.accepted);
    claim(counts.accepted == clients,
          "a client's requests took one connection");
}

/* ------------------------------------------- requests in hand */

static int held[WORKERS_MAX * THREADS_MAX];

/*
 * As many slow requests as there are threads, one after the other: a
 * worker whose threads are busy takes no more.  Returns how many are
 * in hand.
 */
static int fill_hands(void)
{
    int count = 0;

    atomic_store(&board->gate, false);
    while (count < workers * threads) {
        held[count] = xconnect();
        request(held[count++], "/slow");
        if (!wait_until(in_hand_are, count))
            break;
    }
    say_time("%d slow requests are in hand", count);
    return count;
}

/* The good answers of all of them. */
static int collect(int count, int *closing)
{
    int answered = 0;

    atomic_store(&board->gate, true);
    *closing = 0;
    for (int i = 0; i < count; i++) {
        struct answer answer = {0};

        answered +=
            receive(held[i], &answer) && answer.status == HTTP_OK;
        *closing += answer.closes;
        xclose(held[i]);
    }
    say_time("%d of them have been answered", answered);
    return answered;
}

static void part_kill(void)
{
    int victim = first_pid(), count = fill_hands();
    int full = count_slots().full, answered, closing;
    bool replaced;

    kill(victim, SIGKILL);
    replaced =
        wait_until(is_gone, victim) && wait_until(workers_are, workers);
    answered = collect(count, &closing);

    saw("%d", full);
    claim(full == workers, "%d worker%s had %d requests in hand%s",
          workers, workers == 1 ? "" : "s", threads,
          workers == 1 ? "" : " each");
    saw("%d answers", answered);
    claim(answered == (workers - 1) * threads,
          "those of the dead one are lost, and no other");
    claim(replaced, "a new worker took its place");
}

/* --------------------------------------------------- new workers */

static atomic_int asked, lost, refused;
static atomic_bool renewed;
static int last_worker[CLIENTS_MAX + 1]; /* who answered, of each */

static bool all_have_asked(int number)
{
    return asked >= number;
}

static int old_pids[SLOTS];

static void note_old_workers(void)
{
    for (int i = 0; i < SLOTS; i++)
        old_pids[i] = board->slots[i].pid;
}

static bool is_old(int pid)
{
    for (int i = 0; i < SLOTS; i++)
        if (pid != 0 && old_pids[i] == pid)
            return true;
    return false;
}

static bool old_workers_are(int number)
{
    int count = 0;

    for (int i = 0; i < SLOTS; i++)
        count += is_old(board->slots[i].pid);
    return count == number;
}

/* In the middle of the load. */
static void renew_workers(void)
{
    wait_until(all_have_asked, 5 * clients);
    note_old_workers();
    say_time("SIGHUP, after %d requests", asked);
    check_call(kill(service.pid, SIGHUP), "kill");
    wait_until(old_workers_are, 0);
    say_time("the old workers have gone, after %d", asked);
    atomic_store(&renewed, true);
}

/* Goes on until there are new workers, and then a little. */
static void send_for_long(int number)
{
    struct answer answer = {0};
    int socket = -1;

    for (int more = 5; more > 0; more -= atomic_load(&renewed)) {
        if (socket < 0 && (socket = loopback_connect(port)) < 0) {
            atomic_fetch_add(&refused, 1);
            break;
        }
        atomic_fetch_add(&asked, 1);
        if (!get(socket, "/", &answer)) {
            atomic_fetch_add(&lost, 1);
            break;
        }
        last_worker[number] = answer.worker;
        if (answer.closes) {
            xclose(socket);
            socket = -1;
        }
    }
    if (socket >= 0)
        xclose(socket);
}

static void client_or_renewal(int number)
{
    if (number == clients)
        renew_workers();
    else
        send_for_long(number);
}

static void part_renew(void)
{
    int by_new = 0;

    crowd_threads(clients + 1, client_or_renewal);
    for (int i = 0; i < clients; i++)
        by_new += last_worker[i] > 0 && !is_old(last_worker[i]);

    saw("%d lost, %d refused", lost, refused);
    claim(lost == 0 && refused == 0,
          "no request was lost, and no connection refused");
    claim(old_workers_are(0), "no worker of before is left");
    saw("%d of %d", by_new, clients);
    claim(by_new == clients && workers_are(workers),
          "each client's last answer came from a new worker");
}

/* ------------------------------------------------------- the end */

static bool leaving_are(int number)
{
    int count = 0;

    for (int i = 0; i < SLOTS; i++)
        count += board->slots[i].pid != 0 && board->slots[i].leaving;
    return count == number;
}

static void part_stop(void)
{
    int count = fill_hands(), answered, closing;
    bool all_leave;

    say_time("SIGTERM");
    check_call(kill(service.pid, SIGTERM), "kill");
    all_leave = wait_until(leaving_are, workers);
    answered = collect(count, &closing);
    process_join(&service, 20);

    saw("%d of %d", answered, count);
    claim(all_leave && answered == workers * threads,
          "the %d requests in hand were answered", workers * threads);
    saw("%d", closing);
    claim(closing == answered && closing > 0,
          "each answer said that the connection ends");
    saw("%d, joined %d", service.exitcode, service.joined);
    claim(service.joined && service.exitcode == 0 &&
              old_workers_are(0) && workers_are(0),
          "the last worker has gone, and the master with status 0");
}

/* ---------------------------------------------------- for others */

static void part_serve(void)
{
    open_listener();
    say("127.0.0.1 port %d: master %d, workers %d, threads %d", port,
        getpid(), workers, threads);
    lesson_idle(true);
    run_master(NULL);
    lesson_idle(false);
    say("stopped");
}

int main(int argc, char **argv)
{
    static const struct lesson_option options[] = {
        {"workers", "N", "worker processes; else one for each CPU",
         &workers, 1, WORKERS_MAX},
        {"threads", "N", "threads of each worker", &threads, 1,
         THREADS_MAX},
        {"clients", "N", "how many clients send the load", &clients, 1,
         CLIENTS_MAX},
        {"patience", "N", "with --serve: a head may take N u",
         &patience, 1, 100000},
        {"port", "N", "listen there; 0: the system chooses", &port, 0,
         65535},
        {"serve", NULL, "serve others until SIGTERM or Ctrl-C", &serve,
         0, 1},
        {0},
    };
    static const struct lesson lesson = {
        .name = "lesson-23 master-worker",
        .summary = "a master, its worker processes, and HTTP",
        .example = "./lesson-23 --workers 2 --clients 8",
        .options = options,
    };

    workers = cpu_count() < WORKERS_MAX ? cpu_count() : WORKERS_MAX;
    lesson_begin(&lesson, argc, argv);
    if (serve) {
        PART("A server for others", part_serve);
        return lesson_end();
    }
    PART("A load of requests", part_load);
    PART("kill -9: a worker dies", part_kill);
    PART("SIGHUP: new workers, under load", part_renew);
    PART("SIGTERM: what is in hand is finished", part_stop);
    return lesson_end();
}
