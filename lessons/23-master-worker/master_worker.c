/*
 * master_worker.c -- a web server that survives its workers.
 *
 * A master opens the socket and starts a worker process for each CPU;
 * it serves nobody, and only sees to it that there are workers.  Those
 * have a few threads each, which share all the worker's connections:
 * any of them serves one that has something to say.  The lesson sends
 * a load of requests, kills a worker, replaces all of them under load,
 * and stops the server while it has requests in hand.
 *
 * Look at: who is lost with a killed worker, and who is not when all
 * are replaced.
 * Compare with: 22-socket-server, where a connection costs a thread;
 * 08-pool-callback, whose pool replaces a dead worker as well.
 * Try: --workers 1; --serve, and then curl or wrk.
 *
 * connections.h is what a worker's threads do, http.h how they read a
 * request, browser.h how the lesson sends one.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "browser.h"
#include "checked.h"
#include "clock.h"
#include "connections.h"
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
    CLIENTS_MAX = 50,
    REQUESTS = 50,          /* of each client */
    SLOTS = 4 * WORKERS_MAX /* for old workers, too, which leave */
};

static int workers, threads = 2, clients = 8, port, patience = 50;
static int serve;
static int listener;

/* What all processes see, in shared memory. */
static struct board {
    atomic_bool gate; /* open: slow requests end after 1 u */
    struct slot {
        atomic_int pid; /* of a worker that is ready, or 0 */
        struct traffic traffic;
        atomic_int in_hand; /* slow requests */
    } slots[SLOTS];
} * board;

/* ------------------------------------------------------- a worker */

static struct slot *own_slot; /* of this process */

static void name_row(char *row, size_t size, int slot, int thread)
{
    snprintf(row, size, "worker %hd.%hd", (short)(slot + 1),
             (short)(thread + 1));
}

/* A page that takes 1 u, and longer while the lesson wants it to. */
static void be_slow(int thread)
{
    double deadline = clock_deadline(lesson_unit() + 10);
    char row[TIMELINE_NAME_MAX];

    name_row(row, sizeof row, (int)(own_slot - board->slots), thread);
    timeline_begin(row, "slow", 0);
    atomic_fetch_add(&own_slot->in_hand, 1);
    unit_sleep(1);
    while (!atomic_load(&board->gate) && clock_left(deadline) > 0)
        clock_sleep(0.001);
    atomic_fetch_sub(&own_slot->in_hand, 1);
    timeline_end(row);
}

static bool page(struct http_text target, int thread)
{
    if (http_same(target, "/slow"))
        be_slow(thread);
    return http_same(target, "/slow") || http_same(target, "/");
}

static sigset_t signals; /* of master and workers: see run_master */

static int next_signal(double seconds) /* -1: none has come */
{
    struct timespec limit = {.tv_nsec = (long)(seconds * 1e9)};

    return sigtimedwait(&signals, NULL, &limit);
}

/*
 * Told to leave, it stays until the last connection has gone.  The
 * lesson's own clients have time, on a busy machine, too.
 */
static int run_worker(void *slot)
{
    double limit = serve ? patience * lesson_unit() : 30;
    struct traffic *traffic;

    own_slot = slot;
    traffic = &own_slot->traffic;
    connections_open(listener, threads, limit, page, traffic);
    atomic_store(&own_slot->pid, getpid());
    while (!traffic->ending || traffic->connections > 0) {
        if (next_signal(traffic->ending ? 0.005 : 0.1) == SIGTERM)
            atomic_store(&traffic->ending, true);
        connections_tick();
    }
    return 0;
}

/* ----------------------------------------------------- the master */

/* Its own; each worker has the slot of the same number. */
static struct master {
    int wanted, generation; /* SIGHUP begins a new one */
    struct {
        struct process process;
        bool running;
        int generation;
    } workers[SLOTS];
} master;

static bool is_of_today(int i)
{
    return master.workers[i].running &&
           master.workers[i].generation == master.generation;
}

static void start_worker(int i)
{
    int error;

    memset(&board->slots[i], 0, sizeof board->slots[i]);
    error = process_start(&master.workers[i].process, run_worker,
                          &board->slots[i]);
    if (error != 0) {
        report_error(error, "fork");
        clock_sleep(0.1); /* and tries again */
        return;
    }
    master.workers[i].running = true;
    master.workers[i].generation = master.generation;
}

/* As many as are missing, where there are slots. */
static void start_workers(void)
{
    int missing = master.wanted;

    for (int i = 0; i < SLOTS; i++)
        missing -= is_of_today(i);
    for (int i = 0; i < SLOTS && missing > 0; i++)
        if (!master.workers[i].running) {
            start_worker(i);
            missing--;
        }
}

/* Old ones serve until all new ones do, or none is wanted. */
static void dismiss_old_workers(void)
{
    int missing = master.wanted;

    for (int i = 0; i < SLOTS; i++)
        missing -= is_of_today(i) && board->slots[i].pid != 0;
    for (int i = 0; i < SLOTS && missing <= 0; i++)
        if (master.workers[i].running && !is_of_today(i) &&
            !board->slots[i].traffic.ending)
            process_terminate(&master.workers[i].process);
}

static void report_death(int i, int signal)
{
    say_time("worker %d was killed by signal %d",
             master.workers[i].process.pid, signal);
    for (int thread = 0; thread < threads; thread++) {
        char row[TIMELINE_NAME_MAX];

        name_row(row, sizeof row, i, thread);
        timeline_cut(row);
    }
}

/*
 * What one worker was refused as it began, another would be, too: the
 * lesson ends; a server that is kept up tries again, but not busily.
 */
static void bury_worker(int i)
{
    int exitcode = master.workers[i].process.exitcode;

    if (exitcode == EXIT_REFUSED && !serve)
        _exit(EXIT_REFUSED);
    if (exitcode < 0)
        report_death(i, -exitcode);
    if (board->slots[i].pid == 0)
        clock_sleep(0.1);
    master.workers[i].running = false;
    atomic_store(&board->slots[i].pid, 0);
}

static int reap_workers(void) /* how many there are still */
{
    int running = 0;

    for (int i = 0; i < SLOTS; i++) {
        if (master.workers[i].running &&
            !process_is_alive(&master.workers[i].process))
            bury_worker(i);
        running += master.workers[i].running;
    }
    return running;
}

/*
 * Signals are blocked, also in the workers, and taken when it is their
 * turn: so no call is interrupted, and no handler runs in between.
 */
static void block_signals(void)
{
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGCHLD);
    check_error(pthread_sigmask(SIG_BLOCK, &signals, NULL),
                "pthread_sigmask");
}

/* Until SIGTERM has come and the last worker has gone. */
static int run_master(void *unused)
{
    (void)unused;
    block_signals();
    master.wanted = workers;
    while (reap_workers() > 0 || master.wanted > 0) {
        int signal;

        start_workers();
        dismiss_old_workers();
        signal = next_signal(0.01);
        if (signal == SIGTERM)
            master.wanted = 0;
        if (signal == SIGTERM || signal == SIGHUP)
            master.generation++; /* those that run are old now */
    }
    return 0;
}

/* ---------------------------------------- the lesson: the service */

static struct process service; /* the master's process */

static void open_listener(void)
{
    board = xshared_alloc(sizeof *board);
    atomic_store(&board->gate, true);
    listener = check_call(loopback_listen(port), "listen");
    port = loopback_port(listener);
    check_call(fcntl(listener, F_SETFL, O_NONBLOCK), "fcntl");
}

/* What there is of something, in all slots. */
static int sum(int of(const struct slot *slot))
{
    int total = 0;

    for (int i = 0; i < SLOTS; i++)
        total += of(&board->slots[i]);
    return total;
}

/* For 20 s at most, and not when there is no master. */
static bool wait_for(int number, int of(const struct slot *slot))
{
    double deadline = clock_deadline(20);

    while (sum(of) != number && clock_left(deadline) > 0) {
        if (!process_is_alive(&service)) {
            if (service.exitcode == EXIT_REFUSED)
                _exit(EXIT_REFUSED); /* it has said why */
            break;
        }
        clock_sleep(0.001);
    }
    return sum(of) == number;
}

static int at_work(const struct slot *slot)
{
    return slot->pid != 0 && !slot->traffic.ending;
}

static int leaving(const struct slot *slot)
{
    return slot->pid != 0 && slot->traffic.ending;
}

static int in_hand(const struct slot *slot)
{
    return slot->pid != 0 ? slot->in_hand : 0;
}

static int accepted(const struct slot *slot)
{
    return slot->traffic.accepted;
}

static int answered(const struct slot *slot)
{
    return slot->traffic.answered;
}

static void start_service(void)
{
    open_listener();
    xprocess_start(&service, run_master, NULL);
    xclose(listener); /* or it would be open when the master is gone */
    wait_for(workers, at_work);
}

/* --------------------------------------------- a load of requests */

static int sockets[CLIENTS_MAX];
static atomic_int good;

static int xconnect(void)
{
    return check_call(loopback_connect(port), "connect");
}

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
    struct answer answer;

    start_service();
    for (int i = 0; i < clients; i++) {
        sockets[i] = xconnect();
        atomic_fetch_add(&good, get(sockets[i], "/", &answer));
    }
    crowd_threads(clients, send_load);
    for (int i = 0; i < SLOTS; i++)
        if (at_work(&board->slots[i]))
            say("worker %d: %d requests, %d connections",
                board->slots[i].pid, board->slots[i].traffic.answered,
                board->slots[i].traffic.accepted);

    saw("%d", good);
    claim(good == clients * REQUESTS, "%d clients got %d answers",
          clients, clients * REQUESTS);
    saw("%d, %d", sum(at_work), sum(answered));
    claim(sum(at_work) == workers &&
              sum(answered) == clients * REQUESTS,
          "%d worker%s gave so many", workers, workers == 1 ? "" : "s");
    saw("%d", sum(accepted));
    claim(sum(accepted) == clients,
          "a client's requests took one connection");
}

/* ----------------------------------------------- requests in hand */

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
        if (!wait_for(count, in_hand))
            break;
    }
    say_time("%d slow requests are in hand", count);
    return count;
}

/* The good answers of all of them. */
static int collect(int count, int *closing)
{
    int answers = 0;

    atomic_store(&board->gate, true);
    *closing = 0;
    for (int i = 0; i < count; i++) {
        struct answer answer = {0};

        answers +=
            receive(held[i], &answer) && answer.status == HTTP_OK;
        *closing += answer.closes;
        xclose(held[i]);
    }
    say_time("%d of them have been answered", answers);
    return answers;
}

static int full_hands(const struct slot *slot)
{
    return in_hand(slot) == threads;
}

static int victim; /* the pid of the first worker, who is killed */

static int is_victim(const struct slot *slot)
{
    return slot->pid == victim;
}

static void part_kill(void)
{
    int count = fill_hands(), full = sum(full_hands);
    int answers, closing;
    bool replaced;

    for (int i = 0; i < SLOTS; i++)
        if (victim == 0 && at_work(&board->slots[i]))
            victim = board->slots[i].pid;
    if (victim != 0)
        check_call(kill(victim, SIGKILL), "kill");
    replaced = wait_for(0, is_victim) && wait_for(workers, at_work);
    answers = collect(count, &closing);

    saw("%d", full);
    claim(full == workers, "%d worker%s had %d requests in hand%s",
          workers, workers == 1 ? "" : "s", threads,
          workers == 1 ? "" : " each");
    saw("%d answers", answers);
    claim(answers == (workers - 1) * threads,
          "those of the dead one are lost, and no other");
    claim(replaced, "a new worker took its place");
}

/* ---------------------------------------------------- new workers */

static int old_pids[SLOTS];
static int last_worker[CLIENTS_MAX]; /* that answered each client */
static atomic_int asked, lost, refused;
static atomic_bool renewed;

static bool is_old_pid(int pid)
{
    for (int i = 0; i < SLOTS; i++)
        if (pid != 0 && old_pids[i] == pid)
            return true;
    return false;
}

static int is_old(const struct slot *slot)
{
    return is_old_pid(slot->pid);
}

/* In the middle of the load, if there is one to be served. */
static void renew_workers(void)
{
    double deadline = clock_deadline(20);

    while (asked < 5 * clients && refused == 0 &&
           clock_left(deadline) > 0)
        clock_sleep(0.001);
    for (int i = 0; i < SLOTS; i++)
        old_pids[i] = board->slots[i].pid;
    say_time("SIGHUP, after %d requests", asked);
    check_call(kill(service.pid, SIGHUP), "kill");
    wait_for(0, is_old);
    say_time("the old workers have gone, after %d", asked);
    atomic_store(&renewed, true);
}

/* Goes on until there are new workers, and then a little. */
static void send_for_long(int number)
{
    struct answer answer = {.closes = true};
    int socket = -1;

    for (int more = 5; more > 0; more -= atomic_load(&renewed)) {
        if (answer.closes && (socket = loopback_connect(port)) < 0) {
            atomic_fetch_add(&refused, 1);
            return;
        }
        atomic_fetch_add(&asked, 1);
        answer.closes = true; /* unless it says otherwise */
        if (get(socket, "/", &answer))
            last_worker[number] = answer.worker;
        else
            atomic_fetch_add(&lost, 1);
        if (answer.closes)
            xclose(socket);
    }
    if (!answer.closes)
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
        by_new += last_worker[i] > 0 && !is_old_pid(last_worker[i]);

    saw("%d lost, %d refused", lost, refused);
    claim(lost == 0 && refused == 0,
          "no request was lost, and no connection refused");
    claim(sum(is_old) == 0, "no worker of before is left");
    saw("%d of %d", by_new, clients);
    claim(by_new == clients && sum(at_work) == workers,
          "each client's last answer came from a new worker");
}

/* -------------------------------------------------------- the end */

static void part_stop(void)
{
    int count = fill_hands(), answers, closing;
    bool all_leave;

    say_time("SIGTERM");
    check_call(kill(service.pid, SIGTERM), "kill");
    all_leave = wait_for(workers, leaving);
    answers = collect(count, &closing);
    process_join(&service, 20);

    saw("%d of %d", answers, count);
    claim(all_leave && answers == workers * threads,
          "the %d requests in hand were answered", workers * threads);
    saw("%d", closing);
    claim(closing == answers && closing > 0,
          "each answer said that the connection ends");
    saw("%d, joined %d", service.exitcode, service.joined);
    claim(service.joined && service.exitcode == 0 &&
              sum(leaving) + sum(at_work) == 0,
          "the last worker has gone, and the master with status 0");
}

/* ----------------------------------------------------- for others */

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
