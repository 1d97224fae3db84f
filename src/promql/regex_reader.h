/*
 * regex_reader.h - the parts of a regular expression
 */
#ifndef AGGWIN_REGEX_READER_H
#define AGGWIN_REGEX_READER_H

#include "promql/error.h"

typedef struct RegexFlags
{
	bool		fold;			/* i: case does not matter */
	bool		lines;			/* m: ^ and $ are those of lines */
	bool		dot_all;		/* s: a dot is a line feed, too */
} RegexFlags;

typedef struct RegexReader
{
	const char *text;
	const char *at;
	StringInfo	out;			/* for the server */
	RegexFlags	flags;
	bool		quoted;			/* behind \Q */
	bool		after_repeat;	/* a repetition was read last */
	PromError  *error;
} RegexReader;

/* regex.c */
extern bool aggwin_regex_fail(RegexReader *r, const char *at, const char *hint, const char *message);

/* regex_items.c */
extern bool aggwin_regex_read_escape(RegexReader *r, bool *assertion);
extern bool aggwin_regex_read_class(RegexReader *r);
extern bool aggwin_regex_read_literal(RegexReader *r);

#endif							/* AGGWIN_REGEX_READER_H */
