/*
 * running_move.c - a window moves on: panes enter, panes leave, panes change
 *
 *      panes     │ 1 │ 2 │ 3 │ 4 │ 5 │ 6 │ 7 │
 *      before    ╰──── bounds ───────╯
 *      after             ╰───── bounds ──────╯
 *                 leave        3: read again      enter
 *
 * What enters is read, and its rows are kept, packed, while there is memory for
 * them. Then panes leave without being read, and one that has changed is read and
 * compared. When memory is short the rows of the oldest panes are dropped: these
 * are read once more when they leave, which is right if they hold what they held,
 * by number and checksum of the rows; otherwise all is read anew.
 */
#include "postgres.h"

#include "emit/running_move.h"

#include "core/guc.h"
#include "emit/running_apply.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Panes that are read by one query */
#define PANES_A_LOAD 64

/* Rows between two resets of the memory that functions may leave behind */
#define ROWS_A_RESET 64

/* States that could not be freed, before all is read anew */
#define MAX_WASTED 100000

static void
drop_pane(RunningPane *pane)
{
	MemoryContextDelete(pane->context);
	pfree(pane);
}

static void
add_panes(RunningWindow *window, RunningPane **panes, int npanes)
{
	if (window->npanes + npanes > window->max_panes)
	{
		window->max_panes = Max(window->max_panes * 2, window->npanes + npanes);
		window->panes = window->panes
			? repalloc_huge(window->panes, window->max_panes * sizeof(RunningPane *))
			: MemoryContextAllocHuge(window->content, window->max_panes * sizeof(RunningPane *));
	}
	memcpy(window->panes + window->npanes, panes, npanes * sizeof(RunningPane *));
	window->npanes += npanes;
}

/* Read new panes from a time on, at most up to another; returns their number. */
static int
load(RunningWindow *window, TimestampTz start, TimestampTz end, RunningPane **panes, bool add)
{
	WindowBounds bounds = {start, Min(end, start + PANES_A_LOAD * window->pane_width)};
	int			npanes = (bounds.end - bounds.start) / window->pane_width;

	for (int i = 0; i < npanes; i++)
		panes[i] = aggwin_running_create_pane(window, start + i * window->pane_width);
	aggwin_running_load(window, &bounds, panes, npanes, add);
	return npanes;
}

/* Rows of a pane, one after the other ---------------------------------------*/

/* Rows are unpacked some at a time, so that their groups are ready in their turn. */
typedef struct PaneScan
{
	RunningWindow *window;
	RowCursor	cursor;
	RunningRow	row;			/* the current one */
	int64		rows;
	RunningRow	ahead[RUNNING_AHEAD];
	int			nahead;
	int			position;
	NullableDatum *inputs;
	MemoryContext caller;
} PaneScan;

static void
begin_scan(PaneScan *scan, RunningWindow *window, RunningPane *pane)
{
	memset(scan, 0, sizeof(PaneScan));
	scan->window = window;
	scan->cursor.chunk = pane->first;
	scan->inputs = palloc(Max(RUNNING_AHEAD * window->ninputs, 1) * sizeof(NullableDatum));
	for (int i = 0; i < RUNNING_AHEAD; i++)
		scan->ahead[i].inputs = scan->inputs + i * window->ninputs;
	scan->caller = MemoryContextSwitchTo(window->scratch);
}

static bool
next(PaneScan *scan)
{
	if (++scan->rows % ROWS_A_RESET == 0)
		MemoryContextReset(scan->window->scratch);
	if (scan->position == scan->nahead)
	{
		scan->position = scan->nahead = 0;
		while (scan->nahead < RUNNING_AHEAD &&
			   aggwin_running_next_row(scan->window, &scan->cursor, &scan->ahead[scan->nahead]))
			running_expect(scan->ahead[scan->nahead++].group);
		if (scan->nahead == 0)
			return false;
	}
	scan->row = scan->ahead[scan->position++];
	return true;
}

static void
end_scan(PaneScan *scan)
{
	MemoryContextSwitchTo(scan->caller);
	MemoryContextReset(scan->window->scratch);
	pfree(scan->inputs);
}

static void
add(RunningWindow *window, RunningPane *pane)
{
	PaneScan	scan;

	CHECK_FOR_INTERRUPTS();
	begin_scan(&scan, window, pane);
	while (next(&scan))
		aggwin_running_add_row(window, pane, &scan.row);
	end_scan(&scan);
}

static void
remove_rows(RunningWindow *window, RunningPane *pane)
{
	PaneScan	scan;

	CHECK_FOR_INTERRUPTS();
	begin_scan(&scan, window, pane);
	while (next(&scan))
	{
		aggwin_running_remove_row(window, &scan.row);
		if (window->nstacks > 0)
			aggwin_running_leave(window, scan.row.group, pane);
	}
	end_scan(&scan);
}

/* Entering, leaving ---------------------------------------------------------*/

/* Leave memory to others, if that is possible. */
static bool
make_room(RunningWindow *window)
{
	Size		used = aggwin_running_memory();
	Size		limit = (Size) aggwin_window_memory * 1024;

	for (int i = 0; i < window->npanes && used > limit && window->nstacks == 0; i++)
	{
		RunningPane *pane = window->panes[i];
		Size		size = MemoryContextMemAllocated(pane->context, true);

		if (!pane->resident)
			continue;
		aggwin_running_drop_rows(pane);
		used -= size - MemoryContextMemAllocated(pane->context, true);
	}
	if (used > limit)
		elog(DEBUG1, "window %d has no room: %zu", window->window_id, used);
	return used <= limit;
}

static bool
enter(RunningWindow *window, TimestampTz start, TimestampTz end)
{
	RunningPane *panes[PANES_A_LOAD];

	while (start < end)
	{
		/* Stacks want to be added to pane by pane. */
		bool		one_by_one = window->nstacks > 0 && end - start > window->pane_width;
		int			npanes = load(window, start, end, panes, !one_by_one);

		for (int i = 0; i < npanes && one_by_one; i++)
			add(window, panes[i]);
		add_panes(window, panes, npanes);
		start += npanes * window->pane_width;
		if (!make_room(window))
			return false;
	}
	return true;
}

/* Take away panes whose rows are not in memory; false if they have changed. */
static bool
leave_unread(RunningWindow *window, int npanes)
{
	RunningPane *panes[PANES_A_LOAD];
	int			done = 0;
	bool		same = true;

	while (done < npanes && same)
	{
		int			count = load(window, window->panes[done]->start,
								 window->panes[npanes - 1]->start + window->pane_width, panes,
								 false);

		for (int i = 0; i < count; i++)
		{
			same &= panes[i]->rows == window->panes[done + i]->rows &&
				panes[i]->checksum == window->panes[done + i]->checksum;
			if (same)
				remove_rows(window, panes[i]);
			drop_pane(panes[i]);
		}
		done += count;
	}
	return same;
}

static bool
leave(RunningWindow *window, TimestampTz start)
{
	int			count = 0;
	int			unread = 0;

	while (count < window->npanes && window->panes[count]->start < start)
		unread += !window->panes[count++]->resident;
	if (unread > 0)
		elog(DEBUG1, "window %d reads %d panes again", window->window_id, unread);
	if (!leave_unread(window, unread))
		return false;
	for (int i = 0; i < count; i++)
	{
		if (window->panes[i]->resident)
			remove_rows(window, window->panes[i]);
	}

	/* What is computed anew needs the panes that stay only. */
	memmove(window->panes, window->panes + count, (window->npanes - count) * sizeof(RunningPane *));
	window->npanes -= count;
	return true;
}

/* Changes ------------------------------------------------------------------ */

typedef struct RowBytes
{
	const char *bytes;
	Size		length;
} RowBytes;

static int
compare_rows(const void *a, const void *b)
{
	const RowBytes *x = a;
	const RowBytes *y = b;
	int			order = memcmp(x->bytes, y->bytes, Min(x->length, y->length));

	return order != 0 ? order : (x->length > y->length) - (x->length < y->length);
}

static RowBytes *
sorted_rows(RunningWindow *window, RunningPane *pane)
{
	RowBytes   *rows = MemoryContextAllocHuge(CurrentMemoryContext, Max(pane->rows, 1) * sizeof(RowBytes));
	int64		count = 0;
	PaneScan	scan;

	begin_scan(&scan, window, pane);
	while (next(&scan))
	{
		rows[count].bytes = scan.row.bytes;
		rows[count++].length = scan.row.length;
	}
	end_scan(&scan);
	Assert(count == pane->rows);
	qsort(rows, count, sizeof(RowBytes), compare_rows);
	return rows;
}

/*
 * Stacks know pane by pane only, so a group is computed anew where a pane in the
 * middle has changed.
 */
static void
exchange(RunningWindow *window, RunningPane *pane, const RowBytes *bytes, bool enters)
{
	RunningRow	row = {.inputs = palloc(Max(window->ninputs, 1) * sizeof(NullableDatum))};
	MemoryContext caller = MemoryContextSwitchTo(window->scratch);

	aggwin_running_unpack(window, bytes->bytes, &row);
	if (window->nstacks > 0)
	{
		row.group->rebuild = true;
		aggwin_running_list(window, row.group);
	}
	else if (enters)
		aggwin_running_add_row(window, pane, &row);
	else
		aggwin_running_remove_row(window, &row);
	if (enters)
		aggwin_running_append(window, pane, bytes->bytes, bytes->length);
	else
		aggwin_running_kill(pane, &row);
	MemoryContextSwitchTo(caller);
	MemoryContextReset(window->scratch);
	pfree(row.inputs);
}

/* Read a pane again, and exchange the rows that differ. */
static void
update(RunningWindow *window, RunningPane *pane)
{
	RunningPane *now;
	RowBytes   *old_rows;
	RowBytes   *new_rows;
	int64		n_old = pane->rows;
	int64		n_new;
	int64		i = 0;
	int64		j = 0;

	(void) load(window, pane->start, pane->start + window->pane_width, &now, false);
	n_new = now->rows;
	old_rows = sorted_rows(window, pane);
	new_rows = sorted_rows(window, now);
	while (i < n_old || j < n_new)
	{
		int			order = i == n_old ? 1 : j == n_new ? -1 : compare_rows(&old_rows[i], &new_rows[j]);

		if (order < 0)
			exchange(window, pane, &old_rows[i], false);
		else if (order > 0)
			exchange(window, pane, &new_rows[j], true);
		i += order <= 0;
		j += order >= 0;
	}
	pfree(old_rows);
	pfree(new_rows);
	drop_pane(now);
}

static bool
is_touched(const RunningWindow *window, const RunningPane *pane, const WindowBounds *touched, int ntouched)
{
	for (int i = 0; i < ntouched; i++)
	{
		if (touched[i].start < pane->start + window->pane_width && touched[i].end >= pane->start)
			return true;
	}
	return false;
}

/* False if that would take as much as reading all anew, or more. */
static bool
update_touched(RunningWindow *window, TimestampTz from, const WindowBounds *touched, int ntouched)
{
	List	   *panes = NIL;
	ListCell   *lc;

	for (int i = 0; i < window->npanes && ntouched > 0; i++)
	{
		RunningPane *pane = window->panes[i];

		if (!is_touched(window, pane, touched, ntouched) || (pane->start < from && pane->resident))
			continue;
		if (!pane->resident)
			return false;
		panes = lappend(panes, pane);
	}
	if (list_length(panes) > window->npanes / 2)
		return false;
	foreach(lc, panes)
		update(window, lfirst(lc));
	list_free(panes);
	return true;
}

/* Moving -------------------------------------------------------------------- */

/* Give up all that is known. */
void
aggwin_running_empty(RunningWindow *window)
{
	window->valid = false;
	if (window->content)
		MemoryContextDelete(window->content);
	window->content = NULL;
}

/* Read a whole window. False if it does not fit into memory. */
bool
aggwin_running_rebuild(RunningWindow *window, const WindowBounds *bounds)
{
	aggwin_running_empty(window);
	window->content = AllocSetContextCreate(window->context, "aggwin window content",
											ALLOCSET_DEFAULT_SIZES);
	window->panes = NULL;
	window->npanes = window->max_panes = 0;
	window->row = NULL;
	window->row_size = 0;
	aggwin_running_create_groups(window);
	if (!enter(window, bounds->start, bounds->end) || !aggwin_running_settle(window))
		return false;
	window->bounds = *bounds;
	window->valid = true;
	return true;
}

/*
 * Move from where the window is to later bounds that overlap with those. touched:
 * times that have changed since it got there, both ends inclusive. False if it
 * has to be read anew, which may be because that is cheaper.
 */
bool
aggwin_running_move(RunningWindow *window, const WindowBounds *bounds, const WindowBounds *touched,
					int ntouched)
{
	TimestampTz start = window->bounds.start;
	TimestampTz end = window->bounds.end;
	RunningPane **leaving;
	int			nleaving = 0;
	bool		done;

	if (!window->valid || bounds->start < start || bounds->start >= end || bounds->end < end ||
		(bounds->start - start) % window->pane_width != 0 ||
		bounds->end - end + (bounds->start - start) >= bounds->end - bounds->start ||
		window->wasted > MAX_WASTED)
		return false;

	/* Until all is done, it is neither here nor there. */
	window->valid = false;
	nleaving = (bounds->start - start) / window->pane_width;
	leaving = palloc(Max(nleaving, 1) * sizeof(RunningPane *));
	memcpy(leaving, window->panes, nleaving * sizeof(RunningPane *));
	done = update_touched(window, bounds->start, touched, ntouched) &&
		enter(window, end, bounds->end) &&
		leave(window, bounds->start) &&
		aggwin_running_settle(window);
	if (done)
	{
		for (int i = 0; i < nleaving; i++)
			drop_pane(leaving[i]);
		window->bounds = *bounds;
		window->valid = true;
	}
	pfree(leaving);
	return done;
}
