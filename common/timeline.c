/*
 * timeline.c -- the recorder.
 *
 * An array of events in shared memory and one counter.  Who has
 * something to record takes the next entry with one atomic addition,
 * fills it at leisure and publishes it with one atomic store, so no
 * recorder ever waits for another.  A process that is killed in
 * between leaves an entry that was never published, which readers
 * pass over.  Nothing is ever overwritten: what is published stays.
 *
 * The order of the entries is nearly that of time, but not quite,
 * since a recorder may be held up before it looks at the clock.
 * chart_take sorts.
 */
#include "timeline.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "pool.h"
#include "shared.h"
#include "timeline_chart.h"

static struct recording *recording; /* NULL: nothing is recorded */
static double part_start;           /* of the last part */

int timeline_open(double unit)
{
    struct recording *fresh = shared_alloc(sizeof *fresh);

    if (fresh == NULL)
        return errno;
    fresh->start = clock_now();
    fresh->unit = unit;
    part_start = fresh->start;
    recording = fresh;
    return 0;
}

const struct recording *timeline_recording(void)
{
    return recording;
}

uint64_t timeline_progress(void)
{
    return recording == NULL ? 0 : atomic_load(&recording->claimed);
}

/* --------------------------------------------------- recording -- */

static void copy_name(char *copy, const char *name)
{
    size_t length = strnlen(name, TIMELINE_NAME_MAX - 1);

    memcpy(copy, name, length);
    copy[length] = '\0';
}

/* Returns NULL when nothing is recorded or there is no room. */
static struct event *event_claim(enum event_kind kind)
{
    struct event *event;
    uint64_t index;

    if (recording == NULL)
        return NULL;
    index = atomic_fetch_add(&recording->claimed, 1);
    if (index >= TIMELINE_EVENTS)
        return NULL;

    event = &recording->events[index];
    event->kind = kind;
    event->when = clock_now();
    event->pid = getpid();
    return event;
}

static void event_publish(struct event *event)
{
    atomic_store_explicit(&event->published, true,
                          memory_order_release);
}

static void record_at(double when, enum event_kind kind,
                      const char *row, const char *name, uint64_t flow)
{
    struct event *event = event_claim(kind);

    if (event == NULL)
        return;
    event->when = when;
    event->flow = flow;
    copy_name(event->row, row);
    copy_name(event->name, name);
    event_publish(event);
}

static void record(enum event_kind kind, const char *row,
                   const char *name, uint64_t flow)
{
    record_at(clock_now(), kind, row, name, flow);
}

void timeline_part(const char *title)
{
    struct event *event = event_claim(EVENT_PART);

    if (event == NULL)
        return;
    event->title = title;
    part_start = event->when;
    event_publish(event);
}

void timeline_begin(const char *row, const char *name, uint64_t flow)
{
    record(EVENT_BEGIN, row, name, flow);
}

void timeline_end(const char *row)
{
    record(EVENT_END, row, "", 0);
}

void timeline_bar(const char *row, const char *name, double seconds)
{
    record_at(part_start, EVENT_BEGIN, row, name, 0);
    record_at(part_start + seconds, EVENT_END, row, "", 0);
}

void timeline_submit(const char *row, uint64_t flow)
{
    record(EVENT_SUBMIT, row, "", flow);
}

void timeline_cut(const char *row)
{
    record(EVENT_CUT, row, "", 0);
}

/* ------------------------------------------------------- pools -- */

static void begin_task(const char *row, uint64_t task)
{
    char name[TIMELINE_NAME_MAX];

    snprintf(name, sizeof name, "%" PRIu64, task);
    timeline_begin(row, name, task);
}

static void observe_pool(enum pool_event event, int worker,
                         uint64_t task)
{
    char row[TIMELINE_NAME_MAX];

    snprintf(row, sizeof row, "worker %d", worker);
    switch (event) {
    case POOL_WORKER_STARTED:
        record(EVENT_READY, row, "", 0);
        break;
    case POOL_TASK_SUBMITTED:
        timeline_submit("main", task);
        break;
    case POOL_TASK_BEGUN:
        begin_task(row, task);
        break;
    case POOL_TASK_ENDED:
        timeline_end(row);
        break;
    case POOL_WORKER_ENDED:
        timeline_cut(row);
        break;
    }
}

void timeline_watch_pools(void)
{
    pool_observe(observe_pool);
}

/* ------------------------------------------------------ report -- */

/* The innermost bar still open, otherwise the last one. */
static const struct bar *latest_bar(const struct chart *chart,
                                    const struct part *part, size_t row)
{
    const struct bar *bar = &chart->bars[part->first_bar];
    const struct bar *end = bar + part->bar_count;
    const struct bar *latest = NULL;

    for (; bar < end; bar++) {
        if (bar->row != row)
            continue;
        if (latest == NULL || bar->how == BAR_OPEN ||
            latest->how != BAR_OPEN)
            latest = bar;
    }
    return latest;
}

static void report_row(const struct chart *chart,
                       const struct part *part, const struct bar *bar,
                       void (*line)(const char *text))
{
    double begin = chart_units(chart, part, bar->begin);
    double end = chart_units(chart, part, bar->end);
    char text[160], label[TIMELINE_NAME_MAX + 8];
    int size;

    chart_label(bar, label, sizeof label);
    size = snprintf(text, sizeof text,
                    "%s (pid %d): ", chart->rows[bar->row],
                    (int)bar->event->pid);
    if (bar->how == BAR_OPEN)
        snprintf(text + size, sizeof text - (size_t)size,
                 "in %s since %.1f u", label, begin);
    else if (bar->how == BAR_NONE || bar->event->flow != 0)
        snprintf(text + size, sizeof text - (size_t)size,
                 "waits for work since %.1f u", end);
    else
        snprintf(text + size, sizeof text - (size_t)size,
                 "nothing more after %s, since %.1f u", label, end);
    line(text);
}

void timeline_report(void (*line)(const char *text))
{
    const struct bar *latest;
    const struct part *part;
    struct chart chart;

    if (recording == NULL || chart_take(&chart) != 0)
        return;
    part = &chart.parts[chart.part_count - 1];
    for (size_t row = 0; row < chart.row_count; row++) {
        latest = latest_bar(&chart, part, row);
        if (latest != NULL && !latest->gone)
            report_row(&chart, part, latest, line);
    }
    chart_free(&chart);
}
