/*
 * catalog.h - the table aggwin.rollup, as C sees it
 */
#ifndef AGGWIN_CATALOG_H
#define AGGWIN_CATALOG_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "rollup/sql.h"

typedef struct RollupRow
{
	int32		rollup_id;
	Oid			view;
	Oid			source;
	Oid			definition;
	Oid			state;
	Oid			delta;
	Oid			invalid;
} RollupRow;

extern List *aggwin_rollups_of(Oid source);
extern bool aggwin_find_rollup(int32 rollup_id, RollupRow *row);
extern int32 aggwin_rollup_of_view(Oid view, bool must_own);
extern bool aggwin_rollup_is_whole(const RollupRow *row);
extern Oid	aggwin_rollup_owner(const RollupRow *row);
extern RollupNames aggwin_rollup_names(const RollupRow *row);
extern void aggwin_lock_rollup(int32 rollup_id);

#endif							/* AGGWIN_CATALOG_H */
