/*
 * coroutine.c -- a function that pauses, and what a pause costs.
 *
 * A coroutine is a function with a stack of its own.  It yields in the
 * middle of a loop, and goes on there when it is resumed: switching
 * and saved state, all in one thread.  It makes nothing faster by
 * itself.  The same counting is done by calls, by a coroutine, by two
 * threads and by two processes, each of which adds one and hands over.
 *
 * Look at: the table, nanoseconds per switch.
 * Compare with: 09-thread-create, where the kernel switches;
 * 25-green-threads, where a switch is of use, since somebody waits.
 * Try: --numbers 20; all CPUs, without the line "stay_on_one_cpu();".
 */
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "checked.h"
#include "clock.h"
#include "coroutine.h"
#include "crowd.h"
#include "lesson.h"
#include "timeline.h"

enum {
    ROUNDS_MAX = 99,
    TRIES = 10,       /* when all rounds were disturbed */
    NUMBERS_MAX = 90, /* the next Fibonacci numbers are too large */
    STEPS = 20000,    /* by calls and coroutines, in each round */
    HANDOVERS = 500,  /* by threads and processes */
    WARM_UP = 20,     /* handovers before the clock starts */
    PATIENCE = 5      /* s: whoever waits longer is left alone */
};

static int numbers = 10, rounds = 9;

/* --------------------------------------------- a coroutine, alone */

/* What is told of a coroutine from inside of it. */
struct maker {
    int asked, made; /* numbers */
    int thread;      /* its id */
};

/* For ever: who resumes it decides how many there will be. */
static void fibonacci(void *arg)
{
    struct maker *maker = arg;
    long long number = 0, next = 1;

    maker->thread = (int)gettid();
    for (;;) {
        long long sum = number + next;

        maker->made++;
        coroutine_yield(&number);
        number = next;
        next = sum;
    }
}

/* Is it the number before last and the last together? */
static bool is_next(int count, const long long *seen)
{
    if (count < 2)
        return seen[count] == count;
    return seen[count] == seen[count - 1] + seen[count - 2];
}

static void part_generator(void)
{
    struct maker maker = {0};
    struct coroutine *coroutine =
        check_pointer(coroutine_create("fibonacci", fibonacci, &maker),
                      "coroutine_create");
    long long seen[NUMBERS_MAX];
    int right = 0, in_step = 0;

    for (int i = 0; i < numbers; i++) {
        maker.asked++;
        seen[i] = *(long long *)coroutine_resume(coroutine, NULL);
        in_step += maker.made == maker.asked;
        right += is_next(i, seen);
        say("number %d is %lld", i + 1, seen[i]);
    }
    coroutine_free(coroutine);

    saw("%d", right);
    claim(right == numbers, "%d numbers are right: it kept its place",
          numbers);
    saw("%d of them, %d in all", in_step, maker.made);
    claim(in_step == numbers, "each was made when it was asked for");
    saw("thread %d, and %d here", maker.thread, (int)gettid());
    claim(maker.thread == (int)gettid(), "all of it in one thread");
}

/* --------------------------------------- four ways to take turns */

/*
 * Two sides count together: each adds one and hands over.  It stands
 * in shared memory, and threads do with it what processes do.
 */
struct table {
    long counter;
    sem_t turn[2];
    double seconds; /* for the handovers after the warm-up */
};

static struct table *table;

struct way {
    const char *name;
    double (*measure)(void);  /* returns ns per switch */
    double costs[ROUNDS_MAX]; /* sorted at the end */
    long expected;            /* of the counter, after each round */
    int right;                /* rounds in which it was that */
    long slept;               /* times that this thread was */
};

__attribute__((noinline)) static void add_one(void)
{
    table->counter++;
}

/* Not inlined, so that each is a call and a return. */
static double measure_calls(void)
{
    double start = clock_now();

    for (long i = 0; i < STEPS; i++)
        add_one();
    return (clock_now() - start) * 1e9 / STEPS / 2;
}

static void add_ones(void *arg)
{
    for (;;) {
        table->counter++;
        coroutine_yield(arg);
    }
}

static double measure_coroutine(void)
{
    struct coroutine *adder = check_pointer(
        coroutine_create("adder", add_ones, NULL), "coroutine_create");
    double start = clock_now();

    for (long i = 0; i < STEPS; i++)
        coroutine_resume(adder, NULL);
    start = clock_now() - start;
    coroutine_free(adder);
    return start * 1e9 / STEPS / 2;
}

/* If the other side is gone, this one does not wait for it for ever. */
static void take_turns(int side)
{
    double start = 0;

    for (int i = 0; i < WARM_UP + HANDOVERS; i++) {
        if (i == WARM_UP)
            start = clock_now();
        if (clock_sem_wait(&table->turn[side], PATIENCE) != 0)
            return;
        table->counter++;
        xsem_post(&table->turn[!side]);
    }
    if (side == 0)
        table->seconds = clock_now() - start;
}

static void begin_turns(void)
{
    xsem_init(&table->turn[0], 1, 1);
    xsem_init(&table->turn[1], 1, 0);
}

static double end_turns(void)
{
    xsem_destroy(&table->turn[0]);
    xsem_destroy(&table->turn[1]);
    return table->seconds * 1e9 / HANDOVERS / 2;
}

static double measure_threads(void)
{
    begin_turns();
    crowd_threads(2, take_turns);
    return end_turns();
}

static double measure_processes(void)
{
    begin_turns();
    crowd_processes(2, take_turns);
    return end_turns();
}

/* --------------------------------------------------- the table */

enum { CALL, COROUTINE, THREADS, PROCESSES, WAYS };

static struct way ways[WAYS] = {
    {.name = "a call", .measure = measure_calls, .expected = STEPS},
    {.name = "a coroutine",
     .measure = measure_coroutine,
     .expected = STEPS},
    {.name = "two threads",
     .measure = measure_threads,
     .expected = 2L * (WARM_UP + HANDOVERS)},
    {.name = "two processes",
     .measure = measure_processes,
     .expected = 2L * (WARM_UP + HANDOVERS)},
};

/* How often the kernel put this thread to sleep, since it waited. */
static long sleeps(void)
{
    struct rusage usage;

    check_call(getrusage(RUSAGE_THREAD, &usage), "getrusage");
    return usage.ru_nvcsw;
}

static int measured; /* rounds */

/* All ways in each round: what disturbs one disturbs all. */
static void measure_round(int round)
{
    measured++;
    for (struct way *way = ways; way < ways + WAYS; way++) {
        long before = sleeps();

        table->counter = 0;
        timeline_begin(way->name, "counts", 0);
        way->costs[round] = way->measure();
        timeline_end(way->name);
        way->slept += sleeps() - before;
        way->right += table->counter == way->expected;
    }
}

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

static void sort_rounds(void)
{
    for (struct way *way = ways; way < ways + WAYS; way++)
        qsort(way->costs, (size_t)rounds, sizeof way->costs[0],
              compare);
}

static void print_row(struct way *way)
{
    say("%-16s %9.1f %9.1f %9.1f", way->name, way->costs[rounds / 2],
        way->costs[0], way->costs[rounds - 1]);
}

/* Of the best rounds, for those nothing else has disturbed. */
static double times_as_much(int way, int other)
{
    return ways[way].costs[0] / ways[other].costs[0];
}

/* The kernel's switches, against those between coroutines. */
static bool cost_many_times(int way)
{
    return times_as_much(way, COROUTINE) > 3;
}

static bool all_were_disturbed(void)
{
    return !cost_many_times(THREADS) || !cost_many_times(PROCESSES);
}

/* When a neighbour has disturbed them all the worst is done again. */
static void measure_rounds(void)
{
    for (int round = 0; round < rounds; round++)
        measure_round(round);
    sort_rounds();
    for (int i = 0; i < TRIES && all_were_disturbed(); i++) {
        measure_round(rounds - 1);
        sort_rounds();
    }
}

/*
 * So that each handover is a switch.  With two CPUs the other side may
 * be awake on one, and there is nothing to switch; or that CPU sleeps,
 * and to wake it is what costs most.
 */
static void stay_on_one_cpu(void)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET((size_t)check_call(sched_getcpu(), "sched_getcpu"), &one);
    check_call(sched_setaffinity(0, sizeof one, &one),
               "sched_setaffinity");
}

static void part_table(void)
{
    int right = 0;

    stay_on_one_cpu();
    measure_rounds();
    say("ns per switch       median    lowest   highest");
    for (struct way *way = ways; way < ways + WAYS; way++) {
        print_row(way);
        right += way->right;
    }

    say("One of threads costs as much as %.0f of coroutines.",
        times_as_much(THREADS, COROUTINE));
    say("The notes: 17.1 s for two loops, 28.5 s with switches.");
    saw("%d of %d counts", right, WAYS * measured);
    claim(right == WAYS * measured, "all ways counted right");
    saw("%.2f times as much", times_as_much(COROUTINE, CALL));
    claim(times_as_much(COROUTINE, CALL) > 1,
          "to switch at each step costs more than to call");
    saw("%.1f times as much", times_as_much(THREADS, COROUTINE));
    claim(cost_many_times(THREADS),
          "a switch of threads costs many times a coroutine's");
    saw("%.1f times as much", times_as_much(PROCESSES, COROUTINE));
    claim(cost_many_times(PROCESSES),
          "and so does a switch of processes");
    saw("%ld times", ways[COROUTINE].slept);
    claim(ways[COROUTINE].slept < measured * 100L,
          "between coroutines the kernel put nobody to sleep");
}

int main(int argc, char **argv)
{
    static const struct lesson_option options[] = {
        {"numbers", "N", "how many numbers the generator makes",
         &numbers, 1, NUMBERS_MAX},
        {"rounds", "N", "how often each way is measured", &rounds, 1,
         ROUNDS_MAX},
        {0},
    };
    static const struct lesson lesson = {
        .name = "lesson-24 coroutine",
        .summary = "a function that pauses, and what a pause costs",
        .example = "./lesson-24 --numbers 5 --rounds 25",
        .options = options,
    };

    lesson_begin(&lesson, argc, argv);
    table = xshared_alloc(sizeof *table);
    PART("A generator", part_generator);
    PART("Four ways to take turns", part_table);
    return lesson_end();
}
