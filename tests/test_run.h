/*
 * test_run.h -- test_main of test.h, which runs the tests.
 *
 * Each test runs in a process of its own, a fresh execution of the
 * program, in a process group of its own.  This one adopts whatever
 * processes a test leaves behind (PR_SET_CHILD_SUBREAPER): so it sees
 * them, and ends them.
 */
#ifndef TEST_RUN_H
#define TEST_RUN_H

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

/* "threads: keeps order" */
static inline void test_name(const struct test *test,
                             char name[TEST_NAME_MAX])
{
    snprintf(name, TEST_NAME_MAX, "%s%s%s",
             test->subject == NULL ? "" : test->subject,
             test->subject == NULL ? "" : ": ", test->name);
    for (char *c = name; *c != '\0'; c++)
        if (*c == '_')
            *c = ' ';
}

/* In this process. */
static inline void test_run(const struct test *tests,
                            const char *wanted)
{
    for (const struct test *test = tests; test->name != NULL; test++) {
        char name[TEST_NAME_MAX];

        test_name(test, name);
        if (strcmp(name, wanted) != 0)
            continue;
        if (test->run != NULL)
            test->run();
        else
            test->run_with(test->value);
        return;
    }
    fprintf(stderr, "there is no test \"%s\"\n", wanted);
    exit(2);
}

/* What the runner can not go on without. */
static inline int test_check(int result, const char *call)
{
    if (result < 0) {
        perror(call);
        exit(2);
    }
    return result;
}

static inline double test_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* ------------------------------------------- one, from outside -- */

/* A child's end, which wakes the runner; a test has its own mask. */
static inline sigset_t test_ends(int how)
{
    sigset_t ends;

    sigemptyset(&ends);
    sigaddset(&ends, SIGCHLD);
    sigprocmask(how, &ends, NULL);
    return ends;
}

static inline pid_t test_start(char *program, char *name, int log)
{
    pid_t pid = test_check(fork(), "fork");

    if (pid != 0)
        return pid;
    setpgid(0, 0);
    test_ends(SIG_UNBLOCK);
    dup2(test_check(open("/dev/null", O_RDONLY), "open"), 0);
    dup2(log, 1);
    dup2(log, 2);
    execv("/proc/self/exe", (char *[]){program, name, NULL});
    _exit(2);
}

/*
 * Waits for the test itself, or, when `test` is 0, for all that it has
 * left.  False when that takes longer than `seconds`.
 */
static inline bool test_wait(pid_t test, double seconds, int *status)
{
    double deadline = test_clock() + seconds;
    sigset_t ends = test_ends(SIG_BLOCK);

    for (;;) {
        int ended_so;
        pid_t ended = waitpid(-1, &ended_so, WNOHANG);
        double left = deadline - test_clock();
        long nanoseconds = (long)((left - (double)(long)left) * 1e9);

        if (ended < 0 && errno == ECHILD)
            return true;
        if (ended > 0 && ended == test) {
            *status = ended_so;
            return true;
        }
        if (left <= 0)
            return false;
        if (ended == 0)
            sigtimedwait(&ends, NULL,
                         &(struct timespec){(time_t)left, nanoseconds});
    }
}

/* Names and kills the children of this process. */
static inline void test_end_those_left(int log)
{
    char text[4096];
    char *rest = text;
    int children = open("/proc/thread-self/children", O_RDONLY);
    ssize_t size = read(children, text, sizeof text - 1);

    test_check((int)size, "read /proc/thread-self/children");
    text[size] = '\0';
    close(children);
    for (long pid; (pid = strtol(rest, &rest, 10)) > 0;) {
        dprintf(log, "left behind: process %ld\n", pid);
        kill((pid_t)pid, SIGKILL);
    }
}

/* Whether it ended as it should; the reasons are in the log. */
static inline bool test_watch(pid_t pid, int log, bool *skipped)
{
    int status = 0;
    bool passed = test_wait(pid, TEST_LIMIT, &status);

    if (!passed) {
        dprintf(log, "it took longer than %d s\n", TEST_LIMIT);
        kill(-pid, SIGKILL);
    }
    if (WIFSIGNALED(status))
        dprintf(log, "ended by signal %d\n", WTERMSIG(status));
    *skipped = WIFEXITED(status) && WEXITSTATUS(status) == TEST_SKIPPED;
    passed = passed && (status == 0 || *skipped);

    while (!test_wait(0, 1, &status)) {
        test_end_those_left(log);
        passed = false;
    }
    return passed;
}

/* ------------------------------------------------------ all -- */

/* The log as TAP shows it: the reason of a skip, or lines with "# ". */
static inline void test_print_log(int log, const char *before)
{
    static char text[1 << 15];
    ssize_t size = pread(log, text, sizeof text - 1, 0);
    char *rest = text;

    text[test_check((int)size, "pread")] = '\0';
    for (char *line; (line = strsep(&rest, "\n")) != NULL;)
        if (rest != NULL || line[0] != '\0')
            printf("%s%s\n", before, line);
}

static inline void test_report(char *program, char *name, int number)
{
    double start = test_clock();
    int log = test_check(memfd_create("log", 0), "memfd_create");
    bool skipped;
    bool passed =
        test_watch(test_start(program, name, log), log, &skipped);

    printf("%sok %d %s: %s in %.0fms%s", passed ? "" : "not ", number,
           program, name, 1000 * (test_clock() - start),
           skipped ? "" : "\n");
    if (!passed || skipped)
        test_print_log(log, skipped ? " # skip " : "# ");
    close(log);
    fflush(stdout);
}

/* `pattern` is an extended regular expression, or NULL. */
static inline bool test_matches(const char *name, const char *pattern)
{
    regex_t compiled;
    bool matches;

    if (pattern == NULL || pattern[0] == '\0')
        return true;
    if (regcomp(&compiled, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return false;
    matches = regexec(&compiled, name, 0, NULL, 0) == 0;
    regfree(&compiled);
    return matches;
}

/* Those that the environment's FILTER lets through. */
static inline void test_run_all(const struct test *tests, char *program)
{
    static char page[1 << 16];
    char name[TEST_NAME_MAX];
    int number = 0, planned = 0;

    /* Programs write to one pipe at once: each test in one piece. */
    setvbuf(stdout, page, _IOFBF, sizeof page);
    test_check(prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl");
    for (const struct test *test = tests; test->name != NULL; test++) {
        test_name(test, name);
        planned += test_matches(name, getenv("FILTER"));
    }
    printf("1..%d\n", planned);
    fflush(stdout);
    for (const struct test *test = tests; test->name != NULL; test++) {
        test_name(test, name);
        if (test_matches(name, getenv("FILTER")))
            test_report(program, name, ++number);
    }
}

/* `tests` ends with one without a name. */
static inline int test_main(const struct test *tests, int argc,
                            char **argv)
{
    char *slash = strrchr(argv[0], '/');

    if (argc == 1) {
        test_run_all(tests, slash == NULL ? argv[0] : slash + 1);
        return EXIT_SUCCESS;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++)
        test_run(tests, argv[i]);
    return EXIT_SUCCESS;
}

#endif
