/*
 * read.h - the table aggwin.pipeline, as C sees it
 */
#ifndef AGGWIN_PIPELINE_READ_H
#define AGGWIN_PIPELINE_READ_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "promql/rule.h"

typedef struct StoredPipeline
{
	int32		pipeline_id;
	Datum		metric;			/* text: the name of its results */
	Datum		labels;			/* jsonb: to be added to those of results */
	int32		max_series;
	PromRule	rule;
} StoredPipeline;

extern List *aggwin_pipelines_reading(Datum metrics);
extern void aggwin_read_rule(const char *promql, PromRule *rule);

#endif							/* AGGWIN_PIPELINE_READ_H */
