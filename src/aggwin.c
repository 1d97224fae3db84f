/*
 * aggwin.c - the module's magic block and its start-up
 */
#include "postgres.h"

#include "fmgr.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

/*
 * Runs at server start when the library is preloaded, otherwise the first
 * time that a backend calls one of its functions.
 */
void
_PG_init(void)
{
}
