/*
 * coroutine_sanitize.h -- tells the sanitizers of each switch.
 *
 * AddressSanitizer wants to know which stack comes next, and
 * ThreadSanitizer takes every coroutine for a fiber with a history of
 * its own.  In a normal build all of this is empty.
 */
#ifndef COROUTINE_SANITIZE_H
#define COROUTINE_SANITIZE_H

#include <stddef.h>

#ifndef __has_feature
#define __has_feature(feature) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define COROUTINE_ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#define COROUTINE_TSAN 1
#include <sanitizer/tsan_interface.h>
#endif

/* Their frames are larger. */
#if defined(COROUTINE_ASAN) || defined(COROUTINE_TSAN)
enum { SANITIZER_STACK_FACTOR = 4 };
#else
enum { SANITIZER_STACK_FACTOR = 1 };
#endif

#if defined(COROUTINE_ASAN)

/* One side of a switch. */
struct stack_note {
    void *fake; /* its locals that AddressSanitizer keeps elsewhere */
    const void *stack;
    size_t size;
};

static inline void note_make(struct stack_note *note, const char *stack,
                             size_t size)
{
    *note = (struct stack_note){.stack = stack, .size = size};
}

/* What lay on the stack marks it as forbidden for whoever is next. */
static inline void note_free(struct stack_note *note)
{
    __asan_unpoison_memory_region(note->stack, note->size);
}

static inline void note_leave(struct stack_note *from,
                              struct stack_note *to)
{
    __sanitizer_start_switch_fiber(&from->fake, to->stack, to->size);
}

static inline void note_leave_for_good(struct stack_note *to)
{
    __sanitizer_start_switch_fiber(NULL, to->stack, to->size);
}

/* Gets the bounds of the stack that the caller came from. */
static inline void note_arrive(struct stack_note *here,
                               struct stack_note *from)
{
    __sanitizer_finish_switch_fiber(here->fake, &from->stack,
                                    &from->size);
}

#elif defined(COROUTINE_TSAN)

struct stack_note {
    void *fiber;
};

static inline void note_make(struct stack_note *note, const char *stack,
                             size_t size)
{
    (void)stack, (void)size;
    note->fiber = __tsan_create_fiber(0);
}

static inline void note_free(struct stack_note *note)
{
    __tsan_destroy_fiber(note->fiber);
}

static inline void note_leave(struct stack_note *from,
                              struct stack_note *to)
{
    from->fiber = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(to->fiber, 0);
}

static inline void note_leave_for_good(struct stack_note *to)
{
    __tsan_switch_to_fiber(to->fiber, 0);
}

static inline void note_arrive(struct stack_note *here,
                               struct stack_note *from)
{
    (void)here, (void)from;
}

#else

struct stack_note {
    char nothing;
};

static inline void note_make(struct stack_note *note, const char *stack,
                             size_t size)
{
    (void)note, (void)stack, (void)size;
}

static inline void note_free(struct stack_note *note)
{
    (void)note;
}

static inline void note_leave(struct stack_note *from,
                              struct stack_note *to)
{
    (void)from, (void)to;
}

static inline void note_leave_for_good(struct stack_note *to)
{
    (void)to;
}

static inline void note_arrive(struct stack_note *here,
                               struct stack_note *from)
{
    (void)here, (void)from;
}

#endif

#endif
