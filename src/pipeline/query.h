/*
 * query.h - a pipeline's rule as the query of a window
 */
#ifndef AGGWIN_PIPELINE_QUERY_H
#define AGGWIN_PIPELINE_QUERY_H

#include "postgres.h"

#include "promql/rule.h"

extern char *aggwin_pipeline_query(int32 pipeline_id, const PromRule *rule, const char *view);
extern const char *aggwin_rule_reach(const PromRule *rule);

#endif							/* AGGWIN_PIPELINE_QUERY_H */
