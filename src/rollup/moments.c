/*
 * moments.c - variance and standard deviation from exact sums
 *
 * From the number of values N, their sum and the sum of their squares:
 *
 *      var_pop  = (N * sum(x²) - sum(x)²) / N²
 *      var_samp = (N * sum(x²) - sum(x)²) / (N * (N - 1))
 *
 * The steps and the scale of the result are those that the server's own
 * aggregates over exact types have, so that the digits are the same.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

PG_FUNCTION_INFO_V1(aggwin_numeric_var_pop);
PG_FUNCTION_INFO_V1(aggwin_numeric_var_samp);
PG_FUNCTION_INFO_V1(aggwin_numeric_stddev_pop);
PG_FUNCTION_INFO_V1(aggwin_numeric_stddev_samp);

/*
 * The square root of x, rounded once to the scale of x. numeric_sqrt() may give
 * more digits than that; rounding them away can turn a root just below the
 * middle of two results into one just above it.
 */
static Datum
square_root(Datum x)
{
	Datum		scale = DirectFunctionCall1(numeric_scale, x);
	Datum		root = DirectFunctionCall1(numeric_sqrt, x);
	Datum		rounded = DirectFunctionCall2(numeric_round, root, scale);
	Datum		half;
	Datum		middle;

	if (!DatumGetBool(DirectFunctionCall2(numeric_gt, rounded, root)))
		return rounded;

	half = DirectFunctionCall3(numeric_in,
							   CStringGetDatum(psprintf("5e%d", -DatumGetInt32(scale) - 1)),
							   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	middle = DirectFunctionCall2(numeric_sub, rounded, half);
	if (!DatumGetBool(DirectFunctionCall2(numeric_gt,
										  DirectFunctionCall2(numeric_mul, middle, middle),
										  x)))
		return rounded;
	return DirectFunctionCall2(numeric_round,
							   DirectFunctionCall2(numeric_sub, middle, half),
							   scale);
}

static Datum
variance(FunctionCallInfo fcinfo, bool sample, bool root)
{
	int64		count = PG_GETARG_INT64(0);
	Datum		sum = PG_GETARG_DATUM(1);
	Datum		squares = PG_GETARG_DATUM(2);
	Datum		n = NumericGetDatum(int64_to_numeric(count));
	Datum		zero = NumericGetDatum(int64_to_numeric(0));
	Datum		numerator;
	Datum		divisor;
	Datum		result;

	if (count <= (sample ? 1 : 0))
		PG_RETURN_NULL();

	if (numeric_is_nan(DatumGetNumeric(sum)) || numeric_is_inf(DatumGetNumeric(sum)))
		PG_RETURN_DATUM(DirectFunctionCall3(numeric_in, CStringGetDatum("NaN"),
											ObjectIdGetDatum(InvalidOid),
											Int32GetDatum(-1)));

	numerator = DirectFunctionCall2(numeric_sub,
									DirectFunctionCall2(numeric_mul, n, squares),
									DirectFunctionCall2(numeric_mul, sum, sum));
	if (DatumGetBool(DirectFunctionCall2(numeric_le, numerator, zero)))
		PG_RETURN_DATUM(zero);

	divisor = DirectFunctionCall2(numeric_mul, n,
								  sample ? NumericGetDatum(int64_to_numeric(count - 1)) : n);
	result = DirectFunctionCall2(numeric_div, numerator, divisor);
	if (root)
		result = square_root(result);
	PG_RETURN_DATUM(result);
}

Datum
aggwin_numeric_var_pop(PG_FUNCTION_ARGS)
{
	return variance(fcinfo, false, false);
}

Datum
aggwin_numeric_var_samp(PG_FUNCTION_ARGS)
{
	return variance(fcinfo, true, false);
}

Datum
aggwin_numeric_stddev_pop(PG_FUNCTION_ARGS)
{
	return variance(fcinfo, false, true);
}

Datum
aggwin_numeric_stddev_samp(PG_FUNCTION_ARGS)
{
	return variance(fcinfo, true, true);
}
