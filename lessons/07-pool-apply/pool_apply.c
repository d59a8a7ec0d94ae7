/*
 * pool_apply.c -- three workers, thirty tasks.
 *
 * A pool starts its workers once and gives them one task after the
 * other.  apply waits for a task before it hands over the next, so one
 * worker is busy and the others rest.  apply_async does not wait, and
 * all are busy until the tasks run out.
 *
 * Look at: the time line, where apply has one bar at a time and
 * apply_async full rows; the pids, the same few from first to last.
 * Try: --workers 5, --tasks 7; --threads, which changes the kind of
 * the pool and nothing else.
 */
#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "checked.h"
#include "gauge.h"
#include "lesson.h"
#include "pool.h"

enum { WORKERS_MAX = 64, TASKS_MAX = 100 };

/* What a busy machine may stand still for, in seconds. */
static const double grace = 0.3;

static int workers = 3, tasks = 30;
static int threads; /* 1: workers are threads, not processes */

static struct pool *pool;
static int handed_over; /* tasks: each has a number in its pool */

/* What the tasks leave behind, in memory that the workers share. */
struct board {
    struct gauge busy; /* tasks that run at the same time */
    atomic_int begun;  /* how many of the runs below */
    struct run {
        int id; /* the process's, or the thread's */
        double begin, end;
    } runs[2 * TASKS_MAX];
};

static struct board *board;

static int task(const void *arg, void *result)
{
    struct run *run = &board->runs[atomic_fetch_add(&board->begun, 1)];

    (void)result;
    gauge_enter(&board->busy);
    run->begin = unit_now();
    run->id = (int)gettid(); /* in a process of one thread: the pid */
    say_time("worker %d (%s %d)  task %d", pool_worker(),
             threads ? "tid" : "pid", run->id, *(const int *)arg);
    unit_sleep(1);
    run->end = unit_now();
    gauge_leave(&board->busy);
    return 0;
}

static void open_pool(int size)
{
    const struct pool_kind *kind =
        threads ? &pool_threads : &pool_processes;

    atomic_store(&board->busy.most, 0);
    atomic_store(&board->begun, 0);
    handed_over = 0;
    pool = check_pointer(pool_open(kind, size), "pool_open");
}

static void close_and_join(void)
{
    check_error(pool_close(pool), "pool_close");
    check_error(pool_join(pool), "pool_join");
}

/* --------------------------------------------------------- apply */

static void apply_all(int count)
{
    while (count-- > 0) {
        int number = ++handed_over;

        check_error(
            pool_apply(pool, task, &number, sizeof number, NULL, 0),
            "pool_apply");
    }
}

static void part_apply(void)
{
    double took;

    open_pool(workers);
    apply_all(tasks);
    took = unit_now();

    say("apply: %d tasks, one after another: %.1f u", tasks, took);
    saw("%d at once", board->busy.most);
    claim(board->busy.most == 1, "apply runs one task at a time");
    saw("%.3f u", took);
    claim(took >= tasks, "apply took at least %d u", tasks);
}

/* --------------------------------------------------- apply_async */

static atomic_int finished, dropped; /* tasks, as callbacks tell */

static int on_success(struct future *future, void *context)
{
    (void)future, (void)context;
    atomic_fetch_add(&finished, 1);
    return 0;
}

static int on_error(struct future *future, void *context)
{
    (void)future, (void)context;
    atomic_fetch_add(&dropped, 1);
    return 0;
}

static int apply_async(void)
{
    int number = ++handed_over;

    return pool_apply_async(pool, task, &number, sizeof number, 0,
                            on_success, on_error, NULL);
}

static void apply_async_all(int count)
{
    for (int i = 0; i < count; i++)
        check_error(apply_async(), "pool_apply_async");
    say_time("main      has handed over %d tasks", count);
}

/* How many different workers the tasks of this pool ran in. */
static int crew_size(void)
{
    int size = 0;

    for (int i = 0; i < board->begun; i++) {
        int first = 0;

        while (board->runs[first].id != board->runs[i].id)
            first++;
        size += first == i;
    }
    return size;
}

/* With few tasks for each, one may come too late to get any. */
static void claim_crew(void)
{
    bool exactly = tasks >= 2 * workers;
    int size = crew_size();

    saw("%d did %d", size, board->begun);
    claim((exactly ? size == workers : size <= workers) &&
              board->begun == 2 * tasks,
          "%s %d %s did all %d tasks",
          exactly ? "exactly" : "no more than", workers,
          threads ? "threads" : "processes", 2 * tasks);
}

/*
 * `size` workers did the last `count` tasks in as many rounds as it
 * takes.  What a round of 1 u lasted is measured, not taken for 1 u:
 * on a busy machine everybody sleeps longer, and wakes late.
 */
static void claim_rounds(int count, int size)
{
    const struct run *runs = &board->runs[board->begun - count];
    double first = INFINITY, last = 0, sum = 0, longest = 0;
    int rounds = (count + size - 1) / size;
    double took, bound;

    for (int i = 0; i < count; i++) {
        first = fmin(first, runs[i].begin);
        last = fmax(last, runs[i].end);
        sum += runs[i].end - runs[i].begin;
        longest = fmax(longest, runs[i].end - runs[i].begin);
    }
    took = last - first;
    bound =
        1.5 * rounds * sum / count + longest + grace / lesson_unit();
    say("apply_async: %d tasks, %d at a time: %.1f u, overhead %.2f u",
        count, size, took, took - rounds);
    saw("%.2f u in rounds of %.2f u", took, sum / count);
    claim(took >= rounds && took <= bound,
          "%d round%s of 1 u, and at most half as long again", rounds,
          rounds == 1 ? "" : "s");
}

static void part_apply_async(void)
{
    int early, late;

    apply_async_all(tasks);
    early = pool_join(pool);
    close_and_join();
    late = apply_async();
    pool_free(pool);

    claim_rounds(tasks, workers);
    saw("%d at once", board->busy.most);
    claim(board->busy.most <= workers,
          "never more than %d tasks at once", workers);
    claim_crew();
    saw("%s", error_name(early));
    claim(early == EBUSY, "join before close is refused");
    saw("%s", error_name(late));
    claim(late == EPIPE, "apply_async after close is refused");
}

/* ----------------------------------------------------- terminate */

/* Its number may name another thread one day, but not so soon. */
static bool is_left(int id)
{
    return syscall(SYS_tgkill, threads ? getpid() : id, id, 0) == 0;
}

static int count_left(void)
{
    int left = 0;

    for (int i = 0; i < board->begun; i++)
        left += is_left(board->runs[i].id);
    return left;
}

static void part_terminate(void)
{
    int possible;

    finished = dropped = 0;
    open_pool(workers);
    apply_async_all(tasks);
    unit_sleep(2);
    possible = workers * (int)(unit_now() + 1 + grace / lesson_unit());
    check_error(pool_terminate(pool), "pool_terminate");
    say_time("main      has terminated the pool");
    check_error(pool_join(pool), "pool_join");
    pool_free(pool);

    say("%d tasks finished, %d were dropped", finished, dropped);
    saw("%d and %d", finished, dropped);
    claim(finished + dropped == tasks,
          "each task finished or was dropped");
    saw("%d, and no more than %d are possible", finished, possible);
    claim(finished <= possible, "terminate did not wait for the rest");
    saw("%d left", count_left());
    claim(count_left() == 0, "after terminate no worker is left");
}

/* ------------------------------------- the figure of the notes */

static void part_figure(void)
{
    enum { SIZE = 5, COUNT = 10 };
    double took;

    open_pool(SIZE);
    apply_all(COUNT);
    took = unit_now();
    apply_async_all(COUNT);
    close_and_join();
    pool_free(pool);

    say("apply: %d tasks, one after another: %.1f u", COUNT, took);
    saw("%.3f u", took);
    claim(took >= COUNT, "apply took at least %d u", COUNT);
    claim_rounds(COUNT, SIZE);
    say("The notes measured 2.6 s; 2 s is the ideal.");
}

int main(int argc, char **argv)
{
    static const struct lesson_option options[] = {
        {"workers", "N", "how many workers", &workers, 1, WORKERS_MAX},
        {"tasks", "N", "how many tasks", &tasks, 1, TASKS_MAX},
        {"threads", NULL, "a pool of threads, not of processes",
         &threads, 0, 1},
        {0},
    };
    static const struct lesson lesson = {
        .name = "lesson-07 pool-apply",
        .summary = "a pool of workers, by apply and by apply_async",
        .example = "./lesson-07 --workers 5 --tasks 20",
        .options = options,
    };

    lesson_begin(&lesson, argc, argv);
    board = xshared_alloc(sizeof *board);
    PART("apply: wait for each task", part_apply);
    PART("apply_async: hand over all, then close and join",
         part_apply_async);
    PART("terminate after 2 u", part_terminate);
    PART("10 tasks on 5 workers", part_figure);
    return lesson_end();
}
