/*
 * counter_agg.c - the SQL type counter: its aggregates
 *
 * Rows come in any order, and a reset is seen only when they are in the order of
 * time. So counter_agg() collects the samples themselves, and partial states
 * travel with all of theirs; what is stored is made at the end. merge() collects
 * segments, for the same reason.
 */
#include "postgres.h"

#include "summary/counter_type.h"

#include <math.h>

#include "utils/memutils.h"
#include "utils/timestamp.h"

#define FIRST_POINTS	4
#define FIRST_SEGMENTS	2

#define buffer_of(state) aggwin_counter_buffer_of(state)
#define list_of(state) aggwin_counter_list_of(state)

#define BUFFER_SIZE(capacity) \
	(sizeof(Summary) + offsetof(CounterBuffer, points) + (Size) (capacity) * sizeof(CounterPoint))
#define LIST_SIZE(capacity) \
	(sizeof(Summary) + offsetof(CounterList, segments) + (Size) (capacity) * sizeof(CounterSegment))

#define MAX_POINTS	((MaxAllocSize - BUFFER_SIZE(0)) / sizeof(CounterPoint))
#define MAX_SEGMENTS ((MaxAllocSize - LIST_SIZE(0)) / sizeof(CounterSegment))

PG_FUNCTION_INFO_V1(aggwin_counter_transition);
PG_FUNCTION_INFO_V1(aggwin_counter_merge);
PG_FUNCTION_INFO_V1(aggwin_counter_final);

static void
too_much(const char *aggregate, uint64 max, const char *things)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("too many %s for %s in one group", things, aggregate),
			 errdetail("There may be " UINT64_FORMAT " at most, since they take one gigabyte then.", max),
			 errhint("Aggregate shorter spans of time, and merge() what they give.")));
}

/* Twice the room, or as much as needed if that is more. */
static uint32
grown(uint32 capacity, uint64 needed, uint64 max)
{
	return (uint32) Min(Max((uint64) capacity * 2, needed), max);
}

/* A buffer with room for so many points more. */
static Summary *
with_room_for_points(Summary *state, uint64 more)
{
	CounterBuffer *buffer = buffer_of(state);
	uint64		needed = buffer->length + more;
	uint32		capacity;
	Summary    *larger;

	if (needed <= buffer->capacity)
		return state;
	if (needed > MAX_POINTS)
		too_much("counter_agg()", MAX_POINTS, "samples");
	capacity = grown(buffer->capacity, needed, MAX_POINTS);
	larger = aggwin_summary_alloc(SUMMARY_COUNTER, SUMMARY_BUFFER, BUFFER_SIZE(capacity));
	memcpy(buffer_of(larger), buffer,
		   offsetof(CounterBuffer, points) + buffer->length * sizeof(CounterPoint));
	buffer_of(larger)->capacity = capacity;
	return larger;
}

static Summary *
with_room_for_segments(Summary *state, uint64 more)
{
	CounterList *list = list_of(state);
	uint64		needed = list->length + more;
	uint32		capacity;
	Summary    *larger;

	if (needed <= list->capacity)
		return state;
	if (needed > MAX_SEGMENTS)
		too_much("merge()", MAX_SEGMENTS, "segments");
	capacity = grown(list->capacity, needed, MAX_SEGMENTS);
	larger = aggwin_summary_alloc(SUMMARY_COUNTER, SUMMARY_WORKING, LIST_SIZE(capacity));
	memcpy(list_of(larger), list,
		   offsetof(CounterList, segments) + list->length * sizeof(CounterSegment));
	list_of(larger)->capacity = capacity;
	return larger;
}

static Summary *
new_buffer(void)
{
	Summary    *state = aggwin_summary_alloc(SUMMARY_COUNTER, SUMMARY_BUFFER, BUFFER_SIZE(FIRST_POINTS));

	buffer_of(state)->capacity = FIRST_POINTS;
	buffer_of(state)->sorted = true;
	return state;
}

static Summary *
new_list(void)
{
	Summary    *state = aggwin_summary_alloc(SUMMARY_COUNTER, SUMMARY_WORKING, LIST_SIZE(FIRST_SEGMENTS));

	list_of(state)->capacity = FIRST_SEGMENTS;
	list_of(state)->exact = true;
	return state;
}

static inline bool
acceptable(int64 time, double value)
{
	return likely(isfinite(value) && !TIMESTAMP_NOT_FINITE(time));
}

static void
refuse_point(int64 time, double value)
{
	if (TIMESTAMP_NOT_FINITE(time))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("a sample of a counter cannot be at an infinite time"),
				 errhint("Leave it out: counter_agg(ts, value) FILTER (WHERE isfinite(ts)).")));
	if (isnan(value))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("a counter cannot be NaN"),
				 errdetail("Prometheus marks by NaN that a series has ended; that is no sample."),
				 errhint("Leave it out: counter_agg(ts, value) FILTER (WHERE value <> 'NaN').")));
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("a counter cannot be infinite"),
			 errdetail("There is no increase from or to infinity."),
			 errhint("Leave it out: counter_agg(ts, value) FILTER (WHERE abs(value) < 'Infinity').")));
}

static inline void
add_point(CounterBuffer *buffer, int64 time, double value)
{
	CounterPoint *point = &buffer->points[buffer->length++];

	point->time = time;
	point->value = value + 0.0;
	if (buffer->length > 1 && aggwin_counter_compare(point - 1, point) > 0)
		buffer->sorted = false;
}

/* Append what a summary has to a list of segments. */
static Summary *
add_segments(Summary *state, Summary *from)
{
	if (from->layout == SUMMARY_WORKING)
	{
		CounterList *list = list_of(from);

		aggwin_counter_check_working(from);
		state = with_room_for_segments(state, list->length);
		memcpy(&list_of(state)->segments[list_of(state)->length], list->segments,
			   list->length * sizeof(CounterSegment));
		list_of(state)->length += list->length;
		list_of(state)->exact &= list->exact;
	}
	else
	{
		Counter		counter;

		aggwin_counter_get(&counter, from);
		state = with_room_for_segments(state, counter.length);
		memcpy(&list_of(state)->segments[list_of(state)->length], counter.segments,
			   counter.length * sizeof(CounterSegment));
		list_of(state)->length += counter.length;
		list_of(state)->exact &= counter.exact;
		pfree(counter.segments);
	}
	return state;
}

/* Append the samples of one buffer to those of another. */
static Summary *
add_points(Summary *state, Summary *from)
{
	CounterBuffer *to;
	CounterBuffer *more = buffer_of(from);

	aggwin_counter_check_working(from);
	state = with_room_for_points(state, more->length);
	to = buffer_of(state);
	to->sorted = to->sorted && more->sorted &&
		(to->length == 0 || aggwin_counter_compare(&to->points[to->length - 1], more->points) <= 0);
	memcpy(&to->points[to->length], more->points, more->length * sizeof(CounterPoint));
	to->length += more->length;
	return state;
}

/* A state outlives the call only as what the caller expects of it. */
static Datum
give(FunctionCallInfo fcinfo, Summary *state)
{
	Counter		counter;

	if (aggwin_in_aggregate(fcinfo))
		return PointerGetDatum(state);
	aggwin_counter_get(&counter, state);
	return PointerGetDatum(aggwin_counter_encode(&counter));
}

/* All but the next sample of a group that has room for it. */
static pg_noinline Datum
add_uncommon(FunctionCallInfo fcinfo)
{
	Summary    *state = aggwin_summary_in_place(fcinfo, SUMMARY_COUNTER);
	int64		time;
	double		value;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	time = PG_GETARG_TIMESTAMPTZ(1);
	value = PG_GETARG_FLOAT8(2);
	if (!acceptable(time, value))
		refuse_point(time, value);

	if (PG_ARGISNULL(0))
		state = new_buffer();
	else if (state == NULL)
		state = add_segments(new_list(), aggwin_summary_get(PG_GETARG_DATUM(0), SUMMARY_COUNTER));

	if (state->layout == SUMMARY_BUFFER)
	{
		state = with_room_for_points(state, 1);
		add_point(buffer_of(state), time, value);
	}
	else
	{
		CounterPoint point = {time, value + 0.0};
		CounterList *list;

		state = with_room_for_segments(state, 1);
		list = list_of(state);
		aggwin_counter_of_point(&list->segments[list->length++], &point);
	}
	return give(fcinfo, state);
}

/* counter, ts, value -> counter */
Datum
aggwin_counter_transition(PG_FUNCTION_ARGS)
{
	Summary    *state = aggwin_summary_in_place(fcinfo, SUMMARY_COUNTER);

	if (likely(state != NULL && state->layout == SUMMARY_BUFFER &&
			   !PG_ARGISNULL(1) && !PG_ARGISNULL(2) &&
			   buffer_of(state)->length < buffer_of(state)->capacity &&
			   acceptable(PG_GETARG_TIMESTAMPTZ(1), PG_GETARG_FLOAT8(2))))
	{
		add_point(buffer_of(state), PG_GETARG_TIMESTAMPTZ(1), PG_GETARG_FLOAT8(2));
		PG_RETURN_POINTER(state);
	}
	return add_uncommon(fcinfo);
}

/* counter, counter -> counter: combines, merges, and is "+" */
Datum
aggwin_counter_merge(PG_FUNCTION_ARGS)
{
	Summary    *state = aggwin_summary_in_place(fcinfo, SUMMARY_COUNTER);
	Summary    *from;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	from = aggwin_summary_get(PG_GETARG_DATUM(1), SUMMARY_COUNTER);
	if (PG_ARGISNULL(0))
		state = from->layout == SUMMARY_BUFFER ? new_buffer() : new_list();
	else if (state == NULL)
		state = add_segments(new_list(), aggwin_summary_get(PG_GETARG_DATUM(0), SUMMARY_COUNTER));
	else if (state->layout == SUMMARY_BUFFER && from->layout != SUMMARY_BUFFER)
		state = add_segments(new_list(), state);

	/* samples that nothing is lost of yet may overlap */
	if (state->layout == SUMMARY_BUFFER)
		state = add_points(state, from);
	else
		state = add_segments(state, from);
	return give(fcinfo, state);
}

/* A working state goes on after this: windows ask for the result at each row. */
Datum
aggwin_counter_final(PG_FUNCTION_ARGS)
{
	Counter		counter;

	aggwin_counter_get(&counter, aggwin_summary_get(PG_GETARG_DATUM(0), SUMMARY_COUNTER));
	PG_RETURN_POINTER(aggwin_counter_encode(&counter));
}
