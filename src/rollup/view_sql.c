/*
 * view_sql.c - the view that a rollup is queried through
 *
 * For a reader with snapshot R:
 *
 *      view = merge( state, pending deltas )     outside the invalid ranges
 *             union the definition over source   inside them
 *
 * A delta or an invalid range is pending when R sees it and the stored
 * snapshot "folded" does not; the two index branches are explained in fold.c.
 * A reader whose snapshot is older than the rollup sees no "folded": for it
 * everything is invalid, so that it, too, gets what the plain query gives.
 *
 * When nothing is invalid, the branches over the source are never started.
 */
#include "postgres.h"

#include "rollup/sql.h"

#include "core/spi_util.h"
#include "lib/stringinfo.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

/*
 * An upper bound that bounds nothing, but makes a range of the condition: the
 * planner expects few rows of a range and many of an open end, and would read
 * all of delta, dead rows included, to find many.
 */
#define LAST_XID "'18446744073709551615'::xid8"

/* Index scans of the source for one read; more become one. */
#define MAX_SCANS 64

typedef struct RewriteContext
{
	const RollupSpec *spec;
	List	   *finals;			/* Node *, in the order of spec->finals */
} RewriteContext;

/* Parse an expression over the merged partials, as columns of "u". */
static Node *
parse_final(const char *text, const RollupNames *names)
{
	char	   *sql = psprintf("SELECT %s FROM %s AS u", text, names->state);
	RawStmt    *raw = linitial_node(RawStmt, pg_parse_query(sql));
	Query	   *query = parse_analyze_fixedparams(raw, sql, NULL, 0, NULL);

	return (Node *) linitial_node(TargetEntry, query->targetList)->expr;
}

/* Put columns in the place of keys and finals in the place of aggregates. */
static Node *
rewrite_mutator(Node *node, RewriteContext *context)
{
	const RollupSpec *spec = context->spec;
	AttrNumber	attno = 0;
	ListCell   *lc;
	ListCell   *final;

	if (node == NULL)
		return NULL;
	foreach(lc, spec->keys)
	{
		attno++;
		if (equal(node, lfirst(lc)))
			return (Node *) makeVar(1, attno, exprType(node), exprTypmod(node),
									exprCollation(node), 0);
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

/* Not covered by an invalid range. Where there is none, this costs nothing. */
static char *
valid(const char *alias)
{
	return psprintf("CASE WHEN (SELECT i.spans IS NULL FROM invalid AS i) THEN true"
					" ELSE NOT (%s) END",
					aggwin_sql_covered(psprintf("%s.bucket", alias),
								"(SELECT i.spans FROM invalid AS i)",
								"(SELECT i.nulls FROM invalid AS i)"));
}

static char *
qualified_columns(const RollupSpec *spec, const char *alias)
{
	StringInfoData s;

	initStringInfo(&s);
	appendStringInfo(&s, "%s.bucket", alias);
	for (int i = 1; i < list_length(spec->keys); i++)
		appendStringInfo(&s, ", %s.k%d", alias, i);
	appendStringInfo(&s, ", %s.n", alias);
	for (int i = 1; i <= list_length(spec->partials); i++)
		appendStringInfo(&s, ", %s.p%d", alias, i);
	return s.data;
}

static void
append_common(StringInfo s, const RollupSpec *spec, const RollupNames *names)
{
	appendStringInfo(s,
					 "WITH folded AS MATERIALIZED ("
					 "SELECT ARRAY(SELECT pg_snapshot_xip(t.folded)) AS xip,"
					 " pg_snapshot_xmax(t.folded) AS xmax"
					 " FROM aggwin.tier AS t WHERE t.rollup_id = %1$d AND t.level = 0), "
					 "invalid AS MATERIALIZED ("
					 "SELECT v.spans, v.nulls, %3$s AS scans FROM ("
					 "SELECT CASE WHEN EXISTS (SELECT FROM folded) THEN range_agg(p.spans) ELSE '{(,)}' END AS spans,"
					 " CASE WHEN EXISTS (SELECT FROM folded) THEN bool_or(p.nulls) ELSE true END AS nulls"
					 " FROM ("
					 "SELECT i.spans, i.nulls FROM %2$s AS i"
					 " WHERE i.xid = ANY ((SELECT f.xip FROM folded AS f)::xid8[]) AND " AGGWIN_BASE_INVALID
					 " UNION ALL "
					 "SELECT i.spans, i.nulls FROM %2$s AS i"
					 " WHERE i.xid >= (SELECT f.xmax FROM folded AS f) AND i.xid <= " LAST_XID
					 " AND " AGGWIN_BASE_INVALID ") AS p) AS v) ",
					 names->rollup_id, names->invalid,
					 aggwin_sql_scans("v.spans",
									  aggwin_has_time_index(spec) ? MAX_SCANS : 1));
}

static void
append_parts(StringInfo s, const RollupSpec *spec, const RollupNames *names)
{
	const char *delta_columns = qualified_columns(spec, "d");

	appendStringInfo(s, "SELECT %s FROM %s AS st WHERE %s",
					 qualified_columns(spec, "st"), names->state, valid("st"));
	appendStringInfo(s, " UNION ALL SELECT %s FROM %s AS d"
					 " WHERE d.xid = ANY ((SELECT f.xip FROM folded AS f)::xid8[]) AND %s",
					 delta_columns, names->delta, valid("d"));
	appendStringInfo(s, " UNION ALL SELECT %s FROM %s AS d"
					 " WHERE d.xid >= (SELECT f.xmax FROM folded AS f) AND d.xid <= " LAST_XID " AND %s",
					 delta_columns, names->delta, valid("d"));
	appendStringInfo(s, " UNION ALL %s",
					 aggwin_sql_groups_in_spans(spec, names->source,
										 "(SELECT i.spans FROM invalid AS i)",
										 "(SELECT i.nulls FROM invalid AS i)",
										 "(SELECT i.scans FROM invalid AS i)",
										 false));
}

/* The query of the rollup's view. */
char *
aggwin_sql_view(const RollupSpec *spec, const RollupNames *names)
{
	RewriteContext rewrite = {spec, NIL};
	List	   *context = deparse_context_for("u", names->state_relid);
	StringInfoData s;
	const char *separator = "SELECT ";
	ListCell   *lc;

	foreach(lc, spec->finals)
		rewrite.finals = lappend(rewrite.finals,
								 parse_final(((AggregateFinal *) lfirst(lc))->text,
											 names));

	initStringInfo(&s);
	append_common(&s, spec, names);
	foreach(lc, spec->targets)
	{
		TargetEntry *target = lfirst_node(TargetEntry, lc);
		Node	   *expr = rewrite_mutator((Node *) target->expr, &rewrite);

		appendStringInfo(&s, "%s%s AS %s", separator,
						 deparse_expression(expr, context, true, true),
						 quote_identifier(target->resname));
		separator = ", ";
	}
	appendStringInfoString(&s, " FROM (");
	append_parts(&s, spec, names);
	appendStringInfoString(&s, ") AS u GROUP BY u.bucket");
	for (int i = 1; i < list_length(spec->keys); i++)
		appendStringInfo(&s, ", u.k%d", i);
	if (spec->having != NULL)
		appendStringInfo(&s, " HAVING %s",
						 deparse_expression(rewrite_mutator(spec->having, &rewrite),
											context, true, true));
	return s.data;
}
