/*
 * cpu_quota.c -- what the control groups allow.
 *
 * /proc/self/cgroup names the caller's groups, a line for each tree:
 *
 *     0::/user.slice/shell            version 2, the only line
 *     4:cpu,cpuacct:/docker/4711      version 1, one of several
 *
 * A limit holds for all groups below it, so the tightest on the way up
 * to the root counts.  In a container the path may be the one outside,
 * which does not exist inside; the way up leads to where the container
 * begins.
 */
#include "cpu.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_SIZE = 4096, MOUNT_SIZE = 4096, GROUP_SIZE = 8192 };

/* The first line of the file, "" if there is none. */
static void read_line(const char *path, char *line, int size)
{
    FILE *file = fopen(path, "re");

    if (file == NULL || fgets(line, size, file) == NULL)
        line[0] = '\0';
    if (file != NULL)
        (void)fclose(file); /* was only read */
}

/* No limit is "max" or -1: no number, or none above 0. */
static double ratio(double quota, double period)
{
    return quota > 0 && period > 0 ? quota / period : INFINITY;
}

/* In version 2 both stand in one line: "150000 100000". */
static double quota_v2(const char *group)
{
    char path[GROUP_SIZE + 32], line[64], *rest;
    double quota;

    snprintf(path, sizeof path, "%s/cpu.max", group);
    read_line(path, line, sizeof line);
    quota = strtod(line, &rest);
    return ratio(quota, strtod(rest, NULL));
}

static double read_number(const char *group, const char *name)
{
    char path[GROUP_SIZE + 32], line[64];

    snprintf(path, sizeof path, "%s/%s", group, name);
    read_line(path, line, sizeof line);
    return strtod(line, NULL);
}

static double quota_v1(const char *group)
{
    return ratio(read_number(group, "cpu.cfs_quota_us"),
                 read_number(group, "cpu.cfs_period_us"));
}

/* From the group up to the root of its tree. */
static double tightest(const char *mount, const char *path,
                       double (*quota)(const char *group))
{
    char group[GROUP_SIZE];
    size_t root = strlen(mount);
    double least = INFINITY;
    char *slash;

    snprintf(group, sizeof group, "%s%s", mount, path);
    do {
        least = fmin(least, quota(group));
        slash = strrchr(group + root, '/');
        if (slash != NULL)
            *slash = '\0';
    } while (slash != NULL);
    return least;
}

/* Is "cpu" one of "cpu,cpuacct"? */
static int names_cpu(char *controllers)
{
    char *rest;

    for (char *name = strtok_r(controllers, ",", &rest); name != NULL;
         name = strtok_r(NULL, ",", &rest))
        if (strcmp(name, "cpu") == 0)
            return 1;
    return 0;
}

/* "4:cpu,cpuacct:/path" without its newline. */
static double quota_of_line(char *line, const char *mounts)
{
    char mount[MOUNT_SIZE];
    char *controllers = strchr(line, ':');
    char *path =
        controllers == NULL ? NULL : strchr(controllers + 1, ':');

    if (path == NULL)
        return INFINITY;
    *path++ = '\0';
    controllers++;
    if (controllers[0] == '\0')
        return tightest(mounts, path, quota_v2);
    snprintf(mount, sizeof mount, "%s/%s", mounts, controllers);
    if (!names_cpu(controllers))
        return INFINITY;
    return tightest(mount, path, quota_v1);
}

double cpu_quota_in(const char *groups, const char *mounts)
{
    FILE *file = fopen(groups, "re");
    double least = INFINITY;
    char line[LINE_SIZE];

    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        least = fmin(least, quota_of_line(line, mounts));
    }
    if (file != NULL)
        (void)fclose(file); /* was only read */
    return least;
}

double cpu_quota(void)
{
    return cpu_quota_in("/proc/self/cgroup", "/sys/fs/cgroup");
}
