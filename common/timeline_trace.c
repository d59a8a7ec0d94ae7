/*
 * timeline_trace.c -- the time line for Perfetto (ui.perfetto.dev).
 *
 * The Chrome trace event format: one JSON object whose "traceEvents"
 * are told apart by "ph".  Used here:
 *
 *     M    the name of the program and of each row
 *     i    a part begins
 *     X    a bar, with begin and duration in microseconds
 *     s f  an arrow, from within one X to the begin of another
 *
 * The program is process 1 of the trace and each row a thread of it;
 * the true pid is among the arguments of a bar.  Times are counted in
 * whole nanoseconds, so bars that nest here nest in the file as well.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "timeline_chart.h"

struct trace {
    const struct chart *chart;
    FILE *file;
};

/* -------------------------------------------------------- JSON -- */

static void put_string(FILE *file, const char *text)
{
    fputc('"', file);
    for (; *text != '\0'; text++) {
        unsigned char letter = (unsigned char)*text;

        if (letter == '"' || letter == '\\')
            fprintf(file, "\\%c", letter);
        else
            fputc(letter < ' ' || letter > '~' ? '?' : letter, file);
    }
    fputc('"', file);
}

static int64_t nanoseconds(const struct trace *trace, double when)
{
    return llround((when - trace->chart->start) * 1e9);
}

/* In microseconds, as the format wants them. */
static void put_time(FILE *file, const char *key, int64_t time)
{
    fprintf(file, ", \"%s\": %" PRId64 ".%03d", key, time / 1000,
            (int)(time % 1000));
}

/* Every line but the first, which put_names writes, follows another. */
static void begin_line(const struct trace *trace, const char *phase,
                       size_t row, const char *name)
{
    fprintf(trace->file,
            ",\n{\"ph\": \"%s\", \"pid\": 1, \"tid\": %zu, "
            "\"name\": ",
            phase, row + 1);
    put_string(trace->file, name);
}

/* ------------------------------------------------------- names -- */

static void put_names(const struct trace *trace, const char *title)
{
    const struct chart *chart = trace->chart;
    FILE *file = trace->file;

    fprintf(file, "{\"ph\": \"M\", \"pid\": 1, \"tid\": 0, "
                  "\"name\": \"process_name\", \"args\": {\"name\": ");
    put_string(file, title);
    fprintf(file, "}}");
    for (size_t row = 0; row < chart->row_count; row++) {
        begin_line(trace, "M", row, "thread_name");
        fprintf(file, ", \"args\": {\"name\": ");
        put_string(file, chart->rows[row]);
        fprintf(file, "}}");
        begin_line(trace, "M", row, "thread_sort_index");
        fprintf(file, ", \"args\": {\"sort_index\": %zu}}", row);
    }
}

static void put_parts(const struct trace *trace)
{
    const struct chart *chart = trace->chart;

    for (size_t i = 1; i < chart->part_count; i++) {
        const struct part *part = &chart->parts[i];

        begin_line(trace, "i", 0, part->title);
        put_time(trace->file, "ts", nanoseconds(trace, part->start));
        fprintf(trace->file, ", \"s\": \"g\"}");
    }
}

/* -------------------------------------------------------- bars -- */

static void put_bar(const struct trace *trace, const struct bar *bar)
{
    int64_t begin = nanoseconds(trace, bar->begin);
    int64_t end = nanoseconds(trace, bar->end);
    char label[TIMELINE_NAME_MAX + 8];

    chart_label(bar, label, sizeof label);
    begin_line(trace, "X", bar->row, label);
    put_time(trace->file, "ts", begin);
    put_time(trace->file, "dur", end - begin);
    fprintf(trace->file, ", \"args\": {\"pid\": %d, \"cut\": %s}}",
            (int)bar->event->pid,
            bar->how == BAR_CUT ? "true" : "false");
}

/*
 * A submit takes no time that was recorded, but an arrow can start
 * only within an X: so it gets a microsecond, or less where the row's
 * next event comes earlier.
 */
static void put_submit(const struct trace *trace, size_t index,
                       size_t row)
{
    const struct chart *chart = trace->chart;
    const struct event *submit = chart->events[index];
    int64_t begin = nanoseconds(trace, submit->when);
    int64_t length = 1000;
    char name[40];

    for (size_t i = index + 1; i < chart->event_count; i++)
        if (strcmp(chart->events[i]->row, submit->row) == 0) {
            int64_t next = nanoseconds(trace, chart->events[i]->when);

            length = next - begin < length ? next - begin : length;
            break;
        }
    snprintf(name, sizeof name, "submit %" PRIu64, submit->flow);
    begin_line(trace, "X", row, name);
    put_time(trace->file, "ts", begin);
    put_time(trace->file, "dur", length);
    fprintf(trace->file, "}");
}

static size_t row_of(const struct chart *chart,
                     const struct event *event)
{
    size_t row = 0;

    while (strcmp(chart->rows[row], event->row) != 0)
        row++;
    return row;
}

/* The bar's index is the arrow's name: flow numbers come again. */
static void put_arrow(const struct trace *trace, size_t index)
{
    const struct bar *bar = &trace->chart->bars[index];

    begin_line(trace, "s", row_of(trace->chart, bar->submit), "task");
    put_time(trace->file, "ts", nanoseconds(trace, bar->submit->when));
    fprintf(trace->file, ", \"cat\": \"task\", \"id\": %zu}", index);
    begin_line(trace, "f", bar->row, "task");
    put_time(trace->file, "ts", nanoseconds(trace, bar->begin));
    fprintf(trace->file,
            ", \"cat\": \"task\", \"id\": %zu, \"bp\": \"e\"}", index);
}

static void put_events(const struct trace *trace)
{
    const struct chart *chart = trace->chart;

    for (size_t i = 0; i < chart->bar_count; i++)
        if (chart->bars[i].how != BAR_NONE)
            put_bar(trace, &chart->bars[i]);
    for (size_t i = 0; i < chart->event_count; i++)
        if (chart->events[i]->kind == EVENT_SUBMIT)
            put_submit(trace, i, row_of(chart, chart->events[i]));
    for (size_t i = 0; i < chart->bar_count; i++)
        if (chart->bars[i].submit != NULL)
            put_arrow(trace, i);
}

int timeline_trace(FILE *file, const char *title)
{
    struct trace trace = {.file = file};
    struct chart chart;
    int error = chart_take(&chart);

    if (error != 0)
        return error;
    errno = 0;
    trace.chart = &chart;
    fprintf(file, "{\"displayTimeUnit\": \"ms\", \"traceEvents\": [\n");
    put_names(&trace, title);
    put_parts(&trace);
    put_events(&trace);
    fprintf(file, "\n]}\n");
    error = chart_finish(file);
    chart_free(&chart);
    return error;
}
