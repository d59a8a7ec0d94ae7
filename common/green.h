/*
 * green.h -- green threads: coroutines that wait for each other.
 *
 * Many of them share one thread.  One runs until it waits, for time,
 * for a descriptor or for another one's end; then the next runs that
 * has nothing to wait for.  The names are gevent's:
 *
 *     eat = green_spawn("eat", eat_lunch, &plate);
 *     play = green_spawn("play", play_go, &board);
 *     green_join(eat, INFINITY);
 *     green_join(play, INFINITY);
 *
 * Each thread has a loop of its own.  It runs whenever the thread
 * itself, outside of its green threads, waits in a function of this
 * header, and ends with the thread: join them before.  A call that
 * makes the whole thread wait, like sleep() or a read() of a blocking
 * descriptor, stops all of them.
 *
 * Functions return 0 or an errno value, and those named like a system
 * call what that returns.  All of them also give
 *     EPERM     called in a coroutine that a green thread resumed:
 *               only the green thread itself can wait
 *     EDEADLK   called outside of green threads, where nothing can
 *               happen any more: all wait for each other
 *     EMFILE    the loop can not have the one descriptor it needs
 * Time limits are those of clock.h; in effect they are a millisecond
 * or so longer.  A child process begins without green threads.
 */
#ifndef GREEN_H
#define GREEN_H

#include <math.h> /* INFINITY */
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

struct green;

/* What it returns is its value, a pointer to something that lasts. */
typedef void *green_function(void *arg);

/*
 * Starts run(arg) as a green thread; it gets its turn when the caller
 * waits.  `name` is that of its coroutine.  NULL and errno: ENOMEM,
 * EMFILE.
 */
struct green *green_spawn(const char *name, green_function *run,
                          void *arg);

/*
 * Waits until it has finished.  May be repeated, and by several at
 * once.  Returns 0, ETIMEDOUT, or EDEADLK also when it is the caller.
 */
int green_join(struct green *green, double timeout);

/* The same for all of them; the time limit is for all together. */
int green_joinall(struct green *const *greens, size_t count,
                  double timeout);

bool green_finished(const struct green *green);

/* What its function returned; NULL before it has finished. */
void *green_value(const struct green *green);

/*
 * Gives the caller's hold on it back: it runs all the same.  Not while
 * somebody joins it.  NULL is allowed.
 */
void green_free(struct green *green);

/*
 * Waits at least that long, while others run; 0 or less lets each of
 * those that are ready run once.
 */
int green_sleep(double seconds);

/* How many green threads of this thread have not finished. */
size_t green_count(void);

/* ------------------------------------------------- descriptors -- */

/*
 * Descriptors must be non-blocking (O_NONBLOCK, SOCK_NONBLOCK).  One
 * green thread at a time may wait to read from one, and one to write
 * to it: EBUSY for another.  ETIMEDOUT when the time limit is over.
 * Who never has to wait lets others run now and then all the same.
 */

/* read; 0 at the end. */
ssize_t green_read(int descriptor, void *bytes, size_t size,
                   double timeout);

/* write, but of all bytes: `size`, or -1 after perhaps some of them. */
ssize_t green_write(int descriptor, const void *bytes, size_t size,
                    double timeout);

/*
 * accept, of a non-blocking and close-on-exec descriptor.  It does not
 * wait for descriptors to become free: EMFILE comes at once.
 */
int green_accept(int listener, double timeout);

int green_connect(int descriptor, const struct sockaddr *address,
                  socklen_t size, double timeout);

/*
 * close.  Whatever was used with the calls above is closed with this:
 * the next one with its number is another.  Nobody may wait for it.
 */
int green_close(int descriptor);

#endif
