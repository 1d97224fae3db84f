/*
 * histogram_agg.c - the SQL type histogram: its aggregates
 */
#include "postgres.h"

#include "summary/histogram_type.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "nodes/primnodes.h"

PG_FUNCTION_INFO_V1(aggwin_histogram_transition);
PG_FUNCTION_INFO_V1(aggwin_histogram_merge_transition);
PG_FUNCTION_INFO_V1(aggwin_histogram_final);

/* Bounds in a message: the first few. */
static char *
describe(const double *bounds, int nbounds)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	for (int i = 0; i < nbounds && i < 8; i++)
	{
		char		digits[DOUBLE_SHORTEST_DECIMAL_LEN];

		double_to_shortest_decimal_buf(bounds[i], digits);
		appendStringInfo(&buf, "%s%s", i > 0 ? "," : "", digits);
	}
	if (nbounds > 8)
		appendStringInfo(&buf, ",… %d in all", nbounds);
	appendStringInfoChar(&buf, '}');
	return buf.data;
}

static void
refuse_bounds(const double *a, int length_a, const double *b, int length_b, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("histograms of different bounds do not merge"),
			 errdetail("The bounds are %s and %s.", describe(a, length_a), describe(b, length_b)),
			 errhint("%s", hint)));
}

static void
overflow(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("aggwin.histogram has more values than 64 bits can count")));
}

/* The numbers in an array of bounds, minus zero made zero. */
static double *
read_bounds(ArrayType *array, int *nbounds)
{
	double	   *bounds;

	if (ARR_NDIM(array) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("bounds must be a one-dimensional array of 1 to %d numbers", HISTOGRAM_MAX_BOUNDS)));
	*nbounds = ARR_DIMS(array)[0];
	if (*nbounds > HISTOGRAM_MAX_BOUNDS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%d bounds are too many", *nbounds),
				 errdetail("There may be %d.", HISTOGRAM_MAX_BOUNDS),
				 errhint("exp_hist_agg() needs no bounds.")));
	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("bounds must not be NULL")));

	bounds = palloc(*nbounds * sizeof(double));
	memcpy(bounds, ARR_DATA_PTR(array), *nbounds * sizeof(double));
	for (int i = 0; i < *nbounds; i++)
	{
		bounds[i] += 0.0;
		if (!isfinite(bounds[i]))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("bounds must be finite"),
					 errdetail("Bound %d is %g.", i + 1, bounds[i]),
					 errhint("The outer buckets have no end anyway.")));
		if (i > 0 && bounds[i] <= bounds[i - 1])
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("bounds must ascend"),
					 errdetail("Bound %d is %g, and bound %d is %g.",
							   i, bounds[i - 1], i + 1, bounds[i]),
					 errhint("Sort them and remove duplicates.")));
	}
	return bounds;
}

static double *
bounds_argument(FunctionCallInfo fcinfo, int *nbounds)
{
	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("bounds must not be NULL")));
	return read_bounds(PG_GETARG_ARRAYTYPE_P(2), nbounds);
}

/*
 * Bounds are written down in the query, mostly. Then states that begin with them
 * need not compare them again, at each row. fn_extra keeps the answer.
 */
static const char bounds_are_constant = 1;
static const char bounds_may_change = 0;

static bool
constant_bounds(FunctionCallInfo fcinfo)
{
	if (unlikely(fcinfo->flinfo->fn_extra == NULL))
	{
		Aggref	   *aggref = AggGetAggref(fcinfo);
		bool		constant = aggref != NULL && list_length(aggref->args) == 2 &&
			IsA(lsecond_node(TargetEntry, aggref->args)->expr, Const);

		fcinfo->flinfo->fn_extra = unconstify(char *, constant ? &bounds_are_constant :
											  &bounds_may_change);
	}
	return fcinfo->flinfo->fn_extra == &bounds_are_constant;
}

static Summary *
copy_state(Datum datum)
{
	Histogram  *histogram = aggwin_histogram_get(datum);
	Summary    *summary = aggwin_histogram_new(histogram->bounds, histogram->nbounds);

	memcpy(aggwin_histogram_of(summary), histogram, HISTOGRAM_SIZE(histogram->nbounds));
	return summary;
}

/* A state outlives the call only as what the caller expects of it. */
static Datum
give(FunctionCallInfo fcinfo, Summary *state)
{
	if (aggwin_in_aggregate(fcinfo))
		return PointerGetDatum(state);
	return PointerGetDatum(aggwin_histogram_encode(aggwin_histogram_of(state)));
}

/* histogram, value, bounds -> histogram */
Datum
aggwin_histogram_transition(PG_FUNCTION_ARGS)
{
	Summary    *state = aggwin_summary_in_place(fcinfo, SUMMARY_HISTOGRAM);
	bool		compare = state == NULL || !constant_bounds(fcinfo);
	double		value;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	value = PG_GETARG_FLOAT8(1);
	if (unlikely(isnan(value)))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("NaN cannot be counted in a histogram"),
				 errdetail("It has no place in an order of numbers."),
				 errhint("Leave it out: hist_agg(x, bounds) FILTER (WHERE x <> 'NaN').")));

	if (unlikely(compare))
	{
		int			nbounds;
		double	   *bounds = bounds_argument(fcinfo, &nbounds);
		Histogram  *histogram;

		if (PG_ARGISNULL(0))
			state = aggwin_histogram_new(bounds, nbounds);
		else if (state == NULL)
			state = copy_state(PG_GETARG_DATUM(0));
		histogram = aggwin_histogram_of(state);
		if (!aggwin_histogram_same_bounds(histogram, bounds, nbounds))
			refuse_bounds(histogram->bounds, histogram->nbounds, bounds, nbounds,
						  "Group by what the bounds depend on.");
		pfree(bounds);
	}
	if (!aggwin_histogram_add(aggwin_histogram_of(state), value))
		overflow();
	if (likely(!compare))
		PG_RETURN_POINTER(state);
	return give(fcinfo, state);
}

/* histogram, histogram -> histogram: combines partial aggregates, merges, and is "+" */
Datum
aggwin_histogram_merge_transition(PG_FUNCTION_ARGS)
{
	Summary    *state = aggwin_summary_in_place(fcinfo, SUMMARY_HISTOGRAM);
	Histogram  *into;
	Histogram  *from;

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	if (PG_ARGISNULL(0))
		return give(fcinfo, copy_state(PG_GETARG_DATUM(1)));
	if (state == NULL)
		state = copy_state(PG_GETARG_DATUM(0));

	into = aggwin_histogram_of(state);
	from = aggwin_histogram_get(PG_GETARG_DATUM(1));
	if (!aggwin_histogram_same_bounds(into, from->bounds, from->nbounds))
		refuse_bounds(into->bounds, into->nbounds, from->bounds, from->nbounds,
					  "Merge only histograms that were built with the same bounds.");
	if (!aggwin_histogram_merge(into, from))
		overflow();
	return give(fcinfo, state);
}

/* A working state goes on after this: windows ask for the result at each row. */
Datum
aggwin_histogram_final(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(aggwin_histogram_encode(aggwin_histogram_get(PG_GETARG_DATUM(0))));
}
