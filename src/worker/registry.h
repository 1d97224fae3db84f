/*
 * registry.h - which process serves which database
 */
#ifndef AGGWIN_REGISTRY_H
#define AGGWIN_REGISTRY_H

#include "postgres.h"

#include "postmaster/bgworker.h"

extern bool aggwin_worker_start(Oid database, const char *database_name,
								bool launched, BackgroundWorkerHandle **handle);
extern int	aggwin_worker_find(Oid database);
extern bool aggwin_worker_claim(void);
extern bool aggwin_worker_is_launched(void);
extern bool aggwin_database_is_wanted(Oid database);

#endif							/* AGGWIN_REGISTRY_H */
