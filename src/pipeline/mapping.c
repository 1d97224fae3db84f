/*
 * mapping.c - which series a pipeline reads, and what they become
 *
 * A series' labels never change, so it is looked at once: when the pipeline is
 * made, or when the series is. The table aggwin.pipeline_series says then what the
 * window query needs: which result it is a part of.
 *
 * Results are series like others, and may be what other pipelines read: making
 * them fires the trigger again. There are no circles (plan.c): only a selector that
 * names its metric means results, so that no expression takes them by chance.
 *
 * Locking: under the creation lock, as everything that makes series.
 */
#include "postgres.h"

#include "pipeline/mapping.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "core/spi_util.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "metrics/matchers.h"
#include "metrics/metric_rollup.h"
#include "pipeline/read.h"
#include "pipeline/tables.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(aggwin_map_new_series);

/* Numbers that Prometheus reads in the label le, and that are no error to the server. */
#define LE_PATTERN "'^([+-]?([0-9]{1,18}([.][0-9]{0,18})?|[.][0-9]{1,18})([eE][+-]?[0-9]{1,2})?|[+-]?[Ii]nf)$'"

/* The labels by which groups are told, as an array literal. */
static char *
label_array(const PromGrouping *grouping)
{
	Datum	   *names = palloc((grouping->label_count + 1) * sizeof(Datum));

	for (int i = 0; i < grouping->label_count; i++)
		names[i] = CStringGetTextDatum(grouping->labels[i]);
	return aggwin_sql_literal(PointerGetDatum(construct_array(names, grouping->label_count, TEXTOID, -1,
															  false, TYPALIGN_INT)), TEXTARRAYOID);
}

/* What a grouping leaves of labels, as SQL. */
char *
aggwin_sql_grouped_labels(const PromGrouping *grouping, const char *labels)
{
	switch (grouping->kind)
	{
		case PROM_BY:
			return aggwin_sql_only_labels(labels, label_array(grouping));
		case PROM_WITHOUT:
			return psprintf("(%s - %s)", labels, label_array(grouping));
		case PROM_UNGROUPED:
			break;
	}
	return pstrdup("'{}'::jsonb");
}

/* The labels of a result, of those of a series "s". */
static char *
result_labels(const PromRule *rule)
{
	char	   *labels = rule->aggregation == PROM_NOT_AGGREGATED ? pstrdup("s.labels")
		: aggwin_sql_grouped_labels(&rule->grouping, "s.labels");

	return rule->histogram ? psprintf("(%s - 'le'::text)", labels) : labels;
}

/*
 * Map series (bigint[]) to results of a pipeline, as far as they are of it and are not
 * mapped. labels are added to those of results. Run as the tables' owner, connected to SPI.
 */
void
aggwin_map_series(int32 pipeline_id, const PromRule *rule, Datum metric, Datum labels,
				  int32 max_series, Datum series)
{
	Oid			types[] = {INT4OID, TEXTOID, JSONBOID, INT4OID, INT8ARRAYOID};
	Datum		values[] = {Int32GetDatum(pipeline_id), metric, labels, Int32GetDatum(max_series), series};
	Matchers	matchers;
	StringInfoData sql;
	SPIPlanPtr	plan;
	Snapshot	snapshot;

	aggwin_matchers_init(&matchers);
	aggwin_add_parsed(&matchers, &rule->selector);
	if (rule->selector.metric == NULL)
		appendStringInfoString(&matchers.condition, " AND NOT EXISTS (SELECT FROM aggwin.metric AS d"
							   " WHERE d.metric = s.metric AND d.derived)");
	initStringInfo(&sql);
	appendStringInfo(&sql, "WITH found AS MATERIALIZED ("
					 "SELECT f.series_id, f.labels, f.le, aggwin.series_hash($2, f.labels) AS hash,"
					 " min(f.series_id) OVER (PARTITION BY f.labels, f.le) AS first"
					 " FROM (SELECT s.series_id, %s || $3 AS labels, %s AS le"
					 " FROM aggwin.series AS s WHERE s.series_id = ANY ($5) AND %s%s"
					 " AND NOT EXISTS (SELECT FROM aggwin.pipeline_series AS p"
					 " WHERE p.pipeline_id = $1 AND p.series_id = s.series_id)) AS f",
					 result_labels(rule),
					 rule->histogram ? "CASE WHEN s.labels ->> 'le' ~ " LE_PATTERN
					 " THEN (s.labels ->> 'le')::float8 END" : "NULL::float8",
					 matchers.condition.data,
					 rule->histogram ? " AND s.labels ->> 'le' ~ " LE_PATTERN : "");
	appendStringInfoString(&sql, "), wanted AS MATERIALIZED ("
						   "SELECT w.hash, w.labels, s.series_id,"
						   " EXISTS (SELECT FROM aggwin.pipeline_series AS p"
						   " WHERE p.pipeline_id = $1 AND p.result_id = s.series_id) AS has"
						   " FROM (SELECT DISTINCT ON (f.hash) f.hash, f.labels FROM found AS f) AS w"
						   " LEFT JOIN aggwin.series AS s ON s.hash = w.hash"
						   "), allowed AS MATERIALIZED ("
						   "SELECT n.* FROM (SELECT w.*, row_number() OVER (PARTITION BY w.has ORDER BY w.hash) AS nth"
						   " FROM wanted AS w) AS n WHERE n.has OR n.nth <= $4 - ("
						   "SELECT count(DISTINCT p.result_id) FROM aggwin.pipeline_series AS p WHERE p.pipeline_id = $1)"
						   "), made AS ("
						   "INSERT INTO aggwin.series (metric, labels) SELECT $2, a.labels FROM allowed AS a"
						   " WHERE a.series_id IS NULL RETURNING series_id, hash"
						   "), mapped AS ("
						   "INSERT INTO aggwin.pipeline_series (pipeline_id, series_id, result_id, le)"
						   " SELECT $1, f.series_id, r.series_id, f.le FROM found AS f JOIN ("
						   "SELECT m.hash, m.series_id FROM made AS m UNION ALL"
						   " SELECT a.hash, a.series_id FROM allowed AS a WHERE a.series_id IS NOT NULL"
						   ") AS r ON r.hash = f.hash");
	/* Without an aggregation, of several series that would become one only the first does. */
	if (rule->aggregation == PROM_NOT_AGGREGATED)
		appendStringInfoString(&sql, " WHERE f.series_id = f.first AND NOT EXISTS (SELECT FROM aggwin.pipeline_series AS p WHERE p.pipeline_id = $1"
							   " AND p.result_id = r.series_id AND p.le IS NOT DISTINCT FROM f.le)");
	appendStringInfoString(&sql, " RETURNING series_id"
						   ") INSERT INTO aggwin.pipeline_refused AS r (pipeline_id, series) SELECT $1, n.refused"
						   " FROM (SELECT (SELECT count(*) FROM found) - (SELECT count(*) FROM mapped) AS refused) AS n"
						   " WHERE n.refused > 0"
						   " ON CONFLICT (pipeline_id) DO UPDATE SET series = r.series + excluded.series");
	plan = aggwin_spi_prepare(sql.data, lengthof(types), types);
	/* Whatever the isolation level: results that another transaction has made are found. */
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	aggwin_spi_check(SPI_execute_snapshot(plan, values, NULL, snapshot, InvalidSnapshot, false, true, 0),
					 SPI_OK_INSERT, sql.data);
	UnregisterSnapshot(snapshot);
	SPI_freeplan(plan);
}

/*
 * aggwin.map_new_series(): trigger after series are made. Each pipeline takes those
 * that it reads.
 */
Datum
aggwin_map_new_series(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	MetricTables tables;
	Sandbox		saved;
	Datum		series;
	Datum		metrics;
	bool		isnull;
	ListCell   *lc;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) || trigger->tg_newtable == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("aggwin.map_new_series() can only be the trigger that aggwin makes")));
	if (!aggwin_pipelines_exist())
		return PointerGetDatum(NULL);
	aggwin_metric_tables(&tables);
	aggwin_spi_connect_with(trigger);
	aggwin_become_owner(&saved, &tables);
	aggwin_spi_run("SELECT array_agg(n.series_id), array_agg(DISTINCT n.metric) FROM aggwin_new AS n", SPI_OK_SELECT);
	series = aggwin_spi_value(1, &isnull);
	metrics = aggwin_spi_value(2, &isnull);
	if (!isnull)
	{
		foreach(lc, aggwin_pipelines_reading(metrics))
		{
			StoredPipeline *pipeline = lfirst(lc);

			aggwin_map_series(pipeline->pipeline_id, &pipeline->rule, pipeline->metric,
							  pipeline->labels, pipeline->max_series, series);
		}
	}
	aggwin_sandbox_leave(&saved);
	aggwin_spi_finish();
	return PointerGetDatum(NULL);
}
