/*
 * mapping.h - which series a pipeline reads, and what they become
 */
#ifndef AGGWIN_PIPELINE_MAPPING_H
#define AGGWIN_PIPELINE_MAPPING_H

#include "postgres.h"

#include "metrics/tables.h"
#include "promql/rule.h"

extern char *aggwin_sql_grouped_labels(const PromGrouping *grouping, const char *labels);
extern void aggwin_map_series(int32 pipeline_id, const PromRule *rule, Datum metric, Datum labels,
							  int32 max_series, Datum series);

#endif							/* AGGWIN_PIPELINE_MAPPING_H */
