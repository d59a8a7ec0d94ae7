/*
 * pool_internal_test.c -- deaths at a moment that only a look inside
 * the pool can bring about.
 */
#include "pool_help.h"
#include "pool_internal.h"

static struct pool *pool_here; /* of those forked later */

/* So many bytes of a slot's number are copied when the kernel kills. */
static int die_in_memcpy(void *context)
{
    atomic_int *bytes = context;
    int slot = NO_SLOT, number = 5;

    if (pool_here == NULL || atomic_load(bytes) == sizeof slot)
        return 0;
    memcpy(&slot, &number, (size_t)atomic_fetch_add(bytes, 1));
    atomic_store(&pool_here->floor->workers[0].slot, slot);
    return kill(getpid(), SIGKILL);
}

static void a_number_half_noted_is_none(void)
{
    atomic_int *bytes = shared_alloc(sizeof *bytes);
    struct pool_options options = {.initializer = die_in_memcpy,
                                   .context = bytes};

    expect(bytes != NULL);
    pool_here = pool_open_with(&pool_processes, 1, &options);
    expect(pool_here != NULL);
    expect_int(take_int(submit_int(pool_here, twice, 21)), 42);
    expect_end(submit_bare(pool_here, die), EOWNERDEAD);
    for (int i = 0; i < 10; i++)
        expect_int(take_int(submit_int(pool_here, twice, i)), 2 * i);
    expect_int(atomic_load(bytes), sizeof(int));
    finish_pool(pool_here);
    expect_childless();
}

static const struct test tests[] = {TEST(a_number_half_noted_is_none),
                                    {0}};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
