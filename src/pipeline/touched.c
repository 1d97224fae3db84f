/*
 * touched.c - which windows of which pipelines late samples change
 *
 * A sample changes the window that it is in, of the pipelines that read its series.
 * What an increase takes for the value before it is that of the series' last sample, so
 * the window of the next sample after changes, too; and running sums, all later windows.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "fmgr.h"
#include "funcapi.h"
#include "metrics/tables.h"
#include "pipeline/tables.h"

PG_FUNCTION_INFO_V1(aggwin_pipelines_touched);

/*
 * Whatever series may have changed (without a key) is of all pipelines, and what comes
 * next of it may be in any later window.
 */
#define TOUCHED \
	"WITH late AS MATERIALIZED (SELECT c.span, c.changes, c.key::bigint AS series_id" \
	" FROM unnest($1, $2, $3) AS c(span, changes, key)" \
	"), own AS MATERIALIZED (SELECT p.output, p.reach, l.span, l.changes, l.series_id" \
	" FROM late AS l JOIN aggwin.pipeline_series AS m ON m.series_id = l.series_id" \
	" JOIN aggwin.pipeline AS p ON p.pipeline_id = m.pipeline_id" \
	" UNION ALL SELECT p.output, CASE p.reach WHEN 'own' THEN 'own' ELSE 'later' END, l.span, l.changes, NULL" \
	" FROM late AS l CROSS JOIN aggwin.pipeline AS p WHERE l.series_id IS NULL" \
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

/*
 * aggwin.pipelines_touched(spans, changes, keys): event time in which there were late changes,
 * how many, and of which series (NULL: of any). Returns what each output has to compute again.
 */
Datum
aggwin_pipelines_touched(PG_FUNCTION_ARGS)
{
	Oid			types[] = {TSTZRANGEARRAYOID, INT8ARRAYOID, TEXTARRAYOID};
	Datum		values[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2)};
	MetricTables tables;
	Sandbox		saved;

	InitMaterializedSRF(fcinfo, 0);
	if (!aggwin_pipelines_exist())
		return (Datum) 0;
	aggwin_metric_tables(&tables);
	aggwin_spi_connect();
	aggwin_become_owner(&saved, &tables);
	aggwin_spi_read(TOUCHED, lengthof(types), types, values);
	aggwin_spi_return_rows(fcinfo);
	aggwin_sandbox_leave(&saved);
	aggwin_spi_finish();
	return (Datum) 0;
}
