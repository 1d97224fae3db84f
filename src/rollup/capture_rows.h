/*
 * capture_rows.h - from the rows of a statement to deltas
 */
#ifndef AGGWIN_CAPTURE_ROWS_H
#define AGGWIN_CAPTURE_ROWS_H

#include "postgres.h"

#include "commands/trigger.h"
#include "rollup/capture_cache.h"
#include "rollup/capture_write.h"

/* What is to become of rows. */
typedef enum RowsUse
{
	ROWS_ADDED,					/* new rows: their deltas */
	ROWS_REMOVED,				/* old rows: deltas that take them away */
	ROWS_CHANGED,				/* new rows: deltas that say where they are */
	ROWS_KEYS					/* new rows: would state take their keys? */
} RowsUse;

/* The event time that a statement touched: whole buckets. */
typedef struct TouchedSpans
{
	Oid			type;
	Datum		spans;
	bool		nulls;
	int64		buckets;
	Datum		keys;			/* text[]: first keys of all rows, 0 if they are not known */
} TouchedSpans;

extern DeltaWriter *aggwin_begin_deltas(RollupCapture *rollup);
extern bool aggwin_rows_cannot_fail(RollupCapture *rollup, TriggerData *trigger,
									Tuplestorestate *rows);
extern bool aggwin_collect_deltas(RollupCapture *rollup, TriggerData *trigger,
								  RowsUse use, DeltaWriter *writer);
extern void aggwin_find_touched(RollupCapture *rollup, TriggerData *trigger,
								bool filtered, TouchedSpans *touched);

#endif							/* AGGWIN_CAPTURE_ROWS_H */
