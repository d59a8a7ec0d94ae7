/*
 * coroutine.h -- functions that pause and go on.
 *
 * A coroutine has a stack of its own.  Whoever resumes it waits until
 * it yields or has finished, so only one of them runs at a time and
 * nothing has to be locked.  A switch saves some registers and makes
 * no system call.  As a generator of Python:
 *
 *     static void count(void *arg)
 *     {
 *         for (int i = 0; i < *(int *)arg; i++)
 *             coroutine_yield(&i);
 *     }
 *
 *     counter = coroutine_create("counter", count, &limit);
 *     while ((number = coroutine_resume(counter, NULL)) != NULL)
 *         printf("%d\n", *number);
 *     coroutine_free(counter);
 *
 * A coroutine belongs to the thread that created it.  A stack that is
 * too small ends the program with SIGSEGV, after one line on stderr
 * that names the coroutine: under each stack lies memory that nobody
 * may touch.  (A handler of SIGSEGV that the program had before still
 * gets all other faults.)
 *
 * The floating-point environment and the signal mask are the
 * thread's: a switch leaves them as they are.
 */
#ifndef COROUTINE_H
#define COROUTINE_H

#include <stdbool.h>
#include <stddef.h>

struct coroutine;

typedef void coroutine_function(void *arg);

enum { COROUTINE_NAME_MAX = 24 }; /* bytes, with the final 0 */

/*
 * The coroutine will run(arg), from its first resume on.  `name` is
 * copied, and cut if it is too long.  NULL and errno: ENOMEM, also
 * when the process has too many mappings; each coroutine takes two of
 * the 65530 in vm.max_map_count.
 */
struct coroutine *coroutine_create(const char *name,
                                   coroutine_function *run, void *arg);

/*
 * Gives its stack back.  One that has not finished never goes on, and
 * what it holds is not released.  Not while it runs, and in the
 * thread that created it.  NULL is allowed.
 */
void coroutine_free(struct coroutine *coroutine);

/*
 * Lets the coroutine run until it yields, and returns what it yields;
 * or until it finishes, and returns NULL.  `sent` is what the
 * coroutine_yield it waits in returns; the first resume has nobody to
 * send to.  NULL with errno set when it can not be resumed: ESRCH it
 * has finished, EBUSY it is running (or has resumed who runs), EPERM
 * it belongs to another thread.
 */
void *coroutine_resume(struct coroutine *coroutine, void *sent);

/*
 * In a coroutine: goes back to whoever resumed it, with `value`.
 * Returns when it is resumed, with what was sent.  NULL and EPERM
 * outside of coroutines.
 */
void *coroutine_yield(void *value);

bool coroutine_finished(const struct coroutine *coroutine);

/* The one that runs the caller; NULL outside of coroutines. */
struct coroutine *coroutine_current(void);

const char *coroutine_name(const struct coroutine *coroutine);

/* How many bytes a coroutine's stack has before it overflows. */
size_t coroutine_stack_size(void);

#endif
