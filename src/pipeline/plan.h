/*
 * plan.h - what applying rules does, pipeline by pipeline
 */
#ifndef AGGWIN_PIPELINE_PLAN_H
#define AGGWIN_PIPELINE_PLAN_H

#include "postgres.h"

#include "metrics/tables.h"
#include "nodes/pg_list.h"
#include "pipeline/rules.h"

typedef enum PlanAction
{
	PLAN_CREATE,
	PLAN_CHANGE,
	PLAN_KEEP,
	PLAN_REMOVE,
} PlanAction;

/* A pipeline: what is kept of it, and what is told of it. Durations in milliseconds. */
typedef struct PipelineSpec
{
	char	   *metric;			/* the name of its results */
	char	   *promql;			/* in normal form */
	PromRule	rule;
	Datum		labels;			/* jsonb */
	int64		grace;
	int64		retention;
	int32		max_series;
	int32		result_limit;
	bool		paused;
	int			place;			/* in its rules */
} PipelineSpec;

typedef struct PlanItem
{
	PlanAction	action;
	char	   *reason;			/* of a change: what is different; or NULL */
	bool		rebuild;		/* of a change: results are computed anew */
	int32		pipeline_id;	/* but to create */
	Oid			output;			/* likewise */
	PipelineSpec spec;
} PlanItem;

extern List *aggwin_make_plan(const MetricTables *tables, text *rules, const char *source, bool prune);

/* build.c */
extern void aggwin_carry_out(const MetricTables *tables, List *plan, const char *source, Oid caller,
							 const char *schema);

#endif							/* AGGWIN_PIPELINE_PLAN_H */
