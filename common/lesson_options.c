/*
 * lesson_options.c -- the command line and the environment.
 *
 * Whatever is wrong is told in one line that names the option, its
 * value and what is expected, and nothing else has happened by then.
 * A missing value is treated as an empty one: that is wrong for every
 * option, and the message is the one that helps.
 *
 * getopt_long returns FIRST_OWN + i for the i-th of the lesson's own
 * options, first its numbers, then its texts, and an enum option for
 * those that all lessons have.
 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lesson_internal.h"

enum { UNIT = 256, STEP, SOURCE, SVG, TRACE, HELP, FIRST_OWN };
enum { FRAME_OPTIONS = FIRST_OWN - UNIT };
enum { HELP_COLUMN = 16 };

static const double unit_default = 0.2;
static const double unit_min = 0.001, unit_max = 60;
static const double patience_min = 0.1, patience_max = 86400;

/* In the order of the enum. */
static const struct {
    const char *name, *value, *help;
} frame_options[FRAME_OPTIONS] = {
    {"unit", "S",
     "the length of 1 u in seconds (0.001 to 60, default 0.2, or what "
     "LESSON_UNIT in the environment says)"},
    {"step", NULL, "wait for Enter before each part"},
    {"source", NULL, "print the source of each part before it runs"},
    {"svg", "FILE", "write the time line to FILE as a picture"},
    {"trace", "FILE",
     "write the time line to FILE for https://ui.perfetto.dev"},
    {"help", NULL, "print this and end"},
};

/* ---------------------------------------------------- messages -- */

/* What the user typed may hold a newline: the message is one line. */
static _Noreturn void usage_error(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

static _Noreturn void usage_error(const char *format, ...)
{
    char text[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (char *at = text; *at != '\0'; at++)
        if (iscntrl((unsigned char)*at))
            *at = '?';
    dprintf(STDERR_FILENO, "%s: %s\n", program_invocation_short_name,
            text);
    exit(EXIT_USAGE);
}

/* So that an empty value can be seen in a message. */
static const char *shown(const char *text)
{
    return text[0] == '\0' ? "''" : text;
}

/* ------------------------------------------------------ values -- */

static int whole_number(const struct lesson_option *option,
                        const char *text)
{
    bool digits = isdigit((unsigned char)text[0]) || text[0] == '-';
    char *end;
    long number;

    errno = 0;
    number = strtol(text, &end, 10);
    if (!digits || end == text || *end != '\0' || errno != 0 ||
        number < option->min || number > option->max)
        usage_error("--%s %.100s: a whole number from %d to %d is "
                    "expected",
                    option->name, shown(text), option->min,
                    option->max);
    return (int)number;
}

/* Plain decimals only: strtod would take "nan" and "0x1p-3" too. */
static double decimal_number(const char *name, const char *text,
                             double min, double max)
{
    bool plain = strspn(text, "0123456789.") == strlen(text);
    char *end;
    double number = strtod(text, &end);

    if (!plain || end == text || *end != '\0' || number < min ||
        number > max)
        usage_error("%s %.100s: a number from %g to %g is expected",
                    name, shown(text), min, max);
    return number;
}

static const char *file_name(const char *name, const char *text)
{
    if (text[0] == '\0')
        usage_error("%s %s: the name of a file is expected", name,
                    shown(text));
    return text;
}

static void add_text(const struct lesson_text *option, const char *text)
{
    int count = 0;

    if (strncmp(text, option->prefix, strlen(option->prefix)) != 0)
        usage_error("--%s %.100s: a text that begins with %s is "
                    "expected",
                    option->name, shown(text), option->prefix);
    while (option->texts[count] != NULL)
        count++;
    if (count == option->max)
        usage_error("--%s %.100s: at most %d of them are expected",
                    option->name, text, option->max);
    option->texts[count] = text;
}

/* -------------------------------------------------------- help -- */

static void print_option(const char *name, const char *value,
                         const char *help)
{
    char head[64];

    snprintf(head, sizeof head, "  --%s%s%s ", name,
             value != NULL ? " " : "", value != NULL ? value : "");
    speech_entry(head, HELP_COLUMN, "%s", help);
}

static void print_own_option(const struct lesson_option *option)
{
    char help[512];

    if (option->value == NULL)
        snprintf(help, sizeof help, "%s", option->help);
    else
        snprintf(help, sizeof help, "%s (%d to %d, default %d)",
                 option->help, option->min, option->max,
                 *option->number);
    print_option(option->name, option->value, help);
}

static _Noreturn void print_help(const struct lesson *lesson)
{
    speech_entry("Example: ", 9, "%s", lesson->example);
    speech_line("");
    speech_entry("", 0, "%s: %s", lesson->name, lesson->summary);
    speech_line("");
    for (const struct lesson_option *option = lesson->options;
         option != NULL && option->name != NULL; option++)
        print_own_option(option);
    for (const struct lesson_text *text = lesson->texts;
         text != NULL && text->name != NULL; text++)
        print_option(text->name, text->value, text->help);
    for (int i = 0; i < FRAME_OPTIONS; i++)
        print_option(frame_options[i].name, frame_options[i].value,
                     frame_options[i].help);
    speech_line("");
    speech_entry("Status: ", 8,
                 "0 all claims held, 1 a claim failed, 2 wrong usage, "
                 "3 the system refused something, 4 the lesson hung, "
                 "130 Ctrl-C.");
    exit(0);
}

/* ----------------------------------------------------- parsing -- */

/*
 * The lesson's variables are set when all is read, so that --help
 * prints defaults wherever it stands.
 */
struct parser {
    const struct lesson *lesson;
    struct settings *settings;
    struct option table[FRAME_OPTIONS + LESSON_OPTIONS_MAX + 1];
    int own_count;
    int numbers[LESSON_OPTIONS_MAX];
};

static void add_option(struct parser *parser, int code,
                       const char *name, const char *value)
{
    if (code == FIRST_OWN + LESSON_OPTIONS_MAX)
        check_error(EOVERFLOW, "options of the lesson");
    parser->table[code - UNIT] = (struct option){
        .name = name,
        .has_arg = value != NULL ? required_argument : no_argument,
        .val = code};
}

static void make_table(struct parser *parser)
{
    const struct lesson_option *own = parser->lesson->options;
    const struct lesson_text *text = parser->lesson->texts;

    for (int i = 0; i < FRAME_OPTIONS; i++)
        add_option(parser, UNIT + i, frame_options[i].name,
                   frame_options[i].value);
    for (; own != NULL && own->name != NULL; own++) {
        add_option(parser, FIRST_OWN + parser->own_count, own->name,
                   own->value);
        parser->numbers[parser->own_count++] = *own->number;
    }
    for (int i = 0; text != NULL && text[i].name != NULL; i++)
        add_option(parser, FIRST_OWN + parser->own_count + i,
                   text[i].name, text[i].value);
}

/* Numbers come first, and texts behind them. */
static void take_own_option(struct parser *parser, int index,
                            const char *text)
{
    const struct lesson *lesson = parser->lesson;
    const struct lesson_option *own = &lesson->options[index];

    if (index >= parser->own_count)
        add_text(&lesson->texts[index - parser->own_count], text);
    else
        parser->numbers[index] =
            own->value == NULL ? 1 : whole_number(own, text);
}

static void take_option(struct parser *parser, int code,
                        const char *text)
{
    struct settings *settings = parser->settings;

    switch (code) {
    case UNIT:
        settings->unit =
            decimal_number("--unit", text, unit_min, unit_max);
        break;
    case STEP:
        settings->step = true;
        break;
    case SOURCE:
        settings->source = true;
        break;
    case SVG:
        settings->svg = file_name("--svg", text);
        break;
    case TRACE:
        settings->trace = file_name("--trace", text);
        break;
    case HELP:
        print_help(parser->lesson);
    default:
        take_own_option(parser, code - FIRST_OWN, text);
    }
}

/* optopt is a letter, 0 for an unknown word, or one of our codes. */
static _Noreturn void refuse_option(const char *word)
{
    if (optopt >= UNIT)
        usage_error("%.100s: this option takes no value", word);
    if (optopt > 0)
        usage_error("-%c: there is no such option, see --help", optopt);
    usage_error("%.100s: there is no such option, see --help", word);
}

static void parse(struct parser *parser, int argc, char **argv)
{
    int code;

    opterr = 0;
    while ((code = getopt_long(argc, argv, ":", parser->table, NULL)) !=
           -1) {
        if (code == '?')
            refuse_option(argv[optind - 1]);
        if (code == ':')
            take_option(parser, optopt, "");
        else
            take_option(parser, code, optarg);
    }
    if (optind < argc)
        usage_error("%.100s: only options are expected, see --help",
                    shown(argv[optind]));
    for (int i = 0; i < parser->own_count; i++)
        *parser->lesson->options[i].number = parser->numbers[i];
}

static void read_environment(struct settings *settings)
{
    const char *unit = getenv("LESSON_UNIT");
    const char *patience = getenv("LESSON_PATIENCE");

    if (settings->unit <= 0)
        settings->unit = unit == NULL
                             ? unit_default
                             : decimal_number("LESSON_UNIT", unit,
                                              unit_min, unit_max);
    settings->patience =
        patience == NULL ? 30 + 20 * settings->unit
                         : decimal_number("LESSON_PATIENCE", patience,
                                          patience_min, patience_max);
}

void settings_read(struct settings *settings,
                   const struct lesson *lesson, int argc, char **argv)
{
    struct parser parser = {.lesson = lesson, .settings = settings};

    *settings = (struct settings){0};
    make_table(&parser);
    parse(&parser, argc, argv);
    read_environment(settings);
    if (settings->step && !isatty(STDIN_FILENO))
        usage_error("--step: waits for Enter, so stdin must be a "
                    "terminal");
}
