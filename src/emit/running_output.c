/*
 * running_output.c - the groups of a window, for the query around them
 */
#include "postgres.h"

#include "emit/running_output.h"

#include "core/spi_util.h"
#include "emit/running.h"
#include "emit/running_apply.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(aggwin_running_groups);
PG_FUNCTION_INFO_V1(aggwin_window_recomputed);

/* Where groups are put */
typedef struct RunningOutput
{
	RunningWindow *window;
	ReturnSetInfo *rsinfo;
	Datum	   *values;
	bool	   *nulls;
} RunningOutput;

/* Results ------------------------------------------------------------------- */

/* Keep what has been computed until the group changes. */
static void
keep(RunningWindow *window, const RunningGroup *group, RunningResult *result, Datum value, bool isnull,
	 bool by_value, int16 length)
{
	MemoryContext caller;

	if (!by_value && !result->isnull)
	{
		pfree(DatumGetPointer(result->value));
		result->isnull = true;
	}
	if (!by_value && !isnull)
	{
		caller = MemoryContextSwitchTo(window->content);
		value = datumCopy(value, false, length);
		MemoryContextSwitchTo(caller);
	}
	result->value = value;
	result->isnull = isnull;
	result->version = group->version;
}

/* An aggregate's result in a group. */
const RunningResult *
aggwin_running_result(RunningWindow *window, RunningGroup *group, int number)
{
	RunningAggregate *aggregate = &window->aggs[number];
	RunningResult *result = &running_results(window, group)[number];
	RunningValue *value = &running_values(window, group)[number];
	MemoryContext caller;
	bool		isnull = false;
	Datum		datum;

	if (result->version == group->version)
		return result;
	caller = MemoryContextSwitchTo(window->scratch);
	switch (aggregate->kind)
	{
		case RUNNING_COUNT:
			datum = Int64GetDatum(value->exact.count);
			break;
		case RUNNING_SUM:
			datum = aggwin_running_sum(aggregate->result_type, value->exact.count, value->exact.sum,
									   &isnull);
			break;
		case RUNNING_INVERSE:
			datum = aggwin_running_final(aggregate, &value->state, &isnull);
			break;
		default:
			datum = aggwin_running_stacks_final(window, group, aggregate, &isnull);
			break;
	}
	MemoryContextSwitchTo(caller);
	keep(window, group, result, datum, isnull, aggregate->result_by_value, aggregate->result_length);
	MemoryContextReset(window->scratch);
	return result;
}

/* A column of groups, from 0: keys, then aggregates. */
NullableDatum
aggwin_running_column(RunningWindow *window, RunningGroup *group, int number)
{
	const RunningResult *found;
	NullableDatum value;

	if (number < window->nkeys)
		return group->keys[number];
	found = aggwin_running_result(window, group, number - window->nkeys);
	value.value = found->value;
	value.isnull = found->isnull;
	return value;
}

/*
 * The value of an expression over columns of groups, the number of which it has
 * among the query's: those of the order, and HAVING.
 */
const RunningResult *
aggwin_running_expr(RunningWindow *window, RunningGroup *group, int number, RunningExpr *expr)
{
	RunningResult *result = &running_results(window, group)[window->naggs + number];
	TupleTableSlot *slot = expr->context->ecxt_scantuple;
	int			column = -1;
	Datum		value;
	bool		isnull;

	if (result->version == group->version)
		return result;
	ExecClearTuple(slot);
	while ((column = bms_next_member(expr->columns, column)) >= 0)
	{
		NullableDatum found = aggwin_running_column(window, group, column);

		slot->tts_values[column] = found.value;
		slot->tts_isnull[column] = found.isnull;
	}
	ExecStoreVirtualTuple(slot);
	value = ExecEvalExprSwitchContext(expr->state, expr->context, &isnull);
	keep(window, group, result, value, isnull, expr->by_value, expr->length);
	ResetExprContext(expr->context);
	return result;
}

/* To be evaluated during a query, over groups with these columns. */
void
aggwin_running_prepare(RunningExpr *expr, Node *node, TupleDesc desc)
{
	List	   *vars = pull_var_clause(node, 0);
	ListCell   *lc;

	foreach(lc, vars)
		expr->columns = bms_add_member(expr->columns, lfirst_node(Var, lc)->varattno - 1);
	expr->context = CreateStandaloneExprContext();
	expr->context->ecxt_scantuple = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	expr->state = ExecInitExpr(expression_planner((Expr *) copyObject(node)), NULL);
	get_typlenbyval(exprType(node), &expr->length, &expr->by_value);
}

void
aggwin_running_release(RunningExpr *expr)
{
	ExecDropSingleTupleTableSlot(expr->context->ecxt_scantuple);
	FreeExprContext(expr->context, true);
}

static void
put(RunningGroup *group, void *arg)
{
	RunningOutput *output = arg;
	int			ncolumns = output->window->nkeys + output->window->naggs;

	for (int i = 0; i < ncolumns; i++)
	{
		NullableDatum value = aggwin_running_column(output->window, group, i);

		output->values[i] = value.value;
		output->nulls[i] = value.isnull;
	}
	tuplestore_putvalues(output->rsinfo->setResult, output->rsinfo->setDesc, output->values,
						 output->nulls);
}

/* SQL ----------------------------------------------------------------------- */

static void
check_columns(const RunningWindow *window, TupleDesc desc)
{
	List	   *columns = list_concat_copy(window->query->keys, window->query->aggregates);
	bool		same = desc->natts == list_length(columns);
	ListCell   *lc;

	foreach(lc, columns)
		same = same && TupleDescAttr(desc, foreach_current_index(lc))->atttypid == exprType(lfirst(lc));
	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the groups of window %d have other columns", window->window_id)));
}

/*
 * aggwin.running_groups(window_id integer): the groups of the window that is being
 * computed, one row each, keys first; if the window's query only wants the first
 * few, at least those. For the query that a window is kept up to date by; an error
 * anywhere else.
 */
Datum
aggwin_running_groups(PG_FUNCTION_ARGS)
{
	RunningOutput output = {
		.window = aggwin_running_sought(PG_GETARG_INT32(0)),
		.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo,
	};
	TupleDesc	desc;

	if (output.window == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no window is being computed"),
				 errhint("Use aggwin.window_at() to compute a window.")));
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	desc = output.rsinfo->setDesc;
	check_columns(output.window, desc);
	output.values = palloc(desc->natts * sizeof(Datum));
	output.nulls = palloc(desc->natts * sizeof(bool));
	aggwin_running_choose(output.window, desc, put, &output);
	return (Datum) 0;
}

/*
 * aggwin.window_recomputed(window_id integer): why the windows of an output are
 * computed anew each time; NULL if they are kept up to date, or gone.
 */
Datum
aggwin_window_recomputed(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	WindowRow  *window;
	const char *reason = NULL;
	text	   *result = NULL;

	aggwin_spi_connect();
	window = aggwin_find_window(PG_GETARG_INT32(0));
	if (window != NULL)
		reason = aggwin_running_refusal(window);
	MemoryContextSwitchTo(caller);
	if (reason != NULL)
		result = cstring_to_text(reason);
	aggwin_spi_finish();
	if (result == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(result);
}
