/*
 * program_test_values.c - samples of a series, in the notation of promtool
 *
 *		1 2.5 -3		samples, one an interval
 *		_  _x3			no sample; none three times
 *		stale			the mark for the end of a series
 *		1x3				1 1 1 1: one more than the number says
 *		1+2x3			1 3 5 7
 *		7-2x3			7 5 3 1
 *
 * A sample is a number, NaN, Inf, +Inf or -Inf.
 */
#include "promql/base.h"

#include "pipeline/program_test_steps.h"

#include <math.h>

/* Of a series. */
#define MAX_SAMPLES 100000

#define LONGEST_NUMBER 64

static bool
is_word(const char *text, const char *word)
{
	return pg_strncasecmp(text, word, strlen(word)) == 0;
}

/* A number, with its sign; text is then behind it. */
bool
aggwin_test_number(const char **text, double *value)
{
	const char *at = *text;
	bool		negative = *at == '-';
	char		digits[LONGEST_NUMBER];
	int			length;

	if (*at == '-' || *at == '+')
		at++;
	if (is_word(at, "nan") || is_word(at, "inf"))
	{
		*value = is_word(at, "nan") ? NAN : INFINITY;
		*text = at + 3;
		if (negative)
			*value = -*value;
		return true;
	}

	/* Not by strtod, for which 0x3 is a number, too. */
	length = strspn(at, "0123456789");
	if (at[length] == '.')
		length += 1 + strspn(at + length + 1, "0123456789");
	if (length == 0 || (length == 1 && *at == '.'))
		return false;
	if (at[length] == 'e' || at[length] == 'E')
	{
		int			sign = at[length + 1] == '-' || at[length + 1] == '+' ? 1 : 0;
		int			exponent = strspn(at + length + 1 + sign, "0123456789");

		if (exponent > 0)
			length += 1 + sign + exponent;
	}
	if (length >= LONGEST_NUMBER)
		return false;
	memcpy(digits, at, length);
	digits[length] = '\0';
	*value = strtod(digits, NULL);
	if (negative)
		*value = -*value;
	*text = at + length;
	return true;
}

/* "x3": how often; 0 if it is not there. */
static bool
read_times(const char **text, int *times)
{
	const char *at = *text;

	*times = 0;
	if (*at != 'x')
		return true;
	at++;
	if (*at < '0' || *at > '9')
		return false;
	for (; *at >= '0' && *at <= '9'; at++)
		*times = Min(*times * 10 + (*at - '0'), MAX_SAMPLES + 1);
	*text = at;
	return true;
}

static bool
add_samples(TestSeries *series, TestSampleKind kind, double value, double step, int count)
{
	if (count > MAX_SAMPLES - series->sample_count)
		return false;
	for (int i = 0; i < count; i++)
	{
		series->samples = aggwin_test_grow(series->samples, series->sample_count, sizeof(TestSample));
		series->samples[series->sample_count++] = (TestSample) {kind, value};
		value += step;
	}
	return true;
}

/* Fills the error, whose place is one in the text. */
static bool
fail(const char *text, const char *at, const char *hint, const char *message, PromError *error)
{
	static const PromPlace start = {1, 1};

	return aggwin_promql_fail(error, aggwin_promql_place(start, text, at), hint, "%s", message);
}

/* Read the samples of a series. */
bool
aggwin_test_values(const char *text, TestSeries *series, PromError *error)
{
	const char *at = text + strspn(text, " \t\n");

	memset(error, 0, sizeof(*error));
	while (*at != '\0')
	{
		const char *start = at;
		TestSampleKind kind = TEST_SAMPLE;
		double		value = 0;
		double		step = 0;
		int			times;

		if (*at == '_')
		{
			kind = TEST_GAP;
			at++;
		}
		else if (strncmp(at, "stale", 5) == 0)
		{
			kind = TEST_STALE;
			at += 5;
		}
		else if (strncmp(at, "{{", 2) == 0)
			return fail(text, at, "Write a series for each bucket.", "native histograms are not supported", error);
		else if (!aggwin_test_number(&at, &value))
			return fail(text, at, "Write numbers, NaN, Inf, _ or stale, as in 0+10x5 _ 7.", "a sample is expected", error);
		if (kind == TEST_SAMPLE && (*at == '+' || *at == '-'))
		{
			if (!aggwin_test_number(&at, &step))
				return fail(text, at, "Write how much is added, as in 0+10x5.", "a number is expected", error);
			if (*at != 'x')
				return fail(text, at, "Write how often it is added, as in 0+10x5.", "x and a number are expected", error);
		}
		if (!read_times(&at, &times))
			return fail(text, at + 1, "Write how often, as in 0+10x5.", "a number is expected", error);
		if (*at != '\0' && strchr(" \t\n", *at) == NULL)
			return fail(text, at, "Put blanks between samples.", "a blank is expected", error);
		/* So many samples follow the first; gaps have no first. */
		if (kind != TEST_GAP || start[1] != 'x')
			times++;
		if (!add_samples(series, kind, value, step, times))
			return fail(text, start, "Use a longer interval.",
						psprintf("there are too many samples: at most %d are allowed in a series", MAX_SAMPLES), error);
		at += strspn(at, " \t\n");
	}
	return true;
}
