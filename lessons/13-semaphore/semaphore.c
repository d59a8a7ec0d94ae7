/*
 * semaphore.c -- five at a time.
 *
 * Twenty threads want in.  A semaphore of 5 lets five pass and makes
 * the others wait at the door; each stays 3 u, so that they go through
 * in four waves.  A pool of five workers does as much at a time, but
 * with five threads in all.  The last part has twenty processes and a
 * semaphore with a name, through which any program could open it.
 *
 * Look at: the waves in the time line; how many threads there were.
 * Compare with: 07-pool-apply, which limits workers where this limits
 * entry; 11-mutex, which has an owner, as a semaphore has not.
 * Try: --places 1, --visitors 7.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "checked.h"
#include "clock.h"
#include "crowd.h"
#include "gauge.h"
#include "lesson.h"
#include "pool.h"
#include "process.h"
#include "shared.h"
#include "timeline.h"

enum { VISITORS_MAX = 40, STAY = 3 };

static int places = 5, visitors = 20;

static sem_t *door; /* counts the free places */

/* What threads and processes leave behind, in shared memory. */
struct board {
    struct gauge inside;
    sem_t complete;     /* one for each of the first wave */
    atomic_int entered; /* how many of these */
    struct entry {
        int id; /* of the thread, which is the pid in a process */
        double time;
    } entries[VISITORS_MAX];
    atomic_bool has_place[VISITORS_MAX];
};

static struct board *board;

static void open_board(void)
{
    board = xshared_alloc(sizeof *board);
    xsem_init(&board->complete, 1, 0);
}

static void close_board(void)
{
    shared_free(board, sizeof *board);
}

/* ---------------------------------------------------- the door */

static void wait_for_place(void)
{
    while (sem_wait(door) != 0)
        if (errno != EINTR)
            check_call(-1, "sem_wait");
}

static void give_place_back(void)
{
    check_call(sem_post(door), "sem_post");
}

static int free_places(void)
{
    int value;

    check_call(sem_getvalue(door, &value), "sem_getvalue");
    return value;
}

static void part_counter(void)
{
    sem_t semaphore;
    int counted = 0, at_zero, left;

    door = &semaphore;
    check_call(sem_init(door, 0, (unsigned)places), "sem_init");
    say("at first   %2d", free_places());
    for (int i = 1; i <= places; i++) {
        wait_for_place();
        say("sem_wait   %2d", free_places());
        counted += free_places() == places - i;
    }
    at_zero = sem_trywait(door) == 0 ? 0 : errno;
    left = free_places();
    say("one more try gets %s", error_name(at_zero));
    for (int i = 0; i <= places; i++)
        give_place_back();
    say("%d times sem_post: %d", places + 1, free_places());

    saw("%d of %d", counted, places);
    claim(counted == places, "each wait takes 1 from the counter");
    saw("%s, %d", error_name(at_zero), left);
    claim(at_zero == EAGAIN && left == 0,
          "at 0 nobody gets in, and it is never less");
    saw("%d", free_places());
    claim(free_places() == places + 1,
          "one post too many, and there is a place too many");
    check_call(sem_destroy(door), "sem_destroy");
}

/* ----------------------------------------------------- inside */

static int first_wave(void)
{
    return places < visitors ? places : visitors;
}

/* Returns who it is, in the order of entry, from 0. */
static int come_in(void)
{
    int order;

    gauge_enter(&board->inside);
    order = atomic_fetch_add(&board->entered, 1);
    board->entries[order] = (struct entry){(int)gettid(), unit_now()};
    return order;
}

/*
 * Nobody of the first wave goes before all of it have come; when one
 * does not, the limit passes, and a claim fails.
 */
static void stay(int order)
{
    if (order == first_wave() - 1)
        for (int i = 0; i <= order; i++)
            xsem_post(&board->complete);
    if (order < first_wave())
        clock_sem_wait(&board->complete, 5 + STAY * lesson_unit());
    unit_sleep(STAY);
    gauge_leave(&board->inside);
}

static void visit(int number)
{
    char row[TIMELINE_NAME_MAX], wave[TIMELINE_NAME_MAX];
    int order;

    wait_for_place();
    atomic_store(&board->has_place[number], true);
    order = come_in();
    snprintf(row, sizeof row, "visitor %d", number + 1);
    snprintf(wave, sizeof wave, "%d", order / places + 1);
    say_time("%-10s is in, wave %s", row, wave);
    timeline_begin(row, wave, 0);
    stay(order);
    timeline_end(row);
    atomic_store(&board->has_place[number], false);
    give_place_back();
}

/* ----------------------------------------------------- the waves */

/* How many different threads came in. */
static int count_ids(void)
{
    int count = 0;

    for (int i = 0; i < board->entered; i++) {
        int first = 0;

        while (board->entries[first].id != board->entries[i].id)
            first++;
        count += first == i;
    }
    return count;
}

/* How many came in before the waves before theirs could be over. */
static int too_early(void)
{
    int count = 0;

    for (int i = 0; i < board->entered; i++) {
        int waves_before = i / places;

        count += board->entries[i].time < waves_before * STAY;
    }
    return count;
}

static void claim_waves(double took)
{
    int waves = (visitors + places - 1) / places;

    saw("%d, in all %d", board->inside.most, board->entered);
    claim(board->inside.most == first_wave() &&
              board->entered == visitors,
          "inside at once: %d, and never more", first_wave());
    saw("%d of %d", too_early(), board->entered);
    claim(too_early() == 0,
          "no wave came in before %d u for each one before it", STAY);
    saw("%.3f u", took);
    claim(took >= waves * STAY, "%d wave%s of %d u took at least %d u",
          waves, waves == 1 ? "" : "s", STAY, waves * STAY);
}

static void part_threads(void)
{
    sem_t semaphore;
    double took;

    open_board();
    door = &semaphore;
    check_call(sem_init(door, 0, (unsigned)places), "sem_init");
    crowd_threads(visitors, visit);
    took = unit_now();
    check_call(sem_destroy(door), "sem_destroy");

    claim_waves(took);
    saw("%d", count_ids());
    claim(count_ids() == visitors, "threads created: %d", visitors);
    close_board();
}

/* ------------------------------------------------------- a pool */

/* Has a worker, so it needs no place. */
static int task(const void *arg, void *result)
{
    (void)arg, (void)result;
    say_time("worker %-2d  has task %d", pool_worker(),
             (int)pool_task_number());
    stay(come_in());
    return 0;
}

static void part_pool(void)
{
    struct pool *pool;
    double took;

    open_board();
    pool = check_pointer(pool_open(&pool_threads, places), "pool_open");
    for (int i = 0; i < visitors; i++)
        check_error(
            pool_apply_async(pool, task, NULL, 0, 0, NULL, NULL, NULL),
            "pool_apply_async");
    check_error(pool_close(pool), "pool_close");
    check_error(pool_join(pool), "pool_join");
    took = unit_now();
    pool_free(pool);

    claim_waves(took);
    saw("%d", count_ids());
    claim(count_ids() == first_wave(),
          "threads that did it: %d, and a pool creates no more",
          first_wave());
    close_board();
}

/* ---------------------------------------------------- processes */

/*
 * Opens it under a name that nobody has yet, and takes the name away:
 * who has it open keeps it.  No signal that ends the program may come
 * between the two, or the name would be left in /dev/shm.
 */
static sem_t *open_named(char *name, size_t size)
{
    sigset_t all, before;
    sem_t *semaphore;
    int attempt = 0;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    do {
        snprintf(name, size, "/lesson-13-%d-%d", (int)getpid(),
                 attempt++);
        semaphore =
            sem_open(name, O_CREAT | O_EXCL, 0600, (unsigned)places);
    } while (semaphore == SEM_FAILED && errno == EEXIST);
    if (semaphore == SEM_FAILED)
        check_call(-1, "sem_open");
    check_call(sem_unlink(name), "sem_unlink");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return semaphore;
}

/* What somebody gets who opens it by its name: 0 or an error. */
static int open_again(const char *name)
{
    sem_t *semaphore = sem_open(name, 0);

    if (semaphore == SEM_FAILED)
        return errno;
    check_call(sem_close(semaphore), "sem_close");
    return 0;
}

static int run_process(void *arg)
{
    visit(*(const int *)arg);
    return 0;
}

/*
 * Joins those that have ended.  A semaphore has no owner: who is
 * killed inside keeps the place, so main gives it back.
 */
static int join_ended(struct process *processes)
{
    int joined = 0;

    for (int i = 0; i < visitors; i++) {
        if (processes[i].joined || process_is_alive(&processes[i]))
            continue;
        joined++;
        if (atomic_load(&board->has_place[i]))
            give_place_back();
    }
    return joined;
}

static void part_processes(void)
{
    static struct process processes[VISITORS_MAX];
    static int numbers[VISITORS_MAX];
    char name[32];
    int opened;
    double took;

    open_board();
    door = open_named(name, sizeof name);
    opened = open_again(name);
    say("%s can not be opened again: %s", name, error_name(opened));
    for (int i = 0; i < visitors; i++) {
        numbers[i] = i;
        xprocess_start(&processes[i], run_process, &numbers[i]);
    }
    for (int left = visitors; left > 0; clock_sleep(0.001))
        left -= join_ended(processes);
    took = unit_now();
    check_call(sem_close(door), "sem_close");

    claim_waves(took);
    saw("%d", count_ids());
    claim(count_ids() == visitors, "processes created: %d", visitors);
    saw("%s", error_name(opened));
    claim(opened == ENOENT, "the name was gone before they came");
    close_board();
}

int main(int argc, char **argv)
{
    static const struct lesson_option options[] = {
        {"places", "N", "what the semaphore begins with", &places, 1,
         VISITORS_MAX},
        {"visitors", "N", "how many threads, tasks, processes",
         &visitors, 1, VISITORS_MAX},
        {0},
    };
    static const struct lesson lesson = {
        .name = "lesson-13 semaphore",
        .summary = "a semaphore lets so many in at a time",
        .example = "./lesson-13 --places 2 --visitors 6",
        .options = options,
    };

    lesson_begin(&lesson, argc, argv);
    PART("A counter with a door", part_counter);
    PART("Threads and a semaphore", part_threads);
    PART("The same with a pool", part_pool);
    PART("Processes and a semaphore with a name", part_processes);
    return lesson_end();
}
