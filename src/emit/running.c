/*
 * running.c - windows that are kept up to date, instead of computed anew
 *
 * What a session knows of a window is thrown away rather than trusted wrongly: it
 * counts only while it comes from the last step that has committed, by the id of
 * that transaction in aggwin.window. So it does not matter which session closes
 * windows, nor what became of a transaction.
 *
 *      step begins     version of the window = version of the state, or rebuild
 *      seek …          the state has no version
 *      step stored     both have the id of this transaction
 *      rolled back     the window's version is what it was: rebuild
 *      savepoint       if a part of the transaction is rolled back that has
 *      rolled back     moved the state, the state is invalid
 */
#include "postgres.h"

#include "emit/running.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "core/guc.h"
#include "core/spi_util.h"
#include "emit/running_move.h"
#include "emit/running_state.h"
#include "nodes/nodeFuncs.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* RunningWindow *, all of this session */
static List *running_windows = NIL;

/* Whose groups are given to the query that is run next */
static RunningWindow *sought = NULL;

/* States -------------------------------------------------------------------- */

static void
destroy(RunningWindow *window)
{
	running_windows = list_delete_ptr(running_windows, window);
	if (sought == window)
		sought = NULL;
	MemoryContextDelete(window->context);
}

/* States of revisions last as long as the step that has made them. */
static void
end_steps(void)
{
	ListCell   *lc;

	sought = NULL;
	foreach(lc, running_windows)
	{
		RunningWindow *window = lfirst(lc);

		window->in_step = false;
		window->step_subid = InvalidSubTransactionId;
		if (window->for_revisions)
		{
			running_windows = foreach_delete_current(running_windows, lc);
			MemoryContextDelete(window->context);
		}
	}
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		end_steps();
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId subid, SubTransactionId parent, void *arg)
{
	ListCell   *lc;

	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	sought = NULL;
	foreach(lc, running_windows)
	{
		RunningWindow *window = lfirst(lc);

		if (window->step_subid >= subid)
		{
			window->valid = false;
			window->in_step = false;
		}
	}
}

static RunningWindow *
find(int32 window_id, bool for_revisions)
{
	ListCell   *lc;

	foreach(lc, running_windows)
	{
		RunningWindow *window = lfirst(lc);

		if (window->window_id == window_id && window->for_revisions == for_revisions)
			return window;
	}
	return NULL;
}

/* Memory of all windows of this session, in bytes. */
Size
aggwin_running_memory(void)
{
	Size		size = 0;
	ListCell   *lc;

	foreach(lc, running_windows)
		size += MemoryContextMemAllocated(((RunningWindow *) lfirst(lc))->context, true);
	return size;
}

static List *
add_window(RunningWindow *window)
{
	MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
	List	   *windows = lappend(running_windows, window);

	MemoryContextSwitchTo(caller);
	return windows;
}

/* Forget windows that have been dropped. */
static void
forget_dropped(void)
{
	ListCell   *lc;

	foreach(lc, running_windows)
	{
		RunningWindow *window = lfirst(lc);

		if (get_rel_name(window->definition) == NULL)
		{
			running_windows = foreach_delete_current(running_windows, lc);
			MemoryContextDelete(window->context);
		}
	}
}

/* Creating ------------------------------------------------------------------ */

static void
read_types(RunningWindow *window)
{
	ListCell   *lc;
	ListCell   *operator;

	window->keys = palloc0(Max(window->nkeys, 1) * sizeof(KeyType));
	forboth(lc, window->query->keys, operator, window->query->key_operators)
	{
		KeyType    *key = &window->keys[foreach_current_index(lc)];
		RegProcedure hash;
		RegProcedure right_hash;

		if (!get_op_hash_functions(lfirst_oid(operator), &hash, &right_hash))
			elog(ERROR, "operator %u has no hash function", lfirst_oid(operator));
		fmgr_info(hash, &key->hash);
		fmgr_info(get_opcode(lfirst_oid(operator)), &key->equal);
		key->collation = exprCollation(lfirst(lc));
		get_typlenbyval(exprType(lfirst(lc)), &key->length, &key->by_value);
	}
	window->inputs = palloc0(Max(window->ninputs, 1) * sizeof(InputType));
	window->row_align = 1;
	window->by_value = true;
	for (int i = 0; i < window->nkeys; i++)
		window->by_value &= window->keys[i].by_value;
	foreach(lc, window->query->inputs)
	{
		InputType  *input = &window->inputs[foreach_current_index(lc)];
		Oid			type = exprType(lfirst(lc));

		get_typlenbyval(type, &input->length, &input->by_value);
		input->integer = type == INT8OID || type == INT4OID || type == INT2OID;
		if (!input->by_value)
		{
			window->row_align = MAXIMUM_ALIGNOF;
			window->by_value = false;
		}
	}
}

static int
input_number(const RunningWindow *window, Node *node)
{
	ListCell   *lc;

	foreach(lc, window->query->inputs)
	{
		if (equal(lfirst(lc), node))
			return foreach_current_index(lc);
	}
	elog(ERROR, "an argument of an aggregate is not among the inputs");
}

static const char *
read_aggregates(RunningWindow *window, Oid owner)
{
	ListCell   *lc;

	window->aggs = palloc0(Max(window->naggs, 1) * sizeof(RunningAggregate));
	foreach(lc, window->query->aggregates)
	{
		RunningAggregate *aggregate = &window->aggs[foreach_current_index(lc)];
		Aggref	   *aggref = lfirst_node(Aggref, lc);
		const char *reason = aggwin_running_aggregate(aggregate, aggref, owner);
		ListCell   *arg;

		if (reason != NULL)
			return reason;
		foreach(arg, aggwin_running_arguments(aggref))
			aggregate->args[aggregate->nargs++] = input_number(window, lfirst(arg));
		aggregate->filter = aggref->aggfilter ? input_number(window, (Node *) aggref->aggfilter) : -1;
		if (aggregate->kind == RUNNING_STACKS)
			aggregate->number = window->nstacks++;
	}
	return NULL;
}

/* What is kept for each group: of aggregates, of the order, of HAVING. */
static void
read_results(RunningWindow *window)
{
	List	   *exprs = list_concat_copy(window->query->aggregates, window->query->sort_exprs);
	ListCell   *lc;

	if (window->query->having)
		exprs = lappend(exprs, window->query->having);
	window->nresults = list_length(exprs);
	window->results_by_value = palloc(Max(window->nresults, 1) * sizeof(bool));
	foreach(lc, exprs)
		window->results_by_value[foreach_current_index(lc)] = get_typbyval(exprType(lfirst(lc)));
}

/*
 * What of a window's query can be kept up to date, in the current memory context;
 * NULL: it is computed anew each time, with the reason. Needs the search_path of
 * a sandbox.
 */
static RunningQuery *
analyze(const WindowRow *row, const char **reason)
{
	if (row->size == row->period)
	{
		*reason = "its windows do not overlap";
		return NULL;
	}
	return aggwin_running_query(row->window_id, row->definition, row->panes,
								get_attnum(row->rollup, row->bucket), reason);
}

/* A window with nothing in it, or NULL, with the reason. */
static RunningWindow *
create(const WindowRow *row, const char **reason)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "aggwin window",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	RunningWindow *window = palloc0(sizeof(RunningWindow));

	window->window_id = row->window_id;
	window->definition = row->definition;
	window->context = context;
	window->scratch = AllocSetContextCreate(context, "aggwin window scratch", ALLOCSET_DEFAULT_SIZES);
	window->pane_width =
		DatumGetInt64(DirectFunctionCall2(int8gcd, Int64GetDatum(row->size), Int64GetDatum(row->period)));
	window->query = analyze(row, reason);
	if (window->query)
	{
		window->nkeys = list_length(window->query->keys);
		window->ninputs = list_length(window->query->inputs);
		window->naggs = list_length(window->query->aggregates);
		read_types(window);
		*reason = read_aggregates(window, row->owner);
		read_results(window);
	}
	MemoryContextSwitchTo(caller);
	if (*reason == NULL)
		return window;
	/* The reason may be in there. */
	*reason = pstrdup(*reason);
	MemoryContextDelete(context);
	return NULL;
}

/* Seeking ------------------------------------------------------------------- */

/* Does a state belong to the query of the window as it is now? */
static bool
is_current(const RunningWindow *window, const WindowRow *row)
{
	const char *reason = NULL;
	RunningQuery *query = analyze(row, &reason);

	return query != NULL && window->definition == row->definition &&
		strcmp(query->input_sql, window->query->input_sql) == 0 &&
		strcmp(query->groups_sql, window->query->groups_sql) == 0;
}

/* The state of a window, in whatever condition; NULL if there cannot be one. */
static RunningWindow *
get(const RunningRequest *request)
{
	static bool registered = false;
	RunningWindow *window = find(request->window->window_id, request->for_revisions);
	const char *reason = NULL;

	if (window != NULL && is_current(window, request->window))
		return window;
	if (window != NULL)
		destroy(window);
	window = create(request->window, &reason);
	if (window == NULL)
		return NULL;
	if (!registered)
	{
		RegisterXactCallback(at_transaction_end, NULL);
		RegisterSubXactCallback(at_subtransaction_end, NULL);
		registered = true;
	}
	forget_dropped();
	window->for_revisions = request->for_revisions;
	MemoryContextSetParent(window->context, TopMemoryContext);
	running_windows = add_window(window);
	return window;
}

/* In the same step, and for windows of the past in none, is nothing touched. */
static bool
move_or_rebuild(RunningWindow *window, const RunningRequest *request)
{
	bool		goes_on = window->in_step &&
		FullTransactionIdEquals(window->step_version, request->version);
	bool		known = goes_on || (!window->for_revisions && FullTransactionIdIsValid(request->version) &&
									FullTransactionIdEquals(window->version, request->version));

	window->version = InvalidFullTransactionId;
	window->step_version = request->version;
	window->step_subid = GetCurrentSubTransactionId();
	window->in_step = true;
	if (known && aggwin_running_move(window, &request->bounds, goes_on ? NULL : request->touched,
									 goes_on ? 0 : request->ntouched))
	{
		elog(DEBUG1, "window %d moved on", window->window_id);
		return true;
	}
	elog(DEBUG1, "window %d read anew", window->window_id);
	return aggwin_running_rebuild(window, &request->bounds);
}

/*
 * Bring what is known of a window's output up to date with these bounds, under
 * the active snapshot. Returns a query for its rows, to be run with these bounds,
 * or NULL: then they are to be computed by the definition. Called connected to
 * SPI, with the rollup's lock held; windows come in the order of time.
 */
const char *
aggwin_running_seek(const RunningRequest *request)
{
	RunningWindow *window;
	Sandbox		saved;

	sought = NULL;
	aggwin_sandbox_enter(&saved, request->window->owner, true);
	window = get(request);
	if (window != NULL && window->too_large_for != aggwin_window_memory)
	{
		window->too_large_for = 0;
		if (move_or_rebuild(window, request))
			sought = window;
		else
		{
			window->too_large_for = aggwin_window_memory;
			aggwin_running_empty(window);
			if (!request->for_revisions)
				ereport(LOG,
						(errmsg("windows of %s are computed anew each time",
								aggwin_relation_name(request->window->output)),
						 errdetail("To keep them up to date takes more memory than there is."),
						 errhint("Consider to increase aggwin.window_memory.")));
		}
	}
	aggwin_sandbox_leave(&saved);
	return sought ? sought->query->groups_sql : NULL;
}

/*
 * The current transaction stores that the step has been done. False if what was
 * touched must be told once more to the next one, because nobody has asked, and
 * the version must stay.
 */
bool
aggwin_running_stored(int32 window_id)
{
	RunningWindow *window = find(window_id, false);

	sought = NULL;
	if (window == NULL)
		return true;
	if (!window->in_step)
		return !window->valid;
	window->version = GetTopFullTransactionId();
	window->in_step = false;
	return true;
}

/* The state that running_groups() reads, NULL if that is another window's turn. */
RunningWindow *
aggwin_running_sought(int32 window_id)
{
	const WindowBounds *bounds = aggwin_current_bounds();

	if (sought == NULL || bounds == NULL || !sought->valid || sought->window_id != window_id ||
		sought->bounds.start != bounds->start || sought->bounds.end != bounds->end)
		return NULL;
	return sought;
}

/* Why a window is computed anew each time, NULL if it is not. */
const char *
aggwin_running_refusal(const WindowRow *row)
{
	const char *reason = NULL;
	RunningWindow *window;
	Sandbox		saved;

	aggwin_sandbox_enter(&saved, row->owner, true);
	window = create(row, &reason);
	aggwin_sandbox_leave(&saved);
	if (window)
		MemoryContextDelete(window->context);
	return reason;
}
