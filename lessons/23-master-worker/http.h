/*
 * http.h -- the head of an HTTP/1.1 request, out of bytes (RFC 9112).
 *
 * One pure function, http_parse: it allocates nothing, waits for
 * nothing, and looks at no byte but those it is given.  What it does
 * not understand it refuses, for what two servers read differently is
 * a hole: a request hidden in another one's body.  So a line may end
 * in LF or CR LF, and in nothing else is it generous.
 */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* A head is complete within so many bytes, or refused with 431. */
enum { HTTP_HEAD_MAX = 8192 };

enum http_status {
    HTTP_INCOMPLETE = 0, /* fine so far: read more, call it again */
    HTTP_OK = 200,
    HTTP_BAD_REQUEST = 400,
    HTTP_NOT_FOUND = 404, /* not from http_parse, which has no pages */
    HTTP_NOT_ALLOWED = 405,
    HTTP_TIMEOUT = 408, /* nor this one: it has no clock */
    HTTP_TOO_LARGE = 413,
    HTTP_HEAD_TOO_LARGE = 431,
    HTTP_VERSION = 505
};

/* What stands behind the number in an answer's first line. */
static inline const char *http_reason(enum http_status status)
{
    switch (status) {
    case HTTP_OK:
        return "OK";
    case HTTP_NOT_FOUND:
        return "Not Found";
    case HTTP_NOT_ALLOWED:
        return "Method Not Allowed";
    case HTTP_TIMEOUT:
        return "Request Timeout";
    case HTTP_TOO_LARGE:
        return "Content Too Large";
    case HTTP_HEAD_TOO_LARGE:
        return "Request Header Fields Too Large";
    case HTTP_VERSION:
        return "HTTP Version Not Supported";
    default:
        return "Bad Request";
    }
}

/* A piece of the bytes: no copy, and no 0 at its end. */
struct http_text {
    const char *at;
    size_t size;
};

struct http_request {
    struct http_text target; /* "/index.html?q", as it was sent */
    bool is_head;            /* HEAD: answer as GET, but no body */
    bool keep_alive;         /* more requests may follow */
    size_t size; /* bytes of the head: the next begins there */

    /* For http_parse alone. */
    int minor, hosts, lengths;
    bool chunked, has_body, allowed;
};

/* A letter of a method or of a header's name. */
static inline bool http_is_token(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static inline bool http_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Equal, but for the case of letters; `word` has small ones. */
static inline bool http_is(struct http_text text, const char *word)
{
    if (text.size != strlen(word))
        return false;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.at[i];

        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (c != word[i])
            return false;
    }
    return true;
}

static inline bool http_same(struct http_text text, const char *word)
{
    return text.size == strlen(word) &&
           memcmp(text.at, word, text.size) == 0;
}

/* Takes `size` bytes off the front of `rest`. */
static inline struct http_text http_take(struct http_text *rest,
                                         size_t size)
{
    struct http_text taken = {rest->at, size};

    rest->at += size;
    rest->size -= size;
    return taken;
}

/* What stands before the first `end`; that one goes, too. */
static inline struct http_text http_take_until(struct http_text *rest,
                                               char end)
{
    const char *found = NULL;
    struct http_text taken;

    if (rest->size > 0)
        found = memchr(rest->at, end, rest->size);
    if (found == NULL)
        return http_take(rest, rest->size);
    taken = http_take(rest, (size_t)(found - rest->at));
    http_take(rest, 1);
    return taken;
}

static inline struct http_text http_trim(struct http_text text)
{
    while (text.size > 0 && http_is_blank(text.at[0]))
        http_take(&text, 1);
    while (text.size > 0 && http_is_blank(text.at[text.size - 1]))
        text.size--;
    return text;
}

/* The next line without its end; false when that is not there yet. */
static inline bool http_take_line(struct http_text *rest,
                                  struct http_text *line)
{
    if (rest->size == 0 || memchr(rest->at, '\n', rest->size) == NULL)
        return false;
    *line = http_take_until(rest, '\n');
    if (line->size > 0 && line->at[line->size - 1] == '\r')
        line->size--;
    return true;
}

static inline bool http_starts_empty(struct http_text rest)
{
    return (rest.size > 0 && rest.at[0] == '\n') ||
           (rest.size > 1 && rest.at[0] == '\r' && rest.at[1] == '\n');
}

static inline bool http_is_name(struct http_text text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!http_is_token(text.at[i]))
            return false;
    return text.size > 0;
}

/* Visible ASCII, and a path, not only of this server's. */
static inline bool http_is_target(struct http_text text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.at[i] <= ' ' || text.at[i] > '~')
            return false;
    return text.size > 0;
}

/* No control characters but the tab; a bare CR is one. */
static inline bool http_is_value(struct http_text text)
{
    for (size_t i = 0; i < text.size; i++) {
        unsigned char c = (unsigned char)text.at[i];

        if ((c < ' ' && c != '\t') || c == 127)
            return false;
    }
    return true;
}

/* "HTTP/1.1" */
static inline enum http_status
http_parse_version(struct http_text version,
                   struct http_request *request)
{
    const char *at = version.at;

    if (version.size != 8 || memcmp(at, "HTTP/", 5) != 0 ||
        at[5] < '0' || at[5] > '9' || at[6] != '.' || at[7] < '0' ||
        at[7] > '9')
        return HTTP_BAD_REQUEST;
    request->minor = at[7] - '0';
    request->keep_alive = request->minor > 0;
    return at[5] == '1' ? HTTP_OK : HTTP_VERSION;
}

/* "GET /index.html HTTP/1.1": one space, and one again. */
static inline enum http_status
http_parse_first_line(struct http_text line,
                      struct http_request *request)
{
    struct http_text method = http_take_until(&line, ' ');

    request->target = http_take_until(&line, ' ');
    request->is_head = http_same(method, "HEAD");
    request->allowed = request->is_head || http_same(method, "GET");
    if (!http_is_name(method) || !http_is_target(request->target))
        return HTTP_BAD_REQUEST;
    if (request->allowed && request->target.at[0] != '/')
        return HTTP_BAD_REQUEST;
    return http_parse_version(line, request);
}

/* Digits alone; how many does not matter, only whether it is 0. */
static inline bool http_parse_length(struct http_text value,
                                     struct http_request *request)
{
    request->lengths++;
    for (size_t i = 0; i < value.size; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return false;
        request->has_body |= value.at[i] != '0';
    }
    return value.size > 0;
}

/* "keep-alive, upgrade" */
static inline void http_parse_connection(struct http_text value,
                                         struct http_request *request)
{
    while (value.size > 0) {
        struct http_text word = http_trim(http_take_until(&value, ','));

        if (http_is(word, "close"))
            request->keep_alive = false;
        else if (http_is(word, "keep-alive") && request->minor == 0)
            request->keep_alive = true;
    }
}

/* "Host: localhost": no space before the colon, none at the start. */
static inline bool http_parse_field(struct http_text line,
                                    struct http_request *request)
{
    struct http_text name = {line.at, 0}, value;

    while (name.size < line.size && http_is_token(line.at[name.size]))
        name.size++;
    if (name.size == 0 || name.size == line.size ||
        line.at[name.size] != ':')
        return false;
    http_take(&line, name.size + 1);
    value = http_trim(line);
    if (!http_is_value(value))
        return false;
    if (http_is(name, "content-length"))
        return http_parse_length(value, request);
    if (http_is(name, "transfer-encoding"))
        request->chunked = request->has_body = true;
    else if (http_is(name, "host"))
        request->hosts++;
    else if (http_is(name, "connection"))
        http_parse_connection(value, request);
    return true;
}

/* The whole head is there: do its parts go together? */
static inline enum http_status
http_judge(const struct http_request *request)
{
    if (request->hosts > 1 ||
        (request->hosts == 0 && request->minor > 0))
        return HTTP_BAD_REQUEST;
    if (request->lengths > 1 ||
        (request->chunked &&
         (request->lengths > 0 || request->minor == 0)))
        return HTTP_BAD_REQUEST;
    if (!request->allowed)
        return HTTP_NOT_ALLOWED;
    return request->has_body ? HTTP_TOO_LARGE : HTTP_OK;
}

/*
 * Reads a request's head from the first `size` bytes at `bytes`, which
 * need not have all of it.  Fills *request when it returns HTTP_OK;
 * its target points into the bytes.  After any other status but
 * HTTP_INCOMPLETE nobody knows where the next request begins: answer,
 * and close the connection.
 */
static inline enum http_status
http_parse(const char *bytes, size_t size, struct http_request *request)
{
    size_t most = size < HTTP_HEAD_MAX ? size : HTTP_HEAD_MAX;
    struct http_text rest = {bytes, most}, line = {bytes, 0};
    enum http_status status;

    *request = (struct http_request){0};
    /* Some clients send an empty line before it. */
    while (http_starts_empty(rest))
        http_take_line(&rest, &line);
    if (!http_take_line(&rest, &line))
        return size < HTTP_HEAD_MAX ? HTTP_INCOMPLETE
                                    : HTTP_HEAD_TOO_LARGE;
    status = http_parse_first_line(line, request);
    if (status != HTTP_OK)
        return status;
    while (http_take_line(&rest, &line)) {
        if (line.size == 0) {
            request->size = (size_t)(rest.at - bytes);
            return http_judge(request);
        }
        if (!http_parse_field(line, request))
            return HTTP_BAD_REQUEST;
    }
    return size < HTTP_HEAD_MAX ? HTTP_INCOMPLETE : HTTP_HEAD_TOO_LARGE;
}

#endif
