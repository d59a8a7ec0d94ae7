/*
 * cpu_io.c -- threads or processes?  It depends on what they wait for.
 *
 * Four tasks that compute want four CPUs.  Threads have them, unless a
 * lock as CPython's lets one run at a time; processes have them, each
 * with a lock of its own.  Four tasks that wait for a disk or a network
 * want no CPU at all: any way that lets them wait together will do, and
 * a lock that is given up meanwhile is in nobody's way.
 *
 * Look at: elapsed time beside CPU time; who gives the CPU up by
 * himself (voluntary: he waits) and whom it is taken from (forced: his
 * time is over, and another one wants to run).
 * Compare with: 20-gil, for the lock; 09-thread-create, for what a
 * process costs.
 * Try: --length 5, the notes' tasks; --tasks 8; taskset -c 0
 * ./lesson-21; --svg bars.svg.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>

#include "checked.h"
#include "cpu.h"
#include "crowd.h"
#include "gil.h"
#include "lesson.h"
#include "timeline.h"

enum {
    TASKS_MAX = 16,
    WAITS = 20, /* of a task that waits */
    TRIES = 6
};

/* What a busy machine may stand still for, in seconds. */
static const double grace = 0.3;

static int tasks = 4;
static int length = 2; /* of a task, u */

/* A lock for each task, or the first one for all. */
static struct gil gils[TASKS_MAX];
static bool one_lock;

/* ------------------------------------------- what a task does -- */

static long steps; /* for `length` u on a CPU of its own */

/* Some work, about as long as an instruction of CPython's takes. */
static unsigned instruction(unsigned value)
{
    for (int i = 0; i < 50; i++)
        value = value * 1664525 + 1013904223;
    return value;
}

/* Between any two the interpreter looks who wants its lock. */
static unsigned compute(struct gil *gil)
{
    unsigned value = 1;

    for (long i = 0; i < steps; i++) {
        gil_check(gil);
        value = instruction(value);
    }
    return value;
}

/* It gives the lock up while it waits. */
static unsigned wait_for_io(struct gil *gil)
{
    for (int i = 0; i < WAITS; i++) {
        gil_drop(gil);
        unit_sleep((double)length / WAITS);
        gil_take(gil);
    }
    return 0;
}

typedef unsigned work_function(struct gil *gil);

static work_function *work; /* one of the two */

/* What a thread has used, as getrusage tells. */
struct usage {
    double cpu;     /* seconds */
    long voluntary; /* context switches */
    long forced;
};

/* In memory that processes share. */
static struct board {
    struct usage used[TASKS_MAX];
    unsigned value[TASKS_MAX]; /* so that the work has a result */
} * board;

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec * 1e-6;
}

static struct usage usage_now(void)
{
    struct rusage usage;

    check_call(getrusage(RUSAGE_THREAD, &usage), "getrusage");
    return (struct usage){
        .cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime),
        .voluntary = usage.ru_nvcsw,
        .forced = usage.ru_nivcsw,
    };
}

static void task(int number)
{
    struct gil *gil = &gils[one_lock ? 0 : number];
    struct usage before = usage_now(), after;

    gil_take(gil);
    board->value[number] = work(gil);
    gil_drop(gil);
    after = usage_now();
    board->used[number] = (struct usage){
        .cpu = after.cpu - before.cpu,
        .voluntary = after.voluntary - before.voluntary,
        .forced = after.forced - before.forced,
    };
}

/* --------------------------------------------- the four ways -- */

static void run_serial(int count, crowd_body *body)
{
    for (int i = 0; i < count; i++)
        body(i);
}

static void run_processes(int count, crowd_body *body)
{
    if (crowd_processes(count, body) != 0) {
        saw("one of them was killed");
        claim(false, "all processes come to their end");
    }
}

enum { SERIAL, THREADS, ONE_LOCK, PROCESSES, WAYS };

static const struct way {
    const char *name;
    void (*run)(int count, crowd_body *body);
    bool one_lock;
} ways[WAYS] = {
    [SERIAL] = {"serial", run_serial, false},
    [THREADS] = {"threads", crowd_threads, false},
    [ONE_LOCK] = {"threads, one lock", crowd_threads, true},
    [PROCESSES] = {"processes", run_processes, false},
};

enum { CPU, IO, LOADS };

static const struct load {
    const char *name;
    work_function *work;
} loads[LOADS] = {
    [CPU] = {"CPU", compute},
    [IO] = {"I/O", wait_for_io},
};

/* What came of a load in a way; all tasks together. */
static struct result {
    double elapsed; /* u */
    double allowed; /* u, as it was measured then */
    struct usage used;
} results[LOADS][WAYS];

static void print_result(const char *load, const char *way,
                         const struct result *result)
{
    say("%-4s %-18s %7.2f u %8.2f u %10ld %8ld", load, way,
        result->elapsed, result->used.cpu / lesson_unit(),
        result->used.voluntary, result->used.forced);
}

static void measure(const struct load *load, const struct way *way,
                    struct result *result)
{
    double begin = unit_now();

    work = load->work;
    one_lock = way->one_lock;
    way->run(tasks, task);
    *result = (struct result){.elapsed = unit_now() - begin};
    for (int i = 0; i < tasks; i++) {
        result->used.cpu += board->used[i].cpu;
        result->used.voluntary += board->used[i].voluntary;
        result->used.forced += board->used[i].forced;
    }
    print_result(load->name, way->name, result);
}

/* ----------------------------------------- what the machine has */

static int cpus; /* that the program may use */

/* The affinity mask, and what a container's quota leaves of it. */
static void count_cpus(void)
{
    double quota = cpu_quota();
    char limit[48] = "no quota";

    if (quota < INFINITY)
        snprintf(limit, sizeof limit, "a quota of %.2f", quota);
    cpus = (int)fmax(1, fmin(cpu_count(), ceil(quota)));
    say("CPUs that this program may use: %d (%d by affinity, %s)", cpus,
        cpu_count(), limit);
}

/*
 * So many steps that a task computes for `length` u: twice as many,
 * until three runs are long enough to tell.
 */
static void choose_steps(void)
{
    double wanted = length * lesson_unit(), least = INFINITY;
    int runs = 0;

    work = compute;
    one_lock = false;
    for (steps = 100; runs < 3; runs++) {
        task(0);
        least = fmin(least, board->used[0].cpu);
        if (least < fmin(wanted, 0.01) / 4) {
            steps *= 2;
            least = INFINITY;
            runs = -1;
        }
    }
    steps = (long)((double)steps * wanted / least);
}

/*
 * How long all tasks take if they get as much as a bare loop on each
 * CPU gets just now: with neighbours that is less than the CPU.
 */
static double time_bare_loops(void)
{
    int loops = cpus < tasks ? cpus : tasks;
    double begin = unit_now();

    work = compute;
    one_lock = false;
    run_processes(loops, task);
    return (unit_now() - begin) * tasks / loops;
}

/* ------------------------------------------------------- parts */

static double bare; /* u, for all tasks */

/* How long the tasks may take, together; INFINITY: not claimed. */
static double limit(int load, int way)
{
    if (load == IO && way != SERIAL)
        return results[IO][SERIAL].elapsed / 2 + grace / lesson_unit();
    if (load == CPU && cpus > 1 && (way == THREADS || way == PROCESSES))
        return 1.4 * bare;
    return INFINITY;
}

/*
 * A neighbour that comes and goes can make anything slower, but not
 * faster: what took too long is tried again.
 */
static void measure_all(void)
{
    for (int load = 0; load < LOADS; load++)
        for (int way = 0; way < WAYS; way++) {
            struct result *result = &results[load][way];
            int tries = 0;

            do {
                if (load == CPU && limit(load, way) < INFINITY)
                    bare = time_bare_loops();
                measure(&loads[load], &ways[way], result);
                result->allowed = limit(load, way);
            } while (result->elapsed > result->allowed &&
                     ++tries < TRIES);
        }
}

static void claim_in_time(int load, int way, const char *sentence)
{
    const struct result *result = &results[load][way];

    saw("%.2f u, where %.2f u are allowed", result->elapsed,
        result->allowed);
    claim(result->elapsed <= result->allowed, "%s, %s: %s",
          loads[load].name, ways[way].name, sentence);
}

static void claim_computing(void)
{
    const struct result *locked = &results[CPU][ONE_LOCK];
    double used = locked->used.cpu / lesson_unit();

    if (cpus > 1) {
        claim_in_time(CPU, THREADS, "they get what bare loops get");
        claim_in_time(CPU, PROCESSES, "so do they");
    }
    saw("%.2f u in %.2f u", used, locked->elapsed);
    claim(used <= 1.2 * locked->elapsed,
          "CPU, threads, one lock: they get no more than one CPU");
}

static void claim_waiting(void)
{
    double serial = results[IO][SERIAL].elapsed;

    saw("%.3f u", serial);
    claim(serial >= tasks * length,
          "I/O, serial: they take at least %d u", tasks * length);
    for (int way = THREADS; way < WAYS; way++)
        claim_in_time(IO, way, "less than half of that");
}

/* They tell the sleeper from the cruncher on any machine. */
static void claim_switches(void)
{
    const struct usage *cruncher = &results[CPU][SERIAL].used;
    int waits = tasks * WAITS;
    long least = waits;
    double used = INFINITY;

    for (int i = 0; i < WAYS; i++) {
        least = (long)fmin((double)least,
                           (double)results[IO][i].used.voluntary);
        used = fmin(used, results[IO][i].used.cpu);
    }
    saw("%ld", least);
    claim(least >= waits / 2,
          "who waits gives the CPU up, %d times or more", waits / 2);
    saw("%ld", cruncher->voluntary);
    claim(cruncher->voluntary < waits / 4,
          "who computes does not: fewer than %d times", waits / 4);
    saw("%.3f s and %.3f s", used, cruncher->cpu);
    claim(used <= cruncher->cpu / 10,
          "to wait takes less than a tenth of the CPU time");
}

static void part_table(void)
{
    count_cpus();
    choose_steps();
    say("%-4s %-18s %9s %10s %10s %8s", "load", "way", "elapsed",
        "CPU time", "voluntary", "forced");
    measure_all();
    if (cpus > 1)
        say("Bare loops, one on each CPU, would do it in %.2f u.",
            bare);
    else
        say("One CPU: no speed-up is possible, and none is claimed.");
    claim_computing();
    claim_waiting();
    claim_switches();
}

/* The chart is that of the time line, all bars from 0 u on. */
static void part_chart(void)
{
    for (int load = 0; load < LOADS; load++)
        for (int way = 0; way < WAYS; way++) {
            double elapsed = results[load][way].elapsed;
            char row[TIMELINE_NAME_MAX], name[TIMELINE_NAME_MAX];

            snprintf(row, sizeof row, "%s %s", loads[load].name,
                     ways[way].name);
            snprintf(name, sizeof name, "in %.1f u", elapsed);
            timeline_bar(row, name, elapsed * lesson_unit());
        }
    say("To compute: processes, or threads without such a lock.");
    say("To wait: threads; they start sooner, and share their data.");
}

int main(int argc, char **argv)
{
    static const struct lesson_option options[] = {
        {"tasks", "N", "how many tasks", &tasks, 2, TASKS_MAX},
        {"length", "N", "how long each one is, in u", &length, 1, 20},
        {0},
    };
    static const struct lesson lesson = {
        .name = "lesson-21 cpu-io",
        .summary = "threads or processes, to compute and to wait",
        .example = "./lesson-21 --length 5 --svg bars.svg",
        .options = options,
    };

    lesson_begin(&lesson, argc, argv);
    board = xshared_alloc(sizeof *board);
    for (int i = 0; i < TASKS_MAX; i++)
        check_error(gil_init(&gils[i], 0.005), "gil_init");
    PART("Two loads, four ways", part_table);
    PART("Which to choose: elapsed time as bars", part_chart);
    for (int i = 0; i < TASKS_MAX; i++)
        gil_destroy(&gils[i]);
    return lesson_end();
}
