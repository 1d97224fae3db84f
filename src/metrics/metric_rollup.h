/*
 * metric_rollup.h - the rollups that answer what is asked of metrics
 */
#ifndef AGGWIN_METRIC_ROLLUP_H
#define AGGWIN_METRIC_ROLLUP_H

#include "postgres.h"

#include "metrics/tables.h"

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
extern char *aggwin_sql_series_group(const MetricRollup *rollup, const char *series);

#endif							/* AGGWIN_METRIC_ROLLUP_H */
