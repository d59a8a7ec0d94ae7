#include "crowd.h"

#include <stdlib.h>

#include "checked.h"

struct member {
    crowd_body *body;
    int number;
    pthread_t thread;
    struct process process;
};

static struct member *assemble(int count, crowd_body *body)
{
    struct member *members = xcalloc((size_t)count, sizeof *members);

    for (int i = 0; i < count; i++) {
        members[i].body = body;
        members[i].number = i;
    }
    return members;
}

static void *run_thread(void *arg)
{
    struct member *member = arg;

    member->body(member->number);
    return NULL;
}

static int run_process(void *arg)
{
    run_thread(arg);
    return 0;
}

void crowd_threads(int count, crowd_body *body)
{
    struct member *members = assemble(count, body);

    for (int i = 0; i < count; i++)
        xpthread_create(&members[i].thread, run_thread, &members[i]);
    for (int i = 0; i < count; i++)
        xpthread_join(members[i].thread);
    free(members);
}

int crowd_processes(int count, crowd_body *body)
{
    struct member *members = assemble(count, body);
    int failed = 0;

    for (int i = 0; i < count; i++)
        xprocess_start(&members[i].process, run_process, &members[i]);
    for (int i = 0; i < count; i++) {
        xprocess_join(&members[i].process);
        failed += members[i].process.exitcode != 0;
    }
    free(members);
    return failed;
}
