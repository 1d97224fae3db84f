/*
 * plans.h - running the same statements again and again
 */
#ifndef AGGWIN_EMIT_PLANS_H
#define AGGWIN_EMIT_PLANS_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "utils/snapshot.h"
#include "utils/tuplestore.h"

extern void aggwin_emit_run(Snapshot snapshot, const char *sql, int expected, int nargs,
							Oid *types, Datum *values, const char *nulls);
extern bool aggwin_emit_read(const char *sql, int nargs, Oid *types, Datum *values,
							 TupleDesc wanted, Tuplestorestate *rows);

#endif							/* AGGWIN_EMIT_PLANS_H */
