/*
 * catalog.c - reading the tables aggwin.rollup and aggwin.tier
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
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/spi_util.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

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
	Anum_rollup_lateness,
	Anum_rollup_late,
	Anum_rollup_source_retention,
	Anum_rollup_paused,
	Anum_rollup_counts_all,
};

/* Columns of aggwin.tier. */
enum
{
	Anum_tier_rollup_id = 1,
	Anum_tier_level,
	Anum_tier_view,
	Anum_tier_state,
	Anum_tier_delta,
	Anum_tier_width,
	Anum_tier_int_width,
	Anum_tier_keys,
	Anum_tier_refresh_interval,
	Anum_tier_retention,
	Anum_tier_generation,
};

static Oid
oid_column(HeapTuple tuple, AttrNumber attno, TupleDesc desc)
{
	bool		isnull;

	return DatumGetObjectId(heap_getattr(tuple, attno, desc, &isnull));
}

static Interval *
interval_column(HeapTuple tuple, AttrNumber attno, TupleDesc desc)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, attno, desc, &isnull);

	return isnull ? NULL : DatumGetIntervalP(value);
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
	row->drops_late = strcmp(TextDatumGetCString(heap_getattr(tuple, Anum_rollup_late, desc, &isnull)),
							 "drop") == 0;
	row->counts_all = DatumGetBool(heap_getattr(tuple, Anum_rollup_counts_all, desc,
												&isnull));
	return row;
}

/* Copies of a table's tuples in which a column equals a value, by an index. */
static List *
scan_table(Relation rel, const char *index, AttrNumber attno, RegProcedure equal,
		   Datum value)
{
	List	   *tuples = NIL;
	SysScanDesc scan;
	ScanKeyData key[1];
	HeapTuple	tuple;

	ScanKeyInit(&key[0], attno, BTEqualStrategyNumber, equal, value);
	scan = systable_beginscan(rel, aggwin_relid(index), true, NULL, 1, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		tuples = lappend(tuples, heap_copytuple(tuple));
	systable_endscan(scan);
	return tuples;
}

/* The rows in which a column equals a value, found by the named index. */
static List *
scan(const char *index, AttrNumber attno, RegProcedure equal, Datum value)
{
	Relation	rel = table_open(aggwin_relid("rollup"), AccessShareLock);
	List	   *rows = NIL;
	ListCell   *lc;

	foreach(lc, scan_table(rel, index, attno, equal, value))
		rows = lappend(rows, read_row(lfirst(lc), RelationGetDescr(rel)));
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

pg_noreturn static void
refuse_dropped(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("the rollup was dropped by another session")));
}

/* The rollup of an id that has been looked up; an error if it is gone since. */
void
aggwin_get_rollup(int32 rollup_id, RollupRow *row)
{
	if (!aggwin_find_rollup(rollup_id, row))
		refuse_dropped();
}

/* The rollup that has this view above its base, as a list of one or none. */
static List *
rollup_of_tier(Oid view)
{
	Relation	rel = table_open(aggwin_relid("tier"), AccessShareLock);
	List	   *tuples = scan_table(rel, "tier_view_key", Anum_tier_view, F_OIDEQ,
									ObjectIdGetDatum(view));
	List	   *rows = NIL;

	if (tuples != NIL)
	{
		bool		isnull;
		Datum		id = heap_getattr(linitial(tuples), Anum_tier_rollup_id,
									  RelationGetDescr(rel), &isnull);

		rows = scan("rollup_pkey", Anum_rollup_id, F_INT4EQ, id);
	}
	table_close(rel, AccessShareLock);
	return rows;
}

/* The rollup that users know by this view, or by that of a tier. */
bool
aggwin_find_rollup_of_view(Oid view, RollupRow *row)
{
	List	   *rows = scan("rollup_view_key", Anum_rollup_view, F_OIDEQ,
							ObjectIdGetDatum(view));

	if (rows == NIL)
		rows = rollup_of_tier(view);
	if (rows == NIL)
		return false;
	*row = *(RollupRow *) linitial(rows);
	return true;
}

/*
 * The id of the rollup that users know by this view, or by that of a tier. must_own: only its owner
 * (or a member of the owning role) may pass.
 */
int32
aggwin_rollup_of_view(Oid view, bool must_own)
{
	char	   *name = get_rel_name(view);
	RollupRow	row;

	if (!aggwin_find_rollup_of_view(view, &row))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 name ? errmsg("\"%s\" is not a rollup", name)
				 : errmsg("relation with OID %u does not exist", view),
				 errhint("See the view aggwin.rollups for the rollups that there are.")));
	if (must_own && !has_privs_of_role(GetUserId(), aggwin_rollup_owner(&row)))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of rollup %s", name)));
	return row.rollup_id;
}

/* The level that a view shows, an error if it is gone. */
int
aggwin_level_of_view(int32 rollup_id, Oid view)
{
	RollupRow	row;
	ListCell   *lc;

	if (aggwin_find_rollup(rollup_id, &row))
	{
		foreach(lc, aggwin_tiers_of(&row))
		{
			const Tier *tier = lfirst(lc);

			if (tier->view_relid == view)
				return tier->level;
		}
	}
	refuse_dropped();
}

static bool
exists(Oid relid)
{
	return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid));
}

static Tier *
read_tier(HeapTuple tuple, TupleDesc desc)
{
	Tier	   *tier = palloc0(sizeof(Tier));
	Datum		keys;
	Datum	   *numbers;
	int			count;
	bool		isnull;

	tier->level = DatumGetInt16(heap_getattr(tuple, Anum_tier_level, desc, &isnull));
	tier->generation = DatumGetInt32(heap_getattr(tuple, Anum_tier_generation, desc, &isnull));
	tier->all_keys = true;
	tier->interval = interval_column(tuple, Anum_tier_width, desc);
	if (tier->interval == NULL)
		tier->int_width = DatumGetInt64(heap_getattr(tuple, Anum_tier_int_width, desc, &isnull));
	if (tier->level == 0)
		return tier;
	tier->view_relid = oid_column(tuple, Anum_tier_view, desc);
	tier->state_relid = oid_column(tuple, Anum_tier_state, desc);
	tier->delta_relid = oid_column(tuple, Anum_tier_delta, desc);
	tier->width = aggwin_tier_width_literal(tier);
	keys = heap_getattr(tuple, Anum_tier_keys, desc, &isnull);
	if (isnull)
		return tier;
	tier->all_keys = false;
	deconstruct_array(DatumGetArrayTypeP(keys), INT2OID, 2, true, TYPALIGN_SHORT,
					  &numbers, NULL, &count);
	for (int i = 0; i < count; i++)
		tier->keys = lappend_int(tier->keys, DatumGetInt16(numbers[i]));
	return tier;
}

static int
by_level(const ListCell *a, const ListCell *b)
{
	return ((Tier *) lfirst(a))->level - ((Tier *) lfirst(b))->level;
}

/* The tiers of a rollup that the table lists, in their order. */
static List *
listed_tiers(const RollupRow *row)
{
	Relation	rel = table_open(aggwin_relid("tier"), AccessShareLock);
	List	   *tiers = NIL;
	ListCell   *lc;

	foreach(lc, scan_table(rel, "tier_pkey", Anum_tier_rollup_id, F_INT4EQ,
						   Int32GetDatum(row->rollup_id)))
	{
		Tier	   *tier = read_tier(lfirst(lc), RelationGetDescr(rel));

		if (tier->level == 0)
		{
			tier->view_relid = row->view;
			tier->state_relid = row->state;
			tier->delta_relid = row->delta;
		}
		tiers = lappend(tiers, tier);
	}
	table_close(rel, AccessShareLock);
	list_sort(tiers, by_level);
	return tiers;
}

/* The first level that is missing below another, -1 if none is. */
static int
gap_in(const List *tiers)
{
	ListCell   *lc;

	foreach(lc, tiers)
	{
		if (((Tier *) lfirst(lc))->level != foreach_current_index(lc))
			return foreach_current_index(lc);
	}
	return -1;
}

/* The error where a rollup lacks the row of a level in table aggwin.tier. */
void
aggwin_refuse_gap(int32 rollup_id, int level)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("rollup %d has no tier %d", rollup_id, level),
			 errdetail("It is being restored, or a part of it was not."),
			 errhint("Restore table aggwin.tier to its end.")));
}

/*
 * The tiers of a rollup, the base first, as a list of Tier without names.
 */
List *
aggwin_tiers_of(const RollupRow *row)
{
	List	   *tiers = listed_tiers(row);

	if (gap_in(tiers) >= 0)
		aggwin_refuse_gap(row->rollup_id, gap_in(tiers));
	return tiers;
}

/* Is no tier missing below another? A restore brings them in any order. */
bool
aggwin_tiers_are_whole(const RollupRow *row)
{
	return gap_in(listed_tiers(row)) < 0;
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
	ListCell   *lc;

	if (!exists(row->source) || !exists(row->definition) || !exists(row->invalid) ||
		!exists(row->view) || !exists(row->state) || !exists(row->delta))
		return false;
	foreach(lc, listed_tiers(row))
	{
		const Tier *tier = lfirst(lc);

		if (!exists(tier->view_relid) || !exists(tier->state_relid) ||
			!exists(tier->delta_relid))
			return false;
	}
	return true;
}

/* Whoever owns the view owns the rollup. */
Oid
aggwin_rollup_owner(const RollupRow *row)
{
	Oid			owner = aggwin_relation_owner(row->view);

	if (!OidIsValid(owner))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the view of rollup %d does not exist", row->rollup_id)));
	return owner;
}

/* Copies of all tuples of a table. */
static List *
scan_all(Relation rel)
{
	List	   *tuples = NIL;
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		tuples = lappend(tuples, heap_copytuple(tuple));
	systable_endscan(scan);
	return tuples;
}

/* Look at one relation, which should be owner's if that is valid. */
static void
look_at(Oid relid, Oid owner, PartsSeen *seen)
{
	Oid			found = aggwin_relation_owner(relid);

	if (!OidIsValid(found))
		seen->missing = true;
	else if (OidIsValid(owner) && found != owner)
		seen->other_owner = true;
}

/* Who owns the view of a rollup. */
typedef struct ViewOwner
{
	int32		rollup_id;
	Oid			owner;
} ViewOwner;

/*
 * Have all rollups all their relations, and do these have one owner? Asked after
 * commands, about everything that there is, so it has to be cheap: two scans of
 * small tables, and the server's cache. The answer may be out of date, and is but a
 * reason to look closer.
 */
PartsSeen
aggwin_look_at_parts(void)
{
	PartsSeen	seen = {0};
	Relation	rollup = table_open(aggwin_relid("rollup"), AccessShareLock);
	Relation	tier = table_open(aggwin_relid("tier"), AccessShareLock);
	HASHCTL		hash_options = {
		.keysize = sizeof(int32),
		.entrysize = sizeof(ViewOwner),
		.hcxt = CurrentMemoryContext,
	};
	HTAB	   *owners = NULL;
	ListCell   *lc;

	foreach(lc, scan_all(rollup))
	{
		RollupRow  *row = read_row(lfirst(lc), RelationGetDescr(rollup));
		Oid			owner = aggwin_relation_owner(row->view);
		ViewOwner  *entry;

		if (owners == NULL)
			owners = hash_create("owners of rollups", 64, &hash_options,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		entry = hash_search(owners, &row->rollup_id, HASH_ENTER, NULL);
		entry->owner = owner;
		look_at(row->source, InvalidOid, &seen);
		look_at(row->view, owner, &seen);
		look_at(row->definition, owner, &seen);
		look_at(row->state, owner, &seen);
		look_at(row->delta, owner, &seen);
		look_at(row->invalid, owner, &seen);
	}
	seen.any = owners != NULL;
	foreach(lc, seen.any ? scan_all(tier) : NIL)
	{
		TupleDesc	desc = RelationGetDescr(tier);
		bool		isnull;
		int32		rollup_id = DatumGetInt32(heap_getattr(lfirst(lc), Anum_tier_rollup_id,
														   desc, &isnull));
		ViewOwner  *entry = hash_search(owners, &rollup_id, HASH_FIND, NULL);

		/* A tier without its rollup waits for a restore to bring it. */
		if (entry == NULL || DatumGetInt16(heap_getattr(lfirst(lc), Anum_tier_level, desc, &isnull)) == 0)
			continue;
		look_at(oid_column(lfirst(lc), Anum_tier_view, desc), entry->owner, &seen);
		look_at(oid_column(lfirst(lc), Anum_tier_state, desc), entry->owner, &seen);
		look_at(oid_column(lfirst(lc), Anum_tier_delta, desc), entry->owner, &seen);
	}
	table_close(tier, AccessShareLock);
	table_close(rollup, AccessShareLock);
	return seen;
}

/* The options that a fold of a level is about. */
void
aggwin_rollup_options(int32 rollup_id, int level, RollupOptions *options)
{
	Relation	rollup = table_open(aggwin_relid("rollup"), AccessShareLock);
	Relation	tier = table_open(aggwin_relid("tier"), AccessShareLock);
	ListCell   *lc;

	memset(options, 0, sizeof(RollupOptions));
	foreach(lc, scan_table(rollup, "rollup_pkey", Anum_rollup_id, F_INT4EQ,
						   Int32GetDatum(rollup_id)))
	{
		TupleDesc	desc = RelationGetDescr(rollup);
		bool		isnull;
		Datum		late = heap_getattr(lfirst(lc), Anum_rollup_late, desc, &isnull);

		options->lateness = interval_column(lfirst(lc), Anum_rollup_lateness, desc);
		options->source_retention = interval_column(lfirst(lc), Anum_rollup_source_retention, desc);
		options->drops_late = options->lateness != NULL &&
			strcmp(TextDatumGetCString(late), "drop") == 0;
	}
	foreach(lc, scan_table(tier, "tier_pkey", Anum_tier_rollup_id, F_INT4EQ,
						   Int32GetDatum(rollup_id)))
	{
		TupleDesc	desc = RelationGetDescr(tier);
		bool		isnull;

		if (DatumGetInt16(heap_getattr(lfirst(lc), Anum_tier_level, desc, &isnull)) == level)
			options->retention = interval_column(lfirst(lc), Anum_tier_retention, desc);
	}
	table_close(tier, AccessShareLock);
	table_close(rollup, AccessShareLock);
}

RollupNames
aggwin_rollup_names(const RollupRow *row)
{
	RollupNames names = {
		.rollup_id = row->rollup_id,
		.source = aggwin_relation_name(row->source),
		.invalid = aggwin_relation_name(row->invalid),
		.tiers = aggwin_tiers_of(row),
	};
	ListCell   *lc;

	names.generation = aggwin_tier(&names, 0)->generation;
	foreach(lc, names.tiers)
	{
		Tier	   *tier = lfirst(lc);

		tier->state = aggwin_relation_name(tier->state_relid);
		tier->delta = aggwin_relation_name(tier->delta_relid);
	}
	return names;
}

void
aggwin_lock_rollup(int32 rollup_id)
{
	LockDatabaseObject(aggwin_relid("rollup"), (Oid) rollup_id, 0,
					   ExclusiveLock);
}
