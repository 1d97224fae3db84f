/*
 * exposition_parts.h - the parts of a line in Prometheus' text formats
 */
#ifndef AGGWIN_EXPOSITION_PARTS_H
#define AGGWIN_EXPOSITION_PARTS_H

#include "postgres.h"

/* What the next line, or lines, were. */
typedef enum ExpositionItem
{
	EXPOSITION_END,
	EXPOSITION_SAMPLE,
	EXPOSITION_TYPE,
	EXPOSITION_HELP,
	EXPOSITION_UNIT,
	EXPOSITION_ERROR,
} ExpositionItem;

/* A piece of the text, with its escapes as they stand there. */
typedef struct Slice
{
	const char *start;
	int			length;
} Slice;

typedef struct ExpositionLabel
{
	Slice		name;
	Slice		value;
} ExpositionLabel;

typedef struct Exposition
{
	const char *text;
	const char *at;				/* of the next line */
	const char *end;			/* there stands a NUL */
	bool		open_metrics;	/* otherwise the older text format */

	/* Of a sample: */
	Slice		name;			/* of TYPE, HELP and UNIT, too: of the family */
	Slice		series;			/* name and labels, as they stand there */
	ExpositionLabel *labels;
	int			label_count;
	int			label_capacity;
	double		value;
	bool		has_time;
	int64		time;			/* microseconds since 1970 */

	/* Of TYPE, HELP and UNIT: */
	Slice		about;

	/* Of an error: */
	const char *error_at;		/* the character that is wrong */
	const char *error;
	const char *hint;			/* or NULL */
} Exposition;

static inline bool
aggwin_text_is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static inline const char *
aggwin_text_skip_blanks(const Exposition *e, const char *at)
{
	if (!e->open_metrics)
	{
		while (aggwin_text_is_blank(*at))
			at++;
	}
	return at;
}

/* The end of a line: its line feed, or the end of the text. */
static inline const char *
aggwin_text_line_end(const Exposition *e, const char *at)
{
	const char *end = memchr(at, '\n', e->end - at);

	return end != NULL ? end : e->end;
}

/* What separates two parts; NULL if nothing does. */
static inline const char *
aggwin_text_separator(const Exposition *e, const char *at)
{
	if (!aggwin_text_is_blank(*at) || (e->open_metrics && *at == '\t'))
		return NULL;
	return aggwin_text_skip_blanks(e, at + 1);
}

extern ExpositionItem aggwin_text_fail(Exposition *e, const char *at, const char *error);
extern ExpositionItem aggwin_text_fail_with_hint(Exposition *e, const char *at,
												 const char *error, const char *hint);
extern const char *aggwin_text_read_number(Exposition *e, const char *at, double *value);
extern const char *aggwin_text_read_milliseconds(Exposition *e, const char *at);
extern const char *aggwin_text_read_seconds(Exposition *e, const char *at);
extern const char *aggwin_text_read_labels(Exposition *e, const char *at, bool keep);
extern char *aggwin_text_unescape(Slice slice, int *length);

#endif							/* AGGWIN_EXPOSITION_PARTS_H */
