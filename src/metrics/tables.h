/*
 * tables.h - the tables that metrics are stored in
 */
#ifndef AGGWIN_TABLES_H
#define AGGWIN_TABLES_H

#include "postgres.h"

#include "core/spi_util.h"

/* What aggwin.enable_metrics() has made. */
typedef struct MetricTables
{
	Oid			samples;
	Oid			series;
	Oid			input;			/* the view aggwin.sample_input */
	Oid			owner;
} MetricTables;

extern void aggwin_make_relations(const char *const *creation, int statements,
								  const char *const *relations, int count, Oid owner);
extern bool aggwin_find_metric_tables(MetricTables *tables);
extern void aggwin_metric_tables(MetricTables *tables);
extern bool aggwin_may_read_series(const MetricTables *tables);
extern void aggwin_check_may_read_series(const MetricTables *tables);
extern void aggwin_become_owner(Sandbox *saved, const MetricTables *tables);
extern void aggwin_lock_creation(const MetricTables *tables);
extern uint64 aggwin_run_latest(SPIPlanPtr *plan, const char *sql, int expected, int count,
								Oid *types, Datum *values);
extern int	aggwin_array_size(Datum array);
extern Datum aggwin_int8_array(const int64 *values, int count, Oid type);

#endif							/* AGGWIN_TABLES_H */
