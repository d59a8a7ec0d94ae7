/*
 * mpirun closes all descriptors in its ranks, so they are passed over
 * a socket, whose name the environment tells.  It is an abstract one:
 * no file is left when everybody is killed.
 */
#include "mpirun.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "checked.h"

enum { LENT = 3 }; /* stdin, stdout, stderr */

static const double patience = 20; /* s, until rank 0 begins */

static const char lender_name[] = "LESSON_LENDER"; /* a variable */

/* ------------------------------------------------- environment -- */

static const struct setting {
    const char *name, *value;
} settings[] = {
    {"OMPI_ALLOW_RUN_AS_ROOT", "1"},
    {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"},
    /* More ranks than CPUs, and none is tied to one. */
    {"OMPI_MCA_rmaps_base_oversubscribe", "1"},
    {"OMPI_MCA_hwloc_base_binding_policy", "none"},
    {"OMPI_MCA_mpi_yield_when_idle", "1"},
    /* A status that is not 0 needs no page of explanation. */
    {"OMPI_MCA_orte_execute_quiet", "1"},
    /* One that is to end has no second to think about it. */
    {"OMPI_MCA_odls_base_sigkill_timeout", "0"},
    /* No files. */
    {"OMPI_MCA_orte_create_session_dirs", "0"},
    {"OMPI_MCA_filem", "^raw"},
    {"OMPI_MCA_shmem", "mmap"},
    {"PMIX_MCA_gds", "hash"},
    /* Messages go over TCP, and stay on this machine. */
    {"OMPI_MCA_pml", "ob1"},
    {"OMPI_MCA_btl", "self,tcp"},
    {"OMPI_MCA_btl_tcp_if_include", "lo"},
    {"OMPI_MCA_oob_tcp_if_include", "lo"},
    {"UCX_TLS", "self,tcp"}, /* MPICH's way */
};

static void apply_settings(void)
{
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++)
        check_call(setenv(settings[i].name, settings[i].value, 0),
                   "setenv");
}

/* What an mpirun tells its ranks would confuse the next. */
static void forget_job(void)
{
    static const char *const prefixes[] = {"OMPI_", "ORTE_", "PMIX_",
                                           "PMI_",  "HYDI_", "MPIR_"};
    char name[256];

    for (char **at = environ; *at != NULL;) {
        bool told = false;

        for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0];
             i++)
            told |= strncmp(*at, prefixes[i], strlen(prefixes[i])) == 0;
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*at, "="),
                 *at);
        if (!told || unsetenv(name) != 0)
            at++;
    }
}

/* The last is our own, for an MPI that sets none of the others. */
bool mpirun_is_parent(void)
{
    return getenv("OMPI_COMM_WORLD_RANK") != NULL ||
           getenv("PMIX_RANK") != NULL || getenv("PMI_RANK") != NULL ||
           getenv(lender_name) != NULL;
}

/* ------------------------------------------------------ lending -- */

static bool is_mine(int connection)
{
    struct ucred peer;
    socklen_t size = sizeof peer;

    return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer,
                      &size) == 0 &&
           peer.uid == geteuid();
}

/* Descriptors travel beside at least one byte. */
union passage {
    struct cmsghdr head;
    char room[CMSG_SPACE(LENT * sizeof(int))];
};

static struct msghdr message_of(union passage *passage,
                                struct iovec *byte)
{
    return (struct msghdr){.msg_iov = byte,
                           .msg_iovlen = 1,
                           .msg_control = passage->room,
                           .msg_controllen = sizeof passage->room};
}

static int lend(void *arg)
{
    int door = *(const int *)arg, connection;
    const int lent[LENT] = {0, 1, 2};
    union passage passage = {.room = {0}};
    struct iovec byte = {"", 1};
    struct msghdr message = message_of(&passage, &byte);

    passage.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof lent),
                                    .cmsg_level = SOL_SOCKET,
                                    .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&passage.head), lent, sizeof lent);
    do
        connection = accept(door, NULL, NULL);
    while (connection < 0 ? errno == EINTR : !is_mine(connection));
    check_call(connection, "accept");
    check_call((int)sendmsg(connection, &message, MSG_NOSIGNAL),
               "sendmsg");
    return 0;
}

/* Returns -1 when there is no lender, or none on this machine. */
static int call_lender(void)
{
    const char *name = getenv(lender_name);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int connection;

    if (name == NULL || name[0] == '\0')
        return -1;
    snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "%s",
             name);
    connection = check_call(
        socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
    if (connect(connection, (struct sockaddr *)&address,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
                            strlen(address.sun_path + 1))) == 0)
        return connection;
    xclose(connection);
    return -1;
}

void mpirun_tie(void)
{
    check_call(prctl(PR_SET_PDEATHSIG, SIGKILL), "prctl");
}

void mpirun_borrow(void)
{
    int connection = call_lender(), lent[LENT];
    union passage passage = {.room = {0}};
    char letter;
    struct iovec byte = {&letter, 1};
    struct msghdr message = message_of(&passage, &byte);

    if (connection < 0) {
        check_call(setenv("NO_COLOR", "1", 1), "setenv");
        return;
    }
    check_call((int)recvmsg(connection, &message,
                            MSG_WAITALL | MSG_CMSG_CLOEXEC),
               "recvmsg");
    memcpy(lent, CMSG_DATA(&passage.head), sizeof lent);
    for (int fd = 0; fd < LENT; fd++) {
        check_call(dup2(lent[fd], fd), "dup2");
        xclose(lent[fd]);
    }
    xclose(connection);
    check_call(unsetenv(lender_name), "unsetenv");
}

/* The kernel chooses the name: five letters after a 0. */
static int open_door(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t size = sizeof address;
    int door = check_call(
        socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");

    check_call(bind(door, (struct sockaddr *)&address,
                    sizeof address.sun_family),
               "bind");
    check_call(listen(door, 1), "listen");
    check_call(getsockname(door, (struct sockaddr *)&address, &size),
               "getsockname");
    address.sun_path[size - offsetof(struct sockaddr_un, sun_path)] =
        '\0';
    check_call(setenv(lender_name, address.sun_path + 1, 1), "setenv");
    return door;
}

/* ----------------------------------------------------- starting -- */

/* In a session of its own, whose terminal is not this one: there, who
 * is not in the foreground may read from it, too. */
static int become_mpirun(void *arg)
{
    struct mpirun *mpirun = arg;
    char count[16];
    int argc = 0;
    char **argv;
    int nothing = check_call(open("/dev/null", O_RDONLY | O_CLOEXEC),
                             "open /dev/null");

    while (mpirun->argv[argc] != NULL)
        argc++;
    argv = xcalloc((size_t)argc + 4, sizeof *argv);
    snprintf(count, sizeof count, "%d", mpirun->ranks);
    argv[0] = getenv("MPIRUN");
    if (argv[0] == NULL)
        argv[0] = "mpirun";
    argv[1] = "-n";
    argv[2] = count;
    argv[3] =
        check_pointer(realpath("/proc/self/exe", NULL), "realpath");
    memcpy(argv + 4, mpirun->argv + 1, (size_t)argc * sizeof *argv);

    if (mpirun_is_parent())
        forget_job();
    apply_settings();
    check_call(setenv(lender_name, "", 0), "setenv");
    check_call(setsid(), "setsid");
    check_call(dup2(nothing, STDIN_FILENO), "dup2");
    signal(SIGPIPE, SIG_DFL);
    return check_call(execvp(argv[0], argv), argv[0]);
}

/* Its orphans become children of this process. */
void mpirun_start(struct mpirun *mpirun)
{
    check_call(prctl(PR_SET_CHILD_SUBREAPER, 1), "prctl");
    xprocess_start(&mpirun->process, become_mpirun, mpirun);
}

int mpirun_join(struct mpirun *mpirun)
{
    xprocess_join(&mpirun->process);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        ;
    return mpirun->process.exitcode;
}

/*
 * What lesson_begin finds wrong is told before mpirun starts.  It runs
 * in a process of its own, with which its watchdog ends: that one
 * would see no progress while the ranks work.
 */
struct command {
    const struct lesson *lesson;
    const int *option;
    int argc;
    char **argv;
    int ranks; /* what the option said; 0 after --help */
};

static int read_options(void *arg)
{
    struct command *command = arg;

    lesson_begin(command->lesson, command->argc, command->argv);
    command->ranks = *command->option;
    return 0;
}

/* Otherwise the next file to be opened would be stdout. */
static void occupy_descriptors(void)
{
    int fd;

    do
        fd = check_call(open("/dev/null", O_RDONLY), "open /dev/null");
    while (fd < LENT);
    xclose(fd);
}

static void end_on_interrupt(int number)
{
    (void)number;
    _exit(EXIT_INTERRUPTED);
}

/*
 * What the end of mpirun means, or of another process here.  When a
 * rank was killed by a signal, Open MPI adds 128 to the signal's
 * number, and MPICH does not.
 */
static int status_of(int exitcode)
{
    if ((exitcode >= 0 && exitcode <= EXIT_HANG) ||
        exitcode == EXIT_INTERRUPTED)
        return exitcode;
    if (exitcode < 0)
        report_error(EOWNERDEAD, "a process, killed by signal %d",
                     -exitcode);
    else
        report_error(EOWNERDEAD, "a rank, killed by signal %d",
                     exitcode & 127);
    return EXIT_REFUSED;
}

static int run_job(struct mpirun *job)
{
    struct process lender;
    int door = open_door(), exitcode;
    bool lent;

    xprocess_start(&lender, lend, &door);
    xclose(door);
    mpirun_start(job);
    if (process_join(&job->process, patience) == ETIMEDOUT &&
        process_is_alive(&lender)) {
        report_error(ETIMEDOUT, "mpirun, which has not begun");
        return EXIT_REFUSED;
    }
    xprocess_join(&job->process);
    lent = !process_is_alive(&lender);
    process_kill(&lender);
    xprocess_join(&lender);
    exitcode = mpirun_join(job);
    if (lent)
        return status_of(exitcode);
    if (exitcode != EXIT_REFUSED) /* then it has told why itself */
        report_error(ECHILD, "mpirun, which ended with status %d",
                     exitcode);
    return EXIT_REFUSED;
}

int mpirun_self(const struct lesson *lesson, const int *ranks, int argc,
                char **argv)
{
    struct command *command = xshared_alloc(sizeof *command);
    struct process reader;
    struct sigaction action = {.sa_handler = end_on_interrupt};

    sigemptyset(&action.sa_mask);
    check_call(sigaction(SIGINT, &action, NULL), "sigaction");
    occupy_descriptors();
    *command = (struct command){lesson, ranks, argc, argv, 0};
    xprocess_start(&reader, read_options, command);
    xprocess_join(&reader);
    if (command->ranks == 0)
        return status_of(reader.exitcode);
    return run_job(&(struct mpirun){command->ranks, argv, {0}});
}
