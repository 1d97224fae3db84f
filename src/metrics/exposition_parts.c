/*
 * exposition_parts.c - the parts of a line in Prometheus' text formats
 *
 * Each function reads a part and returns what follows it, or NULL after it has put
 * down an error. The text ends with a NUL, which is in no part. See exposition.c.
 */
#include "postgres.h"

#include "metrics/exposition_parts.h"

#include <errno.h>
#include <math.h>

#include "common/int.h"
#include "metrics/names.h"
#include "utils/float.h"

/* Put down what is wrong with a character of the text, and what to do about it. */
ExpositionItem
aggwin_text_fail_with_hint(Exposition *e, const char *at, const char *error, const char *hint)
{
	e->error_at = at;
	e->error = error;
	e->hint = hint;
	return EXPOSITION_ERROR;
}

ExpositionItem
aggwin_text_fail(Exposition *e, const char *at, const char *error)
{
	return aggwin_text_fail_with_hint(e, at, error, NULL);
}

static bool
is_word(const char *start, const char *end, const char *word)
{
	return strlen(word) == end - start && pg_strncasecmp(start, word, end - start) == 0;
}

/* Is it written as a decimal number? strtod() would take others, too. */
static bool
is_decimal(const char *at, const char *end)
{
	int			digits = 0;

	if (at < end && (*at == '+' || *at == '-'))
		at++;
	for (; at < end && *at >= '0' && *at <= '9'; at++)
		digits++;
	if (at < end && *at == '.')
	{
		for (at++; at < end && *at >= '0' && *at <= '9'; at++)
			digits++;
	}
	if (digits == 0)
		return false;
	if (at < end && (*at == 'e' || *at == 'E'))
	{
		at++;
		if (at < end && (*at == '+' || *at == '-'))
			at++;
		if (at == end)
			return false;
		while (at < end && *at >= '0' && *at <= '9')
			at++;
	}
	return at == end;
}

/* A number; returns what follows it, or NULL after an error. */
const char *
aggwin_text_read_number(Exposition *e, const char *at, double *value)
{
	const char *end = at;
	const char *digits = at;
	char	   *stop;

	while (end < e->end && !aggwin_text_is_blank(*end) && *end != '\n' && *end != '\r')
		end++;
	if (is_decimal(at, end))
	{
		errno = 0;
		*value = strtod(at, &stop);
		if (stop != end || (errno == ERANGE && isinf(*value)))
		{
			aggwin_text_fail(e, at, "the number is out of range");
			return NULL;
		}
		return end;
	}
	if (is_word(at, end, "NaN"))
	{
		*value = get_float8_nan();
		return end;
	}
	if (digits < end && (*digits == '+' || *digits == '-'))
		digits++;
	if (is_word(digits, end, "Inf") || is_word(digits, end, "Infinity"))
	{
		*value = *at == '-' ? -get_float8_infinity() : get_float8_infinity();
		return end;
	}
	aggwin_text_fail_with_hint(e, at, at == end ? "there is no value" : "this is no number",
				   "Values are decimal numbers, NaN, +Inf or -Inf.");
	return NULL;
}

/* A time in whole milliseconds, as the text format has it. */
const char *
aggwin_text_read_milliseconds(Exposition *e, const char *at)
{
	const char *start = at;
	bool		negative = *at == '-';
	int64		value = 0;
	bool		overflow = false;

	if (negative)
		at++;
	if (*at < '0' || *at > '9')
	{
		aggwin_text_fail_with_hint(e, start, "this is no time", "Times are whole milliseconds since 1970.");
		return NULL;
	}
	for (; *at >= '0' && *at <= '9'; at++)
		overflow |= pg_mul_s64_overflow(value, 10, &value) ||
			pg_add_s64_overflow(value, *at - '0', &value);
	overflow |= pg_mul_s64_overflow(value, negative ? -1000 : 1000, &value);
	if (overflow)
	{
		aggwin_text_fail(e, start, "the time is out of range");
		return NULL;
	}
	if (*at == '.' || *at == 'e' || *at == 'E')
	{
		aggwin_text_fail_with_hint(e, start, "this is no time",
					   "Times are whole milliseconds since 1970. OpenMetrics has seconds with fractions, and ends with a line \"# EOF\".");
		return NULL;
	}
	e->time = value;
	return at;
}

/* A time in seconds, as OpenMetrics has it, to the microsecond. */
const char *
aggwin_text_read_seconds(Exposition *e, const char *at)
{
	double		seconds;
	const char *end = aggwin_text_read_number(e, at, &seconds);

	if (end == NULL)
	{
		e->hint = "Times are seconds since 1970, with or without a fraction.";
		return NULL;
	}
	if (!(fabs(seconds) < 1e12))
	{
		aggwin_text_fail(e, at, "the time is out of range");
		return NULL;
	}
	e->time = (int64) rint(seconds * 1e6);
	return end;
}

/* The value of a label, behind its first quote; returns what follows the last. */
static const char *
read_quoted(Exposition *e, const char *at, Slice *value)
{
	const char *start = at;

	for (;; at++)
	{
		if (*at == '"')
			break;
		if (*at == '\n' || at == e->end)
		{
			aggwin_text_fail_with_hint(e, start - 1, "the quotes are not closed",
						   "In the value of a label, write \\n for a line feed and \\\" for a quote.");
			return NULL;
		}
		if (*at == '\\')
		{
			at++;
			if (*at == '\\' || *at == '"' || *at == 'n')
				continue;
			if (e->open_metrics && *at != '\n' && at != e->end)
				continue;
			aggwin_text_fail_with_hint(e, at - 1, "this is no escape sequence",
						   "There are \\\\, \\\" and \\n.");
			return NULL;
		}
	}
	value->start = start;
	value->length = at - start;
	return at + 1;
}

/* Labels, behind the brace that opens them; returns what follows the other. */
const char *
aggwin_text_read_labels(Exposition *e, const char *at, bool keep)
{
	for (at = aggwin_text_skip_blanks(e, at); *at != '}';)
	{
		ExpositionLabel label;

		label.name.start = at;
		label.name.length = aggwin_label_name_length(at, e->end);
		if (label.name.length == 0)
		{
			aggwin_text_fail_with_hint(e, at, "the name of a label is expected here",
						   "Names of labels consist of letters, digits and underscores, and do not begin with a digit.");
			return NULL;
		}
		at = aggwin_text_skip_blanks(e, at + label.name.length);
		if (*at != '=')
		{
			aggwin_text_fail(e, at, "\"=\" is expected here, after the name of a label");
			return NULL;
		}
		at = aggwin_text_skip_blanks(e, at + 1);
		if (*at != '"')
		{
			aggwin_text_fail(e, at, "the value of a label is expected here, in double quotes");
			return NULL;
		}
		at = read_quoted(e, at + 1, &label.value);
		if (at == NULL)
			return NULL;
		if (keep)
		{
			if (e->label_count == e->label_capacity)
			{
				e->label_capacity *= 2;
				e->labels = repalloc(e->labels, e->label_capacity * sizeof(ExpositionLabel));
			}
			e->labels[e->label_count++] = label;
		}

		at = aggwin_text_skip_blanks(e, at);
		if (*at == ',')
		{
			at = aggwin_text_skip_blanks(e, at + 1);
			/* Only the text format lets a comma end the list. */
			if (*at != '}' || !e->open_metrics)
				continue;
			aggwin_text_fail(e, at, "the name of a label is expected here");
			return NULL;
		}
		if (*at != '}')
		{
			aggwin_text_fail(e, at, "\",\" or \"}\" is expected here");
			return NULL;
		}
	}
	return at + 1;
}

/* A piece of text without its escapes, allocated, and a NUL behind it. */
char *
aggwin_text_unescape(Slice slice, int *length)
{
	char	   *result = palloc(slice.length + 1);
	char	   *to = result;

	for (const char *from = slice.start; from < slice.start + slice.length; from++)
	{
		if (*from == '\\' && from + 1 < slice.start + slice.length)
		{
			if (from[1] == 'n')
			{
				*to++ = '\n';
				from++;
				continue;
			}
			if (from[1] == '\\' || from[1] == '"')
				from++;
		}
		*to++ = *from;
	}
	*to = '\0';
	*length = to - result;
	return result;
}
