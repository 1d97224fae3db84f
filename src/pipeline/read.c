/*
 * read.c - the table aggwin.pipeline, as C sees it
 */
#include "postgres.h"

#include "pipeline/read.h"

#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "mb/pg_wchar.h"
#include "metrics/tables.h"
#include "promql/parse.h"
#include "utils/builtins.h"

/* Read a rule that has been applied. That it can be read has been checked then. */
void
aggwin_read_rule(const char *promql, PromRule *rule)
{
	PromExpr   *expr;
	PromError	error;

	if (!aggwin_promql_parse(pg_server_to_any(promql, strlen(promql), PG_UTF8), &expr, &error) ||
		!aggwin_promql_check(expr, rule, &error))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a pipeline cannot be read any more: %s", error.message),
				 errdetail("Its rule is: %s", promql),
				 errhint("Apply its rules again.")));
}

/*
 * The pipelines that may read series of some metrics (text[]), whatever the isolation
 * level; connected to SPI, as who may read them.
 */
List *
aggwin_pipelines_reading(Datum metrics)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTARRAYOID};
	List	   *pipelines = NIL;
	SPITupleTable *table;
	uint64		count;

	aggwin_run_latest(&plan, "SELECT p.pipeline_id, p.metric, p.labels, p.max_series, p.promql"
					  " FROM aggwin.pipeline AS p WHERE p.reads IS NULL OR p.reads = ANY ($1) ORDER BY p.pipeline_id",
					  SPI_OK_SELECT, lengthof(types), types, &metrics);
	table = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count; i++)
	{
		StoredPipeline *pipeline = palloc0(sizeof(StoredPipeline));
		HeapTuple	row = table->vals[i];
		TupleDesc	desc = table->tupdesc;
		bool		isnull;

		aggwin_read_rule(SPI_getvalue(row, desc, 5), &pipeline->rule);
		pipeline->pipeline_id = DatumGetInt32(SPI_getbinval(row, desc, 1, &isnull));
		pipeline->metric = SPI_getbinval(row, desc, 2, &isnull);
		pipeline->labels = SPI_getbinval(row, desc, 3, &isnull);
		pipeline->max_series = DatumGetInt32(SPI_getbinval(row, desc, 4, &isnull));
		pipelines = lappend(pipelines, pipeline);
	}
	return pipelines;
}
