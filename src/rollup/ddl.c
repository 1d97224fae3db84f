/*
 * ddl.c - creating and dropping rollups
 *
 * A rollup with id 7 consists of
 *
 *   the view that the user named       what is queried
 *   aggwin._definition_7               the query, as a view nobody reads
 *   aggwin._state_7                    one row a group, merged by folds
 *   aggwin._delta_7                    appended by capture, removed by folds
 *   aggwin._invalid_7                  spans of time to be answered otherwise
 *   four triggers on the source        shared by all rollups of the source; also
 *                                      on each of its partitions
 *
 * all owned by the rollup's owner but the triggers, which are the table's.
 *
 * Locking: SHARE ROW EXCLUSIVE on the source and its partitions, also where the triggers exist
 * already. It waits for writers that began before the rollup; whoever writes
 * later finds the rollup in the catalog, whatever snapshot it has.
 */
#include "postgres.h"

#include "rollup/ddl.h"
#include "rollup/counted.h"
#include "rollup/parts.h"

#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "rollup/begin.h"
#include "rollup/capture_write.h"
#include "rollup/partitions.h"
#include "rollup/triggers.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

PG_FUNCTION_INFO_V1(aggwin_create_rollup);
PG_FUNCTION_INFO_V1(aggwin_drop_rollup);

static void
check_rights(Oid source)
{
	AclResult	result = pg_class_aclcheck(source, GetUserId(), ACL_SELECT);

	if (result == ACLCHECK_OK)
		result = pg_class_aclcheck(source, GetUserId(), ACL_TRIGGER);
	if (result != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for table %s", get_rel_name(source)),
				 errdetail("Creating a rollup needs the privileges SELECT and TRIGGER on its source.")));
}

/* Parts ------------------------------------------------------------------- */

/*
 * Ids of relations or tiers that are there without a catalog row, as after a
 * restore of parts, are passed over: their views must not meet another rollup's bookkeeping.
 */
static int32
next_rollup_id(void)
{
	int32		id;
	bool		isnull;

	do
	{
		aggwin_spi_run("SELECT n.id, EXISTS (SELECT FROM aggwin.tier AS t WHERE t.rollup_id = n.id)"
					   " FROM (SELECT nextval(pg_get_serial_sequence('aggwin.rollup', 'rollup_id'))::int AS id) AS n",
					   SPI_OK_SELECT);
		id = DatumGetInt32(aggwin_spi_value(1, &isnull));
	} while (DatumGetBool(aggwin_spi_value(2, &isnull)) ||
			 OidIsValid(get_relname_relid(psprintf("_state_%d", id), aggwin_schema())));
	return id;
}

/* Arguments of create_rollup(), in order. */
enum
{
	ARG_NAME,
	ARG_QUERY,
	ARG_TIERS,
	ARG_REFRESH_INTERVAL,
	ARG_LATENESS,
	ARG_LATE,
	ARG_RETENTION,
	ARG_SOURCE_RETENTION,
	ARG_WITH_DATA,
};

/* Their names, of those that must not be NULL. */
static const char *const create_args[] = {
	"name", "query", "tiers", "refresh_interval", NULL, "late", NULL, NULL,
	"with_data"
};

static Datum
argument(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? 0 : PG_GETARG_DATUM(number);
}

static char
null_flag(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? 'n' : ' ';
}

/*
 * The catalog rows. "folded" is the latest snapshot, but what the own transaction
 * captures after now must count as pending.
 */
static void
insert_catalog(const RollupRow *row, const RollupSpec *spec, FunctionCallInfo fcinfo)
{
	Oid			types[] = {INT4OID, OIDOID, OIDOID, OIDOID, OIDOID, OIDOID, OIDOID,
	INTERVALOID, TEXTOID, INTERVALOID};
	Datum		values[] = {
		Int32GetDatum(row->rollup_id), ObjectIdGetDatum(row->view),
		ObjectIdGetDatum(row->source), ObjectIdGetDatum(row->definition),
		ObjectIdGetDatum(row->state), ObjectIdGetDatum(row->delta),
		ObjectIdGetDatum(row->invalid), argument(fcinfo, ARG_LATENESS),
		argument(fcinfo, ARG_LATE), argument(fcinfo, ARG_SOURCE_RETENTION)
	};
	char		nulls[] = {' ', ' ', ' ', ' ', ' ', ' ', ' ', null_flag(fcinfo, ARG_LATENESS),
		null_flag(fcinfo, ARG_LATE), null_flag(fcinfo, ARG_SOURCE_RETENTION), '\0'};
	Oid			tier_types[] = {INT4OID, INTERVALOID, INTERVALOID};
	Datum		tier_values[] = {Int32GetDatum(row->rollup_id),
		argument(fcinfo, ARG_REFRESH_INTERVAL), argument(fcinfo, ARG_RETENTION)};
	char		tier_nulls[] = {' ', ' ', null_flag(fcinfo, ARG_RETENTION), '\0'};
	bool		by_interval = spec->width_type == INTERVALOID;
	const char *width = by_interval ? spec->bucket_width : "NULL";
	const char *int_width = by_interval ? "NULL" : spec->bucket_width;

	aggwin_spi_run_args("INSERT INTO aggwin.rollup (rollup_id, view, source, definition, state, delta, invalid,"
						" lateness, late, source_retention)"
						" OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
						SPI_OK_INSERT, lengthof(types), types, values, nulls);

	/* A dump whose rollups were not restored may have left some. */
	aggwin_spi_run_args("DELETE FROM aggwin.source_partition WHERE rollup_id = $1",
						SPI_OK_DELETE, 1, tier_types, tier_values, NULL);

	PushActiveSnapshot(GetLatestSnapshot());
	aggwin_spi_run_args(psprintf("INSERT INTO aggwin.tier (rollup_id, refresh_interval, retention, width, int_width, folded)"
								 " VALUES ($1, $2, $3, %s, %s, " AGGWIN_SNAPSHOT_WITHOUT_ME ")",
								 width, int_width),
						SPI_OK_INSERT, 3, tier_types, tier_values, tier_nulls);
	PopActiveSnapshot();
}

/*
 * Under a lock that keeps writers away: is there any row to begin with? Asked
 * as the rollup's owner, since to plan a query is to run functions that the
 * table's owner has put into indexes.
 */
static bool
source_is_empty(Oid source)
{
	char	   *sql = psprintf("SELECT NOT EXISTS (SELECT FROM %s)", aggwin_relation_name(source));
	bool		isnull;
	bool		empty;
	Sandbox		saved;

	/* With an old snapshot, rows deleted since then count for this reader. */
	if (IsolationUsesXactSnapshot())
		return false;
	aggwin_sandbox_enter(&saved, GetUserId(), true);
	PushActiveSnapshot(GetLatestSnapshot());
	aggwin_spi_check(SPI_execute(sql, true, 1), SPI_OK_SELECT, sql);
	empty = DatumGetBool(aggwin_spi_value(1, &isnull));
	PopActiveSnapshot();
	aggwin_sandbox_leave(&saved);
	return empty;
}

/* The source has rows: they are counted by the first folds, or never. */
static void
begin_with_rows(const RollupRow *row, bool with_data)
{
	Sandbox		saved;

	if (with_data)
	{
		aggwin_invalid_write_all(row->invalid);
		return;
	}
	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_counts_not_all(row->rollup_id);
	aggwin_sandbox_leave(&saved);
}

/* Public ------------------------------------------------------------------ */

/* Definition, tables and triggers; fills in row. */
static RollupSpec *
create_parts(RollupRow *row, SelectStmt *stmt, const char *text,
			 const char *schema, Datum refresh_interval)
{
	Oid			user = GetUserId();
	RollupSpec *spec;
	RollupNames names = {0};
	char	   *state_columns;
	char	   *delta_columns;
	Sandbox		saved;

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	row->rollup_id = next_rollup_id();
	aggwin_sandbox_leave(&saved);

	row->definition = aggwin_create_definition(psprintf("_definition_%d", row->rollup_id), stmt, text, schema);

	/* Whatever the query's functions do, they do as their author. */
	aggwin_sandbox_enter(&saved, user, true);
	spec = aggwin_load_spec(row->definition);
	/* Its names were looked up a second time. */
	if (spec->source != row->source)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("the rollup query named another table a moment ago"),
				 errhint("Name the source table with its schema.")));
	names.source = aggwin_relation_name(row->source);
	state_columns = aggwin_column_definitions(aggwin_sql_empty_groups(spec, &names, false));
	delta_columns = aggwin_column_definitions(aggwin_sql_empty_groups(spec, &names, true));
	/* To start the query is enough to learn whether they may call them. */
	aggwin_spi_run(psprintf("SELECT * FROM %s LIMIT 0",
							aggwin_relation_name(row->definition)), SPI_OK_SELECT);
	aggwin_sandbox_leave(&saved);

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_create_tables(row, spec, state_columns, delta_columns, user, refresh_interval);
	aggwin_sandbox_leave(&saved);

	if (aggwin_rollups_of(row->source) == NIL)
	{
		ListCell   *lc;

		foreach(lc, find_all_inheritors(row->source, NoLock, NULL))
			aggwin_create_triggers(lfirst_oid(lc));
	}
	aggwin_follow_subscriptions(row->source);
	return spec;
}

/* Before there is a catalog row. */
static RollupNames
new_names(const RollupRow *row)
{
	Tier	   *base = palloc0(sizeof(Tier));
	RollupNames names = {
		.rollup_id = row->rollup_id,
		.source = aggwin_relation_name(row->source),
		.invalid = aggwin_relation_name(row->invalid),
		.tiers = list_make1(base),
	};

	base->all_keys = true;
	base->view_relid = row->view;
	base->state_relid = row->state;
	base->delta_relid = row->delta;
	base->state = aggwin_relation_name(row->state);
	base->delta = aggwin_relation_name(row->delta);
	return names;
}

static void
add_tiers(int32 rollup_id, ArrayType *widths)
{
	Datum	   *values;
	bool	   *nulls;
	int			count;

	CommandCounterIncrement();
	deconstruct_array(widths, INTERVALOID, sizeof(Interval), false, TYPALIGN_DOUBLE,
					  &values, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		Tier	   *tier = palloc0(sizeof(Tier));

		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("the width of a tier must not be NULL")));
		tier->interval = DatumGetIntervalP(values[i]);
		(void) aggwin_add_tier_to(rollup_id, tier, NULL, NULL, NULL, NULL);
	}
}

/* aggwin.create_rollup(): see doc/reference.md. */
Datum
aggwin_create_rollup(PG_FUNCTION_ARGS)
{
	RangeVar   *view;
	char	   *query;
	ErrorContextCallback callback;
	RollupRow	row = {0};
	RollupSpec *spec;
	RollupNames names;
	SelectStmt *stmt;
	Sandbox		saved;

	PreventCommandIfReadOnly("aggwin.create_rollup()");
	aggwin_require_args(fcinfo, lengthof(create_args), create_args);
	view = makeRangeVarFromNameList(textToQualifiedNameList(PG_GETARG_TEXT_PP(ARG_NAME)));
	aggwin_check_new_name(view, "rollup");
	query = text_to_cstring(PG_GETARG_TEXT_PP(ARG_QUERY));
	aggwin_check_refresh_interval(PG_GETARG_INTERVAL_P(ARG_REFRESH_INTERVAL));

	callback.previous = error_context_stack;
	callback.callback = aggwin_query_error_callback;
	callback.arg = query;
	error_context_stack = &callback;
	stmt = aggwin_analyze_query(query, &row.source);
	error_context_stack = callback.previous;

	check_rights(row.source);
	LockRelationOid(row.source, ShareRowExclusiveLock);
	(void) find_all_inheritors(row.source, ShareRowExclusiveLock, NULL);
	/* What held the lock may have given the source a child meanwhile. */
	aggwin_check_source(row.source);

	aggwin_spi_connect();
	error_context_stack = &callback;
	spec = create_parts(&row, stmt, query, view->schemaname,
						PG_GETARG_DATUM(ARG_REFRESH_INTERVAL));
	error_context_stack = callback.previous;

	/* The view is made as its owner, who needs CREATE on the schema. */
	aggwin_sandbox_enter(&saved, GetUserId(), false);
	names = new_names(&row);
	aggwin_spi_run(psprintf("CREATE VIEW %s AS %s",
							quote_qualified_identifier(view->schemaname, view->relname),
							aggwin_sql_view(spec, &names, 0)), SPI_OK_UTILITY);
	row.view = get_relname_relid(view->relname,
								 get_namespace_oid(view->schemaname, false));
	aggwin_sandbox_leave(&saved);

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	insert_catalog(&row, spec, fcinfo);
	aggwin_sandbox_leave(&saved);
	aggwin_follow_partitions(row.source, FOLLOW_CREATED);
	if (!source_is_empty(row.source))
		begin_with_rows(&row, PG_GETARG_BOOL(ARG_WITH_DATA));
	add_tiers(row.rollup_id, PG_GETARG_ARRAYTYPE_P(ARG_TIERS));
	aggwin_check_options(row.rollup_id);

	/* Backends that know the source's rollups must look again. */
	CacheInvalidateRelcacheByRelid(row.source);
	aggwin_spi_finish();
	PG_RETURN_OID(row.view);
}

/*
 * aggwin.drop_rollup(rollup regclass): for the owner. Other views that use the
 * rollup's are an error. The rest is up to the trigger on dropped objects.
 */
Datum
aggwin_drop_rollup(PG_FUNCTION_ARGS)
{
	static const char *const names_of_args[] = {"rollup"};
	Oid			view;
	int32		rollup_id;
	RollupRow	row;
	ListCell   *lc;

	PreventCommandIfReadOnly("aggwin.drop_rollup()");
	aggwin_require_args(fcinfo, lengthof(names_of_args), names_of_args);
	view = PG_GETARG_OID(0);
	rollup_id = aggwin_rollup_of_view(view, true);

	/*
	 * The order of folds and of readers: its own lock, the views, the source,
	 * then the parts. Who waits for the source here must not have a view yet.
	 */
	aggwin_lock_rollup(rollup_id);
	aggwin_get_rollup(rollup_id, &row);
	if (row.view != view)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is a tier of a rollup", aggwin_relation_name(view)),
				 errhint("Use aggwin.drop_tier(), or aggwin.drop_rollup() for the rollup as a whole.")));
	foreach(lc, aggwin_tiers_of(&row))
		LockRelationOid(((Tier *) lfirst(lc))->view_relid, AccessExclusiveLock);
	LockRelationOid(row.source, AccessExclusiveLock);
	aggwin_get_rollup(rollup_id, &row);

	aggwin_spi_connect();
	aggwin_spi_run(psprintf("DROP VIEW %s", aggwin_relation_name(view)),
				   SPI_OK_UTILITY);
	aggwin_spi_finish();
	PG_RETURN_VOID();
}
