/*
 * lesson.h -- the frame of a lesson: options, parts, claims, units.
 *
 * What every lesson's program does the same way stands here, so that
 * the lesson itself is only what it teaches:
 *
 *     int main(int argc, char **argv)
 *     {
 *         lesson_begin(&lesson, argc, argv);
 *         PART("apply: one after another", part_apply);
 *         PART("apply_async: three at a time", part_async);
 *         return lesson_end();
 *     }
 *
 * lesson_begin takes the options --unit, --step, --source, --svg,
 * --trace, --help and the lesson's own; installs what ends the program
 * with status 130 on Ctrl-C; starts the recorder of timeline.h and the
 * watchdog.  lesson_end draws the time line, writes the files asked
 * for and returns the status: 0 when all claims held, EXIT_CLAIM when
 * one failed.  Other ends are those of check.h.
 *
 * The lesson's text comes from lesson_source, an array of lines with
 * NULL at its end that the Makefile generates from the lesson's .c
 * file and links into it.
 *
 * SIGPIPE is ignored, so that a closed pipe is seen as an error; a
 * child that execs another program sets it to SIG_DFL before.
 */
#ifndef LESSON_H
#define LESSON_H

#include <stdbool.h>

#include "check.h"

/* -------------------------------------------------- the lesson -- */

enum { LESSON_OPTIONS_MAX = 16 }; /* of a lesson's own */

/*
 * A whole number with its range, or a switch (value is NULL).  What
 * *number holds before lesson_begin is the default.
 */
struct lesson_option {
    const char *name;  /* "workers" for --workers */
    const char *value; /* how --help calls the value: "N" */
    const char *help;
    int *number; /* gets the value; a switch sets it to 1 */
    int min, max;
};

/* A text that begins with `prefix`; it may be given several times. */
struct lesson_text {
    const char *name, *value, *help; /* as above */
    const char *prefix;
    const char **texts; /* gets up to `max`, and a NULL behind them */
    int max;
};

struct lesson {
    const char *name;    /* "lesson-07 pool-apply" */
    const char *summary; /* one line: what it shows */
    const char *example; /* a command line; --help opens with it */
    const struct lesson_option *options; /* up to one without a name */
    const struct lesson_text *texts;     /* the same; or NULL */
};

void lesson_begin(const struct lesson *lesson, int argc, char **argv);
int lesson_end(void);

/*
 * A part: prints the title; with --source the source of `function` and
 * of the functions of the lesson that it mentions, unless an earlier
 * part showed them; waits for Enter with --step; and runs it.  0 u is
 * the beginning of the run.
 */
#define PART(title, function) lesson_part(title, #function, function)

void lesson_part(const char *title, const char *function_name,
                 void (*function)(void));

/* ------------------------------------------------------ speech -- */

/*
 * Prints one line, indented under the part's title, in one write: from
 * any thread or child process, lines are never mixed.  `format` has no
 * newline.  say_time puts the time since the part began before it.
 * A line has at most PIPE_BUF (4096) bytes: longer ones could be mixed
 * and are refused (EOVERFLOW).  When stdout can not be written the
 * lesson ends with EXIT_REFUSED, also when that happens in a child.
 *
 * printf promises none of this.  stdout is line-buffered, so that what
 * a child prints with it is not lost when the child ends or is killed.
 */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void say_time(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/*
 * A sentence that this run must prove, printed with "ok" or "FAILED".
 * saw() tells what was seen; a claim that fails prints it:
 *
 *     saw("%d at once", most);
 *     claim(most <= workers, "never more than %d tasks at once",
 *           workers);
 *
 * claim returns `held`.  Only in the process that began the lesson,
 * and saw() in the thread that claims.
 */
void saw(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool claim(bool held, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* ------------------------------------------------------- times -- */

/*
 * One classroom second, "1 u": 0.2 s unless --unit, or LESSON_UNIT in
 * the environment, says otherwise.
 */
double lesson_unit(void);      /* its length in seconds */
double unit_now(void);         /* u since the part began */
void unit_sleep(double units); /* at least so long */

/*
 * The watchdog ends a lesson in which nothing happened (no line, no
 * event of the time line) for 30 s and 20 u, or LESSON_PATIENCE
 * seconds (0.1 to 86400) if that is set: status EXIT_HANG, and a line
 * on stderr for each row of the time line that tells what it was
 * waiting for.  A stopped program (Ctrl-Z) and a wait for Enter do not
 * count, nor does the time while the lesson is idle: a server may wait
 * for its clients as long as it likes.
 */
void lesson_idle(bool idle);

#endif
