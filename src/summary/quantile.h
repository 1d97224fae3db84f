/*
 * quantile.h - quantiles of cumulative buckets, as Prometheus computes them
 */
#ifndef AGGWIN_QUANTILE_H
#define AGGWIN_QUANTILE_H

#include "postgres.h"

/* How many have been observed that are not above a bound. */
typedef struct CumulativeBucket
{
	double		le;
	double		count;
} CumulativeBucket;

extern double aggwin_cumulative_quantile(CumulativeBucket *buckets, int length, double fraction);

#endif							/* AGGWIN_QUANTILE_H */
