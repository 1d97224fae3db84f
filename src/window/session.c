/*
 * session.c - sessions: stretches of time without a gap
 *
 * A session ends where nothing comes for longer than the gap. Rows arrive in
 * the order of their time, so the last one and the start of its session are all
 * that has to be known of those before.
 */
#include "postgres.h"

#include "window/session.h"

#include "common/int.h"
#include "fmgr.h"
#include "utils/timestamp.h"
#include "windowapi.h"

PG_FUNCTION_INFO_V1(aggwin_session_start_timestamp);
PG_FUNCTION_INFO_V1(aggwin_session_start_int8);
PG_FUNCTION_INFO_V1(aggwin_session);
PG_FUNCTION_INFO_V1(aggwin_session_end);

typedef struct SessionState
{
	bool		any;			/* has there been a row with a time? */
	int64		position;		/* of the last one in its partition */
	int64		last;
	int64		start;
} SessionState;

static void
wrong_order(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_WINDOWING_ERROR),
			 errmsg("session_start() needs its rows in the order of their time"),
			 errhint("Use it with OVER (PARTITION BY … ORDER BY …), ordered by its own first argument, ascending.")));
}

/*
 * Rows of equal order must have equal times: otherwise the order is not by the
 * time, or there is none, and the answer would depend on chance.
 */
static int64
session_start(WindowObject window, int64 ts, int64 gap)
{
	SessionState *state = WinGetPartitionLocalMemory(window, sizeof(SessionState));
	int64		position = WinGetCurrentPosition(window);
	int64		distance;

	if (!state->any)
		state->start = ts;
	else if (ts < state->last ||
			 (ts != state->last && WinRowsArePeers(window, state->position, position)))
		wrong_order();
	else if (pg_sub_s64_overflow(ts, state->last, &distance) || distance > gap)
		state->start = ts;
	state->any = true;
	state->position = position;
	state->last = ts;
	WinSetMarkPosition(window, position);
	return state->start;
}

static void
gap_not_positive(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("gap must be greater than zero"),
			 errhint("Give the longest time between two rows of one session, such as '30 minutes'.")));
}

/* A gap in microseconds, or an error. A day is 24 hours here. */
int64
aggwin_session_gap(const Interval *gap)
{
	int64		usecs;

#ifdef INTERVAL_NOT_FINITE
	if (INTERVAL_NOT_FINITE(gap))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("gap must be finite")));
#endif
	if (gap->month != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("gap must not have months"),
				 errdetail("Months differ in length."),
				 errhint("Use weeks, days and smaller units.")));
	if (pg_mul_s64_overflow(gap->day, USECS_PER_DAY, &usecs) ||
		pg_add_s64_overflow(usecs, gap->time, &usecs))
		usecs = gap->day < 0 ? -1 : PG_INT64_MAX;
	if (usecs <= 0)
		gap_not_positive();
	return usecs;
}

/* ----
 * session_start(ts, gap) OVER ([PARTITION BY …] ORDER BY ts)
 *
 * The time of the first row of the session that the row belongs to. A row
 * belongs to the session of the row before it if no more than the gap lies
 * between them. NULL if either is NULL; such rows neither begin nor end
 * sessions. Infinite times are sessions of their own. The frame has no effect.
 *
 * Errors: a gap that is not positive, is infinite or has months; rows that are
 * not in the order of ts, ascending.
 * ----
 */
Datum
aggwin_session_start_timestamp(PG_FUNCTION_ARGS)
{
	WindowObject window = PG_WINDOW_OBJECT();
	bool		ts_is_null;
	bool		gap_is_null;
	Timestamp	ts = DatumGetTimestamp(WinGetFuncArgCurrent(window, 0, &ts_is_null));
	Datum		gap = WinGetFuncArgCurrent(window, 1, &gap_is_null);
	int64		limit;

	if (ts_is_null || gap_is_null)
		PG_RETURN_NULL();
	/* However long the gap, a finite time is not within it of an infinite one. */
	limit = aggwin_session_gap(DatumGetIntervalP(gap));
	PG_RETURN_TIMESTAMP(session_start(window, ts, TIMESTAMP_NOT_FINITE(ts) ? 0 : limit));
}

/* The same for integers. */
Datum
aggwin_session_start_int8(PG_FUNCTION_ARGS)
{
	WindowObject window = PG_WINDOW_OBJECT();
	bool		ts_is_null;
	bool		gap_is_null;
	int64		ts = DatumGetInt64(WinGetFuncArgCurrent(window, 0, &ts_is_null));
	int64		gap = DatumGetInt64(WinGetFuncArgCurrent(window, 1, &gap_is_null));

	if (ts_is_null || gap_is_null)
		PG_RETURN_NULL();
	if (gap <= 0)
		gap_not_positive();
	PG_RETURN_INT64(session_start(window, ts, gap));
}

/*
 * session(ts, gap): the session that a row belongs to, as a range. A row by
 * itself cannot tell, so this only stands for it in the query of a rollup,
 * where it is never called.
 */
Datum
aggwin_session(PG_FUNCTION_ARGS)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("session() can only be the time key of a rollup"),
			 errdetail("Which session a row belongs to depends on other rows."),
			 errhint("Use it in GROUP BY of a query for aggwin.create_rollup(), or the window function aggwin.session_start().")));
}

/*
 * session_end(last, gap): the time until which a session goes whose last row is
 * this, excluded. Infinite if there is no such time; NULL if either is NULL.
 */
Datum
aggwin_session_end(PG_FUNCTION_ARGS)
{
	Timestamp	last = PG_GETARG_TIMESTAMP(0);
	int64		gap = aggwin_session_gap(PG_GETARG_INTERVAL_P(1));
	Timestamp	end;

	if (TIMESTAMP_NOT_FINITE(last))
		PG_RETURN_TIMESTAMP(last);
	if (pg_add_s64_overflow(last, gap, &end) || !IS_VALID_TIMESTAMP(end))
		TIMESTAMP_NOEND(end);
	PG_RETURN_TIMESTAMP(end);
}
