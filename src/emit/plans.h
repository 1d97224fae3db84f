/*
 * plans.h - running the same statements again and again
 */
#ifndef AGGWIN_EMIT_PLANS_H
#define AGGWIN_EMIT_PLANS_H

#include "postgres.h"

#include "utils/snapshot.h"

extern void aggwin_emit_run(Snapshot snapshot, const char *sql, int expected, int nargs,
							Oid *types, Datum *values, const char *nulls);

#endif							/* AGGWIN_EMIT_PLANS_H */
