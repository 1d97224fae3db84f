/*
 * fold_sql.c - the SQL of folds and repairs, as text
 *
 * Pure text, with the aliases of sql.c. Statements of the base take what is
 * pending by the snapshot rule (fold.c): $1 is the list of transactions in
 * progress in "folded" and $2 its end. Levels above have no need of it.
 */
#include "postgres.h"

#include "rollup/fold_sql.h"

#include "lib/stringinfo.h"
#include "rollup/exact_sql.h"

static char *
pending(const char *alias)
{
	return psprintf("(%1$s.xid = ANY ($1) OR %1$s.xid >= $2)", alias);
}

/* Spans whose repair has failed. They are pending for everybody. */
#define FAILED "i.error IS NOT NULL AND i.xid >= " AGGWIN_LAST_XID

/*
 * Is anything invalid that no repair has failed for, is there any delta, and is
 * anything invalid for which one has? Two branches each: see fold.c.
 */
char *
aggwin_sql_any_pending(const RollupNames *names)
{
	return psprintf("SELECT EXISTS (SELECT FROM %1$s AS i WHERE i.xid = ANY ($1) AND " AGGWIN_BASE_INVALID ")"
					" OR EXISTS (SELECT FROM %1$s AS i WHERE i.xid >= $2 AND " AGGWIN_BASE_INVALID
					" AND NOT (" FAILED ")),"
					" EXISTS (SELECT FROM %2$s AS d WHERE d.xid = ANY ($1))"
					" OR EXISTS (SELECT FROM %2$s AS d WHERE d.xid >= $2),"
					" EXISTS (SELECT FROM %1$s AS i WHERE " AGGWIN_BASE_INVALID " AND " FAILED ")",
					names->invalid, aggwin_tier(names, 0)->delta);
}

/* The same of a level above. */
char *
aggwin_sql_any_pending_above(const RollupNames *names, int level)
{
	return psprintf("SELECT EXISTS (SELECT FROM %1$s AS i WHERE i.xid >= " AGGWIN_LAST_XID
					" AND i.kind = 'i' AND i.level = %2$d),"
					" EXISTS (SELECT FROM %3$s), false",
					names->invalid, level, aggwin_tier(names, level)->delta);
}

/* What is never repaired, closed for late rows, and expired at a level. */
char *
aggwin_sql_kept_marks(const RollupNames *names, int level)
{
	return psprintf("SELECT range_agg(i.spans) FILTER (WHERE i.kind IN ('f', 's', 'l')"
					" OR i.kind = 'e' AND i.level = 0),"
					" coalesce(bool_or(i.nulls) FILTER (WHERE i.kind = 'f'), false),"
					" range_agg(i.spans) FILTER (WHERE i.kind = 'l'),"
					" range_agg(i.spans) FILTER (WHERE i.kind = 'e' AND i.level = %2$d)"
					" FROM %1$s AS i WHERE i.xid >= " AGGWIN_LAST_XID " AND i.kind <> 'i'",
					names->invalid, level);
}

/* What the clock allows as watermark, in "latest". */
char *
aggwin_sql_watermark(const RollupSpec *spec, const char *old, const char *max_future)
{
	if (spec->time->clock == NULL)
		return psprintf("greatest(%s::%s, max(latest))::text",
						old, spec->time->name);
	return psprintf("greatest(%s::%s, max(latest) FILTER (WHERE latest <= %s + %s))::text",
					old, spec->time->name, spec->time->clock, max_future);
}

/*
 * From the rows "gone" into the state of a level, and, where there is a level
 * above, their net into its delta: more members of a WITH clause. counts and
 * kept are conditions, NULL if always true.
 */
static char *
merge_into(const RollupSpec *spec, const RollupNames *names, int level,
		   const char *counts, const char *kept)
{
	const Tier *tier = aggwin_tier(names, level);
	char	   *keys = aggwin_sql_key_columns(spec, tier);
	char	   *columns = aggwin_sql_columns(spec, tier);
	StringInfoData s;
	int			i = 0;
	ListCell   *lc;

	initStringInfo(&s);
	if (level < aggwin_top_level(names))
	{
		const Tier *above = aggwin_tier(names, level + 1);
		char	   *above_keys = aggwin_sql_key_columns(spec, above);

		appendStringInfo(&s, "merged AS MATERIALIZED (SELECT %1$s, %2$s FROM gone AS u WHERE %3$s GROUP BY %1$s),"
						 " passed AS (INSERT INTO %4$s (%5$s)"
						 " SELECT %6$s, %2$s FROM (SELECT %7$s FROM merged AS m) AS u GROUP BY %6$s), ",
						 keys, aggwin_sql_merged(spec), counts ? counts : "true",
						 above->delta, aggwin_sql_columns(spec, above), above_keys,
						 aggwin_sql_row_of(spec, "m", tier, above));
		appendStringInfo(&s, "stored AS (INSERT INTO %1$s AS st (%2$s) SELECT %2$s FROM merged AS u WHERE %3$s",
						 tier->state, columns, kept ? kept : "true");
	}
	else
		appendStringInfo(&s, "stored AS (INSERT INTO %1$s AS st (%2$s) SELECT %3$s, %4$s FROM gone AS u"
						 " WHERE %5$s AND %6$s GROUP BY %3$s",
						 tier->state, columns, keys, aggwin_sql_merged(spec),
						 counts ? counts : "true", kept ? kept : "true");

	appendStringInfo(&s, " ON CONFLICT (%s) DO UPDATE SET n = st.n + excluded.n", keys);
	foreach(lc, spec->partials)
	{
		i++;
		appendStringInfo(&s, ", p%d = ", i);
		appendStringInfo(&s, ((Partial *) lfirst(lc))->combine, psprintf("st.p%d", i),
						 psprintf("excluded.p%d", i));
	}
	if (aggwin_may_be_inexact(spec))
		appendStringInfoString(&s, aggwin_sql_returning_exact(spec, "st"));
	else if (spec->subtracts)
		appendStringInfoString(&s, " RETURNING st.ctid AS place, st.n");
	appendStringInfoChar(&s, ')');
	return s.data;
}

/*
 * Columns at the end of the result: spans and nulls of what is not exact, or
 * the places of groups that have no rows.
 */
static char *
left_to_do(const RollupSpec *spec, const RollupNames *names, int level)
{
	if (aggwin_may_be_inexact(spec))
		return psprintf(", %s", aggwin_sql_inexact_stored(spec, aggwin_tier(names, level)));
	if (spec->subtracts)
		return ", (SELECT array_agg(x.place) FROM stored AS x WHERE x.n <= 0)";
	return "";
}

/* Delete groups that have no rows. $1 where they are; nobody else moves them */
char *
aggwin_sql_discard_empty(const RollupNames *names, int level)
{
	return psprintf("DELETE FROM %s AS st WHERE st.ctid = ANY ($1)",
					aggwin_tier(names, level)->state);
}

/*
 * Move the pending deltas into state. Returns the number of rows they stand
 * for, of deltas, the new watermark, and how many of the rows came too late;
 * then what is left to do.
 * $3 watermark, $4 max_future, $5 closed and $6 expired spans
 */
char *
aggwin_sql_merge(const RollupSpec *spec, const RollupNames *names, bool closed,
				 bool expired)
{
	const char *late = closed ? "coalesce(u.bucket <@ $5, false)" : "false";
	const char *kept = expired ? "NOT coalesce(u.bucket <@ $6, false)" : NULL;

	return psprintf("WITH listed AS (DELETE FROM %1$s AS d WHERE d.xid = ANY ($1) RETURNING d.*),"
					" newer AS (DELETE FROM %1$s AS d WHERE d.xid >= $2 RETURNING d.*),"
					" gone AS (SELECT * FROM listed UNION ALL SELECT * FROM newer),"
					" %2$s"
					" SELECT coalesce(aggwin.bigint_sum(abs(u.n)), 0), count(*), %3$s,"
					" coalesce(aggwin.bigint_sum(abs(u.n)) FILTER (WHERE %4$s), 0)%5$s FROM gone AS u",
					aggwin_tier(names, 0)->delta,
					merge_into(spec, names, 0, closed ? psprintf("NOT %s", late) : NULL, kept),
					aggwin_sql_watermark(spec, "$3", "$4"), late, left_to_do(spec, names, 0));
}

/* The same of a level above: the numbers of rows and of deltas, and the end. $1 expired */
char *
aggwin_sql_merge_above(const RollupSpec *spec, const RollupNames *names,
					   int level, bool expired)
{
	return psprintf("WITH gone AS (DELETE FROM %s AS d RETURNING d.*), %s"
					" SELECT coalesce(aggwin.bigint_sum(abs(u.n)), 0), count(*)%s FROM gone AS u",
					aggwin_tier(names, level)->delta,
					merge_into(spec, names, level, NULL,
							   expired ? "NOT coalesce(u.bucket <@ $1, false)" : NULL),
					left_to_do(spec, names, level));
}

/*
 * Remove the pending invalid spans of the base and return their union without
 * what is frozen: spans, nulls, how many rows said so, and how many of these
 * were about what is frozen. Without those whose repair has failed, unless they
 * are asked for. $3 frozen spans, $4 frozen nulls
 */
char *
aggwin_sql_take_invalid(const RollupNames *names, bool failed)
{
	return psprintf("WITH gone AS (DELETE FROM %s AS i WHERE %s AND " AGGWIN_BASE_INVALID "%s"
					" RETURNING i.spans, i.nulls, i.xid)"
					" SELECT coalesce(range_agg(g.spans), '{}') - coalesce($3, '{}'),"
					" coalesce(bool_or(g.nulls), false) AND NOT $4,"
					" count(*) FILTER (WHERE g.xid < " AGGWIN_LAST_XID " AND"
					" (g.spans && coalesce($3, '{}') OR g.nulls AND $4))"
					" FROM gone AS g",
					names->invalid, pending("i"), failed ? "" : " AND NOT (" FAILED ")");
}

/*
 * Remove some spans whose repair has failed, those that failed longest ago, and
 * return each without what is frozen: spans, nulls. $1 frozen spans, $2 frozen
 * nulls, $3 how many
 */
char *
aggwin_sql_take_failed(const RollupNames *names)
{
	return psprintf("DELETE FROM %1$s AS i WHERE i.ctid IN (SELECT i.ctid FROM %1$s AS i"
					" WHERE " AGGWIN_BASE_INVALID " AND " FAILED " ORDER BY i.captured_at LIMIT $3)"
					" RETURNING i.spans - coalesce($1, '{}'), i.nulls AND NOT $2",
					names->invalid);
}

/*
 * Of the rows in span $1, the newest $2: their number and the bucket that the
 * oldest of them is in.
 */
char *
aggwin_sql_newest_rows(const RollupSpec *spec, const RollupNames *names)
{
	return psprintf("SELECT count(*), %1$s FROM (SELECT q.t FROM (VALUES ($1)) AS r(span)"
					" CROSS JOIN LATERAL (SELECT (%2$s) AS t FROM %3$s AS e WHERE %4$s"
					" ORDER BY 1 DESC LIMIT $2) AS q) AS q",
					aggwin_sql_bucket(spec, NULL, "min(q.t)"), spec->event_time,
					names->source,
					aggwin_sql_in_span(spec, psprintf("(%s)", spec->event_time)));
}

/* How many rows of the source are in spans $1? */
char *
aggwin_sql_count_rows(const RollupSpec *spec, const RollupNames *names)
{
	return psprintf("SELECT count(*) FROM aggwin.spans($1) AS r(span) JOIN %s AS e ON %s",
					names->source, aggwin_sql_in_span(spec, psprintf("(%s)", spec->event_time)));
}

/* How many rows does the planner expect in spans $1 of the source? */
char *
aggwin_sql_explain_rows(const RollupSpec *spec, const RollupNames *names)
{
	return psprintf("EXPLAIN (FORMAT JSON) SELECT FROM %1$s AS e"
					" WHERE (%2$s) >= coalesce(lower(range_merge($1)), %3$s)"
					" AND (%2$s) <= coalesce(upper(range_merge($1)), %4$s)",
					names->source, spec->event_time, spec->time->lowest, spec->time->highest);
}

/* $3 spans, $4 nulls */
char *
aggwin_sql_discard_delta(const RollupNames *names)
{
	return psprintf("DELETE FROM %s AS d WHERE %s AND %s",
					aggwin_tier(names, 0)->delta, pending("d"),
					aggwin_sql_covered("d.bucket", "$3", "$4"));
}

/* $1 spans, $2 nulls */
char *
aggwin_sql_discard_state(const RollupSpec *spec, const RollupNames *names, int level)
{
	return psprintf("WITH nulls AS (DELETE FROM %1$s AS st WHERE st.bucket IS NULL AND $2)"
					" DELETE FROM %1$s AS st USING aggwin.spans($1) AS r(span) WHERE %2$s",
					aggwin_tier(names, level)->state,
					aggwin_sql_in_span(spec, "st.bucket"));
}

/*
 * Fill state from the source, in the order of its index, which grows at its end
 * then. Returns the number of rows counted and the new
 * watermark. $1 spans, $2 nulls, $3 watermark, $4 max_future, $5 scans
 */
char *
aggwin_sql_recompute(const RollupSpec *spec, const RollupNames *names)
{
	const char *columns = aggwin_sql_columns(spec, NULL);

	return psprintf("WITH fresh AS MATERIALIZED (%1$s),"
					" stored AS (INSERT INTO %2$s (%3$s) SELECT %3$s FROM fresh ORDER BY bucket)"
					" SELECT coalesce(aggwin.bigint_sum(n), 0), %4$s FROM fresh",
					aggwin_sql_groups_in_spans(spec, names->source, "$1", "$2", "$5", true),
					aggwin_tier(names, 0)->state, columns, aggwin_sql_watermark(spec, "$3", "$4"));
}

/*
 * Remove the invalid spans of a level above and return what they are, widened;
 * the part of that below which all is whole; and the rest. Then nulls, and
 * whether those are whole below.
 */
char *
aggwin_sql_take_invalid_above(const RollupSpec *spec, const RollupNames *names,
							  int level)
{
	const Tier *tier = aggwin_tier(names, level);
	char	   *below = psprintf("(SELECT w.spans FROM w%d AS w)", level - 1);

	return psprintf("%1$s, gone AS (DELETE FROM %2$s AS i WHERE i.xid >= " AGGWIN_LAST_XID
					" AND i.kind = 'i' AND i.level = %3$d RETURNING i.spans, i.nulls),"
					" u AS (SELECT range_agg(g.spans) AS spans, bool_or(g.nulls) AS nulls FROM gone AS g),"
					" wide AS (SELECT coalesce(%4$s, '{}')"
					" - coalesce((SELECT range_agg(i.spans) FROM %2$s AS i WHERE i.xid >= " AGGWIN_LAST_XID
					" AND i.kind = 'e' AND i.level = %5$d), '{}') AS spans,"
					" coalesce(%6$s, '{}') AS missing FROM u)"
					" SELECT x.spans, x.spans - x.missing, x.spans * x.missing, u.nulls,"
					" NOT coalesce((SELECT w.nulls FROM w%5$d AS w), false) FROM wide AS x, u",
					aggwin_sql_marks(spec, names, level - 1), names->invalid, level,
					aggwin_sql_widened(spec, tier, "u.spans"), level - 1,
					aggwin_sql_widened(spec, tier, below));
}

/* $1 spans, $2 nulls */
char *
aggwin_sql_discard_delta_above(const RollupNames *names, int level)
{
	return psprintf("DELETE FROM %s AS d WHERE %s", aggwin_tier(names, level)->delta,
					aggwin_sql_covered("d.bucket", "$1", "$2"));
}

/*
 * Fill the state of a level from the one below. Returns the number of rows
 * counted. $1 spans, $2 nulls
 */
char *
aggwin_sql_rebuild(const RollupSpec *spec, const RollupNames *names, int level)
{
	const Tier *tier = aggwin_tier(names, level);
	const Tier *lower = aggwin_tier(names, level - 1);
	char	   *keys = aggwin_sql_key_columns(spec, tier);
	char	   *row = aggwin_sql_row_of(spec, "st", lower, tier);

	return psprintf("WITH stored AS (INSERT INTO %1$s (%2$s) SELECT %3$s, %4$s FROM ("
					"SELECT %5$s FROM aggwin.spans($1) AS r(span) JOIN %6$s AS st ON %7$s"
					" UNION ALL SELECT %5$s FROM %6$s AS st WHERE st.bucket IS NULL AND $2) AS u"
					" GROUP BY %3$s RETURNING n)"
					" SELECT coalesce(aggwin.bigint_sum(n), 0) FROM stored",
					tier->state, aggwin_sql_columns(spec, tier), keys,
					aggwin_sql_merged(spec), row, lower->state,
					aggwin_sql_in_span(spec, "st.bucket"));
}

/*
 * Add a row to the invalid table that is pending for everybody. $1 spans, $2
 * nulls, $3 why a repair of them has failed
 */
char *
aggwin_sql_add_mark(const RollupNames *names, char kind, int level)
{
	return psprintf("INSERT INTO %s (kind, level, spans, nulls, error, captured_at, xid)"
					" SELECT '%c', %d, $1, $2, $3, clock_timestamp(), " AGGWIN_LAST_XID
					" WHERE NOT isempty($1) OR $2",
					names->invalid, kind, level);
}
