/*
 * stats.c - count, sum, extremes and moments of floats, in one pass
 *
 * Values are added by the updating formulas of
 *   E. A. Youngs, E. M. Cramer: Some Results Relevant to Choice of Sum and
 *   Sum-of-Product Algorithms. Technometrics 13 (1971), pages 657-665,
 * and parts are merged by the pairwise formulas of
 *   T. F. Chan, G. H. Golub, R. J. LeVeque: Updating Formulae and a Pairwise
 *   Algorithm for Computing Sample Variances. Stanford, STAN-CS-79-773 (1979).
 *
 * The steps are those of the server's var_samp(double precision) and its kin,
 * so that both give the same digits for the same order of rows. As there, a
 * NaN or an infinity among the values makes the moments NaN. Finite values whose
 * sum overflows are no error until somebody asks for it: a rollup of many series
 * must not fail for one of them.
 */
#include "postgres.h"

#include "summary/stats.h"

#include "common/int.h"

void
aggwin_stats_too_many(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("aggwin.stats has more values than 64 bits can count")));
}

void
aggwin_stats_init(Stats *stats, double value)
{
	value += 0.0;
	stats->count = 1;
	stats->sum = value;
	stats->squares = isfinite(value) ? 0 : get_float8_nan();
	stats->min = value;
	stats->max = value;
}

/* The sum that extremes make of themselves, whatever the finite values are. */
static double
sum_of_infinities(const Stats *stats)
{
	if (isnan(stats->max) || (isinf(stats->min) && isinf(stats->max) && stats->min != stats->max))
		return get_float8_nan();
	return isinf(stats->min) ? stats->min : stats->max;
}

/* A sum is not finite any more: by the values, or because it has overflowed. */
void
aggwin_stats_settle(Stats *stats)
{
	if (!isfinite(stats->min) || !isfinite(stats->max))
	{
		stats->sum = sum_of_infinities(stats);
		stats->squares = get_float8_nan();
		return;
	}
	if (isnan(stats->sum))
		stats->sum = get_float8_infinity();
	stats->squares = get_float8_infinity();
}

void
aggwin_stats_merge(Stats *into, const Stats *from)
{
	double		n1 = into->count;
	double		n2 = from->count;
	double		distance = into->sum / n1 - from->sum / n2;

	if (pg_add_s64_overflow(into->count, from->count, &into->count))
		aggwin_stats_too_many();
	into->sum += from->sum;
	into->squares = into->squares + from->squares +
		n1 * n2 * distance * distance / (n1 + n2);
	if (float8_lt(from->min, into->min))
		into->min = from->min;
	if (float8_gt(from->max, into->max))
		into->max = from->max;
	if (!isfinite(into->sum) || !isfinite(into->squares))
		aggwin_stats_settle(into);
}

/* What no values could have given, as a sentence; NULL if there is nothing. */
const char *
aggwin_stats_check(const Stats *stats)
{
	bool		finite = isfinite(stats->min) && isfinite(stats->max);
	double		slack;

	if (stats->count < 1)
		return "The count has to be positive.";
	if (float8_gt(stats->min, stats->max))
		return "The minimum is greater than the maximum.";
	if (finite && isnan(stats->sum))
		return "The sum of finite values cannot be NaN.";
	if (finite && !(stats->squares >= 0))
		return "The sum of squared deviations cannot be negative or NaN.";
	if (finite && isinf(stats->sum) && !isinf(stats->squares))
		return "The sum of squared deviations has to be infinite if the sum is.";
	if (!finite && float8_ne(stats->sum, sum_of_infinities(stats)))
		return "The sum does not go with the infinities and NaNs among the values.";
	if (!finite && !isnan(stats->squares))
		return "The sum of squared deviations has to be NaN if a value is not finite.";
	/* sums of very many values have few digits */
	slack = 1e-3 * stats->count * Max(fabs(stats->min), fabs(stats->max));
	if (finite && !isinf(stats->sum) && (stats->sum < stats->min * stats->count - slack ||
				   stats->sum > stats->max * stats->count + slack))
		return "The sum does not go with minimum, maximum and count.";
	if (finite && !isinf(stats->sum) && ((stats->min >= 0 && stats->sum < stats->max) ||
				   (stats->max <= 0 && stats->sum > stats->min)))
		return "The sum of values of one sign has to be at least as far from 0 as each of them.";
	if (stats->count == 1 &&
		(float8_ne(stats->min, stats->max) || float8_ne(stats->sum, stats->min) ||
		 (finite && stats->squares != 0)))
		return "Minimum, maximum and sum of a single value have to be that value.";
	return NULL;
}
