/*
 * shmem.h - the shared memory through which sessions reach the launcher
 *
 * It exists only when the library is preloaded; without it every function
 * here does nothing.
 */
#ifndef AGGWIN_SHMEM_H
#define AGGWIN_SHMEM_H

#include "postgres.h"

/* More databases than this in one go, and the launcher looks at all of them. */
#define AGGWIN_MAX_ASKING 32

extern void aggwin_shmem_request(void);
extern void aggwin_shmem_ask_for_worker(Oid database);
extern void aggwin_shmem_wake_launcher(void);
extern void aggwin_shmem_attach_launcher(void);
extern int	aggwin_shmem_take_asking(Oid *databases, bool *all);

#endif							/* AGGWIN_SHMEM_H */
