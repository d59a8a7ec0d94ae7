/* clock_test.c -- what clock.h and cpu.h promise. */
#include "test.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "clock.h"
#include "cpu.h"
#include "interrupt.h"

static const double no_wait[] = {0, -1, -1e300, -INFINITY};
enum { NO_WAITS = 4 };

static sem_t semaphore;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition;

static pthread_t start(void *run(void *))
{
    pthread_t thread;

    expect_int(pthread_create(&thread, NULL, run, NULL), 0);
    return thread;
}

static void now_never_goes_back(void)
{
    double before = clock_now();

    for (int i = 0; i < 10000; i++) {
        double now = clock_now();

        expect(now >= before);
        before = now;
    }
}

static void a_deadline_is_now_and_the_time_limit(void)
{
    double before = clock_now();
    double deadline = clock_deadline(100);

    expect(deadline >= before + 100);
    expect(deadline <= clock_now() + 100);
    expect(clock_left(deadline) <= 100);
    expect(clock_left(deadline) > 50);
    expect(clock_left(clock_deadline(-1)) <= -1);
    expect(clock_deadline(INFINITY) == INFINITY);
    expect(clock_left(INFINITY) == INFINITY);
}

static void the_time_of_day_is_that_of_the_wall_clock(void)
{
    struct timespec before, now, later, after;

    clock_gettime(CLOCK_REALTIME, &before);
    now = clock_time_of_day(0);
    later = clock_time_of_day(100.5);
    clock_gettime(CLOCK_REALTIME, &after);
    expect(now.tv_sec >= before.tv_sec - 1); /* it is rounded */
    expect(now.tv_sec <= after.tv_sec);
    expect(later.tv_sec >= before.tv_sec + 100);
    expect(later.tv_sec <= after.tv_sec + 101);
    expect(later.tv_nsec >= 0 && later.tv_nsec < 1000000000);
}

static void sleep_lasts_at_least_so_long(void)
{
    static const double lengths[] = {1e-9, 0.0001, 0.003, 0.02};

    for (int i = 0; i < 4; i++) {
        double begin = clock_now();

        clock_sleep(lengths[i]);
        expect(clock_now() - begin >= lengths[i]);
    }
}

static void sleep_of_nothing_does_not_wait(void)
{
    alarm(20);
    for (int i = 0; i < NO_WAITS; i++)
        clock_sleep(no_wait[i]);
}

static void sleep_goes_on_after_a_signal(void)
{
    double begin;

    begin_interruptions();
    begin = clock_now();
    clock_sleep(0.03);
    expect(clock_now() - begin >= 0.03);
}

/* ----------------------------------------------------- semaphores */

static void a_semaphore_with_tokens_is_taken_at_once(void)
{
    sem_init(&semaphore, 0, NO_WAITS + 2);
    for (int i = 0; i < NO_WAITS; i++)
        expect_int(clock_sem_wait(&semaphore, no_wait[i]), 0);
    expect_int(clock_sem_wait(&semaphore, 0.01), 0);
    expect_int(clock_sem_wait(&semaphore, INFINITY), 0);
    expect_int(clock_sem_wait(&semaphore, 0), ETIMEDOUT);
}

static void a_semaphore_without_tokens_keeps_the_time_limit(void)
{
    double begin;

    sem_init(&semaphore, 0, 0);
    for (int i = 0; i < NO_WAITS; i++)
        expect_int(clock_sem_wait(&semaphore, no_wait[i]), ETIMEDOUT);
    begin = clock_now();
    expect_int(clock_sem_wait(&semaphore, 0.03), ETIMEDOUT);
    expect(clock_now() - begin >= 0.03);
    begin_interruptions();
    begin = clock_now();
    expect_int(clock_sem_wait(&semaphore, 0.03), ETIMEDOUT);
    expect(clock_now() - begin >= 0.03);
}

static void *post_later(void *unused)
{
    clock_sleep(0.03);
    sem_post(&semaphore);
    return unused;
}

static void a_semaphore_is_waited_for(void)
{
    static const double limits[] = {20, 1e9, 1e300, INFINITY};

    begin_interruptions();
    sem_init(&semaphore, 0, 0);
    for (int i = 0; i < 4; i++) {
        double begin = clock_now();
        pthread_t poster = start(post_later);

        expect_int(clock_sem_wait(&semaphore, limits[i]), 0);
        expect(clock_now() - begin >= 0.03);
        pthread_join(poster, NULL);
    }
}

static atomic_bool was_woken;

static void *wait_for_ever(void *unused)
{
    expect_int(clock_sem_wait(&semaphore, INFINITY), 0);
    atomic_store(&was_woken, true);
    return unused;
}

/*
 * A process was killed in sem_post, between the two things that it
 * does: the count stands first in a sem_t, with glibc and with musl.
 */
static void a_post_that_woke_nobody_is_found(void)
{
    double end = clock_deadline(20);
    pthread_t waiter;

    sem_init(&semaphore, 0, 0);
    waiter = start(wait_for_ever);
    clock_sleep(0.05); /* it sleeps, or finds the count at once */
    atomic_store((atomic_uint *)(void *)&semaphore, 1);
    while (!atomic_load(&was_woken)) {
        expect(clock_left(end) > 0);
        clock_sleep(0.001);
    }
    pthread_join(waiter, NULL);
}

/* ------------------------------------------- condition variables */

static void a_condition_keeps_the_deadline(void)
{
    static const double lengths[] = {-1, 0, 0.001, 0.03};

    expect_int(clock_cond_init(&condition), 0);
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < 4; i++) {
        double deadline = clock_deadline(lengths[i]);
        int returns = 0; /* it sleeps, and is not for ever looking */

        while (clock_cond_wait(&condition, &mutex, deadline) == 0) {
            expect(clock_left(deadline) > 0);
            expect(++returns < 100);
        }
        expect(clock_left(deadline) <= 0);
    }
    pthread_mutex_unlock(&mutex);
}

static int ready; /* protected by the mutex */

static void *signal_later(void *unused)
{
    clock_sleep(0.03);
    pthread_mutex_lock(&mutex);
    ready = 1;
    pthread_cond_signal(&condition);
    pthread_mutex_unlock(&mutex);
    return unused;
}

/* clang's -fsanitize=float-cast-overflow sees -INFINITY as a time. */
static void a_condition_is_not_waited_for_in_the_past(void)
{
    static const double limits[] = {0, -1, -1e300, -INFINITY};

    expect_int(clock_cond_init(&condition), 0);
    pthread_mutex_lock(&mutex);
    for (int i = 0; i < 4; i++)
        expect_int(clock_cond_wait(&condition, &mutex,
                                   clock_deadline(limits[i])),
                   ETIMEDOUT);
    pthread_mutex_unlock(&mutex);
}

static void a_condition_is_waited_for(void)
{
    static const double limits[] = {20, 1e9, 1e300, INFINITY};

    expect_int(clock_cond_init(&condition), 0);
    for (int i = 0; i < 4; i++) {
        double deadline = clock_deadline(limits[i]);
        pthread_t signaller;

        ready = 0;
        signaller = start(signal_later);
        pthread_mutex_lock(&mutex);
        while (!ready)
            expect_int(clock_cond_wait(&condition, &mutex, deadline),
                       0);
        pthread_mutex_unlock(&mutex);
        pthread_join(signaller, NULL);
    }
}

/* ------------------------------------------------------------ CPUs */

static void cpus_are_those_that_this_process_may_use(void)
{
    cpu_set_t cpus;
    size_t first = 0;

    expect_int(sched_getaffinity(0, sizeof cpus, &cpus), 0);
    expect_int(cpu_count(), CPU_COUNT(&cpus));
    while (!CPU_ISSET(first, &cpus))
        first++;
    CPU_ZERO(&cpus);
    CPU_SET(first, &cpus);
    expect_int(sched_setaffinity(0, sizeof cpus, &cpus), 0);
    expect_int(cpu_count(), 1);
    expect_int(cpu_spins(), 0);
}

static const struct test tests[] = {
    TEST(now_never_goes_back),
    TEST(a_deadline_is_now_and_the_time_limit),
    TEST(the_time_of_day_is_that_of_the_wall_clock),
    TEST(sleep_lasts_at_least_so_long),
    TEST(sleep_of_nothing_does_not_wait),
    TEST(sleep_goes_on_after_a_signal),
    TEST(a_semaphore_with_tokens_is_taken_at_once),
    TEST(a_semaphore_without_tokens_keeps_the_time_limit),
    TEST(a_semaphore_is_waited_for),
    TEST(a_post_that_woke_nobody_is_found),
    TEST(a_condition_keeps_the_deadline),
    TEST(a_condition_is_waited_for),
    TEST(a_condition_is_not_waited_for_in_the_past),
    TEST(cpus_are_those_that_this_process_may_use),
    {0},
};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
