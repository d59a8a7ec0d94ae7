/*
 * What happens in a worker, thread or process.
 */
#include <stdio.h>

#include "pool_internal.h"

static _Thread_local int worker_here;
static _Thread_local uint64_t task_here;

int pool_worker(void)
{
    return worker_here;
}

uint64_t pool_task_number(void)
{
    return task_here;
}

/* The first error counts.  Without a message it gets one. */
static void note_error(struct slot *slot, size_t run, int error)
{
    struct outcome *outcome = &slot->outcome;
    const char *message = task_message();

    if (error == 0 || outcome->error != 0)
        return;
    outcome->index = run;
    if (message[0] != '\0')
        snprintf(outcome->message, sizeof outcome->message, "%s",
                 message);
    else
        snprintf(outcome->message, sizeof outcome->message,
                 "the task returned error %d", error);
    outcome->error = error; /* last: the worker can be killed here */
}

static void run_once(struct slot *slot, size_t run)
{
    const struct job *job = &slot->job;
    const void *arg = slot->payload + run * job->arg_size;
    void *result = pool_results(slot) + run * job->result_size;

    task_set_message(0, NULL);
    note_error(slot, run, job->task(arg, result));
}

/* Goes on where a worker that died in the middle has stopped. */
static void run_job(struct slot *slot)
{
    size_t run = atomic_load(&slot->runs);

    while (run < slot->job.count) {
        run_once(slot, run);
        atomic_store(&slot->runs, ++run);
    }
}

static bool claim(struct pool *pool, int worker, int number)
{
    int state = QUEUED;

    if (atomic_compare_exchange_strong(&pool_slot(pool, number)->state,
                                       &state, RUNNING_BY(worker)))
        return true;
    if (state == CANCELLED)
        pool_finish(pool, number, false);
    return false;
}

static void work_on(struct pool *pool, int worker, int number)
{
    struct slot *slot = pool_slot(pool, number);
    bool waited_for = slot->waited_for;
    uint64_t task = slot->job.number;

    task_here = task;
    pool_notify(POOL_TASK_BEGUN, worker, task);
    run_job(slot);
    pool_notify(POOL_TASK_ENDED, worker, task);
    task_here = 0;
    /* From here on the slot can be another task's at any moment. */
    atomic_store(&slot->state, DONE);
    pool_finish(pool, number, waited_for);
}

void pool_work(struct pool *pool, int worker)
{
    atomic_int *taken = &pool->floor->workers[worker - 1].slot;
    int number;

    worker_here = worker;
    pool_serve(pool);
    pool_notify(POOL_WORKER_STARTED, worker, 0);
    /* The queue itself writes to shared memory what is taken. */
    while (queue_get(pool->tasks, taken, INFINITY) == 0) {
        number = atomic_load(taken);
        if (claim(pool, worker, number))
            work_on(pool, worker, number);
        atomic_store(taken, NO_SLOT);
    }
}

void pool_finish(struct pool *pool, int number, bool waited_for)
{
    if (waited_for)
        sem_post(&pool_slot(pool, number)->returned);
    else
        pool->kind->finish(pool, number);
}
