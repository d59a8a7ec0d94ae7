/*
 * Handing a task over: submit, apply_async, and apply.
 */
#include <errno.h>
#include <string.h>

#include "clock.h"
#include "cpu.h"
#include "pool_internal.h"

int pool_check_job(struct pool *pool, const struct job *job)
{
    if (pool == NULL || job->task == NULL)
        return EINVAL;
    if (!pool_is_ours(pool))
        return EPERM;
    if (job->arg_size > POOL_PAYLOAD_MAX ||
        job->result_size > POOL_PAYLOAD_MAX ||
        job->count * (job->arg_size + job->result_size) >
            POOL_PAYLOAD_MAX)
        return EMSGSIZE;
    return 0;
}

/*
 * Not while others are held back, who are woken when many places are
 * free: taken one by one, they would never be so many.
 */
static bool may_take_place(struct pool *pool) REQUIRES(pool->lock)
{
    int places = atomic_load(&pool->places);

    return places >= pool_many(pool) ||
           (places > 0 && atomic_load(&pool->held_back) == 0);
}

/*
 * Who gives a place back looks whether somebody is held back: so look
 * once more after saying so.  Who has been woken takes any place.
 */
static int await_place(struct pool *pool, double deadline)
    REQUIRES(pool->lock)
{
    int wanted = pool_many(pool), error = 0;

    atomic_fetch_add(&pool->held_back, 1);
    while (atomic_load(&pool->places) < wanted && !pool->closed &&
           error == 0) {
        error = mutex_wait(&pool->lock, &pool->place_free, deadline);
        wanted = 1;
    }
    atomic_fetch_sub(&pool->held_back, 1);
    return atomic_load(&pool->places) > 0 ? 0 : error;
}

/* Waits for a place unless the caller is one that makes places. */
static int admit(struct pool *pool, struct job *job, bool *holds_place,
                 double deadline) REQUIRES(pool->lock)
{
    int error = 0;

    *holds_place = !pool_is_served_here(pool);
    if (*holds_place && !pool->closed && !may_take_place(pool))
        error = await_place(pool, deadline);
    if (pool->closed)
        return EPIPE;
    if (error != 0)
        return error;
    if (*holds_place)
        atomic_fetch_sub(&pool->places, 1);
    atomic_fetch_add(&pool->unsettled, 1);
    job->number = ++pool->submitted;
    pool_notify(POOL_TASK_SUBMITTED, 0, job->number);
    return 0;
}

/*
 * Who has a place has a slot too, unless callbacks, which need no
 * place, have taken it.
 */
static int submit(struct pool *pool, struct future *future,
                  const void *argument, double deadline)
{
    struct future *retired;
    int number = NO_SLOT;
    bool admitted;
    int error;

    mutex_lock(&pool->lock);
    error = admit(pool, &future->job, &future->holds_place, deadline);
    admitted = error == 0;
    if (admitted && pool_has_slot(pool))
        number = pool_start(pool, &future->job, argument, future);
    else if (admitted)
        error = pool_put_aside(pool, future, argument);
    future->slot = number;
    retired = pool_next_to_free(pool);
    mutex_unlock(&pool->lock);
    if (number != NO_SLOT)
        pool_enqueue(pool, number);
    if (retired != NULL)
        future_destroy(retired);
    if (admitted && error != 0)
        pool_one_less(pool, future->holds_place);
    return error;
}

/* ---------------------------------- what a future's owner can do -- */

static bool cancel(struct future *future)
{
    static const struct outcome by_user = {
        .error = ECANCELED, .cancelled = true, .message = "cancelled"};
    struct pool *pool = future->pool;
    bool cancelled;

    mutex_lock(&pool->lock);
    cancelled = pool_withdraw(pool, future, &by_user);
    mutex_unlock(&pool->lock);
    if (cancelled)
        pool_call_back(pool, future);
    return cancelled;
}

static bool running(struct future *future)
{
    struct pool *pool = future->pool;
    int state = QUEUED;

    mutex_lock(&pool->lock);
    if (future->slot != NO_SLOT)
        state = atomic_load(&pool_slot(pool, future->slot)->state);
    mutex_unlock(&pool->lock);
    return state != QUEUED;
}

static const struct future_owner owner = {cancel, running};

/* ------------------------------------------------------ submit -- */

/* The error comes back to the caller, with a message. */
static int refuse(struct pool *pool, int error)
{
    const char *closed = "the pool is closed";

    if (error != EPIPE)
        return task_set_message(error, strerror(error));
    mutex_lock(&pool->lock);
    task_set_message(error,
                     pool->terminated ? pool->dropped.message : closed);
    mutex_unlock(&pool->lock);
    return error;
}

/*
 * NULL and errno; the future is not yet known to the pool.  One holder
 * is the pool, the other the caller, if it keeps the future.
 */
static struct future *new_future(struct pool *pool,
                                 const struct job *job, int holders)
{
    int error = pool_check_job(pool, job);
    struct future *future =
        error == 0 ? future_new(&owner, job, holders) : NULL;

    if (future != NULL)
        future->pool = pool;
    else
        errno = refuse(pool, error != 0 ? error : ENOMEM);
    return future;
}

/* Nobody else knows the future of a submit that failed. */
static int discard(struct future *future, int error)
{
    struct pool *pool = future->pool;

    future_destroy(future);
    return refuse(pool, error);
}

struct future *pool_submit_job(struct pool *pool, const struct job *job,
                               const void *argument, double deadline)
{
    struct future *future = new_future(pool, job, 2);
    int error;

    if (future == NULL)
        return NULL;
    error = submit(pool, future, argument, deadline);
    if (error == 0)
        return future;
    errno = discard(future, error);
    return NULL;
}

struct future *pool_submit(struct pool *pool, pool_task *task,
                           const void *arg, size_t arg_size,
                           size_t result_size)
{
    struct job job = {task, arg_size, result_size, 1, 0};

    return pool_submit_job(pool, &job, arg, INFINITY);
}

int pool_apply_async(struct pool *pool, pool_task *task,
                     const void *arg, size_t arg_size,
                     size_t result_size, future_callback *callback,
                     future_callback *error_callback, void *context)
{
    struct job job = {task, arg_size, result_size, 1, 0};
    struct future *future = new_future(pool, &job, 1);
    int error;

    if (future == NULL)
        return errno;
    if (callback != NULL || error_callback != NULL)
        future_set_callbacks(future, callback, error_callback, context);
    error = submit(pool, future, arg, INFINITY);
    return error == 0 ? 0 : discard(future, error);
}

/* ------------------------------------------------------- apply -- */

/*
 * The caller of pool_apply waits on the slot itself: no future, and no
 * other thread between the worker and the caller.
 */
static int reserve_slot(struct pool *pool, struct job *job,
                        const void *arg)
{
    int number = NO_SLOT;
    bool holds_place;

    mutex_lock(&pool->lock);
    if (!pool_is_served_here(pool) && pool_has_slot(pool) &&
        may_take_place(pool) &&
        admit(pool, job, &holds_place, INFINITY) == 0)
        number = pool_start(pool, job, arg, NULL);
    mutex_unlock(&pool->lock);
    if (number != NO_SLOT)
        pool_enqueue(pool, number);
    return number;
}

static void await_return(struct slot *slot)
{
    int look = cpu_spins();

    while (look-- > 0 && atomic_load(&slot->state) != DONE)
        cpu_relax();
    while (atomic_load(&slot->state) != DONE)
        clock_sem_wait(&slot->annex->returned, INFINITY);
}

static int apply_by_slot(struct pool *pool, int number, void *result)
{
    struct slot *slot = pool_slot(pool, number);
    const struct outcome *outcome;
    int error;

    await_return(slot);
    outcome = pool_outcome(slot);
    error = task_set_message(outcome->error, outcome->message);
    if (error == 0 && result != NULL)
        memcpy(result, pool_results(slot), slot->job.result_size);
    mutex_lock(&pool->lock);
    pool_free_slot(pool, number);
    mutex_unlock(&pool->lock);
    pool_one_less(pool, true);
    return error;
}

static int apply_by_future(struct pool *pool, const struct job *job,
                           const void *arg, void *result)
{
    struct future *future = pool_submit_job(pool, job, arg, INFINITY);
    int error;

    if (future == NULL)
        return errno;
    error = future_result(future, result, INFINITY);
    future_free(future);
    return error;
}

int pool_apply(struct pool *pool, pool_task *task, const void *arg,
               size_t arg_size, void *result, size_t result_size)
{
    struct job job = {task, arg_size, result_size, 1, 0};
    int error = pool_check_job(pool, &job);
    int number;

    if (error != 0)
        return task_set_message(error, NULL);
    number = reserve_slot(pool, &job, arg);
    if (number == NO_SLOT)
        return apply_by_future(pool, &job, arg, result);
    return apply_by_slot(pool, number, result);
}
