/*
 * fold.h - merging what was captured into a rollup's state
 */
#ifndef AGGWIN_FOLD_H
#define AGGWIN_FOLD_H

#include "postgres.h"

#include "rollup/catalog.h"
#include "utils/snapshot.h"

typedef enum FoldResult
{
	FOLD_NOTHING,				/* nothing was to be done, nothing was written */
	FOLD_DONE,
	FOLD_MORE,					/* more is to be done, in another transaction */
} FoldResult;

/* What of the invalid spans a fold repairs. */
typedef enum FoldRepairs
{
	REPAIR_ALL,					/* at once, and an error ends the fold */
	REPAIR_FRESH,				/* a batch of what no repair has failed for */
	REPAIR_AGAIN,				/* and some of what one has failed for */
} FoldRepairs;

extern FoldResult aggwin_fold(int32 rollup_id, int from, int to, FoldRepairs repairs,
							  char **repair_error);

/* For the parts of a fold: ------------------------------------------------ */

/* A fold under way. Datums live in the memory of the SPI connection. */
typedef struct Fold
{
	RollupRow	row;
	Oid			owner;
	RollupSpec *spec;
	RollupNames names;
	Snapshot	snapshot;
	Datum		xip;
	Datum		xmax;
	Datum		watermark;		/* text */
	bool		no_watermark;
	Datum		max_future;
	FoldRepairs to_repair;
	const char *repair_error;	/* the last one, NULL if no repair has failed */
	Datum		watched;		/* 0 if nobody does, see watch.c */
	Datum		seen;
	bool		watched_keys;
	Datum		touched;		/* spans before watched, and changes in each, of which key */
	Datum		changes;
	Datum		keys;

	/* of the level being folded */
	int			level;
	Oid			spans_type;
	Datum		frozen;			/* spans, '{}' if none */
	bool		frozen_nulls;
	Datum		closed;			/* spans, 0 if none */
	Datum		expired;		/* spans, 0 if none */
	int64		rows;			/* folded, those of repairs included */
	int64		late_dropped;
	int64		repairs;
	int64		refused_repairs;
	int64		backfilled;		/* rows of a repair, -1 if there was none */
	int64		to_backfill;	/* about so many rows are left of it */
	bool		more;
	bool		wrote;
} Fold;

extern void aggwin_fold_run(Fold *fold, const char *sql, int expected, int nargs,
							Oid *types, Datum *values, const char *nulls);
extern void aggwin_add_mark(Fold *fold, char kind, int level, Datum spans, bool nulls,
							const char *error);

extern void aggwin_repair(Fold *fold, bool invalid);	/* repair.c */
extern void aggwin_repair_again(Fold *fold);
extern void aggwin_repair_above(Fold *fold);
extern void aggwin_keep_boundaries(Fold *fold); /* retain.c */
extern void aggwin_find_late(Fold *fold);	/* watch.c */
extern void aggwin_log_late(Fold *fold);

#endif							/* AGGWIN_FOLD_H */
