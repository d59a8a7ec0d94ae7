/*
 * many_machines.c -- the pool of lesson 17, over many machines.
 *
 * One machine has its limit.  MPI starts the same program many times,
 * on as many machines as there are; each process, a rank, has memory
 * of its own, and all they can do is send each other messages.  Rank 0
 * hands out tasks here and the others do them: far_map is used as
 * pool_map is.  What cost nothing inside a machine is a message now,
 * so short tasks travel in chunks; and a machine may die, and then MPI
 * ends the whole job.
 *
 * Look at: the same function at another address in each rank; the
 * number of messages; what is left when one rank is killed.
 * Compare with: 17-executor, whose map this is; 08-pool-callback,
 * where a worker is killed and one task is lost, not all.
 * Try: --ranks 8; --chunk 5; on two machines:
 * mpirun --host one:2,two:2 ./lesson-27
 */
#include <errno.h>
#include <inttypes.h>
#include <mpi.h>
#include <signal.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "checked.h"
#include "clock.h"
#include "lesson.h"
#include "mpirun.h"
#include "pool.h"
#include "timeline.h"

enum { RANKS_MAX = 64, TASKS_MAX = 100, SHORT_MAX = 100000 };
enum { BATCH = 100 };           /* short tasks in one message */
enum { PARCEL_MAX = 64 << 10 }; /* bytes of arguments or results */

static int ranks = 4; /* wished for; then, as many as there are */
static int rank;      /* of this process: 0 to ranks - 1 */
static int tasks = 10, seed = 1, chunk = 1, short_tasks = 1000;

/* --------------------------------------------------- the tasks -- */

/* Only rank 0 has read the options: a task knows what stands here. */
struct job {
    int number;
    int fails;
    double seconds; /* what it takes */
};

static struct job jobs[TASKS_MAX];

static int square(const void *arg, void *result)
{
    const struct job *job = arg;

    clock_sleep(job->seconds);
    if (job->fails)
        return task_error(EDOM, "there is no square of %d today",
                          job->number);
    *(int *)result = job->number * job->number;
    return 0;
}

static int nothing(const void *arg, void *result)
{
    (void)arg, (void)result;
    return 0;
}

/*
 * Each rank has its program at another address, so a pointer to a
 * function is worth nothing elsewhere.  Its number in this list is:
 * all ranks run the same program.
 */
static pool_task *const all_tasks[] = {square, nothing};

enum { ALL_TASKS = sizeof all_tasks / sizeof all_tasks[0] };

static int number_of(pool_task *task)
{
    int number = 0;

    while (number < ALL_TASKS && all_tasks[number] != task)
        number++;
    if (number == ALL_TASKS)
        check_error(ENOENT, "a task that is not in all_tasks");
    return number;
}

/* ------------------------------------------------- the messages -- */

/* There with arguments, and back with results, side by side. */
struct parcel {
    int task; /* its number, or GO_HOME */
    int by;   /* the rank that did it */
    size_t arg_size, result_size;
    size_t first, count; /* which items of all */
    int error;           /* of the lowest item that failed */
    size_t failed;
    char message[TASK_MESSAGE_MAX];
    alignas(max_align_t) char bytes[PARCEL_MAX];
};

enum { GO_HOME = -1 };

static struct parcel parcel; /* the one in hand */
static int messages;         /* sent and received by this rank */

/* MPI ends the job itself when a call fails, and names it. */
static void send_parcel(int to, size_t item_size)
{
    size_t size =
        offsetof(struct parcel, bytes) + parcel.count * item_size;

    MPI_Send(&parcel, (int)size, MPI_BYTE, to, 0, MPI_COMM_WORLD);
    messages++;
}

/*
 * MPI_Recv alone would look again and again until there is a message,
 * and keep a CPU from those who have work.
 */
static void receive_parcel(int from)
{
    double nap = 0;
    int there = 0;

    for (;;) {
        MPI_Iprobe(from, 0, MPI_COMM_WORLD, &there, MPI_STATUS_IGNORE);
        if (there)
            break;
        clock_sleep(nap);
        nap = fmin(nap + 1e-6, 1e-3);
    }
    MPI_Recv(&parcel, sizeof parcel, MPI_BYTE, from, 0, MPI_COMM_WORLD,
             MPI_STATUS_IGNORE);
    messages++;
}

static struct whereabouts {
    char host[MPI_MAX_PROCESSOR_NAME];
    int pid;
    uintptr_t square; /* the address of the function */
} all_ranks[RANKS_MAX];

/* All ranks call it, and rank 0 has them all. */
static void introduce(void)
{
    struct whereabouts here = {.pid = getpid(),
                               .square = (uintptr_t)square};
    int length;

    MPI_Get_processor_name(here.host, &length);
    MPI_Gather(&here, sizeof here, MPI_BYTE, all_ranks, sizeof here,
               MPI_BYTE, 0, MPI_COMM_WORLD);
}

/* ------------------------------------------ ranks 1 to the last -- */

static void do_item(size_t item, char *results)
{
    int error;

    task_error(EIO, "a task that gave no message");
    error =
        all_tasks[parcel.task](parcel.bytes + item * parcel.arg_size,
                               results + item * parcel.result_size);
    if (error == 0 || parcel.error != 0)
        return;
    parcel.error = error;
    parcel.failed = parcel.first + item;
    memcpy(parcel.message, task_message(), sizeof parcel.message);
}

static void serve(void)
{
    static alignas(max_align_t) char results[PARCEL_MAX];

    introduce();
    for (;;) {
        receive_parcel(0);
        if (parcel.task == GO_HOME)
            return;
        memset(results, 0, parcel.count * parcel.result_size);
        for (size_t item = 0; item < parcel.count; item++)
            do_item(item, results);
        memcpy(parcel.bytes, results,
               parcel.count * parcel.result_size);
        parcel.by = rank;
        send_parcel(0, parcel.result_size);
    }
}

/* ------------------------------------------------------- rank 0 -- */

struct far_map {
    pool_task *task;
    size_t arg_size, result_size, chunk;
    const char *args;
    char *results;
    size_t count, next; /* items, and those handed out */
    int error;          /* of the lowest item that failed */
    size_t failed;
};

/* What far_map leaves beside its results. */
static size_t done_by[RANKS_MAX];
static char far_message[TASK_MESSAGE_MAX + 32];

static size_t least(size_t one, size_t other)
{
    return one < other ? one : other;
}

/* Short tasks come and go too fast to be told and drawn. */
static bool is_told(const struct far_map *map)
{
    return map->task != nothing;
}

static void tell_begin(int to)
{
    char row[TIMELINE_NAME_MAX], name[TIMELINE_NAME_MAX];

    snprintf(row, sizeof row, "rank %d", to);
    snprintf(name, sizeof name, "%zu", parcel.first);
    timeline_begin(row, name, 0);
}

static void tell_end(void)
{
    char row[TIMELINE_NAME_MAX];

    snprintf(row, sizeof row, "rank %d", parcel.by);
    timeline_end(row);
    say_time("%s brings task %zu%s", row, parcel.first,
             parcel.count > 1 ? " and those after it" : "");
}

static void hand_out(struct far_map *map, int to)
{
    parcel.task = number_of(map->task);
    parcel.arg_size = map->arg_size;
    parcel.result_size = map->result_size;
    parcel.first = map->next;
    parcel.count = least(map->chunk, map->count - map->next);
    parcel.error = 0;
    memcpy(parcel.bytes, map->args + parcel.first * parcel.arg_size,
           parcel.count * parcel.arg_size);
    map->next += parcel.count;
    if (is_told(map))
        tell_begin(to);
    send_parcel(to, parcel.arg_size);
}

static void note_error(struct far_map *map)
{
    if (parcel.error == 0 ||
        (map->error != 0 && map->failed < parcel.failed))
        return;
    map->error = parcel.error;
    map->failed = parcel.failed;
    snprintf(far_message, sizeof far_message, "item %zu: %s",
             parcel.failed, parcel.message);
}

/* Returns the rank that brought it, and has nothing to do now. */
static int take_back(struct far_map *map)
{
    receive_parcel(MPI_ANY_SOURCE);
    memcpy(map->results + parcel.first * parcel.result_size,
           parcel.bytes, parcel.count * parcel.result_size);
    done_by[parcel.by] += parcel.count;
    note_error(map);
    if (is_told(map))
        tell_end();
    return parcel.by;
}

/*
 * As pool_map: the results come in the order of the arguments, all
 * items are waited for, and the error of the lowest is returned.
 */
static int far_map(pool_task *task, const void *args, size_t arg_size,
                   void *results, size_t result_size, size_t count,
                   size_t in_chunk)
{
    struct far_map map = {
        .task = task,
        .arg_size = arg_size,
        .result_size = result_size,
        .args = args,
        .results = results,
        .count = count,
        .chunk =
            least(in_chunk, PARCEL_MAX / (arg_size + result_size + 1))};
    int away = 0;

    for (; away < ranks - 1 && map.next < count; away++)
        hand_out(&map, away + 1);
    while (away > 0) {
        int idle = take_back(&map);

        if (map.next < count)
            hand_out(&map, idle);
        else
            away--;
    }
    return map.error;
}

/* ------------------------------------------------- who is where -- */

static bool same_host(int one, int other)
{
    return strcmp(all_ranks[one].host, all_ranks[other].host) == 0;
}

static void part_ranks(void)
{
    int twins = 0;

    for (int i = 0; i < ranks; i++) {
        say("rank %d on %.15s, pid %d, has square at %#" PRIxPTR, i,
            same_host(i, 0) ? "this machine" : all_ranks[i].host,
            all_ranks[i].pid, all_ranks[i].square);
        for (int other = 0; other < i; other++)
            twins += same_host(i, other) &&
                     all_ranks[i].pid == all_ranks[other].pid;
    }
    saw("%d twice", twins);
    claim(twins == 0, "each of the %d ranks is a process of its own",
          ranks);
}

/* ---------------------------------------------------------- map -- */

/* The same function, arguments and order, in threads of rank 0. */
static int local_map(int *results)
{
    struct pool *pool;
    struct job quick[TASKS_MAX];
    int error;

    for (int i = 0; i < tasks; i++) {
        quick[i] = jobs[i];
        quick[i].seconds = 0;
    }
    pool_observe(NULL); /* the picture is of the ranks */
    pool = check_pointer(pool_open(&pool_threads, 3), "pool_open");
    error = pool_map(pool, square, quick, sizeof quick[0], results,
                     sizeof results[0], (size_t)tasks, 1, INFINITY);
    pool_free(pool);
    return error;
}

/* Each task takes 1 to 3 u. */
static void prepare_jobs(void)
{
    unsigned state = (unsigned)seed;

    for (int i = 0; i < tasks; i++)
        jobs[i] = (struct job){
            i, 0, (1 + rand_r(&state) % 3) * lesson_unit()};
}

static void claim_shares(void)
{
    size_t chunks = (size_t)((tasks + chunk - 1) / chunk);
    size_t crew = least((size_t)ranks - 1, chunks), busy = 0;

    for (int i = 1; i < ranks; i++)
        busy += done_by[i] > 0;
    saw("%zu, and rank 0 did %zu", busy, done_by[0]);
    claim(busy == crew && done_by[0] == 0,
          "rank 0 hands out, and %zu other%s did all tasks", crew,
          crew == 1 ? "" : "s");
}

static void part_map(void)
{
    int results[TASKS_MAX] = {0}, local[TASKS_MAX] = {0}, right = 0;

    prepare_jobs();
    check_error(far_map(square, jobs, sizeof jobs[0], results,
                        sizeof results[0], (size_t)tasks,
                        (size_t)chunk),
                "far_map");
    for (int i = 0; i < tasks; i++)
        right += results[i] == i * i;
    say("results: %d, %d, ... %d", results[0], results[1],
        results[tasks - 1]);

    saw("%d of %d", right, tasks);
    claim(right == tasks, "results come in the order of the arguments");
    check_error(local_map(local), "pool_map");
    claim(memcmp(results, local, sizeof local) == 0,
          "a pool on this machine gives the same, byte for byte");
    claim_shares();
}

/* -------------------------------------------------------- errors -- */

/* Two tasks fail, and the first of them takes longer. */
static void prepare_failures(void)
{
    for (int i = 0; i < tasks; i++)
        jobs[i] = (struct job){.number = i};
    jobs[tasks - 1].fails = 1;
    jobs[(tasks - 1) / 2].fails = 1;
    jobs[(tasks - 1) / 2].seconds = 2 * lesson_unit();
}

static void part_error(void)
{
    int results[TASKS_MAX] = {0}, local[TASKS_MAX] = {0}, right = 0;
    int error, local_error;

    prepare_failures();
    error = far_map(square, jobs, sizeof jobs[0], results,
                    sizeof results[0], (size_t)tasks, (size_t)chunk);
    say("far_map:  %s, \"%s\"", error_name(error), far_message);
    local_error = local_map(local);
    say("pool_map: %s, \"%s\"", error_name(local_error),
        task_message());
    for (int i = 0; i < tasks; i++)
        right += !jobs[i].fails && results[i] == i * i;

    saw("%s, %s", error_name(error), far_message);
    claim(error == local_error && error != 0 &&
              strcmp(far_message, task_message()) == 0,
          "of two errors it tells the first, as a pool here does");
    saw("%d of %d", right, tasks - 2);
    claim(right == tasks - 2, "the other %d tasks were done",
          tasks - 2);
}

/* ------------------------------------------ what a message costs -- */

/* Returns how many messages it took. */
static int time_short_tasks(int in_chunk)
{
    int before = messages;
    double begin = clock_now();

    check_error(far_map(nothing, "", 0, parcel.bytes, 0,
                        (size_t)short_tasks, (size_t)in_chunk),
                "far_map");
    say("%d short tasks, %3d in a message: %6d messages, %4.0f ms",
        short_tasks, in_chunk, messages - before,
        (clock_now() - begin) * 1e3);
    return messages - before;
}

static void part_messages(void)
{
    int one_by_one = time_short_tasks(1);
    int in_chunks = time_short_tasks(BATCH);
    int chunks = (short_tasks + BATCH - 1) / BATCH;

    saw("%d", one_by_one);
    claim(one_by_one == 2 * short_tasks,
          "one by one, each task costs two messages");
    saw("%d", in_chunks);
    claim(in_chunks == 2 * chunks,
          "in chunks of %d, %d tasks cost %d messages", BATCH,
          short_tasks, 2 * chunks);
}

/* -------------------------------------------------- a rank dies -- */

/* In a job of its own, since all of it will end. */
enum { DOOMED = 3, VICTIM = 1 };

/* The others wait for a message from it for ever. */
static _Noreturn void be_doomed(void)
{
    if (rank == VICTIM)
        raise(SIGKILL);
    for (;;)
        receive_parcel(VICTIM);
}

static void part_death(void)
{
    char *arguments[] = {"lesson-27", "doomed", NULL};
    struct mpirun job = {DOOMED, arguments, {0}};
    int exitcode;

    mpirun_start(&job);
    say_time("another job of %d ranks starts; rank %d will be killed",
             DOOMED, VICTIM);
    exitcode = mpirun_join(&job);
    say_time("mpirun has ended with status %d, and all its ranks",
             exitcode);
    say("In the pool of lesson 08 it is one task that is lost.");

    saw("status %d", exitcode);
    claim((exitcode & 127) == SIGKILL,
          "one rank is killed, and MPI ends the whole job");
}

/* --------------------------------------------------- start and end -- */

static const struct lesson_option options[] = {
    {"ranks", "N", "how many ranks, unless mpirun says it", &ranks, 2,
     RANKS_MAX},
    {"tasks", "N", "how many tasks", &tasks, 2, TASKS_MAX},
    {"seed", "N", "of the random lengths", &seed, 0, 1000000},
    {"chunk", "N", "tasks in a message, of those that take a while",
     &chunk, 1, TASKS_MAX},
    {"short", "N", "how many tasks that take no time", &short_tasks, 1,
     SHORT_MAX},
    {0},
};

static const struct lesson lesson = {
    .name = "lesson-27 many-machines",
    .summary = "the pool of lesson 17 over the ranks of MPI",
    .example = "./lesson-27 --ranks 8 --tasks 20",
    .options = options,
};

static int lead(int argc, char **argv)
{
    mpirun_borrow();
    lesson_begin(&lesson, argc, argv);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks); /* whatever was wished */
    if (ranks < 2 || ranks > RANKS_MAX)
        check_error(EDOM, "mpirun -n, from 2 to 64");
    introduce();
    PART("Ranks: the same program, many times", part_ranks);
    PART("map: results in order", part_map);
    PART("Two tasks fail", part_error);
    PART("What a message costs", part_messages);
    PART("A rank is killed", part_death);
    parcel = (struct parcel){.task = GO_HOME};
    for (int to = 1; to < ranks; to++)
        send_parcel(to, 0);
    MPI_Finalize();
    return lesson_end();
}

int main(int argc, char **argv)
{
    if (!mpirun_is_parent())
        return mpirun_self(&lesson, &ranks, argc, argv);
    mpirun_tie();
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    if (argc == 2 && strcmp(argv[1], "doomed") == 0)
        be_doomed();
    if (rank == 0)
        return lead(argc, argv);
    serve();
    MPI_Finalize();
    return 0;
}
