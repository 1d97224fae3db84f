/*
 * total.c - what running sums had come to before a window
 *
 * That is their last result in the pipeline's window output, which has also those that a
 * limit kept from being written as samples. Where the output has expired, it is the last
 * sample.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "emit/plans.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(aggwin_totals_before);

/* Each revision of an output has all rows of its window. */
#define TOTALS \
	"SELECT r.result_id, coalesce(o.value, s.value) AS value" \
	" FROM (SELECT DISTINCT m.result_id FROM aggwin.pipeline_series AS m WHERE m.pipeline_id = $1) AS r" \
	" LEFT JOIN LATERAL (SELECT o.value FROM %1$s AS o WHERE o.result_id = r.result_id AND o.window_end <= $2" \
	" AND o.op <> 'delete' AND NOT EXISTS (SELECT FROM %1$s AS n WHERE n.result_id = o.result_id" \
	" AND n.window_end = o.window_end AND n.revision > o.revision)" \
	" ORDER BY o.window_end DESC, o.revision DESC LIMIT 1) AS o ON true" \
	" LEFT JOIN LATERAL (SELECT p.value FROM aggwin.samples AS p WHERE o.value IS NULL" \
	" AND p.series_id = r.result_id AND p.ts <= $2 ORDER BY p.ts DESC LIMIT 1) AS s ON true" \
	" WHERE coalesce(o.value, s.value) IS NOT NULL"

/*
 * aggwin.totals_before(pipeline_id, window_start): the value of each result at the end of the
 * last window before this one in which it was, if there is any. Under the query's snapshot,
 * and with what the step has written.
 */
Datum
aggwin_totals_before(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			types[] = {INT4OID, TIMESTAMPTZOID};
	Datum		values[] = {PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)};
	Oid			output;
	bool		isnull;

	InitMaterializedSRF(fcinfo, 0);
	aggwin_spi_connect();
	if (aggwin_spi_read("SELECT p.output::oid FROM aggwin.pipeline AS p WHERE p.pipeline_id = $1", 1, types, values) > 0)
	{
		output = DatumGetObjectId(aggwin_spi_value(1, &isnull));
		/* Not yet while create_window() tries the query. */
		if (get_rel_name(output) != NULL &&
			!aggwin_emit_read(psprintf(TOTALS, aggwin_relation_name(output)), lengthof(types), types, values,
							  result->setDesc, result->setResult))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("table %s no longer has the columns of its window query", aggwin_relation_name(output)),
					 errhint("Apply the rules of the pipeline again.")));
	}
	aggwin_spi_finish();
	return (Datum) 0;
}
