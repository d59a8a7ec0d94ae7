/*
 * timer.c -- later, unless somebody thinks better of it.
 *
 * A timer runs a task after a while, in another thread than the one
 * that asked.  Python starts a thread for each timer.  Here one thread
 * serves them all: it keeps them in a heap, with the next one on top,
 * and sleeps until that is due or until something has changed.
 *
 * Look at: how late a timer is; that a task runs exactly once or
 * never, even when it is cancelled in the moment in which it is due.
 * Compare with: 14-event-condition-barrier, for the condition;
 * 25-green-threads, whose loop sleeps in the same way.
 * Try: --timers 10000; --delay 0.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "checked.h"
#include "clock.h"
#include "lesson.h"
#include "timeline.h"

enum { TIMERS_MAX = 10000, LATE_ONES = 100 };

static int delay = 3, timers = 1000, seed = 1;

/* What a busy machine may stand still for, in seconds. */
static const double grace = 0.3;

/* ------------------------------------------------------- a timer */

enum state { NEW, WAITING, FIRED, CANCELLED };

struct timer {
    double due; /* a clock_now() time */
    void (*task)(struct timer *self);
    double late; /* in seconds, as its task has noted */
    int number;  /* the task's argument */

    /* Protected by the lock of the service. */
    enum state state;
    int place; /* in the heap, while it waits */

    /* What its task has noted, too. */
    int runs, order;
    pid_t thread;
};

/* The one thread that serves all timers. */
static struct service {
    pthread_t thread;
    pthread_mutex_t lock;

    /* Protected by the lock. */
    pthread_cond_t changed;
    struct timer *heap[TIMERS_MAX]; /* none is due before its parent */
    int count;
    bool stopped;
} service = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ------------------------------------- the heap, with the lock held */

static void put_at(int place, struct timer *timer)
{
    service.heap[place] = timer;
    timer->place = place;
}

static void move_up(struct timer *timer)
{
    int place = timer->place;

    while (place > 0 &&
           service.heap[(place - 1) / 2]->due > timer->due) {
        put_at(place, service.heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    put_at(place, timer);
}

static void move_down(struct timer *timer)
{
    int place = timer->place, child;

    while ((child = 2 * place + 1) < service.count) {
        if (child + 1 < service.count &&
            service.heap[child + 1]->due < service.heap[child]->due)
            child++;
        if (service.heap[child]->due >= timer->due)
            break;
        put_at(place, service.heap[child]);
        place = child;
    }
    put_at(place, timer);
}

static void heap_add(struct timer *timer)
{
    put_at(service.count++, timer);
    move_up(timer);
}

/* The last one takes its place, and finds a better one. */
static void heap_remove(struct timer *timer)
{
    struct timer *last = service.heap[--service.count];

    if (last == timer)
        return;
    put_at(timer->place, last);
    move_up(last);
    move_down(last);
}

/* ---------------------------------------------------- the service */

/* With the lock held, which is free while the task runs. */
static void fire(struct timer *timer)
{
    heap_remove(timer);
    timer->state = FIRED;
    xpthread_mutex_unlock(&service.lock);
    timer->task(timer);
    xpthread_mutex_lock(&service.lock);
}

static void *serve(void *arg)
{
    (void)arg;
    xpthread_mutex_lock(&service.lock);
    while (!service.stopped) {
        double due =
            service.count == 0 ? INFINITY : service.heap[0]->due;

        if (due <= clock_now())
            fire(service.heap[0]);
        else
            clock_cond_wait(&service.changed, &service.lock, due);
    }
    xpthread_mutex_unlock(&service.lock);
    return NULL;
}

static void service_start(void)
{
    check_error(clock_cond_init(&service.changed), "pthread_cond_init");
    xpthread_create(&service.thread, serve, NULL);
}

static void service_stop(void)
{
    xpthread_mutex_lock(&service.lock);
    service.stopped = true;
    xpthread_cond_signal(&service.changed);
    xpthread_mutex_unlock(&service.lock);
    xpthread_join(service.thread);
}

/* 0, or EINVAL when the seconds are negative, or no number. */
static int timer_start(struct timer *timer, double seconds)
{
    if (!(seconds >= 0))
        return EINVAL;
    xpthread_mutex_lock(&service.lock);
    timer->due = clock_now() + seconds;
    timer->state = WAITING;
    heap_add(timer);
    if (timer->place == 0) /* the thread sleeps for too long */
        xpthread_cond_signal(&service.changed);
    xpthread_mutex_unlock(&service.lock);
    return 0;
}

/* True when the task will never run; false when it has begun. */
static bool timer_cancel(struct timer *timer)
{
    bool in_time;

    xpthread_mutex_lock(&service.lock);
    in_time = timer->state == WAITING;
    if (in_time) {
        heap_remove(timer);
        timer->state = CANCELLED;
    }
    xpthread_mutex_unlock(&service.lock);
    return in_time;
}

/* --------------------------------------------------- what they do */

static int order; /* of the tasks; only the service's thread counts */
static sem_t done;

static void note(struct timer *self)
{
    self->late = clock_now() - self->due;
    self->runs++;
    self->order = order++;
    self->thread = gettid();
    xsem_post(&done);
}

static void say_hello(struct timer *self)
{
    timeline_end("timer");
    say_time("%d is running in thread %d", self->number, gettid());
    note(self);
}

static void xtimer_start(struct timer *timer, double seconds)
{
    check_error(timer_start(timer, seconds), "timer_start");
}

/* ------------------------------------------------ fire, and cancel */

static void part_fire(void)
{
    struct timer timer = {.task = say_hello, .number = 10};
    double fired;

    timeline_begin("timer", "waits", 0);
    xtimer_start(&timer, delay * lesson_unit());
    say_time("main, thread %d, goes on", gettid());
    xsem_wait(&done);
    fired = unit_now();

    saw("%.3f u", fired);
    claim(fired >= delay, "it does not run before %d u are over",
          delay);
    saw("%d", timer.thread);
    claim(timer.thread != gettid(), "it runs in another thread");
    claim(!timer_cancel(&timer) && timer.runs == 1,
          "to cancel it afterwards is harmless");
}

static void part_cancel(void)
{
    double seconds = 2 * lesson_unit() + grace;
    struct timer timer = {.task = say_hello, .number = 10};
    bool first, again;
    int negative;

    xtimer_start(&timer, seconds);
    first = timer_cancel(&timer);
    again = timer_cancel(&timer);
    negative =
        timer_start(&(struct timer){.task = say_hello}, -lesson_unit());
    say("cancelled; main waits until it would be due");
    clock_sleep(seconds + lesson_unit());

    saw("%s, %d runs", first ? "in time" : "too late", timer.runs);
    claim(first && timer.runs == 0,
          "cancelled before it is due, it never runs");
    claim(!again, "to cancel it twice is harmless");
    saw("%s", error_name(negative));
    claim(negative == EINVAL, "a negative delay is refused");
}

/* ---------------------------------------------------- how late */

static unsigned random_state;

/* 0 to 1 */
static double random_fraction(void)
{
    return rand_r(&random_state) / (double)RAND_MAX;
}

static int by_lateness(const void *a, const void *b)
{
    const struct timer *one = a, *other = b;

    return (one->late > other->late) - (one->late < other->late);
}

static int by_due(const void *a, const void *b)
{
    const struct timer *one = a, *other = b;

    return (one->due > other->due) - (one->due < other->due);
}

static void part_late(void)
{
    static struct timer late[LATE_ONES];
    int in_order = 0;

    order = 0;
    for (int i = 0; i < LATE_ONES; i++) {
        late[i] = (struct timer){.task = note, .number = i};
        xtimer_start(&late[i], random_fraction() * lesson_unit());
    }
    for (int i = 0; i < LATE_ONES; i++)
        xsem_wait(&done);

    qsort(late, LATE_ONES, sizeof *late, by_lateness);
    say("%d timers in 1 u: half were at most %.0f us late, all %.0f us",
        LATE_ONES, late[LATE_ONES / 2].late * 1e6,
        late[LATE_ONES - 1].late * 1e6);
    saw("%.0f us early", -late[0].late * 1e6);
    claim(late[0].late >= 0, "none was early");
    qsort(late, LATE_ONES, sizeof *late, by_due);
    for (int i = 1; i < LATE_ONES; i++)
        in_order += late[i].order > late[i - 1].order;
    saw("%d of %d", in_order, LATE_ONES - 1);
    claim(in_order == LATE_ONES - 1,
          "they ran in the order in which they were due");
}

/* -------------------------------------- cancelled when it is due */

static struct timer *many;

/* One canceller looks at the even timers, one at the odd. */
static void *cancel_when_due(void *arg)
{
    const int *first = arg;

    for (int i = *first; i < timers; i += 2) {
        clock_sleep(many[i].due - clock_now());
        if (timer_cancel(&many[i]))
            xsem_post(&done); /* nobody else will */
    }
    return NULL;
}

static void part_race(void)
{
    pthread_t cancellers[2];
    int firsts[2] = {0, 1}, ran = 0, wrong = 0, elsewhere = 0;
    pid_t server = 0;

    many = xcalloc((size_t)timers, sizeof *many);
    for (int i = 0; i < timers; i++) {
        many[i] = (struct timer){.task = note, .number = i};
        xtimer_start(&many[i],
                     lesson_unit() * (1 + (double)i / timers));
    }
    for (int i = 0; i < 2; i++)
        xpthread_create(&cancellers[i], cancel_when_due, &firsts[i]);
    for (int i = 0; i < timers; i++)
        xsem_wait(&done);
    for (int i = 0; i < 2; i++)
        xpthread_join(cancellers[i]);

    for (int i = 0; i < timers; i++) {
        bool cancelled = many[i].state == CANCELLED;

        ran += many[i].runs;
        wrong += many[i].runs + cancelled != 1;
        if (many[i].runs == 0)
            continue;
        if (server == 0)
            server = many[i].thread;
        elsewhere += many[i].thread != server;
    }
    say("%d timers, each cancelled when due: %d ran, %d did not",
        timers, ran, timers - ran);
    saw("%d did not", wrong);
    claim(wrong == 0, "each ran once, or was cancelled and never ran");
    saw("%d ran elsewhere", elsewhere);
    claim(elsewhere == 0, "one thread served all %d", timers);
    free(many);
}

int main(int argc, char **argv)
{
    static const struct lesson_option options[] = {
        {"delay", "N", "of the first timer, in u", &delay, 0, 100},
        {"timers", "N", "how many at once", &timers, 1, TIMERS_MAX},
        {"seed", "N", "of the random delays", &seed, 0, 1000000},
        {0},
    };
    static const struct lesson lesson = {
        .name = "lesson-15 timer",
        .summary = "later, unless somebody thinks better of it",
        .example = "./lesson-15 --delay 5 --timers 10000",
        .options = options,
    };

    lesson_begin(&lesson, argc, argv);
    random_state = (unsigned)seed;
    xsem_init(&done, 0, 0);
    service_start();
    PART("A timer fires", part_fire);
    PART("A timer is cancelled", part_cancel);
    PART("How late they are", part_late);
    PART("Cancelled in the moment they are due", part_race);
    service_stop();
    return lesson_end();
}
