/*
 * running_load.c - reading the rows of panes
 */
#include "postgres.h"

#include "emit/running_rows.h"

#include "core/spi_util.h"
#include "emit/running_apply.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "tcop/dest.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* Rows between two resets of the memory that key functions may leave behind */
#define ROWS_A_RESET 256

/* A row that has been received, and whose group is expected */
typedef struct ReceivedRow
{
	RunningPane *pane;
	uint32		hash;
	NullableDatum *keys;
	NullableDatum *inputs;
} ReceivedRow;

typedef struct PaneReceiver
{
	DestReceiver pub;
	RunningWindow *window;
	RunningPane **panes;
	int			npanes;
	bool		add;
	int64		rows;
	int			nreceived;
	int			max_received;	/* 1 if rows are only valid until the next one comes */
	ReceivedRow received[RUNNING_AHEAD];
} PaneReceiver;

static void
put_row(PaneReceiver *receiver, ReceivedRow *received)
{
	RunningWindow *window = receiver->window;
	RunningGroup *group = aggwin_running_find_group(window, received->keys, received->hash);
	Size		length;

	/* If it is new, somebody must look whether it has got rows in the end. */
	if (group->rows == 0)
		aggwin_running_list(window, group);
	if (receiver->add)
	{
		RunningRow	row = {.group = group, .inputs = received->inputs};

		aggwin_running_add_row(window, received->pane, &row);
	}
	length = aggwin_running_pack(window, group, received->inputs);
	aggwin_running_append(window, received->pane, window->row, length);
}

static void
put_received(PaneReceiver *receiver)
{
	for (int i = 0; i < receiver->nreceived; i++)
		aggwin_running_expect_group(receiver->window, receiver->received[i].hash);
	for (int i = 0; i < receiver->nreceived; i++)
		put_row(receiver, &receiver->received[i]);
	receiver->nreceived = 0;
}

static bool
receive(TupleTableSlot *slot, DestReceiver *self)
{
	PaneReceiver *receiver = (PaneReceiver *) self;
	RunningWindow *window = receiver->window;
	MemoryContext caller = MemoryContextSwitchTo(window->scratch);
	ReceivedRow *received = &receiver->received[receiver->nreceived++];
	int64		number;

	slot_getallattrs(slot);
	number = (DatumGetTimestamp(slot->tts_values[0]) - receiver->panes[0]->start) / window->pane_width;
	if (slot->tts_isnull[0] || number < 0 || number >= receiver->npanes)
		elog(ERROR, "a row of a window's panes is in none of them");
	received->pane = receiver->panes[number];
	for (int i = 0; i < window->nkeys; i++)
	{
		received->keys[i].value = slot->tts_values[1 + i];
		received->keys[i].isnull = slot->tts_isnull[1 + i];
		if (window->keys[i].length == -1 && !received->keys[i].isnull)
			received->keys[i].value = PointerGetDatum(PG_DETOAST_DATUM_PACKED(received->keys[i].value));
	}
	for (int i = 0; i < window->ninputs; i++)
	{
		received->inputs[i].value = slot->tts_values[1 + window->nkeys + i];
		received->inputs[i].isnull = slot->tts_isnull[1 + window->nkeys + i];
	}
	received->hash = aggwin_running_hash(window, received->keys);
	aggwin_running_expect_hash(window, received->hash);
	if (receiver->nreceived == receiver->max_received)
		put_received(receiver);
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
	const char *sql = receiver->window->query->input_sql;
	SPIPlanPtr	plan;

	/* A pane has few rows next to what is kept in memory, so none go to disk. */
	aggwin_pin("work_mem", "64MB");
	/* Nor does their order matter, whatever small number of rows is expected. */
	aggwin_pin("enable_sort", "off");
	plan = aggwin_spi_prepare(sql, 0, NULL);
	aggwin_spi_check(SPI_execute_plan_extended(plan, &options), SPI_OK_SELECT, sql);
	put_received(receiver);
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
	int			ncolumns = window->nkeys + window->ninputs;
	NullableDatum *columns;

	receiver.max_received = window->by_value ? RUNNING_AHEAD : 1;
	columns = palloc(Max(receiver.max_received * ncolumns, 1) * sizeof(NullableDatum));
	for (int i = 0; i < receiver.max_received; i++)
	{
		receiver.received[i].keys = columns + i * ncolumns;
		receiver.received[i].inputs = receiver.received[i].keys + window->nkeys;
	}
	aggwin_with_bounds(bounds, run, &receiver);
	pfree(columns);
	MemoryContextReset(window->scratch);
}
