/* shared_test.c -- what shared.h promises. */
#include "test.h"

#include <errno.h>
#include <stdint.h>
#include <sys/resource.h>

#include "process.h"
#include "shared.h"

static void memory_is_all_zeros(void)
{
    static const size_t sizes[] = {1, 4096, 100001};

    for (int i = 0; i < 3; i++) {
        char *memory = shared_alloc(sizes[i]);

        expect(memory != NULL);
        for (size_t at = 0; at < sizes[i]; at++)
            expect_int(memory[at], 0);
        shared_free(memory, sizes[i]);
    }
}

static int *numbers;

static int write_numbers(void *seen_here)
{
    expect(seen_here == numbers);
    expect_int(numbers[0], 1);
    for (int i = 1; i < 1000; i++)
        numbers[i] = i * i;
    return 0;
}

static void what_a_child_writes_its_parent_sees(void)
{
    struct process child;

    numbers = shared_alloc(1000 * sizeof *numbers);
    expect(numbers != NULL);
    numbers[0] = 1;
    expect_int(process_start(&child, write_numbers, numbers), 0);
    expect_int(process_join(&child, 20), 0);
    expect_int(child.exitcode, 0);
    for (int i = 1; i < 1000; i++)
        expect_int(numbers[i], i * i);
}

static int free_numbers(void *unused)
{
    (void)unused;
    shared_free(numbers, 1000 * sizeof *numbers);
    return 0;
}

static void a_child_that_frees_it_leaves_its_parents_view(void)
{
    struct process child;

    numbers = shared_alloc(1000 * sizeof *numbers);
    expect(numbers != NULL);
    numbers[999] = 7;
    expect_int(process_start(&child, free_numbers, NULL), 0);
    expect_int(process_join(&child, 20), 0);
    expect_int(numbers[999], 7);
}

static void a_refused_size_is_told(void)
{
    errno = 0;
    expect(shared_alloc(0) == NULL);
    expect_int(errno, EINVAL);
    errno = 0;
    expect(shared_alloc(SIZE_MAX / 2) == NULL);
    expect_int(errno, ENOMEM);
}

static void memory_that_the_system_refuses_is_told(void)
{
    struct rlimit before, little;
    void *memory;
    int error;

    expect_int(getrlimit(RLIMIT_AS, &before), 0);
    little = (struct rlimit){64 << 20, before.rlim_max};
    expect_int(setrlimit(RLIMIT_AS, &little), 0);
    errno = 0;
    memory = shared_alloc(65 << 20);
    error = errno;
    expect_int(setrlimit(RLIMIT_AS, &before), 0);
    expect(memory == NULL);
    expect_int(error, ENOMEM);
}

/* Far more than a small machine, or its /dev/shm, has. */
static void pages_take_no_room_before_they_are_written_to(void)
{
    size_t size = (size_t)4 << 30;
    char *memory = shared_alloc(size);

    if (memory == NULL)
        test_skip("needs 4 GB of addresses");
    memory[0] = memory[size / 2] = memory[size - 1] = 1;
    shared_free(memory, size);
}

static void free_of_NULL_does_nothing(void)
{
    shared_free(NULL, 100);
}

static const struct test tests[] = {
    TEST(memory_is_all_zeros),
    TEST(what_a_child_writes_its_parent_sees),
    TEST(a_child_that_frees_it_leaves_its_parents_view),
    TEST(a_refused_size_is_told),
    TEST(memory_that_the_system_refuses_is_told),
    TEST(pages_take_no_room_before_they_are_written_to),
    TEST(free_of_NULL_does_nothing),
    {0},
};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
