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
 * NaN or an infinity among the values makes the moments NaN, and a sum of
 * finite values that overflows is an error.
 */
#include "postgres.h"

#include "summary/stats.h"

#include <math.h>

#include "utils/float.h"

void
aggwin_stats_init(Stats *stats, double value)
{
	stats->count = 1;
	stats->sum = value;
	stats->squares = isfinite(value) ? 0 : get_float8_nan();
	stats->min = value;
	stats->max = value;
}

static void
check_overflow(Stats *stats, bool finite)
{
	if (isinf(stats->sum) || isinf(stats->squares))
	{
		if (finite)
			float_overflow_error();
		stats->squares = get_float8_nan();
	}
}

void
aggwin_stats_add(Stats *stats, double value)
{
	bool		finite = !isinf(stats->sum) && !isinf(value);
	double		n = ++stats->count;
	double		distance;

	stats->sum += value;
	distance = value * n - stats->sum;
	stats->squares += distance * distance / (n * (n - 1));
	if (float8_lt(value, stats->min))
		stats->min = value;
	if (float8_gt(value, stats->max))
		stats->max = value;
	check_overflow(stats, finite);
}

void
aggwin_stats_merge(Stats *into, const Stats *from)
{
	bool		finite = !isinf(into->sum) && !isinf(from->sum);
	double		n1 = into->count;
	double		n2 = from->count;
	double		distance = into->sum / n1 - from->sum / n2;

	into->count += from->count;
	into->sum += from->sum;
	into->squares += from->squares + n1 * n2 * distance * distance / (n1 + n2);
	if (float8_lt(from->min, into->min))
		into->min = from->min;
	if (float8_gt(from->max, into->max))
		into->max = from->max;
	check_overflow(into, finite);
}

/* What no values could have given, as a sentence; NULL if there is nothing. */
const char *
aggwin_stats_check(const Stats *stats)
{
	bool		finite = isfinite(stats->min) && isfinite(stats->max);

	if (stats->count < 1)
		return "The count has to be positive.";
	if (float8_gt(stats->min, stats->max))
		return "The minimum is greater than the maximum.";
	if (finite && !isfinite(stats->sum))
		return "The sum of finite values has to be finite.";
	if (finite && !(stats->squares >= 0 && isfinite(stats->squares)))
		return "The sum of squared deviations has to be finite and not negative.";
	if (!finite && !isnan(stats->squares))
		return "The sum of squared deviations has to be NaN if a value is not finite.";
	if (stats->count == 1 &&
		(float8_ne(stats->min, stats->max) || float8_ne(stats->sum, stats->min) ||
		 (finite && stats->squares != 0)))
		return "Minimum, maximum and sum of a single value have to be that value.";
	return NULL;
}
