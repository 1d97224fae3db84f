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

#include "metrics/names.h"

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

/* Lines ------------------------------------------------------------------- */

/* Behind the last part of a line; a carriage return before the line feed is passed over. */
static bool
finish_line(Exposition *e, const char *at)
{
	at = aggwin_text_skip_blanks(e, at);
	if (!e->open_metrics && *at == '\r' && at[1] == '\n')
		at++;
	if (at == e->end)
	{
		aggwin_text_fail_with_hint(e, at, "the last line does not end with a line feed",
					   "Without it a text that was cut off could not be told from a whole one.");
		return false;
	}
	if (*at != '\n')
	{
		aggwin_text_fail(e, at, "the end of the line is expected here");
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
	const char *space = aggwin_text_separator(e, at);

	if (space == NULL || *space != '{')
	{
		aggwin_text_fail(e, space != NULL ? space : at, "the labels of an exemplar are expected here");
		return NULL;
	}
	at = aggwin_text_read_labels(e, space + 1, false);
	if (at == NULL)
		return NULL;
	space = aggwin_text_separator(e, at);
	if (space == NULL)
	{
		aggwin_text_fail(e, at, "the value of an exemplar is expected here");
		return NULL;
	}
	at = aggwin_text_read_number(e, space, &ignored);
	if (at != NULL && (space = aggwin_text_separator(e, at)) != NULL)
		at = aggwin_text_read_seconds(e, space);
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
		return aggwin_text_fail_with_hint(e, at, "the name of a metric is expected here",
							  "Names of metrics consist of letters, digits, underscores and colons, and do not begin with a digit.");
	at += e->name.length;
	e->series.start = e->name.start;
	e->series.length = e->name.length;
	e->label_count = 0;
	space = aggwin_text_skip_blanks(e, at);
	if (*space == '{')
	{
		at = aggwin_text_read_labels(e, space + 1, true);
		if (at == NULL)
			return EXPOSITION_ERROR;
		e->series.length = at - e->series.start;
		/* Nothing needs to stand between braces and value in the text format. */
		space = e->open_metrics ? aggwin_text_separator(e, at) : aggwin_text_skip_blanks(e, at);
	}
	else
		space = aggwin_text_separator(e, at);
	if (space == NULL)
		return aggwin_text_fail(e, at, at == e->end || *at == '\n' ? "there is no value" : "a blank is expected here");

	at = aggwin_text_read_number(e, space, &e->value);
	if (at == NULL)
		return EXPOSITION_ERROR;
	e->has_time = false;
	space = aggwin_text_separator(e, at);
	if (space != NULL && *space != '\n' && *space != '\r' && *space != '#' && space != e->end)
	{
		at = e->open_metrics ? aggwin_text_read_seconds(e, space) : aggwin_text_read_milliseconds(e, space);
		if (at == NULL)
			return EXPOSITION_ERROR;
		e->has_time = true;
		space = aggwin_text_separator(e, at);
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
			return aggwin_text_fail_with_hint(e, at - 1, "this is no escape sequence",
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
	const char *end = aggwin_text_line_end(e, at);
	const char *space = aggwin_text_separator(e, at);

	e->name.start = space != NULL ? space : at;
	e->name.length = space != NULL ? aggwin_metric_name_length(space, end) : 0;
	if (e->name.length == 0)
		return aggwin_text_fail(e, e->name.start, "the name of a metric is expected here");
	at = e->name.start + e->name.length;
	if (end == e->end)
		return finish_line(e, end) ? EXPOSITION_END : EXPOSITION_ERROR;
	if (!e->open_metrics && end > at && end[-1] == '\r')
		end--;
	space = aggwin_text_separator(e, at);
	if (space == NULL && at != end)
		return aggwin_text_fail(e, at, "a blank is expected here");
	e->about.start = space != NULL ? Min(space, end) : end;

	/* A help text may have any blanks but those before it. */
	e->at = aggwin_text_line_end(e, at) + 1;
	if (item != EXPOSITION_HELP && !e->open_metrics)
	{
		while (end > e->about.start && aggwin_text_is_blank(end[-1]))
			end--;
	}
	e->about.length = end - e->about.start;
	if (item == EXPOSITION_HELP)
		return check_help(e);
	if (item == EXPOSITION_TYPE && !is_type(e, e->about.start, e->about.length))
		return aggwin_text_fail_with_hint(e, e->about.start, "this is no type of a metric",
							  e->open_metrics
							  ? "Types are counter, gauge, histogram, gaugehistogram, summary, info, stateset and unknown."
							  : "Types are counter, gauge, histogram, summary and untyped.");
	if (item == EXPOSITION_UNIT && !ends_with_unit(e))
		return aggwin_text_fail(e, e->about.start, "the name of the metric does not end with its unit");
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
	const char *end = aggwin_text_line_end(e, at);
	const char *word = aggwin_text_separator(e, at + 1);

	if (word != NULL && e->open_metrics && end - word == 3 && memcmp(word, "EOF", 3) == 0)
	{
		if (end + 1 < e->end)
			return aggwin_text_fail(e, end + 1, "nothing may follow \"# EOF\"");
		e->at = e->end;
		return EXPOSITION_END;
	}
	for (int i = 0; word != NULL && i < lengthof(known); i++)
	{
		if (end - word >= 4 && memcmp(word, known[i].keyword, 4) == 0 &&
			(end - word == 4 || aggwin_text_is_blank(word[4])) &&
			(e->open_metrics || known[i].item != EXPOSITION_UNIT))
			return read_about(e, known[i].item, word + 4);
	}
	if (e->open_metrics)
		return aggwin_text_fail_with_hint(e, at, "OpenMetrics has no such comment",
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
		const char *at = aggwin_text_skip_blanks(e, e->at);

		if (at == e->end)
		{
			if (e->open_metrics)
				return aggwin_text_fail_with_hint(e, at, "the text ends without \"# EOF\"",
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
