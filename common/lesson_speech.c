/*
 * lesson_speech.c -- lines and claims.
 *
 * A line is put together in memory and leaves with one write(2), with
 * no stdio in between: nothing is held back when a process is killed,
 * nothing is written twice after a fork, and up to PIPE_BUF bytes the
 * kernel keeps lines of several processes apart.
 *
 * stdout that can not be written ends the lesson, whoever notices.  A
 * child says so on stderr, leaves a mark in shared memory and ends;
 * the watchdog of the first process sees the mark.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lesson_internal.h"
#include "shared.h"

enum {
    COLUMNS = 72,
    CLAIM_COLUMN = 12, /* where the sentence of a claim begins */
    SENTENCE_MAX = 1024
};

static struct speech {
    _Atomic uint64_t lines;
    atomic_bool failed;
} * speech; /* in shared memory */

static bool colours;
static pid_t first_process;
static atomic_int claims_failed;
static _Thread_local char seen[SENTENCE_MAX]; /* what saw() was told */

/* ----------------------------------------------------- opening -- */

/*
 * Otherwise the next file to be opened would become stdout.  This one
 * is open for reading, so writes to it still fail.
 */
static void occupy_descriptors(void)
{
    int fd;

    do
        fd = check_call(open("/dev/null", O_RDONLY), "open /dev/null");
    while (fd <= STDERR_FILENO);
    close(fd);
}

static bool want_colours(void)
{
    const char *no_color = getenv("NO_COLOR");

    return isatty(STDOUT_FILENO) &&
           (no_color == NULL || no_color[0] == '\0');
}

void speech_open(void)
{
    occupy_descriptors();
    speech =
        check_pointer(shared_alloc(sizeof *speech), "shared_alloc");
    colours = want_colours();
    first_process = getpid();
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0); /* should somebody use it */
}

uint64_t speech_progress(void)
{
    return atomic_load(&speech->lines);
}

bool speech_failed(void)
{
    return atomic_load(&speech->failed);
}

int speech_claims_failed(void)
{
    return atomic_load(&claims_failed);
}

/* ------------------------------------------------------- lines -- */

struct line {
    size_t size;
    char text[PIPE_BUF];
};

/* The word goes first: who sees the mark ends the others. */
static _Noreturn void output_failed(int error)
{
    if (!speech_failed())
        report_error(error, "write to stdout");
    atomic_store(&speech->failed, true);
    _exit(EXIT_REFUSED);
}

static void line_write(const struct line *line)
{
    size_t done = 0;

    while (done < line->size) {
        ssize_t count =
            write(STDOUT_FILENO, line->text + done, line->size - done);

        if (count >= 0)
            done += (size_t)count;
        else if (errno != EINTR)
            output_failed(errno);
    }
    atomic_fetch_add(&speech->lines, 1);
}

/* Formats into `text`; a cut sentence would be worse than none. */
static size_t format_whole(char *text, size_t room, const char *format,
                           va_list arguments)
{
    int size = vsnprintf(text, room, format, arguments);

    if (size < 0 || (size_t)size >= room)
        check_error(EOVERFLOW, "a line of the lesson");
    return (size_t)size;
}

static void line_vadd(struct line *line, const char *format,
                      va_list arguments)
{
    line->size +=
        format_whole(line->text + line->size,
                     sizeof line->text - line->size, format, arguments);
}

static void line_add(struct line *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void line_add(struct line *line, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    line_vadd(line, format, arguments);
    va_end(arguments);
}

/*
 * How many bytes of the text fit on a line, ending before a blank; a
 * word that is longer than the line is left whole.
 */
static int fitting(const char *text, size_t width)
{
    size_t size = strlen(text);

    if (size <= width)
        return (int)size;
    size = width;
    while (size > 0 && text[size] != ' ')
        size--;
    return (int)(size > 0 ? size : strcspn(text, " "));
}

/* The cursor stands at `column` already. */
static void line_wrap(struct line *line, int column, const char *text)
{
    for (;;) {
        int size = fitting(text, (size_t)(COLUMNS - column));

        line_add(line, "%.*s\n", size, text);
        text += size;
        text += strspn(text, " ");
        if (*text == '\0')
            return;
        line_add(line, "%*s", column, "");
    }
}

void speech_line(const char *text)
{
    struct line line = {0};

    line_add(&line, "%s\n", text);
    line_write(&line);
}

void speech_entry(const char *head, int column, const char *format, ...)
{
    struct line line = {0};
    char text[SENTENCE_MAX];
    va_list arguments;

    va_start(arguments, format);
    format_whole(text, sizeof text, format, arguments);
    va_end(arguments);
    line_add(&line, "%-*s", column, head);
    line_wrap(&line, column, text);
    line_write(&line);
}

/* --------------------------------------------------------- say -- */

void say(const char *format, ...)
{
    struct line line = {0};
    va_list arguments;

    line_add(&line, "  ");
    va_start(arguments, format);
    line_vadd(&line, format, arguments);
    va_end(arguments);
    line_add(&line, "\n");
    line_write(&line);
}

void say_time(const char *format, ...)
{
    struct line line = {0};
    va_list arguments;

    line_add(&line, "  %4.1f u  ", unit_now());
    va_start(arguments, format);
    line_vadd(&line, format, arguments);
    va_end(arguments);
    line_add(&line, "\n");
    line_write(&line);
}

/* ------------------------------------------------------ claims -- */

void saw(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    format_whole(seen, sizeof seen, format, arguments);
    va_end(arguments);
}

static void say_claim(bool held, const char *sentence)
{
    static const char *const colour[] = {"\033[31m", "\033[32m"};
    struct line line = {0};

    line_add(&line, "    %s%s%s%s", colours ? colour[held] : "",
             held ? "ok" : "FAILED", colours ? "\033[0m" : "",
             held ? "      " : "  ");
    line_wrap(&line, CLAIM_COLUMN, sentence);
    line_write(&line);
}

bool claim(bool held, const char *format, ...)
{
    char sentence[2 * SENTENCE_MAX];
    va_list arguments;
    size_t size;

    if (getpid() != first_process)
        check_error(EPERM, "claim in a child process");
    va_start(arguments, format);
    size = format_whole(sentence, SENTENCE_MAX, format, arguments);
    va_end(arguments);

    if (!held) {
        atomic_fetch_add(&claims_failed, 1);
        if (seen[0] != '\0')
            snprintf(sentence + size, sizeof sentence - size,
                     "; seen: %s", seen);
    }
    say_claim(held, sentence);
    seen[0] = '\0';
    return held;
}
