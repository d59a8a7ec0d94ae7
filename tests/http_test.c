/* http_test.c -- what lessons/23-master-worker/http.h promises. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lessons/23-master-worker/http.h"

#define LINE "GET / HTTP/1.1\r\n"
#define HOST "Host: localhost\r\n"

/*
 * From memory that ends where the request does, so that a sanitizer
 * sees a look beyond.
 */
static int parse_bytes(const char *text, size_t size,
                       struct http_request *request)
{
    char *bytes = malloc(size + (size == 0));
    int status;

    expect(bytes != NULL);
    memcpy(bytes, text, size);
    status = (int)http_parse(bytes, size, request);
    if (request->target.size > 0) /* as it is in the text */
        request->target.at = text + (request->target.at - bytes);
    free(bytes);
    return status;
}

static int parse(const char *text)
{
    struct http_request request;

    return parse_bytes(text, strlen(text), &request);
}

static void a_request_is_read(void)
{
    static const char text[] =
        "GET /a?b HTTP/1.1\r\n" HOST "Accept: */*\r\n\r\nGET";
    struct http_request request;

    expect_int(parse_bytes(text, sizeof text - 1, &request), HTTP_OK);
    expect(http_same(request.target, "/a?b"));
    expect(!request.is_head);
    expect(request.keep_alive);
    expect_int(request.size, sizeof text - 1 - 3);
}

static void a_head_may_come_in_pieces_of_any_size(void)
{
    static const char text[] = "\r\nHEAD / HTTP/1.1\r\n" HOST "\r\n";
    struct http_request request;

    for (size_t size = 0; size < sizeof text - 1; size++)
        expect_int(parse_bytes(text, size, &request), HTTP_INCOMPLETE);
    expect_int(parse_bytes(text, sizeof text - 1, &request), HTTP_OK);
    expect(request.is_head);
}

static bool keeps_alive(const char *text)
{
    struct http_request request;

    expect_int(parse_bytes(text, strlen(text), &request), HTTP_OK);
    return request.keep_alive;
}

static void who_keeps_the_connection(void)
{
    expect(keeps_alive(LINE HOST "\r\n"));
    expect(!keeps_alive(LINE HOST "Connection: close\r\n\r\n"));
    expect(
        !keeps_alive(LINE HOST "connection:upgrade ,\tClose\r\n\r\n"));
    expect(keeps_alive(LINE HOST "Connection: closed\r\n\r\n"));
    expect(!keeps_alive("GET / HTTP/1.0\r\n\r\n"));
    expect(keeps_alive(
        "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
}

static const struct {
    const char *text;
    int status;
} samples[] = {
    {"GET / HTTP/1.1\nHost: x\n\n", 200},
    {LINE "Host:\r\n\r\n", 200},
    {LINE "hOsT:\tx \r\nX: \x80\r\n\r\n", 200},
    {LINE HOST "Content-Length: 0\r\n\r\n", 200},
    {LINE HOST "Content-Length: 10\r\n\r\n", 413},
    {LINE HOST "Transfer-Encoding: chunked\r\n\r\n", 413},
    {"POST / HTTP/1.1\r\n" HOST "\r\n", 405},
    {"OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 405},
    {"get / HTTP/1.1\r\n" HOST "\r\n", 405},
    {"GET / HTTP/2.0\r\n", 505},
    {LINE "\r\n", 400},
    {LINE HOST HOST "\r\n", 400},
    {"GET /\r\n", 400},
    {"GET  / HTTP/1.1\r\n", 400},
    {"GET / HTTP/1.1 \r\n", 400},
    {"GET / http/1.1\r\n", 400},
    {"GET / HTTP/11\r\n", 400},
    {"GET x HTTP/1.1\r\n", 400},
    {"GET /\x80 HTTP/1.1\r\n", 400},
    {" GET / HTTP/1.1\r\n", 400},
    {"\rGET / HTTP/1.1\r\n", 400},
    {"G(T / HTTP/1.1\r\n", 400},
    {LINE " Host: x\r\n", 400},
    {LINE HOST " folded\r\n", 400},
    {LINE "Host : x\r\n", 400},
    {LINE "Host\r\n", 400},
    {LINE ": x\r\n", 400},
    {LINE HOST "X: a\rb\r\n", 400},
    {LINE HOST "X: \x01\r\n", 400},
    {LINE HOST "Content-Length: \r\n", 400},
    {LINE HOST "Content-Length: +1\r\n", 400},
    {LINE HOST "Content-Length: 1, 1\r\n", 400},
    {LINE HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
    {LINE HOST "Content-Length: 1\r\nTransfer-Encoding: x\r\n\r\n",
     400},
    {"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
};

static void each_sample_gets_its_status(void)
{
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        int status = parse(samples[i].text);

        if (status != samples[i].status)
            fprintf(stderr, "%s\n", samples[i].text);
        expect_int(status, samples[i].status);
    }
}

static void a_zero_byte_is_no_letter(void)
{
    static const char name[] = LINE "A\0B: x\r\n";
    static const char value[] = LINE "A: x\0\r\n";
    struct http_request request;

    expect_int(parse_bytes(name, sizeof name - 1, &request), 400);
    expect_int(parse_bytes(value, sizeof value - 1, &request), 400);
}

/* `before`, then so many x up to `size` bytes. */
static int parse_long(const char *before, size_t size)
{
    static char text[2 * HTTP_HEAD_MAX];
    struct http_request request;

    memset(text, 'x', size);
    memcpy(text, before, strlen(before));
    return parse_bytes(text, size, &request);
}

static void a_head_has_a_longest_size(void)
{
    static const char *const heads[] = {"", "GET /", LINE HOST "X: "};

    for (int i = 0; i < 3; i++) {
        expect_int(parse_long(heads[i], HTTP_HEAD_MAX - 1), 0);
        expect_int(parse_long(heads[i], HTTP_HEAD_MAX), 431);
        expect_int(parse_long(heads[i], HTTP_HEAD_MAX + 1), 431);
    }
}

static const struct test tests[] = {
    TEST(a_request_is_read),
    TEST(a_head_may_come_in_pieces_of_any_size),
    TEST(who_keeps_the_connection),
    TEST(each_sample_gets_its_status),
    TEST(a_zero_byte_is_no_letter),
    TEST(a_head_has_a_longest_size),
    {0},
};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
