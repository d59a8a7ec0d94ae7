/*
 * timeline_svg.c -- the time line as a picture for slides.
 *
 * One panel for each part that has bars, one scale for all.  Nothing
 * is loaded from elsewhere, and the colours stand on a white ground of
 * their own, so the file looks alike wherever it is shown.
 *
 * A task has the colour of its worker.  Any other bar, such as "eats"
 * or "waits", has the colour of its name, the same in all rows.
 */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "timeline_chart.h"

enum {
    WIDTH = 960,
    MARGIN = 28,
    HEAD = 72,  /* above the first panel */
    TITLE = 30, /* above the rows of a panel */
    LANE = 28,  /* the height of a row */
    GAP = 5,    /* below it */
    AXIS = 46,  /* below the rows of a panel */
    LETTER = 8, /* about the width of one, to see what fits */
    TICKS_APART = 56,
    COLOURS = 8
};

struct drawing {
    const struct chart *chart;
    FILE *file;
    double left, per_unit; /* where 0 u stands, and pixels for 1 u */
    double top;            /* of what is drawn next */
    const char *names[COLOURS]; /* that have a colour already */
    size_t name_count;
};

static const char *const colours[COLOURS] = {
    "#8ecae6", "#ffc75f", "#95d5a3", "#f4978e",
    "#c8b6ff", "#7fd1c7", "#f7aef8", "#d6c7a1",
};

/* -------------------------------------------------------- text -- */

static void put_escaped(FILE *file, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char letter = (unsigned char)*text;

        if (letter == '&' || letter == '<' || letter == '>' ||
            letter == '"')
            fprintf(file, "&#%d;", letter);
        else
            fputc(letter < ' ' || letter > '~' ? '?' : letter, file);
    }
}

static void put_text(FILE *file, const char *class, double x, double y,
                     const char *text)
{
    fprintf(file, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">", class, x,
            y);
    put_escaped(file, text);
    fprintf(file, "</text>\n");
}

static void put_style(FILE *file)
{
    fprintf(file,
            "<style>\n"
            "text { font-family: system-ui, 'DejaVu Sans', sans-serif;"
            " fill: #1f2933 }\n"
            ".head { font-size: 21px; font-weight: 600 }\n"
            ".unit { font-size: 13px; fill: #627080 }\n"
            ".part { font-size: 15px; font-weight: 600 }\n"
            ".row { font-size: 13px; text-anchor: end }\n"
            ".task { font-size: 13px; text-anchor: middle }\n"
            ".name { font-size: 13px }\n"
            ".tick { font-size: 12px; fill: #627080;"
            " text-anchor: middle }\n"
            ".lane { fill: #f1f4f7 }\n"
            ".line { stroke: #d5dce3 }\n"
            ".cut { stroke: #c1121f; stroke-width: 3 }\n"
            "</style>\n");
}

/* -------------------------------------------------- the layout -- */

static double x_of(const struct drawing *drawing, double units)
{
    return drawing->left + units * drawing->per_unit;
}

static size_t rows_of(const struct chart *chart,
                      const struct part *part)
{
    size_t rows = 0;

    for (size_t row = 0; row < chart->row_count; row++)
        rows += chart_has_row(chart, part, row);
    return rows;
}

static double height_of(const struct chart *chart)
{
    double height = HEAD;

    for (size_t i = 0; i < chart->part_count; i++) {
        const struct part *part = &chart->parts[i];

        if (part->span > 0)
            height += TITLE + AXIS +
                      (LANE + GAP) * (double)rows_of(chart, part);
    }
    return height;
}

static void choose_scale(struct drawing *drawing)
{
    const struct chart *chart = drawing->chart;
    double span = chart_span(chart);
    size_t longest = 0;

    for (size_t i = 0; i < chart->bar_count; i++) {
        size_t length = strlen(chart->rows[chart->bars[i].row]);

        longest = length > longest ? length : longest;
    }
    drawing->left = MARGIN + LETTER * (double)longest + 12;
    drawing->per_unit =
        (WIDTH - MARGIN - drawing->left) / (span > 0 ? span : 1);
}

/* -------------------------------------------------------- bars -- */

/* In the order in which they appear; when there are too many, again. */
static size_t name_number(struct drawing *drawing, const char *name)
{
    size_t i = 0;

    while (i < drawing->name_count &&
           strcmp(drawing->names[i], name) != 0)
        i++;
    if (i == COLOURS)
        return strlen(name) % COLOURS;
    if (i == drawing->name_count)
        drawing->names[drawing->name_count++] = name;
    return i;
}

static const char *colour_of(struct drawing *drawing,
                             const struct bar *bar)
{
    if (bar->event->flow != 0)
        return colours[bar->row % COLOURS];
    return colours[name_number(drawing, bar->event->name)];
}

static void put_tooltip(const struct drawing *drawing,
                        const struct part *part, const struct bar *bar)
{
    static const char *const ends[] = {[BAR_WHOLE] = "",
                                       [BAR_CUT] = ", cut off",
                                       [BAR_OPEN] = ", goes on"};
    const struct chart *chart = drawing->chart;
    char label[TIMELINE_NAME_MAX + 8];

    chart_label(bar, label, sizeof label);
    fprintf(drawing->file, "<title>");
    put_escaped(drawing->file, chart->rows[bar->row]);
    fprintf(drawing->file, " (pid %d): ", (int)bar->event->pid);
    put_escaped(drawing->file, label);
    fprintf(drawing->file, ", %.2f u to %.2f u%s</title>\n",
            chart_units(chart, part, bar->begin),
            chart_units(chart, part, bar->end), ends[bar->how]);
}

/* At the left of a bar that may have inner ones. */
static void put_name(const struct drawing *drawing,
                     const struct bar *bar, double begin, double width)
{
    bool task = bar->event->flow != 0;

    put_text(drawing->file, task ? "task" : "name",
             task ? begin + width / 2 : begin + 5, drawing->top + 19,
             bar->event->name);
}

/* An inner bar is lower than the one around it. */
static void put_bar(struct drawing *drawing, const struct part *part,
                    const struct bar *bar)
{
    const struct chart *chart = drawing->chart;
    FILE *file = drawing->file;
    double begin = x_of(drawing, chart_units(chart, part, bar->begin));
    double end = x_of(drawing, chart_units(chart, part, bar->end));
    double width = fmax(1, end - begin - 1);
    double inset = fmin(4 * bar->depth, LANE / 3.0);
    double needed = LETTER * (double)strlen(bar->event->name) + 2;

    fprintf(file, "<g>");
    put_tooltip(drawing, part, bar);
    fprintf(file,
            "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
            "height=\"%.1f\" rx=\"%.1f\" fill=\"%s\"%s/>\n",
            begin, drawing->top + inset, width, LANE - 2 * inset,
            fmin(3, width / 4), colour_of(drawing, bar),
            bar->how == BAR_OPEN ? " opacity=\"0.5\"" : "");
    if (bar->how == BAR_CUT)
        fprintf(file, "<path class=\"cut\" d=\"M%.1f %.1fv%d\"/>\n",
                end, drawing->top, LANE);
    if (width >= needed)
        put_name(drawing, bar, begin, width);
    fprintf(file, "</g>\n");
}

/* ------------------------------------------------------ panels -- */

static void put_row(struct drawing *drawing, const struct part *part,
                    size_t row)
{
    const struct chart *chart = drawing->chart;

    put_text(drawing->file, "row", drawing->left - 12,
             drawing->top + 19, chart->rows[row]);
    for (size_t i = 0; i < part->bar_count; i++) {
        const struct bar *bar = &chart->bars[part->first_bar + i];

        if (bar->row == row && bar->how != BAR_NONE)
            put_bar(drawing, part, bar);
    }
    drawing->top += LANE + GAP;
}

/* The grey ground of the rows, as long as the part. */
static void put_lanes(const struct drawing *drawing,
                      const struct part *part, size_t rows)
{
    for (size_t i = 0; i < rows; i++)
        fprintf(drawing->file,
                "<rect class=\"lane\" x=\"%.1f\" y=\"%.1f\" "
                "width=\"%.1f\" height=\"%d\" rx=\"3\"/>\n",
                drawing->left, drawing->top + (LANE + GAP) * (double)i,
                part->span * drawing->per_unit, LANE);
}

static void put_axis(const struct drawing *drawing,
                     const struct part *part, size_t rows)
{
    double step = chart_tick(drawing->per_unit, TICKS_APART);
    double height = (LANE + GAP) * (double)rows;
    char label[32];

    for (int i = 0; i * step <= part->span * 1.001; i++) {
        double x = x_of(drawing, i * step);

        fprintf(drawing->file,
                "<path class=\"line\" d=\"M%.1f %.1fv%.1f\"/>\n", x,
                drawing->top - 3, height + 4);
        snprintf(label, sizeof label, "%g u", i * step);
        put_text(drawing->file, "tick", x, drawing->top + height + 16,
                 label);
    }
}

static void put_part(struct drawing *drawing, const struct part *part)
{
    const struct chart *chart = drawing->chart;
    size_t rows = rows_of(chart, part);

    put_text(drawing->file, "part", MARGIN, drawing->top + 14,
             part->title);
    drawing->top += TITLE;
    put_lanes(drawing, part, rows);
    put_axis(drawing, part, rows);
    for (size_t row = 0; row < chart->row_count; row++)
        if (chart_has_row(chart, part, row))
            put_row(drawing, part, row);
    drawing->top += AXIS;
}

static void put_head(const struct drawing *drawing, const char *title)
{
    double height = height_of(drawing->chart);
    FILE *file = drawing->file;
    char unit[32];

    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" "
            "height=\"%.0f\" viewBox=\"0 0 %d %.0f\">\n<title>",
            WIDTH, height, WIDTH, height);
    put_escaped(file, title);
    fprintf(file, "</title>\n");
    put_style(file);
    fprintf(file, "<rect width=\"100%%\" height=\"100%%\" "
                  "fill=\"#ffffff\"/>\n");
    put_text(file, "head", MARGIN, 34, title);
    snprintf(unit, sizeof unit, "1 u = %g s", drawing->chart->unit);
    put_text(file, "unit", MARGIN, 54, unit);
}

int timeline_svg(FILE *file, const char *title)
{
    struct drawing drawing = {.file = file, .top = HEAD};
    struct chart chart;
    int error = chart_take(&chart);

    if (error != 0)
        return error;
    errno = 0;
    drawing.chart = &chart;
    choose_scale(&drawing);
    put_head(&drawing, title);
    for (size_t i = 0; i < chart.part_count; i++)
        if (chart.parts[i].span > 0)
            put_part(&drawing, &chart.parts[i]);
    fprintf(file, "</svg>\n");
    error = chart_finish(file);
    chart_free(&chart);
    return error;
}
