/*
 * capture_cache.h - what a backend knows about the rollups of a table
 */
#ifndef AGGWIN_CAPTURE_CACHE_H
#define AGGWIN_CAPTURE_CACHE_H

#include "postgres.h"

#include "executor/spi.h"
#include "nodes/execnodes.h"
#include "rollup/catalog.h"
#include "rollup/infallible.h"
#include "utils/plancache.h"

/* The row path's expressions, executable. */
typedef struct RowExpressions
{
	ExprContext *econtext;
	ExprState **states;
} RowExpressions;

/* One rollup, ready to capture for. */
typedef struct RollupCapture
{
	RollupRow	row;
	Oid			owner;
	char	   *name;			/* of its view, for messages */
	RollupSpec *spec;
	Bitmapset  *read;			/* attribute numbers of the table it reads */
	bool		subtracts;		/* changes become deltas, too */
	bool		varlena_keys;	/* which may be too wide for the index */
	int			columns;		/* of a delta, after captured_at and xid */
	Oid		   *types;			/* of these columns */

	/* Plans are made when first needed. */
	SPIPlanPtr	batch;
	SPIPlanPtr	batch_of_old;
	SPIPlanPtr	touched_by_update;
	SPIPlanPtr	touched_by_delete;

	/* The row path: an expression a column, then whether the row counts. */
	bool		builtin_only;	/* calls nothing that a user has written */
	bool		depends_on_settings;	/* which must be pinned then */
	bool		custom_types;	/* mentions types that a user has made */
	CachedExpression *cached;
	RowExpressions *kept;		/* NULL unless builtin_only */
	Infallible	infallible;		/* rows that need no attempt */
} RollupCapture;

/* What captures the changes of a table: a source, or a partition of one. */
typedef struct SourceCapture
{
	Oid			table;			/* hash key */
	bool		valid;
	bool		building;
	int			in_use;
	MemoryContext context;
	List	   *ancestors;		/* OIDs of what the table is a partition of */
	List	   *rollups;		/* RollupCapture *, those of ancestors included */
} SourceCapture;

extern SourceCapture *aggwin_source_capture(Oid table);
extern RowExpressions *aggwin_row_expressions(RollupCapture *rollup);

#endif							/* AGGWIN_CAPTURE_CACHE_H */
