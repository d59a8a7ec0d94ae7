/* gauge_test.c -- what gauge.h promises. */
#include "test.h"

#include <pthread.h>

#include "crowd_help.h"
#include "gauge.h"
#include "shared.h"

static void tells_how_many_are_inside(void)
{
    struct gauge gauge = {0};

    for (int i = 1; i <= 3; i++)
        expect_int(gauge_enter(&gauge), i);
    gauge_leave(&gauge);
    expect_int(gauge.inside, 2);
    expect_int(gauge_enter(&gauge), 3);
    for (int i = 0; i < 3; i++)
        gauge_leave(&gauge);
    expect_int(gauge.inside, 0);
}

static void keeps_the_most_there_ever_were(void)
{
    struct gauge gauge = {0};

    for (int i = 0; i < 4; i++)
        gauge_enter(&gauge);
    for (int i = 0; i < 4; i++)
        gauge_leave(&gauge);
    gauge_enter(&gauge);
    expect_int(gauge.most, 4);
}

/* ------------------------------------------------- many at a time */

enum { CREW = 4 };

static struct board {
    struct gauge gauge;
    pthread_barrier_t all_in;
} * board;

static void open_board(void)
{
    pthread_barrierattr_t attributes;

    board = shared_alloc(sizeof *board);
    expect(board != NULL);
    pthread_barrierattr_init(&attributes);
    pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    expect_int(pthread_barrier_init(&board->all_in, &attributes, CREW),
               0);
}

static void go_in_together(int number)
{
    for (int i = 0; i < 300; i++) {
        pthread_barrier_wait(&board->all_in);
        gauge_enter(&board->gauge);
        pthread_barrier_wait(&board->all_in);
        expect_int(board->gauge.inside, CREW);
        expect_int(board->gauge.most, CREW);
        pthread_barrier_wait(&board->all_in);
        gauge_leave(&board->gauge);
        if (number == 0)
            atomic_store(&board->gauge.most, 0);
    }
}

static void counts_all_who_are_in_together(const void *kind)
{
    open_board();
    ((const struct kind *)kind)->run(CREW, go_in_together);
    expect_int(board->gauge.inside, 0);
}

static void pass_through(int number)
{
    (void)number;
    pthread_barrier_wait(&board->all_in);
    for (int i = 0; i < 100000; i++) {
        int now = gauge_enter(&board->gauge);

        expect(now >= 1 && now <= CREW);
        expect(board->gauge.most >= now);
        gauge_leave(&board->gauge);
    }
}

static void forgets_nobody_in_a_crowd(const void *kind)
{
    open_board();
    ((const struct kind *)kind)->run(CREW, pass_through);
    expect_int(board->gauge.inside, 0);
    expect(board->gauge.most <= CREW);
}

static const struct test tests[] = {
    TEST(tells_how_many_are_inside),
    TEST(keeps_the_most_there_ever_were),
    TEST_WITH("threads", &threads, counts_all_who_are_in_together),
    TEST_WITH("processes", &processes, counts_all_who_are_in_together),
    TEST_WITH("threads", &threads, forgets_nobody_in_a_crowd),
    TEST_WITH("processes", &processes, forgets_nobody_in_a_crowd),
    {0},
};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
