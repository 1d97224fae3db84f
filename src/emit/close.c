/*
 * close.c - which windows of an output are over, and which have changed
 *
 *        closed_to                 watermark - grace
 *            │   period  │           │
 *      ──────┼───────────┼───────────┼──────▶ event time
 *            ╰── closed by this step ╯
 *
 * A window is over when the watermark is at its end plus grace. When the
 * watermark has not moved for idle_timeout, the clock stands in for it. An empty
 * window after an empty window is passed over: it says nothing new, and there may
 * be very many of them.
 *
 * Windows that are older than retention when their turn comes are skipped: they
 * would be deleted at once.
 */
#include "postgres.h"

#include "emit/step.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "emit/plans.h"
#include "emit/publish.h"
#include "emit/running.h"
#include "executor/spi.h"
#include "portability/instr_time.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

/* Windows and rows that one step deletes at most. */
#define EXPIRE_WINDOWS 1000
#define EXPIRE_ROWS 10000

/*
 * A worker publishes late changes when a window closes, too, or this long after
 * it last published anything: steps are more frequent, and each late row may
 * touch many windows.
 */
#define CORRECTION_PAUSE USECS_PER_SEC

/* The watermark's moves are stored this often in an idle_timeout. */
#define ACTIVE_SHARE 4

/* An output under way */
typedef struct Closing
{
	Step	   *step;
	WindowRow  *window;
	Publisher	publisher;
	/* dirty ends that have been looked at: (done[0], done[1]] and (done[2], done[3]] */
	TimestampTz done[4];
	bool		dirty;			/* some are left */
	int64		skipped;
	int64		expired_position;
	FullTransactionId version;	/* of the last step that has kept windows up to date */
	WindowBounds *touched;		/* what has changed since then, ends inclusive; NULL: not read */
	int			ntouched;
	bool		wrote;
} Closing;

static void
run(const Step *step, const char *sql, int expected, int nargs, Oid *types, Datum *values,
	const char *nulls)
{
	aggwin_emit_run(step->snapshot, sql, expected, nargs, types, values, nulls);
}

/* The first bucket that is not before a time, DT_NOBEGIN if there is none. */
static TimestampTz
first_bucket(const Closing *closing, TimestampTz from)
{
	const WindowRow *window = closing->window;
	Oid			types[] = {TIMESTAMPTZOID};
	Datum		values[] = {TimestampTzGetDatum(from)};
	const char *bucket = quote_identifier(window->bucket);
	Datum		first;
	bool		isnull;
	Sandbox		saved;

	aggwin_sandbox_enter(&saved, window->owner, true);
	run(closing->step, psprintf("SELECT %1$s FROM (SELECT min(r.%2$s) FROM %3$s AS r"
								" WHERE isfinite(r.%2$s) AND r.%2$s >= %4$s) AS m (first)",
								aggwin_sql_utc(window->time, "m.first"), bucket,
								aggwin_relation_name(window->rollup),
								aggwin_sql_utc(window->time, "$1")),
		SPI_OK_SELECT, 1, types, values, NULL);
	first = aggwin_spi_value(1, &isnull);
	aggwin_sandbox_leave(&saved);
	return isnull ? DT_NOBEGIN : DatumGetTimestampTz(first);
}

/* Until which time do windows end that are over? DT_NOBEGIN: none is known to be. */
static TimestampTz
target(Closing *closing)
{
	const Step *step = closing->step;
	WindowRow  *window = closing->window;
	TimestampTz until;

	if (step->watermark == DT_NOBEGIN)
		return DT_NOBEGIN;
	if (step->watermark > window->watermark)
	{
		if (step->now - window->active_at > window->idle_timeout / ACTIVE_SHARE)
			closing->wrote = true;
		window->watermark = step->watermark;
		window->active_at = step->now;
	}
	until = window->watermark;
	if (step->now - window->active_at >= window->idle_timeout)
		until = Max(until, step->now);
	return aggwin_grid_end(window, until - window->grace);
}

/* Where an output begins. False if that is not known yet. */
static bool
begin(Closing *closing, TimestampTz until)
{
	WindowRow  *window = closing->window;
	TimestampTz first;

	if (window->closed_to != DT_NOBEGIN)
		return true;
	if (!window->from_first)
		window->closed_to = until - window->period;
	else
	{
		first = first_bucket(closing, DT_NOBEGIN);
		if (first == DT_NOBEGIN)
			return false;
		/* What is beyond retention is before the beginning. */
		window->closed_to = aggwin_grid_end(window, Max(first, until - window->retention));
	}
	if (window->first_end == DT_NOBEGIN)
		window->first_end = window->closed_to + window->period;
	closing->wrote = true;
	return true;
}

/* Pass over windows that are beyond retention already. */
static void
skip(Closing *closing, TimestampTz until)
{
	WindowRow  *window = closing->window;
	TimestampTz oldest = aggwin_grid_end(window, until - window->retention);
	TimestampTz last_with_rows = aggwin_grid_end(window, window->watermark + window->size);

	if (oldest <= window->closed_to)
		return;
	if (last_with_rows > window->closed_to)
		closing->skipped += (Min(oldest, last_with_rows) - window->closed_to) / window->period;
	window->closed_to = oldest;
	closing->wrote = true;
}

/*
 * After a window without rows: if it had no panes, either, neither has the next
 * one rows until a pane comes. Where it had, the query may find rows in some of
 * them only, as with HAVING or NOT EXISTS, and each window is to be computed.
 */
static void
pass_over_empty(Closing *closing, TimestampTz until)
{
	WindowRow  *window = closing->window;
	TimestampTz next = first_bucket(closing, window->closed_to - window->size);

	if (next == DT_NOBEGIN)
		window->closed_to = until;
	else
		window->closed_to = Max(window->closed_to, Min(until, aggwin_grid_end(window, next)));
}

/* What has been stored for those who keep windows up to date. */
static void
read_touched(Closing *closing)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(closing->window->window_id)};
	bool		isnull;

	run(closing->step, "SELECT w.stepped_by, coalesce(lower(s), '-infinity'), coalesce(upper(s), 'infinity'), s IS NOT NULL"
		" FROM aggwin.window AS w LEFT JOIN LATERAL unnest(w.stale) AS s ON true"
		" WHERE w.window_id = $1", SPI_OK_SELECT, 1, types, values, NULL);
	closing->touched = palloc(sizeof(WindowBounds) * SPI_processed);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		Datum		version = SPI_getbinval(row, desc, 1, &isnull);
		WindowBounds *touched = &closing->touched[closing->ntouched];

		closing->version = isnull ? InvalidFullTransactionId : DatumGetFullTransactionId(version);
		touched->start = DatumGetTimestampTz(SPI_getbinval(row, desc, 2, &isnull));
		touched->end = DatumGetTimestampTz(SPI_getbinval(row, desc, 3, &isnull));
		closing->ntouched += DatumGetBool(SPI_getbinval(row, desc, 4, &isnull));
	}
}

/* Where the rows of the window are to be had that ends at this time. */
static const char *
rows_of(Closing *closing, TimestampTz end, bool for_revision)
{
	const WindowRow *window = closing->window;
	RunningRequest request = {
		.window = window,
		.bounds = {end - window->size, end},
		.for_revisions = for_revision,
	};
	const char *sql;

	if (closing->touched == NULL)
		read_touched(closing);
	request.touched = closing->touched;
	request.ntouched = closing->ntouched;
	request.version = closing->version;
	sql = aggwin_running_seek(&request);
	return sql ? psprintf("(%s)", sql) : aggwin_relation_name(window->definition);
}

/* Had the window that ends at closed_to any rows, by its last revision? */
static bool
last_had_rows(const Closing *closing)
{
	const WindowRow *window = closing->window;
	Oid			types[] = {INT4OID, TIMESTAMPTZOID};
	Datum		values[] = {Int32GetDatum(window->window_id),
	TimestampTzGetDatum(window->closed_to - window->size)};
	bool		isnull;

	run(closing->step, "SELECT e.rows > 0 FROM aggwin.emission AS e WHERE e.window_id = $1"
		" AND e.window_start = $2 ORDER BY e.revision DESC LIMIT 1",
		SPI_OK_SELECT, 2, types, values, NULL);
	return SPI_processed > 0 && DatumGetBool(aggwin_spi_value(1, &isnull));
}

static void
close_up_to(Closing *closing, TimestampTz until)
{
	Step	   *step = closing->step;
	WindowRow  *window = closing->window;
	bool		had_rows;
	int			count = 0;

	if (window->closed_to + window->period > until)
		return;
	had_rows = last_had_rows(closing);
	while (window->closed_to + window->period <= until)
	{
		TimestampTz end = window->closed_to + window->period;

		if (step->max_now > 0 && count++ == step->max_now)
		{
			step->more = step->closes_more = true;
			break;
		}
		closing->publisher.from = rows_of(closing, end, false);
		had_rows = aggwin_publish_final(&closing->publisher, end, had_rows) > 0;
		closing->wrote = true;
		window->closed_to = end;
		if (!had_rows)
			pass_over_empty(closing, until);
	}
}

/* Late changes -------------------------------------------------------------*/

/* Ends of windows that late changes may have touched, as ranges of them. */
typedef struct DirtyEnds
{
	uint64		count;
	TimestampTz *lowest;		/* inclusive, both */
	TimestampTz *highest;
} DirtyEnds;

static DirtyEnds
read_dirty(const Closing *closing)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(closing->window->window_id)};
	DirtyEnds	ends;

	run(closing->step, "SELECT lower(d), upper(d), lower_inc(d), upper_inc(d)"
		" FROM aggwin.window AS w CROSS JOIN LATERAL unnest(w.dirty) AS d"
		" WHERE w.window_id = $1 ORDER BY d", SPI_OK_SELECT, 1, types, values, NULL);
	ends.count = SPI_processed;
	ends.lowest = palloc(sizeof(TimestampTz) * ends.count);
	ends.highest = palloc(sizeof(TimestampTz) * ends.count);
	for (uint64 i = 0; i < ends.count; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;

		ends.lowest[i] = DatumGetTimestampTz(SPI_getbinval(row, desc, 1, &isnull)) +
			(DatumGetBool(SPI_getbinval(row, desc, 3, &isnull)) ? 0 : 1);
		ends.highest[i] = DatumGetTimestampTz(SPI_getbinval(row, desc, 2, &isnull)) -
			(DatumGetBool(SPI_getbinval(row, desc, 4, &isnull)) ? 0 : 1);
	}
	return ends;
}

static bool
may_revise(const Closing *closing, TimestampTz until)
{
	const Step *step = closing->step;
	const WindowRow *window = closing->window;

	if (!window->changes)
		return false;
	return step->max_windows == 0 || step->again || until > window->closed_to ||
		window->last_emission <= step->now - CORRECTION_PAUSE;
}

/*
 * After a window without rows that never had any: the end of the next one that may
 * be another, DT_NOEND if there is none.
 */
static TimestampTz
next_to_revise(const Closing *closing, TimestampTz end)
{
	const WindowRow *window = closing->window;
	Oid			types[] = {INT4OID, TIMESTAMPTZOID};
	Datum		values[] = {Int32GetDatum(window->window_id), TimestampTzGetDatum(end - window->size)};
	TimestampTz next = end + window->period;
	TimestampTz bucket = first_bucket(closing, next - window->size);
	TimestampTz found = DT_NOEND;
	Datum		published;
	bool		isnull;

	if (bucket != DT_NOBEGIN)
		found = Max(next, aggwin_grid_end(window, bucket) + window->period);
	run(closing->step, "SELECT min(e.window_start) FROM aggwin.emission AS e"
		" WHERE e.window_id = $1 AND e.window_start > $2", SPI_OK_SELECT, lengthof(types), types, values, NULL);
	published = aggwin_spi_value(1, &isnull);
	return isnull ? found : Min(found, DatumGetTimestampTz(published) + window->size);
}

/*
 * Publish what has changed in windows that end after one time and not after
 * another. False if this was enough for one step; *count is how many it was.
 */
static bool
revise_between(Closing *closing, const DirtyEnds *ends, TimestampTz after, TimestampTz last,
			   int *count)
{
	Step	   *step = closing->step;
	WindowRow  *window = closing->window;

	window->revised_to = after;
	for (uint64 i = 0; i < ends->count; i++)
	{
		TimestampTz end = aggwin_grid_end(window, Max(ends->lowest[i] - 1, after)) + window->period;

		while (end <= Min(ends->highest[i], last))
		{
			if (step->max_now > 0 && (*count)++ == step->max_now)
				return false;
			closing->publisher.from = rows_of(closing, end, true);
			if (aggwin_publish_revision(&closing->publisher, end))
				end += window->period;
			else
				end = next_to_revise(closing, end);
			/* All before that one are done. */
			window->revised_to = Min(end - window->period, window->closed_to);
			closing->wrote = true;
		}
	}
	return true;
}

/*
 * Publish what has changed in windows that were closed before this step. What one
 * step leaves, the next goes on with, and begins again when it has been through:
 * otherwise late rows that keep coming for some would keep others waiting. Outputs
 * that take turns may build on their earlier windows: these are corrected in order.
 */
static void
revise(Closing *closing)
{
	WindowRow  *window = closing->window;
	DirtyEnds	ends = read_dirty(closing);
	TimestampTz oldest = window->closed_to - window->retention - 1;
	TimestampTz from = oldest;
	int			count = 0;

	if (!window->takes_turns && window->revised_to > oldest && window->revised_to <= window->closed_to)
		from = window->revised_to;
	if (ends.count == 0)
		return;
	closing->wrote = true;
	closing->done[0] = from;
	if (!revise_between(closing, &ends, from, DT_NOEND, &count))
	{
		closing->done[1] = window->revised_to;
		closing->dirty = closing->step->more = true;
		return;
	}
	closing->done[1] = DT_NOEND;
	closing->done[2] = DT_NOBEGIN;
	if (!revise_between(closing, &ends, oldest, from, &count))
	{
		closing->done[3] = window->revised_to;
		closing->dirty = closing->step->more = true;
		return;
	}
	closing->done[3] = DT_NOEND;
}

/* Old windows --------------------------------------------------------------*/

static void
expire(Closing *closing)
{
	Step	   *step = closing->step;
	const WindowRow *window = closing->window;
	Oid			types[] = {INT4OID, TIMESTAMPTZOID, INT8OID, INT8OID};
	Datum		values[] = {
		Int32GetDatum(window->window_id),
		TimestampTzGetDatum(window->closed_to - window->retention - window->size),
		Int64GetDatum(EXPIRE_WINDOWS), Int64GetDatum(EXPIRE_ROWS)
	};
	Oid			delete_types[] = {TIMESTAMPTZOID};
	Datum		delete_values[1];
	Datum		last;
	bool		isnull;
	Sandbox		saved;

	run(step, "SELECT max(e.window_start) FROM (SELECT e.window_start,"
		" sum(e.rows) OVER (ORDER BY e.window_start, e.revision) - e.rows AS before"
		" FROM (SELECT * FROM aggwin.emission AS e WHERE e.window_id = $1 AND e.window_start < $2"
		" ORDER BY e.window_start, e.revision LIMIT $3) AS e) AS e WHERE e.before < $4",
		SPI_OK_SELECT, lengthof(types), types, values, NULL);
	last = aggwin_spi_value(1, &isnull);
	if (isnull)
		return;
	delete_values[0] = last;
	aggwin_sandbox_enter(&saved, window->owner, true);
	run(step, psprintf("DELETE FROM %s AS o WHERE o.window_start <= %s",
					   aggwin_relation_name(window->output), aggwin_sql_utc(window->time, "$1")),
		SPI_OK_DELETE, 1, delete_types, delete_values, NULL);
	aggwin_sandbox_leave(&saved);

	values[1] = last;
	run(step, "WITH gone AS (DELETE FROM aggwin.emission AS e WHERE e.window_id = $1"
		" AND e.window_start <= $2 RETURNING e.position) SELECT max(g.position) FROM gone AS g",
		SPI_OK_SELECT, 2, types, values, NULL);
	closing->expired_position = DatumGetInt64(aggwin_spi_value(1, &isnull));
	closing->wrote = true;
}

/* An output ----------------------------------------------------------------*/

static void
store(const Closing *closing, double elapsed_ms)
{
	const WindowRow *window = closing->window;
	const Publisher *publisher = &closing->publisher;
	Oid			types[] = {INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
	TIMESTAMPTZOID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, FLOAT8OID, TIMESTAMPTZOID, BOOLOID,
	TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, BOOLOID};
	Datum		values[] = {
		Int32GetDatum(window->window_id), TimestampTzGetDatum(window->first_end),
		TimestampTzGetDatum(window->closed_to), TimestampTzGetDatum(window->watermark),
		TimestampTzGetDatum(window->active_at), TimestampTzGetDatum(closing->done[0]),
		Int64GetDatum(publisher->position), Int64GetDatum(closing->expired_position),
		Int64GetDatum(publisher->closed), Int64GetDatum(publisher->revised),
		Int64GetDatum(closing->skipped), Int64GetDatum(publisher->not_notified),
		Float8GetDatum(elapsed_ms), TimestampTzGetDatum(window->closed_to - window->size),
		BoolGetDatum(aggwin_running_stored(window->window_id)),
		TimestampTzGetDatum(closing->done[1]), TimestampTzGetDatum(closing->done[2]),
		TimestampTzGetDatum(closing->done[3]), TimestampTzGetDatum(window->revised_to),
		BoolGetDatum(closing->dirty && window->takes_turns)
	};

	/*
	 * With infinite times for what is not known: the updated row has NULL. What was closed
	 * now, though earlier windows are still to be corrected, may build on these.
	 */
	run(closing->step, "UPDATE aggwin.window AS w SET first_end = nullif($2, '-infinity'),"
		" closed_to = nullif($3, '-infinity'), watermark = nullif($4, '-infinity'), active_at = $5,"
		" dirty = w.dirty - tstzmultirange(tstzrange($6, $16, '(]'), tstzrange($17, $18, '(]'))"
		" + CASE WHEN $20 THEN tstzmultirange(tstzrange(w.closed_to, $3, '(]')) ELSE '{}' END,"
		" revised_to = nullif($19, '-infinity'),"
		" stale = CASE WHEN $15 THEN '{}' ELSE w.stale END,"
		" latest_start = CASE WHEN isfinite($3) THEN $14 END,"
		" latest_revision = (SELECT max(e.revision) FROM aggwin.emission AS e"
		" WHERE e.window_id = w.window_id AND e.window_start = $14),"
		" stepped_by = CASE WHEN $15 THEN pg_current_xact_id() ELSE w.stepped_by END, position = $7,"
		" expired_position = greatest(w.expired_position, $8),"
		" closed = w.closed + $9, revised = w.revised + $10, skipped = w.skipped + $11,"
		" not_notified = w.not_notified + $12, failing_since = NULL, last_duration_ms = $13,"
		" last_emission = CASE WHEN $7 > w.position THEN clock_timestamp() ELSE w.last_emission END"
		" WHERE w.window_id = $1", SPI_OK_UPDATE, lengthof(types), types, values, NULL);
}

/*
 * Publish what is due of an output, late changes first, and store how far it
 * has come. Called as superuser, connected to SPI, with the rollup's lock held.
 */
void
aggwin_close_window(Step *step, WindowRow *window)
{
	Closing		closing = {
		.step = step,
		.window = window,
		.done = {DT_NOEND, DT_NOEND, DT_NOEND, DT_NOEND},
		.publisher = {
			.window = window,
			.snapshot = step->snapshot,
			.columns = aggwin_window_columns(window),
			.position = window->position,
		},
	};
	bool		begins = window->closed_to == DT_NOBEGIN;
	bool		due;
	TimestampTz until;
	instr_time	start;
	instr_time	elapsed;

	INSTR_TIME_SET_CURRENT(start);
	until = target(&closing);
	step->closes_more = false;
	due = until != DT_NOBEGIN && begin(&closing, until);
	if (due && begins && window->takes_turns)
		step->more = step->closes_more = true;	/* in its turn, which is known now */
	else if (due)
	{
		if (may_revise(&closing, until))
			revise(&closing);
		/* What is still to be corrected must not get beyond retention meanwhile. */
		if (closing.dirty && window->takes_turns)
			until = Min(until, aggwin_grid_end(window, window->revised_to + window->retention));
		skip(&closing, until);
		close_up_to(&closing, until);
		expire(&closing);
	}
	if (!closing.wrote)
		return;
	INSTR_TIME_SET_CURRENT(elapsed);
	INSTR_TIME_SUBTRACT(elapsed, start);
	store(&closing, INSTR_TIME_GET_MILLISEC(elapsed));
	step->wrote = true;
	step->published += closing.publisher.position - window->position;
}
