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
	const char *quoted;			/* the \Q that this is behind; NULL if it is none */
	bool		after_repeat;	/* a repetition was read last */
	PromError  *error;
} RegexReader;

/* What was written last, for a repetition behind it. */
typedef struct RegexAtom
{
	int			start;			/* in what is written; -1 if there is none */
	int			size;			/* characters to match */
	int			repeats;		/* the most that repetitions in it multiply to */
	int			optional;		/* parts in a row that may be left out; see MAX_OPTIONAL */
	int			assertions;		/* in a row; see MAX_ASSERTIONS */
	int			run;			/* of these, at the end */
	bool		bare;			/* it may match no character */
	bool		empty;			/* it may be left out as a whole */
	bool		assertion;		/* matches no character, ever */
	bool		repeated;		/* has to be put in parentheses before it is repeated */
} RegexAtom;

/* regex.c */
extern bool aggwin_regex_fail(RegexReader *r, const char *at, const char *hint, const char *message);

/* regex_repeat.c */
extern bool aggwin_regex_check_size(RegexReader *r, const RegexAtom *atom);
extern bool aggwin_regex_read_repeat(RegexReader *r, RegexAtom *atom, bool *found);

/* regex_items.c */
extern bool aggwin_regex_read_escape(RegexReader *r, bool *assertion);
extern bool aggwin_regex_read_class(RegexReader *r);
extern bool aggwin_regex_read_literal(RegexReader *r);

#endif							/* AGGWIN_REGEX_READER_H */
