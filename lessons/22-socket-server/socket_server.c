/*
 * socket_server.c -- one client at a time, or a thread for each.
 *
 * A server answers each line with the same line in upper case.  In the
 * first part it stays with a client until that one leaves; the others
 * wait, though they are connected: the kernel did that.  In the second
 * part each client has a thread.  Then come clients that nobody wants,
 * and a server that has no descriptor left for the next one.
 *
 * Look at: what the second client waits for, in the time line.
 * Compare with: 23-master-worker, which does not need a thread for each
 * connection; 26-coroutine-server, which does with one for all.
 * Try: --clients 2; --serve, and then nc 127.0.0.1 and the port.
 */
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checked.h"
#include "clock.h"
#include "crowd.h"
#include "gauge.h"
#include "lesson.h"
#include "loopback.h"
#include "timeline.h"

enum {
    LINE_BYTES = 1024, /* the longest line, without its newline */
    CLIENTS_MAX = 50,
    SEATS = 250 /* more clients wait until one leaves */
};

static int clients = 5, port, patience = 300;
static int serve, serial;

/* A client that is served. */
struct seat {
    atomic_int socket; /* -1: nobody has the seat */
    bool has_thread;   /* one to be joined, perhaps of the last one */
    pthread_t thread;
};

static struct {
    int listener;
    bool a_thread_each;
    pthread_t thread; /* which accepts */
    sem_t free_seats;
    sem_t no_descriptor; /* how often accept found none */
    struct gauge served;
    struct seat seats[SEATS];
} server;

/* -------------------------------------- the server: with a client */

/*
 * For a whole line, so that nobody keeps a seat with a byte now and
 * then.  The lesson's own clients have time, on a busy machine, too.
 */
static double line_deadline(void)
{
    return clock_deadline(serve ? patience * lesson_unit() : 30);
}

/*
 * To close a socket with unread bytes resets the connection, and the
 * reason would be lost on its way: so they are read and thrown away.
 */
static void turn_away(int client)
{
    static const char reason[] = "line too long\n";
    double deadline = line_deadline();
    char bytes[4096];

    if (loopback_send(client, reason, sizeof reason - 1) != 0)
        return;
    shutdown(client, SHUT_WR);
    while (loopback_receive(client, bytes, sizeof bytes, deadline) > 0)
        continue;
}

static void to_upper(char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] >= 'a' && bytes[i] <= 'z')
            bytes[i] = (char)(bytes[i] - 'a' + 'A');
}

/* What a recv gives is what has arrived: half a line, or three. */
static void answer_lines(int client)
{
    char bytes[LINE_BYTES + 1], *newline;
    double deadline = line_deadline();
    size_t filled = 0;

    while (filled < sizeof bytes) {
        ssize_t count = loopback_receive(
            client, bytes + filled, sizeof bytes - filled, deadline);
        size_t whole;

        if (count <= 0)
            return; /* it has left, or says nothing */
        filled += (size_t)count;
        newline = memrchr(bytes, '\n', filled);
        if (newline == NULL)
            continue;
        whole = (size_t)(newline - bytes) + 1;
        to_upper(bytes, whole);
        if (loopback_send(client, bytes, whole) != 0)
            return;
        filled -= whole;
        memmove(bytes, bytes + whole, filled);
        deadline = line_deadline();
    }
    turn_away(client);
}

static void *serve_client(void *arg)
{
    struct seat *seat = arg;
    struct timeval limit = {.tv_sec = 30}; /* for one who never reads */

    gauge_enter(&server.served);
    setsockopt(seat->socket, SOL_SOCKET, SO_SNDTIMEO, &limit,
               sizeof limit);
    answer_lines(seat->socket);
    gauge_leave(&server.served);
    xclose(seat->socket);
    atomic_store(&seat->socket, -1);
    xsem_post(&server.free_seats);
    return NULL;
}

/* ------------------------------------------ the server: who comes */

static int listen_on_loopback(void)
{
    struct sockaddr_in here = {.sin_family = AF_INET};
    int listener, on = 1;

    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK); /* 127.0.0.1 */
    here.sin_port = htons((in_port_t)port); /* 0: any that is free */
    listener = check_call(
        socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    check_call(
        setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on),
        "setsockopt");
    check_call(bind(listener, (struct sockaddr *)&here, sizeof here),
               "bind");
    check_call(listen(listener, SOMAXCONN), "listen");
    return listener;
}

/*
 * The next client, or -1 when the listener is shut down.  One for whom
 * there is no descriptor is not lost: it stays in the kernel's queue,
 * and has its turn when another has left.
 */
static int accept_client(void)
{
    for (;;) {
        int client = accept4(server.listener, NULL, NULL, SOCK_CLOEXEC);

        if (client >= 0 || errno == EINVAL)
            return client;
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
            errno == ENOBUFS) {
            xsem_post(&server.no_descriptor);
            clock_sleep(0.01);
        }
        /* Otherwise this client is gone already. */
    }
}

static void join_thread_of(struct seat *seat)
{
    if (seat->has_thread)
        xpthread_join(seat->thread);
    seat->has_thread = false;
}

static struct seat *take_seat(int client)
{
    struct seat *seat = server.seats;

    xsem_wait(&server.free_seats);
    while (atomic_load(&seat->socket) >= 0)
        seat++;
    join_thread_of(seat);
    atomic_store(&seat->socket, client);
    return seat;
}

/*
 * With no thread to be had, a server that is kept up serves the client
 * in this one; the lesson ends, for it would not show what it claims.
 */
static void start_thread_for(struct seat *seat)
{
    int error = pthread_create(&seat->thread, NULL, serve_client, seat);

    seat->has_thread = error == 0;
    if (!serve)
        check_error(error, "pthread_create");
    if (error != 0)
        serve_client(seat);
}

static void *accept_clients(void *unused)
{
    int client;

    (void)unused;
    while ((client = accept_client()) >= 0) {
        struct seat *seat = take_seat(client);

        if (server.a_thread_each)
            start_thread_for(seat);
        else
            serve_client(seat);
    }
    return NULL;
}

static void open_server(bool a_thread_each)
{
    server.a_thread_each = a_thread_each;
    atomic_store(&server.served.most, 0);
    xsem_init(&server.free_seats, 0, SEATS);
    xsem_init(&server.no_descriptor, 0, 0);
    for (int i = 0; i < SEATS; i++)
        atomic_store(&server.seats[i].socket, -1);
    server.listener = listen_on_loopback();
}

static void start_server(void)
{
    xpthread_create(&server.thread, accept_clients, NULL);
}

/* Nobody is accepted any more; all who were are served to their end. */
static void stop_server(void)
{
    shutdown(server.listener, SHUT_RDWR);
    xpthread_join(server.thread);
    for (int i = 0; i < SEATS; i++)
        join_thread_of(&server.seats[i]);
    xclose(server.listener);
    xsem_destroy(&server.no_descriptor);
    xsem_destroy(&server.free_seats);
}

/* ---------------------------------------------------- its clients */

static int connect_to_server(void)
{
    return check_call(loopback_connect(loopback_port(server.listener)),
                      "connect");
}

static bool gets(int client, const char *expected)
{
    return loopback_gets(client, expected, clock_deadline(30));
}

static bool ask(int client, const char *line, const char *expected)
{
    return loopback_send(client, line, strlen(line)) == 0 &&
           gets(client, expected);
}

static struct visit {
    int socket;
    bool right;            /* were the answers? */
    double answered, left; /* u since it has connected */
} visits[CLIENTS_MAX];

static sem_t all_answered; /* one for each client */
static atomic_int answered;

static void note_answer(struct visit *visit)
{
    visit->answered = unit_now();
    if (atomic_fetch_add(&answered, 1) == clients - 1)
        for (int i = 0; i < clients; i++)
            xsem_post(&all_answered);
}

/*
 * Says hello, stays 1 u, and leaves.  Where all are served at the same
 * time it also stays until each has had an answer, if that is soon.
 */
static void client(int number)
{
    struct visit *visit = &visits[number];
    char row[TIMELINE_NAME_MAX];

    snprintf(row, sizeof row, "client %d", number + 1);
    timeline_begin(row, ".", 0);
    visit->right = ask(visit->socket, "hello\n", "HELLO\n");
    note_answer(visit);
    timeline_end(row);
    say_time("%s has its first answer", row);

    timeline_begin(row, row + strlen("client "), 0);
    unit_sleep(1);
    if (server.a_thread_each)
        clock_sem_wait(&all_answered, 5);
    visit->right &= ask(visit->socket, "goodbye\n", "GOODBYE\n");
    visit->left = unit_now();
    timeline_end(row);
    xclose(visit->socket);
}

/* ------------------------------------------------------ the parts */

/* They connect in this order, before the server accepts anybody. */
static void visit_server(bool a_thread_each)
{
    int right = 0;

    open_server(a_thread_each);
    atomic_store(&answered, 0);
    xsem_init(&all_answered, 0, 0);
    for (int i = 0; i < clients; i++)
        visits[i].socket = connect_to_server();
    say_time("%d clients are connected, and nobody accepted them",
             clients);
    start_server();
    crowd_threads(clients, client);
    stop_server();
    xsem_destroy(&all_answered);

    for (int i = 0; i < clients; i++)
        right += visits[i].right;
    saw("%d", right);
    claim(right == clients, "%d clients got the right answers",
          clients);
}

static double serial_wait; /* of the second client, in u */

static void part_serial(void)
{
    int in_turn = 1;

    visit_server(false);
    serial_wait = visits[1].answered;
    for (int i = 1; i < clients; i++)
        in_turn += visits[i].answered >= visits[i - 1].left;
    saw("%d at once", server.served.most);
    claim(server.served.most == 1, "one client was served at a time");
    saw("%d of %d", in_turn, clients);
    claim(in_turn == clients,
          "no client had an answer before the one before it left");
    saw("%.3f u", serial_wait);
    claim(serial_wait >= 1, "the second client waited at least 1 u");
}

static void part_threads(void)
{
    double first_left = INFINITY, last_answer = 0;

    visit_server(true);
    for (int i = 0; i < clients; i++) {
        first_left = fmin(first_left, visits[i].left);
        last_answer = fmax(last_answer, visits[i].answered);
    }
    say("The second client waited %.2f u; one at a time it was %.2f u.",
        visits[1].answered, serial_wait);
    saw("%d at once", server.served.most);
    claim(server.served.most == clients,
          "%d clients were served at a time", clients);
    saw("at %.3f u, and one left at %.3f u", last_answer, first_left);
    claim(last_answer < first_left,
          "each had an answer before any of them left");
}

/* -------------------------------------- clients that nobody wants */

enum { QUESTIONS = 100 };

/* Closed like this, the connection is reset. */
static void vanish(int client)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    check_call(setsockopt(client, SOL_SOCKET, SO_LINGER, &at_once,
                          sizeof at_once),
               "setsockopt");
    xclose(client);
}

/* Does the server say so, and hang up? */
static bool is_turned_away(int client)
{
    static char megabyte[1 << 20];
    char more;

    memset(megabyte, 'x', sizeof megabyte);
    return loopback_send(client, megabyte, sizeof megabyte) == 0 &&
           gets(client, "line too long\n") &&
           loopback_receive(client, &more, 1, clock_deadline(30)) == 0;
}

/* Waits until so many are served, and no more, or for 5 s. */
static int served_at_last(int expected)
{
    double deadline = clock_deadline(5);

    while (server.served.inside != expected && clock_left(deadline) > 0)
        clock_sleep(0.001);
    return server.served.inside;
}

static void part_bad_clients(void)
{
    int vanished, silent, endless, good, answers = 0, left;
    bool told;

    open_server(true);
    start_server();
    vanished = connect_to_server();
    silent = connect_to_server();
    endless = connect_to_server();
    good = connect_to_server();
    loopback_send(vanished, "half a li", 9);
    vanish(vanished);
    told = is_turned_away(endless);
    for (int i = 0; i < QUESTIONS; i++)
        answers += ask(good, "are you there?\n", "ARE YOU THERE?\n");
    xclose(endless);
    xclose(good);
    left = served_at_last(1);
    xclose(silent);
    stop_server();

    saw("%d", answers);
    claim(answers == QUESTIONS, "a good client got all %d answers",
          QUESTIONS);
    claim(told, "a line of a megabyte was refused in so many words");
    saw("%d", left);
    claim(left == 1, "only the silent one is still served");
}

/* --------------------------------------------- no descriptor left */

/* Returns how many were allowed before. */
static rlim_t allow_descriptors(rlim_t count)
{
    struct rlimit limit;
    rlim_t before;

    check_call(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    before = limit.rlim_cur;
    limit.rlim_cur = count;
    check_call(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
    return before;
}

/* The client has its descriptor; the server can not have another. */
static void part_no_descriptor(void)
{
    int client, refused = 0;
    bool early, late;
    rlim_t normal;
    char byte;

    open_server(true);
    client = connect_to_server();
    loopback_send(client, "hello\n", 6);
    normal = allow_descriptors(0);
    start_server();
    for (int i = 0; i < 2; i++)
        refused += clock_sem_wait(&server.no_descriptor, 5) == 0;
    say_time("accept gets EMFILE, and tries again");
    early = recv(client, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
    allow_descriptors(normal);
    late = gets(client, "HELLO\n");
    say_time("the client that waited has its answer");
    xclose(client);
    stop_server();

    saw("%d", refused);
    claim(refused == 2, "accept found no descriptor, and went on");
    saw("%s", early ? "an answer at once" : "no answer");
    claim(late && !early, "who came too many waited, and was served");
}

/* ----------------------------------------------------- for others */

static void part_serve(void)
{
    open_server(!serial);
    start_server();
    say("127.0.0.1 port %d: %s, until Ctrl-C",
        loopback_port(server.listener),
        serial ? "one client at a time" : "a thread for each client");
    lesson_idle(true);
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    static const struct lesson_option options[] = {
        {"clients", "N", "how many clients come", &clients, 2,
         CLIENTS_MAX},
        {"patience", "N", "with --serve: a line may take N u",
         &patience, 1, 100000},
        {"port", "N", "listen there; 0: the system chooses", &port, 0,
         65535},
        {"serve", NULL, "serve others, until Ctrl-C", &serve, 0, 1},
        {"serial", NULL, "with --serve: one client at a time", &serial,
         0, 1},
        {0},
    };
    static const struct lesson lesson = {
        .name = "lesson-22 socket-server",
        .summary = "a server with one client at a time, or a thread "
                   "for each",
        .example = "./lesson-22 --clients 3",
        .options = options,
    };

    lesson_begin(&lesson, argc, argv);
    if (serve) {
        PART("A server for others", part_serve);
        return lesson_end();
    }
    PART("One client at a time", part_serial);
    PART("A thread for each client", part_threads);
    PART("Clients that nobody wants", part_bad_clients);
    PART("No descriptor left", part_no_descriptor);
    return lesson_end();
}
