/*
 * timeline_test.c -- what timeline.h promises.
 *
 * What is recorded gets times of the test's choice, so that pictures
 * are the same in every run: `at` moves the clock on, and `stamp`
 * writes it into the events since the last stamp.
 */
#include "test.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>

#include "clock.h"
#include "crowd.h"
#include "pool.h"
#include "process.h"
#include "timeline.h"
#include "timeline_chart.h"

static const double unit = 0.1;

static struct recording *recording;
static double now; /* u */
static uint64_t stamped;

/* Everybody may write to the recording, only not through this name. */
static void open_timeline(void)
{
    const struct recording *shown;

    expect_int(timeline_open(unit), 0);
    shown = timeline_recording();
    memcpy(&recording, &shown, sizeof recording);
    recording->start = clock_now() - 1000; /* all is long ago */
}

static void stamp(void)
{
    for (; stamped < timeline_progress(); stamped++)
        recording->events[stamped].when = recording->start + now * unit;
}

static void at(double units)
{
    stamp();
    now = units;
}

static void bar(const char *row, const char *name, double begin,
                double end)
{
    at(begin);
    timeline_begin(row, name, 0);
    at(end);
    timeline_end(row);
    stamp();
}

/* -------------------------------------------------------- picture */

static char picture[20000];

static void add_line(const char *text)
{
    size_t size = strlen(picture);

    expect(strlen(text) <= 72);
    expect(strchr(text, '\n') == NULL);
    snprintf(picture + size, sizeof picture - size, "%s\n", text);
}

static const char *print(void)
{
    picture[0] = '\0';
    expect_int(timeline_print(add_line), 0);
    return picture;
}

static const char *drawn(int draw(FILE *file, const char *title))
{
    FILE *file = tmpfile();
    size_t size;

    expect(file != NULL);
    expect_int(draw(file, "a <title> & \"more\""), 0);
    rewind(file);
    size = fread(picture, 1, sizeof picture - 1, file);
    picture[size] = '\0';
    (void)fclose(file);
    return picture;
}

static const char *svg(void)
{
    return drawn(timeline_svg);
}

static const char *trace(void)
{
    return drawn(timeline_trace);
}

static int count(const char *text, const char *what)
{
    int found = 0;

    while ((text = strstr(text, what)) != NULL) {
        text += strlen(what);
        found++;
    }
    return found;
}

static void nothing_recorded_is_nothing_drawn(void)
{
    expect_string(print(), "");
    timeline_begin("row", "before open", 0);
    timeline_end("row");
    timeline_submit("row", 1);
    timeline_cut("row");
    timeline_part("part");
    expect_int(timeline_progress(), 0);
    open_timeline();
    timeline_part("a part without bars");
    expect_string(print(), "");
}

static void three_workers_and_nine_tasks(void)
{
    static const char *const rows[] = {"worker 1", "worker 2",
                                       "worker 3"};
    static const char *const names[] = {"1", "2", "3", "4", "5",
                                        "6", "7", "8", "9"};

    open_timeline();
    timeline_part("three at a time");
    for (int i = 0; i < 9; i++) {
        int round = i / 3;

        bar(rows[i % 3], names[i], round, round + 1);
    }
    expect_string(print(),
                  "\n"
                  "Time line: 1 u is 0.1 s\n"
                  "\n"
                  "  three at a time\n"
                  "  worker 1 |1111111111|4444444444|7777777777|\n"
                  "  worker 2 |2222222222|5555555555|8888888888|\n"
                  "  worker 3 |3333333333|6666666666|9999999999|\n"
                  "           0 u        1 u        2 u        3 u\n");
}

static void parts_begin_at_zero_and_have_one_scale(void)
{
    open_timeline();
    timeline_part("first");
    bar("a", "one", 0, 10);
    at(100);
    timeline_part("second");
    bar("b", "two", 101, 105);
    expect_string(print(),
                  "\n"
                  "Time line: 1 u is 0.1 s\n"
                  "\n"
                  "  first\n"
                  "  a |one======================================="
                  "=================|\n"
                  "    0 u         2 u         4 u         6 u    "
                  "     8 u         10 u\n"
                  "\n"
                  "  second\n"
                  "  b       |two====================|\n"
                  "    0 u         2 u         4 u\n");
}

static void bars_of_what_was_measured_begin_side_by_side(void)
{
    open_timeline();
    timeline_part("Side by side");
    timeline_bar("one", "long", 10 * unit);
    timeline_bar("two", "short", 5 * unit);
    expect_string(print(),
                  "\n"
                  "Time line: 1 u is 0.1 s\n"
                  "\n"
                  "  Side by side\n"
                  "  one |long================================="
                  "======================|\n"
                  "  two |short========================|\n"
                  "      0 u         2 u         4 u         6 "
                  "u         8 u         10 u\n");
}

static void rows_are_in_the_order_of_their_numbers(void)
{
    const char *last;

    open_timeline();
    bar("worker 10", "x", 0, 1);
    bar("worker 9", "x", 1, 2);
    bar("worker 2", "x", 2, 3);
    last = strstr(print(), "worker 2 ");
    expect(last != NULL);
    last = strstr(last, "worker 9 ");
    expect(last != NULL);
    expect(strstr(last, "worker 10 ") != NULL);
}

static void a_bar_that_is_cut_off_ends_in_x(void)
{
    open_timeline();
    at(0);
    timeline_begin("a", "1", 0);
    timeline_begin("a", "inner", 0);
    at(4);
    timeline_cut("a");
    bar("a", "2", 5, 6);
    print();
    expect(strstr(picture, "=x") != NULL);
    expect_int(count(picture, "x"), 1);
    expect(strstr(picture, "|2") != NULL);
}

static void a_bar_that_goes_on_ends_in_an_arrow(void)
{
    open_timeline();
    timeline_part("one");
    bar("a", "1", 0, 4);
    at(5);
    timeline_begin("a", "2", 0);
    at(6);
    timeline_part("two");
    bar("b", "3", 7, 8);
    at(9);
    timeline_end("a"); /* of a bar that is of no interest any more */
    stamp();
    print();
    expect_int(count(picture, ">"), 1);
    expect(strstr(picture, "222>") != NULL);
    expect_int(count(picture, "\n  a "), 1);
}

static void inner_bars_are_drawn_in_the_outer_one(void)
{
    struct chart chart;

    open_timeline();
    at(0);
    timeline_begin("a", "1", 0);
    at(1);
    timeline_begin("a", "2", 0);
    at(2);
    timeline_end("a");
    at(5);
    timeline_end("a");
    stamp();
    expect_int(chart_take(&chart), 0);
    expect_int(chart.bar_count, 2);
    expect_string(chart.bars[0].event->name, "1");
    expect(chart.bars[0].outer == NULL);
    expect(chart.bars[1].outer == &chart.bars[0]);
    expect_int(chart.bars[1].depth, 1);
    expect(fabs(chart.bars[0].end - chart.bars[0].begin - 5 * unit) <
           1e-6);
    chart_free(&chart);
    print();
    expect(strstr(picture, "|1111111111|2222222222|1111") != NULL);
}

static void very_many_bars_fit_in_72_columns(void)
{
    open_timeline();
    timeline_part(
        "a title that is longer than a line has room, so that "
        "it has to be cut off somewhere");
    for (int i = 0; i < 500; i++)
        bar("a row with a long name!", "1234", i, i + 1);
    print(); /* which looks at each line */
    expect(strstr(picture, "a row with a long name!") != NULL);
}

static void long_names_are_cut(void)
{
    char name[200];

    open_timeline();
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    bar(name, name, 0, 2);
    print();
    name[TIMELINE_NAME_MAX - 1] = '\0';
    expect_int(count(picture, name), 2);
    expect(strstr(svg(), name) != NULL);
}

static void what_has_no_room_is_counted_and_said(void)
{
    open_timeline();
    bar("a", "1", 0, 3);
    while (timeline_progress() < TIMELINE_EVENTS)
        timeline_submit("a", 1);
    for (int i = 0; i < 7; i++)
        timeline_begin("b", "later", 0);
    expect_int(timeline_progress(), TIMELINE_EVENTS + 7);
    print();
    expect(strstr(picture, "\n  7 later events had no room\n") != NULL);
    expect(strstr(picture, "later |") == NULL);
    expect(strstr(picture, "  b ") == NULL);
}

/* ------------------------------------------------------- recorders */

enum { CREW = 6, EACH = 300 };

static void record_bars(int number)
{
    char row[TIMELINE_NAME_MAX];

    snprintf(row, sizeof row, "row %d", number);
    for (int i = 0; i < EACH; i++) {
        timeline_begin(row, "x", 0);
        timeline_end(row);
    }
}

static void expect_bars(int begun, int per_row)
{
    struct chart chart;

    expect_int(timeline_progress(), 2 * begun);
    expect_int(chart_take(&chart), 0);
    expect_int(chart.row_count, begun / per_row);
    expect_int(chart.bar_count, begun);
    for (size_t i = 0; i < chart.bar_count; i++) {
        expect_int(chart.bars[i].how, BAR_WHOLE);
        expect(chart.bars[i].begin <= chart.bars[i].end);
    }
    expect_int(chart.lost, 0);
    chart_free(&chart);
}

static void threads_and_processes_record_together(void)
{
    expect_int(timeline_open(unit), 0);
    crowd_threads(CREW, record_bars);
    expect_bars(CREW * EACH, EACH);
    expect_int(crowd_processes(CREW, record_bars), 0);
    expect_bars(2 * CREW * EACH, 2 * EACH);
}

/* Leaves room for others when it is killed late. */
static int record_and_wait(void *unused)
{
    (void)unused;
    while (timeline_progress() < TIMELINE_EVENTS / 2) {
        timeline_begin("killed", "x", 0);
        timeline_end("killed");
    }
    while (pause() < 0)
        continue;
    return 0;
}

static void a_killed_recorder_disturbs_nobody(void)
{
    for (int i = 0; i < 20; i++) {
        struct process process;
        struct chart chart;

        expect_int(timeline_open(unit), 0);
        expect_int(process_start(&process, record_and_wait, NULL), 0);
        while (timeline_progress() < 50)
            clock_sleep(0.0001);
        expect_int(process_kill(&process), 0);
        expect_int(process_join(&process, 20), 0);
        timeline_cut("killed");
        record_bars(1);
        expect_int(chart_take(&chart), 0);
        expect(chart.row_count >= 1);
        for (size_t bars = 0; bars < chart.bar_count; bars++)
            expect(chart.bars[bars].how != BAR_OPEN);
        chart_free(&chart);
    }
}

/* --------------------------------------------------------- report */

static void the_report_tells_what_each_row_does(void)
{
    char wanted[400];

    open_timeline();
    timeline_part("part");
    at(1);
    timeline_begin("worker 1", "7", 7);
    at(2);
    timeline_begin("worker 2", "8", 8);
    timeline_end("worker 2");
    at(3);
    timeline_begin("philosopher", "eats", 0);
    bar("ended", "thinks", 0, 2);
    at(4);
    timeline_begin("gone", "1", 1);
    timeline_cut("gone");
    stamp();
    picture[0] = '\0';
    timeline_report(add_line);
    snprintf(wanted, sizeof wanted,
             "ended (pid %d): nothing more after \"thinks\", since "
             "2.0 u\n"
             "philosopher (pid %d): in \"eats\" since 3.0 u\n"
             "worker 1 (pid %d): in task 7 since 1.0 u\n"
             "worker 2 (pid %d): waits for work since 2.0 u\n",
             getpid(), getpid(), getpid(), getpid());
    expect_string(picture, wanted);
}

/* ---------------------------------------------------- SVG and trace */

static void record_a_bit_of_all(void)
{
    open_timeline();
    timeline_part("a & b < c");
    at(1);
    timeline_submit("main", 7);
    at(2);
    timeline_begin("worker \"1\"", "7", 7);
    timeline_begin("worker \"1\"", "<inner>", 0);
    at(3);
    timeline_end("worker \"1\"");
    at(4);
    timeline_cut("worker \"1\"");
    at(5);
    timeline_begin("b\\ack", "goes on", 0);
    stamp();
}

static void svg_is_escaped_and_closed(void)
{
    record_a_bit_of_all();
    svg();
    expect(strncmp(picture, "<svg ", 5) == 0);
    expect_string(picture + strlen(picture) - 7, "</svg>\n");
    expect(strstr(picture, ">a &#38; b &#60; c<") != NULL);
    expect(strstr(picture, "<inner>") == NULL);
    expect(strstr(picture, "<title>a &#60;title") != NULL);
    expect_int(count(picture, "<g>"), 3);
    expect_int(count(picture, "</g>"), 3);
    expect_int(count(picture, "<text"), count(picture, "</text>"));
    expect_int(count(picture, "cut off"), 1);
    expect_int(count(picture, "goes on</title>"), 1);
}

static void trace_has_named_rows_bars_and_arrows(void)
{
    record_a_bit_of_all();
    trace();
    expect_int(count(picture, "\"thread_name\""), 3);
    expect(strstr(picture, "{\"name\": \"worker \\\"1\\\"\"}") != NULL);
    expect(strstr(picture, "{\"name\": \"b\\\\ack\"}") != NULL);
    expect_int(count(picture, "\"ph\": \"X\""), 4);
    expect_int(count(picture, "\"ph\": \"s\""), 1);
    expect_int(count(picture, "\"ph\": \"f\""), 1);
    expect_int(count(picture, "\"ph\": \"i\""), 1);
    expect(strstr(picture, "\"name\": \"task 7\", \"ts\": 200000.000, "
                           "\"dur\": 200000.000") != NULL);
    expect(strstr(picture, "\"name\": \"\\\"<inner>\\\"\", \"ts\": "
                           "200000.000, \"dur\": 100000.000") != NULL);
}

/* python3 reads it, and says what is wrong. */
static int run_python(void *code)
{
    execlp("python3", "python3", "-c", code, (char *)NULL);
    return TEST_SKIPPED;
}

static void read_by_python(char *code,
                           int draw(FILE *file, const char *title))
{
    FILE *file = tmpfile();
    struct process python;

    expect(file != NULL);
    record_a_bit_of_all();
    expect_int(draw(file, "a <title> & \"more\" \\ \t \303\244"), 0);
    rewind(file);
    dup2(fileno(file), STDIN_FILENO);
    expect_int(process_start(&python, run_python, code), 0);
    expect_int(process_join(&python, INFINITY), 0);
    if (python.exitcode == TEST_SKIPPED)
        test_skip("needs python3: apt-get install python3");
    expect_int(python.exitcode, 0);
}

static void svg_is_well_formed(void)
{
    read_by_python("import sys, xml.etree.ElementTree as tree\n"
                   "tree.parse(sys.stdin)",
                   timeline_svg);
}

static void trace_is_valid_json(void)
{
    read_by_python("import sys, json; json.load(sys.stdin)",
                   timeline_trace);
}

static void drawings_of_nothing_are_whole(void)
{
    svg();
    expect(strstr(picture, "</svg>\n") != NULL);
    trace();
    expect(strstr(picture, "]}\n") != NULL);
}

static void a_full_disk_is_told(void)
{
    FILE *full = fopen("/dev/full", "w");

    if (full == NULL)
        test_skip("needs /dev/full");
    record_a_bit_of_all();
    expect_int(timeline_svg(full, "title"), ENOSPC);
    (void)fclose(full);
    full = fopen("/dev/full", "w");
    expect_int(timeline_trace(full, "title"), ENOSPC);
}

/* ---------------------------------------------------------- pools */

static int nap(const void *arg, void *result)
{
    (void)arg;
    (void)result;
    clock_sleep(0.01);
    return 0;
}

static void pools_are_watched(const void *kind)
{
    struct pool *pool;
    struct chart chart;
    char name[16];
    int bars = 0;

    expect_int(timeline_open(unit), 0);
    timeline_watch_pools();
    pool = pool_open(kind, 2);
    expect(pool != NULL);
    for (int i = 0; i < 5; i++)
        expect_int(pool_apply(pool, nap, NULL, 0, NULL, 0), 0);
    pool_free(pool);

    expect_int(chart_take(&chart), 0);
    expect_string(chart.rows[0], "main");
    for (size_t i = 0; i < chart.bar_count; i++) {
        const struct bar *it = &chart.bars[i];

        if (it->how == BAR_NONE)
            continue;
        bars++;
        expect_int(it->how, BAR_WHOLE);
        snprintf(name, sizeof name, "%d", bars);
        expect_string(it->event->name, name);
        expect(it->submit != NULL);
        expect(it->submit->when <= it->begin);
        expect(it->end - it->begin >= 0.01);
        expect(strncmp(chart.rows[it->row], "worker ", 7) == 0);
    }
    expect_int(bars, 5);
    chart_free(&chart);
}

static const struct test tests[] = {
    TEST(nothing_recorded_is_nothing_drawn),
    TEST(three_workers_and_nine_tasks),
    TEST(parts_begin_at_zero_and_have_one_scale),
    TEST(bars_of_what_was_measured_begin_side_by_side),
    TEST(rows_are_in_the_order_of_their_numbers),
    TEST(a_bar_that_is_cut_off_ends_in_x),
    TEST(a_bar_that_goes_on_ends_in_an_arrow),
    TEST(inner_bars_are_drawn_in_the_outer_one),
    TEST(very_many_bars_fit_in_72_columns),
    TEST(long_names_are_cut),
    TEST(what_has_no_room_is_counted_and_said),
    TEST(threads_and_processes_record_together),
    TEST(a_killed_recorder_disturbs_nobody),
    TEST(the_report_tells_what_each_row_does),
    TEST(svg_is_escaped_and_closed),
    TEST(trace_has_named_rows_bars_and_arrows),
    TEST(svg_is_well_formed),
    TEST(trace_is_valid_json),
    TEST(drawings_of_nothing_are_whole),
    TEST(a_full_disk_is_told),
    TEST_WITH("threads", &pool_threads, pools_are_watched),
    TEST_WITH("processes", &pool_processes, pools_are_watched),
    {0},
};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
