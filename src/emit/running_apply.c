/*
 * running_apply.c - rows come to groups and leave them
 */
#include "postgres.h"

#include "emit/running_apply.h"

#include "utils/memutils.h"

/* Have a group looked after when all rows have come and gone. */
void
aggwin_running_list(RunningWindow *window, RunningGroup *group)
{
	if (group->listed)
		return;
	group->listed = true;
	if (window->nlisted == window->max_listed)
	{
		window->max_listed *= 2;
		window->listed = repalloc_huge(window->listed, window->max_listed * sizeof(RunningGroup *));
	}
	window->listed[window->nlisted++] = group;
}

/* An aggregate's arguments of a row; false if its FILTER leaves the row out. */
static inline bool
arguments(const RunningAggregate *aggregate, const RunningRow *row, NullableDatum *args)
{
	if (aggregate->filter >= 0 &&
		(row->inputs[aggregate->filter].isnull ||
		 !DatumGetBool(row->inputs[aggregate->filter].value)))
		return false;
	for (int i = 0; i < aggregate->nargs; i++)
		args[i] = row->inputs[aggregate->args[i]];
	return true;
}

/* Add a row to counts and sums, or take it away. */
static inline void
count(const RunningWindow *window, const RunningAggregate *aggregate, RunningValue *value,
	  const NullableDatum *args, int sign)
{
	if (aggregate->nargs > 0 && args[0].isnull)
		return;
	value->exact.count += sign;
	if (aggregate->kind == RUNNING_SUM)
		value->exact.sum += sign *
			(RunningSum) aggwin_input_integer(&window->inputs[aggregate->args[0]], args[0].value);
}

/* A row of a pane that is not older than any the group has rows in. */
void
aggwin_running_add_row(RunningWindow *window, RunningPane *pane, RunningRow *row)
{
	RunningGroup *group = row->group;
	RunningValue *values = running_values(window, group);
	StackEntry *entry = window->nstacks > 0 ? aggwin_running_entry(window, group, pane) : NULL;
	NullableDatum args[FUNC_MAX_ARGS];

	running_change(group);
	if (window->nstacks > 0)
		aggwin_running_list(window, group);
	group->rows++;
	for (int i = 0; i < window->naggs; i++)
	{
		RunningAggregate *aggregate = &window->aggs[i];

		if (!arguments(aggregate, row, args))
			continue;
		if (aggregate->kind < RUNNING_INVERSE)
			count(window, aggregate, &values[i], args, 1);
		else if (aggregate->kind == RUNNING_INVERSE)
			aggwin_running_add(aggregate, &values[i].state, args, window->content);
		else
			aggwin_running_add(aggregate, &entry->states[aggregate->number], args, pane->context);
	}
}

/*
 * A row leaves. The entries of stacks leave pane by pane, which is up to the
 * caller. What cannot be taken away is computed anew later.
 */
void
aggwin_running_remove_row(RunningWindow *window, RunningRow *row)
{
	RunningGroup *group = row->group;
	RunningValue *values = running_values(window, group);
	NullableDatum args[FUNC_MAX_ARGS];

	running_change(group);
	if (--group->rows <= 0 || window->nstacks > 0)
		aggwin_running_list(window, group);
	if (group->rows < 0)
		elog(ERROR, "a row leaves a window that it is not in");
	for (int i = 0; i < window->naggs && !group->rebuild; i++)
	{
		RunningAggregate *aggregate = &window->aggs[i];

		if (aggregate->kind == RUNNING_STACKS || !arguments(aggregate, row, args))
			continue;
		if (aggregate->kind < RUNNING_INVERSE)
			count(window, aggregate, &values[i], args, -1);
		else if (!aggwin_running_remove(aggregate, &values[i].state, args, window->content))
		{
			group->rebuild = true;
			aggwin_running_list(window, group);
		}
	}
}

/* Settling ----------------------------------------------------------------- */

static void
restart_group(RunningWindow *window, RunningGroup *group)
{
	RunningValue *values = running_values(window, group);

	group->rows = 0;
	for (int i = 0; i < window->naggs; i++)
	{
		RunningAggregate *aggregate = &window->aggs[i];

		if (aggregate->kind < RUNNING_INVERSE)
			values[i].exact.count = values[i].exact.sum = 0;
		else if (aggregate->kind == RUNNING_INVERSE)
		{
			if (!aggregate->state_by_value && !aggregate->internal && !values[i].state.isnull)
				pfree(DatumGetPointer(values[i].state.value));
			window->wasted += aggregate->internal;
			aggwin_running_start(aggregate, &values[i].state, window->content);
		}
	}
	if (window->nstacks > 0)
		aggwin_running_clear_stacks(window, group);
}

/* Compute the groups that ask for it from the rows in memory. */
static void
rebuild_groups(RunningWindow *window)
{
	NullableDatum *inputs = palloc(Max(window->ninputs, 1) * sizeof(NullableDatum));

	for (int i = 0; i < window->nlisted; i++)
	{
		if (window->listed[i]->rebuild)
			restart_group(window, window->listed[i]);
	}
	for (int i = 0; i < window->npanes; i++)
	{
		RunningPane *pane = window->panes[i];
		RowCursor	cursor = {.chunk = pane->first};
		RunningRow	row = {.inputs = inputs};
		MemoryContext caller = MemoryContextSwitchTo(window->scratch);

		while (aggwin_running_next_row(window, &cursor, &row))
		{
			if (row.group->rebuild)
				aggwin_running_add_row(window, pane, &row);
		}
		MemoryContextSwitchTo(caller);
		MemoryContextReset(window->scratch);
	}
	pfree(inputs);
}

/*
 * All rows have come and gone: groups without any are forgotten, and the others
 * are ready to be asked. False if that would need rows that are not in memory.
 */
bool
aggwin_running_settle(RunningWindow *window)
{
	bool		rebuild = false;

	for (int i = 0; i < window->nlisted; i++)
		rebuild |= window->listed[i]->rebuild;
	if (rebuild && window->npanes > 0 && !window->panes[0]->resident)
		return false;
	if (rebuild)
		rebuild_groups(window);
	for (int i = 0; i < window->nlisted; i++)
	{
		RunningGroup *group = window->listed[i];

		group->listed = group->rebuild = false;
		running_change(group);
		if (window->nstacks > 0)
			aggwin_running_merge_back(window, group);
		if (group->rows == 0 && window->nkeys > 0)
			aggwin_running_free_group(window, group);
	}
	window->nlisted = 0;
	MemoryContextReset(window->scratch);
	return true;
}
