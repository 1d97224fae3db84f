/*
 * read.c - reading window outputs: what was published, and any window on demand
 */
#include "postgres.h"

#include "emit/window.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "emit/bounds.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"
#include "utils/varlena.h"

PG_FUNCTION_INFO_V1(aggwin_changes_since);
PG_FUNCTION_INFO_V1(aggwin_window_at);

static void
check_may_read(Oid output)
{
	if (pg_class_aclcheck(output, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for table %s", get_rel_name(output))));
}

/*
 * The rows of the last result are to be rows of a table that its owner may have
 * changed since it was made.
 */
static void
check_columns(const WindowRow *window, TupleDesc wanted)
{
	if (!aggwin_spi_fits(wanted))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("table %s no longer has the columns of its window query",
						aggwin_relation_name(window->output)),
				 errhint("Columns of a window's table must not be added, dropped or changed; drop the window output and create it again.")));
}

/* Windows are computed with their owner's rights, which policies do not ask for. */
static void
refuse_policies(Oid output)
{
	if (check_enable_rls(output, InvalidOid, true) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("row-level security of table %s applies to you", get_rel_name(output)),
				 errdetail("aggwin.window_at() computes all rows of a window."),
				 errhint("Read the table.")));
}

/* Changes ------------------------------------------------------------------*/

/*
 * Positions that a consumer can go on from: not those of which something is gone.
 * Asked under the snapshot under which changes are read: with one for each
 * statement, retention could delete what follows a position between the two.
 */
static void
check_position(const WindowRow *window, int64 position)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(window->window_id)};
	int64		newest = 0;
	int64		expired = 0;
	bool		isnull;

	/* It may be younger than the snapshot. */
	if (aggwin_spi_read("SELECT w.position, w.expired_position FROM aggwin.window AS w WHERE w.window_id = $1",
						1, types, values) > 0)
	{
		newest = DatumGetInt64(aggwin_spi_value(1, &isnull));
		expired = DatumGetInt64(aggwin_spi_value(2, &isnull));
	}
	if (position < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a position must not be negative")));
	if (position > newest)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("position %lld has not been published yet", (long long) position),
				 errdetail("The newest position of %s is %lld.",
						   aggwin_relation_name(window->output), (long long) newest)));
	/* To begin with, whoever has seen nothing asks for what there is. */
	if (position > 0 && position < expired)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("changes since position %lld are no longer kept", (long long) position),
				 errdetail("Windows up to position %lld have been deleted by retention.",
						   (long long) expired),
				 errhint("Begin again with position 0, or with the rows of the newest window and its position in aggwin.windows; a longer retention keeps more.")));
}

/*
 * aggwin.changes_since(name text, after_position bigint = 0, max_rows integer =
 * 10000): what a window output has published after a position, in the order in
 * which it was. Whole revisions, at least one, and no more once they have
 * max_rows. No rows if there is nothing new. A window that was published without
 * rows gives one row, with NULL for rank, op and row. Whoever may read the table
 * may call it.
 */
Datum
aggwin_changes_since(PG_FUNCTION_ARGS)
{
	static const char *const names_of_args[] = {"name", "after_position", "max_rows"};
	RangeVar   *name;
	WindowRow  *window;
	Oid			output;
	char	   *columns;
	Oid			types[] = {INT4OID, INT8OID, INT4OID};
	Datum		values[3];
	Sandbox		saved;

	aggwin_require_args(fcinfo, lengthof(names_of_args), names_of_args);
	if (PG_GETARG_INT32(2) <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_rows must be greater than zero")));
	InitMaterializedSRF(fcinfo, 0);
	name = makeRangeVarFromNameList(textToQualifiedNameList(PG_GETARG_TEXT_PP(0)));
	output = RangeVarGetRelid(name, NoLock, false);
	check_may_read(output);

	aggwin_spi_connect();
	aggwin_sandbox_enter(&saved, GetUserId(), false);
	window = aggwin_get_window(aggwin_window_of_output(output, false));
	check_position(window, PG_GETARG_INT64(1));
	columns = aggwin_column_list("o", aggwin_window_columns(window));
	values[0] = Int32GetDatum(window->window_id);
	values[1] = PG_GETARG_DATUM(1);
	values[2] = PG_GETARG_DATUM(2);
	aggwin_spi_read(psprintf("SELECT e.position, e.window_start, e.window_end, e.revision, o.rank, o.op,"
							 " CASE WHEN o.op IS NOT NULL THEN (SELECT to_jsonb(r) FROM (SELECT %1$s) AS r) END,"
							 " e.emitted_at"
							 " FROM (SELECT e.*, coalesce(sum(e.rows) OVER (ORDER BY e.position"
							 " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before"
							 " FROM (SELECT * FROM aggwin.emission AS e WHERE e.window_id = $1"
							 " AND e.position > $2 ORDER BY e.position LIMIT $3) AS e) AS e"
							 " LEFT JOIN %2$s AS o ON o.window_start = %3$s AND o.revision = e.revision"
							 " AND o.op <> 'none'"
							 " WHERE e.before < $3 ORDER BY e.position, o.rank, o.op",
							 columns, aggwin_relation_name(output),
							 aggwin_sql_utc(window->time, "e.window_start")),
					lengthof(types), types, values);
	aggwin_spi_return_rows(fcinfo);
	aggwin_sandbox_leave(&saved);
	aggwin_spi_finish();
	return (Datum) 0;
}

/* Any window ---------------------------------------------------------------*/

/* A window that is computed for a reader */
typedef struct OnDemand
{
	const WindowRow *window;
	FunctionCallInfo fcinfo;
	WindowBounds bounds;
} OnDemand;

static void
compute(void *arg)
{
	OnDemand   *call = arg;
	const WindowRow *window = call->window;
	Oid			types[] = {TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[] = {TimestampTzGetDatum(call->bounds.start),
	TimestampTzGetDatum(call->bounds.end)};

	aggwin_spi_read(psprintf("SELECT %s, %s, 0, row_number() OVER (), 'insert'::text, %s, now()"
							 " FROM %s AS q",
							 aggwin_sql_utc(window->time, "$1"),
							 aggwin_sql_utc(window->time, "$2"),
							 aggwin_column_list("q", aggwin_window_columns(window)),
							 aggwin_relation_name(window->definition)),
					lengthof(types), types, values);
	check_columns(window, ((ReturnSetInfo *) call->fcinfo->resultinfo)->setDesc);
	aggwin_spi_return_rows(call->fcinfo);
}

/* An argument of any type that stands for a time, as the window's type, as UTC. */
static TimestampTz
time_argument(FunctionCallInfo fcinfo, int number, const TimeType *time)
{
	bool		isnull;
	Datum		value = aggwin_time_argument(fcinfo, number, time, &isnull);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"ts\" must not be NULL")));
	if (TIMESTAMP_NOT_FINITE(DatumGetTimestampTz(value)))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("argument \"ts\" must be finite")));
	return DatumGetTimestampTz(value);
}

/* The output whose row type an argument has. */
static Oid
output_of_argument(FunctionCallInfo fcinfo)
{
	Oid			type = get_fn_expr_argtype(fcinfo->flinfo, 0);
	Oid			relid = OidIsValid(type) ? get_typ_typrelid(type) : InvalidOid;

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("the first argument must be of the row type of a window output"),
				 errhint("Write NULL::name, with the name of the output's table.")));
	return relid;
}

/*
 * aggwin.window_at(window anyelement, ts): the rows of the newest window that had
 * ended by a time, as the rollup has them now, in the form of the output's rows;
 * the first argument is NULL of its type. An empty set for an empty window. For
 * whoever may read the output.
 */
Datum
aggwin_window_at(PG_FUNCTION_ARGS)
{
	Oid			output = output_of_argument(fcinfo);
	OnDemand	call = {.fcinfo = fcinfo};
	WindowRow  *window;
	Sandbox		saved;

	check_may_read(output);
	refuse_policies(output);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	aggwin_spi_connect();
	window = aggwin_get_window(aggwin_window_of_output(output, false));
	call.window = window;
	call.bounds.end = aggwin_grid_end(window, time_argument(fcinfo, 1, window->time));
	call.bounds.start = call.bounds.end - window->size;
	/* The table's owner, but for the moment between ALTER … OWNER and the next step. */
	aggwin_sandbox_enter(&saved, aggwin_relation_owner(window->definition), true);
	aggwin_with_bounds(&call.bounds, compute, &call);
	aggwin_sandbox_leave(&saved);
	aggwin_spi_finish();
	return (Datum) 0;
}
