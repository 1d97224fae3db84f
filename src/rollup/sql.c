/*
 * sql.c - the SQL of capture, fold and repair, as text
 *
 * Pure text: nothing here is run. Aliases: e the source's rows, st state,
 * d delta, i invalid ranges, u what is to be merged. Everything is parsed
 * under a search_path of pg_catalog only.
 *
 * An invalid range is a span of event time made of whole buckets:
 *
 *      buckets      |....|....|....|....|....|
 *      touched             x         x
 *      spans             [....)    [....)
 *
 * so "the row's time lies in a span" and "the row's bucket lies in a span"
 * mean the same, and both state and source can be restricted by it. Rows whose
 * time is NULL make up a bucket of their own that a flag stands for.
 */
#include "postgres.h"

#include "rollup/sql.h"

#include "lib/stringinfo.h"

/* "bucket, k1, …" */
char *
aggwin_sql_key_columns(const RollupSpec *spec)
{
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfoString(&s, "bucket");
	for (int i = 1; i < list_length(spec->keys); i++)
		appendStringInfo(&s, ", k%d", i);
	return s.data;
}

/* "bucket, k1, …, n, p1, …" */
char *
aggwin_sql_columns(const RollupSpec *spec)
{
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfo(&s, "%s, n", aggwin_sql_key_columns(spec));
	for (int i = 1; i <= list_length(spec->partials); i++)
		appendStringInfo(&s, ", p%d", i);
	return s.data;
}

static void
append_keys(StringInfo s, const RollupSpec *spec)
{
	int			i = 0;
	ListCell   *lc;

	foreach(lc, spec->key_texts)
	{
		if (i == 0)
			appendStringInfo(s, "%s AS bucket", (char *) lfirst(lc));
		else
			appendStringInfo(s, ", %s AS k%d", (char *) lfirst(lc), i);
		i++;
	}
}

/*
 * Groups of the source's rows: the columns of state, then (on request) the
 * greatest event time of each group.
 */
char *
aggwin_sql_groups(const RollupSpec *spec, const char *from, const char *restriction,
		   bool latest)
{
	StringInfoData s;
	int			i = 0;
	ListCell   *lc;

	initStringInfo(&s);
	appendStringInfoString(&s, "SELECT ");
	append_keys(&s, spec);
	appendStringInfoString(&s, ", count(*) AS n");
	foreach(lc, spec->partials)
		appendStringInfo(&s, ", %s AS p%d",
						 ((Partial *) lfirst(lc))->aggregate, ++i);
	if (latest)
		appendStringInfo(&s, ", max(%s) AS latest", spec->event_time);
	appendStringInfo(&s, " FROM %s AS e WHERE ", from);
	if (spec->where != NULL)
		appendStringInfo(&s, "(%s) AND ", spec->where);
	appendStringInfo(&s, "%s GROUP BY 1", restriction);
	for (i = 2; i <= list_length(spec->keys); i++)
		appendStringInfo(&s, ", %d", i);
	return s.data;
}

/* A value lies in the span r.span; written so that an index can be used. */
static char *
in_span(const RollupSpec *spec, const char *value)
{
	return psprintf("%1$s >= coalesce(lower(r.span), %2$s)"
					" AND %1$s <= coalesce(upper(r.span), %3$s)"
					" AND %1$s <@ r.span",
					value, spec->time->lowest, spec->time->highest);
}

/*
 * What to scan of the source for spans: each of them by itself, or, if that
 * would be more than max_scans scans, all from the first to the last.
 */
char *
aggwin_sql_scans(const char *spans, int max_scans)
{
	return psprintf("CASE WHEN (SELECT count(*) FROM aggwin.spans(%1$s)) <= %2$d"
					" THEN %1$s ELSE multirange(range_merge(%1$s)) END",
					spans, max_scans);
}

/*
 * Groups of those rows of the source that lie in spans, or have no time.
 * scans covers spans (aggwin_sql_scans).
 */
char *
aggwin_sql_groups_in_spans(const RollupSpec *spec, const char *source,
						   const char *spans, const char *nulls,
						   const char *scans, bool latest)
{
	char	   *time = psprintf("(%s)", spec->event_time);

	return psprintf("SELECT q.* FROM aggwin.spans(%s) AS r(span)"
					" CROSS JOIN LATERAL (%s) AS q"
					" UNION ALL SELECT q.* FROM (%s) AS q",
					scans,
					aggwin_sql_groups(spec, source,
									  psprintf("%s AND %s <@ %s",
											   in_span(spec, time), time, spans),
									  latest),
					aggwin_sql_groups(spec, source,
							   psprintf("%s IS NULL AND %s", time, nulls),
							   latest));
}

/* A bucket is covered by spans, or has no time and nulls is true. */
char *
aggwin_sql_covered(const char *bucket, const char *spans, const char *nulls)
{
	return psprintf("CASE WHEN %1$s IS NULL THEN %3$s ELSE %1$s <@ %2$s END",
					bucket, spans, nulls);
}

/* Not run for its rows, but for the types of its columns. */
char *
aggwin_sql_empty_groups(const RollupSpec *spec, const RollupNames *names)
{
	return aggwin_sql_groups(spec, names->source, "true", true);
}

/* Groups of the rows that a statement inserted. */
char *
aggwin_sql_batch(const RollupSpec *spec)
{
	return aggwin_sql_groups(spec, AGGWIN_NEW_ROWS, "true", true);
}

/*
 * For one row of the source: the columns of state, the event time, and whether
 * the row counts at all. Taken apart into expressions by capture.
 */
char *
aggwin_sql_row(const RollupSpec *spec)
{
	StringInfoData s;
	ListCell   *lc;

	initStringInfo(&s);
	appendStringInfoString(&s, "SELECT ");
	append_keys(&s, spec);
	appendStringInfoString(&s, ", 1::bigint");
	foreach(lc, spec->partials)
		appendStringInfo(&s, ", %s", ((Partial *) lfirst(lc))->row);
	appendStringInfo(&s, ", %s, %s FROM %s AS e", spec->event_time,
					 spec->where ? spec->where : "true", AGGWIN_NEW_ROWS);
	return s.data;
}

/* The spans, the NULL flag and the number of buckets that a statement touched. */
char *
aggwin_sql_touched(const RollupSpec *spec, bool old_rows, bool new_rows)
{
	StringInfoData buckets;
	const char *bucket = linitial(spec->key_texts);
	const char *where = spec->where ? spec->where : "true";
	char	   *end = psprintf(spec->bucket_end, "b.bucket");
	char	   *span;

	initStringInfo(&buckets);
	if (old_rows)
		appendStringInfo(&buckets, "SELECT %s AS bucket FROM %s AS e WHERE %s",
						 bucket, AGGWIN_OLD_ROWS, where);
	if (old_rows && new_rows)
		appendStringInfoString(&buckets, " UNION ");
	if (new_rows)
		appendStringInfo(&buckets, "SELECT %s AS bucket FROM %s AS e WHERE %s",
						 bucket, AGGWIN_NEW_ROWS, where);

	/* The buckets of infinite times have no end. */
	if (spec->time->clock != NULL)
		span = psprintf("CASE WHEN isfinite(b.bucket) THEN %1$s(b.bucket, %2$s)"
						" ELSE %1$s(b.bucket, b.bucket, '[]') END",
						spec->time->range, end);
	else
		span = psprintf("%s(b.bucket, %s)", spec->time->range, end);

	return psprintf("SELECT coalesce(range_agg(%s) FILTER (WHERE b.bucket IS NOT NULL), '{}'),"
					" coalesce(bool_or(b.bucket IS NULL), false), count(*)"
					" FROM (SELECT DISTINCT t.bucket FROM (%s) AS t) AS b",
					span, buckets.data);
}

static char *
pending(const char *alias)
{
	return psprintf("(%1$s.xid = ANY ($1) OR %1$s.xid >= $2)", alias);
}

/* Two branches each: see the snapshot rule in fold.c. */
char *
aggwin_sql_any_pending(const RollupNames *names)
{
	return psprintf("SELECT EXISTS (SELECT FROM %1$s AS i WHERE i.xid = ANY ($1) AND " AGGWIN_BASE_INVALID ")"
					" OR EXISTS (SELECT FROM %1$s AS i WHERE i.xid >= $2 AND " AGGWIN_BASE_INVALID "),"
					" EXISTS (SELECT FROM %2$s AS d WHERE d.xid = ANY ($1))"
					" OR EXISTS (SELECT FROM %2$s AS d WHERE d.xid >= $2)",
					names->invalid, names->delta);
}

/* What the clock allows as watermark, in "latest". */
static char *
watermark(const RollupSpec *spec, const char *old, const char *max_future)
{
	if (spec->time->clock == NULL)
		return psprintf("greatest(%s::%s, max(latest))::text",
						old, spec->time->name);
	return psprintf("greatest(%s::%s, max(latest) FILTER (WHERE latest <= %s + %s))::text",
					old, spec->time->name, spec->time->clock, max_future);
}

/*
 * Move the pending deltas into state. Returns the number of rows they stand
 * for, of deltas, and the new watermark.
 */
char *
aggwin_sql_merge(const RollupSpec *spec, const RollupNames *names)
{
	StringInfoData merged;
	StringInfoData set;
	int			i = 0;
	ListCell   *lc;

	initStringInfo(&merged);
	initStringInfo(&set);
	appendStringInfoString(&merged, "aggwin.bigint_sum(u.n)");
	appendStringInfoString(&set, "n = st.n + excluded.n");
	foreach(lc, spec->partials)
	{
		Partial    *partial = lfirst(lc);

		i++;
		appendStringInfo(&merged, ", %s(u.p%d)", partial->merge, i);
		appendStringInfo(&set, ", p%d = ", i);
		appendStringInfo(&set, partial->combine, psprintf("st.p%d", i),
						 psprintf("excluded.p%d", i));
	}

	return psprintf("WITH listed AS (DELETE FROM %1$s AS d WHERE d.xid = ANY ($1) RETURNING d.*),"
					" newer AS (DELETE FROM %1$s AS d WHERE d.xid >= $2 RETURNING d.*),"
					" gone AS (SELECT * FROM listed UNION ALL SELECT * FROM newer),"
					" merged AS (INSERT INTO %2$s AS st (%3$s)"
					" SELECT %4$s, %5$s FROM gone AS u GROUP BY %4$s"
					" ON CONFLICT (%4$s) DO UPDATE SET %6$s)"
					" SELECT coalesce(aggwin.bigint_sum(n), 0), count(*), %7$s FROM gone",
					names->delta, names->state, aggwin_sql_columns(spec),
					aggwin_sql_key_columns(spec), merged.data, set.data,
					watermark(spec, "$3", "$4"));
}

/*
 * Remove the pending invalid ranges and return their union: spans, nulls, and
 * what to scan for them. $1 xip, $2 xmax
 */
char *
aggwin_sql_take_invalid(const RollupNames *names, int max_scans)
{
	return psprintf("WITH gone AS (DELETE FROM %s AS i WHERE %s AND " AGGWIN_BASE_INVALID " RETURNING i.spans, i.nulls)"
					" SELECT u.spans, u.nulls, %s"
					" FROM (SELECT range_agg(g.spans) AS spans, bool_or(g.nulls) AS nulls FROM gone AS g) AS u",
					names->invalid, pending("i"),
					aggwin_sql_scans("u.spans", max_scans));
}

/* $1 xip, $2 xmax, $3 spans, $4 nulls */
char *
aggwin_sql_discard_delta(const RollupNames *names)
{
	return psprintf("DELETE FROM %s AS d WHERE %s AND %s",
					names->delta, pending("d"), aggwin_sql_covered("d.bucket", "$3", "$4"));
}

/* $1 spans, $2 nulls */
char *
aggwin_sql_discard_state(const RollupSpec *spec, const RollupNames *names)
{
	return psprintf("WITH nulls AS (DELETE FROM %1$s AS st WHERE st.bucket IS NULL AND $2)"
					" DELETE FROM %1$s AS st USING aggwin.spans($1) AS r(span) WHERE %2$s",
					names->state, in_span(spec, "st.bucket"));
}

/*
 * Fill state from the source. Returns the number of rows counted and the new
 * watermark. $1 spans, $2 nulls, $3 watermark, $4 max_future, $5 scans
 */
char *
aggwin_sql_recompute(const RollupSpec *spec, const RollupNames *names)
{
	const char *columns = aggwin_sql_columns(spec);

	return psprintf("WITH fresh AS MATERIALIZED (%1$s),"
					" stored AS (INSERT INTO %2$s (%3$s) SELECT %3$s FROM fresh)"
					" SELECT coalesce(aggwin.bigint_sum(n), 0), %4$s FROM fresh",
					aggwin_sql_groups_in_spans(spec, names->source, "$1", "$2", "$5", true),
					names->state, columns, watermark(spec, "$3", "$4"));
}
