/*
 * dict.c -- any lines to the dictionary of lesson 05, by libFuzzer.
 *
 * Whatever comes in, one line goes out, and the dictionary stays one:
 * each key once, each text within its place.
 */
#include <stdint.h>

#include "../../lessons/05-shared-dict/dict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct dict dict;

static void check(bool is_so)
{
    if (!is_so)
        abort();
}

static void check_reply(const struct reply *reply)
{
    check(reply->size > 2 && reply->size < sizeof reply->text);
    check(memchr(reply->text, '\n', reply->size) ==
          reply->text + reply->size - 1);
    check(strncmp(reply->text, "ok", 2) == 0 ||
          strncmp(reply->text, "error E", 7) == 0);
}

static void check_word(const char *word)
{
    check(word[0] != '\0' && memchr(word, '\0', WORD_SIZE) != NULL);
}

static void check_dict(void)
{
    check(dict.length >= 0 && dict.length <= ENTRIES_MAX);
    for (int i = 0; i < dict.length; i++) {
        check_word(dict.entries[i].key);
        check_word(dict.entries[i].value);
        check(dict_find(&dict, dict.entries[i].key) ==
              &dict.entries[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *at = (const char *)data, *end = at + size;
    struct reply reply;

    dict.length = 0;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline == NULL ? end : newline;

        dict_answer(&dict, at, (size_t)(stop - at), &reply);
        check_reply(&reply);
        at = stop + 1;
    }
    check_dict();
    return 0;
}
