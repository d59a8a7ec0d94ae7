/* pending_test.c -- what pending.h promises, and killed users. */
#include "test.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/prctl.h>

#include "clock.h"
#include "pending.h"
#include "process.h"
#include "shared.h"

enum { COUNT = 130 }; /* two whole words and a part */

static struct pending *pending;
static int numbers[COUNT];

static void open_pending(void)
{
    pending = pending_create(COUNT);
    expect(pending != NULL);
}

static void rejects_a_count_below_one(void)
{
    errno = 0;
    expect(pending_create(0) == NULL);
    expect_int(errno, EINVAL);
    expect(pending_create(-1) == NULL);
    pending_destroy(NULL);
}

static void gives_all_in_the_order_added(void)
{
    static const int added[] = {129, 0, 63, 64, 128, 127, 1};
    enum { ADDED = sizeof added / sizeof added[0] };

    open_pending();
    for (int i = 0; i < ADDED; i++)
        pending_add(pending, added[i]);
    expect_int(pending_take(pending, numbers), ADDED);
    for (int i = 0; i < ADDED; i++)
        expect_int(numbers[i], added[i]);
    pending_destroy(pending);
}

static void holds_all_there_can_be(void)
{
    open_pending();
    for (int i = 0; i < COUNT; i++)
        expect_int(pending_add(pending, COUNT - 1 - i), i + 1);
    expect_int(pending_take(pending, numbers), COUNT);
    for (int i = 0; i < COUNT; i++)
        expect_int(numbers[i], COUNT - 1 - i);
    pending_destroy(pending);
}

static void a_number_twice_is_there_once(void)
{
    open_pending();
    pending_add(pending, 7);
    pending_add(pending, 7);
    expect_int(pending_take(pending, numbers), 1);
    expect_int(numbers[0], 7);
    pending_add(pending, 7);
    expect_int(pending_take(pending, numbers), 1);
    pending_destroy(pending);
}

static void when_closed_gives_what_is_left(void)
{
    open_pending();
    pending_add(pending, 5);
    pending_close(pending);
    pending_close(pending);
    expect_int(pending_take(pending, numbers), 1);
    expect_int(pending_take(pending, numbers), 0);
    expect_int(pending_take(pending, numbers), 0);
    pending_destroy(pending);
}

/* Sleeps first, so that the taker most likely does, too. */
static void *add_later(void *number)
{
    clock_sleep(0.01);
    pending_add(pending, *(int *)number);
    return NULL;
}

static void *close_later(void *unused)
{
    clock_sleep(0.01);
    pending_close(pending);
    return unused;
}

static void who_takes_waits_for_the_first(void)
{
    pthread_t thread;
    int number = 99;

    open_pending();
    for (int i = 0; i < 20; i++) {
        expect_int(pthread_create(&thread, NULL, add_later, &number),
                   0);
        expect_int(pending_take(pending, numbers), 1);
        expect_int(numbers[0], 99);
        pthread_join(thread, NULL);
    }
    expect_int(pthread_create(&thread, NULL, close_later, NULL), 0);
    expect_int(pending_take(pending, numbers), 0);
    pthread_join(thread, NULL);
    pending_destroy(pending);
}

static void a_call_too_many_does_no_harm(void)
{
    pthread_t thread;
    int number = 3;

    open_pending();
    for (int i = 0; i < 5; i++)
        pending_recover(pending);
    expect_int(pthread_create(&thread, NULL, add_later, &number), 0);
    expect_int(pending_take(pending, numbers), 1);
    pthread_join(thread, NULL);
    pending_destroy(pending);
}

/* From here on every system call but read and write kills. */
static int add_and_die_of_the_wake_up(void *number)
{
    enum { STRICT = 1 }; /* <linux/seccomp.h> has it, musl has not */

    prctl(PR_SET_SECCOMP, STRICT);
    pending_add(pending, *(int *)number);
    return 0;
}

static void *take_one(void *unused)
{
    expect_int(pending_take(pending, numbers), 1);
    return unused;
}

static void who_dies_before_it_wakes_is_made_up_for(void)
{
    struct process child;
    pthread_t taker;
    int number = 3;

    open_pending();
    expect_int(pthread_create(&taker, NULL, take_one, NULL), 0);
    clock_sleep(0.05); /* until it sleeps */
    expect_int(
        process_start(&child, add_and_die_of_the_wake_up, &number), 0);
    expect_int(process_join(&child, INFINITY), 0);
    expect_int(child.exitcode, -SIGKILL);
    pending_recover(pending);
    pthread_join(taker, NULL);
    expect_int(numbers[0], 3);
    pending_destroy(pending);
}

/* --------------------------------------------- many at once, death */

/*
 * Each user adds its number when that has been taken, and never else:
 * so the taker gets every number as often as its user added it.  Some
 * users are killed at any moment; then their number is added for them,
 * as a pool does, and the next user goes on.
 */
enum { USERS = 4, ROUNDS = 20000, KILLS = 200 };

static struct board {
    atomic_int given[USERS]; /* how often it may be added */
    atomic_int added[USERS]; /* how often it was */
    atomic_int taken[USERS];
} * board;

static struct process users[USERS];

static int use(void *arg)
{
    int me = *(int *)arg;

    while (atomic_load(&board->added[me]) < ROUNDS) {
        if (atomic_load(&board->added[me]) ==
            atomic_load(&board->given[me])) {
            clock_sleep(0);
            continue;
        }
        pending_add(pending, me * 40);
        atomic_fetch_add(&board->added[me], 1);
    }
    return 0;
}

static void *take(void *unused)
{
    size_t count;

    while ((count = pending_take(pending, numbers)) > 0)
        for (size_t i = 0; i < count; i++) {
            int user = numbers[i] / 40;

            expect_int(numbers[i] % 40, 0);
            atomic_fetch_add(&board->taken[user], 1);
            atomic_store(&board->given[user],
                         atomic_load(&board->taken[user]) + 1);
        }
    return unused;
}

static void start_user(int *user)
{
    expect_int(process_start(&users[*user], use, user), 0);
}

static int me[USERS] = {0, 1, 2, 3};

/* All users, and the taker. */
static pthread_t start_all(void)
{
    pthread_t taker;

    open_pending();
    board = shared_alloc(sizeof *board);
    expect(board != NULL);
    for (int i = 0; i < USERS; i++)
        atomic_store(&board->given[i], 1);
    for (int i = 0; i < USERS; i++)
        start_user(&me[i]);
    expect_int(pthread_create(&taker, NULL, take, NULL), 0);
    return taker;
}

static void what_many_add_is_taken_once(void)
{
    pthread_t taker = start_all();

    for (int i = 0; i < USERS; i++) {
        expect_int(process_join(&users[i], INFINITY), 0);
        expect_int(users[i].exitcode, 0);
    }
    pending_close(pending);
    pthread_join(taker, NULL);
    for (int i = 0; i < USERS; i++)
        expect_int(atomic_load(&board->taken[i]), ROUNDS);
    pending_destroy(pending);
}

/* What the dead had in hand: added, or not, or not yet noted. */
static void succeed(int *user)
{
    int i = *user;

    kill(users[i].pid, SIGKILL);
    expect_int(process_join(&users[i], INFINITY), 0);
    pending_recover(pending);
    if (atomic_load(&board->added[i]) < atomic_load(&board->given[i]))
        pending_add(pending, i * 40);
    start_user(user);
}

static void nobody_who_is_killed_stops_the_others(void)
{
    pthread_t taker = start_all();
    int before;

    for (int i = 0; i < KILLS; i++) {
        clock_sleep((double)(i % 7) * 1e-4);
        succeed(&me[i % USERS]);
    }
    before = atomic_load(&board->taken[0]);
    while (atomic_load(&board->taken[0]) < before + 10 &&
           atomic_load(&board->added[0]) < ROUNDS)
        clock_sleep(1e-3);
    for (int i = 0; i < USERS; i++) {
        kill(users[i].pid, SIGKILL);
        expect_int(process_join(&users[i], INFINITY), 0);
    }
    pending_recover(pending);
    pending_close(pending);
    pthread_join(taker, NULL);
    pending_destroy(pending);
}

static const struct test tests[] = {
    TEST(rejects_a_count_below_one),
    TEST(gives_all_in_the_order_added),
    TEST(holds_all_there_can_be),
    TEST(a_number_twice_is_there_once),
    TEST(when_closed_gives_what_is_left),
    TEST(who_takes_waits_for_the_first),
    TEST(a_call_too_many_does_no_harm),
    TEST(who_dies_before_it_wakes_is_made_up_for),
    TEST(what_many_add_is_taken_once),
    TEST(nobody_who_is_killed_stops_the_others),
    {0},
};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
