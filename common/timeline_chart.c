/*
 * timeline_chart.c -- from events to bars.
 *
 * The events are sorted by time and gone through once.  Each row has
 * a stack of open bars, which are linked by `outer`: a begin pushes
 * one, an end closes the top, a cut closes all.  A new part closes the
 * stacks of all rows, since a bar that is open then is no longer of
 * interest, or its end was lost with a process that was killed.  So
 * bars nest by construction, whatever the recorders did.
 *
 * There is one bar or none for each event, so arrays as long as the
 * events have room for everything.
 */
#include "timeline_chart.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"

double chart_units(const struct chart *chart, const struct part *part,
                   double when)
{
    return fmax(0, (when - part->start) / chart->unit);
}

/* ------------------------------------------------------ events -- */

/* Equal times keep the order in which the entries were claimed. */
static int by_time(const void *left, const void *right)
{
    const struct event *a = *(const struct event *const *)left;
    const struct event *b = *(const struct event *const *)right;

    if (a->when != b->when)
        return a->when < b->when ? -1 : 1;
    return a < b ? -1 : a > b;
}

static void collect_events(struct chart *chart,
                           const struct recording *recording,
                           uint64_t entries)
{
    for (uint64_t i = 0; i < entries; i++) {
        const struct event *event = &recording->events[i];

        if (atomic_load_explicit(&event->published,
                                 memory_order_acquire))
            chart->events[chart->event_count++] = event;
    }
    qsort(chart->events, chart->event_count, sizeof chart->events[0],
          by_time);
}

/* -------------------------------------------------------- rows -- */

static size_t find_row(const struct chart *chart, const char *name)
{
    size_t row = 0;

    while (row < chart->row_count &&
           strcmp(chart->rows[row], name) != 0)
        row++;
    return row;
}

static int by_name(const void *left, const void *right)
{
    return strverscmp(*(const char *const *)left,
                      *(const char *const *)right);
}

static void collect_rows(struct chart *chart)
{
    chart->row_count = 0;
    for (size_t i = 0; i < chart->event_count; i++) {
        const struct event *event = chart->events[i];

        if (event->kind != EVENT_PART &&
            find_row(chart, event->row) == chart->row_count)
            chart->rows[chart->row_count++] = event->row;
    }
    qsort(chart->rows, chart->row_count, sizeof chart->rows[0],
          by_name);
}

/* ---------------------------------------------- bars and parts -- */

/* What handed the bar's work over: looked for in the same part. */
static const struct event *find_submit(const struct chart *chart,
                                       size_t begin)
{
    uint64_t flow = chart->events[begin]->flow;

    if (flow == 0)
        return NULL;
    for (size_t i = begin; i-- > 0;) {
        const struct event *event = chart->events[i];

        if (event->kind == EVENT_PART)
            break;
        if (event->kind == EVENT_SUBMIT && event->flow == flow)
            return event;
    }
    return NULL;
}

static struct bar *add_bar(struct chart *chart, size_t index,
                           enum bar_end how)
{
    const struct event *event = chart->events[index];
    struct bar *bar = &chart->bars[chart->bar_count++];

    bar->event = event;
    bar->submit = find_submit(chart, index);
    bar->row = find_row(chart, event->row);
    bar->begin = bar->end = event->when;
    bar->how = how;
    chart->parts[chart->part_count - 1].bar_count++;
    return bar;
}

static void push(struct bar **top, struct bar *bar)
{
    bar->outer = *top;
    bar->depth = *top == NULL ? 0 : (*top)->depth + 1;
    *top = bar;
}

/* An end without a begin belongs to a bar of an earlier part. */
static void pop(struct bar **top, double when, enum bar_end how)
{
    if (*top == NULL)
        return;
    (*top)->end = when;
    (*top)->how = how;
    *top = (*top)->outer;
}

/* The worker of the row went, within a bar or between two. */
static void cut(struct chart *chart, struct bar **top, size_t row,
                double when)
{
    const struct part *part = &chart->parts[chart->part_count - 1];

    while (*top != NULL)
        pop(top, when, BAR_CUT);
    for (size_t i = chart->bar_count; i-- > part->first_bar;)
        if (chart->bars[i].row == row) {
            chart->bars[i].gone = true;
            break;
        }
}

static void end_part(struct chart *chart, struct bar **tops,
                     double when)
{
    struct part *part = &chart->parts[chart->part_count - 1];

    part->end = when;
    for (size_t row = 0; row < chart->row_count; row++)
        while (tops[row] != NULL)
            pop(&tops[row], when, BAR_OPEN);
    for (size_t i = 0; i < part->bar_count; i++) {
        const struct bar *bar = &chart->bars[part->first_bar + i];

        if (bar->how != BAR_NONE)
            part->span =
                fmax(part->span, chart_units(chart, part, bar->end));
    }
}

static void begin_part(struct chart *chart, const char *title,
                       double when)
{
    struct part *part = &chart->parts[chart->part_count++];

    part->title = title;
    part->start = when;
    part->first_bar = chart->bar_count;
}

static void read_event(struct chart *chart, struct bar **tops,
                       size_t index)
{
    const struct event *event = chart->events[index];
    size_t row = find_row(chart, event->row);

    switch (event->kind) {
    case EVENT_PART:
        end_part(chart, tops, event->when);
        begin_part(chart, event->title, event->when);
        break;
    case EVENT_READY:
        add_bar(chart, index, BAR_NONE);
        break;
    case EVENT_BEGIN:
        push(&tops[row], add_bar(chart, index, BAR_OPEN));
        break;
    case EVENT_END:
        pop(&tops[row], event->when, BAR_WHOLE);
        break;
    case EVENT_CUT:
        cut(chart, &tops[row], row, event->when);
        break;
    case EVENT_SUBMIT:
        break;
    }
}

/* --------------------------------------------------- the chart -- */

/* One more than `count`: calloc(0) may give NULL. */
static int allocate(struct chart *chart, struct bar ***tops,
                    uint64_t count)
{
    size_t room = (size_t)count + 1;

    chart->events = calloc(room, sizeof chart->events[0]);
    chart->rows = calloc(room, sizeof chart->rows[0]);
    chart->bars = calloc(room, sizeof chart->bars[0]);
    chart->parts = calloc(room, sizeof chart->parts[0]);
    *tops = calloc(room, sizeof **tops);
    if (chart->events == NULL || chart->rows == NULL ||
        chart->bars == NULL || chart->parts == NULL || *tops == NULL)
        return ENOMEM;
    return 0;
}

static void read_recording(struct chart *chart, struct bar **tops,
                           const struct recording *recording,
                           uint64_t entries)
{
    chart->start = recording->start;
    chart->unit = recording->unit;
    collect_events(chart, recording, entries);
    collect_rows(chart);
    begin_part(chart, "", recording->start);
    for (size_t i = 0; i < chart->event_count; i++)
        read_event(chart, tops, i);
    end_part(chart, tops, clock_now());
}

int chart_take(struct chart *chart)
{
    const struct recording *recording = timeline_recording();
    uint64_t claimed = timeline_progress();
    uint64_t entries = claimed;
    struct bar **tops;
    int error;

    *chart = (struct chart){.unit = 1};
    if (recording == NULL)
        return 0;
    if (entries > TIMELINE_EVENTS)
        entries = TIMELINE_EVENTS;
    chart->lost = claimed - entries;

    error = allocate(chart, &tops, entries);
    if (error == 0)
        read_recording(chart, tops, recording, entries);
    else
        chart_free(chart);
    free(tops);
    return error;
}

void chart_free(struct chart *chart)
{
    free(chart->events);
    free(chart->rows);
    free(chart->bars);
    free(chart->parts);
}

/* ------------------------------------------------- for drawing -- */

bool chart_has_row(const struct chart *chart, const struct part *part,
                   size_t row)
{
    for (size_t i = 0; i < part->bar_count; i++)
        if (chart->bars[part->first_bar + i].row == row)
            return true;
    return false;
}

double chart_span(const struct chart *chart)
{
    double span = 0;

    for (size_t i = 0; i < chart->part_count; i++)
        span = fmax(span, chart->parts[i].span);
    return span;
}

double chart_tick(double per_unit, double per_label)
{
    double wanted = per_label / per_unit;
    double ten = 0.001;

    while (5 * ten < wanted)
        ten *= 10;
    if (ten >= wanted)
        return ten;
    return 2 * ten >= wanted ? 2 * ten : 5 * ten;
}

void chart_label(const struct bar *bar, char *text, size_t size)
{
    const char *name = bar->event->name;
    bool number = isdigit((unsigned char)name[0]) != 0;

    snprintf(text, size, number ? "task %s" : "\"%s\"", name);
}

int chart_finish(FILE *file)
{
    if (fflush(file) == 0 && !ferror(file))
        return 0;
    return errno != 0 ? errno : EIO;
}
