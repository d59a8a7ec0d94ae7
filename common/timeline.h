/*
 * timeline.h -- who did what when, recorded and drawn.
 *
 * A row for each worker, a bar for each piece of work:
 *
 *     worker 1 |1111111111|4444444444|7777777777|
 *     worker 2 |2222222222|5555555555|8888888888|
 *     worker 3 |3333333333|6666666666|9999999999|
 *              0 u        1 u        2 u        3 u
 *
 * Events go to shared memory as they happen, from threads and
 * processes alike, without a lock, so nobody waits and a process that
 * is killed disturbs nobody.  A row's events come from one thread or
 * process at a time.  There is room for TIMELINE_EVENTS events; what
 * happens after that is counted and said under the picture.
 *
 * The recorder keeps parts apart: each gets a picture of its own, with
 * its own start as 0 u, and all pictures of a run have one scale.
 *
 * timeline.c records; timeline_chart.c makes bars of the events, and
 * timeline_print.c, timeline_svg.c and timeline_trace.c draw those.
 */
#ifndef TIMELINE_H
#define TIMELINE_H

#include <stdint.h>
#include <stdio.h>

enum {
    TIMELINE_EVENTS = 16384,
    TIMELINE_NAME_MAX = 24 /* bytes of a row's or bar's name, with 0 */
};

/*
 * Starts recording; call it once, before the first fork.  `unit` is
 * the length of 1 u in seconds.  0 or ENOMEM.
 */
int timeline_open(double unit);

/*
 * From here on events belong to a new part; bars still open are shown
 * as going on beyond the end of the old one.  In the first process.
 * `title` is not copied.
 */
void timeline_part(const char *title);

/*
 * A bar begins in the row `row`, or ends.  `flow` is a number that
 * ties the bar to the timeline_submit with the same number (an arrow
 * in the trace), or 0.  A bar inside another one is nested.  The name
 * is what the picture fills the bar with: "7" for task 7.
 */
void timeline_begin(const char *row, const char *name, uint64_t flow);
void timeline_end(const char *row);

/*
 * A whole bar of so many seconds, from the start of the part on: to
 * compare what was measured before.  In the last part and the first
 * process only, since it may end in the future.
 */
void timeline_bar(const char *row, const char *name, double seconds);

/* Work with that number was handed over, by the row `row`. */
void timeline_submit(const char *row, uint64_t flow);

/* The row's worker is gone: bars still open are cut off here. */
void timeline_cut(const char *row);

/*
 * Feeds the events of all pools opened from now on to the timeline,
 * with the rows "worker 1", "worker 2", ... and "main".
 */
void timeline_watch_pools(void);

/*
 * How many events were recorded, also those without room: as long as
 * this grows, something happens.
 */
uint64_t timeline_progress(void);

/*
 * What each row does now, a line each for the watchdog's report:
 * "worker 2 (pid 4711): in task 7 since 3.1 u", or "waits for work
 * since 2.0 u".  `line` gets each without its newline.
 */
void timeline_report(void (*line)(const char *text));

/*
 * The picture in the terminal, at most 72 columns, line by line: a
 * block for each part that has bars, nothing when none has.  A bar
 * that was cut off ends in x, one that goes on in >; = fills a bar
 * whose name does not fit.  0 or ENOMEM.
 */
int timeline_print(void (*line)(const char *text));

/* The pictures as one SVG document.  0, ENOMEM or the write's error. */
int timeline_svg(FILE *file, const char *title);

/*
 * The events in the Chrome trace event format (JSON), which Perfetto
 * opens: named rows, "X" events that nest, flow arrows from submit to
 * run, instants for the parts.  0, ENOMEM or the write's error.
 */
int timeline_trace(FILE *file, const char *title);

#endif
