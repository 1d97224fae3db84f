/*
 * fold.c - merging what was captured into a rollup's state
 *
 * The snapshot rule. Each delta and each invalid range carries the id of its
 * top transaction; each tier stores the snapshot "folded" of its last fold. A
 * row is pending for a reader when the reader sees it and "folded" does not.
 * A fold takes a snapshot S, merges all rows pending under S and stores S, in
 * one transaction; so a reader sees either all of that or none, and counts
 * every row once:
 *
 *      xid:      ... xmin ........................ xmax ...
 *      S:        seen     |  in xip: not, else seen |  not seen
 *      pending:  no       |  xid = ANY (xip)        |  xid >= xmax
 *
 * The two conditions on the right are asked as two index branches. One range
 * over everything from xmin on would read all that came since the oldest open
 * transaction began.
 *
 * The order of a fold, which the rule depends on:
 *
 *   1. all locks: the rollup's own (exclusive), then ACCESS SHARE on the
 *      source and its partitions, lest a TRUNCATE or rewrite that commits
 *      after S show an empty table to the repair;
 *   2. the snapshot S, the latest;
 *   3. only then a transaction id: a snapshot does not list its own
 *      transaction, so an id taken earlier would count as folded.
 *
 * Merged deltas are deleted at once. MVCC keeps them for older readers, and
 * the index branches let others skip what vacuum has not removed yet.
 *
 * Levels above the base are written by folds only, one at a time, so they need
 * no such rule: a fold of level k moves what is in its delta into its state,
 * and the net of it into the delta of level k + 1, and readers see all of that
 * or nothing.
 *
 * A repair is part of a fold (repair.c), and so is what becomes of old rows
 * (retain.c).
 */
#include "postgres.h"

#include "rollup/fold.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "rollup/begin.h"
#include "rollup/counted.h"
#include "rollup/exact_sql.h"
#include "rollup/fold_sql.h"
#include "rollup/restore.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/guc.h"
#include "utils/pg_lsn.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(aggwin_refresh);

/*
 * Run one statement under S. Its first row is read by aggwin_spi_value(). What
 * functions of a rollup's query do to settings, such as search_path, must not
 * last until the next statement is parsed.
 */
void
aggwin_fold_run(Fold *fold, const char *sql, int expected, int nargs, Oid *types,
	Datum *values, const char *nulls)
{
	int			guc_level = NewGUCNestLevel();
	SPIPlanPtr	plan = aggwin_spi_prepare(sql, nargs, types);

	aggwin_spi_check(SPI_execute_snapshot(plan, values, nulls, fold->snapshot, InvalidSnapshot,
										  false, true, 0), expected, sql);
	AtEOXact_GUC(false, guc_level);
}

/*
 * The snapshot of the base, and the watermark of a level. False if the rollup is
 * restored, and not all of it is there yet.
 */
static bool
read_folded(Fold *fold, int level)
{
	Oid			types[] = {INT4OID, INT2OID};
	Datum		values[] = {Int32GetDatum(fold->row.rollup_id), Int16GetDatum(level)};
	bool		isnull;

	aggwin_fold_run(fold, "SELECT ARRAY(SELECT pg_snapshot_xip(b.folded)), pg_snapshot_xmax(b.folded), b.watermark,"
					" b.watched, coalesce(b.seen, '1:1:'), b.watched_keys"
					" FROM aggwin.tier AS b JOIN aggwin.tier AS t USING (rollup_id)"
					" WHERE b.rollup_id = $1 AND b.level = 0 AND t.level = $2",
					SPI_OK_SELECT, 2, types, values, NULL);
	if (SPI_processed != 1)
		aggwin_refuse_gap(fold->row.rollup_id, level);
	fold->xip = aggwin_spi_value(1, &isnull);
	fold->xmax = aggwin_spi_value(2, &isnull);
	if (isnull)
		return aggwin_take_up(&fold->row) && read_folded(fold, level);
	fold->watermark = aggwin_spi_value(3, &fold->no_watermark);
	fold->watched = aggwin_spi_value(4, &isnull);
	if (isnull)
		fold->watched = 0;
	fold->seen = aggwin_spi_value(5, &isnull);
	fold->watched_keys = DatumGetBool(aggwin_spi_value(6, &isnull));
	return true;
}

/* Remember the watermark that a statement returned in a column. */
static void
take_watermark(Fold *fold, int column)
{
	fold->watermark = aggwin_spi_value(column, &fold->no_watermark);
}

static void
read_kept_marks(Fold *fold)
{
	bool		isnull;
	bool		no_closed;
	bool		no_expired;
	Datum		frozen;

	aggwin_fold_run(fold, aggwin_sql_kept_marks(&fold->names, fold->level),
					SPI_OK_SELECT, 0, NULL, NULL, NULL);
	fold->spans_type = SPI_gettypeid(SPI_tuptable->tupdesc, 1);
	frozen = aggwin_spi_value(1, &isnull);
	fold->frozen = isnull ? 0 : frozen;
	fold->frozen_nulls = DatumGetBool(aggwin_spi_value(2, &isnull));
	fold->closed = aggwin_spi_value(3, &no_closed);
	fold->expired = aggwin_spi_value(4, &no_expired);
	if (no_closed)
		fold->closed = 0;
	if (no_expired)
		fold->expired = 0;
}

/*
 * Leave spans behind for a later fold, of this or another level. With the error
 * if that is why.
 */
void
aggwin_add_mark(Fold *fold, char kind, int level, Datum spans, bool nulls, const char *error)
{
	Oid			types[] = {fold->spans_type, BOOLOID, TEXTOID};
	Datum		values[] = {spans, BoolGetDatum(nulls), error ? CStringGetTextDatum(error) : 0};
	char		null_flags[] = {' ', ' ', error ? ' ' : 'n', '\0'};

	aggwin_fold_run(fold, aggwin_sql_add_mark(&fold->names, kind, level),
					SPI_OK_INSERT, 3, types, values, null_flags);
	fold->wrote = true;
}

/*
 * What a merge leaves to be done, by what it returned from a column on: groups
 * that did not merge exactly, or groups all of whose rows have been taken away.
 */
static void
finish_merge(Fold *fold, int column)
{
	Oid			types[] = {TIDARRAYOID};
	Datum		values[1];
	bool		isnull;

	if (aggwin_may_be_inexact(fold->spec))
		aggwin_add_mark(fold, 'i', fold->level, aggwin_spi_value(column, &isnull),
						DatumGetBool(aggwin_spi_value(column + 1, &isnull)), NULL);
	else if (fold->spec->subtracts)
	{
		values[0] = aggwin_spi_value(column, &isnull);
		if (!isnull)
			aggwin_fold_run(fold, aggwin_sql_discard_empty(&fold->names, fold->level),
							SPI_OK_DELETE, 1, types, values, NULL);
	}
}

static void
merge(Fold *fold)
{
	Oid			types[] = {XID8ARRAYOID, XID8OID, TEXTOID, INTERVALOID,
	fold->spans_type, fold->spans_type};
	Datum		values[] = {fold->xip, fold->xmax, fold->watermark, fold->max_future,
	fold->closed, fold->expired};
	char		null_flags[] = {' ', ' ', fold->no_watermark ? 'n' : ' ', ' ',
		fold->closed ? ' ' : 'n', fold->expired ? ' ' : 'n'};
	bool		isnull;
	int			guc_level = NewGUCNestLevel();

	/*
	 * Delta looks empty to whoever counts its rows, yet may be full of dead
	 * ones: only the index skips them.
	 */
	aggwin_pin("enable_seqscan", "off");
	aggwin_fold_run(fold, aggwin_sql_merge(fold->spec, &fold->names,
										   fold->closed != 0, fold->expired != 0),
					SPI_OK_SELECT, 6, types, values, null_flags);
	AtEOXact_GUC(false, guc_level);
	fold->rows += DatumGetInt64(aggwin_spi_value(1, &isnull));
	take_watermark(fold, 3);
	fold->late_dropped += DatumGetInt64(aggwin_spi_value(4, &isnull));
	fold->wrote = true;
	finish_merge(fold, 5);
}

static void
merge_above(Fold *fold)
{
	Oid			types[] = {fold->spans_type};
	Datum		values[] = {fold->expired};
	char		null_flags[] = {fold->expired ? ' ' : 'n'};
	bool		isnull;

	aggwin_fold_run(fold, aggwin_sql_merge_above(fold->spec, &fold->names, fold->level,
												 fold->expired != 0),
					SPI_OK_SELECT, 1, types, values, null_flags);
	fold->rows += DatumGetInt64(aggwin_spi_value(1, &isnull));
	fold->wrote = true;
	finish_merge(fold, 3);
}

/* As the rollup's owner: all that evaluates what users have written. */
static void
move_pending(Fold *fold)
{
	Oid			types[] = {XID8ARRAYOID, XID8OID};
	Datum		values[] = {fold->xip, fold->xmax};
	bool		isnull;
	bool		any_invalid;
	bool		any_delta;
	bool		any_failed;

	read_kept_marks(fold);
	if (fold->level == 0)
		aggwin_fold_run(fold, aggwin_sql_any_pending(&fold->names), SPI_OK_SELECT,
						2, types, values, NULL);
	else
		aggwin_fold_run(fold, aggwin_sql_any_pending_above(&fold->names, fold->level),
						SPI_OK_SELECT, 0, NULL, NULL, NULL);
	any_invalid = DatumGetBool(aggwin_spi_value(1, &isnull));
	any_delta = DatumGetBool(aggwin_spi_value(2, &isnull));
	any_failed = DatumGetBool(aggwin_spi_value(3, &isnull));
	if (fold->level == 0)
		aggwin_find_late(fold);
	if (fold->level > 0 && any_invalid)
		aggwin_repair_above(fold);
	else if (any_invalid || (any_failed && fold->to_repair == REPAIR_ALL))
		aggwin_repair(fold, true);
	else if (any_delta && fold->spec->gap != NULL)
		aggwin_repair(fold, false);
	if (any_failed && fold->to_repair == REPAIR_AGAIN)
		aggwin_repair_again(fold);
	if (any_delta && fold->level > 0)
		merge_above(fold);
	else if (any_delta && fold->spec->gap == NULL)
		merge(fold);
	aggwin_keep_boundaries(fold);
}

/* pg_current_snapshot() is S here. */
static void
store_folded(Fold *fold, double elapsed_ms)
{
	Oid			types[] = {INT4OID, INT8OID, INT8OID, TEXTOID, FLOAT8OID, INT2OID,
	INT8OID, INT8OID, INT8OID, BOOLOID, INT8OID};
	Datum		values[] = {
		Int32GetDatum(fold->row.rollup_id), Int64GetDatum(fold->rows),
		Int64GetDatum(fold->repairs), fold->watermark,
		Float8GetDatum(elapsed_ms), Int16GetDatum(fold->level),
		Int64GetDatum(fold->late_dropped), Int64GetDatum(fold->refused_repairs),
		Int64GetDatum(fold->backfilled), BoolGetDatum(fold->more),
		Int64GetDatum(fold->to_backfill)
	};
	char		nulls[] = {' ', ' ', ' ', fold->no_watermark ? 'n' : ' ', ' ', ' ', ' ', ' ',
		fold->backfilled < 0 ? 'n' : ' ', ' ', ' ', '\0'};

	aggwin_fold_run(fold, "UPDATE aggwin.tier AS t"
					" SET folded = CASE WHEN $6 = 0 THEN pg_current_snapshot() END,"
					" rows_folded = t.rows_folded + $2, repairs = t.repairs + $3,"
					" watermark = $4, last_fold = clock_timestamp(), last_fold_ms = $5,"
					" late_dropped = t.late_dropped + $7,"
					" refused_repairs = t.refused_repairs + $8,"
					" backfill_done = CASE WHEN $9 IS NULL THEN t.backfill_done"
					" WHEN t.backfill_since IS NULL THEN $9 ELSE t.backfill_done + $9 END,"
					" backfill_total = CASE WHEN $9 IS NULL THEN t.backfill_total"
					" WHEN t.backfill_since IS NULL THEN $9 + $11 ELSE t.backfill_done + $9 + $11 END,"
					" backfill_since = CASE WHEN $9 IS NULL THEN t.backfill_since"
					" WHEN $10 THEN coalesce(t.backfill_since, statement_timestamp()) END"
					" WHERE t.rollup_id = $1 AND t.level = $6",
					SPI_OK_UPDATE, lengthof(types), types, values, nulls);
	if (SPI_processed != 1)
		aggwin_refuse_gap(fold->row.rollup_id, fold->level);
}

/* One level, under S. */
static void
fold_level(Fold *fold, int level)
{
	Sandbox		as_owner;
	instr_time	start;
	instr_time	elapsed;

	INSTR_TIME_SET_CURRENT(start);
	fold->level = level;
	fold->rows = 0;
	fold->late_dropped = 0;
	fold->repairs = 0;
	fold->refused_repairs = 0;
	fold->backfilled = -1;
	fold->to_backfill = 0;
	fold->more = false;
	fold->wrote = false;

	aggwin_sandbox_enter(&as_owner, fold->owner, true);
	if (fold->spec == NULL)
		fold->spec = aggwin_load_spec(fold->row.definition);
	move_pending(fold);
	aggwin_sandbox_leave(&as_owner);

	if (fold->refused_repairs > 0)
		aggwin_counts_not_all(fold->row.rollup_id);
	aggwin_log_late(fold);
	if (fold->wrote)
	{
		INSTR_TIME_SET_CURRENT(elapsed);
		INSTR_TIME_SUBTRACT(elapsed, start);
		store_folded(fold, INSTR_TIME_GET_MILLISEC(elapsed));
	}
}

/*
 * Fold levels of a rollup, the lower ones first: all that is pending under the
 * latest snapshot, and of what is invalid what is asked for. The current
 * transaction is READ COMMITTED and has no id yet. Nothing is written if there
 * was nothing to fold, or if the rollup is gone. *repair_error is the error of
 * a repair that has failed, while the rest was done, or NULL; not for
 * REPAIR_ALL.
 */
FoldResult
aggwin_fold(int32 rollup_id, int from, int to, FoldRepairs repairs, char **repair_error)
{
	MemoryContext caller = CurrentMemoryContext;
	Fold		fold = {0};
	Sandbox		saved;
	FoldResult	result = FOLD_NOTHING;

	Assert(!TransactionIdIsValid(GetTopTransactionIdIfAny()));
	if (repair_error)
		*repair_error = NULL;
	if (!aggwin_lock_with_source(rollup_id, &fold.row))
		return FOLD_NOTHING;
	Assert(!TransactionIdIsValid(GetTopTransactionIdIfAny()));

	fold.owner = aggwin_rollup_owner(&fold.row);
	fold.names = aggwin_rollup_names(&fold.row);
	fold.to_repair = repairs;
	fold.snapshot = aggwin_locked_snapshot(fold.row.source);
	PushActiveSnapshot(fold.snapshot);

	/*
	 * Bookkeeping as superuser, everything else as owner, in a sandbox within
	 * the other: settings that the owner's functions change end with it.
	 */
	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, true);
	aggwin_spi_connect();
	if (aggwin_captures_everything(fold.row.source, fold.snapshot))
	{
		fold.max_future = aggwin_max_future_interval();
		for (int i = from; i <= Min(to, aggwin_top_level(&fold.names)); i++)
		{
			if (!read_folded(&fold, i))
				break;
			fold_level(&fold, i);
			if (fold.more)
				result = FOLD_MORE;
			else if (fold.wrote && result == FOLD_NOTHING)
				result = FOLD_DONE;
		}
	}
	if (fold.repair_error)
		*repair_error = MemoryContextStrdup(caller, fold.repair_error);
	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);
	PopActiveSnapshot();
	UnregisterSnapshot(fold.snapshot);
	return result;
}

/*
 * aggwin.refresh(rollup regclass): fold now what this view reads, its tier and
 * those below. True if there was something to fold. Only for the owner; not in
 * a transaction that has written anything or that keeps one snapshot, because
 * the rows it could not fold rightly are its own.
 */
Datum
aggwin_refresh(PG_FUNCTION_ARGS)
{
	static const char *const names_of_args[] = {"rollup"};
	int32		rollup_id;

	aggwin_require_args(fcinfo, lengthof(names_of_args), names_of_args);
	rollup_id = aggwin_rollup_of_view(PG_GETARG_OID(0), true);
	PreventCommandIfReadOnly("aggwin.refresh()");
	PreventCommandDuringRecovery("aggwin.refresh()");
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("aggwin.refresh() needs isolation level READ COMMITTED"),
				 errdetail("A fold must see all that is committed when it begins."),
				 errhint("Call it in a transaction of its own.")));
	if (TransactionIdIsValid(GetTopTransactionIdIfAny()))
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("aggwin.refresh() cannot run in a transaction that has written"),
				 errdetail("Changes made earlier in the transaction would be counted twice or never."),
				 errhint("Call it in a transaction of its own, one rollup a transaction.")));

	PG_RETURN_BOOL(aggwin_fold(rollup_id, 0, aggwin_level_of_view(rollup_id, PG_GETARG_OID(0)),
							   REPAIR_ALL, NULL) != FOLD_NOTHING);
}
