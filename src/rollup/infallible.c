/*
 * infallible.c - expressions that cannot fail
 *
 * An attempt takes a tenth of what capturing a single row takes. Most rollups do
 * not need it: they read columns and call functions that the server knows to
 * raise no error whatever their arguments are, such as comparisons and
 * widening casts. It says so of those that it marks as leakproof.
 *
 * The bucket is no such function, for it may start before the first time that
 * its type can hold. But it never decreases with time: if it can be told for
 * some time, it can be told for all later ones.
 */
#include "postgres.h"

#include "rollup/infallible.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "core/catch.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "rollup/spec.h"
#include "utils/date.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/* Days from 2000-01-01 back to 1900-01-01: few events are older. */
#define LEAST_DAY (-36524)

static bool
may_fail(Oid funcid, void *context)
{
	return funcid != F_NUM_NONNULLS &&
		(funcid >= FirstNormalObjectId || !get_func_leakproof(funcid));
}

/* Is there anything but what is known not to fail? bucket: not looked into. */
static bool
fallible_walker(Node *node, void *bucket)
{
	if (node == NULL || equal(node, bucket))
		return false;
	switch (nodeTag(node))
	{
		case T_List:
		case T_Var:
		case T_Const:
		case T_RelabelType:
		case T_FuncExpr:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_ScalarArrayOpExpr:
		case T_BoolExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_CaseExpr:
		case T_CaseWhen:
		case T_CoalesceExpr:
			break;
		default:
			return true;
	}
	return check_functions_in_node(node, may_fail, NULL) ||
		expression_tree_walker(node, fallible_walker, bucket);
}

/* The column that the bucket is told by, if all other arguments are constants. */
static Var *
only_column(FuncExpr *bucket)
{
	Var		   *column = NULL;
	ListCell   *lc;

	foreach(lc, bucket->args)
	{
		Node	   *argument = lfirst(lc);

		if (IsA(argument, Var) && column == NULL)
			column = (Var *) argument;
		/* What the name of a time zone means may change. */
		else if (!IsA(argument, Const) || ((Const *) argument)->consttype == TEXTOID)
			return NULL;
	}
	return column;
}

static void
evaluate_step(void *arg)
{
	ExprState  *state = ExecInitExpr((Expr *) arg, NULL);
	ExprContext *econtext = CreateStandaloneExprContext();
	bool		isnull;

	(void) ExecEvalExpr(state, econtext, &isnull);
	FreeExprContext(econtext, true);
}

static bool
bucket_can_be_told(FuncExpr *bucket, Var *column, const Infallible *infallible)
{
	FuncExpr   *at_least = copyObject(bucket);
	Const	   *least = makeConst(column->vartype, -1, InvalidOid,
								  get_typlen(column->vartype),
								  infallible->is_int32 ? Int32GetDatum((int32) infallible->least)
								  : Int64GetDatum(infallible->least),
								  false, true);
	ListCell   *lc;

	foreach(lc, at_least->args)
	{
		if (IsA(lfirst(lc), Var))
			lfirst(lc) = least;
	}
	return aggwin_catch(evaluate_step, at_least) == NULL;
}

/* expressions are those of the row path, planned; the bucket is the first. */
Infallible
aggwin_infallible(const List *expressions)
{
	const Infallible none = {0};
	Infallible	result = none;
	FuncExpr   *bucket = aggwin_time_key(linitial(expressions));
	Var		   *column = bucket != NULL ? only_column(bucket) : NULL;

	if (column == NULL || fallible_walker((Node *) expressions, bucket))
		return none;

	result.column = column->varattno;
	switch (column->vartype)
	{
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			result.least = LEAST_DAY * USECS_PER_DAY;
			break;
		case DATEOID:
			result.is_int32 = true;
			result.least = LEAST_DAY;
			break;
		case INT4OID:
			result.is_int32 = true;
			break;
		case INT8OID:
			break;
		default:
			return none;
	}
	return bucket_can_be_told(bucket, column, &result) ? result : none;
}

/* Is it certain that no expression fails for this row of the source? */
bool
aggwin_cannot_fail(const Infallible *infallible, TupleTableSlot *row)
{
	bool		isnull;
	Datum		time;

	if (infallible->column == 0)
		return false;
	time = slot_getattr(row, infallible->column, &isnull);
	return isnull || infallible->least <=
		(infallible->is_int32 ? (int64) DatumGetInt32(time) : DatumGetInt64(time));
}
