/*
 * running_load.c - reading the rows of panes
 */
#include "postgres.h"

#include "emit/running_state.h"

#include "core/spi_util.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "tcop/dest.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Rows between two resets of the memory that key functions may leave behind */
#define ROWS_A_RESET 256

typedef struct PaneReceiver
{
	DestReceiver pub;
	RunningWindow *window;
	RunningPane **panes;
	int			npanes;
	bool		add;
	int64		rows;
	NullableDatum *inputs;
} PaneReceiver;

static bool
receive(TupleTableSlot *slot, DestReceiver *self)
{
	PaneReceiver *receiver = (PaneReceiver *) self;
	RunningWindow *window = receiver->window;
	MemoryContext caller = MemoryContextSwitchTo(window->scratch);
	NullableDatum *keys = window->probe->keys;
	RunningGroup *group;
	int64		number;
	Size		length;

	slot_getallattrs(slot);
	number = (DatumGetTimestamp(slot->tts_values[0]) - receiver->panes[0]->start) / window->pane_width;
	if (slot->tts_isnull[0] || number < 0 || number >= receiver->npanes)
		elog(ERROR, "a row of a window's panes is in none of them");
	for (int i = 0; i < window->nkeys; i++)
	{
		keys[i].value = slot->tts_values[1 + i];
		keys[i].isnull = slot->tts_isnull[1 + i];
		if (window->keys[i].length == -1 && !keys[i].isnull)
			keys[i].value = PointerGetDatum(PG_DETOAST_DATUM_PACKED(keys[i].value));
	}
	for (int i = 0; i < window->ninputs; i++)
	{
		receiver->inputs[i].value = slot->tts_values[1 + window->nkeys + i];
		receiver->inputs[i].isnull = slot->tts_isnull[1 + window->nkeys + i];
	}
	group = aggwin_running_find_group(window);
	/* If it is new, somebody must look whether it has got rows in the end. */
	if (group->rows == 0)
		aggwin_running_list(window, group);
	if (receiver->add)
	{
		RunningRow	row = {.group = group, .inputs = receiver->inputs};

		aggwin_running_add_row(window, receiver->panes[number], &row);
	}
	length = aggwin_running_pack(window, group, receiver->inputs);
	aggwin_running_append(window, receiver->panes[number], window->row, length);
	MemoryContextSwitchTo(caller);
	if (++receiver->rows % ROWS_A_RESET == 0)
		MemoryContextReset(window->scratch);
	return true;
}

static void
startup(DestReceiver *self, int operation, TupleDesc desc)
{
}

static void
shutdown(DestReceiver *self)
{
}

static void
run(void *arg)
{
	PaneReceiver *receiver = arg;
	SPIExecuteOptions options = {.read_only = true, .dest = &receiver->pub};
	int			guc_level = NewGUCNestLevel();
	SPIPlanPtr	plan;
	int			rc;

	/* A pane has few rows next to what is kept in memory, so none go to disk. */
	aggwin_pin("work_mem", "64MB");
	plan = SPI_prepare(receiver->window->query->input_sql, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	rc = SPI_execute_plan_extended(plan, &options);
	if (rc != SPI_OK_SELECT)
		elog(ERROR, "unexpected SPI result %s of: %s", SPI_result_code_string(rc),
			 receiver->window->query->input_sql);
	SPI_freeplan(plan);
	AtEOXact_GUC(false, guc_level);
}

/*
 * Put the rows of these times into panes that follow one another, and, if add,
 * add them to their groups. Under the active snapshot, as the current user.
 */
void
aggwin_running_load(RunningWindow *window, const WindowBounds *bounds, RunningPane **panes, int npanes,
					bool add)
{
	PaneReceiver receiver = {
		/* any kind will do that is not DestNone, which means no SELECT to SPI */
		.pub = {receive, startup, shutdown, shutdown, DestTuplestore},
		.window = window, .panes = panes, .npanes = npanes, .add = add
	};

	receiver.inputs = palloc(Max(window->ninputs, 1) * sizeof(NullableDatum));
	aggwin_with_bounds(bounds, run, &receiver);
	pfree(receiver.inputs);
	MemoryContextReset(window->scratch);
}
