/*
 * timeline_chart.h -- from events to bars, for those who draw them.
 *
 * Inside the timeline only: lessons use timeline.h.
 */
#ifndef TIMELINE_CHART_H
#define TIMELINE_CHART_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "timeline.h"

enum event_kind {
    EVENT_PART,   /* a part begins */
    EVENT_READY,  /* the row is there and waits for work */
    EVENT_SUBMIT, /* work is handed over */
    EVENT_BEGIN,  /* a bar begins */
    EVENT_END,    /* the row's innermost bar ends */
    EVENT_CUT     /* all bars of the row are cut off */
};

struct event {
    atomic_bool published; /* the rest is written and stays as it is */
    enum event_kind kind;
    double when; /* clock_now() */
    pid_t pid;
    uint64_t flow;
    const char *title; /* of a part */
    char row[TIMELINE_NAME_MAX];
    char name[TIMELINE_NAME_MAX];
};

struct recording {
    double start, unit;
    _Atomic uint64_t claimed; /* given out, also beyond the end */
    struct event events[TIMELINE_EVENTS];
};

/* NULL before timeline_open. */
const struct recording *timeline_recording(void);

enum bar_end {
    BAR_WHOLE, /* ended by itself */
    BAR_CUT,   /* its worker went */
    BAR_OPEN,  /* was not over at the end of the part */
    BAR_NONE   /* no bar: the row is there, and has nothing to do yet */
};

struct bar {
    const struct event *event;  /* what began it: name, flow, pid */
    const struct event *submit; /* what handed it over, or NULL */
    size_t row;                 /* in chart.rows */
    struct bar *outer;          /* the bar around it, or NULL */
    int depth;                  /* 0 for the outermost */
    double begin, end;          /* as event.when */
    enum bar_end how;
    bool gone; /* the row's worker went after it */
};

/* What comes before the first timeline_part has no title. */
struct part {
    const char *title;
    double start, end;
    double span; /* u from the start to the end of the last bar */
    size_t first_bar, bar_count;
};

struct chart {
    double start, unit;
    size_t event_count, row_count, bar_count, part_count;
    const struct event **events; /* by time */
    const char **rows;           /* by name, 9 before 10 */
    struct bar *bars;            /* by begin, outer before inner */
    struct part *parts;
    uint64_t lost; /* events that had no room */
};

/* The chart of what has been recorded until now.  0 or ENOMEM. */
int chart_take(struct chart *chart);
void chart_free(struct chart *chart);

/* Does the part show the row? */
bool chart_has_row(const struct chart *chart, const struct part *part,
                   size_t row);

/* The longest part's span in u: 0 when there is no bar at all. */
double chart_span(const struct chart *chart);

/* A moment of the part in u since its start. */
double chart_units(const struct chart *chart, const struct part *part,
                   double when);

/*
 * The distance in u between two labels of the axis when one takes
 * `per_label` of the same length that 1 u takes `per_unit` of.
 */
double chart_tick(double per_unit, double per_label);

/* "task 7" for a bar named 7, otherwise its name in quotes. */
void chart_label(const struct bar *bar, char *text, size_t size);

/* Flushes, and returns the error of any write since errno was 0. */
int chart_finish(FILE *file);

#endif
