/*
 * process_create.c -- ten processes, and what is left of each.
 *
 * fork makes a second process out of one: both return from the call,
 * and only its value tells them apart.  The parent gets the child's
 * pid and waits with waitpid, which brings the child's last word, its
 * exit status or the signal that killed it.  The library wraps the two
 * as process_start and process_join, and this is the last time that
 * they stand in the open.
 *
 * Look at: the ten pids and their one parent; ten naps that take
 * hardly longer than one; the exit codes.
 * Compare with: 02-join-daemon, which shows what waits and what is
 * waited for; 09-thread-create, where threads are started so.
 * Try: --processes 40; --unit 1, and Ctrl-C in the middle.
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checked.h"
#include "lesson.h"
#include "process.h"
#include "shared.h"
#include "timeline.h"

enum { PROCESSES_MAX = 64 };

static int processes = 10;

/* What each child leaves behind, in memory that main shares. */
struct note {
    pid_t pid, parent;
    double begin, end; /* of its nap */
};

static struct note *notes;

/* -------------------------------------------- what a child does */

static void nap(int number)
{
    struct note *note = &notes[number];
    char row[TIMELINE_NAME_MAX];

    note->pid = getpid();
    note->parent = getppid();
    snprintf(row, sizeof row, "child %d", number);
    say_time("%-8s  pid %d, parent %d", row, note->pid, note->parent);
    timeline_begin(row, "nap", 0);
    note->begin = unit_now();
    unit_sleep(1);
    note->end = unit_now();
    timeline_end(row);
}

/* ------------------------------------------------ fork, waitpid */

/* It must not outlive a parent that is killed. */
static void die_with(pid_t parent)
{
    check_call(prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
    if (getppid() != parent)
        _exit(EXIT_REFUSED);
}

static pid_t fork_child(int number)
{
    pid_t parent = getpid();
    pid_t pid = check_call(fork(), "fork");

    if (pid == 0) { /* this is the child */
        die_with(parent);
        nap(number);
        _exit(0); /* exit() would run what the parent has registered */
    }
    return pid; /* and this the parent */
}

/* Did it sleep while another one did? */
static bool in_company(int child)
{
    bool found = false;

    for (int i = 0; i < processes; i++)
        found |= i != child && notes[i].begin < notes[child].end &&
                 notes[child].begin < notes[i].end;
    return found;
}

/* On a busy machine some may nap alone, so half of them will do. */
static void claim_naps(void)
{
    int parents = 0, twice = 0, together = 0;
    double first = INFINITY, last = 0;

    for (int i = 0; i < processes; i++) {
        first = fmin(first, notes[i].begin);
        last = fmax(last, notes[i].end);
        together += in_company(i);
        parents += notes[i].pid > 0 && notes[i].parent == getpid();
        for (int j = 0; j < i; j++)
            twice += notes[j].pid == notes[i].pid;
    }
    say("%d naps of 1 u: %.1f u", processes, last - first);
    saw("%d pids came twice", twice);
    claim(twice == 0, "%d different pids", processes);
    saw("%d", parents);
    claim(parents == processes, "all %d have this program as parent",
          processes);
    saw("%d of %d", together, processes);
    claim(2 * together >= processes,
          "they slept at the same time, not one after another");
}

static void part_fork(void)
{
    pid_t pids[PROCESSES_MAX] = {0};
    int good = 0, status;

    memset(notes, 0, PROCESSES_MAX * sizeof *notes);
    for (int i = 0; i < processes; i++)
        pids[i] = fork_child(i);
    for (int i = 0; i < processes; i++) {
        xwaitpid(pids[i], &status, 0);
        good += WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    claim_naps();
    saw("%d", good);
    claim(good == processes, "waitpid brought %d times exit status 0",
          processes);
}

/* ----------------------------------- process_start, process_join */

static int nap_of(void *arg)
{
    nap(*(const int *)arg);
    return 0;
}

static void part_process(void)
{
    struct process children[PROCESSES_MAX];
    int numbers[PROCESSES_MAX];

    memset(notes, 0, PROCESSES_MAX * sizeof *notes);
    for (int i = 0; i < processes; i++) {
        numbers[i] = i;
        xprocess_start(&children[i], nap_of, &numbers[i]);
    }
    for (int i = 0; i < processes; i++)
        xprocess_join(&children[i]);
    claim_naps();
}

/* ------------------------------------ a kind with its own run */

/*
 * What a subclass of Process is in Python: a struct that begins with a
 * process and carries what its run needs.
 */
struct greeter {
    struct process process;
    const char *name;
    int (*run)(const struct greeter *self);
};

static int greet(const struct greeter *self)
{
    say("%s says hello, pid %d", self->name, getpid());
    return (int)strlen(self->name);
}

static int run_greeter(void *arg)
{
    const struct greeter *greeter = arg;

    return greeter->run(greeter);
}

static void part_greeter(void)
{
    struct greeter alex = {.name = "alex", .run = greet};

    xprocess_start(&alex.process, run_greeter, &alex);
    xprocess_join(&alex.process);
    saw("%d", alex.process.exitcode);
    claim(alex.process.exitcode == 4,
          "what run returns, 4, is the exit code");
}

/* --------------------------------------------------- exit codes */

static int return_0(void *arg)
{
    (void)arg;
    return 0;
}

static int call_exit(void *arg)
{
    (void)arg;
    _exit(3);
}

static int call_abort(void *arg)
{
    (void)arg;
    setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}); /* no core file */
    abort();
}

static int wait_for_ever(void *arg)
{
    (void)arg;
    while (pause() == -1)
        continue; /* it returns after a signal only, and always -1 */
    return 0;
}

static const struct end {
    const char *how;
    process_function *run;
    int (*end)(const struct process *process); /* what main does */
    int exitcode;
} ends[] = {
    {"return 0", return_0, NULL, 0},
    {"exit(3)", call_exit, NULL, 3},
    {"abort()", call_abort, NULL, -SIGABRT},
    {"terminate", wait_for_ever, process_terminate, -SIGTERM},
    {"kill", wait_for_ever, process_kill, -SIGKILL},
};

static void part_exit_codes(void)
{
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct process child;

        xprocess_start(&child, ends[i].run, NULL);
        if (ends[i].end != NULL)
            check_error(ends[i].end(&child), "kill");
        xprocess_join(&child);
        say("%-10s exit code %3d", ends[i].how, child.exitcode);
        saw("%d", child.exitcode);
        claim(child.exitcode == ends[i].exitcode,
              ends[i].exitcode < 0
                  ? "%s: the code is minus the signal, %d"
                  : "%s: the code is the exit status, %d",
              ends[i].how, ends[i].exitcode);
    }
}

/* ------------------------------------------------------ is_alive */

/* Like a child with much to put in order: SIGTERM has to wait. */
static int end_slowly(void *arg)
{
    sem_t *go = arg;
    sigset_t term;

    xsem_wait(go); /* SIGTERM is blocked, as main left it */
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_UNBLOCK, &term, NULL);
    return wait_for_ever(NULL);
}

static void part_is_alive(void)
{
    struct process child = {0};
    sem_t *go = xshared_alloc(sizeof *go);
    bool before = process_is_alive(&child), during, terminated;
    sigset_t term, old;

    xsem_init(go, 1, 0);
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &old);
    xprocess_start(&child, end_slowly, go); /* inherits the mask */
    sigprocmask(SIG_SETMASK, &old, NULL);

    during = process_is_alive(&child);
    check_error(process_terminate(&child), "process_terminate");
    terminated = process_is_alive(&child);
    xsem_post(go);
    xprocess_join(&child);

    claim(!before, "not alive before the start");
    claim(during, "alive while it runs");
    claim(terminated, "just terminated, it may still be alive");
    saw("exit code %d", child.exitcode);
    claim(!process_is_alive(&child) && child.exitcode == -SIGTERM,
          "not alive once it was joined");
    shared_free(go, sizeof *go);
}

int main(int argc, char **argv)
{
    static const struct lesson_option options[] = {
        {"processes", "N", "how many children sleep", &processes, 2,
         PROCESSES_MAX},
        {0},
    };
    static const struct lesson lesson = {
        .name = "lesson-01 process-create",
        .summary = "start processes, and learn how each ended",
        .example = "./lesson-01 --processes 5",
        .options = options,
    };

    lesson_begin(&lesson, argc, argv);
    notes = xshared_alloc(PROCESSES_MAX * sizeof *notes);
    PART("fork, then waitpid", part_fork);
    PART("The same with process_start and process_join", part_process);
    PART("A kind of process with its own run", part_greeter);
    PART("How they end", part_exit_codes);
    PART("is_alive: before, during and after", part_is_alive);
    return lesson_end();
}
