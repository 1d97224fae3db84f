/*
 * view_sql.c - the views that a rollup is queried through
 *
 * W0 is what is invalid at the base and not frozen, Wk what is invalid at
 * level k: Wk-1 and its own invalid spans, widened to whole buckets of level
 * k, without what level k-1 no longer keeps. Wk contains Wk-1, so event time
 * falls into parts, and each is answered from the highest level that is whole:
 *
 *      level 1   =====================|             |==============
 *      level 0                        |===|     |===|
 *      source                             |=====|
 *                                         '- W0 -'
 *                                     '----- W1 ----'
 *
 *      view(k) = merge( state(k)                  outside of Wk
 *                       state(j), j < k           in Wj+1, outside of Wj
 *                       delta(j), 0 < j <= k      outside of Wj
 *                       pending deltas            outside of W0
 *                       groups of the source      in W0 )
 *
 * A delta or a span is pending when the reader's snapshot sees it and the
 * stored snapshot "folded" does not; the two index branches are explained in
 * fold.c. Levels above the base have one writer at a time, the fold, so what a
 * reader sees of them always fits together. A reader whose snapshot is older
 * than the rollup sees no "folded", and that of a rollup which is being restored
 * is NULL: then everything is invalid, so that these readers, too, get what the
 * plain query gives. It is also for readers who see an older generation of the
 * rollup than the view's (add_column.c).
 *
 * With nothing invalid, the branches of lower levels and of the source are
 * never started.
 */
#include "postgres.h"

#include "rollup/exact_sql.h"
#include "rollup/session_sql.h"

#include "core/spi_util.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

/* Index scans of the source for one read; more become one. */
#define MAX_SCANS 64

typedef struct RewriteContext
{
	const RollupSpec *spec;
	List	   *finals;			/* Node *, in the order of spec->finals */
} RewriteContext;

/*
 * Parse an expression over the merged partials, as columns of "u", which stands
 * for the base's state: that has all columns which tiers have.
 */
static Node *
parse_final(const char *text, const Tier *base)
{
	char	   *sql = psprintf("SELECT %s FROM %s AS u", text, base->state);
	RawStmt    *raw = linitial_node(RawStmt, pg_parse_query(sql));
	Query	   *query = parse_analyze_fixedparams(raw, sql, NULL, 0, NULL);

	return (Node *) linitial_node(TargetEntry, query->targetList)->expr;
}

/* Put columns in the place of keys and finals in the place of aggregates. */
static Node *
rewrite_mutator(Node *node, RewriteContext *context)
{
	const RollupSpec *spec = context->spec;
	int			number = 0;
	ListCell   *lc;
	ListCell   *final;

	if (node == NULL)
		return NULL;
	foreach(lc, spec->keys)
	{
		/* The columns of the base's state begin with the bucket and the keys. */
		if (equal(node, lfirst(lc)))
			return (Node *) makeVar(1, number + 1, exprType(node), exprTypmod(node),
									exprCollation(node), 0);
		number++;
	}
	if (IsA(node, Aggref))
	{
		forboth(lc, spec->finals, final, context->finals)
		{
			if (equal(node, ((AggregateFinal *) lfirst(lc))->aggref))
				return copyObject(lfirst(final));
		}
		elog(ERROR, "aggregate was not decomposed");
	}
	return expression_tree_mutator(node, rewrite_mutator, context);
}

typedef struct LostKeyContext
{
	const RollupSpec *spec;
	List	   *keys;
} LostKeyContext;

/* Is the expression made of a key that the tier does not have? */
static bool
lost_key_walker(Node *node, LostKeyContext *context)
{
	int			number = 0;
	ListCell   *lc;

	if (node == NULL || IsA(node, Aggref))
		return false;
	foreach(lc, context->spec->keys)
	{
		if (equal(node, lfirst(lc)))
			return number > 0 && !list_member_int(context->keys, number);
		number++;
	}
	return expression_tree_walker(node, lost_key_walker, context);
}

/* The columns of a tier's view: TargetEntry *. */
List *
aggwin_tier_targets(const RollupSpec *spec, const Tier *tier)
{
	LostKeyContext context = {spec, aggwin_tier_keys(spec, tier)};
	List	   *targets = NIL;
	ListCell   *lc;

	foreach(lc, spec->targets)
	{
		if (!lost_key_walker((Node *) lfirst_node(TargetEntry, lc)->expr, &context))
			targets = lappend(targets, lfirst(lc));
	}
	return targets;
}

/* The widened spans of a tier: whole buckets that the spans touch. */
char *
aggwin_sql_widened(const RollupSpec *spec, const Tier *tier, const char *spans)
{
	char	   *low = aggwin_sql_bucket(spec, tier, "lower(r.span)");
	char	   *high = aggwin_sql_bucket(spec, tier, "upper(r.span)");
	char	   *next = aggwin_sql_bucket_end(spec, tier, high);
	char	   *span = psprintf("%s(%s, CASE WHEN upper(r.span) = %s THEN upper(r.span) ELSE %s END)",
								spec->time->range, low, high, next);

	/* Buckets of infinite times are the same at all levels. */
	if (spec->time->clock != NULL)
		span = psprintf("CASE WHEN NOT isfinite(lower(r.span)) THEN r.span ELSE %s END", span);
	return psprintf("(SELECT range_agg(%s) FROM aggwin.spans(%s) AS r(span))", span, spans);
}

/*
 * Does the reader's snapshot know the tier? To an older one state is empty, and
 * the row that says so of a new tier is not there.
 */
static char *
knows_tier(const RollupNames *names, int level)
{
	return psprintf("EXISTS (SELECT FROM aggwin.tier AS t WHERE t.rollup_id = %d AND t.level = %d"
					" AND t.state = %s::regclass)", names->rollup_id, level,
					quote_literal_cstr(aggwin_tier(names, level)->state));
}

/* What the rows of the invalid table say; see capture_write.h for the kinds. */
static void
append_mark_columns(StringInfo s, const RollupSpec *spec, const RollupNames *names, int level)
{
	appendStringInfo(s, "CASE WHEN EXISTS (SELECT FROM folded AS f WHERE f.is_current)"
					 " THEN range_agg(i.spans) FILTER (WHERE %1$s) ELSE '{(,)}' END AS invalid0,"
					 " CASE WHEN EXISTS (SELECT FROM folded AS f WHERE f.is_current)"
					 " THEN bool_or(i.nulls) FILTER (WHERE %1$s) ELSE true END AS nulls0,"
					 " range_agg(i.spans) FILTER (WHERE i.kind IN ('f', 's', 'l')"
					 " OR i.kind = 'e' AND i.level = 0) AS frozen,"
					 " coalesce(bool_or(i.nulls) FILTER (WHERE i.kind = 'f'), false) AS frozen_nulls,"
					 " range_agg(i.spans) FILTER (WHERE i.kind = 'l') AS closed,"
					 " range_agg(i.spans) FILTER (WHERE i.kind = 'e' AND i.level = %2$d) AS expired",
					 AGGWIN_BASE_INVALID, level);
	/* What has expired is frozen, too, but its rows are there. */
	if (spec->gap != NULL)
		appendStringInfoString(s, ", range_agg(i.spans) FILTER (WHERE i.kind IN ('f', 's', 'l')) AS lost");
	for (int j = 1; j <= level; j++)
		appendStringInfo(s, ", CASE WHEN %3$s THEN range_agg(i.spans) FILTER (WHERE i.kind = 'i' AND i.level = %1$d)"
						 " ELSE '{(,)}' END AS invalid%1$d,"
						 " CASE WHEN %3$s THEN bool_or(i.nulls) FILTER (WHERE i.kind = 'i' AND i.level = %1$d)"
						 " ELSE true END AS nulls%1$d,"
						 " range_agg(i.spans) FILTER (WHERE i.kind = 'e' AND i.level = %2$d) AS gone%1$d",
						 j, j - 1, knows_tier(names, j));
}

/* The beginning of a WITH clause: folded and marks. */
char *
aggwin_sql_pending_marks(const RollupSpec *spec, const RollupNames *names, int level)
{
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfo(&s,
					 "WITH folded AS MATERIALIZED ("
					 "SELECT ARRAY(SELECT pg_snapshot_xip(t.folded)) AS xip,"
					 " pg_snapshot_xmax(t.folded) AS xmax,"
					 " t.generation >= %d AS is_current"
					 " FROM aggwin.tier AS t WHERE t.rollup_id = %d AND t.level = 0 AND t.folded IS NOT NULL), "
					 "marks AS MATERIALIZED (SELECT ", names->generation, names->rollup_id);
	append_mark_columns(&s, spec, names, level);
	appendStringInfo(&s, " FROM ("
					 "SELECT i.kind, i.level, i.spans, i.nulls FROM %1$s AS i"
					 " WHERE i.xid = ANY ((SELECT f.xip FROM folded AS f)::xid8[])"
					 " UNION ALL "
					 "SELECT i.kind, i.level, i.spans, i.nulls FROM %1$s AS i"
					 " WHERE i.xid >= (SELECT f.xmax FROM folded AS f) AND i.xid <= " AGGWIN_LAST_XID
					 ") AS i)", names->invalid);
	return s.data;
}

/*
 * The same and more of it: w0 to the one of a level, each with spans (NULL if
 * nothing is invalid) and nulls; w0 with scans, too.
 */
char *
aggwin_sql_marks(const RollupSpec *spec, const RollupNames *names, int level)
{
	StringInfoData s;

	/* Of sessions, single islands are asked. */
	bool		may_be_inexact = spec->gap == NULL && aggwin_may_be_inexact(spec);

	initStringInfo(&s);
	appendStringInfo(&s, "%s, ", aggwin_sql_pending_marks(spec, names, level));
	if (may_be_inexact)
		for (int j = 0; j <= level; j++)
			appendStringInfo(&s, "%s, ", aggwin_sql_inexact_pending(spec, names, j));
	appendStringInfo(&s, "w0 AS MATERIALIZED (SELECT v.spans, v.nulls, %s AS scans FROM ("
					 "SELECT %s - coalesce(m.frozen, '{}') AS spans,"
					 " %s AND NOT m.frozen_nulls AS nulls FROM %s) AS v) ",
					 aggwin_sql_scans("v.spans",
									  aggwin_has_time_index(spec) ? MAX_SCANS : 1),
					 may_be_inexact ? "coalesce(m.invalid0 + x.spans, m.invalid0, x.spans)" : "m.invalid0",
					 may_be_inexact ? "(coalesce(m.nulls0, false) OR x.nulls)" : "m.nulls0",
					 may_be_inexact ? "marks AS m, x0 AS x" : "marks AS m");
	for (int j = 1; j <= level; j++)
	{
		char	   *own = psprintf(may_be_inexact ? "coalesce(m.invalid%1$d + x.spans, m.invalid%1$d, x.spans)"
								   : "m.invalid%1$d", j);
		char	   *both = psprintf("coalesce(w.spans, '{}') + coalesce(%s, '{}')", own);

		appendStringInfo(&s, ", w%1$d AS MATERIALIZED (SELECT"
						 " CASE WHEN w.spans IS NULL AND %4$s IS NULL THEN NULL"
						 " ELSE coalesce(%3$s, '{}') - coalesce(m.gone%1$d, '{}') END AS spans,"
						 " coalesce(w.nulls, false) OR coalesce(m.nulls%1$d, false)%5$s AS nulls"
						 " FROM marks AS m, w%2$d AS w%6$s) ",
						 j, j - 1, aggwin_sql_widened(spec, aggwin_tier(names, j), both), own,
						 may_be_inexact ? " OR x.nulls" : "",
						 may_be_inexact ? psprintf(", x%d AS x", j) : "");
	}
	return s.data;
}

/* Not in Wj. Where that is empty, this costs nothing. */
static char *
valid(const char *bucket, int j)
{
	return psprintf("CASE WHEN (SELECT w.spans IS NULL FROM w%1$d AS w) THEN true"
					" ELSE NOT (%2$s) END",
					j, aggwin_sql_covered(bucket,
										  psprintf("(SELECT w.spans FROM w%d AS w)", j),
										  psprintf("(SELECT w.nulls FROM w%d AS w)", j)));
}

/* Not covered by spans of a column of marks, which is mostly NULL. */
char *
aggwin_sql_outside(const char *bucket, const char *column)
{
	return psprintf("CASE WHEN (SELECT m.%1$s IS NULL FROM marks AS m) THEN true"
					" ELSE %2$s IS NULL OR NOT %2$s <@ (SELECT m.%1$s FROM marks AS m) END",
					column, bucket);
}

/*
 * Spans, as far as a level asks those below: where one in between has expired,
 * it does not, although what is below may still be invalid there.
 */
static char *
asked_by(int level, const char *spans)
{
	if (level < 2)
		return psprintf("(%s)", spans);
	return psprintf("((%s) * (SELECT w.spans FROM w%d AS w))", spans, level);
}

/* State of a level below, where that is whole and the one above is not. */
static void
append_lower_state(StringInfo s, const RollupSpec *spec, const RollupNames *names,
				   int level, int j, const Tier *shown, const char *restriction)
{
	const Tier *lower = aggwin_tier(names, j);
	char	   *row = aggwin_sql_row_of(spec, "st", lower, shown);
	char	   *spans = psprintf("SELECT a.spans - coalesce(b.spans, '{}') FROM w%d AS a, w%d AS b",
								 j + 1, j);

	appendStringInfo(s, " UNION ALL SELECT %1$s FROM aggwin.spans(%7$s) AS r(span)"
					 " JOIN %4$s AS st ON %5$s AND %6$s"
					 " UNION ALL SELECT %1$s FROM %4$s AS st WHERE st.bucket IS NULL AND %6$s"
					 " AND (SELECT a.nulls AND NOT coalesce(b.nulls, false) FROM w%2$d AS a, w%3$d AS b)",
					 row, j + 1, j, lower->state, aggwin_sql_in_span(spec, "st.bucket"),
					 psprintf(restriction, "st"), asked_by(level, spans));
}

/*
 * restriction: a format for conditions on the columns of an alias; within: what
 * it leaves of event time, as spans, NULL if it says nothing of that.
 */
static void
append_parts(StringInfo s, const RollupSpec *spec, const RollupNames *names,
			 int level, const Tier *shown, const char *restriction, const char *within)
{
	const Tier *tier = aggwin_tier(names, level);
	const Tier *base = aggwin_tier(names, 0);
	char	   *row = aggwin_sql_row_of(spec, "d", base, shown);
	char	   *on_delta = psprintf(restriction, "d");
	char	   *counts = psprintf("%s AND %s AND %s", valid("d.bucket", 0),
								  aggwin_sql_outside("d.bucket", "closed"), on_delta);
	char	   *groups;

	appendStringInfo(s, "SELECT %s FROM %s AS st WHERE %s AND %s",
					 aggwin_sql_row_of(spec, "st", tier, shown), tier->state,
					 valid("st.bucket", level), psprintf(restriction, "st"));
	for (int j = level - 1; j >= 0; j--)
		append_lower_state(s, spec, names, level, j, shown, restriction);
	for (int j = level; j > 0; j--)
		appendStringInfo(s, " UNION ALL SELECT %s FROM %s AS d WHERE %s AND %s",
						 aggwin_sql_row_of(spec, "d", aggwin_tier(names, j), shown),
						 aggwin_tier(names, j)->delta, valid("d.bucket", j), on_delta);
	appendStringInfo(s, " UNION ALL SELECT %s FROM %s AS d"
					 " WHERE d.xid = ANY ((SELECT f.xip FROM folded AS f)::xid8[]) AND %s",
					 row, base->delta, counts);
	appendStringInfo(s, " UNION ALL SELECT %s FROM %s AS d"
					 " WHERE d.xid >= (SELECT f.xmax FROM folded AS f) AND d.xid <= " AGGWIN_LAST_XID " AND %s",
					 row, base->delta, counts);
	groups = aggwin_sql_groups_in_spans(spec, names->source,
										asked_by(level, "SELECT w.spans FROM w0 AS w"),
										within ? "false" : "(SELECT w.nulls FROM w0 AS w)",
										within ? psprintf("(SELECT w.scans * %s FROM w0 AS w)", within)
										: "(SELECT w.scans FROM w0 AS w)",
										false);
	appendStringInfo(s, " UNION ALL SELECT %s FROM (%s) AS g WHERE %s",
					 aggwin_sql_row_of(spec, "g", base, shown), groups,
					 psprintf(restriction, "g"));
}

/* The query of a level's view. */
char *
aggwin_sql_view(const RollupSpec *spec, const RollupNames *names, int level)
{
	return aggwin_sql_answer(spec, names, level, aggwin_tier(names, level), "true", NULL);
}

/*
 * A level's rows in the buckets of another tier, shown, which are made of
 * whole ones of the level. A tier with fewer keys has no columns that are made
 * of the others. restriction is a format for conditions on columns of state,
 * given its alias; the caller knows that they are true of whole groups. within
 * is NULL, or the spans of event time that it restricts the buckets to: the
 * source is then read only there.
 */
char *
aggwin_sql_answer(const RollupSpec *spec, const RollupNames *names, int level,
				  const Tier *shown, const char *restriction, const char *within)
{
	const Tier *tier = aggwin_tier(names, level);
	const Tier *base = aggwin_tier(names, 0);
	RewriteContext rewrite = {spec, NIL};
	List	   *keys = aggwin_tier_keys(spec, tier);
	LostKeyContext lost = {spec, keys};
	List	   *context = deparse_context_for("u", base->state_relid);
	StringInfoData s;
	const char *separator = "SELECT ";
	ListCell   *lc;

	foreach(lc, spec->finals)
		rewrite.finals = lappend(rewrite.finals,
								 parse_final(((AggregateFinal *) lfirst(lc))->text,
											 base));

	initStringInfo(&s);
	appendStringInfoString(&s, aggwin_sql_marks(spec, names, level));
	if (spec->gap != NULL)
		appendStringInfoString(&s, aggwin_sql_session_islands(spec, names));
	foreach(lc, aggwin_tier_targets(spec, tier))
	{
		TargetEntry *target = lfirst_node(TargetEntry, lc);
		Node	   *expr = rewrite_mutator((Node *) target->expr, &rewrite);

		appendStringInfo(&s, "%s%s AS %s", separator,
						 deparse_expression(expr, context, true, true),
						 quote_identifier(target->resname));
		separator = ", ";
	}
	appendStringInfoString(&s, " FROM (");
	if (spec->gap != NULL)
		appendStringInfoString(&s, aggwin_sql_session_parts(spec, names));
	else
		append_parts(&s, spec, names, level, shown, restriction, within);
	appendStringInfo(&s, ") AS u WHERE %s GROUP BY u.bucket", aggwin_sql_outside("u.bucket", "expired"));
	foreach(lc, keys)
		appendStringInfo(&s, ", u.k%d", lfirst_int(lc));
	/* All rows of a group may have been taken away. */
	if (spec->subtracts)
		appendStringInfoString(&s, " HAVING aggwin.bigint_sum(u.n) > 0");
	if (spec->having != NULL)
	{
		if (lost_key_walker(spec->having, &lost))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("a tier must keep the keys that HAVING compares")));
		appendStringInfo(&s, " %s (%s)", spec->subtracts ? "AND" : "HAVING",
						 deparse_expression(rewrite_mutator(spec->having, &rewrite),
											context, true, true));
	}
	return s.data;
}
