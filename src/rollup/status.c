/*
 * status.c - what a rollup has not folded yet
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "core/spi_util.h"
#include "funcapi.h"
#include "rollup/catalog.h"

PG_FUNCTION_INFO_V1(aggwin_rollup_pending);

static char *
pending_of_base(const RollupNames *names)
{
	return psprintf("WITH f AS MATERIALIZED (SELECT ARRAY(SELECT pg_snapshot_xip(t.folded)) AS xip,"
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
					names->rollup_id, aggwin_tier(names, 0)->delta, names->invalid);
}

static char *
pending_above(const RollupNames *names, int level)
{
	return psprintf("SELECT (SELECT count(*) FROM %1$s), NULL::interval,"
					" CASE WHEN NOT EXISTS (SELECT FROM %2$s AS i WHERE i.xid = " AGGWIN_LAST_XID
					" AND i.kind = 'i' AND i.level = %3$d) THEN 0::bigint END",
					aggwin_tier(names, level)->delta, names->invalid, level);
}

/*
 * aggwin.rollup_pending(rollup_id, level): the number of pending deltas, the age
 * of the oldest pending change (zero if there is none; NULL above the base),
 * and how many buckets pending invalid ranges touch: NULL if nobody has
 * counted, and a bucket once for each statement that touched it. All NULL if
 * there is no such rollup, or not all of it.
 */
Datum
aggwin_rollup_pending(PG_FUNCTION_ARGS)
{
	int32		rollup_id = PG_GETARG_INT32(0);
	int			level = PG_GETARG_INT16(1);
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
	if (level < 0 || level > aggwin_top_level(&names))
		PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
	aggwin_sandbox_enter(&saved, aggwin_rollup_owner(&row), true);
	aggwin_spi_connect();
	if (SPI_execute(level == 0 ? pending_of_base(&names) : pending_above(&names, level),
					true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not count what is pending");
	for (int i = 0; i < 3; i++)
		values[i] = aggwin_spi_value(i + 1, &nulls[i]);
	result = SPI_copytuple(heap_form_tuple(desc, values, nulls));
	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);
	PG_RETURN_DATUM(HeapTupleGetDatum(result));
}
