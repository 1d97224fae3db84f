/*
 * events.c - windows whose relations are dropped
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "rollup/events.h"
#include "rollup/sql.h"
#include "utils/array.h"

PG_FUNCTION_INFO_V1(aggwin_on_window_drop);

/* Windows that have lost their output, their rollup, or what is between them. */
#define LOST \
	"SELECT array_agg(w.window_id) FROM aggwin.window AS w" \
	" WHERE EXISTS (SELECT FROM pg_event_trigger_dropped_objects() AS d" \
	" WHERE d.classid = 'pg_class'::regclass AND d.objsubid = 0" \
	" AND (d.objid IN (w.output, w.rollup) OR d.schema_name = 'aggwin'" \
	" AND d.object_name IN ('_window_' || w.window_id, '_panes_' || w.window_id)))"

/* What is left of windows $1, the views first. */
#define REMAINS \
	"SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END || ' IF EXISTS ' || c.oid::regclass" \
	" FROM aggwin.window AS w JOIN pg_class AS c ON c.oid IN (w.output, w.latest," \
	" to_regclass('aggwin._window_' || w.window_id), to_regclass('aggwin._panes_' || w.window_id))" \
	" WHERE w.window_id = ANY ($1) ORDER BY c.relkind = 'v' DESC, c.oid DESC"

/* Where nobody publishes any more, folds need not tell of late changes. */
#define UNWATCHED \
	"NOT EXISTS (SELECT FROM aggwin.window AS w WHERE w.rollup IN (" AGGWIN_VIEWS_OF("t.rollup_id") "))"

static void
drop_windows(Datum ids)
{
	Oid			types[] = {INT4ARRAYOID};
	SPITupleTable *table;
	uint64		count;

	count = aggwin_spi_run_args(REMAINS, SPI_OK_SELECT, 1, types, &ids, NULL);
	table = SPI_tuptable;
	aggwin_spi_run_args("DELETE FROM aggwin.emission WHERE window_id = ANY ($1)", SPI_OK_DELETE,
						1, types, &ids, NULL);
	aggwin_spi_run_args("DELETE FROM aggwin.window WHERE window_id = ANY ($1)", SPI_OK_DELETE,
						1, types, &ids, NULL);
	aggwin_spi_run("UPDATE aggwin.tier AS t SET watched = NULL, seen = NULL"
				   " WHERE t.watched IS NOT NULL AND " UNWATCHED, SPI_OK_UPDATE);
	aggwin_spi_run("DELETE FROM aggwin.touched AS t WHERE " UNWATCHED, SPI_OK_DELETE);
	/* What reads an output goes with it: so did who dropped the rollup want it. */
	for (uint64 i = 0; i < count; i++)
		aggwin_spi_run(psprintf("DROP %s CASCADE", SPI_getvalue(table->vals[i], table->tupdesc, 1)),
					   SPI_OK_UTILITY);
}

/*
 * aggwin.on_window_drop(): event trigger on dropped objects. Where the output,
 * the rollup, or what is between them is gone, so is the window.
 */
Datum
aggwin_on_window_drop(PG_FUNCTION_ARGS)
{
	static KeptSql any = {.sql = "SELECT FROM aggwin.window LIMIT 1"};
	static KeptSql lost = {.sql = LOST};
	Sandbox		saved;

	aggwin_check_event_trigger(fcinfo);
	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_spi_connect();
	if (aggwin_spi_run_kept(&any, SPI_OK_SELECT, NULL) > 0)
	{
		Datum		ids;
		bool		isnull;

		aggwin_spi_run_kept(&lost, SPI_OK_SELECT, NULL);
		ids = aggwin_spi_value(1, &isnull);
		if (!isnull)
			drop_windows(ids);
	}
	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);
	PG_RETURN_NULL();
}
