/*
 * shared_dict.c -- a dictionary that a server holds.
 *
 * An array in shared memory has one type and one length.  For anything
 * else, one process holds the data and the others ask it: set k3 v3,
 * get k3.  They are connected by a socket, over which they send lines
 * of text, and the server answers one line after the other.  So each
 * request is atomic; two in a row are not.
 *
 * Look at: the server's loop, which waits for all clients at once and
 * for none of them alone; what four clients make of a counter; what
 * they get when the server is killed.
 * Compare with: 04-shared-array, where nobody has to ask.
 * Try: --clients 200; as root, --stranger 65534.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "checked.h"
#include "clock.h"
#include "dict.h"
#include "gauge.h"
#include "lesson.h"
#include "process.h"
#include "timeline.h"

enum { CLIENTS_MAX = 200, CONNECTIONS_MAX = 256 };

static int clients = 10;
static int stranger; /* a user; 0: that part is left out */

/* What the processes share, beside the server's dictionary. */
struct board {
    struct gauge connected; /* clients, as the server counts them */
    atomic_int refused;     /* connections of other users */
    atomic_int peers;       /* how many of the pids below */
    pid_t peer[CONNECTIONS_MAX];
    sem_t arrived;            /* one for each client that waits */
    sem_t go;                 /* one for each that may go on */
    atomic_int saw_own;       /* clients that found their own key */
    atomic_int calls, broken; /* of the client without a server */
};

static struct board *board;

/* ------------------------------------------------------ the socket */

struct address {
    struct sockaddr_un name;
    socklen_t size;
};

static struct address address; /* the server's */

/*
 * A name that is no file: it begins with a 0 byte and goes with its
 * socket, however that ends, so nothing is left behind.  Asked for no
 * name at all, the kernel chooses one that is free.
 */
static int open_listener(struct address *own)
{
    struct sockaddr_un any = {.sun_family = AF_UNIX};
    int listener = check_call(
        socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");

    check_call(
        bind(listener, (struct sockaddr *)&any, sizeof any.sun_family),
        "bind");
    check_call(listen(listener, SOMAXCONN), "listen");
    own->size = sizeof own->name;
    check_call(getsockname(listener, (struct sockaddr *)&own->name,
                           &own->size),
               "getsockname");
    return listener;
}

/*
 * Such a name has no permissions: anybody on this machine may connect.
 * But the kernel tells who is at the other end, and nobody can lie.
 */
static struct ucred peer_of(int socket)
{
    struct ucred peer;
    socklen_t size = sizeof peer;

    check_call(
        getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size),
        "getsockopt SO_PEERCRED");
    return peer;
}

static bool is_same_user(int socket)
{
    return peer_of(socket).uid == geteuid();
}

/* ------------------------------------------------------ the server */

struct client {
    int socket;
    size_t size; /* of what has come of its next line */
    char line[LINE_SIZE];
};

/* In the server's process only. */
static struct {
    struct dict dict;
    struct client clients[CONNECTIONS_MAX];
    int count;
    int spare; /* a descriptor, for when there are no more */
} server;

/* Never waits: a client that takes no replies is disconnected. */
static bool send_reply(int socket, const struct reply *reply)
{
    return send(socket, reply->text, reply->size,
                MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)reply->size;
}

/* Half a line waits for its other half, and disturbs nobody. */
static bool answer_lines(struct client *client)
{
    struct reply reply;
    char *end;

    while ((end = memchr(client->line, '\n', client->size)) != NULL) {
        size_t size = (size_t)(end - client->line);

        dict_answer(&server.dict, client->line, size, &reply);
        if (!send_reply(client->socket, &reply))
            return false;
        client->size -= size + 1;
        memmove(client->line, end + 1, client->size);
    }
    return client->size < LINE_SIZE; /* no request is so long */
}

/* Takes what there is.  Returns whether to keep the client. */
static bool serve_client(struct client *client)
{
    ssize_t count = recv(client->socket, client->line + client->size,
                         LINE_SIZE - client->size, MSG_DONTWAIT);

    if (count < 0)
        return errno == EAGAIN || errno == EINTR;
    if (count == 0)
        return false;
    client->size += (size_t)count;
    return answer_lines(client);
}

static void drop_client(struct client *client)
{
    close(client->socket);
    *client = server.clients[--server.count];
    gauge_leave(&board->connected);
}

static void welcome(int socket)
{
    int peer = atomic_load(&board->peers);

    server.clients[server.count++] = (struct client){.socket = socket};
    gauge_enter(&board->connected);
    if (peer < CONNECTIONS_MAX) {
        board->peer[peer] = peer_of(socket).pid;
        atomic_store(&board->peers, peer + 1);
    }
}

/* Who can not be served is told so at once, not left to wait. */
static void turn_away(int listener)
{
    static bool told;
    int socket;

    if (!told)
        report_error(errno, "accept");
    told = true;
    close(server.spare);
    socket = accept(listener, NULL, NULL);
    if (socket >= 0)
        close(socket);
    server.spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void accept_client(int listener)
{
    int socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

    if (socket < 0) {
        if (errno == EMFILE || errno == ENFILE)
            turn_away(listener);
    } else if (!is_same_user(socket)) {
        atomic_fetch_add(&board->refused, 1);
        close(socket);
    } else if (server.count == CONNECTIONS_MAX) {
        close(socket);
    } else {
        welcome(socket);
    }
}

/*
 * One thread for all: poll sleeps until any of them has sent
 * something, and no call below waits for anybody.
 */
static _Noreturn void serve(int listener)
{
    struct pollfd ready[1 + CONNECTIONS_MAX];

    server.spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (;;) {
        int count = server.count;

        ready[0] = (struct pollfd){.fd = listener, .events = POLLIN};
        for (int i = 0; i < count; i++)
            ready[1 + i] = (struct pollfd){
                .fd = server.clients[i].socket, .events = POLLIN};
        if (poll(ready, (nfds_t)count + 1, -1) < 0)
            continue;
        /* The last client takes the place of one that is dropped. */
        for (int i = count - 1; i >= 0; i--)
            if (ready[1 + i].revents != 0 &&
                !serve_client(&server.clients[i]))
                drop_client(&server.clients[i]);
        if (ready[0].revents != 0)
            accept_client(listener);
    }
}

static struct process server_process;

static int run_server(void *arg)
{
    const int *ends = arg;
    struct address own = {0};
    int listener = open_listener(&own);

    xwrite(ends[1], &own, sizeof own);
    xclose(ends[0]);
    xclose(ends[1]);
    serve(listener);
}

/* Returns when clients can connect to it. */
static void start_server(void)
{
    int ends[2];

    xpipe(ends);
    xprocess_start(&server_process, run_server, ends);
    xclose(ends[1]);
    if (xread(ends[0], &address, sizeof address) != sizeof address)
        check_error(EPIPE, "start of the server");
    xclose(ends[0]);
    say("server (pid %d) listens", (int)server_process.pid);
}

/* ------------------------------------------------------ the client */

enum { BROKEN = EPIPE }; /* the server is gone */

/* What Python would raise. */
static const char *error_text(int error)
{
    switch (error) {
    case 0:
        return "ok";
    case ENOENT:
        return "missing key";
    case BROKEN:
        return "broken connection";
    default:
        return error_name(error);
    }
}

static int connect_to_server(int *connection)
{
    int error;

    *connection = check_call(
        socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    do /* again, if a signal came while the server was busy */
        error = connect(*connection, (struct sockaddr *)&address.name,
                        address.size);
    while (error != 0 && errno == EINTR);
    if (error == 0)
        return 0;
    close(*connection);
    return BROKEN;
}

/*
 * The client looks who is there, too: when the server has died,
 * another user's could have got its name.
 */
static int dict_connect(int *connection)
{
    int error = connect_to_server(connection);

    if (error == 0 && !is_same_user(*connection)) {
        close(*connection);
        error = BROKEN;
    }
    return error;
}

/* SIGPIPE would end the program: MSG_NOSIGNAL makes it an error. */
static int send_text(int connection, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t count = send(connection, text, size, MSG_NOSIGNAL);

        if (count < 0 && errno != EINTR)
            return BROKEN;
        if (count > 0) {
            text += count;
            size -= (size_t)count;
        }
    }
    return 0;
}

/* One line, whose newline becomes its end. */
static int receive_line(int connection, char line[REPLY_SIZE])
{
    size_t size = 0;

    while (size < REPLY_SIZE) {
        ssize_t count =
            recv(connection, line + size, REPLY_SIZE - size, 0);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return BROKEN;
        size += (size_t)count;
        if (line[size - 1] == '\n') {
            line[size - 1] = '\0';
            return 0;
        }
    }
    return BROKEN;
}

/* "ok VALUE" or "error NAME".  VALUE goes to the front. */
static int read_reply(char line[REPLY_SIZE])
{
    static const int errors[] = {ENOENT, EINVAL, ERANGE, ENOSPC};

    if (strncmp(line, "ok", 2) == 0) {
        char *value = line + 2 + (line[2] == ' ');

        memmove(line, value, strlen(value) + 1);
        return 0;
    }
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (strncmp(line, "error ", 6) == 0 &&
            strcmp(line + 6, error_name(errors[i])) == 0)
            return errors[i];
    return BROKEN;
}

/*
 * Sends a request and waits for its reply.  0 and the value; ENOENT,
 * EINVAL, ERANGE or ENOSPC from the server; EINVAL also for a key or
 * value that can not be sent; BROKEN.
 */
static int ask(int connection, char reply[REPLY_SIZE],
               const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int ask(int connection, char reply[REPLY_SIZE],
               const char *format, ...)
{
    char line[LINE_SIZE];
    struct request request;
    va_list arguments;
    int size, error;

    va_start(arguments, format);
    size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (size < 0 || size >= LINE_SIZE ||
        request_parse(&request, line, (size_t)size) != 0)
        return EINVAL;
    line[size] = '\n';
    error = send_text(connection, line, (size_t)size + 1);
    if (error == 0)
        error = receive_line(connection, reply);
    return error != 0 ? error : read_reply(reply);
}

/* -------------------------------------------- processes as clients */

struct worker {
    struct process process;
    int number;
};

static struct worker workers[CLIENTS_MAX];

static void start_workers(int count, process_function *work)
{
    for (int i = 0; i < count; i++) {
        workers[i].number = i;
        xprocess_start(&workers[i].process, work, &workers[i]);
    }
}

/* Returns how many of them failed. */
static int join_workers(int count)
{
    int failed = 0;

    for (int i = 0; i < count; i++) {
        xprocess_join(&workers[i].process);
        failed += workers[i].process.exitcode != 0;
    }
    return failed;
}

/* A worker waits here until all others are here. */
static void meet(void)
{
    xsem_post(&board->arrived);
    xsem_wait(&board->go);
}

static int count_ended(int count)
{
    int ended = 0;

    for (int i = 0; i < count; i++)
        ended += !process_is_alive(&workers[i].process);
    return ended;
}

/* Lets them go when each of them has come, or is dead. */
static void let_meet(int count)
{
    int come = 0, ended = 0;

    while (come + ended < count)
        if (clock_sem_wait(&board->arrived, 0.02) == 0)
            come++;
        else
            ended = count_ended(count);
    for (int i = 0; i < count; i++)
        xsem_post(&board->go);
}

/* -------------------------------------------------- ten clients */

/* Shortens a list of more than four words: "k0 k1 .. k9". */
static const char *brief(char *list)
{
    char *second = NULL, *last = NULL;
    int blanks = 0;

    for (char *at = list; *at != '\0'; at++)
        if (*at == ' ') {
            last = at;
            if (++blanks == 2)
                second = at;
        }
    if (second != NULL && blanks > 3) {
        memmove(second + 3, last, strlen(last) + 1);
        memcpy(second, " ..", 3);
    }
    return list;
}

static bool has_word(const char *list, const char *word)
{
    size_t size = strlen(word);

    for (const char *at = list; (at = strstr(at, word)) != NULL; at++)
        if ((at == list || at[-1] == ' ') &&
            (at[size] == ' ' || at[size] == '\0'))
            return true;
    return false;
}

/* The server has welcomed a client when it has answered it. */
static int set_and_print(void *arg)
{
    int i = ((const struct worker *)arg)->number;
    char keys[REPLY_SIZE], values[REPLY_SIZE], own[WORD_SIZE];
    int connection, error = dict_connect(&connection);

    if (error == 0)
        error = ask(connection, keys, "length");
    if (error != 0)
        return error;
    meet();
    error = ask(connection, keys, "set k%d v%d", i, i);
    if (error == 0)
        error = ask(connection, keys, "keys");
    if (error == 0)
        error = ask(connection, values, "values");
    if (error != 0)
        return error;
    snprintf(own, sizeof own, "k%d", i);
    if (has_word(keys, own))
        atomic_fetch_add(&board->saw_own, 1);
    say("client %d (pid %d)  %s  %s", i, (int)getpid(), brief(keys),
        brief(values));
    return 0;
}

static int xdict_connect(void)
{
    int connection;

    check_error(dict_connect(&connection), "connect");
    return connection;
}

/* How many of the keys k0, k1, ... have their values. */
static int count_right(int connection)
{
    char value[REPLY_SIZE], expected[WORD_SIZE];
    int right = 0;

    for (int i = 0; i < clients; i++) {
        snprintf(expected, sizeof expected, "v%d", i);
        right += ask(connection, value, "get k%d", i) == 0 &&
                 strcmp(value, expected) == 0;
    }
    return right;
}

static bool is_peer(pid_t pid)
{
    for (int i = 0; i < board->peers; i++)
        if (board->peer[i] == pid)
            return true;
    return false;
}

static int count_peers(void)
{
    int count = 0;

    for (int i = 0; i < clients; i++)
        count += is_peer(workers[i].process.pid);
    return count;
}

static long long length_of(int connection)
{
    char reply[REPLY_SIZE];
    long long length = 0;

    check_error(ask(connection, reply, "length"), "length");
    check_error(parse_number(reply, &length), "length");
    return length;
}

static void part_clients(void)
{
    int connection, failed, right;
    long long length;

    start_server();
    start_workers(clients, set_and_print);
    let_meet(clients);
    failed = join_workers(clients);
    connection = xdict_connect();
    right = count_right(connection);
    length = length_of(connection);
    xclose(connection);

    saw("%d at once, %d failed", board->connected.most, failed);
    claim(board->connected.most >= clients && failed == 0,
          "all %d clients were connected at the same time", clients);
    saw("%d", board->saw_own);
    claim(board->saw_own == clients,
          "each client saw its own key among the keys");
    saw("%d right of %lld", right, length);
    claim(right == clients && length == clients,
          "the dictionary has %d keys, each with its value", clients);
    saw("%d of %d", count_peers(), clients);
    claim(count_peers() == clients,
          "the kernel told the server the pid of each client");
}

/* ---------------------------------------------------- each request */

static char reply[REPLY_SIZE]; /* what main got last */

static int show(int connection, const char *request)
{
    int error = ask(connection, reply, "%s", request);

    if (error == 0 && reply[0] != '\0')
        say("%-16s ok  %s", request, brief(reply));
    else
        say("%-16s %s", request, error_text(error));
    return error;
}

/* The same for one whose value matters. */
static bool answers(int connection, const char *request,
                    const char *value)
{
    return show(connection, request) == 0 && strcmp(reply, value) == 0;
}

static void part_requests(void)
{
    int connection = xdict_connect();
    long long before = length_of(connection), after;
    bool last, sum, gone, unknown;

    show(connection, "set colour red");
    show(connection, "set colour blue");
    last = answers(connection, "get colour", "blue");
    show(connection, "set n 41");
    sum = answers(connection, "add n 1", "42");
    show(connection, "add colour 1");
    show(connection, "keys");
    show(connection, "values");
    show(connection, "delete colour");
    show(connection, "delete n");
    gone = show(connection, "get colour") == ENOENT &&
           show(connection, "delete colour") == ENOENT;
    unknown = show(connection, "fetch k0") == EINVAL &&
              show(connection, "get k0 k1") == EINVAL;
    show(connection, "length");
    after = length_of(connection);
    xclose(connection);

    claim(last, "of two values the last one counts");
    claim(sum, "add changes the number and returns the sum");
    claim(gone, "a missing key is an error");
    saw("%lld and %lld", before, after);
    claim(before == after, "what was deleted does not count any more");
    claim(unknown, "what is no request is an error, too");
}

/* ------------------------------------------------- clients gone bad */

/* Until the server has had enough.  Returns whether it had. */
static bool is_cut_off(const char *text, size_t size)
{
    int connection = xdict_connect();
    int count = 0, error = 0;

    while (error == 0 && ++count < 1000000)
        error = send_text(connection, text, size);
    xclose(connection);
    return error == BROKEN;
}

/* Returns what the server answers to it. */
static int send_garbage(int connection)
{
    char line[LINE_SIZE];
    int error;

    for (int i = 0; i < LINE_SIZE - 1; i++)
        line[i] = (char)(128 + i);
    line[0] = '\0';
    line[LINE_SIZE - 1] = '\n';
    error = send_text(connection, line, sizeof line);
    if (error == 0)
        error = receive_line(connection, reply);
    return error != 0 ? error : read_reply(reply);
}

static bool has_value(int connection, const char *key,
                      const char *value)
{
    return ask(connection, reply, "get %s", key) == 0 &&
           strcmp(reply, value) == 0;
}

/* They stay connected while a good client asks. */
static void claim_undisturbed(int good, int garbage)
{
    int error;

    unit_sleep(1);
    say("1 u later: the others ask");
    error = ask(garbage, reply, "length");
    saw("%s", error_text(error));
    claim(error == 0, "who sent garbage may go on with a request");
    saw("%d of %d", count_right(good), clients);
    claim(count_right(good) == clients && length_of(good) == clients,
          "the others are served, and nothing has changed");
}

/* The half request has come to its other half by then. */
static void claim_other_half(int good, int half)
{
    bool before = has_value(good, "k0", "v0");

    check_error(send_text(half, "f\n", 2), "send");
    check_error(receive_line(half, reply), "recv");
    claim(before && has_value(good, "k0", "half"),
          "half a request counts when its other half has come");
    check_error(ask(good, reply, "set k0 v0"), "set k0 v0");
}

static void part_bad_clients(void)
{
    static const char endless[LINE_SIZE] = "no newline";
    int good = xdict_connect(), silent = xdict_connect();
    int half = xdict_connect(), gone = xdict_connect();
    int garbage = xdict_connect(), error;

    say("one connects and says nothing");
    say("one sends half a request: set k0 hal");
    check_error(send_text(half, "set k0 hal", 10), "send");
    say("one sends half a request and goes: set k0 go");
    check_error(send_text(gone, "set k0 go", 9), "send");
    xclose(gone);
    error = send_garbage(garbage);
    say("one sends garbage, and gets %s", error_text(error));
    saw("%s", error_text(error));
    claim(error == EINVAL, "garbage gets an error");
    claim(is_cut_off(endless, sizeof endless),
          "who sends a line without end is cut off");
    claim(is_cut_off("keys\n", 5),
          "who asks and asks and takes no reply is cut off");
    claim_undisturbed(good, garbage);
    claim_other_half(good, half);
    xclose(garbage);
    xclose(half);
    xclose(silent);
    xclose(good);
}

/* ------------------------------------ four clients, one counter */

enum { COUNTERS = 4 };

/* The number that the client has read, or -1. */
static long long get_number(int connection)
{
    char text[REPLY_SIZE];
    long long number;

    if (ask(connection, text, "get n") != 0 ||
        parse_number(text, &number) != 0)
        return -1;
    return number;
}

/* Nobody sets before all have got: that forces what luck may bring. */
static int add_by_get_and_set(void *arg)
{
    int i = ((const struct worker *)arg)->number, connection;
    int error = dict_connect(&connection);
    char text[REPLY_SIZE];
    long long number;

    if (error != 0)
        return error;
    number = get_number(connection);
    meet();
    error = ask(connection, text, "set n %lld", number + 1);
    say("client %d: get n: %lld, set n %lld", i, number, number + 1);
    return error;
}

static int add_at_once(void *arg)
{
    int i = ((const struct worker *)arg)->number, connection;
    int error = dict_connect(&connection);
    char text[REPLY_SIZE];
    long long number;

    if (error != 0)
        return error;
    number = get_number(connection);
    meet();
    error = ask(connection, text, "add n 1");
    say("client %d: get n: %lld, add n 1: %s", i, number,
        error == 0 ? text : error_text(error));
    return error;
}

static long long count_with(process_function *add)
{
    int connection = xdict_connect();
    long long number;

    check_error(ask(connection, reply, "set n 0"), "set n 0");
    start_workers(COUNTERS, add);
    let_meet(COUNTERS);
    join_workers(COUNTERS);
    number = get_number(connection);
    xclose(connection);
    return number;
}

static void part_counter(void)
{
    long long number = count_with(add_by_get_and_set);

    saw("%lld", number);
    claim(number == 1, "%d times get, then set: it was counted once",
          COUNTERS);
    number = count_with(add_at_once);
    saw("%lld", number);
    claim(number == COUNTERS, "%d times add: it was counted %d times",
          COUNTERS, COUNTERS);
}

/* ------------------------------------------------ another user */

/* Who changes the user loses the bond to the parent. */
static void become(uid_t user)
{
    check_call(setresgid(user, user, user), "setresgid");
    check_call(setresuid(user, user, user), "setresuid");
    check_call(prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
}

/* The exit status is what it got; nothing is as bad as an answer. */
static int knock(void *arg)
{
    char text[REPLY_SIZE];
    int connection, error;

    (void)arg;
    become((uid_t)stranger);
    error = connect_to_server(&connection);
    say("user %d connects: %s", (int)getuid(), error_text(error));
    if (error == 0)
        error = ask(connection, text, "get k0");
    say("user %d asks: %s", (int)getuid(), error_text(error));
    return error;
}

static void part_stranger(void)
{
    int error;

    start_workers(1, knock);
    join_workers(1);
    error = workers[0].process.exitcode;
    if (error == EXIT_REFUSED)
        _exit(EXIT_REFUSED);

    saw("%s", error_text(error));
    claim(error == BROKEN, "another user gets no answer");
    saw("%d", board->refused);
    claim(board->refused == 1, "the server has refused one client");
}

/* ---------------------------------------------- without the server */

static const char *const later[] = {
    "set k0 v0", "get k0", "delete k0", "add n 1",
    "keys",      "values", "length",
};

enum { LATER = sizeof later / sizeof later[0] };

static void call_later(int connection)
{
    char text[REPLY_SIZE];

    for (int i = 0; i < LATER; i++) {
        int error = ask(connection, text, "%s", later[i]);

        say_time("client: %-10s %s", later[i], error_text(error));
        board->broken += error == BROKEN;
    }
}

static int work_without_end(void *arg)
{
    int connection, error = dict_connect(&connection);
    char text[REPLY_SIZE];

    (void)arg;
    timeline_begin("client", "calls", 0);
    while (error == 0) {
        error = ask(connection, text, "set k0 v0");
        if (++board->calls == 100)
            xsem_post(&board->arrived);
    }
    timeline_end("client");
    say_time("client: call %d   %s", board->calls, error_text(error));
    if (error != BROKEN)
        return error;
    call_later(connection);
    error = dict_connect(&connection);
    say_time("client: connect    %s", error_text(error));
    board->broken += error == BROKEN;
    return 0;
}

/* It stands still for 1 u, so that the client waits for an answer. */
static void kill_the_server(void)
{
    check_call(kill(server_process.pid, SIGSTOP), "kill");
    say_time("main stops the server");
    unit_sleep(1);
    say_time("main kills the server");
    check_error(process_kill(&server_process), "kill");
    xprocess_join(&server_process);
    timeline_cut("server");
}

static void part_killed(void)
{
    struct process *client = &workers[0].process;
    int error;

    timeline_begin("server", "serves", 0);
    start_workers(1, work_without_end);
    while (clock_sem_wait(&board->arrived, 0.02) != 0)
        if (!process_is_alive(client))
            break;
    kill_the_server();
    error = process_join(client, 10 + 10 * lesson_unit());
    if (error != 0)
        process_kill(client);
    xprocess_join(client);

    saw("%s, exit code %d", error_text(error), client->exitcode);
    claim(error == 0 && client->exitcode == 0,
          "the client did not hang, and no signal killed it");
    saw("%d", board->broken);
    claim(board->broken == LATER + 1,
          "each of %d later calls failed: broken connection",
          LATER + 1);
}

static void check_stranger(void)
{
    if (stranger != 0 && geteuid() != 0)
        check_error(EPERM, "--stranger, which only root can play");
}

int main(int argc, char **argv)
{
    static const struct lesson_option options[] = {
        {"clients", "N", "how many clients at once", &clients, 1,
         CLIENTS_MAX},
        {"stranger", "UID",
         "let this user knock, too; only root can play another user",
         &stranger, 1, 65534},
        {0},
    };
    static const struct lesson lesson = {
        .name = "lesson-05 shared-dict",
        .summary = "a dictionary that a server holds for its clients",
        .example = "./lesson-05 --clients 50",
        .options = options,
    };

    lesson_begin(&lesson, argc, argv);
    check_stranger();
    board = xshared_alloc(sizeof *board);
    xsem_init(&board->arrived, 1, 0);
    xsem_init(&board->go, 1, 0);
    PART("Clients of one dictionary", part_clients);
    PART("What one can ask", part_requests);
    PART("Clients that send garbage, half a request, or nothing",
         part_bad_clients);
    PART("Four clients count: get and set, or add", part_counter);
    if (stranger != 0)
        PART("Another user", part_stranger);
    PART("The server is killed", part_killed);
    return lesson_end();
}
