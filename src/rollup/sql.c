/*
 * sql.c - the SQL of capture, and pieces of that of folds and views, as text
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

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "nodes/nodeFuncs.h"

static char *
call_for_bucket(const char *function, const RollupSpec *spec, const Tier *tier,
				const char *time)
{
	const char *width;

	/* Sessions have no grid: any time is a bound. */
	if (spec->gap != NULL)
		return pstrdup(time);
	width = tier != NULL && tier->width != NULL ? tier->width : spec->bucket_width;

	return psprintf("aggwin.%s(%s)", function,
					psprintf(spec->bucket_args, time, width));
}

/* The bucket that holds a time, of a tier or (NULL) the base. */
char *
aggwin_sql_bucket(const RollupSpec *spec, const Tier *tier, const char *time)
{
	return call_for_bucket("time_bucket", spec, tier, time);
}

/* The end of that bucket. */
char *
aggwin_sql_bucket_end(const RollupSpec *spec, const Tier *tier, const char *time)
{
	return call_for_bucket("bucket_end", spec, tier, time);
}

/* The numbers of a tier's keys, of the base if tier is NULL. */
List *
aggwin_tier_keys(const RollupSpec *spec, const Tier *tier)
{
	List	   *keys = NIL;

	if (tier != NULL && !tier->all_keys)
		return tier->keys;
	for (int i = 1; i < list_length(spec->keys); i++)
		keys = lappend_int(keys, i);
	return keys;
}

static void
append_partial_columns(StringInfo s, const RollupSpec *spec, const char *prefix)
{
	for (int i = 1; i <= list_length(spec->partials); i++)
		appendStringInfo(s, ", %sp%d", prefix, i);
}

/* "bucket, k1, …" */
char *
aggwin_sql_key_columns(const RollupSpec *spec, const Tier *tier)
{
	StringInfoData s;
	ListCell   *lc;

	initStringInfo(&s);
	appendStringInfoString(&s, "bucket");
	foreach(lc, aggwin_tier_keys(spec, tier))
		appendStringInfo(&s, ", k%d", lfirst_int(lc));
	return s.data;
}

/* "bucket, k1, …, n, p1, …" */
char *
aggwin_sql_columns(const RollupSpec *spec, const Tier *tier)
{
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfo(&s, "%s, n", aggwin_sql_key_columns(spec, tier));
	append_partial_columns(&s, spec, "");
	return s.data;
}

/* A row of one tier as a row of a tier above, or of the same. */
char *
aggwin_sql_row_of(const RollupSpec *spec, const char *alias, const Tier *from,
				  const Tier *to)
{
	char	   *bucket = psprintf("%s.bucket", alias);
	StringInfoData s;
	ListCell   *lc;

	initStringInfo(&s);
	appendStringInfo(&s, "%s AS bucket",
					 from == to ? bucket : aggwin_sql_bucket(spec, to, bucket));
	foreach(lc, aggwin_tier_keys(spec, to))
		appendStringInfo(&s, ", %s.k%d", alias, lfirst_int(lc));
	appendStringInfo(&s, ", %s.n", alias);
	append_partial_columns(&s, spec, psprintf("%s.", alias));
	return s.data;
}

/* What follows the keys in a row merged from rows "u". */
char *
aggwin_sql_merged(const RollupSpec *spec)
{
	StringInfoData s;
	int			i = 0;
	ListCell   *lc;

	initStringInfo(&s);
	appendStringInfoString(&s, "aggwin.bigint_sum(u.n) AS n");
	foreach(lc, spec->partials)
	{
		i++;
		appendStringInfo(&s, ", %s(u.p%d) AS p%d", ((Partial *) lfirst(lc))->merge, i, i);
	}
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
 * Groups of the source's rows: the columns of state, and (on request) the
 * greatest event time of each group before the partials.
 */
char *
aggwin_sql_groups(const RollupSpec *spec, const char *from, const char *restriction,
		   bool latest)
{
	StringInfoData s;
	int			i = 0;
	ListCell   *lc;

	if (spec->gap != NULL)
		return aggwin_sql_session_groups(spec, from, restriction, latest);
	initStringInfo(&s);
	appendStringInfoString(&s, "SELECT ");
	append_keys(&s, spec);
	appendStringInfoString(&s, ", count(*) AS n");
	if (latest)
		appendStringInfo(&s, ", max(%s) AS latest", spec->event_time);
	foreach(lc, spec->partials)
		appendStringInfo(&s, ", %s AS p%d",
						 ((Partial *) lfirst(lc))->aggregate, ++i);
	appendStringInfo(&s, " FROM %s AS e WHERE ", from);
	if (spec->where != NULL)
		appendStringInfo(&s, "(%s) AND ", spec->where);
	appendStringInfo(&s, "%s GROUP BY 1", restriction);
	for (i = 2; i <= list_length(spec->keys); i++)
		appendStringInfo(&s, ", %d", i);
	return s.data;
}

/* A value lies in the span r.span; written so that an index can be used. */
char *
aggwin_sql_in_span(const RollupSpec *spec, const char *value)
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
											   aggwin_sql_in_span(spec, time), time, spans),
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

/* Not run for its rows, but for the types of its columns: of state, or of delta. */
char *
aggwin_sql_empty_groups(const RollupSpec *spec, const RollupNames *names, bool latest)
{
	return aggwin_sql_groups(spec, names->source, "true", latest);
}

/* The same of one partial. */
char *
aggwin_sql_empty_partial(const RollupSpec *spec, const RollupNames *names, int number)
{
	Partial    *partial = list_nth(spec->partials, number - 1);

	return psprintf("SELECT %s AS p%d FROM %s AS e", partial->aggregate, number, names->source);
}

/* Groups of the rows that a statement added, or of those that it took away. */
char *
aggwin_sql_batch(const RollupSpec *spec, bool old_rows)
{
	return aggwin_sql_groups(spec, old_rows ? AGGWIN_OLD_ROWS : AGGWIN_NEW_ROWS,
							 "true", true);
}

/*
 * For one row of the source: the columns of a delta, and whether the row counts
 * at all. Taken apart into expressions by capture.
 */
char *
aggwin_sql_row(const RollupSpec *spec)
{
	StringInfoData s;
	ListCell   *lc;

	initStringInfo(&s);
	appendStringInfoString(&s, "SELECT ");
	append_keys(&s, spec);
	appendStringInfo(&s, ", 1::bigint, %s", spec->event_time);
	foreach(lc, spec->partials)
		appendStringInfo(&s, ", %s", ((Partial *) lfirst(lc))->row);
	appendStringInfo(&s, ", %s FROM %s AS e",
					 spec->where ? spec->where : "true", AGGWIN_NEW_ROWS);
	return s.data;
}

/* A bucket as a span. The buckets of infinite times have no end. */
char *
aggwin_sql_bucket_span(const RollupSpec *spec, const Tier *tier, const char *bucket)
{
	char	   *end = aggwin_sql_bucket_end(spec, tier, bucket);

	if (spec->gap != NULL)
		return pstrdup(bucket);
	if (spec->time->clock == NULL)
		return psprintf("%s(%s, %s)", spec->time->range, bucket, end);
	return psprintf("CASE WHEN isfinite(%2$s) THEN %1$s(%2$s, %3$s) ELSE %1$s(%2$s, %2$s, '[]') END",
					spec->time->range, bucket, end);
}

/* Is the first key a number, of which a statement's rows may have few? */
static bool
has_countable_key(const RollupSpec *spec)
{
	Oid			type = list_length(spec->keys) > 1 ? exprType(lsecond(spec->keys)) : InvalidOid;

	return type == INT8OID || type == INT4OID || type == INT2OID;
}

/* More first keys than that are not remembered. */
#define MAX_KEYS "100"

/*
 * The spans, the NULL flag and the number of buckets that a statement touched, and
 * the first keys of its rows if there are few; filtered: by rows that fulfil WHERE.
 */
char *
aggwin_sql_touched(const RollupSpec *spec, bool old_rows, bool new_rows, bool filtered)
{
	StringInfoData rows;
	bool		keyed = filtered && has_countable_key(spec);
	char	   *columns = psprintf("%s AS bucket%s", (char *) linitial(spec->key_texts),
								   keyed ? psprintf(", %s AS key", (char *) lsecond(spec->key_texts)) : "");
	const char *where = filtered && spec->where ? spec->where : "true";

	initStringInfo(&rows);
	if (old_rows)
		appendStringInfo(&rows, "SELECT %s FROM %s AS e WHERE %s", columns, AGGWIN_OLD_ROWS, where);
	if (old_rows && new_rows)
		appendStringInfoString(&rows, " UNION ");
	if (new_rows)
		appendStringInfo(&rows, "SELECT %s FROM %s AS e WHERE %s", columns, AGGWIN_NEW_ROWS, where);

	return psprintf("WITH touched AS %s (%s)"
					" SELECT coalesce(range_agg(%s) FILTER (WHERE b.bucket IS NOT NULL), '{}'),"
					" coalesce(bool_or(b.bucket IS NULL), false), count(*), %s"
					" FROM (SELECT DISTINCT t.bucket FROM touched AS t) AS b",
					keyed ? "MATERIALIZED" : "NOT MATERIALIZED", rows.data,
					aggwin_sql_bucket_span(spec, NULL, "b.bucket"),
					keyed ? "(SELECT CASE WHEN count(k.key) = count(*) AND count(*) <= " MAX_KEYS
					" THEN array_agg(k.key::text) END FROM (SELECT DISTINCT t.key FROM touched AS t LIMIT " MAX_KEYS " + 1) AS k)"
					: "NULL::text[]");
}
