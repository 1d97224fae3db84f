/*
 * histogram.c - counts between fixed bounds
 *
 * Infinite values are counted in the outer buckets, and apart, so that they
 * take part in ranks but not in interpolation.
 */
#include "postgres.h"

#include "summary/histogram.h"

#include <math.h>

#include "common/int.h"
#include "utils/float.h"

/* Up to here, comparing with all bounds is faster than halving them. */
#define LINEAR_SEARCH	16

void
aggwin_histogram_init(Histogram *histogram, const double *bounds, int nbounds)
{
	memset(histogram, 0, HISTOGRAM_SIZE(nbounds));
	histogram->nbounds = nbounds;
	histogram->min = get_float8_infinity();
	histogram->max = -get_float8_infinity();
	memcpy(histogram->bounds, bounds, nbounds * sizeof(double));
}

/* The bucket of a value: the number of bounds below it. */
static inline int
bucket_of(const Histogram *histogram, double value)
{
	const double *bounds = histogram->bounds;
	int			length = histogram->nbounds;
	int			below = 0;

	if (length <= LINEAR_SEARCH)
	{
		for (int i = 0; i < length; i++)
			below += value > bounds[i];
		return below;
	}
	while (length > 1)
	{
		int			half = length / 2;

		below += value > bounds[below + half - 1] ? half : 0;
		length -= half;
	}
	return below + (value > bounds[below]);
}

/* Add a value, which is not NaN. False if there are too many to be counted. */
bool
aggwin_histogram_add(Histogram *histogram, double value)
{
	if (unlikely(histogram->count == PG_INT64_MAX))
		return false;
	histogram->count++;
	aggwin_histogram_counts(histogram)[bucket_of(histogram, value)]++;
	histogram->sum += value;
	if (unlikely(isinf(value)))
	{
		if (value < 0)
			histogram->minus_infinity++;
		else
			histogram->plus_infinity++;
		return true;
	}
	if (value < histogram->min)
		histogram->min = value + 0.0;	/* not minus zero */
	if (value > histogram->max)
		histogram->max = value + 0.0;
	return true;
}

/* Merge histograms of the same bounds. False if there are too many values. */
bool
aggwin_histogram_merge(Histogram *into, const Histogram *from)
{
	int64	   *counts = aggwin_histogram_counts(into);
	const int64 *more = aggwin_histogram_counts(from);

	if (pg_add_s64_overflow(into->count, from->count, &into->count))
		return false;
	for (int i = 0; i <= into->nbounds; i++)
		counts[i] += more[i];
	into->sum += from->sum;
	into->min = Min(into->min, from->min);
	into->max = Max(into->max, from->max);
	into->minus_infinity += from->minus_infinity;
	into->plus_infinity += from->plus_infinity;
	return true;
}

bool
aggwin_histogram_same_bounds(const Histogram *histogram, const double *bounds, int nbounds)
{
	if (histogram->nbounds != nbounds)
		return false;
	for (int i = 0; i < nbounds; i++)
		if (histogram->bounds[i] != bounds[i])
			return false;
	return true;
}

/* What no values could have given, as a sentence; NULL if there is nothing. */
const char *
aggwin_histogram_check(const Histogram *histogram)
{
	const int64 *counts = aggwin_histogram_counts(histogram);
	int			last = histogram->nbounds;
	int64		total = 0;
	int64		finite;

	for (int i = 0; i < histogram->nbounds; i++)
	{
		if (!isfinite(histogram->bounds[i]))
			return "The bounds have to be finite.";
		if (i > 0 && histogram->bounds[i] <= histogram->bounds[i - 1])
			return "The bounds have to ascend.";
	}
	for (int i = 0; i <= last; i++)
	{
		if (counts[i] < 0)
			return "The count of a bucket must not be negative.";
		if (pg_add_s64_overflow(total, counts[i], &total))
			return "The counts add up to more than 64 bits hold.";
	}
	if (total < 1)
		return "There has to be a value.";
	if (total != histogram->count)
		return "The counts of the buckets do not add up to the count.";
	if (histogram->minus_infinity < 0 || histogram->minus_infinity > counts[0] ||
		histogram->plus_infinity < 0 || histogram->plus_infinity > counts[last])
		return "Infinite values have to be among those of the outer buckets.";
	finite = total - histogram->minus_infinity - histogram->plus_infinity;

	if (isnan(histogram->min) || isnan(histogram->max))
		return "Minimum and maximum must not be NaN.";
	if (finite == 0)
	{
		if (histogram->min != get_float8_infinity() || histogram->max != -get_float8_infinity())
			return "Without finite values the minimum is Infinity and the maximum is -Infinity.";
	}
	else
	{
		int			low = bucket_of(histogram, histogram->min);
		int			high = bucket_of(histogram, histogram->max);

		if (!isfinite(histogram->min) || !isfinite(histogram->max) ||
			histogram->min > histogram->max)
			return "The minimum has to be a finite number that is not above the maximum.";
		for (int i = 0; i <= last; i++)
		{
			int64		inside = counts[i] - (i == 0 ? histogram->minus_infinity : 0) -
				(i == last ? histogram->plus_infinity : 0);

			if ((i < low || i > high) ? inside != 0 : ((i == low || i == high) && inside == 0))
				return "Minimum and maximum have to lie in the outermost buckets in use.";
		}
		if (finite == 1 && histogram->min != histogram->max)
			return "Minimum and maximum of a single value have to be that value.";
	}

	if (finite == total && isfinite(histogram->sum))
	{
		double		slack = 1e-3 * total * Max(fabs(histogram->min), fabs(histogram->max));

		if (histogram->sum < histogram->min * total - slack ||
			histogram->sum > histogram->max * total + slack)
			return "The sum does not fit to minimum, maximum and count.";
		if (total == 1 && histogram->sum != histogram->min)
			return "The sum of a single value has to be that value.";
	}
	else if (finite < total && isfinite(histogram->sum))
		return "The sum cannot be finite when a value is not.";
	return NULL;
}

/* The smallest value, infinite ones included. */
double
aggwin_histogram_min(const Histogram *histogram)
{
	return histogram->minus_infinity > 0 ? -get_float8_infinity() : histogram->min;
}

double
aggwin_histogram_max(const Histogram *histogram)
{
	return histogram->plus_infinity > 0 ? get_float8_infinity() : histogram->max;
}

/*
 * What the finite values of a bucket lie between: its bounds, but no further out
 * than the smallest and the greatest value.
 */
static int64
finite_part(const Histogram *histogram, int bucket, double *lower, double *upper)
{
	int64		count = aggwin_histogram_counts(histogram)[bucket];

	*lower = histogram->min;
	*upper = histogram->max;
	if (bucket == 0)
		count -= histogram->minus_infinity;
	else
		*lower = Max(*lower, histogram->bounds[bucket - 1]);
	if (bucket == histogram->nbounds)
		count -= histogram->plus_infinity;
	else
		*upper = Min(*upper, histogram->bounds[bucket]);
	return count;
}

/*
 * The value at rank fraction * count, where ranks are continuous: the values of
 * a bucket are taken to be spread evenly over it.
 */
double
aggwin_histogram_percentile(const Histogram *histogram, double fraction)
{
	double		rank = fraction * histogram->count;
	double		below = histogram->minus_infinity;

	if (fraction >= 1)
		return aggwin_histogram_max(histogram);
	if (fraction <= 0 || rank <= below)
		return aggwin_histogram_min(histogram);
	for (int i = 0; i <= histogram->nbounds; i++)
	{
		double		lower;
		double		upper;
		int64		count = finite_part(histogram, i, &lower, &upper);
		double		part;
		double		value;

		if (count == 0 || below + count < rank)
		{
			below += count;
			continue;
		}
		part = (rank - below) / count;
		/* Rises with part also where numbers have few digits left, or their distance overflows. */
		if (isinf(upper - lower))
			value = lower * (1 - part) + upper * part;
		else
			value = lower + (upper - lower) * part;
		return Max(lower, Min(upper, value));
	}
	return aggwin_histogram_max(histogram);
}

/* The fraction of the values that are not above value: the inverse of the above. */
double
aggwin_histogram_cdf(const Histogram *histogram, double value)
{
	double		below = histogram->minus_infinity;

	if (value == get_float8_infinity())
		return 1;
	for (int i = 0; i <= histogram->nbounds; i++)
	{
		double		lower;
		double		upper;
		int64		count = finite_part(histogram, i, &lower, &upper);

		if (count == 0)
			continue;
		if (value < lower)
			break;
		if (value < upper)
		{
			double		width = upper - lower;

			/* halves, where the distance of the bounds is beyond the range */
			if (isinf(width))
				below += count * ((value / 2 - lower / 2) / (upper / 2 - lower / 2));
			else
				below += count * ((value - lower) / width);
			break;
		}
		below += count;
	}
	return below / histogram->count;
}
