/*
 * exposition_parts.h - the parts of a line in Prometheus' text formats
 */
#ifndef AGGWIN_EXPOSITION_PARTS_H
#define AGGWIN_EXPOSITION_PARTS_H

#include "postgres.h"

#include "metrics/exposition.h"

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

#endif							/* AGGWIN_EXPOSITION_PARTS_H */
