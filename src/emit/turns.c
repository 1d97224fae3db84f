/*
 * turns.c - the outputs of a step, one after another or side by side
 */
#include "postgres.h"

#include "emit/step.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "core/catch.h"
#include "core/guc.h"
#include "core/spi_util.h"
#include "emit/options.h"
#include "emit/plans.h"
#include "executor/spi.h"
#include "rollup/catalog.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/* The least pause after a failure, in microseconds */
#define MIN_BACKOFF USECS_PER_SEC

/* After this long, a transaction of a worker gives no output another turn. */
#define TURNS_TIME USECS_PER_SEC

/* One output of a step */
typedef struct OutputCall
{
	Step	   *step;
	int32		window_id;
	Oid			only_for;		/* a role, or InvalidOid */
	bool		had_turn;
	bool		again;			/* it is to have another turn */
	TimestampTz next;			/* the end of the window that is to be closed then; or DT_NOEND */
} OutputCall;

/* One output -----------------------------------------------------------------*/

/* Should an output be left alone for now, since it failed a while ago? */
static bool
is_backing_off(const Step *step, int32 window_id)
{
	Oid			types[] = {INT4OID, INT8OID, INT8OID};
	Datum		values[] = {Int32GetDatum(window_id), Int64GetDatum(MIN_BACKOFF),
	Int64GetDatum(aggwin_max_backoff * USECS_PER_SEC)};

	aggwin_emit_run(step->snapshot, "SELECT FROM aggwin.window AS w WHERE w.window_id = $1"
					" AND clock_timestamp() < w.last_error_at + '1 microsecond'::interval"
					" * least($3, greatest($2, extract(epoch FROM w.last_error_at - w.failing_since) * 1000000))",
					SPI_OK_SELECT, lengthof(types), types, values, NULL);
	return SPI_processed > 0;
}

static void
record_failure(Snapshot snapshot, int32 window_id, const char *message)
{
	Oid			types[] = {INT4OID, TEXTOID};
	Datum		values[] = {Int32GetDatum(window_id), CStringGetTextDatum(message)};

	aggwin_emit_run(snapshot, "WITH failed AS (UPDATE aggwin.window AS w SET failures = w.failures + 1,"
					" last_error_at = clock_timestamp(), failing_since = coalesce(w.failing_since, clock_timestamp())"
					" WHERE w.window_id = $1 RETURNING w.window_id)"
					" INSERT INTO aggwin.window_failure (window_id, error) SELECT f.window_id, $2 FROM failed AS f"
					" ON CONFLICT (window_id) DO UPDATE SET error = excluded.error",
					SPI_OK_INSERT, lengthof(types), types, values, NULL);
}

/* As SQL would write it, also where the window's row cannot be read as a whole. */
static char *
name_of_output(const Step *step, int32 window_id)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(window_id)};

	aggwin_emit_run(step->snapshot, "SELECT w.output::text FROM aggwin.window AS w WHERE w.window_id = $1",
					SPI_OK_SELECT, 1, types, values, NULL);
	return SPI_processed > 0 ? SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1)
		: psprintf("%d", window_id);
}

/*
 * Publish what is due of one output, if it is there and may be. Those that take turns get a
 * window each.
 */
static void
close_output(void *arg)
{
	OutputCall *call = arg;
	Step	   *step = call->step;
	WindowRow  *window;

	/* There may be very many windows: what one takes of memory is freed. */
	aggwin_spi_connect();
	window = aggwin_find_window(call->window_id);
	if (window != NULL && !window->paused &&
		(!OidIsValid(call->only_for) || has_privs_of_role(call->only_for, window->owner)))
	{
		step->max_now = window->takes_turns ? 1 : step->max_windows;
		aggwin_follow_owner(window);
		aggwin_close_window(step, window);
		call->again = window->takes_turns && step->more;
		call->next = step->closes_more ? window->closed_to + window->period : DT_NOEND;
	}
	aggwin_spi_finish();
}

/* The same for a worker, whom the error of one must not keep from the others. */
static void
try_output(OutputCall *call)
{
	Step	   *step = call->step;
	Step		before = *step;
	ErrorData  *error;

	if (is_backing_off(step, call->window_id))
		return;
	error = aggwin_catch_all(close_output, call);
	if (error == NULL)
		return;
	*step = before;
	ereport(WARNING,
			(errcode(error->sqlerrcode),
			 errmsg("could not publish windows of %s: %s", name_of_output(step, call->window_id),
					error->message)));
	record_failure(step->snapshot, call->window_id, error->message);
	step->wrote = true;
}

/*
 * Of a step that failed as a whole: all outputs over the rollup say so. In a
 * transaction of its own, connected to SPI.
 */
void
aggwin_windows_failed(int32 rollup_id, const char *message)
{
	Sandbox		saved;
	ListCell   *lc;

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, true);
	foreach(lc, aggwin_windows_of(rollup_id))
		record_failure(GetActiveSnapshot(), lfirst_oid(lc), message);
	aggwin_sandbox_leave(&saved);
}

/* All -----------------------------------------------------------------------*/

static void
give_turn(OutputCall *call)
{
	Step	   *step = call->step;
	bool		more = step->more;

	step->more = call->again = false;
	if (OidIsValid(call->only_for))
		close_output(call);
	else
		try_output(call);
	step->more = more || (step->more && !call->again);
	call->had_turn = true;
}

/* The outputs of a step that take turns, or those that do not. */
static List *
outputs_of(Step *step, Oid only_for, bool turns)
{
	Oid			types[] = {INT4OID, BOOLOID};
	Datum		values[] = {Int32GetDatum(step->rollup_id), BoolGetDatum(turns)};
	List	   *calls = NIL;

	aggwin_emit_run(step->snapshot, "SELECT w.window_id, coalesce(w.closed_to + w.period, '-infinity') FROM aggwin.window AS w"
					" WHERE w.rollup IN (" AGGWIN_VIEWS_OF("$1") ") AND (w.touched_by IS NOT NULL) = $2"
					" ORDER BY w.window_id", SPI_OK_SELECT, lengthof(types), types, values, NULL);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		OutputCall *call = palloc0(sizeof(OutputCall));
		HeapTuple	row = SPI_tuptable->vals[i];
		bool		isnull;

		call->step = step;
		call->only_for = only_for;
		call->window_id = DatumGetInt32(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &isnull));
		call->next = DatumGetTimestampTz(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &isnull));
		call->again = true;
		calls = lappend(calls, call);
	}
	return calls;
}

/* The earliest end of a window of those that are to have a turn; false if there are none. */
static bool
earliest_next(const List *calls, TimestampTz *next)
{
	bool		found = false;
	ListCell   *lc;

	foreach(lc, calls)
	{
		const OutputCall *call = lfirst(lc);

		if (call->again && (!found || call->next < *next))
		{
			*next = call->next;
			found = true;
		}
	}
	return found;
}

/*
 * Outputs that take turns are computed side by side, in the order of event time: what is read
 * for one is there for the next, and what one writes, for those that read it. A worker has
 * little time, in which each gets at least one turn.
 */
static void
side_by_side(Step *step, List *calls)
{
	TimestampTz next = DT_NOEND;
	ListCell   *lc;

	while (earliest_next(calls, &next) &&
		   (step->max_windows == 0 || GetCurrentTimestamp() < step->now + TURNS_TIME))
	{
		foreach(lc, calls)
		{
			OutputCall *call = lfirst(lc);

			if (call->again && call->next == next)
			{
				step->again = call->had_turn;
				give_turn(call);
			}
		}
	}
	step->again = false;
	foreach(lc, calls)
	{
		OutputCall *call = lfirst(lc);

		if (!call->had_turn)
			give_turn(call);
		step->more = step->more || call->again;
	}
}

/* Publish what is due of each output. For a role: of its own, and an error ends the step. */
void
aggwin_give_turns(Step *step, Oid only_for)
{
	ListCell   *lc;

	foreach(lc, outputs_of(step, only_for, false))
		give_turn(lfirst(lc));
	side_by_side(step, outputs_of(step, only_for, true));
}
