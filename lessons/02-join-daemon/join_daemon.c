/*
 * join_daemon.c -- who waits for whom, and who is not waited for.
 *
 * To join a child is to wait for its end and to fetch what is left of
 * it.  Until then the dead child stays in the process table, as a
 * zombie: no memory, no code, only a number and its last word.  So a
 * program waits for its children when it ends, but not for those that
 * are daemons: these are killed.
 *
 * Look at: the Z that /proc shows before the join; what became of the
 * worker and of the daemon when their program had nothing left to do.
 * Compare with: 01-process-create, which shows waitpid bare;
 * 10-thread-join-daemon, where a process waits for its threads.
 * Try: --unit 1, and in another terminal: ps -o pid,ppid,stat,comm
 */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checked.h"
#include "lesson.h"
#include "process.h"
#include "shared.h"
#include "timeline.h"

/* ------------------------------------ join, and the time limit */

static int work_until_told(void *arg)
{
    timeline_begin("child", "works", 0);
    xsem_wait(arg);
    timeline_end("child");
    return 0;
}

static void part_join(void)
{
    sem_t *done = xshared_alloc(sizeof *done);
    struct process child;
    double took;
    int early;
    bool alive;

    xsem_init(done, 1, 0);
    xprocess_start(&child, work_until_told, done);
    early = process_join(&child, lesson_unit());
    took = unit_now();
    alive = process_is_alive(&child);
    say_time("main   join with a limit of 1 u: %s", error_name(early));
    xsem_post(done);
    check_error(process_join(&child, INFINITY), "process_join");
    say_time("main   join without a limit: exit code %d",
             child.exitcode);

    saw("%s", error_name(early));
    claim(early == ETIMEDOUT, "a join that times out returns");
    saw("%.3f u", took);
    claim(took >= 1, "but not before its time limit");
    claim(alive, "the child lives on");
    saw("exit code %d", child.exitcode);
    claim(child.joined && child.exitcode == 0,
          "a join without a limit waits for the end");
    shared_free(done, sizeof *done);
}

/* ------------------------------------------------------ a zombie */

/* The state that /proc tells: R, S, Z, ..., or - without an entry. */
static char state_of(pid_t pid)
{
    char path[32], state = '-';
    FILE *file;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    file = fopen(path, "r");
    if (file == NULL)
        return state;
    /* "4711 (lesson-02) S ...": no name of ours holds a ")". */
    if (fscanf(file, "%*[^)]) %c", &state) != 1)
        state = '?';
    (void)fclose(file);
    return state;
}

static int return_7(void *arg)
{
    (void)arg;
    return 7;
}

/* WNOWAIT leaves it as it is: dead, and not joined. */
static void await_end(pid_t pid)
{
    siginfo_t info;
    int error;

    do
        error = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
    while (error < 0 && errno == EINTR);
    check_call(error, "waitid");
}

static void part_zombie(void)
{
    struct process child;
    char before, after;
    int found;

    xprocess_start(&child, return_7, NULL);
    await_end(child.pid);
    before = state_of(child.pid);
    found = kill(child.pid, 0); /* signal 0: only asks who is there */
    xprocess_join(&child);
    after = state_of(child.pid);
    say("pid %d, dead and not joined: state %c", child.pid, before);
    say("pid %d, joined: %s", child.pid,
        after == '-' ? "no entry in /proc" : "still there");

    saw("%c", before);
    claim(before == 'Z', "before the join it is a zombie");
    saw("%d", found);
    claim(found == 0, "a zombie's pid is still taken");
    saw("%c", after);
    claim(after == '-', "the join has removed it");
    saw("%d", child.exitcode);
    claim(child.exitcode == 7, "and brought its exit code, 7");
}

/* ------------------------------------------- the end of a program */

/*
 * What Python's Process adds to ours: a name, and whether it is a
 * daemon.  Each process knows the children that it has started.
 */
struct child {
    struct process process;
    const char *name;
    bool daemon;
    int (*run)(void);
};

enum { CHILDREN_MAX = 4 };

static struct child *children[CHILDREN_MAX];
static int count;
static bool i_am_daemon;

/* What they tell main, in shared memory. */
struct board {
    bool worker_done, daemon_done;
    int worker_code, daemon_code, refusal;
};

static struct board *board;

static void join(struct child *child)
{
    xprocess_join(&child->process);
    timeline_cut(child->name);
    say_time("%-7s is joined: exit code %d", child->name,
             child->process.exitcode);
}

/* Daemons are killed, all others are waited for. */
static void end_program(void)
{
    for (int i = 0; i < count; i++)
        if (children[i]->daemon) {
            check_call(kill(children[i]->process.pid, SIGTERM), "kill");
            join(children[i]);
        }
    for (int i = 0; i < count; i++)
        if (!children[i]->daemon)
            join(children[i]);
    count = 0;
}

static int run_child(void *arg)
{
    struct child *self = arg;
    int code;

    count = 0; /* the others are its parent's, not its own */
    i_am_daemon = self->daemon;
    code = self->run();
    end_program();
    return code;
}

/* Whoever is killed at its parent's end can not look after its own. */
static int start(struct child *child)
{
    if (i_am_daemon)
        return EPERM;
    xprocess_start(&child->process, run_child, child);
    children[count++] = child;
    return 0;
}

static int work(void)
{
    timeline_begin("worker", "works", 0);
    unit_sleep(3);
    timeline_end("worker");
    board->worker_done = true;
    return 0;
}

static int serve(void)
{
    timeline_begin("daemon", "serves", 0);
    unit_sleep(1e6);
    board->daemon_done = true;
    return 0;
}

/* A whole program, with an end of its own to look at. */
static int program(void)
{
    struct child worker = {.name = "worker", .run = work};
    struct child daemon = {
        .name = "daemon", .run = serve, .daemon = true};

    check_error(start(&worker), "start");
    check_error(start(&daemon), "start");
    unit_sleep(1);
    say_time("program has nothing left to do");
    end_program();
    board->worker_code = worker.process.exitcode;
    board->daemon_code = daemon.process.exitcode;
    return 0;
}

static void run_program(bool daemon, int (*run)(void))
{
    struct child child = {
        .name = "program", .run = run, .daemon = daemon};

    board = xshared_alloc(sizeof *board);
    xprocess_start(&child.process, run_child, &child);
    xprocess_join(&child.process);
    saw("exit code %d", child.process.exitcode);
    claim(child.process.exitcode == 0, "the program came to its end");
}

static void part_end(void)
{
    run_program(false, program);
    saw("exit code %d", board->worker_code);
    claim(board->worker_done && board->worker_code == 0,
          "its worker was waited for");
    saw("exit code %d", board->daemon_code);
    claim(!board->daemon_done && board->daemon_code == -SIGTERM,
          "its daemon was killed: minus SIGTERM, -15");
    shared_free(board, sizeof *board);
}

/* ------------------------------------------- a daemon's children */

static int start_one(void)
{
    struct child worker = {.name = "worker", .run = work};

    board->refusal = start(&worker);
    say("a daemon starts a child: %s", error_name(board->refusal));
    return 0;
}

static void part_daemon(void)
{
    run_program(true, start_one);
    saw("%s", error_name(board->refusal));
    claim(board->refusal == EPERM, "a daemon may have no children");
    claim(!board->worker_done, "and none was started");
    shared_free(board, sizeof *board);
}

int main(int argc, char **argv)
{
    static const struct lesson lesson = {
        .name = "lesson-02 join-daemon",
        .summary = "who waits for whom, and who is not waited for",
        .example = "./lesson-02 --unit 1",
    };

    lesson_begin(&lesson, argc, argv);
    PART("join, with a time limit and without", part_join);
    PART("A zombie: dead, and not joined", part_zombie);
    PART("The end of a program", part_end);
    PART("A daemon may have no children", part_daemon);
    return lesson_end();
}
