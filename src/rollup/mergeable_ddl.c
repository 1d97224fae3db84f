/*
 * mergeable_ddl.c - registering aggregates, and following their names
 *
 * Rights: an aggregate is registered by its owner. What merges it runs wherever
 * it is used: in folds as the rollup's owner, in views as whoever reads them.
 * All of these have trusted the aggregate's owner already.
 *
 * Names: commands that rename are followed by a pair of event triggers. Before
 * the command, names still lead to functions; after it, functions have new
 * names. What is dropped is forgotten. That no rollup loses what it needs is up
 * to the server: the rollup's view mentions all that is stored, merged or final.
 *
 * Locking: SHARE ROW EXCLUSIVE on the table, to the end of the transaction.
 * create_rollup() takes ROW EXCLUSIVE when it meets a registered aggregate: a
 * row is not taken away while a rollup that uses it is being made.
 */
#include "postgres.h"

#include "rollup/mergeable.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "core/compat.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "rollup/events.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(aggwin_register_mergeable);
PG_FUNCTION_INFO_V1(aggwin_unregister_mergeable);
PG_FUNCTION_INFO_V1(aggwin_mergeable_on_start);
PG_FUNCTION_INFO_V1(aggwin_mergeable_on_end);
PG_FUNCTION_INFO_V1(aggwin_mergeable_on_drop);

/* Registering ------------------------------------------------------------- */

static void
check_exists(Oid funcid)
{
	if (!SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(funcid)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function with OID %u does not exist", funcid)));
}

static void
check_owner(Oid aggregate)
{
	check_exists(aggregate);
	if (!compat_owns_function(aggregate, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_AGGREGATE, get_func_name(aggregate));
}

static Oid
owner_of(Oid funcid)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", funcid);
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* Is it one that aggwin merges by itself? */
static void
refuse_known(Oid aggregate)
{
	Aggref		call = {.xpr = {.type = T_Aggref}, .aggfnoid = aggregate, .aggtype = get_func_rettype(aggregate)};

	if (get_func_prokind(aggregate) == PROKIND_AGGREGATE && aggwin_knows_aggregate(&call))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("aggregate %s is mergeable anyway", format_procedure(aggregate))));
	if (aggregate < FirstUnpinnedObjectId)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("built-in aggregate %s cannot be registered as mergeable",
						format_procedure(aggregate)),
				 errdetail("The server does not record who uses a built-in function."),
				 errhint("Create an aggregate of your own that has the same state and functions.")));
}

/*
 * A group may have a NULL where rows were filtered out, beside the results of
 * other rows. Run as the owner of the aggregate that is tried.
 */
static void
check_ignores_null(const Mergeable *row)
{
	Oid			type = get_func_rettype(row->merge);
	char	   *name = quote_qualified_identifier(get_namespace_name(get_func_namespace(row->merge)),
												  get_func_name(row->merge));
	Sandbox		saved;
	bool		isnull;

	if (get_typtype(type) == TYPTYPE_PSEUDO)
		return;
	aggwin_sandbox_enter(&saved, owner_of(row->merge), true);
	aggwin_spi_run(psprintf("SELECT %s(t.v) FROM (VALUES (NULL::%s)) AS t (v)",
							name, format_type_be_qualified(type)), SPI_OK_SELECT);
	aggwin_sandbox_leave(&saved);
	(void) aggwin_spi_value(1, &isnull);
	if (!isnull)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("aggregate %s does not ignore NULL", format_procedure(row->merge)),
				 errdetail("Where a FILTER leaves no row, NULL is stored; merged with nothing else, it has to stay NULL."),
				 errhint("Make its transition function STRICT, and give it no initial state.")));
}

static void
try_constants(const Mergeable *row)
{
	Sandbox		saved;

	aggwin_sandbox_enter(&saved, owner_of(row->stored), true);
	(void) aggwin_mergeable_constants(row);
	aggwin_sandbox_leave(&saved);
}

static void
lock_table(void)
{
	LockRelationOid(aggwin_relid("mergeable"), ShareRowExclusiveLock);
}

static void
delete_row(const Mergeable *row)
{
	Oid			types[] = {TEXTOID, TEXTOID};
	Datum		values[] = {(Datum) 0, CStringGetTextDatum(row->aggregate_name)};
	char		nulls[] = {'n', ' '};

	if (row->extension != NULL)
	{
		values[0] = CStringGetTextDatum(row->extension);
		nulls[0] = ' ';
	}
	aggwin_spi_run_args("DELETE FROM aggwin.mergeable WHERE extension IS NOT DISTINCT FROM $1 AND aggregate = $2",
						SPI_OK_DELETE, lengthof(types), types, values, nulls);
}

/* Named as the functions are called now; those that are gone, as before. */
static void
insert_row(const Mergeable *row)
{
	Oid			extension = getExtensionOfObject(ProcedureRelationId, row->aggregate);
	Oid			types[] = {TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[lengthof(types)] = {0};
	char		nulls[lengthof(types)];
	Oid			functions[] = {InvalidOid, row->aggregate, row->stored, InvalidOid,
	row->merge, row->final, row->exact};
	char	   *names[] = {NULL, row->aggregate_name, row->stored_name, NULL,
	row->merge_name, row->final_name, row->exact_name};
	ArrayBuildState *constants = initArrayResult(TEXTOID, CurrentMemoryContext, false);
	ListCell   *lc;

	memset(nulls, ' ', sizeof(nulls));
	if (OidIsValid(extension))
		values[0] = CStringGetTextDatum(get_extension_name(extension));
	else
		nulls[0] = 'n';
	for (int i = 1; i < lengthof(types); i++)
	{
		if (OidIsValid(functions[i]))
			values[i] = CStringGetTextDatum(aggwin_mergeable_name(functions[i], extension));
		else if (names[i] != NULL)
			values[i] = CStringGetTextDatum(names[i]);
		else
			nulls[i] = 'n';
	}
	foreach(lc, row->constants)
		(void) accumArrayResult(constants, CStringGetTextDatum(lfirst(lc)), false,
								TEXTOID, CurrentMemoryContext);
	values[3] = makeArrayResult(constants, CurrentMemoryContext);
	nulls[3] = ' ';
	aggwin_spi_run_args("INSERT INTO aggwin.mergeable (extension, aggregate, stored, constants, merge, final, exact)"
						" VALUES ($1, $2, $3, $4, $5, $6, $7)",
						SPI_OK_INSERT, lengthof(types), types, values, nulls);
}

/*
 * aggwin.register_mergeable(aggregate, merge, stored, final, constants, exact): see
 * doc/reference.md.
 */
Datum
aggwin_register_mergeable(PG_FUNCTION_ARGS)
{
	static const char *const names_of_args[] = {"aggregate", "merge"};
	Mergeable	row = {0};
	Mergeable  *old;
	Sandbox		saved;

	PreventCommandIfReadOnly("aggwin.register_mergeable()");
	aggwin_require_args(fcinfo, lengthof(names_of_args), names_of_args);
	row.aggregate = PG_GETARG_OID(0);
	row.merge = PG_GETARG_OID(1);
	row.stored = PG_ARGISNULL(2) ? row.aggregate : PG_GETARG_OID(2);
	row.final = PG_ARGISNULL(3) ? InvalidOid : PG_GETARG_OID(3);
	row.exact = PG_ARGISNULL(5) ? InvalidOid : PG_GETARG_OID(5);
	if (!PG_ARGISNULL(4))
	{
		ArrayType  *constants = PG_GETARG_ARRAYTYPE_P(4);

		if (array_contains_nulls(constants))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"constants\" must not contain NULL")));
		row.constants = aggwin_text_list(constants);
	}

	check_owner(row.aggregate);
	check_exists(row.merge);
	check_exists(row.stored);
	if (!PG_ARGISNULL(3))
		check_exists(row.final);
	if (!PG_ARGISNULL(5))
		check_exists(row.exact);
	refuse_known(row.aggregate);

	lock_table();
	old = aggwin_find_mergeable(row.aggregate);
	if (old != NULL && aggwin_mergeable_is_whole(old))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("aggregate %s is registered as mergeable already",
						format_procedure(row.aggregate)),
				 old->preset ? errdetail("It is a preset of aggwin.") :
				 errhint("Use aggwin.unregister_mergeable() first to register it otherwise.")));
	aggwin_check_mergeable(&row);

	aggwin_spi_connect();
	try_constants(&row);
	check_ignores_null(&row);
	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	if (old != NULL)
		delete_row(old);
	insert_row(&row);
	aggwin_sandbox_leave(&saved);
	aggwin_spi_finish();
	PG_RETURN_VOID();
}

/* Unregistering ----------------------------------------------------------- */

/* The rollups whose queries call an aggregate, as text; NULL if there are none. */
static char *
rollups_that_call(Oid aggregate)
{
	Oid			types[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(aggregate)};

	aggwin_spi_run_args("SELECT string_agg(r.view::text, ', ' ORDER BY r.rollup_id) FROM aggwin.rollup AS r"
						" WHERE EXISTS (SELECT FROM pg_rewrite AS w"
						" JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid"
						" WHERE w.ev_class = r.definition AND d.refclassid = 'pg_proc'::regclass AND d.refobjid = $1)",
						SPI_OK_SELECT, 1, types, values, NULL);
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

/* aggwin.unregister_mergeable(aggregate): see doc/reference.md. */
Datum
aggwin_unregister_mergeable(PG_FUNCTION_ARGS)
{
	static const char *const names_of_args[] = {"aggregate"};
	Oid			aggregate;
	Mergeable  *row;
	char	   *rollups;
	Sandbox		saved;

	PreventCommandIfReadOnly("aggwin.unregister_mergeable()");
	aggwin_require_args(fcinfo, lengthof(names_of_args), names_of_args);
	aggregate = PG_GETARG_OID(0);
	check_owner(aggregate);

	lock_table();
	row = aggwin_find_mergeable(aggregate);
	if (row == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("aggregate %s is not registered as mergeable", format_procedure(aggregate))));
	if (row->preset)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("aggregate %s cannot be unregistered", format_procedure(aggregate)),
				 errdetail("It is a preset of aggwin.")));

	aggwin_spi_connect();
	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	rollups = rollups_that_call(aggregate);
	if (rollups != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("aggregate %s cannot be unregistered", format_procedure(aggregate)),
				 errdetail("It is used by these rollups: %s.", rollups),
				 errhint("Drop them first.")));
	delete_row(row);
	aggwin_sandbox_leave(&saved);
	aggwin_spi_finish();
	PG_RETURN_VOID();
}

/* Following names --------------------------------------------------------- */

/* What names meant before the command; lives as long as the transaction. */
static List *before_command = NIL;

static void
forget_names(void *arg)
{
	before_command = NIL;
}

Datum
aggwin_mergeable_on_start(PG_FUNCTION_ARGS)
{
	MemoryContext old_context;

	aggwin_check_event_trigger(fcinfo);
	old_context = MemoryContextSwitchTo(TopTransactionContext);
	before_command = aggwin_registered_mergeables();
	if (before_command != NIL)
	{
		MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

		callback->func = forget_names;
		MemoryContextRegisterResetCallback(TopTransactionContext, callback);
	}
	MemoryContextSwitchTo(old_context);
	PG_RETURN_NULL();
}

static bool
exists(Oid funcid)
{
	return OidIsValid(funcid) && SearchSysCacheExists1(PROCOID, ObjectIdGetDatum(funcid));
}

static bool
has_name(Oid funcid, Oid extension, const char *name)
{
	return !exists(funcid) || strcmp(aggwin_mergeable_name(funcid, extension), name) == 0;
}

static bool
is_renamed(const Mergeable *row)
{
	Oid			extension;

	if (!exists(row->aggregate))
		return false;
	extension = getExtensionOfObject(ProcedureRelationId, row->aggregate);
	return (row->extension == NULL) == OidIsValid(extension) ||
		!has_name(row->aggregate, extension, row->aggregate_name) ||
		!has_name(row->stored, extension, row->stored_name) ||
		!has_name(row->merge, extension, row->merge_name) ||
		!has_name(row->final, extension, row->final_name) ||
		!has_name(row->exact, extension, row->exact_name);
}

Datum
aggwin_mergeable_on_end(PG_FUNCTION_ARGS)
{
	List	   *rows = before_command;
	ListCell   *lc;

	aggwin_check_event_trigger(fcinfo);
	before_command = NIL;
	foreach(lc, rows)
	{
		Mergeable  *row = lfirst(lc);
		Sandbox		saved;

		if (!is_renamed(row))
			continue;
		aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
		aggwin_spi_connect();
		delete_row(row);
		insert_row(row);
		aggwin_spi_finish();
		aggwin_sandbox_leave(&saved);
	}
	PG_RETURN_NULL();
}

/* Following drops --------------------------------------------------------- */

/*
 * Is a row good for nothing? Those of an extension wait for it to come back, as
 * presets do.
 */
static bool
is_obsolete(const Mergeable *row)
{
	return !aggwin_mergeable_is_whole(row) &&
		(row->extension == NULL || OidIsValid(get_extension_oid(row->extension, true)));
}

Datum
aggwin_mergeable_on_drop(PG_FUNCTION_ARGS)
{
	List	   *rows;
	ListCell   *lc;

	aggwin_check_event_trigger(fcinfo);
	rows = aggwin_registered_mergeables();
	foreach(lc, rows)
	{
		Mergeable  *row = lfirst(lc);
		Sandbox		saved;

		if (!is_obsolete(row))
			continue;
		lock_table();
		aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
		aggwin_spi_connect();
		delete_row(row);
		aggwin_spi_finish();
		aggwin_sandbox_leave(&saved);
	}
	PG_RETURN_NULL();
}
