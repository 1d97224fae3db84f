/*
 * tables.h - the tables that pipelines are kept in
 */
#ifndef AGGWIN_PIPELINE_TABLES_H
#define AGGWIN_PIPELINE_TABLES_H

#include "postgres.h"

#include "metrics/tables.h"

extern bool aggwin_pipelines_exist(void);
extern void aggwin_make_pipeline_tables(const MetricTables *tables);

#endif							/* AGGWIN_PIPELINE_TABLES_H */
