/*
 * schedule.c - which tier of which rollup a worker folds next, and when
 *
 * The windows over a rollup are an entry of their own, due after each fold of
 * its base, when there is least to be read that is not folded, and at least once
 * in a period or refresh_interval, whichever is shorter.
 *
 * The tiers and their intervals are read from the catalog again and again;
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
 * A repair that was done in part goes on without a pause. Of the tiers that are
 * due, the one due longest is first, so none is starved by others that are
 * always due.
 */
#include "postgres.h"

#include "worker/schedule.h"

#include <math.h>

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "core/guc.h"
#include "core/spi_util.h"
#include "emit/step.h"
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
#include "worker/vacuum.h"

/* Between two folds of a rollup, whatever its refresh interval says */
#define MIN_PAUSE_MS 10.0

/* The least pause after a failure */
#define MIN_BACKOFF_MS 1000.0

/* A pause is at least the age of the oldest snapshot divided by this. */
#define SNAPSHOT_AGE_SHARE 20

/* Keeps times in range when an interval is absurdly long or infinite */
#define MAX_PAUSE_MS (1000.0 * SECS_PER_DAY * 365)

/* Stands for the windows over a rollup, instead of a level. */
#define WINDOWS (-1)

/* The hash key */
typedef struct TierKey
{
	int32		rollup_id;
	int32		level;			/* or WINDOWS */
} TierKey;

typedef struct ScheduledTier
{
	TierKey		key;
	char	   *name;			/* of the rollup's view, as SQL would write it */
	double		interval_ms;
	TimestampTz tried;			/* start of the last fold, end of a failed one */
	int			failures;		/* in a row */
	bool		repair_left;	/* a repair has failed, or may have */
	TimestampTz repair_tried;	/* end of the last that failed */
	int			repair_failures;	/* in a row */
	bool		more;			/* a repair goes on, so do not wait */
	bool		listed;			/* found by the latest reading */
} ScheduledTier;

struct AggwinSchedule
{
	HTAB	   *tiers;
	int			failures;		/* of reading the catalog, in a row */
	double		snapshot_age_ms;	/* of the oldest in this database */
	TimestampTz read_at;		/* when it was last read, or tried to be */
	AggwinVacuum *vacuum;
};

AggwinSchedule *
aggwin_schedule_create(void)
{
	AggwinSchedule *schedule = palloc0(sizeof(AggwinSchedule));
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(TierKey);
	ctl.entrysize = sizeof(ScheduledTier);
	ctl.hcxt = CurrentMemoryContext;
	schedule->tiers = hash_create("aggwin schedule", 64, &ctl,
									HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	schedule->vacuum = aggwin_vacuum_create();
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
due_at(const AggwinSchedule *schedule, const ScheduledTier *tier, TimestampTz now)
{
	double		pause = pause_ms(tier->interval_ms, tier->failures);
	double		stretched = Min(schedule->snapshot_age_ms / SNAPSHOT_AGE_SHARE,
								aggwin_max_backoff * 1000.0);

	if (tier->more && tier->failures == 0)
		return Min(tier->tried, now);
	if (tier->key.level == WINDOWS)
		return due_after(tier->tried, pause, now);
	return due_after(tier->tried, Max(pause, stretched), now);
}

static void
note_tier(AggwinSchedule *schedule, HeapTuple row, TupleDesc columns)
{
	ScheduledTier *tier;
	bool		isnull;
	bool		found;
	TierKey		key = {
		.rollup_id = DatumGetInt32(SPI_getbinval(row, columns, 1, &isnull)),
		.level = DatumGetInt32(SPI_getbinval(row, columns, 4, &isnull)),
	};
	char	   *name = SPI_getvalue(row, columns, 2);

	tier = hash_search(schedule->tiers, &key, HASH_ENTER, &found);
	if (!found)
	{
		tier->name = NULL;
		tier->tried = 0;
		tier->failures = 0;
		tier->repair_left = true;
		tier->repair_tried = 0;
		tier->repair_failures = 0;
		tier->more = false;
	}
	if (!tier->name || strcmp(tier->name, name) != 0)
	{
		if (tier->name)
			pfree(tier->name);
		tier->name = MemoryContextStrdup(GetMemoryChunkContext(schedule), name);
	}
	tier->interval_ms = DatumGetFloat8(SPI_getbinval(row, columns, 3, &isnull));
	tier->listed = true;
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
	ScheduledTier *tier;

	if (!lock_catalog())
		return;

	PushActiveSnapshot(GetTransactionSnapshot());
	aggwin_spi_connect();
	aggwin_spi_run("SELECT r.rollup_id, coalesce(t.view, r.view)::text,"
				   " (extract(epoch FROM t.refresh_interval) * 1000)::float8, t.level::int"
				   " FROM aggwin.rollup AS r"
				   " JOIN aggwin.tier AS t USING (rollup_id)"
				   " WHERE NOT r.paused"
				   " UNION ALL"
				   " SELECT r.rollup_id, r.view::text,"
				   " (extract(epoch FROM min(least(w.period, b.refresh_interval))) * 1000)::float8, -1"
				   " FROM aggwin.window AS w"
				   " JOIN aggwin.tier AS t ON t.view = w.rollup OR"
				   " t.level = 0 AND t.rollup_id = (SELECT o.rollup_id FROM aggwin.rollup AS o WHERE o.view = w.rollup)"
				   " JOIN aggwin.rollup AS r USING (rollup_id)"
				   " JOIN aggwin.tier AS b ON b.rollup_id = r.rollup_id AND b.level = 0"
				   " GROUP BY r.rollup_id, r.view", SPI_OK_SELECT);

	hash_seq_init(&scan, schedule->tiers);
	while ((tier = hash_seq_search(&scan)) != NULL)
		tier->listed = false;
	for (uint64 i = 0; i < SPI_processed; i++)
		note_tier(schedule, SPI_tuptable->vals[i], SPI_tuptable->tupdesc);
	hash_seq_init(&scan, schedule->tiers);
	while ((tier = hash_seq_search(&scan)) != NULL)
	{
		if (!tier->listed)
		{
			pfree(tier->name);
			hash_search(schedule->tiers, &tier->key, HASH_REMOVE, NULL);
		}
	}

	schedule->snapshot_age_ms = read_snapshot_age();
	aggwin_vacuum_look(schedule->vacuum, schedule->snapshot_age_ms);
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
static ScheduledTier *
next_tier(AggwinSchedule *schedule, TimestampTz *due)
{
	TimestampTz now = GetCurrentTimestamp();
	ScheduledTier *next = NULL;
	ScheduledTier *tier;
	HASH_SEQ_STATUS scan;

	hash_seq_init(&scan, schedule->tiers);
	while ((tier = hash_seq_search(&scan)) != NULL)
	{
		TimestampTz this_due = due_at(schedule, tier, now);

		if (!next || this_due < *due)
		{
			next = tier;
			*due = this_due;
		}
	}
	return next;
}

typedef struct FoldCall
{
	const ScheduledTier *tier;
	MemoryContext turn;
	FoldRepairs repairs;
	FoldResult	result;
	char	   *repair_error;
} FoldCall;

static void
name_tier(void *arg)
{
	const ScheduledTier *tier = arg;

	if (tier->key.level == WINDOWS)
		errcontext("closing windows over rollup %s", tier->name);
	else
		errcontext("folding rollup %s", tier->name);
}

static FoldResult
close_windows(int32 rollup_id)
{
	bool		more;
	int64		published = aggwin_close_windows_of(rollup_id, &more);

	return more ? FOLD_MORE : published > 0 ? FOLD_DONE : FOLD_NOTHING;
}

static void
fold(void *arg)
{
	FoldCall   *call = arg;
	ErrorContextCallback context;
	char	   *repair_error;

	if (!lock_catalog())
		return;
	context.previous = error_context_stack;
	context.callback = name_tier;
	context.arg = unconstify(ScheduledTier *, call->tier);
	error_context_stack = &context;
	if (call->tier->key.level == WINDOWS)
	{
		call->result = close_windows(call->tier->key.rollup_id);
		error_context_stack = context.previous;
		return;
	}
	call->result = aggwin_fold(call->tier->key.rollup_id, call->tier->key.level,
							   call->tier->key.level, call->repairs, &repair_error);
	if (repair_error)
		call->repair_error = MemoryContextStrdup(call->turn, repair_error);
	error_context_stack = context.previous;
}

typedef struct FailureReport
{
	TierKey		key;
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
	Oid			types[] = {INT4OID, TEXTOID, INT4OID};
	Datum		values[] = {Int32GetDatum(report->key.rollup_id),
	CStringGetTextDatum(report->message), Int32GetDatum(report->key.level)};

	if (!lock_catalog())
		return;
	PushActiveSnapshot(GetTransactionSnapshot());
	aggwin_spi_connect();
	if (report->key.level == WINDOWS)
		aggwin_windows_failed(report->key.rollup_id, report->message);
	else
		aggwin_spi_run_args("WITH counted AS (UPDATE aggwin.tier SET failures = failures + 1, last_error_at = now()"
						" WHERE rollup_id = $1 AND level = $3 RETURNING rollup_id, level)"
						" INSERT INTO aggwin.failure (rollup_id, level, error)"
						" SELECT rollup_id, level, $2 FROM counted"
						" ON CONFLICT (rollup_id, level) DO UPDATE SET error = excluded.error",
						SPI_OK_INSERT, 3, types, values, NULL);
	aggwin_spi_finish();
	PopActiveSnapshot();
}

static void
report_failure(const ScheduledTier *tier, const char *message)
{
	FailureReport report = {.key = tier->key, .message = message};

	(void) aggwin_attempt(record_failure, &report);
}

/*
 * What could not be repaired waits longer and longer, as a failed fold does,
 * and holds up nothing else.
 */
static bool
repair_is_due(const ScheduledTier *tier)
{
	TimestampTz now = GetCurrentTimestamp();

	return tier->repair_left &&
		due_after(tier->repair_tried, pause_ms(tier->interval_ms, tier->repair_failures), now) <= now;
}

static void
log_fold(const ScheduledTier *tier, bool folded, instr_time duration)
{
	double		ms = INSTR_TIME_GET_MILLISEC(duration);

	if (aggwin_log_min_fold_duration < 0 || ms < aggwin_log_min_fold_duration)
		return;

	/* At zero everything is logged, but not that there was nothing to do. */
	if (!folded && aggwin_log_min_fold_duration == 0)
		return;
	if (tier->key.level == WINDOWS)
		ereport(LOG, (errmsg("closed windows over rollup %s in %.3f ms", tier->name, ms)));
	else
		ereport(LOG, (errmsg("folded rollup %s in %.3f ms", tier->name, ms)));
}

/* The windows over a rollup whose base has been folded are due. */
static void
windows_are_due(AggwinSchedule *schedule, const ScheduledTier *base)
{
	TierKey		key = {.rollup_id = base->key.rollup_id, .level = WINDOWS};
	ScheduledTier *windows = hash_search(schedule->tiers, &key, HASH_FIND, NULL);

	if (windows && windows->failures == 0)
		windows->tried = 0;
}

/*
 * Folds the rollup that is due longest. If none is due, returns false and the
 * time when the first will be, DT_NOEND without any rollup.
 */
bool
aggwin_schedule_fold_next(AggwinSchedule *schedule, TimestampTz *next_due)
{
	ScheduledTier *tier;
	FoldCall	call = {0};
	ErrorData  *error;
	instr_time	start;
	instr_time	duration;

	*next_due = DT_NOEND;
	tier = next_tier(schedule, next_due);
	if (!tier || *next_due > GetCurrentTimestamp())
		return false;

	call.tier = tier;
	call.turn = CurrentMemoryContext;
	call.repairs = repair_is_due(tier) ? REPAIR_AGAIN : REPAIR_FRESH;
	pgstat_report_activity(STATE_RUNNING, psprintf(tier->key.level == WINDOWS ?
												   "closing windows over %s" : "folding %s", tier->name));
	tier->tried = GetCurrentTimestamp();
	INSTR_TIME_SET_CURRENT(start);
	error = aggwin_attempt(fold, &call);
	INSTR_TIME_SET_CURRENT(duration);
	INSTR_TIME_SUBTRACT(duration, start);

	if (error)
	{
		tier->tried = GetCurrentTimestamp();
		tier->failures++;
		report_failure(tier, error->message);
	}
	else
	{
		tier->failures = 0;
		tier->more = call.result == FOLD_MORE;
		if (call.repair_error)
		{
			tier->repair_left = true;
			tier->repair_tried = GetCurrentTimestamp();
			tier->repair_failures++;
			report_failure(tier, call.repair_error);
		}
		else if (call.repairs == REPAIR_AGAIN)
		{
			tier->repair_left = call.result == FOLD_MORE;
			tier->repair_failures = 0;
		}
		log_fold(tier, call.result != FOLD_NOTHING, duration);
		if (tier->key.level == 0)
			windows_are_due(schedule, tier);
	}
	pgstat_report_stat(call.result != FOLD_NOTHING || error != NULL);
	return true;
}

/*
 * Vacuums one table of a rollup, if one was found to need it.
 */
bool
aggwin_schedule_vacuum_next(AggwinSchedule *schedule)
{
	return aggwin_vacuum_next(schedule->vacuum);
}
