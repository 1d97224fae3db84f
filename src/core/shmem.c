/*
 * shmem.c - the shared memory through which sessions reach the launcher
 *
 * It holds the databases that ask for a worker until the launcher takes them.
 * A question asked while no launcher runs waits for the next one.
 *
 * Locking: the spinlock covers every field but magic. The launcher's latch is
 * copied under it and set after its release; a latch belongs to a process
 * slot that outlives the process, so setting it too late does no harm.
 */
#include "postgres.h"

#include "core/shmem.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "storage/spin.h"

#define SHARED_NAME "aggwin"
#define SHARED_MAGIC 0x41475731 /* "AGW1" */

typedef struct SharedState
{
	uint32		magic;
	slock_t		mutex;
	Latch	   *launcher;		/* NULL while no launcher runs */
	bool		all;			/* more databases ask than fit below */
	int			nasking;
	Oid			asking[AGGWIN_MAX_ASKING];
} SharedState;

static SharedState *shared = NULL;
static shmem_request_hook_type previous_request_hook = NULL;
static shmem_startup_hook_type previous_startup_hook = NULL;

static void
request_memory(void)
{
	if (previous_request_hook)
		previous_request_hook();
	RequestAddinShmemSpace(MAXALIGN(sizeof(SharedState)));
}

static void
create_or_attach(void)
{
	bool		found;

	if (previous_startup_hook)
		previous_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct(SHARED_NAME, sizeof(SharedState), &found);
	if (!found)
	{
		memset(shared, 0, sizeof(SharedState));
		shared->magic = SHARED_MAGIC;
		SpinLockInit(&shared->mutex);
	}
	LWLockRelease(AddinShmemInitLock);

	if (shared->magic != SHARED_MAGIC)
		elog(FATAL, "shared memory \"%s\" has magic number %X instead of %X",
			 SHARED_NAME, shared->magic, SHARED_MAGIC);
}

/*
 * Asks for the memory; called once, while the library is preloaded.
 */
void
aggwin_shmem_request(void)
{
	previous_request_hook = shmem_request_hook;
	shmem_request_hook = request_memory;
	previous_startup_hook = shmem_startup_hook;
	shmem_startup_hook = create_or_attach;
}

void
aggwin_shmem_wake_launcher(void)
{
	Latch	   *launcher;

	if (!shared)
		return;
	SpinLockAcquire(&shared->mutex);
	launcher = shared->launcher;
	SpinLockRelease(&shared->mutex);
	if (launcher)
		SetLatch(launcher);
}

/*
 * Tells the launcher that a database may need a worker now.
 */
void
aggwin_shmem_ask_for_worker(Oid database)
{
	int			i;

	if (!shared)
		return;
	SpinLockAcquire(&shared->mutex);
	for (i = 0; i < shared->nasking && shared->asking[i] != database; i++)
		;
	if (i == AGGWIN_MAX_ASKING)
		shared->all = true;
	else
	{
		shared->asking[i] = database;
		shared->nasking = Max(shared->nasking, i + 1);
	}
	SpinLockRelease(&shared->mutex);
	aggwin_shmem_wake_launcher();
}

static void
detach_launcher(int code, Datum arg)
{
	SpinLockAcquire(&shared->mutex);
	if (shared->launcher == &MyProc->procLatch)
		shared->launcher = NULL;
	SpinLockRelease(&shared->mutex);
}

/*
 * Makes this process the launcher that the others wake, until it exits.
 */
void
aggwin_shmem_attach_launcher(void)
{
	Assert(shared);
	before_shmem_exit(detach_launcher, 0);
	SpinLockAcquire(&shared->mutex);
	shared->launcher = &MyProc->procLatch;
	SpinLockRelease(&shared->mutex);
}

/*
 * Takes away the databases that ask, at most AGGWIN_MAX_ASKING, and returns
 * their number. *all is set when others that did not fit ask as well.
 */
int
aggwin_shmem_take_asking(Oid *databases, bool *all)
{
	int			n;

	Assert(shared);
	SpinLockAcquire(&shared->mutex);
	n = shared->nasking;
	memcpy(databases, shared->asking, n * sizeof(Oid));
	*all = shared->all;
	shared->nasking = 0;
	shared->all = false;
	SpinLockRelease(&shared->mutex);
	return n;
}
