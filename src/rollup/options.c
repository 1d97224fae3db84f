/*
 * options.c - changing the options of a rollup that exists
 *
 * Locking: the rollup's own lock, so that no fold is under way; when the
 * command commits, the next fold goes by the new options.
 */
#include "postgres.h"

#include "rollup/ddl.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "rollup/capture_write.h"
#include "rollup/counted.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(aggwin_alter_rollup);
PG_FUNCTION_INFO_V1(aggwin_set_tier);
PG_FUNCTION_INFO_V1(aggwin_pause_rollup);
PG_FUNCTION_INFO_V1(aggwin_resume_rollup);
PG_FUNCTION_INFO_V1(aggwin_invalidate);

/* An option as it is in the catalog, and where. */
typedef struct Option
{
	const char *name;
	const char *table;			/* "rollup", or "tier" for the one of level $2 */
	const char *type;
	const char *reset;			/* SQL, NULL: cannot be reset */
} Option;

static const Option options[] = {
	{"refresh_interval", "tier", "interval", NULL},
	{"lateness", "rollup", "interval", "NULL"},
	{"late", "rollup", "text", "'merge'"},
	{"retention", "tier", "interval", "NULL"},
	{"source_retention", "rollup", "interval", "NULL"},
};

static bool
is_of_tier(const Option *option)
{
	return strcmp(option->table, "tier") == 0;
}

static const Option *
find_option(const char *name)
{
	for (int i = 0; i < lengthof(options); i++)
		if (strcmp(options[i].name, name) == 0)
			return &options[i];
	return NULL;
}

static void
refuse(const char *message, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s", message),
			 detail ? errdetail("%s", detail) : 0,
			 hint ? errhint("%s", hint) : 0));
}

static bool
any(const char *condition, int32 rollup_id)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(rollup_id)};

	return aggwin_spi_run_args(psprintf("SELECT FROM aggwin.rollup AS r"
										" JOIN aggwin.tier AS t USING (rollup_id)"
										" LEFT JOIN aggwin.tier AS above"
										" ON above.rollup_id = t.rollup_id AND above.level = t.level + 1"
										" WHERE r.rollup_id = $1 AND (%s)", condition),
							   SPI_OK_SELECT, 1, types, values, NULL) > 0;
}

void
aggwin_check_refresh_interval(Interval *interval)
{
	Interval	zero = {0};

	if (DatumGetInt32(DirectFunctionCall2(interval_cmp, IntervalPGetDatum(interval),
										  IntervalPGetDatum(&zero))) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("refresh_interval must be greater than zero"),
				 errhint("Answers are exact whatever the interval; it sets how much is merged when they are read.")));
}

/* Do the options that the catalog has now go together? */
void
aggwin_check_options(int32 rollup_id)
{
	Sandbox		saved;

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	if (any("r.late NOT IN ('merge', 'drop')", rollup_id))
		refuse("late must be 'merge' or 'drop'", NULL, NULL);
	if (any("t.refresh_interval <= '0'", rollup_id))
		refuse("refresh_interval must be greater than zero", NULL,
			   "Answers are exact whatever the interval; it sets how much is merged when they are read.");
	if (any("r.lateness < '0'", rollup_id))
		refuse("lateness must not be negative", NULL, NULL);
	if (any("t.retention <= '0' OR r.source_retention <= '0'", rollup_id))
		refuse("a retention must be greater than zero", NULL,
			   "Without one, everything is kept.");
	if (any("r.late = 'drop' AND r.lateness IS NULL", rollup_id))
		refuse("late => 'drop' needs a lateness",
			   "Rows are dropped that are further behind the newest one than that.",
			   "Set lateness, for example to '1 hour'.");
	if (any("t.width IS NULL AND (r.lateness IS NOT NULL OR t.retention IS NOT NULL OR r.source_retention IS NOT NULL)",
			rollup_id))
		refuse("lateness and retention need a rollup by time",
			   "The rollup's time key is an integer, which an interval cannot be taken from.",
			   NULL);
	if (any("t.retention < above.width", rollup_id))
		refuse("a tier must be retained for at least one bucket of the tier above it",
			   "The tier above is computed from it.", NULL);
	/* Rows that do not count, or that are to be remembered when they are gone. */
	if (any("r.late = 'drop' OR r.source_retention IS NOT NULL"
			" OR t.retention IS NOT NULL AND above.level IS NOT NULL", rollup_id))
		aggwin_counts_not_all(rollup_id);
	aggwin_sandbox_leave(&saved);
}

static void
set_option(int32 rollup_id, int level, const Option *option, Datum *value)
{
	Oid			types[] = {INT4OID, INT2OID, strcmp(option->type, "text") == 0 ? TEXTOID : INTERVALOID};
	Datum		values[] = {Int32GetDatum(rollup_id), Int16GetDatum(level), value ? *value : 0};
	char		nulls[] = {' ', ' ', value ? ' ' : 'n', '\0'};
	Sandbox		saved;

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_spi_run_args(psprintf("UPDATE aggwin.%s SET %s = %s WHERE rollup_id = $1 AND %s"
								 " AND ($3 IS NULL OR true)",
								 option->table, option->name, value ? "$3" : option->reset,
								 is_of_tier(option) ? "level = $2" : "$2 = 0"),
						SPI_OK_UPDATE, 3, types, values, nulls);
	aggwin_sandbox_leave(&saved);
}

static void
reset_options(int32 rollup_id, int level, ArrayType *names)
{
	Datum	   *values;
	bool	   *nulls;
	int			count;

	deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *name = nulls[i] ? "NULL" : TextDatumGetCString(values[i]);
		const Option *option = find_option(name);

		if (option == NULL || option->reset == NULL ||
			(level > 0 && !is_of_tier(option)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"%s\" cannot be reset", name),
					 level > 0 ? errhint("Of a tier, retention can be reset.")
					 : errhint("Options that can be reset are lateness, late, retention and source_retention.")));
		set_option(rollup_id, level, option, NULL);
	}
}

/*
 * What was closed for late rows remains so only while late rows are dropped;
 * what is missing from closed buckets then stays missing.
 */
static void
reopen(int32 rollup_id)
{
	RollupRow	row;
	Sandbox		saved;

	if (any("r.late = 'drop'", rollup_id) || !aggwin_find_rollup(rollup_id, &row))
		return;
	aggwin_sandbox_enter(&saved, aggwin_rollup_owner(&row), true);
	aggwin_spi_run(psprintf("DELETE FROM %s WHERE kind = 'l' AND xid = " AGGWIN_LAST_XID,
							aggwin_relation_name(row.invalid)), SPI_OK_DELETE);
	aggwin_sandbox_leave(&saved);
}

/*
 * aggwin.alter_rollup(rollup, refresh_interval, lateness, late, retention,
 * source_retention, reset): see doc/reference.md. Arguments that are NULL
 * change nothing. Also called for the base by create_rollup().
 */
Datum
aggwin_alter_rollup(PG_FUNCTION_ARGS)
{
	static const char *const required[] = {"rollup"};
	int32		rollup_id;
	RollupRow	row;

	PreventCommandIfReadOnly("aggwin.alter_rollup()");
	aggwin_require_args(fcinfo, lengthof(required), required);
	rollup_id = aggwin_rollup_of_view(PG_GETARG_OID(0), true);
	aggwin_lock_rollup(rollup_id);
	if (!aggwin_find_rollup(rollup_id, &row) || row.view != PG_GETARG_OID(0))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is a tier of a rollup", aggwin_relation_name(PG_GETARG_OID(0))),
				 errhint("Use aggwin.set_tier().")));

	aggwin_spi_connect();
	for (int i = 0; i < lengthof(options); i++)
	{
		Datum		value = PG_ARGISNULL(i + 1) ? 0 : PG_GETARG_DATUM(i + 1);

		if (!PG_ARGISNULL(i + 1))
			set_option(rollup_id, 0, &options[i], &value);
	}
	if (!PG_ARGISNULL(lengthof(options) + 1))
		reset_options(rollup_id, 0, PG_GETARG_ARRAYTYPE_P(lengthof(options) + 1));
	aggwin_check_options(rollup_id);
	reopen(rollup_id);
	/* Capture goes by what becomes of late rows. */
	CacheInvalidateRelcacheByRelid(row.source);
	aggwin_spi_finish();
	PG_RETURN_VOID();
}

/* aggwin.set_tier(tier, refresh_interval, retention, reset): of one tier. */
Datum
aggwin_set_tier(PG_FUNCTION_ARGS)
{
	static const char *const required[] = {"tier"};
	int32		rollup_id;
	int			level;

	PreventCommandIfReadOnly("aggwin.set_tier()");
	aggwin_require_args(fcinfo, lengthof(required), required);
	rollup_id = aggwin_rollup_of_view(PG_GETARG_OID(0), true);
	aggwin_lock_rollup(rollup_id);
	level = aggwin_level_of_view(rollup_id, PG_GETARG_OID(0));

	aggwin_spi_connect();
	for (int i = 1; i <= 2; i++)
	{
		Datum		value = PG_ARGISNULL(i) ? 0 : PG_GETARG_DATUM(i);

		if (!PG_ARGISNULL(i))
			set_option(rollup_id, level, find_option(i == 1 ? "refresh_interval" : "retention"), &value);
	}
	if (!PG_ARGISNULL(3))
		reset_options(rollup_id, level, PG_GETARG_ARRAYTYPE_P(3));
	aggwin_check_options(rollup_id);
	aggwin_spi_finish();
	PG_RETURN_VOID();
}

static void
set_paused(FunctionCallInfo fcinfo, const char *function, bool paused)
{
	static const char *const required[] = {"rollup"};
	int32		rollup_id;
	Oid			types[] = {INT4OID, BOOLOID};
	Datum		values[2];
	Sandbox		saved;

	PreventCommandIfReadOnly(function);
	aggwin_require_args(fcinfo, lengthof(required), required);
	rollup_id = aggwin_rollup_of_view(PG_GETARG_OID(0), true);
	values[0] = Int32GetDatum(rollup_id);
	values[1] = BoolGetDatum(paused);
	aggwin_lock_rollup(rollup_id);
	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_spi_connect();
	aggwin_spi_run_args("UPDATE aggwin.rollup SET paused = $2 WHERE rollup_id = $1",
						SPI_OK_UPDATE, 2, types, values, NULL);
	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);
}

/* aggwin.pause_rollup(rollup): workers leave it alone; changes are captured. */
Datum
aggwin_pause_rollup(PG_FUNCTION_ARGS)
{
	set_paused(fcinfo, "aggwin.pause_rollup()", true);
	PG_RETURN_VOID();
}

/* aggwin.resume_rollup(rollup): workers fold it again. */
Datum
aggwin_resume_rollup(PG_FUNCTION_ARGS)
{
	set_paused(fcinfo, "aggwin.resume_rollup()", false);
	PG_RETURN_VOID();
}

/*
 * aggwin.invalidate(rollup, from, to): event times from (included) to
 * (excluded) were changed past the triggers; NULL is no limit, and without any
 * limit rows without a time are meant, too.
 */
Datum
aggwin_invalidate(PG_FUNCTION_ARGS)
{
	static const char *const required[] = {"rollup"};
	int32		rollup_id;
	RollupRow	row;
	RollupSpec *spec;
	Oid			types[2];
	Datum		values[2];
	char		nulls[3] = {' ', ' ', '\0'};
	Tier		base = {.all_keys = true};
	Sandbox		saved;
	bool		isnull;
	Datum		spans;

	PreventCommandIfReadOnly("aggwin.invalidate()");
	aggwin_require_args(fcinfo, lengthof(required), required);
	rollup_id = aggwin_rollup_of_view(PG_GETARG_OID(0), true);
	aggwin_get_rollup(rollup_id, &row);

	aggwin_spi_connect();
	aggwin_sandbox_enter(&saved, aggwin_rollup_owner(&row), true);
	spec = aggwin_load_spec(row.definition);
	aggwin_sandbox_leave(&saved);

	/* Text is read as the session reads it. */
	for (int i = 0; i < 2; i++)
	{
		types[i] = spec->time->type;
		values[i] = aggwin_time_argument(fcinfo, i + 1, spec->time, &isnull);
		nulls[i] = isnull ? 'n' : ' ';
	}

	aggwin_sandbox_enter(&saved, aggwin_rollup_owner(&row), true);
	aggwin_spi_run_args("SELECT $1 >= $2", SPI_OK_SELECT, 2, types, values, nulls);
	if (DatumGetBool(aggwin_spi_value(1, &isnull)) && !isnull)
		refuse("the range to invalidate must begin before it ends", NULL, NULL);
	aggwin_spi_run_args(psprintf("SELECT %s",
								 aggwin_sql_widened(spec, &base,
													psprintf("%s($1, $2)::%s", spec->time->range,
															 spec->time->multirange))),
						SPI_OK_SELECT, 2, types, values, nulls);
	spans = aggwin_spi_value(1, &isnull);
	if (!isnull)
		aggwin_invalid_write(row.invalid, SPI_gettypeid(SPI_tuptable->tupdesc, 1), spans,
							 nulls[0] == 'n' && nulls[1] == 'n', NULL, 0, NULL);
	aggwin_sandbox_leave(&saved);
	aggwin_spi_finish();
	PG_RETURN_VOID();
}
