/*
 * Each green thread is in one of these places:
 *
 *     runs       one of them: loop.self
 *     ready      in the ring loop.ready, in the order woken
 *     waiting    for another one's end: in the ring of its joiners
 *                for a descriptor: in the table of green_io.c
 *                for nothing but time
 *     finished   only its value is left
 *
 * Who waits with a time limit is in the ring loop.timers as well.
 *
 * The thread itself is in all this the green thread loop.main, which
 * has no coroutine.  When it waits it runs the loop, until that comes
 * to `main` again.
 */
#include "green.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "clock.h"
#include "coroutine.h"
#include "green_internal.h"

enum { BUDGET = 32 }; /* calls in a row that did not have to wait */

/* Of a ring, whose head is a link without an owner. */
struct link {
    struct link *before, *after;
    struct green *owner;
};

struct green {
    struct coroutine *coroutine; /* NULL for main */
    green_function *run;
    void *arg, *value;
    bool finished;
    bool freed; /* nobody holds it any more */
    struct link joiners;

    struct link place; /* in `ready`, or among joiners */
    struct link timer; /* in `timers` */
    double deadline;   /* when it is there */
    bool timed_out;    /* it was the time that woke it */
};

static _Thread_local struct loop {
    struct green main;
    struct green *self; /* who runs; NULL: there is no loop */
    size_t count;       /* have not finished, without main */
    int budget;         /* calls without a wait that are left */

    struct link ready;
    size_t ready_count;
    size_t turn; /* of these still to run before the next look */

    struct link timers; /* the earliest first */
} loop;

/* -------------------------------------------------------- rings -- */

static void ring_init(struct link *head)
{
    *head = (struct link){.before = head, .after = head};
}

static bool ring_is_empty(const struct link *head)
{
    return head->after == head;
}

static void link_after(struct link *before, struct link *link,
                       struct green *owner)
{
    *link = (struct link){before, before->after, owner};
    before->after->before = link;
    before->after = link;
}

/* Takes it out of its ring, if it is in one. */
static void unlink_it(struct link *link)
{
    if (link->owner == NULL)
        return;
    link->before->after = link->after;
    link->after->before = link->before;
    link->owner = NULL;
}

/* ----------------------------------------------------- the loop -- */

static pthread_key_t key; /* its destructor runs at a thread's end */
static int key_error;

static void close_loop(void)
{
    if (loop.self != NULL)
        watch_close();
    loop.self = NULL;
}

static void close_at_end(void *unused)
{
    (void)unused;
    close_loop();
}

static void prepare_ends(void)
{
    pthread_atfork(NULL, NULL, close_loop);
    key_error = pthread_key_create(&key, close_at_end);
}

static int open_loop(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int error;

    if (loop.self != NULL)
        return 0;
    pthread_once(&once, prepare_ends);
    error =
        key_error != 0 ? key_error : pthread_setspecific(key, &loop);
    if (error == 0)
        error = watch_open();
    if (error != 0)
        return error;
    loop = (struct loop){.self = &loop.main, .budget = BUDGET};
    ring_init(&loop.ready);
    ring_init(&loop.timers);
    return 0;
}

/* Most new time limits are later than all others: look from there. */
static void start_timer(struct green *green, double deadline)
{
    struct link *before = loop.timers.before;

    while (before != &loop.timers && before->owner->deadline > deadline)
        before = before->before;
    green->deadline = deadline;
    link_after(before, &green->timer, green);
}

void loop_wake(struct green *green)
{
    unlink_it(&green->place);
    unlink_it(&green->timer);
    link_after(loop.ready.before, &green->place, green);
    loop.ready_count++;
}

static struct green *take_ready(void)
{
    struct green *green = loop.ready.after->owner;

    unlink_it(&green->place);
    loop.ready_count--;
    loop.turn--;
    return green;
}

static void wake_timers(void)
{
    double now = ring_is_empty(&loop.timers) ? 0 : clock_now();

    while (!ring_is_empty(&loop.timers)) {
        struct green *first = loop.timers.after->owner;

        if (first->deadline > now)
            break;
        first->timed_out = true;
        loop_wake(first);
    }
}

/* What the loop may wait for an event. */
static double time_left(void)
{
    if (loop.ready_count > 0)
        return 0;
    if (ring_is_empty(&loop.timers))
        return INFINITY;
    return clock_left(loop.timers.after->owner->deadline);
}

/* Waits if nobody is ready.  EDEADLK: nobody ever will be. */
static int look_around(void)
{
    double timeout = time_left();

    if (timeout == INFINITY && !watch_has_waiters())
        return EDEADLK;
    watch_wait(timeout);
    wake_timers();
    loop.turn = loop.ready_count;
    return 0;
}

static void finish(struct green *green)
{
    coroutine_free(green->coroutine);
    green->finished = true;
    loop.count--;
    while (!ring_is_empty(&green->joiners))
        loop_wake(green->joiners.after->owner);
    if (green->freed)
        free(green);
}

static void run(struct green *green)
{
    loop.self = green;
    loop.budget = BUDGET;
    coroutine_resume(green->coroutine, NULL);
    loop.self = &loop.main;
    if (coroutine_finished(green->coroutine))
        finish(green);
}

/* Lets the others run until it is main's turn. */
static int run_others(void)
{
    for (;;) {
        struct green *next;

        while (loop.turn == 0)
            if (look_around() != 0)
                return EDEADLK;
        next = take_ready();
        if (next == &loop.main)
            break;
        run(next);
    }
    loop.budget = BUDGET;
    return 0;
}

int loop_pause_until(double deadline)
{
    struct green *self = loop.self;
    int error = 0;

    self->timed_out = false;
    if (deadline < INFINITY)
        start_timer(self, deadline);
    if (self == &loop.main)
        error = run_others();
    else
        coroutine_yield(NULL);
    return self->timed_out ? ETIMEDOUT : error;
}

int loop_begin(void)
{
    int error = open_loop();

    if (error == 0 && coroutine_current() != loop.self->coroutine)
        error = EPERM;
    return error;
}

static int let_others(void)
{
    loop_wake(loop.self);
    return loop_pause_until(INFINITY);
}

int loop_begin_call(void)
{
    int error = loop_begin();

    if (error == 0 && loop.budget-- <= 0)
        error = let_others();
    return error;
}

struct green *loop_self(void)
{
    return loop.self;
}

/* ------------------------------------------------- green threads -- */

static void enter(void *arg)
{
    struct green *green = arg;

    green->value = green->run(green->arg);
}

static void *refuse(struct green *green, int error)
{
    free(green);
    errno = error;
    return NULL;
}

struct green *green_spawn(const char *name, green_function *function,
                          void *arg)
{
    struct green *green = calloc(1, sizeof *green);
    int error = open_loop();

    if (green == NULL || error != 0)
        return refuse(green, error != 0 ? error : ENOMEM);
    green->run = function;
    green->arg = arg;
    ring_init(&green->joiners);
    green->coroutine = coroutine_create(name, enter, green);
    if (green->coroutine == NULL)
        return refuse(green, errno);
    loop.count++;
    loop_wake(green);
    return green;
}

int green_join(struct green *green, double timeout)
{
    double deadline = clock_deadline(timeout);
    int error = loop_begin();

    if (error != 0 || green->finished)
        return error;
    if (green == loop.self)
        return EDEADLK;
    if (timeout <= 0)
        return ETIMEDOUT;
    link_after(green->joiners.before, &loop.self->place, loop.self);
    error = loop_pause_until(deadline);
    unlink_it(&loop.self->place); /* after EDEADLK */
    return green->finished ? 0 : error;
}

int green_joinall(struct green *const *greens, size_t count,
                  double timeout)
{
    double deadline = clock_deadline(timeout);
    int error = 0;

    for (size_t i = 0; i < count && error == 0; i++)
        error = green_join(greens[i], clock_left(deadline));
    return error;
}

bool green_finished(const struct green *green)
{
    return green->finished;
}

void *green_value(const struct green *green)
{
    return green->value;
}

void green_free(struct green *green)
{
    if (green == NULL)
        return;
    if (green->finished)
        free(green);
    else
        green->freed = true;
}

int green_sleep(double seconds)
{
    double deadline = clock_deadline(seconds);
    int error = loop_begin();

    if (error == 0)
        error = seconds > 0 ? loop_pause_until(deadline) : let_others();
    return error == ETIMEDOUT ? 0 : error;
}

size_t green_count(void)
{
    return loop.self == NULL ? 0 : loop.count;
}
