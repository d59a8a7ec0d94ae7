/*
 * test.h -- the frame of a test program of the library.
 *
 *     static void rejects_zero_workers(void)
 *     {
 *         expect(pool_open(&pool_threads, 0) == NULL);
 *         expect_int(errno, EINVAL);
 *     }
 *
 *     static void keeps_order(const void *kind)
 *     {
 *         struct pool *pool = pool_open(kind, 4);
 *         ...
 *     }
 *
 *     static const struct test tests[] = {
 *         TEST(rejects_zero_workers),
 *         TEST_WITH("threads", &pool_threads, keeps_order),
 *         TEST_WITH("processes", &pool_processes, keeps_order),
 *         {0}
 *     };
 *
 *     int main(int argc, char **argv)
 *     {
 *         return test_main(tests, argc, argv);
 *     }
 *
 * Without an argument the program lists its tests, and `make test`
 * makes a bats test of each; with names it runs these.  By hand:
 *
 *     build/normal/tests/pool_test "threads: keeps order"
 *
 * The first expectation that does not hold ends the program with 1, in
 * whatever thread it stands.  In a child process it ends that child,
 * and the parent must look at its status.
 */
#ifndef TEST_H
#define TEST_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEST_NAME_MAX = 100, TEST_SKIPPED = 77 };

struct test {
    const char *subject; /* NULL, or what the test is done with */
    const char *name;
    void (*run)(void);
    void (*run_with)(const void *subject);
    const void *value; /* the subject itself */
};

#define TEST(function)                                                 \
    {                                                                  \
        NULL, #function, function, NULL, NULL                          \
    }
#define TEST_WITH(subject, value, function)                            \
    {                                                                  \
        subject, #function, NULL, function, value                      \
    }

#define expect(condition)                                              \
    ((condition) ? (void)0                                             \
                 : test_fail(__FILE__, __LINE__, "%s", #condition))
#define expect_int(seen, wanted)                                       \
    test_int(__FILE__, __LINE__, #seen, (long long)(seen),             \
             (long long)(wanted))
#define expect_string(seen, wanted)                                    \
    test_string(__FILE__, __LINE__, #seen, seen, wanted)

/* _exit: the dead end of a test must not wait for its threads. */
__attribute__((noreturn, format(printf, 3, 4))) static inline void
test_fail(const char *file, int line, const char *format, ...)
{
    va_list values;

    flockfile(stderr);
    fprintf(stderr, "%s:%d: does not hold: ", file, line);
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    fflush(stdout);
    _exit(EXIT_FAILURE);
}

static inline void test_int(const char *file, int line,
                            const char *text, long long seen,
                            long long wanted)
{
    if (seen != wanted)
        test_fail(file, line, "%s is %lld, not %lld", text, seen,
                  wanted);
}

static inline void test_string(const char *file, int line,
                               const char *text, const char *seen,
                               const char *wanted)
{
    if (seen == NULL || strcmp(seen, wanted) != 0)
        test_fail(file, line, "%s is \"%s\", not \"%s\"", text,
                  seen == NULL ? "(NULL)" : seen, wanted);
}

/* Ends a test that lacks what it needs; the runner shows the reason. */
__attribute__((noreturn)) static inline void
test_skip(const char *reason)
{
    puts(reason);
    exit(TEST_SKIPPED);
}

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

/* `tests` ends with one without a name. */
static inline int test_main(const struct test *tests, int argc,
                            char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++)
        test_run(tests, argv[i]);
    if (argc > 1)
        return EXIT_SUCCESS;

    for (const struct test *test = tests; test->name != NULL; test++) {
        char name[TEST_NAME_MAX];

        test_name(test, name);
        puts(name);
    }
    return EXIT_SUCCESS;
}

#endif
