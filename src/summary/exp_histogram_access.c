/*
 * exp_histogram_access.c - the SQL type exp_histogram: what it tells
 */
#include "postgres.h"

#include "summary/exp_histogram_type.h"
#include "summary/plot.h"

#include <math.h>

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(aggwin_exp_histogram_num_vals);
PG_FUNCTION_INFO_V1(aggwin_exp_histogram_total);
PG_FUNCTION_INFO_V1(aggwin_exp_histogram_mean);
PG_FUNCTION_INFO_V1(aggwin_exp_histogram_min_val);
PG_FUNCTION_INFO_V1(aggwin_exp_histogram_max_val);
PG_FUNCTION_INFO_V1(aggwin_exp_histogram_percentile);
PG_FUNCTION_INFO_V1(aggwin_exp_histogram_percentiles);
PG_FUNCTION_INFO_V1(aggwin_exp_histogram_cdf);
PG_FUNCTION_INFO_V1(aggwin_exp_histogram_relative_error);
PG_FUNCTION_INFO_V1(aggwin_exp_histogram_buckets);
PG_FUNCTION_INFO_V1(aggwin_exp_histogram_plot);

/* A plot has at most so many lines; the scale is lowered for it. */
#define PLOT_LINES	24

/* Number of values. */
Datum
aggwin_exp_histogram_num_vals(PG_FUNCTION_ARGS)
{
	ExpList		list;

	aggwin_exp_histogram_get(&list, PG_GETARG_DATUM(0));
	PG_RETURN_INT64(list.count);
}

/* Sum of the values; an error if it is beyond the range of double precision. */
Datum
aggwin_exp_histogram_total(PG_FUNCTION_ARGS)
{
	ExpList		list;

	aggwin_exp_histogram_get(&list, PG_GETARG_DATUM(0));
	PG_RETURN_FLOAT8(aggwin_summary_sum(list.sum, list.min, list.max));
}

/* Arithmetic mean, from the sum. */
Datum
aggwin_exp_histogram_mean(PG_FUNCTION_ARGS)
{
	ExpList		list;

	aggwin_exp_histogram_get(&list, PG_GETARG_DATUM(0));
	PG_RETURN_FLOAT8(aggwin_summary_sum(list.sum, list.min, list.max) / list.count);
}

/* Smallest value, exact. */
Datum
aggwin_exp_histogram_min_val(PG_FUNCTION_ARGS)
{
	ExpList		list;

	aggwin_exp_histogram_get(&list, PG_GETARG_DATUM(0));
	PG_RETURN_FLOAT8(list.min);
}

/* Greatest value, exact. */
Datum
aggwin_exp_histogram_max_val(PG_FUNCTION_ARGS)
{
	ExpList		list;

	aggwin_exp_histogram_get(&list, PG_GETARG_DATUM(0));
	PG_RETURN_FLOAT8(list.max);
}

/* See aggwin_exp_list_percentile(). The fraction lies in [0,1], or it is an error. */
Datum
aggwin_exp_histogram_percentile(PG_FUNCTION_ARGS)
{
	ExpList		list;

	aggwin_check_fraction(PG_GETARG_FLOAT8(1));
	aggwin_exp_histogram_get(&list, PG_GETARG_DATUM(0));
	PG_RETURN_FLOAT8(aggwin_exp_list_percentile(&list, PG_GETARG_FLOAT8(1)));
}

static double
percentile_of(const void *list, double fraction)
{
	return aggwin_exp_list_percentile(list, fraction);
}

/* The same of each fraction in an array; NULL stays NULL. */
Datum
aggwin_exp_histogram_percentiles(PG_FUNCTION_ARGS)
{
	ExpList		list;

	aggwin_exp_histogram_get(&list, PG_GETARG_DATUM(0));
	return aggwin_percentiles(&list, PG_GETARG_ARRAYTYPE_P(1), percentile_of);
}

/* Fraction of the values that are not above a value, which must not be NaN. */
Datum
aggwin_exp_histogram_cdf(PG_FUNCTION_ARGS)
{
	ExpList		list;

	if (isnan(PG_GETARG_FLOAT8(1)))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("cdf of NaN is not defined")));
	aggwin_exp_histogram_get(&list, PG_GETARG_DATUM(0));
	PG_RETURN_FLOAT8(aggwin_exp_list_cdf(&list, PG_GETARG_FLOAT8(1)));
}

/* The relative error that holds now: greater than asked for if the scale had to fall. */
Datum
aggwin_exp_histogram_relative_error(PG_FUNCTION_ARGS)
{
	ExpList		list;

	aggwin_exp_histogram_get(&list, PG_GETARG_DATUM(0));
	PG_RETURN_FLOAT8(aggwin_exp_relative_error(list.scale));
}

/* The buckets that are not empty: lower and upper bound, and how many values. */
Datum
aggwin_exp_histogram_buckets(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ExpList		list;

	InitMaterializedSRF(fcinfo, 0);
	aggwin_exp_histogram_get(&list, PG_GETARG_DATUM(0));
	for (int32 i = 0; i < list.length; i++)
	{
		Datum		values[3];
		bool		nulls[3] = {false};
		double		lower;
		double		upper;

		aggwin_exp_bucket_bounds(&list.buckets[i], list.scale, &lower, &upper);
		values[0] = Float8GetDatum(lower);
		values[1] = Float8GetDatum(upper);
		values[2] = Int64GetDatum(list.buckets[i].count);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* Join neighbours: the same histogram at the next lower scale. */
static void
halve(ExpList *list)
{
	int32		length = 0;

	for (int32 i = 0; i < list->length; i++)
	{
		ExpBucket	bucket = list->buckets[i];

		bucket.index >>= 1;
		if (length > 0 && list->buckets[length - 1].sign == bucket.sign &&
			list->buckets[length - 1].index == bucket.index)
			list->buckets[length - 1].count += bucket.count;
		else
			list->buckets[length++] = bucket;
	}
	list->length = length;
	list->scale--;
}

/* A bar chart of what is not empty. width: of the longest bar, in characters. */
Datum
aggwin_exp_histogram_plot(PG_FUNCTION_ARGS)
{
	ExpList		list;
	PlotBucket *buckets;

	aggwin_exp_histogram_get(&list, PG_GETARG_DATUM(0));
	while (list.length > PLOT_LINES && list.scale > EXP_MIN_SCALE)
		halve(&list);
	buckets = palloc(list.length * sizeof(PlotBucket));
	for (int32 i = 0; i < list.length; i++)
	{
		aggwin_exp_bucket_bounds(&list.buckets[i], list.scale, &buckets[i].lower, &buckets[i].upper);
		buckets[i].count = list.buckets[i].count;
	}
	aggwin_plot(fcinfo, buckets, list.length, PG_GETARG_INT32(1));
	return (Datum) 0;
}
