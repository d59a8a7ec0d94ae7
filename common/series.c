#include "series.h"

#include <math.h>
#include <stdlib.h>

void series_add(struct series *series, double value)
{
    if (series->count < SERIES_MAX)
        series->values[series->count++] = value;
}

static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

double series_quantile(const struct series *series, double part)
{
    struct series sorted = *series;

    qsort(sorted.values, (size_t)sorted.count, sizeof sorted.values[0],
          by_value);
    return sorted.values[lround(part * (sorted.count - 1))];
}

double series_median(const struct series *series)
{
    return series_quantile(series, 0.5);
}

double series_spread(const struct series *series)
{
    return (series_quantile(series, 0.75) -
            series_quantile(series, 0.25)) /
           series_median(series);
}
