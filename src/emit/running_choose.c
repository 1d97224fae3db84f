/*
 * running_choose.c - the groups that a query around them can be after
 *
 * Where that is the first few by some order, they are chosen by a heap, with the
 * server's own comparisons, and no others are given to the query. It sorts and
 * limits what it gets all the same. What groups are compared by is kept for each
 * of them until it changes.
 */
#include "postgres.h"

#include "emit/running_output.h"

#include "executor/executor.h"
#include "lib/binaryheap.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/memutils.h"
#include "utils/sortsupport.h"
#include "utils/typcache.h"

/* More than this are not worth a heap. */
#define MAX_HEAP 10000

/* How two groups are compared, one after the other of these */
typedef struct SortColumn
{
	int			column;			/* of groups, from 0; -1: the expression */
	bool		exact;			/* a count or a sum, compared as such */
	RunningExpr expr;
	SortSupportData sort;
} SortColumn;

typedef struct Choice
{
	RunningWindow *window;
	int			ncolumns;
	SortColumn *columns;
	bool		has_condition;
	RunningExpr condition;		/* HAVING */
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

/* Which of two groups comes first? */
static int
compare_groups(RunningGroup *a, RunningGroup *b, Choice *choice)
{
	RunningWindow *window = choice->window;
	int			order = 0;

	for (int i = 0; i < choice->ncolumns && order == 0; i++)
	{
		SortColumn *by = &choice->columns[i];

		if (by->exact)
		{
			int			number = by->column - window->nkeys;

			order = compare_exact(&running_values(window, a)[number], &running_values(window, b)[number],
								  window->aggs[number].kind == RUNNING_SUM, &by->sort);
		}
		else if (by->column >= 0)
		{
			NullableDatum x = aggwin_running_column(window, a, by->column);
			NullableDatum y = aggwin_running_column(window, b, by->column);

			order = ApplySortComparator(x.value, x.isnull, y.value, y.isnull, &by->sort);
		}
		else
		{
			const RunningResult *x = aggwin_running_expr(window, a, i, &by->expr);
			const RunningResult *y = aggwin_running_expr(window, b, i, &by->expr);

			order = ApplySortComparator(x->value, x->isnull, y->value, y->isnull, &by->sort);
		}
	}
	return order;
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

static void
prepare_column(Choice *choice, SortColumn *by, const SortGroupClause *clause, Node *expr, TupleDesc desc)
{
	RunningWindow *window = choice->window;

	by->column = IsA(expr, Var) ? ((Var *) expr)->varattno - 1 : -1;
	by->exact = by->column >= window->nkeys &&
		window->aggs[by->column - window->nkeys].kind < RUNNING_INVERSE &&
		is_default_order(clause->sortop, exprType(expr));
	if (by->column < 0)
		aggwin_running_prepare(&by->expr, expr, desc);
	by->sort.ssup_cxt = CurrentMemoryContext;
	by->sort.ssup_collation = exprCollation(expr);
	by->sort.ssup_nulls_first = clause->nulls_first;
	PrepareSortSupportFromOrderingOp(clause->sortop, &by->sort);
}

static void
prepare(Choice *choice, TupleDesc desc)
{
	const RunningQuery *query = choice->window->query;
	ListCell   *clause;
	ListCell   *expr;

	choice->columns = palloc0(Max(list_length(query->sort), 1) * sizeof(SortColumn));
	forboth(clause, query->sort, expr, query->sort_exprs)
		prepare_column(choice, &choice->columns[choice->ncolumns++],
					   lfirst_node(SortGroupClause, clause), lfirst(expr), desc);
	choice->has_condition = query->having != NULL;
	if (choice->has_condition)
		aggwin_running_prepare(&choice->condition, query->having, desc);
}

static void
release(Choice *choice)
{
	for (int i = 0; i < choice->ncolumns; i++)
	{
		if (choice->columns[i].column < 0)
			aggwin_running_release(&choice->columns[i].expr);
	}
	if (choice->has_condition)
		aggwin_running_release(&choice->condition);
}

/* Has the slot a group, and does HAVING let it pass? */
static bool
qualifies(Choice *choice, RunningGroup *group)
{
	RunningWindow *window = choice->window;
	const RunningResult *passes;

	if (group->rows == 0 && window->nkeys > 0)
		return false;
	if (!choice->has_condition)
		return true;
	passes = aggwin_running_expr(window, group, choice->ncolumns, &choice->condition);
	return !passes->isnull && DatumGetBool(passes->value);
}

static void
choose(Choice *choice, void (*put) (RunningGroup *, void *), void *arg)
{
	RunningWindow *window = choice->window;
	int			limit = window->query->limit;
	int			count = 0;
	RunningGroup *last;

	/* The root is the last of those chosen. */
	binaryheap *heap = binaryheap_allocate(limit, compare_heap, choice);

	for (uint32 i = 0; i < window->ngroups; i++)
	{
		RunningGroup *group = running_group(window, i);

		if (!qualifies(choice, group))
			continue;
		if (count < limit)
		{
			binaryheap_add(heap, PointerGetDatum(group));
			count++;
		}
		else if (compare_heap(PointerGetDatum(group), binaryheap_first(heap), choice) < 0)
			binaryheap_replace_first(heap, PointerGetDatum(group));
	}
	last = count > 0 ? (RunningGroup *) DatumGetPointer(binaryheap_first(heap)) : NULL;
	while (!window->query->with_ties && !binaryheap_empty(heap))
		put((RunningGroup *) DatumGetPointer(binaryheap_remove_first(heap)), arg);
	for (uint32 i = 0; i < window->ngroups && window->query->with_ties && last; i++)
	{
		RunningGroup *group = running_group(window, i);

		if (qualifies(choice, group) && compare_groups(group, last, choice) <= 0)
			put(group, arg);
	}
	binaryheap_free(heap);
}

/* Call put() for each group that the query around them may want. */
void
aggwin_running_choose(RunningWindow *window, TupleDesc desc, void (*put) (RunningGroup *, void *), void *arg)
{
	Choice		choice = {.window = window};

	if (window->query->limit > 0 && window->query->limit <= MAX_HEAP)
	{
		prepare(&choice, desc);
		choose(&choice, put, arg);
		release(&choice);
		return;
	}
	for (uint32 i = 0; i < window->ngroups && window->query->limit != 0; i++)
	{
		if (qualifies(&choice, running_group(window, i)))
			put(running_group(window, i), arg);
	}
}
