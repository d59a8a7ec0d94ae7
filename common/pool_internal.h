/*
 * pool_internal.h -- what the two kinds of pool have in common.
 *
 * A task's way, with the numbers of slots going round:
 *
 *     submit          queue `tasks`        worker
 *     copies the  ->  1 number for    ->   claims the slot, runs the
 *     argument        each slot            task, writes the result
 *     into a slot                               |
 *                                               v
 *     settle          harvest              finish
 *     wakes, calls <- copies the      <-   tells the parent: which is
 *     back            result out           what the kinds differ in
 *
 * Slots and workers' records stand in shared memory, everything else
 * in the parent's.  A slot's state says who may touch it:
 *
 *     FREE       the parent, which holds the pool's lock
 *     QUEUED     nobody; a worker claims it, or the parent cancels it,
 *                by the one compare-and-swap that succeeds
 *     RUNNING    the worker whose number is in the state; when that
 *                worker is dead, the parent
 *     DONE       the parent
 *     CANCELLED  nobody; the worker that took its number sends it back
 *
 * Numbers are only hints: a number that stands in a queue twice, or
 * for a slot that has moved on, does no harm, because the state
 * decides.  That is what lets the death of a worker be mended by
 * sending a number once more rather than by knowing where it was.
 */
#ifndef POOL_INTERNAL_H
#define POOL_INTERNAL_H

#include <assert.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "future_internal.h"
#include "pool.h"
#include "queue.h"

enum slot_state { FREE, QUEUED, RUNNING, DONE, CANCELLED };

/*
 * With each task a slot passes through the caches of three CPUs, so
 * what all tasks need stands in two cache lines.
 */
struct slot {
    alignas(64) atomic_int state; /* a slot_state, or RUNNING_BY() */

    /* Written before it is QUEUED. */
    bool waited_for;        /* by pool_apply: it has no future */
    bool has_returned;      /* the annex' semaphore is initialized */
    unsigned char *payload; /* arguments, then results */
    struct job job;

    /* Written while it is RUNNING. */
    atomic_size_t runs; /* how many of job.count are over */
    atomic_bool failed; /* the annex tells how */

    struct annex *annex;   /* the slot's own, from its first use on */
    struct future *future; /* valid in the parent only */
    alignas(max_align_t) unsigned char small[32]; /* payload */
};

/*
 * What few tasks need.  The annexes stand behind all slots, where those
 * that were never needed take no memory.
 */
struct annex {
    sem_t returned;         /* told when it is done, if `waited_for` */
    struct outcome outcome; /* of a task that has failed */

    /* Too large for the slot.  Room to align the results. */
    alignas(max_align_t) unsigned char payload[POOL_PAYLOAD_MAX +
                                               alignof(max_align_t)];
};

/* Whoever sees the state sees all that was written before it. */
static inline void pool_set_state(struct slot *slot,
                                  enum slot_state state)
{
    atomic_store_explicit(&slot->state, state, memory_order_release);
}

/* A worker's number, from 1, stands above the state in its slot. */
#define RUNNING_BY(worker) (RUNNING | (int)(worker) << 8)

/* On a cache line of its own: each worker writes to its record. */
struct worker {
    alignas(64) pid_t pid; /* 0 while there is none */
    atomic_int slot;   /* the number it took, until it is finished */
    atomic_bool ready; /* it may take tasks */
    struct outcome beginning; /* how its initializer failed */
};

/* Shared between the parent and its workers. */
struct floor {
    atomic_int stillborn; /* died before they were ready, in a row */
    struct worker workers[POOL_WORKERS_MAX];
    struct slot slots[];
};

struct pool {
    const struct pool_kind *kind;
    int workers;
    int slots;
    struct pool_options options;
    int forks; /* between the first process and the one it is of */
    struct floor *floor;
    struct queue *tasks; /* numbers of slots that are QUEUED */
    void *crew;          /* what the kind needs to know */

    /* What each task needs stands in two cache lines, too: POOL_HOT. */
    alignas(64) struct mutex lock;

    /* Changed with the lock or by counting down, read by anybody. */
    atomic_int unsettled; /* tasks, callbacks included */
    atomic_int places;    /* tasks that may still be submitted */
    atomic_int held_back; /* submitters that wait for a place */
    atomic_bool closed;   /* no more tasks */

    /* Futures to be freed, see pool_settle.c. */
    _Atomic(struct future *) retired;

    /* Protected by the lock. */
    uint64_t submitted;     /* tasks, ever */
    int *free_slots;        /* a stack of numbers */
    struct future *to_free; /* taken from `retired` */
    struct future *backlog; /* wait for a slot, first in first out */
    struct future **backlog_end;
    int free_count;         /* the height of `free_slots` */
    bool terminated;        /* closed, and what has not begun dropped */
    bool stopped;           /* and what has begun, too */
    bool joining;           /* somebody waits for the workers' end */
    bool joined;            /* they are gone */
    struct outcome dropped; /* and why */

    pthread_cond_t place_free; /* for submitters that are held back */
    pthread_cond_t idle;       /* for join: nothing left to do */
};

enum { POOL_HOT = 2 * 64 }; /* bytes, from the lock on */
static_assert(offsetof(struct pool, terminated) <=
                  offsetof(struct pool, lock) + POOL_HOT,
              "what each task needs has grown");

/*
 * What a kind has to be able to do.  The two implementations have the
 * same functions in the same order; compare the files.
 */
struct pool_kind {
    const char *name;

    /* Starts all workers, or none.  0 or errno. */
    int (*start)(struct pool *pool);

    /* In a worker: the slot is DONE or CANCELLED; tell the parent. */
    void (*finish)(struct pool *pool, int slot);

    /* In the parent: futures are done; see to their callbacks. */
    void (*settle)(struct pool *pool, struct future *futures);

    /* Ends workers without waiting for their tasks, if it can. */
    void (*stop)(struct pool *pool);

    /* Waits until the workers are gone, and frees the crew. */
    void (*join)(struct pool *pool);
};

/* ---------------------------------------------------- pool.c -- */

/* Was it opened by this process? */
bool pool_is_ours(const struct pool *pool);

/*
 * The calling thread serves the pool: it must not wait for it.  A
 * callback that runs another pool's callbacks serves both.
 */
struct service {
    const struct pool *pool;
    const struct service *outer; /* or NULL */
};

void pool_serve(struct service *service, const struct pool *pool);
void pool_serve_no_more(const struct service *service);
bool pool_is_served_here(const struct pool *pool);

/* Is there work to come, so that a dead worker must be replaced? */
bool pool_needs_workers(struct pool *pool);

/*
 * Closes the pool and drops, for that reason, what has not begun.  For
 * the pool's own threads: callbacks are run where they always are.
 */
void pool_drop(struct pool *pool, int error, const char *reason);

/* What kept a worker from its work will keep the next, too. */
void pool_break(struct pool *pool, const struct outcome *why);

void pool_notify(enum pool_event event, int worker, uint64_t task);

/* ---------------------------------------------- pool_slots.c -- */

struct slot *pool_slot(struct pool *pool, int number);

/* Where the results of the slot's job begin. */
unsigned char *pool_results(struct slot *slot);

/* How the slot's job ended. */
const struct outcome *pool_outcome(const struct slot *slot);

/* So many slots are worth a switch between threads: a quarter. */
int pool_many(const struct pool *pool);

/* Puts a QUEUED slot's number into the queue of tasks (again). */
void pool_enqueue(struct pool *pool, int number);

/*
 * Fills a free slot, of which there is one.  Without a future somebody
 * waits at the slot itself.  Returns its number, which is still to be
 * enqueued: without the lock, because that may wake a worker who takes
 * the caller's CPU at once, and nobody should wait for the lock then.
 */
int pool_start(struct pool *pool, const struct job *job,
               const void *argument, struct future *future)
    REQUIRES(pool->lock);

/* Is there a free slot for which nobody waits? */
bool pool_has_slot(struct pool *pool) REQUIRES(pool->lock);

/* Frees the slot, and fills it again if somebody waits for one. */
void pool_free_slot(struct pool *pool, int number) REQUIRES(pool->lock);

/* The future waits for a free slot.  0 or ENOMEM. */
int pool_put_aside(struct pool *pool, struct future *future,
                   const void *argument) REQUIRES(pool->lock);

/*
 * Takes a task back unless it has begun, and finishes its future with
 * that outcome.  Returns whether it did.
 */
bool pool_withdraw(struct pool *pool, struct future *future,
                   const struct outcome *outcome) REQUIRES(pool->lock);

/*
 * The same for all tasks that have not begun.  Returns the futures,
 * whose callbacks are still to be run, as a list.
 */
struct future *pool_withdraw_all(struct pool *pool,
                                 const struct outcome *outcome)
    REQUIRES(pool->lock);

/* ----------------------------------------------- pool_work.c -- */

/*
 * A worker's life: takes tasks and runs them until the pool has no
 * more, or it has done its share.  `worker` is its number, from 1.
 * Returns false when its initializer has failed.
 */
bool pool_work(struct pool *pool, int worker);

/* A slot is over: tells pool_apply, if that waits, or the kind. */
void pool_finish(struct pool *pool, int number, bool waited_for);

/* --------------------------------------------- pool_settle.c -- */

/* Takes the results out of slots that were finished. */
void pool_harvest(struct pool *pool, const int *numbers, size_t count);

/*
 * The same for the slot that the caller itself has finished: nobody
 * else knows of it, so it needs the pool's lock once only.
 */
void pool_harvest_own(struct pool *pool, int number);

/* Runs the future's callbacks, then retires it; those of a list. */
void pool_call_back(struct pool *pool, struct future *future);
void pool_call_back_all(struct pool *pool, struct future *futures);

/* The task is settled: the pool lets go of its future. */
void pool_retire(struct pool *pool, struct future *future);

/* A retired future that is to be freed, or NULL; and all of them. */
struct future *pool_next_to_free(struct pool *pool)
    REQUIRES(pool->lock);
void pool_free_retired(struct pool *pool);

/* One task less to wait for, and to keep a place for. */
void pool_one_less(struct pool *pool, bool holds_place);

/* Of a closed pool: once it is idle, the workers may go. */
void pool_let_go(struct pool *pool) REQUIRES(pool->lock);

/* --------------------------------------------- pool_submit.c -- */

/* 0, EINVAL, EPERM or EMSGSIZE. */
int pool_check_job(struct pool *pool, const struct job *job);

/* As pool_submit, and ETIMEDOUT when there is no place until then. */
struct future *pool_submit_job(struct pool *pool, const struct job *job,
                               const void *argument, double deadline);

#endif
