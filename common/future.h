/*
 * future.h -- the result of a task that may not have run yet.
 *
 * pool_submit makes a future, future_free gives it back.  The names
 * and meanings are those of concurrent.futures.Future.  All functions
 * may be called from any thread of the process that submitted the
 * task, never in a worker process.  Time limits are those of clock.h.
 *
 *     pending -> running -> done          the task returned or failed
 *        |          |
 *        |          +---> cancelled       by terminate, in a process
 *        +--------------> cancelled       by cancel, or by terminate
 */
#ifndef FUTURE_H
#define FUTURE_H

#include <math.h> /* INFINITY */
#include <stdbool.h>
#include <stddef.h>

struct future;

/* ------------------------------------------------------ errors -- */

/*
 * In a task: `return task_error(EDOM, "base %d is negative", base);`
 * The message, up to TASK_MESSAGE_MAX bytes with its final 0, travels
 * with the error to whoever asks for the result.  Returns `error`,
 * which is not 0.  A task that returns an error without a message
 * gets one that names the number.  task_message() may be an argument.
 */
#define TASK_MESSAGE_MAX 160

int task_error(int error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * The message that belongs to the error which future_result,
 * future_exception, pool_apply or pool_map returned last in this
 * thread, or with which pool_submit failed; "" if they returned 0.
 * Valid until the next such call.
 */
const char *task_message(void);

/* ----------------------------------------------------- results -- */

/*
 * Waits until the task is done and copies its result, as many bytes
 * as were announced to pool_submit; `result` may be NULL when those
 * are 0 or not wanted.  Returns
 *     0            the task succeeded
 *     ETIMEDOUT    not done yet; a later call can succeed
 *     ECANCELED    cancelled, or dropped by pool_terminate
 *     EOWNERDEAD   the worker died in it; the message says of what
 *     otherwise    what the task itself returned
 * A task can return these numbers too: future_done and
 * future_cancelled tell the difference.
 */
int future_result(struct future *future, void *result, double timeout);

/* As future_result, for the error alone. */
int future_exception(struct future *future, double timeout);

/* These look and do not wait. */
bool future_running(struct future *future);
bool future_cancelled(struct future *future);
bool future_done(struct future *future); /* cancelled counts as done */

/*
 * Cancels the task unless a worker has begun it.  Returns whether it
 * is cancelled now.  The caller runs its callbacks.
 */
bool future_cancel(struct future *future);

/*
 * Gives the caller's hold on the future back.  The task runs all the
 * same, and so do its callbacks.  NULL is allowed.
 */
void future_free(struct future *future);

/* --------------------------------------------------- callbacks -- */

/*
 * Runs once, when the future is done or cancelled; future_result with
 * a limit of 0 gives it the value.  Any return value but 0 is
 * reported on stderr, and the other callbacks still run.
 */
typedef int future_callback(struct future *future, void *context);

/*
 * Callbacks run in the order added.  Who runs them: in a thread pool
 * the worker that ran the task; in a process pool a thread of the
 * parent; for a task that somebody cancelled, the caller; for a
 * future whose callbacks have all run already the caller, at once.
 * Returns 0 or ENOMEM.
 */
int future_add_done_callback(struct future *future,
                             future_callback *callback, void *context);

/* ----------------------------------------------- many at a time -- */

enum future_when {
    FUTURE_FIRST_COMPLETED, /* until one is done */
    FUTURE_FIRST_ERROR,     /* until one has failed, or all are done */
    FUTURE_ALL_COMPLETED    /* until all are done */
};

/*
 * Waits for `count` futures.  Returns 0, ETIMEDOUT or ENOMEM;
 * future_done tells which ones are done.
 */
int future_wait(struct future *const *futures, size_t count,
                enum future_when when, double timeout);

/*
 * Gives futures back in the order in which they are done (those done
 * before the call come first):
 *
 *     struct completion *done = future_as_completed(futures, count);
 *     while ((future = completion_next(done, INFINITY)) != NULL)
 *         ...
 *     completion_free(done);
 *
 * completion_next returns NULL when the time is over (errno is
 * ETIMEDOUT) or each future was given back once (errno is 0).  The
 * futures must not be freed before completion_free.
 * future_as_completed returns NULL and ENOMEM.
 */
struct completion;

struct completion *future_as_completed(struct future *const *futures,
                                       size_t count);
struct future *completion_next(struct completion *completion,
                               double timeout);
void completion_free(struct completion *completion);

#endif
