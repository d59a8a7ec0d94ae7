/*
 * mpirun.h -- a program that starts itself under mpirun.
 *
 * The processes of MPI, its ranks, are started by mpirun, which then
 * stands between them and the user: it copies what they read and
 * write, so that rank 0 sees no terminal and no full disk, and makes
 * a status of its own of theirs.  So that a lesson on MPI is used like
 * all others, it starts mpirun itself, and lends its stdin, stdout and
 * stderr to rank 0:
 *
 *     ./lesson-27 --+-- mpirun --+-- rank 0, writes to the terminal
 *                   |            +-- rank 1
 *                   |            +-- ...
 *                   +-- lends the descriptors, once
 *
 * Each dies with what stands left of it.  Open MPI is told to keep its
 * hands off /tmp and /dev/shm, where it would leave files when it is
 * killed, and off the network: all these ranks are on this machine.
 * What the user has set in the environment goes before.
 *
 * Nothing here needs MPI to be installed.
 */
#ifndef MPIRUN_H
#define MPIRUN_H

#include <stdbool.h>

#include "lesson.h"
#include "process.h"

/* Has mpirun, of Open MPI or MPICH, started this process? */
bool mpirun_is_parent(void);

/*
 * Runs this program with the same arguments in *ranks ranks, and
 * returns the status that it should end with: that of the first rank
 * which did not end with 0; EXIT_REFUSED, with a line that says why,
 * when mpirun could not start them, not even in 20 s, or one was
 * killed.  Before all that it looks at the options, one of which may
 * set *ranks, so that what is wrong is told once.  SIGINT ends the
 * program with EXIT_INTERRUPTED.
 *
 * MPIRUN in the environment names another mpirun than that in PATH.
 */
int mpirun_self(const struct lesson *lesson, const int *ranks, int argc,
                char **argv);

/*
 * Another mpirun that runs this program, also from within a rank; it
 * dies with its starter.  join waits until all that came of it are
 * gone, those too that it has left behind, and returns its exitcode,
 * see process.h.  The caller must have no other children then.
 */
struct mpirun {
    int ranks;
    char **argv; /* as main's */
    struct process process;
};

void mpirun_start(struct mpirun *mpirun);
int mpirun_join(struct mpirun *mpirun);

/*
 * First of all in each rank: from here on it dies with its mpirun.
 * Then in rank 0: takes the descriptors that mpirun_self lends.  In a
 * job that the user's own mpirun has started there are none, and what
 * rank 0 writes goes through that, without colours.
 */
void mpirun_tie(void);
void mpirun_borrow(void);

#endif
