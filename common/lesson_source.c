/*
 * lesson_source.c -- a lesson shows its own text.
 *
 * The rules that make a parser of C unnecessary are those of the
 * format all lessons have: the body of a function begins with a line
 * that is "{" and ends with a line that is "}", nothing else does, and
 * above a function stands an empty line or its comment.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lesson_internal.h"

extern const char *const lesson_source[];

enum { FUNCTIONS_MAX = 128 };

struct function {
    const char *name;
    size_t name_length;
    size_t comment, head, end; /* lines */
    bool wanted, read, printed;
};

static struct function functions[FUNCTIONS_MAX];
static size_t function_count;

/* --------------------------------------------------- functions -- */

static bool is_line(size_t line, const char *text)
{
    return strcmp(lesson_source[line], text) == 0;
}

static bool ends_with(size_t line, const char *end)
{
    const char *text = lesson_source[line];
    size_t size = strlen(text), end_size = strlen(end);

    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

static bool is_name(char letter)
{
    return isalnum((unsigned char)letter) || letter == '_';
}

static size_t find_head(size_t body)
{
    size_t head = body;

    while (head > 0 && !is_line(head - 1, "") &&
           !ends_with(head - 1, "*/") && !ends_with(head - 1, ";") &&
           !ends_with(head - 1, "}"))
        head--;
    return head;
}

static size_t find_comment(size_t head)
{
    size_t line = head;

    if (line == 0 || !ends_with(line - 1, "*/"))
        return head;
    do
        line--;
    while (line > 0 && strstr(lesson_source[line], "/*") == NULL);
    return line;
}

/* The name stands before the first parenthesis. */
static void find_name(struct function *function, size_t body)
{
    for (size_t line = function->head; line < body; line++) {
        const char *start = lesson_source[line];
        const char *end = strchr(start, '(');

        if (end == NULL)
            continue;
        function->name = end;
        while (function->name > start && is_name(function->name[-1]))
            function->name--;
        function->name_length = (size_t)(end - function->name);
        return;
    }
}

static void find_functions(void)
{
    for (size_t line = 0; lesson_source[line] != NULL; line++) {
        struct function *function = &functions[function_count];

        if (!is_line(line, "{"))
            continue;
        if (function_count == FUNCTIONS_MAX)
            check_error(EOVERFLOW, "functions of the lesson");
        function->head = find_head(line);
        function->comment = find_comment(function->head);
        find_name(function, line);
        while (lesson_source[line + 1] != NULL && !is_line(line, "}"))
            line++;
        function->end = line;
        function_count++;
    }
}

/* ---------------------------------------------------- mentions -- */

static const char *after_quote(const char *at)
{
    char quote = *at++;

    while (*at != '\0' && *at != quote)
        at += *at == '\\' && at[1] != '\0' ? 2 : 1;
    return *at == '\0' ? at : at + 1;
}

/* Passes over comments, which may span lines, and quoted text. */
static const char *next_name(const char *at, bool *comment)
{
    while (*at != '\0') {
        if (*comment) {
            *comment = strncmp(at, "*/", 2) != 0;
            at++;
        } else if (strncmp(at, "/*", 2) == 0) {
            *comment = true;
            at += 2;
        } else if (*at == '"' || *at == '\'') {
            at = after_quote(at);
        } else if (is_name(*at)) {
            return at;
        } else {
            at++;
        }
    }
    return NULL;
}

static struct function *find_function(const char *name, size_t length)
{
    for (size_t i = 0; i < function_count; i++)
        if (functions[i].name_length == length &&
            memcmp(functions[i].name, name, length) == 0)
            return &functions[i];
    return NULL;
}

static void want(const char *name, size_t length)
{
    struct function *function = find_function(name, length);

    if (function != NULL)
        function->wanted = true;
}

static void want_mentioned(struct function *function)
{
    bool comment = false;

    function->read = true;
    for (size_t line = function->head; line < function->end; line++) {
        const char *at = lesson_source[line];

        while ((at = next_name(at, &comment)) != NULL) {
            size_t length = 0;

            while (is_name(at[length]))
                length++;
            want(at, length);
            at += length;
        }
    }
}

static struct function *next_to_read(void)
{
    for (size_t i = 0; i < function_count; i++)
        if (functions[i].wanted && !functions[i].read)
            return &functions[i];
    return NULL;
}

/* ---------------------------------------------------- printing -- */

/* As it stands in the file: 72 columns leave no room for a margin. */
static void print_function(struct function *function)
{
    function->printed = true;
    speech_line("");
    for (size_t i = function->comment; i <= function->end; i++)
        speech_line(lesson_source[i]);
}

void source_print(const char *name)
{
    struct function *function;

    if (function_count == 0)
        find_functions();
    want(name, strlen(name));
    while ((function = next_to_read()) != NULL)
        want_mentioned(function);
    for (size_t i = 0; i < function_count; i++)
        if (functions[i].wanted && !functions[i].printed)
            print_function(&functions[i]);
}
