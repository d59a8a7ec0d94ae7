/*
 * A future has a lock of its own, and two kinds of listeners: watches,
 * which are the semaphores of threads that wait, and callbacks.  All
 * waiting goes through a completion, a list of futures in the order
 * in which they are done with a semaphore that counts it.  Waiting for
 * one future is waiting for a list of one.
 */
#include "future_internal.h"

#include <errno.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "clock.h"

/* ------------------------------------------------------ errors -- */

static _Thread_local char message_here[TASK_MESSAGE_MAX];

/* The arguments may hold the message before: it is replaced last. */
int task_error(int error, const char *format, ...)
{
    char message[TASK_MESSAGE_MAX];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    memcpy(message_here, message, strlen(message) + 1);
    return error;
}

const char *task_message(void)
{
    return message_here;
}

int task_set_message(int error, const char *message)
{
    message_here[0] = '\0'; /* the way of nearly all tasks */
    if (message != NULL && message[0] != '\0')
        return task_error(error, "%s", message);
    return error;
}

/* -------------------------------------------- life of a future -- */

struct future *future_new(const struct future_owner *owner,
                          const struct job *job, int holders)
{
    size_t size = job->count * job->result_size;
    struct future *future = malloc(sizeof *future + size);

    if (future == NULL)
        return NULL;
    memset(future, 0, sizeof *future);
    atomic_init(&future->holders, holders);
    mutex_init(&future->lock);
    future->owner = owner;
    future->job = *job;
    future->slot = NO_SLOT;
    future->last_callback = &future->callback;
    return future;
}

static void free_callback(struct future *future,
                          struct callback *callback)
{
    if (callback != &future->own)
        free(callback);
}

/* Only a future that was never submitted has callbacks left. */
static void free_callbacks(struct future *future)
{
    struct callback *callback;

    while ((callback = future->callback) != NULL) {
        future->callback = callback->next;
        free_callback(future, callback);
    }
}

bool future_release(struct future *future)
{
    return atomic_fetch_sub(&future->holders, 1) == 1;
}

void future_free(struct future *future)
{
    if (future != NULL && future_release(future))
        future_destroy(future);
}

void future_destroy(struct future *future)
{
    free_callbacks(future);
    mutex_destroy(&future->lock);
    free(future->message);
    free(future->argument);
    free(future);
}

bool future_done(struct future *future)
{
    return atomic_load(&future->done);
}

bool future_cancelled(struct future *future)
{
    bool cancelled;

    mutex_lock(&future->lock);
    cancelled = future->cancelled;
    mutex_unlock(&future->lock);
    return cancelled;
}

/* A future that is done may have outlived its pool: do not ask it. */
bool future_running(struct future *future)
{
    return !future_done(future) && future->owner->running(future);
}

bool future_cancel(struct future *future)
{
    if (!future_done(future) && future->owner->cancel(future))
        return true;
    return future_cancelled(future);
}

/* ----------------------------------------------------- waiting -- */

/* Called with the future's lock held. */
static void announce(struct watch *watch)
{
    struct completion *completion = watch->completion;

    mutex_lock(&completion->lock);
    watch->next_done = NULL;
    *completion->last = watch;
    completion->last = &watch->next_done;
    mutex_unlock(&completion->lock);
    sem_post(&completion->done);
}

void completion_watch(struct watch *watch, struct future *future)
{
    watch->future = future;
    watch->completion->left++;
    mutex_lock(&future->lock);
    if (future->done) {
        announce(watch);
    } else {
        watch->next = future->watches;
        future->watches = watch;
    }
    mutex_unlock(&future->lock);
}

void completion_unwatch(struct watch *watch)
{
    struct future *future = watch->future;
    struct watch **link;

    if (future == NULL)
        return;
    mutex_lock(&future->lock);
    for (link = &future->watches; *link != NULL; link = &(*link)->next)
        if (*link == watch) {
            *link = watch->next;
            break;
        }
    mutex_unlock(&future->lock);
    watch->future = NULL;
}

static void completion_init(struct completion *completion,
                            struct watch *watches, size_t count)
{
    sem_init(&completion->done, 0, 0);
    mutex_init(&completion->lock);
    completion->first = NULL;
    completion->last = &completion->first;
    completion->left = 0;
    completion->count = count;
    completion->watches = watches;
    for (size_t i = 0; i < count; i++)
        watches[i] = (struct watch){.completion = completion};
}

static void completion_destroy(struct completion *completion)
{
    for (size_t i = 0; i < completion->count; i++)
        completion_unwatch(&completion->watches[i]);
    mutex_destroy(&completion->lock);
    sem_destroy(&completion->done);
}

struct completion *completion_new(size_t count)
{
    struct completion *completion = malloc(sizeof *completion);
    struct watch *watches = calloc(count + 1, sizeof *watches);

    if (completion == NULL || watches == NULL) {
        free(completion);
        free(watches);
        errno = ENOMEM;
        return NULL;
    }
    completion_init(completion, watches, count);
    return completion;
}

struct completion *future_as_completed(struct future *const *futures,
                                       size_t count)
{
    struct completion *completion = completion_new(count);

    for (size_t i = 0; completion != NULL && i < count; i++)
        completion_watch(&completion->watches[i], futures[i]);
    return completion;
}

struct watch *completion_take(struct completion *completion,
                              double timeout)
{
    struct watch *watch;

    errno = 0;
    if (completion->left == 0)
        return NULL;
    errno = clock_sem_wait(&completion->done, timeout);
    if (errno != 0)
        return NULL;
    mutex_lock(&completion->lock);
    watch = completion->first;
    completion->first = watch->next_done;
    if (completion->first == NULL)
        completion->last = &completion->first;
    mutex_unlock(&completion->lock);
    completion->left--;
    return watch;
}

struct future *completion_next(struct completion *completion,
                               double timeout)
{
    struct watch *watch = completion_take(completion, timeout);

    return watch != NULL ? watch->future : NULL;
}

void completion_free(struct completion *completion)
{
    completion_destroy(completion);
    free(completion->watches);
    free(completion);
}

static bool has_failed(struct future *future)
{
    bool failed;

    mutex_lock(&future->lock);
    failed = future->error != 0;
    mutex_unlock(&future->lock);
    return failed;
}

int future_wait(struct future *const *futures, size_t count,
                enum future_when when, double timeout)
{
    double deadline = clock_deadline(timeout);
    struct completion *done = future_as_completed(futures, count);
    struct future *future;
    int error;

    if (done == NULL)
        return ENOMEM;
    do
        future = completion_next(done, clock_left(deadline));
    while (future != NULL && when != FUTURE_FIRST_COMPLETED &&
           !(when == FUTURE_FIRST_ERROR && has_failed(future)));
    error = future == NULL ? errno : 0;
    completion_free(done);
    return error;
}

/* ----------------------------------------------------- results -- */

static int wait_until_done(struct future *future, double timeout)
{
    struct completion completion;
    struct watch watch;
    int error = 0;

    if (future_done(future))
        return 0;
    completion_init(&completion, &watch, 1);
    completion_watch(&watch, future);
    if (completion_next(&completion, timeout) == NULL)
        error = errno;
    completion_destroy(&completion);
    return error;
}

int future_exception(struct future *future, double timeout)
{
    int error = wait_until_done(future, timeout);

    if (error != 0)
        return task_set_message(error, "the task is not done yet");
    return task_set_message(future->error, future->message);
}

int future_result(struct future *future, void *result, double timeout)
{
    size_t size = future->job.count * future->job.result_size;
    int error = future_exception(future, timeout);

    if (error == 0 && result != NULL)
        memcpy(result, future->result, size);
    return error;
}

void future_finish(struct future *future, const struct outcome *outcome)
{
    struct watch *watch;

    mutex_lock(&future->lock);
    future->error = outcome->error;
    future->error_index = outcome->index;
    future->cancelled = outcome->cancelled;
    if (outcome->error != 0)
        future->message = strdup(outcome->message);
    /* Whoever sees it sees all that it tells. */
    atomic_store_explicit(&future->done, true, memory_order_release);
    while ((watch = future->watches) != NULL) {
        future->watches = watch->next;
        announce(watch);
    }
    future->settled = future->callback == NULL;
    mutex_unlock(&future->lock);
}

/* --------------------------------------------------- callbacks -- */

static void call(struct future *future, const struct callback *callback)
{
    future_callback *function =
        future->error == 0 ? callback->on_success : callback->on_error;
    int error = 0;

    if (function != NULL)
        error = function(future, callback->context);
    if (error != 0)
        report_error(error, "callback of task %llu",
                     (unsigned long long)future->job.number);
}

static void append(struct future *future, struct callback *callback)
{
    *future->last_callback = callback;
    future->last_callback = &callback->next;
}

void future_set_callbacks(struct future *future,
                          future_callback *on_success,
                          future_callback *on_error, void *context)
{
    future->own =
        (struct callback){NULL, on_success, on_error, context};
    append(future, &future->own);
}

static int append_copy(struct future *future,
                       const struct callback *callback)
    REQUIRES(future->lock)
{
    struct callback *copy = &future->own;

    if (copy->on_success != NULL || copy->on_error != NULL)
        copy = malloc(sizeof *copy);
    if (copy == NULL)
        return ENOMEM;
    *copy = *callback;
    append(future, copy);
    return 0;
}

int future_add_done_callback(struct future *future,
                             future_callback *function, void *context)
{
    struct callback callback = {NULL, function, function, context};
    bool settled;
    int error = 0;

    mutex_lock(&future->lock);
    settled = future->settled;
    if (!settled)
        error = append_copy(future, &callback);
    mutex_unlock(&future->lock);
    if (settled)
        call(future, &callback);
    return error;
}

bool future_settled(const struct future *future)
{
    return future->settled;
}

/* The next one, or NULL: it is settled. */
static struct callback *next_callback(struct future *future)
{
    struct callback *over = future->callback, *next;

    mutex_lock(&future->lock);
    next = over->next;
    future->callback = next;
    future->settled = next == NULL;
    mutex_unlock(&future->lock);
    free_callback(future, over);
    return next;
}

/* Once it is done nobody else takes callbacks off the list. */
void future_run_callbacks(struct future *future)
{
    struct callback *callback = future->callback;

    while (callback != NULL) {
        call(future, callback);
        callback = next_callback(future);
    }
}
