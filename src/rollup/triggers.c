/*
 * triggers.c - the triggers that capture changes of a source
 *
 * Four on each table that a statement can name: on a source and, where it is
 * partitioned, on every partition of every level. They fire in all sessions,
 * replication roles included. Where asked for, or needed for a subscription,
 * there is one more for rows (capture_applied.c).
 *
 * They are made and dropped without commands, which would have all event
 * triggers of the database look at each of them.
 */
#include "postgres.h"

#include "rollup/triggers.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "core/spi_util.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "rollup/sql.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

static List *
function_name(const char *function)
{
	return list_make2(makeString(pstrdup("aggwin")), makeString(pstrdup(function)));
}

static List *
transition_table(List *tables, const char *name, bool is_new)
{
	TriggerTransition *transition = makeNode(TriggerTransition);

	transition->name = pstrdup(name);
	transition->isNew = is_new;
	transition->isTable = true;
	return lappend(tables, transition);
}

static void
create_trigger(Oid table, const char *name, int16 event)
{
	CreateTrigStmt *stmt = makeNode(CreateTrigStmt);

	stmt->replace = true;
	stmt->trigname = pstrdup(name);
	stmt->funcname = function_name("capture");
	stmt->timing = TRIGGER_TYPE_AFTER;
	stmt->events = event;
	if (event == TRIGGER_TYPE_UPDATE || event == TRIGGER_TYPE_DELETE)
		stmt->transitionRels = transition_table(stmt->transitionRels, AGGWIN_OLD_ROWS, false);
	if (event == TRIGGER_TYPE_UPDATE || event == TRIGGER_TYPE_INSERT)
		stmt->transitionRels = transition_table(stmt->transitionRels, AGGWIN_NEW_ROWS, true);

	(void) CreateTriggerFiringOn(stmt, NULL, table, InvalidOid, InvalidOid,
								 InvalidOid, InvalidOid, InvalidOid, NULL, false,
								 false, TRIGGER_FIRES_ALWAYS);
	CommandCounterIncrement();
}

/*
 * Make the triggers of one table, or make them anew. Who may have them made is
 * the caller's business.
 */
void
aggwin_create_triggers(Oid table)
{
	Sandbox		saved;

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	create_trigger(table, "aggwin_capture_insert", TRIGGER_TYPE_INSERT);
	create_trigger(table, "aggwin_capture_update", TRIGGER_TYPE_UPDATE);
	create_trigger(table, "aggwin_capture_delete", TRIGGER_TYPE_DELETE);
	create_trigger(table, "aggwin_capture_truncate", TRIGGER_TYPE_TRUNCATE);
	aggwin_sandbox_leave(&saved);
}

/*
 * The triggers of a table that call one of aggwin's functions. Left out are
 * those that a partition has from its parent: they come and go with that one.
 */
static List *
triggers_calling(Oid table, const char *function, bool inherited)
{
	Oid			funcid = LookupFuncName(function_name(function), 0, NULL, false);
	Relation	catalog = table_open(TriggerRelationId, AccessShareLock);
	List	   *triggers = NIL;
	SysScanDesc scan;
	ScanKeyData key[1];
	HeapTuple	tuple;

	ScanKeyInit(&key[0], Anum_pg_trigger_tgrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(table));
	scan = systable_beginscan(catalog, TriggerRelidNameIndexId, true, NULL, 1, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);

		if (form->tgfoid == funcid && (inherited || !OidIsValid(form->tgparentid)))
			triggers = lappend_oid(triggers, form->oid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return triggers;
}

static void
drop(List *triggers)
{
	ListCell   *lc;

	foreach(lc, triggers)
	{
		ObjectAddress address;

		ObjectAddressSet(address, TriggerRelationId, lfirst_oid(lc));
		performDeletion(&address, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
	}
}

/* Drop all triggers of one table that capture its changes. */
void
aggwin_drop_triggers(Oid table)
{
	drop(triggers_calling(table, "capture", false));
	aggwin_drop_row_trigger(table);
}

/* Has a table the trigger for rows, be it from its parent? */
bool
aggwin_has_row_trigger(Oid table)
{
	return triggers_calling(table, "capture_row", true) != NIL;
}

/*
 * Make the trigger for rows of a table and of its partitions, future ones
 * included. It fires where workers of subscriptions apply rows, with replication
 * role "replica"; other sessions do not even remember rows for it.
 */
void
aggwin_create_row_trigger(Oid table)
{
	CreateTrigStmt *stmt = makeNode(CreateTrigStmt);
	Sandbox		saved;

	stmt->trigname = pstrdup("aggwin_capture_row");
	stmt->funcname = function_name("capture_row");
	stmt->row = true;
	stmt->timing = TRIGGER_TYPE_AFTER;
	stmt->events = TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE;

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	(void) CreateTriggerFiringOn(stmt, NULL, table, InvalidOid, InvalidOid,
								 InvalidOid, InvalidOid, InvalidOid, NULL, false,
								 false, TRIGGER_FIRES_ON_REPLICA);
	CommandCounterIncrement();
	aggwin_sandbox_leave(&saved);
}

void
aggwin_drop_row_trigger(Oid table)
{
	drop(triggers_calling(table, "capture_row", false));
}
