/*
 * check.h -- a failed call is seen.
 *
 * The library returns error codes.  A program that can not go on
 * without a call wraps it in one of the check functions: when the
 * call failed, they print one line on stderr that names the call, the
 * error and what the user can do, and end the process with
 * EXIT_REFUSED.  They use _exit, so a child's copy of the parent's
 * buffers is not written twice; children of the library's making die
 * with their parent.
 */
#ifndef CHECK_H
#define CHECK_H

enum {
    EXIT_CLAIM = 1,        /* a claim of a lesson failed */
    EXIT_USAGE = 2,        /* the command line is wrong */
    EXIT_REFUSED = 3,      /* the system refused something */
    EXIT_HANG = 4,         /* the watchdog ended a lesson that hung */
    EXIT_INTERRUPTED = 130 /* Ctrl-C, as the shell counts it */
};

/* "EAGAIN" for EAGAIN, "no error" for 0, "error 4711" when unknown. */
const char *error_name(int error);

/* What the user can do about it, or "". */
const char *error_advice(int error);

/* Prints "program: text: EAGAIN, ...: advice" on stderr. */
void report_error(int error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What the functions below do when a call failed. */
_Noreturn void check_failed(int error, const char *call);

/*
 * For calls that return 0 or an error number (pthread_*, pool_*).  It
 * stands here so that compilers see that nothing goes on after one.
 */
static inline void check_error(int error, const char *call)
{
    if (error != 0)
        check_failed(error, call);
}

/* For calls that return -1 and set errno.  Returns what they did. */
int check_call(int result, const char *call);

/* For calls that return NULL and set errno.  Returns the pointer. */
void *check_pointer(void *pointer, const char *call);

#endif
