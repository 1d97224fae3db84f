/*
 * catalog.c - reading the table aggwin.rollup
 *
 * Scans use a catalog snapshot, the latest there is, also in a transaction
 * whose own snapshot is older: a rollup counts for every writer from the
 * moment that its creator has committed.
 *
 * Locking: a heavyweight lock on the pair (table aggwin.rollup, rollup id)
 * orders what changes a rollup as a whole: fold and drop. It is an object of
 * aggwin's own, not a row, because locking a row takes a transaction id, and a
 * fold must not have one before it has its snapshot.
 */
#include "postgres.h"

#include "rollup/catalog.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "core/spi_util.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

/* Columns of aggwin.rollup. */
enum
{
	Anum_rollup_id = 1,
	Anum_rollup_view,
	Anum_rollup_source,
	Anum_rollup_definition,
	Anum_rollup_state,
	Anum_rollup_delta,
	Anum_rollup_invalid,
};

static Oid
oid_column(HeapTuple tuple, AttrNumber attno, TupleDesc desc)
{
	bool		isnull;

	return DatumGetObjectId(heap_getattr(tuple, attno, desc, &isnull));
}

static RollupRow *
read_row(HeapTuple tuple, TupleDesc desc)
{
	RollupRow  *row = palloc0(sizeof(RollupRow));
	bool		isnull;

	row->rollup_id = DatumGetInt32(heap_getattr(tuple, Anum_rollup_id, desc,
												&isnull));
	row->view = oid_column(tuple, Anum_rollup_view, desc);
	row->source = oid_column(tuple, Anum_rollup_source, desc);
	row->definition = oid_column(tuple, Anum_rollup_definition, desc);
	row->state = oid_column(tuple, Anum_rollup_state, desc);
	row->delta = oid_column(tuple, Anum_rollup_delta, desc);
	row->invalid = oid_column(tuple, Anum_rollup_invalid, desc);
	return row;
}

/* The rows in which a column equals a value, found by the named index. */
static List *
scan(const char *index, AttrNumber attno, RegProcedure equal, Datum value)
{
	Relation	rel = table_open(aggwin_relid("rollup"), AccessShareLock);
	List	   *rows = NIL;
	SysScanDesc scan;
	ScanKeyData key[1];
	HeapTuple	tuple;

	ScanKeyInit(&key[0], attno, BTEqualStrategyNumber, equal, value);
	scan = systable_beginscan(rel, aggwin_relid(index), true, NULL, 1, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		rows = lappend(rows, read_row(tuple, RelationGetDescr(rel)));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return rows;
}

/* The rollups of a source, as a list of RollupRow. */
List *
aggwin_rollups_of(Oid source)
{
	return scan("rollup_source_idx", Anum_rollup_source, F_OIDEQ,
				ObjectIdGetDatum(source));
}

bool
aggwin_find_rollup(int32 rollup_id, RollupRow *row)
{
	List	   *rows = scan("rollup_pkey", Anum_rollup_id, F_INT4EQ,
							Int32GetDatum(rollup_id));

	if (rows == NIL)
		return false;
	*row = *(RollupRow *) linitial(rows);
	return true;
}

/*
 * The id of the rollup that users know by this view. must_own: only its owner
 * (or a member of the owning role) may pass.
 */
int32
aggwin_rollup_of_view(Oid view, bool must_own)
{
	List	   *rows = scan("rollup_view_key", Anum_rollup_view, F_OIDEQ,
							ObjectIdGetDatum(view));
	char	   *name = get_rel_name(view);
	RollupRow  *row;

	if (rows == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 name ? errmsg("\"%s\" is not a rollup", name)
				 : errmsg("relation with OID %u does not exist", view),
				 errhint("See the view aggwin.rollups for the rollups that there are.")));
	row = linitial(rows);
	if (must_own && !has_privs_of_role(GetUserId(), aggwin_rollup_owner(row)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of rollup %s", name)));
	return row->rollup_id;
}

static bool
exists(Oid relid)
{
	return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid));
}

/*
 * Are all relations of the rollup there? One may be dropped without the trigger
 * on dropped objects: where event triggers are off, or with the temporary
 * objects of a session, which a function of the query may depend on. The next
 * DROP of anything then cleans up.
 */
bool
aggwin_rollup_is_whole(const RollupRow *row)
{
	return exists(row->view) && exists(row->source) && exists(row->definition) &&
		exists(row->state) && exists(row->delta) && exists(row->invalid);
}

/* Whoever owns the view owns the rollup. */
Oid
aggwin_rollup_owner(const RollupRow *row)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(row->view));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the view of rollup %d does not exist", row->rollup_id)));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

RollupNames
aggwin_rollup_names(const RollupRow *row)
{
	RollupNames names = {
		.rollup_id = row->rollup_id,
		.state_relid = row->state,
		.source = aggwin_relation_name(row->source),
		.state = aggwin_relation_name(row->state),
		.delta = aggwin_relation_name(row->delta),
		.invalid = aggwin_relation_name(row->invalid),
	};

	return names;
}

void
aggwin_lock_rollup(int32 rollup_id)
{
	LockDatabaseObject(aggwin_relid("rollup"), (Oid) rollup_id, 0,
					   ExclusiveLock);
}
