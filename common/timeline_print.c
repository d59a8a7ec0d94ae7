/*
 * timeline_print.c -- the time line as text.
 *
 * All parts have one scale: the largest of a list of round ones at
 * which the longest part fits.  A bar stands on its borders, which it
 * shares with its neighbours:
 *
 *     |7777777777|8888888888x     names of one character fill the bar
 *     |7=========|10========|     a longer name anywhere: once each
 *     |7|8|9|=|=|=|               no room for the name of 10
 *     =#=#=#                      no room for borders: in turns
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "timeline_chart.h"

enum { COLUMNS = 72, INDENT = 2, TICKS_APART = 9 };

struct picture {
    const struct chart *chart;
    void (*line)(const char *text);
    int name_width;
    double columns_per_unit;
    bool fill_with_name; /* no name is longer than one character */
    bool borders;        /* bars are wide enough to have them */
};

/* -------------------------------------------------- the layout -- */

/* Where 0 u stands. */
static int origin(const struct picture *picture)
{
    return INDENT + picture->name_width + 1;
}

static int column(const struct picture *picture, double units)
{
    return origin(picture) +
           (int)lround(units * picture->columns_per_unit);
}

static void measure_names(struct picture *picture)
{
    const struct chart *chart = picture->chart;

    picture->fill_with_name = true;
    for (size_t i = 0; i < chart->bar_count; i++) {
        const struct bar *bar = &chart->bars[i];
        int width = (int)strlen(chart->rows[bar->row]);

        if (width > picture->name_width)
            picture->name_width = width;
        if (strlen(bar->event->name) > 1)
            picture->fill_with_name = false;
    }
}

static void choose_scale(struct picture *picture, double span)
{
    static const double scales[] = {
        1100, 550, 220, 110, 55,   22,   11,   10,  9,
        8,    7,   6,   5,   4,    3,    2,    1.9, 1.8,
        1,    0.5, 0.2, 0.1, 0.05, 0.02, 0.01,
    };
    size_t count = sizeof scales / sizeof scales[0];

    for (size_t i = 0; i < count; i++) {
        picture->columns_per_unit = scales[i];
        if (column(picture, span) < COLUMNS)
            return;
    }
    picture->columns_per_unit = (COLUMNS - 1 - origin(picture)) / span;
}

/*
 * Some bars may be too narrow for borders, but not those that fill
 * the picture: so each counts in the average as much as it is wide.
 */
static void choose_borders(struct picture *picture)
{
    const struct chart *chart = picture->chart;
    double sum = 0, squares = 0;

    for (size_t i = 0; i < chart->bar_count; i++) {
        double length = chart->bars[i].end - chart->bars[i].begin;

        sum += length;
        squares += length * length;
    }
    picture->borders =
        squares / sum / chart->unit * picture->columns_per_unit > 1.7;
}

/* -------------------------------------------------------- rows -- */

static void fill(const struct picture *picture, const struct bar *bar,
                 char *cells, int room)
{
    const char *name = bar->event->name;
    int length = (int)strlen(name);

    if (picture->fill_with_name && length == 1) {
        memset(cells, name[0], (size_t)room);
        return;
    }
    memset(cells, '=', (size_t)room);
    if (length <= room)
        memcpy(cells, name, (size_t)length);
}

/* What a bar ends in. */
static const char ends[] = {
    [BAR_WHOLE] = '|', [BAR_CUT] = 'x', [BAR_OPEN] = '>'};

static void draw_thin(const struct bar *bar, char *cells, int width,
                      char letter)
{
    memset(cells, letter, (size_t)width);
    if (bar->how != BAR_WHOLE)
        cells[width - 1] = ends[bar->how];
}

static void draw_bar(const struct picture *picture,
                     const struct part *part, const struct bar *bar,
                     char *cells, char letter)
{
    const struct chart *chart = picture->chart;
    int begin = column(picture, chart_units(chart, part, bar->begin));
    int end = column(picture, chart_units(chart, part, bar->end));

    if (!picture->borders || end - begin < 2) {
        draw_thin(bar, cells + begin, end > begin ? end - begin : 1,
                  letter);
        return;
    }
    cells[begin] = '|';
    fill(picture, bar, cells + begin + 1, end - begin - 1);
    cells[end] = ends[bar->how];
}

static void print_cells(const struct picture *picture, char *cells)
{
    int size = COLUMNS;

    while (size > 0 && cells[size - 1] == ' ')
        size--;
    cells[size] = '\0';
    picture->line(cells);
}

static void print_row(const struct picture *picture,
                      const struct part *part, size_t row)
{
    const struct chart *chart = picture->chart;
    const char *name = chart->rows[row];
    char cells[COLUMNS + 1];
    int drawn = 0;

    memset(cells, ' ', sizeof cells);
    memcpy(cells + INDENT, name, strlen(name));
    for (size_t i = 0; i < part->bar_count; i++) {
        const struct bar *bar = &chart->bars[part->first_bar + i];

        if (bar->row == row && bar->how != BAR_NONE)
            draw_bar(picture, part, bar, cells,
                     drawn++ % 2 == 0 ? '=' : '#');
    }
    print_cells(picture, cells);
}

/* ---------------------------------------------------- the axis -- */

static void print_axis(const struct picture *picture,
                       const struct part *part)
{
    double step = chart_tick(picture->columns_per_unit, TICKS_APART);
    int last = column(picture, part->span);
    char cells[COLUMNS + 1], label[32];

    memset(cells, ' ', sizeof cells);
    for (int i = 0; column(picture, i * step) <= last; i++) {
        int at = column(picture, i * step);
        int length = snprintf(label, sizeof label, "%g u", i * step);

        if (at + length <= COLUMNS)
            memcpy(cells + at, label, (size_t)length);
    }
    print_cells(picture, cells);
}

/* --------------------------------------------------- the whole -- */

static void print_part(const struct picture *picture,
                       const struct part *part)
{
    char title[COLUMNS + 1];

    picture->line("");
    snprintf(title, sizeof title, "%*s%s", INDENT, "", part->title);
    if (part->title[0] != '\0')
        picture->line(title);
    for (size_t row = 0; row < picture->chart->row_count; row++)
        if (chart_has_row(picture->chart, part, row))
            print_row(picture, part, row);
    print_axis(picture, part);
}

static void print_chart(const struct chart *chart, double span,
                        void (*line)(const char *text))
{
    struct picture picture = {.chart = chart, .line = line};
    char text[COLUMNS + 1];

    measure_names(&picture);
    choose_scale(&picture, span);
    choose_borders(&picture);
    snprintf(text, sizeof text, "Time line: 1 u is %g s", chart->unit);
    line("");
    line(text);
    for (size_t i = 0; i < chart->part_count; i++)
        if (chart->parts[i].span > 0)
            print_part(&picture, &chart->parts[i]);
    if (chart->lost > 0) {
        snprintf(text, sizeof text,
                 "  %" PRIu64 " later events had no room", chart->lost);
        line(text);
    }
}

int timeline_print(void (*line)(const char *text))
{
    struct chart chart;
    double span;
    int error = chart_take(&chart);

    if (error != 0)
        return error;
    span = chart_span(&chart);
    if (span > 0)
        print_chart(&chart, span, line);
    chart_free(&chart);
    return 0;
}
