/*
 * status.c - what a rollup has not folded yet, and what has failed
 *
 * Capture writes an error with the spans that it makes invalid; it does not
 * touch the catalog, where writers would wait for each other and for folds. So
 * these errors are counted where they stand, as long as they are pending.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "core/spi_util.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "rollup/catalog.h"
#include "rollup/sql.h"
#include "utils/acl.h"

PG_FUNCTION_INFO_V1(aggwin_rollup_pending);
PG_FUNCTION_INFO_V1(aggwin_rollup_failures);

#define COLUMNS 3

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

static char *
failures_of_base(const RollupNames *names)
{
	return psprintf("WITH f AS MATERIALIZED (SELECT ARRAY(SELECT pg_snapshot_xip(t.folded)) AS xip,"
					" pg_snapshot_xmax(t.folded) AS xmax"
					" FROM aggwin.tier AS t WHERE t.rollup_id = %d AND t.level = 0)"
					" SELECT count(*) FILTER (WHERE i.xid < " AGGWIN_LAST_XID "), aggwin.last(i.error, i.captured_at), max(i.captured_at)"
					" FROM %s AS i WHERE i.error IS NOT NULL"
					" AND (i.xid = ANY ((SELECT f.xip FROM f)::xid8[]) OR i.xid >= (SELECT f.xmax FROM f))",
					names->rollup_id, names->invalid);
}

/*
 * The row that a query gives, run as the rollup's owner, or one of NULLs if
 * there is none. The column hidden, from 0, is NULL in any case.
 */
static Datum
status_row(FunctionCallInfo fcinfo, const RollupRow *row, const char *sql, int hidden)
{
	TupleDesc	desc;
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS] = {true, true, true};
	HeapTuple	result;
	Sandbox		saved;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);
	if (sql == NULL)
		return HeapTupleGetDatum(heap_form_tuple(desc, values, nulls));

	aggwin_sandbox_enter(&saved, aggwin_rollup_owner(row), true);
	aggwin_spi_connect();
	if (SPI_execute(sql, true, 1) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not read the status of a rollup");
	for (int i = 0; i < COLUMNS; i++)
	{
		values[i] = aggwin_spi_value(i + 1, &nulls[i]);
		nulls[i] = nulls[i] || i == hidden;
	}
	result = SPI_copytuple(heap_form_tuple(desc, values, nulls));
	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);
	return HeapTupleGetDatum(result);
}

static bool
find_whole(int32 rollup_id, RollupRow *row, RollupNames *names)
{
	if (!aggwin_find_rollup(rollup_id, row) || !aggwin_rollup_is_whole(row))
		return false;
	*names = aggwin_rollup_names(row);
	return true;
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
	int			level = PG_GETARG_INT16(1);
	RollupRow	row;
	RollupNames names;
	char	   *sql = NULL;

	if (find_whole(PG_GETARG_INT32(0), &row, &names) &&
		level >= 0 && level <= aggwin_top_level(&names))
		sql = level == 0 ? pending_of_base(&names) : pending_above(&names, level);
	PG_RETURN_DATUM(status_row(fcinfo, &row, sql, -1));
}

/*
 * aggwin.rollup_failures(rollup_id): the number of pending invalid spans that
 * an error of capture has made, the newest error of these and of repairs, which
 * are counted elsewhere, and its time, NULL if there is none. The text may quote
 * data of users: NULL for all but members of the rollup's owner. All NULL if
 * there is no such rollup, or not all of it.
 */
Datum
aggwin_rollup_failures(PG_FUNCTION_ARGS)
{
	RollupRow	row;
	RollupNames names;
	char	   *sql = NULL;
	int			hidden = -1;

	if (find_whole(PG_GETARG_INT32(0), &row, &names))
	{
		sql = failures_of_base(&names);
		if (!has_privs_of_role(GetUserId(), aggwin_rollup_owner(&row)))
			hidden = 1;
	}
	PG_RETURN_DATUM(status_row(fcinfo, &row, sql, hidden));
}
