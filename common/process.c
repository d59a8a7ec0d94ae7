/*
 * The parent of a process is a thread: PR_SET_PDEATHSIG, which ties
 * the child's life to its parent's, follows the thread that forked.
 */
#include "process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"

/* A handler of the parent's program has no business in the child. */
static void default_signals(void)
{
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;

        if (sigaction(number, NULL, &action) != 0 ||
            action.sa_handler == SIG_DFL ||
            action.sa_handler == SIG_IGN)
            continue;
        action.sa_handler = SIG_DFL;
        action.sa_flags = 0;
        sigaction(number, &action, NULL);
    }
}

/*
 * The parent may die between the fork and the prctl: then nobody sends
 * the signal, but the parent is another one already.
 */
static void die_with(pid_t parent)
{
    check_call(prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
    if (getppid() != parent)
        _exit(EXIT_REFUSED);
}

/* Unless another thread is printing: that one may take for ever. */
static void flush_stdout(void)
{
    if (ftrylockfile(stdout) != 0)
        return;
    fflush(stdout);
    funlockfile(stdout);
}

int process_start(struct process *process, process_function *run,
                  void *arg)
{
    sigset_t all, before;
    pid_t parent = getpid();
    int error = 0;

    flush_stdout();
    *process = (struct process){0};
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    process->pid = fork();
    if (process->pid == 0) {
        die_with(parent);
        default_signals();
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        /* Not exit: what is registered there is the parent's. */
        _exit(run(arg));
    }
    if (process->pid < 0) {
        error = errno;
        process->pid = 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

/* A descriptor that is readable once the child has ended. */
static int wait_for_end(pid_t pid, double timeout)
{
    double deadline = clock_deadline(timeout);
    struct pollfd end = {.events = POLLIN};
    int ready;

    end.fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (end.fd < 0)
        return errno == ESRCH ? ECHILD : errno;
    do {
        double left = fmax(0, clock_left(deadline));
        int limit = (int)fmin(ceil(left * 1e3), 3600e3);

        ready = poll(&end, 1, limit);
    } while (ready <= 0 && clock_left(deadline) > 0);
    close(end.fd);
    return ready > 0 ? 0 : ETIMEDOUT;
}

static int reap(struct process *process, int flags)
{
    int status;
    pid_t pid;

    do
        pid = waitpid(process->pid, &status, flags);
    while (pid < 0 && errno == EINTR);
    if (pid < 0)
        return errno;
    if (pid == 0)
        return ETIMEDOUT;
    process->joined = true;
    process->exitcode = process_exitcode(status);
    return 0;
}

int process_join(struct process *process, double timeout)
{
    int error;

    if (process->joined)
        return 0;
    if (process->pid == 0)
        return ECHILD;
    if (timeout == INFINITY)
        return reap(process, 0);
    error = reap(process, WNOHANG);
    if (error != ETIMEDOUT || timeout <= 0)
        return error;
    error = wait_for_end(process->pid, timeout);
    return error != 0 ? error : reap(process, 0);
}

bool process_is_alive(struct process *process)
{
    return process_join(process, 0) == ETIMEDOUT;
}

/* A joined process has no pid any more: it may be another's by now. */
static int send_signal(const struct process *process, int number)
{
    if (process->pid == 0 || process->joined)
        return ESRCH;
    return kill(process->pid, number) == 0 ? 0 : errno;
}

int process_terminate(const struct process *process)
{
    return send_signal(process, SIGTERM);
}

int process_kill(const struct process *process)
{
    return send_signal(process, SIGKILL);
}

int process_exitcode(int status)
{
    return WIFSIGNALED(status) ? -WTERMSIG(status)
                               : WEXITSTATUS(status);
}
