/* cpu_test.c -- what cpu.h promises. */
#include "test.h"

#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <sched.h>
#include <sys/stat.h>

#include "cpu.h"

/* ----------------------------------------------- the affinity -- */

static void counts_the_cpus_of_the_mask(void)
{
    cpu_set_t mask;
    size_t first = 0;

    expect_int(sched_getaffinity(0, sizeof mask, &mask), 0);
    expect_int(cpu_count(), CPU_COUNT(&mask));
    while (!CPU_ISSET(first, &mask))
        first++;
    CPU_ZERO(&mask);
    CPU_SET(first, &mask);
    expect_int(sched_setaffinity(0, sizeof mask, &mask), 0);
    expect_int(cpu_count(), 1);
    expect_int(cpu_spins(), 0);
}

/* -------------------------------------------------- the quota -- */

/* A tree of control groups in a folder, which is gone at the end. */
static char root[] = "/tmp/cpu_test-XXXXXX";

static int remove_entry(const char *path, const struct stat *status,
                        int kind, struct FTW *place)
{
    (void)status, (void)kind, (void)place;
    return remove(path);
}

static void remove_tree(void)
{
    nftw(root, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* Writes it below the root, with the folders that it stands in. */
static void put(const char *name, const char *text)
{
    char path[256];
    int file;

    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = strchr(path + strlen(root) + 1, '/');
         slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    expect(file >= 0);
    expect_int(write(file, text, strlen(text)), strlen(text));
    close(file);
}

/* What it says for these groups, in hundredths; -1 without a limit. */
static int quota_for(const char *groups)
{
    char list[256], mounts[256];
    double quota;

    put("list", groups);
    snprintf(list, sizeof list, "%s/list", root);
    snprintf(mounts, sizeof mounts, "%s/groups", root);
    quota = cpu_quota_in(list, mounts);
    return quota == INFINITY ? -1 : (int)lround(100 * quota);
}

static void plant_tree(void)
{
    expect(mkdtemp(root) != NULL);
    atexit(remove_tree);
}

static void reads_version_2(void)
{
    plant_tree();
    put("groups/none", "");
    expect_int(quota_for("0::/\n"), -1);
    put("groups/cpu.max", "150000 100000\n");
    expect_int(quota_for("0::/\n"), 150);
    put("groups/cpu.max", "max 100000\n");
    expect_int(quota_for("0::/\n"), -1);
}

static void takes_the_tightest_above(void)
{
    plant_tree();
    put("groups/a/b/c/cpu.max", "max 100000\n");
    put("groups/a/b/cpu.max", "300000 100000\n");
    put("groups/a/cpu.max", "5000 10000\n");
    expect_int(quota_for("0::/a/b/c\n"), 50);
    put("groups/a/cpu.max", "max 10000\n");
    expect_int(quota_for("0::/a/b/c\n"), 300);
    expect_int(quota_for("0::/a\n"), -1);
}

static void reads_version_1(void)
{
    static const char groups[] =
        "5:memory:/m\n4:cpuset:/box\n3:cpu,cpuacct:/box\n0::/\n";

    plant_tree();
    put("groups/cpu,cpuacct/box/cpu.cfs_quota_us", "-1\n");
    put("groups/cpu,cpuacct/box/cpu.cfs_period_us", "100000\n");
    expect_int(quota_for(groups), -1);
    put("groups/cpu,cpuacct/box/cpu.cfs_quota_us", "25000\n");
    expect_int(quota_for(groups), 25);
    put("groups/cpu/cpu.cfs_quota_us", "400000\n");
    put("groups/cpu/cpu.cfs_period_us", "100000\n");
    expect_int(quota_for("1:cpu:/\n"), 400);
}

/* The path is the one outside. */
static void finds_the_limit_of_a_container(void)
{
    plant_tree();
    put("groups/cpu.max", "200000 100000\n");
    expect_int(quota_for("0::/system.slice/docker-4711.scope\n"), 200);
}

static void survives_nonsense(void)
{
    plant_tree();
    put("groups/cpu.max", "many\n");
    put("groups/cpu/cpu.cfs_quota_us", "100000\n");
    put("groups/cpu/cpu.cfs_period_us", "0\n");
    expect_int(quota_for(""), -1);
    expect_int(quota_for("0::/\n"), -1);
    expect_int(quota_for("1:cpu:/\n"), -1);
    expect_int(quota_for("no colon\n:\n::\n0:cpu\n"), -1);
    expect(cpu_quota_in("/nowhere", "/nowhere") == INFINITY);
    expect(cpu_quota() > 0);
}

static const struct test tests[] = {
    TEST(counts_the_cpus_of_the_mask),
    TEST(reads_version_2),
    TEST(takes_the_tightest_above),
    TEST(reads_version_1),
    TEST(finds_the_limit_of_a_container),
    TEST(survives_nonsense),
    {0},
};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
