/*
 * launcher.c - the process that gives each database with aggwin a worker
 *
 * Whether a database has the extension can only be seen from inside it, so the
 * launcher starts a worker there and lets that look: it leaves at once where
 * there is none. This is done for every database when the server starts and
 * every aggwin.launcher_naptime from then on (restored and copied databases
 * come without a word), right away for a database that asks: after CREATE
 * EXTENSION has committed, or when a worker has made room for somebody; and
 * soon for a database whose worker has ended without a word.
 *
 * Words: a process is unsettled from its start until it serves or has ended.
 * There is never more than one unsettled process, so that probing takes one
 * of the server's worker processes, however many databases there are.
 *
 * The launcher is connected to no database. It sleeps outside of any
 * transaction and holds no lock then. If it fails, the server restarts it; it
 * then does not know the workers of its predecessor, but sees them serve.
 */
#include "postgres.h"

#include "worker/launcher.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "core/compat.h"
#include "core/guc.h"
#include "core/shmem.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
#include "worker/registry.h"

#define RESTART_S 5

/* Before the next try when a database is locked, or no process slot is free */
#define RETRY_LOCKED_MS 1000
#define RETRY_FULL_MS 10000
#define REPEAT_FULL_MS 600000

/* A process that has neither served nor ended by then no longer holds up others */
#define SETTLE_MS 10000
#define SETTLE_POLL_MS 100

typedef struct Database
{
	Oid			oid;			/* the hash key */
	NameData	name;
	BackgroundWorkerHandle *handle; /* NULL unless our process may be alive */
	TimestampTz started;		/* the latest process, or seen served by another */
	TimestampTz not_before;
	TimestampTz lost;			/* when our process that served it was gone, or 0 */
	bool		served;			/* by our latest process */
	bool		asks;			/* wants a process as soon as it has none */
	bool		listed;			/* in pg_database when that was last read */
} Database;

static HTAB *databases;
static Database *unsettled = NULL;
static TimestampTz list_due = 0;
static TimestampTz said_full = 0;	/* when it last said that no process is free */

void
aggwin_launcher_register(void)
{
	BackgroundWorker launcher;

	memset(&launcher, 0, sizeof(launcher));
	launcher.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	launcher.bgw_start_time = BgWorkerStart_RecoveryFinished;
	launcher.bgw_restart_time = RESTART_S;
	snprintf(launcher.bgw_library_name, BGW_MAXLEN, "aggwin");
	snprintf(launcher.bgw_function_name, BGW_MAXLEN, "aggwin_launcher_main");
	snprintf(launcher.bgw_name, BGW_MAXLEN, "aggwin launcher");
	snprintf(launcher.bgw_type, BGW_MAXLEN, "aggwin launcher");
	RegisterBackgroundWorker(&launcher);
}

static void
forget(Database *database)
{
	if (unsettled == database)
		unsettled = NULL;
	if (database->handle)
		pfree(database->handle);
	hash_search(databases, &database->oid, HASH_REMOVE, NULL);
}

/*
 * Templates are left out: nothing is inserted there, and a session in one is
 * in the way of CREATE DATABASE.
 */
static bool
may_have_worker(Form_pg_database row)
{
	return row->datallowconn && !row->datistemplate &&
		row->datconnlimit != DATCONNLIMIT_INVALID_DB;
}

static void
list_databases(void)
{
	HASH_SEQ_STATUS entries;
	Database   *database;
	Relation	relation;
	TableScanDesc scan;
	HeapTuple	tuple;
	bool		found;

	hash_seq_init(&entries, databases);
	while ((database = hash_seq_search(&entries)) != NULL)
		database->listed = false;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	relation = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(relation, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database row = (Form_pg_database) GETSTRUCT(tuple);

		if (!may_have_worker(row))
			continue;
		database = hash_search(databases, &row->oid, HASH_ENTER, &found);
		if (!found)
		{
			memset(database, 0, sizeof(Database));
			database->oid = row->oid;
		}
		database->name = row->datname;
		database->listed = true;
	}
	table_endscan(scan);
	table_close(relation, AccessShareLock);
	CommitTransactionCommand();

	hash_seq_init(&entries, databases);
	while ((database = hash_seq_search(&entries)) != NULL)
	{
		if (!database->listed)
			forget(database);
	}
}

/*
 * Notes which processes have ended or settled.
 */
static void
check_processes(TimestampTz now)
{
	HASH_SEQ_STATUS entries;
	Database   *database;
	pid_t		pid;

	hash_seq_init(&entries, databases);
	while ((database = hash_seq_search(&entries)) != NULL)
	{
		if (database->handle &&
			GetBackgroundWorkerPid(database->handle, &pid) == BGWH_STOPPED)
		{
			pfree(database->handle);
			database->handle = NULL;
			database->lost = database->served ? now : 0;
		}
	}

	if (unsettled && unsettled->handle && aggwin_worker_find(unsettled->oid) != 0)
	{
		unsettled->served = true;
		unsettled = NULL;
	}
	if (unsettled &&
		(!unsettled->handle ||
		 now > TimestampTzPlusMilliseconds(unsettled->started, SETTLE_MS)))
		unsettled = NULL;
}

/*
 * When a database may get its next process, DT_NOEND while it has one.
 */
static TimestampTz
due_at(const Database *database, TimestampTz now)
{
	TimestampTz due;

	if (database->handle)
		return DT_NOEND;
	due = TimestampTzPlusMilliseconds(database->started, aggwin_launcher_naptime * INT64CONST(1000));
	if (database->lost != 0)
		due = Min(due, TimestampTzPlusMilliseconds(database->lost, RESTART_S * 1000));

	/* Times ahead of now were taken before the clock was set back. */
	if (database->asks || database->started > now)
		due = 0;
	return Max(due, Min(database->not_before, TimestampTzPlusMilliseconds(now, RETRY_FULL_MS)));
}

/*
 * The database that is due first, the ones that ask before all others.
 */
static Database *
next_database(TimestampTz now)
{
	HASH_SEQ_STATUS entries;
	Database   *database;
	Database   *next = NULL;

	hash_seq_init(&entries, databases);
	while ((database = hash_seq_search(&entries)) != NULL)
	{
		if (!next || due_at(database, now) < due_at(next, now))
			next = database;
	}
	return next;
}

/*
 * Whether the database can be connected to at once. A process started while
 * it is being dropped would wait for that, and then fail with a message that
 * says nothing to anybody.
 */
static bool
is_free(Oid database)
{
	bool		wanted;

	StartTransactionCommand();
	wanted = aggwin_database_is_wanted(database);
	CommitTransactionCommand();
	return !wanted;
}

static void
complain_full(const Database *database, TimestampTz now)
{
	if (now < TimestampTzPlusMilliseconds(said_full, REPEAT_FULL_MS) && now >= said_full)
		return;
	said_full = now;
	ereport(LOG,
			(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
			 errmsg("no worker process is free for database \"%s\"", NameStr(database->name)),
			 errdetail("The launcher goes on trying, for other databases as well."),
			 errhint("Raise max_worker_processes and restart the server.")));
}

static void
start_process(Database *database, TimestampTz now)
{
	MemoryContext caller;

	if (aggwin_worker_find(database->oid) != 0)
	{
		/* Served by a process that another has started. */
		database->started = now;
		database->lost = 0;
		database->asks = false;
		return;
	}
	if (!is_free(database->oid))
	{
		/* Look then whether it still exists. */
		database->not_before = TimestampTzPlusMilliseconds(now, RETRY_LOCKED_MS);
		list_due = Min(list_due, database->not_before);
		return;
	}

	caller = MemoryContextSwitchTo(TopMemoryContext);
	if (aggwin_worker_start(database->oid, NameStr(database->name), true, &database->handle))
	{
		database->started = now;
		database->lost = 0;
		database->served = false;
		database->asks = false;
		unsettled = database;
	}
	else
	{
		database->not_before = TimestampTzPlusMilliseconds(now, RETRY_FULL_MS);
		complain_full(database, now);
	}
	MemoryContextSwitchTo(caller);
}

/*
 * Takes what others have asked for. True if anybody did.
 */
static bool
hear_requests(void)
{
	Oid			asking[AGGWIN_MAX_ASKING];
	bool		all;
	int			n = aggwin_shmem_take_asking(asking, &all);
	HASH_SEQ_STATUS entries;
	Database   *database;

	if (n == 0 && !all)
		return false;

	/* One that asks may be too young to be known. */
	list_databases();
	for (int i = 0; i < n; i++)
	{
		database = hash_search(databases, &asking[i], HASH_FIND, NULL);
		if (database)
			database->asks = true;
	}
	if (all)
	{
		hash_seq_init(&entries, databases);
		while ((database = hash_seq_search(&entries)) != NULL)
			database->asks = true;
	}
	return true;
}

/*
 * One look at everything. Returns the time of the next.
 */
static TimestampTz
turn(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz period = aggwin_launcher_naptime * USECS_PER_SEC;
	Database   *next;

	check_processes(now);
	if (hear_requests())
		list_due = now + period;
	else if (now >= list_due || list_due > now + period)
	{
		list_databases();
		list_due = now + period;
	}

	while (!unsettled)
	{
		next = next_database(now);
		if (!next)
			return list_due;
		if (due_at(next, now) > now)
			return Min(list_due, due_at(next, now));
		start_process(next, now);
	}

	/* Its end and its first service wake us; this is for what else may be. */
	return TimestampTzPlusMilliseconds(now, SETTLE_POLL_MS);
}

/*
 * Switched back on, every database may want a worker at once.
 */
static void
reload(void)
{
	bool		was_enabled = aggwin_worker_enabled;
	HASH_SEQ_STATUS entries;
	Database   *database;

	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	if (was_enabled || !aggwin_worker_enabled)
		return;
	hash_seq_init(&entries, databases);
	while ((database = hash_seq_search(&entries)) != NULL)
		database->asks = true;
}

void
aggwin_launcher_main(Datum main_arg)
{
	HASHCTL		ctl = {0};
	MemoryContext context;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	aggwin_shmem_attach_launcher();

	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(Database);
	databases = hash_create("aggwin databases", 64, &ctl, HASH_ELEM | HASH_BLOBS);
	context = AllocSetContextCreate(TopMemoryContext, "aggwin launcher turn",
									ALLOCSET_DEFAULT_SIZES);
	for (;;)
	{
		TimestampTz now;
		TimestampTz wake = DT_NOEND;
		long		ms = -1;

		MemoryContextSwitchTo(context);
		MemoryContextReset(context);
		if (ConfigReloadPending)
			reload();
		if (aggwin_worker_enabled)
			wake = turn();

		now = GetCurrentTimestamp();
		if (wake != DT_NOEND)
			ms = TimestampDifferenceMilliseconds(now, wake);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (ms < 0 ? 0 : WL_TIMEOUT),
						 ms, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);

		/* Not an error; with this exit code the server starts another one. */
		if (ProcDiePending)
			proc_exit(1);
		CHECK_FOR_INTERRUPTS();
	}
}
