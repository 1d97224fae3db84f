/*
 * exp_histogram_agg.c - the SQL type exp_histogram: its aggregates
 */
#include "postgres.h"

#include "summary/exp_histogram_type.h"

#include <math.h>

#define DEFAULT_RELATIVE_ERROR	0.01
#define DEFAULT_MAX_BUCKETS		2048

#define table_of(state) aggwin_exp_table_of(state)
#define buffer_of(state) aggwin_exp_buffer_of(state)

PG_FUNCTION_INFO_V1(aggwin_exp_histogram_transition);
PG_FUNCTION_INFO_V1(aggwin_exp_histogram_merge);
PG_FUNCTION_INFO_V1(aggwin_exp_histogram_final);

pg_noreturn static void
overflow(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("aggwin.exp_histogram has more values than 64 bits can count")));
}

static Summary *
new_table(uint32 capacity, int scale, int max_buckets)
{
	Summary    *summary = aggwin_summary_alloc(SUMMARY_EXP_HISTOGRAM, SUMMARY_WORKING,
											   sizeof(Summary) + EXP_TABLE_SIZE(capacity));

	aggwin_exp_table_init(table_of(summary), capacity, scale, max_buckets);
	return summary;
}

static Summary *
new_buffer(uint8 capacity, int scale, int max_buckets)
{
	Summary    *summary = aggwin_summary_alloc(SUMMARY_EXP_HISTOGRAM, SUMMARY_BUFFER,
											   sizeof(Summary) + EXP_BUFFER_SIZE(capacity));

	aggwin_exp_buffer_init(buffer_of(summary), capacity, scale, max_buckets);
	return summary;
}

/* The same state as a table. */
static Summary *
as_table(Summary *old)
{
	Summary    *summary;
	ExpList		list;
	int32		position = 0;

	if (old->layout == SUMMARY_WORKING)
		return old;
	aggwin_exp_list_of_buffer(&list, buffer_of(old));
	summary = new_table(aggwin_exp_capacity_for(list.length), list.scale, list.max_buckets);
	table_of(summary)->asked_error = buffer_of(old)->asked_error;
	(void) aggwin_exp_table_merge(table_of(summary), &list, &position);
	Assert(position == list.length);
	return summary;
}

/* The same state with about twice the room: a larger buffer, a table, a larger table. */
static Summary *
grow(Summary *old)
{
	Summary    *summary;

	if (old->layout == SUMMARY_WORKING)
	{
		ExpTable   *table = table_of(old);

		summary = new_table((table->mask + 1) * 2, table->scale, table->max_buckets);
		aggwin_exp_table_copy(table_of(summary), table);
	}
	else if (buffer_of(old)->capacity < EXP_BUFFER_MAX)
	{
		ExpBuffer  *buffer = buffer_of(old);

		summary = new_buffer(EXP_BUFFER_NEXT(buffer->capacity), buffer->scale, buffer->max_buckets);
		aggwin_exp_buffer_copy(buffer_of(summary), buffer);
	}
	else
		summary = as_table(old);
	return summary;
}

/* Add a value to a state that is not stored, which may have to grow for it. */
static Summary *
add_value(Summary *state, double value)
{
	for (;;)
	{
		if (state->layout == SUMMARY_BUFFER)
		{
			switch (aggwin_exp_buffer_add(buffer_of(state), value))
			{
				case EXP_BUFFERED:
					return state;
				case EXP_BUFFER_FULL:
					state = grow(state);
					break;
				case EXP_BUFFER_FAR:
					state = as_table(state);
					break;
			}
			continue;
		}
		switch (aggwin_exp_table_add(table_of(state), value))
		{
			case EXP_ADDED:
				return state;
			case EXP_FULL:
				state = grow(state);
				break;
			case EXP_OVERFLOW:
				overflow();
		}
	}
}

/* A state outlives the call only as what the caller expects of it. */
static Datum
give(FunctionCallInfo fcinfo, Summary *state)
{
	ExpList		list;

	if (aggwin_in_aggregate(fcinfo))
		return PointerGetDatum(state);
	aggwin_exp_histogram_get(&list, PointerGetDatum(state));
	return PointerGetDatum(aggwin_exp_histogram_encode(&list));
}

/* A state of our own, to be changed, with what is in a summary. */
static Summary *
copy_state(Datum datum)
{
	Summary    *from = aggwin_summary_get(datum, SUMMARY_EXP_HISTOGRAM);
	Summary    *state;
	ExpList		list;
	int32		position = 0;

	aggwin_exp_histogram_list(&list, from);
	if (from->layout == SUMMARY_BUFFER)
	{
		state = aggwin_summary_alloc(SUMMARY_EXP_HISTOGRAM, SUMMARY_BUFFER, VARSIZE(from));
		memcpy(state, from, VARSIZE(from));
		return state;
	}
	state = new_table(aggwin_exp_capacity_for(list.length), list.scale, list.max_buckets);
	(void) aggwin_exp_table_merge(table_of(state), &list, &position);
	while (position < list.length)
	{
		state = grow(state);
		(void) aggwin_exp_table_merge(table_of(state), &list, &position);
	}
	return state;
}

/* Merge a summary into a state of our own. */
static Summary *
merge(Summary *state, Datum datum)
{
	Summary    *from = aggwin_summary_get(datum, SUMMARY_EXP_HISTOGRAM);
	ExpList		list;
	ExpResult	result;
	int32		position = 0;

	aggwin_exp_histogram_list(&list, from);
	state = as_table(state);
	while ((result = aggwin_exp_table_merge(table_of(state), &list, &position)) == EXP_FULL)
		state = grow(state);
	if (result == EXP_OVERFLOW)
		overflow();
	return state;
}

static Summary *
first_state(FunctionCallInfo fcinfo)
{
	double		relative_error = DEFAULT_RELATIVE_ERROR;
	int32		max_buckets = DEFAULT_MAX_BUCKETS;
	int			scale;
	Summary    *summary;

	if (PG_NARGS() > 2)
		relative_error = PG_GETARG_FLOAT8(2);
	if (PG_NARGS() > 3)
		max_buckets = PG_GETARG_INT32(3);

	if (!(relative_error > 0 && relative_error < 1))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("relative error %g is out of range", relative_error),
				 errdetail("A relative error lies between 0 and 1."),
				 errhint("Write 0.01 for one percent.")));
	scale = aggwin_exp_scale_for(relative_error);
	if (scale > EXP_MAX_SCALE)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("relative error %g is too small", relative_error),
				 errdetail("The smallest that can be kept is %g.",
						   aggwin_exp_relative_error(EXP_MAX_SCALE))));
	if (max_buckets < EXP_MIN_BUCKETS || max_buckets > EXP_MAX_BUCKETS)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("number of buckets %d is out of range", max_buckets),
				 errdetail("It lies between %d and %d.", EXP_MIN_BUCKETS, EXP_MAX_BUCKETS)));

	/* the values of a buffer must not need a lower scale */
	if (max_buckets < EXP_BUFFER_LENGTH)
	{
		summary = new_table(EXP_MIN_CAPACITY, scale, max_buckets);
		table_of(summary)->asked_error = relative_error;
	}
	else
	{
		summary = new_buffer(EXP_BUFFER_MIN, scale, max_buckets);
		buffer_of(summary)->asked_error = relative_error;
	}
	return summary;
}

/* The arguments after the value are constants of the group. */
static void
check_constants(FunctionCallInfo fcinfo, Summary *state)
{
	float		asked_error;
	int32		max_buckets;

	for (int i = 2; i < PG_NARGS(); i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s of exp_hist_agg must not be NULL",
							i == 2 ? "relative_error" : "max_buckets")));
	if (state == NULL)
		return;

	asked_error = state->layout == SUMMARY_BUFFER ?
		buffer_of(state)->asked_error : table_of(state)->asked_error;
	max_buckets = state->layout == SUMMARY_BUFFER ?
		buffer_of(state)->max_buckets : table_of(state)->max_buckets;
	if (asked_error == 0)
		return;
	if (asked_error != (float) PG_GETARG_FLOAT8(2) ||
		(PG_NARGS() > 3 && max_buckets != PG_GETARG_INT32(3)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("relative_error and max_buckets of exp_hist_agg must not change within a group"),
				 errhint("Group by what they depend on.")));
}

/* Are they what they were at the group's first row? Never NULL then. */
static inline bool
same_constants(FunctionCallInfo fcinfo, float asked_error, int32 max_buckets)
{
	if (PG_NARGS() == 2)
		return true;
	return !PG_ARGISNULL(2) && asked_error == (float) PG_GETARG_FLOAT8(2) &&
		(PG_NARGS() == 3 ||
		 (!PG_ARGISNULL(3) && max_buckets == PG_GETARG_INT32(3)));
}

static void
refuse_nan(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("NaN cannot be counted in a histogram"),
			 errdetail("It has no place in an order of numbers."),
			 errhint("Leave it out: exp_hist_agg(x) FILTER (WHERE x <> 'NaN').")));
}

/* All that is not the common case. Apart, so that the common case needs no registers saved. */
static pg_noinline Datum
add_uncommon(FunctionCallInfo fcinfo)
{
	Summary    *state = aggwin_summary_in_place(fcinfo, SUMMARY_EXP_HISTOGRAM);

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	if (PG_NARGS() > 2)
		check_constants(fcinfo, state);
	if (isnan(PG_GETARG_FLOAT8(1)))
		refuse_nan();
	if (PG_ARGISNULL(0))
		state = first_state(fcinfo);
	else if (state == NULL)
		state = copy_state(PG_GETARG_DATUM(0));
	return give(fcinfo, add_value(state, PG_GETARG_FLOAT8(1)));
}

/* exp_histogram, value [, relative_error [, max_buckets]] -> exp_histogram */
Datum
aggwin_exp_histogram_transition(PG_FUNCTION_ARGS)
{
	Summary    *state = aggwin_summary_in_place(fcinfo, SUMMARY_EXP_HISTOGRAM);

	if (unlikely(state == NULL || PG_ARGISNULL(1)))
		return add_uncommon(fcinfo);
	if (state->layout == SUMMARY_WORKING)
	{
		ExpTable   *table = table_of(state);

		if (likely(same_constants(fcinfo, table->asked_error, table->max_buckets) &&
				   aggwin_exp_table_count(table, PG_GETARG_FLOAT8(1))))
			PG_RETURN_POINTER(state);
	}
	else
	{
		ExpBuffer  *buffer = buffer_of(state);

		if (likely(same_constants(fcinfo, buffer->asked_error, buffer->max_buckets) &&
				   aggwin_exp_buffer_count(buffer, PG_GETARG_FLOAT8(1))))
			PG_RETURN_POINTER(state);
	}
	return add_uncommon(fcinfo);
}

/*
 * exp_histogram, exp_histogram -> exp_histogram: combines, merges, and is "+"
 *
 * The first one stays as it is stored until there is a second: most groups of a
 * rollup that is folded have one state and nothing else.
 */
Datum
aggwin_exp_histogram_merge(PG_FUNCTION_ARGS)
{
	Summary    *state = aggwin_summary_in_place(fcinfo, SUMMARY_EXP_HISTOGRAM);

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	if (PG_ARGISNULL(0))
	{
		Summary    *only = aggwin_summary_get(PG_GETARG_DATUM(1), SUMMARY_EXP_HISTOGRAM);

		if (only->layout == SUMMARY_STORED)
			PG_RETURN_POINTER(only);
		return give(fcinfo, copy_state(PG_GETARG_DATUM(1)));
	}
	if (state == NULL)
		state = copy_state(PG_GETARG_DATUM(0));
	return give(fcinfo, merge(state, PG_GETARG_DATUM(1)));
}

/* A working state goes on after this: windows ask for the result at each row. */
Datum
aggwin_exp_histogram_final(PG_FUNCTION_ARGS)
{
	Summary    *state = aggwin_summary_get(PG_GETARG_DATUM(0), SUMMARY_EXP_HISTOGRAM);
	ExpList		list;

	if (state->layout == SUMMARY_STORED)
		PG_RETURN_POINTER(state);
	aggwin_exp_histogram_get(&list, PointerGetDatum(state));
	PG_RETURN_POINTER(aggwin_exp_histogram_encode(&list));
}
