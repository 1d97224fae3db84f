/*
 * tables.c - the tables that metrics are stored in
 *
 * They are no members of the extension: aggwin.enable_metrics() makes them, and
 * pg_dump sees ordinary tables. It could not restore the partitions of a table of
 * an extension (these get their indexes when they are attached, and the dump
 * makes them once more), and leaves out triggers on it, among them those of
 * rollups.
 *
 *		metric			a name of metrics: type, unit, help
 *		series			a metric with labels, and its number
 *		samples			number, time, value; a partition a day
 *		refused_sample	what was not stored, counted
 *		sample_input	a view of samples with their labels, to put them in
 *
 * All belong to one role. Whoever may INSERT into sample_input may ingest, in
 * every way; what is written then is written as that role.
 *
 * Locking: whatever makes series, partitions or rows of aggwin.metric takes the
 * creation lock first, a heavyweight lock on object 0 of aggwin.series, to the
 * end of the transaction. So no two transactions wait for series of each other.
 */
#include "postgres.h"

#include "metrics/tables.h"

#include "catalog/pg_authid.h"
#include "core/spi_util.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

/* Run statements that make relations, which are to belong to a role; connected to SPI. */
void
aggwin_make_relations(const char *const *creation, int statements, const char *const *relations,
					  int count, Oid owner)
{
	const char *name = pstrdup(quote_identifier(GetUserNameFromId(owner, false)));
	Sandbox		saved;

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_pin("default_table_access_method", "heap");
	for (int i = 0; i < statements; i++)
		aggwin_spi_run(creation[i], SPI_OK_UTILITY);
	for (int i = 0; i < count; i++)
		aggwin_spi_run(psprintf("ALTER %s OWNER TO %s", relations[i], name), SPI_OK_UTILITY);
	aggwin_sandbox_leave(&saved);
}

/* Look them up; false if they are not there. */
bool
aggwin_find_metric_tables(MetricTables *tables)
{
	Oid			schema = aggwin_schema();

	tables->samples = get_relname_relid("samples", schema);
	tables->series = get_relname_relid("series", schema);
	tables->input = get_relname_relid("sample_input", schema);
	if (!OidIsValid(tables->samples) || !OidIsValid(tables->series) ||
		!OidIsValid(tables->input))
		return false;
	tables->owner = aggwin_relation_owner(tables->samples);
	return OidIsValid(tables->owner);
}

/* Look them up; an error if they are not there. */
void
aggwin_metric_tables(MetricTables *tables)
{
	if (!aggwin_find_metric_tables(tables))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("metrics are not enabled in this database"),
				 errhint("Run SELECT aggwin.enable_metrics().")));
}

/* May the current user read all series? */
bool
aggwin_may_read_series(const MetricTables *tables)
{
	return pg_class_aclcheck(tables->series, GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
		check_enable_rls(tables->series, InvalidOid, true) != RLS_ENABLED;
}

/* An error if not. What is asked of metrics is read as the owner, past policies. */
void
aggwin_check_may_read_series(const MetricTables *tables)
{
	if (aggwin_may_read_series(tables))
		return;
	if (pg_class_aclcheck(tables->series, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, "series");
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("row-level security keeps series from you"),
			 errdetail("Questions about metrics are answered for those who may read all of aggwin.series."),
			 errhint("Have a function of the owner's ask, which adds the labels that you may see.")));
}

/*
 * Become the tables' owner, for statements of aggwin's own: a sandbox with less
 * pinned than for what users wrote, which takes as long as to store a sample.
 * aggwin_sandbox_leave() ends it.
 */
void
aggwin_become_owner(Sandbox *saved, const MetricTables *tables)
{
	GetUserIdAndSecContext(&saved->userid, &saved->sec_context);
	SetUserIdAndSecContext(tables->owner, saved->sec_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	saved->guc_level = NewGUCNestLevel();
	aggwin_pin("search_path", "pg_catalog, pg_temp");
	aggwin_pin("row_security", "off");
	aggwin_pin("jit", "off");
}

/* See the head of this file. */
void
aggwin_lock_creation(const MetricTables *tables)
{
	LockDatabaseObject(tables->series, 0, 0, ExclusiveLock);
}

/*
 * Run a statement under the latest snapshot, so that what another transaction has
 * just made is found whatever the isolation level, and keep its plan. Connected
 * to SPI. The number of rows.
 */
uint64
aggwin_run_latest(SPIPlanPtr *plan, const char *sql, int expected, int count,
				  Oid *types, Datum *values)
{
	Snapshot	snapshot;
	int			rc;

	if (*plan == NULL)
		*plan = aggwin_spi_prepare_kept(sql, count, types);

	/* SPI_execute_snapshot() neither takes nor advances a snapshot of its own. */
	snapshot = RegisterSnapshot(GetLatestSnapshot());
	rc = SPI_execute_snapshot(*plan, values, NULL, snapshot, InvalidSnapshot, false, true, 0);
	UnregisterSnapshot(snapshot);
	aggwin_spi_check_kept(plan, rc, expected, sql);
	return SPI_processed;
}

int
aggwin_array_size(Datum array)
{
	ArrayType  *header = DatumGetArrayTypeP(array);

	return ArrayGetNItems(ARR_NDIM(header), ARR_DIMS(header));
}

/*
 * An array of a type of eight bytes that are passed by value. Without a loop
 * over Datums: these are large.
 */
Datum
aggwin_int8_array(const int64 *values, int count, Oid type)
{
	Size		size = ARR_OVERHEAD_NONULLS(1) + count * sizeof(int64);
	ArrayType  *array = palloc(size);

	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->dataoffset = 0;
	array->elemtype = type;
	ARR_DIMS(array)[0] = count;
	ARR_LBOUND(array)[0] = 1;
	memcpy(ARR_DATA_PTR(array), values, count * sizeof(int64));
	return PointerGetDatum(array);
}
