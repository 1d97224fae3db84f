/*
 * window_ddl.c - creating window outputs
 *
 * A window output with id 3, created as top_songs, consists of
 *
 *   the table top_songs                what is published
 *   the view top_songs_latest          the newest window in it
 *   aggwin._window_3                   the query, as a view nobody reads
 *   aggwin._panes_3                    the rollup's buckets of one window, which
 *                                      that query reads
 *
 * all owned by whoever created it.
 */
#include "postgres.h"

#include "emit/window.h"

#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "emit/bounds.h"
#include "emit/options.h"
#include "emit/query.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rollup/ddl.h"
#include "rollup/sql.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "utils/varlena.h"

PG_FUNCTION_INFO_V1(aggwin_create_window);

/* Arguments of create_window(), in order. */
enum
{
	ARG_NAME,
	ARG_QUERY,
	ARG_SIZE,
	ARG_PERIOD,
	ARG_GRACE,
	ARG_EMIT,
	ARG_NOTIFY,
	ARG_RETENTION,
	ARG_IDLE_TIMEOUT,
	ARG_KEYS,
};

/* Their names, of those that must not be NULL. */
static const char *const create_args[] = {
	"name", "query", "size", NULL, "grace", "emit", "notify", "retention",
	"idle_timeout", NULL
};

/* Where windows end, unless the rollup's buckets begin elsewhere: a Monday. */
#define DEFAULT_ORIGIN "2000-01-03 00:00:00"

/* A window under construction */
typedef struct NewWindow
{
	WindowRow	row;
	WindowQuery query;
	RangeVar   *output;
	RangeVar   *latest;
	RollupSpec *spec;
	Tier	   *tier;			/* that it reads */
	char	   *bucket;			/* the column of the tier's view */
} NewWindow;

/* The rollup ---------------------------------------------------------------*/

static void
refuse_rollup(const NewWindow *window, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot assemble windows from the buckets of %s",
					aggwin_relation_name(window->query.view)),
			 errdetail("%s", detail),
			 hint ? errhint("%s", hint) : 0));
}

/* The column of the view that shows the bucket. */
static char *
bucket_column(const NewWindow *window)
{
	ListCell   *lc;

	foreach(lc, window->spec->targets)
	{
		TargetEntry *target = lfirst_node(TargetEntry, lc);

		if (equal(target->expr, linitial(window->spec->keys)))
			return target->resname;
	}
	refuse_rollup(window, "Its view does not show the bucket.", NULL);
	return NULL;
}

/* Does the bucket's grid follow a time zone? */
static bool
has_zone(const RollupSpec *spec)
{
	FuncExpr   *call = aggwin_time_key(linitial(spec->keys));
	ListCell   *lc;

	foreach(lc, call->args)
	{
		if (exprType(lfirst(lc)) == TEXTOID)
			return true;
	}
	return false;
}

/* Zones differ from UTC by whole quarters of an hour, so their grids agree then. */
#define ZONE_STEP (15 * USECS_PER_MINUTE)

/* What the buckets of the rollup must be; returns their width. */
static int64
read_rollup(NewWindow *window)
{
	const RollupRow *rollup = &window->query.rollup;
	RollupNames names;
	int64		width;

	window->spec = aggwin_load_spec(rollup->definition);
	names = aggwin_rollup_names(rollup);
	window->tier = aggwin_tier(&names, aggwin_level_of_view(rollup->rollup_id, window->query.view));
	window->row.time = window->spec->time;
	window->bucket = bucket_column(window);
	if ((window->row.time->type != TIMESTAMPTZOID && window->row.time->type != TIMESTAMPOID) ||
		get_atttype(window->query.view, get_attnum(window->query.view, window->bucket)) != window->row.time->type)
		refuse_rollup(window, psprintf("Its buckets are of type %s.",
									   format_type_be(get_atttype(window->query.view,
																  get_attnum(window->query.view, window->bucket)))),
					  "Windows need buckets of type timestamp with or without time zone.");
	if (window->tier->interval->month != 0)
		refuse_rollup(window, "Months and years differ in length.",
					  "Read a tier of days or smaller buckets.");
	width = aggwin_duration("the width of a bucket", window->tier->interval);
	if (has_zone(window->spec) && ZONE_STEP % width != 0)
		refuse_rollup(window, "They follow a time zone, so that their lengths differ.",
					  "Read a tier whose buckets are parts of 15 minutes, or a rollup without time zone.");
	return width;
}

static void
check_panes(const NewWindow *window, const char *name, int64 value, int64 width)
{
	if (value % width != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s must be a multiple of the width of a bucket", name),
				 errdetail("The buckets of %s are %s wide.", aggwin_relation_name(window->query.view),
						   aggwin_tier_width_text(window->tier)),
				 errhint("Choose another %s, or a rollup or tier of smaller buckets.", name)));
}

/* A time at which a bucket begins. */
static TimestampTz
grid_origin(const NewWindow *window)
{
	char	   *some_time = psprintf("'%s%s'::%s", DEFAULT_ORIGIN,
									 window->row.time->type == TIMESTAMPTZOID ? "+00" : "",
									 window->row.time->name);
	bool		isnull;

	aggwin_spi_run(psprintf("SELECT %s", aggwin_sql_bucket(window->spec, window->tier, some_time)),
				   SPI_OK_SELECT);
	return DatumGetTimestampTz(aggwin_spi_value(1, &isnull));
}

/* Parts --------------------------------------------------------------------*/

/* Ids of relations that are there without a row, as after a restore of parts, are passed over. */
static int32
next_window_id(void)
{
	int32		id;
	bool		isnull;

	do
	{
		aggwin_spi_run("SELECT n.id, EXISTS (SELECT FROM aggwin.window AS w WHERE w.window_id = n.id)"
					   " FROM (SELECT nextval(pg_get_serial_sequence('aggwin.window', 'window_id'))::int AS id) AS n",
					   SPI_OK_SELECT);
		id = DatumGetInt32(aggwin_spi_value(1, &isnull));
	} while (DatumGetBool(aggwin_spi_value(2, &isnull)) ||
			 OidIsValid(get_relname_relid(psprintf("_window_%d", id), aggwin_schema())));
	return id;
}

static void
create_panes(NewWindow *window)
{
	const char *schema = window->output->schemaname;
	char	   *name = psprintf("_panes_%d", window->row.window_id);
	Sandbox		saved;

	aggwin_sandbox_enter(&saved, GetUserId(), false);
	aggwin_spi_run(psprintf("CREATE VIEW %1$s AS SELECT * FROM %2$s AS r"
							" WHERE r.%3$s >= %4$s AND r.%3$s < %5$s",
							quote_qualified_identifier(schema, name),
							aggwin_relation_name(window->query.view), quote_identifier(window->bucket),
							aggwin_sql_utc(window->row.time, "aggwin.current_window_start()"),
							aggwin_sql_utc(window->row.time, "aggwin.current_window_end()")),
				   SPI_OK_UTILITY);
	window->row.panes = get_relname_relid(name, get_namespace_oid(schema, false));
	aggwin_sandbox_leave(&saved);

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_spi_run(psprintf("ALTER VIEW %s SET SCHEMA aggwin",
							aggwin_relation_name(window->row.panes)), SPI_OK_UTILITY);
	aggwin_sandbox_leave(&saved);
}

static void
start_query(void *definition)
{
	aggwin_spi_run(psprintf("SELECT * FROM %s LIMIT 0",
							aggwin_relation_name(*(Oid *) definition)), SPI_OK_SELECT);
}

static void
create_definition(NewWindow *window, const char *text)
{
	WindowBounds bounds = {window->row.origin - window->row.size, window->row.origin};
	WindowQuery again = {0};
	Sandbox		saved;

	window->row.definition = aggwin_create_definition(psprintf("_window_%d", window->row.window_id),
													  window->query.stmt, text,
													  window->output->schemaname);
	aggwin_check_window_query(&again, text);
	if (again.view != window->query.view)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("the window query named another rollup a moment ago"),
				 errhint("Name the rollup with its schema.")));
	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_read_panes_instead(window->row.definition, window->query.view, window->row.panes);
	aggwin_sandbox_leave(&saved);

	/* To start the query is enough to learn whether its author may run it. */
	aggwin_sandbox_enter(&saved, GetUserId(), true);
	aggwin_with_bounds(&bounds, start_query, &window->row.definition);
	aggwin_sandbox_leave(&saved);
}

/* The table, and the view of its newest window. */
static void
create_output(NewWindow *window)
{
	WindowRow  *row = &window->row;
	const char *schema = window->output->schemaname;
	char	   *output = quote_qualified_identifier(schema, window->output->relname);
	List	   *columns;
	Sandbox		saved;

	aggwin_sandbox_enter(&saved, GetUserId(), true);
	columns = aggwin_window_columns(row);
	aggwin_sandbox_leave(&saved);

	aggwin_sandbox_enter(&saved, GetUserId(), false);
	aggwin_spi_run(psprintf("CREATE TABLE %1$s (window_start %2$s NOT NULL, window_end %2$s NOT NULL,"
							" revision integer NOT NULL, rank bigint NOT NULL, op text NOT NULL, %3$s,"
							" emitted_at timestamptz NOT NULL,"
							" PRIMARY KEY (window_start, revision, rank, op))",
							output, row->time->name,
							aggwin_column_definitions(psprintf("SELECT * FROM %s",
															   aggwin_relation_name(row->definition)))),
				   SPI_OK_UTILITY);
	row->output = get_relname_relid(window->output->relname, get_namespace_oid(schema, false));
	aggwin_spi_run(psprintf("CREATE VIEW %1$s AS SELECT o.window_start, o.window_end, o.revision, o.rank,"
							" %2$s, o.emitted_at FROM aggwin.window AS w JOIN %3$s AS o"
							" ON o.window_start = %4$s AND o.revision = w.latest_revision"
							" WHERE w.window_id = %5$d AND o.op <> 'delete' ORDER BY o.rank",
							quote_qualified_identifier(schema, window->latest->relname),
							aggwin_column_list("o", columns), output,
							aggwin_sql_utc(row->time, "w.latest_start"), row->window_id),
				   SPI_OK_UTILITY);
	row->latest = get_relname_relid(window->latest->relname, get_namespace_oid(schema, false));
	aggwin_sandbox_leave(&saved);
}

/* Keys ---------------------------------------------------------------------*/

/* The names of the key columns, as an array; given by the user, or found. */
static Datum
key_names(const NewWindow *window, ArrayType *given)
{
	Datum	   *names;
	bool	   *nulls;
	int			count;
	ArrayBuildState *found = initArrayResult(TEXTOID, CurrentMemoryContext, false);
	int			number = 0;
	ListCell   *lc;

	if (given != NULL)
	{
		deconstruct_array(given, TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &count);
		for (int i = 0; i < count; i++)
		{
			bool		known = false;

			foreach(lc, window->query.columns)
				known |= !nulls[i] && strcmp(TextDatumGetCString(names[i]), lfirst(lc)) == 0;
			if (!known)
				ereport(ERROR,
						(errcode(ERRCODE_UNDEFINED_COLUMN),
						 nulls[i] ? errmsg("the name of a key must not be NULL")
						 : errmsg("the window query has no column \"%s\"", TextDatumGetCString(names[i])),
						 errhint("keys are the columns by which rows of two revisions are told to be the same.")));
		}
		return PointerGetDatum(given);
	}
	foreach(lc, window->query.columns)
	{
		if (bms_is_member(++number, window->query.key_columns))
			found = accumArrayResult(found, CStringGetTextDatum(lfirst(lc)), false, TEXTOID,
									 CurrentMemoryContext);
	}
	return makeArrayResult(found, CurrentMemoryContext);
}

static void
check_keys(const NewWindow *window, Datum names)
{
	Datum	   *values;
	int			count;

	deconstruct_array(DatumGetArrayTypeP(names), TEXTOID, -1, false, TYPALIGN_INT, &values, NULL, &count);
	for (int i = 0; i < count; i++)
	{
		const char *name = TextDatumGetCString(values[i]);
		Oid			type = get_atttype(window->row.definition, get_attnum(window->row.definition, name));

		if (!OidIsValid(lookup_type_cache(type, TYPECACHE_LT_OPR)->lt_opr))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_FUNCTION),
					 errmsg("column \"%s\" cannot be a key", name),
					 errdetail("Values of type %s cannot be sorted.", format_type_be(type)),
					 errhint("Name the columns that tell rows apart in keys.")));
	}
}

/* Creating -----------------------------------------------------------------*/

/*
 * Has the rollup any row? Asked of its tables, since a view would compute all of
 * them to find one; as its owner, who may have put functions into their indexes.
 */
static bool
rollup_is_empty(const RollupRow *rollup)
{
	bool		isnull;
	bool		empty;
	Sandbox		saved;

	aggwin_sandbox_enter(&saved, aggwin_rollup_owner(rollup), true);
	aggwin_spi_run(psprintf("SELECT NOT EXISTS (SELECT FROM %s) AND NOT EXISTS (SELECT FROM %s)"
							" AND NOT EXISTS (SELECT FROM %s AS i WHERE " AGGWIN_BASE_INVALID ")",
							aggwin_relation_name(rollup->state), aggwin_relation_name(rollup->delta),
							aggwin_relation_name(rollup->invalid)),
				   SPI_OK_SELECT);
	empty = DatumGetBool(aggwin_spi_value(1, &isnull));
	aggwin_sandbox_leave(&saved);
	return empty;
}

static void
insert_catalog(const NewWindow *window, FunctionCallInfo fcinfo, Datum keys)
{
	const WindowRow *row = &window->row;
	Oid			types[] = {INT4OID, OIDOID, OIDOID, OIDOID, TEXTARRAYOID,
		INTERVALOID, INTERVALOID, TIMESTAMPTZOID, INTERVALOID, TEXTOID, BOOLOID, INTERVALOID,
	INTERVALOID, BOOLOID, INT2OID};
	Datum		values[] = {
		Int32GetDatum(row->window_id), ObjectIdGetDatum(row->output), ObjectIdGetDatum(row->latest),
		ObjectIdGetDatum(window->query.view), keys, PG_GETARG_DATUM(ARG_SIZE),
		PG_GETARG_DATUM(PG_ARGISNULL(ARG_PERIOD) ? ARG_SIZE : ARG_PERIOD),
		TimestampTzGetDatum(row->origin), PG_GETARG_DATUM(ARG_GRACE), PG_GETARG_DATUM(ARG_EMIT),
		PG_GETARG_DATUM(ARG_NOTIFY), PG_GETARG_DATUM(ARG_RETENTION),
		PG_GETARG_DATUM(ARG_IDLE_TIMEOUT), BoolGetDatum(row->from_first),
		Int16GetDatum(get_attnum(window->query.view, window->bucket))
	};
	Sandbox		saved;

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_spi_run_args("DELETE FROM aggwin.emission WHERE window_id = $1", SPI_OK_DELETE,
						1, types, values, NULL);
	aggwin_spi_run_args("INSERT INTO aggwin.window (window_id, output, latest, rollup,"
						" keys, size, period, origin, grace, emit, notify, retention, idle_timeout, from_first, bucket)"
						" OVERRIDING SYSTEM VALUE"
						" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
						SPI_OK_INSERT, lengthof(types), types, values, NULL);
	aggwin_sandbox_leave(&saved);
}

/* aggwin.create_window(): see doc/reference.md. */
Datum
aggwin_create_window(PG_FUNCTION_ARGS)
{
	NewWindow	window = {0};
	char	   *query;
	int64		width;
	Datum		keys;
	ErrorContextCallback callback;
	Sandbox		saved;

	PreventCommandIfReadOnly("aggwin.create_window()");
	aggwin_require_args(fcinfo, lengthof(create_args), create_args);
	window.output = makeRangeVarFromNameList(textToQualifiedNameList(PG_GETARG_TEXT_PP(ARG_NAME)));
	aggwin_check_new_name(window.output, "window");
	window.latest = copyObject(window.output);
	window.latest->relname = psprintf("%s_latest", window.output->relname);
	aggwin_check_new_name(window.latest, "window");

	window.row.size = aggwin_positive_duration("size", PG_GETARG_INTERVAL_P(ARG_SIZE));
	window.row.period = PG_ARGISNULL(ARG_PERIOD) ? window.row.size
		: aggwin_positive_duration("period", PG_GETARG_INTERVAL_P(ARG_PERIOD));
	if (window.row.period > window.row.size)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("period must not be longer than size"),
				 errdetail("Events between two windows would be in none of them.")));
	(void) aggwin_duration_not_negative("grace", PG_GETARG_INTERVAL_P(ARG_GRACE));
	(void) aggwin_positive_duration("retention", PG_GETARG_INTERVAL_P(ARG_RETENTION));
	(void) aggwin_positive_duration("idle_timeout", PG_GETARG_INTERVAL_P(ARG_IDLE_TIMEOUT));
	(void) aggwin_emits_changes(PG_GETARG_TEXT_PP(ARG_EMIT));
	query = text_to_cstring(PG_GETARG_TEXT_PP(ARG_QUERY));

	aggwin_spi_connect();
	callback.previous = error_context_stack;
	callback.callback = aggwin_query_error_callback;
	callback.arg = query;
	error_context_stack = &callback;
	aggwin_check_window_query(&window.query, query);
	error_context_stack = callback.previous;

	aggwin_lock_rollup(window.query.rollup.rollup_id);
	aggwin_get_rollup(window.query.rollup.rollup_id, &window.query.rollup);
	width = read_rollup(&window);
	check_panes(&window, "size", window.row.size, width);
	check_panes(&window, "period", window.row.period, width);
	aggwin_sandbox_enter(&saved, GetUserId(), true);
	window.row.origin = grid_origin(&window);
	aggwin_sandbox_leave(&saved);

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	window.row.window_id = next_window_id();
	aggwin_sandbox_leave(&saved);
	create_panes(&window);
	error_context_stack = &callback;
	create_definition(&window, query);
	error_context_stack = callback.previous;
	keys = key_names(&window, PG_ARGISNULL(ARG_KEYS) ? NULL : PG_GETARG_ARRAYTYPE_P(ARG_KEYS));
	check_keys(&window, keys);
	create_output(&window);
	window.row.from_first = rollup_is_empty(&window.query.rollup);
	insert_catalog(&window, fcinfo, keys);
	aggwin_spi_finish();
	PG_RETURN_OID(window.row.output);
}
