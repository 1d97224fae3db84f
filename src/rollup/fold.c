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
 *      source, lest a TRUNCATE or rewrite that commits after S show an empty
 *      table to the repair;
 *   2. the snapshot S, the latest;
 *   3. only then a transaction id: a snapshot does not list its own
 *      transaction, so an id taken earlier would count as folded.
 *
 * Merged deltas are deleted at once. MVCC keeps them for older readers, and
 * the index branches let others skip what vacuum has not removed yet.
 *
 * A repair is part of a fold: invalid ranges are taken away, and state within
 * them is computed anew from the source under S.
 */
#include "postgres.h"

#include "rollup/fold.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "core/guc.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "rollup/catalog.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/pg_lsn.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(aggwin_refresh);

/* Index scans of the source for one repair; more become one. */
#define MAX_SCANS 1000

/* A fold under way. Datums live in the memory of the SPI connection. */
typedef struct Fold
{
	RollupRow	row;
	Oid			owner;
	RollupSpec *spec;
	RollupNames names;
	Snapshot	snapshot;
	Datum		xip;
	Datum		xmax;
	Datum		watermark;
	bool		no_watermark;
	Datum		max_future;
	int64		rows;			/* folded, those of repairs included */
	bool		repaired;
} Fold;

/*
 * Run one statement under S. Its first row is read by aggwin_spi_value(). What
 * functions of a rollup's query do to settings, such as search_path, must not
 * last until the next statement is parsed.
 */
static void
run(Fold *fold, const char *sql, int expected, int nargs, Oid *types,
	Datum *values, const char *nulls)
{
	int			guc_level = NewGUCNestLevel();
	SPIPlanPtr	plan = SPI_prepare(sql, nargs, types);
	int			rc;

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	rc = SPI_execute_snapshot(plan, values, nulls, fold->snapshot,
							  InvalidSnapshot, false, true, 0);
	if (rc != expected)
		elog(ERROR, "unexpected SPI result %s of: %s",
			 SPI_result_code_string(rc), sql);
	AtEOXact_GUC(false, guc_level);
}

static void
read_folded(Fold *fold)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(fold->row.rollup_id)};
	bool		isnull;

	run(fold, "SELECT ARRAY(SELECT pg_snapshot_xip(t.folded)), pg_snapshot_xmax(t.folded), t.watermark"
		" FROM aggwin.tier AS t WHERE t.rollup_id = $1 AND t.level = 0",
		SPI_OK_SELECT, 1, types, values, NULL);
	if (SPI_processed != 1)
		elog(ERROR, "rollup %d has no base tier", fold->row.rollup_id);
	fold->xip = aggwin_spi_value(1, &isnull);
	fold->xmax = aggwin_spi_value(2, &isnull);
	fold->watermark = aggwin_spi_value(3, &fold->no_watermark);
}

/* Remember the watermark that a statement returned in a column. */
static void
take_watermark(Fold *fold, int column)
{
	fold->watermark = aggwin_spi_value(column, &fold->no_watermark);
}

/*
 * Fill state from the source. Rows that are older than the rollup may hold a
 * key that capture would have refused.
 */
static void
recompute(Fold *fold, Oid *types, Datum *values, const char *nulls)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		run(fold, aggwin_sql_recompute(fold->spec, &fold->names),
			SPI_OK_SELECT, 5, types, values, nulls);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		if (geterrcode() != ERRCODE_PROGRAM_LIMIT_EXCEEDED)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("value too large for the key of a rollup"),
				 errdetail_internal("%s.", error->message),
				 errhint("Shorten the values in table %s that the rollup groups by.",
						 fold->names.source)));
	}
	PG_END_TRY();
}

static void
repair(Fold *fold)
{
	Oid			spans_type;
	Datum		spans;
	Datum		nulls;
	Datum		scans;
	bool		isnull;

	{
		Oid			types[] = {XID8ARRAYOID, XID8OID};
		Datum		values[] = {fold->xip, fold->xmax};

		run(fold, aggwin_sql_take_invalid(&fold->names,
										  aggwin_has_time_index(fold->spec) ? MAX_SCANS : 1),
			SPI_OK_SELECT, 2, types, values, NULL);
		spans_type = SPI_gettypeid(SPI_tuptable->tupdesc, 1);
		spans = aggwin_spi_value(1, &isnull);
		nulls = aggwin_spi_value(2, &isnull);
		scans = aggwin_spi_value(3, &isnull);
	}
	{
		Oid			types[] = {XID8ARRAYOID, XID8OID, spans_type, BOOLOID};
		Datum		values[] = {fold->xip, fold->xmax, spans, nulls};

		run(fold, aggwin_sql_discard_delta(&fold->names),
			SPI_OK_DELETE, 4, types, values, NULL);
	}
	{
		Oid			types[] = {spans_type, BOOLOID, TEXTOID, INTERVALOID, spans_type};
		Datum		values[] = {spans, nulls, fold->watermark, fold->max_future, scans};
		char		null_flags[] = {' ', ' ', fold->no_watermark ? 'n' : ' ', ' ', ' '};

		run(fold, aggwin_sql_discard_state(fold->spec, &fold->names),
			SPI_OK_DELETE, 2, types, values, NULL);
		recompute(fold, types, values, null_flags);
		fold->rows += DatumGetInt64(aggwin_spi_value(1, &isnull));
		take_watermark(fold, 2);
	}
	fold->repaired = true;
}

static void
merge(Fold *fold)
{
	Oid			types[] = {XID8ARRAYOID, XID8OID, TEXTOID, INTERVALOID};
	Datum		values[] = {fold->xip, fold->xmax, fold->watermark, fold->max_future};
	char		null_flags[] = {' ', ' ', fold->no_watermark ? 'n' : ' ', ' '};
	bool		isnull;
	int			guc_level = NewGUCNestLevel();

	/*
	 * Delta looks empty to whoever counts its rows, yet may be full of dead
	 * ones: only the index skips them.
	 */
	aggwin_pin("enable_seqscan", "off");
	run(fold, aggwin_sql_merge(fold->spec, &fold->names),
		SPI_OK_SELECT, 4, types, values, null_flags);
	AtEOXact_GUC(false, guc_level);
	fold->rows += DatumGetInt64(aggwin_spi_value(1, &isnull));
	take_watermark(fold, 3);
}

/* As the rollup's owner: all that evaluates what users have written. */
static bool
move_pending(Fold *fold)
{
	Oid			types[] = {XID8ARRAYOID, XID8OID};
	Datum		values[] = {fold->xip, fold->xmax};
	bool		isnull;
	bool		any_invalid;
	bool		any_delta;

	run(fold, aggwin_sql_any_pending(&fold->names), SPI_OK_SELECT,
		2, types, values, NULL);
	any_invalid = DatumGetBool(aggwin_spi_value(1, &isnull));
	any_delta = DatumGetBool(aggwin_spi_value(2, &isnull));
	if (any_invalid)
		repair(fold);
	if (any_delta)
		merge(fold);
	return any_invalid || any_delta;
}

static void
store_folded(Fold *fold, double elapsed_ms)
{
	Oid			types[] = {INT4OID, INT8OID, INT4OID, TEXTOID, FLOAT8OID};
	Datum		values[] = {
		Int32GetDatum(fold->row.rollup_id), Int64GetDatum(fold->rows),
		Int32GetDatum(fold->repaired ? 1 : 0), fold->watermark,
		Float8GetDatum(elapsed_ms)
	};
	char		nulls[] = {' ', ' ', ' ', fold->no_watermark ? 'n' : ' ', ' '};

	/* pg_current_snapshot() is S here. */
	run(fold, "UPDATE aggwin.tier AS t SET folded = pg_current_snapshot(),"
		" rows_folded = t.rows_folded + $2, repairs = t.repairs + $3,"
		" watermark = $4, last_fold = clock_timestamp(), last_fold_ms = $5"
		" WHERE t.rollup_id = $1 AND t.level = 0",
		SPI_OK_UPDATE, 5, types, values, nulls);
	if (SPI_processed != 1)
		elog(ERROR, "rollup %d has no base tier", fold->row.rollup_id);
}

/* Take the locks; false if the rollup is gone meanwhile. */
static bool
lock(Fold *fold, int32 rollup_id)
{
	aggwin_lock_rollup(rollup_id);
	if (!aggwin_find_rollup(rollup_id, &fold->row))
		return false;
	LockRelationOid(fold->row.source, AccessShareLock);
	/* A drop of the source removes the rollup, too. */
	return aggwin_find_rollup(rollup_id, &fold->row) &&
		aggwin_rollup_is_whole(&fold->row);
}

/*
 * Are the source's triggers all there and enabled? While they are not, the
 * rollup lies dormant: all of it is invalid, and the view answers from the
 * source. Asked after S, so that an S which sees the rollup made invalid by
 * the command that disabled a trigger also finds the trigger disabled.
 */
static bool
captures_everything(Fold *fold)
{
	Oid			types[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(fold->row.source)};
	bool		isnull;

	run(fold, "SELECT aggwin.captures_everything($1)", SPI_OK_SELECT, 1, types,
		values, NULL);
	return DatumGetBool(aggwin_spi_value(1, &isnull));
}

static Datum
max_future_interval(void)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = (int64) aggwin_max_future * USECS_PER_SEC;
	return IntervalPGetDatum(interval);
}

/*
 * Fold one rollup: all that is pending under the latest snapshot. The current
 * transaction is READ COMMITTED and has no id yet. Returns false, and writes
 * nothing, if there was nothing to fold or the rollup is gone.
 */
bool
aggwin_fold(int32 rollup_id)
{
	Fold		fold = {0};
	Sandbox		saved;
	Sandbox		as_owner;
	instr_time	start;
	instr_time	elapsed;
	bool		found;

	Assert(!TransactionIdIsValid(GetTopTransactionIdIfAny()));
	INSTR_TIME_SET_CURRENT(start);
	if (!lock(&fold, rollup_id))
		return false;
	Assert(!TransactionIdIsValid(GetTopTransactionIdIfAny()));

	fold.owner = aggwin_rollup_owner(&fold.row);
	fold.names = aggwin_rollup_names(&fold.row);
	fold.snapshot = RegisterSnapshot(GetLatestSnapshot());
	PushActiveSnapshot(fold.snapshot);

	/*
	 * Bookkeeping as superuser, everything else as owner, in a sandbox within
	 * the other: settings that the owner's functions change end with it.
	 */
	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, true);
	aggwin_spi_connect();
	if (!captures_everything(&fold))
	{
		aggwin_spi_finish();
		aggwin_sandbox_leave(&saved);
		PopActiveSnapshot();
		UnregisterSnapshot(fold.snapshot);
		return false;
	}
	fold.max_future = max_future_interval();
	read_folded(&fold);

	aggwin_sandbox_enter(&as_owner, fold.owner, true);
	fold.spec = aggwin_load_spec(fold.row.definition);
	found = move_pending(&fold);
	aggwin_sandbox_leave(&as_owner);

	if (found)
	{
		INSTR_TIME_SET_CURRENT(elapsed);
		INSTR_TIME_SUBTRACT(elapsed, start);
		store_folded(&fold, INSTR_TIME_GET_MILLISEC(elapsed));
	}

	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);
	PopActiveSnapshot();
	UnregisterSnapshot(fold.snapshot);
	return found;
}

/*
 * aggwin.refresh(rollup regclass): fold now. True if there was something to
 * fold. Only for the owner; not in a transaction that has written anything or
 * that keeps one snapshot, because the rows it could not fold rightly are its
 * own.
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

	PG_RETURN_BOOL(aggwin_fold(rollup_id));
}
