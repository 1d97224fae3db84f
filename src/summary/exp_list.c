/*
 * exp_list.c - what exponential buckets tell, in the order of their values
 */
#include "postgres.h"

#include "summary/exp_histogram.h"

#include <math.h>

#include "common/int.h"
#include "utils/float.h"

/* Where a bucket stands among those of all values. */
static inline int64
position(const ExpBucket *bucket)
{
	return bucket->sign * (((int64) 1 << 32) + bucket->index);
}

#define ST_SORT sort_buckets
#define ST_ELEMENT_TYPE ExpBucket
#define ST_COMPARE(a, b) ((position(a) > position(b)) - (position(a) < position(b)))
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Put the buckets in order. */
void
aggwin_exp_list_sort(ExpList *list)
{
	bool		sorted = true;

	/* those of small states are, unless there are negative ones */
	for (int32 i = 1; i < list->length && sorted; i++)
		sorted = position(&list->buckets[i - 1]) < position(&list->buckets[i]);
	if (!sorted)
		sort_buckets(list->buckets, list->length);
}

void
aggwin_exp_bucket_bounds(const ExpBucket *bucket, int scale, double *lower, double *upper)
{
	double		near = 0;
	double		far = 0;

	if (bucket->sign != 0)
	{
		near = aggwin_exp_bound(bucket->index, scale);
		far = aggwin_exp_bound(bucket->index + 1, scale);
	}
	*lower = bucket->sign < 0 ? -far : near;
	*upper = bucket->sign < 0 ? -near : far;
}

static bool
holds(const ExpBucket *bucket, int scale, double value)
{
	if (value == 0)
		return bucket->sign == 0;
	return bucket->sign == (value < 0 ? -1 : 1) &&
		bucket->index == aggwin_exp_index(fabs(value), scale);
}

/* What no values could have given, as a sentence; NULL if there is nothing. */
const char *
aggwin_exp_list_check(const ExpList *list)
{
	int64		total = 0;
	int32		used = 0;
	int32		lowest;
	int32		highest;
	bool		finite;

	if (list->scale < EXP_MIN_SCALE || list->scale > EXP_MAX_SCALE)
		return psprintf("The scale has to lie between %d and %d.", EXP_MIN_SCALE, EXP_MAX_SCALE);
	if (list->max_buckets < EXP_MIN_BUCKETS || list->max_buckets > EXP_MAX_BUCKETS)
		return psprintf("The greatest number of buckets has to lie between %d and %d.",
						EXP_MIN_BUCKETS, EXP_MAX_BUCKETS);
	if (list->length == 0)
		return "There has to be a bucket.";
	lowest = aggwin_exp_index(ldexp(1.0, -1074), list->scale);
	highest = aggwin_exp_index(get_float8_infinity(), list->scale);
	for (int32 i = 0; i < list->length; i++)
	{
		const ExpBucket *bucket = &list->buckets[i];

		if (bucket->count < 1)
			return "The count of a bucket has to be positive.";
		if (pg_add_s64_overflow(total, bucket->count, &total))
			return "The counts add up to more than 64 bits hold.";
		if (i > 0 && position(&list->buckets[i - 1]) >= position(bucket))
			return "The buckets have to ascend.";
		if (bucket->sign == 0)
			continue;
		used++;
		if (bucket->index < lowest || bucket->index > highest)
			return "A bucket lies beyond the range of numbers.";
	}
	if (used > list->max_buckets)
		return "There are more buckets than allowed.";
	if (total != list->count)
		return "The counts of the buckets do not add up to the count.";

	if (isnan(list->min) || isnan(list->max) || list->min > list->max)
		return "The minimum has to be a number that is not above the maximum.";
	if (!holds(&list->buckets[0], list->scale, list->min) ||
		!holds(&list->buckets[list->length - 1], list->scale, list->max))
		return "Minimum and maximum have to lie in the outermost buckets.";

	finite = isfinite(list->min) && isfinite(list->max);
	if (finite && isfinite(list->sum))
	{
		double		slack = 1e-3 * list->count * Max(fabs(list->min), fabs(list->max));

		if (list->sum < list->min * list->count - slack ||
			list->sum > list->max * list->count + slack)
			return "The sum does not fit to minimum, maximum and count.";
		if (list->count == 1 && (list->sum != list->min || list->sum != list->max))
			return "Minimum, maximum and sum of a single value have to be that value.";
	}
	else if (!finite && isfinite(list->sum))
		return "The sum cannot be finite when a value is not.";
	return NULL;
}

/*
 * The value of rank ceil(fraction * count), as percentile_disc() defines it, to
 * the relative error of the scale; the first and the last are exact.
 */
double
aggwin_exp_list_percentile(const ExpList *list, double fraction)
{
	double		rank = ceil(fraction * list->count);
	int64		below = 0;

	if (rank <= 1)
		return list->min;
	if (rank >= list->count)
		return list->max;
	for (int32 i = 0; i < list->length; i++)
	{
		const ExpBucket *bucket = &list->buckets[i];
		double		value = 0;

		below += bucket->count;
		if (below < rank)
			continue;
		if (bucket->sign != 0)
			value = bucket->sign * aggwin_exp_middle(bucket->index, list->scale);
		return Max(list->min, Min(list->max, value));
	}
	return list->max;
}

/*
 * The fraction of the values that are not above value; linear within a bucket,
 * whose outermost parts end at the minimum and the maximum.
 */
double
aggwin_exp_list_cdf(const ExpList *list, double value)
{
	double		below = 0;

	if (value < list->min)
		return 0;
	if (value >= list->max)
		return 1;
	for (int32 i = 0; i < list->length; i++)
	{
		double		lower;
		double		upper;

		aggwin_exp_bucket_bounds(&list->buckets[i], list->scale, &lower, &upper);
		lower = Max(lower, list->min);
		upper = Min(upper, list->max);
		if (value < lower)
			break;
		if (value >= upper)
			below += list->buckets[i].count;
		else
		{
			double		width = upper - lower;

			/* halves, where the distance of the bounds is beyond the range */
			if (isinf(width))
				below += list->buckets[i].count * ((value / 2 - lower / 2) / (upper / 2 - lower / 2));
			else
				below += list->buckets[i].count * ((value - lower) / width);
			break;
		}
	}
	return below / list->count;
}
