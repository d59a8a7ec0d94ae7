/*
 * What happens in a worker, thread or process.
 */
#include <stdio.h>

#include "cpu.h"
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

/* Without a message it gets one. */
static void note_error(struct outcome *outcome, const char *who,
                       int error)
{
    const char *message = task_message();

    outcome->error = error;
    outcome->cancelled = false;
    if (message[0] != '\0')
        snprintf(outcome->message, sizeof outcome->message, "%s",
                 message);
    else
        snprintf(outcome->message, sizeof outcome->message,
                 "the %s returned error %d", who, error);
}

/* ------------------------------------------------------ a task -- */

static void run_once(struct slot *slot, size_t run)
{
    const struct job *job = &slot->job;
    const void *arg = slot->payload + run * job->arg_size;
    void *result = pool_results(slot) + run * job->result_size;
    int error;

    task_set_message(0, NULL);
    error = job->task(arg, result);
    if (error == 0 || slot->failed)
        return; /* the first error counts */
    note_error(&slot->annex->outcome, "task", error);
    slot->annex->outcome.index = run;
    atomic_store(&slot->failed, true); /* last: it can be killed */
}

/* Goes on where a worker that died in the middle has stopped. */
static void run_job(struct slot *slot)
{
    size_t run = atomic_load(&slot->runs);

    while (run < slot->job.count) {
        run_once(slot, run);
        atomic_store_explicit(&slot->runs, ++run, memory_order_release);
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

    /* A thread settles it next; for a process, it does no harm. */
    if (!waited_for)
        cpu_fetch(slot->future, sizeof *slot->future);
    task_here = task;
    pool_notify(POOL_TASK_BEGUN, worker, task);
    run_job(slot);
    pool_notify(POOL_TASK_ENDED, worker, task);
    task_here = 0;
    /* From here on the slot can be another task's at any moment. */
    pool_set_state(slot, DONE);
    pool_finish(pool, number, waited_for);
}

/* ---------------------------------------------- a worker's life -- */

static bool initialize(struct pool *pool, struct worker *record)
{
    const struct pool_options *options = &pool->options;
    int error = 0;

    task_set_message(0, NULL);
    if (options->initializer != NULL)
        error = options->initializer(options->context);
    if (error != 0) {
        note_error(&record->beginning, "initializer", error);
        return false;
    }
    atomic_store(&record->ready, true);
    atomic_store(&pool->floor->stillborn, 0);
    return true;
}

static void take_tasks(struct pool *pool, int worker)
{
    atomic_int *taken = &pool->floor->workers[worker - 1].slot;
    int share = pool->options.tasks_per_worker, done = 0;

    /* The queue itself writes to shared memory what is taken. */
    while ((share == 0 || done < share) &&
           queue_get(pool->tasks, taken, INFINITY) == 0) {
        int number = atomic_load(taken);

        if (claim(pool, worker, number)) {
            work_on(pool, worker, number);
            done++;
        }
        atomic_store_explicit(taken, NO_SLOT, memory_order_release);
    }
}

bool pool_work(struct pool *pool, int worker)
{
    struct service service;
    bool ready;

    worker_here = worker;
    pool_serve(&service, pool);
    pool_notify(POOL_WORKER_STARTED, worker, 0);
    ready = initialize(pool, &pool->floor->workers[worker - 1]);
    if (ready)
        take_tasks(pool, worker);
    pool_serve_no_more(&service);
    return ready;
}

void pool_finish(struct pool *pool, int number, bool waited_for)
{
    if (waited_for)
        sem_post(&pool_slot(pool, number)->annex->returned);
    else
        pool->kind->finish(pool, number);
}
