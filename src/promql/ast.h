/*
 * ast.h - what was read: selectors and expressions
 *
 * Everything is palloc'ed in the context that the reading began in.
 */
#ifndef AGGWIN_AST_H
#define AGGWIN_AST_H

#include "promql/error.h"

typedef enum PromMatch
{
	PROM_EQUAL,					/* = */
	PROM_NOT_EQUAL,				/* != */
	PROM_MATCH,					/* =~ */
	PROM_NOT_MATCH,				/* !~ */
} PromMatch;

typedef struct PromMatcher
{
	PromMatch	match;
	char	   *label;
	char	   *value;			/* as written, without quotes and escapes */
	char	   *regex;			/* of =~ and !~: the value for the server, see regex.h */
	bool		takes_empty;	/* series without the label are selected */
	PromPlace	place;			/* of the label */
} PromMatcher;

typedef struct PromSelector
{
	char	   *metric;			/* NULL if any, or if matchers of __name__ decide */
	PromMatcher *matchers;		/* in the order in which they are written */
	int			matcher_count;
	PromPlace	place;
} PromSelector;

typedef enum PromGroupingKind
{
	PROM_UNGROUPED,
	PROM_BY,
	PROM_WITHOUT,
} PromGroupingKind;

typedef struct PromGrouping
{
	PromGroupingKind kind;
	char	  **labels;			/* in the order of strcmp, each once */
	int			label_count;
	PromPlace	place;
} PromGrouping;

typedef enum PromExprKind
{
	PROM_NUMBER,
	PROM_STRING,
	PROM_SELECT,
	PROM_CALL,
} PromExprKind;

/* Functions and aggregations are calls both. */
typedef struct PromExpr
{
	PromExprKind kind;
	PromPlace	place;
	double		number;
	char	   *text;			/* of a string; of a call: the name */
	PromSelector selector;
	int64		range;			/* milliseconds; 0 if there is none */
	PromGrouping grouping;
	struct PromExpr **arguments;
	int			argument_count;
} PromExpr;

/* keyword.c */
extern bool aggwin_promql_is_metric(const char *name);
extern bool aggwin_promql_is_label(const char *name);

#endif							/* AGGWIN_AST_H */
