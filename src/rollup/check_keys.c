/*
 * check_keys.c - what a rollup can be grouped by
 *
 * One time key, time_bucket or session, and other expressions whose values
 * an index can hold.
 */
#include "postgres.h"

#include "rollup/check.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "window/session.h"

/* Columns that only the primary key lets stand outside of GROUP BY. */
typedef struct UngroupedContext
{
	List	   *keys;
	const char *text;
} UngroupedContext;

static bool
ungrouped_walker(Node *node, UngroupedContext *context)
{
	ListCell   *lc;

	if (node == NULL || IsA(node, Aggref))
		return false;
	foreach(lc, context->keys)
	{
		if (equal(node, lfirst(lc)))
			return false;
	}
	if (IsA(node, Var))
		aggwin_refuse(context->text, ((Var *) node)->location,
			   "a column outside of GROUP BY and aggregates",
			   "Add the column to GROUP BY.");
	return expression_tree_walker(node, ungrouped_walker, context);
}

static void
refuse_time_bucket_args(const char *text, int location)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("width, origin and time zone of a rollup's time_bucket must be constants and not NULL"),
			 aggwin_place(text, location)));
}

static void
check_session(FuncExpr *call, const char *text)
{
	FuncExpr   *folded;
	Const	   *gap;

	/* Nobody may call it, so it must not look like a constant. */
	folded = contain_var_clause((Node *) call)
		? (FuncExpr *) eval_const_expressions(NULL, (Node *) call) : NULL;
	if (folded == NULL || !contain_var_clause(linitial(folded->args)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("the time of a rollup's session must come from the source"),
				 errhint("Pass a column that holds the time of the event."),
				 aggwin_place(text, call->location)));
	gap = lsecond(folded->args);
	if (!IsA(gap, Const) || gap->constisnull)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("the gap of a rollup's session must be a constant and not NULL"),
				 aggwin_place(text, exprLocation((Node *) gap) >= 0 ?
					   exprLocation((Node *) gap) : call->location)));
	(void) aggwin_session_gap(DatumGetIntervalP(gap->constvalue));
}

typedef struct StraySessionContext
{
	FuncExpr   *time_key;		/* which may stand here, or NULL */
	const char *text;
} StraySessionContext;

/* Look for calls of session that are not the time key. */
static bool
stray_session_walker(Node *node, StraySessionContext *context)
{
	StraySessionContext inside = {NULL, context->text};

	if (node == NULL || (context->time_key != NULL && equal(node, context->time_key)))
		return false;
	if (aggwin_is_session(node))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("session() can only be the time key of a rollup"),
				 errdetail("Which session a row belongs to depends on other rows."),
				 errhint("Use what the time key is made of, or read the session from the rollup's view."),
				 aggwin_place(context->text, exprLocation(node))));
	/* An aggregate is about rows, not about their group. */
	return expression_tree_walker(node, stray_session_walker,
								  IsA(node, Aggref) ? &inside : context);
}

static void
check_stray_sessions(Query *query, FuncExpr *time_key, const char *text)
{
	StraySessionContext of_groups = {time_key, text};
	StraySessionContext of_rows = {NULL, text};
	ListCell   *lc;

	foreach(lc, query->groupClause)
	{
		Node	   *key = get_sortgroupclause_expr(lfirst(lc), query->targetList);

		if (key != (Node *) time_key)
			(void) stray_session_walker(key, &of_rows);
	}
	(void) stray_session_walker(query->jointree->quals, &of_rows);
	(void) stray_session_walker((Node *) query->targetList, &of_groups);
	(void) stray_session_walker(query->havingQual, &of_groups);
}

static void
check_time_key(FuncExpr *call, const char *text)
{
	int			number = 0;
	FuncExpr   *folded;
	FuncExpr   *trial;
	ListCell   *lc;

	folded = (FuncExpr *) eval_const_expressions(NULL, (Node *) call);
	/* With a NULL among its arguments the call is one. */
	if (!IsA(folded, FuncExpr) && contain_var_clause((Node *) call))
		refuse_time_bucket_args(text, call->location);
	if (!IsA(folded, FuncExpr) || !contain_var_clause(lsecond(folded->args)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("the time of a rollup's time_bucket must come from the source"),
				 errhint("Pass a column that holds the time of the event."),
				 aggwin_place(text, call->location)));

	foreach(lc, folded->args)
	{
		Node	   *arg = lfirst(lc);

		if (++number == 2)
			continue;
		if (!IsA(arg, Const) || ((Const *) arg)->constisnull)
			refuse_time_bucket_args(text, exprLocation(arg) >= 0 ?
									exprLocation(arg) : call->location);
	}

	/* Call it once: what it has against its arguments is said now. */
	trial = copyObject(folded);
	lsecond(trial->args) = makeConst(exprType(lsecond(folded->args)), -1, InvalidOid,
									 get_typlen(exprType(lsecond(folded->args))),
									 (Datum) 0, false, true);
	(void) eval_const_expressions(NULL, (Node *) trial);
}

/* An error unless GROUP BY is what a rollup can be kept by. */
void
aggwin_check_keys(Query *query, const char *text)
{
	UngroupedContext ungrouped = {NIL, text};
	FuncExpr   *time_key = NULL;
	ListCell   *lc;

	foreach(lc, query->groupClause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		Node	   *key = get_sortgroupclause_expr(clause, query->targetList);
		FuncExpr   *call = aggwin_time_key(key);
		TypeCacheEntry *type;

		if (call != NULL)
		{
			if (time_key != NULL)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
						 errmsg("a rollup query can have only one time key"),
						 errdetail("GROUP BY has a second %s call.", get_func_name(call->funcid)),
						 aggwin_place(text, call->location)));
			time_key = call;
			if (aggwin_is_session(key))
				check_session(call, text);
			else
				check_time_key(call, text);
		}

		if (get_typtype(exprType(key)) == TYPTYPE_PSEUDO)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("a rollup cannot be grouped by values of type %s",
							format_type_be(exprType(key))),
					 errdetail("No column can be of that type, so groups cannot be stored."),
					 errhint("Group by the fields instead."),
					 aggwin_place(text, exprLocation(key))));
		type = lookup_type_cache(exprType(key), TYPECACHE_CMP_PROC);
		if (!OidIsValid(type->cmp_proc))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("a rollup cannot be grouped by values of type %s",
							format_type_be(exprType(key))),
					 errdetail("The type has no order, so groups cannot be found by an index."),
					 errhint("Group by a cast to text."),
					 aggwin_place(text, exprLocation(key))));
		ungrouped.keys = lappend(ungrouped.keys, key);
	}

	if (time_key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("a rollup query needs a time key"),
				 errdetail("None of the GROUP BY expressions is a call of aggwin.time_bucket or aggwin.session."),
				 errhint("Add, for example, aggwin.time_bucket('1 minute', ts) to GROUP BY.")));
	if (list_length(query->groupClause) > INDEX_MAX_KEYS)
		ereport(ERROR,
				(errcode(ERRCODE_TOO_MANY_COLUMNS),
				 errmsg("a rollup query can have at most %d GROUP BY expressions",
						INDEX_MAX_KEYS)));
	check_stray_sessions(query, time_key, text);

	foreach(lc, query->targetList)
		(void) ungrouped_walker((Node *) lfirst_node(TargetEntry, lc)->expr,
								&ungrouped);
	(void) ungrouped_walker(query->havingQual, &ungrouped);
}
