/*
 * histogram_access.c - the SQL type histogram: what it tells
 */
#include "postgres.h"

#include "summary/histogram_type.h"
#include "summary/plot.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(aggwin_histogram_num_vals);
PG_FUNCTION_INFO_V1(aggwin_histogram_total);
PG_FUNCTION_INFO_V1(aggwin_histogram_mean);
PG_FUNCTION_INFO_V1(aggwin_histogram_min_val);
PG_FUNCTION_INFO_V1(aggwin_histogram_max_val);
PG_FUNCTION_INFO_V1(aggwin_histogram_percentile_of);
PG_FUNCTION_INFO_V1(aggwin_histogram_percentiles);
PG_FUNCTION_INFO_V1(aggwin_histogram_cdf_of);
PG_FUNCTION_INFO_V1(aggwin_histogram_bounds);
PG_FUNCTION_INFO_V1(aggwin_histogram_buckets);
PG_FUNCTION_INFO_V1(aggwin_histogram_plot);
PG_FUNCTION_INFO_V1(aggwin_linear_bounds);
PG_FUNCTION_INFO_V1(aggwin_exponential_bounds);

/* Number of values. */
Datum
aggwin_histogram_num_vals(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(aggwin_histogram_get(PG_GETARG_DATUM(0))->count);
}

/* Sum of the values; an error if it is beyond the range of double precision. */
Datum
aggwin_histogram_total(PG_FUNCTION_ARGS)
{
	Histogram  *histogram = aggwin_histogram_get(PG_GETARG_DATUM(0));

	PG_RETURN_FLOAT8(aggwin_summary_sum(histogram->sum, aggwin_histogram_min(histogram),
										aggwin_histogram_max(histogram)));
}

/* Arithmetic mean, from the sum. */
Datum
aggwin_histogram_mean(PG_FUNCTION_ARGS)
{
	Histogram  *histogram = aggwin_histogram_get(PG_GETARG_DATUM(0));

	PG_RETURN_FLOAT8(aggwin_summary_sum(histogram->sum, aggwin_histogram_min(histogram),
										aggwin_histogram_max(histogram)) / histogram->count);
}

/* Smallest value, exact. */
Datum
aggwin_histogram_min_val(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(aggwin_histogram_min(aggwin_histogram_get(PG_GETARG_DATUM(0))));
}

/* Greatest value, exact. */
Datum
aggwin_histogram_max_val(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(aggwin_histogram_max(aggwin_histogram_get(PG_GETARG_DATUM(0))));
}

/* See aggwin_histogram_percentile(). The fraction lies in [0,1], or it is an error. */
Datum
aggwin_histogram_percentile_of(PG_FUNCTION_ARGS)
{
	aggwin_check_fraction(PG_GETARG_FLOAT8(1));
	PG_RETURN_FLOAT8(aggwin_histogram_percentile(aggwin_histogram_get(PG_GETARG_DATUM(0)),
												 PG_GETARG_FLOAT8(1)));
}

static double
percentile_of(const void *histogram, double fraction)
{
	return aggwin_histogram_percentile(histogram, fraction);
}

/* The same of each fraction in an array; NULL stays NULL. */
Datum
aggwin_histogram_percentiles(PG_FUNCTION_ARGS)
{
	return aggwin_percentiles(aggwin_histogram_get(PG_GETARG_DATUM(0)),
							  PG_GETARG_ARRAYTYPE_P(1), percentile_of);
}

/* Fraction of the values that are not above a value, which must not be NaN. */
Datum
aggwin_histogram_cdf_of(PG_FUNCTION_ARGS)
{
	if (isnan(PG_GETARG_FLOAT8(1)))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("cdf of NaN is not defined")));
	PG_RETURN_FLOAT8(aggwin_histogram_cdf(aggwin_histogram_get(PG_GETARG_DATUM(0)),
										  PG_GETARG_FLOAT8(1)));
}

static Datum
float8_array(const double *values, int length)
{
	Datum	   *elements = palloc(length * sizeof(Datum));

	for (int i = 0; i < length; i++)
		elements[i] = Float8GetDatum(values[i]);
	return PointerGetDatum(construct_array(elements, length, FLOAT8OID, sizeof(float8),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* The bounds it was built with. */
Datum
aggwin_histogram_bounds(PG_FUNCTION_ARGS)
{
	Histogram  *histogram = aggwin_histogram_get(PG_GETARG_DATUM(0));

	return float8_array(histogram->bounds, histogram->nbounds);
}

static PlotBucket *
all_buckets(const Histogram *histogram)
{
	PlotBucket *buckets = palloc((histogram->nbounds + 1) * sizeof(PlotBucket));

	for (int i = 0; i <= histogram->nbounds; i++)
	{
		buckets[i].lower = i == 0 ? -get_float8_infinity() : histogram->bounds[i - 1];
		buckets[i].upper = i == histogram->nbounds ? get_float8_infinity() : histogram->bounds[i];
		buckets[i].count = aggwin_histogram_counts(histogram)[i];
	}
	return buckets;
}

/* All buckets, empty ones too: lower and upper bound, and how many values. */
Datum
aggwin_histogram_buckets(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Histogram  *histogram = aggwin_histogram_get(PG_GETARG_DATUM(0));
	PlotBucket *buckets = all_buckets(histogram);

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i <= histogram->nbounds; i++)
	{
		Datum		values[3];
		bool		nulls[3] = {false};

		values[0] = Float8GetDatum(buckets[i].lower);
		values[1] = Float8GetDatum(buckets[i].upper);
		values[2] = Int64GetDatum(buckets[i].count);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* A bar chart, a line a bucket. width: of the longest bar, in characters. */
Datum
aggwin_histogram_plot(PG_FUNCTION_ARGS)
{
	Histogram  *histogram = aggwin_histogram_get(PG_GETARG_DATUM(0));

	aggwin_plot(fcinfo, all_buckets(histogram), histogram->nbounds + 1, PG_GETARG_INT32(1));
	return (Datum) 0;
}

/* count numbers as bounds; an error unless they are finite and ascend. */
static Datum
make_bounds(double start, double step, int count, bool linear)
{
	double	   *bounds;

	if (count < 1 || count > HISTOGRAM_MAX_BOUNDS)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("number of bounds %d is out of range", count),
				 errdetail("There may be 1 to %d bounds.", HISTOGRAM_MAX_BOUNDS)));
	bounds = palloc(count * sizeof(double));
	for (int i = 0; i < count; i++)
	{
		bounds[i] = linear ? start + i * step : start * pow(step, i);
		if (!isfinite(bounds[i]) || (i > 0 && bounds[i] <= bounds[i - 1]))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("bounds would not be finite and ascending"),
					 errdetail("Bound %d would be %g.", i + 1, bounds[i]),
					 linear ? errhint("Use a finite start and a width that is positive and not too small for it.") :
					 errhint("Use a positive start and a factor above 1.")));
	}
	return float8_array(bounds, count);
}

/* start, start + width, … */
Datum
aggwin_linear_bounds(PG_FUNCTION_ARGS)
{
	return make_bounds(PG_GETARG_FLOAT8(0), PG_GETARG_FLOAT8(1), PG_GETARG_INT32(2), true);
}

/* start, start * factor, start * factor², … */
Datum
aggwin_exponential_bounds(PG_FUNCTION_ARGS)
{
	return make_bounds(PG_GETARG_FLOAT8(0), PG_GETARG_FLOAT8(1), PG_GETARG_INT32(2), false);
}
