/*
 * dict.h -- what the server of shared_dict.c knows: a dictionary, and
 * how to answer one line of text about it.
 *
 *     set KEY VALUE    ok
 *     get KEY          ok VALUE
 *     delete KEY       ok
 *     add KEY NUMBER   ok SUM
 *     keys             ok KEY KEY ...
 *     values           ok VALUE VALUE ...
 *     length           ok NUMBER
 *
 * Each may be answered by "error NAME": ENOENT for a missing key,
 * EINVAL for a line that is none of these or a value that is no
 * number, ERANGE for a sum that is too large, ENOSPC for a full
 * dictionary.
 *
 * There is no socket in it, and whatever bytes come in are answered:
 * dict_answer is for everybody who wants to try that.
 */
#ifndef DICT_H
#define DICT_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum {
    ENTRIES_MAX = 256,
    WORD_SIZE = 32,  /* of a key or value, with the 0 at its end */
    WORDS_MAX = 3,   /* of a request */
    LINE_SIZE = 128, /* of a request, with its newline */
    REPLY_SIZE = ENTRIES_MAX * WORD_SIZE + LINE_SIZE
};

/* In the order in which the keys came in, as in Python. */
struct dict {
    int length;
    struct entry {
        char key[WORD_SIZE], value[WORD_SIZE];
    } entries[ENTRIES_MAX];
};

struct request {
    int words;
    char word[WORDS_MAX][WORD_SIZE];
};

struct reply {
    size_t size;
    char text[REPLY_SIZE];
};

/* ----------------------------------------------------- the request */

/*
 * Takes a line apart: words of printable ASCII, one blank between two
 * of them.  The bytes may be anything; there is no newline and no 0 at
 * their end.  0 or EINVAL.
 */
static int request_parse(struct request *request, const char *bytes,
                         size_t size)
{
    size_t length = 0; /* of the last word */

    *request = (struct request){.words = 1};
    for (size_t i = 0; i < size; i++) {
        bool more = request->words < WORDS_MAX;
        bool room = length + 1 < WORD_SIZE;

        if (bytes[i] == ' ' && length > 0 && more) {
            request->words++;
            length = 0;
        } else if (bytes[i] > ' ' && bytes[i] <= '~' && room) {
            request->word[request->words - 1][length++] = bytes[i];
        } else {
            return EINVAL;
        }
    }
    return length > 0 ? 0 : EINVAL;
}

/* Plain decimals.  0, EINVAL or ERANGE. */
static int parse_number(const char *text, long long *number)
{
    char *end;

    errno = 0;
    *number = strtoll(text, &end, 10);
    return end == text || *end != '\0' ? EINVAL : errno;
}

/* ------------------------------------------------------- the reply */

static void reply_add(struct reply *reply, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void reply_add(struct reply *reply, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    reply->size += (size_t)vsnprintf(reply->text + reply->size,
                                     sizeof reply->text - reply->size,
                                     format, arguments);
    va_end(arguments);
}

/* ---------------------------------------------------- the commands */

/* What a command is about. */
struct call {
    struct dict *dict;
    const char *key, *value; /* WORD_SIZE bytes each */
    struct entry *entry;     /* of that key, or NULL */
    struct reply *reply;
};

static int do_set(struct call *call)
{
    struct dict *dict = call->dict;

    if (call->entry == NULL && dict->length == ENTRIES_MAX)
        return ENOSPC;
    if (call->entry == NULL)
        call->entry = &dict->entries[dict->length++];
    memcpy(call->entry->key, call->key, WORD_SIZE);
    memcpy(call->entry->value, call->value, WORD_SIZE);
    return 0;
}

static int do_get(struct call *call)
{
    if (call->entry == NULL)
        return ENOENT;
    reply_add(call->reply, " %s", call->entry->value);
    return 0;
}

static int do_delete(struct call *call)
{
    struct dict *dict = call->dict;
    struct entry *end = &dict->entries[dict->length];

    if (call->entry == NULL)
        return ENOENT;
    for (struct entry *at = call->entry; at + 1 < end; at++)
        *at = at[1];
    dict->length--;
    return 0;
}

static int do_add(struct call *call)
{
    long long number, more, sum;
    int error;

    if (call->entry == NULL)
        return ENOENT;
    error = parse_number(call->entry->value, &number);
    if (error == 0)
        error = parse_number(call->value, &more);
    if (error == 0 && __builtin_add_overflow(number, more, &sum))
        error = ERANGE;
    if (error != 0)
        return error;
    snprintf(call->entry->value, WORD_SIZE, "%lld", sum);
    reply_add(call->reply, " %lld", sum);
    return 0;
}

static int do_keys(struct call *call)
{
    for (int i = 0; i < call->dict->length; i++)
        reply_add(call->reply, " %s", call->dict->entries[i].key);
    return 0;
}

static int do_values(struct call *call)
{
    for (int i = 0; i < call->dict->length; i++)
        reply_add(call->reply, " %s", call->dict->entries[i].value);
    return 0;
}

static int do_length(struct call *call)
{
    reply_add(call->reply, " %d", call->dict->length);
    return 0;
}

static const struct command {
    const char *name;
    int words; /* with the name */
    int (*run)(struct call *call);
} commands[] = {
    {"set", 3, do_set},       {"get", 2, do_get},
    {"delete", 2, do_delete}, {"add", 3, do_add},
    {"keys", 1, do_keys},     {"values", 1, do_values},
    {"length", 1, do_length},
};

/* -------------------------------------------------------- all of it */

/* NULL: there is no such key. */
static struct entry *dict_find(struct dict *dict, const char *key)
{
    for (int i = 0; i < dict->length; i++)
        if (strcmp(dict->entries[i].key, key) == 0)
            return &dict->entries[i];
    return NULL;
}

static int run_command(struct dict *dict, const struct request *request,
                       struct reply *reply)
{
    struct call call = {dict, request->word[1], request->word[2],
                        dict_find(dict, request->word[1]), reply};

    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].name, request->word[0]) == 0 &&
            commands[i].words == request->words)
            return commands[i].run(&call);
    return EINVAL;
}

/* Answers any bytes that came in before a newline; with a newline. */
static void dict_answer(struct dict *dict, const char *bytes,
                        size_t size, struct reply *reply)
{
    struct request request;
    int error = request_parse(&request, bytes, size);

    reply->size = 0;
    reply_add(reply, "ok");
    if (error == 0)
        error = run_command(dict, &request, reply);
    if (error != 0) {
        reply->size = 0;
        reply_add(reply, "error %s", error_name(error));
    }
    reply_add(reply, "\n");
}

#endif
