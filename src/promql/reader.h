/*
 * reader.h - what scanner and grammar share while they read
 */
#ifndef AGGWIN_READER_H
#define AGGWIN_READER_H

#include "promql/ast.h"

/* Labels of by and without. */
#define AGGWIN_PROMQL_MAX_LABELS 100

/* Parentheses within each other. */
#define AGGWIN_PROMQL_MAX_DEPTH 64

/* A piece of the text, with its quotes and escapes. */
typedef struct PromToken
{
	const char *start;
	int			length;
	PromPlace	place;
} PromToken;

typedef struct PromReader
{
	const char *text;
	PromPlace	next;			/* of what the scanner has not read yet */
	int			start_token;	/* what is to be read; 0 once the grammar knows */
	int			depth;			/* of parentheses */
	PromToken	last;			/* what was scanned last */
	PromError  *error;
	PromSelector *selector;		/* results */
	PromExpr   *expr;
} PromReader;

/* literal.c */
extern bool aggwin_promql_number(PromToken token, double *number, PromError *error);
extern bool aggwin_promql_string(PromToken token, char **string, PromError *error);
extern bool aggwin_promql_duration(PromToken token, int64 *milliseconds, PromError *error);
extern void aggwin_promql_write_duration(StringInfo out, int64 milliseconds);

/* build.c */
extern bool aggwin_promql_add_matcher(PromReader *reader, PromSelector *selector, PromToken label,
									  PromMatch match, PromToken value);
extern bool aggwin_promql_name_selector(PromReader *reader, PromSelector *selector, PromToken name);
extern bool aggwin_promql_finish_selector(PromReader *reader, PromSelector *selector);
extern bool aggwin_promql_add_label(PromReader *reader, PromGrouping *grouping, PromToken label);
extern PromExpr *aggwin_promql_expr(PromExprKind kind, PromPlace place);
extern void aggwin_promql_add_argument(PromExpr *call, PromExpr *argument);

/* keyword.c */
extern bool aggwin_promql_refuse(PromReader *reader, PromToken token);
extern bool aggwin_promql_refuse_sign(PromReader *reader, PromToken token);

#endif							/* AGGWIN_READER_H */
