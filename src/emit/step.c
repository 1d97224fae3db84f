/*
 * step.c - closing the windows of one rollup
 *
 * A step is one transaction:
 *
 *   1. the rollup's lock, as a fold takes it, then ACCESS SHARE on the source;
 *   2. the snapshot S, under which everything is read;
 *   3. late changes: what folds have left word of since the last step, and what
 *      is pending under S and was not in the last step's snapshot (watch.c);
 *   4. each output: windows that late changes touched, windows that are over;
 *   5. S becomes what the rollup's readers have "seen".
 *
 * Results, bookkeeping and notifications are committed together, so after a
 * crash a window has either been published or is still to be.
 *
 * An output whose query fails is rolled back by itself and tried again later;
 * what step 3 found for it stays.
 */
#include "postgres.h"

#include "emit/step.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "emit/plans.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "rollup/begin.h"
#include "rollup/catalog.h"
#include "rollup/watch.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(aggwin_close_windows);

/* Windows of one output in a transaction of a worker */
#define WINDOWS_A_STEP 100

/* The rollup whose windows are closed */
typedef struct Source
{
	RollupRow	row;
	RollupNames names;
	Oid			owner;
	const TimeType *time;
	Datum		xip;
	Datum		xmax;
	Datum		watched;
	bool		never_watched;
	bool		watched_keys;
	Datum		seen;
	Datum		folded_watermark;
	bool		no_watermark;
} Source;

/* A query that a step runs could call for another. */
static bool in_step = false;

static uint64 steps = 0;

/* The number of the step that is under way in this process, 0 if none is. */
uint64
aggwin_current_step(void)
{
	return in_step ? steps : 0;
}

/* False if the rollup is restored, and not all of it is there yet. */
static bool
read_source(const Step *step, Source *source)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(step->rollup_id)};
	bool		isnull;

	aggwin_emit_run(step->snapshot, "SELECT ARRAY(SELECT pg_snapshot_xip(t.folded)), pg_snapshot_xmax(t.folded),"
					" t.watermark, t.watched, coalesce(t.seen, '1:1:'), t.watched_keys"
					" FROM aggwin.tier AS t WHERE t.rollup_id = $1 AND t.level = 0",
					SPI_OK_SELECT, 1, types, values, NULL);
	if (SPI_processed == 0)
		return false;
	source->xip = aggwin_spi_value(1, &isnull);
	source->xmax = aggwin_spi_value(2, &isnull);
	if (isnull)
		return false;
	source->folded_watermark = aggwin_spi_value(3, &source->no_watermark);
	source->watched = aggwin_spi_value(4, &source->never_watched);
	source->seen = aggwin_spi_value(5, &isnull);
	source->watched_keys = DatumGetBool(aggwin_spi_value(6, &isnull));
	return true;
}

/*
 * Delta looks empty to whoever counts its rows, yet may be full of dead ones:
 * only the index skips them. Until the sandbox is left.
 */
static void
only_by_index(void)
{
	aggwin_pin("enable_seqscan", "off");
}

/* The greatest event time captured, folded or pending. */
static void
read_watermark(Step *step, const Source *source)
{
	Oid			types[] = {XID8ARRAYOID, XID8OID, TEXTOID, INTERVALOID};
	Datum		values[] = {source->xip, source->xmax, source->folded_watermark,
	aggwin_max_future_interval()};
	char		nulls[] = {' ', ' ', source->no_watermark ? 'n' : ' ', ' ', '\0'};
	Datum		value;
	bool		isnull;

	aggwin_emit_run(step->snapshot,
					psprintf("SELECT %s FROM (SELECT greatest($3::%s, max(d.latest)) AS latest"
							 " FROM %s AS d WHERE (d.xid = ANY ($1) OR d.xid >= $2)"
							 " AND d.latest <= %s + $4) AS w WHERE isfinite(w.latest)",
							 aggwin_sql_utc(source->time, "w.latest"), source->time->name,
							 aggwin_tier(&source->names, 0)->delta, source->time->clock),
					SPI_OK_SELECT, lengthof(types), types, values, nulls);
	step->watermark = DT_NOBEGIN;
	if (SPI_processed == 0)
		return;
	value = aggwin_spi_value(1, &isnull);
	if (!isnull)
		step->watermark = DatumGetTimestampTz(value);
}

/* Late changes -------------------------------------------------------------*/

/* What has changed, as arrays: event time, number of changes, first key of the rollup. */
typedef struct LateChanges
{
	Datum		spans;
	Datum		changes;
	Datum		keys;
} LateChanges;

/* The last result's, if it has any. */
static bool
take_result(LateChanges *late)
{
	bool		isnull;

	late->keys = aggwin_spi_value(3, &isnull);
	late->changes = aggwin_spi_value(2, &isnull);
	late->spans = aggwin_spi_value(1, &isnull);
	return !isnull;
}

/*
 * Hand on spans in which there were changes to the outputs that have published
 * them: ends of windows, if they publish changes. One that has begun, but has not
 * closed its first window, has published nothing. which: a join, as SQL, of the
 * outputs "o" with "s", whose columns are span and changes.
 */
static void
hand_on_to(const Step *step, const LateChanges *late, const char *which)
{
	Oid			types[] = {INT4OID, TSTZRANGEARRAYOID, INT8ARRAYOID, TEXTARRAYOID};
	Datum		values[] = {Int32GetDatum(step->rollup_id), late->spans, late->changes, late->keys};

	aggwin_emit_run(step->snapshot,
					psprintf("UPDATE aggwin.window AS w SET"
							 " stale = (w.stale + t.spans) * tstzmultirange(tstzrange(w.closed_to - w.size, w.closed_to)),"
							 " late = w.late + t.changes,"
							 " dirty = CASE WHEN w.emit = 'changes' THEN (w.dirty + t.ends)"
							 " * tstzmultirange(tstzrange(greatest(w.first_end, w.closed_to - w.retention), w.closed_to, '[]'))"
							 " ELSE '{}' END"
							 " FROM (SELECT o.window_id, range_agg(s.span) AS spans, sum(s.changes)::bigint AS changes,"
							 " range_agg(tstzrange(lower(s.span), least(upper(s.span), o.closed_to) + o.size,"
							 " CASE WHEN upper_inc(s.span) THEN '(]' ELSE '()' END)) AS ends"
							 " FROM aggwin.window AS o JOIN %s"
							 " WHERE (lower_inf(s.span) OR lower(s.span) < o.closed_to)"
							 " AND o.first_end <= o.closed_to AND o.rollup IN (" AGGWIN_VIEWS_OF("$1") ")"
							 " GROUP BY o.window_id) AS t WHERE t.window_id = w.window_id", which),
					SPI_OK_UPDATE, lengthof(types), types, values, NULL);
}

static void
hand_on(Step *step, const LateChanges *late)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(step->rollup_id)};
	List	   *functions;
	ListCell   *lc;

	aggwin_emit_run(step->snapshot, "SELECT DISTINCT w.touched_by::oid FROM aggwin.window AS w"
					" WHERE w.touched_by IS NOT NULL AND w.rollup IN (" AGGWIN_VIEWS_OF("$1") ")",
					SPI_OK_SELECT, lengthof(types), types, values, NULL);
	functions = aggwin_spi_column(1);
	hand_on_to(step, late, "unnest($2, $3, $4) AS s (span, changes, key) ON o.touched_by IS NULL");
	foreach(lc, functions)
	{
		char	   *name = DatumGetCString(DirectFunctionCall1(regprocout, ObjectIdGetDatum(lfirst_oid(lc))));

		hand_on_to(step, late, psprintf("%1$s($2, $3, $4) AS s (output, span, changes)"
										" ON s.output = o.output AND o.touched_by = %2$s::regproc",
										name, quote_literal_cstr(name)));
	}
	step->wrote = true;
}

static void
take_late_changes(Step *step, const Source *source)
{
	Oid			types[] = {XID8ARRAYOID, XID8OID, TIMESTAMPTZOID, PG_SNAPSHOTOID};
	Datum		values[] = {source->xip, source->xmax, source->watched, source->seen};
	Oid			log_types[] = {INT4OID};
	Datum		log_values[] = {Int32GetDatum(step->rollup_id)};
	LateChanges late;
	bool		found;
	Sandbox		saved;

	if (source->never_watched)
		return;
	aggwin_emit_run(step->snapshot, "WITH gone AS (DELETE FROM aggwin.touched AS t WHERE t.rollup_id = $1"
					" RETURNING t.span, t.changes, t.key)"
					" SELECT array_agg(g.span), array_agg(g.changes), array_agg(g.key) FROM gone AS g",
					SPI_OK_SELECT, 1, log_types, log_values, NULL);
	if (take_result(&late))
		hand_on(step, &late);

	aggwin_sandbox_enter(&saved, source->owner, true);
	only_by_index();
	aggwin_emit_run(step->snapshot, aggwin_sql_touched_behind(source->time, &source->names, source->watched_keys),
					SPI_OK_SELECT, lengthof(types), types, values, NULL);
	found = take_result(&late);
	aggwin_sandbox_leave(&saved);
	if (found)
		hand_on(step, &late);
}

static void
store_seen(const Step *step)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(step->rollup_id)};

	/*
	 * A transaction that has stepped another rollup has a transaction id that the
	 * snapshot takes for one that is done. What it writes from now on is not seen.
	 */
	aggwin_emit_run(step->snapshot, "UPDATE aggwin.tier AS t SET seen = " AGGWIN_SNAPSHOT_WITHOUT_ME ","
					" (watched, watched_keys) = (SELECT max(w.closed_to), coalesce(bool_or(w.touched_by IS NOT NULL), false)"
					" FROM aggwin.window AS w WHERE w.rollup IN (" AGGWIN_VIEWS_OF("$1") "))"
					" WHERE t.rollup_id = $1 AND t.level = 0",
					SPI_OK_UPDATE, 1, types, values, NULL);
}

/* What has been notified must not be forgotten by a crash, and published anew. */
static void
commit_safely(void)
{
	if (synchronous_commit == SYNCHRONOUS_COMMIT_OFF)
		(void) set_config_option("synchronous_commit", "local", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_LOCAL, true, 0, false);
}

/*
 * The step itself, under the snapshot. For a role: its outputs only, and an error
 * ends the step.
 */
static void
run_step(Step *step, Source *source, Oid only_for)
{
	Sandbox		saved;

	/* While the source's triggers are disabled, nobody tells of changes. */
	if (aggwin_windows_of(step->rollup_id) == NIL || !aggwin_captures_everything(source->row.source, step->snapshot) ||
		!read_source(step, source))
		return;
	aggwin_sandbox_enter(&saved, source->owner, true);
	only_by_index();
	read_watermark(step, source);
	aggwin_sandbox_leave(&saved);
	take_late_changes(step, source);
	aggwin_give_turns(step, only_for);
	if (step->wrote)
		store_seen(step);
}

/* The type of the buckets, in all tiers. */
static const TimeType *
time_type(const RollupRow *row)
{
	return aggwin_time_type(get_atttype(row->state, get_attnum(row->state, "bucket")));
}

/* A step for a worker, or for a role. */
static int64
close_windows_of(int32 rollup_id, Oid only_for, int max_windows, bool *more)
{
	Step		step = {.rollup_id = rollup_id, .max_windows = max_windows};
	Source		source = {0};
	Sandbox		saved;

	*more = false;
	if (!aggwin_lock_with_source(rollup_id, &source.row))
		return 0;
	source.owner = aggwin_rollup_owner(&source.row);
	source.time = time_type(&source.row);
	source.names = aggwin_rollup_names(&source.row);
	step.snapshot = aggwin_locked_snapshot(source.row.source);
	step.now = GetCurrentTimestamp();
	PushActiveSnapshot(step.snapshot);
	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, true);
	aggwin_spi_connect();
	steps++;
	in_step = true;
	PG_TRY();
	{
		run_step(&step, &source, only_for);
	}
	PG_FINALLY();
	{
		in_step = false;
	}
	PG_END_TRY();
	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);
	PopActiveSnapshot();
	UnregisterSnapshot(step.snapshot);
	if (step.published > 0)
		commit_safely();
	*more = step.more;
	return step.published;
}

/*
 * Publish what is due of the windows over a rollup; the number of revisions. The
 * current transaction is READ COMMITTED. *more: another step would find more.
 */
int64
aggwin_close_windows_of(int32 rollup_id, bool *more)
{
	return close_windows_of(rollup_id, InvalidOid, WINDOWS_A_STEP, more);
}

/* The rollups that have windows: of one output, or of all of a role. */
static List *
rollups_with_windows(Oid output)
{
	Oid			types[] = {OIDOID, OIDOID};
	Datum		values[] = {ObjectIdGetDatum(output), ObjectIdGetDatum(GetUserId())};
	MemoryContext caller = CurrentMemoryContext;
	Sandbox		saved;
	List	   *views;
	List	   *ids = NIL;
	ListCell   *lc;

	aggwin_spi_connect();
	if (OidIsValid(output))
		(void) aggwin_window_of_output(output, true);
	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, true);
	aggwin_spi_run_args("SELECT DISTINCT w.rollup::oid FROM aggwin.window AS w"
						" JOIN pg_class AS c ON c.oid = w.output"
						" WHERE $1 IN (0, w.output) AND pg_has_role($2, c.relowner, 'USAGE')",
						SPI_OK_SELECT, lengthof(types), types, values, NULL);
	aggwin_sandbox_leave(&saved);
	MemoryContextSwitchTo(caller);
	views = aggwin_spi_column(1);
	aggwin_spi_finish();
	foreach(lc, views)
	{
		RollupRow	row;

		if (aggwin_find_rollup_of_view(lfirst_oid(lc), &row))
			ids = list_append_unique_int(ids, row.rollup_id);
	}
	list_sort(ids, list_int_cmp);
	return ids;
}

/*
 * aggwin.close_windows(window regclass): publish now what is due of a window
 * output, and of others of the caller over the same rollup; NULL: of all of the
 * caller's. The number of revisions that were published.
 */
Datum
aggwin_close_windows(PG_FUNCTION_ARGS)
{
	int64		published = 0;
	ListCell   *lc;

	PreventCommandIfReadOnly("aggwin.close_windows()");
	PreventCommandDuringRecovery("aggwin.close_windows()");
	if (in_step)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("aggwin.close_windows() cannot be called while windows are being closed"),
				 errhint("Leave it out of functions that window queries and triggers on their outputs call.")));
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("aggwin.close_windows() needs isolation level READ COMMITTED"),
				 errdetail("A window must hold all that is committed when it is closed."),
				 errhint("Call it in a transaction of its own.")));
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("aggwin.close_windows() cannot run in a transaction that has written"),
				 errdetail("What the transaction adds later would not be told from what the windows hold."),
				 errhint("Call it in a transaction of its own.")));
	foreach(lc, rollups_with_windows(PG_ARGISNULL(0) ? InvalidOid : PG_GETARG_OID(0)))
	{
		bool		more;

		published += close_windows_of(lfirst_int(lc), GetUserId(), 0, &more);
	}
	PG_RETURN_INT64(published);
}
