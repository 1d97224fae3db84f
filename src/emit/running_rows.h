/*
 * running_rows.h - the rows of panes: read, packed, unpacked
 */
#ifndef AGGWIN_EMIT_RUNNING_ROWS_H
#define AGGWIN_EMIT_RUNNING_ROWS_H

#include "postgres.h"

#include "emit/running_state.h"

/* One row of a pane, unpacked */
typedef struct RunningRow
{
	const char *bytes;
	Size		length;
	RunningGroup *group;
	NullableDatum *inputs;
} RunningRow;

typedef struct RowCursor
{
	struct RowChunk *chunk;
	Size		offset;
} RowCursor;

/* running_rows.c */
extern RunningPane *aggwin_running_create_pane(RunningWindow *window, TimestampTz start);
extern Size aggwin_running_pack(RunningWindow *window, const RunningGroup *group,
								const NullableDatum *inputs);
extern void aggwin_running_append(RunningWindow *window, RunningPane *pane, const char *row,
								  Size length);
extern bool aggwin_running_next_row(const RunningWindow *window, RowCursor *cursor, RunningRow *row);
extern void aggwin_running_unpack(const RunningWindow *window, const char *bytes, RunningRow *row);
extern void aggwin_running_kill(RunningPane *pane, const RunningRow *row);
extern void aggwin_running_drop_rows(RunningPane *pane);

/* running_load.c */
extern void aggwin_running_load(RunningWindow *window, const WindowBounds *bounds,
								RunningPane **panes, int npanes, bool add);

#endif							/* AGGWIN_EMIT_RUNNING_ROWS_H */
