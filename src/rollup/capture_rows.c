/*
 * capture_rows.c - from the rows of a statement to deltas
 *
 * Two paths lead there. Few rows go through expressions that are kept ready,
 * each row a delta of its own: starting the executor would cost more than the
 * work. Many rows are grouped by a kept plan first, and so are the rows of
 * rollups that store what only an aggregate can make of them.
 *
 * All that a rollup's query says about a row is evaluated here, and nothing is
 * written. Any of it may raise an error; then the caller forgets the deltas.
 */
#include "postgres.h"

#include "rollup/capture_rows.h"

#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "executor/executor.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/rel.h"

/* Up to so many rows a statement, the executor is not worth its start. */
#define ROW_PATH_LIMIT 32

/* A slot for rows of the source, and rows from their beginning on. */
static TupleTableSlot *
rewind_rows(TriggerData *trigger, Tuplestorestate *rows)
{
	tuplestore_select_read_pointer(rows, tuplestore_alloc_read_pointer(rows, EXEC_FLAG_REWIND));
	tuplestore_rescan(rows);
	return MakeSingleTupleTableSlot(RelationGetDescr(trigger->tg_relation),
									&TTSOpsMinimalTuple);
}

/* Where the time of a row stands among the columns: behind its keys and n. */
static int
latest_column(const RollupCapture *rollup)
{
	return list_length(rollup->spec->keys) + 1;
}

/* Subtraction ------------------------------------------------------------- */

/*
 * Turn the partials of rows into those of their removal. False if that cannot
 * be told: nothing can be taken away from a sum that is not a number.
 */
static bool
negate(RollupCapture *rollup, Datum *values, const bool *isnull)
{
	for (int i = list_length(rollup->spec->keys); i < rollup->columns; i++)
	{
		if (isnull[i] || i == latest_column(rollup))
			continue;
		if (rollup->types[i] == INT8OID)
			values[i] = Int64GetDatum(-DatumGetInt64(values[i]));
		else
		{
			Numeric		value = DatumGetNumeric(values[i]);

			Assert(rollup->types[i] == NUMERICOID);
			if (numeric_is_nan(value) || numeric_is_inf(value))
				return false;
			values[i] = DirectFunctionCall1(numeric_uminus, NumericGetDatum(value));
		}
	}
	return true;
}

/*
 * Sessions do not subtract. A delta without rows says that there has been a
 * change, and where: rows of its key in its range are to be counted anew.
 */
static void
forget_rows(RollupCapture *rollup, Datum *values, bool *isnull)
{
	int			rows = list_length(rollup->spec->keys);

	values[rows] = Int64GetDatum(0);
	for (int i = rows + 1; i < rollup->columns; i++)
		isnull[i] = true;
}

/* Use one row's or group's values. False if they cannot be subtracted. */
static bool
use_values(RollupCapture *rollup, RowsUse use, DeltaWriter *writer,
		   Datum *values, bool *isnull)
{
	if (use == ROWS_KEYS)
	{
		aggwin_delta_check_key(writer, values, isnull);
		return true;
	}
	/* A key that state never took is in no delta either. */
	if (use == ROWS_REMOVED && !aggwin_delta_key_fits(writer, values, isnull))
		return false;
	if (use != ROWS_ADDED && rollup->spec->gap != NULL)
		forget_rows(rollup, values, isnull);
	else if (use == ROWS_REMOVED)
	{
		if (!negate(rollup, values, isnull))
			return false;
		/* What goes is no event. */
		isnull[latest_column(rollup)] = true;
	}
	aggwin_delta_add(writer, values, isnull, rollup->columns);
	return true;
}

/* Row path ---------------------------------------------------------------- */

static bool
collect_each_row(RollupCapture *rollup, TriggerData *trigger, RowsUse use,
				 DeltaWriter *writer)
{
	Tuplestorestate *rows = use == ROWS_REMOVED ? trigger->tg_oldtable : trigger->tg_newtable;
	int			columns = use == ROWS_KEYS ? list_length(rollup->spec->keys) : rollup->columns;
	bool		sandboxed = !rollup->builtin_only || rollup->depends_on_settings;
	bool		exact = true;
	TupleTableSlot *slot;
	RowExpressions *expressions;
	ExprContext *econtext;
	Datum	   *values;
	bool	   *isnull;
	Sandbox		saved;

	if (sandboxed)
		aggwin_sandbox_enter(&saved, rollup->owner, true);
	expressions = aggwin_row_expressions(rollup);
	econtext = expressions->econtext;

	slot = rewind_rows(trigger, rows);
	econtext->ecxt_scantuple = slot;
	values = palloc(columns * sizeof(Datum));
	isnull = palloc(columns * sizeof(bool));

	while (exact && tuplestore_gettupleslot(rows, true, false, slot))
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
			exact = use_values(rollup, use, writer, values, isnull);
		}
		MemoryContextSwitchTo(old_context);
	}

	ExecDropSingleTupleTableSlot(slot);
	econtext->ecxt_scantuple = NULL;
	ResetExprContext(econtext);
	if (sandboxed)
		aggwin_sandbox_leave(&saved);
	return exact;
}

/* Batch path -------------------------------------------------------------- */

/*
 * Takes groups as the executor yields them. To SPI it is one of the receivers
 * that keep rows, so that it runs the query for them.
 */
typedef struct GroupReceiver
{
	DestReceiver pub;
	RollupCapture *rollup;
	RowsUse		use;
	DeltaWriter *writer;
	Datum	   *values;			/* copies, to be changed */
	bool	   *isnull;
	MemoryContext context;		/* reset for each group */
	bool		exact;
} GroupReceiver;

static bool
receive_group(TupleTableSlot *slot, DestReceiver *self)
{
	GroupReceiver *receiver = (GroupReceiver *) self;
	int			columns = receiver->rollup->columns;
	MemoryContext old_context;

	slot_getallattrs(slot);
	if (receiver->use == ROWS_ADDED)
	{
		aggwin_delta_add(receiver->writer, slot->tts_values, slot->tts_isnull, columns);
		return true;
	}
	memcpy(receiver->values, slot->tts_values, columns * sizeof(Datum));
	memcpy(receiver->isnull, slot->tts_isnull, columns * sizeof(bool));
	old_context = MemoryContextSwitchTo(receiver->context);
	receiver->exact = use_values(receiver->rollup, receiver->use, receiver->writer,
								 receiver->values, receiver->isnull);
	MemoryContextSwitchTo(old_context);
	MemoryContextReset(receiver->context);
	return receiver->exact;
}

static void
start_groups(DestReceiver *self, int operation, TupleDesc desc)
{
}

static void
end_groups(DestReceiver *self)
{
}

static bool
collect_groups(RollupCapture *rollup, TriggerData *trigger, RowsUse use,
			   DeltaWriter *writer)
{
	GroupReceiver receiver = {
		.pub = {receive_group, start_groups, end_groups, end_groups, DestTuplestore},
		.rollup = rollup,
		.use = use,
		.writer = writer,
		.exact = true,
	};
	SPIExecuteOptions options = {.read_only = true, .dest = &receiver.pub};
	Sandbox		saved;
	SPIPlanPtr *plan = use == ROWS_REMOVED ? &rollup->batch_of_old : &rollup->batch;
	int			rc;

	aggwin_sandbox_enter(&saved, rollup->owner, true);
	/* A plan first made for a small batch must do for a large one. */
	aggwin_pin("enable_sort", "off");
	aggwin_spi_connect_with(trigger);
	receiver.values = palloc(rollup->columns * sizeof(Datum));
	receiver.isnull = palloc(rollup->columns * sizeof(bool));
	receiver.context = AllocSetContextCreate(CurrentMemoryContext, "aggwin group",
											 ALLOCSET_DEFAULT_SIZES);
	if (*plan == NULL)
		*plan = aggwin_spi_prepare_kept(aggwin_sql_batch(rollup->spec, use == ROWS_REMOVED), 0, NULL);
	rc = SPI_execute_plan_extended(*plan, &options);
	if (rc != SPI_OK_SELECT)
		elog(ERROR, "unexpected SPI result %s", SPI_result_code_string(rc));
	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);
	return receiver.exact;
}

/* Public ------------------------------------------------------------------ */

DeltaWriter *
aggwin_begin_deltas(RollupCapture *rollup)
{
	return aggwin_delta_begin(rollup->row.delta, rollup->types,
							  rollup->columns,
							  list_length(rollup->spec->keys));
}

/* Are these few rows, for none of which an expression can fail? */
bool
aggwin_rows_cannot_fail(RollupCapture *rollup, TriggerData *trigger,
						Tuplestorestate *rows)
{
	TupleTableSlot *slot;
	bool		result = true;

	if (rollup->infallible.column == 0 || rollup->spec->batch_only ||
		tuplestore_tuple_count(rows) > ROW_PATH_LIMIT)
		return false;
	slot = rewind_rows(trigger, rows);
	while (result && tuplestore_gettupleslot(rows, true, false, slot))
		result = aggwin_cannot_fail(&rollup->infallible, slot);
	ExecDropSingleTupleTableSlot(slot);
	return result;
}

/*
 * Add the deltas of the statement's rows to writer. False if there are rows to
 * be removed that cannot be subtracted exactly; what has been added until then
 * is not to be written.
 */
bool
aggwin_collect_deltas(RollupCapture *rollup, TriggerData *trigger, RowsUse use,
					  DeltaWriter *writer)
{
	Tuplestorestate *rows = use == ROWS_REMOVED ? trigger->tg_oldtable : trigger->tg_newtable;

	/* Keys are few expressions, which a plan would not evaluate any faster. */
	if (use == ROWS_KEYS ||
		(tuplestore_tuple_count(rows) <= ROW_PATH_LIMIT && !rollup->spec->batch_only))
		return collect_each_row(rollup, trigger, use, writer);
	return collect_groups(rollup, trigger, use, writer);
}

/*
 * The buckets of all rows of the statement, old and new; filtered: of those
 * that fulfil WHERE. Spans are allocated in the caller's memory context.
 */
void
aggwin_find_touched(RollupCapture *rollup, TriggerData *trigger, bool filtered,
					TouchedSpans *touched)
{
	bool		old_rows = trigger->tg_oldtable != NULL;
	bool		new_rows = trigger->tg_newtable != NULL;
	MemoryContext context = CurrentMemoryContext;
	MemoryContext spi_context;
	SPIPlanPtr	rare = NULL;
	SPIPlanPtr *plan = &rare;
	Sandbox		saved;
	bool		isnull;
	int			rc;

	if (filtered)
		plan = new_rows ? &rollup->touched_by_update : &rollup->touched_by_delete;
	aggwin_sandbox_enter(&saved, rollup->owner, true);
	aggwin_spi_connect_with(trigger);
	if (*plan == NULL)
	{
		char	   *sql = aggwin_sql_touched(rollup->spec, old_rows, new_rows, filtered);

		*plan = filtered ? aggwin_spi_prepare_kept(sql, 0, NULL) : aggwin_spi_prepare(sql, 0, NULL);
	}
	rc = SPI_execute_plan(*plan, NULL, NULL, true, 0);
	if (rc != SPI_OK_SELECT)
		elog(ERROR, "unexpected SPI result %s", SPI_result_code_string(rc));

	spi_context = MemoryContextSwitchTo(context);
	touched->type = SPI_gettypeid(SPI_tuptable->tupdesc, 1);
	touched->spans = PointerGetDatum(PG_DETOAST_DATUM_COPY(aggwin_spi_value(1, &isnull)));
	touched->nulls = DatumGetBool(aggwin_spi_value(2, &isnull));
	touched->buckets = DatumGetInt64(aggwin_spi_value(3, &isnull));
	touched->keys = aggwin_spi_value(4, &isnull);
	touched->keys = isnull ? 0 : PointerGetDatum(PG_DETOAST_DATUM_COPY(touched->keys));
	MemoryContextSwitchTo(spi_context);
	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);
}
