/*
 * literal.c - numbers, strings and durations
 */
#include "promql/base.h"

#include "promql/reader.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>

#include "mb/pg_wchar.h"

/* Bytes of a number as text; longer ones are none that anybody means. */
#define MAX_NUMBER 64

/* A number, decimal. */
bool
aggwin_promql_number(PromToken token, double *number, PromError *error)
{
	char		text[MAX_NUMBER + 1];
	char	   *end;

	if (token.length <= MAX_NUMBER)
	{
		memcpy(text, token.start, token.length);
		text[token.length] = '\0';
		if (strspn(text, "0123456789.eE+-") == token.length &&
			!(text[0] == '0' && isdigit((unsigned char) text[1])))
		{
			errno = 0;
			*number = strtod(text, &end);
			if (*end == '\0' && end != text && isfinite(*number))
				return true;
		}
	}
	return aggwin_promql_fail(error, token.place,
							  "Numbers are decimal, like 0.95 or 1e3; durations stand in brackets.",
							  "bad number or duration: \"%s\"",
							  aggwin_promql_shown(token.start, token.length));
}

/* Strings ----------------------------------------------------------------- */

static int
digit_value(char c, int base)
{
	int			value = -1;

	if (c >= '0' && c <= '9')
		value = c - '0';
	else if (c >= 'a' && c <= 'f')
		value = c - 'a' + 10;
	else if (c >= 'A' && c <= 'F')
		value = c - 'A' + 10;
	return value < base ? value : -1;
}

/* Exactly so many digits; false if there are less. */
static bool
read_digits(const char **at, int count, int base, uint32 *value)
{
	*value = 0;
	for (; count > 0; count--)
	{
		int			digit = digit_value(**at, base);

		if (digit < 0)
			return false;
		*value = *value * base + digit;
		(*at)++;
	}
	return true;
}

/* An escape sequence, behind its backslash, as Go has them. False if it is none. */
static bool
unescape(const char **at, char quote, StringInfo out)
{
	static const char controls[] = "a\ab\bf\fn\nr\rt\tv\v\\\\";
	char		c = *(*at)++;
	uint32		value;
	unsigned char bytes[4];

	for (const char *control = controls; *control != '\0'; control += 2)
	{
		if (c == control[0])
		{
			appendStringInfoChar(out, control[1]);
			return true;
		}
	}
	if (c == quote)
	{
		appendStringInfoChar(out, c);
		return true;
	}
	if (c == 'x' || (c >= '0' && c <= '7'))
	{
		if (c != 'x')
			(*at)--;
		if (!read_digits(at, c == 'x' ? 2 : 3, c == 'x' ? 16 : 8, &value) || value > 0xFF)
			return false;
		appendStringInfoChar(out, value);
		return true;
	}
	if (c != 'u' && c != 'U')
		return false;
	if (!read_digits(at, c == 'u' ? 4 : 8, 16, &value) || value > 0x10FFFF ||
		(value >= 0xD800 && value <= 0xDFFF))
		return false;
	(void) unicode_to_utf8(value, bytes);
	appendBinaryStringInfo(out, (const char *) bytes, pg_utf_mblen(bytes));
	return true;
}

/* What a string in quotes means. What a server could not store is refused. */
bool
aggwin_promql_string(PromToken token, char **string, PromError *error)
{
	char		quote = *token.start;
	const char *at = token.start + 1;
	const char *end = token.start + token.length - 1;
	StringInfoData out;

	initStringInfo(&out);
	while (at < end)
	{
		const char *start = at;

		if (quote == '`' || *at != '\\')
		{
			/* Go leaves out carriage returns between backticks. */
			if (quote != '`' || *at != '\r')
				appendStringInfoChar(&out, *at);
			at++;
			continue;
		}
		at++;
		if (!unescape(&at, quote, &out))
			return aggwin_promql_fail(error, aggwin_promql_place(token.place, token.start, start),
									  "Write \\\\ if a backslash is meant, or put the string in backticks.",
									  "invalid escape sequence in a string");
	}
	if (memchr(out.data, '\0', out.len) != NULL)
		return aggwin_promql_fail(error, token.place, NULL, "a string cannot hold the character NUL");
	if (pg_encoding_verifymbstr(PG_UTF8, out.data, out.len) != out.len)
		return aggwin_promql_fail(error, token.place, "Write characters as they are, or as \\u00e4.",
								  "the string is not UTF-8");
	*string = out.data;
	return true;
}

/* Durations --------------------------------------------------------------- */

/* In the order that they have to be written in. */
static const struct
{
	const char *unit;
	int64		milliseconds;
}			units[] = {
	{"y", INT64CONST(365) * 24 * 60 * 60 * 1000},
	{"w", INT64CONST(7) * 24 * 60 * 60 * 1000},
	{"d", INT64CONST(24) * 60 * 60 * 1000},
	{"h", INT64CONST(60) * 60 * 1000},
	{"m", INT64CONST(60) * 1000},
	{"s", INT64CONST(1000)},
	{"ms", INT64CONST(1)},
};

#define MAX_DURATION (INT64CONST(100) * units[0].milliseconds)

/* The index of a unit; -1 if it is none. */
static int
find_unit(const char *unit, int length)
{
	for (int i = 0; i < lengthof(units); i++)
	{
		if (strlen(units[i].unit) == length && memcmp(units[i].unit, unit, length) == 0)
			return i;
	}
	return -1;
}

static bool
fail_duration(PromToken token, const char *at, PromError *error, const char *detail)
{
	return aggwin_promql_fail(error, aggwin_promql_place(token.place, token.start, at),
							  "Write whole numbers with the units y, w, d, h, m, s and ms, the largest first: 1h30m.",
							  "invalid duration \"%s\": %s",
							  aggwin_promql_shown(token.start, token.length), detail);
}

/* A duration like 1h30m, more than 0 and up to 100 years of 365 days. */
bool
aggwin_promql_duration(PromToken token, int64 *milliseconds, PromError *error)
{
	const char *at = token.start;
	const char *end = token.start + token.length;
	int			last = -1;

	*milliseconds = 0;
	while (at < end)
	{
		const char *start = at;
		const char *unit;
		int64		number = 0;
		int			found;

		for (; at < end && *at >= '0' && *at <= '9'; at++)
			number = Min(number * 10 + (*at - '0'), MAX_DURATION + 1);
		if (at == start)
			return fail_duration(token, at, error, "a number is expected");
		if (at < end && *at == '.')
			return fail_duration(token, at, error, "numbers have to be whole");
		unit = at;
		while (at < end && isalpha((unsigned char) *at))
			at++;
		if (at == unit)
			return fail_duration(token, start, error, "there is no unit");
		found = find_unit(unit, at - unit);
		if (found < 0)
			return fail_duration(token, unit, error, "there is no such unit");
		if (found <= last)
			return fail_duration(token, unit, error,
								 found == last ? "the unit comes twice" : "units are in the wrong order");
		if (number > (MAX_DURATION - *milliseconds) / units[found].milliseconds)
			return fail_duration(token, token.start, error, "it is too long");
		*milliseconds += number * units[found].milliseconds;
		last = found;
	}
	if (*milliseconds == 0)
		return fail_duration(token, token.start, error, "it has to be more than 0");
	return true;
}

/* The other way; never with weeks, which read badly. */
void
aggwin_promql_write_duration(StringInfo out, int64 milliseconds)
{
	for (int i = 0; i < lengthof(units); i++)
	{
		int64		number = milliseconds / units[i].milliseconds;

		if (number == 0 || units[i].unit[0] == 'w')
			continue;
		appendStringInfo(out, INT64_FORMAT "%s", number, units[i].unit);
		milliseconds -= number * units[i].milliseconds;
	}
}
