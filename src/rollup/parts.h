/*
 * parts.h - the tables of a rollup
 */
#ifndef AGGWIN_PARTS_H
#define AGGWIN_PARTS_H

#include "postgres.h"

#include "rollup/catalog.h"

extern void aggwin_create_tables(RollupRow *row, const RollupSpec *spec,
								 const char *state_columns, const char *delta_columns,
								 Oid owner, Datum refresh_interval);
extern void aggwin_create_tier_tables(const RollupRow *row, Tier *tier,
									  const RollupSpec *spec, Oid owner);
extern void aggwin_reserve_pages(Oid relid);

#endif							/* AGGWIN_PARTS_H */
