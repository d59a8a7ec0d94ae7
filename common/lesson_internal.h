/*
 * lesson_internal.h -- what the files of the frame share.
 *
 *     lesson.c           the course of a lesson: begin, parts, end
 *     lesson_options.c   the command line and the environment
 *     lesson_speech.c    lines and claims
 *     lesson_source.c    the lesson's own text
 *     lesson_watchdog.c  ends a lesson that hangs
 */
#ifndef LESSON_INTERNAL_H
#define LESSON_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lesson.h"

/* ----------------------------------------------------- options -- */

struct settings {
    double unit;     /* seconds */
    double patience; /* seconds */
    bool step, source;
    const char *svg, *trace; /* names of files, or NULL */
};

/* Prints one line and ends with EXIT_USAGE on bad input. */
void settings_read(struct settings *settings,
                   const struct lesson *lesson, int argc, char **argv);

/* ------------------------------------------------------ speech -- */

/*
 * First of all: gives descriptors 0, 1 and 2 an owner, ignores SIGPIPE
 * and decides on colours.
 */
void speech_open(void);

/* One line, not indented. */
void speech_line(const char *text);

/* `head`, and from `column` on the text, wrapped there. */
void speech_entry(const char *head, int column, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

uint64_t speech_progress(void); /* lines written by all processes */
bool speech_failed(void);       /* one of them could not write */
int speech_claims_failed(void);

/* ------------------------------------------------------ source -- */

/* The function and those it mentions, each once in a run. */
void source_print(const char *function);

/* ---------------------------------------------------- watchdog -- */

/* `part` returns the title of the part that runs, or NULL. */
void watchdog_start(double patience, const char *(*part)(void));
void watchdog_pause(bool paused);
void watchdog_stop(void);

#endif
