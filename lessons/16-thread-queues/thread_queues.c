/*
 * thread_queues.c -- first in, first out; or last; or most urgent.
 *
 * A queue for threads is a list behind a mutex, with two conditions to
 * wait on: that it is not full, that it is not empty.  The three
 * queues of Python differ in one thing only, which of two items comes
 * out first, and so here in one function each.  task_done and join
 * count what was put and is not done yet, which is more than what is
 * still in the queue.
 *
 * Look at: the three orders of the same three names; join, which waits
 * for the item that a worker has in hand.
 * Compare with: 03-process-queue, whose queue works between processes
 * and survives their death, which a mutex and conditions do not.
 * Try: --capacity 1; --producers 1 --consumers 8.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checked.h"
#include "clock.h"
#include "crowd.h"
#include "lesson.h"
#include "timeline.h"

enum { CAPACITY_MAX = 1000, THREADS_MAX = 32, ITEMS_MAX = 1000000 };

static int capacity = 100, items = 100000;
static int producers = 4, consumers = 4;

/* ----------------------------------------------------- the queue */

struct item {
    const char *name;
    int priority; /* the smaller, the more urgent */
    int number;
    long arrival; /* set by queue_put */
};

/* Does the one come out before the other? */
typedef bool order(const struct item *one, const struct item *other);

struct queue {
    order *before;
    int capacity;
    pthread_mutex_t lock;

    /* Protected by the lock. */
    pthread_cond_t not_empty, not_full, all_done;
    struct item list[CAPACITY_MAX]; /* the next one is the last */
    int size;
    int unfinished; /* put, and no task_done yet */
    long arrivals;
};

static bool fifo(const struct item *one, const struct item *other)
{
    return one->arrival < other->arrival;
}

static bool lifo(const struct item *one, const struct item *other)
{
    return one->arrival > other->arrival;
}

/* Among equals, first come, first served. */
static bool by_priority(const struct item *one,
                        const struct item *other)
{
    return one->priority < other->priority ||
           (one->priority == other->priority && fifo(one, other));
}

static struct queue *queue_open(order *before, int size)
{
    struct queue *queue = xcalloc(1, sizeof *queue);

    queue->before = before;
    queue->capacity = size;
    xpthread_mutex_init(&queue->lock);
    check_error(clock_cond_init(&queue->not_empty),
                "pthread_cond_init");
    check_error(clock_cond_init(&queue->not_full), "pthread_cond_init");
    check_error(clock_cond_init(&queue->all_done), "pthread_cond_init");
    return queue;
}

static void queue_close(struct queue *queue)
{
    pthread_cond_destroy(&queue->not_empty);
    pthread_cond_destroy(&queue->not_full);
    pthread_cond_destroy(&queue->all_done);
    xpthread_mutex_destroy(&queue->lock);
    free(queue);
}

/* With the lock held: behind all that come out after it. */
static void insert(struct queue *queue, struct item item)
{
    int place = queue->size++;

    item.arrival = queue->arrivals++;
    while (place > 0 && queue->before(&queue->list[place - 1], &item)) {
        queue->list[place] = queue->list[place - 1];
        place--;
    }
    queue->list[place] = item;
}

/* 0, or ETIMEDOUT; time limits in seconds, as in clock.h. */
static int queue_put(struct queue *queue, struct item item,
                     double timeout)
{
    double deadline = clock_deadline(timeout);
    int error = 0;

    xpthread_mutex_lock(&queue->lock);
    while (queue->size == queue->capacity && error == 0)
        error =
            clock_cond_wait(&queue->not_full, &queue->lock, deadline);
    if (queue->size < queue->capacity) {
        error = 0;
        insert(queue, item);
        queue->unfinished++;
        xpthread_cond_signal(&queue->not_empty);
    }
    xpthread_mutex_unlock(&queue->lock);
    return error;
}

static int queue_get(struct queue *queue, struct item *item,
                     double timeout)
{
    double deadline = clock_deadline(timeout);
    int error = 0;

    xpthread_mutex_lock(&queue->lock);
    while (queue->size == 0 && error == 0)
        error =
            clock_cond_wait(&queue->not_empty, &queue->lock, deadline);
    if (queue->size > 0) {
        error = 0;
        *item = queue->list[--queue->size];
        xpthread_cond_signal(&queue->not_full);
    }
    xpthread_mutex_unlock(&queue->lock);
    return error;
}

/* What a get has brought is done.  0, or EINVAL: once too often. */
static int task_done(struct queue *queue)
{
    int error = 0;

    xpthread_mutex_lock(&queue->lock);
    if (queue->unfinished == 0)
        error = EINVAL;
    else if (--queue->unfinished == 0)
        xpthread_cond_broadcast(&queue->all_done);
    xpthread_mutex_unlock(&queue->lock);
    return error;
}

/* Until all that was put is done. */
static void queue_join(struct queue *queue)
{
    xpthread_mutex_lock(&queue->lock);
    while (queue->unfinished > 0)
        xpthread_cond_wait(&queue->all_done, &queue->lock);
    xpthread_mutex_unlock(&queue->lock);
}

/* --------------------------------------------------- three orders */

static const struct item people[] = {
    {"laotie", 50, 0, 0}, {"laoxiong", 20, 1, 0}, {"tuhao", 90, 2, 0}};

enum { PEOPLE = sizeof people / sizeof people[0] };

/* Puts all of them, and gets them again: "laotie laoxiong tuhao". */
static const char *through(order *before, const struct item *list,
                           int count)
{
    static char text[100];
    struct queue *queue = queue_open(before, count);
    size_t size = 0;

    for (int i = 0; i < count; i++)
        check_error(queue_put(queue, list[i], INFINITY), "queue_put");
    for (int i = 0; i < count; i++) {
        struct item item = {0};

        check_error(queue_get(queue, &item, INFINITY), "queue_get");
        size += (size_t)snprintf(text + size, sizeof text - size,
                                 "%s%s", i == 0 ? "" : " ", item.name);
    }
    queue_close(queue);
    return text;
}

static void claim_order(const char *name, const char *seen,
                        const char *wanted)
{
    say("%-8s  %s", name, seen);
    saw("%s", seen);
    claim(strcmp(seen, wanted) == 0, "%s: %s", name, wanted);
}

static void part_orders(void)
{
    static const struct item equals[] = {{"a", 50, 0, 0},
                                         {"b", 50, 1, 0},
                                         {"c", 20, 2, 0},
                                         {"d", 50, 3, 0},
                                         {"e", 20, 4, 0}};

    claim_order("FIFO", through(fifo, people, PEOPLE),
                "laotie laoxiong tuhao");
    claim_order("LIFO", through(lifo, people, PEOPLE),
                "tuhao laoxiong laotie");
    claim_order("priority", through(by_priority, people, PEOPLE),
                "laoxiong laotie tuhao");
    claim_order("equals", through(by_priority, equals, 5), "c e a b d");
}

/* ------------------------------------------------ task_done, join */

static struct queue *work;
static atomic_int tasks_done;

static void *do_tasks(void *arg)
{
    struct item item = {0};

    (void)arg;
    for (int i = 0; i < PEOPLE; i++) {
        check_error(queue_get(work, &item, INFINITY), "queue_get");
        timeline_begin("worker", item.name, 0);
        unit_sleep(1);
        timeline_end("worker");
        say_time("worker  %s is done", item.name);
        atomic_fetch_add(&tasks_done, 1);
        check_error(task_done(work), "task_done");
    }
    return NULL;
}

static void part_join(void)
{
    pthread_t worker;
    int done, once_more;

    work = queue_open(fifo, PEOPLE);
    for (int i = 0; i < PEOPLE; i++)
        check_error(queue_put(work, people[i], INFINITY), "queue_put");
    xpthread_create(&worker, do_tasks, NULL);
    queue_join(work);
    done = atomic_load(&tasks_done);
    say_time("main    join has returned");
    xpthread_join(worker);
    once_more = task_done(work);
    queue_close(work);

    saw("%d", done);
    claim(done == PEOPLE, "when join returned, all %d tasks were done",
          PEOPLE);
    saw("%s", error_name(once_more));
    claim(once_more == EINVAL, "one task_done too many is an error");
}

/* ------------------------------------------ full, and still empty */

static void part_limits(void)
{
    struct queue *small = queue_open(fifo, 2);
    int third, from_empty;
    struct item item = {0};
    double took;

    check_error(queue_put(small, people[0], 0), "queue_put");
    check_error(queue_put(small, people[1], 0), "queue_put");
    third = queue_put(small, people[2], lesson_unit());
    took = unit_now();
    say_time("main    a third item into a queue for 2: %s",
             error_name(third));

    saw("%s, %d inside", error_name(third), small->size);
    claim(third == ETIMEDOUT && small->size == 2,
          "a put into a full queue times out, and puts nothing");
    saw("%.3f u", took);
    claim(took >= 1, "and not before its limit of 1 u");

    queue_get(small, &item, 0);
    queue_get(small, &item, 0);
    from_empty = queue_get(small, &item, 0);
    saw("%s", error_name(from_empty));
    claim(from_empty == ETIMEDOUT,
          "a get from an empty queue times out");
    queue_close(small);
}

/* -------------------------------------------- producers, consumers */

static atomic_uchar *seen; /* how often each item was taken */
static atomic_int to_take; /* items that no consumer waits for yet */

static void produce(int first)
{
    for (int i = first; i < items; i += producers)
        check_error(
            queue_put(work,
                      (struct item){.number = i, .priority = i % 3},
                      INFINITY),
            "queue_put");
}

static void consume(void)
{
    struct item item = {0};

    while (atomic_fetch_sub(&to_take, 1) > 0) {
        check_error(queue_get(work, &item, INFINITY), "queue_get");
        atomic_fetch_add(&seen[item.number], 1);
        check_error(task_done(work), "task_done");
    }
}

static void produce_or_consume(int number)
{
    if (number < consumers)
        consume();
    else
        produce(number - consumers);
}

static void run_crowd(const char *name, order *before)
{
    int wrong = 0;

    work = queue_open(before, capacity);
    seen = xcalloc((size_t)items, sizeof *seen);
    atomic_store(&to_take, items);
    crowd_threads(consumers + producers, produce_or_consume);
    for (int i = 0; i < items; i++)
        wrong += seen[i] != 1;
    say_time("%-8s  %d items through a queue for %d", name, items,
             capacity);
    saw("%d were not", wrong);
    claim(wrong == 0 && work->unfinished == 0,
          "%s: each of %d items was taken once", name, items);
    free(seen);
    queue_close(work);
}

static void part_crowd(void)
{
    run_crowd("FIFO", fifo);
    run_crowd("LIFO", lifo);
    run_crowd("priority", by_priority);
}

int main(int argc, char **argv)
{
    static const struct lesson_option options[] = {
        {"items", "N", "how many items in the last part", &items, 1,
         ITEMS_MAX},
        {"capacity", "N", "of the queue there", &capacity, 1,
         CAPACITY_MAX},
        {"producers", "N", "threads that put", &producers, 1,
         THREADS_MAX},
        {"consumers", "N", "threads that get", &consumers, 1,
         THREADS_MAX},
        {0},
    };
    static const struct lesson lesson = {
        .name = "lesson-16 thread-queues",
        .summary = "first in, first out; or last; or most urgent",
        .example = "./lesson-16 --capacity 1 --consumers 8",
        .options = options,
    };

    lesson_begin(&lesson, argc, argv);
    PART("Three orders", part_orders);
    PART("task_done and join", part_join);
    PART("Full, or empty, and a time limit", part_limits);
    PART("Many producers and consumers", part_crowd);
    return lesson_end();
}
