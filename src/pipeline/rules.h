/*
 * rules.h - pipelines, as they stand in files
 *
 *		- promql: 'sum by (stack) (http_requests_total{service="push"}[1m])'
 *		  as: push_http_requests:1m
 *
 * Compiled into the server's module and into programs, as promql/base.h says.
 */
#ifndef AGGWIN_RULES_H
#define AGGWIN_RULES_H

#include "promql/rule.h"

/* Bytes of a file. */
#define AGGWIN_RULES_MAX_SIZE (1024 * 1024)

/* Bytes of a result's name, so that one of a histogram's suffixes may follow. */
#define AGGWIN_PIPELINE_MAX_NAME 1000

/* Results an hour, where a pipeline does not say otherwise. */
#define AGGWIN_PIPELINE_LIMIT INT64CONST(3000000)

/* What is told of faults, at most. */
#define AGGWIN_RULES_MAX_FINDINGS 100

typedef struct PipelineLabel
{
	char	   *name;
	char	   *value;
} PipelineLabel;

typedef struct Pipeline
{
	const char *file;
	PromPlace	place;			/* of its first key */
	PromPlace	as_place;
	PromPlace	promql_place;
	char	   *as;				/* the results' name */
	char	   *promql;			/* as written */
	PromRule	rule;
	bool		histogram;		/* written as three metrics; see aggwin_pipeline_part() */
	PipelineLabel *labels;		/* to add, in the order of their names */
	int			label_count;
	int64		grace;			/* milliseconds that a window stays open behind its end */
	int64		retention;		/* of results, milliseconds; 0: not said */
	int64		max_series;		/* of results; 0: not said */
	int64		limit;			/* results an hour */
	bool		paused;
} Pipeline;

typedef struct RulesFinding
{
	const char *file;
	PromError	error;
} RulesFinding;

/* Of one file or several; zeroed to begin with. */
typedef struct PipelineRules
{
	Pipeline   *pipelines;
	int			pipeline_count;
	RulesFinding *findings;
	int			finding_count;
} PipelineRules;

/* rules.c */
extern bool aggwin_rules_read(PipelineRules *rules, const char *file, const char *text, size_t length);
extern bool aggwin_rules_fail(PipelineRules *rules, const char *file, PromPlace place, const char *hint,
							  const char *format,...) pg_attribute_printf(5, 6);
extern bool aggwin_rules_note(PipelineRules *rules, const char *file, const PromError *error);

/* rules_check.c */
extern bool aggwin_rules_check(PipelineRules *rules);

/* pipeline.c */
extern bool aggwin_pipeline_check(const Pipeline *pipeline, PromError *error);
extern int	aggwin_pipeline_parts(const Pipeline *pipeline);
extern void aggwin_pipeline_part(const Pipeline *pipeline, int part, char **as, PromRule *rule);

#endif							/* AGGWIN_RULES_H */
