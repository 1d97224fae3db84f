/*
 * running_query.c - the part of a window's query that can be kept up to date
 *
 * Somewhere in the query the panes are aggregated: at its top, in a subquery, in
 * a common table expression. If that level reads nothing else, its groups follow
 * from the rows of panes that enter and leave, and all around it can be left to
 * the server:
 *
 *      SELECT s.title, t.n FROM (                       SELECT s.title, t.n FROM (
 *        SELECT song, sum(plays) AS n FROM panes          SELECT g.k1, g.a1 FROM
 *        GROUP BY song HAVING sum(plays) > 9        =>      running_groups(3) AS g(k1 …, a1 …)
 *        ORDER BY 2 DESC LIMIT 10                           WHERE g.a1 > 9 ORDER BY g.a1 DESC LIMIT 10
 *      ) AS t JOIN songs AS s USING (song)              ) AS t JOIN songs AS s USING (song)
 *
 * Both sides are made from the parse tree each time, so they follow renames.
 */
#include "postgres.h"

#include "emit/running_query.h"

#include "access/relation.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "parser/parse_func.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

/* Where the panes are read */
typedef struct PanesSearch
{
	Oid			panes;
	Query	   *current;
	Query	   *level;
	int			references;
} PanesSearch;

static bool
find_panes(Node *node, PanesSearch *search)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind == RTE_RELATION && rte->relid == search->panes)
		{
			search->level = search->current;
			search->references++;
		}
		return false;
	}
	if (IsA(node, Query))
	{
		Query	   *outer = search->current;

		search->current = (Query *) node;
		(void) query_tree_walker((Query *) node, find_panes, search, QTW_EXAMINE_RTES_BEFORE);
		search->current = outer;
		return false;
	}
	return expression_tree_walker(node, find_panes, search);
}

static bool
refers_outward(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return ((Var *) node)->varlevelsup > 0;
	if (IsA(node, Aggref) && ((Aggref *) node)->agglevelsup > 0)
		return true;
	return expression_tree_walker(node, refers_outward, context);
}

/* Why a level cannot be computed from the rows of panes; NULL: it can. */
static const char *
refuse_level(Query *level, Oid panes)
{
	RangeTblRef *from = list_length(level->jointree->fromlist) == 1
		? linitial(level->jointree->fromlist) : NULL;

	if (from == NULL || !IsA(from, RangeTblRef) ||
		rt_fetch(from->rtindex, level->rtable)->relid != panes)
		return "it joins the rollup to something before it aggregates";
	if (!level->hasAggs && level->groupClause == NIL)
		return "it does not aggregate the rollup";
	if (level->groupingSets)
		return "it has grouping sets";
	if (level->hasSubLinks)
		return "it has a subquery in an expression where it aggregates";
	if (query_tree_walker(level, refers_outward, NULL, QTW_IGNORE_RANGE_TABLE))
		return "its aggregation refers to another table";
	return NULL;
}

/* Aggregates --------------------------------------------------------------- */

/* Their result depends on the order of the rows. */
static const Oid ordered_aggregates[] = {
	F_ARRAY_AGG_ANYNONARRAY, F_ARRAY_AGG_ANYARRAY, F_STRING_AGG_TEXT_TEXT, F_STRING_AGG_BYTEA_BYTEA,
};

List *
aggwin_running_arguments(const Aggref *aggref)
{
	List	   *arguments = NIL;
	ListCell   *lc;

	foreach(lc, aggref->args)
		arguments = lappend(arguments, lfirst_node(TargetEntry, lc)->expr);
	return arguments;
}

static const char *
refuse_aggregate(const Aggref *aggref)
{
	for (int i = 0; i < lengthof(ordered_aggregates); i++)
	{
		if (aggref->aggfnoid == ordered_aggregates[i])
			return psprintf("%s() depends on the order of the rows", get_func_name(aggref->aggfnoid));
	}
	if (aggref->aggkind != AGGKIND_NORMAL || aggref->aggorder)
		return psprintf("%s() sorts its input", get_func_name(aggref->aggfnoid));
	if (aggref->aggdistinct)
		return psprintf("%s() has DISTINCT", get_func_name(aggref->aggfnoid));
	return NULL;
}

/* Collect what differs; the reason of refusal stays the first one. */
typedef struct AggregateSearch
{
	RunningQuery *query;
	const char *reason;
} AggregateSearch;

static bool
collect_aggregates(Node *node, AggregateSearch *search)
{
	if (node == NULL)
		return false;
	if (IsA(node, Aggref))
	{
		Aggref	   *aggref = (Aggref *) node;

		search->reason = refuse_aggregate(aggref);
		search->query->aggregates = list_append_unique(search->query->aggregates, aggref);
		search->query->inputs = list_concat_unique(search->query->inputs, aggwin_running_arguments(aggref));
		if (aggref->aggfilter)
			search->query->inputs = list_append_unique(search->query->inputs, aggref->aggfilter);
		return search->reason != NULL;
	}
	return expression_tree_walker(node, collect_aggregates, search);
}

/* Read the level; returns why that cannot be. */
static const char *
read_level(RunningQuery *query, Query *level)
{
	AggregateSearch search = {.query = query};
	ListCell   *lc;

	foreach(lc, level->groupClause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		Node	   *key = get_sortgroupclause_expr(clause, level->targetList);

		if (!clause->hashable)
			return psprintf("values of type %s cannot be hashed", format_type_be(exprType(key)));
		if (expression_returns_set(key))
			return "it groups by a function that returns a set";
		query->keys = lappend(query->keys, key);
		query->key_operators = lappend_oid(query->key_operators, clause->eqop);
	}
	if (collect_aggregates((Node *) level->targetList, &search) ||
		collect_aggregates(level->havingQual, &search))
		return search.reason;
	if (contain_mutable_functions((Node *) query->keys) ||
		contain_mutable_functions((Node *) query->inputs) ||
		contain_mutable_functions(level->jointree->quals))
		return "it calls a function that is not immutable where it aggregates";
	return NULL;
}

/* Rewriting ---------------------------------------------------------------- */

static char *
column_name(const RunningQuery *query, int number)
{
	int			nkeys = list_length(query->keys);

	return number <= nkeys ? psprintf("k%d", number) : psprintf("a%d", number - nkeys);
}

static Node *
column(Node *replaced, int number)
{
	return (Node *) makeVar(1, number, exprType(replaced), exprTypmod(replaced),
							exprCollation(replaced), 0);
}

static int
position(List *list, Node *node)
{
	ListCell   *lc;

	foreach(lc, list)
	{
		if (equal(lfirst(lc), node))
			return foreach_current_index(lc) + 1;
	}
	return 0;
}

/* Put columns of groups in the place of keys and aggregates. */
static Node *
read_groups(Node *node, RunningQuery *query)
{
	int			number;

	if (node == NULL)
		return NULL;
	if ((number = position(query->keys, node)) > 0)
		return column(node, number);
	if (IsA(node, Aggref))
		return column(node, list_length(query->keys) + position(query->aggregates, node));
	if (IsA(node, Var))
		elog(ERROR, "column %d of a window's panes is not grouped", ((Var *) node)->varattno);
	return expression_tree_mutator(node, read_groups, query);
}

/* A range table entry: running_groups(window_id) AS g(k1 …, a1 …) */
static RangeTblEntry *
groups_entry(const RunningQuery *query, int32 window_id)
{
	Oid			argtypes[] = {INT4OID};
	List	   *name = list_make2(makeString("aggwin"), makeString("running_groups"));
	RangeTblFunction *function = makeNode(RangeTblFunction);
	RangeTblEntry *entry = makeNode(RangeTblEntry);
	FuncExpr   *call;
	List	   *columns = list_concat_copy(query->keys, query->aggregates);
	ListCell   *lc;

	call = makeFuncExpr(LookupFuncName(name, 1, argtypes, false), RECORDOID,
						list_make1(makeConst(INT4OID, -1, InvalidOid, sizeof(int32),
											 Int32GetDatum(window_id), false, true)),
						InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
	call->funcretset = true;
	function->funcexpr = (Node *) call;
	function->funccolcount = list_length(columns);
	entry->alias = makeAlias("g", NIL);
	foreach(lc, columns)
	{
		Node	   *expr = lfirst(lc);

		entry->alias->colnames = lappend(entry->alias->colnames,
										 makeString(column_name(query, foreach_current_index(lc) + 1)));
		function->funccoltypes = lappend_oid(function->funccoltypes, exprType(expr));
		function->funccoltypmods = lappend_int(function->funccoltypmods, exprTypmod(expr));
		function->funccolcollations = lappend_oid(function->funccolcollations, exprCollation(expr));
	}
	function->funccolnames = entry->alias->colnames;
	entry->rtekind = RTE_FUNCTION;
	entry->functions = list_make1(function);
	entry->eref = copyObject(entry->alias);
	entry->inFromCl = true;
	return entry;
}

/* Have a level read the groups. */
static void
rewrite_level(Query *level, RunningQuery *query, int32 window_id)
{
	RangeTblRef *from = linitial_node(RangeTblRef, level->jointree->fromlist);

	level->targetList = (List *) read_groups((Node *) level->targetList, query);
	level->jointree->quals = read_groups(level->havingQual, query);
	level->havingQual = NULL;
	level->groupClause = NIL;
	level->groupDistinct = false;
	level->hasAggs = false;
	from->rtindex = 1;
	compat_set_range_table(level, list_make1(groups_entry(query, window_id)));
}

/* SELECT bucket, keys, inputs FROM the panes WHERE … */
static char *
input_sql(const RunningQuery *query, Query *level, AttrNumber bucket)
{
	Query	   *input = copyObject(level);
	int			rtindex = linitial_node(RangeTblRef, input->jointree->fromlist)->rtindex;
	Oid			type;
	int32		typmod;
	Oid			collation;
	List	   *columns;
	ListCell   *lc;

	get_atttypetypmodcoll(rt_fetch(rtindex, input->rtable)->relid, bucket, &type, &typmod, &collation);
	columns = list_make1(makeVar(rtindex, bucket, type, typmod, collation, 0));
	columns = list_concat(list_concat(columns, query->keys), query->inputs);
	input->targetList = NIL;
	foreach(lc, columns)
	{
		int			number = foreach_current_index(lc);

		input->targetList = lappend(input->targetList,
									makeTargetEntry(copyObject(lfirst(lc)), number + 1,
													psprintf("c%d", number), false));
	}
	input->groupClause = input->distinctClause = input->sortClause = NIL;
	input->windowClause = input->cteList = NIL;
	input->havingQual = input->limitCount = input->limitOffset = NULL;
	input->limitOption = LIMIT_OPTION_COUNT;
	input->hasAggs = input->hasWindowFuncs = input->hasTargetSRFs = false;
	input->hasDistinctOn = input->groupDistinct = false;
	return pg_get_querydef(input, false);
}

/* Limits ------------------------------------------------------------------- */

/* The value of LIMIT or OFFSET if it is written down, otherwise -1. */
static int64
constant_count(Node *node, int64 if_none)
{
	Const	   *value = (Const *) eval_const_expressions(NULL, node);

	if (value == NULL)
		return if_none;
	if (!IsA(value, Const) || (!value->constisnull && DatumGetInt64(value->constvalue) < 0))
		return -1;
	return value->constisnull ? if_none : DatumGetInt64(value->constvalue);
}

/* How many groups, by which order, are enough? For a level that reads groups. */
static void
read_limit(RunningQuery *query, Query *level)
{
	int64		count = constant_count(level->limitCount, -1);
	int64		offset = constant_count(level->limitOffset, 0);
	ListCell   *lc;

	query->limit = -1;
	if (count < 0 || offset < 0 || count > PG_INT32_MAX || offset > PG_INT32_MAX ||
		level->sortClause == NIL || level->distinctClause || level->hasWindowFuncs ||
		level->hasTargetSRFs ||
		contain_mutable_functions(level->jointree->quals))
		return;
	foreach(lc, level->sortClause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		Node	   *expr = get_sortgroupclause_expr(clause, level->targetList);

		if (contain_mutable_functions(expr))
		{
			query->sort_exprs = NIL;
			return;
		}
		query->sort_exprs = lappend(query->sort_exprs, copyObject(expr));
	}
	query->sort = copyObject(level->sortClause);
	query->having = copyObject(level->jointree->quals);
	query->with_ties = level->limitOption == LIMIT_OPTION_WITH_TIES;
	query->limit = count + offset;
}

/*
 * What of a window's query can be kept up to date, in the current memory
 * context; NULL if nothing can, with the reason. The query is the view
 * definition, which reads the view panes; bucket is their column of event time.
 */
RunningQuery *
aggwin_running_query(int32 window_id, Oid definition, Oid panes, AttrNumber bucket,
					 const char **reason)
{
	Relation	view = relation_open(definition, AccessShareLock);
	Query	   *whole = copyObject(get_view_query(view));
	RunningQuery *query = palloc0(sizeof(RunningQuery));
	PanesSearch search = {.panes = panes};

	relation_close(view, NoLock);
	(void) find_panes((Node *) whole, &search);
	if (search.references != 1)
		*reason = "it reads the rollup more than once";
	else
		*reason = refuse_level(search.level, panes);
	if (*reason == NULL)
	{
		compat_flatten_group_exprs(search.level);
		compat_drop_group_entry(search.level);
		*reason = read_level(query, search.level);
	}
	if (*reason != NULL)
		return NULL;
	query->input_sql = input_sql(query, search.level, bucket);
	rewrite_level(search.level, query, window_id);
	read_limit(query, search.level);
	query->groups_sql = pg_get_querydef(whole, false);
	return query;
}
