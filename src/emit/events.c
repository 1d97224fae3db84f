/*
 * events.c - windows whose relations are dropped
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "commands/event_trigger.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"

PG_FUNCTION_INFO_V1(aggwin_on_window_drop);

/* The relations of windows that lack one, and these windows' rows. */
#define INCOMPLETE \
	"(SELECT w.window_id, w.output, w.latest, w.definition, w.panes FROM aggwin.window AS w" \
	" WHERE (SELECT count(*) FROM pg_class AS c WHERE c.oid IN" \
	" (w.output, w.definition, w.panes, w.rollup)) < 4) AS w"

/*
 * aggwin.on_window_drop(): event trigger on dropped objects. Where the output,
 * the rollup, or what is between them is gone, so is the window.
 */
Datum
aggwin_on_window_drop(PG_FUNCTION_ARGS)
{
	SPITupleTable *table;
	uint64		count;
	Sandbox		saved;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("not called by event trigger manager")));

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_spi_connect();
	count = aggwin_spi_run("SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, c.oid::regclass::text,"
						   " c.oid FROM " INCOMPLETE " JOIN pg_class AS c"
						   " ON c.oid IN (w.output, w.latest, w.definition, w.panes)", SPI_OK_SELECT);
	table = SPI_tuptable;
	if (count > 0)
		aggwin_spi_run("DELETE FROM aggwin.emission AS e USING " INCOMPLETE " WHERE e.window_id = w.window_id",
					   SPI_OK_DELETE);
	aggwin_spi_run("DELETE FROM aggwin.window AS x USING " INCOMPLETE " WHERE x.window_id = w.window_id",
				   SPI_OK_DELETE);
	for (uint64 i = 0; i < count; i++)
	{
		HeapTuple	row = table->vals[i];
		bool		isnull;

		/* One may have gone with another. */
		if (get_rel_name(DatumGetObjectId(SPI_getbinval(row, table->tupdesc, 3, &isnull))) == NULL)
			continue;
		aggwin_spi_run(psprintf("DROP %s %s CASCADE", SPI_getvalue(row, table->tupdesc, 1),
								SPI_getvalue(row, table->tupdesc, 2)), SPI_OK_UTILITY);
	}
	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);
	PG_RETURN_NULL();
}
