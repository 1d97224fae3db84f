/*
 * query.c - the query of a window
 *
 * Any SELECT that reads one rollup, as often as it likes. Its definition is the
 * query itself, kept as a view, but for one thing: wherever it names the rollup
 * it reads another view instead, that of the panes of one window.
 */
#include "postgres.h"

#include "emit/query.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "core/compat.h"
#include "core/spi_util.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteDefine.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rewriteSupport.h"
#include "rollup/ddl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

/* What the query's columns cannot be called, since the output has them already */
static const char *const reserved_columns[] = {
	"window_start", "window_end", "revision", "rank", "op", "emitted_at",
};

/* The rollup ---------------------------------------------------------------*/

static bool
find_rollup(Node *node, WindowQuery *query)
{
	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind != RTE_RELATION || rte->relid == query->view ||
			!aggwin_find_rollup_of_view(rte->relid, &query->rollup))
			return false;
		if (OidIsValid(query->view))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("a window query can read one rollup only"),
					 errdetail("It reads %s and %s.", aggwin_relation_name(query->view),
							   aggwin_relation_name(rte->relid)),
					 errhint("Make a window output of each, and join their views of the newest window.")));
		query->view = rte->relid;
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, find_rollup, query, QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, find_rollup, query);
}

/* Have a query read another relation with the same columns. */
static bool
read_instead(Node *node, Oid *from_to)
{
	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query	   *query = (Query *) node;
		ListCell   *lc;

		foreach(lc, query->rtable)
		{
			RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

			if (rte->rtekind != RTE_RELATION || rte->relid != from_to[0])
				continue;
			compat_set_relation(query, rte, from_to[1]);
			/* Known by the name that the query gave it. */
			if (rte->alias == NULL)
				rte->alias = makeAlias(rte->eref->aliasname, NIL);
		}
		return query_tree_walker(query, read_instead, from_to, 0);
	}
	return expression_tree_walker(node, read_instead, from_to);
}

/* Replace the rollup in a definition by the panes of a window. */
void
aggwin_read_panes_instead(Oid definition, Oid view, Oid panes)
{
	Relation	relation = relation_open(definition, AccessShareLock);
	Query	   *query = copyObject(get_view_query(relation));
	Oid			from_to[] = {view, panes};

	relation_close(relation, NoLock);
	(void) read_instead((Node *) query, from_to);
	DefineQueryRewrite(pstrdup(ViewSelectRuleName), definition, NULL, CMD_SELECT, true, true,
					   list_make1(query));
	CommandCounterIncrement();
}

/* Keys ---------------------------------------------------------------------*/

static bool is_key(Query *query, TargetEntry *target, const RollupSpec *spec, Oid view);

static bool
column_is_key(Query *query, AttrNumber attno, const RollupSpec *spec, Oid view)
{
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		TargetEntry *target = lfirst_node(TargetEntry, lc);

		if (target->resno == attno)
			return is_key(query, target, spec, view);
	}
	return false;
}

static bool
rollup_column_is_key(AttrNumber attno, const RollupSpec *spec)
{
	TargetEntry *target = attno > 0 && attno <= list_length(spec->targets)
		? list_nth_node(TargetEntry, spec->targets, attno - 1) : NULL;

	return target != NULL && list_member(spec->keys, target->expr);
}

static Query *
query_of_cte(Query *query, const RangeTblEntry *rte)
{
	ListCell   *lc;

	/* Those of outer levels and recursive ones are not looked into. */
	if (rte->ctelevelsup > 0 || rte->self_reference)
		return NULL;
	foreach(lc, query->cteList)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

		if (strcmp(cte->ctename, rte->ctename) == 0)
			return castNode(Query, cte->ctequery);
	}
	return NULL;
}

/* Does this column tell the rows of a query apart, by itself or with others? */
static bool
is_key(Query *query, TargetEntry *target, const RollupSpec *spec, Oid view)
{
	Node	   *expr = (Node *) target->expr;
	RangeTblEntry *rte;
	Query	   *inner;

	if (query->setOperations || query->distinctClause)
		return true;
	if (query->groupClause)
	{
		ListCell   *lc;

		foreach(lc, query->groupClause)
		{
			if (lfirst_node(SortGroupClause, lc)->tleSortGroupRef == target->ressortgroupref)
				return true;
		}
		return false;
	}
	for (;;)
	{
		Var		   *var = (Var *) expr;

		if (expr == NULL || !IsA(expr, Var) || var->varlevelsup > 0 || var->varattno <= 0)
			return false;
		rte = rt_fetch(var->varno, query->rtable);
		switch (rte->rtekind)
		{
			case RTE_JOIN:
				expr = list_nth(rte->joinaliasvars, var->varattno - 1);
				continue;
			case RTE_RELATION:
				return rte->relid == view && rollup_column_is_key(var->varattno, spec);
			case RTE_SUBQUERY:
				return column_is_key(rte->subquery, var->varattno, spec, view);
			case RTE_CTE:
				inner = query_of_cte(query, rte);
				return inner != NULL && column_is_key(inner, var->varattno, spec, view);
			default:
				return false;
		}
	}
}

/* Columns ------------------------------------------------------------------*/

static void
check_column(const char *name, List *others)
{
	ListCell   *lc;

	for (int i = 0; i < lengthof(reserved_columns); i++)
	{
		if (strcmp(name, reserved_columns[i]) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("a column of a window query cannot be called \"%s\"", name),
					 errdetail("The output table has a column of that name."),
					 errhint("Give the column another name with AS.")));
	}
	if (strcmp(name, "?column?") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_DEFINITION),
				 errmsg("every column of a window query needs a name"),
				 errhint("Give the column a name with AS.")));
	foreach(lc, others)
	{
		if (strcmp(name, lfirst(lc)) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("two columns of the window query are called \"%s\"", name),
					 errhint("Give one of them another name with AS.")));
	}
}

static void
read_columns(WindowQuery *query, Query *tree, const RollupSpec *spec)
{
	ListCell   *lc;

	foreach(lc, tree->targetList)
	{
		TargetEntry *target = lfirst_node(TargetEntry, lc);

		if (target->resjunk)
			continue;
		check_column(target->resname, query->columns);
		query->columns = lappend(query->columns, pstrdup(target->resname));
		if (is_key(tree, target, spec, query->view))
			query->key_columns = bms_add_member(query->key_columns,
												list_length(query->columns));
	}
	if (query->columns == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("a window query must have a column")));
}

/* Check a query as its author, and read what create_window() has to know. */
void
aggwin_check_window_query(WindowQuery *query, const char *text)
{
	RawStmt    *raw = makeNode(RawStmt);
	Query	   *tree;

	query->stmt = aggwin_parse_query(text, "window");
	raw->stmt = copyObject((Node *) query->stmt);
	tree = parse_analyze_fixedparams(raw, text, NULL, 0, NULL);
	if (tree->commandType != CMD_SELECT || tree->utilityStmt != NULL || tree->hasModifyingCTE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a window query must only read")));
	if (tree->rowMarks)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a window query cannot lock rows"),
				 errhint("Leave out FOR UPDATE or FOR SHARE.")));

	(void) find_rollup((Node *) tree, query);
	if (!OidIsValid(query->view))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("a window query must read a rollup"),
				 errdetail("Windows are assembled from the buckets of a rollup."),
				 errhint("Create one with aggwin.create_rollup() and name its view in the query.")));
	if (contain_volatile_functions((Node *) tree))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a window query cannot call volatile functions"),
				 errdetail("A window is computed anew when late rows change it, and must differ by these only.")));
	read_columns(query, tree, aggwin_load_spec(query->rollup.definition));
}
