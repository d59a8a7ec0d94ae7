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
 * Without an argument the program runs all its tests, each in a
 * process of its own, and prints TAP, as bats does; with names it runs
 * these, in this process.  For one alone, or in a debugger:
 *
 *     build/normal/tests/pool_test "threads: keeps order"
 *
 * The first expectation that does not hold ends the test with 1, in
 * whatever thread it stands.  In a child process it ends that child,
 * and the parent must look at its status.  A test has also failed when
 * it takes longer than TEST_LIMIT seconds, or when a process of it is
 * still there a second after its end.
 */
#ifndef TEST_H
#define TEST_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TEST_NAME_MAX = 100, TEST_SKIPPED = 77, TEST_LIMIT = 60 };

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

#include "test_run.h"

#endif
