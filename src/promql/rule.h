/*
 * rule.h - what a pipeline computes
 */
#ifndef AGGWIN_RULE_H
#define AGGWIN_RULE_H

#include "promql/ast.h"

/* What becomes of each series' samples in a window. */
typedef enum PromFunction
{
	PROM_SAMPLES,				/* nothing: the aggregation takes the samples themselves */
	PROM_INCREASE,
	PROM_RATE,
	PROM_SUM_OVER_TIME,
	PROM_COUNT_OVER_TIME,
	PROM_AVG_OVER_TIME,
	PROM_MIN_OVER_TIME,
	PROM_MAX_OVER_TIME,
	PROM_LAST_OVER_TIME,
	PROM_STDDEV_OVER_TIME,
	PROM_QUANTILE_OVER_TIME,
} PromFunction;

/* What becomes of the series of a group. */
typedef enum PromAggregation
{
	PROM_NOT_AGGREGATED,		/* every series is a result of its own */
	PROM_SUM,
	PROM_COUNT,					/* of series */
	PROM_MIN,
	PROM_MAX,
	PROM_AVG,					/* with PROM_SAMPLES: the mean of all samples */
	PROM_QUANTILE,				/* likewise */
	PROM_SUM2,					/* with PROM_SAMPLES only: the reset-aware running sum */
} PromAggregation;

/*
 * From the inside out: function, aggregation, histogram_quantile, topk. Sums,
 * counts and extremes of samples themselves are put as those of a function:
 * sum(m[1m]) as sum(sum_over_time(m[1m])), count(m[1m]) as
 * sum(count_over_time(m[1m])); and increase by (a) (m[1m]) as
 * sum by (a) (increase(m[1m])).
 */
typedef struct PromRule
{
	PromSelector selector;
	int64		range;			/* the window's width, milliseconds, more than 0 */
	PromFunction function;
	double		function_fraction;	/* of PROM_QUANTILE_OVER_TIME, 0 to 1 */
	PromAggregation aggregation;
	double		fraction;		/* of PROM_QUANTILE, 0 to 1 */
	PromGrouping grouping;		/* of the aggregation; PROM_UNGROUPED: all are one group */
	bool		histogram;		/* buckets, by label le, become a quantile */
	double		histogram_fraction; /* 0 to 1 */
	int			top;			/* only so many results, the largest, are kept; 0: all */
	PromGrouping top_grouping;	/* so many in each group */
} PromRule;

/* Results of topk, at most. */
#define AGGWIN_PROMQL_MAX_TOP 100000

/* check.c */
extern bool aggwin_promql_check(const PromExpr *expr, PromRule *rule, PromError *error);

#endif							/* AGGWIN_RULE_H */
