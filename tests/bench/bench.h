/*
 * bench.h -- what the programs of the benchmark share.
 *
 * Each program is called as
 *
 *     PROGRAM MEASUREMENT KIND CPUS
 *
 * with the KIND "processes" or "threads", restricts itself to that
 * many CPUs (0: all it has) before it starts anything, measures once,
 * and prints one number in the unit of the row in `rows`.  A program
 * of its own for each number keeps the contestants out of each
 * other's memory and lets `run` take turns between them.
 */
#ifndef BENCH_H
#define BENCH_H

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"

#define MEASURE_SECONDS 0.2 /* a number takes at least this long */

struct setting {
    bool threads; /* or processes */
    int cpus;     /* 0: as many as there are */
};

struct measurement {
    const char *name;
    double (*run)(const struct setting *setting);
};

/* ------------------------------------------------------- CPUs -- */

/*
 * Restricts the calling thread, and all that it starts, to `count` of
 * the CPUs that it may use now, from the one with the index `first`.
 */
static inline void use_cpus(int first, int count)
{
    cpu_set_t allowed, chosen;
    int index = 0;

    CPU_ZERO(&chosen);
    check_call(sched_getaffinity(0, sizeof(allowed), &allowed),
               "sched_getaffinity");
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed))
            continue;
        if (index >= first && index < first + count)
            CPU_SET(cpu, &chosen);
        index++;
    }
    check_call(sched_setaffinity(0, sizeof(chosen), &chosen),
               "sched_setaffinity");
}

/* ------------------------------------------------------- time -- */

/*
 * Calls once(context) until MEASURE_SECONDS are over, and looks at
 * the clock after each `batch` calls.  Returns the seconds a call
 * took, in the mean.
 */
static inline double seconds_each(void (*once)(void *context),
                                  void *context, int batch)
{
    double start = clock_now();
    double now = start;
    double calls = 0;

    while (now - start < MEASURE_SECONDS) {
        for (int i = 0; i < batch; i++)
            once(context);
        calls += batch;
        now = clock_now();
    }
    return (now - start) / calls;
}

/* How far `seconds` is from `expected`, in percent. */
static inline double deviation(double seconds, double expected)
{
    return fabs(seconds - expected) / expected * 100;
}

/* ---------------------------------------------- work to be done -- */

/*
 * Computes for as long as `loops` say, all in registers.  No compiler
 * knows a shorter way to the result, and each step waits for the one
 * before.
 */
static inline uint32_t compute(uint32_t seed, long loops)
{
    uint32_t x = seed | 1;

    for (long i = 0; i < loops; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
    }
    return x;
}

/*
 * How many loops make a microsecond.  `run` has it measured once, so
 * that all the programs of a run do the same work.
 */
static inline long loops_per_us(void)
{
    const char *text = getenv("BENCH_LOOPS");
    long loops = text == NULL ? 0 : strtol(text, NULL, 10);

    if (loops <= 0) {
        fprintf(stderr, "BENCH_LOOPS is not set; get it from "
                        "`raw calibrate processes 0`\n");
        exit(EXIT_USAGE);
    }
    return loops;
}

/* ----------------------------------------------------- memory -- */

/*
 * In KB: what no file holds.  Program and libc are in memory once for
 * all who run them, whoever else does; a process's share of them tells
 * more of the others than of it.  Nothing of one that has just gone.
 */
static inline long memory_of(long pid)
{
    long total = 0;
    char line[256];
    FILE *file;

    snprintf(line, sizeof(line), "/proc/%ld/smaps_rollup", pid);
    file = fopen(line, "r");
    if (file == NULL && pid == getpid())
        check_pointer(NULL, line); /* a kernel without it */
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        const char *value = line + strcspn(line, " ");
        long size = strtol(value, NULL, 10);

        if (strncmp(line, "Pss_Anon:", 9) == 0 ||
            strncmp(line, "Pss_Shmem:", 10) == 0)
            total += size;
    }
    (void)fclose(file);
    return total;
}

/* 0 when it has just gone. */
static inline long parent_of(long pid)
{
    char text[512];
    const char *end_of_name = NULL;
    FILE *file;

    snprintf(text, sizeof(text), "/proc/%ld/stat", pid);
    file = fopen(text, "r");
    if (file == NULL)
        return 0;
    /* "pid (name) S parent ..."; a name may hold any character. */
    if (fgets(text, sizeof(text), file) != NULL)
        end_of_name = strrchr(text, ')');
    (void)fclose(file);
    if (end_of_name == NULL || strlen(end_of_name) < 4)
        return 0;
    return strtol(end_of_name + 4, NULL, 10);
}

/* At this process and its children. */
static inline long look_at_memory(void)
{
    long total = 0;
    DIR *proc = check_pointer(opendir("/proc"), "opendir /proc");
    const struct dirent *entry;

    while ((entry = readdir(proc)) != NULL) {
        long pid = strtol(entry->d_name, NULL, 10);

        if (pid > 0 && (pid == getpid() || parent_of(pid) == getpid()))
            total += memory_of(pid);
    }
    closedir(proc);
    return total;
}

/* The first look takes memory itself, which the second then sees. */
static inline long program_memory(void)
{
    look_at_memory();
    return look_at_memory();
}

/* ------------------------------------------------------- main -- */

static inline void bench_usage(const struct measurement *measurements,
                               const char *program)
{
    fprintf(stderr,
            "usage: %s MEASUREMENT processes|threads CPUS\n"
            "measurements:",
            program);
    for (; measurements->name != NULL; measurements++)
        fprintf(stderr, " %s", measurements->name);
    fprintf(stderr, "\n");
    exit(EXIT_USAGE);
}

/* `measurements` ends with one that has no name. */
static inline int bench_main(const struct measurement *measurements,
                             int argc, char **argv)
{
    const struct measurement *chosen = measurements;
    struct setting setting;

    if (argc != 4)
        bench_usage(measurements, argv[0]);
    while (chosen->name != NULL && strcmp(chosen->name, argv[1]) != 0)
        chosen++;
    setting.threads = strcmp(argv[2], "threads") == 0;
    setting.cpus = (int)strtol(argv[3], NULL, 10);
    if (chosen->name == NULL ||
        (!setting.threads && strcmp(argv[2], "processes") != 0))
        bench_usage(measurements, argv[0]);

    if (setting.cpus > 0)
        use_cpus(0, setting.cpus);
    if (printf("%.9g\n", chosen->run(&setting)) < 0 ||
        fflush(stdout) != 0)
        check_call(-1, "write to stdout");
    return 0;
}

#endif
