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

/* Digits beyond the wanted scale, so that rounding twice is rounding once. */
#define GUARD_DIGITS 64

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
	Datum		scale;

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
	{
		scale = DirectFunctionCall1(numeric_scale, result);
		result = DirectFunctionCall2(numeric_round, result,
									 Int32GetDatum(DatumGetInt32(scale) + GUARD_DIGITS));
		result = DirectFunctionCall1(numeric_sqrt, result);
		result = DirectFunctionCall2(numeric_round, result, scale);
	}
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
