/*
 * touched.c - which windows of which pipelines late samples change
 *
 * A sample changes the window that it is in, of the pipelines that read its series.
 * What an increase takes for the value before it is that of the series' last sample, so
 * the window of the next sample after changes, too; and running sums, all later windows.
 *
 * Where days of samples have been dropped, that value is gone with them: what follows in
 * the next day stays as it was computed when it was there.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "emit/plans.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "metrics/tables.h"
#include "pipeline/tables.h"

PG_FUNCTION_INFO_V1(aggwin_pipelines_touched);

/*
 * Whatever series may have changed (without a key, or one that is gone) is of all pipelines,
 * and what comes next of it may be in any later window.
 */
#define TOUCHED \
	"WITH late AS MATERIALIZED (SELECT c.span, c.changes, s.series_id" \
	" FROM unnest($1, $2, $3) AS c(span, changes, key) LEFT JOIN aggwin.series AS s ON s.series_id = c.key::bigint" \
	"), touched AS (SELECT p.output, p.reach, l.span, l.changes, l.series_id" \
	" FROM late AS l JOIN aggwin.pipeline_series AS m ON m.series_id = l.series_id" \
	" JOIN aggwin.pipeline AS p ON p.pipeline_id = m.pipeline_id" \
	" UNION ALL SELECT p.output, CASE p.reach WHEN 'own' THEN 'own' ELSE 'later' END, l.span, l.changes, NULL" \
	" FROM late AS l CROSS JOIN aggwin.pipeline AS p WHERE l.series_id IS NULL" \
	"), own AS MATERIALIZED (SELECT q.* FROM (SELECT t.output, t.reach, t.changes, t.series_id," \
	" CASE t.reach WHEN 'own' THEN t.span ELSE t.span * tstzrange($4 + '1 day'::interval, NULL) END AS span" \
	" FROM touched AS t) AS q WHERE NOT isempty(q.span)" \
	"), ends AS MATERIALIZED (SELECT DISTINCT o.output, o.series_id," \
	" date_bin(w.size, upper(o.span) - CASE WHEN upper_inc(o.span) THEN '0' ELSE '1 microsecond' END::interval," \
	" to_timestamp(0)) + w.size AS ts" \
	" FROM own AS o JOIN aggwin.window AS w ON w.output = o.output WHERE o.reach = 'next'" \
	"), next AS (SELECT e.series_id, e.ts AS after, n.ts FROM (SELECT DISTINCT e.series_id, e.ts FROM ends AS e) AS e" \
	" CROSS JOIN LATERAL (SELECT s.ts FROM aggwin.samples AS s WHERE s.series_id = e.series_id" \
	" AND s.ts >= e.ts AND abs(s.value) < 1e300 ORDER BY s.ts LIMIT 1) AS n" \
	") SELECT o.output, CASE o.reach WHEN 'later' THEN tstzrange(lower(o.span), NULL) ELSE o.span END," \
	" sum(o.changes)::bigint FROM own AS o GROUP BY 1, 2" \
	" UNION ALL SELECT DISTINCT e.output, tstzrange(n.ts, n.ts, '[]'), 0::bigint" \
	" FROM ends AS e JOIN next AS n ON n.series_id = e.series_id AND n.after = e.ts"

/* The end of the samples that have been dropped, '-infinity' if none have. */
static Datum
end_of_dropped(void)
{
	StringInfoData sql;
	bool		isnull;

	aggwin_spi_read("SELECT r.invalid::oid FROM aggwin.rollup AS r WHERE r.source = 'aggwin.samples'::regclass", 0, NULL, NULL);
	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT coalesce(max(upper(s.span)), '-infinity') FROM (SELECT NULL::tstzrange");
	for (uint64 i = 0; i < SPI_processed; i++)
		appendStringInfo(&sql, " UNION ALL SELECT unnest(i.spans) FROM %s AS i WHERE i.kind IN ('f', 's')",
						 aggwin_relation_name(DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull))));
	appendStringInfoString(&sql, ") AS s(span)");
	aggwin_spi_read(sql.data, 0, NULL, NULL);
	return aggwin_spi_value(1, &isnull);
}

/*
 * aggwin.pipelines_touched(spans, changes, keys): event time in which there were late changes,
 * how many, and of which series (NULL: of any). Returns what each output has to compute again.
 */
Datum
aggwin_pipelines_touched(PG_FUNCTION_ARGS)
{
	Oid			types[] = {TSTZRANGEARRAYOID, INT8ARRAYOID, TEXTARRAYOID, TIMESTAMPTZOID};
	Datum		values[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2), 0};
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MetricTables tables;
	Sandbox		saved;

	InitMaterializedSRF(fcinfo, 0);
	if (!aggwin_pipelines_exist())
		return (Datum) 0;
	aggwin_metric_tables(&tables);
	aggwin_spi_connect();
	aggwin_become_owner(&saved, &tables);
	values[3] = end_of_dropped();
	if (!aggwin_emit_read(TOUCHED, lengthof(types), types, values, result->setDesc, result->setResult))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("table aggwin.pipeline does not have its columns any more"),
				 errhint("Give them their types again.")));
	aggwin_sandbox_leave(&saved);
	aggwin_spi_finish();
	return (Datum) 0;
}
