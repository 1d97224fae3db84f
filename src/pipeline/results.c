/*
 * results.c - from a window output to samples
 *
 * A trigger on a pipeline's window output writes each revision's rows as samples, at
 * the end of the window, in the same transaction. So a result is there when its
 * window is closed, and a late sample's correction overwrites it.
 *
 * Results are counted by hours of event time. A window that would go beyond the
 * pipeline's limit is not written at all, nor any later one of that hour.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "core/spi_util.h"
#include "fmgr.h"
#include "metrics/days.h"
#include "metrics/tables.h"
#include "pipeline/series_panes.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(aggwin_write_results);

/*
 * May so many results more of a window that ends at this time be written? running: they are
 * running sums.
 */
static bool
count_results(int32 pipeline_id, TimestampTz end, int64 count, bool *running)
{
	Oid			types[] = {INT4OID, TIMESTAMPTZOID, INT8OID};
	Datum		values[] = {Int32GetDatum(pipeline_id), TimestampTzGetDatum(end - (end % USECS_PER_HOUR + USECS_PER_HOUR) % USECS_PER_HOUR),
	Int64GetDatum(count)};
	bool		isnull;

	/* A correction of an earlier hour is not counted. */
	aggwin_spi_run_args("UPDATE aggwin.pipeline AS p SET hour = greatest(p.hour, $2),"
						" results = n.results, skipped = p.skipped + CASE WHEN n.fits THEN 0 ELSE $3 END,"
						" skipped_hour = CASE WHEN n.fits THEN p.skipped_hour ELSE $2 END"
						" FROM (SELECT o.pipeline_id, f.fits, o.skipped_hour IS DISTINCT FROM $2 AS first,"
						" CASE WHEN o.hour > $2 THEN o.results WHEN NOT f.fits THEN CASE WHEN o.hour = $2 THEN o.results ELSE 0 END"
						" WHEN o.hour = $2 THEN o.results + $3 ELSE $3 END AS results"
						" FROM aggwin.pipeline AS o CROSS JOIN LATERAL (SELECT o.hour > $2 OR (o.skipped_hour IS DISTINCT FROM $2"
						" AND CASE WHEN o.hour = $2 THEN o.results ELSE 0 END + $3 <= o.result_limit) AS fits) AS f"
						" WHERE o.pipeline_id = $1) AS n WHERE p.pipeline_id = n.pipeline_id"
						" RETURNING coalesce(n.fits, true), n.first, p.metric, p.result_limit, p.reach = 'later'",
						SPI_OK_UPDATE_RETURNING, lengthof(types), types, values, NULL);
	if (SPI_processed == 0)
		return false;
	*running = DatumGetBool(aggwin_spi_value(5, &isnull));
	if (DatumGetBool(aggwin_spi_value(1, &isnull)))
		return true;
	if (DatumGetBool(aggwin_spi_value(2, &isnull)))
		ereport(LOG,
				(errmsg("pipeline \"%s\" is skipped for the hour from %s on",
						TextDatumGetCString(aggwin_spi_value(3, &isnull)), timestamptz_to_str(DatumGetTimestampTz(values[1]))),
				 errdetail("It has more than %d results in that hour.", DatumGetInt32(aggwin_spi_value(4, &isnull))),
				 errhint("Group by fewer labels, or raise its limit.")));
	return false;
}

/*
 * Write the rows of one revision, under the trigger's transition table: those that are as
 * before, too, since the one before may have been skipped. So a window is whole or not there.
 *
 * A window that is computed again adds up in another order. A result that differs in its last
 * digits only is left: it would be news to all who read samples, and have them computed again.
 * Whole numbers are exact up to 2^53, and what running sums add is small beside themselves.
 */
static void
write_results(const MetricTables *tables, TimestampTz end, bool exact)
{
	Oid			types[] = {BOOLOID};
	Datum		values[] = {BoolGetDatum(exact)};
	int32		day = aggwin_day(end);

	(void) aggwin_ensure_days(tables, &day, 1);
	aggwin_spi_run_args("INSERT INTO aggwin.samples AS s (series_id, ts, value)"
						" SELECT n.result_id, n.window_end, n.value FROM aggwin_new AS n WHERE n.op <> 'delete'"
						" ON CONFLICT (series_id, ts) DO UPDATE SET value = excluded.value"
						" WHERE NOT (aggwin.same_bits(s.value, excluded.value) OR NOT $1 AND abs(excluded.value) < 'Infinity'"
						" AND abs(s.value - excluded.value) <= 1e-12 * abs(excluded.value)"
						" AND (s.value <> floor(s.value) OR excluded.value <> floor(excluded.value)))",
						SPI_OK_INSERT, lengthof(types), types, values, NULL);
	aggwin_spi_run("DELETE FROM aggwin.samples AS s USING aggwin_new AS n"
				   " WHERE n.op = 'delete' AND s.series_id = n.result_id AND s.ts = n.window_end", SPI_OK_DELETE);
}

/*
 * aggwin.write_results(): trigger on a pipeline's window output, whose argument is the
 * number of the pipeline. All rows of a statement are of one window.
 */
Datum
aggwin_write_results(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	MetricTables tables;
	Sandbox		saved;
	TimestampTz end;
	int64		count;
	bool		running;
	bool		isnull;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) || trigger->tg_newtable == NULL ||
		trigger->tg_trigger->tgnargs != 1)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("aggwin.write_results() can only be the trigger that aggwin makes")));
	aggwin_metric_tables(&tables);
	aggwin_spi_connect_with(trigger);
	aggwin_become_owner(&saved, &tables);
	aggwin_spi_run("SELECT max(n.window_end), count(*) FILTER (WHERE n.op IN ('insert', 'update'))"
				   " FROM aggwin_new AS n", SPI_OK_SELECT);
	end = DatumGetTimestampTz(aggwin_spi_value(1, &isnull));
	if (!isnull)
	{
		count = DatumGetInt64(aggwin_spi_value(2, &isnull));
		aggwin_forget_series_panes(end);
		if (count_results(pg_strtoint32(trigger->tg_trigger->tgargs[0]), end, count, &running))
			write_results(&tables, end, running);
	}
	aggwin_sandbox_leave(&saved);
	aggwin_spi_finish();
	return PointerGetDatum(NULL);
}
