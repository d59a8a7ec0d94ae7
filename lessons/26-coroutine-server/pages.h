/*
 * pages.h -- HTTP instead of lines: lesson 26 as a web server.
 *
 * With the parser of lesson 23, and the answers of its server: a page
 * at "/", and no other.  As everywhere in the lesson, a function talks
 * to one client as if it were alone, and switches where it waits.
 */
#ifndef PAGES_H
#define PAGES_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "../23-master-worker/http.h"
#include "clock.h"
#include "green.h"

/*
 * The last bytes are sent.  What the client goes on sending is read
 * and thrown away, for so many seconds: to close a socket with unread
 * bytes resets the connection, and an answer that is still on its way
 * is lost.
 */
static inline void drain(int client, char *bytes, size_t size,
                         double limit)
{
    double deadline = clock_deadline(limit);

    shutdown(client, SHUT_WR);
    while (green_read(client, bytes, size, clock_left(deadline)) > 0)
        continue;
}

/* All that an answer depends on, and its bytes. */
struct page {
    enum http_status status;
    bool body, keep_alive;
    int size;
    char bytes[256];
};

static inline void pages_print(struct page *page)
{
    char text[64];
    int size = snprintf(text, sizeof text, "%d from a coroutine\n",
                        page->status);

    page->size =
        snprintf(page->bytes, sizeof page->bytes,
                 "HTTP/1.1 %d %s\r\nContent-Type: text/plain\r\n"
                 "Content-Length: %d\r\nConnection: %s\r\n\r\n%s",
                 page->status, http_reason(page->status), size,
                 page->keep_alive ? "keep-alive" : "close",
                 page->body ? text : "");
}

/*
 * Mostly it is the same one again.  A copy of it is sent, since others
 * may print another while this one waits to be written.
 */
static inline bool pages_send(int client, enum http_status status,
                              bool body, bool keep_alive, double limit)
{
    static struct page last;
    struct page page;

    if (last.status != status || last.body != body ||
        last.keep_alive != keep_alive) {
        last.status = status;
        last.body = body;
        last.keep_alive = keep_alive;
        pages_print(&last);
    }
    page = last;
    return green_write(client, page.bytes, (size_t)page.size, limit) ==
           page.size;
}

/* All requests that have arrived; returns HTTP_OK for no more. */
static inline enum http_status
pages_answer_some(int client, char *bytes, size_t *filled, double limit)
{
    struct http_request request;
    enum http_status status;

    while ((status = http_parse(bytes, *filled, &request)) == HTTP_OK) {
        bool known = http_same(request.target, "/");

        if (!pages_send(client, known ? HTTP_OK : HTTP_NOT_FOUND,
                        !request.is_head, request.keep_alive, limit) ||
            !request.keep_alive)
            return HTTP_OK;
        *filled -= request.size;
        memmove(bytes, bytes + request.size, *filled);
    }
    return status;
}

/*
 * Until the client has no more requests, or is `limit` seconds late.
 * Not inlined: who talks lines has no room for this on its page.
 */
__attribute__((noinline)) static void pages_answer(int client,
                                                   double limit)
{
    char bytes[HTTP_HEAD_MAX];
    double deadline = clock_deadline(limit);
    enum http_status status = HTTP_INCOMPLETE;
    size_t filled = 0, arrived;

    while (status == HTTP_INCOMPLETE) {
        ssize_t count =
            green_read(client, bytes + filled, sizeof bytes - filled,
                       clock_left(deadline));

        if (count < 0 && errno == ETIMEDOUT && filled > 0) {
            status = HTTP_TIMEOUT;
            break;
        }
        if (count <= 0)
            return;
        arrived = filled + (size_t)count;
        filled = arrived;
        status = pages_answer_some(client, bytes, &filled, limit);
        if (filled < arrived)
            deadline = clock_deadline(limit);
    }
    if (status == HTTP_OK ||
        pages_send(client, status, true, false, limit))
        drain(client, bytes, sizeof bytes, limit);
}

#endif
