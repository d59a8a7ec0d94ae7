/*
 * http.c -- any bytes to the parser of lesson 23, by libFuzzer.
 *
 * A sanitizer sees a look beyond the bytes; the rest is here: what a
 * request says lies within the bytes, and it does not matter in which
 * pieces they arrive.
 */
#include <stdint.h>
#include <stdlib.h>

#include "../../lessons/23-master-worker/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* From memory of its own, which ends where they do. */
static enum http_status parse(const uint8_t *data, size_t size,
                              struct http_request *request)
{
    char *bytes = malloc(size > 0 ? size : 1);
    enum http_status status;

    if (size > 0)
        memcpy(bytes, data, size);
    status = http_parse(bytes, size, request);
    if (status == HTTP_OK &&
        (request->size == 0 || request->size > size ||
         request->target.size == 0 || request->target.at < bytes ||
         request->target.at + request->target.size >=
             bytes + request->size))
        abort();
    free(bytes);
    return status;
}

/* A part of the bytes says the same, or that there must be more. */
static void parse_part(const uint8_t *data, size_t size,
                       enum http_status whole)
{
    struct http_request request;
    enum http_status part = parse(data, size, &request);

    if (part != HTTP_INCOMPLETE && part != whole)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_request request, again;
    enum http_status status = parse(data, size, &request);

    if (size > 0) {
        parse_part(data, size - 1, status);
        parse_part(data, size / 2, status);
        parse_part(data, data[size / 2] % size, status);
    }
    if (status == HTTP_OK) {
        if (parse(data, request.size, &again) != HTTP_OK ||
            again.size != request.size ||
            parse(data, request.size - 1, &again) != HTTP_INCOMPLETE)
            abort();
    }
    return 0;
}
