/*
 * query.c - a pipeline's rule as the query of a window
 *
 * From the inside out, each a step of SQL:
 *
 *		series		the function: a value for each series, of its panes
 *		groups		the aggregation: a value for each result (and bound of a histogram)
 *		results		histogram_quantile, topk: what is left of them
 *
 * What happens between two samples belongs to the window of the later one. So an
 * increase needs the sample before the window, which is looked up among the samples
 * themselves; and a late sample may change windows after its own.
 */
#include "postgres.h"

#include "pipeline/query.h"

#include "lib/stringinfo.h"
#include "metrics/metric_rollup.h"
#include "pipeline/mapping.h"
#include "utils/builtins.h"
#include "utils/float.h"

/* Of a series' panes "x": how much it has increased since the last value before the window. */
#define INCREASE "coalesce(aggwin.increase(x.counter), 0)"

/* What it begins with, if there is no such value. */
#define BEGINNING "CASE WHEN aggwin.first_time(x.counter) >= aggwin.current_window_start()" \
	" THEN aggwin.first_val(x.counter) ELSE 0 END"

#define SUM "CASE WHEN x.nans > 0 THEN 'NaN' ELSE " AGGWIN_SUM_OF("x.stats") " END"
#define LARGEST "greatest(abs(aggwin.min_val(x.stats)), abs(aggwin.max_val(x.stats)))"
#define COUNT "(coalesce(aggwin.num_vals(x.stats), 0) + x.nans)::float8"

/* Which windows a late sample changes, as aggwin.pipeline says it (touched.c). */
const char *
aggwin_rule_reach(const PromRule *rule)
{
	if (rule->aggregation == PROM_SUM2)
		return "later";
	return rule->function == PROM_INCREASE || rule->function == PROM_RATE ? "next" : "own";
}

static char *
number(double value)
{
	return psprintf("'%s'::float8", float8out_internal(value));
}

/* The value of a series' panes "x"; NULL: none. */
static char *
series_value(const PromRule *rule)
{
	switch (rule->function)
	{
		case PROM_SAMPLES:
			return pstrdup(rule->aggregation == PROM_SUM2
						   ? "CASE WHEN x.counter IS NOT NULL THEN " BEGINNING " + " INCREASE " END"
						   : SUM);
		case PROM_INCREASE:
			return pstrdup("CASE WHEN x.counter IS NOT NULL THEN " INCREASE " END");
		case PROM_RATE:
			return psprintf("CASE WHEN x.counter IS NOT NULL THEN " INCREASE " / %s END",
							number(rule->range / 1000.0));
		case PROM_SUM_OVER_TIME:
			return pstrdup(SUM);
		case PROM_COUNT_OVER_TIME:
			return pstrdup(COUNT);
		case PROM_AVG_OVER_TIME:
			return pstrdup("(" SUM ") / " COUNT);
		case PROM_MIN_OVER_TIME:
			return pstrdup("coalesce(aggwin.min_val(x.stats), 'NaN')");
		case PROM_MAX_OVER_TIME:
			return pstrdup("coalesce(aggwin.max_val(x.stats), 'NaN')");
		case PROM_STDDEV_OVER_TIME:
			/* Squares overflow sooner than sums. */
			return pstrdup("CASE WHEN x.nans > 0 OR " LARGEST " = 'Infinity' THEN 'NaN'"
						   " WHEN " LARGEST " < 1e150 THEN aggwin.stddev_pop(x.stats) ELSE 'Infinity' END");
		case PROM_QUANTILE_OVER_TIME:
			return psprintf("coalesce(aggwin.percentile(x.percentiles, %s), 'NaN')",
							number(rule->function_fraction));
		case PROM_LAST_OVER_TIME:
			/* Counters have neither NaN nor what is too large for them. */
			return pstrdup("CASE WHEN x.nans = 0 AND " LARGEST " < 1e300 THEN aggwin.last_val(x.counter) ELSE"
						   " (SELECT p.value FROM aggwin.samples AS p WHERE p.series_id = x.series_id"
						   " AND p.ts >= (SELECT aggwin.current_window_start()) AND p.ts < (SELECT aggwin.current_window_end())"
						   " AND NOT aggwin.is_stale(p.value) ORDER BY p.ts DESC LIMIT 1) END");
	}
	return NULL;
}

/*
 * Between two values of the group. As in Prometheus, NaN is the smallest, and next to an
 * infinity is NaN: percentile_cont() sorts it to the other end.
 */
static char *
quantile_of_values(double fraction)
{
	return psprintf("(SELECT q.sorted[q.place] * (1 - q.share) + q.sorted[least(q.place + 1, cardinality(q.sorted))] * q.share"
					" FROM (SELECT a.sorted, 1 + floor(r.rank)::int AS place, r.rank - floor(r.rank) AS share"
					" FROM (SELECT array_agg(v.value ORDER BY v.value <> 'NaN', v.value) AS sorted) AS a"
					" CROSS JOIN LATERAL (SELECT %s * (cardinality(a.sorted) - 1) AS rank) AS r) AS q)",
					number(fraction));
}

/* What becomes of the values "v" of a group. NaN counts as in Prometheus. */
static char *
group_value(const PromRule *rule)
{
	bool		samples = rule->function == PROM_SAMPLES;

	switch (rule->aggregation)
	{
		case PROM_NOT_AGGREGATED:
			break;
		case PROM_SUM:
			return pstrdup("sum(v.value)");
		case PROM_COUNT:
			return pstrdup("count(*)::float8");
		case PROM_MIN:
			return pstrdup("min(v.value)");
		case PROM_MAX:
			return pstrdup("coalesce(max(v.value) FILTER (WHERE v.value <> 'NaN'), 'NaN')");
		case PROM_AVG:
			return pstrdup(samples ? "sum(v.value) / sum(v.weight)" : "avg(v.value)");
		case PROM_QUANTILE:
			return samples
				? psprintf("coalesce(aggwin.percentile(aggwin.merge(v.percentiles), %s), 'NaN')", number(rule->fraction))
				: quantile_of_values(rule->fraction);
		case PROM_SUM2:
			break;
	}
	return pstrdup("sum(v.value)");
}

/* Only so many results, the largest. */
static void
append_top(StringInfo s, const PromRule *rule, const char *from)
{
	if (rule->top == 0)
	{
		appendStringInfo(s, " SELECT g.result_id, g.value FROM %s AS g WHERE g.value IS NOT NULL", from);
		return;
	}
	appendStringInfo(s, " SELECT t.result_id, t.value FROM (SELECT g.result_id, g.value, row_number() OVER ("
					 "PARTITION BY %s ORDER BY g.value = 'NaN', g.value DESC, g.result_id) AS place"
					 " FROM %s AS g JOIN aggwin.series AS s ON s.series_id = g.result_id"
					 " WHERE g.value IS NOT NULL) AS t WHERE t.place <= %d",
					 aggwin_sql_grouped_labels(&rule->top_grouping, "s.labels"), from, rule->top);
}

/*
 * The rows of a window: result_id and value. view has a row for each series, as
 * aggwin.series_panes() gives them.
 */
char *
aggwin_pipeline_query(int32 pipeline_id, const PromRule *rule, const char *view)
{
	bool		bounded = rule->histogram;
	const char *from = bounded ? "quantiles" : "groups";
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfo(&s, "WITH series AS (SELECT m.result_id, m.le, %s AS value, %s AS weight, x.percentiles"
					 " FROM %s AS x JOIN aggwin.pipeline_series AS m ON m.pipeline_id = %d AND m.series_id = x.series_id",
					 series_value(rule), COUNT, view, pipeline_id);
	appendStringInfo(&s, "), groups AS (SELECT v.result_id%s, %s AS value FROM series AS v"
					 " WHERE v.value IS NOT NULL GROUP BY v.result_id%s)",
					 bounded ? ", v.le" : "", group_value(rule), bounded ? ", v.le" : "");
	if (bounded)
		appendStringInfo(&s, ", quantiles AS (SELECT g.result_id, aggwin.histogram_quantile(%s, g.le, g.value) AS value"
						 " FROM groups AS g GROUP BY g.result_id)", number(rule->histogram_fraction));
	if (rule->aggregation == PROM_SUM2)
	{
		appendStringInfo(&s, ", totals AS (SELECT g.result_id, coalesce(t.value, 0) + g.value AS value"
						 " FROM groups AS g LEFT JOIN aggwin.totals_before(%d, aggwin.current_window_start()) AS t"
						 " ON t.result_id = g.result_id)", pipeline_id);
		from = "totals";
	}
	append_top(&s, rule, from);
	return s.data;
}
