/*
 * pool_map: a list of arguments in chunks, each chunk one job.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "pool_internal.h"

struct map {
    struct pool *pool;
    struct job chunk; /* as most are: the last may be shorter */
    const unsigned char *args;
    unsigned char *results;
    size_t count; /* of items */
    double deadline;
    size_t next;            /* the first item not submitted yet */
    struct outcome outcome; /* of the lowest item that failed */
};

/* Messages name the item, and are cut to their size. */
static void note_map_error(struct map *map, size_t item, int error,
                           const char *message)
{
    struct outcome *outcome = &map->outcome;
    int length;

    if (error == 0 || (outcome->error != 0 && outcome->index < item))
        return;
    outcome->error = error;
    outcome->index = item;
    length = snprintf(outcome->message, sizeof outcome->message,
                      "item %zu: ", item);
    snprintf(outcome->message + length,
             sizeof outcome->message - (size_t)length, "%s", message);
}

/* NULL when there are no more; a refused one is the last. */
static struct future *next_chunk(struct map *map)
{
    struct job job = map->chunk;
    size_t item = map->next;
    struct future *future;

    if (item == map->count)
        return NULL;
    if (job.count > map->count - item)
        job.count = map->count - item;
    future =
        pool_submit_job(map->pool, &job,
                        map->args + item * job.arg_size, map->deadline);
    if (future == NULL) {
        note_map_error(map, item, errno, task_message());
        map->next = map->count;
        return NULL;
    }
    future->first_item = item;
    map->next = item + job.count;
    return future;
}

/* One that was dropped may have done its first items. */
static void collect_chunk(struct map *map, struct future *future)
{
    size_t offset = future->first_item * future->job.result_size;
    int error = future_exception(future, INFINITY);
    size_t done =
        future->cancelled ? future->error_index : future->job.count;

    note_map_error(map, future->first_item + future->error_index, error,
                   task_message());
    if (map->results != NULL)
        memcpy(map->results + offset, future->result,
               done * future->job.result_size);
    future_free(future);
}

/*
 * Keeps as many chunks on their way as there are watches, whichever is
 * done first: a slow item does not hold the others up, and memory is
 * bounded.
 */
static void run_map(struct map *map, struct completion *completion)
{
    struct future *future;
    struct watch *watch;

    for (size_t i = 0; i < completion->count; i++)
        if ((future = next_chunk(map)) != NULL)
            completion_watch(&completion->watches[i], future);
    while ((watch = completion_take(
                completion, clock_left(map->deadline))) != NULL) {
        future = watch->future;
        watch->future = NULL;
        collect_chunk(map, future);
        if ((future = next_chunk(map)) != NULL)
            completion_watch(watch, future);
    }
}

/* The time is over.  Nobody writes to the results any more. */
static void abandon(struct map *map, struct completion *completion)
{
    struct outcome late = {.error = ETIMEDOUT,
                           .message =
                               "not all items were done in time"};

    map->outcome = late;
    for (size_t i = 0; i < completion->count; i++) {
        struct watch *watch = &completion->watches[i];
        struct future *future = watch->future;

        if (future == NULL)
            continue;
        completion_unwatch(watch);
        future_cancel(future);
        future_free(future);
    }
}

/* How many items fit, at most `wish`; 0 when not even one does. */
static size_t chunk_that_fits(size_t item_size, size_t wish)
{
    size_t fit = wish;

    if (item_size > 0 && fit > POOL_PAYLOAD_MAX / item_size)
        fit = POOL_PAYLOAD_MAX / item_size;
    return fit;
}

int pool_map(struct pool *pool, pool_task *task, const void *args,
             size_t arg_size, void *results, size_t result_size,
             size_t count, size_t chunk, double timeout)
{
    struct map map = {.pool = pool,
                      .chunk = {task, arg_size, result_size, 1, 0},
                      .args = arg_size > 0 ? args : "",
                      .results = results,
                      .count = count,
                      .deadline = clock_deadline(timeout)};
    struct completion *completion;
    int error = pool_check_job(pool, &map.chunk);

    if (error != 0)
        return task_set_message(error, NULL);
    if (chunk == 0)
        chunk = count / (4 * (size_t)pool->workers) + 1;
    map.chunk.count = chunk_that_fits(arg_size + result_size, chunk);
    completion = completion_new((size_t)pool->slots);
    if (completion == NULL)
        return task_set_message(ENOMEM, NULL);
    run_map(&map, completion);
    if (completion->left > 0)
        abandon(&map, completion);
    completion_free(completion);
    return task_set_message(map.outcome.error, map.outcome.message);
}
