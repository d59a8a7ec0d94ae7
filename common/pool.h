/*
 * pool.h -- a fixed number of workers and a queue of tasks.
 *
 * Two kinds of workers behind one interface: threads of this process,
 * or child processes.  What CPython's pools promise, and where those
 * hang or lose tasks, what they should have promised:
 *
 *   - A worker process that dies fails the one task it was running.
 *     A new worker takes its place, all other tasks complete.
 *   - Worker processes die with the program, however it dies.
 *   - Nothing is left behind in the file system.
 *   - Memory is bounded: who submits faster than the workers work has
 *     to wait.
 *
 * Functions that return int return 0 or an errno value.  All may be
 * called from any thread of the process that opened the pool, and
 * from callbacks; in a worker process they return EPERM.  A worker of
 * a thread pool that waits for another task of its pool, in a task or
 * in a callback, needs another worker to do it.
 */
#ifndef POOL_H
#define POOL_H

#include <stddef.h>
#include <stdint.h>

#include "future.h"

#define POOL_WORKERS_MAX 1024 /* workers in one pool */
#define POOL_PAYLOAD_MAX 2048 /* bytes: an argument and its result */

/*
 * A task reads its argument, writes its result, and returns 0 or an
 * error (see task_error).  Both are aligned for any type and valid
 * until it returns.  In a process pool it runs in a child that was
 * forked when the pool was opened or a worker replaced: it sees the
 * memory of that moment, and shares what shared_alloc gave before.
 * There it may crash or exit; in a thread pool that ends the program,
 * and pthread_exit is not allowed.
 */
typedef int pool_task(const void *arg, void *result);

struct pool;
struct pool_kind;

extern const struct pool_kind pool_threads;
extern const struct pool_kind pool_processes;

/* ----------------------------------------------- open and close -- */

/*
 * Starts the workers, 1 to POOL_WORKERS_MAX of them.  Returns NULL and
 * sets errno: EINVAL for another number, EAGAIN or ENOMEM when the
 * system refuses one of them (those started are ended again).
 *
 * While a pool of processes is open the program must not ignore
 * SIGCHLD (pool_open mends that once) nor reap children that are not
 * its own, as wait() and waitpid(-1) do.
 *
 * Its thread that runs callbacks is scheduled as SCHED_BATCH: woken on
 * a busy machine, it does not interrupt what runs, but waits for some
 * milliseconds.  In a program that has another policy than SCHED_OTHER
 * it has that.
 */
struct pool *pool_open(const struct pool_kind *kind, int workers);

/* What may be different from the usual: all 0 is as pool_open. */
struct pool_options {
    /*
     * Runs once in each worker, before its first task; also in those
     * that take another's place.  When it returns an error (see
     * task_error) the pool is broken: it is closed, those tasks that
     * have not begun are cancelled with that error, and the message
     * tells why.  So it is when one worker after another dies before
     * its first task.  Who opens the pool does not wait for it.
     */
    int (*initializer)(void *context);
    void *context;

    /*
     * A worker that has done so many tasks ends, and a new one takes
     * its place; 0: none does.  A chunk of pool_map is one task.
     */
    int tasks_per_worker;
};

/* As pool_open, and EINVAL when tasks_per_worker is negative. */
struct pool *pool_open_with(const struct pool_kind *kind, int workers,
                            const struct pool_options *options);

/* No more tasks; those submitted are still done.  Does not wait. */
int pool_close(struct pool *pool);

/*
 * No more tasks; those that have not begun are dropped: their futures
 * are cancelled.  Those that have begun are still done.  Does not wait.
 */
int pool_cancel(struct pool *pool);

/*
 * As pool_cancel, and kills worker processes in the middle of what
 * they do: their tasks are cancelled, too.  Threads can not be killed
 * and finish the task in hand.  What is dropped has the first reason:
 * that of the call, or what broke the pool before.
 */
int pool_terminate(struct pool *pool);

/*
 * Waits until every task is done, every callback has run and every
 * worker is gone.  Returns EBUSY, without waiting, for a pool that is
 * still open; EDEADLK in a worker or a callback of this pool.  All
 * four may be repeated.
 */
int pool_join(struct pool *pool);

/*
 * Terminates and joins what still runs and frees the pool.  Futures
 * stay valid until they are freed themselves.  Not in a worker or a
 * callback of this pool, and not while another thread uses it.  NULL
 * is allowed; in a forked child it does nothing.
 */
void pool_free(struct pool *pool);

/* -------------------------------------------------------- tasks -- */

/*
 * Copies `arg_size` bytes of argument and returns a future with room
 * for `result_size` bytes.  Waits while the pool holds as many tasks
 * as it has room for (1024, or 4 for each worker if that is more), and
 * then goes on when a quarter of the room is free, as do all who come
 * meanwhile; workers and callbacks of the pool never wait here.
 * Returns NULL and sets errno: EPIPE when the pool is closed
 * (task_message tells why), EMSGSIZE when the sizes together exceed
 * POOL_PAYLOAD_MAX, EINVAL, EPERM, ENOMEM.
 */
struct future *pool_submit(struct pool *pool, pool_task *task,
                           const void *arg, size_t arg_size,
                           size_t result_size);

/*
 * Submits a task and waits for its result.  Returns what
 * future_result would, or the errors of pool_submit.
 */
int pool_apply(struct pool *pool, pool_task *task, const void *arg,
               size_t arg_size, void *result, size_t result_size);

/*
 * Submits a task and does not wait: `callback` gets its future when it
 * succeeded, `error_callback` when it failed or was dropped.  Each may
 * be NULL.  Returns 0 or the errors of pool_submit.
 */
int pool_apply_async(struct pool *pool, pool_task *task,
                     const void *arg, size_t arg_size,
                     size_t result_size, future_callback *callback,
                     future_callback *error_callback, void *context);

/*
 * Runs the task on each of `count` arguments that stand side by side,
 * and writes the results side by side in the same order.  Workers get
 * `chunk` items at a time; 0 chooses a quarter of each worker's share.
 * No chunk gets larger than POOL_PAYLOAD_MAX allows.  Waits for all
 * items also when some fail, and then returns the error of the lowest
 * index, which the message names; the results of failed items are
 * indeterminate.  Errors as pool_apply, and ETIMEDOUT when `timeout`
 * (as in clock.h, for all items together) has passed: items that have
 * not begun are cancelled, the others' results are dropped.
 */
int pool_map(struct pool *pool, pool_task *task, const void *args,
             size_t arg_size, void *results, size_t result_size,
             size_t count, size_t chunk, double timeout);

/* ------------------------------------------------ looking inside -- */

/* "threads" or "processes". */
const char *pool_kind_name(const struct pool_kind *kind);

/*
 * The number of the worker that runs the caller, from 1; 0 elsewhere.
 * A worker that takes a dead one's place takes its number.
 */
int pool_worker(void);

/*
 * The number of the task, from 1 in the order submitted, that the
 * caller is part of; 0 elsewhere.
 */
uint64_t pool_task_number(void);

enum pool_event {
    POOL_WORKER_STARTED, /* in the worker */
    POOL_TASK_SUBMITTED, /* in the submitting thread; worker is 0 */
    POOL_TASK_BEGUN,     /* in the worker */
    POOL_TASK_ENDED,     /* in the worker */
    POOL_WORKER_ENDED    /* in the parent, once it is gone */
};

/*
 * Calls `observer` on every event of every pool that is opened
 * afterwards; NULL ends that.  `task` is 0 for events of workers.
 * It must be quick and must not use the pool.
 */
typedef void pool_observer(enum pool_event event, int worker,
                           uint64_t task);

void pool_observe(pool_observer *observer);

#endif
