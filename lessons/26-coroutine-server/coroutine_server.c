/*
 * coroutine_server.c -- one thread, five thousand clients.
 *
 * The server of lesson 22, with a green thread for each client instead
 * of a thread: the functions that talk to a client read the same, and
 * switch where those would wait.  It holds 5 clients, and then 5,000,
 * and what they cost is put beside what threads cost.  Then come
 * clients that nobody wants, and no descriptor is left.
 *
 * Look at: the table of memory.
 * Compare with: 22-socket-server, line by line.
 * Try: --clients 9000; --serve, and then nc 127.0.0.1 and the port;
 * --serve --http, and then curl or wrk.
 *
 * It is longer than most: a third of it is the server, the rest its
 * clients, which are in a process of their own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "checked.h"
#include "clock.h"
#include "gauge.h"
#include "green.h"
#include "lesson.h"
#include "loopback.h"
#include "pages.h"
#include "shared.h"
#include "timeline.h"

enum {
    LINE_BYTES = 1024, /* the longest line, without its newline */
    FEW = 5,
    CROWD = 100, /* clients that come at a time */
    CLIENTS_MAX = 20000,
    SPARE = 50,   /* descriptors for other things than clients */
    THREADS = 200 /* to compare with */
};

static int clients = 5000, port, patience = 300;
static int serve, http;

static struct {
    int listener, port;
    pid_t thread; /* the one that all this happens in */
    bool elsewhere;
} server;

/* What the server's process and that of the clients both see. */
static struct board {
    struct gauge served;
    atomic_int refused; /* how often accept found no descriptor */
    int right;          /* clients with all answers right */
    bool told;          /* why its line was not answered */
    int good, left;
    atomic_bool answered;
} * board;

/* ---------------------------------------------------- a client */

/*
 * In seconds: how long a line may take.  The lesson's own clients have
 * as long as they need.
 */
static double time_limit(void)
{
    return serve ? patience * lesson_unit() : INFINITY;
}

static void to_upper(char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i] >= 'a' && bytes[i] <= 'z')
            bytes[i] = (char)(bytes[i] - 'a' + 'A');
}

/* A read gives what has arrived: half a line, or three. */
static void answer_lines(int client)
{
    static const char reason[] = "line too long\n";
    char bytes[LINE_BYTES + 1];
    double deadline = clock_deadline(time_limit());
    size_t filled = 0;

    while (filled < sizeof bytes) {
        ssize_t count =
            green_read(client, bytes + filled, sizeof bytes - filled,
                       clock_left(deadline));
        char *newline;
        size_t whole;

        if (count <= 0)
            return;
        filled += (size_t)count;
        newline = memrchr(bytes, '\n', filled);
        if (newline == NULL)
            continue;
        whole = (size_t)(newline - bytes) + 1;
        to_upper(bytes, whole);
        if (green_write(client, bytes, whole, time_limit()) < 0)
            return;
        filled -= whole;
        memmove(bytes, bytes + whole, filled);
        deadline = clock_deadline(time_limit());
    }
    if (green_write(client, reason, sizeof reason - 1, time_limit()) >
        0)
        drain(client, bytes, sizeof bytes, time_limit());
}

/* From the first line to the last: this is all the server does. */
static void *serve_client(void *arg)
{
    int client = *(int *)arg;

    free(arg);
    gauge_enter(&board->served);
    server.elsewhere |= gettid() != server.thread;
    if (http)
        pages_answer(client, time_limit());
    else
        answer_lines(client);
    green_close(client);
    gauge_leave(&board->served);
    return NULL;
}

/* -------------------------------------------------- the server */

/* Without memory for it the client is sent away. */
static void start_client(int client)
{
    int *arg = malloc(sizeof *arg);
    struct green *green = NULL;

    if (arg != NULL) {
        *arg = client;
        green = green_spawn("client", serve_client, arg);
    }
    if (green == NULL) {
        free(arg);
        green_close(client);
    }
    green_free(green); /* it runs all the same */
}

/*
 * Until the listener is shut down.  Without a descriptor the client
 * stays in the queue of the kernel: it is not lost, and has its turn
 * when another has left.
 */
static void *accept_clients(void *unused)
{
    for (;;) {
        int client = green_accept(server.listener, INFINITY);

        if (client >= 0) {
            start_client(client);
        } else if (errno == EMFILE || errno == ENFILE ||
                   errno == ENOMEM || errno == ENOBUFS) {
            atomic_fetch_add(&board->refused, 1);
            green_sleep(0.01);
        } else if (errno == EINVAL || errno == EBADF) {
            return unused;
        }
        /* Otherwise this client is gone already. */
    }
}

static void open_server(void)
{
    server.listener = check_call(loopback_listen(port), "listen");
    server.port = loopback_port(server.listener);
    server.thread = gettid();
    check_call(fcntl(server.listener, F_SETFL, O_NONBLOCK), "fcntl");
    atomic_store(&board->served.most, 0);
    atomic_store(&board->refused, 0);
}

static void start_server(void)
{
    green_free(check_pointer(
        green_spawn("acceptor", accept_clients, NULL), "green_spawn"));
}

/* When the clients have gone: what they leave ends soon. */
static void stop_server(void)
{
    shutdown(server.listener, SHUT_RDWR);
    while (green_count() > 0)
        check_error(green_sleep(0.001), "green_sleep");
    green_close(server.listener);
}

/* ------------------------------------- the clients, and their line */

static struct {
    struct process process;
    int here, there; /* ends of a line between the two processes */
} other;

/* The other process serves nobody: it waits as in lesson 22. */
static void start_other(process_function *run, void *arg)
{
    int ends[2];

    check_call(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends),
               "socketpair");
    other.here = ends[0];
    other.there = ends[1];
    other.process = (struct process){0};
    xprocess_start(&other.process, run, arg);
    xclose(other.there);
    check_call(fcntl(other.here, F_SETFL, O_NONBLOCK), "fcntl");
}

/* In the server, which goes on serving: false when it has ended. */
static bool hear_other(void)
{
    char byte;

    return green_read(other.here, &byte, 1, INFINITY) == 1;
}

static void end_other(void)
{
    while (hear_other())
        continue;
    green_close(other.here);
    xprocess_join(&other.process);
}

static void tell_server(void)
{
    xwrite(other.there, "!", 1);
}

static void wait_for_server(void)
{
    char byte;

    xread(other.there, &byte, 1);
}

static int connect_to_server(void)
{
    return check_call(loopback_connect(server.port), "connect");
}

static bool gets(int client, const char *expected)
{
    return loopback_gets(client, expected, INFINITY);
}

static bool tell(int client, const char *line)
{
    return loopback_send(client, line, strlen(line)) == 0;
}

static bool ask(int client, const char *line, const char *expected)
{
    return tell(client, line) && gets(client, expected);
}

/* ------------------------------------------- as many as possible */

/* With more than these the time line would be a wall. */
static void draw(int count, int number, bool begin)
{
    char row[TIMELINE_NAME_MAX];

    if (count > FEW)
        return;
    snprintf(row, sizeof row, "client %d", number + 1);
    if (begin)
        timeline_begin(row, row + strlen("client "), 0);
    else
        timeline_end(row);
}

/* Some at a time, while all before them stay. */
static void come(int *sockets, bool *right, int from, int to, int count)
{
    for (int i = from; i < to; i++) {
        draw(count, i, true);
        sockets[i] = connect_to_server();
        right[i] = tell(sockets[i], "hello\n");
    }
    for (int i = from; i < to; i++)
        right[i] &= gets(sockets[i], "HELLO\n");
    if (to % 1000 == 0 && to < count)
        say_time("%d clients have had an answer", to);
}

/* When all are there they speak all at once, and leave. */
static void leave(const int *sockets, bool *right, int count)
{
    for (int i = 0; i < count; i++)
        right[i] &= tell(sockets[i], "goodbye\n");
    for (int i = 0; i < count; i++) {
        right[i] &= gets(sockets[i], "GOODBYE\n");
        board->right += right[i];
        xclose(sockets[i]);
        draw(count, i, false);
        if ((i + 1) % 1000 == 0 && i + 1 < count)
            say_time("%d clients have left", i + 1);
    }
}

static int be_clients(void *arg)
{
    int count = *(int *)arg;
    int *sockets = xcalloc((size_t)count, sizeof *sockets);
    bool *right = xcalloc((size_t)count, sizeof *right);

    for (int i = 0; i < count; i += CROWD)
        come(sockets, right, i, i + CROWD < count ? i + CROWD : count,
             count);
    tell_server();
    wait_for_server();
    leave(sockets, right, count);
    return 0;
}

/* In KB, of this process. */
struct memory {
    double used, mapped;
};

static double read_number(const char *file, const char *before)
{
    FILE *lines = check_pointer(fopen(file, "r"), file);
    size_t size = strlen(before);
    char line[256];
    double number = 0;

    while (fgets(line, sizeof line, lines) != NULL)
        if (strncmp(line, before, size) == 0)
            number = strtod(line + size, NULL);
    (void)fclose(lines);
    return number;
}

static struct memory measure(void)
{
    return (struct memory){
        .used = read_number("/proc/self/smaps_rollup", "Rss:"),
        .mapped = read_number("/proc/self/status", "VmSize:")};
}

/* What each of so many has added since then. */
static struct memory share(struct memory before, int count)
{
    struct memory now = measure();

    return (struct memory){.used = (now.used - before.used) / count,
                           .mapped =
                               (now.mapped - before.mapped) / count};
}

/* What a client costs, when so many are there at once. */
static struct memory hold(int count)
{
    struct memory before, each;

    open_server();
    before = measure();
    board->right = 0;
    start_other(be_clients, &count);
    start_server();
    hear_other();
    each = share(before, count);
    say_time("%d clients have had an answer, and all stay",
             board->served.inside);
    if (count <= FEW)
        check_error(green_sleep(lesson_unit()), "green_sleep");
    green_write(other.here, "!", 1, time_limit());
    end_other();
    stop_server();

    saw("%d", board->right);
    claim(board->right == count, "%d clients got the right answers",
          count);
    saw("%d", board->served.most);
    claim(board->served.most == count && !server.elsewhere,
          "%d were served at a time, by one thread", count);
    return each;
}

/* ----------------------------------------------- five, and more */

static void allow_descriptors(rlim_t count)
{
    struct rlimit limit;

    check_call(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    limit.rlim_cur = count < limit.rlim_max ? count : limit.rlim_max;
    check_call(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
}

/*
 * Each client takes one descriptor of the server, and one of the
 * clients' process.  Returns how many clients are possible.
 */
static int make_room_for(int count)
{
    struct rlimit limit;

    allow_descriptors((rlim_t)count + SPARE);
    check_call(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
    if (limit.rlim_cur >= (rlim_t)count + SPARE)
        return count;
    if (limit.rlim_cur < FEW + SPARE)
        check_error(EMFILE, "descriptors for 5 clients");
    say("Only %d: a process may have %d descriptors (ulimit -Hn).",
        (int)limit.rlim_cur - SPARE, (int)limit.rlim_cur);
    return (int)limit.rlim_cur - SPARE;
}

static void part_few(void)
{
    hold(make_room_for(FEW));
}

static void *sit(void *ends)
{
    char bytes[LINE_BYTES + 1];

    gauge_enter(&board->served);
    xread(((int *)ends)[0], bytes, 1);
    return NULL;
}

/* What a thread costs that has the same buffer, and waits. */
static struct memory measure_threads(void)
{
    pthread_t threads[THREADS];
    struct memory before, each;
    int ends[2];

    atomic_store(&board->served.inside, 0);
    xpipe(ends);
    before = measure();
    for (int i = 0; i < THREADS; i++)
        xpthread_create(&threads[i], sit, ends);
    while (board->served.inside < THREADS)
        clock_sleep(0.001);
    each = share(before, THREADS);
    xclose(ends[1]);
    for (int i = 0; i < THREADS; i++)
        xpthread_join(threads[i]);
    xclose(ends[0]);
    atomic_store(&board->served.inside, 0);
    return each;
}

/*
 * The kernel has a stack of its own for each thread, on x86-64 and
 * aarch64 of this size: KernelStack in /proc/meminfo tells of all.
 */
static const double kernel_stack = 16;

static void print_memory(const char *what, struct memory each,
                         double kernel)
{
    say("%-12s %9.1f %9.1f %12.1f", what, each.used, kernel,
        each.mapped);
}

static void part_many(void)
{
    struct memory thread = measure_threads();
    struct memory client = hold(make_room_for(clients));

    say("KB for each   memory  + kernel    addresses");
    print_memory("a client", client, 0);
    print_memory("a thread", thread, kernel_stack);
    saw("%.1f KB and %.1f KB", client.used, thread.used + kernel_stack);
    claim(client.used < thread.used + kernel_stack,
          "a client costs less than a thread");
}

/* --------------------------------------- clients that nobody wants */

enum { MEGABYTE = 1 << 20, QUESTIONS = 100 };

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
    char *megabyte = xcalloc(1, MEGABYTE);
    char more;
    bool told;

    memset(megabyte, 'x', MEGABYTE);
    told = loopback_send(client, megabyte, MEGABYTE) == 0 &&
           gets(client, "line too long\n") &&
           loopback_receive(client, &more, 1, INFINITY) == 0;
    free(megabyte);
    return told;
}

/* Waits until no more than so many are served, or for 20 s. */
static int served_at_last(int expected)
{
    double deadline = clock_deadline(20);

    while (board->served.inside > expected && clock_left(deadline) > 0)
        clock_sleep(0.001);
    return board->served.inside;
}

static int be_bad_clients(void *unused)
{
    int vanished = connect_to_server(), silent = connect_to_server();
    int endless = connect_to_server(), good = connect_to_server();

    (void)unused;
    board->good = 0;
    tell(vanished, "half a li");
    vanish(vanished);
    board->told = is_turned_away(endless);
    for (int i = 0; i < QUESTIONS; i++)
        board->good +=
            ask(good, "are you there?\n", "ARE YOU THERE?\n");
    xclose(endless);
    xclose(good);
    board->left = served_at_last(1);
    xclose(silent);
    return 0;
}

static void part_bad_clients(void)
{
    open_server();
    start_other(be_bad_clients, NULL);
    start_server();
    end_other();
    stop_server();

    saw("%d", board->good);
    claim(board->good == QUESTIONS, "a good client got all %d answers",
          QUESTIONS);
    claim(board->told,
          "a line of a megabyte was refused in so many words");
    saw("%d", board->left);
    claim(board->left == 1, "only the silent one is still served");
}

/* -------------------------------------------- no descriptor left */

static int be_one_too_many(void *unused)
{
    int client = connect_to_server();

    (void)unused;
    tell(client, "hello\n");
    tell_server();
    atomic_store(&board->answered, gets(client, "HELLO\n"));
    xclose(client);
    return 0;
}

/* The client has its descriptor; the server can not have another. */
static void part_no_descriptor(void)
{
    double deadline = clock_deadline(5);
    bool early;

    open_server();
    atomic_store(&board->answered, false);
    start_other(be_one_too_many, NULL);
    hear_other();
    allow_descriptors(0);
    start_server();
    while (board->refused < 2 && clock_left(deadline) > 0)
        check_error(green_sleep(0.001), "green_sleep");
    say_time("accept gets EMFILE, and tries again");
    early = atomic_load(&board->answered);
    allow_descriptors(FEW + SPARE);
    end_other();
    say_time("the client that waited has its answer");
    stop_server();

    saw("%d times", board->refused);
    claim(board->refused >= 2,
          "accept found no descriptor, and went on");
    saw("%s", early ? "an answer at once" : "no answer");
    claim(!early && board->answered,
          "who came too many waited, and was served");
}

/* ---------------------------------------------------- for others */

static void part_serve(void)
{
    allow_descriptors(RLIM_INFINITY);
    open_server();
    start_server();
    say("127.0.0.1 port %d: %s in one thread, until Ctrl-C",
        server.port, http ? "HTTP" : "lines");
    lesson_idle(true);
    check_error(green_sleep(INFINITY), "green_sleep");
}

int main(int argc, char **argv)
{
    static const struct lesson_option options[] = {
        {"clients", "N", "how many clients come at last", &clients, 1,
         CLIENTS_MAX},
        {"patience", "N", "with --serve: a line may take N u",
         &patience, 1, 100000},
        {"port", "N", "listen there; 0: the system chooses", &port, 0,
         65535},
        {"serve", NULL, "serve others, until Ctrl-C", &serve, 0, 1},
        {"http", NULL, "with --serve: as a web server", &http, 0, 1},
        {0},
    };
    static const struct lesson lesson = {
        .name = "lesson-26 coroutine-server",
        .summary = "one thread, five thousand clients",
        .example = "./lesson-26 --clients 1000",
        .options = options,
    };

    lesson_begin(&lesson, argc, argv);
    board = xshared_alloc(sizeof *board);
    if (serve) {
        PART("A server for others", part_serve);
        return lesson_end();
    }
    http = 0;
    PART("A few clients", part_few);
    PART("Many clients", part_many);
    PART("Clients that nobody wants", part_bad_clients);
    PART("No descriptor left", part_no_descriptor);
    return lesson_end();
}
