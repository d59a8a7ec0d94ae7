/*
 * event_condition_barrier.c -- three ways to wait for the others.
 *
 * An event is a gate: many wait, one opens it for all.  A condition
 * is a place to sleep until somebody says that things have changed;
 * who wakes up has to look again, for another may have been quicker.
 * At a barrier all wait for the last, phase after phase.
 *
 * All three are made here of a lock and of semaphores in shared
 * memory, so the same functions serve threads and processes.  A
 * pthread_cond_t or pthread_barrier_t could stand in shared memory
 * too, but those count on every waiter to come back, and a process
 * can be killed while it waits.  A semaphore counts on nobody.
 *
 * Look at: `if` and `while`, where one word makes the stock -1; the
 * call that a killed process takes along; the time line of the
 * barriers, where the quick wait for the slow.
 * Compare with: 06-process-lock, whose lock tells of a dead holder.
 * Try: --members 6.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "checked.h"
#include "clock.h"
#include "lesson.h"
#include "lock.h"
#include "process.h"
#include "shared.h"
#include "timeline.h"

enum { MEMBERS_MAX = 9, PHASES = 3 };
enum { BEGIN, END };

static int members = 3; /* threads, or processes */

/* Each has a semaphore, so nobody takes a call meant for another. */
struct condition {
    sem_t wake[MEMBERS_MAX + 1];
    int asleep[MEMBERS_MAX + 1]; /* place in the line, or 0 */
    int places;
};

struct event {
    bool open;
    struct condition opened;
};

struct barrier {
    int phase;                    /* which one goes on now, from 1 */
    int arrived[MEMBERS_MAX + 1]; /* the phase that each has ended */
    bool gone[MEMBERS_MAX + 1];   /* nobody waits for these */
    struct condition next;
};

/* What threads and processes share; each part has one of its own. */
struct board {
    struct lock lock; /* protects all that is not atomic */
    struct event gate;
    struct condition filled;
    int stock; /* items: put, and not taken */
    int lowest_stock;
    struct barrier barrier;
    pthread_barrier_t plain_barrier;
    sem_t arrived; /* a token for each that has come so far */
    atomic_int passed;
    atomic_int looks; /* of consumer 1 at the stock */
    atomic_int clock; /* counts beginnings and ends of work */
    int times[PHASES + 1][MEMBERS_MAX + 1][2]; /* [BEGIN] and [END] */
};

static struct board *board;

typedef void body_function(void);

/* A thread, or a process. */
struct member {
    int number;
    char row[TIMELINE_NAME_MAX]; /* "thread 1" */
    body_function *body;
    pthread_t thread;
    atomic_bool returned; /* what its thread runs */
    struct process process;
};

static struct member crew[MEMBERS_MAX + 1]; /* 0 is main */

/* Who runs this function. */
static _Thread_local struct member *self = &crew[0];

/* ------------------------------------------------------ the lock */

/*
 * Where the last holder was killed, nothing has to be repaired: each
 * change that is made below is over with one store, or is made whole
 * by condition_recover.
 */
static void enter(void) NOT_CHECKED
{
    int error = lock_acquire(&board->lock);

    if (error != EOWNERDEAD)
        check_error(error, "lock_acquire");
}

static void leave(void) NOT_CHECKED
{
    lock_release(&board->lock);
}

/* ------------------------------------------------- the condition */

/*
 * In the lock, which is free while the caller sleeps.  Returns 0, and
 * the caller must look again, or ETIMEDOUT.
 */
static int condition_wait(struct condition *condition, double deadline)
{
    sem_t *wake = &condition->wake[self->number];
    int *asleep = &condition->asleep[self->number];
    int error;

    *asleep = ++condition->places;
    leave();
    error = clock_sem_wait(wake, clock_left(deadline));
    enter();
    if (error != 0 && *asleep == 0)
        error = clock_sem_wait(wake, 0); /* called in time after all */
    *asleep = 0;
    return error;
}

/* A caller that dies in between has called once too often. */
static void call(struct condition *condition, int number)
{
    xsem_post(&condition->wake[number]);
    condition->asleep[number] = 0;
}

/*
 * In the lock: who has slept longest will look again.  Returns its
 * number, or 0 when nobody sleeps.
 */
static int condition_signal(struct condition *condition)
{
    const int *asleep = condition->asleep;
    int first = 0;

    for (int i = 1; i <= members; i++)
        if (asleep[i] != 0 && (first == 0 || asleep[i] < asleep[first]))
            first = i;
    if (first != 0)
        call(condition, first);
    return first;
}

/* In the lock: all who sleep will look again. */
static void condition_broadcast(struct condition *condition)
{
    while (condition_signal(condition) != 0)
        continue;
}

/*
 * In the lock, after a death.  The dead may have been called and not
 * have come to look, or have died while it called others.  So all
 * look, some of them in vain.
 */
static void condition_recover(struct condition *condition, int dead)
{
    condition->asleep[dead] = 0;
    condition_broadcast(condition);
}

/* ----------------------------------------------------- the event */

static void event_set(struct event *event)
{
    enter();
    event->open = true;
    condition_broadcast(&event->opened);
    leave();
}

static void event_clear(struct event *event)
{
    enter();
    event->open = false;
    leave();
}

/* 0, or ETIMEDOUT; time limits as in clock.h. */
static int event_wait(struct event *event, double timeout)
{
    double deadline = clock_deadline(timeout);
    int error = 0;

    enter();
    while (!event->open && error == 0)
        error = condition_wait(&event->opened, deadline);
    if (event->open)
        error = 0;
    leave();
    return error;
}

/* --------------------------------------------------- the barrier */

static bool all_have_arrived(const struct barrier *barrier)
{
    for (int number = 1; number <= members; number++)
        if (!barrier->gone[number] &&
            barrier->arrived[number] < barrier->phase)
            return false;
    return true;
}

/* In the lock. */
static void next_phase_if_all_have_arrived(struct barrier *barrier)
{
    if (!all_have_arrived(barrier))
        return;
    barrier->phase++;
    condition_broadcast(&barrier->next);
}

static void barrier_wait(struct barrier *barrier)
{
    int phase;

    enter();
    phase = barrier->phase;
    barrier->arrived[self->number] = phase;
    next_phase_if_all_have_arrived(barrier);
    while (barrier->phase == phase)
        condition_wait(&barrier->next, INFINITY);
    leave();
}

/* In the lock, after a death: the others do not wait for the dead. */
static void barrier_leave(struct barrier *barrier, int dead)
{
    barrier->gone[dead] = true;
    next_phase_if_all_have_arrived(barrier);
    condition_recover(&barrier->next, dead);
}

/* ---------------------------------------- threads, or processes */

static void *run_in_thread(void *arg)
{
    self = arg;
    self->body();
    atomic_store(&self->returned, true);
    return NULL;
}

static void start_thread(struct member *member)
{
    xpthread_create(&member->thread, run_in_thread, member);
}

static void join_thread(struct member *member)
{
    xpthread_join(member->thread);
}

static void join_all_threads(void)
{
    for (int number = 1; number <= members; number++)
        join_thread(&crew[number]);
}

static bool thread_is_over(struct member *member)
{
    return atomic_load(&member->returned);
}

static int run_in_process(void *arg)
{
    self = arg;
    self->body();
    return 0;
}

static void start_process(struct member *member)
{
    xprocess_start(&member->process, run_in_process, member);
}

/* Main has learnt of its death. */
static void bury(const struct member *member)
{
    timeline_cut(member->row);
    enter();
    condition_recover(&board->gate.opened, member->number);
    condition_recover(&board->filled, member->number);
    barrier_leave(&board->barrier, member->number);
    leave();
}

static void join_process(struct member *member)
{
    xprocess_join(&member->process);
    if (member->process.exitcode < 0)
        bury(member);
}

static bool process_is_over(struct member *member)
{
    return !process_is_alive(&member->process);
}

static void join_all_processes(void)
{
    double deadline = clock_deadline(10 + 10 * lesson_unit());
    int left = members;

    while (left > 0) {
        left = members;
        for (int number = 1; number <= members; number++) {
            struct member *member = &crew[number];

            if (clock_left(deadline) <= 0)
                process_kill(&member->process);
            if (process_join(&member->process, 0.01) == ETIMEDOUT)
                continue;
            if (member->process.exitcode < 0)
                bury(member);
            left--;
        }
    }
}

static const struct kind {
    const char *name;
    void (*start)(struct member *member);
    void (*join)(struct member *member);
    void (*join_all)(void);
    bool (*is_over)(struct member *member);
} threads = {"thread", start_thread, join_thread, join_all_threads,
             thread_is_over},
  processes = {"process", start_process, join_process,
               join_all_processes, process_is_over};

static const struct kind *kind; /* what a member is now */

static void start(int number, body_function *body)
{
    struct member *member = &crew[number];

    member->number = number;
    member->body = body;
    snprintf(member->row, sizeof member->row, "%s %d", kind->name,
             number);
    kind->start(member);
}

static void start_all(body_function *body)
{
    for (int number = 1; number <= members; number++)
        start(number, body);
}

/* ----------------------------------------------------- the board */

static void init_condition(struct condition *condition)
{
    for (int number = 0; number <= members; number++)
        xsem_init(&condition->wake[number], 1, 0);
}

static void init_plain_barrier(void)
{
    pthread_barrierattr_t attributes;

    check_error(pthread_barrierattr_init(&attributes),
                "pthread_barrierattr_init");
    check_error(pthread_barrierattr_setpshared(&attributes,
                                               PTHREAD_PROCESS_SHARED),
                "pthread_barrierattr_setpshared");
    check_error(pthread_barrier_init(&board->plain_barrier, &attributes,
                                     (unsigned)members),
                "pthread_barrier_init");
    check_error(pthread_barrierattr_destroy(&attributes),
                "pthread_barrierattr_destroy");
}

static void open_board(void)
{
    memset(crew, 0, sizeof crew);
    board = xshared_alloc(sizeof *board);
    check_error(lock_init(&board->lock), "pthread_mutex_init");
    init_condition(&board->gate.opened);
    init_condition(&board->filled);
    init_condition(&board->barrier.next);
    xsem_init(&board->arrived, 1, 0);
    board->barrier.phase = 1;
    init_plain_barrier();
}

/* What the dead have used can not be destroyed; the memory can. */
static void close_board(void)
{
    shared_free(board, sizeof *board);
}

/* ---------------------------------------- main waits, and kills */

static bool one_is_over(int count)
{
    for (int number = 1; number <= count; number++)
        if (kind->is_over(&crew[number]))
            return true;
    return false;
}

/* The first `count` have come; or one has ended, and never will. */
static void await_arrivals(int count)
{
    for (int i = 0; i < count; i++)
        while (clock_sem_wait(&board->arrived, 0.02) != 0)
            if (one_is_over(count))
                return;
}

static int sleepers(const struct condition *condition, int count)
{
    int asleep = 0;

    enter();
    for (int number = 1; number <= count; number++)
        asleep += condition->asleep[number] != 0;
    leave();
    return asleep;
}

/* The first `count` sleep; or one has ended, and never will. */
static void await_sleepers(const struct condition *condition, int count)
{
    while (sleepers(condition, count) < count && !one_is_over(count))
        clock_sleep(0.001);
}

static void kill_process(int number)
{
    say_time("main kills process %d", number);
    process_kill(&crew[number].process);
    process_join(&crew[number].process, INFINITY);
}

static void kill_and_bury(int number)
{
    kill_process(number);
    bury(&crew[number]);
}

static void claim_killed(int number)
{
    saw("exit code %d", crew[number].process.exitcode);
    claim(crew[number].process.exitcode == -SIGKILL,
          "one process died of SIGKILL");
}

/* ------------------------------------------------------ the gate */

static void visit(void)
{
    say_time("%s is at the gate", self->row);
    timeline_begin(self->row, "waits", 0);
    xsem_post(&board->arrived);
    event_wait(&board->gate, INFINITY);
    timeline_end(self->row);
    atomic_fetch_add(&board->passed, 1);
    say_time("%s has passed", self->row);
}

static void open_the_gate(void)
{
    say_time("main opens the gate");
    event_set(&board->gate);
}

static void part_gate(void)
{
    int early, late, closed;
    double began;

    open_board();
    start_all(visit);
    await_arrivals(members);
    unit_sleep(1);
    early = atomic_load(&board->passed);
    open_the_gate();
    kind->join_all();
    late = event_wait(&board->gate, 0);
    event_clear(&board->gate);
    began = unit_now();
    closed = event_wait(&board->gate, lesson_unit());

    saw("%d passed", early);
    claim(early == 0, "nobody passes while the gate is closed");
    saw("%d", board->passed);
    claim(board->passed == members, "opened once, it lets all %d pass",
          members);
    saw("%s", error_name(late));
    claim(late == 0, "who comes later need not wait");
    saw("%s after %.3f u", error_name(closed), unit_now() - began);
    claim(closed == ETIMEDOUT && unit_now() - began >= 1,
          "closed again, it lets nobody pass in 1 u");
    close_board();
}

/* ---------------------------------------- `if`, and why `while` */

static bool nothing_there(void)
{
    board->looks += self->number == 1;
    if (board->stock == 0)
        say_time("%s finds no item", self->row);
    return board->stock == 0;
}

static void take(void)
{
    board->stock--;
    if (board->stock < board->lowest_stock)
        board->lowest_stock = board->stock;
    say_time("%s takes an item: %d left", self->row, board->stock);
}

static void consume_if(void)
{
    enter();
    if (nothing_there())
        condition_wait(&board->filled, INFINITY);
    take();
    leave();
}

static void consume_while(void)
{
    enter();
    while (nothing_there())
        condition_wait(&board->filled, INFINITY);
    take();
    leave();
}

/* In the lock. */
static void put(void)
{
    board->stock++;
    say_time("main puts an item: %d there", board->stock);
}

/* In the lock. */
static int call_one(void)
{
    int number = condition_signal(&board->filled);

    say_time("main calls %s",
             number == 0 ? "nobody: none sleeps" : crew[number].row);
    return number;
}

/*
 * 1 waits for an item and is called for it, but 2 is quicker.  Such a
 * thief comes once in many thousand calls; here it comes every time,
 * between the item and the call.
 */
static void steal(body_function *consume)
{
    start(1, consume);
    await_sleepers(&board->filled, 1);
    enter();
    put();
    leave();
    start(2, consume);
    kind->join(&crew[2]);
    enter();
    call_one();
    leave();
}

/* Until 1 has taken what it was called for, or sleeps again. */
static void produce_one_more(void)
{
    await_sleepers(&board->filled, 1);
    enter();
    put();
    call_one();
    leave();
    kind->join(&crew[1]);
}

static void part_if(void)
{
    open_board();
    steal(consume_if);
    produce_one_more();

    saw("lowest stock %d", board->lowest_stock);
    claim(board->lowest_stock == -1,
          "with if it takes an item that is not there");
    saw("%d looks", board->looks);
    claim(board->looks == 1, "it looked before it slept, not after");
    close_board();
}

static void part_while(void)
{
    open_board();
    steal(consume_while);
    produce_one_more();

    saw("lowest stock %d", board->lowest_stock);
    claim(board->lowest_stock == 0,
          "with while nobody takes what is not there");
    saw("%d looks, %d left", board->looks, board->stock);
    claim(board->looks == 3 && board->stock == 0,
          "called in vain, it slept again and got the next item");
    close_board();
}

/* --------------------------------------------------- the barrier */

static const char *const phase_names[] = {"", "1", "2", "3"};

/* 1 u for the last member, less for those before it. */
static void work(int phase)
{
    int *times = board->times[phase][self->number];

    times[BEGIN] = atomic_fetch_add(&board->clock, 1);
    timeline_begin(self->row, phase_names[phase], 0);
    unit_sleep((double)self->number / members);
    timeline_end(self->row);
    times[END] = atomic_fetch_add(&board->clock, 1);
}

static void work_in_phases(void)
{
    for (int phase = 1; phase <= PHASES; phase++) {
        work(phase);
        say_time("%s has done phase %d", self->row, phase);
        barrier_wait(&board->barrier);
    }
}

/* How many began the phase before all had ended the one before. */
static int too_early(int phase)
{
    int last_end = 0, count = 0;

    for (int i = 1; i <= members; i++)
        if (board->times[phase - 1][i][END] > last_end)
            last_end = board->times[phase - 1][i][END];
    for (int i = 1; i <= members; i++)
        count += board->times[phase][i][BEGIN] < last_end;
    return count;
}

static void part_barrier(void)
{
    open_board();
    start_all(work_in_phases);
    kind->join_all();

    saw("%d and %d did", too_early(2), too_early(3));
    claim(too_early(2) + too_early(3) == 0,
          "nobody begins a phase before all have done the last");
    saw("%d of %d", board->clock / 2, PHASES * members);
    claim(board->clock == 2 * PHASES * members,
          "all %d go through all %d phases", members, PHASES);
    close_board();
}

/* -------------------------- a process is killed while it waits */

static void part_killed_at_gate(void)
{
    open_board();
    start_all(visit);
    await_sleepers(&board->gate.opened, members);
    kill_and_bury(1);
    open_the_gate();
    kind->join_all();

    claim_killed(1);
    saw("%d", board->passed);
    claim(board->passed == members - 1,
          "the gate lets the other%s pass", members > 2 ? "s" : "");
    close_board();
}

static void part_killed_when_called(void)
{
    int called, missed;

    open_board();
    start(1, consume_while);
    start(2, consume_while);
    await_sleepers(&board->filled, 2);
    enter();
    put();
    called = call_one();
    kill_process(called);
    leave();
    unit_sleep(1);
    enter();
    missed = board->stock;
    leave();
    say_time("main makes all the others look");
    bury(&crew[called]);
    kind->join_all();

    claim_killed(called);
    saw("%d there", missed);
    claim(missed == 1,
          "its call died with it, and the other sleeps on");
    saw("%d left", board->stock);
    claim(board->stock == 0,
          "once all have to look, the other takes it");
    close_board();
}

/* ---------------------- a process is killed before the barrier */

static void wait_at_plain_barrier(void)
{
    xpthread_barrier_wait(&board->plain_barrier);
}

static void wait_at_barrier(void)
{
    barrier_wait(&board->barrier);
}

static void meet(void (*wait_for_all)(void))
{
    work(1);
    wait_for_all();
    xsem_post(&board->arrived);
    while (self->number == 1)
        pause(); /* until it is killed */
    wait_for_all();
    atomic_fetch_add(&board->passed, 1);
    say_time("%s goes on", self->row);
    work(2);
}

static void meet_at_plain_barrier(void)
{
    meet(wait_at_plain_barrier);
}

static void meet_at_barrier(void)
{
    meet(wait_at_barrier);
}

static void kill_before_the_barrier(body_function *body)
{
    open_board();
    start_all(body);
    await_arrivals(members);
    unit_sleep(1);
    kill_and_bury(1);
}

static void part_killed_plain_barrier(void)
{
    int passed;

    kill_before_the_barrier(meet_at_plain_barrier);
    unit_sleep(1);
    passed = atomic_load(&board->passed);
    say_time("main has waited for 1 u");
    for (int number = 2; number <= members; number++)
        kill_and_bury(number);

    claim_killed(1);
    saw("%d", passed);
    claim(passed == 0, "pthread_barrier_wait waits for the dead");
    close_board();
}

static void part_killed_barrier(void)
{
    kill_before_the_barrier(meet_at_barrier);
    kind->join_all();

    claim_killed(1);
    saw("%d", board->passed);
    claim(board->passed == members - 1,
          "barrier_leave lets the other%s go on",
          members > 2 ? "s" : "");
    close_board();
}

int main(int argc, char **argv)
{
    static const struct lesson_option options[] = {
        {"members", "N", "how many threads, or processes", &members, 2,
         MEMBERS_MAX},
        {0},
    };
    static const struct lesson lesson = {
        .name = "lesson-14 event-condition-barrier",
        .summary = "three ways to wait for the others",
        .example = "./lesson-14 --members 6",
        .options = options,
    };

    lesson_begin(&lesson, argc, argv);
    kind = &threads;
    PART("Threads: a gate", part_gate);
    PART("Threads: a condition with if", part_if);
    PART("Threads: a condition with while", part_while);
    PART("Threads: a barrier", part_barrier);
    kind = &processes;
    PART("Processes: a gate", part_gate);
    PART("Processes: a condition with if", part_if);
    PART("Processes: a condition with while", part_while);
    PART("Processes: a barrier", part_barrier);
    PART("Killed at a gate", part_killed_at_gate);
    PART("Killed when called", part_killed_when_called);
    PART("Killed on the way to a pthread_barrier",
         part_killed_plain_barrier);
    PART("Killed on the way to our barrier", part_killed_barrier);
    return lesson_end();
}
