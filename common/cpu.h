/*
 * cpu.h -- the processors this program may use, and waiting on one.
 */
#ifndef CPU_H
#define CPU_H

#include <stddef.h>

/*
 * How many CPUs the caller may run on, by its affinity mask (what
 * taskset sets): at least 1.
 */
int cpu_count(void);

/*
 * How many CPUs' worth of time the caller's control groups allow, such
 * as 0.5 in a container with half a CPU: INFINITY without a limit, or
 * when that can not be found out.
 */
double cpu_quota(void);

/*
 * The same from a copy of /proc/self/cgroup and of /sys/fs/cgroup, for
 * tests.
 */
double cpu_quota_in(const char *groups, const char *mounts);

/*
 * How often a waiter should look again before it sleeps: waking a
 * sleeping core takes tens of microseconds, a look takes some
 * nanoseconds.  0 when there is one CPU, where looking only keeps
 * the other side from running.  Measured once for each process.
 */
int cpu_spins(void);

/* Tells the core that this is a wait loop. */
static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __asm__ __volatile__("pause");
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

/*
 * Asks for so many bytes that another CPU has written and the caller
 * is about to write: their cache lines come while it does something
 * else.  Any address will do.
 */
static inline void cpu_fetch(const void *memory, size_t size)
{
    const char *bytes = memory;

    for (size_t i = 0; i < size; i += 64) {
#if defined(__x86_64__)
        /* The builtin only asks to read them: a write still waits. */
        __asm__ __volatile__("prefetchw %0" : : "m"(bytes[i]));
#else
        __builtin_prefetch(&bytes[i], 1);
#endif
    }
}

#endif
