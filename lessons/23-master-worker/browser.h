/*
 * browser.h -- the other side of http.h: asks for a page, and reads
 * the answer that the server of lesson 23 gives.
 */
#ifndef BROWSER_H
#define BROWSER_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "connections.h"
#include "http.h"
#include "loopback.h"

struct answer {
    int status, worker; /* the pid of who gave it */
    bool closes;        /* the connection, says the server */
};

/* The number behind the word, or -1. */
static inline int number_after(const char *text, const char *word)
{
    const char *found = strstr(text, word);

    return found == NULL ? -1
                         : (int)strtol(found + strlen(word), NULL, 10);
}

/* Head, empty line, and as long a body as the head tells. */
static inline bool is_whole(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n");

    return end != NULL && (int)strlen(end + strlen("\r\n\r\n")) >=
                              number_after(text, "Content-Length: ");
}

/* False when the connection ends before the answer does. */
static inline bool receive(int socket, struct answer *answer)
{
    double deadline = clock_deadline(30);
    char text[ANSWER_MAX + 1] = "";
    size_t filled = 0;

    while (!is_whole(text)) {
        ssize_t count = loopback_receive(socket, text + filled,
                                         ANSWER_MAX - filled, deadline);

        if (count <= 0)
            return false;
        filled += (size_t)count;
        text[filled] = '\0';
    }
    answer->status = number_after(text, "HTTP/1.1 ");
    answer->worker = number_after(text, "from worker ");
    answer->closes = strstr(text, "Connection: close") != NULL;
    return true;
}

/* False when the connection has ended. */
static inline bool request(int socket, const char *path)
{
    char text[128];

    snprintf(text, sizeof text,
             "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    return loopback_send(socket, text, strlen(text)) == 0;
}

/* Has the page been given?  *answer tells more, if there was one. */
static inline bool get(int socket, const char *path,
                       struct answer *answer)
{
    return request(socket, path) && receive(socket, answer) &&
           answer->status == HTTP_OK;
}

#endif
