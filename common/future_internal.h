/*
 * future_internal.h -- a future as its pool sees it.
 *
 * For the files that keep futures' promises (pool*.c), not for their
 * users.  A future has two holders: who asked for it and the pool; that
 * of pool_apply_async, which nobody gets, has one.
 */
#ifndef FUTURE_INTERNAL_H
#define FUTURE_INTERNAL_H

#include <pthread.h>
#include <semaphore.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "future.h"
#include "mutex.h"
#include "pool.h"

/* What the task's owner, a pool, can do for its future. */
struct future_owner {
    bool (*cancel)(struct future *future);
    bool (*running)(struct future *future);
};

struct watch;

/* What to call when the task has succeeded or failed; NULL: nothing. */
struct callback {
    struct callback *next;
    future_callback *on_success;
    future_callback *on_error;
    void *context;
};

/* `count` runs of a task, on arguments that stand side by side. */
struct job {
    pool_task *task;
    size_t arg_size;
    size_t result_size;
    size_t count;
    uint64_t number; /* in the order submitted, from 1 */
};

struct future {
    atomic_int holders;
    const struct future_owner *owner;

    atomic_bool done; /* set with the lock, read by anybody */

    /* Protected by the lock. */
    struct mutex lock;
    bool settled; /* done, and all callbacks have run */
    bool cancelled;
    int error;
    size_t error_index;
    char *message;             /* NULL when there is none */
    struct watch *watches;     /* who waits for it */
    struct callback *callback; /* the first that has not run */
    struct callback **last_callback;
    struct callback own; /* most futures have no more */

    /* Protected by the pool's lock. */
    struct pool *pool;
    int slot;            /* where the job is, or NO_SLOT */
    bool holds_place;    /* it counts against the pool's bound */
    struct future *next; /* in one of the pool's lists */
    struct job job;
    void *argument;    /* a copy, while the job waits for a slot */
    size_t first_item; /* of pool_map's, for a job of its making */

    /* Written before `done` is set, constant afterwards. */
    alignas(max_align_t) unsigned char result[];
};

enum { NO_SLOT = -1 };

/* One completion's interest in one future. */
struct watch {
    struct future *future; /* NULL while it is spare */
    struct completion *completion;
    struct watch *next;      /* of the same future */
    struct watch *next_done; /* of the same completion */
};

/* A list of futures in the order in which they are done. */
struct completion {
    sem_t done; /* counts the futures in the list */
    struct mutex lock;
    struct watch *first; /* protected by the lock */
    struct watch **last; /* protected by the lock */
    size_t left;         /* futures watched and not given out */
    size_t count;        /* of watches */
    struct watch *watches;
};

/* With room for its job's results; 1 or 2 holders.  NULL and ENOMEM. */
struct future *future_new(const struct future_owner *owner,
                          const struct job *job, int holders);

/*
 * The two halves of future_free: lets go, and returns whether that was
 * the last holder; and frees what nobody holds.
 */
bool future_release(struct future *future);
void future_destroy(struct future *future);

/* How a job ended. */
struct outcome {
    int error;      /* 0: it succeeded */
    bool cancelled; /* it was dropped */
    size_t index;   /* of the run that failed first */
    char message[TASK_MESSAGE_MAX];
};

/* It is done: wakes who waits for it; settled, without callbacks. */
void future_finish(struct future *future,
                   const struct outcome *outcome);

/* The first callbacks, of a future that nobody else knows yet. */
void future_set_callbacks(struct future *future,
                          future_callback *on_success,
                          future_callback *on_error, void *context);

/* Asked by who has finished it: was there no callback to run? */
bool future_settled(const struct future *future);

/* Runs the callbacks, also those added meanwhile, and settles it. */
void future_run_callbacks(struct future *future);

/* A completion with `count` spare watches.  NULL and ENOMEM. */
struct completion *completion_new(size_t count);

/* Sets a spare watch, or one that was taken, on a future. */
void completion_watch(struct watch *watch, struct future *future);

/* Takes it off its future, if it is on one: it is spare again. */
void completion_unwatch(struct watch *watch);

/*
 * As completion_next, but gives the watch of the future.  It is spare
 * once its `future` is set to NULL.
 */
struct watch *completion_take(struct completion *completion,
                              double timeout);

/*
 * The error that comes back to the caller in this thread, and its
 * message, NULL for none.  Returns `error`.
 */
int task_set_message(int error, const char *message);

#endif
