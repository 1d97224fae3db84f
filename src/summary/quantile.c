/*
 * quantile.c - quantiles of cumulative buckets, as Prometheus computes them
 *
 * The rules of histogram_quantile() for classic histograms (Prometheus,
 * "Querying: functions"), the odd ones included:
 *
 * - Without a bucket +Inf, with fewer than two buckets, or without observations
 *   the answer is NaN.
 * - Counts that fall from one bound to the next, as they do when targets are
 *   scraped at different times, are raised to the one before.
 * - The first bucket begins at zero if its bound is positive; otherwise its bound
 *   is the answer, as nobody knows where it begins.
 * - In the bucket of +Inf, the answer is the last finite bound.
 */
#include "postgres.h"

#include "summary/quantile.h"

#include <math.h>

#include "utils/float.h"

/*
 * The value that a fraction of the observations does not exceed, by linear
 * interpolation. The buckets ascend and are made monotone in place.
 */
double
aggwin_cumulative_quantile(CumulativeBucket *buckets, int length, double fraction)
{
	double		rank;
	double		start = 0;
	double		below = 0;
	int			found = 0;

	if (length < 2 || buckets[length - 1].le != get_float8_infinity())
		return get_float8_nan();
	for (int i = 1; i < length; i++)
		if (buckets[i].count < buckets[i - 1].count)
			buckets[i].count = buckets[i - 1].count;
	if (buckets[length - 1].count == 0)
		return get_float8_nan();

	rank = fraction * buckets[length - 1].count;
	while (found < length - 1 && !(buckets[found].count >= rank))
		found++;
	if (found == length - 1)
		return buckets[length - 2].le;
	if (found == 0 && buckets[0].le <= 0)
		return buckets[0].le;
	if (found > 0)
	{
		start = buckets[found - 1].le;
		below = buckets[found - 1].count;
	}
	return start + (buckets[found].le - start) * ((rank - below) / (buckets[found].count - below));
}
