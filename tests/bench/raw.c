/*
 * raw.c -- what the machine can do without any pool.
 *
 * The limits that the pools are measured against: two processes (or
 * threads) that only wake each other, two that only compute, four
 * that only start and end.  ours.c has the same measurements for the
 * pools, cpython.py for Python's.
 */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "bench.h"
#include "cpu.h"
#include "process.h"
#include "shared.h"

/* The kernel's numbers; <linux/futex.h> is not there with musl. */
enum { FUTEX_WAIT = 0, FUTEX_WAKE = 1, FUTEX_PRIVATE_FLAG = 128 };

enum {
    FOUR = 4,       /* the size of the pool that is opened */
    LOOPERS = 2,    /* bare loops side by side */
    PATIENCE = 1000 /* looks before a spinning waiter yields */
};

/* ---------------------------------------- somebody to work with -- */

/* A process or a thread, whichever the setting says. */
struct partner {
    bool is_thread;
    struct process process;
    pthread_t thread;
    process_function *run;
    void *arg;
};

static void *run_in_thread(void *arg)
{
    const struct partner *partner = arg;

    partner->run(partner->arg);
    return NULL;
}

/* `partner` must stay where it is until it is joined. */
static void start_partner(struct partner *partner, bool is_thread,
                          process_function *run, void *arg)
{
    partner->is_thread = is_thread;
    partner->run = run;
    partner->arg = arg;
    if (is_thread)
        check_error(pthread_create(&partner->thread, NULL,
                                   run_in_thread, partner),
                    "pthread_create");
    else
        check_error(process_start(&partner->process, run, arg), "fork");
}

static void join_partner(struct partner *partner)
{
    if (partner->is_thread)
        check_error(pthread_join(partner->thread, NULL),
                    "pthread_join");
    else
        check_error(process_join(&partner->process, INFINITY),
                    "waitpid");
}

/* ---------------------------------------------------- ping-pong -- */

enum { PING, PONG, OVER }; /* whose turn it is */

struct table {
    atomic_int turn;
    int private;     /* FUTEX_PRIVATE_FLAG between threads */
    bool spin;       /* look all the time instead of sleeping */
    int partner_cpu; /* its index, or -1 for any */
};

static struct table *table_create(const struct setting *setting,
                                  bool spin)
{
    struct table *table =
        check_pointer(shared_alloc(sizeof(*table)), "mmap");

    table->private = setting->threads ? FUTEX_PRIVATE_FLAG : 0;
    table->spin = spin;
    table->partner_cpu = setting->cpus == 2 ? 1 : -1;
    return table;
}

static void table_pass(struct table *table, int turn, int wake)
{
    atomic_store(&table->turn, turn);
    if (!table->spin)
        syscall(SYS_futex, &table->turn, FUTEX_WAKE | table->private,
                wake, NULL, NULL, 0);
}

/* Waits as long as it is `other`'s turn.  Returns whose it is then. */
static int table_wait(struct table *table, int other)
{
    int turn;

    for (int looks = 1; (turn = atomic_load(&table->turn)) == other;
         looks++) {
        if (!table->spin)
            syscall(SYS_futex, &table->turn,
                    FUTEX_WAIT | table->private, other, NULL, NULL, 0);
        else if (looks % PATIENCE != 0)
            cpu_relax();
        else
            sched_yield();
    }
    return turn;
}

static int pong(void *arg)
{
    struct table *table = arg;

    if (table->partner_cpu >= 0)
        use_cpus(table->partner_cpu, 1);
    while (table_wait(table, PING) != OVER)
        table_pass(table, PING, 1);
    return 0;
}

static void round_trip(void *arg)
{
    struct table *table = arg;

    table_pass(table, PONG, 1);
    table_wait(table, PONG);
}

/* Microseconds for there and back. */
static double ping_pong(const struct setting *setting, bool spin)
{
    struct table *table = table_create(setting, spin);
    struct partner partner;
    double seconds;

    start_partner(&partner, setting->threads, pong, table);
    if (setting->cpus == 2)
        use_cpus(0, 1);
    for (int i = 0; i < 1000; i++)
        round_trip(table);
    seconds = seconds_each(round_trip, table, 100);
    table_pass(table, OVER, 1);
    join_partner(&partner);
    shared_free(table, sizeof(*table));
    return seconds * 1e6;
}

static double measure_futex(const struct setting *setting)
{
    return ping_pong(setting, false);
}

static double measure_spin(const struct setting *setting)
{
    return ping_pong(setting, true);
}

/* Millions of round trips a second: a task for each, nothing saved. */
static double measure_futex_rate(const struct setting *setting)
{
    return 1 / measure_futex(setting);
}

/* --------------------------------------------------- bare loops -- */

struct looper {
    double start, end;
    long loops;
    int tasks;
    uint32_t sum; /* so that the work is needed */
};

/* Waits busily, so that both are on their cores when it starts. */
static int run_looper(void *arg)
{
    struct looper *looper = arg;

    while (clock_now() < looper->start)
        cpu_relax();
    for (int i = 0; i < looper->tasks; i++)
        looper->sum += compute((uint32_t)i, looper->loops);
    looper->end = clock_now();
    return 0;
}

/* Microseconds for each task of `us`, two being done at a time. */
static double bare_loops(const struct setting *setting, int us)
{
    struct looper *loopers =
        check_pointer(shared_alloc(LOOPERS * sizeof(*loopers)), "mmap");
    struct partner partners[LOOPERS];
    double start = clock_now() + 0.01;
    int tasks = (int)(MEASURE_SECONDS * 1e6 / us);
    double end = start;

    for (int i = 0; i < LOOPERS; i++) {
        loopers[i].start = start;
        loopers[i].tasks = tasks;
        loopers[i].loops = us * loops_per_us();
        start_partner(&partners[i], setting->threads, run_looper,
                      &loopers[i]);
    }
    for (int i = 0; i < LOOPERS; i++) {
        join_partner(&partners[i]);
        end = fmax(end, loopers[i].end);
    }
    shared_free(loopers, LOOPERS * sizeof(*loopers));
    return (end - start) * 1e6 / (tasks * LOOPERS);
}

static double measure_loops_1us(const struct setting *setting)
{
    return bare_loops(setting, 1);
}

static double measure_loops_10us(const struct setting *setting)
{
    return bare_loops(setting, 10);
}

/*
 * Loops in a microsecond.  The best of many looks: what disturbs can
 * only make it slower.
 */
static double measure_calibrate(const struct setting *setting)
{
    const long loops = 100000;
    double best = INFINITY;
    uint32_t sum = 0;

    (void)setting;
    for (int i = 0; i < 300; i++) {
        double start = clock_now();

        sum += compute((uint32_t)i, loops);
        best = fmin(best, clock_now() - start);
    }
    /* Always true, which the compiler does not know. */
    return sum == 0 ? 1 : ceil((double)loops / (best * 1e6));
}

/* ------------------------------------------------ start and end -- */

static void four_forks(void *unused)
{
    pid_t pids[FOUR];

    (void)unused;
    for (int i = 0; i < FOUR; i++) {
        pids[i] = check_call(fork(), "fork");
        if (pids[i] == 0)
            _exit(0);
    }
    for (int i = 0; i < FOUR; i++)
        check_call(waitpid(pids[i], NULL, 0), "waitpid");
}

static void *end_at_once(void *unused)
{
    return unused;
}

static void four_threads(void *unused)
{
    pthread_t threads[FOUR];

    (void)unused;
    for (int i = 0; i < FOUR; i++)
        check_error(
            pthread_create(&threads[i], NULL, end_at_once, NULL),
            "pthread_create");
    for (int i = 0; i < FOUR; i++)
        check_error(pthread_join(threads[i], NULL), "pthread_join");
}

/* Milliseconds for four of them. */
static double measure_open(const struct setting *setting)
{
    void (*four)(void *) = setting->threads ? four_threads : four_forks;

    four(NULL);
    return seconds_each(four, NULL, 1) * 1e3;
}

/* --------------------------------------------- sleep and memory -- */

static double measure_sleep(const struct setting *setting)
{
    double start = clock_now();

    (void)setting;
    clock_sleep(1);
    clock_sleep(1);
    return deviation(clock_now() - start, 2);
}

/* KB for four that wait and do nothing else. */
static double measure_memory(const struct setting *setting)
{
    struct table *table = table_create(setting, false);
    struct partner partners[FOUR];
    long before = program_memory();
    long after;

    for (int i = 0; i < FOUR; i++)
        start_partner(&partners[i], setting->threads, pong, table);
    clock_sleep(0.05); /* until all have come to their wait */
    after = program_memory();
    table_pass(table, OVER, FOUR);
    for (int i = 0; i < FOUR; i++)
        join_partner(&partners[i]);
    shared_free(table, sizeof(*table));
    return (double)(after - before);
}

int main(int argc, char **argv)
{
    static const struct measurement measurements[] = {
        {"calibrate", measure_calibrate},
        {"futex", measure_futex},
        {"futex-rate", measure_futex_rate},
        {"spin", measure_spin},
        {"loops-1us", measure_loops_1us},
        {"loops-10us", measure_loops_10us},
        {"open", measure_open},
        {"sleep", measure_sleep},
        {"memory", measure_memory},
        {NULL, NULL}};

    return bench_main(measurements, argc, argv);
}
