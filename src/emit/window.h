/*
 * window.h - the table aggwin.window, as C sees it
 */
#ifndef AGGWIN_EMIT_WINDOW_H
#define AGGWIN_EMIT_WINDOW_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "rollup/spec.h"

/* Event times are microseconds, those without zone taken as UTC; durations, too. */
typedef struct WindowRow
{
	int32		window_id;
	Oid			output;
	Oid			latest;
	Oid			definition;
	Oid			panes;
	Oid			rollup;			/* the view it reads */
	char	   *bucket;			/* its column */
	Oid			owner;
	List	   *keys;			/* char *, columns */
	const TimeType *time;
	int64		size;
	int64		period;
	TimestampTz origin;
	int64		grace;
	int64		retention;
	int64		idle_timeout;
	bool		changes;		/* emit => 'changes' */
	bool		notify;
	bool		paused;
	bool		from_first;
	bool		takes_turns;	/* a window each, with others that read the same */

	/* how far it has come; DT_NOBEGIN for NULL */
	TimestampTz first_end;
	TimestampTz closed_to;
	TimestampTz watermark;
	TimestampTz active_at;
	TimestampTz revised_to;
	TimestampTz latest_start;
	TimestampTz last_emission;	/* by the clock */
	int64		position;
} WindowRow;

/* Columns of the output that are not the query's */
#define WINDOW_LEADING_COLUMNS 5	/* window_start, window_end, revision, rank, op */
#define WINDOW_TRAILING_COLUMNS 1	/* emitted_at */

extern WindowRow *aggwin_find_window(int32 window_id);
extern WindowRow *aggwin_get_window(int32 window_id);
extern int32 aggwin_window_of_output(Oid output, bool must_own);
extern List *aggwin_windows_of(int32 rollup_id);
extern List *aggwin_window_columns(const WindowRow *window);
extern char *aggwin_column_list(const char *alias, List *columns);
extern TimestampTz aggwin_grid_end(const WindowRow *window, TimestampTz time);

#endif							/* AGGWIN_EMIT_WINDOW_H */
