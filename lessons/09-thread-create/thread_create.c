/*
 * thread_create.c -- a process is what holds, a thread is what runs.
 *
 * A process holds the memory, the open files and the pid; the threads
 * in it run, and share all that.  So a new thread gets a stack and
 * nothing else, while a new process gets a copy of the whole map of
 * the memory.  That makes the one start faster, and lets it see what
 * the other only has a copy of.
 *
 * Look at: the ratio of the two starts; x after each of them; who has
 * which pid.
 * Compare with: 07-pool-apply --threads, where both run the same tasks.
 * Try: --megabytes 100.  The process gets dearer, the thread does not.
 */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checked.h"
#include "clock.h"
#include "crowd.h"
#include "lesson.h"
#include "process.h"
#include "shared.h"
#include "timeline.h"

enum { BATCHES = 5, ROUNDS_MAX = 5000 };

static int rounds = 300; /* starts to measure, of each */
static int megabytes;    /* that the program has in use */

/* ------------------------------- two ways to start a thread */

/* Threads end when main lets them, or after a very long time. */
static sem_t leave;
static atomic_int done;

static void greet(const char *name)
{
    say_time("%s is running (tid %d)", name, (int)gettid());
    timeline_begin(name, "running", 0);
    clock_sem_wait(&leave, 20 + 10 * lesson_unit());
    timeline_end(name);
    say_time("%s is done", name);
    atomic_fetch_add(&done, 1);
}

/* The first way: a function and its argument. */
struct task {
    const char *name;
    pid_t tid; /* of the thread that ran it */
};

static void *run_task(void *arg)
{
    struct task *task = arg;

    task->tid = gettid();
    greet(task->name);
    return NULL;
}

/* The second: a kind of thread, which brings its own `run`. */
struct thread {
    pthread_t id;
    void (*run)(struct thread *self);
};

static void *run_thread(void *arg)
{
    struct thread *thread = arg;

    thread->run(thread);
    return NULL;
}

static void thread_start(struct thread *thread)
{
    check_error(pthread_create(&thread->id, NULL, run_thread, thread),
                "pthread_create");
}

struct greeter {
    struct thread thread; /* first: a pointer to both is the same */
    const char *name;
    pid_t tid;
};

static void greeter_run(struct thread *self)
{
    struct greeter *greeter = (struct greeter *)self;

    greeter->tid = gettid();
    greet(greeter->name);
}

static void part_two_ways(void)
{
    struct task task = {.name = "egon"};
    struct greeter greeter = {.thread.run = greeter_run,
                              .name = "alex"};
    pthread_t thread;
    int done_before;

    xsem_init(&leave, 0, 0);
    check_error(pthread_create(&thread, NULL, run_task, &task),
                "pthread_create");
    thread_start(&greeter.thread);
    say_time("main goes on (tid %d)", (int)gettid());
    unit_sleep(2);
    done_before = atomic_load(&done);
    xsem_post(&leave);
    xsem_post(&leave);
    check_error(pthread_join(thread, NULL), "pthread_join");
    check_error(pthread_join(greeter.thread.id, NULL), "pthread_join");
    xsem_destroy(&leave);

    saw("%d were done", done_before);
    claim(done_before == 0, "main went on before either was done");
    saw("tids %d and %d, main %d", (int)task.tid, (int)greeter.tid,
        (int)gettid());
    claim(task.tid != 0 && greeter.tid != 0 &&
              task.tid != greeter.tid && task.tid != gettid() &&
              greeter.tid != gettid(),
          "each way ran its function in a thread of its own");
}

/* ---------------------------------------- what a start costs */

/* CPU time of this thread: it stands still while others run. */
static double work_done(void)
{
    struct timespec work;

    check_call(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &work),
               "clock_gettime");
    return (double)work.tv_sec + (double)work.tv_nsec * 1e-9;
}

/* What was started says when its first line was, in shared memory. */
static struct first_line {
    double time, work; /* what it had done until then */
} * first_line;

static void note_first_line(void)
{
    first_line->time = clock_now();
    first_line->work = work_done();
}

struct start {
    double cost; /* seconds from the call to the first line */
    double work; /* the same in CPU time, of both */
    bool first;  /* before main's next line */
};

static void *note_thread(void *arg)
{
    note_first_line();
    return arg;
}

static struct start start_thread(void)
{
    double call = clock_now(), work = work_done(), next;
    pthread_t thread;

    xpthread_create(&thread, note_thread, NULL);
    next = clock_now();
    work = work_done() - work;
    xpthread_join(thread);
    return (struct start){first_line->time - call,
                          first_line->work + work,
                          first_line->time < next};
}

/* Plain fork: process_start does more, as lesson 01 shows. */
static struct start start_process(void)
{
    double call = clock_now(), work = work_done(), next;
    pid_t child = check_call(fork(), "fork");

    if (child == 0) {
        note_first_line();
        _exit(0);
    }
    next = clock_now();
    work = work_done() - work;
    xwaitpid(child, NULL, 0);
    return (struct start){first_line->time - call,
                          first_line->work + work,
                          first_line->time < next};
}

/* fork has to copy the map of all memory that is in use. */
static void *use_memory(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        check_call(-1, "mmap");
    madvise(memory, size, MADV_NOHUGEPAGE); /* or the map is small */
    memset(memory, 1, size);
    return memory;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return (left > right) - (left < right);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare);
    return values[count / 2];
}

/* Of all starts so far. */
static struct starts {
    double costs[ROUNDS_MAX], works[ROUNDS_MAX];
    int first;
} thread_starts, process_starts;

static void note_start(struct starts *starts, int i, struct start start)
{
    starts->costs[i] = start.cost;
    starts->works[i] = start.work;
    starts->first += start.first;
}

/* In turns, so that a busy moment of the machine meets both. */
static void measure(int from, int to)
{
    for (int i = from; i < to; i++) {
        note_start(&thread_starts, i, start_thread());
        note_start(&process_starts, i, start_process());
    }
}

static double say_costs(const char *what, int from, int to)
{
    double thread = median(thread_starts.costs + from, to - from);
    double process = median(process_starts.costs + from, to - from);

    say("%-12s %9.1f us %9.1f us %9.1f", what, thread * 1e6,
        process * 1e6, process / thread);
    return process / thread;
}

static void part_cost(void)
{
    size_t size = (size_t)megabytes << 20;
    void *memory = size > 0 ? use_memory(size) : NULL;
    double least = INFINITY, most = 0, ratio;

    first_line = xshared_alloc(sizeof *first_line);
    say("%-12s %12s %12s %9s", "starts", "a thread", "a process",
        "ratio");
    for (int i = 0; i < BATCHES; i++) {
        int from = rounds * i / BATCHES,
            to = rounds * (i + 1) / BATCHES;
        char what[32];

        measure(from, to);
        snprintf(what, sizeof what, "%d to %d", from + 1, to);
        ratio = say_costs(what, from, to);
        least = fmin(least, ratio);
        most = fmax(most, ratio);
    }
    ratio = say_costs("median", 0, rounds);
    say("A process costs %.1f times as much (%.1f to %.1f).", ratio,
        least, most);
    say("Its first line came before main's next: %d threads, "
        "%d processes.",
        thread_starts.first, process_starts.first);
    ratio = median(process_starts.works, rounds) /
            median(thread_starts.works, rounds);
    say("In CPU time, which others can not lengthen: %.1f times.",
        ratio);
    shared_free(first_line, sizeof *first_line);
    if (memory != NULL)
        munmap(memory, size);

    saw("%.2f times", ratio);
    claim(ratio > 1.2, "a process costs more to start than a thread, "
                       "by a fifth at least");
}

/* ------------------------------------ x = 100, and one sets 20 */

static int x;

static void *set_in_thread(void *arg)
{
    x = 20;
    return arg;
}

/* Returns what it sees itself. */
static int set_in_process(void *arg)
{
    (void)arg;
    x = 20;
    return x;
}

static void part_memory(void)
{
    pthread_t thread;
    struct process process;
    int after_thread;

    x = 100;
    xpthread_create(&thread, set_in_thread, NULL);
    xpthread_join(thread);
    after_thread = x;
    say("x = 100; a thread sets 20:  main sees %d", after_thread);

    x = 100;
    xprocess_start(&process, set_in_process, NULL);
    xprocess_join(&process);
    say("x = 100; a process sets 20: main sees %d", x);

    saw("%d", after_thread);
    claim(after_thread == 20, "main sees what a thread has set");
    saw("%d", process.exitcode);
    claim(process.exitcode == 20, "the process sees its own 20");
    saw("%d", x);
    claim(x == 100, "main still sees 100 after the process");
}

/* ---------------------------------------------- whose pid is it */

enum { COUNT = 3 };

struct ids {
    pid_t pid, parent, tid;
};

static struct ids *ids; /* in shared memory */

static void note_ids(int number)
{
    struct ids *own = &ids[number];

    *own = (struct ids){getpid(), getppid(), gettid()};
    say("%d: pid %d, tid %d, parent %d", number + 1, (int)own->pid,
        (int)own->tid, (int)own->parent);
}

/* How many have main's pid, main as parent, the pid as tid. */
struct tally {
    int same_pid, children, first_threads, different_tids;
};

static struct tally tally_ids(void)
{
    struct tally tally = {0};

    for (int i = 0; i < COUNT; i++) {
        int first = 0;

        while (ids[first].tid != ids[i].tid)
            first++;
        tally.different_tids += first == i && ids[i].tid != gettid();
        tally.same_pid += ids[i].pid == getpid();
        tally.children += ids[i].parent == getpid();
        tally.first_threads += ids[i].pid == ids[i].tid;
    }
    return tally;
}

static void part_pids(void)
{
    struct tally threads, processes;

    ids = xshared_alloc(COUNT * sizeof *ids);
    say("main: pid %d, tid %d", (int)getpid(), (int)gettid());
    say("%d threads", COUNT);
    crowd_threads(COUNT, note_ids);
    threads = tally_ids();
    say("%d processes", COUNT);
    crowd_processes(COUNT, note_ids);
    processes = tally_ids();
    shared_free(ids, COUNT * sizeof *ids);

    saw("%d of %d", threads.same_pid, COUNT);
    claim(threads.same_pid == COUNT, "all threads have main's pid");
    saw("%d of %d", threads.different_tids, COUNT);
    claim(threads.different_tids == COUNT,
          "each thread has an id of its own");
    saw("%d are main's, %d children", processes.same_pid,
        processes.children);
    claim(processes.same_pid == 0 && processes.children == COUNT &&
              processes.different_tids == COUNT,
          "each process has another pid, and main as its parent");
    saw("%d of %d", processes.first_threads, COUNT);
    claim(
        processes.first_threads == COUNT,
        "a new process has one thread, and that has the pid as its id");
}

int main(int argc, char **argv)
{
    static const struct lesson_option options[] = {
        {"rounds", "N", "how many starts to measure", &rounds, 200,
         ROUNDS_MAX},
        {"megabytes", "N", "memory in use while they are measured",
         &megabytes, 0, 200},
        {0},
    };
    static const struct lesson lesson = {
        .name = "lesson-09 thread-create",
        .summary = "threads beside processes: start, memory, pid",
        .example = "./lesson-09 --megabytes 100",
        .options = options,
    };

    lesson_begin(&lesson, argc, argv);
    PART("Two ways to start a thread", part_two_ways);
    PART("What a start costs", part_cost);
    PART("x = 100, and somebody sets 20", part_memory);
    PART("Who has which pid", part_pids);
    return lesson_end();
}
