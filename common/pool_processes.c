/*
 * The workers are child processes, and the parent has three threads
 * that serve them:
 *
 *   supervisor  forks the workers, waits for their deaths, settles
 *               what a dead one had in hand and forks another.  It is
 *               the thread that forks because the kernel ties a child
 *               to the thread that forked it: the workers live as long
 *               as the supervisor does, not as long as the thread that
 *               opened the pool.  And with __WNOTHREAD it waits for
 *               its own children only, never for the program's others.
 *   collector   takes the finished slots' results into the futures.
 *   caller      runs the callbacks, so that a slow one delays only
 *               other callbacks.
 *
 * A worker can be killed between any two instructions.  It notes in
 * shared memory the slot that it takes, before that leaves the queue,
 * and forgets it after the slot is among the finished ones.  So the
 * supervisor finds the slot, and sees from its state how far it had
 * come.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "clock.h"
#include "pending.h"
#include "pool_internal.h"
#include "process.h"

/* What a worker is told when it starts. */
struct post {
    struct pool *pool;
    int worker;
};

/* So many workers more than there are may die at birth, in a row. */
enum { ACCIDENTS = 20 };

/* Before something that failed is tried again, in seconds. */
static const double PAUSE = 0.05;

struct crew {
    struct pending *done; /* slots that were finished */
    int *taken;           /* those that the collector has in hand */
    sigset_t signals;     /* blocked where the pool was opened */
    pthread_t supervisor, collector, caller;
    bool has_supervisor, has_collector, has_caller;
    int living; /* workers; only the supervisor looks */

    sem_t started; /* the supervisor has tried to start all workers */
    int error;     /* and this is why it could not, or 0 */

    struct mutex lock;
    pthread_cond_t wake;

    /* Protected by the lock. */
    struct future *first; /* their callbacks are to be run */
    struct future **last;
    bool over;
};

/* ------------------------------------------------- in a worker -- */

/* Ctrl-C reaches the whole process group; the parent decides. */
static int work(void *arg)
{
    struct post *post = arg;
    struct crew *crew = post->pool->crew;

    signal(SIGINT, SIG_IGN);
    pthread_sigmask(SIG_SETMASK, &crew->signals, NULL);
    return pool_work(post->pool, post->worker) ? 0 : 1;
}

/* -------------------------------------------------- supervisor -- */

/*
 * With the pool's lock, so that terminate either sees the new worker
 * or keeps it from being started.
 */
static int hire(struct pool *pool, int worker)
{
    struct worker *record = &pool->floor->workers[worker - 1];
    struct post post = {pool, worker};
    struct crew *crew = pool->crew;
    struct process process = {0};
    int error = ECANCELED;

    mutex_lock(&pool->lock);
    if (!pool->terminated) {
        atomic_store(&record->slot, NO_SLOT);
        atomic_store(&record->ready, false);
        error = process_start(&process, work, &post);
        record->pid = process.pid;
    }
    mutex_unlock(&pool->lock);
    if (error == 0)
        crew->living++;
    return error;
}

/* Fills the places that are empty. */
static int hire_missing(struct pool *pool)
{
    int error = 0;

    for (int i = 0; i < pool->workers && error == 0; i++)
        if (pool->floor->workers[i].pid == 0)
            error = hire(pool, i + 1);
    return error;
}

/* What waitpid said, or that somebody else has reaped the worker. */
enum { STATUS_LOST = -1 };

static void describe_death(struct outcome *outcome, int worker,
                           pid_t pid, int status)
{
    int length = snprintf(outcome->message, sizeof outcome->message,
                          "worker %d (pid %d) ", worker, (int)pid);
    char *rest = outcome->message + length;
    size_t size = sizeof outcome->message - (size_t)length;

    if (status == STATUS_LOST)
        snprintf(rest, size, "ended, and its status was lost");
    else if (WIFSIGNALED(status))
        snprintf(rest, size, "was killed by signal %d (%s)",
                 WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(rest, size, "exited with status %d",
                 WEXITSTATUS(status));
}

/*
 * Is there more to do, and a pool to do it?  With the lock: terminate
 * withdraws a job that waits again, or is seen here and keeps it from
 * waiting for a worker that never comes.
 */
static bool waits_again(struct pool *pool, struct slot *slot)
{
    bool again;

    mutex_lock(&pool->lock);
    again = slot->runs < slot->job.count && !pool->terminated;
    if (again)
        atomic_store(&slot->state, QUEUED);
    mutex_unlock(&pool->lock);
    return again;
}

/*
 * The run it died in has failed; another worker does the rest.  When
 * all runs were over, none has.
 */
static void fail_run(struct pool *pool, int number,
                     const struct outcome *death)
{
    struct slot *slot = pool_slot(pool, number);
    bool waited_for = slot->waited_for;
    size_t run = atomic_load(&slot->runs);

    if (!slot->failed && run < slot->job.count) {
        slot->annex->outcome = *death;
        slot->annex->outcome.index = run;
        slot->failed = true;
    }
    atomic_store(&slot->runs, run + 1);
    if (waits_again(pool, slot)) {
        pool_enqueue(pool, number);
    } else {
        atomic_store(&slot->state, DONE);
        pool_finish(pool, number, waited_for);
    }
}

/* With the lock: the slot may be in use again, for another task. */
static bool is_waited_for(struct pool *pool, int number)
{
    bool waited_for;

    mutex_lock(&pool->lock);
    waited_for = pool_slot(pool, number)->waited_for;
    mutex_unlock(&pool->lock);
    return waited_for;
}

/*
 * What the dead worker had in hand.  Where it is not known whether the
 * slot's number had reached a queue it is sent once more, which does
 * no harm.
 */
static void settle_hand(struct pool *pool, int worker, int number,
                        const struct outcome *death)
{
    struct slot *slot = pool_slot(pool, number);
    int state = atomic_load(&slot->state);

    if (state == RUNNING_BY(worker)) {
        fail_run(pool, number, death);
    } else if (state == QUEUED) {
        queue_remove(pool->tasks, &number);
        pool_enqueue(pool, number);
    } else if (state == DONE || state == CANCELLED) {
        pool_finish(pool, number, is_waited_for(pool, number));
    }
}

/*
 * It never took a task.  One that died was killed by accident, perhaps;
 * when all others do the same, one after another, it was no accident.
 */
static void settle_birth(struct pool *pool, const struct worker *record,
                         const struct outcome *death)
{
    if (record->beginning.error != 0)
        pool_break(pool, &record->beginning);
    else if (atomic_fetch_add(&pool->floor->stillborn, 1) >=
             pool->workers + ACCIDENTS)
        pool_break(pool, death);
}

/*
 * Where memcpy goes byte by byte, who dies in it leaves some of NO_SLOT
 * and some of a number: none of a slot, and the queue still has it.
 */
static void bury(struct pool *pool, int worker, pid_t pid, int status)
{
    struct crew *crew = pool->crew;
    struct worker *record = &pool->floor->workers[worker - 1];
    struct outcome death = {.error = EOWNERDEAD};
    int number = atomic_load(&record->slot);

    describe_death(&death, worker, pid, status);
    mutex_lock(&pool->lock);
    if (pool->stopped)
        death = pool->dropped;
    mutex_unlock(&pool->lock);
    crew->living--;
    queue_recover(pool->tasks);
    pending_recover(crew->done);
    if (number >= 0 && number < pool->slots)
        settle_hand(pool, worker, number, &death);
    if (!atomic_load(&record->ready))
        settle_birth(pool, record, &death);
    pool_notify(POOL_WORKER_ENDED, worker, 0);
}

/*
 * Returns the pid that the worker had, or 0 while it lives.  With the
 * lock, so that nobody kills a pid that is another's by now.
 */
static pid_t reap(struct pool *pool, struct worker *worker, int *status)
{
    pid_t pid;

    *status = STATUS_LOST;
    mutex_lock(&pool->lock);
    pid = worker->pid;
    if (pid != 0 && waitpid(pid, status, WNOHANG) == 0)
        pid = 0;
    if (pid != 0)
        worker->pid = 0;
    mutex_unlock(&pool->lock);
    return pid;
}

static int bury_the_dead(struct pool *pool)
{
    int dead = 0, status;

    for (int i = 0; i < pool->workers; i++) {
        pid_t pid = reap(pool, &pool->floor->workers[i], &status);

        if (pid != 0) {
            bury(pool, i + 1, pid, status);
            dead++;
        }
    }
    return dead;
}

/*
 * Waits until a child of this thread has ended, without reaping it: it
 * may be one that a thread which has ended left to this one, so each
 * worker is looked at.
 */
static void await_death(struct pool *pool, int flags)
{
    siginfo_t info;

    flags |= WEXITED | WNOWAIT | __WNOTHREAD;
    waitid(P_ALL, 0, &info, flags);
    if (bury_the_dead(pool) == 0)
        clock_sleep(PAUSE);
}

static void kill_all(struct pool *pool)
{
    mutex_lock(&pool->lock);
    for (int i = 0; i < pool->workers; i++)
        if (pool->floor->workers[i].pid != 0)
            kill(pool->floor->workers[i].pid, SIGKILL);
    mutex_unlock(&pool->lock);
}

/*
 * Until nobody is left and nobody is needed.  When the system refuses
 * a new worker the others go on, and it is tried again; without any
 * worker the pool gives up after a second, rather than wait for ever.
 */
static void supervise_until_end(struct pool *pool)
{
    enum { TRIES = 20 };
    struct crew *crew = pool->crew;
    int tries = 0;

    while (crew->living > 0 || pool_needs_workers(pool)) {
        int error;

        if (crew->living > 0)
            await_death(pool, tries > 0 ? WNOHANG : 0);
        error = pool_needs_workers(pool) ? hire_missing(pool) : 0;
        tries = error != 0 ? tries + 1 : 0;
        if (error != 0 && crew->living == 0 && tries > TRIES)
            pool_drop(pool, error, "no worker could be started");
        else if (error != 0)
            clock_sleep(PAUSE);
    }
}

static void *supervise(void *arg)
{
    struct pool *pool = arg;
    struct crew *crew = pool->crew;

    crew->error = hire_missing(pool);
    if (crew->error != 0) {
        pool_drop(pool, crew->error, "the pool did not start");
        kill_all(pool);
    }
    sem_post(&crew->started);
    supervise_until_end(pool);
    return NULL;
}

/* -------------------------------------- collector and caller -- */

/*
 * For collector and caller.  If each of them pushed a worker off its
 * CPU as soon as it is woken, there would be two switches for each
 * task.  Who is patient has its share of the CPUs all the same, and
 * finds several tasks to see to.  What the program has chosen for
 * itself stays as it is.
 */
static void be_patient(void)
{
    struct sched_param parameters;
    int policy;

    if (pthread_getschedparam(pthread_self(), &policy, &parameters) ==
            0 &&
        policy == SCHED_OTHER)
        pthread_setschedparam(pthread_self(), SCHED_BATCH, &parameters);
}

static void *collect(void *arg)
{
    struct pool *pool = arg;
    struct crew *crew = pool->crew;
    size_t count;

    be_patient();
    while ((count = pending_take(crew->done, crew->taken)) > 0)
        pool_harvest(pool, crew->taken, count);
    return NULL;
}

/* All futures that wait for their callbacks; NULL at the end. */
static struct future *next_to_call(struct crew *crew)
{
    struct future *futures;

    mutex_lock(&crew->lock);
    while (crew->first == NULL && !crew->over)
        mutex_wait(&crew->lock, &crew->wake, INFINITY);
    futures = crew->first;
    crew->first = NULL;
    crew->last = &crew->first;
    mutex_unlock(&crew->lock);
    return futures;
}

/*
 * Callbacks are the program's own: with all signals blocked, a child
 * that one of them starts could not be terminated.
 */
static void *call_back(void *arg)
{
    struct pool *pool = arg;
    struct crew *crew = pool->crew;
    struct future *futures;

    pthread_sigmask(SIG_SETMASK, &crew->signals, NULL);
    be_patient();
    while ((futures = next_to_call(crew)) != NULL)
        pool_call_back_all(pool, futures);
    return NULL;
}

/* ---------------------------------------------- the pool's kind -- */

static void end_caller(struct crew *crew)
{
    mutex_lock(&crew->lock);
    crew->over = true;
    pthread_cond_signal(&crew->wake);
    mutex_unlock(&crew->lock);
}

/* Copes with a crew that is half built. */
static void join(struct pool *pool)
{
    struct crew *crew = pool->crew;

    if (crew->has_supervisor)
        pthread_join(crew->supervisor, NULL);
    if (crew->done != NULL)
        pending_close(crew->done);
    if (crew->has_collector)
        pthread_join(crew->collector, NULL);
    end_caller(crew);
    if (crew->has_caller)
        pthread_join(crew->caller, NULL);
    pending_destroy(crew->done);
    free(crew->taken);
    pthread_cond_destroy(&crew->wake);
    mutex_destroy(&crew->lock);
    sem_destroy(&crew->started);
    free(crew);
}

/* The threads that serve leave signals to the program's own. */
static int start_threads(struct pool *pool, struct crew *crew)
{
    sigset_t all;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &crew->signals);
    error = pthread_create(&crew->collector, NULL, collect, pool);
    crew->has_collector = error == 0;
    if (error == 0) {
        error = pthread_create(&crew->caller, NULL, call_back, pool);
        crew->has_caller = error == 0;
    }
    if (error == 0) {
        error =
            pthread_create(&crew->supervisor, NULL, supervise, pool);
        crew->has_supervisor = error == 0;
    }
    pthread_sigmask(SIG_SETMASK, &crew->signals, NULL);
    return error;
}

/*
 * With SIGCHLD ignored, which a program can inherit, the kernel reaps
 * children unasked and tells nobody of a death.
 */
static void heed_deaths(void)
{
    struct sigaction action;

    sigaction(SIGCHLD, NULL, &action);
    action.sa_flags &= ~SA_NOCLDWAIT;
    if (action.sa_handler == SIG_IGN)
        action.sa_handler = SIG_DFL;
    sigaction(SIGCHLD, &action, NULL);
}

static int start(struct pool *pool)
{
    struct crew *crew = calloc(1, sizeof *crew);
    int error;

    if (crew == NULL)
        return ENOMEM;
    pool->crew = crew;
    crew->last = &crew->first;
    sem_init(&crew->started, 0, 0);
    mutex_init(&crew->lock);
    pthread_cond_init(&crew->wake, NULL);
    crew->done = pending_create(pool->slots);
    crew->taken = calloc((size_t)pool->slots, sizeof *crew->taken);
    heed_deaths();
    error = crew->done == NULL || crew->taken == NULL
                ? ENOMEM
                : start_threads(pool, crew);
    if (error == 0) {
        clock_sem_wait(&crew->started, INFINITY);
        error = crew->error;
    }
    if (error != 0)
        join(pool);
    return error;
}

/*
 * The collector is patient: when the workers are busy it waits until
 * one steps aside.  Each time that many have been finished one does,
 * so that submitters get their places before the workers run dry.
 */
static void finish(struct pool *pool, int slot)
{
    struct crew *crew = pool->crew;
    unsigned finished = pending_add(crew->done, slot);

    if (finished % (unsigned)pool_many(pool) == 0)
        sched_yield();
}

/* The caller gets those that have callbacks. */
static void settle(struct pool *pool, struct future *futures)
{
    struct crew *crew = pool->crew;
    struct future *called = NULL, **end = &called, *next;

    for (; futures != NULL; futures = next) {
        next = futures->next;
        if (future_settled(futures)) {
            pool_retire(pool, futures);
        } else {
            *end = futures;
            end = &futures->next;
        }
    }
    *end = NULL;
    if (called == NULL)
        return;
    mutex_lock(&crew->lock);
    *crew->last = called;
    crew->last = end;
    mutex_unlock(&crew->lock);
    pthread_cond_signal(&crew->wake);
}

static void stop(struct pool *pool)
{
    kill_all(pool);
}

const struct pool_kind pool_processes = {
    .name = "processes",
    .start = start,
    .finish = finish,
    .settle = settle,
    .stop = stop,
    .join = join,
};
