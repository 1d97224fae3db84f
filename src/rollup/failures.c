/*
 * failures.c - statements whose rows a rollup could not evaluate
 *
 * Capture writes the error with the spans that it makes invalid; it does not
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

PG_FUNCTION_INFO_V1(aggwin_rollup_failures);

/*
 * aggwin.rollup_failures(rollup_id): the number of pending invalid spans that
 * an error of capture has made, the newest error of these and of repairs, which
 * are counted elsewhere, and its time, NULL if there is none. The text may quote data of users: NULL for all but
 * members of the rollup's owner. All NULL if there is no such rollup, or not
 * all of it.
 */
Datum
aggwin_rollup_failures(PG_FUNCTION_ARGS)
{
	int32		rollup_id = PG_GETARG_INT32(0);
	TupleDesc	desc;
	Datum		values[3];
	bool		nulls[3] = {true, true, true};
	HeapTuple	result;
	RollupRow	row;
	RollupNames names;
	Oid			owner;
	bool		may_read;
	Sandbox		saved;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	desc = BlessTupleDesc(desc);
	if (!aggwin_find_rollup(rollup_id, &row) || !aggwin_rollup_is_whole(&row))
		PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));

	names = aggwin_rollup_names(&row);
	owner = aggwin_rollup_owner(&row);
	may_read = has_privs_of_role(GetUserId(), owner);
	aggwin_sandbox_enter(&saved, owner, true);
	aggwin_spi_connect();
	if (SPI_execute(psprintf("WITH f AS MATERIALIZED (SELECT ARRAY(SELECT pg_snapshot_xip(t.folded)) AS xip,"
							 " pg_snapshot_xmax(t.folded) AS xmax"
							 " FROM aggwin.tier AS t WHERE t.rollup_id = %d AND t.level = 0)"
							 " SELECT count(*) FILTER (WHERE i.xid < " AGGWIN_LAST_XID "), aggwin.last(i.error, i.captured_at), max(i.captured_at)"
							 " FROM %s AS i WHERE i.error IS NOT NULL"
							 " AND (i.xid = ANY ((SELECT f.xip FROM f)::xid8[]) OR i.xid >= (SELECT f.xmax FROM f))",
							 rollup_id, names.invalid), true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not count failures");
	for (int i = 0; i < 3; i++)
		values[i] = aggwin_spi_value(i + 1, &nulls[i]);
	nulls[1] = nulls[1] || !may_read;
	result = SPI_copytuple(heap_form_tuple(desc, values, nulls));
	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);
	PG_RETURN_DATUM(HeapTupleGetDatum(result));
}
