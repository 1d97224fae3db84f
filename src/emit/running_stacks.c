/*
 * running_stacks.c - aggregates that can only merge, over a sliding window
 *
 * The two-stacks scheme. A group has one entry for each pane that it has rows in,
 * in the order of time. Entries of the front know the state of themselves and all
 * later ones in front; what has come since is merged into one state, the back:
 *
 *      panes          1      2      3    |   4      5
 *      front       1+2+3   2+3      3    |
 *      back                              |  4+5         window = front's first + back
 *
 * What leaves is the front's first. When the front is empty, the entries of the
 * back become the front, from the last to the first. So each entry is merged twice
 * in its life, however many panes a window has.
 *
 * (Often ascribed to folklore; see Tangwongsan, Hirzel, Schneider: Low-Latency
 * Sliding-Window Aggregation in Worst-Case Constant Time, DEBS 2017.)
 *
 * An entry's states live in the memory of its pane.
 */
#include "postgres.h"

#include "emit/running_apply.h"

#include "utils/memutils.h"

#define foreach_stack(window, i) \
	for (int i = 0; i < (window)->naggs; i++) \
		if ((window)->aggs[i].kind == RUNNING_STACKS)

/* Where the group's back states of this aggregate live. */
static MemoryContext
back_context(RunningWindow *window, RunningGroup *group, const RunningAggregate *aggregate)
{
	RunningStacks *stacks = running_stacks(window, group);

	if (!aggregate->internal)
		return window->content;
	if (stacks->context == NULL)
		stacks->context = AllocSetContextCreate(window->content, "aggwin group", ALLOCSET_SMALL_SIZES);
	return stacks->context;
}

static void
restart_back(RunningWindow *window, RunningGroup *group)
{
	RunningStacks *stacks = running_stacks(window, group);
	RunningValue *values = running_values(window, group);

	foreach_stack(window, i)
	{
		RunningAggregate *aggregate = &window->aggs[i];
		RunningState *state = &values[i].state;

		if (!aggregate->internal && !aggregate->state_by_value && !state->isnull)
			pfree(DatumGetPointer(state->value));
	}
	if (stacks->context)
		MemoryContextReset(stacks->context);
	foreach_stack(window, i)
		aggwin_running_start(&window->aggs[i], &values[i].state,
							 back_context(window, group, &window->aggs[i]));
	stacks->merged = stacks->tail;
	stacks->mid = NULL;
}

/* The entry of a pane that is not older than any the group has rows in. */
StackEntry *
aggwin_running_entry(RunningWindow *window, RunningGroup *group, RunningPane *pane)
{
	RunningStacks *stacks = running_stacks(window, group);
	StackEntry *entry = stacks->tail;

	if (entry != NULL && entry->pane == pane)
		return entry;
	entry = MemoryContextAlloc(pane->context, offsetof(StackEntry, states) +
							   window->nstacks * sizeof(RunningState));
	entry->next = NULL;
	entry->pane = pane;
	foreach_stack(window, i)
		aggwin_running_start(&window->aggs[i], &entry->states[window->aggs[i].number], pane->context);
	if (stacks->tail)
		stacks->tail->next = entry;
	else
		stacks->head = entry;
	if (stacks->mid == NULL)
		stacks->mid = entry;
	stacks->tail = entry;
	return entry;
}

/* Bring the back up to the last entry. */
void
aggwin_running_merge_back(RunningWindow *window, RunningGroup *group)
{
	RunningStacks *stacks = running_stacks(window, group);
	RunningValue *values = running_values(window, group);
	StackEntry *entry;

	if (stacks->merged == stacks->tail)
		return;
	for (entry = stacks->merged ? stacks->merged->next : stacks->mid; entry != NULL; entry = entry->next)
	{
		foreach_stack(window, i)
			aggwin_running_combine(&window->aggs[i], &values[i].state,
								   &entry->states[window->aggs[i].number],
								   back_context(window, group, &window->aggs[i]));
	}
	stacks->merged = stacks->tail;
}

/* Make the entry's state that of itself and those after it. */
static void
stack_up(RunningAggregate *aggregate, StackEntry *entry, const StackEntry *later)
{
	RunningState *state = &entry->states[aggregate->number];
	RunningState sum;

	aggwin_running_copy(aggregate, &sum, &later->states[aggregate->number], entry->pane->context);
	aggwin_running_combine(aggregate, &sum, state, entry->pane->context);
	if (!aggregate->internal && !aggregate->state_by_value && !state->isnull)
		pfree(DatumGetPointer(state->value));
	*state = sum;
}

/* Turn the back, all that there is, into the front. */
static void
flip(RunningWindow *window, RunningGroup *group)
{
	RunningStacks *stacks = running_stacks(window, group);
	int			count = 0;
	StackEntry *entry;
	StackEntry **entries;

	for (entry = stacks->head; entry != NULL; entry = entry->next)
		count++;
	entries = MemoryContextAlloc(window->scratch, Max(count, 1) * sizeof(StackEntry *));
	count = 0;
	for (entry = stacks->head; entry != NULL; entry = entry->next)
		entries[count++] = entry;
	for (int n = count - 2; n >= 0; n--)
	{
		foreach_stack(window, i)
			stack_up(&window->aggs[i], entries[n], entries[n + 1]);
	}
	pfree(entries);
	restart_back(window, group);
}

/* A pane leaves, the oldest one that the group may have an entry of. */
void
aggwin_running_leave(RunningWindow *window, RunningGroup *group, const RunningPane *pane)
{
	RunningStacks *stacks = running_stacks(window, group);
	StackEntry *entry = stacks->head;
	bool		was_back = entry == stacks->mid;

	if (entry == NULL || entry->pane != pane)
		return;
	stacks->head = entry->next;
	if (stacks->head == NULL)
		stacks->tail = NULL;
	if (was_back)
		flip(window, group);
	else if (stacks->merged == entry)
		stacks->merged = NULL;
}

/* Forget all entries. */
void
aggwin_running_clear_stacks(RunningWindow *window, RunningGroup *group)
{
	RunningStacks *stacks = running_stacks(window, group);

	stacks->head = stacks->tail = NULL;
	restart_back(window, group);
}

/* The result of an aggregate over all of the group's rows. */
Datum
aggwin_running_stacks_final(RunningWindow *window, RunningGroup *group,
							RunningAggregate *aggregate, bool *isnull)
{
	RunningStacks *stacks = running_stacks(window, group);
	RunningState *back = &running_values(window, group)[aggregate - window->aggs].state;
	bool		has_front = stacks->head != NULL && stacks->head != stacks->mid;
	RunningState *front = has_front ? &stacks->head->states[aggregate->number] : NULL;
	RunningState sum;

	if (!aggregate->final_writes && front == NULL)
		return aggwin_running_final(aggregate, back, isnull);
	if (!aggregate->final_writes && stacks->mid == NULL)
		return aggwin_running_final(aggregate, front, isnull);
	aggwin_running_copy(aggregate, &sum, front ? front : back, window->scratch);
	if (front != NULL && stacks->mid != NULL)
		aggwin_running_combine(aggregate, &sum, back, window->scratch);
	return aggwin_running_final(aggregate, &sum, isnull);
}
