/*
 * restore.c - windows that come out of a dump
 *
 * A dump holds the rows of aggwin.window, aggwin.emission and aggwin.touched,
 * the outputs, and the private views. Together they are of one moment, so that
 * windows go on where they were: what was published is not published again. Where
 * only data are restored into a database that has the windows, the rows that are
 * there stay.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(aggwin_restore_window);

/* Has the catalog's table a row with the primary key of this one? */
static bool
is_there(TriggerData *trigger)
{
	static const char *const window_key[] = {"window_id"};
	static const char *const emission_key[] = {"window_id", "window_start", "revision"};
	bool		is_window = RelationGetRelid(trigger->tg_relation) == aggwin_relid("window");
	const char *const *key = is_window ? window_key : emission_key;
	int			columns = is_window ? lengthof(window_key) : lengthof(emission_key);
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	Oid			types[] = {INT4OID, TIMESTAMPTZOID, INT4OID};
	Datum		values[lengthof(types)];
	Sandbox		saved;
	bool		found;

	for (int i = 0; i < columns; i++)
	{
		bool		isnull;

		values[i] = SPI_getbinval(trigger->tg_trigtuple, desc, SPI_fnumber(desc, key[i]), &isnull);
		if (isnull)
			return false;
	}
	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, true);
	aggwin_spi_connect();
	found = aggwin_spi_run_args(is_window ? "SELECT FROM aggwin.window WHERE window_id = $1"
								: "SELECT FROM aggwin.emission WHERE window_id = $1"
								" AND window_start = $2 AND revision = $3",
								SPI_OK_SELECT, columns, types, values, NULL) > 0;
	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);
	return found;
}

/*
 * aggwin.restore_window(): BEFORE INSERT trigger on aggwin.window and
 * aggwin.emission. Passes over rows that are there.
 */
Datum
aggwin_restore_window(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) || !TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
		RelationGetNamespace(trigger->tg_relation) != aggwin_schema())
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("aggwin.restore_window() can only be the trigger that aggwin makes")));

	/* What aggwin itself writes, it writes as another user than the session's. */
	if (!InLocalUserIdChange() && is_there(trigger))
		return PointerGetDatum(NULL);
	return PointerGetDatum(trigger->tg_trigtuple);
}
