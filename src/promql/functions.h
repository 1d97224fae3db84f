/*
 * functions.h - the functions and aggregations of PromQL
 */
#ifndef AGGWIN_FUNCTIONS_H
#define AGGWIN_FUNCTIONS_H

#include "promql/rule.h"

typedef enum PromRole
{
	PROM_ROLE_SERIES,			/* a series' samples in a window */
	PROM_ROLE_AGGREGATION,		/* several series */
	PROM_ROLE_TOP,				/* topk */
	PROM_ROLE_HISTOGRAM,		/* histogram_quantile */
	PROM_ROLE_REFUSED,			/* PromQL has it, pipelines have not */
} PromRole;

typedef struct PromFunctionEntry
{
	const char *name;
	PromRole	role;
	int			what;			/* PromFunction or PromAggregation */
	bool		parameter;		/* a number comes before the samples */
	bool		any_case;		/* a keyword: case does not matter */
	const char *hint;			/* of refused ones, or NULL */
} PromFunctionEntry;

extern const PromFunctionEntry *aggwin_promql_function(const char *name);
extern const char *aggwin_promql_function_name(PromFunction function);
extern const char *aggwin_promql_aggregation_name(PromAggregation aggregation);

#endif							/* AGGWIN_FUNCTIONS_H */
