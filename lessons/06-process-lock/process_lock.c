/*
 * process_lock.c -- one process at a time, and what if it dies?
 *
 * Three processes share the array [1, 2, 3].  Each adds 10 to its own
 * element, stays 1 u and prints the array.  Without a lock all are
 * inside before the first one prints, and all prints are the same.
 * With a lock a print shows the changes made so far.  It is a mutex
 * in shared memory with three attributes: process-shared, recursive
 * (its holder may take it again), and robust: when the holder is
 * killed, the next process gets the lock and is told.
 *
 * Look at: the stairs that the lock makes of the bars in the time
 * line; what the next process finds when the holder was killed in the
 * middle of a change.
 * Compare with: 07-pool-apply, whose queue of tasks stands behind such
 * a lock, so that no worker's death stops the others.
 * Try: --processes 5.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "checked.h"
#include "clock.h"
#include "gauge.h"
#include "lesson.h"
#include "process.h"
#include "shared.h"
#include "timeline.h"

enum { PROCESSES_MAX = 9 };

static int processes = 3; /* and elements of the array */

/* What the processes share. */
struct board {
    pthread_mutex_t lock;
    int array[PROCESSES_MAX];
    int complete;        /* changes of all elements that are over */
    struct gauge inside; /* between a change and its print */
    sem_t entered;       /* one for each that has come so far */
    sem_t leave;         /* one for each that may go on */
    atomic_int prints;   /* how many of the arrays below */
    int printed[PROCESSES_MAX][PROCESSES_MAX];
    int found[PROCESSES_MAX]; /* by who came after the dead */
};

static struct board *board;

struct visitor {
    struct process process;
    int index;
    char row[TIMELINE_NAME_MAX]; /* "process 1" */
};

static struct visitor visitors[PROCESSES_MAX];

/* ---------------------------------------------------- the lock */

static void make_lock(int type, int robustness)
{
    pthread_mutexattr_t attributes;

    check_error(pthread_mutexattr_init(&attributes),
                "pthread_mutexattr_init");
    check_error(pthread_mutexattr_setpshared(&attributes,
                                             PTHREAD_PROCESS_SHARED),
                "pthread_mutexattr_setpshared");
    check_error(pthread_mutexattr_settype(&attributes, type),
                "pthread_mutexattr_settype");
    check_error(pthread_mutexattr_setrobust(&attributes, robustness),
                "pthread_mutexattr_setrobust");
    check_error(pthread_mutex_init(&board->lock, &attributes),
                "pthread_mutex_init");
    check_error(pthread_mutexattr_destroy(&attributes),
                "pthread_mutexattr_destroy");
}

/*
 * Each part has a board of its own: a lock whose holder is dead can
 * not be destroyed, its memory can be given back.
 */
static void open_board(int type, int robustness)
{
    board = xshared_alloc(sizeof *board);
    make_lock(type, robustness);
    xsem_init(&board->entered, 1, 0);
    xsem_init(&board->leave, 1, 0);
    for (int i = 0; i < processes; i++)
        board->array[i] = i + 1;
}

static void close_board(void)
{
    shared_free(board, sizeof *board);
}

/* --------------------------------------------------- processes */

static void start(int index, process_function *visit)
{
    struct visitor *visitor = &visitors[index];

    visitor->index = index;
    snprintf(visitor->row, sizeof visitor->row, "process %d",
             index + 1);
    xprocess_start(&visitor->process, visit, visitor);
}

/* Returns its exit code, which is negative when it was killed. */
static int join(int index)
{
    struct visitor *visitor = &visitors[index];

    xprocess_join(&visitor->process);
    if (visitor->process.exitcode < 0)
        timeline_cut(visitor->row);
    return visitor->process.exitcode;
}

/* Waits until one of the first `count` has come, or one is dead. */
static void await_entry(int count)
{
    while (clock_sem_wait(&board->entered, 0.02) != 0)
        for (int i = 0; i < count; i++)
            if (!process_is_alive(&visitors[i].process))
                return;
}

/* "[11, 2, 3]" */
static const char *array_text(const int *array)
{
    static char text[5 * PROCESSES_MAX + 2];
    size_t size = 0;

    for (int i = 0; i < processes; i++)
        size += (size_t)snprintf(text + size, sizeof text - size,
                                 "%s%d", i == 0 ? "[" : ", ", array[i]);
    snprintf(text + size, sizeof text - size, "]");
    return text;
}

/* -------------------------------------- one element, and a print */

static void print_array(const struct visitor *self)
{
    int *copy = board->printed[atomic_fetch_add(&board->prints, 1)];

    for (int i = 0; i < processes; i++)
        copy[i] = board->array[i];
    say_time("%s prints %s", self->row, array_text(copy));
}

static void change_and_print(const struct visitor *self)
{
    gauge_enter(&board->inside);
    timeline_begin(self->row, "inside", 0);
    board->array[self->index] += 10;
    say_time("%s adds 10 (pid %d)", self->row, (int)getpid());
    xsem_post(&board->entered);
    unit_sleep(1);
    xsem_wait(&board->leave);
    print_array(self);
    timeline_end(self->row);
    gauge_leave(&board->inside);
}

static int visit_unlocked(void *arg)
{
    change_and_print(arg);
    return 0;
}

static int visit_locked(void *arg)
{
    xpthread_mutex_lock(&board->lock);
    change_and_print(arg);
    xpthread_mutex_unlock(&board->lock);
    return 0;
}

/*
 * One visit for each process.  Nobody prints before `together` of
 * them are inside: that forces what is left to luck otherwise.
 */
static void run_visits(process_function *visit, int together)
{
    for (int i = 0; i < processes; i++)
        start(i, visit);
    for (int i = 0; i < together; i++)
        await_entry(processes);
    for (int i = 0; i < processes; i++)
        xsem_post(&board->leave);
    for (int i = 0; i < processes; i++)
        join(i);
}

static int changes(const int *array)
{
    int count = 0;

    for (int i = 0; i < processes; i++)
        count += array[i] == i + 1 + 10;
    return count;
}

/* How many prints showed `first` changes and then `step` more each. */
static int prints_with(int first, int step)
{
    int count = 0;

    for (int i = 0; i < board->prints; i++)
        count += changes(board->printed[i]) == first + i * step;
    return count;
}

static void part_unlocked(void)
{
    open_board(PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ROBUST);
    run_visits(visit_unlocked, processes);

    saw("%d at once", board->inside.most);
    claim(board->inside.most == processes,
          "without the lock all %d are inside at once", processes);
    saw("%d of %d", prints_with(processes, 0), board->prints);
    claim(prints_with(processes, 0) == processes,
          "each of the %d prints shows all %d changes", processes,
          processes);
    close_board();
}

static void part_locked(void)
{
    double took;

    open_board(PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ROBUST);
    run_visits(visit_locked, 1);
    took = unit_now();

    saw("%d at once", board->inside.most);
    claim(board->inside.most == 1,
          "with the lock there is never more than one inside");
    saw("%d of %d", prints_with(1, 1), board->prints);
    claim(prints_with(1, 1) == processes,
          "each print shows one change more than the one before");
    saw("%.3f u", took);
    claim(took >= processes, "%d visits of 1 u took at least %d u",
          processes, processes);
    close_board();
}

/* --------------------------------------------------- recursive */

static int try_to_acquire(void *arg)
{
    int error = pthread_mutex_trylock(&board->lock);

    (void)arg;
    if (error == 0)
        xpthread_mutex_unlock(&board->lock);
    return error;
}

static int try_to_release(void *arg)
{
    (void)arg;
    return pthread_mutex_unlock(&board->lock);
}

/* What another process gets that tries: 0 or an error's number. */
static int other(process_function *attempt)
{
    struct process process;

    xprocess_start(&process, attempt, NULL);
    xprocess_join(&process);
    return process.exitcode;
}

static int say_other(const char *when, process_function *attempt)
{
    int error = other(attempt);

    say("%-15s  another process that %s gets %s", when,
        attempt == try_to_release ? "releases it" : "tries",
        error == 0 ? "it" : error_name(error));
    return error;
}

static void part_recursive(void)
{
    int plain, again, once, released, last;

    open_board(PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST);
    xpthread_mutex_lock(&board->lock);
    plain = pthread_mutex_trylock(&board->lock);
    xpthread_mutex_unlock(&board->lock);
    close_board();

    open_board(PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ROBUST);
    xpthread_mutex_lock(&board->lock);
    again = pthread_mutex_trylock(&board->lock);
    say_other("taken twice:", try_to_acquire);
    released = say_other("", try_to_release);
    xpthread_mutex_unlock(&board->lock);
    once = say_other("released once:", try_to_acquire);
    if (again == 0)
        xpthread_mutex_unlock(&board->lock);
    last = say_other("released twice:", try_to_acquire);
    close_board();

    saw("%s", error_name(plain));
    claim(plain == EBUSY, "a normal lock keeps out its own holder too");
    saw("%s", error_name(again));
    claim(again == 0, "a recursive lock lets its holder in again");
    saw("%s", error_name(released));
    claim(released == EPERM, "release by another process is refused");
    saw("%s, then %s", error_name(once), error_name(last));
    claim(once == EBUSY && last == 0,
          "taken twice, it is free after the second release only");
}

/* --------------------------------------- the holder is killed */

static void add_to_all(int count)
{
    for (int i = 0; i < count; i++)
        board->array[i] += 10;
}

/* Comes to all elements but one. */
static int visit_and_die(void *arg)
{
    const struct visitor *self = arg;

    xpthread_mutex_lock(&board->lock);
    timeline_begin(self->row, "inside", 0);
    add_to_all(processes - 1);
    say_time("%s is half done: %s", self->row,
             array_text(board->array));
    xsem_post(&board->entered);
    while (pause() < 0) /* whatever signal ended the pause */
        continue;
    return 0;
}

static void start_the_holder(void)
{
    start(0, visit_and_die);
    await_entry(1);
}

/* Returns its exit code. */
static int kill_the_holder(void)
{
    unit_sleep(1);
    say_time("main kills process 1");
    process_kill(&visitors[0].process);
    return join(0);
}

static void claim_killed(int exitcode)
{
    saw("exit code %d", exitcode);
    claim(exitcode == -SIGKILL, "the holder died of SIGKILL");
}

static void say_answer(const struct visitor *self, int error)
{
    say_time("%s gets %s", self->row,
             error == 0                 ? "the lock"
             : error == EOWNERDEAD      ? "the lock and EOWNERDEAD"
             : error == ENOTRECOVERABLE ? "ENOTRECOVERABLE"
                                        : error_name(error));
}

/* --------------------------------------- a lock that is stalled */

static int visit_with_limit(void *arg)
{
    const struct visitor *self = arg;
    struct timespec limit = clock_time_of_day(lesson_unit());
    int error;

    say_time("%s asks for the lock, for 1 u", self->row);
    timeline_begin(self->row, "waits", 0);
    error = pthread_mutex_timedlock(&board->lock, &limit);
    timeline_end(self->row);
    say_answer(self, error);
    return error;
}

static void part_stalled(void)
{
    int dead, next;

    open_board(PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED);
    start_the_holder();
    dead = kill_the_holder();
    start(1, visit_with_limit);
    next = join(1);

    claim_killed(dead);
    saw("%s", error_name(next));
    claim(next == ETIMEDOUT, "nobody else gets the lock of the dead");
    close_board();
}

/* ------------------------------------------------ a robust lock */

static int ask_for_the_lock(const struct visitor *self)
{
    int error;

    say_time("%s asks for the lock", self->row);
    timeline_begin(self->row, "waits", 0);
    xsem_post(&board->entered);
    error = pthread_mutex_lock(&board->lock);
    timeline_end(self->row);
    say_answer(self, error);
    return error;
}

/* Takes the half change back. */
static void repair(const struct visitor *self)
{
    for (int i = 0; i < processes; i++) {
        board->found[i] = board->array[i];
        board->array[i] = i + 1 + 10 * board->complete;
    }
    say_time("%s repairs the array: %s", self->row,
             array_text(board->array));
}

static int visit_and_repair(void *arg)
{
    const struct visitor *self = arg;
    int error = ask_for_the_lock(self);

    if (error == EOWNERDEAD) {
        repair(self);
        check_error(pthread_mutex_consistent(&board->lock),
                    "pthread_mutex_consistent");
    }
    timeline_begin(self->row, "inside", 0);
    add_to_all(processes);
    board->complete++;
    say_time("%s adds 10 to all: %s", self->row,
             array_text(board->array));
    unit_sleep(1);
    timeline_end(self->row);
    xpthread_mutex_unlock(&board->lock);
    return error;
}

/* Nothing was changed but the elements before the last. */
static bool is_half_changed(const int *array)
{
    return changes(array) == processes - 1 &&
           array[processes - 1] == processes;
}

static bool is_changed_twice(const int *array)
{
    bool all = true;

    for (int i = 0; i < processes; i++)
        all = all && array[i] == i + 1 + 20;
    return all;
}

static void part_repaired(void)
{
    int dead, next, third;

    open_board(PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ROBUST);
    start_the_holder();
    start(1, visit_and_repair);
    await_entry(2);
    dead = kill_the_holder();
    next = join(1);
    start(2, visit_and_repair);
    third = join(2);

    claim_killed(dead);
    saw("%s", error_name(next));
    claim(next == EOWNERDEAD,
          "the next gets the lock and is told: EOWNERDEAD");
    saw("%s", array_text(board->found));
    claim(is_half_changed(board->found), "it found half a change");
    saw("%s", error_name(third));
    claim(third == 0, "once repaired, the lock is as good as new");
    saw("%s", array_text(board->array));
    claim(is_changed_twice(board->array),
          "the array has the two changes that were completed");
    close_board();
}

/* The same without a repair, so without a change of its own. */
static int visit_and_ignore(void *arg)
{
    int error = ask_for_the_lock(arg);

    if (error == EOWNERDEAD)
        xpthread_mutex_unlock(&board->lock);
    return error;
}

static void part_ignored(void)
{
    int dead, next, third;

    open_board(PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_ROBUST);
    start_the_holder();
    start(1, visit_and_ignore);
    await_entry(2);
    dead = kill_the_holder();
    next = join(1);
    start(2, visit_and_ignore);
    third = join(2);

    claim_killed(dead);
    saw("%s, then %s", error_name(next), error_name(third));
    claim(next == EOWNERDEAD && third == ENOTRECOVERABLE,
          "released without a repair, it is lost: ENOTRECOVERABLE");
    close_board();
}

int main(int argc, char **argv)
{
    static const struct lesson_option options[] = {
        {"processes", "N", "how many processes share the array",
         &processes, 2, PROCESSES_MAX},
        {0},
    };
    static const struct lesson lesson = {
        .name = "lesson-06 process-lock",
        .summary = "a lock for processes, which survives its holder",
        .example = "./lesson-06 --processes 5",
        .options = options,
    };

    lesson_begin(&lesson, argc, argv);
    PART("Without the lock", part_unlocked);
    PART("With the lock", part_locked);
    PART("A recursive lock: taken twice, released twice",
         part_recursive);
    PART("The holder is killed: a stalled lock", part_stalled);
    PART("The holder is killed: a robust lock, and a repair",
         part_repaired);
    PART("The holder is killed: a robust lock, and no repair",
         part_ignored);
    return lesson_end();
}
