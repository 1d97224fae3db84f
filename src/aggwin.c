/*
 * aggwin.c - the module's magic block and its start-up
 */
#include "postgres.h"

#include "core/guc.h"
#include "core/shmem.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "worker/launcher.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

/*
 * Runs at server start when the library is preloaded, otherwise the first
 * time that a backend calls one of its functions. Only the former can have
 * shared memory and a launcher.
 */
void
_PG_init(void)
{
	aggwin_define_settings();

	if (!process_shared_preload_libraries_in_progress)
		return;

	aggwin_shmem_request();

	/* pg_upgrade fills databases that nobody must touch meanwhile. */
	if (!IsBinaryUpgrade)
		aggwin_launcher_register();
}
