/*
 * session_sql.c - the SQL of rollups by session, as text
 *
 * A session is a stretch of one key's rows without a gap longer than the
 * rollup's. It is kept by its range [first, last + gap): rows belong together
 * when their ranges [ts, ts + gap) overlap or touch, directly or by others. So
 * ranges of one key neither overlap nor touch, and whatever comes can only
 * change the ranges that it overlaps or touches itself:
 *
 *      state      [====)        [=====)     [====)
 *      pending           [--)       [---)              one key
 *      islands           [--)   [=======)
 *
 * A delta holds the rows of a statement that make up a session among
 * themselves. One with n = 0 says that rows in its range have been changed or
 * have gone. An island, pending deltas and the state that they touch, is
 *
 *      merged       if it holds no such delta, and no invalid span is near
 *      computed     from the source, otherwise: from the rows of its key in its
 *                   range, for nothing outside of it can belong to the same
 *                   session; the result may be several sessions, or none
 *      kept         as it is merged, without what has changed, if it ought to be
 *                   computed but the source may lack rows of its time
 *
 * An invalid span is about all keys. Rows in it are read from the source; state
 * in it does not count, and what overlaps it in part, or could be joined to rows
 * in it, is computed, too. "reach" is the spans with a gap behind each.
 *
 * Keys may be NULL, which no index condition can say together with "=".
 */
#include "postgres.h"

#include "rollup/session_sql.h"

#include "lib/stringinfo.h"
#include "nodes/nodeFuncs.h"
#include "rollup/exact_sql.h"
#include "rollup/fold_sql.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

/* Pieces ------------------------------------------------------------------ */

/* A session as a range, by its first and last time. An infinite time is one by itself. */
char *
aggwin_sql_session(const RollupSpec *spec, const char *first, const char *last)
{
	return psprintf("CASE WHEN isfinite(%1$s) THEN %3$s(%1$s, aggwin.session_end(%2$s, %4$s))"
					" WHEN %1$s IS NOT NULL THEN %3$s(%1$s, %1$s, '[]') END",
					first, last, spec->time->range, spec->gap);
}

/* Two ranges are of one session, if their keys are the same. */
static char *
touch(const char *a, const char *b)
{
	return psprintf("(%1$s && %2$s OR %1$s -|- %2$s)", a, b);
}

/* A key is the same on both sides: by the equality that GROUP BY goes by. */
static char *
same_key(const RollupSpec *spec, int number, const char *left, const char *right)
{
	Oid			type = exprType(list_nth(spec->keys, number));
	Oid			operator = lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr;
	Oid			schema;

	if (!OidIsValid(operator))
		elog(ERROR, "type %u has no equality", type);
	schema = get_func_namespace(get_opcode(operator));
	return psprintf("%s OPERATOR(%s.%s) %s", left,
					quote_identifier(get_namespace_name(schema)), get_opname(operator), right);
}

typedef char *(*KeyText) (const RollupSpec *spec, const char *alias, int number);

/* A key as a column of state, delta and what is made of them. */
static char *
stored_key(const RollupSpec *spec, const char *alias, int number)
{
	return psprintf("%s.k%d", alias, number);
}

/* A key of a row of the source. */
static char *
source_key(const RollupSpec *spec, const char *alias, int number)
{
	return psprintf("(%s)", (char *) list_nth(spec->key_texts, number));
}

/* A key of a row that has been read from the source. */
static char *
read_key(const RollupSpec *spec, const char *alias, int number)
{
	return psprintf("%s.aggwin_k%d", alias, number);
}

/*
 * Keys are compared in patterns, each by itself: one bit for each key, which says
 * that it is NULL on both sides, so that an index can be used. Where there would be
 * too many, all with a NULL are one that no index can help with.
 */
#define MAX_KEYS_IN_PATTERNS 2
#define ANY_NULLS (-1)

static List *
patterns(const RollupSpec *spec)
{
	int			keys = list_length(spec->keys) - 1;
	List	   *result = NIL;

	if (keys > MAX_KEYS_IN_PATTERNS)
		return list_make2_int(0, ANY_NULLS);
	for (int nulls = 0; nulls < 1 << keys; nulls++)
		result = lappend_int(result, nulls);
	return result;
}

/* The keys of two rows are the same, in a pattern. Any NULLs: or they are NULL. */
static char *
same_keys(const RollupSpec *spec, KeyText text, const char *alias, const char *other, int nulls)
{
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfoString(&s, "true");
	for (int i = 1; i < list_length(spec->keys); i++)
	{
		char	   *left = text(spec, alias, i);
		char	   *right = stored_key(spec, other, i);
		char	   *same = same_key(spec, i, left, right);

		if (nulls == ANY_NULLS)
			appendStringInfo(&s, " AND coalesce(%1$s, %2$s IS NULL AND %3$s IS NULL)",
							 same, left, right);
		else if (nulls & 1 << (i - 1))
			appendStringInfo(&s, " AND %s IS NULL AND %s IS NULL", left, right);
		else
			appendStringInfo(&s, " AND %s", same);
	}
	return s.data;
}

/* The same, so that no two patterns have a pair of rows in common. */
static char *
match_keys(const RollupSpec *spec, KeyText text, const char *alias, const char *other, int nulls)
{
	char	   *same = same_keys(spec, text, alias, other, nulls);
	StringInfoData s;

	if (nulls != ANY_NULLS)
		return same;
	initStringInfo(&s);
	appendStringInfo(&s, "%s AND (false", same);
	for (int i = 1; i < list_length(spec->keys); i++)
		appendStringInfo(&s, " OR %s IS NULL", stored_key(spec, other, i));
	appendStringInfoChar(&s, ')');
	return s.data;
}

/* ", alias.k1, …" after a text that is given as format for the number */
static char *
keys_as(const RollupSpec *spec, const char *format)
{
	StringInfoData s;

	initStringInfo(&s);
	for (int i = 1; i < list_length(spec->keys); i++)
	{
		appendStringInfoString(&s, ", ");
		appendStringInfo(&s, format, i, i);
	}
	return s.data;
}

/* PARTITION BY or GROUP BY: an expression, unless it is NULL, and the keys of an alias. */
static char *
by_keys(const RollupSpec *spec, const char *first, const char *format)
{
	char	   *keys = keys_as(spec, format);

	return first ? psprintf("%s%s", first, keys) : keys[0] ? keys + 2 : "";
}

/* Rows of the source ------------------------------------------------------ */

/*
 * Rows of the source "e" that count: their time, their keys and the columns
 * that aggregates read.
 */
static char *
rows(const RollupSpec *spec, const char *from, const char *restriction)
{
	StringInfoData s;
	int			column = -1;

	initStringInfo(&s);
	appendStringInfo(&s, "SELECT (%s) AS aggwin_time", spec->event_time);
	for (int i = 1; i < list_length(spec->keys); i++)
		appendStringInfo(&s, ", %s AS aggwin_k%d", source_key(spec, "e", i), i);
	while ((column = bms_next_member(spec->columns, column)) >= 0)
		appendStringInfo(&s, ", e.%s",
						 quote_identifier(get_attname(spec->source, column, false)));
	appendStringInfo(&s, " FROM %s WHERE ", from);
	if (spec->where != NULL)
		appendStringInfo(&s, "(%s) AND ", spec->where);
	appendStringInfoString(&s, restriction);
	return s.data;
}

/* Sessions of such rows: the columns of state, and (on request) the last time. */
static char *
sessions_of(const RollupSpec *spec, const char *from, bool latest)
{
	StringInfoData s;
	char	   *partition = by_keys(spec, NULL, "e.aggwin_k%d");
	const char *session;
	int			i = 0;
	ListCell   *lc;

	initStringInfo(&s);
	appendStringInfo(&s, "SELECT %s AS bucket%s, count(*) AS n",
					 aggwin_sql_session(spec, "min(e.aggwin_time)", "max(e.aggwin_time)"),
					 keys_as(spec, "e.aggwin_k%d AS k%d"));
	if (latest)
		appendStringInfoString(&s, ", max(e.aggwin_time) AS latest");
	foreach(lc, spec->partials)
		appendStringInfo(&s, ", %s AS p%d", ((Partial *) lfirst(lc))->aggregate, ++i);
	session = spec->each_time ? "e.aggwin_time"
		: psprintf("aggwin.session_start(e.aggwin_time, %s) OVER (%s%s ORDER BY e.aggwin_time)",
				   spec->gap, partition[0] ? "PARTITION BY " : "", partition);
	appendStringInfo(&s, " FROM (SELECT e.*, %s AS aggwin_session FROM (%s) AS e) AS e GROUP BY %s",
					 session, from, by_keys(spec, "e.aggwin_session", "e.aggwin_k%d"));
	return s.data;
}

/* The same as aggwin_sql_groups(), of sessions. */
char *
aggwin_sql_session_groups(const RollupSpec *spec, const char *from,
						  const char *restriction, bool latest)
{
	return sessions_of(spec, rows(spec, psprintf("%s AS e", from), restriction), latest);
}

/*
 * Rows of the source whose sessions are to be computed: all in the invalid
 * spans but those of islands that are kept, and those of other islands.
 */
static char *
rows_to_compute(const RollupSpec *spec, const RollupNames *names)
{
	char	   *time = psprintf("(%s)", spec->event_time);
	char	   *source = psprintf("%s AS e", names->source);
	char	   *joined = psprintf("islands AS i, %s AS e", names->source);
	const char *any = "(SELECT EXISTS (SELECT FROM islands AS x WHERE x.computed)) AND i.computed";
	StringInfoData s;
	ListCell   *lc;

	initStringInfo(&s);
	appendStringInfo(&s, "SELECT q.* FROM aggwin.spans((SELECT w.scans FROM w0 AS w)) AS r(span)"
					 " CROSS JOIN LATERAL (%s) AS q WHERE NOT EXISTS (SELECT FROM kept AS x"
					 " WHERE q.aggwin_time <@ x.bucket AND %s)",
					 rows(spec, source, psprintf("%s AND %s <@ (SELECT w.spans FROM w0 AS w)",
												 aggwin_sql_in_span(spec, time), time)),
					 same_keys(spec, read_key, "q", "x", ANY_NULLS));
	appendStringInfo(&s, " UNION ALL %s",
					 rows(spec, source, psprintf("%s IS NULL AND (SELECT w.nulls FROM w0 AS w)", time)));
	foreach(lc, patterns(spec))
		appendStringInfo(&s, " UNION ALL %s",
						 rows(spec, joined,
							  psprintf("%1$s AND %2$s AND %3$s >= lower(i.extent) AND %3$s <= upper(i.extent)"
									   " AND %3$s <@ i.extent"
									   " AND NOT coalesce(i.extent <@ (SELECT w.spans FROM w0 AS w), false)"
									   " AND NOT coalesce(%3$s <@ (SELECT w.spans FROM w0 AS w), false)",
									   any, match_keys(spec, source_key, NULL, "i", lfirst_int(lc)), time)));
	appendStringInfo(&s, " UNION ALL %s",
					 rows(spec, joined,
						  psprintf("%s AND i.extent IS NULL AND %s IS NULL"
								   " AND NOT coalesce((SELECT w.nulls FROM w0 AS w), false) AND %s", any, time,
								   same_keys(spec, source_key, NULL, "i", ANY_NULLS))));
	return s.data;
}

/* Islands ----------------------------------------------------------------- */

/* Pending deltas, but those that came too late. */
static void
append_pending(StringInfo s, const RollupSpec *spec, const RollupNames *names)
{
	const Tier *base = aggwin_tier(names, 0);
	char	   *row = aggwin_sql_row_of(spec, "d", base, base);
	char	   *counts = aggwin_sql_outside("d.latest", "closed");

	appendStringInfo(s, ", pending AS MATERIALIZED ("
					 "SELECT %1$s FROM %2$s AS d WHERE d.xid = ANY ((SELECT f.xip FROM folded AS f)::xid8[]) AND %3$s"
					 " UNION ALL SELECT %1$s FROM %2$s AS d"
					 " WHERE d.xid >= (SELECT f.xmax FROM folded AS f) AND d.xid <= " AGGWIN_LAST_XID " AND %3$s)",
					 row, base->delta, counts);
}

/*
 * State that a pending row touches. The index of state finds the last session of the
 * key that begins before it, and those that begin in it; if keys are not compared by
 * that, what overlaps it is found by time.
 */
static void
append_touching(StringInfo s, const RollupSpec *spec, const RollupNames *names, int pattern)
{
	const Tier *base = aggwin_tier(names, 0);
	char	   *row = aggwin_sql_row_of(spec, "st", base, base);
	char	   *same = match_keys(spec, stored_key, "st", "d", pattern);
	char	   *touches = touch("st.bucket", "d.bucket");

	if (pattern == ANY_NULLS)
		appendStringInfo(s, " UNION ALL SELECT st.ctid, %s FROM pending AS d JOIN %s AS st ON %s AND %s",
						 row, base->state, touches, same);
	else
		appendStringInfo(s, " UNION ALL SELECT q.* FROM pending AS d"
						 " CROSS JOIN LATERAL (SELECT st.ctid, %1$s FROM %2$s AS st WHERE %3$s AND st.bucket >= coalesce((SELECT x.bucket FROM %2$s AS x"
						 " WHERE %4$s AND x.bucket < %5$s(lower(d.bucket), NULL, '()')"
						 " ORDER BY x.bucket DESC LIMIT 1), 'empty')"
						 " AND st.bucket < %5$s(upper(d.bucket), NULL, '()') AND %6$s OFFSET 0) AS q"
						 " WHERE d.bucket IS NOT NULL",
						 row, base->state, same, match_keys(spec, stored_key, "x", "d", pattern),
						 spec->time->range, touches);
}

/* State that something pending, or an invalid span in part, touches, with its places. */
static void
append_touched(StringInfo s, const RollupSpec *spec, const RollupNames *names)
{
	const Tier *base = aggwin_tier(names, 0);
	char	   *row = aggwin_sql_row_of(spec, "st", base, base);
	ListCell   *lc;

	appendStringInfo(s, ", touched AS MATERIALIZED (SELECT DISTINCT ON (q.place) q.* FROM ("
					 "SELECT st.ctid AS place, %s FROM aggwin.spans((SELECT x.spans FROM reach AS x)) AS r(span)"
					 " JOIN %s AS st ON %s WHERE NOT st.bucket <@ (SELECT w.spans FROM w0 AS w)",
					 row, base->state, touch("st.bucket", "r.span"));
	foreach(lc, patterns(spec))
		append_touching(s, spec, names, lfirst_int(lc));
	appendStringInfo(s, " UNION ALL SELECT st.ctid, %s FROM pending AS d JOIN %s AS st ON st.bucket IS NULL AND %s"
					 " WHERE d.bucket IS NULL) AS q WHERE %s)",
					 row, base->state, same_keys(spec, stored_key, "st", "d", ANY_NULLS),
					 aggwin_sql_outside("q.bucket", "expired"));
}

/* Does a range, or NULL, touch the invalid spans? */
static char *
near_invalid(const char *bucket)
{
	return psprintf("CASE WHEN (SELECT x.spans IS NULL AND NOT x.nulls FROM reach AS x) THEN false"
					" WHEN %1$s IS NULL THEN (SELECT x.nulls FROM reach AS x)"
					" ELSE coalesce(%2$s, false) END",
					bucket, touch(bucket, "(SELECT x.spans FROM reach AS x)"));
}

/* May rows of the time of an extent, from its first to its last, be gone from the source? */
static char *
in_frozen(const RollupSpec *spec, const char *extent)
{
	return psprintf("CASE WHEN (SELECT m.lost IS NULL AND NOT m.frozen_nulls FROM marks AS m) THEN false"
					" WHEN %1$s IS NULL THEN (SELECT m.frozen_nulls FROM marks AS m)"
					" ELSE coalesce(%2$s(lower(%1$s), upper(%1$s) - %3$s, '[]')"
					" && (SELECT m.lost FROM marks AS m), false) END",
					extent, spec->time->range, spec->gap);
}

/* The range of rows "u" of one island; filter is put behind each aggregate. */
static char *
bounds(const RollupSpec *spec, const char *filter)
{
	char	   *lower = psprintf("min(lower(u.bucket))%s", filter);

	return psprintf("CASE WHEN isfinite(%1$s) THEN %2$s(%1$s, max(upper(u.bucket))%3$s)"
					" WHEN %1$s IS NOT NULL THEN %2$s(%1$s, %1$s, '[]') END",
					lower, spec->time->range, filter);
}

/*
 * Members of a WITH clause that has "folded", "marks" and "w0": what is pending,
 * the state that it touches, and the islands of both. "bucket" is the range of
 * what has been counted, "extent" that of all.
 */
char *
aggwin_sql_session_islands(const RollupSpec *spec, const RollupNames *names)
{
	const char *range = spec->time->range;
	char	   *partition = by_keys(spec, "m.bucket IS NULL", "m.k%d");
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfo(&s, ", reach AS MATERIALIZED (SELECT (SELECT range_agg(%s(lower(r.span),"
					 " aggwin.session_end(upper(r.span), %s), '[]')) FROM aggwin.spans(w.spans) AS r(span)) AS spans,"
					 " coalesce(w.nulls, false) AS nulls FROM w0 AS w)",
					 range, spec->gap);
	append_pending(&s, spec, names);
	append_touched(&s, spec, names);

	/* A range begins another island if none before it in the order goes on until then. */
	appendStringInfo(&s, ", numbered AS (SELECT m.*, count(*) FILTER (WHERE m.begins)"
					 " OVER (PARTITION BY %1$s ORDER BY lower(m.bucket)) AS island"
					 " FROM (SELECT m.*, lower(m.bucket) > max(upper(m.bucket)) OVER w"
					 " OR lower(m.bucket) = 'infinity' AND max(lower(m.bucket)) OVER w < 'infinity' AS begins"
					 " FROM (SELECT %2$s FROM pending AS m UNION ALL SELECT %2$s FROM touched AS m) AS m"
					 " WINDOW w AS (PARTITION BY %1$s ORDER BY lower(m.bucket)"
					 " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) AS m)",
					 partition, aggwin_sql_columns(spec, NULL));
	appendStringInfo(&s, ", merged AS (SELECT %s AS bucket, %s AS extent%s, %s, bool_or(u.n = 0)%s AS changed"
					 " FROM numbered AS u GROUP BY %s, u.island)",
					 bounds(spec, " FILTER (WHERE u.n > 0)"), bounds(spec, ""),
					 keys_as(spec, "u.k%d"), aggwin_sql_merged(spec),
					 aggwin_may_be_inexact(spec) ? psprintf(" OR NOT %s", aggwin_sql_all_exact(spec, NULL)) : "",
					 by_keys(spec, "u.bucket IS NULL", "u.k%d"));
	appendStringInfo(&s, ", islands AS MATERIALIZED (SELECT i.*, i.wrong AND NOT i.frozen AS computed"
					 " FROM (SELECT m.*, m.changed OR %s AS wrong, %s AS frozen FROM merged AS m) AS i)"
					 ", kept AS MATERIALIZED (SELECT i.* FROM islands AS i WHERE i.wrong AND i.frozen)",
					 near_invalid("m.extent"), in_frozen(spec, "m.extent"));
	return s.data;
}

/* The parts of the view: FROM what it groups. */
char *
aggwin_sql_session_parts(const RollupSpec *spec, const RollupNames *names)
{
	const Tier *base = aggwin_tier(names, 0);
	const char *columns = aggwin_sql_columns(spec, NULL);

	return psprintf("SELECT %1$s FROM %2$s AS st WHERE NOT (%3$s)"
					" AND NOT EXISTS (SELECT FROM touched AS t WHERE t.place = st.ctid)"
					" UNION ALL SELECT %4$s FROM islands AS i WHERE NOT i.computed AND i.n > 0"
					" UNION ALL SELECT %4$s FROM (%5$s) AS g",
					aggwin_sql_row_of(spec, "st", base, base), base->state,
					near_invalid("st.bucket"), columns,
					sessions_of(spec, rows_to_compute(spec, names), false));
}

/* Fold -------------------------------------------------------------------- */

/*
 * Put what islands and invalid spans have become into state, in place of what
 * they were made from. The pending deltas are still to be removed. Returns the
 * number of rows that were counted anew, the new watermark, how many islands
 * were computed, and how many ought to have been because rows had changed.
 * $1 invalid spans, $2 nulls, $3 watermark, $4 max_future, $5 scans
 */
char *
aggwin_sql_fold_sessions(const RollupSpec *spec, const RollupNames *names)
{
	const Tier *base = aggwin_tier(names, 0);
	const char *columns = aggwin_sql_columns(spec, NULL);
	char	   *keys = aggwin_sql_key_columns(spec, NULL);
	char	   *key_of_state = psprintf("st.bucket%s", keys_as(spec, "st.k%d"));
	char	   *in_order = psprintf("%s%sbucket", by_keys(spec, NULL, "k%d"),
									list_length(spec->keys) > 1 ? ", " : "");
	char	   *not_expired = aggwin_sql_outside("q.bucket", "expired");
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfo(&s, "%s, w0 AS MATERIALIZED (SELECT $1 AS spans, $2 AS nulls, $5 AS scans)%s",
					 aggwin_sql_pending_marks(spec, names, 0),
					 aggwin_sql_session_islands(spec, names));
	appendStringInfo(&s, ", fresh AS MATERIALIZED (%s)",
					 sessions_of(spec, rows_to_compute(spec, names), true));
	appendStringInfo(&s, ", results AS MATERIALIZED (SELECT %1$s FROM ("
					 "SELECT %1$s FROM islands AS i WHERE NOT i.computed AND i.n > 0"
					 " UNION ALL SELECT %1$s FROM fresh AS f) AS q WHERE %2$s)",
					 columns, not_expired);

	/* What comes out as the same session again is updated where it stands. */
	appendStringInfo(&s, ", places AS (SELECT t.place, %1$s FROM touched AS t"
					 " UNION ALL SELECT st.ctid, %2$s FROM aggwin.spans((SELECT w.spans FROM w0 AS w)) AS r(span)"
					 " JOIN %3$s AS st ON st.bucket <@ r.span"
					 " UNION ALL SELECT st.ctid, %2$s FROM %3$s AS st"
					 " WHERE st.bucket IS NULL AND (SELECT w.nulls FROM w0 AS w)"
					 " UNION ALL SELECT NULL, %1$s FROM results AS q)",
					 keys, key_of_state, base->state);
	appendStringInfo(&s, ", removed AS (DELETE FROM %1$s AS st USING (SELECT min(p.place) AS place"
					 " FROM places AS p GROUP BY %2$s HAVING count(*) = count(p.place)) AS g WHERE st.ctid = g.place)"
					 ", stored AS (INSERT INTO %1$s AS st (%3$s) SELECT %3$s FROM results ORDER BY %4$s"
					 " ON CONFLICT (%2$s) DO UPDATE SET n = excluded.n",
					 base->state, keys, columns, in_order);
	for (int i = 1; i <= list_length(spec->partials); i++)
		appendStringInfo(&s, ", p%1$d = excluded.p%1$d", i);
	appendStringInfo(&s, ") SELECT coalesce(aggwin.bigint_sum(f.n), 0), %s,"
					 " (SELECT count(*) FROM islands AS i WHERE i.computed),"
					 " (SELECT count(*) FROM kept AS i WHERE i.changed) FROM fresh AS f",
					 aggwin_sql_watermark(spec, "$3", "$4"));
	return s.data;
}

/*
 * Remove the pending deltas. Returns the number of rows that they stand for, the
 * new watermark, and how many more rows came too late.
 * $1 and $2 as for all statements of the base, $3 watermark, $4 max_future,
 * $5 closed spans
 */
char *
aggwin_sql_take_session_deltas(const RollupSpec *spec, const RollupNames *names)
{
	const char *late = "coalesce(d.latest <@ $5, false)";

	return psprintf("WITH listed AS (DELETE FROM %1$s AS d WHERE d.xid = ANY ($1) RETURNING d.n, d.latest),"
					" newer AS (DELETE FROM %1$s AS d WHERE d.xid >= $2 RETURNING d.n, d.latest)"
					" SELECT coalesce(aggwin.bigint_sum(d.n) FILTER (WHERE NOT %2$s), 0), %3$s,"
					" coalesce(aggwin.bigint_sum(d.n) FILTER (WHERE %2$s), 0)"
					" FROM (SELECT * FROM listed UNION ALL SELECT * FROM newer) AS d",
					aggwin_tier(names, 0)->delta, late, aggwin_sql_watermark(spec, "$3", "$4"));
}

/* All time that pending deltas are about, with spans $3, and whether they have rows without a time. */
char *
aggwin_sql_session_extent(const RollupSpec *spec, const RollupNames *names)
{
	return psprintf("SELECT coalesce(range_agg(d.bucket) FILTER (WHERE d.bucket IS NOT NULL), '{}') + $3,"
					" coalesce(bool_or(d.bucket IS NULL), false) FROM %s AS d"
					" WHERE d.xid = ANY ($1) OR d.xid >= $2", aggwin_tier(names, 0)->delta);
}
