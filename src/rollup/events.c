/*
 * events.c - following DDL on sources and rollups
 *
 * sql_drop: a rollup is one thing to its users, so whichever of its relations
 * goes takes the others with it, and the catalog rows. The last rollup of a
 * source takes the triggers. Locking follows a fold's order: the source before
 * the parts; the rollup's own lock is not taken, since a fold that holds it
 * may be waiting for a source that is being dropped here.
 *
 * ddl_command_end: changes after which capture could not see all rows are
 * refused. Where a trigger is disabled, replaced or dropped, the rollups of the
 * source fall dormant: everything is invalid until the triggers are back (fold.c). A
 * new owner of the view becomes owner of all the parts.
 *
 * table_rewrite: since PostgreSQL 17 a generated column can get another
 * expression, which no trigger on rows sees. What was made of it is invalid.
 */
#include "postgres.h"

#include "rollup/capture_write.h"
#include "rollup/ddl.h"
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
PG_FUNCTION_INFO_V1(aggwin_on_ddl);
PG_FUNCTION_INFO_V1(aggwin_on_ddl_start);
PG_FUNCTION_INFO_V1(aggwin_on_rewrite);

/* SQL: the table that a table is a partition of, on whatever level, or itself */
#define ROOT_OF(table) "coalesce(pg_partition_root(" table "), " table ")"

static void
check_called_as_event_trigger(FunctionCallInfo fcinfo)
{
	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("not called by event trigger manager")));
}

/* Copy a column of OIDs or integers of all rows of the last result. */
static List *
result_column(int column)
{
	List	   *values = NIL;

	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[i],
										  SPI_tuptable->tupdesc, column, &isnull);

		values = lappend_oid(values, DatumGetObjectId(value));
	}
	return values;
}

/*
 * A rollup of a dump has no "folded" until all of it is there (restore.c). It
 * answers from the source, and what it has stored is as good as in the dump.
 */
#define TAKEN_UP \
	"EXISTS (SELECT FROM aggwin.tier AS t" \
	" WHERE t.rollup_id = r.rollup_id AND t.level = 0 AND t.folded IS NOT NULL)"

/* Make rollups invalid, those whose invalid tables are in the last result. */
static void
invalidate_result(void)
{
	List	   *invalid = result_column(1);
	ListCell   *lc;

	foreach(lc, invalid)
		aggwin_invalid_write_all(lfirst_oid(lc));
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

/* Follow the partitions of the sources in the last result. */
static void
follow_result(void)
{
	List	   *sources = result_column(1);
	ListCell   *lc;

	foreach(lc, sources)
		aggwin_follow_partitions(lfirst_oid(lc), FOLLOW_DDL);
}

/*
 * A trigger was dropped while its table still has rollups, by hand or by a
 * restore that is about to drop the rest: they fall dormant. Read as text,
 * because the table may be gone as well.
 */
static void
make_dormant_by_drop(void)
{
	aggwin_spi_run("SELECT DISTINCT r.invalid::oid FROM pg_event_trigger_dropped_objects() AS d"
				   " JOIN aggwin.rollup AS r"
				   " ON r.source = " ROOT_OF("to_regclass(format('%I.%I', d.address_names[1], d.address_names[2]))")
				   " WHERE d.object_type = 'trigger' AND starts_with(d.address_names[3], 'aggwin_capture_')"
				   " AND (d.address_names[3] <> 'aggwin_capture_row' OR NOT aggwin.captures_everything(r.source))"
				   " AND " TAKEN_UP, SPI_OK_SELECT);
	invalidate_result();
}

Datum
aggwin_on_drop(PG_FUNCTION_ARGS)
{
	Sandbox		saved;
	List	   *gone;
	List	   *levels;
	ListCell   *lc;
	ListCell   *level;

	check_called_as_event_trigger(fcinfo);
	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_spi_connect();

	/* Also of rollups that went without this trigger, as with a session's end. */
	aggwin_spi_run("SELECT r.rollup_id FROM aggwin.rollup AS r WHERE"
				   " (SELECT count(*) FROM pg_class AS c WHERE c.oid IN"
				   " (r.view, r.definition, r.state, r.delta, r.invalid, r.source)) < 6",
				   SPI_OK_SELECT);
	gone = result_column(1);
	foreach(lc, gone)
		drop_remains((int32) lfirst_oid(lc));

	aggwin_spi_run("SELECT t.rollup_id, min(t.level)::int FROM aggwin.tier AS t WHERE t.level > 0 AND"
				   " (SELECT count(*) FROM pg_class AS c WHERE c.oid IN (t.view, t.state, t.delta)) < 3"
				   " GROUP BY 1", SPI_OK_SELECT);
	gone = result_column(1);
	levels = result_column(2);
	forboth(lc, gone, level, levels)
		drop_tiers((int32) lfirst_oid(lc), (int) lfirst_oid(level));

	make_dormant_by_drop();

	aggwin_spi_run("SELECT DISTINCT r.source::oid FROM pg_event_trigger_dropped_objects() AS d"
				   " JOIN aggwin.source_partition AS p ON p.relid = d.objid"
				   " JOIN aggwin.rollup AS r ON r.rollup_id = p.rollup_id"
				   " WHERE d.classid = 'pg_class'::regclass", SPI_OK_SELECT);
	follow_result();

	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);
	PG_RETURN_NULL();
}

/* table_rewrite ----------------------------------------------------------- */

Datum
aggwin_on_rewrite(PG_FUNCTION_ARGS)
{
	Sandbox		saved;

	check_called_as_event_trigger(fcinfo);
	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_spi_connect();
	aggwin_spi_run("SELECT r.invalid::oid FROM aggwin.rollup AS r"
				   " WHERE r.source = " ROOT_OF("pg_event_trigger_table_rewrite_oid()") " AND EXISTS ("
				   "SELECT FROM pg_rewrite AS w"
				   " JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid"
				   " JOIN pg_attribute AS a ON d.refclassid = 'pg_class'::regclass"
				   " AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum"
				   " WHERE w.ev_class = r.definition AND a.attrelid = r.source AND a.attgenerated <> '')",
				   SPI_OK_SELECT);
	invalidate_result();
	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);
	PG_RETURN_NULL();
}

/* ddl_command_end --------------------------------------------------------- */

/* Every relation of every rollup, with its first view and the view that shows it. */
#define ROLLUP_PARTS \
	"(SELECT r.view AS base, r.view AS shown," \
	" unnest(ARRAY[r.view, r.definition, r.state, r.delta, r.invalid])::oid AS relid FROM aggwin.rollup AS r" \
	" UNION ALL SELECT r.view, t.view, unnest(ARRAY[t.view, t.state, t.delta])::oid" \
	" FROM aggwin.rollup AS r JOIN aggwin.tier AS t ON t.rollup_id = r.rollup_id WHERE t.level > 0)"

/* Parts whose owner is not the view's. */
static void
follow_owners(void)
{
	uint64		parts;
	SPITupleTable *table;

	parts = aggwin_spi_run("SELECT p.oid::regclass::text, v.relowner::regrole::text FROM " ROLLUP_PARTS " AS part"
						   " JOIN pg_class AS v ON v.oid = part.base"
						   " JOIN pg_class AS p ON p.oid = part.relid"
						   " WHERE p.relowner <> v.relowner", SPI_OK_SELECT);
	table = SPI_tuptable;
	for (uint64 i = 0; i < parts; i++)
		aggwin_spi_run(psprintf("ALTER TABLE %s OWNER TO %s",
								SPI_getvalue(table->vals[i], table->tupdesc, 1),
								SPI_getvalue(table->vals[i], table->tupdesc, 2)),
					   SPI_OK_UTILITY);
}

/*
 * Tables that the command was about, directly or through a trigger, and what
 * would be their source.
 */
#define TOUCHED_TABLES \
	"(SELECT t.relid, t.tgoid, " ROOT_OF("t.relid") "::oid AS source FROM (" \
	"SELECT CASE d.classid WHEN 'pg_trigger'::regclass THEN t.tgrelid ELSE d.objid END AS relid, t.oid AS tgoid" \
	" FROM pg_event_trigger_ddl_commands() AS d" \
	" LEFT JOIN pg_trigger AS t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid" \
	" WHERE d.classid IN ('pg_class'::regclass, 'pg_trigger'::regclass)) AS t)"

/* Sources that would not be accepted today; the check tells why. */
static void
refuse_bad_sources(void)
{
	List	   *sources;
	List	   *partitions;
	ListCell   *lc;

	aggwin_spi_run("SELECT DISTINCT r.source::oid FROM " TOUCHED_TABLES " AS d, aggwin.rollup AS r"
				   " JOIN pg_class AS c ON c.oid = r.source"
				   " WHERE (d.relid = r.source"
				   " AND (c.relrowsecurity OR c.relispartition OR c.relpersistence <> 'p'"
				   " OR EXISTS (SELECT FROM pg_inherits AS i WHERE r.source IN (i.inhparent, i.inhrelid))))"
				   " OR (d.source <> r.source AND EXISTS (SELECT FROM pg_inherits AS i"
				   " WHERE (i.inhrelid, i.inhparent) IN ((d.relid, r.source), (r.source, d.relid))))",
				   SPI_OK_SELECT);
	sources = result_column(1);
	aggwin_spi_run("SELECT DISTINCT d.relid FROM " TOUCHED_TABLES " AS d"
				   " JOIN aggwin.rollup AS r ON r.source = d.source"
				   " WHERE d.relid <> r.source", SPI_OK_SELECT);
	partitions = result_column(1);
	foreach(lc, sources)
		aggwin_check_source(lfirst_oid(lc));
	foreach(lc, partitions)
		aggwin_check_partition(lfirst_oid(lc));
}

/* Sources that a subscription may have begun to write to. */
static void
follow_subscriptions(void)
{
	List	   *sources;
	ListCell   *lc;

	aggwin_spi_run("SELECT DISTINCT r.source::oid FROM pg_event_trigger_ddl_commands() AS d, aggwin.rollup AS r"
				   " WHERE d.classid = 'pg_subscription'::regclass UNION "
				   "SELECT r.source::oid FROM " TOUCHED_TABLES " AS d JOIN aggwin.rollup AS r ON r.source = d.source",
				   SPI_OK_SELECT);
	sources = result_column(1);
	foreach(lc, sources)
		aggwin_follow_subscriptions(lfirst_oid(lc));
}

/* One trigger an event, under its own name: more would count rows twice. */
static void
refuse_own_triggers(void)
{
	/* tgtype of an AFTER trigger: the bits of its events, 1 for each row */
	if (aggwin_spi_run("SELECT FROM " TOUCHED_TABLES " AS d"
					   " JOIN pg_trigger AS t ON t.oid = d.tgoid"
					   " WHERE t.tgfoid IN ('aggwin.capture()'::regprocedure, 'aggwin.capture_row()'::regprocedure)"
					   " AND (t.tgqual IS NOT NULL OR"
					   " (t.tgfoid = 'aggwin.capture()'::regprocedure) IS DISTINCT FROM (t.tgname <> 'aggwin_capture_row') OR"
					   " (t.tgname, t.tgtype, coalesce(t.tgoldtable, ''), coalesce(t.tgnewtable, '')) NOT IN ("
					   "('aggwin_capture_insert', 4, '', '" AGGWIN_NEW_ROWS "'),"
					   " ('aggwin_capture_delete', 8, '" AGGWIN_OLD_ROWS "', ''),"
					   " ('aggwin_capture_update', 16, '" AGGWIN_OLD_ROWS "', '" AGGWIN_NEW_ROWS "'),"
					   " ('aggwin_capture_truncate', 32, '', ''),"
					   " ('aggwin_capture_row', 29, '', '')))",
					   SPI_OK_SELECT) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("triggers that call aggwin.capture() or aggwin.capture_row() are made by aggwin only"),
				 errhint("Their names and definitions cannot be changed.")));
}

/*
 * Whoever enables a capture trigger again means it to fire in all sessions, the
 * one for rows where subscriptions are applied.
 */
static void
enable_always(void)
{
	SPITupleTable *table;
	uint64		triggers;

	triggers = aggwin_spi_run("SELECT DISTINCT t.tgrelid::regclass::text, quote_ident(t.tgname),"
							  " CASE t.tgfoid WHEN 'aggwin.capture()'::regprocedure THEN 'ALWAYS' ELSE 'REPLICA' END"
							  " FROM " TOUCHED_TABLES " AS d"
							  " JOIN aggwin.rollup AS r ON r.source = d.source"
							  " JOIN pg_trigger AS t ON t.tgrelid = d.relid"
							  " WHERE t.tgfoid IN ('aggwin.capture()'::regprocedure, 'aggwin.capture_row()'::regprocedure)"
							  " AND t.tgenabled = 'O'",
							  SPI_OK_SELECT);
	table = SPI_tuptable;
	for (uint64 i = 0; i < triggers; i++)
		aggwin_spi_run(psprintf("ALTER TABLE %s ENABLE %s TRIGGER %s",
								SPI_getvalue(table->vals[i], table->tupdesc, 1),
								SPI_getvalue(table->vals[i], table->tupdesc, 3),
								SPI_getvalue(table->vals[i], table->tupdesc, 2)),
					   SPI_OK_UTILITY);
}

/*
 * Rollups whose source no longer captures everything: all is invalid. Written
 * each time, also where a row says so already: a fold that does not know of
 * this command yet may be about to take that one away.
 */
static void
make_dormant(void)
{
	aggwin_spi_run("SELECT DISTINCT r.invalid::oid FROM " TOUCHED_TABLES " AS d"
				   " JOIN aggwin.rollup AS r ON r.source = d.source"
				   " WHERE NOT aggwin.captures_everything(r.source) AND " TAKEN_UP, SPI_OK_SELECT);
	invalidate_result();
}

/* The one view that aggwin itself is about to replace. */
static Oid	replaced_view = InvalidOid;

/* Replace a view of a rollup by this command. */
void
aggwin_replace_view(Oid view, const char *sql)
{
	replaced_view = view;
	PG_TRY();
	{
		aggwin_spi_run(sql, SPI_OK_UTILITY);
	}
	PG_FINALLY();
	{
		replaced_view = InvalidOid;
	}
	PG_END_TRY();
}

/*
 * CREATE OR REPLACE VIEW, or RULE "_RETURN", on a rollup's view would show
 * something else, and on its definition compute what nobody has checked.
 * Before PostgreSQL 16, such a rule even makes a view of an empty table.
 */
static void
refuse_replaced_views(void)
{
	Oid			types[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(replaced_view)};

	if (aggwin_spi_run_args("SELECT part.shown::oid FROM pg_event_trigger_ddl_commands() AS d"
							" LEFT JOIN pg_rewrite AS w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid"
							" JOIN " ROLLUP_PARTS " AS part"
							" ON part.relid = CASE WHEN d.classid = 'pg_class'::regclass AND d.command_tag = 'CREATE VIEW'"
							" THEN d.objid WHEN w.ev_type = '1' THEN w.ev_class END"
							" WHERE part.relid <> $1",
							SPI_OK_SELECT, 1, types, values, NULL) == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot replace view %s, which shows a rollup",
					aggwin_relation_name(linitial_oid(result_column(1)))),
			 errhint("Use aggwin.drop_rollup() and aggwin.create_rollup().")));
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

	check_called_as_event_trigger(fcinfo);
	event = (EventTriggerData *) fcinfo->context;
	if (IsA(event->parsetree, AlterTableStmt))
	{
		aggwin_spi_connect();
		freeze_before_detach((AlterTableStmt *) event->parsetree);
		aggwin_spi_finish();
	}
	PG_RETURN_NULL();
}

/* ddl_command_end, all of it ---------------------------------------------- */

Datum
aggwin_on_ddl(PG_FUNCTION_ARGS)
{
	Sandbox		saved;

	check_called_as_event_trigger(fcinfo);
	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_spi_connect();

	refuse_bad_sources();
	aggwin_spi_run("SELECT DISTINCT d.source FROM " TOUCHED_TABLES " AS d"
				   " JOIN pg_class AS c ON c.oid = d.source WHERE c.relkind = 'p'", SPI_OK_SELECT);
	follow_result();
	follow_subscriptions();
	refuse_own_triggers();
	refuse_replaced_views();
	enable_always();
	make_dormant();
	follow_owners();

	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);
	PG_RETURN_NULL();
}
