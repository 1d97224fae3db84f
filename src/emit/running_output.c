/*
 * running_output.c - the groups of a window, for the query around them
 *
 * Where the query is after the first few groups by some order, no others are
 * given to it: they are chosen by a heap, with the server's own comparisons. The
 * query sorts and limits what it gets all the same.
 */
#include "postgres.h"

#include "emit/running_state.h"

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/binaryheap.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "nodes/nodeFuncs.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/sortsupport.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(aggwin_running_groups);

/* More than this are not worth a heap. */
#define MAX_HEAP 10000

/* Results ------------------------------------------------------------------- */

/* An aggregate's result in a group. */
static const RunningResult *
result(RunningWindow *window, RunningGroup *group, int number)
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
	if (!aggregate->result_by_value)
	{
		if (!result->isnull)
			pfree(DatumGetPointer(result->value));
		result->isnull = true;
		MemoryContextSwitchTo(window->content);
		if (!isnull)
			datum = datumCopy(datum, false, aggregate->result_length);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(window->scratch);
	result->value = datum;
	result->isnull = isnull;
	result->version = group->version;
	return result;
}

static void
put(RunningWindow *window, RunningGroup *group, ReturnSetInfo *rsinfo, Datum *values, bool *nulls)
{
	for (int i = 0; i < window->nkeys; i++)
	{
		values[i] = group->keys[i].value;
		nulls[i] = group->keys[i].isnull;
	}
	for (int i = 0; i < window->naggs; i++)
	{
		const RunningResult *found = result(window, group, i);

		values[window->nkeys + i] = found->value;
		nulls[window->nkeys + i] = found->isnull;
	}
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* The first few ------------------------------------------------------------- */

typedef struct Choice
{
	RunningWindow *window;
	int			nsort;
	SortSupportData *sort;
	int		   *columns;		/* of groups, from 0: keys, then aggregates */
} Choice;

static int
compare_exact(const RunningValue *a, const RunningValue *b, bool is_sum, SortSupport sort)
{
	bool		a_null = is_sum && a->exact.count == 0;
	bool		b_null = is_sum && b->exact.count == 0;
	int			order;

	if (a_null || b_null)
		return a_null == b_null ? 0 : a_null == sort->ssup_nulls_first ? -1 : 1;
	if (is_sum)
		order = (a->exact.sum > b->exact.sum) - (a->exact.sum < b->exact.sum);
	else
		order = (a->exact.count > b->exact.count) - (a->exact.count < b->exact.count);
	return sort->ssup_reverse ? -order : order;
}

static NullableDatum
column(RunningWindow *window, RunningGroup *group, int number)
{
	const RunningResult *found;
	NullableDatum value;

	if (number < window->nkeys)
		return group->keys[number];
	found = result(window, group, number - window->nkeys);
	value.value = found->value;
	value.isnull = found->isnull;
	return value;
}

/* Which of two groups comes first? Of equal ones, the one with the lower number. */
static int
compare_groups(RunningGroup *a, RunningGroup *b, Choice *choice)
{
	RunningWindow *window = choice->window;

	for (int i = 0; i < choice->nsort; i++)
	{
		int			number = choice->columns[i] - window->nkeys;
		int			order;

		if (number >= 0 && window->aggs[number].kind < RUNNING_INVERSE)
			order = compare_exact(&running_values(window, a)[number], &running_values(window, b)[number],
								  window->aggs[number].kind == RUNNING_SUM, &choice->sort[i]);
		else
		{
			NullableDatum x = column(window, a, choice->columns[i]);
			NullableDatum y = column(window, b, choice->columns[i]);

			order = ApplySortComparator(x.value, x.isnull, y.value, y.isnull, &choice->sort[i]);
		}
		if (order != 0)
			return order;
	}
	return 0;
}

static int
compare_heap(Datum a, Datum b, void *choice)
{
	return compare_groups((RunningGroup *) DatumGetPointer(a), (RunningGroup *) DatumGetPointer(b), choice);
}

/* Is this the order of the type itself, up or down? Sums and counts are compared by it. */
static bool
is_default_order(Oid operator, Oid type)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_LT_OPR | TYPECACHE_GT_OPR);

	return operator == entry->lt_opr || operator == entry->gt_opr;
}

/* Can the first few be told by columns of the groups? */
static bool
prepare_choice(Choice *choice, RunningWindow *window)
{
	const RunningQuery *query = window->query;
	ListCell   *clause_cell;
	ListCell   *expr_cell;

	if (query->limit < 0 || query->limit > MAX_HEAP || query->having || query->with_ties)
		return false;
	choice->window = window;
	choice->sort = palloc0(list_length(query->sort) * sizeof(SortSupportData));
	choice->columns = palloc(list_length(query->sort) * sizeof(int));
	forboth(clause_cell, query->sort, expr_cell, query->sort_exprs)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, clause_cell);
		Var		   *var = lfirst(expr_cell);
		SortSupport sort = &choice->sort[choice->nsort];

		if (!IsA(var, Var) || (var->varattno > window->nkeys &&
							   window->aggs[var->varattno - 1 - window->nkeys].kind < RUNNING_INVERSE &&
							   !is_default_order(clause->sortop, var->vartype)))
			return false;
		choice->columns[choice->nsort++] = var->varattno - 1;
		sort->ssup_cxt = CurrentMemoryContext;
		sort->ssup_collation = var->varcollid;
		sort->ssup_nulls_first = clause->nulls_first;
		PrepareSortSupportFromOrderingOp(clause->sortop, sort);
	}
	return true;
}

/* Put the first few groups. */
static void
put_first(Choice *choice, ReturnSetInfo *rsinfo, Datum *values, bool *nulls)
{
	RunningWindow *window = choice->window;
	int			limit = window->query->limit;
	binaryheap *heap;
	int			count = 0;

	if (limit == 0)
		return;
	/* The root is the last of those chosen. */
	heap = binaryheap_allocate(limit, compare_heap, choice);
	for (uint32 i = 0; i < window->ngroups; i++)
	{
		RunningGroup *group = running_group(window, i);

		if (group->rows == 0 && window->nkeys > 0)
			continue;
		if (count < limit)
		{
			binaryheap_add(heap, PointerGetDatum(group));
			count++;
		}
		else if (compare_groups(group, (RunningGroup *) DatumGetPointer(binaryheap_first(heap)), choice) < 0)
			binaryheap_replace_first(heap, PointerGetDatum(group));
	}
	while (!binaryheap_empty(heap))
		put(window, (RunningGroup *) DatumGetPointer(binaryheap_remove_first(heap)), rsinfo, values, nulls);
	binaryheap_free(heap);
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
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	RunningWindow *window = aggwin_running_sought(PG_GETARG_INT32(0));
	Choice		choice = {0};
	Datum	   *values;
	bool	   *nulls;

	if (window == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no window is being computed"),
				 errhint("Use aggwin.window_at() to compute a window.")));
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	check_columns(window, rsinfo->setDesc);
	values = palloc(rsinfo->setDesc->natts * sizeof(Datum));
	nulls = palloc(rsinfo->setDesc->natts * sizeof(bool));
	if (prepare_choice(&choice, window))
		put_first(&choice, rsinfo, values, nulls);
	else
	{
		for (uint32 i = 0; i < window->ngroups; i++)
		{
			RunningGroup *group = running_group(window, i);

			if (group->rows > 0 || window->nkeys == 0)
				put(window, group, rsinfo, values, nulls);
		}
	}
	return (Datum) 0;
}
