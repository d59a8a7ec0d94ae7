/*
 * process.h -- start a child process, wait for it, end it.
 *
 * The names are those of Python's multiprocessing.Process.  Lessons
 * 01 and 02 show the system calls.  A struct process belongs to the
 * thread that started it; its functions do not lock.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

struct process {
    pid_t pid;    /* 0 before the start */
    bool joined;  /* reaped: pid names nobody any more */
    int exitcode; /* valid once joined: 0 to 255, or -signal */
};

/* What a child runs; what it returns is its exit status, 0 to 255. */
typedef int process_function(void *arg);

/*
 * Forks a child that calls run(arg) and ends with _exit.  stdout is
 * flushed first, unless another thread holds it, so that nothing is
 * written twice.  The child gets default actions for all signals that
 * were caught here, and is killed by the kernel when the *thread* that
 * called process_start ends, so also when the whole program dies in
 * whatever way.  Returns 0 or the error of fork (EAGAIN, ENOMEM).
 */
int process_start(struct process *process, process_function *run,
                  void *arg);

/*
 * Waits for the child's end and reaps it.  May be repeated.  Returns
 * 0, ETIMEDOUT (the child lives on; time limits as in clock.h),
 * ECHILD (never started, or somebody else reaped it), or the error of
 * pidfd_open where a finite limit was given (EMFILE).
 */
int process_join(struct process *process, double timeout);

/* Does it still run?  Reaps it when it does not. */
bool process_is_alive(struct process *process);

/* SIGTERM.  The child may live a while yet: join it.  0 or errno. */
int process_terminate(const struct process *process);

/* SIGKILL, which can not be caught.  0 or errno. */
int process_kill(const struct process *process);

/*
 * What waitpid wrote, as Python's exitcode: the exit status, or minus
 * the number of the signal that killed it.
 */
int process_exitcode(int status);

#endif
