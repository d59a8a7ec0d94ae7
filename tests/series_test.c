/* series_test.c -- what series.h promises. */
#include "test.h"

#include "series.h"

static struct series series;

static void put(const double *values, int count)
{
    series.count = 0;
    for (int i = 0; i < count; i++)
        series_add(&series, values[i]);
}

static void finds_the_least_the_middle_and_the_greatest(void)
{
    put((double[]){5, 1, 4, 2, 3}, 5);
    expect(series_quantile(&series, 0) == 1);
    expect(series_median(&series) == 3);
    expect(series_quantile(&series, 1) == 5);
    expect(series.values[0] == 5); /* as it was added */
    put((double[]){7}, 1);
    expect(series_quantile(&series, 0) == 7);
    expect(series_median(&series) == 7);
    expect(series_quantile(&series, 1) == 7);
}

static void tells_how_steady_it_is(void)
{
    put((double[]){2, 2, 2, 2, 2}, 5);
    expect(series_spread(&series) == 0);
    put((double[]){3, 1, 2, 100, 0}, 5);
    expect(series_spread(&series) == 1);
}

static void is_full_one_day(void)
{
    for (int i = 0; i < SERIES_MAX + 10; i++)
        series_add(&series, i);
    expect_int(series.count, SERIES_MAX);
    expect(series_quantile(&series, 1) == SERIES_MAX - 1);
}

static const struct test tests[] = {
    TEST(finds_the_least_the_middle_and_the_greatest),
    TEST(tells_how_steady_it_is),
    TEST(is_full_one_day),
    {0},
};

int main(int argc, char **argv)
{
    return test_main(tests, argc, argv);
}
