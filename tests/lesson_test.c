/*
 * lesson_test.c -- what lesson.h promises, where the lessons, which
 * are right and do not hang, can not show it.
 *
 * Each test runs a small lesson in a child process, with its stdout
 * and stderr in files, and looks at these and at its status.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>

#include "clock.h"
#include "crowd.h"
#include "gauge.h"
#include "lesson.h"
#include "pool.h"
#include "process.h"
#include "shared.h"
#include "timeline.h"

/* The text that --source shows: not that of the lessons below. */
extern const char *const lesson_source[];
const char *const lesson_source[] = {
    "/* The source of another lesson. */",
    "",
    "static int never_mentioned(void)",
    "{",
    "    return 0;",
    "}",
    "",
    "/* What two parts need. */",
    "static void helper(int number)",
    "{",
    "    if (number > 0) {",
    "        say(\"never_called(%d)\", number); /* never_called() */",
    "    }",
    "}",
    "",
    "static void never_called(void)",
    "{",
    "}",
    "",
    "static void part_one(void)",
    "{",
    "    helper(1);",
    "}",
    "",
    "static void part_two(void)",
    "{",
    "    helper(2);",
    "}",
    NULL};

/* ------------------------------------------------- running lessons */

static struct process process;
static int out_file, err_file;
static char out[100000], err[100000];

static int number = 3;
static const char *names[3]; /* two, and NULL */

static int be_a_lesson(char **arguments, void (*parts)(void))
{
    static const struct lesson_option options[] = {
        {"number", "N", "a number", &number, -5, 5}, {0}};
    static const struct lesson_text texts[] = {
        {"name", "NAME", "a name", "n:", names, 2}, {0}};
    static const struct lesson lesson = {
        .name = "lesson-00 toy",
        .summary = "a lesson for tests",
        .example = "./toy --number 2",
        .options = options,
        .texts = texts,
    };
    int count = 0;

    while (arguments[count] != NULL)
        count++;
    lesson_begin(&lesson, count, arguments);
    parts();
    return lesson_end();
}

struct start {
    void (*parts)(void);
    char **arguments;
    int output; /* stdout goes there */
};

static int redirect_and_begin(void *arg)
{
    struct start *start = arg;

    dup2(start->output, STDOUT_FILENO);
    dup2(err_file, STDERR_FILENO);
    setvbuf(stdout, NULL, _IOFBF, BUFSIZ); /* as a file or a pipe has */
    exit(be_a_lesson(start->arguments, start->parts));
}

static int new_file(void)
{
    char name[] = "/tmp/lesson_test.XXXXXX";
    int file = mkstemp(name);

    expect(file >= 0);
    unlink(name);
    return file;
}

static void begin(void (*parts)(void), char **arguments, int output)
{
    struct start start = {parts, arguments, output};

    err_file = new_file();
    expect_int(process_start(&process, redirect_and_begin, &start), 0);
}

static void read_file(int file, char text[sizeof out])
{
    ssize_t size = pread(file, text, sizeof out - 1, 0);

    expect(size >= 0);
    text[size] = '\0';
}

static int finish(void)
{
    expect_int(process_join(&process, 20), 0);
    read_file(out_file, out);
    read_file(err_file, err);
    return process.exitcode;
}

static char *no_options[] = {"toy", NULL};

static void start(void (*parts)(void))
{
    out_file = new_file();
    begin(parts, no_options, out_file);
}

static int status_of(void (*parts)(void))
{
    start(parts);
    return finish();
}

/* With one option. */
static int status_with(void (*parts)(void), char *option)
{
    char *arguments[] = {"toy", option, NULL};

    out_file = new_file();
    begin(parts, arguments, out_file);
    return finish();
}

static void wait_for_text(const char *text)
{
    double deadline = clock_deadline(20);

    do {
        expect(clock_left(deadline) > 0);
        clock_sleep(0.002);
        read_file(out_file, out);
    } while (strstr(out, text) == NULL);
}

/* --------------------------------------------------------- claims */

static void nothing(void)
{
}

static void part_true(void)
{
    say("a line");
    saw("not to be seen");
    claim(true, "the sun rose %d times", 3);
}

static void lesson_true(void)
{
    PART("one", part_true);
    PART("two", part_true);
}

static void claims_that_hold_give_0(void)
{
    expect_int(status_of(lesson_true), 0);
    expect_string(out, "one\n"
                       "  a line\n"
                       "    ok      the sun rose 3 times\n"
                       "\n"
                       "two\n"
                       "  a line\n"
                       "    ok      the sun rose 3 times\n");
    expect_string(err, "");
}

static void part_false(void)
{
    saw("%d times", 2);
    expect(!claim(false, "the sun rose %d times", 3));
    expect(!claim(1 == 2, "one is two"));
    expect(claim(true, "it rose"));
}

static void lesson_false(void)
{
    PART("one", part_false);
    PART("two", nothing);
}

static void a_claim_that_fails_gives_1_and_says_what_was_seen(void)
{
    expect_int(status_of(lesson_false), EXIT_CLAIM);
    expect_string(out,
                  "one\n"
                  "    FAILED  the sun rose 3 times; seen: 2 times\n"
                  "    FAILED  one is two\n"
                  "    ok      it rose\n"
                  "\n"
                  "two\n");
    expect_string(err, "");
}

static void lesson_long(void)
{
    saw("this");
    claim(false, "a sentence that is longer than the line which it "
                 "begins goes on below its own first word, and "
                 "again until it ends");
    claim(true, "averyveryveryveryveryveryveryveryveryveryveryvery"
                "veryverylongword");
}

static void long_claims_go_on_below(void)
{
    expect_int(status_of(lesson_long), EXIT_CLAIM);
    expect_string(
        out,
        "    FAILED  a sentence that is longer than the line which it "
        "begins goes\n"
        "            on below its own first word, and again until it "
        "ends; seen:\n"
        "            this\n"
        "    ok      averyveryveryveryveryveryveryveryveryveryveryvery"
        "veryverylongword\n");
}

static void claim_in_child(int unused)
{
    claim(unused == 0, "in a child");
}

static void lesson_claim_in_child(void)
{
    claim(crowd_processes(1, claim_in_child) == 1, "it was refused");
}

static void a_claim_in_a_child_is_refused(void)
{
    expect_int(status_of(lesson_claim_in_child), 0);
    expect_string(out, "    ok      it was refused\n");
    expect(strstr(err, "EPERM") != NULL);
}

/* ---------------------------------------------------------- lines */

enum { CREW = 8, LINES = 150 };

static struct gauge *ready; /* in shared memory */

/* All begin at the same time. */
static void say_often(int letter)
{
    char text[61];

    gauge_enter(ready);
    while (ready->most < CREW)
        sched_yield();

    memset(text, 'a' + letter, sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (int i = 0; i < LINES; i++)
        say("%s", text);
}

static void lesson_chorus_of_processes(void)
{
    ready = check_pointer(shared_alloc(sizeof *ready), "mmap");
    crowd_processes(CREW, say_often);
}

static void lesson_chorus_of_threads(void)
{
    ready = check_pointer(shared_alloc(sizeof *ready), "mmap");
    crowd_threads(CREW, say_often);
}

static void expect_whole_lines(void)
{
    int lines = 0;

    for (const char *at = out; *at != '\0'; at += 63, lines++) {
        expect(strncmp(at, "  ", 2) == 0);
        expect(at[62] == '\n');
        for (int i = 3; i < 62; i++)
            expect(at[i] == at[2]);
    }
    expect_int(lines, CREW * LINES);
}

static void lines_of_many_speakers_are_whole(void)
{
    char name[32] = "/proc/self/fd/100";

    out_file = new_file();
    snprintf(name, sizeof name, "/proc/self/fd/%d", out_file);
    begin(lesson_chorus_of_processes, no_options,
          open(name, O_WRONLY | O_APPEND));
    expect_int(finish(), 0);
    expect_whole_lines();
    expect_int(status_of(lesson_chorus_of_threads), 0);
    expect_whole_lines();
}

static int print_and_be_killed(void *unused)
{
    (void)unused;
    printf("a line by printf\n");
    return raise(SIGKILL);
}

static void lesson_that_prints(void)
{
    struct process child;

    say("before");
    process_start(&child, print_and_be_killed, NULL);
    process_join(&child, INFINITY);
    say("after");
}

static void what_a_child_prints_is_not_lost(void)
{
    expect_int(status_of(lesson_that_prints), 0);
    expect_string(out, "  before\na line by printf\n  after\n");
}

static void lesson_of_one_long_line(void)
{
    char text[6000];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    say("%.1000s", text);
    say("%s", text);
}

static void a_line_that_could_be_mixed_is_refused(void)
{
    expect_int(status_of(lesson_of_one_long_line), EXIT_REFUSED);
    expect_int(strlen(out), 1003);
    expect(strstr(err, "EOVERFLOW") != NULL);
}

/* A new terminal: returns its master side, and its name. */
static int new_terminal(int *side_of_lesson)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);

    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0)
        test_skip("needs a pseudo-terminal");
    *side_of_lesson = open(ptsname(master), O_RDWR | O_NOCTTY);
    expect(*side_of_lesson >= 0);
    return master;
}

/* A terminal may give it in pieces, and ends with an error. */
static size_t read_all(int descriptor, char *text, size_t room)
{
    size_t size = 0;
    ssize_t more;

    while ((more = read(descriptor, text + size, room - size)) > 0)
        size += (size_t)more;
    expect(size > 0 && size < room);
    close(descriptor);
    return size;
}

/* The terminal itself makes "\r\n" of a newline. */
static const char *said_on_a_terminal(void (*parts)(void))
{
    static char text[5000];
    size_t size, kept = 0;
    int side, master = new_terminal(&side);

    begin(parts, no_options, side);
    expect_int(process_join(&process, 20), 0);
    close(side);
    size = read_all(master, text, sizeof text);
    for (size_t i = 0; i < size; i++)
        if (text[i] != '\r')
            text[kept++] = text[i];
    text[kept] = '\0';
    return text;
}

static const char *said_in_a_pipe(void (*parts)(void))
{
    static char text[5000];
    int ends[2];

    expect_int(pipe(ends), 0);
    begin(parts, no_options, ends[1]);
    expect_int(process_join(&process, 20), 0);
    close(ends[1]);
    text[read_all(ends[0], text, sizeof text)] = '\0';
    return text;
}

static void a_terminal_a_pipe_and_a_file_get_the_same_bytes(void)
{
    expect_int(status_of(lesson_false), EXIT_CLAIM);
    expect_string(said_in_a_pipe(lesson_false), out);
    setenv("NO_COLOR", "1", 1);
    expect_string(said_on_a_terminal(lesson_false), out);
}

static void only_a_terminal_gets_colours(void)
{
    unsetenv("NO_COLOR");
    expect_string(said_on_a_terminal(lesson_true),
                  "one\n"
                  "  a line\n"
                  "    \033[32mok\033[0m      the sun rose 3 times\n"
                  "\n"
                  "two\n"
                  "  a line\n"
                  "    \033[32mok\033[0m      the sun rose 3 times\n");
    expect(strchr(said_in_a_pipe(lesson_true), '\033') == NULL);
}

static void say_in_child(int unused)
{
    say("child %d", unused);
}

static void lesson_of_children(void)
{
    crowd_processes(3, say_in_child);
    clock_sleep(20);
}

static void a_child_that_can_not_write_ends_the_lesson(void)
{
    out_file = open("/dev/full", O_RDWR);
    if (out_file < 0)
        test_skip("needs /dev/full");
    begin(lesson_of_children, no_options, out_file);
    out_file = new_file();
    expect_int(finish(), EXIT_REFUSED);
    expect(strstr(err, "write to stdout: ENOSPC") != NULL);
}

/* ---------------------------------------------------------- times */

static void part_of_two_units(void)
{
    double before = unit_now();

    claim(before >= 0 && before < 1000, "it begins at 0 u");
    unit_sleep(2);
    claim(unit_now() - before >= 2, "a sleep lasts 2 u");
    clock_sleep(lesson_unit());
    claim(unit_now() - before >= 3, "and 1 u more");
}

static double second_part_at;

static void note_time(void)
{
    second_part_at = unit_now();
}

static void lesson_of_units(void)
{
    double start = clock_now();

    PART("one", part_of_two_units);
    PART("two", note_time);
    claim(second_part_at <= (clock_now() - start) / lesson_unit() - 3,
          "each part has a 0 u of its own");
    claim(lesson_unit() == 0.004, "1 u is 0.004 s");
}

static void units_are_as_long_as_was_asked_for(void)
{
    setenv("LESSON_UNIT", "0.004", 1);
    expect_int(status_of(lesson_of_units), 0);
    setenv("LESSON_UNIT", "40", 1);
    expect_int(status_with(lesson_of_units, "--unit=0.004"), 0);
}

/* -------------------------------------------------------- options */

static void lesson_of_a_number(void)
{
    say("%d", number);
}

static void an_option_sets_its_number(void)
{
    expect_int(status_of(lesson_of_a_number), 0);
    expect_string(out, "  3\n");
    expect_int(status_with(lesson_of_a_number, "--number=-5"), 0);
    expect_string(out, "  -5\n");
    expect_int(status_with(lesson_of_a_number, "--number=-6"),
               EXIT_USAGE);
    expect_string(out, "");
}

static void lesson_of_names(void)
{
    for (int i = 0; names[i] != NULL; i++)
        say("%s", names[i]);
}

static void an_option_takes_texts(void)
{
    static char *arguments[] = {"toy", "--name=n:1", "--name",
                                "n:2", NULL,         NULL};

    out_file = new_file();
    begin(lesson_of_names, arguments, out_file);
    expect_int(finish(), 0);
    expect_string(out, "  n:1\n  n:2\n");
    arguments[4] = "--name=n:3";
    out_file = new_file();
    begin(lesson_of_names, arguments, out_file);
    expect_int(finish(), EXIT_USAGE);
    expect(strstr(err, "--name n:3: at most 2 of them") != NULL);
    expect_int(status_with(lesson_of_names, "--name=m"), EXIT_USAGE);
    expect(strstr(err, "--name m: a text that begins with n: is "
                       "expected") != NULL);
    expect_int(status_with(lesson_of_names, "--name="), EXIT_USAGE);
}

static void help_is_complete(void)
{
    expect_int(status_with(lesson_of_a_number, "--help"), 0);
    expect(strncmp(out, "Example: ./toy --number 2\n", 26) == 0);
    expect(strstr(out, "lesson-00 toy: a lesson for tests") != NULL);
    expect(strstr(out, "a number (-5 to 5, default 3)") != NULL);
    expect(strstr(out, "--name NAME") != NULL);
    expect_string(err, "");
}

static void lesson_of_source(void)
{
    PART("one", nothing);
    lesson_part("two", "part_one", nothing);
    lesson_part("three", "part_two", nothing);
    lesson_part("four", "part_one", nothing);
}

static void source_shows_what_a_part_needs_once(void)
{
    expect_int(status_with(lesson_of_source, "--source"), 0);
    expect_string(
        out,
        "one\n"
        "\n"
        "two\n"
        "\n"
        "/* What two parts need. */\n"
        "static void helper(int number)\n"
        "{\n"
        "    if (number > 0) {\n"
        "        say(\"never_called(%d)\", number); /* never_called() "
        "*/\n"
        "    }\n"
        "}\n"
        "\n"
        "static void part_one(void)\n"
        "{\n"
        "    helper(1);\n"
        "}\n"
        "\n"
        "three\n"
        "\n"
        "static void part_two(void)\n"
        "{\n"
        "    helper(2);\n"
        "}\n"
        "\n"
        "four\n");
}

/* ------------------------------------------------------- watchdog */

static int hang(const void *arg, void *result)
{
    (void)arg;
    (void)result;
    clock_sleep(60);
    return 0;
}

static void part_of_hanging_workers(void)
{
    struct pool *pool = pool_open(&pool_processes, 2);

    pool_apply(pool, hang, NULL, 0, NULL, 0);
}

static void lesson_that_hangs(void)
{
    PART("hanging", part_of_hanging_workers);
}

static void a_hang_ends_with_4_and_a_line_for_each_row(void)
{
    setenv("LESSON_PATIENCE", "0.5", 1);
    expect_int(status_of(lesson_that_hangs), EXIT_HANG);
    expect_string(out, "hanging\n");
    expect(strstr(err, "nothing happened for 0.5 s") != NULL);
    expect(strstr(err, "in the part \"hanging\"\n") != NULL);
    expect(strstr(err, "): in task 1 since ") != NULL);
    expect(strstr(err, "): waits for work since ") != NULL);
}

/* Longer than the watchdog's patience, but something happens. */
static void part_with_lines(void)
{
    for (int i = 0; i < 14; i++) {
        clock_sleep(0.1);
        say("line %d", i);
    }
}

static void part_with_bars(void)
{
    for (int i = 0; i < 14; i++) {
        timeline_begin("row", "bar", 0);
        clock_sleep(0.1);
        timeline_end("row");
    }
}

static void lesson_that_goes_on(void)
{
    PART("lines", part_with_lines);
    PART("bars", part_with_bars);
}

static void a_lesson_in_which_something_happens_goes_on(void)
{
    setenv("LESSON_PATIENCE", "1", 1);
    expect_int(status_of(lesson_that_goes_on), 0);
}

static void lesson_that_waits_idly(void)
{
    lesson_idle(true);
    clock_sleep(1);
    lesson_idle(false);
    say("a client has come");
}

static void an_idle_lesson_is_not_ended(void)
{
    setenv("LESSON_PATIENCE", "0.5", 1);
    expect_int(status_of(lesson_that_waits_idly), 0);
    expect_string(out, "  a client has come\n");
}

static void lesson_that_is_quiet(void)
{
    say("ready");
    clock_sleep(0.3);
    say("done");
}

static void a_stopped_lesson_is_not_ended(void)
{
    setenv("LESSON_PATIENCE", "1", 1);
    start(lesson_that_is_quiet);
    wait_for_text("ready");
    kill(process.pid, SIGSTOP);
    clock_sleep(1.5);
    kill(process.pid, SIGCONT);
    expect_int(finish(), 0);
    expect_string(out, "  ready\n  done\n");
}

static void patience_that_is_none_is_refused(void)
{
    setenv("LESSON_PATIENCE", "0", 1);
    expect_int(status_of(lesson_true), EXIT_USAGE);
    expect_string(out, "");
    expect(strstr(err, "LESSON_PATIENCE 0: a number from 0.1 to 86400 "
                       "is expected\n") != NULL);
}

/* ------------------------------------------------------- early ends */

static void say_and_sleep(int unused)
{
    say("asleep %d", unused);
    clock_sleep(60);
}

static void lesson_asleep(void)
{
    crowd_processes(1, say_and_sleep);
}

static void an_interrupt_ends_with_130(void)
{
#ifdef __SANITIZE_THREAD__
    test_skip("ThreadSanitizer lets handlers wait");
#endif
    start(lesson_asleep);
    wait_for_text("asleep");
    kill(process.pid, SIGINT);
    expect_int(finish(), EXIT_INTERRUPTED);
    expect_string(err, "");
}

static void lesson_of_a_failed_call(void)
{
    PART("one", nothing);
    check_error(EAGAIN, "a call");
}

static void a_failed_call_ends_with_3(void)
{
    expect_int(status_of(lesson_of_a_failed_call), EXIT_REFUSED);
    expect_string(out, "one\n");
    expect(strstr(err, ": a call: EAGAIN, ") != NULL);
    expect(strchr(err, '\n') == err + strlen(err) - 1);
}

static const struct test tests[] = {
    TEST(claims_that_hold_give_0),
    TEST(a_claim_that_fails_gives_1_and_says_what_was_seen),
    TEST(long_claims_go_on_below),
    TEST(a_claim_in_a_child_is_refused),
    TEST(lines_of_many_speakers_are_whole),
    TEST(what_a_child_prints_is_not_lost),
    TEST(a_line_that_could_be_mixed_is_refused),
    TEST(a_terminal_a_pipe_and_a_file_get_the_same_bytes),
    TEST(only_a_terminal_gets_colours),
    TEST(a_child_that_can_not_write_ends_the_lesson),
    TEST(units_are_as_long_as_was_asked_for),
    TEST(an_option_sets_its_number),
    TEST(an_option_takes_texts),
    TEST(help_is_complete),
    TEST(source_shows_what_a_part_needs_once),
    TEST(a_hang_ends_with_4_and_a_line_for_each_row),
    TEST(a_lesson_in_which_something_happens_goes_on),
    TEST(an_idle_lesson_is_not_ended),
    TEST(a_stopped_lesson_is_not_ended),
    TEST(patience_that_is_none_is_refused),
    TEST(an_interrupt_ends_with_130),
    TEST(a_failed_call_ends_with_3),
    {0},
};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
