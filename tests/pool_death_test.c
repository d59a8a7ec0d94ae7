/*
 * pool_death_test.c -- worker processes that die, and programs that
 * die with workers.
 */
#include <dlfcn.h>
#include <sys/prctl.h>

#include "pool_help.h"

/* Which process is which worker, as the observer sees it. */
enum { CREW = 4 };

static atomic_int *pids; /* shared; [0] is not used */

static void note_pids(enum pool_event event, int worker, uint64_t task)
{
    (void)task;
    if (event == POOL_WORKER_STARTED)
        atomic_store(&pids[worker], getpid());
    if (event == POOL_WORKER_ENDED)
        atomic_store(&pids[worker], 0);
}

static struct pool *open_crew(int workers)
{
    set_stage();
    pids = shared_alloc((POOL_WORKERS_MAX + 1) * sizeof *pids);
    expect(pids != NULL);
    pool_observe(note_pids);
    return open_pool(&pool_processes, workers);
}

/* The pid of a worker that has started, also in a dead one's place. */
static pid_t pid_of(int worker)
{
    double end = clock_deadline(PATIENCE);
    pid_t pid;

    while ((pid = atomic_load(&pids[worker])) == 0) {
        expect(clock_left(end) > 0);
        clock_sleep(0.0005);
    }
    return pid;
}

/* One that died a moment ago may be gone before it is noted. */
static void kill_worker(int worker)
{
    expect(kill(pid_of(worker), SIGKILL) == 0 || errno == ESRCH);
}

/* All workers are there: as many tasks run at the same time. */
static void expect_full_crew(struct pool *pool, int workers)
{
    struct future *futures[CREW];

    for (int i = 0; i < workers; i++)
        futures[i] = submit_int(pool, twice_at_gate, i);
    await_times(&stage->arrived, workers);
    post_times(&stage->gate, workers);
    for (int i = 0; i < workers; i++)
        expect_int(take_int(futures[i]), 2 * i);
}

/* Ends the pool; its children are gone and reaped. */
static void finish_crew(struct pool *pool)
{
    finish_pool(pool);
    expect_childless();
}

/* ------------------------------------------- one worker dies -- */

static int worker_at_gate(const void *arg, void *result)
{
    (void)arg;
    *(int *)result = pool_worker();
    sem_post(&stage->arrived);
    await(&stage->gate);
    return 0;
}

static int kill_oneself(const void *arg, void *result)
{
    (void)result;
    return raise(*(const int *)arg);
}

static void a_killed_worker_fails_its_task_only(void)
{
    struct future *futures[CREW], *victim, *queued[20];
    struct pool *pool = open_crew(CREW);
    int killed = 0;

    victim = submit_bare(pool, stay);
    await(&stage->arrived);
    for (int i = 0; i < CREW - 1; i++)
        futures[i] = submit_int(pool, worker_at_gate, i);
    await_times(&stage->arrived, CREW - 1);
    for (int i = 0; i < 20; i++)
        queued[i] = submit_int(pool, twice, i);
    /* The victim is the worker that none of the others is. */
    post_times(&stage->gate, CREW - 1);
    for (int i = 0; i < CREW - 1; i++)
        killed += take_int(futures[i]);
    killed = 1 + 2 + 3 + 4 - killed;
    kill_worker(killed);

    expect_int(future_result(victim, NULL, PATIENCE), EOWNERDEAD);
    expect(strstr(task_message(), "signal 9") != NULL);
    expect(!future_cancelled(victim) && future_done(victim));
    future_free(victim);
    for (int i = 0; i < 20; i++)
        expect_int(take_int(queued[i]), 2 * i);
    expect_full_crew(pool, CREW);
    expect(atomic_load(&pids[killed]) > 0); /* it has its number */
    finish_crew(pool);
}

static int end_with_status(const void *arg, void *result)
{
    (void)result;
    _exit(*(const int *)arg);
}

static int leave_with_status(const void *arg, void *result)
{
    (void)result;
    exit(*(const int *)arg);
}

static int abort_it(const void *arg, void *result)
{
    (void)arg, (void)result;
    signal(SIGABRT, SIG_DFL); /* a sanitizer might catch it */
    abort();
}

static void expect_says(const char *words)
{
    if (strstr(task_message(), words) == NULL)
        test_fail(__FILE__, __LINE__, "\"%s\" lacks \"%s\"",
                  task_message(), words);
}

/* What pool_apply says of the end; others are not harmed by it. */
static void expect_death(struct pool *pool, pool_task *task, int number,
                         const char *words)
{
    int result;

    expect_int(pool_apply(pool, task, &number, sizeof number, &result,
                          sizeof result),
               EOWNERDEAD);
    expect_says(words);
    number = 21;
    expect_int(pool_apply(pool, twice, &number, sizeof number, &result,
                          sizeof result),
               0);
    expect_int(result, 42);
}

static void the_message_says_of_what_it_died(void)
{
    struct pool *pool = open_crew(1);

    expect_death(pool, end_with_status, 7, "status 7");
    expect_death(pool, end_with_status, 0, "status 0");
    /* A leak checker has its own opinion at exit. */
    expect_death(pool, leave_with_status, 7,
                 SANITIZED ? "status" : "status 7");
    expect_death(pool, abort_it, 0, "signal 6");
    expect_death(pool, kill_oneself, SIGKILL, "signal 9");
    expect_death(pool, kill_oneself, SIGTERM, "signal 15");
    finish_crew(pool);
}

static int note_error(struct future *future, void *context)
{
    atomic_store((atomic_int *)context, future_exception(future, 0));
    return 0;
}

static void a_death_goes_to_the_error_callback(void)
{
    struct pool *pool = open_crew(2);
    atomic_int error = 0, number = SIGKILL, good = 0;

    expect_int(pool_apply_async(pool, kill_oneself, &number,
                                sizeof(int), 0, note_error, NULL,
                                &good),
               0);
    expect_int(pool_apply_async(pool, kill_oneself, &number,
                                sizeof(int), 0, NULL, note_error,
                                &error),
               0);
    finish_crew(pool);
    expect_int(atomic_load(&error), EOWNERDEAD);
    expect_int(atomic_load(&good), 0);
}

static void idle_workers_may_be_killed(void)
{
    struct pool *pool = open_crew(CREW);

    for (int round = 0; round < 5; round++) {
        for (int i = 1; i <= CREW; i++)
            kill_worker(i);
        expect_full_crew(pool, CREW);
    }
    /* All at once, and in the moment when there is work again. */
    for (int round = 0; round < 20; round++) {
        struct future *futures[CREW];

        for (int i = 1; i <= CREW; i++)
            kill_worker(i);
        for (int i = 0; i < CREW; i++)
            futures[i] = submit_int(pool, twice, i);
        for (int i = 0; i < CREW; i++) {
            int error = future_exception(futures[i], PATIENCE);

            /* A killed one may go on for a moment, and take it. */
            expect(error == 0 || error == EOWNERDEAD);
            future_free(futures[i]);
        }
    }
    finish_crew(pool);
}

/* --------------------------------------------- inside a map -- */

enum { ITEMS = 100 };

static int twice_but_13_and_17(const void *arg, void *result)
{
    int item = *(const int *)arg;

    atomic_fetch_add(&stage->runs, 1);
    if (item == 13 || item == 17)
        raise(SIGKILL);
    return twice(arg, result);
}

static int twice_but_5_and_13(const void *arg, void *result)
{
    int item = *(const int *)arg;

    atomic_fetch_add(&stage->runs, 1);
    if (item == 13)
        raise(SIGKILL);
    if (item == 5)
        return task_error(EDOM, "five fails");
    return twice(arg, result);
}

/* A chunk goes on behind the item in which its worker died. */
static void expect_items(struct pool *pool, pool_task *task,
                         size_t chunk, int first, int second, int error)
{
    int args[ITEMS], results[ITEMS];

    atomic_store(&stage->runs, 0);
    for (int i = 0; i < ITEMS; i++)
        args[i] = i;
    expect_int(pool_map(pool, task, args, sizeof *args, results,
                        sizeof *results, ITEMS, chunk, INFINITY),
               error);
    for (int i = 0; i < ITEMS; i++)
        if (i != first && i != second)
            expect_int(results[i], 2 * i);
    expect_int(atomic_load(&stage->runs), ITEMS);
}

static void a_death_in_map_fails_one_item(void)
{
    static const size_t chunks[] = {1, 4, 10, ITEMS};
    struct pool *pool = open_crew(2);

    for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
        expect_items(pool, twice_but_13_and_17, chunks[i], 13, 17,
                     EOWNERDEAD);
        expect(strstr(task_message(), "item 13") != NULL);
        expect(strstr(task_message(), "signal 9") != NULL);
        expect_items(pool, twice_but_5_and_13, chunks[i], 5, 13, EDOM);
        expect(strstr(task_message(), "five fails") != NULL);
    }
    finish_crew(pool);
}

static void die_at_the_end(enum pool_event event, int worker,
                           uint64_t task)
{
    (void)worker;
    if (event == POOL_TASK_ENDED && task == 1)
        raise(SIGKILL);
}

/* Dead when all was done and nothing was told yet. */
static void a_death_after_the_last_item_fails_none(void)
{
    int args[] = {1, 2, 3}, results[3], result;
    struct pool *pool;

    pool_observe(die_at_the_end);
    pool = open_pool(&pool_processes, 1);
    expect_int(pool_map(pool, twice, args, sizeof *args, results,
                        sizeof *results, 3, 3, INFINITY),
               0);
    for (int i = 0; i < 3; i++)
        expect_int(results[i], 2 * args[i]);
    finish_crew(pool);

    pool = open_pool(&pool_processes, 1);
    expect_int(pool_apply(pool, twice, args, sizeof *args, &result,
                          sizeof result),
               0);
    expect_int(result, 2);
    finish_crew(pool);
}

/* --------------------------------------- at any moment at all -- */

enum { TASKS = 2000 };

struct killer {
    atomic_bool stop;
    int wanted; /* kills: it stops after that many */
    atomic_int done;
    unsigned seed;
};

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void *kill_at_random(void *arg)
{
    struct killer *killer = arg;

    while (!atomic_load(&killer->stop) &&
           atomic_load(&killer->done) < killer->wanted) {
        int worker = 1 + (int)(next_random(&killer->seed) % CREW);
        pid_t pid;

        clock_sleep(next_random(&killer->seed) % 400 * 1e-6);
        pid = atomic_load(&pids[worker]);
        if (pid > 0 && kill(pid, SIGKILL) == 0)
            atomic_fetch_add(&killer->done, 1);
    }
    return NULL;
}

static atomic_uchar *ran; /* how often each task did */

static int enter_twice(const void *arg, void *result)
{
    atomic_fetch_add(&ran[*(const int *)arg], 1);
    return twice(arg, result);
}

/* Each has succeeded and run once, or failed in its one run. */
static void expect_account(struct future *future, int number)
{
    int result = -1;
    int error = future_result(future, &result, PATIENCE);

    if (error == 0) {
        expect_int(result, 2 * number);
        expect_int(atomic_load(&ran[number]), 1);
    } else {
        expect_int(error, EOWNERDEAD);
        expect_says("signal 9");
        expect(atomic_load(&ran[number]) <= 1);
    }
    future_free(future);
}

static void no_kill_loses_or_doubles_a_task(void)
{
    static struct future *futures[TASKS];
    struct killer killer = {.wanted = 500, .seed = (unsigned)getpid()};
    struct pool *pool;
    pthread_t thread;

    ran = shared_alloc(TASKS);
    pool = open_crew(CREW);
    thread = start_thread(kill_at_random, &killer);
    while (atomic_load(&killer.done) < killer.wanted) {
        for (int i = 0; i < TASKS; i++) {
            atomic_store(&ran[i], 0);
            futures[i] = submit_int(pool, enter_twice, i);
        }
        for (int i = 0; i < TASKS; i++)
            expect_account(futures[i], i);
    }
    end_thread(thread);
    expect_full_crew(pool, CREW);
    finish_crew(pool);
}

/* The same for who waits in apply and in map. */
static void no_kill_hangs_apply_or_map(void)
{
    struct pool *pool = open_crew(CREW);
    struct killer killer = {.wanted = 150, .seed = (unsigned)getpid()};
    pthread_t thread = start_thread(kill_at_random, &killer);
    int args[ITEMS], results[ITEMS];

    while (atomic_load(&killer.done) < killer.wanted) {
        for (int i = 0; i < ITEMS; i++) {
            int error = pool_apply(pool, twice, &i, sizeof i,
                                   &results[i], sizeof i);

            expect(error == EOWNERDEAD ||
                   (error == 0 && results[i] == 2 * i));
            args[i] = i;
            results[i] = -1;
        }
        if (pool_map(pool, twice, args, sizeof *args, results,
                     sizeof *results, ITEMS, 3, INFINITY) == 0)
            for (int i = 0; i < ITEMS; i++)
                expect_int(results[i], 2 * i);
    }
    end_thread(thread);
    finish_crew(pool);
}

static int count_end(struct future *future, void *context)
{
    expect(future_done(future));
    atomic_fetch_add((atomic_int *)context, 1);
    return 0;
}

/* Kills go on while the pool is ended, each round in another way. */
static void kills_while_it_ends_do_not_hang_it(void)
{
    enum { ROUNDS = 45, EACH = 100 };

    for (int round = 0; round < ROUNDS; round++) {
        struct pool *pool = open_crew(CREW);
        struct killer killer = {.wanted = 20,
                                .seed = (unsigned)round + 1};
        pthread_t thread = start_thread(kill_at_random, &killer);
        atomic_int ended = 0;

        for (int i = 0; i < EACH; i++)
            expect_int(pool_apply_async(pool, twice, &i, sizeof i,
                                        sizeof i, count_end, count_end,
                                        &ended),
                       0);
        if (round % 3 == 0)
            expect_int(pool_terminate(pool), 0);
        if (round % 3 == 1)
            expect_int(pool_close(pool), 0);
        if (round % 3 != 2)
            expect_int(pool_join(pool), 0);
        pool_free(pool);
        expect_childless();
        expect_int(atomic_load(&ended), EACH);
        atomic_store(&killer.stop, true);
        end_thread(thread);
    }
}

/*
 * sem_post as all of the program calls it.  The first thread of the
 * parent that does so when `hold_next` is set is held up there.
 */
static atomic_bool hold_next, held, let_go;

int sem_post(sem_t *semaphore)
{
    static int (*real)(sem_t *);

    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "sem_post");
    if (atomic_exchange(&hold_next, false)) {
        atomic_store(&held, true);
        while (!atomic_load(&let_go))
            clock_sleep(0.0005);
    }
    return real(semaphore);
}

static int stay_at_first(const void *arg, void *result)
{
    return *(const int *)arg == 0 ? stay(arg, result) : 0;
}

static void *map_two(void *pool)
{
    int args[] = {0, 1};

    expect(pool_map(pool, stay_at_first, args, sizeof *args, NULL, 0, 2,
                    2, INFINITY) != 0);
    return NULL;
}

/*
 * The rest of a chunk must not wait for another worker when the pool
 * is terminated after its worker was found dead.
 */
static void terminate_may_come_into_a_burial(void)
{
    struct pool *pool = open_crew(1);
    pthread_t mapper = start_thread(map_two, pool);
    double end = clock_deadline(PATIENCE);

    await(&stage->arrived);
    atomic_store(&hold_next, true);
    kill_worker(1);
    while (!atomic_load(&held)) {
        expect(clock_left(end) > 0);
        clock_sleep(0.0005);
    }
    expect_int(pool_terminate(pool), 0);
    atomic_store(&let_go, true);
    expect_int(pool_join(pool), 0);
    end_thread(mapper);
    finish_crew(pool);
}

/* ------------------------------------------ the program as a whole */

/*
 * Runs it in a child of its own.  What that leaves behind becomes our
 * child, and is waited for: a worker that lives on is a hang.
 */
static int run_in_child(void (*program)(double), double argument)
{
    int status = 0;
    pid_t child;

    expect_int(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    child = fork();
    expect(child >= 0);
    if (child == 0) {
        program(argument);
        _exit(0);
    }
    expect_int(waitpid(child, &status, 0), child);
    return status;
}

static int orphans(void)
{
    int count = 0, status;

    while (waitpid(-1, &status, __WALL) > 0) {
        expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        count++;
    }
    expect_int(errno, ECHILD);
    return count;
}

/* Two busy workers and two idle ones. */
static void open_and_be_killed(double delay)
{
    struct pool *pool = open_crew(CREW);

    (void)delay;
    submit_bare(pool, stay);
    submit_bare(pool, stay);
    await_times(&stage->arrived, 2);
    for (int i = 1; i <= CREW; i++)
        pid_of(i);
    raise(SIGKILL);
}

static void workers_die_with_a_killed_program(void)
{
    int status = run_in_child(open_and_be_killed, 0);

    expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    expect_int(orphans(), CREW);
}

static void open_and_exit(double delay)
{
    struct pool *pool = open_crew(CREW);

    (void)delay;
    submit_bare(pool, stay);
    await(&stage->arrived);
    for (int i = 1; i <= CREW; i++)
        pid_of(i);
    _exit(3);
}

static void workers_die_with_a_program_that_ends(void)
{
    int status = run_in_child(open_and_exit, 0);

    expect(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    expect_int(orphans(), CREW);
}

static void *kill_program(void *delay)
{
    clock_sleep(*(double *)delay);
    raise(SIGKILL);
    return NULL;
}

static void open_until_killed(double delay)
{
    start_thread(kill_program, &delay);
    set_stage();
    for (;;) {
        struct pool *pool = open_pool(&pool_processes, CREW);

        for (int i = 0; i < 50; i++)
            future_free(submit_int(pool, twice, i));
        finish_pool(pool);
    }
}

/* Also while it forks, and before a child has said whose it is. */
static void no_moment_for_it_to_die_leaves_workers(void)
{
    enum { ROUNDS = 60 };

    for (int i = 0; i < ROUNDS; i++) {
        int status = run_in_child(open_until_killed, i * 0.0001);

        expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        /* One that was told late ends by itself, with a status. */
        while (waitpid(-1, NULL, __WALL) > 0)
            continue;
        expect_int(errno, ECHILD);
    }
}

static pid_t program; /* that is about to die */

static void die_in_fork(void)
{
    raise(SIGKILL);
}

static void wait_for_its_death(void)
{
    while (getppid() == program)
        clock_sleep(0.0005);
}

static void die_with_the_first_fork(double delay)
{
    (void)delay;
    program = getpid();
    expect_int(pthread_atfork(NULL, die_in_fork, wait_for_its_death),
               0);
    open_pool(&pool_processes, CREW);
}

/* The worker comes too late to be told: it has to see for itself. */
static void a_worker_born_too_late_ends(void)
{
    int status = run_in_child(die_with_the_first_fork, 0);

    expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    expect(waitpid(-1, NULL, __WALL) > 0);
    expect_int(waitpid(-1, NULL, __WALL), -1);
}

/* ------------------------------- the program's own affairs -- */

static void *open_briefly(void *arg)
{
    *(struct pool **)arg = open_crew(CREW);
    return NULL;
}

static void the_thread_that_opened_it_may_end(void)
{
    struct pool *pool;
    pid_t first[CREW];

    end_thread(start_thread(open_briefly, &pool));
    for (int i = 0; i < CREW; i++)
        first[i] = pid_of(i + 1);
    expect_full_crew(pool, CREW);
    for (int i = 0; i < CREW; i++)
        expect_int(pid_of(i + 1), first[i]); /* they live on */
    kill_worker(1);
    expect_full_crew(pool, CREW);
    finish_crew(pool);
}

/* Holds now one lock of the C library, now another. */
static void *bustle(void *stop)
{
    while (!atomic_load((atomic_bool *)stop)) {
        void *memory = malloc(300);
        char text[32];

        expect(memory != NULL);
        snprintf(text, sizeof text, "%p", memory);
        fputs("", stdout);
        fputs("", stderr);
        free(memory);
    }
    return NULL;
}

static int use_library(const void *arg, void *result)
{
    char *text = malloc(5000);

    expect(text != NULL);
    snprintf(text, 5000, "%g", 1.5);
    free(text);
    return twice(arg, result);
}

static void a_program_may_have_threads(void)
{
    enum { THREADS = 3, ROUNDS = 25 };
    pthread_t threads[THREADS];
    atomic_bool stop = false;
    int args[20], results[20];

    for (int i = 0; i < THREADS; i++)
        threads[i] = start_thread(bustle, &stop);
    for (int i = 0; i < 20; i++)
        args[i] = i;
    for (int round = 0; round < ROUNDS; round++) {
        struct pool *pool = open_pool(&pool_processes, 2);

        expect_int(pool_map(pool, use_library, args, sizeof *args,
                            results, sizeof *results, 20, 1, INFINITY),
                   0);
        finish_crew(pool);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++)
        end_thread(threads[i]);
}

/* What becomes of children is the program's choice, but not here. */
static void expect_deaths_to_be_seen(struct pool *pool)
{
    expect_death(pool, kill_oneself, SIGKILL, "");
    expect_death(pool, end_with_status, 7, "");
    expect_full_crew(pool, 2);
    finish_crew(pool);
}

static void sigchld_may_have_been_ignored(void)
{
    struct sigaction no_zombies = {.sa_handler = SIG_DFL,
                                   .sa_flags = SA_NOCLDWAIT};

    signal(SIGCHLD, SIG_IGN);
    expect_deaths_to_be_seen(open_crew(2));
    sigaction(SIGCHLD, &no_zombies, NULL);
    expect_deaths_to_be_seen(open_crew(2));
}

static void catch_child(int number)
{
    (void)number;
}

/* Its own children stay its own, and so does its handler. */
static void the_program_keeps_its_children(void)
{
    enum { CHILDREN = 5 };
    struct sigaction action = {.sa_handler = catch_child}, now;
    pid_t children[CHILDREN];
    struct pool *pool;
    int status;

    sigaction(SIGCHLD, &action, NULL);
    pool = open_crew(2);
    for (int i = 0; i < CHILDREN; i++) {
        children[i] = fork();
        expect(children[i] >= 0);
        if (children[i] == 0)
            _exit(10 + i);
        expect_death(pool, kill_oneself, SIGKILL, "signal 9");
    }
    for (int i = 0; i < CHILDREN; i++) {
        expect_int(waitpid(children[i], &status, 0), children[i]);
        expect(WIFEXITED(status) && WEXITSTATUS(status) == 10 + i);
    }
    sigaction(SIGCHLD, NULL, &now);
    expect(now.sa_handler == catch_child);
    finish_crew(pool);
}

static int map_names(const void *arg, void *result)
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");

    (void)arg, (void)result;
    expect(maps != NULL);
    while (fgets(line, sizeof line, maps) != NULL)
        expect(strstr(line, "/dev/shm") == NULL);
    (void)fclose(maps);
    return 0;
}

/* What never had a name can not be left behind. */
static void its_memory_has_no_name(void)
{
    struct pool *pool = open_crew(1);

    expect_int(pool_apply(pool, map_names, NULL, 0, NULL, 0), 0);
    expect_int(map_names(NULL, NULL), 0);
    kill_worker(1);
    finish_crew(pool);
}

static const struct test tests[] = {
    TEST(a_killed_worker_fails_its_task_only),
    TEST(the_message_says_of_what_it_died),
    TEST(a_death_goes_to_the_error_callback),
    TEST(idle_workers_may_be_killed),
    TEST(a_death_in_map_fails_one_item),
    TEST(a_death_after_the_last_item_fails_none),
    TEST(no_kill_loses_or_doubles_a_task),
    TEST(no_kill_hangs_apply_or_map),
    TEST(kills_while_it_ends_do_not_hang_it),
    TEST(terminate_may_come_into_a_burial),
    TEST(workers_die_with_a_killed_program),
    TEST(workers_die_with_a_program_that_ends),
    TEST(no_moment_for_it_to_die_leaves_workers),
    TEST(a_worker_born_too_late_ends),
    TEST(the_thread_that_opened_it_may_end),
    TEST(a_program_may_have_threads),
    TEST(sigchld_may_have_been_ignored),
    TEST(the_program_keeps_its_children),
    TEST(its_memory_has_no_name),
    {0}};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
