/*
 * total.c - what a running sum had come to before a window
 *
 * That is its last result in the pipeline's window output, which has also those that a
 * limit kept from being written as samples. Where the output has expired, it is the last
 * sample.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "fmgr.h"
#include "pipeline/tables.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(aggwin_total_before);

/* The last value of a query with $1 (a result) and $2 (a time); false if there is none. */
static bool
last_value(const char *sql, FunctionCallInfo fcinfo, float8 *value)
{
	Oid			types[] = {INT8OID, TIMESTAMPTZOID};
	Datum		values[] = {PG_GETARG_DATUM(1), PG_GETARG_DATUM(2)};
	bool		isnull;

	if (SPI_execute_with_args(sql, lengthof(types), types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the last result of a running sum");
	if (SPI_processed == 0)
		return false;
	*value = DatumGetFloat8(aggwin_spi_value(1, &isnull));
	return !isnull;
}

/*
 * aggwin.total_before(pipeline_id, result_id, window_start): the value of a result at the end
 * of the last window before this one in which it was; 0 if there is none. Under the query's
 * snapshot, and with what the step has written.
 */
Datum
aggwin_total_before(PG_FUNCTION_ARGS)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {PG_GETARG_DATUM(0)};
	Oid			output = InvalidOid;
	float8		value = 0;
	bool		isnull;

	aggwin_spi_connect();
	if (SPI_execute_with_args("SELECT p.output::oid FROM aggwin.pipeline AS p WHERE p.pipeline_id = $1",
							  lengthof(types), types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read aggwin.pipeline");
	if (SPI_processed > 0)
		output = DatumGetObjectId(aggwin_spi_value(1, &isnull));
	/* Each revision has all rows of its window. */
	if (!OidIsValid(output) || get_rel_name(output) == NULL ||
		!last_value(psprintf("SELECT o.value FROM %1$s AS o WHERE o.result_id = $1 AND o.window_end <= $2"
							 " AND o.op <> 'delete' AND NOT EXISTS (SELECT FROM %1$s AS n"
							 " WHERE n.result_id = $1 AND n.window_end = o.window_end AND n.revision > o.revision)"
							 " ORDER BY o.window_end DESC, o.revision DESC", aggwin_relation_name(output)),
					fcinfo, &value))
		(void) last_value("SELECT p.value FROM aggwin.samples AS p WHERE p.series_id = $1 AND p.ts <= $2"
						  " ORDER BY p.ts DESC", fcinfo, &value);
	aggwin_spi_finish();
	PG_RETURN_FLOAT8(value);
}
