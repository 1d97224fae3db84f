/*
 * status.c - what a rollup has not folded yet
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "core/spi_util.h"
#include "funcapi.h"
#include "rollup/catalog.h"

PG_FUNCTION_INFO_V1(aggwin_rollup_pending);

/*
 * aggwin.rollup_pending(rollup_id): the number of pending deltas, the age of
 * the oldest pending change (zero if there is none), and how many buckets
 * pending invalid ranges touch: NULL if all, and a bucket once for each
 * statement that touched it. All NULL if there is no such rollup, or not all of
 * it.
 */
Datum
aggwin_rollup_pending(PG_FUNCTION_ARGS)
{
	int32		rollup_id = PG_GETARG_INT32(0);
	TupleDesc	desc;
	Datum		values[3];
	bool		nulls[3] = {true, true, true};
	HeapTuple	result;
	RollupRow	row;
	RollupNames names;
	Sandbox		saved;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);
	if (!aggwin_find_rollup(rollup_id, &row) || !aggwin_rollup_is_whole(&row))
		PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));

	names = aggwin_rollup_names(&row);
	aggwin_sandbox_enter(&saved, aggwin_rollup_owner(&row), true);
	aggwin_spi_connect();
	if (SPI_execute(psprintf("WITH f AS MATERIALIZED (SELECT ARRAY(SELECT pg_snapshot_xip(t.folded)) AS xip,"
							 " pg_snapshot_xmax(t.folded) AS xmax"
							 " FROM aggwin.tier AS t WHERE t.rollup_id = %1$d AND t.level = 0),"
							 " d AS (SELECT count(*) AS deltas, min(captured_at) AS since FROM %2$s"
							 " WHERE xid = ANY ((SELECT xip FROM f)::xid8[]) OR xid >= (SELECT xmax FROM f)),"
							 " i AS (SELECT count(*) AS ranges, count(buckets) AS counted,"
							 " sum(buckets)::bigint AS buckets, min(captured_at) AS since FROM %3$s AS i"
							 " WHERE (xid = ANY ((SELECT xip FROM f)::xid8[]) OR xid >= (SELECT xmax FROM f))"
							 " AND " AGGWIN_BASE_INVALID ")"
							 " SELECT d.deltas,"
							 " greatest(coalesce(clock_timestamp() - least(d.since, i.since), '0'), '0'),"
							 " CASE WHEN i.ranges = i.counted THEN coalesce(i.buckets, 0) END FROM d, i",
							 rollup_id, names.delta, names.invalid), true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not count what is pending");
	for (int i = 0; i < 3; i++)
		values[i] = aggwin_spi_value(i + 1, &nulls[i]);
	result = SPI_copytuple(heap_form_tuple(desc, values, nulls));
	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);
	PG_RETURN_DATUM(HeapTupleGetDatum(result));
}
