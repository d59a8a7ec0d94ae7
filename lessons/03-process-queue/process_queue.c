/*
 * process_queue.c -- ten lists of one, and one queue of ten.
 *
 * After a fork each process has a copy of the memory: what it changes,
 * nobody else sees.  So ten processes that append to "the" list see a
 * list of one each.  A queue in memory that they share, mapped before
 * the fork, has all ten; and a pipe carries bytes from one to another
 * through the kernel, without any memory in common.
 *
 * Look at: the sizes 1 to 10, each seen once, in an order that differs
 * from run to run.
 * Compare with: 04-shared-array, which shows where the shared memory
 * comes from; 06-process-lock, for the lock inside the queue.
 * Try: --capacity 3, where producers must wait until main takes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "checked.h"
#include "crowd.h"
#include "lesson.h"
#include "lock.h"
#include "process.h"
#include "queue.h"
#include "timeline.h"

enum { PROCESSES_MAX = 99, CAPACITY_MAX = 2000000000 };

static int processes = 10, capacity = 20;

/* ------------------------------------------- a list for each */

static int list[PROCESSES_MAX]; /* every process has one of its own */
static int length;

static int *lengths; /* what each saw, in memory that they share */

static void append_to_list(int number)
{
    list[length++] = number;
    lengths[number] = length;
    say("process %d: [%d], a list of %d", number, list[0], length);
}

static void part_list(void)
{
    int longest = 0, written = 0;

    crowd_processes(processes, append_to_list);
    for (int i = 0; i < processes; i++) {
        longest = lengths[i] > longest ? lengths[i] : longest;
        written += lengths[i] > 0;
    }
    say("main:      a list of %d", length);

    saw("%d, by %d processes", longest, written);
    claim(longest == 1 && written == processes,
          "%d processes appended, and no list is longer than 1",
          processes);
    saw("%d", length);
    claim(length == 0, "main's own list is still empty");
}

/* ------------------------------------------------ one queue */

struct item {
    int number;
    char text[60];
};

static struct queue *queue; /* of items */
static struct lock *turn;   /* nobody puts between a put and its size */
static int *sizes;          /* as each saw it after its put */

static struct item item_of(int number)
{
    struct item item = {.number = number};

    snprintf(item.text, sizeof item.text, "from process %d", number);
    return item;
}

static int put_number(void *arg)
{
    int number = *(const int *)arg;
    struct item item = item_of(number);

    lock_acquire(turn);
    check_error(queue_put(queue, &item, INFINITY), "queue_put");
    sizes[number] = (int)queue_size(queue);
    say_time("process %d puts its number, size %d", number,
             sizes[number]);
    lock_release(turn);
    return 0;
}

static bool all_ended(struct process *children)
{
    bool ended = true;

    for (int i = 0; i < processes; i++)
        ended = !process_is_alive(&children[i]) && ended;
    return ended;
}

/* How often each number came out of the queue. */
static void take_all(struct process *children, int *taken)
{
    bool ended;
    int error;

    do {
        struct item item;

        ended = all_ended(children);
        error = queue_get(queue, &item, ended ? 0 : 0.1);
        if (error == 0) {
            taken[item.number]++;
            say_time("main takes \"%s\"", item.text);
        } else {
            queue_recover(queue); /* one may have died in a put */
        }
    } while (error == 0 || !ended);
}

static void claim_sizes(void)
{
    int seen[PROCESSES_MAX + 1] = {0}, each = 0, most = 0;

    for (int i = 0; i < processes; i++) {
        most = sizes[i] > most ? sizes[i] : most;
        if (sizes[i] <= processes)
            seen[sizes[i]]++;
    }
    saw("%d", most);
    claim(most <= capacity, "its size was never above %d", capacity);
    if (capacity < processes)
        return; /* main took some while others put */
    for (int size = 1; size <= processes; size++)
        each += seen[size] == 1;
    saw("%d of them", each);
    claim(each == processes, "the sizes were 1 to %d, in some order",
          processes);
}

static void part_queue(void)
{
    struct process children[PROCESSES_MAX];
    int numbers[PROCESSES_MAX], taken[PROCESSES_MAX] = {0}, once = 0;

    for (int i = 0; i < processes; i++) {
        numbers[i] = i;
        xprocess_start(&children[i], put_number, &numbers[i]);
    }
    if (capacity >= processes) /* there is room for all */
        for (int i = 0; i < processes; i++)
            xprocess_join(&children[i]);
    take_all(children, taken);

    for (int i = 0; i < processes; i++)
        once += taken[i] == 1;
    saw("%d of %d", once, processes);
    claim(once == processes, "the queue gave each number back once");
    claim_sizes();
}

/* --------------------------------------- full, and still empty */

static void part_limits(void)
{
    struct queue *small = check_pointer(
        queue_create(1, sizeof(struct item)), "queue_create");
    struct item item = item_of(1);
    int on_empty, on_full;
    double begin, took;

    timeline_begin("main", "get waits", 0);
    begin = unit_now();
    on_empty = queue_get(small, &item, lesson_unit());
    took = unit_now() - begin;
    timeline_end("main");
    check_error(queue_put(small, &item, INFINITY), "queue_put");
    timeline_begin("main", "put waits", 0);
    on_full = queue_put(small, &item, lesson_unit());
    timeline_end("main");
    say("a queue of 1: get, put, put; the first and the last waited");

    saw("%s", error_name(on_empty));
    claim(on_empty == ETIMEDOUT, "a get from an empty queue times out");
    saw("%.3f u", took);
    claim(took >= 1, "and not before its limit of 1 u");
    saw("%s and %zu", error_name(on_full), queue_size(small));
    claim(on_full == ETIMEDOUT && queue_size(small) == 1,
          "a put into a full queue times out, and puts nothing");
    queue_destroy(small);
}

/* -------------------------------------------------------- a pipe */

enum { LETTERS = 3 };

/* The writer has the end [1], the reader the end [0]. */
static int write_letters(void *arg)
{
    const int *ends = arg;

    xclose(ends[0]);
    for (int i = 0; i < LETTERS; i++) {
        struct item letter = item_of(i);

        xwrite(ends[1], &letter, sizeof letter);
    }
    return 0; /* which closes its end */
}

static void part_pipe(void)
{
    struct process writer;
    struct item letter;
    int ends[2], in_order = 0;
    size_t size;

    check_call(pipe2(ends, O_CLOEXEC), "pipe2");
    xprocess_start(&writer, write_letters, ends);
    xclose(ends[1]); /* or main would be a writer, too: no end */
    while ((size = xread(ends[0], &letter, sizeof letter)) ==
           sizeof letter) {
        say("main reads \"%s\", letter %d", letter.text, letter.number);
        in_order += letter.number == in_order;
    }
    xclose(ends[0]);
    xprocess_join(&writer);

    saw("%d of %d", in_order, LETTERS);
    claim(in_order == LETTERS, "all letters came, in their order");
    saw("%zu bytes", size);
    claim(size == 0, "when the last writer is gone, read returns 0");
}

int main(int argc, char **argv)
{
    static const struct lesson_option options[] = {
        {"processes", "N", "how many of them", &processes, 2,
         PROCESSES_MAX},
        {"capacity", "N", "of the queue", &capacity, 1, CAPACITY_MAX},
        {0},
    };
    static const struct lesson lesson = {
        .name = "lesson-03 process-queue",
        .summary = "a list for each process, and one queue for all",
        .example = "./lesson-03 --capacity 3",
        .options = options,
    };

    lesson_begin(&lesson, argc, argv);
    queue = check_pointer(
        queue_create((size_t)capacity, sizeof(struct item)),
        "queue_create");
    lengths = xshared_alloc(PROCESSES_MAX * sizeof *lengths);
    sizes = xshared_alloc(PROCESSES_MAX * sizeof *sizes);
    turn = xshared_alloc(sizeof *turn);
    check_error(lock_init(turn), "lock_init");
    PART("Processes append to the list", part_list);
    PART("Processes put into the queue", part_queue);
    PART("Full, or empty, and a time limit", part_limits);
    PART("A pipe from one process to another", part_pipe);
    return lesson_end();
}
