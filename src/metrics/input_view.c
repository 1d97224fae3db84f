/*
 * input_view.c - INSERT and COPY into the view aggwin.sample_input
 *
 * Three triggers: BEFORE STATEMENT begins a batch, INSTEAD OF INSERT puts each
 * row into it, AFTER STATEMENT ends it. A statement may run others in its middle,
 * in functions, so batches make up a stack:
 *
 *		INSERT INTO aggwin.sample_input SELECT … f(x) …
 *		│ begin
 *		│ row
 *		│ f(): INSERT INTO aggwin.sample_input …
 *		│      │ begin
 *		│      │ row
 *		│      │ end
 *		│ row
 *		│ end
 *
 * A statement that fails ends with its (sub)transaction, which takes its batch, and
 * those on top of it, from the stack. Several INSERTs of one statement (in WITH)
 * share their statement triggers, so also their batch.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "metrics/input.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(aggwin_input_begin);
PG_FUNCTION_INFO_V1(aggwin_input_row);
PG_FUNCTION_INFO_V1(aggwin_input_end);

/* The columns of aggwin.sample_input. */
enum
{
	INPUT_METRIC = 1,
	INPUT_LABELS,
	INPUT_TS,
	INPUT_VALUE,
	INPUT_COLUMNS = INPUT_VALUE
};

/* A statement that is under way. */
typedef struct InputStatement
{
	struct InputStatement *outer;
	MemoryContext context;
	int			nest_level;		/* of the transaction */
	Oid			view;
	JsonInput	input;
} InputStatement;

static InputStatement *statements = NULL;

static void
on_transaction(XactEvent event, void *arg)
{
	/* What they are made of goes with the transaction's memory. */
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
		statements = NULL;
}

static void
leave_statement(void)
{
	InputStatement *statement = statements;

	statements = statement->outer;
	MemoryContextDelete(statement->context);
}

static void
on_subtransaction(SubXactEvent event, SubTransactionId id, SubTransactionId parent, void *arg)
{
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (statements != NULL && statements->nest_level >= GetCurrentTransactionNestLevel())
		leave_statement();
}

static TriggerData *
check_call(FunctionCallInfo fcinfo, const char *function, int32 when, bool for_row)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
		(trigger->tg_event & TRIGGER_EVENT_TIMINGMASK) != when ||
		(TRIGGER_FIRED_FOR_ROW(trigger->tg_event) != 0) != for_row)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("aggwin.%s() can only be the trigger that aggwin makes", function)));
	return trigger;
}

/* The statement that a trigger was fired by. */
static InputStatement *
statement_of(TriggerData *trigger)
{
	if (statements == NULL || statements->view != RelationGetRelid(trigger->tg_relation))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("relation \"%s\" lacks a trigger that begins to ingest",
						RelationGetRelationName(trigger->tg_relation))));
	return statements;
}

/* The view must be the one that is meant: what is read here are places of columns. */
static void
check_view(TriggerData *trigger)
{
	static const Oid types[] = {TEXTOID, JSONBOID, TIMESTAMPTZOID, FLOAT8OID};
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	bool		fits = desc->natts == INPUT_COLUMNS;

	for (int i = 0; fits && i < INPUT_COLUMNS; i++)
		fits = TupleDescAttr(desc, i)->atttypid == types[i];
	if (!fits)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("view \"%s\" has not the columns that aggwin gave it",
						RelationGetRelationName(trigger->tg_relation))));
}

/* aggwin.input_begin(): trigger before a statement. */
Datum
aggwin_input_begin(PG_FUNCTION_ARGS)
{
	static bool registered = false;
	TriggerData *trigger = check_call(fcinfo, "input_begin", TRIGGER_EVENT_BEFORE, false);
	MemoryContext context;
	InputStatement *statement;

	if (!registered)
	{
		RegisterXactCallback(on_transaction, NULL);
		RegisterSubXactCallback(on_subtransaction, NULL);
		registered = true;
	}
	check_view(trigger);
	context = AllocSetContextCreate(TopTransactionContext, "aggwin input", ALLOCSET_DEFAULT_SIZES);
	statement = MemoryContextAllocZero(context, sizeof(InputStatement));
	statement->context = context;
	statement->nest_level = GetCurrentTransactionNestLevel();
	statement->view = RelationGetRelid(trigger->tg_relation);
	aggwin_json_input_begin(&statement->input, context);
	statement->outer = statements;
	statements = statement;
	return PointerGetDatum(NULL);
}

static Datum
column(TupleTableSlot *slot, AttrNumber attno, const char *name)
{
	bool		isnull;
	Datum		value = slot_getattr(slot, attno, &isnull);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s of a sample must not be NULL", name)));
	return value;
}

/* aggwin.input_row(): trigger instead of the insertion of a row. */
Datum
aggwin_input_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = check_call(fcinfo, "input_row", TRIGGER_EVENT_INSTEAD, true);
	InputStatement *statement = statement_of(trigger);
	TupleTableSlot *slot = trigger->tg_trigslot;
	bool		no_metric;
	bool		no_labels;
	Datum		metric = slot_getattr(slot, INPUT_METRIC, &no_metric);
	Datum		labels = slot_getattr(slot, INPUT_LABELS, &no_labels);

	aggwin_json_input_add(&statement->input,
						  no_metric ? NULL : DatumGetTextPP(metric),
						  no_labels ? NULL : DatumGetJsonbP(labels),
						  DatumGetTimestampTz(column(slot, INPUT_TS, "ts")),
						  DatumGetFloat8(column(slot, INPUT_VALUE, "value")));
	return PointerGetDatum(trigger->tg_trigtuple);
}

/* aggwin.input_end(): trigger after a statement. */
Datum
aggwin_input_end(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = check_call(fcinfo, "input_end", TRIGGER_EVENT_AFTER, false);

	(void) aggwin_ingest_end(statement_of(trigger)->input.batch);
	leave_statement();
	return PointerGetDatum(NULL);
}
