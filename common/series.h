/*
 * series.h -- the same thing measured again and again.
 *
 * One measurement says little: a neighbour may have had the CPU.  All 0
 * is a series that nothing was added to yet.
 */
#ifndef SERIES_H
#define SERIES_H

enum { SERIES_MAX = 1000 };

struct series {
    double values[SERIES_MAX];
    int count;
};

/* What comes after SERIES_MAX values is not kept. */
void series_add(struct series *series, double value);

/*
 * The least value for `part` 0, the median for 0.5, the greatest for
 * 1.  The series must not be empty.
 */
double series_quantile(const struct series *series, double part);
double series_median(const struct series *series);

/* The width of the middle half, in medians: 0.1 is quite steady. */
double series_spread(const struct series *series);

#endif
