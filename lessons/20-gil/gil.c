/*
 * gil.c -- one thread at a time, however many CPUs there are.
 *
 * CPython's interpreter has a lock, the GIL, and only its holder runs.
 * Who waits for it asks after the switch interval; the holder looks
 * now and then whether somebody asks, gives it up, and comes back only
 * after another one has had it.  So threads that compute share one
 * CPU, and threads that wait give the lock up meanwhile; but who comes
 * back from waiting has to ask for it, for a whole interval each time,
 * when another one computes: the convoy.
 *
 * Look at: the turns in the time line; what two threads gain, with one
 * lock and with a lock each; latency and switch interval.
 * Compare with: common/gil.c, the lock itself; 21-cpu-io, for what to
 * choose; 11-mutex, a lock for the data.
 * Try: --unit 0.5; --requests 20; another python3 in the PATH.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "checked.h"
#include "clock.h"
#include "cpu.h"
#include "crowd.h"
#include "gauge.h"
#include "gil.h"
#include "lesson.h"
#include "series.h"
#include "timeline.h"

enum {
    PAIR = 2,   /* threads, or processes */
    ROUNDS = 3, /* of each measurement */
    TRIES = 10, /* when they were disturbed */
    REQUESTS_MAX = SERIES_MAX / ROUNDS
};

static int requests = 3; /* a round */
static int python = 1;   /* measure CPython, too */

static const double cpython_interval = 0.005; /* unless it is set */

/* A lock for each of two threads, or the first one for both. */
static struct gil gils[PAIR];
static bool one_lock;

static struct gil *gil_of(int number)
{
    return &gils[one_lock ? 0 : number];
}

static void open_gils(double interval)
{
    for (int i = 0; i < PAIR; i++)
        check_error(gil_init(&gils[i], interval), "gil_init");
}

static void close_gils(void)
{
    for (int i = 0; i < PAIR; i++)
        gil_destroy(&gils[i]);
}

/* --------------------------------------------------------- turns */

enum { TURNS = 4 };

static const double turn_length = 0.25; /* u */

static struct gauge inside;
static atomic_int running;

/* Protected by the one lock. */
static char order[2 * PAIR * (TURNS + 1)];
static int order_length;
static double shortest_wait; /* u */

static void begin_turn(const char *row)
{
    gauge_enter(&inside);
    order[order_length++] = row[strlen(row) - 1];
    timeline_begin(row, "runs", 0);
}

static void end_turn(const char *row)
{
    timeline_end(row);
    gauge_leave(&inside);
}

static void give_way(struct gil *gil, const char *row)
{
    double waits_since;

    end_turn(row);
    waits_since = unit_now();
    gil_check(gil);
    if (running > 1) /* or the other has ended its turn by itself */
        shortest_wait = fmin(shortest_wait, unit_now() - waits_since);
    begin_turn(row);
}

/* Computes, if you will; after so many turns it ends. */
static void take_turns(int number)
{
    const char *row = number == 0 ? "thread A" : "thread B";
    struct gil *gil = gil_of(number);
    int turns = 0;

    while (number > 0 && inside.most == 0)
        clock_sleep(1e-4); /* A is the first */
    gil_take(gil);
    begin_turn(row);
    while (turns < TURNS && running > 1) {
        if (gil_wanted(gil)) {
            give_way(gil, row);
            turns++;
        }
    }
    running--;
    end_turn(row);
    gil_drop(gil);
}

static bool alternates(void)
{
    bool alternate = true;

    for (int i = 1; i < order_length; i++)
        alternate = alternate && order[i] != order[i - 1];
    return alternate;
}

static void part_turns(void)
{
    one_lock = true;
    running = PAIR;
    shortest_wait = INFINITY;
    open_gils(turn_length * lesson_unit());
    crowd_threads(PAIR, take_turns);
    close_gils();

    say("turns: %.*s", order_length, order);
    saw("%d at once", inside.most);
    claim(inside.most == 1,
          "one thread at a time is in the interpreter");
    saw("%.*s", order_length, order);
    claim(order_length == PAIR * (TURNS + 1) && alternates(),
          "who gives way comes back only after the other");
    saw("%.3f u", shortest_wait);
    claim(shortest_wait >= turn_length,
          "and waits for at least the interval, %g u", turn_length);
}

/* ---------------------------------------------- CPython itself */

/* Bytes in memory that all share. */
static struct page {
    atomic_uchar ticks; /* of the spinning thread */
    atomic_uchar spins; /* 0: it shall end */
} * page;

static int page_file;

/* Who answers requests, at the other ends of two pipes. */
struct peer {
    int to, from;
    double pause; /* between two requests, in seconds */
};

static struct cpython {
    struct process process;
    struct peer peer;
    bool there;
    char version[17];
    struct series slowdown; /* two threads against serial */
} cpython;

static const char *why_not = "there is no python3 with a GIL";

/* It answers on its standard output what it is asked on its input. */
static const char script[] =
    "import mmap, os, sys, threading, time\n"
    "def spin():\n"
    "    while page[1]: page[0] = (page[0] + 1) & 255\n"
    "def work():\n"
    "    for _ in range(steps): pass\n"
    "def timed(run):\n"
    "    begin = time.perf_counter(); run()\n"
    "    return time.perf_counter() - begin\n"
    "def run_threads():\n"
    "    pair = [threading.Thread(target=work) for _ in range(2)]\n"
    "    for thread in pair: thread.start()\n"
    "    for thread in pair: thread.join()\n"
    "if sys.implementation.name != 'cpython': sys.exit()\n"
    "if not getattr(sys, '_is_gil_enabled', lambda: 1)(): sys.exit()\n"
    "page, steps = mmap.mmap(int(sys.argv[1]), 4096), 300000\n"
    "steps = int(steps * float(sys.argv[2]) / timed(work))\n"
    "os.write(1, b'%-16s' % sys.version.split()[0].encode())\n"
    "while command := os.read(0, 64).split():\n"
    "    sys.setswitchinterval(float(command[1]))\n"
    "    if command[0] == b'work':\n"
    "        serial = timed(lambda: (work(), work()))\n"
    "        os.write(1, b'%16.9f' % (timed(run_threads) / serial))\n"
    "    else:\n"
    "        spinner = threading.Thread(target=spin)\n"
    "        page[1] = 1; spinner.start(); os.write(1, b'!')\n"
    "        while os.read(0, 1) == b'?': os.write(1, b'!')\n"
    "        page[1] = 0; spinner.join(); os.write(1, b'!')\n";

static void open_page(void)
{
    page_file = check_call(memfd_create("page", 0), "memfd_create");
    check_call(ftruncate(page_file, 4096), "ftruncate");
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
                page_file, 0);
    check_call(page == MAP_FAILED ? -1 : 0, "mmap");
}

static int exec_python(void *arg)
{
    const struct peer *child = arg;
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    char file[16], length[32];

    snprintf(file, sizeof file, "%d", page_file);
    snprintf(length, sizeof length, "%.3f", 0.5 * lesson_unit());
    dup2(child->from, STDIN_FILENO);
    dup2(child->to, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
    signal(SIGPIPE, SIG_DFL);
    execlp("python3", "python3", "-c", script, file, length, NULL);
    return EXIT_REFUSED;
}

/* Reads that many bytes; if they do not come, CPython has gone. */
static bool hear(char *answer, size_t size)
{
    cpython.there = xread(cpython.peer.from, answer, size) == size;
    return cpython.there;
}

/* A command of this kind, for this switch interval. */
static bool tell(const char *command, double interval)
{
    char line[64];
    int size =
        snprintf(line, sizeof line, "%s %g\n", command, interval);

    cpython.there = cpython.there &&
                    write(cpython.peer.to, line, (size_t)size) == size;
    return cpython.there;
}

static void open_cpython(void)
{
    int there[2], back[2];
    struct peer child;

    xpipe(there);
    xpipe(back);
    child = (struct peer){.to = back[1], .from = there[0]};
    cpython.peer = (struct peer){.to = there[1], .from = back[0]};
    xprocess_start(&cpython.process, exec_python, &child);
    xclose(child.to);
    xclose(child.from);
    hear(cpython.version, sizeof cpython.version - 1);
    *strchrnul(cpython.version, ' ') = '\0';
}

/* It ends when nobody can ask any more. */
static void close_cpython(void)
{
    xclose(cpython.peer.to);
    if (process_join(&cpython.process, 10) != 0)
        process_kill(&cpython.process);
    xprocess_join(&cpython.process);
    xclose(cpython.peer.from);
}

static void ask_for_work(void)
{
    char answer[17] = "";

    if (tell("work", cpython_interval) && hear(answer, 16))
        series_add(&cpython.slowdown, strtod(answer, NULL));
}

/* ----------------------------------------------- the CPU-bound */

/* In memory that processes share. */
static struct board {
    double cpu[PAIR];     /* seconds that the task has used */
    unsigned value[PAIR]; /* so that the work has a result */
} * board;

static long steps; /* instructions of a task's program */

static double thread_cpu(void)
{
    struct timespec used;

    check_call(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used),
               "clock_gettime");
    return (double)used.tv_sec + (double)used.tv_nsec * 1e-9;
}

/* Some work, about as long as an instruction of CPython's takes. */
static unsigned instruction(unsigned value)
{
    for (int i = 0; i < 50; i++)
        value = value * 1664525 + 1013904223;
    return value;
}

/* A program of so many instructions, and a check between any two. */
static unsigned interpret(struct gil *gil, long count)
{
    unsigned value = 1;

    for (; count > 0; count--) {
        gil_check(gil);
        value = instruction(value);
    }
    return value;
}

static void compute(int number)
{
    double begin = thread_cpu();
    struct gil *gil = gil_of(number);

    gil_take(gil);
    board->value[number] = interpret(gil, steps);
    gil_drop(gil);
    board->cpu[number] = thread_cpu() - begin;
}

static void run_serial(void)
{
    compute(0);
    compute(1);
}

static void run_threads(void)
{
    crowd_threads(PAIR, compute);
}

static void run_processes(void)
{
    int failed = crowd_processes(PAIR, compute);

    saw("%d were killed", failed);
    if (failed > 0)
        claim(false, "both processes came to their end");
}

enum { SERIAL, ONE_LOCK, LOCK_EACH, PROCESSES, WAYS };

static struct way {
    const char *name;
    void (*run)(void);
    bool one_lock;
    struct series took; /* u */
    struct series cpus; /* used on the average */
} ways[WAYS] = {
    [SERIAL] = {.name = "one after the other", .run = run_serial},
    [ONE_LOCK] = {.name = "two threads, one lock",
                  .run = run_threads,
                  .one_lock = true},
    [LOCK_EACH] = {.name = "two threads, a lock each",
                   .run = run_threads},
    [PROCESSES] = {.name = "two processes", .run = run_processes},
};

static struct series slowdown; /* two threads, against serial */

static double measure(struct way *way)
{
    double begin = unit_now(), took;

    one_lock = way->one_lock;
    way->run();
    took = unit_now() - begin;
    series_add(&way->took, took);
    series_add(&way->cpus, (board->cpu[0] + board->cpu[1]) /
                               (took * lesson_unit()));
    return took;
}

/*
 * So many steps that a task takes about half a u: twice as many, until
 * three runs are long enough to tell.
 */
static void choose_steps(void)
{
    double wanted = 0.5 * lesson_unit(), least = INFINITY;
    int runs = 0;

    for (steps = 100; runs < 3; runs++) {
        compute(0);
        least = fmin(least, board->cpu[0]);
        if (least < fmin(wanted, 0.01) / 4) {
            steps *= 2;
            least = INFINITY;
            runs = -1;
        }
    }
    steps = (long)((double)steps * wanted / least);
}

/* With a lock each as with two processes, at best or mostly. */
static bool gets_as_much(void)
{
    const struct series *threads = &ways[LOCK_EACH].took;
    const struct series *processes = &ways[PROCESSES].took;

    return series_quantile(threads, 0) <=
               1.5 * series_quantile(processes, 0) ||
           series_median(threads) <= 1.5 * series_median(processes);
}

/*
 * A neighbour that comes and goes disturbs the one or the other: then
 * both are tried again.
 */
static void measure_rounds(void)
{
    open_gils(cpython_interval);
    choose_steps();
    for (int round = 0; round < ROUNDS; round++) {
        double took[WAYS];

        for (int i = 0; i < WAYS; i++)
            took[i] = measure(&ways[i]);
        series_add(&slowdown, took[ONE_LOCK] / took[SERIAL]);
        ask_for_work();
    }
    for (int i = 0; i < TRIES && !gets_as_much(); i++) {
        measure(&ways[LOCK_EACH]);
        measure(&ways[PROCESSES]);
    }
    close_gils();
}

/*
 * What two bare loops get tells whether the machine is quiet enough to
 * compare anything.
 */
static bool is_quiet(void)
{
    return series_median(&ways[PROCESSES].cpus) >=
           0.9 * fmin(PAIR, cpu_count());
}

/* Ours beside CPython's: a claim if neither varies by more. */
static void compare(const char *what, const struct series *ours,
                    const struct series *theirs, double steady)
{
    double spread, ratio;

    if (!cpython.there || theirs->count < ours->count)
        return;
    spread = fmax(series_spread(ours), series_spread(theirs));
    ratio = series_median(ours) / series_median(theirs);
    if (spread > steady) {
        say("(not steady enough to compare it with CPython's)");
        return;
    }
    saw("%.2f times", ratio);
    claim(ratio >= 0.85 && ratio <= 1.15,
          "%s is within 15 %% of CPython's", what);
}

static void part_compute(void)
{
    double most;

    measure_rounds();
    say("%-24s  %9s  %4s", "at best", "elapsed", "CPUs");
    for (int i = 0; i < WAYS; i++)
        say("%-24s  %7.2f u  %4.1f", ways[i].name,
            series_quantile(&ways[i].took, 0),
            series_quantile(&ways[i].cpus, 1));
    say("Two threads take %.2f times as long as one after the other.",
        series_median(&slowdown));
    if (cpython.there)
        say("With CPython %s it is %.2f times.", cpython.version,
            series_median(&cpython.slowdown));
    else
        say("CPython is not measured: %s.", why_not);

    most = series_quantile(&ways[ONE_LOCK].cpus, 1);
    saw("%.2f", most);
    claim(most <= 1.2,
          "under one lock two threads get no more than one CPU");
    saw("%.2f u and %.2f u", series_median(&ways[LOCK_EACH].took),
        series_median(&ways[PROCESSES].took));
    claim(gets_as_much(),
          "with a lock each they get what two processes get");
    compare("what two threads take", &slowdown, &cpython.slowdown,
            is_quiet() ? 0.05 : 0);
}

/* ---------------------------------------------------- the convoy */

static const double intervals[] = {0.0005, 0.005, 0.05};

enum { INTERVALS = sizeof intervals / sizeof intervals[0] };

static struct latencies {
    struct series ours, cpython;
} latencies[INTERVALS];

static struct series unlocked; /* latencies with a lock each */
static long switches;          /* of the lock, for all of `requests` */
static int to_server[2], to_client[2];

static void spin(struct gil *gil)
{
    gil_take(gil);
    while (page->spins) {
        gil_check(gil);
        page->ticks++;
    }
    gil_drop(gil);
}

/* Says that it is ready, and gives each request back. */
static void echo(struct gil *gil)
{
    char letter = '!';

    gil_take(gil);
    do {
        xwrite(to_client[1], &letter, 1);
        gil_drop(gil);
        xread(to_server[0], &letter, 1);
        gil_take(gil);
    } while (letter == '?');
    page->spins = 0;
    gil_drop(gil);
}

/*
 * Until the server waits for a request, and the spinning thread has
 * the lock.  A request that came sooner than that thread could wake
 * up would find the lock free, and no convoy.
 */
static bool await_spinner(const struct peer *peer)
{
    struct pollfd gone = {.fd = peer->from, .events = POLLIN};
    unsigned char before;

    clock_sleep(peer->pause);
    before = page->ticks;
    while (page->ticks == before) {
        if (poll(&gone, 1, 0) > 0)
            return false;
        clock_sleep(1e-4);
    }
    return true;
}

static bool request(const struct peer *peer, struct series *latency)
{
    double begin = clock_now();
    char letter = '?';

    if (write(peer->to, &letter, 1) != 1 ||
        xread(peer->from, &letter, 1) != 1)
        return false;
    series_add(latency, clock_now() - begin);
    return true;
}

/* Whoever answers, the client is the same. */
static bool ask(const struct peer *peer, struct series *latency)
{
    char letter;
    bool goes_on =
        xread(peer->from, &letter, 1) == 1 && await_spinner(peer);
    long before = gils[0].switches;

    for (int i = 0; i < requests && goes_on; i++)
        goes_on = request(peer, latency) && await_spinner(peer);
    switches = gils[0].switches - before;
    return write(peer->to, ".", 1) == 1 && goes_on;
}

static struct series *series_now;

static void play(int number)
{
    struct peer client = {.to = to_server[1], .from = to_client[0]};

    if (number == 0)
        spin(gil_of(0));
    else if (number == 1)
        echo(gil_of(1));
    else
        ask(&client, series_now);
}

static void echo_here(double interval, struct series *latency)
{
    series_now = latency;
    page->spins = 1;
    open_gils(interval);
    crowd_threads(3, play);
    close_gils();
}

/*
 * It gives its lock up for the write of an answer, too, and may wait
 * an interval to have it back, before it reads again.
 */
static void echo_in_cpython(double interval, struct series *latency)
{
    char letter;

    cpython.peer.pause = 1.2 * interval;
    if (tell("echo", interval))
        cpython.there = ask(&cpython.peer, latency) && hear(&letter, 1);
}

static bool always_two = true; /* switches for a request */

static void measure_latencies(void)
{
    for (int round = 0; round < ROUNDS; round++) {
        one_lock = true;
        for (int i = 0; i < INTERVALS; i++) {
            echo_here(intervals[i], &latencies[i].ours);
            always_two = always_two && switches == 2L * requests;
            echo_in_cpython(intervals[i], &latencies[i].cpython);
        }
        one_lock = false;
        echo_here(cpython_interval, &unlocked);
    }
}

static void print_latencies(void)
{
    say("%-16s %11s%s", "switch interval", "one lock",
        cpython.there ? "         CPython" : "");
    for (int i = 0; i < INTERVALS; i++) {
        char theirs[32] = "";

        if (cpython.there)
            snprintf(theirs, sizeof theirs, "  %11.2f ms",
                     1e3 * series_median(&latencies[i].cpython));
        say("%6.1f ms %16.2f ms%s", 1e3 * intervals[i],
            1e3 * series_median(&latencies[i].ours), theirs);
    }
    say("%-16s %8.2f ms", "with a lock each",
        1e3 * series_median(&unlocked));
}

static void part_convoy(void)
{
    xpipe(to_server);
    xpipe(to_client);
    measure_latencies();
    for (int i = 0; i < 2; i++) {
        xclose(to_server[i]);
        xclose(to_client[i]);
    }
    print_latencies();
    for (int i = 0; i < INTERVALS; i++) {
        double least = series_quantile(&latencies[i].ours, 0);

        saw("%.3f ms", 1e3 * least);
        claim(least >= intervals[i],
              "each request waits for at least the interval, %g ms",
              1e3 * intervals[i]);
    }
    saw("%ld for %d requests", switches, requests);
    claim(always_two, "and moves the lock to and fro: two switches");
    saw("%.3f ms", 1e3 * series_median(&unlocked));
    claim(series_median(&unlocked) < intervals[INTERVALS - 1] / 2,
          "with a lock each it need not: not half of 50 ms");
    compare("the latency at 5 ms", &latencies[1].ours,
            &latencies[1].cpython, requests >= 3 ? 0.1 : 0);
}

/* ------------------------------------------------------ the data */

enum { UPDATES = 5 };

static atomic_int x;
static pthread_barrier_t both;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

/* As if the interval were over exactly here. */
static void switch_here(void)
{
    gil_drop(gil_of(0));
    xpthread_barrier_wait(&both);
    unit_sleep(0.05);
    gil_take(gil_of(0));
}

/* x += 1, as an interpreter does it. */
static void add_one(void)
{
    int t = atomic_load(&x);

    switch_here();
    atomic_store(&x, t + 1);
}

static void update(int number)
{
    (void)number;
    gil_take(gil_of(0));
    for (int i = 0; i < UPDATES; i++) {
        add_one();
        switch_here();
    }
    gil_drop(gil_of(0));
}

/* Who waits for the mutex gives the interpreter's lock up meanwhile. */
static void update_locked(int number)
{
    (void)number;
    gil_take(gil_of(0));
    for (int i = 0; i < UPDATES; i++) {
        gil_drop(gil_of(0));
        xpthread_mutex_lock(&mutex);
        gil_take(gil_of(0));
        add_one();
        xpthread_mutex_unlock(&mutex);
        switch_here();
    }
    gil_drop(gil_of(0));
}

/* Nobody stores before `together` threads have loaded. */
static void run_updates(crowd_body *body, unsigned together)
{
    atomic_store(&x, 0);
    xpthread_barrier_init(&both, together);
    crowd_threads(PAIR, body);
    xpthread_barrier_destroy(&both);
}

static void part_data(void)
{
    one_lock = true;
    open_gils(cpython_interval);
    run_updates(update, PAIR);
    say("under the interpreter's lock: %d updates, and x is %d",
        PAIR * UPDATES, x);
    saw("%d", x);
    claim(x == UPDATES, "x += 1 loses half of %d updates",
          PAIR * UPDATES);
    run_updates(update_locked, 1);
    say("with a mutex of its own, too: %d updates, and x is %d",
        PAIR * UPDATES, x);
    saw("%d", x);
    claim(x == PAIR * UPDATES, "with a mutex of its own it loses none");
    close_gils();
}

static void prepare(void)
{
    open_page();
    board = xshared_alloc(sizeof *board);
    if (!python)
        why_not = "--python 0";
    else if (lesson_unit() <= 0.05)
        why_not = "1 u is 0.05 s or less";
    else
        open_cpython();
}

int main(int argc, char **argv)
{
    static const struct lesson_option options[] = {
        {"requests", "N", "requests in each of 3 rounds", &requests, 1,
         REQUESTS_MAX},
        {"python", "N", "1: measure python3, too, if it is there",
         &python, 0, 1},
        {0},
    };
    static const struct lesson lesson = {
        .name = "lesson-20 gil",
        .summary = "a global interpreter lock, and what it costs",
        .example = "./lesson-20 --requests 20",
        .options = options,
    };

    lesson_begin(&lesson, argc, argv);
    prepare();
    PART("One lock: taking turns", part_turns);
    PART("Two tasks that compute", part_compute);
    PART("The convoy: an echo beside a thread that computes",
         part_convoy);
    PART("It protects the interpreter, not your data", part_data);
    if (cpython.process.pid != 0)
        close_cpython();
    return lesson_end();
}
