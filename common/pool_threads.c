/*
 * The workers are threads of this process.  They share everything, so
 * a worker brings its task home itself; and nobody can end them but
 * themselves.
 */
#include <errno.h>
#include <stdlib.h>

#include "pool_internal.h"

/* What a worker is told when it starts. */
struct post {
    struct pool *pool;
    int worker;
    pthread_t thread;
};

struct crew {
    int started;
    struct post posts[];
};

static void *work(void *arg)
{
    struct post *post = arg;
    struct pool *pool = post->pool;

    if (!pool_work(pool, post->worker))
        pool_break(pool,
                   &pool->floor->workers[post->worker - 1].beginning);
    pool_notify(POOL_WORKER_ENDED, post->worker, 0);
    return NULL;
}

/*
 * For workers that end after some tasks: stays, while one after the
 * other works.  Where the system refuses a new thread it works itself.
 */
static void *keep_post(void *arg)
{
    struct post *post = arg;
    pthread_t worker;

    do {
        if (pthread_create(&worker, NULL, work, post) == 0)
            pthread_join(worker, NULL);
        else
            work(post);
    } while (pool_needs_workers(post->pool));
    return NULL;
}

static void join(struct pool *pool)
{
    struct crew *crew = pool->crew;

    for (int i = 0; i < crew->started; i++)
        pthread_join(crew->posts[i].thread, NULL);
    free(crew);
}

static int start(struct pool *pool)
{
    size_t workers = (size_t)pool->workers;
    struct crew *crew =
        calloc(1, sizeof *crew + workers * sizeof(struct post));
    void *(*run)(void *) =
        pool->options.tasks_per_worker == 0 ? work : keep_post;
    int error = crew == NULL ? ENOMEM : 0;

    pool->crew = crew;
    for (int i = 0; i < pool->workers && error == 0; i++) {
        struct post *post = &crew->posts[i];

        post->pool = pool;
        post->worker = i + 1;
        error = pthread_create(&post->thread, NULL, run, post);
        if (error == 0)
            crew->started++;
    }
    if (error != 0 && crew != NULL) {
        pool_drop(pool, error, "the pool did not start");
        join(pool);
    }
    return error;
}

static void finish(struct pool *pool, int slot)
{
    pool_harvest_own(pool, slot);
}

/* The worker itself runs the callbacks. */
static void settle(struct pool *pool, struct future *futures)
{
    pool_call_back_all(pool, futures);
}

static void stop(struct pool *pool)
{
    (void)pool; /* a thread ends when it has done its task */
}

const struct pool_kind pool_threads = {
    .name = "threads",
    .start = start,
    .finish = finish,
    .settle = settle,
    .stop = stop,
    .join = join,
};
