/*
 * schedule.c - which rollup a worker folds next, and when
 *
 * The rollups and their intervals are read from the catalog again and again;
 * when each was last tried, and how often in a row that failed, is known to
 * this process only. A new worker hence tries everything at once.
 *
 *	success:	|--fold--|···········|--fold--|		from start to start:
 *				|<- refresh_interval ->|			refresh_interval
 *
 *	failure:	|--fold--x|·········|--fold--x|···················|--fold--
 *						  |<-pause->|		  |<---- 2 pause ---->|
 *
 * The pause after a failure starts at refresh_interval, counts from the
 * attempt's end (which may have been a long wait for a lock), doubles with
 * each failure in a row up to aggwin.max_backoff, and is forgotten with the
 * first success.
 *
 * While an old snapshot keeps vacuum from removing row versions, each fold
 * leaves a version of every group it touches, which readers must step over.
 * So the older the oldest snapshot, the rarer the folds: a pause is at least a
 * fixed share of its age (up to aggwin.max_backoff), and the number of versions
 * grows with the logarithm of the time. Answers stay exact meanwhile; readers
 * merge more deltas.
 *
 * Of the rollups that are due, the one due longest is first,
 * so none is starved by others that are always due.
 */
#include "postgres.h"

#include "worker/schedule.h"

#include <math.h>

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "core/guc.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "pgstat.h"
#include "portability/instr_time.h"
#include "rollup/fold.h"
#include "storage/lmgr.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "worker/attempt.h"

/* Between two folds of a rollup, whatever its refresh interval says */
#define MIN_PAUSE_MS 10.0

/* The least pause after a failure */
#define MIN_BACKOFF_MS 1000.0

/* A pause is at least the age of the oldest snapshot divided by this. */
#define SNAPSHOT_AGE_SHARE 20

/* Keeps times in range when an interval is absurdly long or infinite */
#define MAX_PAUSE_MS (1000.0 * SECS_PER_DAY * 365)

typedef struct ScheduledRollup
{
	int32		rollup_id;		/* the hash key */
	char	   *name;			/* of the view, as SQL would write it */
	double		interval_ms;
	TimestampTz tried;			/* start of the last fold, end of a failed one */
	int			failures;		/* in a row */
	bool		listed;			/* found by the latest reading */
} ScheduledRollup;

struct AggwinSchedule
{
	HTAB	   *rollups;
	int			failures;		/* of reading the catalog, in a row */
	double		snapshot_age_ms;	/* of the oldest in this database */
	TimestampTz read_at;		/* when it was last read, or tried to be */
};

AggwinSchedule *
aggwin_schedule_create(void)
{
	AggwinSchedule *schedule = palloc0(sizeof(AggwinSchedule));
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(int32);
	ctl.entrysize = sizeof(ScheduledRollup);
	ctl.hcxt = CurrentMemoryContext;
	schedule->rollups = hash_create("aggwin schedule", 64, &ctl,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return schedule;
}

/*
 * Milliseconds to let pass after an attempt, the n-th failure in a row.
 */
static double
pause_ms(double interval_ms, int failures)
{
	double		pause = Max(interval_ms, MIN_PAUSE_MS);

	if (failures > 0)
	{
		double		longest = aggwin_max_backoff * 1000.0;
		double		backoff = ldexp(Max(pause, MIN_BACKOFF_MS), Min(failures, 64) - 1);

		pause = Max(pause, Min(backoff, longest));
	}
	return Min(pause, MAX_PAUSE_MS);
}

/*
 * The time after tried by a pause, or now if the clock was set back since.
 */
static TimestampTz
due_after(TimestampTz tried, double pause, TimestampTz now)
{
	return tried > now ? now : tried + (TimestampTz) (pause * 1000.0);
}

static TimestampTz
due_at(const AggwinSchedule *schedule, const ScheduledRollup *rollup, TimestampTz now)
{
	double		pause = pause_ms(rollup->interval_ms, rollup->failures);
	double		stretched = Min(schedule->snapshot_age_ms / SNAPSHOT_AGE_SHARE,
								aggwin_max_backoff * 1000.0);

	return due_after(rollup->tried, Max(pause, stretched), now);
}

static void
note_rollup(AggwinSchedule *schedule, HeapTuple row, TupleDesc columns)
{
	ScheduledRollup *rollup;
	bool		isnull;
	bool		found;
	int32		id = DatumGetInt32(SPI_getbinval(row, columns, 1, &isnull));
	char	   *name = SPI_getvalue(row, columns, 2);

	rollup = hash_search(schedule->rollups, &id, HASH_ENTER, &found);
	if (!found)
	{
		rollup->name = NULL;
		rollup->tried = 0;
		rollup->failures = 0;
	}
	if (!rollup->name || strcmp(rollup->name, name) != 0)
	{
		if (rollup->name)
			pfree(rollup->name);
		rollup->name = MemoryContextStrdup(GetMemoryChunkContext(schedule), name);
	}
	rollup->interval_ms = DatumGetFloat8(SPI_getbinval(row, columns, 3, &isnull));
	rollup->listed = true;
}

static Oid
rollup_table(void)
{
	Oid			schema = get_namespace_oid("aggwin", true);

	return OidIsValid(schema) ? get_relname_relid("rollup", schema) : InvalidOid;
}

/*
 * Keeps the catalog in place until the transaction ends. False while somebody
 * has it for himself: that is the extension being dropped or altered, which is
 * no error and may take long.
 */
static bool
lock_catalog(void)
{
	Oid			table = rollup_table();

	return OidIsValid(table) && ConditionalLockRelationOid(table, AccessShareLock) &&
		rollup_table() == table;
}

/*
 * The age in milliseconds of the oldest transaction that holds vacuum back.
 */
static double
read_snapshot_age(void)
{
	bool		isnull;

	aggwin_spi_run("SELECT coalesce(greatest(extract(epoch FROM clock_timestamp() - min(began)), 0) * 1000, 0)::float8"
				   " FROM (SELECT xact_start AS began FROM pg_stat_activity"
				   " WHERE (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)"
				   " AND datname = current_database() AND pid <> pg_backend_pid()"
				   " AND backend_type <> 'autovacuum worker'"
				   " UNION ALL"
				   " SELECT prepared FROM pg_prepared_xacts WHERE database = current_database()) AS t",
				   SPI_OK_SELECT);
	return DatumGetFloat8(aggwin_spi_value(1, &isnull));
}

static void
read_catalog(void *arg)
{
	AggwinSchedule *schedule = arg;
	HASH_SEQ_STATUS scan;
	ScheduledRollup *rollup;

	if (!lock_catalog())
		return;

	PushActiveSnapshot(GetTransactionSnapshot());
	aggwin_spi_connect();
	aggwin_spi_run("SELECT r.rollup_id, r.view::text,"
				   " (extract(epoch FROM t.refresh_interval) * 1000)::float8"
				   " FROM aggwin.rollup AS r"
				   " JOIN aggwin.tier AS t ON t.rollup_id = r.rollup_id AND t.level = 0"
				   " WHERE NOT r.paused", SPI_OK_SELECT);

	hash_seq_init(&scan, schedule->rollups);
	while ((rollup = hash_seq_search(&scan)) != NULL)
		rollup->listed = false;
	for (uint64 i = 0; i < SPI_processed; i++)
		note_rollup(schedule, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	hash_seq_init(&scan, schedule->rollups);
	while ((rollup = hash_seq_search(&scan)) != NULL)
	{
		if (!rollup->listed)
		{
			pfree(rollup->name);
			hash_search(schedule->rollups, &rollup->rollup_id, HASH_REMOVE, NULL);
		}
	}

	schedule->snapshot_age_ms = read_snapshot_age();
	aggwin_spi_finish();
	PopActiveSnapshot();
}

/*
 * Brings the schedule up to date with the catalog, unless that happened less
 * than aggwin.worker_naptime ago. A failure is retried as that of a fold.
 */
void
aggwin_schedule_read(AggwinSchedule *schedule)
{
	TimestampTz now = GetCurrentTimestamp();

	if (now < due_after(schedule->read_at,
						pause_ms(aggwin_worker_naptime, schedule->failures), now))
		return;

	schedule->read_at = now;
	schedule->failures = aggwin_attempt(read_catalog, schedule) ? schedule->failures + 1 : 0;
}

/*
 * The rollup that is due first and the time when it is; NULL if there is none.
 */
static ScheduledRollup *
next_rollup(AggwinSchedule *schedule, TimestampTz *due)
{
	TimestampTz now = GetCurrentTimestamp();
	ScheduledRollup *next = NULL;
	ScheduledRollup *rollup;
	HASH_SEQ_STATUS scan;

	hash_seq_init(&scan, schedule->rollups);
	while ((rollup = hash_seq_search(&scan)) != NULL)
	{
		TimestampTz this_due = due_at(schedule, rollup, now);

		if (!next || this_due < *due)
		{
			next = rollup;
			*due = this_due;
		}
	}
	return next;
}

typedef struct FoldCall
{
	const ScheduledRollup *rollup;
	bool		folded;
} FoldCall;

static void
name_rollup(void *arg)
{
	errcontext("folding rollup %s", ((const ScheduledRollup *) arg)->name);
}

static void
fold(void *arg)
{
	FoldCall   *call = arg;
	ErrorContextCallback context;

	if (!lock_catalog())
		return;
	context.previous = error_context_stack;
	context.callback = name_rollup;
	context.arg = unconstify(ScheduledRollup *, call->rollup);
	error_context_stack = &context;
	call->folded = aggwin_fold(call->rollup->rollup_id);
	error_context_stack = context.previous;
}

typedef struct FailureReport
{
	int32		rollup_id;
	const char *message;
} FailureReport;

/*
 * The failures that operators see are counted for good; only the pause is
 * forgotten when a fold succeeds again.
 */
static void
record_failure(void *arg)
{
	FailureReport *report = arg;
	Oid			types[] = {INT4OID, TEXTOID};
	Datum		values[] = {Int32GetDatum(report->rollup_id), CStringGetTextDatum(report->message)};

	if (!lock_catalog())
		return;
	PushActiveSnapshot(GetTransactionSnapshot());
	aggwin_spi_connect();
	aggwin_spi_run_args("UPDATE aggwin.tier SET failures = failures + 1,"
						" last_error = $2, last_error_at = now()"
						" WHERE rollup_id = $1 AND level = 0",
						SPI_OK_UPDATE, 2, types, values, NULL);
	aggwin_spi_finish();
	PopActiveSnapshot();
}

static void
log_fold(const ScheduledRollup *rollup, bool folded, instr_time duration)
{
	double		ms = INSTR_TIME_GET_MILLISEC(duration);

	if (aggwin_log_min_fold_duration < 0 || ms < aggwin_log_min_fold_duration)
		return;

	/* At zero everything is logged, but not that there was nothing to do. */
	if (folded || aggwin_log_min_fold_duration > 0)
		ereport(LOG, (errmsg("folded rollup %s in %.3f ms", rollup->name, ms)));
}

/*
 * Folds the rollup that is due longest. If none is due, returns false and the
 * time when the first will be, DT_NOEND without any rollup.
 */
bool
aggwin_schedule_fold_next(AggwinSchedule *schedule, TimestampTz *next_due)
{
	ScheduledRollup *rollup;
	FoldCall	call = {0};
	ErrorData  *error;
	instr_time	start;
	instr_time	duration;

	*next_due = DT_NOEND;
	rollup = next_rollup(schedule, next_due);
	if (!rollup || *next_due > GetCurrentTimestamp())
		return false;

	call.rollup = rollup;
	pgstat_report_activity(STATE_RUNNING, psprintf("folding %s", rollup->name));
	rollup->tried = GetCurrentTimestamp();
	INSTR_TIME_SET_CURRENT(start);
	error = aggwin_attempt(fold, &call);
	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);

	if (error)
	{
		FailureReport report = {.rollup_id = rollup->rollup_id, .message = error->message};

		rollup->tried = GetCurrentTimestamp();
		rollup->failures++;
		(void) aggwin_attempt(record_failure, &report);
	}
	else
	{
		rollup->failures = 0;
		log_fold(rollup, call.folded, duration);
	}
	pgstat_report_stat(call.folded || error != NULL);
	return true;
}
