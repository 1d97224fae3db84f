/*
 * capture_applied.c - capture of rows that logical replication applies
 *
 * The apply worker of a subscription changes tables row by row, without
 * statements: of INSERT, UPDATE and DELETE only row triggers fire. So the tables
 * of a subscription get one more, which takes each row for a statement of its
 * own. It acts in that one case alone, for in any other the statement's trigger
 * fires, too:
 *
 *   the initial copy             is a COPY, although a subscription's worker does it
 *   what other triggers do       are statements, also in the worker
 *   TRUNCATE                     the worker fires the statement's trigger
 *
 * On a partitioned table it is the server that gives partitions the trigger.
 */
#include "postgres.h"

#include "rollup/capture.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_subscription_rel.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "replication/logicalworker.h"
#include "replication/worker_internal.h"
#include "rollup/catalog.h"
#include "rollup/sql.h"
#include "rollup/triggers.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

PG_FUNCTION_INFO_V1(aggwin_capture_row);
PG_FUNCTION_INFO_V1(aggwin_capture_rows);

/* The trigger ------------------------------------------------------------- */

/* Is this a row that the worker of a subscription applies? */
static bool
is_applied(void)
{
	return IsLogicalWorker() &&
		MyLogicalRepWorker->relstate != SUBREL_STATE_DATASYNC &&
		DatumGetInt32(OidFunctionCall0(F_PG_TRIGGER_DEPTH)) == 1;
}

static Tuplestorestate *
store_of(TupleTableSlot *slot)
{
	Tuplestorestate *store = tuplestore_begin_heap(false, false, work_mem);

	tuplestore_puttupleslot(store, slot);
	return store;
}

/* aggwin.capture_row(): AFTER ROW of INSERT, UPDATE and DELETE. */
Datum
aggwin_capture_row(PG_FUNCTION_ARGS)
{
	TriggerData *row = (TriggerData *) fcinfo->context;
	TriggerData statement;
	Trigger		trigger;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(row->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(row->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("aggwin.capture_row() can only be the trigger that aggwin.capture_rows() makes")));
	if (!is_applied())
		return PointerGetDatum(NULL);

	/* What the trigger of a statement with this row alone would be given. */
	statement = *row;
	statement.tg_event &= ~TRIGGER_EVENT_ROW;
	statement.tg_updatedcols = NULL;
	trigger = *row->tg_trigger;
	statement.tg_trigger = &trigger;
	if (!TRIGGER_FIRED_BY_INSERT(row->tg_event))
	{
		statement.tg_oldtable = store_of(row->tg_trigslot);
		trigger.tgoldtable = AGGWIN_OLD_ROWS;
	}
	if (!TRIGGER_FIRED_BY_DELETE(row->tg_event))
	{
		statement.tg_newtable = store_of(TRIGGER_FIRED_BY_UPDATE(row->tg_event)
										 ? row->tg_newslot : row->tg_trigslot);
		trigger.tgnewtable = AGGWIN_NEW_ROWS;
	}
	aggwin_capture_changes(&statement);
	if (statement.tg_oldtable != NULL)
		tuplestore_end(statement.tg_oldtable);
	if (statement.tg_newtable != NULL)
		tuplestore_end(statement.tg_newtable);
	return PointerGetDatum(NULL);
}

/* Having the trigger ------------------------------------------------------ */

static bool
is_subscribed(Oid table)
{
	Relation	catalog = table_open(SubscriptionRelRelationId, AccessShareLock);
	bool		found;
	SysScanDesc scan;
	ScanKeyData key[1];

	ScanKeyInit(&key[0], Anum_pg_subscription_rel_srrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(table));
	scan = systable_beginscan(catalog, SubscriptionRelSrrelidSrsubidIndexId, true, NULL, 1, key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

/* The first table of a source that a subscription writes to, if there is one. */
static Oid
subscribed_table(Oid source)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(source, NoLock, NULL))
	{
		if (is_subscribed(lfirst_oid(lc)))
			return lfirst_oid(lc);
	}
	return InvalidOid;
}

/*
 * Where a subscription writes to a source, capture rows, too: without, its
 * rollups would miss them. Called when a rollup, a subscription or a partition
 * may have come.
 */
void
aggwin_follow_subscriptions(Oid source)
{
	if (aggwin_has_row_trigger(source) || !OidIsValid(subscribed_table(source)))
		return;
	aggwin_create_row_trigger(source);
	ereport(NOTICE,
			(errmsg("rows that subscriptions apply to table %s are captured one by one",
					aggwin_relation_name(source))));
}

/*
 * aggwin.capture_rows(source regclass, enable boolean): have rows captured that
 * logical replication applies, or no longer.
 */
Datum
aggwin_capture_rows(PG_FUNCTION_ARGS)
{
	static const char *const names_of_args[] = {"source", "enable"};
	Oid			source;
	Oid			subscribed;

	PreventCommandIfReadOnly("aggwin.capture_rows()");
	aggwin_require_args(fcinfo, lengthof(names_of_args), names_of_args);
	source = PG_GETARG_OID(0);
	if (get_rel_name(source) != NULL &&
		pg_class_aclcheck(source, GetUserId(), ACL_TRIGGER) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, get_rel_name(source));
	if (aggwin_rollups_of(source) == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 get_rel_name(source) ? errmsg("\"%s\" is not the source of a rollup", get_rel_name(source))
				 : errmsg("relation with OID %u does not exist", source),
				 errhint("See the view aggwin.rollups for the sources that there are.")));

	if (PG_GETARG_BOOL(1))
	{
		LockRelationOid(source, ShareRowExclusiveLock);
		if (!aggwin_has_row_trigger(source))
			aggwin_create_row_trigger(source);
	}
	else
	{
		LockRelationOid(source, AccessExclusiveLock);
		subscribed = subscribed_table(source);
		if (OidIsValid(subscribed))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("a subscription writes to table \"%s\"", get_rel_name(subscribed)),
					 errdetail("Without capture of rows the rollups would miss what it applies."),
					 errhint("Drop the subscription or the rollups first.")));
		aggwin_drop_row_trigger(source);
	}
	PG_RETURN_VOID();
}
