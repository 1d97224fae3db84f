/*
 * catalog.h - the tables aggwin.rollup and aggwin.tier, as C sees them
 */
#ifndef AGGWIN_CATALOG_H
#define AGGWIN_CATALOG_H

#include "postgres.h"

#include "core/compat.h"
#include "datatype/timestamp.h"
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
	bool		counts_all;		/* that is in the source, and nothing else */
	bool		drops_late;
} RollupRow;

/* What a fold of a level is to keep and to drop; NULL: no limit. */
typedef struct RollupOptions
{
	bool		drops_late;
	Interval   *lateness;
	Interval   *source_retention;
	Interval   *retention;
} RollupOptions;

/* What a look at the relations of all rollups found. */
typedef struct PartsSeen
{
	bool		any;			/* there are rollups */
	bool		missing;		/* a relation, the source included, is gone */
	bool		other_owner;	/* a relation is not the view's owner's */
} PartsSeen;

extern List *aggwin_rollups_of(Oid source);
extern bool aggwin_find_rollup(int32 rollup_id, RollupRow *row);
extern bool aggwin_find_rollup_of_view(Oid view, RollupRow *row);
extern void aggwin_get_rollup(int32 rollup_id, RollupRow *row);
extern int32 aggwin_rollup_of_view(Oid view, bool must_own);
extern List *aggwin_tiers_of(const RollupRow *row);
extern int	aggwin_level_of_view(int32 rollup_id, Oid view);
pg_noreturn extern void aggwin_refuse_gap(int32 rollup_id, int level);
extern bool aggwin_tiers_are_whole(const RollupRow *row);
extern bool aggwin_rollup_is_whole(const RollupRow *row);
extern PartsSeen aggwin_look_at_parts(void);
extern Oid	aggwin_rollup_owner(const RollupRow *row);
extern void aggwin_rollup_options(int32 rollup_id, int level, RollupOptions *options);
extern RollupNames aggwin_rollup_names(const RollupRow *row);
extern void aggwin_lock_rollup(int32 rollup_id);

#endif							/* AGGWIN_CATALOG_H */
