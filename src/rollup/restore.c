/*
 * restore.c - rollups that come out of a dump
 *
 * A dump holds the catalog rows of rollups (the tables are marked for it), their
 * tables and their triggers. What it says of transactions means nothing in
 * another cluster, and its parts arrive one after the other:
 *
 *      tables, views │ rows of the catalog, of sources, of rollups │ indexes, triggers
 *      ──────────────┼─────────────────────────────────────────────┼─────────────────▶
 *                    │ "folded" is NULL: the view answers          │ taken up
 *                    │ from the source, folds pass by              │
 *
 * A trigger on aggwin.tier forgets "folded" of each row that create_rollup() did
 * not insert. A rollup without it is taken up when its indexes, its guards and all
 * four triggers of its source are there: by the command that brings the last of
 * them or the row, or by a fold. A restore makes indexes and triggers of a table,
 * even where it goes on in parallel, after it has put in the rows, so they tell
 * that the rows are there. "folded" then is a snapshot that sees no transaction at
 * all. All deltas and spans of a dump are pending, since a fold deletes what it
 * merges in the transaction that stores "folded"; so is what has been captured
 * since, and the first fold takes all of it away, and with it all ids of
 * transactions of another cluster.
 *
 * Guards stand on the rollup's own tables. Whoever writes to them and is not
 * aggwin, as a restore of data into tables that are in use, makes everything
 * invalid. Aggwin's own writes run as another user than the session's, in a
 * sandbox (spi_util.c); that is how triggers here tell them from a restore's.
 *
 * Locking: to take up a rollup is to update its row in aggwin.tier. Commands
 * skip a row that is locked, by a fold that does the same. Commands that bring
 * something that rollups wait for hold a lock on object 0 of aggwin.tier to the
 * end of their transaction.
 */
#include "postgres.h"

#include "rollup/restore.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "rollup/capture_write.h"
#include "rollup/events.h"
#include "rollup/partitions.h"
#include "rollup/parts.h"
#include "rollup/triggers.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(aggwin_restore_rollup);
PG_FUNCTION_INFO_V1(aggwin_restore_tier);
PG_FUNCTION_INFO_V1(aggwin_restore_partition);
PG_FUNCTION_INFO_V1(aggwin_take_up_rows);
PG_FUNCTION_INFO_V1(aggwin_guard_table);
PG_FUNCTION_INFO_V1(aggwin_on_restore);
PG_FUNCTION_INFO_V1(aggwin_adopt_rollups);

static void
refuse_call(const char *function)
{
	ereport(ERROR,
			(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg("aggwin.%s() can only be the trigger that aggwin makes", function)));
}

/* Called BEFORE INSERT, for a row of one of the catalog's tables? */
static void
check_called_for_row(FunctionCallInfo fcinfo, const char *function, const char *table)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_BEFORE(trigger->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_BY_INSERT(trigger->tg_event) ||
		RelationGetRelid(trigger->tg_relation) != aggwin_relid(table))
		refuse_call(function);
}

/* Rows of the catalog ----------------------------------------------------- */

static Oid
regclass_column(TriggerData *trigger, const char *column)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	bool		isnull;
	Datum		value = SPI_getbinval(trigger->tg_trigtuple, desc,
									  SPI_fnumber(desc, column), &isnull);

	return isnull ? InvalidOid : DatumGetObjectId(value);
}

static int32
rollup_id_column(TriggerData *trigger)
{
	TupleDesc	desc = RelationGetDescr(trigger->tg_relation);
	bool		isnull;
	Datum		value = SPI_getbinval(trigger->tg_trigtuple, desc,
									  SPI_fnumber(desc, "rollup_id"), &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

/*
 * aggwin.restore_rollup(): BEFORE INSERT trigger on aggwin.rollup. A row that is
 * there already, as where only data are restored, is passed over.
 */
Datum
aggwin_restore_rollup(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	RollupRow	row;
	Oid			source;

	check_called_for_row(fcinfo, "restore_rollup", "rollup");
	if (InLocalUserIdChange())
		return PointerGetDatum(trigger->tg_trigtuple);

	source = regclass_column(trigger, "source");
	if (aggwin_find_rollup(rollup_id_column(trigger), &row) &&
		row.view == regclass_column(trigger, "view") &&
		row.source == source &&
		row.definition == regclass_column(trigger, "definition") &&
		row.state == regclass_column(trigger, "state") &&
		row.delta == regclass_column(trigger, "delta") &&
		row.invalid == regclass_column(trigger, "invalid"))
		return PointerGetDatum(NULL);

	/* The triggers may be there before the rollup is. */
	if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(source)))
		CacheInvalidateRelcacheByRelid(source);
	return PointerGetDatum(trigger->tg_trigtuple);
}

/* Does a query with two arguments have a row? */
static bool
exists(const char *sql, Oid type1, Datum value1, Oid type2, Datum value2)
{
	Oid			types[] = {type1, type2};
	Datum		values[] = {value1, value2};
	Sandbox		saved;
	bool		found;

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_spi_connect();
	found = aggwin_spi_run_args(sql, SPI_OK_SELECT, 2, types, values, NULL) > 0;
	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);
	return found;
}

/*
 * aggwin.restore_tier(): BEFORE INSERT trigger on aggwin.tier. Passes over rows
 * that are there, and forgets the snapshots of others.
 */
Datum
aggwin_restore_tier(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	int			snapshots[2];
	Datum		values[2];
	bool		nulls[2];
	Datum		nothing[] = {0, 0};
	bool		is_null[] = {true, true};

	check_called_for_row(fcinfo, "restore_tier", "tier");
	if (InLocalUserIdChange())
		return PointerGetDatum(trigger->tg_trigtuple);

	desc = RelationGetDescr(trigger->tg_relation);
	values[0] = SPI_getbinval(trigger->tg_trigtuple, desc,
							  SPI_fnumber(desc, "rollup_id"), &nulls[0]);
	values[1] = SPI_getbinval(trigger->tg_trigtuple, desc,
							  SPI_fnumber(desc, "level"), &nulls[1]);
	if (!nulls[0] && !nulls[1] &&
		exists("SELECT FROM aggwin.tier WHERE rollup_id = $1 AND level = $2",
			   INT4OID, values[0], INT2OID, values[1]))
		return PointerGetDatum(NULL);
	snapshots[0] = SPI_fnumber(desc, "folded");
	snapshots[1] = SPI_fnumber(desc, "seen");
	return PointerGetDatum(heap_modify_tuple_by_cols(trigger->tg_trigtuple, desc, lengthof(snapshots),
													 snapshots, nothing, is_null));
}

/*
 * aggwin.restore_partition(): BEFORE INSERT trigger on aggwin.source_partition.
 * Passes over rows that are there, and over all rows of rollups in use: what
 * came and went below their sources has been followed.
 */
Datum
aggwin_restore_partition(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;

	check_called_for_row(fcinfo, "restore_partition", "source_partition");
	if (!InLocalUserIdChange() &&
		exists("SELECT FROM aggwin.source_partition WHERE rollup_id = $1 AND relid = $2"
			   " UNION ALL SELECT FROM aggwin.tier WHERE rollup_id = $1 AND level = 0 AND folded IS NOT NULL",
			   INT4OID, Int32GetDatum(rollup_id_column(trigger)),
			   OIDOID, ObjectIdGetDatum(regclass_column(trigger, "relid"))))
		return PointerGetDatum(NULL);
	return PointerGetDatum(trigger->tg_trigtuple);
}

/* Taking up --------------------------------------------------------------- */

/* Neither state nor anything pending: a dump without the rollup's rows. */
static bool
has_no_rows(const RollupRow *row)
{
	Sandbox		saved;
	bool		isnull;
	bool		result;

	/* Its owner may have put functions into indexes. */
	aggwin_sandbox_enter(&saved, aggwin_rollup_owner(row), true);
	aggwin_spi_run(psprintf("SELECT NOT EXISTS (SELECT FROM %s) AND NOT EXISTS (SELECT FROM %s)"
							" AND NOT EXISTS (SELECT FROM %s)",
							aggwin_relation_name(row->state),
							aggwin_relation_name(row->delta),
							aggwin_relation_name(row->invalid)),
				   SPI_OK_SELECT);
	result = DatumGetBool(aggwin_spi_value(1, &isnull));
	aggwin_sandbox_leave(&saved);
	return result;
}

/* Plans for the table, see parts.c. Not worth a wait. */
static void
reserve_pages(Oid relid)
{
	if (ConditionalLockRelationOid(relid, ShareUpdateExclusiveLock))
		aggwin_reserve_pages(relid);
}

/* Has a table a trigger and, where asked for, an index, or has it had any? */
static bool
has_trigger(Oid relid, bool and_index)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_class) GETSTRUCT(tuple);
	result = form->relhastriggers && (form->relhasindex || !and_index);
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Is it worthwhile to ask whether all of a rollup is there? That is asked for
 * each rollup after each index and trigger of a dump, so what the server's cache
 * can tell comes first: where aggwin.is_complete() is true, so is this.
 */
static bool
may_be_complete(const RollupRow *row)
{
	ListCell   *lc;

	if (!aggwin_tiers_are_whole(row) ||
		!has_trigger(row->source, false) || !has_trigger(row->invalid, true))
		return false;
	foreach(lc, aggwin_tiers_of(row))
	{
		const Tier *tier = lfirst(lc);

		if (!has_trigger(tier->state_relid, true) ||
			!has_trigger(tier->delta_relid, tier->level == 0))
			return false;
	}
	return true;
}

/*
 * Take up a restored rollup if all of it is there; false if not, or if somebody
 * else is about to. Called as superuser, connected to SPI. A fold calls this
 * after it has its snapshot, for it takes a transaction id.
 *
 * Where nothing has been stored, the dump may have left it out: everything is
 * invalid then, and nothing has been counted.
 */
bool
aggwin_take_up(const RollupRow *row)
{
	static KeptSql complete = {
		.sql = "UPDATE aggwin.tier AS t SET folded = '1:1:' FROM ("
		"SELECT u.rollup_id FROM aggwin.tier AS u"
		" WHERE u.rollup_id = $1 AND u.level = 0 AND u.folded IS NULL"
		" AND aggwin.is_complete(u.rollup_id)"
		" FOR UPDATE SKIP LOCKED) AS f"
		" WHERE t.rollup_id = f.rollup_id AND t.level = 0",
		.nargs = 1,
		.types = {INT4OID},
	};
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(row->rollup_id)};

	if (!may_be_complete(row) || aggwin_spi_run_kept(&complete, SPI_OK_UPDATE, values) == 0)
		return false;
	reserve_pages(row->delta);
	reserve_pages(row->invalid);
	aggwin_follow_partitions(row->source, FOLLOW_TAKEN_UP);
	if (!has_no_rows(row))
		return true;

	aggwin_spi_run_args("UPDATE aggwin.tier SET watermark = NULL, rows_folded = 0, late_dropped = 0,"
						" repairs = 0, refused_repairs = 0, backfill_since = NULL,"
						" backfill_done = NULL, backfill_total = NULL,"
						" last_fold = NULL, last_fold_ms = NULL, failures = 0, last_error_at = NULL"
						" WHERE rollup_id = $1", SPI_OK_UPDATE, 1, types, values, NULL);
	aggwin_invalid_write_all(row->invalid);
	return true;
}

static void
take_up_all(void)
{
	static KeptSql waiting = {
		.sql = "SELECT rollup_id FROM aggwin.tier WHERE level = 0 AND folded IS NULL",
	};
	List	   *ids;
	ListCell   *lc;

	aggwin_spi_run_kept(&waiting, SPI_OK_SELECT, NULL);
	ids = aggwin_spi_column(1);
	foreach(lc, ids)
	{
		RollupRow	row;

		if (aggwin_find_rollup((int32) lfirst_oid(lc), &row) && aggwin_rollup_is_whole(&row))
			(void) aggwin_take_up(&row);
	}
}

/*
 * Sessions that restore in parallel come one after the other here, each with all
 * that those before it have committed, so that the last of them finds the rollup
 * complete.
 */
static void
wait_for_others(void)
{
	LockDatabaseObject(aggwin_relid("tier"), 0, 0, ExclusiveLock);
}

/* aggwin.take_up(): trigger after rows were put into the catalog's tables. */
Datum
aggwin_take_up_rows(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Sandbox		saved;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) ||
		RelationGetNamespace(trigger->tg_relation) != aggwin_schema())
		refuse_call("take_up");
	if (InLocalUserIdChange())
		return PointerGetDatum(NULL);
	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	wait_for_others();
	aggwin_spi_connect();
	take_up_all();
	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);
	return PointerGetDatum(NULL);
}

/* What restores disable around the rows of a table of aggwin's own is enabled at once. */
static void
keep_triggers_enabled(void)
{
	static KeptSql disabled = {
		.sql = "SELECT DISTINCT t.tgrelid::regclass::text, quote_ident(t.tgname), 'ALWAYS'"
		" FROM pg_event_trigger_ddl_commands() AS d"
		" JOIN pg_trigger AS t ON t.tgrelid = d.objid"
		" JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_proc AS f ON f.oid = t.tgfoid"
		" WHERE d.classid = 'pg_class'::regclass AND t.tgenabled <> 'A' AND NOT t.tgisinternal"
		" AND c.relnamespace = 'aggwin'::regnamespace AND f.pronamespace = 'aggwin'::regnamespace",
	};

	aggwin_spi_run_kept(&disabled, SPI_OK_SELECT, NULL);
	aggwin_enable_result();
}

/* Did the command make an index or trigger that a rollup needs? */
static bool
made_a_part(void)
{
	static KeptSql parts = {
		.sql = "SELECT FROM pg_event_trigger_ddl_commands() AS d"
		" LEFT JOIN pg_trigger AS t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid"
		" LEFT JOIN pg_class AS i ON d.classid = 'pg_class'::regclass AND i.oid = d.objid"
		" WHERE t.tgfoid IN ('aggwin.capture()'::regprocedure, 'aggwin.guard()'::regprocedure)"
		" OR (d.command_tag = 'CREATE INDEX' AND i.relnamespace = 'aggwin'::regnamespace)",
	};

	return aggwin_spi_run_kept(&parts, SPI_OK_SELECT, NULL) > 0;
}

/*
 * aggwin.on_restore(): event trigger after commands that a restore ends with.
 * Not for those of aggwin's own.
 */
Datum
aggwin_on_restore(PG_FUNCTION_ARGS)
{
	Sandbox		saved;

	aggwin_check_event_trigger(fcinfo);
	if (InLocalUserIdChange())
		PG_RETURN_NULL();
	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_spi_connect();
	keep_triggers_enabled();
	if (made_a_part())
		wait_for_others();
	take_up_all();
	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);
	PG_RETURN_NULL();
}

/* Adopting ---------------------------------------------------------------- */

static void
adopt(Oid source, Oid user)
{
	List	   *tables;
	List	   *rollups;
	ListCell   *lc;

	if (pg_class_aclcheck(source, user, ACL_TRIGGER) != ACLCHECK_OK)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for table %s", get_rel_name(source)),
				 errdetail("To adopt its rollups needs the privilege TRIGGER on it.")));
	LockRelationOid(source, ShareRowExclusiveLock);
	tables = find_all_inheritors(source, ShareRowExclusiveLock, NULL);
	rollups = aggwin_rollups_of(source);
	if (rollups == NIL)
		return;
	foreach(lc, tables)
		aggwin_create_triggers(lfirst_oid(lc));
	aggwin_follow_subscriptions(source);

	/* Who knows what happened to the source meanwhile? */
	foreach(lc, rollups)
	{
		RollupRow  *row = lfirst(lc);

		if (aggwin_rollup_is_whole(row))
			aggwin_invalid_write_all(row->invalid);
	}
	CacheInvalidateRelcacheByRelid(source);
}

/*
 * aggwin.adopt_rollups(): the sources of the caller's rollups get the triggers
 * back that they miss or that are disabled, and their rollups are computed anew.
 * Returns the number of those rollups.
 */
Datum
aggwin_adopt_rollups(PG_FUNCTION_ARGS)
{
	Oid			user = GetUserId();
	Oid			types[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(user)};
	List	   *sources;
	ListCell   *lc;
	int			count = 0;
	Sandbox		saved;

	PreventCommandIfReadOnly("aggwin.adopt_rollups()");
	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_spi_connect();
	aggwin_spi_run_args("SELECT DISTINCT r.source FROM aggwin.rollup AS r"
						" JOIN pg_class AS v ON v.oid = r.view JOIN pg_class AS s ON s.oid = r.source"
						" WHERE pg_has_role($1, v.relowner, 'USAGE')"
						" AND NOT aggwin.captures_everything(r.source) ORDER BY r.source",
						SPI_OK_SELECT, 1, types, values, NULL);
	sources = aggwin_spi_column(1);
	foreach(lc, sources)
	{
		adopt(lfirst_oid(lc), user);
		count += list_length(aggwin_rollups_of(lfirst_oid(lc)));
	}
	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);
	PG_RETURN_INT32(count);
}

/* Guards ------------------------------------------------------------------ */

/*
 * The table of spans of the rollup that relid is a table of. Where the rollup is
 * yet to be restored, and only the data are missing, its name helps.
 */
static Oid
spans_of(Oid relid, const char *name)
{
	Oid			types[] = {OIDOID, TEXTOID};
	Datum		values[] = {ObjectIdGetDatum(relid), CStringGetTextDatum(name)};
	Oid			result = InvalidOid;
	bool		isnull;
	Sandbox		saved;

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_spi_connect();
	aggwin_spi_run_args("SELECT coalesce((SELECT r.invalid::oid FROM aggwin.rollup AS r"
						" WHERE $1 IN (r.state, r.delta, r.invalid) OR EXISTS ("
						"SELECT FROM aggwin.tier AS t"
						" WHERE t.rollup_id = r.rollup_id AND $1 IN (t.state, t.delta))),"
						" (SELECT i.oid FROM pg_class AS i JOIN pg_class AS p USING (relnamespace, relowner)"
						" WHERE p.oid = $1 AND i.relname = $2 AND i.relnamespace = 'aggwin'::regnamespace))",
						SPI_OK_SELECT, 2, types, values, NULL);
	result = DatumGetObjectId(aggwin_spi_value(1, &isnull));
	if (isnull)
		result = InvalidOid;
	aggwin_spi_finish();
	aggwin_sandbox_leave(&saved);
	return result;
}

/*
 * aggwin.guard(spans): trigger on a rollup's own tables. Makes everything invalid
 * unless the statement is aggwin's own.
 */
Datum
aggwin_guard_table(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	Oid			spans;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_STATEMENT(trigger->tg_event) ||
		trigger->tg_trigger->tgnargs != 1)
		refuse_call("guard");
	if (InLocalUserIdChange())
		return PointerGetDatum(NULL);

	spans = spans_of(RelationGetRelid(trigger->tg_relation), trigger->tg_trigger->tgargs[0]);
	if (OidIsValid(spans))
		aggwin_invalid_write_all(spans);
	return PointerGetDatum(NULL);
}
