/*
 * matchers.h - which series are meant
 */
#ifndef AGGWIN_MATCHERS_H
#define AGGWIN_MATCHERS_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "promql/ast.h"
#include "utils/jsonb.h"

typedef struct Matchers
{
	StringInfoData condition;	/* SQL about the series "s" */
	List	   *labels;			/* String *, each label that it is about, but __name__ */
	int			count;
} Matchers;

extern void aggwin_matchers_init(Matchers *matchers);
extern void aggwin_add_parsed(Matchers *matchers, const PromSelector *selector);
extern void aggwin_add_selector(Matchers *matchers, const char *argument, text *selector);
extern void aggwin_add_labels(Matchers *matchers, Jsonb *labels);
extern char *aggwin_from_utf8(const char *string);
extern bool aggwin_looks_like_json(const char *text);

#endif							/* AGGWIN_MATCHERS_H */
