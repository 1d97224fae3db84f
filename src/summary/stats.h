/*
 * stats.h - count, sum, extremes and moments of floats
 */
#ifndef AGGWIN_STATS_H
#define AGGWIN_STATS_H

#include "postgres.h"

typedef struct Stats
{
	int64		count;
	double		sum;
	double		squares;		/* sum of the squared deviations from the mean */
	double		min;			/* NaN is the greatest value, as in min() and max() */
	double		max;
} Stats;

extern void aggwin_stats_init(Stats *stats, double value);
extern void aggwin_stats_add(Stats *stats, double value);
extern void aggwin_stats_merge(Stats *into, const Stats *from);
extern const char *aggwin_stats_check(const Stats *stats);

#endif							/* AGGWIN_STATS_H */
