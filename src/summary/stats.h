/*
 * stats.h - count, sum, extremes and moments of floats
 */
#ifndef AGGWIN_STATS_H
#define AGGWIN_STATS_H

#include "postgres.h"

#include "core/compat.h"

#include <math.h>

#include "utils/float.h"

typedef struct Stats
{
	int64		count;
	double		sum;			/* infinite when finite values overflowed it */
	double		squares;		/* sum of the squared deviations from the mean; likewise */
	double		min;			/* NaN is the greatest value, as in min() and max() */
	double		max;
} Stats;

extern void aggwin_stats_init(Stats *stats, double value);
extern void aggwin_stats_merge(Stats *into, const Stats *from);
extern const char *aggwin_stats_check(const Stats *stats);
extern void aggwin_stats_settle(Stats *stats);
pg_noreturn extern void aggwin_stats_too_many(void);

/* Add a value. All numbers are without -0.0, which has no place in the text form. */
static inline void
aggwin_stats_add(Stats *stats, double value)
{
	double		n;
	double		distance;

	if (unlikely(stats->count == PG_INT64_MAX))
		aggwin_stats_too_many();
	value += 0.0;
	n = (double) ++stats->count;
	stats->sum += value;
	distance = value * n - stats->sum;
	stats->squares += distance * distance / (n * (n - 1.0));
	if (float8_lt(value, stats->min))
		stats->min = value;
	if (float8_gt(value, stats->max))
		stats->max = value;
	if (unlikely(!isfinite(stats->sum) || !isfinite(stats->squares)))
		aggwin_stats_settle(stats);
}

#endif							/* AGGWIN_STATS_H */
