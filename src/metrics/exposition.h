/*
 * exposition.h - reading metrics in Prometheus' text formats
 */
#ifndef AGGWIN_EXPOSITION_H
#define AGGWIN_EXPOSITION_H

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

extern bool aggwin_exposition_ends_with_eof(const char *text, int length);
extern void aggwin_exposition_begin(Exposition *e, const char *text, int length,
									bool open_metrics);
extern ExpositionItem aggwin_exposition_next(Exposition *e);
extern char *aggwin_exposition_unescape(Slice slice, int *length);
extern bool aggwin_exposition_belongs(const char *type, Slice family, Slice name,
									  bool open_metrics);

#endif							/* AGGWIN_EXPOSITION_H */
