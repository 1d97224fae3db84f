/*
 * options.c - the options of window outputs, and dropping them
 *
 * Locking: the lock of the rollup that the window reads, so that no step is
 * under way; the next one goes by the new options.
 */
#include "postgres.h"

#include "emit/options.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "emit/window.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "rollup/catalog.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(aggwin_alter_window);
PG_FUNCTION_INFO_V1(aggwin_drop_window);
PG_FUNCTION_INFO_V1(aggwin_pause_window);
PG_FUNCTION_INFO_V1(aggwin_resume_window);

/* The longest duration that is accepted: longer ones would overflow times. */
#define MAX_DURATION ((int64) 1000 * 366 * USECS_PER_DAY)

/* Durations ----------------------------------------------------------------*/

/* An interval of days and smaller units in microseconds; a day has 24 hours. */
int64
aggwin_duration(const char *name, const Interval *interval)
{
	if (interval->month != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s cannot have months or years", name),
				 errdetail("These differ in length."),
				 errhint("Use days or smaller units.")));
	if (interval->day > MAX_DURATION / USECS_PER_DAY || interval->day < -MAX_DURATION / USECS_PER_DAY ||
		interval->time > MAX_DURATION || interval->time < -MAX_DURATION)
		ereport(ERROR,
				(errcode(ERRCODE_INTERVAL_FIELD_OVERFLOW),
				 errmsg("%s is too long", name)));
	return interval->time + interval->day * USECS_PER_DAY;
}

int64
aggwin_positive_duration(const char *name, const Interval *interval)
{
	int64		value = aggwin_duration(name, interval);

	if (value <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be greater than zero", name)));
	return value;
}

int64
aggwin_duration_not_negative(const char *name, const Interval *interval)
{
	int64		value = aggwin_duration(name, interval);

	if (value < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must not be negative", name)));
	return value;
}

bool
aggwin_emits_changes(text *emit)
{
	char	   *given = text_to_cstring(emit);

	if (strcmp(given, "changes") == 0)
		return true;
	if (strcmp(given, "final") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("emit must be 'final' or 'changes'"),
				 errdetail("'final' publishes each window once; 'changes' also what late rows change in it.")));
	return false;
}

/* Changing -----------------------------------------------------------------*/

/*
 * The window that the first argument names, for its owner, with the rollup's
 * lock held.
 */
static WindowRow *
locked_window(FunctionCallInfo fcinfo, const char *function)
{
	static const char *const names_of_args[] = {"window"};
	int32		window_id;
	WindowRow  *row;
	RollupRow	rollup;

	PreventCommandIfReadOnly(function);
	aggwin_require_args(fcinfo, lengthof(names_of_args), names_of_args);
	window_id = aggwin_window_of_output(PG_GETARG_OID(0), true);
	row = aggwin_get_window(window_id);
	if (aggwin_find_rollup_of_view(row->rollup, &rollup))
	{
		aggwin_lock_rollup(rollup.rollup_id);
		row = aggwin_get_window(window_id);
	}
	return row;
}

/* Set columns of the row of a window. $1 is its id. */
static void
update(const char *assignments, int nargs, Oid *types, Datum *values, const char *nulls)
{
	Sandbox		saved;

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_spi_run_args(psprintf("UPDATE aggwin.window SET %s WHERE window_id = $1", assignments),
						SPI_OK_UPDATE, nargs, types, values, nulls);
	aggwin_sandbox_leave(&saved);
}

/* aggwin.alter_window(): see doc/reference.md. */
Datum
aggwin_alter_window(PG_FUNCTION_ARGS)
{
	Oid			types[] = {INT4OID, INTERVALOID, TEXTOID, BOOLOID, INTERVALOID, INTERVALOID};
	Datum		values[lengthof(types)] = {0};
	char		nulls[lengthof(types) + 1] = " nnnnn";
	WindowRow  *row;

	if (!PG_ARGISNULL(1))
		(void) aggwin_duration_not_negative("grace", PG_GETARG_INTERVAL_P(1));
	if (!PG_ARGISNULL(2))
		(void) aggwin_emits_changes(PG_GETARG_TEXT_PP(2));
	if (!PG_ARGISNULL(4))
		(void) aggwin_positive_duration("retention", PG_GETARG_INTERVAL_P(4));
	if (!PG_ARGISNULL(5))
		(void) aggwin_positive_duration("idle_timeout", PG_GETARG_INTERVAL_P(5));
	aggwin_spi_connect();
	row = locked_window(fcinfo, "aggwin.alter_window()");
	values[0] = Int32GetDatum(row->window_id);
	for (int i = 1; i < lengthof(types); i++)
	{
		if (PG_ARGISNULL(i))
			continue;
		values[i] = PG_GETARG_DATUM(i);
		nulls[i] = ' ';
	}
	update("grace = coalesce($2, grace), emit = coalesce($3, emit), notify = coalesce($4, notify),"
		   " retention = coalesce($5, retention), idle_timeout = coalesce($6, idle_timeout)",
		   lengthof(types), types, values, nulls);
	aggwin_spi_finish();
	PG_RETURN_VOID();
}

static void
set_paused(FunctionCallInfo fcinfo, const char *function, bool paused)
{
	Oid			types[] = {INT4OID, BOOLOID};
	Datum		values[] = {0, BoolGetDatum(paused)};

	aggwin_spi_connect();
	values[0] = Int32GetDatum(locked_window(fcinfo, function)->window_id);
	update("paused = $2", lengthof(types), types, values, NULL);
	aggwin_spi_finish();
}

/* aggwin.pause_window(window regclass): for the owner. */
Datum
aggwin_pause_window(PG_FUNCTION_ARGS)
{
	set_paused(fcinfo, "aggwin.pause_window()", true);
	PG_RETURN_VOID();
}

/* aggwin.resume_window(window regclass): for the owner. */
Datum
aggwin_resume_window(PG_FUNCTION_ARGS)
{
	set_paused(fcinfo, "aggwin.resume_window()", false);
	PG_RETURN_VOID();
}

/*
 * aggwin.drop_window(window regclass): for the owner. Views that read the
 * output are an error. The rest is up to the trigger on dropped objects.
 */
Datum
aggwin_drop_window(PG_FUNCTION_ARGS)
{
	WindowRow  *row;

	aggwin_spi_connect();
	row = locked_window(fcinfo, "aggwin.drop_window()");
	if (get_rel_name(row->latest) != NULL)
		aggwin_spi_run(psprintf("DROP VIEW %s", aggwin_relation_name(row->latest)), SPI_OK_UTILITY);
	aggwin_spi_run(psprintf("DROP TABLE %s", aggwin_relation_name(row->output)), SPI_OK_UTILITY);
	aggwin_spi_finish();
	PG_RETURN_VOID();
}

/*
 * The private views and that of the newest window belong to whom the table does,
 * also after ALTER TABLE … OWNER. Called as superuser.
 */
void
aggwin_follow_owner(const WindowRow *window)
{
	Oid			views[] = {window->definition, window->panes, window->latest};

	for (int i = 0; i < lengthof(views); i++)
	{
		if (get_rel_name(views[i]) != NULL && aggwin_relation_owner(views[i]) != window->owner)
			aggwin_spi_run(psprintf("ALTER VIEW %s OWNER TO %s", aggwin_relation_name(views[i]),
									quote_identifier(GetUserNameFromId(window->owner, false))),
						   SPI_OK_UTILITY);
	}
}
