/*
 * quantile_agg.c - the aggregate histogram_quantile
 *
 * Its state is an array of numbers: the fraction, then bound and count of each
 * bucket in ascending order. Buckets of the same bound are added up.
 */
#include "postgres.h"

#include "summary/quantile.h"
#include "summary/summary.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

PG_FUNCTION_INFO_V1(aggwin_quantile_transition);
PG_FUNCTION_INFO_V1(aggwin_quantile_transition_text);
PG_FUNCTION_INFO_V1(aggwin_quantile_combine);
PG_FUNCTION_INFO_V1(aggwin_quantile_final);

/* More bounds than anybody needs; without it a mistake would take all memory. */
#define MAX_BUCKETS		65536

#define FRACTION(state) ((double *) ARR_DATA_PTR(state))
#define BUCKETS(state) ((CumulativeBucket *) (FRACTION(state) + 1))
#define LENGTH(state) ((ARR_DIMS(state)[0] - 1) / 2)

static ArrayType *
new_state(double fraction, int length)
{
	int			elements = 1 + 2 * length;
	Size		size = ARR_OVERHEAD_NONULLS(1) + elements * sizeof(double);
	ArrayType  *state = palloc0(size);

	SET_VARSIZE(state, size);
	state->ndim = 1;
	state->elemtype = FLOAT8OID;
	ARR_DIMS(state)[0] = elements;
	ARR_LBOUND(state)[0] = 1;
	*FRACTION(state) = fraction;
	return state;
}

/* An argument that is a state; users can pass any array. */
static ArrayType *
state_argument(FunctionCallInfo fcinfo, int argument)
{
	ArrayType  *state = PG_GETARG_ARRAYTYPE_P(argument);

	if (ARR_NDIM(state) != 1 || ARR_HASNULL(state) || ARR_DIMS(state)[0] % 2 != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("this array is not a state of histogram_quantile")));
	return state;
}

/* Add a bucket to a state that may be changed; the result is it, or a larger one. */
static ArrayType *
add_bucket(ArrayType *state, double le, double count)
{
	CumulativeBucket *buckets = BUCKETS(state);
	int			length = LENGTH(state);
	int			place = length;
	ArrayType  *larger;

	while (place > 0 && buckets[place - 1].le > le)
		place--;
	if (place > 0 && buckets[place - 1].le == le)
	{
		buckets[place - 1].count += count;
		return state;
	}

	if (length >= MAX_BUCKETS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("histogram_quantile has more than %d buckets", MAX_BUCKETS)));
	larger = new_state(*FRACTION(state), length + 1);
	memcpy(BUCKETS(larger), buckets, place * sizeof(CumulativeBucket));
	BUCKETS(larger)[place] = (CumulativeBucket) {.le = le, .count = count};
	memcpy(BUCKETS(larger) + place + 1, buckets + place,
		   (length - place) * sizeof(CumulativeBucket));
	return larger;
}

/* The state so far, to be changed: its own inside of an aggregate, else a copy. */
static ArrayType *
own_state(FunctionCallInfo fcinfo)
{
	if (aggwin_in_aggregate(fcinfo))
		return state_argument(fcinfo, 0);
	(void) state_argument(fcinfo, 0);
	return PG_GETARG_ARRAYTYPE_P_COPY(0);
}

static Datum
add(FunctionCallInfo fcinfo, double le, double count)
{
	double		fraction;
	ArrayType  *state;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("fraction must not be NULL")));
	fraction = PG_GETARG_FLOAT8(1);
	if (isnan(le))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("the bound of a bucket must not be NaN")));
	if (PG_ARGISNULL(0))
	{
		aggwin_check_fraction(fraction);
		state = new_state(fraction, 0);
	}
	else
		state = own_state(fcinfo);
	if (*FRACTION(state) != fraction)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("fraction of histogram_quantile must not change within a group"),
				 errhint("Group by it.")));
	PG_RETURN_POINTER(add_bucket(state, le + 0.0, count));
}

static bool
skip(FunctionCallInfo fcinfo)
{
	return PG_ARGISNULL(2) || PG_ARGISNULL(3);
}

static Datum
unchanged(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

/* state, fraction, le, count -> state */
Datum
aggwin_quantile_transition(PG_FUNCTION_ARGS)
{
	if (skip(fcinfo))
		return unchanged(fcinfo);
	return add(fcinfo, PG_GETARG_FLOAT8(2), PG_GETARG_FLOAT8(3));
}

/* The same with the bound as in a label: "0.5", "+Inf". */
Datum
aggwin_quantile_transition_text(PG_FUNCTION_ARGS)
{
	Datum		le;

	if (skip(fcinfo))
		return unchanged(fcinfo);
	le = DirectFunctionCall1(float8in, CStringGetDatum(text_to_cstring(PG_GETARG_TEXT_PP(2))));
	return add(fcinfo, DatumGetFloat8(le), PG_GETARG_FLOAT8(3));
}

/* state, state -> state */
Datum
aggwin_quantile_combine(PG_FUNCTION_ARGS)
{
	ArrayType  *into;
	ArrayType  *from;

	if (PG_ARGISNULL(1))
		return unchanged(fcinfo);
	from = state_argument(fcinfo, 1);
	if (PG_ARGISNULL(0))
		PG_RETURN_DATUM(PG_GETARG_DATUM(1));
	into = own_state(fcinfo);
	if (*FRACTION(into) != *FRACTION(from))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("fraction of histogram_quantile must not change within a group"),
				 errhint("Group by it.")));
	for (int i = 0; i < LENGTH(from); i++)
		into = add_bucket(into, BUCKETS(from)[i].le, BUCKETS(from)[i].count);
	PG_RETURN_POINTER(into);
}

/* state -> quantile */
Datum
aggwin_quantile_final(PG_FUNCTION_ARGS)
{
	ArrayType  *state = state_argument(fcinfo, 0);
	int			length = LENGTH(state);
	CumulativeBucket *buckets = palloc(length * sizeof(CumulativeBucket));

	memcpy(buckets, BUCKETS(state), length * sizeof(CumulativeBucket));
	PG_RETURN_FLOAT8(aggwin_cumulative_quantile(buckets, length, *FRACTION(state)));
}
