/*
 * glibc's strerrorname_np is not in musl, so the names stand here: the
 * errors that the calls of this library are known to give.
 */
#include "check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
    int error;
    const char *name;
    const char *advice;
} errors[] = {
    {0, "no error", ""},
    {EACCES, "EACCES", "check the permissions"},
    {EADDRINUSE, "EADDRINUSE", "choose another port"},
    {EAGAIN, "EAGAIN",
     "too many processes or threads: end some, or raise ulimit -u"},
    {EBADF, "EBADF", "is it closed?"},
    {EBUSY, "EBUSY", ""},
    {ECANCELED, "ECANCELED", ""},
    {ECHILD, "ECHILD", ""},
    {ECONNREFUSED, "ECONNREFUSED", "is the server running?"},
    {ECONNRESET, "ECONNRESET", ""},
    {EDEADLK, "EDEADLK", ""},
    {EDOM, "EDOM", ""},
    {EEXIST, "EEXIST", "choose another name"},
    {EINTR, "EINTR", ""},
    {EINVAL, "EINVAL", ""},
    {EIO, "EIO", "look at the disk"},
    {EISDIR, "EISDIR", "name a file"},
    {EMFILE, "EMFILE", "too many open files: raise ulimit -n"},
    {EMSGSIZE, "EMSGSIZE", "pass a pointer to shared memory"},
    {ENFILE, "ENFILE", "the system has too many open files"},
    {ENOENT, "ENOENT", "check the path"},
    {ENOMEM, "ENOMEM", "free some memory, or raise ulimit -v"},
    {ENOSPC, "ENOSPC", "free some space"},
    {ENOSYS, "ENOSYS", "this needs Linux 5.10 or later"},
    {ENOTDIR, "ENOTDIR", "check the path"},
    {ENOTRECOVERABLE, "ENOTRECOVERABLE", ""},
    {EOVERFLOW, "EOVERFLOW", ""},
    {EOWNERDEAD, "EOWNERDEAD", ""},
    {EPERM, "EPERM", ""},
    {EPIPE, "EPIPE", "the reader is gone"},
    {ERANGE, "ERANGE", ""},
    {EROFS, "EROFS", "choose another place"},
    {ESRCH, "ESRCH", ""},
    {ETIMEDOUT, "ETIMEDOUT", ""},
};

const char *error_name(int error)
{
    static _Thread_local char unknown[32];

    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (errors[i].error == error)
            return errors[i].name;
    snprintf(unknown, sizeof unknown, "error %d", error);
    return unknown;
}

const char *error_advice(int error)
{
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (errors[i].error == error)
            return errors[i].advice;
    return "";
}

/* One write, so that the lines of several processes do not mix. */
void report_error(int error, const char *format, ...)
{
    char what[160], line[512];
    const char *advice = error_advice(error);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    snprintf(line, sizeof line, "%s: %s: %s, %s%s%s\n",
             program_invocation_short_name, what, error_name(error),
             strerror(error), advice[0] != '\0' ? ": " : "", advice);
    if (write(STDERR_FILENO, line, strlen(line)) < 0)
        return; /* nowhere left to complain */
}

void check_error(int error, const char *call)
{
    if (error == 0)
        return;
    report_error(error, "%s", call);
    _exit(EXIT_REFUSED);
}

int check_call(int result, const char *call)
{
    if (result == -1)
        check_error(errno, call);
    return result;
}

void *check_pointer(void *pointer, const char *call)
{
    if (pointer == NULL)
        check_error(errno, call);
    return pointer;
}
