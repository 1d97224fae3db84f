/*
 * hop.c - the hopping windows that hold a time
 *
 * Windows of one size start at the points of a grid (bucket.c) whose width is
 * the period. Those that hold a time start after it less the size, and not
 * after it:
 *
 *      period          |-----|-----|-----|-----|-----|
 *      ts                                   *
 *      windows               [-------------)
 *      of size 2.3                 [-------------)
 *      periods                           [-------------)
 *
 * A size of months ends on the same day of its month as the grid's origin, or on
 * the last; where the grid is not by month, on the day of the window's start.
 */
#include "postgres.h"

#include "common/int.h"
#include "core/compat.h"
#include "fmgr.h"
#include "funcapi.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"
#include "utils/rangetypes.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "window/bucket.h"

PG_FUNCTION_INFO_V1(aggwin_hop_timestamptz);
PG_FUNCTION_INFO_V1(aggwin_hop_timestamp);
PG_FUNCTION_INFO_V1(aggwin_hop_int8);
PG_FUNCTION_INFO_V1(aggwin_hop_support);

/* Clipping to the last of a month moves a day by no more than this. */
#define MAX_CLIP	(4 * USECS_PER_DAY)

/* A length of time, of windows or between their starts: months or ticks, > 0. */
typedef struct Length
{
	int64		months;
	int64		ticks;
} Length;

typedef struct Hop
{
	TypeCacheEntry *range;
	bool		integer;
	AggwinGrid	grid;
	Length		size;
	int64		ts;
	bool		done;
	int64		start;			/* of the next window, unless done */
} Hop;

static void
length_not_positive(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s must be greater than zero", what),
			 errhint("Give the size of a window and the period from one start to the next, such as '10 seconds' and '1 second'.")));
}

/* A day is 24 hours here. */
static Length
interval_length(const Interval *interval, const char *what)
{
	Length		length = {0};

#ifdef INTERVAL_NOT_FINITE
	if (INTERVAL_NOT_FINITE(interval))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be finite", what)));
#endif
	if (interval->month != 0 && (interval->day != 0 || interval->time != 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not mix months with smaller units", what),
				 errhint("Use either months and years, or weeks, days and smaller units.")));
	length.months = interval->month;
	if (pg_mul_s64_overflow(interval->day, USECS_PER_DAY, &length.ticks) ||
		pg_add_s64_overflow(length.ticks, interval->time, &length.ticks))
	{
		if (interval->day < 0)
			length_not_positive(what);
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("%s out of range", what),
				 errhint("Use at most 106751991 days, or give it in months or years.")));
	}
	if (length.months < 0 || length.ticks < 0 || length.months + length.ticks == 0)
		length_not_positive(what);
	return length;
}

/* Lengths of the same kind only; how long a month is depends on which. */
static void
check_lengths(const Length *size, const Length *period)
{
	if ((size->months > 0) == (period->months > 0) &&
		(size->months < period->months || size->ticks < period->ticks))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("period must not be longer than size"),
				 errdetail("Times between two windows would be in none of them."),
				 errhint("Windows that follow each other without a gap have a period of their size.")));
}

static int64
end_of(const Hop *hop, int64 start)
{
	int64		end;

	if (hop->size.months > 0)
		return aggwin_grid_add_months(&hop->grid, start, hop->size.months);
	if (pg_add_s64_overflow(start, hop->size.ticks, &end))
		return PG_INT64_MAX;
	return end;
}

/* To the first start after x, if it is not after ts. */
static void
go_on_after(Hop *hop, int64 x)
{
	hop->start = aggwin_grid_next(&hop->grid, x);
	hop->done = hop->start > hop->ts ||
		(hop->start == PG_INT64_MAX && !aggwin_grid_has(&hop->grid, hop->start));
}

static void
start_out_of_range(const char *type)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
			 errmsg("%s out of range", type),
			 errdetail("A window that holds this value starts before the smallest valid %s.", type),
			 errhint("Use a smaller size or another origin.")));
}

/* To the first window that holds ts. */
static void
begin(Hop *hop)
{
	int64		before;

	if (hop->size.months > 0)
	{
		before = aggwin_grid_add_months(&hop->grid, hop->ts, -hop->size.months);
		if (before < MIN_TIMESTAMP)
			start_out_of_range("timestamp");
		go_on_after(hop, before - MAX_CLIP);
		while (!hop->done && end_of(hop, hop->start) <= hop->ts)
			go_on_after(hop, hop->start);
	}
	else if (pg_sub_s64_overflow(hop->ts, hop->size.ticks, &before))
		start_out_of_range(hop->integer ? "bigint" : "timestamp");
	else
		go_on_after(hop, before);
	if (!hop->integer && hop->start < MIN_TIMESTAMP)
		start_out_of_range("timestamp");
}

static Datum
window(const Hop *hop, int64 start)
{
	int64		end = end_of(hop, start);
	RangeBound	lower = {.val = Int64GetDatum(start), .inclusive = true, .lower = true};
	RangeBound	upper = {.val = Int64GetDatum(end)};

	if (hop->integer)
		upper.infinite = end == PG_INT64_MAX && end - hop->size.ticks != start;
	else if (end >= END_TIMESTAMP)
		upper.val = TimestampTzGetDatum(DT_NOEND);
	return RangeTypePGetDatum(compat_make_range(hop->range, &lower, &upper));
}

/* ----
 * The functions, (ts, size, period [, origin]).
 *
 * Every window [start, end) that holds ts, in the order of their starts. Of
 * infinite times and of NULL there are none.
 *
 * Errors: a size or period that is not positive, is infinite or mixes months
 * with smaller units, a period longer than the size, an origin that is not
 * finite, a window that starts before the smallest value of the type.
 * ----
 */
static Datum
next_window(FunctionCallInfo fcinfo, void (*init) (FunctionCallInfo fcinfo, Hop *hop),
			Oid range)
{
	FuncCallContext *context;
	Hop		   *hop;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old_context;

		context = SRF_FIRSTCALL_INIT();
		old_context = MemoryContextSwitchTo(context->multi_call_memory_ctx);
		hop = palloc0(sizeof(Hop));
		hop->range = lookup_type_cache(range, TYPECACHE_RANGE_INFO);
		init(fcinfo, hop);
		context->user_fctx = hop;
		MemoryContextSwitchTo(old_context);
	}
	context = SRF_PERCALL_SETUP();
	hop = context->user_fctx;
	if (!hop->done)
	{
		Datum		result = window(hop, hop->start);

		go_on_after(hop, hop->start);
		SRF_RETURN_NEXT(context, result);
	}
	SRF_RETURN_DONE(context);
}

static void
init_timestamp(FunctionCallInfo fcinfo, Hop *hop)
{
	Length		period = interval_length(PG_GETARG_INTERVAL_P(2), "period");
	bool		has_origin = PG_NARGS() > 3;
	int64		origin = has_origin ? PG_GETARG_TIMESTAMP(3) : 0;

	hop->size = interval_length(PG_GETARG_INTERVAL_P(1), "size");
	check_lengths(&hop->size, &period);
	if (has_origin && TIMESTAMP_NOT_FINITE(origin))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("origin must be finite"),
				 errhint("Give a time at which a window starts, or leave the origin out.")));
	aggwin_grid_init_interval(&hop->grid, PG_GETARG_INTERVAL_P(2),
							  has_origin ? &origin : NULL, USECS_PER_DAY);
	hop->ts = PG_GETARG_TIMESTAMP(0);
	hop->done = TIMESTAMP_NOT_FINITE(hop->ts);
	if (!hop->done)
		begin(hop);
}

Datum
aggwin_hop_timestamptz(PG_FUNCTION_ARGS)
{
	return next_window(fcinfo, init_timestamp, TSTZRANGEOID);
}

Datum
aggwin_hop_timestamp(PG_FUNCTION_ARGS)
{
	return next_window(fcinfo, init_timestamp, TSRANGEOID);
}

static void
init_int8(FunctionCallInfo fcinfo, Hop *hop)
{
	Length		period = {.ticks = PG_GETARG_INT64(2)};

	hop->size.ticks = PG_GETARG_INT64(1);
	if (hop->size.ticks <= 0)
		length_not_positive("size");
	if (period.ticks <= 0)
		length_not_positive("period");
	check_lengths(&hop->size, &period);
	aggwin_grid_init_integer(&hop->grid, period.ticks,
							 PG_NARGS() > 3 ? PG_GETARG_INT64(3) : 0);
	hop->integer = true;
	hop->ts = PG_GETARG_INT64(0);
	begin(hop);
}

Datum
aggwin_hop_int8(PG_FUNCTION_ARGS)
{
	return next_window(fcinfo, init_int8, INT8RANGEOID);
}

/* Planner support ---------------------------------------------------------- */

static double
estimated_length(const Const *argument)
{
	const Interval *interval;

	if (argument->consttype == INT8OID)
		return (double) DatumGetInt64(argument->constvalue);
	interval = DatumGetIntervalP(argument->constvalue);
	return (interval->month * (double) DAYS_PER_MONTH + interval->day) * USECS_PER_DAY +
		interval->time;
}

/* How many windows: the size over the period, where these are known. */
Datum
aggwin_hop_support(PG_FUNCTION_ARGS)
{
	SupportRequestRows *request = (SupportRequestRows *) PG_GETARG_POINTER(0);
	double		lengths[2];

	if (!IsA(request, SupportRequestRows) || !is_funcclause(request->node))
		PG_RETURN_POINTER(NULL);
	for (int i = 0; i < 2; i++)
	{
		Node	   *argument = list_nth(((FuncExpr *) request->node)->args, i + 1);

		argument = estimate_expression_value(request->root, argument);
		if (!IsA(argument, Const) || ((Const *) argument)->constisnull)
			PG_RETURN_POINTER(NULL);
		lengths[i] = estimated_length((Const *) argument);
	}
	if (lengths[0] <= 0 || lengths[1] <= 0)
		PG_RETURN_POINTER(NULL);
	request->rows = Max(lengths[0] / lengths[1], 1);
	PG_RETURN_POINTER(request);
}
