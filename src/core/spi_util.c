/*
 * spi_util.c - running SQL on a user's behalf, safely
 *
 * A sandbox is a change of user together with settings pinned to fixed values,
 * so that neither the caller's search_path nor its other settings change what
 * a rollup computes. Leaving is not needed after an error: the end of the
 * (sub)transaction restores both.
 */
#include "postgres.h"

#include "core/spi_util.h"

#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

/* Set a setting until the caller's GUC nest level ends. */
void
aggwin_pin(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Pin what the meaning and the speed of generated SQL depend on, also how
 * constants look when expressions are turned into text and back. The caller
 * holds a GUC nest level.
 *
 * Plans are kept and run on batches of very different sizes, so just-in-time
 * compilation chosen for the largest would be paid by all.
 */
void
aggwin_pin_settings(void)
{
	aggwin_pin("search_path", "pg_catalog, pg_temp");
	aggwin_pin("row_security", "off");
	aggwin_pin("jit", "off");
	aggwin_pin("datestyle", "ISO, YMD");
	aggwin_pin("intervalstyle", "postgres");
	aggwin_pin("timezone", "UTC");
	aggwin_pin("timezone_abbreviations", "Default");
	aggwin_pin("extra_float_digits", "1");
	aggwin_pin("bytea_output", "hex");
	aggwin_pin("standard_conforming_strings", "on");
	aggwin_pin("transform_null_equals", "off");
	aggwin_pin("array_nulls", "on");
}

/*
 * Become userid. restricted stands for all code that a user supplied: no
 * session state that outlives it can be changed from inside.
 */
void
aggwin_sandbox_enter(Sandbox *saved, Oid userid, bool restricted)
{
	int			flags = SECURITY_LOCAL_USERID_CHANGE;

	if (restricted)
		flags |= SECURITY_RESTRICTED_OPERATION;

	GetUserIdAndSecContext(&saved->userid, &saved->sec_context);
	SetUserIdAndSecContext(userid, saved->sec_context | flags);
	saved->guc_level = NewGUCNestLevel();
	aggwin_pin_settings();
}

void
aggwin_sandbox_leave(const Sandbox *saved)
{
	AtEOXact_GUC(false, saved->guc_level);
	SetUserIdAndSecContext(saved->userid, saved->sec_context);
}

/* The relation's schema-qualified, quoted name. */
char *
aggwin_relation_name(Oid relid)
{
	char	   *relname = get_rel_name(relid);

	if (relname == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  relname);
}

/* A relation's owner, InvalidOid if there is no such relation. */
Oid
aggwin_relation_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

Oid
aggwin_schema(void)
{
	return get_namespace_oid("aggwin", false);
}

/* The OID of one of the extension's own relations. */
Oid
aggwin_relid(const char *relname)
{
	Oid			relid = get_relname_relid(relname, aggwin_schema());

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"aggwin.%s\" does not exist", relname),
				 errhint("Is the extension aggwin installed in this database?")));
	return relid;
}

/*
 * For functions that take no NULL: an error instead of a silent NULL. An argument
 * that may be NULL has no name here.
 */
void
aggwin_require_args(FunctionCallInfo fcinfo, int count, const char *const *names)
{
	for (int i = 0; i < count; i++)
	{
		if (names[i] != NULL && PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"%s\" must not be NULL", names[i])));
	}
}

void
aggwin_spi_connect(void)
{
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
}

/* The same, with the transition tables of a trigger. */
void
aggwin_spi_connect_with(TriggerData *trigger)
{
	int			rc;

	aggwin_spi_connect();
	rc = SPI_register_trigger_data(trigger);
	if (rc != SPI_OK_TD_REGISTER)
		elog(ERROR, "SPI_register_trigger_data failed: %s",
			 SPI_result_code_string(rc));
}

void
aggwin_spi_finish(void)
{
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "SPI_finish failed");
}

/* A plan that lasts as long as the SPI connection. */
SPIPlanPtr
aggwin_spi_prepare(const char *sql, int nargs, Oid *types)
{
	SPIPlanPtr	plan = SPI_prepare(sql, nargs, types);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
	return plan;
}

/* A plan that lasts as long as the session. */
SPIPlanPtr
aggwin_spi_prepare_kept(const char *sql, int nargs, Oid *types)
{
	SPIPlanPtr	plan = aggwin_spi_prepare(sql, nargs, types);

	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "SPI_keepplan failed");
	return plan;
}

/*
 * An error unless a statement came out as it should. Users can put rules on tables
 * that are theirs, such as the outputs of windows.
 */
void
aggwin_spi_check(int rc, int expected, const char *sql)
{
	if (rc == expected)
		return;
	if (rc == SPI_OK_REWRITTEN)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a rule replaces what aggwin does to a table"),
				 errdetail("The command was: %s", sql),
				 errhint("Drop the rule; what is to be done besides, a trigger can do.")));
	elog(ERROR, "unexpected SPI result %s of: %s", SPI_result_code_string(rc), sql);
}

/*
 * The same of a plan that is kept. Where a rule has left nothing of a statement,
 * its plan depends on nothing and would outlive the rule, so it is forgotten.
 */
void
aggwin_spi_check_kept(SPIPlanPtr *plan, int rc, int expected, const char *sql)
{
	if (rc == SPI_OK_REWRITTEN)
	{
		SPI_freeplan(*plan);
		*plan = NULL;
	}
	aggwin_spi_check(rc, expected, sql);
}

/* Run one statement and return the number of rows it processed. */
uint64
aggwin_spi_run(const char *sql, int expected)
{
	aggwin_spi_check(SPI_execute(sql, false, 0), expected, sql);
	return SPI_processed;
}

uint64
aggwin_spi_run_args(const char *sql, int expected, int nargs,
					Oid *types, Datum *values, const char *nulls)
{
	aggwin_spi_check(SPI_execute_with_args(sql, nargs, types, values, nulls, false, 0),
					 expected, sql);
	return SPI_processed;
}

/* Run one query under the snapshot of the query that calls; the number of rows. */
uint64
aggwin_spi_read(const char *sql, int nargs, Oid *types, Datum *values)
{
	aggwin_spi_check(SPI_execute_with_args(sql, nargs, types, values, NULL, true, 0),
					 SPI_OK_SELECT, sql);
	return SPI_processed;
}

/*
 * The same with a plan that is made once a session, for what runs often: to
 * plan a query on the catalog takes many times as long as to run it. The server
 * plans anew what a change of the catalog may have made wrong. Call this in a
 * sandbox, where names mean the same each time. No value is NULL.
 */
uint64
aggwin_spi_run_kept(KeptSql *kept, int expected, Datum *values)
{
	if (kept->plan == NULL)
		kept->plan = aggwin_spi_prepare_kept(kept->sql, kept->nargs, kept->types);
	aggwin_spi_check_kept(&kept->plan, SPI_execute_plan(kept->plan, values, NULL, false, 0),
						  expected, kept->sql);
	return SPI_processed;
}

/* A column of the first row of the last result. */
Datum
aggwin_spi_value(int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc,
						 column, isnull);
}

/* A column of OIDs or integers of all rows of the last result, as a list of OIDs; NULL is 0. */
List *
aggwin_spi_column(int column)
{
	List	   *values = NIL;

	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[i],
										  SPI_tuptable->tupdesc, column, &isnull);

		values = lappend_oid(values, isnull ? InvalidOid : DatumGetObjectId(value));
	}
	return values;
}

/* Are columns of these types? One that was dropped is of none. */
bool
aggwin_desc_fits(TupleDesc found, TupleDesc wanted)
{
	if (wanted->natts != found->natts)
		return false;
	for (int i = 0; i < wanted->natts; i++)
	{
		if (TupleDescAttr(wanted, i)->atttypid != TupleDescAttr(found, i)->atttypid)
			return false;
	}
	return true;
}

/* Are those of the last result? */
bool
aggwin_spi_fits(TupleDesc wanted)
{
	return aggwin_desc_fits(SPI_tuptable->tupdesc, wanted);
}

/* The rows of the last result are those of a function; they fit. */
void
aggwin_spi_return_rows(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
}

/* A value as SQL. It is exact, whatever the session shows of numbers. */
char *
aggwin_sql_literal(Datum value, Oid type)
{
	int			guc_level = NewGUCNestLevel();
	Oid			output;
	bool		is_varlena;
	char	   *text;

	aggwin_pin("extra_float_digits", "1");
	getTypeOutputInfo(type, &output, &is_varlena);
	text = OidOutputFunctionCall(output, value);
	AtEOXact_GUC(false, guc_level);
	return psprintf("%s::%s", quote_literal_cstr(text), format_type_be(type));
}
