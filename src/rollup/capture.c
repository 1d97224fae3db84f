/*
 * capture.c - the triggers on a source and its partitions
 *
 * One AFTER STATEMENT trigger for each event, however many rollups the source
 * has. An INSERT appends deltas: partials of the rows that it added. UPDATE
 * and DELETE append deltas that take the old rows away, where all partials of
 * the rollup can be subtracted (subtract.c). Otherwise they append the spans of
 * event time that they touched, which the rollup's view answers from the source
 * until they are repaired. TRUNCATE always does.
 *
 * A statement fires the triggers of the one table that it names, be that the
 * source or a partition on whatever level, so no row is captured twice. Only
 * TRUNCATE fires those of all partitions below, too.
 *
 * A statement succeeds even if an expression of a rollup fails for its rows.
 * Everything is evaluated before anything is written, as an attempt. If it
 * fails, the spans of all the statement's rows become invalid, with the error;
 * if even their buckets cannot be told, all event time does. The view then
 * gives what the plain query gives: an error, as long as the row is there.
 *
 *      evaluate ──ok──▶ write deltas
 *         │ error
 *         ▼
 *      buckets ──ok──▶ write their spans
 *         │ error
 *         ▼
 *      write the span of everything
 *
 * Locking: the inserting statement holds ROW EXCLUSIVE on the source; capture
 * takes ROW EXCLUSIVE on delta or invalid, both till the end of transaction.
 */
#include "postgres.h"

#include "rollup/capture.h"

#include "access/sysattr.h"
#include "commands/trigger.h"
#include "core/catch.h"
#include "core/guc.h"
#include "executor/executor.h"
#include "rollup/capture_rows.h"
#include "rollup/partitions.h"
#include "utils/acl.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(aggwin_capture);

/* What an UPDATE has changed --------------------------------------------- */

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
						  rollup->read))
			return false;
	}
	return !any_row_differs(trigger, rollup->read);
}

/* Evaluation as an attempt ------------------------------------------------ */

/* One evaluation, as a step to be attempted. */
typedef struct Evaluation
{
	RollupCapture *rollup;
	TriggerData *trigger;
	RowsUse		use;
	DeltaWriter *writer;		/* of deltas */
	bool		exact;			/* are the deltas those of the change? */
	bool		filtered;		/* spans of rows that fulfil WHERE only */
	TouchedSpans touched;
} Evaluation;

static void
collect_step(void *arg)
{
	Evaluation *evaluation = arg;

	(void) aggwin_collect_deltas(evaluation->rollup, evaluation->trigger,
								 evaluation->use, evaluation->writer);
}

static void
touched_step(void *arg)
{
	Evaluation *evaluation = arg;

	aggwin_find_touched(evaluation->rollup, evaluation->trigger,
						evaluation->filtered, &evaluation->touched);
}

static bool
find_touched(Evaluation *evaluation, bool filtered)
{
	evaluation->filtered = filtered;
	return aggwin_catch(touched_step, evaluation) == NULL;
}

/*
 * Something failed for the rows of a change. Is it for new ones? Then what the
 * error says, otherwise NULL: old rows that fail are about to go.
 */
static char *
error_of_new_rows(RollupCapture *rollup, TriggerData *trigger)
{
	Evaluation	evaluation = {.rollup = rollup, .trigger = trigger, .use = ROWS_ADDED};
	ErrorData  *error;

	if (trigger->tg_newtable == NULL)
		return NULL;
	evaluation.writer = aggwin_begin_deltas(rollup);
	error = aggwin_catch(collect_step, &evaluation);
	aggwin_delta_end(evaluation.writer, false);
	if (error != NULL && aggwin_strict_capture)
		ReThrowError(error);
	return error ? error->message : NULL;
}

/*
 * Make the buckets of the statement's rows invalid, of old and new ones.
 * failed: an expression has already failed for one of them.
 */
static void
invalidate(RollupCapture *rollup, TriggerData *trigger, bool failed,
		   const char *error)
{
	Evaluation	evaluation = {.rollup = rollup, .trigger = trigger};
	TouchedSpans *touched = &evaluation.touched;

	if (!failed && !find_touched(&evaluation, true))
	{
		failed = true;
		error = error_of_new_rows(rollup, trigger);
	}
	/* Neither WHERE nor anything else but the bucket. */
	if (failed && !find_touched(&evaluation, false))
		aggwin_invalid_write_all_for(rollup->row.invalid, error);
	else if (touched->buckets > 0)
		aggwin_invalid_write(rollup->row.invalid, touched->type, touched->spans,
							 touched->nulls, &touched->buckets, touched->keys, error);
}

/* Events ------------------------------------------------------------------ */

static void
capture_insert(RollupCapture *rollup, TriggerData *trigger)
{
	Evaluation	evaluation = {.rollup = rollup, .trigger = trigger, .use = ROWS_ADDED};
	ErrorData  *error = NULL;

	if (tuplestore_tuple_count(trigger->tg_newtable) == 0)
		return;
	evaluation.writer = aggwin_begin_deltas(rollup);
	if (aggwin_strict_capture ||
		aggwin_rows_cannot_fail(rollup, trigger, trigger->tg_newtable))
		collect_step(&evaluation);
	else
		error = aggwin_catch(collect_step, &evaluation);
	aggwin_delta_end(evaluation.writer, error == NULL);
	if (error != NULL)
		invalidate(rollup, trigger, true, error->message);
}

/*
 * Take the old rows away and add the new ones. Of sessions, say where both are: a
 * new one must not count where the old one cannot be taken away.
 */
static void
difference_step(void *arg)
{
	Evaluation *evaluation = arg;
	bool		update = evaluation->trigger->tg_newtable != NULL;

	evaluation->exact =
		aggwin_collect_deltas(evaluation->rollup, evaluation->trigger,
							  ROWS_REMOVED, evaluation->writer) &&
		(!update || aggwin_collect_deltas(evaluation->rollup, evaluation->trigger,
										  evaluation->rollup->spec->gap ? ROWS_CHANGED : ROWS_ADDED,
										  evaluation->writer));
}

/* Append the deltas of a change. False if that is not possible, or fails. */
static bool
capture_difference(RollupCapture *rollup, TriggerData *trigger, bool *failed)
{
	Evaluation	evaluation = {.rollup = rollup, .trigger = trigger};

	evaluation.writer = aggwin_begin_deltas(rollup);
	if (aggwin_rows_cannot_fail(rollup, trigger, trigger->tg_oldtable) &&
		(trigger->tg_newtable == NULL ||
		 aggwin_rows_cannot_fail(rollup, trigger, trigger->tg_newtable)))
		difference_step(&evaluation);
	else
		*failed = aggwin_catch(difference_step, &evaluation) != NULL;
	evaluation.exact = evaluation.exact && !*failed;
	aggwin_delta_end(evaluation.writer, evaluation.exact);
	return evaluation.exact;
}

/* Would state take the keys of the new rows? False if they cannot be told. */
static bool
check_keys(RollupCapture *rollup, TriggerData *trigger)
{
	Evaluation	evaluation = {
		.rollup = rollup,
		.trigger = trigger,
		.use = ROWS_KEYS,
		.writer = aggwin_begin_deltas(rollup),
	};
	ErrorData  *error = aggwin_catch(collect_step, &evaluation);

	aggwin_delta_end(evaluation.writer, false);
	return error == NULL;
}

static void
capture_change(RollupCapture *rollup, TriggerData *trigger)
{
	bool		update = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
	bool		failed = false;

	if (tuplestore_tuple_count(trigger->tg_oldtable) == 0 ||
		(update && update_is_unrelated(rollup, trigger)))
		return;
	if ((rollup->subtracts || rollup->spec->gap != NULL) &&
		capture_difference(rollup, trigger, &failed))
		return;
	if (update && rollup->varlena_keys && !failed)
		failed = !check_keys(rollup, trigger);
	invalidate(rollup, trigger, failed,
			   failed ? error_of_new_rows(rollup, trigger) : NULL);
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
		aggwin_capture_truncate(&rollup->row, rollup->spec,
								RelationGetRelid(trigger->tg_relation));
	else
		capture_change(rollup, trigger);
	error_context_stack = callback.previous;

	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(context);
}

/*
 * The rollup's tables are its owner's, so they must not have what the owner may
 * not read any more. All is invalid then, until somebody grants it again.
 */
static bool
owner_may_read(const RollupCapture *rollup)
{
	Oid			source = rollup->row.source;

	return pg_class_aclcheck(source, rollup->owner, ACL_SELECT) == ACLCHECK_OK ||
		pg_attribute_aclcheck_all(source, rollup->owner, ACL_SELECT, ACLMASK_ALL) == ACLCHECK_OK;
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
 * Record what a statement did for each rollup of the table. An error in a
 * rollup's expressions makes event time invalid for that rollup only, and is the
 * statement's error under aggwin.strict_capture.
 */
void
aggwin_capture_changes(TriggerData *trigger)
{
	SourceCapture *source = aggwin_source_capture(RelationGetRelid(trigger->tg_relation));
	ListCell   *lc;

	source->in_use++;
	PG_TRY();
	{
		foreach(lc, source->rollups)
		{
			RollupCapture *rollup = lfirst(lc);

			if (owner_may_read(rollup))
				capture_for(rollup, trigger);
			else
				aggwin_invalid_write_all(rollup->row.invalid);
		}
	}
	PG_FINALLY();
	{
		source->in_use--;
	}
	PG_END_TRY();
}

/* aggwin.capture(): the trigger. */
Datum
aggwin_capture(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !is_own_trigger(trigger))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("aggwin.capture() can only be the trigger that aggwin.create_rollup() makes")));
	aggwin_capture_changes(trigger);
	return PointerGetDatum(NULL);
}
