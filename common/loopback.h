/*
 * loopback.h -- connections within this machine.
 *
 * TCP on 127.0.0.1, which no other machine can reach.  Lesson 22 shows
 * the system calls.  All sockets are close-on-exec, and send at once
 * what they are given, also those that are accepted.
 */
#ifndef LOOPBACK_H
#define LOOPBACK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Listens on `port`, 1 to 65535, or 0 for one that the system chooses.
 * A port of a server that has just ended is free again.  A connection
 * whose other side has vanished fails within seconds, even when the
 * news of it was lost.  Returns the socket, or -1 and errno:
 * EADDRINUSE, EACCES (below 1024), EMFILE.
 */
int loopback_listen(int port);

/* The port that the socket has on this side. */
int loopback_port(int socket);

/*
 * Connects to whoever listens there.  Returns the socket, or -1 and
 * errno: ECONNREFUSED when nobody does, EMFILE.
 */
int loopback_connect(int port);

/*
 * Sends all the bytes, however often it has to wait, and without a
 * SIGPIPE.  Returns 0 or the error: EPIPE or ECONNRESET when the other
 * side is gone, EAGAIN when the socket's own time limit is over.
 */
int loopback_send(int socket, const void *bytes, size_t size);

/*
 * Receives what has arrived, at most `size` bytes; waits for the first
 * of them until `deadline`, a clock_now() time or INFINITY.  Returns
 * how many, 0 when the other side sends no more, or -1 and errno:
 * ETIMEDOUT, ECONNRESET.
 */
ssize_t loopback_receive(int socket, void *bytes, size_t size,
                         double deadline);

/*
 * Is the text what the other side sends next?  Receives no byte beyond
 * it.  False also when it sends no more, or not all before `deadline`.
 */
bool loopback_gets(int socket, const char *expected, double deadline);

#endif
