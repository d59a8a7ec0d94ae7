/*
 * coroutine_switch.h -- from one stack to another; for coroutine.c.
 *
 * Three ways with the same names: a few instructions for x86-64, for
 * aarch64, and the portable way, which COROUTINE_PORTABLE chooses
 * where the first two could be had.
 *
 *     struct context    where somebody paused
 *     context_make      a context that will call entry() on a stack
 *     context_switch    pauses in `from`, goes on in `to`, where the
 *                       call that paused there returns `value`
 *
 * By the rules of both machines a called function may use up all
 * registers but a few.  So a switch that looks like a call has only
 * these few to save: it pushes them on the old stack, exchanges the
 * stack pointer, and pops what the other side once pushed.
 *
 * On x86-64 it leaves with a jump.  A return instruction is predicted
 * to go where the last call came from, which after a switch is always
 * wrong and costs more than all the rest.  (On aarch64 a jump to where
 * a call returns is forbidden in programs with branch protection.)
 * Where context_switch is the last that a function does, a compiler
 * makes it a jump too, and then the whole way from coroutine_resume to
 * behind the other side's coroutine_yield has no return in it.
 */
#ifndef COROUTINE_SWITCH_H
#define COROUTINE_SWITCH_H

#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) && defined(__LP64__) &&                        \
    !defined(COROUTINE_PORTABLE)

struct context {
    void *stack_pointer;
};

void *context_switch(struct context *from, const struct context *to,
                     void *value);

__asm__(".text\n"
        ".globl context_switch\n"
        ".hidden context_switch\n"
        ".type context_switch, @function\n"
        "context_switch:\n"
        "    mov  %rdx, %rax\n"
        "    push %rbp\n"
        "    push %rbx\n"
        "    push %r12\n"
        "    push %r13\n"
        "    push %r14\n"
        "    push %r15\n"
        "    mov  %rsp, (%rdi)\n"
        "    mov  (%rsi), %rsp\n"
        "    pop  %r15\n"
        "    pop  %r14\n"
        "    pop  %r13\n"
        "    pop  %r12\n"
        "    pop  %rbx\n"
        "    pop  %rbp\n"
        "    pop  %rcx\n"
        "    jmp  *%rcx\n"
        ".size context_switch, . - context_switch\n");

/*
 * As if entry() had been called and had switched away in its first
 * line: six registers, its address, and 0 where its caller would be.
 */
static inline void context_make(struct context *context, char *stack,
                                size_t size, void (*entry)(void))
{
    uintptr_t *top = (uintptr_t *)(void *)(stack + size);

    *--top = 0; /* so that it begins 8 bytes off 16 */
    *--top = (uintptr_t)entry;
    for (int i = 0; i < 6; i++)
        *--top = 0;
    context->stack_pointer = top;
}

#elif defined(__aarch64__) && !defined(COROUTINE_PORTABLE)

struct context {
    void *stack_pointer;
};

void *context_switch(struct context *from, const struct context *to,
                     void *value);

__asm__(".text\n"
        ".globl context_switch\n"
        ".hidden context_switch\n"
        ".type context_switch, %function\n"
        "context_switch:\n"
        "    stp  x29, x30, [sp, #-160]!\n"
        "    stp  x19, x20, [sp, #16]\n"
        "    stp  x21, x22, [sp, #32]\n"
        "    stp  x23, x24, [sp, #48]\n"
        "    stp  x25, x26, [sp, #64]\n"
        "    stp  x27, x28, [sp, #80]\n"
        "    stp  d8, d9, [sp, #96]\n"
        "    stp  d10, d11, [sp, #112]\n"
        "    stp  d12, d13, [sp, #128]\n"
        "    stp  d14, d15, [sp, #144]\n"
        "    mov  x9, sp\n"
        "    str  x9, [x0]\n"
        "    ldr  x9, [x1]\n"
        "    mov  sp, x9\n"
        "    ldp  x19, x20, [sp, #16]\n"
        "    ldp  x21, x22, [sp, #32]\n"
        "    ldp  x23, x24, [sp, #48]\n"
        "    ldp  x25, x26, [sp, #64]\n"
        "    ldp  x27, x28, [sp, #80]\n"
        "    ldp  d8, d9, [sp, #96]\n"
        "    ldp  d10, d11, [sp, #112]\n"
        "    ldp  d12, d13, [sp, #128]\n"
        "    ldp  d14, d15, [sp, #144]\n"
        "    ldp  x29, x30, [sp], #160\n"
        "    mov  x0, x2\n"
        "    ret\n"
        ".size context_switch, . - context_switch\n");

/* 160 bytes as context_switch leaves them; entry() is in x30's. */
static inline void context_make(struct context *context, char *stack,
                                size_t size, void (*entry)(void))
{
    uintptr_t *top = (uintptr_t *)(void *)(stack + size);

    for (int i = 0; i < 20; i++)
        *--top = 0;
    top[1] = (uintptr_t)entry;
    context->stack_pointer = top;
}

#elif defined(__GLIBC__)

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <ucontext.h>

/*
 * swapcontext would do it all, with a system call for the signal mask
 * in each switch.  So a context is entered with setcontext only once;
 * after that _setjmp and _longjmp, which leave the mask alone, do.
 */
struct context {
    jmp_buf registers;
    void *value; /* for whoever paused here */
    bool fresh;
    ucontext_t start;
};

static inline void context_make(struct context *context, char *stack,
                                size_t size, void (*entry)(void))
{
    context->fresh = true;
    getcontext(&context->start);
    context->start.uc_stack.ss_sp = stack;
    context->start.uc_stack.ss_size = size;
    context->start.uc_link = NULL;
    makecontext(&context->start, entry, 0);
}

/* The signal mask is to stay what it is now. */
static inline void context_begin(struct context *context)
{
    context->fresh = false;
    pthread_sigmask(SIG_SETMASK, NULL, &context->start.uc_sigmask);
    setcontext(&context->start);
}

static inline void *context_switch(struct context *from,
                                   struct context *to, void *value)
{
    to->value = value;
    if (_setjmp(from->registers) != 0)
        return from->value;
    if (to->fresh)
        context_begin(to);
    _longjmp(to->registers, 1);
}

#else
#error                                                                 \
    "coroutines: no way for this processor and C library (no ucontext)"
#endif

#endif
