/*
 * coroutine_portable_test.c -- what coroutine.h promises, on the
 * portable way.
 *
 * The same tests with a coroutine.c of their own, which takes the
 * place of the library's.
 */
#if defined(__x86_64__) || defined(__aarch64__)
#include <features.h>
#if !defined(__GLIBC__)
#define CAN_NOT_BE "needs ucontext, which this C library has not"
#elif defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define CAN_NOT_BE "sanitizers do not follow longjmp to other stacks"
#endif
#endif

#ifdef CAN_NOT_BE

#include "test.h"

static void all_is_as_without_assembler(void)
{
    test_skip(CAN_NOT_BE);
}

static const struct test tests[] = {TEST(all_is_as_without_assembler),
                                    {0}};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}

#else

#define COROUTINE_PORTABLE

/* NOLINTBEGIN(bugprone-suspicious-include) */
#include "coroutine.c"

#include "coroutine_test.c"
/* NOLINTEND(bugprone-suspicious-include) */

#endif
