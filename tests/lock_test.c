/* lock_test.c -- what lock.h promises, and holders that are killed. */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "clock.h"
#include "crowd_help.h"
#include "lock.h"
#include "process.h"
#include "shared.h"

static const double limit = 20; /* s: what takes longer is stuck */

static struct board {
    struct lock lock;
    long left, right; /* protected by the lock: always equal */
    atomic_int steps, told, inside;
} * board;

static void open_board(void)
{
    board = shared_alloc(sizeof *board);
    expect(board != NULL);
    expect_int(lock_init(&board->lock), 0);
}

static struct process start(process_function *run)
{
    struct process process;

    expect_int(process_start(&process, run, NULL), 0);
    return process;
}

static void end(struct process *process)
{
    expect_int(process_kill(process), 0);
    expect_int(process_join(process, limit), 0);
    expect_int(process->exitcode, -SIGKILL);
}

static void wait_for(atomic_int *number, int value)
{
    double deadline = clock_deadline(limit);

    while (atomic_load(number) < value) {
        expect(clock_left(deadline) > 0);
        clock_sleep(0.0002);
    }
}

/* ------------------------------------------------ one at a time */

enum { CREW = 4, ROUNDS = 20000 };

static void add_one_often(int number)
{
    (void)number;
    for (int i = 0; i < ROUNDS; i++) {
        expect_int(lock_acquire(&board->lock), 0);
        expect_int(atomic_fetch_add(&board->inside, 1), 0);
        board->left++;
        atomic_fetch_sub(&board->inside, 1);
        lock_release(&board->lock);
    }
}

static void lets_one_in_at_a_time(const void *kind)
{
    open_board();
    ((const struct kind *)kind)->run(CREW, add_one_often);
    expect_int(board->left, CREW * ROUNDS);
    lock_destroy(&board->lock);
}

static void look_inside(int number)
{
    if (number == 0)
        clock_sleep(0.02);
    expect_int(lock_acquire(&board->lock), 0);
    expect_int(board->left, board->right);
    board->left++;
    clock_sleep(0.02); /* whoever is let in now sees them differ */
    board->right++;
    lock_release(&board->lock);
}

static void keeps_others_out_while_the_holder_sleeps(const void *kind)
{
    open_board();
    ((const struct kind *)kind)->run(CREW, look_inside);
    expect_int(board->right, CREW);
    lock_destroy(&board->lock);
}

/* -------------------------------------------------------- death */

static int hold_for_ever(void *unused) NOT_CHECKED
{
    (void)unused;
    lock_acquire(&board->lock);
    atomic_fetch_add(&board->inside, 1);
    while (pause() < 0)
        continue;
    return 0;
}

static void the_next_is_told_that_the_holder_was_killed(void)
{
    open_board();
    for (int i = 1; i <= 50; i++) {
        struct process holder = start(hold_for_ever);

        wait_for(&board->inside, i);
        end(&holder);
        expect_int(lock_acquire(&board->lock), EOWNERDEAD);
        lock_release(&board->lock);
        expect_int(lock_acquire(&board->lock), 0);
        lock_release(&board->lock);
    }
}

static int exit_with_the_lock(void *unused) NOT_CHECKED
{
    (void)unused;
    return lock_acquire(&board->lock);
}

static void the_next_is_told_that_the_holder_ended(void)
{
    struct process holder;

    open_board();
    holder = start(exit_with_the_lock);
    expect_int(process_join(&holder, limit), 0);
    expect_int(holder.exitcode, 0);
    expect_int(lock_acquire(&board->lock), EOWNERDEAD);
    lock_release(&board->lock);
}

static int take_once(void *unused)
{
    int error;

    (void)unused;
    atomic_fetch_add(&board->steps, 1);
    error = lock_acquire(&board->lock);
    if (error == EOWNERDEAD)
        atomic_fetch_add(&board->told, 1);
    else
        expect_int(error, 0);
    lock_release(&board->lock);
    return 0;
}

static void of_many_who_wait_one_is_told_and_all_get_it(void)
{
    struct process holder, waiting[CREW];

    open_board();
    holder = start(hold_for_ever);
    wait_for(&board->inside, 1);
    for (int i = 0; i < CREW; i++)
        waiting[i] = start(take_once);
    wait_for(&board->steps, CREW);
    clock_sleep(0.01);
    expect_int(process_join(&waiting[0], 0), ETIMEDOUT);
    end(&holder);
    for (int i = 0; i < CREW; i++) {
        expect_int(process_join(&waiting[i], limit), 0);
        expect_int(waiting[i].exitcode, 0);
    }
    expect_int(board->told, 1);
}

static void a_killed_waiter_disturbs_nobody(void)
{
    struct process waiting;

    open_board();
    expect_int(lock_acquire(&board->lock), 0);
    waiting = start(take_once);
    wait_for(&board->steps, 1);
    clock_sleep(0.01);
    end(&waiting);
    lock_release(&board->lock);
    expect_int(lock_acquire(&board->lock), 0);
    lock_release(&board->lock);
}

/* Whoever finds the pair half changed has been told. */
static int change_both(void *unused)
{
    (void)unused;
    while (atomic_load(&board->steps) >= 0) {
        int error = lock_acquire(&board->lock);

        if (error == EOWNERDEAD) {
            atomic_fetch_add(&board->told, 1);
            board->left = board->right;
        } else
            expect_int(error, 0);
        expect_int(board->left, board->right);
        board->left++;
        for (int i = 0; i < 50; i++)
            atomic_signal_fence(memory_order_seq_cst);
        board->right++;
        lock_release(&board->lock);
        atomic_fetch_add(&board->steps, 1);
    }
    return 0;
}

static void is_sound_again_after_each_of_many_kills(void)
{
    enum { KILLS = 100 };
    struct process crew[3];

    open_board();
    for (int i = 0; i < 3; i++)
        crew[i] = start(change_both);
    for (int i = 0; i < KILLS; i++) {
        clock_sleep(i * 7919 % 300 * 1e-6); /* from 0 to 0.3 ms */
        end(&crew[i % 3]);
        crew[i % 3] = start(change_both);
        wait_for(&board->steps, atomic_load(&board->steps) + 20);
    }
    for (int i = 0; i < 3; i++)
        end(&crew[i]);
    expect(board->told <= KILLS);
    expect(board->told > 0); /* or the test has tested nothing */
}

#define TEST_BOTH(function)                                            \
    TEST_WITH("threads", &threads, function),                          \
        TEST_WITH("processes", &processes, function)

static const struct test tests[] = {
    TEST_BOTH(lets_one_in_at_a_time),
    TEST_BOTH(keeps_others_out_while_the_holder_sleeps),
    TEST(the_next_is_told_that_the_holder_was_killed),
    TEST(the_next_is_told_that_the_holder_ended),
    TEST(of_many_who_wait_one_is_told_and_all_get_it),
    TEST(a_killed_waiter_disturbs_nobody),
    TEST(is_sound_again_after_each_of_many_kills),
    {0},
};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
