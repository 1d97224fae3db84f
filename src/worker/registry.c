/*
 * registry.c - which process serves which database
 *
 * There is no list of workers. A worker serves from the moment that its entry
 * in the server's own table of processes carries our name as application_name;
 * it puts the name there while it holds a lock that every would-be worker of
 * the database takes, and only if no other entry carries it. So at most one
 * worker serves a database, with and without the library being preloaded, and
 * a crash leaves nothing behind. The lock ends with the transaction that
 * starts the worker. Should two serve a database all the same, folds exclude
 * each other by locks of their own.
 */
#include "postgres.h"

#include "worker/registry.h"

#include <signal.h>

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "core/compat.h"
#include "core/shmem.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/backend_status.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define WORKER_TYPE "aggwin worker"
#define SERVING_NAME "aggwin worker"

/* How long start_worker() and stop_worker() wait for what they asked for */
#define PATIENCE_MS 10000
#define POLL_MS 20

PG_FUNCTION_INFO_V1(aggwin_start_worker);
PG_FUNCTION_INFO_V1(aggwin_stop_worker);
PG_FUNCTION_INFO_V1(aggwin_announce);

/*
 * Registers a new process that is to serve the database. It tells the calling
 * process when it starts and ends, and is never restarted by the server.
 * False if no process slot is free.
 */
bool
aggwin_worker_start(Oid database, const char *database_name, bool launched,
					BackgroundWorkerHandle **handle)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	snprintf(worker.bgw_library_name, BGW_MAXLEN, "aggwin");
	snprintf(worker.bgw_function_name, BGW_MAXLEN, "aggwin_worker_main");
	snprintf(worker.bgw_name, BGW_MAXLEN, "aggwin worker of %s", database_name);
	snprintf(worker.bgw_type, BGW_MAXLEN, WORKER_TYPE);
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	memcpy(worker.bgw_extra, &launched, sizeof(launched));
	worker.bgw_notify_pid = MyProcPid;

	return RegisterDynamicBackgroundWorker(&worker, handle);
}

/*
 * Whether the launcher started this worker, rather than start_worker().
 */
bool
aggwin_worker_is_launched(void)
{
	bool		launched;

	memcpy(&launched, MyBgworkerEntry->bgw_extra, sizeof(launched));
	return launched;
}

/*
 * The process id of the worker that serves the database, 0 if there is none.
 */
int
aggwin_worker_find(Oid database)
{
	int			pid = 0;
	int			count;

	/* The table is copied once and then kept, but only the present counts. */
	pgstat_clear_backend_activity_snapshot();
	count = pgstat_fetch_stat_numbackends();
	for (int i = 1; i <= count && pid == 0; i++)
	{
		PgBackendStatus *entry = &compat_backend_status(i)->backendStatus;
		const char *type;

		if (entry->st_procpid <= 0 || entry->st_databaseid != database ||
			entry->st_backendType != B_BG_WORKER ||
			strcmp(entry->st_appname, SERVING_NAME) != 0)
			continue;
		type = GetBackgroundWorkerTypeByPid(entry->st_procpid);
		if (type && strcmp(type, WORKER_TYPE) == 0)
			pid = entry->st_procpid;
	}
	pgstat_clear_backend_activity_snapshot();
	return pid;
}

/*
 * Makes this process the one that serves its database, unless another does or
 * the extension is not there. Needs a transaction.
 */
bool
aggwin_worker_claim(void)
{
	Oid			schema = get_namespace_oid("aggwin", true);
	Oid			rollups = OidIsValid(schema) ? get_relname_relid("rollup", schema) : InvalidOid;

	/* Dropped since */
	if (!OidIsValid(rollups))
		return false;

	/* Object 0 is none of the rollups, whose own locks are of this class too. */
	LockDatabaseObject(rollups, InvalidOid, 0, ExclusiveLock);
	if (aggwin_worker_find(MyDatabaseId) != 0)
		return false;
	SetConfigOption("application_name", SERVING_NAME, PGC_USERSET, PGC_S_SESSION);
	return true;
}

/*
 * Whether somebody holds or awaits the database for himself, as DROP, RENAME,
 * SET TABLESPACE and use as a template do. Needs a transaction.
 *
 * Takes the lock that every session takes when it connects, if it is free.
 */
bool
aggwin_database_is_wanted(Oid database)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, database, 0);
	if (LockAcquire(&tag, RowExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		return true;
	LockRelease(&tag, RowExclusiveLock, false);
	return false;
}

static void
nap(void)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 POLL_MS, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * start_worker() -> int
 *
 * The process id of the worker that serves this database, started if there
 * was none. Errors: during recovery, no process slot free, or the worker
 * ended at once (the extension's creation is not committed yet, or what the
 * server log says).
 */
Datum
aggwin_start_worker(PG_FUNCTION_ARGS)
{
	BackgroundWorkerHandle *handle;
	TimestampTz deadline;
	int			pid = aggwin_worker_find(MyDatabaseId);

	if (pid != 0)
		PG_RETURN_INT32(pid);

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a worker cannot be started during recovery"),
				 errhint("Call aggwin.start_worker() on the primary server, or after promotion.")));
	if (!aggwin_worker_start(MyDatabaseId, get_database_name(MyDatabaseId), false, &handle))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
				 errmsg("all worker processes are in use"),
				 errhint("Raise max_worker_processes and restart the server.")));

	deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), PATIENCE_MS);
	for (;;)
	{
		pid_t		starting;
		bool		ended = GetBackgroundWorkerPid(handle, &starting) == BGWH_STOPPED;

		/* Possibly another one, because of which ours has ended. */
		pid = aggwin_worker_find(MyDatabaseId);
		if (pid != 0)
			PG_RETURN_INT32(pid);
		if (ended || GetCurrentTimestamp() >= deadline)
			break;
		nap();
	}

	TerminateBackgroundWorker(handle);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the worker of database \"%s\" did not begin to serve",
					get_database_name(MyDatabaseId)),
			 errhint("Commit CREATE EXTENSION first; otherwise see the server log.")));
}

/*
 * stop_worker() -> boolean
 *
 * Ends the worker that serves this database, in the middle of a fold too, and
 * waits until it is gone. False if there is none, and with a warning if it
 * did not end in time.
 */
Datum
aggwin_stop_worker(PG_FUNCTION_ARGS)
{
	int			pid = aggwin_worker_find(MyDatabaseId);
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), PATIENCE_MS);

	/* ESRCH: it has ended by itself meanwhile */
	if (pid == 0 || (kill(pid, SIGTERM) != 0 && errno == ESRCH))
		PG_RETURN_BOOL(false);

	while (aggwin_worker_find(MyDatabaseId) == pid)
	{
		if (GetCurrentTimestamp() >= deadline)
		{
			ereport(WARNING,
					(errmsg("worker %d did not end within %d seconds", pid, PATIENCE_MS / 1000)));
			PG_RETURN_BOOL(false);
		}
		nap();
	}
	PG_RETURN_BOOL(true);
}

static bool announcing = false;

/*
 * A savepoint that is rolled back does not take the announcement back: the
 * launcher then looks for an extension that is not there, once.
 */
static void
announce_at_commit(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT && announcing)
		aggwin_shmem_ask_for_worker(MyDatabaseId);
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
		announcing = false;
}

/*
 * _announce() -> void: asks for a worker when this transaction commits.
 */
Datum
aggwin_announce(PG_FUNCTION_ARGS)
{
	static bool registered = false;

	if (!registered)
		RegisterXactCallback(announce_at_commit, NULL);
	registered = true;
	announcing = true;
	PG_RETURN_VOID();
}
