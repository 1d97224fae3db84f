/*
 * metric_rollup.h - the rollups that answer what is asked of metrics
 */
#ifndef AGGWIN_METRIC_ROLLUP_H
#define AGGWIN_METRIC_ROLLUP_H

#include "postgres.h"

#include "metrics/tables.h"

/*
 * The sum in a column "stats", as SQL. One that overflows is infinite, as in Prometheus: an
 * error for one series would be one for all that are asked for.
 */
#define AGGWIN_SUM_OF(stats) "CASE WHEN greatest(abs(aggwin.min_val(" stats ")), abs(aggwin.max_val(" stats "))) < 1e290" \
	" THEN aggwin.total(" stats ") ELSE (" stats "::json ->> 'sum')::float8 END"

/*
 * What is kept of samples in a bucket, as SQL: NaN and stale marks are no numbers, and
 * increases of what is too large would overflow. percentiles is an aggregate, as a literal.
 */
#define AGGWIN_SUMMARIES(percentiles) "count(*) FILTER (WHERE value = 'NaN') AS nans," \
	" aggwin.stats_agg(value) FILTER (WHERE value <> 'NaN') AS stats, " \
	percentiles " FILTER (WHERE value <> 'NaN') AS percentiles"
#define AGGWIN_COUNTER "aggwin.counter_agg(ts, value) FILTER (WHERE abs(value) < 1e300) AS counter"
#define AGGWIN_SUMMARIZED " FROM aggwin.samples WHERE NOT aggwin.is_stale(value)"

/* Which series a metric rollup is of, and how it groups them. As SQL literals. */
typedef struct MetricRollup
{
	Oid			view;			/* of the base */
	bool		grouped;
	char	   *pattern;		/* of the server's regular expressions; NULL: all metrics */
	char	   *keep;			/* text[]; NULL: all labels */
	char	   *drop;			/* text[]; NULL: none */
} MetricRollup;

/* What is asked of metrics. */
typedef struct MetricNeeds
{
	Datum		metrics;		/* text[]: names */
	Datum		labels;			/* text[]: names */
	bool		each_series;	/* all labels, and what only series have: a counter */
} MetricNeeds;

extern void aggwin_find_metric_rollup(Oid view, const MetricNeeds *needs, MetricRollup *rollup);
extern char *aggwin_sql_only_labels(const char *labels, const char *names);
extern char *aggwin_sql_series_group(const MetricRollup *rollup, const char *series);

#endif							/* AGGWIN_METRIC_ROLLUP_H */
