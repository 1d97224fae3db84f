/*
 * error.h - what is wrong with a text, and where
 */
#ifndef AGGWIN_ERROR_H
#define AGGWIN_ERROR_H

#include "promql/base.h"

/* Lines and columns count from 1, columns in characters. */
typedef struct PromPlace
{
	int			line;
	int			column;
} PromPlace;

typedef struct PromError
{
	int			line;
	int			column;
	char	   *message;		/* lower case, without a full stop; NULL as long as nothing is wrong */
	char	   *hint;			/* a sentence that says what to do, or NULL */
} PromError;

extern bool aggwin_promql_fail(PromError *error, PromPlace place, const char *hint,
							   const char *format,...) pg_attribute_printf(4, 5);
extern char *aggwin_promql_shown(const char *text, int length);
extern PromPlace aggwin_promql_place(PromPlace start, const char *text, const char *at);

#endif							/* AGGWIN_ERROR_H */
