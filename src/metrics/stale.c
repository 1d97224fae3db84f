/*
 * stale.c - the mark that says that a series has ended
 *
 * Prometheus writes one NaN of its own where a series has gone. It is told from
 * others by its bits alone, so nothing may calculate with it. Source: Prometheus,
 * model/value, StaleNaN.
 */
#include "postgres.h"

#include "fmgr.h"

PG_FUNCTION_INFO_V1(aggwin_is_stale);
PG_FUNCTION_INFO_V1(aggwin_stale_marker);
PG_FUNCTION_INFO_V1(aggwin_same_bits);

#define STALE_BITS INT64CONST(0x7ff0000000000002)

/* The bits of an argument, without a load into a register of floats. */
static int64
bits_of(Datum value)
{
	return DatumGetInt64(value);
}

/* aggwin.is_stale(float8): is it the mark? */
Datum
aggwin_is_stale(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(bits_of(PG_GETARG_DATUM(0)) == STALE_BITS);
}

/* aggwin.stale_marker(): the mark. */
Datum
aggwin_stale_marker(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(Int64GetDatum(STALE_BITS));
}

/* aggwin.same_bits(float8, float8): zeros of either sign and NaNs differ, too. */
Datum
aggwin_same_bits(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(bits_of(PG_GETARG_DATUM(0)) == bits_of(PG_GETARG_DATUM(1)));
}
