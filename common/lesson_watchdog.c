/*
 * lesson_watchdog.c -- ends a lesson that hangs.
 *
 * A thread that wakes up every tenth of a second and looks whether any
 * process of the lesson wrote a line or recorded an event since.  It
 * counts its own ticks and not the time that passed: a program that is
 * stopped with Ctrl-Z does not tick, so it does not lose patience.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "clock.h"
#include "lesson_internal.h"
#include "timeline.h"

static const double tick = 0.1; /* seconds */
static const size_t stack_size = 256 << 10;

static struct {
    pthread_t thread;
    sem_t watching;
    sem_t stop;
    atomic_bool paused;
    double patience;
    const char *(*part)(void);
} watchdog;

static void print_line(const char *text)
{
    dprintf(STDERR_FILENO, "  %s\n", text);
}

static _Noreturn void give_up(void)
{
    const char *part = watchdog.part();

    dprintf(STDERR_FILENO,
            "%s: nothing happened for %g s; ended by the watchdog\n",
            program_invocation_short_name, watchdog.patience);
    if (part != NULL)
        dprintf(STDERR_FILENO, "  in the part \"%s\"\n", part);
    timeline_report(print_line);
    _exit(EXIT_HANG);
}

static uint64_t progress(void)
{
    return speech_progress() + timeline_progress();
}

static void *watch(void *unused)
{
    uint64_t before = progress();
    int quiet = 0; /* ticks */

    (void)unused;
    sem_post(&watchdog.watching);
    while (clock_sem_wait(&watchdog.stop, tick) != 0) {
        uint64_t now = progress();

        if (speech_failed())
            _exit(EXIT_REFUSED);
        if (now != before || atomic_load(&watchdog.paused))
            quiet = 0;
        else if (++quiet * tick >= watchdog.patience)
            give_up();
        before = now;
    }
    return NULL;
}

/*
 * Signals are for the threads of the lesson.  The stack is smaller than
 * theirs: in a forked child, which has no watchdog, glibc would hand
 * it to the first thread, and gcc 12's ThreadSanitizer ends a program
 * in which a thread comes twice.  And it returns when the thread is
 * running: a child forked before could inherit a lock of the allocator
 * that the thread holds as it begins (AddressSanitizer's).
 */
void watchdog_start(double patience, const char *(*part)(void))
{
    pthread_attr_t attributes;
    sigset_t all, before;

    watchdog.patience = patience;
    watchdog.part = part;
    check_call(sem_init(&watchdog.stop, 0, 0), "sem_init");
    check_call(sem_init(&watchdog.watching, 0, 0), "sem_init");
    check_error(pthread_attr_init(&attributes), "pthread_attr_init");
    check_error(pthread_attr_setstacksize(&attributes, stack_size),
                "pthread_attr_setstacksize");
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    check_error(
        pthread_create(&watchdog.thread, &attributes, watch, NULL),
        "pthread_create");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    check_error(pthread_attr_destroy(&attributes),
                "pthread_attr_destroy");
    clock_sem_wait(&watchdog.watching, INFINITY);
}

void watchdog_pause(bool paused)
{
    atomic_store(&watchdog.paused, paused);
}

void watchdog_stop(void)
{
    sem_post(&watchdog.stop);
    check_error(pthread_join(watchdog.thread, NULL), "pthread_join");
    sem_destroy(&watchdog.stop);
    sem_destroy(&watchdog.watching);
}
