/*
 * worker.h - the launcher, and the worker of each database
 */
#ifndef AGGWIN_WORKER_H
#define AGGWIN_WORKER_H

#include "postgres.h"

#include "postmaster/bgworker.h"

extern void aggwin_launcher_register(void);
extern PGDLLEXPORT void aggwin_launcher_main(Datum main_arg);
extern PGDLLEXPORT void aggwin_worker_main(Datum main_arg);

/* registry.c */
extern bool aggwin_worker_start(Oid database, const char *database_name,
								bool launched, BackgroundWorkerHandle **handle);
extern int	aggwin_worker_find(Oid database);
extern bool aggwin_worker_claim(void);
extern bool aggwin_worker_is_launched(void);
extern bool aggwin_database_is_wanted(Oid database);

/* attempt.c */
extern ErrorData *aggwin_attempt(void (*step) (void *), void *arg);

#endif							/* AGGWIN_WORKER_H */
