/*
 * counter_access.c - the SQL type counter: what it tells
 */
#include "postgres.h"

#include "summary/counter_type.h"

#include <math.h>

#include "utils/float.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(aggwin_counter_num_vals);
PG_FUNCTION_INFO_V1(aggwin_counter_first_val);
PG_FUNCTION_INFO_V1(aggwin_counter_last_val);
PG_FUNCTION_INFO_V1(aggwin_counter_first_time);
PG_FUNCTION_INFO_V1(aggwin_counter_last_time);
PG_FUNCTION_INFO_V1(aggwin_counter_resets);
PG_FUNCTION_INFO_V1(aggwin_counter_is_exact);
PG_FUNCTION_INFO_V1(aggwin_counter_closed);
PG_FUNCTION_INFO_V1(aggwin_counter_increase_all);
PG_FUNCTION_INFO_V1(aggwin_counter_rate_all);
PG_FUNCTION_INFO_V1(aggwin_counter_increase_between);
PG_FUNCTION_INFO_V1(aggwin_counter_rate_between);

static void
get_whole(FunctionCallInfo fcinfo, CounterSegment *whole)
{
	Counter		counter;

	aggwin_counter_get(&counter, aggwin_summary_get(PG_GETARG_DATUM(0), SUMMARY_COUNTER));
	aggwin_counter_fail(aggwin_counter_whole(whole, &counter));
}

static double
in_range(double value)
{
	if (!isfinite(value))
		float_overflow_error();
	return value;
}

/* Number of samples; those of one time and value count once. */
Datum
aggwin_counter_num_vals(PG_FUNCTION_ARGS)
{
	CounterSegment whole;

	get_whole(fcinfo, &whole);
	PG_RETURN_INT64(whole.samples);
}

/* Value of the earliest sample; of several at that time the smallest. */
Datum
aggwin_counter_first_val(PG_FUNCTION_ARGS)
{
	CounterSegment whole;

	get_whole(fcinfo, &whole);
	PG_RETURN_FLOAT8(whole.first.value);
}

/* Value of the latest sample; of several at that time the greatest. */
Datum
aggwin_counter_last_val(PG_FUNCTION_ARGS)
{
	CounterSegment whole;

	get_whole(fcinfo, &whole);
	PG_RETURN_FLOAT8(whole.last.value);
}

/* Time of the earliest sample. */
Datum
aggwin_counter_first_time(PG_FUNCTION_ARGS)
{
	CounterSegment whole;

	get_whole(fcinfo, &whole);
	PG_RETURN_TIMESTAMPTZ(whole.first.time);
}

/* Time of the latest sample. */
Datum
aggwin_counter_last_time(PG_FUNCTION_ARGS)
{
	CounterSegment whole;

	get_whole(fcinfo, &whole);
	PG_RETURN_TIMESTAMPTZ(whole.last.time);
}

/* Number of samples that are lower than the one before. */
Datum
aggwin_counter_resets(PG_FUNCTION_ARGS)
{
	CounterSegment whole;

	get_whole(fcinfo, &whole);
	PG_RETURN_INT64(whole.resets);
}

/* Were all parts put together without a loss? */
Datum
aggwin_counter_is_exact(PG_FUNCTION_ARGS)
{
	Counter		counter;

	aggwin_counter_get(&counter, aggwin_summary_get(PG_GETARG_DATUM(0), SUMMARY_COUNTER));
	PG_RETURN_BOOL(counter.exact);
}

/* What an aggregate over all of the samples gives, which knows no gaps. */
Datum
aggwin_counter_closed(PG_FUNCTION_ARGS)
{
	Counter		counter;

	aggwin_counter_get(&counter, aggwin_summary_get(PG_GETARG_DATUM(0), SUMMARY_COUNTER));
	aggwin_counter_fail(aggwin_counter_close_gaps(&counter, 1));
	PG_RETURN_POINTER(aggwin_counter_encode(&counter));
}

/*
 * From the first sample to the last, restarts of the counter counted in; NULL for
 * a single sample, an error if it is beyond the range of double precision.
 */
Datum
aggwin_counter_increase_all(PG_FUNCTION_ARGS)
{
	CounterSegment whole;

	get_whole(fcinfo, &whole);
	if (whole.samples < 2)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(in_range(aggwin_counter_increase(&whole)));
}

/* The same per second between those samples; NULL if all are of one time. */
Datum
aggwin_counter_rate_all(PG_FUNCTION_ARGS)
{
	CounterSegment whole;

	get_whole(fcinfo, &whole);
	if (whole.first.time == whole.last.time)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(in_range(aggwin_counter_increase(&whole) /
							  (((double) ((uint64) whole.last.time - (uint64) whole.first.time)) /
							   USECS_PER_SEC)));
}

static void
refuse_sample(const char *which, TimestampTz time, TimestampTz from, TimestampTz to)
{
	char	   *shown = pstrdup(timestamptz_to_str(time));
	char	   *shown_from = pstrdup(timestamptz_to_str(from));

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the counter has samples outside of the range"),
			 errdetail("Its %s sample is of %s, the range is from %s to %s.", which, shown,
					   shown_from, timestamptz_to_str(to)),
			 errhint("Aggregate only the samples of the range, its ends among them.")));
}

/* counter, from, to: as increase() and rate() of Prometheus; NULL where those give none */
static Datum
between(FunctionCallInfo fcinfo, bool rate)
{
	CounterSegment whole;
	TimestampTz from = PG_GETARG_TIMESTAMPTZ(1);
	TimestampTz to = PG_GETARG_TIMESTAMPTZ(2);

	if (TIMESTAMP_NOT_FINITE(from) || TIMESTAMP_NOT_FINITE(to))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("the range of a rate must be finite")));
	if (from >= to)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the range of a rate must begin before it ends")));
	get_whole(fcinfo, &whole);
	if (whole.first.time < from)
		refuse_sample("first", whole.first.time, from, to);
	if (whole.last.time > to)
		refuse_sample("last", whole.last.time, from, to);
	if (whole.first.time == whole.last.time)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(in_range(aggwin_counter_extrapolate(&whole, from, to, rate)));
}

/* The increase over the whole range, extrapolated to its ends. */
Datum
aggwin_counter_increase_between(PG_FUNCTION_ARGS)
{
	return between(fcinfo, false);
}

/* The same per second of the range. */
Datum
aggwin_counter_rate_between(PG_FUNCTION_ARGS)
{
	return between(fcinfo, true);
}
