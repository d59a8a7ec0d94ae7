/*
 * lesson.c -- the course of a lesson: begin, parts, end.
 *
 * The files for --svg and --trace are opened before the lesson runs,
 * so that a wrong name is told at once and not after ten seconds.  One
 * that did not exist is made only to see that it can be, and removed
 * again until the lesson is over: then however a lesson ends, an empty
 * file is not mistaken for its result.
 *
 * SIGTERM and SIGHUP keep their default actions, which end the program
 * with the status that shells expect; the kernel ends its children.
 */
#include "lesson.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "clock.h"
#include "lesson_internal.h"
#include "shared.h"
#include "timeline.h"

struct result {
    const char *path; /* NULL: not asked for */
    int fd;           /* -1: it is a new file */
};

static const struct lesson *lesson;
static struct settings settings;
static struct result svg, trace;
static _Atomic double *part_start;       /* in shared memory */
static _Atomic(const char *) part_title; /* NULL before the first */

/* ------------------------------------------------------- times -- */

double lesson_unit(void)
{
    return settings.unit;
}

double unit_now(void)
{
    return (clock_now() - atomic_load(part_start)) / settings.unit;
}

void unit_sleep(double units)
{
    clock_sleep(units * settings.unit);
}

/* ---------------------------------------------- files to write -- */

static _Noreturn void refuse(int error, const char *call,
                             const char *path)
{
    report_error(error, "%s %s", call, path);
    _exit(EXIT_REFUSED);
}

static void result_open(struct result *result, const char *path)
{
    int flags = O_WRONLY | O_CLOEXEC;
    int fd;

    *result = (struct result){.path = path, .fd = -1};
    if (path == NULL)
        return;
    fd = open(path, flags | O_CREAT | O_EXCL, 0666);
    if (fd >= 0) {
        close(fd);
        unlink(path);
    } else if (errno == EEXIST) {
        result->fd = open(path, flags);
        if (result->fd < 0)
            refuse(errno, "open", path);
    } else {
        refuse(errno, "open", path);
    }
}

static void result_write(struct result *result,
                         int draw(FILE *file, const char *title))
{
    bool is_new = result->fd < 0;
    FILE *file;
    int error;

    if (result->path == NULL)
        return;
    if (is_new)
        file = fopen(result->path, "we");
    else
        file = fdopen(result->fd, "w");
    if (file == NULL)
        refuse(errno, "open", result->path);

    /* It fails for what has no length, such as a terminal. */
    if (ftruncate(fileno(file), 0) != 0)
        errno = 0;
    error = draw(file, lesson->name);
    if (fclose(file) != 0 && error == 0)
        error = errno;
    if (error == 0)
        return;
    if (is_new)
        unlink(result->path);
    refuse(error, "write", result->path);
}

/* ------------------------------------------------------- begin -- */

/* Only of this process: process_start gives children the default. */
static void end_on_interrupt(int number)
{
    (void)number;
    _exit(EXIT_INTERRUPTED);
}

static void catch_interrupt(void)
{
    struct sigaction action = {.sa_handler = end_on_interrupt};

    sigemptyset(&action.sa_mask);
    check_call(sigaction(SIGINT, &action, NULL), "sigaction");
}

static const char *current_part(void)
{
    return atomic_load(&part_title);
}

void lesson_begin(const struct lesson *this, int argc, char **argv)
{
    lesson = this;
    speech_open();
    settings_read(&settings, lesson, argc, argv);
    catch_interrupt();
    result_open(&svg, settings.svg);
    result_open(&trace, settings.trace);

    part_start =
        check_pointer(shared_alloc(sizeof *part_start), "shared_alloc");
    atomic_store(part_start, clock_now());
    check_error(timeline_open(settings.unit), "timeline_open");
    timeline_watch_pools();
    watchdog_start(settings.patience, current_part);
}

/* ------------------------------------------------------- parts -- */

/*
 * The prompt goes to stderr: stdout has the same bytes with and
 * without --step.  After the end of the input nobody waits again.
 */
static void wait_for_enter(void)
{
    static const char prompt[] = "  [Enter] ";
    static bool at_end;
    char letter = '\0';
    ssize_t count = 0;

    if (at_end)
        return;
    watchdog_pause(true);
    dprintf(STDERR_FILENO, "%s", prompt);
    while (letter != '\n') {
        count = read(STDIN_FILENO, &letter, 1);
        if (count == 0 || (count < 0 && errno != EINTR))
            break;
    }
    at_end = letter != '\n';
    if (at_end)
        dprintf(STDERR_FILENO, "\n");
    watchdog_pause(false);
}

void lesson_part(const char *title, const char *function_name,
                 void (*function)(void))
{
    if (atomic_load(&part_title) != NULL)
        speech_line("");
    speech_line(title);
    if (settings.source)
        source_print(function_name);
    if (settings.step)
        wait_for_enter();

    atomic_store(&part_title, title);
    timeline_part(title);
    atomic_store(part_start, clock_now());
    function();
}

void lesson_idle(bool idle)
{
    watchdog_pause(idle);
}

/* --------------------------------------------------------- end -- */

int lesson_end(void)
{
    check_error(timeline_print(speech_line), "timeline_print");
    result_write(&svg, timeline_svg);
    result_write(&trace, timeline_trace);
    watchdog_stop();
    if (speech_failed())
        return EXIT_REFUSED;
    return speech_claims_failed() > 0 ? EXIT_CLAIM : 0;
}
