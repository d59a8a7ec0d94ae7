/*
 * interrupt.h -- signals that a system call does not survive unasked.
 */
#ifndef INTERRUPT_H
#define INTERRUPT_H

#include <signal.h>
#include <sys/time.h>

static inline void do_nothing(int number)
{
    (void)number;
}

/* From now on every 2 ms, and no call is restarted after it. */
static inline void begin_interruptions(void)
{
    struct itimerval every = {{0, 2000}, {0, 2000}};
    struct sigaction action = {.sa_handler = do_nothing};

    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
}

#endif
