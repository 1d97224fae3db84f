/*
 * worker.c - the process that keeps the rollups of one database folded
 *
 *	start -> claim the database -> turn -> turn -> ... -> leave
 *						|
 *						+-> leave at once: no extension here, or served already
 *
 * A turn looks whether there is a reason to leave, then folds the one rollup
 * that is due longest, and vacuums one table that needs it; if there is neither,
 * it sleeps. Everything that touches the database is a short transaction of its
 * own (attempt.c), and the process sleeps outside of any: it then holds no lock
 * and no snapshot. It leaves between two turns; only SIGTERM ends a fold
 * half-way, by rolling it back.
 */
#include "postgres.h"

#include "worker/worker.h"

#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "core/guc.h"
#include "core/shmem.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
#include "worker/attempt.h"
#include "worker/registry.h"
#include "worker/schedule.h"
#include "worker/upkeep.h"

typedef struct PinnedSetting
{
	const char *name;
	const char *value;
} PinnedSetting;

/*
 * What ALTER DATABASE … SET or the server's configuration could say, and what
 * would keep folds from working or make them differ from refresh().
 */
static const PinnedSetting pinned_settings[] = {
	{"role", "none"},
	{"search_path", "pg_catalog, pg_temp"},
	{"row_security", "off"},
	{"session_replication_role", "origin"},
	{"default_transaction_isolation", "read committed"},
	{"default_transaction_read_only", "off"},
	{"default_transaction_deferrable", "off"},
	{"statement_timeout", "0"},
	{"idle_in_transaction_session_timeout", "0"},
	{"transaction_timeout", "0"},	/* since PostgreSQL 17 */
	{"vacuum_cost_delay", "0"},	/* folds wait for it */
};

static void
pin(const char *name, const char *value)
{
	if (GetConfigOption(name, true, false))
		SetConfigOption(name, value, PGC_SUSET, PGC_S_SESSION);
}

static void
pin_settings(void)
{
	for (int i = 0; i < lengthof(pinned_settings); i++)
		pin(pinned_settings[i].name, pinned_settings[i].value);
}

static void
follow_lock_timeout(void)
{
	char		value[32];

	snprintf(value, sizeof(value), "%dms", aggwin_lock_timeout);
	pin("lock_timeout", value);
}

/* What makes a worker leave, in the words of its last log line */
typedef struct Leave
{
	const char *reason;			/* NULL to stay */
	bool		come_back;		/* as soon as the database is free again */
} Leave;

static void
look_around(void *arg)
{
	Leave	   *leave = arg;

	if (aggwin_worker_is_launched() && !aggwin_worker_enabled)
		leave->reason = "aggwin.worker_enabled is off";
	else if (aggwin_database_is_wanted(MyDatabaseId))
	{
		leave->reason = "another session waits for the database";
		leave->come_back = true;
	}
	else if (!OidIsValid(get_extension_oid("aggwin", true)))
		leave->reason = "the extension is gone";
}

typedef struct Start
{
	char	   *database_name;
	bool		serves;
} Start;

static void
try_to_serve(void *arg)
{
	Start	   *start = arg;

	start->database_name = MemoryContextStrdup(TopMemoryContext, get_database_name(MyDatabaseId));
	start->serves = OidIsValid(get_extension_oid("aggwin", true)) && aggwin_worker_claim();
}

/*
 * Sleeps until a time, but at most aggwin.worker_naptime. False if the
 * process was asked to terminate.
 */
static bool
sleep_until(TimestampTz wake)
{
	TimestampTz now = GetCurrentTimestamp();

	wake = Min(wake, TimestampTzPlusMilliseconds(now, aggwin_worker_naptime));
	pgstat_report_activity(STATE_IDLE, "");
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 TimestampDifferenceMilliseconds(now, wake), PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);

	if (ProcDiePending)
		return false;

	/* A cancel request that comes while nothing runs has nothing to cancel. */
	QueryCancelPending = false;
	CHECK_FOR_INTERRUPTS();
	return true;
}

/*
 * Takes turns until there is a reason to leave.
 */
static Leave
serve(void)
{
	Leave		leave = {0};
	AggwinSchedule *schedule;
	MemoryContext turn;

	MemoryContextSwitchTo(TopMemoryContext);
	schedule = aggwin_schedule_create();
	turn = AllocSetContextCreate(TopMemoryContext, "aggwin worker turn", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(turn);
	for (;;)
	{
		TimestampTz next_due;
		bool		worked;

		MemoryContextReset(turn);
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			follow_lock_timeout();
		}

		(void) aggwin_attempt(look_around, &leave);
		if (leave.reason)
			return leave;

		aggwin_schedule_read(schedule);
		worked = aggwin_schedule_fold_next(schedule, &next_due);
		worked |= aggwin_schedule_vacuum_next(schedule);
		aggwin_upkeep_if_due();
		if (!worked && !sleep_until(next_due))
		{
			leave.reason = "it was asked to terminate";
			return leave;
		}
	}
}

/*
 * The process. Its argument is the oid of the database to serve; it connects
 * as the bootstrap superuser, and each fold acts as the rollup's owner.
 */
void
aggwin_worker_main(Datum main_arg)
{
	Start		start = {0};
	Leave		leave;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(main_arg), InvalidOid, 0);
	pin_settings();
	follow_lock_timeout();

	if (aggwin_attempt(try_to_serve, &start) != NULL)
		proc_exit(1);
	if (!start.serves)
		proc_exit(0);

	aggwin_shmem_wake_launcher();
	ereport(LOG, (errmsg("aggwin worker of database \"%s\" started", start.database_name)));
	leave = serve();

	/* Between two folds SIGTERM is no error to be logged, but a way to leave. */
	HOLD_INTERRUPTS();
	ereport(LOG, (errmsg("aggwin worker of database \"%s\" ends: %s",
						 start.database_name, leave.reason)));
	if (leave.come_back)
		aggwin_shmem_ask_for_worker(MyDatabaseId);
	proc_exit(0);
}
