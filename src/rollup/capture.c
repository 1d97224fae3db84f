/*
 * capture.c - the triggers on a source
 *
 * One AFTER STATEMENT trigger for each event, however many rollups the source
 * has. An INSERT appends deltas: partials of the rows that it added. UPDATE,
 * DELETE and TRUNCATE append the spans of event time that they touched, which
 * the rollup's view answers from the source until they are repaired.
 *
 * Two paths lead from rows to deltas. Few rows go through expressions that are
 * kept ready, each row a delta of its own: starting the executor would cost
 * more than the work. Many rows are grouped by a kept plan first, and so are
 * the rows of rollups that store what only an aggregate can make of them.
 *
 * Locking: the inserting statement holds ROW EXCLUSIVE on the source; capture
 * takes ROW EXCLUSIVE on delta or invalid, both till the end of transaction.
 */
#include "postgres.h"

#include "rollup/capture_cache.h"

#include "access/genam.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "commands/trigger.h"
#include "core/spi_util.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "rollup/capture_write.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(aggwin_capture);

/* Up to so many rows a statement, the executor is not worth its start. */
#define ROW_PATH_LIMIT 32

/* Row path ---------------------------------------------------------------- */

/*
 * Turn each new row into a delta. keys_only: only see whether state could take
 * the row's key.
 */
static void
capture_each_row(RollupCapture *rollup, TriggerData *trigger,
				 DeltaWriter *writer, bool keys_only)
{
	Tuplestorestate *rows = trigger->tg_newtable;
	TupleTableSlot *slot;
	RowExpressions *expressions;
	ExprContext *econtext;
	Datum	   *values;
	bool	   *isnull;
	int			columns = keys_only ? list_length(rollup->spec->keys) : rollup->columns;
	int			pointer;
	bool		sandboxed = !rollup->builtin_only || rollup->depends_on_settings;
	Sandbox		saved;

	if (sandboxed)
		aggwin_sandbox_enter(&saved, rollup->owner, true);
	expressions = aggwin_row_expressions(rollup);
	econtext = expressions->econtext;

	slot = MakeSingleTupleTableSlot(RelationGetDescr(trigger->tg_relation),
									&TTSOpsMinimalTuple);
	econtext->ecxt_scantuple = slot;
	pointer = tuplestore_alloc_read_pointer(rows, EXEC_FLAG_REWIND);
	tuplestore_select_read_pointer(rows, pointer);
	tuplestore_rescan(rows);

	values = palloc(columns * sizeof(Datum));
	isnull = palloc(columns * sizeof(bool));

	while (tuplestore_gettupleslot(rows, true, false, slot))
	{
		MemoryContext old_context;
		bool		unknown;
		Datum		counts;

		ResetExprContext(econtext);
		old_context = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
		counts = ExecEvalExpr(expressions->states[rollup->columns], econtext,
							  &unknown);
		if (!unknown && DatumGetBool(counts))
		{
			for (int i = 0; i < columns; i++)
				values[i] = ExecEvalExpr(expressions->states[i], econtext,
										 &isnull[i]);
			if (keys_only)
				aggwin_delta_check_key(writer, values, isnull);
			else
				aggwin_delta_add(writer, values, isnull, columns);
		}
		MemoryContextSwitchTo(old_context);
	}

	ExecDropSingleTupleTableSlot(slot);
	econtext->ecxt_scantuple = NULL;
	ResetExprContext(econtext);
	if (sandboxed)
		aggwin_sandbox_leave(&saved);
}

/* Batch path -------------------------------------------------------------- */

static SPIPlanPtr
prepare(const char *sql)
{
	SPIPlanPtr	plan = SPI_prepare(sql, 0, NULL);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	return plan;
}

static void
connect_with(TriggerData *trigger)
{
	int			rc;

	aggwin_spi_connect();
	rc = SPI_register_trigger_data(trigger);
	if (rc != SPI_OK_TD_REGISTER)
		elog(ERROR, "SPI_register_trigger_data failed: %s",
			 SPI_result_code_string(rc));
}

/*
 * Takes groups as the executor yields them. To SPI it is one of the receivers
 * that keep rows, so that it runs the query for them.
 */
typedef struct GroupReceiver
{
	DestReceiver pub;
	DeltaWriter *writer;
	int			columns;
} GroupReceiver;

static bool
receive_group(TupleTableSlot *slot, DestReceiver *self)
{
	GroupReceiver *receiver = (GroupReceiver *) self;

	slot_getallattrs(slot);
	aggwin_delta_add(receiver->writer, slot->tts_values, slot->tts_isnull,
					 receiver->columns);
	return true;
}

static void
start_groups(DestReceiver *self, int operation, TupleDesc desc)
{
}

static void
end_groups(DestReceiver *self)
{
}

static void
capture_grouped(RollupCapture *rollup, TriggerData *trigger,
				DeltaWriter *writer)
{
	GroupReceiver receiver = {
		.pub = {receive_group, start_groups, end_groups, end_groups, DestTuplestore},
		.writer = writer,
		.columns = rollup->columns,
	};
	SPIExecuteOptions options = {.read_only = true, .dest = &receiver.pub};
	Sandbox		saved;
	int			rc;

	aggwin_sandbox_enter(&saved, rollup->owner, true);
	/* A plan first made for a small batch must do for a large one. */
	aggwin_pin("enable_sort", "off");
	connect_with(trigger);
	if (rollup->batch == NULL)
		rollup->batch = prepare(rollup->batch_sql);
	rc = SPI_execute_plan_extended(rollup->batch, &options);
	if (rc != SPI_OK_SELECT)
		elog(ERROR, "unexpected SPI result %s", SPI_result_code_string(rc));
	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);
}

static DeltaWriter *
begin(RollupCapture *rollup)
{
	return aggwin_delta_begin(rollup->row.delta, rollup->types,
							  rollup->columns + 2,
							  list_length(rollup->spec->keys));
}

static void
capture_insert(RollupCapture *rollup, TriggerData *trigger)
{
	int64		rows = tuplestore_tuple_count(trigger->tg_newtable);
	DeltaWriter *writer;

	if (rows == 0)
		return;
	writer = begin(rollup);
	if (rows <= ROW_PATH_LIMIT && !rollup->spec->batch_only)
		capture_each_row(rollup, trigger, writer, false);
	else
		capture_grouped(rollup, trigger, writer);
	aggwin_delta_end(writer);
}

/* Invalid ranges ---------------------------------------------------------- */

/* Is a column's value the same in both rows, byte for byte? */
static bool
same_value(TupleTableSlot *before, TupleTableSlot *after, AttrNumber attno)
{
	Form_pg_attribute att = TupleDescAttr(before->tts_tupleDescriptor, attno - 1);
	bool		null_before;
	bool		null_after;
	Datum		value_before = slot_getattr(before, attno, &null_before);
	Datum		value_after = slot_getattr(after, attno, &null_after);

	if (null_before || null_after)
		return null_before && null_after;
	return datumIsEqual(value_before, value_after, att->attbyval, att->attlen);
}

/* Is there a row that differs in one of these columns from what it was? */
static bool
any_row_differs(TriggerData *trigger, const Bitmapset *columns)
{
	Tuplestorestate *stores[] = {trigger->tg_oldtable, trigger->tg_newtable};
	TupleTableSlot *slots[2];
	int			pointers[2];
	bool		differs = false;

	for (int i = 0; i < 2; i++)
	{
		slots[i] = MakeSingleTupleTableSlot(RelationGetDescr(trigger->tg_relation),
											&TTSOpsMinimalTuple);
		pointers[i] = tuplestore_alloc_read_pointer(stores[i], EXEC_FLAG_REWIND);
		tuplestore_select_read_pointer(stores[i], pointers[i]);
		tuplestore_rescan(stores[i]);
	}

	/* The server stores a row's old and new version together. */
	while (!differs && tuplestore_gettupleslot(stores[0], true, false, slots[0]))
	{
		int			column = -1;

		if (!tuplestore_gettupleslot(stores[1], true, false, slots[1]))
			differs = true;
		while (!differs && (column = bms_next_member(columns, column)) >= 0)
			differs = !same_value(slots[0], slots[1], column);
	}

	for (int i = 0; i < 2; i++)
		ExecDropSingleTupleTableSlot(slots[i]);
	return differs;
}

/*
 * Does an UPDATE leave alone all that the rollup reads? Only the rows can tell
 * that it does: BEFORE triggers change columns that the statement does not
 * name, and where several UPDATEs of a table come together (WITH, foreign keys)
 * the trigger fires once, for the rows of all, with the columns of the last.
 */
static bool
update_is_unrelated(RollupCapture *rollup, TriggerData *trigger)
{
	int			x = -1;

	while ((x = bms_next_member(trigger->tg_updatedcols, x)) >= 0)
	{
		if (bms_is_member(x + FirstLowInvalidHeapAttributeNumber,
						  rollup->spec->columns))
			return false;
	}
	return !any_row_differs(trigger, rollup->spec->columns);
}

static void
capture_change(RollupCapture *rollup, TriggerData *trigger)
{
	bool		update = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
	SPIPlanPtr *plan = update ? &rollup->touched_by_update
		: &rollup->touched_by_delete;
	MemoryContext context = CurrentMemoryContext;
	MemoryContext spi_context;
	Sandbox		saved;
	bool		isnull;
	Oid			spans_type;
	Datum		spans;
	bool		nulls;
	int64		buckets;
	int			rc;

	if (tuplestore_tuple_count(trigger->tg_oldtable) == 0 ||
		(update && update_is_unrelated(rollup, trigger)))
		return;

	if (update && rollup->varlena_keys)
	{
		DeltaWriter *writer = begin(rollup);

		capture_each_row(rollup, trigger, writer, true);
		aggwin_delta_end(writer);
	}

	aggwin_sandbox_enter(&saved, rollup->owner, true);
	connect_with(trigger);
	if (*plan == NULL)
		*plan = prepare(aggwin_sql_touched(rollup->spec, true, update));
	rc = SPI_execute_plan(*plan, NULL, NULL, true, 0);
	if (rc != SPI_OK_SELECT)
		elog(ERROR, "unexpected SPI result %s", SPI_result_code_string(rc));
	spi_context = MemoryContextSwitchTo(context);
	spans_type = SPI_gettypeid(SPI_tuptable->tupdesc, 1);
	spans = PointerGetDatum(PG_DETOAST_DATUM_COPY(aggwin_spi_value(1, &isnull)));
	nulls = DatumGetBool(aggwin_spi_value(2, &isnull));
	buckets = DatumGetInt64(aggwin_spi_value(3, &isnull));
	MemoryContextSwitchTo(spi_context);
	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);

	if (buckets > 0)
		aggwin_invalid_write(rollup->row.invalid, spans_type, spans, nulls, &buckets);
}

/* The trigger ------------------------------------------------------------- */

static void
capture_error_callback(void *arg)
{
	RollupCapture *rollup = arg;

	errcontext("capture of changes for rollup %s", rollup->name);
}

static void
capture_for(RollupCapture *rollup, TriggerData *trigger)
{
	ErrorContextCallback callback = {
		.previous = error_context_stack,
		.callback = capture_error_callback,
		.arg = rollup,
	};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "aggwin capture",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old_context = MemoryContextSwitchTo(context);

	error_context_stack = &callback;
	if (TRIGGER_FIRED_BY_INSERT(trigger->tg_event))
		capture_insert(rollup, trigger);
	else if (TRIGGER_FIRED_BY_TRUNCATE(trigger->tg_event))
		aggwin_invalid_write_all(rollup->row.invalid);
	else
		capture_change(rollup, trigger);
	error_context_stack = callback.previous;

	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(context);
}

/* Has the trigger the shape that create_rollup() gives it? */
static bool
is_own_trigger(TriggerData *trigger)
{
	TriggerEvent event = trigger->tg_event;
	bool		needs_new = TRIGGER_FIRED_BY_INSERT(event) || TRIGGER_FIRED_BY_UPDATE(event);
	bool		needs_old = TRIGGER_FIRED_BY_DELETE(event) || TRIGGER_FIRED_BY_UPDATE(event);

	return TRIGGER_FIRED_AFTER(event) && TRIGGER_FIRED_FOR_STATEMENT(event) &&
		trigger->tg_trigger->tgqual == NULL &&
		(!needs_new || (trigger->tg_newtable != NULL &&
						strcmp(trigger->tg_trigger->tgnewtable, AGGWIN_NEW_ROWS) == 0)) &&
		(!needs_old || (trigger->tg_oldtable != NULL &&
						strcmp(trigger->tg_trigger->tgoldtable, AGGWIN_OLD_ROWS) == 0));
}

/*
 * aggwin.capture(): records what the statement did for each rollup of the
 * table. An error in a rollup's expressions is the statement's error, as it
 * would be that of the plain query.
 */
Datum
aggwin_capture(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	SourceCapture *source;
	ListCell   *lc;

	if (!CALLED_AS_TRIGGER(fcinfo) || !is_own_trigger(trigger))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("aggwin.capture() can only be the trigger that aggwin.create_rollup() makes")));

	source = aggwin_source_capture(RelationGetRelid(trigger->tg_relation));
	source->in_use++;
	PG_TRY();
	{
		foreach(lc, source->rollups)
			capture_for(lfirst(lc), trigger);
	}
	PG_FINALLY();
	{
		source->in_use--;
	}
	PG_END_TRY();

	return PointerGetDatum(NULL);
}
