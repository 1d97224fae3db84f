/*
 * exposition.c - reading metrics in Prometheus' text formats
 *
 * Two formats: the text format 0.0.4, and OpenMetrics 1.0, which is stricter and
 * tells times in seconds instead of milliseconds.
 *
 *		# HELP http_requests_total Requests so far.
 *		# TYPE http_requests_total counter
 *		http_requests_total{code="200",path="/"} 1027 1395066363000
 *		^name               ^labels              ^value ^time
 *
 * A line is read at a time; nothing is copied. The text is in the server's
 * encoding, which all are supersets of ASCII in the places that matter here: no
 * server encoding uses bytes of ASCII inside another character.
 *
 * Where the formats leave something open:
 *
 *	- Text format: TYPE and HELP may stand anywhere, other comments and empty lines
 *	  are passed over, blanks and tabs may stand between parts.
 *	- OpenMetrics: no blanks but those of the grammar, no other comments, "# EOF" at
 *	  the end. Exemplars are checked and passed over.
 *	- Numbers are decimal, or NaN and Inf with the sign and the case of their choice.
 *	  One that is too large for a double is an error.
 *
 * Sources: Prometheus, "Exposition formats", text format 0.0.4; OpenMetrics 1.0.0.
 */
#include "postgres.h"

#include "metrics/exposition.h"

#include <errno.h>
#include <math.h>

#include "common/int.h"
#include "metrics/names.h"
#include "utils/float.h"

static ExpositionItem
fail_with_hint(Exposition *e, const char *at, const char *error, const char *hint)
{
	e->error_at = at;
	e->error = error;
	e->hint = hint;
	return EXPOSITION_ERROR;
}

static ExpositionItem
fail(Exposition *e, const char *at, const char *error)
{
	return fail_with_hint(e, at, error, NULL);
}

/*
 * Is the last line "# EOF"? Then the text is OpenMetrics; in the other format
 * that is a comment which nobody writes.
 */
bool
aggwin_exposition_ends_with_eof(const char *text, int length)
{
	static const char eof[] = "# EOF";
	int			size = sizeof(eof) - 1;

	if (length > 0 && text[length - 1] == '\n')
		length--;
	return length >= size && memcmp(text + length - size, eof, size) == 0 &&
		(length == size || text[length - size - 1] == '\n');
}

/* Begin to read a text, which a NUL follows and none is in. */
void
aggwin_exposition_begin(Exposition *e, const char *text, int length, bool open_metrics)
{
	memset(e, 0, sizeof(*e));
	e->text = e->at = text;
	e->end = text + length;
	e->open_metrics = open_metrics;
	e->label_capacity = 16;
	e->labels = palloc(e->label_capacity * sizeof(ExpositionLabel));
}

/* Parts of lines ---------------------------------------------------------- */

static inline bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static inline const char *
skip_blanks(const Exposition *e, const char *at)
{
	if (!e->open_metrics)
	{
		while (is_blank(*at))
			at++;
	}
	return at;
}

/* The end of a line: its line feed, or the end of the text. */
static const char *
line_end(const Exposition *e, const char *at)
{
	const char *end = memchr(at, '\n', e->end - at);

	return end != NULL ? end : e->end;
}

/* What separates two parts; NULL if nothing does. */
static const char *
separator(const Exposition *e, const char *at)
{
	if (!is_blank(*at) || (e->open_metrics && *at == '\t'))
		return NULL;
	return skip_blanks(e, at + 1);
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
static const char *
read_number(Exposition *e, const char *at, double *value)
{
	const char *end = at;
	const char *digits = at;
	char	   *stop;

	while (end < e->end && !is_blank(*end) && *end != '\n' && *end != '\r')
		end++;
	if (is_decimal(at, end))
	{
		errno = 0;
		*value = strtod(at, &stop);
		if (stop != end || (errno == ERANGE && isinf(*value)))
		{
			fail(e, at, "the number is out of range");
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
	fail_with_hint(e, at, at == end ? "there is no value" : "this is no number",
				   "Values are decimal numbers, NaN, +Inf or -Inf.");
	return NULL;
}

/* A time in whole milliseconds, as the text format has it. */
static const char *
read_milliseconds(Exposition *e, const char *at)
{
	const char *start = at;
	bool		negative = *at == '-';
	int64		value = 0;
	bool		overflow = false;

	if (negative)
		at++;
	if (*at < '0' || *at > '9')
	{
		fail_with_hint(e, start, "this is no time", "Times are whole milliseconds since 1970.");
		return NULL;
	}
	for (; *at >= '0' && *at <= '9'; at++)
		overflow |= pg_mul_s64_overflow(value, 10, &value) ||
			pg_add_s64_overflow(value, *at - '0', &value);
	overflow |= pg_mul_s64_overflow(value, negative ? -1000 : 1000, &value);
	if (overflow)
	{
		fail(e, start, "the time is out of range");
		return NULL;
	}
	if (*at == '.' || *at == 'e' || *at == 'E')
	{
		fail_with_hint(e, start, "this is no time",
					   "Times are whole milliseconds since 1970. OpenMetrics has seconds with fractions, and ends with a line \"# EOF\".");
		return NULL;
	}
	e->time = value;
	return at;
}

/* A time in seconds, as OpenMetrics has it, to the microsecond. */
static const char *
read_seconds(Exposition *e, const char *at)
{
	double		seconds;
	const char *end = read_number(e, at, &seconds);

	if (end == NULL)
	{
		e->hint = "Times are seconds since 1970, with or without a fraction.";
		return NULL;
	}
	if (!(fabs(seconds) < 1e12))
	{
		fail(e, at, "the time is out of range");
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
			fail_with_hint(e, start - 1, "the quotes are not closed",
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
			fail_with_hint(e, at - 1, "this is no escape sequence",
						   "There are \\\\, \\\" and \\n.");
			return NULL;
		}
	}
	value->start = start;
	value->length = at - start;
	return at + 1;
}

/* Labels, behind the brace that opens them; returns what follows the other. */
static const char *
read_labels(Exposition *e, const char *at, bool keep)
{
	for (at = skip_blanks(e, at); *at != '}';)
	{
		ExpositionLabel label;

		label.name.start = at;
		label.name.length = aggwin_label_name_length(at, e->end);
		if (label.name.length == 0)
		{
			fail_with_hint(e, at, "the name of a label is expected here",
						   "Names of labels consist of letters, digits and underscores, and do not begin with a digit.");
			return NULL;
		}
		at = skip_blanks(e, at + label.name.length);
		if (*at != '=')
		{
			fail(e, at, "\"=\" is expected here, after the name of a label");
			return NULL;
		}
		at = skip_blanks(e, at + 1);
		if (*at != '"')
		{
			fail(e, at, "the value of a label is expected here, in double quotes");
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

		at = skip_blanks(e, at);
		if (*at == ',')
		{
			at = skip_blanks(e, at + 1);
			/* Only the text format lets a comma end the list. */
			if (*at != '}' || !e->open_metrics)
				continue;
			fail(e, at, "the name of a label is expected here");
			return NULL;
		}
		if (*at != '}')
		{
			fail(e, at, "\",\" or \"}\" is expected here");
			return NULL;
		}
	}
	return at + 1;
}

/* Lines ------------------------------------------------------------------- */

/* Behind the last part of a line; a carriage return before the line feed is passed over. */
static bool
finish_line(Exposition *e, const char *at)
{
	at = skip_blanks(e, at);
	if (!e->open_metrics && *at == '\r' && at[1] == '\n')
		at++;
	if (at == e->end)
	{
		fail_with_hint(e, at, "the last line does not end with a line feed",
					   "Without it a text that was cut off could not be told from a whole one.");
		return false;
	}
	if (*at != '\n')
	{
		fail(e, at, "the end of the line is expected here");
		return false;
	}
	e->at = at + 1;
	return true;
}

/* " # {labels} value [time]", behind the "#". */
static const char *
skip_exemplar(Exposition *e, const char *at)
{
	double		ignored;
	int64		time = e->time;
	const char *space;

	at = separator(e, at);
	if (at == NULL || *at != '{')
	{
		fail(e, at != NULL ? at : e->at, "the labels of an exemplar are expected here");
		return NULL;
	}
	at = read_labels(e, at + 1, false);
	if (at == NULL)
		return NULL;
	space = separator(e, at);
	if (space == NULL)
	{
		fail(e, at, "the value of an exemplar is expected here");
		return NULL;
	}
	at = read_number(e, space, &ignored);
	if (at != NULL && (space = separator(e, at)) != NULL)
		at = read_seconds(e, space);
	e->time = time;
	return at;
}

static ExpositionItem
read_sample(Exposition *e, const char *at)
{
	const char *space;

	e->name.start = at;
	e->name.length = aggwin_metric_name_length(at, e->end);
	if (e->name.length == 0)
		return fail_with_hint(e, at, "the name of a metric is expected here",
							  "Names of metrics consist of letters, digits, underscores and colons, and do not begin with a digit.");
	at += e->name.length;
	e->series.start = e->name.start;
	e->series.length = e->name.length;
	e->label_count = 0;
	space = skip_blanks(e, at);
	if (*space == '{')
	{
		at = read_labels(e, space + 1, true);
		if (at == NULL)
			return EXPOSITION_ERROR;
		e->series.length = at - e->series.start;
		/* Nothing needs to stand between braces and value in the text format. */
		space = e->open_metrics ? separator(e, at) : skip_blanks(e, at);
	}
	else
		space = separator(e, at);
	if (space == NULL)
		return fail(e, at, at == e->end || *at == '\n' ? "there is no value" : "a blank is expected here");

	at = read_number(e, space, &e->value);
	if (at == NULL)
		return EXPOSITION_ERROR;
	e->has_time = false;
	space = separator(e, at);
	if (space != NULL && *space != '\n' && *space != '\r' && *space != '#' && space != e->end)
	{
		at = e->open_metrics ? read_seconds(e, space) : read_milliseconds(e, space);
		if (at == NULL)
			return EXPOSITION_ERROR;
		e->has_time = true;
		space = separator(e, at);
	}
	if (e->open_metrics && space != NULL && *space == '#')
	{
		at = skip_exemplar(e, space + 1);
		if (at == NULL)
			return EXPOSITION_ERROR;
	}
	return finish_line(e, at) ? EXPOSITION_SAMPLE : EXPOSITION_ERROR;
}

/* Backslashes of a help text escape themselves and line feeds. */
static ExpositionItem
check_help(Exposition *e)
{
	const char *end = e->about.start + e->about.length;

	if (e->open_metrics)
		return EXPOSITION_HELP;
	for (const char *at = e->about.start; at < end; at++)
	{
		if (*at != '\\')
			continue;
		at++;
		if (at == end || (*at != '\\' && *at != 'n'))
			return fail_with_hint(e, at - 1, "this is no escape sequence",
								  "There are \\\\ and \\n.");
	}
	return EXPOSITION_HELP;
}

static bool
is_type(const Exposition *e, const char *start, int length)
{
	static const char *const older[] = {"counter", "gauge", "histogram", "summary", "untyped"};
	static const char *const newer[] = {"counter", "gauge", "histogram", "summary", "unknown",
	"gaugehistogram", "stateset", "info"};
	const char *const *types = e->open_metrics ? newer : older;
	int			count = e->open_metrics ? lengthof(newer) : lengthof(older);

	for (int i = 0; i < count; i++)
	{
		if (strlen(types[i]) == length && memcmp(types[i], start, length) == 0)
			return true;
	}
	return false;
}

/* OpenMetrics wants the unit to be the end of the family's name. */
static bool
ends_with_unit(const Exposition *e)
{
	int			rest = e->name.length - e->about.length;

	return e->about.length == 0 ||
		(rest > 1 && e->name.start[rest - 1] == '_' &&
		 memcmp(e->name.start + rest, e->about.start, e->about.length) == 0);
}

/* Behind "# TYPE", "# HELP" or "# UNIT". */
static ExpositionItem
read_about(Exposition *e, ExpositionItem item, const char *at)
{
	const char *end = line_end(e, at);
	const char *space = separator(e, at);

	e->name.start = space != NULL ? space : at;
	e->name.length = space != NULL ? aggwin_metric_name_length(space, end) : 0;
	if (e->name.length == 0)
		return fail(e, e->name.start, "the name of a metric is expected here");
	at = e->name.start + e->name.length;
	if (end == e->end)
		return finish_line(e, end) ? EXPOSITION_END : EXPOSITION_ERROR;
	if (!e->open_metrics && end > at && end[-1] == '\r')
		end--;
	space = separator(e, at);
	if (space == NULL && at != end)
		return fail(e, at, "a blank is expected here");
	e->about.start = space != NULL ? Min(space, end) : end;

	/* A help text may have any blanks but those before it. */
	e->at = line_end(e, at) + 1;
	if (item != EXPOSITION_HELP && !e->open_metrics)
	{
		while (end > e->about.start && is_blank(end[-1]))
			end--;
	}
	e->about.length = end - e->about.start;
	if (item == EXPOSITION_HELP)
		return check_help(e);
	if (item == EXPOSITION_TYPE && !is_type(e, e->about.start, e->about.length))
		return fail_with_hint(e, e->about.start, "this is no type of a metric",
							  e->open_metrics
							  ? "Types are counter, gauge, histogram, gaugehistogram, summary, info, stateset and unknown."
							  : "Types are counter, gauge, histogram, summary and untyped.");
	if (item == EXPOSITION_UNIT && !ends_with_unit(e))
		return fail(e, e->about.start, "the name of the metric does not end with its unit");
	return item;
}

/* A line that begins with "#". EXPOSITION_SAMPLE: one to be passed over. */
static ExpositionItem
read_comment(Exposition *e, const char *at)
{
	static const struct
	{
		const char *keyword;
		ExpositionItem item;
	}			known[] = {
		{"TYPE", EXPOSITION_TYPE},
		{"HELP", EXPOSITION_HELP},
		{"UNIT", EXPOSITION_UNIT},
	};
	const char *end = line_end(e, at);
	const char *word = separator(e, at + 1);

	if (word != NULL && e->open_metrics && end - word == 3 && memcmp(word, "EOF", 3) == 0)
	{
		if (end + 1 < e->end)
			return fail(e, end + 1, "nothing may follow \"# EOF\"");
		e->at = e->end;
		return EXPOSITION_END;
	}
	for (int i = 0; word != NULL && i < lengthof(known); i++)
	{
		if (end - word >= 4 && memcmp(word, known[i].keyword, 4) == 0 &&
			(end - word == 4 || is_blank(word[4])) &&
			(e->open_metrics || known[i].item != EXPOSITION_UNIT))
			return read_about(e, known[i].item, word + 4);
	}
	if (e->open_metrics)
		return fail_with_hint(e, at, "OpenMetrics has no such comment",
							  "There are lines \"# TYPE\", \"# HELP\", \"# UNIT\" and, as the last, \"# EOF\".");
	if (end == e->end)
		return finish_line(e, end) ? EXPOSITION_END : EXPOSITION_ERROR;
	e->at = end + 1;
	return EXPOSITION_SAMPLE;
}

/*
 * Read on to the next sample, or line about a metric. What it says is in *e, and
 * as long as the next call.
 */
ExpositionItem
aggwin_exposition_next(Exposition *e)
{
	for (;;)
	{
		const char *at = skip_blanks(e, e->at);

		if (at == e->end)
		{
			if (e->open_metrics)
				return fail_with_hint(e, at, "the text ends without \"# EOF\"",
									  "Without it a text that was cut off could not be told from a whole one.");
			return EXPOSITION_END;
		}
		if (*at == '#')
		{
			ExpositionItem item = read_comment(e, at);

			if (item != EXPOSITION_SAMPLE)
				return item;
		}
		else if (!e->open_metrics && (*at == '\n' || (*at == '\r' && at[1] == '\n')))
			e->at = at + (*at == '\r' ? 2 : 1);
		else
			return read_sample(e, at);
	}
}

/* A piece of text without its escapes, allocated, and a NUL behind it. */
char *
aggwin_exposition_unescape(Slice slice, int *length)
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

/* Is a sample's name that of its family, with one of the endings of its type? */
bool
aggwin_exposition_belongs(const char *type, Slice family, Slice name, bool open_metrics)
{
	static const struct
	{
		const char *type;
		const char *endings;	/* each with a NUL behind it */
		bool		open_metrics;
	}			known[] = {
		{"histogram", "_bucket\0_count\0_sum\0", false},
		{"summary", "\0_count\0_sum\0", false},
		{"counter", "_total\0_created\0", true},
		{"histogram", "_bucket\0_count\0_sum\0_created\0", true},
		{"gaugehistogram", "_bucket\0_gcount\0_gsum\0", true},
		{"summary", "\0_count\0_sum\0_created\0", true},
		{"info", "_info\0", true},
	};
	const char *ending = name.start + family.length;
	int			length = name.length - family.length;

	if (length < 0 || memcmp(name.start, family.start, family.length) != 0)
		return false;
	for (int i = 0; i < lengthof(known); i++)
	{
		const char *one = known[i].endings;

		if (known[i].open_metrics != open_metrics || strcmp(known[i].type, type) != 0)
			continue;
		/* The empty ending can only be the first. */
		do
		{
			if (strlen(one) == length && memcmp(one, ending, length) == 0)
				return true;
			one += strlen(one) + 1;
		} while (*one != '\0');
		return false;
	}
	return length == 0;
}
