/*
 * events.c - following what is dropped, rewritten and detached
 *
 * sql_drop: a rollup is one thing to its users, so whichever of its relations
 * goes takes the others with it, and the catalog rows. The last rollup of a
 * source takes the triggers. Locking follows a fold's order: the source before
 * the parts; the rollup's own lock is not taken, since a fold that holds it
 * may be waiting for a source that is being dropped here.
 *
 * table_rewrite: since PostgreSQL 17 a generated column can get another
 * expression, which no trigger on rows sees. What was made of it is invalid.
 *
 * ddl_command_start: a partition that is detached concurrently.
 *
 * All of this runs in every command of a database, and hardly ever has anything
 * to do. So each trigger asks first whether it has, and keeps the plans of what
 * it asks. What follows after commands: ddl_end.c.
 */
#include "postgres.h"

#include "rollup/events.h"

#include "rollup/capture_write.h"
#include "rollup/catalog.h"
#include "rollup/partitions.h"
#include "rollup/triggers.h"

#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/event_trigger.h"
#include "core/compat.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(aggwin_on_drop);
PG_FUNCTION_INFO_V1(aggwin_on_ddl_start);
PG_FUNCTION_INFO_V1(aggwin_on_rewrite);

/* An error unless the function was called as an event trigger. */
void
aggwin_check_event_trigger(FunctionCallInfo fcinfo)
{
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("not called by event trigger manager")));
}

/* Make rollups invalid, those whose invalid tables are in the last result. */
void
aggwin_invalidate_result(void)
{
	List	   *invalid = aggwin_spi_column(1);
	ListCell   *lc;

	foreach(lc, invalid)
		aggwin_invalid_write_all(lfirst_oid(lc));
}

/* Follow the partitions of the sources in the last result. */
void
aggwin_follow_result(void)
{
	List	   *sources = aggwin_spi_column(1);
	ListCell   *lc;

	foreach(lc, sources)
		aggwin_follow_partitions(lfirst_oid(lc), FOLLOW_DDL);
}

/*
 * Enable the triggers in the last result: columns table, trigger, both as SQL
 * would write them, and ALWAYS or REPLICA.
 */
void
aggwin_enable_result(void)
{
	SPITupleTable *table = SPI_tuptable;
	uint64		triggers = SPI_processed;

	for (uint64 i = 0; i < triggers; i++)
		aggwin_spi_run(psprintf("ALTER TABLE %s ENABLE %s TRIGGER %s",
								SPI_getvalue(table->vals[i], table->tupdesc, 1),
								SPI_getvalue(table->vals[i], table->tupdesc, 3),
								SPI_getvalue(table->vals[i], table->tupdesc, 2)),
					   SPI_OK_UTILITY);
}

/* sql_drop ---------------------------------------------------------------- */

static void
add_if_exists(ObjectAddresses *objects, Oid relid)
{
	ObjectAddress address;

	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		return;
	ObjectAddressSet(address, RelationRelationId, relid);
	add_exact_object_address(&address, objects);
}

/* The relations of the tiers from a level on. */
static void
add_tiers(ObjectAddresses *objects, List *tiers, int level)
{
	ListCell   *lc;

	foreach(lc, tiers)
	{
		const Tier *tier = lfirst(lc);

		if (tier->level < level)
			continue;
		add_if_exists(objects, tier->view_relid);
		add_if_exists(objects, tier->state_relid);
		add_if_exists(objects, tier->delta_relid);
	}
}

static void
drop_remains(int32 rollup_id)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(rollup_id)};
	ObjectAddresses *objects = new_object_addresses();
	bool		source_exists;
	RollupRow	row;
	List	   *tiers;

	if (!aggwin_find_rollup(rollup_id, &row))
		return;
	tiers = aggwin_tiers_of(&row);
	LockRelationOid(row.source, AccessExclusiveLock);
	source_exists = SearchSysCacheExists1(RELOID, ObjectIdGetDatum(row.source));

	/* A session with replication role "replica" does not follow foreign keys. */
	aggwin_spi_run_args("DELETE FROM aggwin.failure WHERE rollup_id = $1",
						SPI_OK_DELETE, 1, types, values, NULL);
	aggwin_spi_run_args("DELETE FROM aggwin.source_partition WHERE rollup_id = $1",
						SPI_OK_DELETE, 1, types, values, NULL);
	aggwin_spi_run_args("DELETE FROM aggwin.tier WHERE rollup_id = $1",
						SPI_OK_DELETE, 1, types, values, NULL);
	aggwin_spi_run_args("DELETE FROM aggwin.rollup WHERE rollup_id = $1",
						SPI_OK_DELETE, 1, types, values, NULL);
	CommandCounterIncrement();
	add_if_exists(objects, row.view);
	add_if_exists(objects, row.definition);
	add_if_exists(objects, row.state);
	add_if_exists(objects, row.delta);
	add_if_exists(objects, row.invalid);
	add_tiers(objects, tiers, 1);
	performMultipleDeletions(objects, DROP_CASCADE, PERFORM_DELETION_INTERNAL);
	free_object_addresses(objects);

	if (source_exists)
	{
		if (aggwin_rollups_of(row.source) == NIL)
		{
			ListCell   *lc;

			foreach(lc, find_all_inheritors(row.source, AccessExclusiveLock, NULL))
				aggwin_drop_triggers(lfirst_oid(lc));
		}
		CacheInvalidateRelcacheByRelid(row.source);
	}
}

/* What was lost of a tier takes the rest of it, and the tiers above it. */
static void
drop_tiers(int32 rollup_id, int level)
{
	Oid			types[] = {INT4OID, INT2OID};
	Datum		values[] = {Int32GetDatum(rollup_id), Int16GetDatum(level)};
	ObjectAddresses *objects = new_object_addresses();
	RollupRow	row;
	List	   *tiers;
	Sandbox		saved;

	if (!aggwin_find_rollup(rollup_id, &row))
		return;
	tiers = aggwin_tiers_of(&row);
	aggwin_spi_run_args("DELETE FROM aggwin.failure WHERE rollup_id = $1 AND level >= $2",
						SPI_OK_DELETE, 2, types, values, NULL);
	aggwin_spi_run_args("DELETE FROM aggwin.tier WHERE rollup_id = $1 AND level >= $2",
						SPI_OK_DELETE, 2, types, values, NULL);
	aggwin_sandbox_enter(&saved, aggwin_rollup_owner(&row), true);
	aggwin_spi_run_args(psprintf("DELETE FROM %s WHERE level >= $2 AND $1 IS NOT NULL",
								 aggwin_relation_name(row.invalid)),
						SPI_OK_DELETE, 2, types, values, NULL);
	aggwin_sandbox_leave(&saved);
	CommandCounterIncrement();
	add_tiers(objects, tiers, level);
	performMultipleDeletions(objects, DROP_CASCADE, PERFORM_DELETION_INTERNAL);
	free_object_addresses(objects);
}

/*
 * A trigger was dropped while its table still has rollups, by hand or by a
 * restore that is about to drop the rest: they fall dormant. Read as text,
 * because the table may be gone as well.
 */
static void
make_dormant_by_drop(void)
{
	static KeptSql orphaned = {
		.sql = "SELECT DISTINCT r.invalid::oid FROM pg_event_trigger_dropped_objects() AS d"
		" JOIN aggwin.rollup AS r"
		" ON r.source = " ROOT_OF("to_regclass(format('%I.%I', d.address_names[1], d.address_names[2]))")
		" WHERE d.object_type = 'trigger' AND starts_with(d.address_names[3], 'aggwin_capture_')"
		" AND (d.address_names[3] <> 'aggwin_capture_row' OR NOT aggwin.captures_everything(r.source))"
		" AND " TAKEN_UP,
	};

	aggwin_spi_run_kept(&orphaned, SPI_OK_SELECT, NULL);
	aggwin_invalidate_result();
}

/*
 * Rollups and tiers that have lost a relation: also those that went without this
 * trigger, as with a session's end.
 */
static void
drop_what_is_not_whole(void)
{
	List	   *gone;
	List	   *levels;
	ListCell   *lc;
	ListCell   *level;

	aggwin_spi_run("SELECT r.rollup_id FROM aggwin.rollup AS r WHERE"
				   " (SELECT count(*) FROM pg_class AS c WHERE c.oid IN"
				   " (r.view, r.definition, r.state, r.delta, r.invalid, r.source)) < 6",
				   SPI_OK_SELECT);
	gone = aggwin_spi_column(1);
	foreach(lc, gone)
		drop_remains((int32) lfirst_oid(lc));

	aggwin_spi_run("SELECT t.rollup_id, min(t.level)::int FROM aggwin.tier AS t WHERE t.level > 0 AND"
				   " (SELECT count(*) FROM pg_class AS c WHERE c.oid IN (t.view, t.state, t.delta)) < 3"
				   " GROUP BY 1", SPI_OK_SELECT);
	gone = aggwin_spi_column(1);
	levels = aggwin_spi_column(2);
	forboth(lc, gone, level, levels)
		drop_tiers((int32) lfirst_oid(lc), (int) lfirst_oid(level));
}

/* Partitions of sources that are gone. */
static void
follow_dropped_partitions(void)
{
	static KeptSql sources = {
		.sql = "SELECT DISTINCT r.source::oid FROM pg_event_trigger_dropped_objects() AS d"
		" JOIN aggwin.source_partition AS p ON p.relid = d.objid"
		" JOIN aggwin.rollup AS r ON r.rollup_id = p.rollup_id"
		" WHERE d.classid = 'pg_class'::regclass",
	};

	aggwin_spi_run_kept(&sources, SPI_OK_SELECT, NULL);
	aggwin_follow_result();
}

Datum
aggwin_on_drop(PG_FUNCTION_ARGS)
{
	PartsSeen	seen;
	Sandbox		saved;

	aggwin_check_event_trigger(fcinfo);
	seen = aggwin_look_at_parts();
	if (!seen.any)
		PG_RETURN_NULL();
	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_spi_connect();
	if (seen.missing)
		drop_what_is_not_whole();
	make_dormant_by_drop();
	follow_dropped_partitions();
	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);
	PG_RETURN_NULL();
}

/* table_rewrite ----------------------------------------------------------- */

Datum
aggwin_on_rewrite(PG_FUNCTION_ARGS)
{
	static KeptSql computed = {
		.sql = "SELECT r.invalid::oid FROM aggwin.rollup AS r"
		" WHERE r.source = " ROOT_OF("pg_event_trigger_table_rewrite_oid()") " AND EXISTS ("
		"SELECT FROM pg_rewrite AS w"
		" JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid"
		" JOIN pg_attribute AS a ON d.refclassid = 'pg_class'::regclass"
		" AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum"
		" WHERE w.ev_class = r.definition AND a.attrelid = r.source AND a.attgenerated <> '')",
	};
	Sandbox		saved;

	aggwin_check_event_trigger(fcinfo);
	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_spi_connect();
	aggwin_spi_run_kept(&computed, SPI_OK_SELECT, NULL);
	aggwin_invalidate_result();
	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);
	PG_RETURN_NULL();
}

/* ddl_command_start ------------------------------------------------------- */

/*
 * ALTER TABLE … DETACH PARTITION … CONCURRENTLY commits while it is under way.
 * What it detaches is frozen before. If it fails for whatever reason, that is
 * undone with it; so only a table that could be meant is looked for.
 */
static void
freeze_before_detach(AlterTableStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
		PartitionCmd *detach = (PartitionCmd *) cmd->def;
		Oid			parent;
		Oid			partition;
		List	   *ancestors;

		if (cmd->subtype != AT_DetachPartition || !detach->concurrent)
			continue;
		parent = RangeVarGetRelid(stmt->relation, NoLock, true);
		partition = RangeVarGetRelid(detach->name, NoLock, true);
		if (!OidIsValid(parent) || !OidIsValid(partition) ||
			!compat_owns_relation(parent, GetUserId()))
			continue;
		ancestors = get_partition_ancestors(partition);
		if (ancestors != NIL && linitial_oid(ancestors) == parent)
			aggwin_freeze_partition(partition, llast_oid(ancestors));
	}
}

Datum
aggwin_on_ddl_start(PG_FUNCTION_ARGS)
{
	EventTriggerData *event;

	aggwin_check_event_trigger(fcinfo);
	event = (EventTriggerData *) fcinfo->context;
	if (IsA(event->parsetree, AlterTableStmt))
	{
		aggwin_spi_connect();
		freeze_before_detach((AlterTableStmt *) event->parsetree);
		aggwin_spi_finish();
	}
	PG_RETURN_NULL();
}
