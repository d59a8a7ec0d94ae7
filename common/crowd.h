/*
 * crowd.h -- the same function many times at once.
 *
 * For lessons: body(0), body(1), ... body(count - 1), each in a thread
 * or in a process of its own, and then all of them joined.  Whatever
 * fails ends the program as in checked.h.
 */
#ifndef CROWD_H
#define CROWD_H

typedef void crowd_body(int number);

/* Starts all before it joins any; returns when all have ended. */
void crowd_threads(int count, crowd_body *body);

/*
 * The same with processes.  Returns how many of them ended otherwise
 * than by returning from `body`.
 */
int crowd_processes(int count, crowd_body *body);

#endif
