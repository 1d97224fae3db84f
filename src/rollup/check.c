/*
 * check.c - which queries a rollup can be made of
 *
 * Everything that cannot be kept exact is refused here, by an error that names
 * the construct and points to its place in the query. What passes is what
 * spec.c knows how to take apart.
 *
 * Structure (joins, set operations, …) is looked for in the raw parse tree,
 * which still has the places; types, functions and aggregates in the analysed
 * one. Errors carry positions within the rollup's query; the caller's error
 * context turns them into positions of an internal query.
 */
#include "postgres.h"

#include "rollup/check.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/spi_util.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_node.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"

typedef struct CheckContext
{
	const char *text;
	Oid			source;
} CheckContext;

/* Within ereport(): where in the query's text. */
int
aggwin_place(const char *text, int location)
{
	if (location < 0)
		return 0;
	return errposition(pg_mbstrlen_with_len(text, location) + 1);
}

void
aggwin_refuse(const char *text, int location, const char *construct, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s cannot be used in a rollup query", construct),
			 hint ? errhint("%s", hint) : 0,
			 aggwin_place(text, location)));
}

/* The place of the first of some raw nodes that tells it. */
static int
raw_location(Node *node)
{
	if (node == NULL)
		return -1;
	switch (nodeTag(node))
	{
		case T_List:
			{
				ListCell   *lc;

				foreach(lc, (List *) node)
				{
					int			location = raw_location(lfirst(lc));

					if (location >= 0)
						return location;
				}
				return -1;
			}
		case T_JoinExpr:
			return raw_location(((JoinExpr *) node)->rarg);
		case T_RangeSubselect:
			return raw_location(((RangeSubselect *) node)->subquery);
		case T_SelectStmt:
			{
				SelectStmt *stmt = (SelectStmt *) node;
				int			location;

				if (stmt->larg != NULL)
					return raw_location((Node *) stmt->larg);
				if (stmt->valuesLists != NIL)
					return raw_location((Node *) stmt->valuesLists);
				/* TABLE has a target without a place. */
				location = raw_location((Node *) stmt->targetList);
				return location >= 0 ? location
					: raw_location((Node *) stmt->fromClause);
			}
		case T_SortBy:
			return raw_location(((SortBy *) node)->node);
		case T_RangeFunction:
			return raw_location((Node *) ((RangeFunction *) node)->functions);
		case T_RangeTableSample:
			return ((RangeTableSample *) node)->location;
		case T_RangeTableFunc:
			return ((RangeTableFunc *) node)->location;
		case T_LockingClause:
			return raw_location((Node *) ((LockingClause *) node)->lockedRels);
		default:
			return exprLocation(node);
	}
}

static void
check_from(List *from, const char *text)
{
	Node	   *item;

	if (from == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a rollup query must read a table"),
				 errhint("Add a FROM clause that names the source table.")));
	if (list_length(from) > 1)
		aggwin_refuse(text, raw_location(lsecond(from)), "a join",
			   "Join the rollup's view instead of its source.");

	item = linitial(from);
	switch (nodeTag(item))
	{
		case T_RangeVar:
			break;
		case T_JoinExpr:
			aggwin_refuse(text, raw_location(item), "a join",
				   "Join the rollup's view instead of its source.");
			break;
		case T_RangeSubselect:
			aggwin_refuse(text, raw_location(item), "a subquery in FROM",
				   "Name the source table itself; filters belong into WHERE.");
			break;
		case T_RangeTableSample:
			aggwin_refuse(text, raw_location(item), "TABLESAMPLE", NULL);
			break;
		default:
			aggwin_refuse(text, raw_location(item), "a function in FROM",
				   "Name the source table itself.");
			break;
	}
}

/* Refuse by shape. text is the query that stmt was parsed from. */
void
aggwin_check_raw_query(SelectStmt *stmt, const char *text)
{
	ListCell   *lc;

	if (stmt->withClause != NULL)
		aggwin_refuse(text, stmt->withClause->location, "WITH", NULL);
	if (stmt->op != SETOP_NONE)
		aggwin_refuse(text, raw_location((Node *) stmt->rarg), "a set operation",
			   "Create one rollup for each part and combine their views.");
	if (stmt->valuesLists != NIL)
		aggwin_refuse(text, raw_location((Node *) stmt->valuesLists), "VALUES", NULL);
	if (stmt->intoClause != NULL)
		aggwin_refuse(text, raw_location((Node *) stmt->intoClause->rel), "INTO", NULL);
	check_from(stmt->fromClause, text);
	if (stmt->distinctClause != NIL)
	{
		/* A bare DISTINCT is a list of one NULL and has no place of its own. */
		int			location = raw_location((Node *) stmt->distinctClause);

		if (location < 0)
			location = raw_location((Node *) stmt->targetList);
		aggwin_refuse(text, location, "DISTINCT",
			   "The groups of a rollup are distinct already.");
	}
	foreach(lc, stmt->groupClause)
	{
		if (IsA(lfirst(lc), GroupingSet))
			aggwin_refuse(text, raw_location(lfirst(lc)),
				   "GROUPING SETS, ROLLUP or CUBE",
				   "Create a rollup for the finest grouping and apply grouping sets to its view.");
	}
	if (stmt->sortClause != NIL)
		aggwin_refuse(text, raw_location((Node *) stmt->sortClause), "ORDER BY",
			   "Order the rows when you read the rollup's view.");
	if (stmt->limitCount != NULL)
		aggwin_refuse(text, raw_location(stmt->limitCount), "LIMIT",
			   "Limit the rows when you read the rollup's view.");
	if (stmt->limitOffset != NULL)
		aggwin_refuse(text, raw_location(stmt->limitOffset), "OFFSET",
			   "Skip rows when you read the rollup's view.");
	if (stmt->lockingClause != NIL)
		aggwin_refuse(text, raw_location((Node *) stmt->lockingClause),
			   "FOR UPDATE or FOR SHARE", NULL);
}

/* What merges and tells the same, or nearly. */
static const char *
ordered_set_hint(const char *name)
{
	if (strncmp(name, "percentile", strlen("percentile")) == 0)
		return "Percentiles merge as histograms: aggwin.percentile(aggwin.exp_hist_agg(value), 0.95).";
	if (strcmp(name, "mode") == 0)
		return "Store aggwin.topk_agg(value, 1) and read it by aggwin.top().";
	return "Store counts of value ranges instead, for example count(*) FILTER (WHERE …).";
}

static const char *
distinct_hint(const char *name)
{
	if (strcmp(name, "count") == 0)
		return "Add the argument to GROUP BY and count the rollup's rows, or store a sketch of the extension hll: hll_add_agg(hll_hash_text(value)).";
	return "Add the argument to GROUP BY and aggregate the rollup's rows.";
}

static const char *
mergeable_hint(Oid aggregate)
{
	if (aggregate >= FirstNormalObjectId && get_func_namespace(aggregate) != aggwin_schema())
		return "If another aggregate merges its results, register both by aggwin.register_mergeable().";
	return "Mergeable are count, sum, avg, min, max, bool_and, bool_or, every, bit_and, bit_or, bit_xor, the stddev and variance families, aggwin's hist_agg, exp_hist_agg, topk_agg, stats_agg, counter_agg, first, last and merge, and the aggregates in table aggwin.mergeable.";
}

/* Refuse an aggregate call that cannot be merged, with the way out. */
static void
check_aggregate(Aggref *aggref, CheckContext *context)
{
	char	   *name = get_func_name(aggref->aggfnoid);
	const char *text = context->text;

	if (AGGKIND_IS_ORDERED_SET(aggref->aggkind))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("ordered-set aggregate %s cannot be used in a rollup query",
						name),
				 errdetail("It needs all rows at once; its parts cannot be merged."),
				 errhint("%s", ordered_set_hint(name)),
				 aggwin_place(text, aggref->location)));
	if (aggref->aggdistinct != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s(DISTINCT …) cannot be used in a rollup query", name),
				 errdetail("Distinct values of two parts cannot be told apart once they are counted."),
				 errhint("%s", distinct_hint(name)),
				 aggwin_place(text, aggref->location)));
	if (aggref->aggorder != NIL)
		aggwin_refuse(text, aggref->location, "ORDER BY inside an aggregate",
			   "Mergeable aggregates do not depend on the order of rows.");
	if (!aggwin_decomposable(aggref))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("aggregate %s cannot be used in a rollup query",
						format_procedure(aggref->aggfnoid)),
				 errdetail("aggwin does not know how to merge its parts."),
				 errhint("%s", mergeable_hint(aggref->aggfnoid)),
				 aggwin_place(text, aggref->location)));
}

static bool
not_immutable(Oid funcid, void *context)
{
	Oid		   *found = context;

	if (func_volatile(funcid) == PROVOLATILE_IMMUTABLE)
		return false;
	*found = funcid;
	return true;
}

/* The way out, by what the function is commonly called for. */
static const char *
immutable_hint(Oid funcid)
{
	char	   *name = OidIsValid(funcid) ? get_func_name(funcid) : NULL;

	if (funcid >= FirstNormalObjectId)
		return "If what it returns depends on its arguments only, declare it IMMUTABLE.";
	if (name != NULL && (strcmp(name, "date_trunc") == 0 || strcmp(name, "date_bin") == 0))
		return "Use aggwin.time_bucket(), which does not depend on the session's time zone.";
	if (!OidIsValid(funcid) || func_volatile(funcid) == PROVOLATILE_VOLATILE ||
		get_func_nargs(funcid) == 0)
		return "Filter by the clock or by the session when you read the rollup's view.";
	return "Make the dependence explicit, for example (ts AT TIME ZONE 'UTC')::date instead of ts::date.";
}

static void
refuse_not_immutable(const char *text, int location, const char *what, Oid funcid)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("%s is not immutable and cannot be used in a rollup query",
					what),
			 errdetail("What it returns may depend on the time or on settings of the session, so rows would not count the same when they are counted again."),
			 errhint("%s", immutable_hint(funcid)),
			 aggwin_place(text, location)));
}

/* Some text forms count as immutable, but settings change them. */
static bool
depends_on_settings(Oid output)
{
	switch (output)
	{
		case F_FLOAT4OUT:
		case F_FLOAT8OUT:
		case F_BYTEAOUT:
		case F_POINT_OUT:
		case F_LSEG_OUT:
		case F_PATH_OUT:
		case F_BOX_OUT:
		case F_POLY_OUT:
		case F_CIRCLE_OUT:
		case F_LINE_OUT:
			return true;
		default:
			return false;
	}
}

static void
check_text_form(CoerceViaIO *cast, CheckContext *context)
{
	Oid			output;
	bool		is_varlena;

	getTypeOutputInfo(exprType((Node *) cast->arg), &output, &is_varlena);
	if (depends_on_settings(output))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("the text form of type %s cannot be used in a rollup query",
						format_type_be(exprType((Node *) cast->arg))),
				 errdetail("It depends on the settings extra_float_digits or bytea_output."),
				 errhint("Use a form that does not, for example value::numeric or encode(value, 'hex')."),
				 aggwin_place(context->text, cast->location)));
}

static void
check_column(Var *var, CheckContext *context)
{
	const char *text = context->text;

	if (var->varattno == InvalidAttrNumber)
		aggwin_refuse(text, var->location, "a whole-row reference",
			   "Name the columns that are needed.");
	if (var->varattno < 0)
		aggwin_refuse(text, var->location, "a system column", NULL);
	else
	{
		Relation	rel = table_open(context->source, NoLock);
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel),
											  var->varattno - 1);

		if (compat_is_virtual_generated(att->attgenerated))
			aggwin_refuse(text, var->location, "a virtual generated column",
				   "Use its expression instead, or make the column STORED.");
		table_close(rel, NoLock);
	}
}

static bool
check_walker(Node *node, CheckContext *context)
{
	Oid			funcid = InvalidOid;
	const char *text = context->text;

	if (node == NULL)
		return false;

	switch (nodeTag(node))
	{
		case T_SubLink:
			aggwin_refuse(text, ((SubLink *) node)->location, "a subquery",
				   "Join or filter when you read the rollup's view.");
			break;
		case T_WindowFunc:
			aggwin_refuse(text, ((WindowFunc *) node)->location, "a window function",
				   "Apply it to the rollup's view.");
			break;
		case T_GroupingFunc:
			aggwin_refuse(text, ((GroupingFunc *) node)->location, "GROUPING", NULL);
			break;
		case T_Param:
			aggwin_refuse(text, ((Param *) node)->location, "a parameter", NULL);
			break;
		case T_SQLValueFunction:
			refuse_not_immutable(text, ((SQLValueFunction *) node)->location,
								 "a function that reads the session or the clock",
								 InvalidOid);
			break;
		case T_CoerceViaIO:
			check_text_form((CoerceViaIO *) node, context);
			break;
		case T_Aggref:
			check_aggregate((Aggref *) node, context);
			break;
		case T_Var:
			check_column((Var *) node, context);
			break;
		case T_FuncExpr:
			if (((FuncExpr *) node)->funcretset)
				aggwin_refuse(text, exprLocation(node), "a set-returning function", NULL);
			break;
		case T_OpExpr:
			if (((OpExpr *) node)->opretset)
				aggwin_refuse(text, exprLocation(node), "a set-returning operator", NULL);
			break;
		default:
			break;
	}

	if (check_functions_in_node(node, not_immutable, &funcid))
		refuse_not_immutable(text, exprLocation(node),
							 psprintf("function %s", format_procedure(funcid)), funcid);
	return expression_tree_walker(node, check_walker, context);
}

/* Refuse by meaning, and return the source. The source is locked already. */
Oid
aggwin_check_query(Query *query, const char *text)
{
	CheckContext context = {text, InvalidOid};
	RangeTblEntry *rte;
	RangeTblRef *ref;

	Assert(query->commandType == CMD_SELECT);
	if (list_length(query->jointree->fromlist) != 1 ||
		!IsA(linitial(query->jointree->fromlist), RangeTblRef))
		aggwin_refuse(text, -1, "a join", NULL);
	ref = linitial_node(RangeTblRef, query->jointree->fromlist);
	rte = rt_fetch(ref->rtindex, query->rtable);
	if (rte->rtekind != RTE_RELATION)
		aggwin_refuse(text, -1, "anything but a table in FROM", NULL);
	context.source = rte->relid;
	aggwin_check_source(rte->relid);
	if (!rte->inh && get_rel_relkind(rte->relid) == RELKIND_PARTITIONED_TABLE)
		aggwin_refuse(text, -1, "ONLY with a partitioned table", "Without it the rows of its partitions count.");

	compat_flatten_group_exprs(query);
	(void) check_walker((Node *) query->targetList, &context);
	(void) check_walker(query->jointree->quals, &context);
	(void) check_walker(query->havingQual, &context);

	/* What the walk has no place for, such as JSON constructors. */
	if (contain_mutable_functions((Node *) query->targetList) ||
		contain_mutable_functions(query->jointree->quals) ||
		contain_mutable_functions(query->havingQual))
		refuse_not_immutable(text, -1, "an expression", InvalidOid);

	aggwin_check_keys(query, text);
	return context.source;
}
