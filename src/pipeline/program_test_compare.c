/*
 * program_test_compare.c - are results what is expected?
 *
 * A time that is named for a metric is named for all of its series: no other results
 * may be there then. And a list of a series' samples is all that it has until its end.
 */
#include "promql/base.h"

#include "pipeline/program_test_steps.h"

#include <math.h>

#include "common/shortest_dec.h"

/* Columns of what was found, in the order of as, labels and at. */
enum
{
	COLUMN_AS,
	COLUMN_LABELS,
	COLUMN_AT,
	COLUMN_VALUE,
};

static const char *
as_of(const PGresult *found, int row)
{
	return PQgetvalue(found, row, COLUMN_AS);
}

static const char *
labels_of(const PGresult *found, int row)
{
	return PQgetvalue(found, row, COLUMN_LABELS);
}

static int64
at_of(const PGresult *found, int row)
{
	return strtoll(PQgetvalue(found, row, COLUMN_AT), NULL, 10);
}

static bool
is_same(double expected, double got, double tolerance)
{
	if (isnan(expected) || isnan(got))
		return isnan(expected) && isnan(got);
	if (isinf(expected) || isinf(got))
		return expected == got;
	return fabs(expected - got) <= tolerance * Max(fabs(expected), fabs(got));
}

static void
add_difference(RuleTest *test, PromPlace place, const char *as, const char *labels, int64 at,
			   char *expected, const char *got)
{
	test->differences = aggwin_test_grow(test->differences, test->difference_count, sizeof(TestDifference));
	test->differences[test->difference_count++] = (TestDifference) {
		place, pstrdup(as), pstrdup(labels), at, expected, got == NULL ? NULL : pstrdup(got)
	};
}

/* The row of a result, or -1. */
static int
find_row(const PGresult *found, const TestResult *result)
{
	int			low = 0;
	int			high = PQntuples(found);

	while (low < high)
	{
		int			row = (low + high) / 2;
		int			order = strcmp(as_of(found, row), result->as);

		if (order == 0)
			order = strcmp(labels_of(found, row), result->labels);
		if (order == 0)
			order = at_of(found, row) < result->at ? -1 : at_of(found, row) > result->at;
		if (order == 0)
			return row;
		if (order < 0)
			low = row + 1;
		else
			high = row;
	}
	return -1;
}

static char *
shown(double value)
{
	char		digits[DOUBLE_SHORTEST_DECIMAL_LEN];

	(void) double_to_shortest_decimal_buf(value, digits);
	return pstrdup(digits);
}

static void
compare_result(RuleTest *test, const TestResult *result, const PGresult *found, bool *seen)
{
	int			row = find_row(found, result);
	const char *got = NULL;

	if (row >= 0)
	{
		seen[row] = true;
		got = PQgetvalue(found, row, COLUMN_VALUE);
	}
	if (result->none && got != NULL)
		add_difference(test, result->place, result->as, result->labels, result->at, NULL, got);
	else if (!result->none && (got == NULL || !is_same(result->value, strtod(got, NULL), result->tolerance)))
		add_difference(test, result->place, result->as, result->labels, result->at, shown(result->value), got);
}

/* A result that nobody expects: is it forbidden, and by what? */
static const TestResult *
forbidden_by(const RuleTest *test, const PGresult *found, int row)
{
	for (int i = 0; i < test->result_count; i++)
	{
		const TestResult *result = &test->results[i];

		if (strcmp(result->as, as_of(found, row)) != 0)
			continue;
		if (result->at == at_of(found, row) ||
			(result->whole && at_of(found, row) < result->at && strcmp(result->labels, labels_of(found, row)) == 0))
			return result;
	}
	return NULL;
}

/* Note the differences between what a test expects and what was found. */
void
aggwin_test_compare(RuleTest *test, const PGresult *found)
{
	bool	   *seen = palloc0(PQntuples(found) + 1);

	for (int i = 0; i < test->result_count; i++)
		compare_result(test, &test->results[i], found, seen);
	for (int row = 0; row < PQntuples(found); row++)
	{
		const TestResult *result = seen[row] ? NULL : forbidden_by(test, found, row);

		if (result != NULL)
			add_difference(test, result->place, as_of(found, row), labels_of(found, row), at_of(found, row),
						   NULL, PQgetvalue(found, row, COLUMN_VALUE));
	}
	pfree(seen);
}
