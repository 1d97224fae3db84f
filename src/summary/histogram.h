/*
 * histogram.h - counts between fixed bounds
 *
 * Bucket i holds what is above bound i - 1 and not above bound i; bucket 0
 * begins at -Infinity, the last one ends at Infinity.
 */
#ifndef AGGWIN_HISTOGRAM_H
#define AGGWIN_HISTOGRAM_H

#include "postgres.h"

#define HISTOGRAM_MAX_BOUNDS	4096

typedef struct Histogram
{
	int32		nbounds;		/* buckets: one more */
	int32		unused;			/* zero */
	int64		count;
	double		sum;			/* infinite when finite values overflowed it */
	double		min;			/* of the finite values; Infinity if there is none */
	double		max;			/* likewise; -Infinity */
	int64		minus_infinity; /* how many of bucket 0 are */
	int64		plus_infinity;	/* how many of the last bucket are */
	double		bounds[FLEXIBLE_ARRAY_MEMBER];
	/* followed by int64 counts[nbounds + 1] */
} Histogram;

#define HISTOGRAM_SIZE(nbounds) \
	(offsetof(Histogram, bounds) + (Size) (nbounds) * sizeof(double) + \
	 ((Size) (nbounds) + 1) * sizeof(int64))

static inline int64 *
aggwin_histogram_counts(const Histogram *histogram)
{
	return (int64 *) &histogram->bounds[histogram->nbounds];
}

extern void aggwin_histogram_init(Histogram *histogram, const double *bounds, int nbounds);
extern bool aggwin_histogram_add(Histogram *histogram, double value);
extern bool aggwin_histogram_merge(Histogram *into, const Histogram *from);
extern bool aggwin_histogram_same_bounds(const Histogram *histogram, const double *bounds, int nbounds);
extern const char *aggwin_histogram_check(const Histogram *histogram);
extern double aggwin_histogram_min(const Histogram *histogram);
extern double aggwin_histogram_max(const Histogram *histogram);
extern double aggwin_histogram_percentile(const Histogram *histogram, double fraction);
extern double aggwin_histogram_cdf(const Histogram *histogram, double value);

#endif							/* AGGWIN_HISTOGRAM_H */
