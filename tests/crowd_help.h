/*
 * crowd_help.h -- a test with threads, and the same with processes:
 *
 *     TEST_WITH("threads", &threads, counts_all),
 *     TEST_WITH("processes", &processes, counts_all),
 *
 * body(0) ... body(count - 1) run at once.
 */
#ifndef CROWD_HELP_H
#define CROWD_HELP_H

#include "crowd.h"
#include "test.h"

struct kind {
    void (*run)(int count, crowd_body *body);
};

static inline void run_processes(int count, crowd_body *body)
{
    expect_int(crowd_processes(count, body), 0);
}

static const struct kind threads = {crowd_threads};
static const struct kind processes = {run_processes};

#endif
