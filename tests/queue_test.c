/* queue_test.c -- what queue.h promises, and users that are killed. */
#include "test.h"

#include <dlfcn.h>
#include <errno.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/time.h>

#include "clock.h"
#include "crowd_help.h"
#include "process.h"
#include "queue.h"
#include "shared.h"

static const double limit = 20; /* s: what takes longer is stuck */

static struct queue *queue;

static void open_queue(size_t capacity)
{
    queue = queue_create(capacity, sizeof(int));
    expect(queue != NULL);
}

static int put(int number, double timeout)
{
    return queue_put(queue, &number, timeout);
}

static int get(double timeout)
{
    int number = -1;
    int error = queue_get(queue, &number, timeout);

    return error == 0 ? number : -error;
}

static void fill(int count)
{
    for (int i = 1; i <= count; i++)
        expect_int(put(i, 0), 0);
}

/* ------------------------------------------------ one at a time */

static void gives_items_back_in_order(void)
{
    open_queue(3);
    for (int i = 0; i < 100; i++) {
        expect_int(put(2 * i, 0), 0);
        expect_int(put(2 * i + 1, 0), 0);
        expect_int(get(0), 2 * i);
        expect_int(get(0), 2 * i + 1);
    }
    queue_destroy(queue);
}

static void holds_as_many_items_as_its_capacity(void)
{
    open_queue(3);
    for (int i = 0; i < 3; i++) {
        expect_int(queue_size(queue), i);
        expect_int(put(i, 0), 0);
    }
    expect_int(put(3, 0), ETIMEDOUT);
    expect_int(queue_size(queue), 3);
    expect_int(get(0), 0);
    expect_int(put(3, 0), 0);
    expect_int(queue_size(queue), 3);
    queue_destroy(queue);
}

static atomic_int turns;

/*
 * All items are taken and put again while the other looks.  Allowed in
 * a handler here: whom it interrupts only looks, and holds no lock.
 */
static void turn_over(int number)
{
    (void)number;
    for (int i = 1; i <= 4; i++) {
        expect_int(get(0), i);
        expect_int(put(i, 0), 0);
    }
    atomic_fetch_add(&turns, 1);
}

static void its_size_never_exceeds_its_capacity(void)
{
    const struct itimerval often = {{0, 100}, {0, 100}};
    const struct itimerval never = {{0, 0}, {0, 0}};
    const struct sigaction action = {.sa_handler = turn_over};

    open_queue(4);
    fill(4);
    expect_int(sigaction(SIGALRM, &action, NULL), 0);
    expect_int(setitimer(ITIMER_REAL, &often, NULL), 0);
    while (atomic_load(&turns) < 500)
        expect_int(queue_size(queue), 4);
    expect_int(setitimer(ITIMER_REAL, &never, NULL), 0);
    queue_destroy(queue);
}

static void keeps_items_of_any_size(void)
{
    char in[77], out[77];
    struct queue *bytes = queue_create(2, sizeof in);

    expect(bytes != NULL);
    for (int i = 0; i < 5; i++) {
        memset(in, 'a' + i, sizeof in);
        expect_int(queue_put(bytes, in, 0), 0);
        expect_int(queue_get(bytes, out, 0), 0);
        expect(memcmp(in, out, sizeof in) == 0);
    }
    queue_destroy(bytes);
}

static void refuses_sizes_of_zero_and_sizes_too_large(void)
{
    static const size_t bad[][2] = {{0, 4},
                                    {4, 0},
                                    {0, 0},
                                    {SIZE_MAX, 1},
                                    {1, SIZE_MAX},
                                    {SIZE_MAX / 2, 3},
                                    {SIZE_MAX / 4 + 2, 4}};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        errno = 0;
        expect(queue_create(bad[i][0], bad[i][1]) == NULL);
        expect_int(errno, EINVAL);
    }
    errno = 0;
    expect(queue_create((size_t)1 << 60, 1) == NULL);
    expect_int(errno, ENOMEM);
}

static void destroy_of_NULL_does_nothing(void)
{
    queue_destroy(NULL);
}

static void time_limits_are_kept(void)
{
    static const double no_wait[] = {0, -1, -INFINITY};
    double start;

    open_queue(1);
    for (int i = 0; i < 3; i++)
        expect_int(get(no_wait[i]), -ETIMEDOUT);
    start = clock_now();
    expect_int(get(0.05), -ETIMEDOUT);
    expect(clock_now() - start >= 0.05);

    fill(1);
    for (int i = 0; i < 3; i++)
        expect_int(put(2, no_wait[i]), ETIMEDOUT);
    start = clock_now();
    expect_int(put(2, 0.05), ETIMEDOUT);
    expect(clock_now() - start >= 0.05);
    expect_int(get(0.05), 1);
    queue_destroy(queue);
}

/* ------------------------------------------------------- remove */

static void remove_takes_an_item_from_anywhere(void)
{
    static const int order[] = {4, 1, 6, 3};

    open_queue(6);
    fill(6);
    for (int i = 0; i < 4; i++) {
        expect(queue_remove(queue, &order[i]));
        expect(!queue_remove(queue, &order[i]));
    }
    expect_int(queue_size(queue), 2);
    expect_int(get(0), 2);
    expect_int(get(0), 5);
    expect(!queue_remove(queue, &order[0]));
    queue_destroy(queue);
}

static void remove_works_where_the_ring_begins_anew(void)
{
    int six = 6;

    open_queue(4);
    fill(4);
    expect_int(get(0), 1);
    expect_int(get(0), 2);
    expect_int(put(5, 0), 0);
    expect_int(put(6, 0), 0);
    expect(queue_remove(queue, &six));
    for (int i = 3; i <= 5; i++)
        expect_int(get(0), i);
    expect_int(get(0), -ETIMEDOUT);
    queue_destroy(queue);
}

static void remove_takes_the_first_of_equal_items(void)
{
    static const int items[] = {7, 8, 7, 9};

    open_queue(4);
    for (int i = 0; i < 4; i++)
        expect_int(put(items[i], 0), 0);
    expect(queue_remove(queue, &items[0]));
    for (int i = 1; i < 4; i++)
        expect_int(get(0), items[i]);
    queue_destroy(queue);
}

static void remove_or_put(int number)
{
    static const int one = 1;

    if (number == 0)
        expect_int(put(3, limit), 0);
    else {
        clock_sleep(0.02); /* until the other waits; no matter if not */
        expect(queue_remove(queue, &one));
    }
}

static void remove_makes_room_for_a_waiting_put(const void *kind)
{
    open_queue(2);
    fill(2);
    ((const struct kind *)kind)->run(2, remove_or_put);
    expect_int(get(0), 2);
    expect_int(get(0), 3);
    queue_destroy(queue);
}

/* ----------------------------------------------------- waiting */

enum { CREW = 6 };

static void get_or_put_one(int number)
{
    if (number == CREW) {
        clock_sleep(0.02);
        fill(CREW);
    } else
        expect(get(limit) > 0);
}

static void each_put_wakes_a_waiting_get(const void *kind)
{
    open_queue(CREW);
    ((const struct kind *)kind)->run(CREW + 1, get_or_put_one);
    expect_int(queue_size(queue), 0);
    queue_destroy(queue);
}

static void put_or_get_one(int number)
{
    if (number == CREW) {
        clock_sleep(0.02);
        for (int i = 0; i < CREW + 1; i++)
            expect(get(limit) > 0);
    } else
        expect_int(put(number + 1, limit), 0);
}

static void each_get_wakes_a_waiting_put(const void *kind)
{
    open_queue(1);
    fill(1);
    ((const struct kind *)kind)->run(CREW + 1, put_or_get_one);
    expect_int(queue_size(queue), 0);
    queue_destroy(queue);
}

/* A wake-up that somebody else used is not the end of the wait. */
static void wait_for_item(int number)
{
    double start = clock_now();

    if (number == 0)
        for (int i = 0; i < 200; i++) {
            expect_int(put(1, limit), 0);
            get(0);
        }
    else if (get(0.1) == -ETIMEDOUT)
        expect(clock_now() - start >= 0.1);
}

static void a_stolen_item_does_not_cut_a_wait_short(const void *kind)
{
    open_queue(4);
    ((const struct kind *)kind)->run(3, wait_for_item);
    queue_destroy(queue);
}

/* ------------------------------------------------------- close */

static void a_closed_queue_gives_out_what_it_has(void)
{
    open_queue(3);
    fill(2);
    queue_close(queue);
    queue_close(queue);
    expect_int(put(3, 0), EPIPE);
    expect_int(put(3, INFINITY), EPIPE);
    expect_int(get(INFINITY), 1);
    expect_int(get(0), 2);
    expect_int(get(0), -EPIPE);
    expect_int(get(INFINITY), -EPIPE);
    expect_int(queue_size(queue), 0);
    queue_destroy(queue);
}

static void a_full_closed_queue_says_closed(void)
{
    open_queue(1);
    fill(1);
    queue_close(queue);
    expect_int(put(2, INFINITY), EPIPE);
    queue_destroy(queue);
}

static void get_until_closed(int number)
{
    if (number == CREW) {
        clock_sleep(0.02);
        queue_close(queue);
    } else
        expect_int(get(limit), -EPIPE);
}

static void put_until_closed(int number)
{
    if (number == CREW) {
        clock_sleep(0.02);
        queue_close(queue);
    } else
        expect_int(put(2, limit), EPIPE);
}

static void close_wakes_all_who_wait(const void *kind)
{
    open_queue(1);
    ((const struct kind *)kind)->run(CREW + 1, get_until_closed);
    queue_destroy(queue);

    open_queue(1);
    fill(1);
    ((const struct kind *)kind)->run(CREW + 1, put_until_closed);
    expect_int(get(0), 1);
    queue_destroy(queue);
}

/* --------------------------------------------- a hundred thousand */

enum { SIDE = 4, EACH = 25000, ITEMS = SIDE * EACH };

static atomic_int *seen; /* how often each number came out */

/* Each consumer gets the numbers of a producer in rising order. */
static void consume(void)
{
    int last[SIDE] = {-1, -1, -1, -1};
    int item;

    while (queue_get(queue, &item, limit) == 0) {
        expect(item >= 0 && item < ITEMS);
        expect(item > last[item / EACH]);
        last[item / EACH] = item;
        atomic_fetch_add(&seen[item], 1);
    }
}

static atomic_int *producing;

static void produce_or_consume(int number)
{
    if (number >= SIDE) {
        consume();
        return;
    }
    for (int i = 0; i < EACH; i++)
        expect_int(put(number * EACH + i, limit), 0);
    if (atomic_fetch_sub(producing, 1) == 1)
        queue_close(queue);
}

static void
each_of_100000_items_comes_out_once_and_in_order(const void *kind)
{
    seen = shared_alloc(ITEMS * sizeof *seen);
    producing = shared_alloc(sizeof *producing);
    expect(seen != NULL && producing != NULL);
    atomic_store(producing, SIDE);

    open_queue(50);
    ((const struct kind *)kind)->run(2 * SIDE, produce_or_consume);
    for (int i = 0; i < ITEMS; i++)
        expect_int(seen[i], 1);
    expect_int(queue_size(queue), 0);
    queue_destroy(queue);
}

/* -------------------------------------------------------- death */

/*
 * Producers and consumers are killed at any moment.  An item has parts
 * that must belong together.  What a consumer has in its hand stands
 * in shared memory, so that it can be counted after its death.
 */
enum { USERS = 4, SERIALS = 1 << 21, KILLS = 200, WORDS = 1024 };

struct item {
    uint64_t words[WORDS]; /* producer and serial, and the same again */
};

static struct board {
    atomic_int put[2];   /* serials whose put has returned */
    atomic_int taken;    /* items, by all consumers */
    atomic_int torn;     /* items whose parts do not fit */
    struct item hand[2]; /* of each consumer */
    atomic_uchar seen[2][SERIALS];
} * board;

static struct process users[USERS]; /* producers 0, 1; consumers 2, 3 */

static bool item_is_whole(const struct item *item)
{
    for (int i = 1; i < WORDS; i++)
        if (item->words[i] != item->words[0])
            return false;
    return true;
}

static void note_item(const struct item *item)
{
    uint64_t word = item->words[0];

    if (!item_is_whole(item) || word >> 32 > 1 ||
        (word & UINT32_MAX) >= SERIALS)
        atomic_fetch_add(&board->torn, 1);
    else
        atomic_fetch_add(&board->seen[word >> 32][word & UINT32_MAX],
                         1);
}

static int produce(int me)
{
    struct item item;

    for (;;) {
        int serial = atomic_load(&board->put[me]);

        if (serial == SERIALS)
            return 0;
        for (int i = 0; i < WORDS; i++)
            item.words[i] = (uint64_t)me << 32 | (unsigned)serial;
        if (queue_put(queue, &item, INFINITY) == EPIPE)
            return 0;
        atomic_store(&board->put[me], serial + 1);
    }
}

static int consume_items(int me)
{
    while (queue_get(queue, &board->hand[me], INFINITY) == 0) {
        note_item(&board->hand[me]);
        atomic_fetch_add(&board->taken, 1);
    }
    return 0;
}

static int use_queue(void *user)
{
    int number = (int)((struct process *)user - users);

    return number < 2 ? produce(number) : consume_items(number - 2);
}

static void start_user(int number)
{
    expect_int(process_start(&users[number], use_queue, &users[number]),
               0);
}

/* After whatever happened, items go through. */
static void expect_progress(void)
{
    double deadline = clock_deadline(limit);
    int before = atomic_load(&board->taken);

    while (atomic_load(&board->taken) < before + 20) {
        if (clock_left(deadline) <= 0)
            test_fail(__FILE__, __LINE__, "the queue is stuck");
        clock_sleep(0.0001);
    }
}

static void kill_one(int number)
{
    clock_sleep((double)(random() % 300) * 1e-6);
    expect_int(process_kill(&users[number]), 0);
    expect_int(process_join(&users[number], limit), 0);
    expect_int(users[number].exitcode, -SIGKILL);
    queue_recover(queue);

    /* A half-copied item is still in the queue. */
    if (number >= 2 && item_is_whole(&board->hand[number - 2]))
        note_item(&board->hand[number - 2]);
}

static int users_that_have_ended(void)
{
    int ended = 0;

    for (int i = 0; i < USERS; i++)
        ended += !process_is_alive(&users[i]);
    return ended;
}

/* Close again and again is allowed; each wakes who just lay down. */
static void end_users(void)
{
    double deadline = clock_deadline(limit);

    queue_close(queue);
    while (users_that_have_ended() < USERS) {
        expect(clock_left(deadline) > 0);
        clock_sleep(0.001);
    }
}

/* Consumers that died may have had an item that is there again. */
static void expect_every_item(void)
{
    int twice = 0;

    expect_int(board->torn, 0);
    for (int side = 0; side < 2; side++)
        for (int i = 0; i < board->put[side]; i++) {
            expect(board->seen[side][i] >= 1);
            twice += board->seen[side][i] - 1;
        }
    expect(twice <= 2 * KILLS);
}

static void begin_killing(void)
{
    board = shared_alloc(sizeof *board);
    expect(board != NULL);
    queue = queue_create(4, sizeof(struct item));
    expect(queue != NULL);
    for (int i = 0; i < USERS; i++)
        start_user(i);
}

static void killed_users_lose_and_tear_nothing(void)
{
    begin_killing();
    for (int i = 0; i < KILLS; i++) {
        int victim = (int)(random() % USERS);

        kill_one(victim);
        start_user(victim);
        expect_progress();
    }
    end_users();
    expect_every_item();
    queue_destroy(queue);
}

/* Without a successor: those that are left must be woken. */
static void those_who_are_left_go_on_after_a_kill(void)
{
    for (int round = 0; round < 40; round++) {
        begin_killing();
        expect_progress();
        kill_one((int)(random() % 2));
        kill_one(2 + (int)(random() % 2));
        expect_progress();
        for (int i = 0; i < USERS; i++) {
            process_kill(&users[i]);
            process_join(&users[i], limit);
        }
        expect_int(board->torn, 0);
        queue_destroy(queue);
        shared_free(board, sizeof *board);
    }
}

static int wait_for_an_item(void *unused)
{
    (void)unused;
    return get(INFINITY) > 0 ? 0 : 1;
}

/* The dead was asleep, and an item finds the one who still is. */
static void a_killed_sleeper_keeps_no_item_from_others(void)
{
    for (int round = 0; round < 50; round++) {
        struct process sleepers[2];

        open_queue(2);
        for (int i = 0; i < 2; i++)
            expect_int(
                process_start(&sleepers[i], wait_for_an_item, NULL), 0);
        clock_sleep(0.002);
        expect_int(process_kill(&sleepers[round % 2]), 0);
        if (round % 4 < 2)
            fill(1);
        expect_int(process_join(&sleepers[round % 2], limit), 0);
        queue_recover(queue);
        if (round % 4 >= 2)
            fill(1);
        expect_int(process_join(&sleepers[1 - round % 2], limit), 0);
        expect_int(sleepers[1 - round % 2].exitcode, 0);
        queue_destroy(queue);
    }
}

static void recover_does_no_harm_without_a_death(void)
{
    open_queue(2);
    for (int i = 0; i < 10; i++)
        queue_recover(queue);
    expect_int(get(0), -ETIMEDOUT);
    fill(2);
    for (int i = 0; i < 10; i++)
        queue_recover(queue);
    expect_int(put(3, 0), ETIMEDOUT);
    expect_int(get(0), 1);
    expect_int(get(0), 2);
    expect_int(get(0.01), -ETIMEDOUT);
    queue_destroy(queue);
}

/* ---------------------------------------- who closes it is killed */

static atomic_bool dies_in_post;

/* Put before libc's: the library calls this one. */
int sem_post(sem_t *semaphore)
{
    static int (*real)(sem_t *);

    if (atomic_load(&dies_in_post))
        kill(getpid(), SIGKILL);
    if (real == NULL)
        *(void **)&real = dlsym(RTLD_NEXT, "sem_post");
    return real(semaphore);
}

static int close_and_die(void *unused)
{
    (void)unused;
    atomic_store(&dies_in_post, true);
    queue_close(queue);
    return 0;
}

static int get_closed(void *unused)
{
    (void)unused;
    return get(limit) == -EPIPE ? 0 : 1;
}

/* All hear of it, and not only as many as are woken at once. */
static void a_close_is_heard_though_the_closer_is_killed(void)
{
    struct process sleepers[4 * CREW], closer;

    open_queue(1);
    for (int i = 0; i < 4 * CREW; i++)
        expect_int(process_start(&sleepers[i], get_closed, NULL), 0);
    clock_sleep(0.1);
    expect_int(process_start(&closer, close_and_die, NULL), 0);
    expect_int(process_join(&closer, limit), 0);
    expect_int(closer.exitcode, -SIGKILL);
    queue_recover(queue);
    for (int i = 0; i < 4 * CREW; i++) {
        expect_int(process_join(&sleepers[i], limit / 2), 0);
        expect_int(sleepers[i].exitcode, 0);
    }
    queue_destroy(queue);
}

#define TEST_BOTH(function)                                            \
    TEST_WITH("threads", &threads, function),                          \
        TEST_WITH("processes", &processes, function)

static const struct test tests[] = {
    TEST(gives_items_back_in_order),
    TEST(holds_as_many_items_as_its_capacity),
    TEST(its_size_never_exceeds_its_capacity),
    TEST(keeps_items_of_any_size),
    TEST(refuses_sizes_of_zero_and_sizes_too_large),
    TEST(destroy_of_NULL_does_nothing),
    TEST(time_limits_are_kept),
    TEST(remove_takes_an_item_from_anywhere),
    TEST(remove_works_where_the_ring_begins_anew),
    TEST(remove_takes_the_first_of_equal_items),
    TEST_BOTH(remove_makes_room_for_a_waiting_put),
    TEST_BOTH(each_put_wakes_a_waiting_get),
    TEST_BOTH(each_get_wakes_a_waiting_put),
    TEST_BOTH(a_stolen_item_does_not_cut_a_wait_short),
    TEST(a_closed_queue_gives_out_what_it_has),
    TEST(a_full_closed_queue_says_closed),
    TEST_BOTH(close_wakes_all_who_wait),
    TEST_BOTH(each_of_100000_items_comes_out_once_and_in_order),
    TEST(killed_users_lose_and_tear_nothing),
    TEST(those_who_are_left_go_on_after_a_kill),
    TEST(a_killed_sleeper_keeps_no_item_from_others),
    TEST(recover_does_no_harm_without_a_death),
    TEST(a_close_is_heard_though_the_closer_is_killed),
    {0},
};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
