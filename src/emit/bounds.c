/*
 * bounds.c - the window that is being computed in this process
 *
 * The query of a window reads its rollup between two functions, which say the
 * bounds of whatever window it is run for. So it is planned once.
 */
#include "postgres.h"

#include "emit/bounds.h"

#include "fmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(aggwin_current_window_start);
PG_FUNCTION_INFO_V1(aggwin_current_window_end);

/* NULL while no window is being computed */
static const WindowBounds *current = NULL;

/* Call step(arg), and have the functions below give these bounds meanwhile. */
void
aggwin_with_bounds(const WindowBounds *bounds, void (*step) (void *), void *arg)
{
	const WindowBounds *outer = current;

	current = bounds;
	PG_TRY();
	{
		step(arg);
	}
	PG_FINALLY();
	{
		current = outer;
	}
	PG_END_TRY();
}

/* The bounds, NULL while no window is being computed. */
const WindowBounds *
aggwin_current_bounds(void)
{
	return current;
}

/* The bounds, an error while no window is being computed. */
const WindowBounds *
aggwin_required_bounds(void)
{
	if (current == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no window is being computed"),
				 errhint("Use aggwin.window_at() to compute a window.")));
	return current;
}

/*
 * aggwin.current_window_start(): the start of the window that a query of
 * create_window() is being run for, inclusive; an error anywhere else.
 */
Datum
aggwin_current_window_start(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(aggwin_required_bounds()->start);
}

/* aggwin.current_window_end(): likewise its end, exclusive. */
Datum
aggwin_current_window_end(PG_FUNCTION_ARGS)
{
	PG_RETURN_TIMESTAMPTZ(aggwin_required_bounds()->end);
}
