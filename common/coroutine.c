/*
 * One mapping holds it all: memory that nobody may touch at the low
 * end, then the stack, and the coroutine itself at the high end, above
 * the first frame.  A coroutine that uses little of its stack takes
 * one page of memory.
 *
 *     | guard ......... | ......... stack <- | coroutine |
 *     mapping           stack                 end of the mapping
 *
 * The guard is as large as the stack, which costs addresses and no
 * memory: a frame must be larger than that to jump over it.
 *
 * `current` is thread-local, and a compiler may compute its address
 * once in a function.  That stays right over a switch because a
 * coroutine never changes its thread.
 */

/* Its longjmp refuses to go to another stack. */
#undef _FORTIFY_SOURCE

#include "coroutine.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "coroutine_sanitize.h"
#include "coroutine_switch.h"

enum {
    STACK = 64 * 1024 * SANITIZER_STACK_FACTOR,
    GUARD = STACK,
    MAPPING = GUARD + STACK,
    SIGNAL_STACK = 64 * 1024
};

enum state { PAUSED, RUNNING, FINISHED };

struct coroutine {
    enum state state;
    struct coroutine *resumer;  /* NULL: the thread itself */
    struct coroutine **home;    /* its thread's `current` */
    struct context own, caller; /* where each of the two paused */
    struct stack_note own_note, caller_note;
    coroutine_function *run;
    void *arg;
    char *mapping;
    char name[COROUTINE_NAME_MAX];
};

static _Thread_local struct coroutine *current;

/* ---------------------------------------------------- overflow -- */

static struct sigaction action_before; /* of SIGSEGV */

static bool is_overflow(const siginfo_t *fault)
{
    uintptr_t at = (uintptr_t)fault->si_addr;

    return fault->si_code > 0 && current != NULL &&
           at - (uintptr_t)current->mapping < GUARD;
}

static void add_text(char *line, const char *text)
{
    memcpy(line + strlen(line), text, strlen(text) + 1);
}

/* Only with what a signal handler may call. */
static void report_overflow(const struct coroutine *coroutine)
{
    char line[200] = "";

    add_text(line, "coroutine \"");
    add_text(line, coroutine->name);
    add_text(line, "\" has overflowed its stack\n");
    if (write(STDERR_FILENO, line, strlen(line)) < 0)
        return; /* nowhere left to complain */
}

/*
 * Back from here the faulting instruction is tried again, and fails
 * again: then with the action that was there before us.  A signal
 * that somebody sent does not come back by itself.
 */
static void on_fault(int number, siginfo_t *fault, void *unused)
{
    struct sigaction next = {.sa_handler = SIG_DFL};

    (void)unused;
    if (is_overflow(fault))
        report_overflow(current);
    else
        next = action_before;
    sigaction(number, &next, NULL);
    if (fault->si_code <= 0)
        raise(number);
}

/*
 * At each coroutine_create: a child may have got the default action
 * back, or the program may have another handler by now.
 */
static void catch_faults(void)
{
    struct sigaction ours = {.sa_sigaction = on_fault,
                             .sa_flags = SA_SIGINFO | SA_ONSTACK};
    struct sigaction before;

    sigemptyset(&ours.sa_mask);
    sigaction(SIGSEGV, &ours, &before);
    if (before.sa_sigaction != on_fault)
        action_before = before;
}

/* --------------------------------------- the stack for signals -- */

/*
 * Who has no stack left needs another one for the handler.  Each
 * thread has its own, from its first coroutine to its end.
 */
static pthread_key_t signal_stack_key;
static int signal_stack_error;

static void free_signal_stack(void *stack)
{
    stack_t none = {.ss_flags = SS_DISABLE};

    sigaltstack(&none, NULL);
    munmap(stack, SIGNAL_STACK);
}

static void make_signal_stack_key(void)
{
    signal_stack_error =
        pthread_key_create(&signal_stack_key, free_signal_stack);
}

static int give_signal_stack(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    stack_t stack = {.ss_size = SIGNAL_STACK};
    stack_t now;

    pthread_once(&once, make_signal_stack_key);
    if (signal_stack_error != 0)
        return signal_stack_error;
    sigaltstack(NULL, &now);
    if ((now.ss_flags & SS_DISABLE) == 0)
        return 0;
    stack.ss_sp = mmap(NULL, SIGNAL_STACK, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stack.ss_sp == MAP_FAILED)
        return errno;
    sigaltstack(&stack, NULL);
    return pthread_setspecific(signal_stack_key, stack.ss_sp);
}

/* ------------------------------------------------ begin and end -- */

/* NULL and errno when there is no memory or no mapping left. */
static char *map_stack(void)
{
    char *mapping =
        mmap(NULL, MAPPING, PROT_NONE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

    if (mapping == MAP_FAILED)
        return NULL;
    if (mprotect(mapping + GUARD, STACK, PROT_READ | PROT_WRITE) == 0)
        return mapping;
    munmap(mapping, MAPPING);
    errno = ENOMEM;
    return NULL;
}

/* The first thing on a new stack, and the last. */
static void enter(void)
{
    struct coroutine *self = current;

    note_arrive(&self->own_note, &self->caller_note);
    self->run(self->arg);

    self->state = FINISHED;
    current = self->resumer;
    note_leave_for_good(&self->caller_note);
    context_switch(&self->own, &self->caller, NULL);
}

/* The stack below the coroutine that stands at its end. */
static size_t stack_below(const struct coroutine *coroutine)
{
    return (size_t)((const char *)coroutine - coroutine->mapping) -
           GUARD;
}

struct coroutine *coroutine_create(const char *name,
                                   coroutine_function *run, void *arg)
{
    /* Its alignment is that of a frame. */
    const size_t place = (sizeof(struct coroutine) + 63) & ~(size_t)63;
    struct coroutine *coroutine;
    char *mapping;
    int error = give_signal_stack();

    if (error != 0) {
        errno = error;
        return NULL;
    }
    catch_faults();
    mapping = map_stack();
    if (mapping == NULL)
        return NULL;

    coroutine = (void *)(mapping + MAPPING - place);
    coroutine->home = &current;
    coroutine->run = run;
    coroutine->arg = arg;
    coroutine->mapping = mapping;
    memcpy(coroutine->name, name,
           strnlen(name, COROUTINE_NAME_MAX - 1));
    note_make(&coroutine->own_note, mapping + GUARD, STACK);
    context_make(&coroutine->own, mapping + GUARD,
                 stack_below(coroutine), enter);
    return coroutine;
}

void coroutine_free(struct coroutine *coroutine)
{
    if (coroutine == NULL)
        return;
    note_free(&coroutine->own_note);
    munmap(coroutine->mapping, MAPPING);
}

/* ---------------------------------------------------- switches -- */

__attribute__((noinline, cold)) static void *refuse(int error)
{
    errno = error;
    return NULL;
}

/* Apart, so that the way to the switch has nothing to save for it. */
__attribute__((noinline, cold)) static void *
refuse_resume(const struct coroutine *coroutine)
{
    if (coroutine->home != &current)
        return refuse(EPERM);
    return refuse(coroutine->state == FINISHED ? ESRCH : EBUSY);
}

void *coroutine_resume(struct coroutine *coroutine, void *sent)
{
    if (coroutine->state != PAUSED || coroutine->home != &current)
        return refuse_resume(coroutine);

    coroutine->state = RUNNING;
    coroutine->resumer = current;
    current = coroutine;
    note_leave(&coroutine->caller_note, &coroutine->own_note);
    sent = context_switch(&coroutine->caller, &coroutine->own, sent);
    note_arrive(&coroutine->caller_note, &coroutine->own_note);
    return sent;
}

void *coroutine_yield(void *value)
{
    struct coroutine *self = current;

    if (self == NULL)
        return refuse(EPERM);

    self->state = PAUSED;
    current = self->resumer;
    note_leave(&self->own_note, &self->caller_note);
    value = context_switch(&self->own, &self->caller, value);
    note_arrive(&self->own_note, &self->caller_note);
    return value;
}

/* ---------------------------------------------------- questions -- */

bool coroutine_finished(const struct coroutine *coroutine)
{
    return coroutine->state == FINISHED;
}

struct coroutine *coroutine_current(void)
{
    return current;
}

const char *coroutine_name(const struct coroutine *coroutine)
{
    return coroutine->name;
}

size_t coroutine_stack_size(void)
{
    return STACK;
}
