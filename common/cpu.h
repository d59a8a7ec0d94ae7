/*
 * cpu.h -- the processors this program may use, and waiting on one.
 */
#ifndef CPU_H
#define CPU_H

/*
 * How many CPUs the caller may run on, by its affinity mask (what
 * taskset sets): at least 1.
 */
int cpu_count(void);

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

#endif
