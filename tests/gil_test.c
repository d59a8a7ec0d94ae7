/* gil_test.c -- what gil.h promises. */
#include "test.h"

#include <math.h>
#include <stdatomic.h>

#include "clock.h"
#include "crowd.h"
#include "gauge.h"
#include "gil.h"

enum { CREW = 4, TURNS = 20 };

static const double interval = 0.005;
static struct gil gil;

static void refuses_an_interval_that_is_none(void)
{
    expect_int(gil_init(&gil, 0), EINVAL);
    expect_int(gil_init(&gil, -1), EINVAL);
    expect_int(gil_init(&gil, NAN), EINVAL);
    expect_int(gil_init(&gil, 1e-6), 0);
    gil_destroy(&gil);
}

static void never_waits_for_nobody(void)
{
    expect_int(gil_init(&gil, 3600), 0);
    for (int i = 0; i < 1000; i++) {
        gil_take(&gil);
        expect(!gil_wanted(&gil));
        gil_check(&gil);
        gil_drop(&gil);
    }
    expect_int(gil.switches, 1);
    gil_destroy(&gil);
}

/* ---------------------------------------------- one at a time -- */

static struct gauge inside;
static long count;

static void count_with_checks(int number)
{
    (void)number;
    for (int i = 0; i < 2000; i++) {
        gil_take(&gil);
        expect_int(gauge_enter(&inside), 1);
        count++;
        gauge_leave(&inside);
        gil_check(&gil);
        gauge_enter(&inside);
        count++;
        gauge_leave(&inside);
        gil_drop(&gil);
    }
}

static void lets_one_in_at_a_time(void)
{
    expect_int(gil_init(&gil, 1e-5), 0);
    crowd_threads(CREW, count_with_checks);
    expect_int(inside.most, 1);
    expect_int(count, CREW * 2 * 2000);
    gil_destroy(&gil);
}

/* ------------------------------------------------ the request -- */

/* Number 0 holds the lock when number 1 comes. */
static atomic_bool held, taken;
static _Atomic double came;
static double asked, came_in;

static void hold_until_asked(void)
{
    gil_take(&gil);
    held = true;
    while (!gil_wanted(&gil))
        continue;
    asked = clock_now();
    clock_sleep(interval);
    expect_int(gil.switches, 1); /* asked is not given */
    gil_drop(&gil);
    expect_int(gil.switches, 2); /* the hand-over is forced */
}

static void come_later(void)
{
    while (!held)
        clock_sleep(1e-4);
    came = clock_now();
    gil_take(&gil);
    came_in = clock_now();
    taken = true;
    expect(!gil_wanted(&gil));
    gil_drop(&gil);
}

static void hold_or_come(int number)
{
    if (number == 0)
        hold_until_asked();
    else
        come_later();
}

static void asks_after_an_interval(void)
{
    expect_int(gil_init(&gil, interval), 0);
    crowd_threads(2, hold_or_come);
    expect(asked - came >= interval);
    expect(came_in - asked >= interval);
    expect_int(gil.switches, 2);
    gil_destroy(&gil);
}

/* Who waits gets a lock that is dropped, without asking for it. */
static void hold_or_wait(int number)
{
    if (number == 1) {
        come_later();
        return;
    }
    gil_take(&gil);
    held = true;
    while (came == 0)
        clock_sleep(1e-4);
    clock_sleep(interval);
    expect(!gil_wanted(&gil));
    gil_drop(&gil);
}

static void gives_a_lock_that_is_free_at_once(void)
{
    expect_int(gil_init(&gil, 3600), 0);
    crowd_threads(2, hold_or_wait);
    expect(taken);
    gil_destroy(&gil);
}

/* -------------------------------------------------- the turns -- */

static atomic_int running;
static int turns[CREW];
static long lost; /* checks that gave way, and nobody else came */

/* Each gives way so often, unless it is the last. */
static void take_turns(int number)
{
    gil_take(&gil);
    while (turns[number] < TURNS && running > 1) {
        long before = gil.switches;
        bool wanted = gil_wanted(&gil);

        gil_check(&gil);
        turns[number] += wanted;
        lost += wanted && gil.switches < before + 2;
    }
    running--;
    gil_drop(&gil);
}

static void hands_over_to_another(const void *crew)
{
    running = *(const int *)crew;
    expect_int(gil_init(&gil, 1e-3), 0);
    crowd_threads(running, take_turns);
    expect_int(lost, 0);
    expect_int(running, 0);
    gil_destroy(&gil);
}

static const int two = 2, four = CREW;

static const struct test tests[] = {
    TEST(refuses_an_interval_that_is_none),
    TEST(never_waits_for_nobody),
    TEST(lets_one_in_at_a_time),
    TEST(asks_after_an_interval),
    TEST(gives_a_lock_that_is_free_at_once),
    TEST_WITH("two", &two, hands_over_to_another),
    TEST_WITH("four", &four, hands_over_to_another),
    {0},
};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
