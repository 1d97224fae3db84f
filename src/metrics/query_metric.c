/*
 * query_metric.c - what metrics were, by buckets of time
 */
#include "postgres.h"

#include "metrics/picked.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(aggwin_query_metric);
PG_FUNCTION_INFO_V1(aggwin_query_counter);

/* Arguments of query_metric() and query_counter(). */
enum
{
	ARG_METRIC,
	ARG_LABELS,
	ARG_FROM,
	ARG_TO,
	ARG_RESOLUTION,
	ARG_MAX_POINTS,
	ARG_EDGES,
	ARG_BY,
	ARG_ROLLUP,
};

static const char *const query_args[] = {
	NULL, NULL, "from", "to", "resolution", "max_points", "edges", NULL, NULL
};

static const PickedArgs picked_args = {
	.metric = ARG_METRIC, .labels = ARG_LABELS, .from = ARG_FROM, .to = ARG_TO,
	.by = ARG_BY, .rollup = ARG_ROLLUP
};

/* Are buckets at the edges to lie inside of the range? */
static bool
read_edges(text *edges)
{
	char	   *given = text_to_cstring(edges);

	if (strcmp(given, "inside") == 0)
		return true;
	if (strcmp(given, "overlapping") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("edges must be 'inside' or 'overlapping'")));
	return false;
}

static void
take_resolution(RangeQuery *range, const char *resolution)
{
	range->shown = *aggwin_tier(&range->names, range->lowest);
	if (strcmp(resolution, "auto") == 0)
	{
		aggwin_range_choose_step(range);
		return;
	}
	range->shown.interval =
		DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(resolution),
											  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
	aggwin_range_take_step(range);
}

/*
 * Answer a question about buckets: make_sql gives the query, whose rows are
 * those of the function.
 */
static Datum
answer(FunctionCallInfo fcinfo, bool each_series, char *(*make_sql) (Picked *picked))
{
	Picked		picked = {0};
	char	   *resolution;
	bool		inside;
	Sandbox		saved;

	InitMaterializedSRF(fcinfo, 0);
	aggwin_require_args(fcinfo, lengthof(query_args), query_args);
	resolution = text_to_cstring(PG_GETARG_TEXT_PP(ARG_RESOLUTION));
	inside = read_edges(PG_GETARG_TEXT_PP(ARG_EDGES));
	picked.range.max_points = PG_GETARG_INT32(ARG_MAX_POINTS);
	if (picked.range.max_points < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_points must be at least 1")));

	aggwin_spi_connect();
	if (aggwin_pick(fcinfo, &picked_args, each_series, &picked))
	{
		aggwin_sandbox_enter(&saved, picked.range.owner, true);
		take_resolution(&picked.range, resolution);
		if (aggwin_range_align(&picked.range, inside))
		{
			aggwin_picked_run(&picked, make_sql(&picked));
			/* The owner of aggwin.series may have given other types to its columns. */
			if (!aggwin_spi_fits(((ReturnSetInfo *) fcinfo->resultinfo)->setDesc))
				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						 errmsg("metric rollup %s or aggwin.series do not have their columns any more",
								aggwin_relation_name(picked.rollup.view)),
						 errhint("Restore the columns, or drop the rollup and make it again by aggwin.create_metric_rollup().")));
			aggwin_spi_return_rows(fcinfo);
		}
		aggwin_sandbox_leave(&saved);
	}
	aggwin_spi_finish();
	return (Datum) 0;
}

/* The rows q of what the rollup keeps, joined with the series g that are shown. */
static char *
joined(const Picked *picked, const char *columns, const char *rows, const char *key)
{
	return psprintf("SELECT q.bucket, g.series_id, g.labels, %s FROM %s AS q JOIN (%s) AS g ON g.key = q.%s%s",
					columns, rows, aggwin_picked_series(picked), key,
					picked->merged ? " GROUP BY q.bucket, g.series_id, g.labels" : "");
}

static char *
metric_sql(Picked *picked)
{
	const char *summaries = picked->merged ? "sum(q.nans)::bigint AS nans, aggwin.merge(q.stats) AS stats,"
		" aggwin.merge(q.percentiles) AS percentiles" : "q.nans, q.stats, q.percentiles";

	return psprintf("SELECT a.bucket, a.series_id, a.labels, coalesce(aggwin.num_vals(a.stats), 0) + a.nans,"
					" CASE WHEN a.stats IS NULL THEN 'NaN' ELSE aggwin.min_val(a.stats) END,"
					" CASE WHEN a.stats IS NULL THEN 'NaN' ELSE aggwin.max_val(a.stats) END,"
					" CASE WHEN a.nans > 0 THEN 'NaN' ELSE " AGGWIN_SUM_OF("a.stats") " END,"
					" CASE WHEN a.nans > 0 THEN 'NaN' ELSE " AGGWIN_SUM_OF("a.stats") " / aggwin.num_vals(a.stats) END,"
					" aggwin.percentile(a.percentiles, 0.5), aggwin.percentile(a.percentiles, 0.95),"
					" aggwin.percentile(a.percentiles, 0.99)"
					" FROM (%s) AS a ORDER BY a.bucket, a.series_id, a.labels",
					joined(picked, summaries, psprintf("(%s)", aggwin_picked_answer(picked)),
						   picked->rollup.grouped ? "group_id" : "series_id"));
}

/*
 * aggwin.query_metric(metric, labels, from, to, resolution, max_points, edges, by,
 * rollup): see doc/reference.md.
 */
Datum
aggwin_query_metric(PG_FUNCTION_ARGS)
{
	return answer(fcinfo, false, metric_sql);
}

/*
 * The end of what the rollup knows alone, of the time before the range: where
 * partitions have gone, or rows may have been deleted.
 */
static char *
horizon_sql(const Picked *picked)
{
	return psprintf("SELECT coalesce(max(least(coalesce(upper(s.span), 'infinity'), $1)), '-infinity') AS ts"
					" FROM (SELECT unnest(i.spans) AS span FROM %s AS i WHERE i.kind IN ('f', 's')) AS s"
					" WHERE coalesce(lower(s.span), '-infinity') < $1", picked->range.names.invalid);
}

/*
 * What the tiers say of the last value before the range. Those above the one that
 * answers may know what has expired in it.
 */
static char *
kept_values_sql(const Picked *picked)
{
	RangeQuery	earlier = picked->range;
	StringInfoData s;

	initStringInfo(&s);
	for (int i = picked->range.level; i <= aggwin_range_top(&picked->range); i++)
	{
		earlier.level = i;
		earlier.shown = *aggwin_tier(&earlier.names, i);
		appendStringInfo(&s, " UNION ALL SELECT q.series_id, aggwin.last_time(q.counter), aggwin.last_val(q.counter)"
						 " FROM (%s) AS q WHERE q.counter IS NOT NULL",
						 aggwin_range_answer(&earlier, "'-infinity'::timestamptz",
											 aggwin_sql_bucket(earlier.spec, &earlier.shown, "$1"),
											 " AND %1$s.k1 = ANY (ARRAY(SELECT unnest($3) EXCEPT"
											 " SELECT k.series_id FROM kept AS k, horizon AS h WHERE k.ts >= h.ts))"));
	}
	return s.data;
}

/*
 * The last value of each series before the range, as SQL: from the samples, and
 * from the rollup where later ones may be gone.
 */
static char *
before_sql(const Picked *picked)
{
	return psprintf("horizon AS MATERIALIZED (%s), kept AS MATERIALIZED ("
					"SELECT i.series_id, l.ts, l.value FROM unnest($3) AS i(series_id), LATERAL ("
					"SELECT p.ts, p.value FROM aggwin.samples AS p"
					" WHERE p.series_id = i.series_id AND p.ts < $1 AND abs(p.value) < 1e300"
					" ORDER BY p.ts DESC LIMIT 1) AS l"
					"), before AS (SELECT DISTINCT ON (a.series_id) a.series_id, a.value FROM ("
					"SELECT k.series_id, k.ts, k.value FROM kept AS k%s) AS a ORDER BY a.series_id, a.ts DESC)",
					horizon_sql(picked), kept_values_sql(picked));
}

/*
 * What happens between the last sample of a bucket and the first of the series'
 * next belongs to the later one.
 */
static char *
counter_sql(Picked *picked)
{
	return psprintf("WITH %s, steps AS ("
					"SELECT q.bucket, q.series_id, q.counter, aggwin.first_val(q.counter) AS first,"
					" coalesce(lag(aggwin.last_val(q.counter)) OVER (PARTITION BY q.series_id ORDER BY q.bucket),"
					" b.value) AS last"
					" FROM (%s) AS q LEFT JOIN before AS b ON b.series_id = q.series_id"
					" WHERE q.counter IS NOT NULL"
					"), increases AS ("
					"SELECT s.bucket, s.series_id, coalesce(aggwin.increase(s.counter), 0)"
					" + CASE WHEN s.last IS NULL THEN 0 WHEN s.first < s.last THEN s.first ELSE s.first - s.last END"
					" AS increase, coalesce(aggwin.resets(s.counter), 0) + coalesce((s.first < s.last)::int, 0) AS resets"
					" FROM steps AS s)"
					" SELECT a.bucket, a.series_id, a.labels, a.increase,"
					" a.increase / extract(epoch FROM %s - a.bucket)::float8, a.resets"
					" FROM (%s) AS a ORDER BY a.bucket, a.series_id, a.labels",
					before_sql(picked), aggwin_picked_answer(picked),
					aggwin_sql_bucket_end(picked->range.spec, &picked->range.shown, "a.bucket"),
					joined(picked, picked->merged ? "sum(q.increase) AS increase, sum(q.resets)::bigint AS resets"
						   : "q.increase, q.resets", "increases", "series_id"));
}

/*
 * aggwin.query_counter(metric, labels, from, to, resolution, max_points, edges, by,
 * rollup): see doc/reference.md.
 */
Datum
aggwin_query_counter(PG_FUNCTION_ARGS)
{
	return answer(fcinfo, true, counter_sql);
}
