/*
 * pool_callback_test.c -- who calls back, when, how often, and what a
 * callback may do.
 */
#include "pool_help.h"

static struct pool *pool_of_all; /* what the callbacks use */

/* Who ran a callback. */
struct who {
    atomic_int times;
    atomic_int worker;
    atomic_int task;
    atomic_int tid;
    atomic_int pid;
};

static int note_who(struct future *future, void *context)
{
    struct who *who = context;

    (void)future;
    atomic_store(&who->worker, pool_worker());
    atomic_store(&who->task, (int)pool_task_number());
    atomic_store(&who->tid, own_tid());
    atomic_store(&who->pid, getpid());
    atomic_fetch_add(&who->times, 1);
    return 0;
}

static int count_call(struct future *future, void *context)
{
    (void)future;
    atomic_fetch_add((atomic_int *)context, 1);
    return 0;
}

/* Tells the others that stand in the same order what came before. */
struct order {
    atomic_int next;
    struct turn {
        struct order *order;
        int place;
    } turns[6];
};

static int take_turn(struct future *future, void *context)
{
    struct turn *turn = context;

    turn->place = atomic_fetch_add(&turn->order->next, 1);
    /* One added now comes after those that are there. */
    if (turn == &turn->order->turns[1])
        expect_int(future_add_done_callback(future, take_turn,
                                            &turn->order->turns[4]),
                   0);
    return 0;
}

static void callbacks_run_once_in_the_order_added(const void *kind)
{
    struct order order = {0};
    struct pool *pool;
    struct future *future;

    set_stage();
    pool = open_pool(kind, 2);
    future = block_worker(pool);
    for (int i = 0; i < 6; i++)
        order.turns[i] = (struct turn){&order, -1};
    for (int i = 0; i < 4; i++)
        expect_int(future_add_done_callback(future, take_turn,
                                            &order.turns[i]),
                   0);
    expect_int(atomic_load(&order.next), 0); /* not before it is done */
    sem_post(&stage->gate);
    finish_pool(pool);
    /* One added when they all have run is called at once. */
    expect_int(
        future_add_done_callback(future, take_turn, &order.turns[5]),
        0);
    future_free(future);
    for (int i = 0; i < 6; i++)
        expect_int(order.turns[i].place, i);
    expect_int(atomic_load(&order.next), 6);
}

/* -------------------------------------------------- by whom -- */

static int worker_and_tid(const void *arg, void *result)
{
    int *numbers = result;

    (void)arg;
    sem_post(&stage->arrived);
    await(&stage->gate);
    numbers[0] = pool_worker();
    numbers[1] = own_tid();
    return 0;
}

/* In a thread pool by the worker, in a process pool by the parent. */
static void expect_right_one(const void *kind, const struct who *who,
                             const int worker[2])
{
    expect_int(atomic_load(&who->times), 1);
    expect_int(atomic_load(&who->pid), getpid());
    expect_int(atomic_load(&who->task), 0); /* it is no part of it */
    expect(atomic_load(&who->tid) != own_tid());
    if (is_processes(kind)) {
        expect_int(atomic_load(&who->worker), 0);
    } else {
        expect_int(atomic_load(&who->worker), worker[0]);
        expect_int(atomic_load(&who->tid), worker[1]);
    }
}

static void the_right_thread_calls_back(const void *kind)
{
    enum { TASKS = 40 };
    struct who who[TASKS] = {0};
    struct future *futures[TASKS];
    struct pool *pool;

    set_stage();
    pool = open_pool(kind, 4);
    for (int i = 0; i < TASKS; i++) {
        futures[i] =
            pool_submit(pool, worker_and_tid, NULL, 0, 2 * sizeof(int));
        expect_int(
            future_add_done_callback(futures[i], note_who, &who[i]), 0);
    }
    post_times(&stage->gate, TASKS);
    finish_pool(pool);
    for (int i = 0; i < TASKS; i++) {
        int worker[2];

        expect_int(future_result(futures[i], worker, 0), 0);
        expect_right_one(kind, &who[i], worker);
        future_free(futures[i]);
    }
}

static void *cancel_it(void *future)
{
    int *tid = malloc(sizeof *tid);

    expect(tid != NULL);
    *tid = own_tid();
    expect(future_cancel(future));
    return tid;
}

static void who_cancels_calls_back(const void *kind)
{
    struct who who = {0};
    struct pool *pool;
    struct future *blocked, *future;
    pthread_t thread;
    void *tid;

    set_stage();
    pool = open_pool(kind, 1);
    blocked = block_worker(pool);
    future = submit_bare(pool, count_run);
    future_add_done_callback(future, note_who, &who);
    thread = start_thread(cancel_it, future);
    expect_int(pthread_join(thread, &tid), 0);
    expect_int(atomic_load(&who.times), 1);
    expect_int(atomic_load(&who.tid), *(int *)tid);
    free(tid);
    sem_post(&stage->gate);
    finish_pool(pool);
    future_free(future);
    future_free(blocked);
    expect_int(atomic_load(&who.times), 1);
    expect_int(atomic_load(&stage->runs), 0);
}

static void who_terminates_calls_back(const void *kind)
{
    enum { TASKS = 20 };
    struct who who[TASKS] = {0};
    struct pool *pool;
    struct future *blocked, *future;

    set_stage();
    pool = open_pool(kind, 1);
    blocked = block_worker(pool);
    for (int i = 0; i < TASKS; i++) {
        future = submit_bare(pool, count_run);
        future_add_done_callback(future, note_who, &who[i]);
        future_free(future);
    }
    expect_int(pool_terminate(pool), 0);
    for (int i = 0; i < TASKS; i++) {
        expect_int(atomic_load(&who[i].times), 1);
        expect_int(atomic_load(&who[i].tid), own_tid());
    }
    sem_post(&stage->gate);
    pool_free(pool);
    future_free(blocked);
    expect_int(atomic_load(&stage->runs), 0);
}

static void on_a_settled_future_the_caller_calls_back(const void *kind)
{
    struct who who = {0};
    struct pool *pool = open_pool(kind, 1);
    struct future *future = submit_int(pool, twice, 4);
    struct future *cancelled;

    /* Afterwards all callbacks have run, of which there were none. */
    finish_pool(pool);
    expect_int(future_add_done_callback(future, note_who, &who), 0);
    expect_int(atomic_load(&who.times), 1);
    expect_int(atomic_load(&who.tid), own_tid());
    expect_int(future_add_done_callback(future, note_who, &who), 0);
    expect_int(atomic_load(&who.times), 2);
    future_free(future);

    set_stage();
    pool = open_pool(kind, 1);
    future = block_worker(pool);
    cancelled = submit_bare(pool, count_run);
    expect(future_cancel(cancelled));
    expect_int(future_add_done_callback(cancelled, note_who, &who), 0);
    expect_int(atomic_load(&who.times), 3);
    expect_int(atomic_load(&who.tid), own_tid());
    future_free(cancelled);
    sem_post(&stage->gate);
    finish_pool(pool);
    future_free(future);
}

/*
 * Callbacks are added while their tasks end, so that some come before
 * and some after the moment it is settled: none is lost or doubled.
 */
static void a_callback_added_at_the_end_runs_once(const void *kind)
{
    enum { ROUNDS = 1000, EACH = 4 };
    struct pool *pool = open_pool(kind, 2);
    atomic_int calls = 0;

    for (int i = 0; i < ROUNDS; i++) {
        struct future *future = submit_int(pool, twice, i);

        for (int j = 0; j < EACH; j++)
            expect_int(
                future_add_done_callback(future, count_call, &calls),
                0);
        future_free(future);
    }
    finish_pool(pool);
    expect_int(atomic_load(&calls), EACH * ROUNDS);
}

/* --------------------------------------------- that go wrong -- */

static int fail_to_call(struct future *future, void *context)
{
    (void)future, (void)context;
    return EDOM;
}

/* From here on, what is written to stderr is in the file. */
static FILE *catch_stderr(int *before)
{
    FILE *file = tmpfile();

    expect(file != NULL);
    fflush(stderr);
    *before = dup(STDERR_FILENO);
    expect(*before >= 0);
    expect(dup2(fileno(file), STDERR_FILENO) >= 0);
    return file;
}

static void release_stderr(FILE *file, int before, char *text,
                           size_t size)
{
    size_t length;

    fflush(stderr);
    expect(dup2(before, STDERR_FILENO) >= 0);
    close(before);
    rewind(file);
    length = fread(text, 1, size - 1, file);
    text[length] = '\0';
    (void)fclose(file);
}

static void a_failing_callback_is_reported(const void *kind)
{
    struct pool *pool;
    struct future *future;
    atomic_int calls = 0;
    char text[1000];
    int before;
    FILE *file;

    set_stage();
    pool = open_pool(kind, 1);
    future = block_worker(pool);
    future_add_done_callback(future, count_call, &calls);
    future_add_done_callback(future, fail_to_call, NULL);
    future_add_done_callback(future, count_call, &calls);
    file = catch_stderr(&before);
    sem_post(&stage->gate);
    finish_pool(pool);
    release_stderr(file, before, text, sizeof text);
    future_free(future);
    expect_int(atomic_load(&calls), 2);
    expect(strstr(text, "callback of task 1") != NULL);
    expect(strstr(text, "EDOM") != NULL);
    expect(strchr(text, '\n') == text + strlen(text) - 1); /* a line */
}

static int note_end(struct future *future, void *context)
{
    int value = 0;

    expect(future_done(future));
    expect(!future_running(future));
    atomic_store((atomic_int *)context,
                 future_result(future, &value, 0) == 0 ? value : -1);
    return 0;
}

static void apply_async_calls_the_one_that_fits(const void *kind)
{
    struct {
        atomic_int good, bad;
    } seen[4] = {0};
    struct pool *pool;
    int error = EDOM, number = 21;

    set_stage();
    pool = open_pool(kind, 1);
    pool_apply_async(pool, twice, &number, sizeof number, sizeof number,
                     note_end, NULL, &seen[0].good);
    pool_apply_async(pool, twice, &number, sizeof number, sizeof number,
                     NULL, count_call, &seen[0].bad);
    pool_apply_async(pool, fail_with, &error, sizeof error, 0,
                     count_call, NULL, &seen[1].good);
    pool_apply_async(pool, fail_with, &error, sizeof error, 0, NULL,
                     note_end, &seen[1].bad);
    pool_apply_async(pool, twice, &number, sizeof number, sizeof number,
                     NULL, NULL, NULL);
    future_free(block_worker(pool));
    pool_apply_async(pool, count_run, NULL, 0, 0, count_call, NULL,
                     &seen[2].good);
    pool_apply_async(pool, count_run, NULL, 0, 0, NULL, note_end,
                     &seen[2].bad);
    expect_int(pool_terminate(pool), 0);
    sem_post(&stage->gate);
    pool_free(pool);
    expect_int(atomic_load(&seen[0].good), 2 * number);
    expect_int(atomic_load(&seen[0].bad), 0);
    expect_int(atomic_load(&seen[1].good), 0);
    expect_int(atomic_load(&seen[1].bad), -1);
    expect_int(atomic_load(&seen[2].good), 0);
    expect_int(atomic_load(&seen[2].bad), -1); /* dropped */
}

static int add_another(struct future *future, void *context)
{
    expect_int(future_add_done_callback(future, count_call, context),
               0);
    return 0;
}

/* Of a task that succeeds or fails, one of them runs and adds one. */
static void apply_async_s_callbacks_may_add_others(const void *kind)
{
    struct {
        pool_task *task;
        future_callback *good, *bad;
    } ways[] = {{twice, add_another, NULL},
                {twice, add_another, add_another},
                {fail_with, NULL, add_another},
                {fail_with, add_another, add_another}};
    struct pool *pool = open_pool(kind, 1);
    atomic_int calls = 0;
    int number = EDOM;

    for (int i = 0; i < 4; i++)
        expect_int(pool_apply_async(pool, ways[i].task, &number,
                                    sizeof number, sizeof number,
                                    ways[i].good, ways[i].bad, &calls),
                   0);
    finish_pool(pool);
    expect_int(atomic_load(&calls), 4);
}

/* ---------------------------------------------- and waiting -- */

static sem_t door; /* in front of a slow callback */
static atomic_int tid_of_main;

static int wait_at_door(struct future *future, void *context)
{
    (void)future;
    await(&door);
    atomic_fetch_add((atomic_int *)context, 1);
    return 0;
}

/* Opens the door once the one who joins has gone to sleep. */
static void *open_door(void *arg)
{
    (void)arg;
    until_asleep(&tid_of_main);
    sem_post(&door);
    return NULL;
}

static void join_waits_for_callbacks(const void *kind)
{
    struct pool *pool = open_pool(kind, 2);
    atomic_int calls = 0;
    int number = 1;
    pthread_t opener;

    sem_init(&door, 0, 0);
    expect_int(pool_apply_async(pool, twice, &number, sizeof number,
                                sizeof number, wait_at_door, NULL,
                                &calls),
               0);
    expect_int(pool_close(pool), 0);
    atomic_store(&tid_of_main, own_tid());
    opener = start_thread(open_door, NULL);
    expect_int(pool_join(pool), 0);
    expect_int(atomic_load(&calls), 1);
    end_thread(opener);
    pool_free(pool);
}

/* In a thread pool it takes its worker's time as well. */
static void a_slow_callback_delays_only_callbacks(const void *kind)
{
    enum { TASKS = 300 }; /* more than the pool has places */
    atomic_int slow = 0, others = 0;
    struct pool *pool;
    int number = 1;

    set_stage();
    sem_init(&door, 0, 0);
    pool = open_pool(kind, 2);
    expect_int(pool_apply_async(pool, twice, &number, sizeof number,
                                sizeof number, wait_at_door, NULL,
                                &slow),
               0);
    for (int i = 0; i < TASKS; i++)
        expect_int(take_int(submit_int(pool, twice, i)), 2 * i);
    if (is_processes(kind)) {
        struct future *future = submit_int(pool, twice_at_gate, 8);

        future_add_done_callback(future, count_call, &others);
        sem_post(&stage->gate); /* not done before it has one */
        expect_int(take_int(future), 16);
        expect_int(atomic_load(&others), 0);
    }
    expect_int(atomic_load(&slow), 0);
    sem_post(&door);
    finish_pool(pool);
    expect_int(atomic_load(&slow), 1);
    expect_int(atomic_load(&others), is_processes(kind));
}

/* ------------------------------------------ a callback submits -- */

enum { BRANCHES = 500, DEPTH = 2000 };

static int submit_many(struct future *future, void *context)
{
    (void)future;
    for (int i = 0; i < BRANCHES; i++)
        expect_int(pool_apply_async(pool_of_all, count_run, NULL, 0, 0,
                                    count_call, NULL, context),
                   0);
    return 0;
}

static int submit_next(struct future *future, void *context)
{
    (void)future;
    if (atomic_fetch_add((atomic_int *)context, 1) + 1 < DEPTH)
        expect_int(pool_apply_async(pool_of_all, count_run, NULL, 0, 0,
                                    submit_next, NULL, context),
                   0);
    return 0;
}

/*
 * From a full pool, with all places taken: the callbacks' tasks are
 * more than it has room for, and nobody but them could make room.
 */
static void a_callback_may_submit_without_end(const void *kind)
{
    enum { PRODUCERS = 200 };
    atomic_int calls = 0, chain = 0;
    int places = places_of(1);
    struct pool *pool;

    set_stage();
    pool = pool_of_all = open_pool(kind, 1);
    future_free(block_worker(pool));
    for (int i = 1; i < places; i++)
        expect_int(pool_apply_async(pool, count_run, NULL, 0, 0,
                                    i < 10 ? submit_many : count_call,
                                    NULL, &calls),
                   0);
    sem_post(&stage->gate);
    expect_int(pool_apply_async(pool, count_run, NULL, 0, 0,
                                submit_next, NULL, &chain),
               0);
    for (int i = 0; i < PRODUCERS; i++)
        expect_int(pool_apply_async(pool, count_run, NULL, 0, 0,
                                    count_call, NULL, &calls),
                   0);
    while (atomic_load(&chain) < DEPTH)
        clock_sleep(0.001); /* a close would refuse the rest of it */
    finish_pool(pool);
    expect_int(atomic_load(&calls),
               9 * BRANCHES + places - 10 + PRODUCERS);
    expect_int(atomic_load(&stage->runs),
               9 * BRANCHES + places - 1 + PRODUCERS + DEPTH);
}

/* The callback of a cancelled task runs in a thread of the program. */
static void a_canceller_s_callback_may_submit(const void *kind)
{
    atomic_int calls = 0;
    struct pool *pool;
    struct future *last = NULL;

    set_stage();
    pool = pool_of_all = open_pool(kind, 1);
    future_free(block_worker(pool));
    for (int i = 1; i < places_of(1); i++) {
        future_free(last);
        last = submit_bare(pool, count_run);
    }
    future_add_done_callback(last, submit_many, &calls);
    expect(future_cancel(last));
    future_free(last);
    sem_post(&stage->gate);
    finish_pool(pool);
    expect_int(atomic_load(&calls), BRANCHES);
    expect_int(atomic_load(&stage->runs), BRANCHES + places_of(1) - 2);
}

static sem_t *other_gate; /* shared */

static int stand_at_other_gate(const void *arg, void *result)
{
    (void)arg, (void)result;
    await(other_gate);
    return 0;
}

static int cancel_other(struct future *future, void *other)
{
    (void)future;
    expect(future_cancel(other));
    return 0;
}

/*
 * A callback of one pool cancels a task of another, whose callback
 * submits to the first: that one is full, and waits for its callback.
 */
static void a_callback_in_a_callback_may_submit(const void *kind)
{
    const int wanted = BRANCHES + places_of(1) - 1;
    atomic_int calls = 0;
    struct pool *pool, *other_pool;
    struct future *first, *other;

    set_stage();
    other_gate = shared_alloc(sizeof *other_gate);
    expect(other_gate != NULL);
    sem_init(other_gate, 1, 0);
    pool = pool_of_all = open_pool(kind, 1);
    other_pool = open_pool(kind, 1);
    future_free(submit_bare(other_pool, stand_at_other_gate));
    other = submit_bare(other_pool, count_run);
    expect_int(future_add_done_callback(other, submit_many, &calls), 0);
    first = block_worker(pool);
    expect_int(future_add_done_callback(first, cancel_other, other), 0);
    for (int i = 1; i < places_of(1); i++)
        expect_int(pool_apply_async(pool, count_run, NULL, 0, 0,
                                    count_call, NULL, &calls),
                   0);
    sem_post(&stage->gate);
    while (atomic_load(&calls) < wanted)
        clock_sleep(0.001); /* a close would refuse some of them */
    finish_pool(pool);
    sem_post(other_gate);
    finish_pool(other_pool);
    expect_int(atomic_load(&calls), wanted);
    future_free(first);
    future_free(other);
}

static int end_pool(struct future *future, void *context)
{
    (void)future;
    expect_int(pool_close(pool_of_all), 0);
    expect_int(pool_join(pool_of_all), EDEADLK);
    expect_int(pool_terminate(pool_of_all), 0);
    expect_int(pool_apply_async(pool_of_all, count_run, NULL, 0, 0,
                                NULL, NULL, NULL),
               EPIPE);
    atomic_fetch_add((atomic_int *)context, 1);
    return 0;
}

static void a_callback_may_end_the_pool_not_join(const void *kind)
{
    atomic_int calls = 0;
    struct pool *pool;
    struct future *future;

    set_stage();
    pool = pool_of_all = open_pool(kind, 1);
    future = block_worker(pool);
    expect_int(future_add_done_callback(future, end_pool, &calls), 0);
    sem_post(&stage->gate);
    /* Somebody else's callback: of the one who cancels. */
    expect_int(future_result(future, NULL, PATIENCE), 0);
    while (atomic_load(&calls) == 0)
        clock_sleep(0.001);
    expect_int(pool_join(pool), 0);
    pool_free(pool);
    future_free(future);
}

static void a_canceller_s_callback_may_not_join(const void *kind)
{
    atomic_int calls = 0;
    struct pool *pool;
    struct future *future;

    set_stage();
    pool = pool_of_all = open_pool(kind, 1);
    future_free(block_worker(pool));
    future = submit_bare(pool, count_run);
    expect_int(future_add_done_callback(future, end_pool, &calls), 0);
    expect(future_cancel(future));
    expect_int(atomic_load(&calls), 1);
    future_free(future);
    sem_post(&stage->gate);
    expect_int(pool_join(pool), 0); /* it is no callback any more */
    pool_free(pool);
}

/* A child that it starts can be ended, as one of the program's. */
static int note_mask(struct future *future, void *context)
{
    (void)future;
    return pthread_sigmask(SIG_SETMASK, NULL, context);
}

static void a_callback_has_the_program_s_signal_mask(const void *kind)
{
    sigset_t mine, seen;
    struct pool *pool;

    sigemptyset(&mine);
    sigaddset(&mine, SIGUSR1);
    expect_int(pthread_sigmask(SIG_SETMASK, &mine, NULL), 0);
    set_stage();
    pool = open_pool(kind, 1);
    expect_int(pool_apply_async(pool, count_run, NULL, 0, 0, note_mask,
                                NULL, &seen),
               0);
    finish_pool(pool);
    for (int signal = 1; signal <= SIGSYS; signal++)
        expect_int(sigismember(&seen, signal),
                   sigismember(&mine, signal));
}

static const struct test tests[] = {
    BOTH(callbacks_run_once_in_the_order_added),
    BOTH(the_right_thread_calls_back),
    BOTH(who_cancels_calls_back),
    BOTH(who_terminates_calls_back),
    BOTH(on_a_settled_future_the_caller_calls_back),
    BOTH(a_callback_added_at_the_end_runs_once),
    BOTH(a_failing_callback_is_reported),
    BOTH(apply_async_calls_the_one_that_fits),
    BOTH(apply_async_s_callbacks_may_add_others),
    BOTH(join_waits_for_callbacks),
    BOTH(a_slow_callback_delays_only_callbacks),
    BOTH(a_callback_may_submit_without_end),
    BOTH(a_canceller_s_callback_may_submit),
    BOTH(a_callback_in_a_callback_may_submit),
    BOTH(a_callback_may_end_the_pool_not_join),
    BOTH(a_canceller_s_callback_may_not_join),
    BOTH(a_callback_has_the_program_s_signal_mask),
    {0}};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
