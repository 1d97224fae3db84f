/*
 * series_group.c - which group of series a series belongs to
 *
 * Rollups of metrics that keep some labels only, or that are of some metrics only,
 * ask this of each sample. The answer depends on nothing but the series' metric and
 * labels, which never change: a group is known by the hash of the metric and of the
 * labels that are kept, so there is no table of groups. What has been asked is
 * remembered by the session, and forgotten when series are deleted.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "core/compat.h"
#include "core/guc.h"
#include "fmgr.h"
#include "metrics/labels.h"
#include "metrics/tables.h"
#include "miscadmin.h"
#include "regex/regex.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/uuid.h"

PG_FUNCTION_INFO_V1(aggwin_series_group);
PG_FUNCTION_INFO_V1(aggwin_series_matches);

/* What is known of a series. */
typedef struct GroupEntry
{
	int64		series_id;		/* key */
	bool		matches;
	pg_uuid_t	group;
} GroupEntry;

/* Bytes that an entry takes, about. */
#define ENTRY_SIZE 64

/* Entries that a way to group has room for from the beginning. */
#define FIRST_ENTRIES 256

/* A way to group: the arguments but the series. NULL: none. */
typedef struct Grouping
{
	text	   *metrics;
	ArrayType  *keep;
	ArrayType  *drop;
	HTAB	   *series;
	struct Grouping *next;
} Grouping;

static MemoryContext memory = NULL;
static Grouping *groupings = NULL;
static int64 entries = 0;
static Oid	series_relid = InvalidOid;
static bool outdated = false;

static void
on_relcache_inval(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == series_relid)
		outdated = true;
}

static void
forget_if_outdated(Oid relid)
{
	if (memory == NULL)
	{
		memory = AllocSetContextCreate(CacheMemoryContext, "aggwin groups of series",
									   ALLOCSET_DEFAULT_SIZES);
		CacheRegisterRelcacheCallback(on_relcache_inval, (Datum) 0);
	}
	if (outdated || series_relid != relid ||
		entries * ENTRY_SIZE / 1024 > aggwin_series_cache_size)
	{
		groupings = NULL;
		MemoryContextReset(memory);
		entries = 0;
		outdated = false;
		series_relid = relid;
	}
}

static bool
same_bytes(const void *a, const void *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return VARSIZE_ANY(a) == VARSIZE_ANY(b) && memcmp(a, b, VARSIZE_ANY(a)) == 0;
}

static void *
copy_bytes(const void *value)
{
	return value == NULL ? NULL : memcpy(palloc(VARSIZE_ANY(value)), value, VARSIZE_ANY(value));
}

static Grouping *
find_grouping(text *metrics, ArrayType *keep, ArrayType *drop)
{
	HASHCTL		control = {.keysize = sizeof(int64), .entrysize = sizeof(GroupEntry)};
	MemoryContext old;
	Grouping   *found;

	for (found = groupings; found != NULL; found = found->next)
	{
		if (same_bytes(found->metrics, metrics) && same_bytes(found->keep, keep) &&
			same_bytes(found->drop, drop))
			return found;
	}
	old = MemoryContextSwitchTo(memory);
	found = palloc(sizeof(Grouping));
	found->metrics = copy_bytes(metrics);
	found->keep = copy_bytes(keep);
	found->drop = copy_bytes(drop);
	control.hcxt = memory;
	found->series = hash_create("aggwin groups of series", FIRST_ENTRIES, &control,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	found->next = groupings;
	groupings = found;
	entries += FIRST_ENTRIES;
	MemoryContextSwitchTo(old);
	return found;
}

static bool
is_among(const LabelPair *pair, ArrayType *names)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		text	   *name = nulls[i] ? NULL : DatumGetTextPP(elements[i]);

		if (name != NULL && VARSIZE_ANY_EXHDR(name) == pair->name_length &&
			memcmp(VARDATA_ANY(name), pair->name, pair->name_length) == 0)
			return true;
	}
	return false;
}

static void
group_of(const Grouping *grouping, text *metric, Jsonb *labels, GroupEntry *entry)
{
	LabelPair  *pairs;
	int			count = aggwin_label_pairs(labels, &pairs);
	int			kept = 0;
	SeriesKey  *key;

	entry->matches = grouping->metrics == NULL ||
		RE_compile_and_execute(grouping->metrics, VARDATA_ANY(metric), VARSIZE_ANY_EXHDR(metric),
							   REG_ADVANCED, C_COLLATION_OID, 0, NULL);
	for (int i = 0; i < count; i++)
	{
		if ((grouping->keep == NULL || is_among(&pairs[i], grouping->keep)) &&
			(grouping->drop == NULL || !is_among(&pairs[i], grouping->drop)))
			pairs[kept++] = pairs[i];
	}
	key = aggwin_series_key(VARDATA_ANY(metric), VARSIZE_ANY_EXHDR(metric), pairs, kept);
	memcpy(entry->group.data, key->hash, UUID_LEN);
}

/* A column of aggwin.series, which its owner may have altered. */
static AttrNumber
series_column(const char *name)
{
	AttrNumber	column = get_attnum(series_relid, name);

	if (column == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("table aggwin.series has no column \"%s\" any more", name),
				 errhint("Give the column its name back by ALTER TABLE.")));
	return column;
}

/* The primary key, if it is what it was made as; InvalidOid if not. */
static Oid
series_index(Relation series, AttrNumber column)
{
	Oid			index = compat_primary_key(series);

	if (OidIsValid(index))
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));

		if (!HeapTupleIsValid(tuple))
			return InvalidOid;
		if (((Form_pg_index) GETSTRUCT(tuple))->indkey.values[0] != column)
			index = InvalidOid;
		ReleaseSysCache(tuple);
	}
	return index;
}

/*
 * Read a series by its number. Whatever snapshot the query has: series whose
 * samples it sees have been committed, or made by this transaction.
 */
static bool
read_series(const Grouping *grouping, int64 series_id, GroupEntry *entry)
{
	Relation	series = table_open(series_relid, AccessShareLock);
	AttrNumber	number = series_column("series_id");
	Oid			index = series_index(series, number);
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;

	ScanKeyInit(&key, number, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(series_id));
	scan = systable_beginscan(series, index, OidIsValid(index), SnapshotSelf, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		TupleDesc	desc = RelationGetDescr(series);
		bool		no_metric;
		bool		no_labels;
		Datum		metric = heap_getattr(tuple, series_column("metric"), desc, &no_metric);
		Datum		labels = heap_getattr(tuple, series_column("labels"), desc, &no_labels);

		if (no_metric || no_labels)
			tuple = NULL;
		else
			group_of(grouping, DatumGetTextPP(metric), DatumGetJsonbP(labels), entry);
	}
	systable_endscan(scan);
	table_close(series, NoLock);
	return HeapTupleIsValid(tuple);
}

/*
 * May the current user read a rollup that groups as the arguments say? Its view,
 * too, asks for the groups of samples that are not folded, as whoever reads it.
 */
static bool
may_read_view(FunctionCallInfo fcinfo, const MetricTables *tables)
{
	Oid			types[] = {TEXTOID, TEXTARRAYOID, TEXTARRAYOID, NAMEOID};
	Datum		values[lengthof(types)] = {0};
	char		nulls[lengthof(types) + 1] = "    ";
	const char *user = GetUserNameFromId(GetUserId(), false);
	bool		may;
	Sandbox		saved;

	for (int i = 0; i < 3; i++)
	{
		if (i + 1 < PG_NARGS() && !PG_ARGISNULL(i + 1))
			values[i] = PG_GETARG_DATUM(i + 1);
		else
			nulls[i] = 'n';
	}
	values[3] = DirectFunctionCall1(namein, CStringGetDatum(user));
	aggwin_spi_connect();
	aggwin_become_owner(&saved, tables);
	/* series_matches() knows nothing of labels. */
	if (SPI_execute_with_args(psprintf("SELECT FROM aggwin.metric_rollup AS m"
									   " JOIN aggwin.rollup AS r ON r.view = m.view"
									   " LEFT JOIN aggwin.tier AS t ON t.rollup_id = r.rollup_id"
									   " WHERE m.pattern IS NOT DISTINCT FROM $1%s"
									   " AND (has_table_privilege($4, m.view, 'SELECT')"
									   " OR has_table_privilege($4, t.view, 'SELECT'))",
									   PG_NARGS() < 4 ? "" : " AND m.keep IS NOT DISTINCT FROM $2"
									   " AND m.drop IS NOT DISTINCT FROM $3"),
							  lengthof(types), types, values, nulls, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read aggwin.metric_rollup");
	may = SPI_processed > 0;
	aggwin_sandbox_leave(&saved);
	aggwin_spi_finish();
	return may;
}

/*
 * What is known of the series that is the first argument, among the groups that
 * the others stand for; NULL if there is no such series.
 */
static GroupEntry *
find_entry(FunctionCallInfo fcinfo, ArrayType *keep, ArrayType *drop)
{
	int64		series_id = PG_GETARG_INT64(0);
	GroupEntry *entry;
	Grouping   *grouping;

	/* Once in a query: may who asks read series? */
	if (fcinfo->flinfo->fn_extra == NULL)
	{
		MetricTables tables;

		aggwin_metric_tables(&tables);
		if (!aggwin_may_read_series(&tables) && !may_read_view(fcinfo, &tables))
			aggwin_check_may_read_series(&tables);
		forget_if_outdated(tables.series);
		fcinfo->flinfo->fn_extra = fcinfo->flinfo;
	}
	forget_if_outdated(series_relid);
	grouping = find_grouping(PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1), keep, drop);
	entry = hash_search(grouping->series, &series_id, HASH_FIND, NULL);
	if (entry == NULL)
	{
		GroupEntry	fresh;

		if (!read_series(grouping, series_id, &fresh))
			return NULL;
		entry = hash_search(grouping->series, &series_id, HASH_ENTER, NULL);
		entry->matches = fresh.matches;
		entry->group = fresh.group;
		entries++;
	}
	return entry;
}

/*
 * aggwin.series_group(series_id, metrics, keep, drop): what stands for the series'
 * metric together with those of its labels that are kept (NULL: all) and not
 * dropped (NULL: none). NULL if there is no such series, or if its metric does
 * not match.
 */
Datum
aggwin_series_group(PG_FUNCTION_ARGS)
{
	GroupEntry *entry;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	entry = find_entry(fcinfo, PG_ARGISNULL(2) ? NULL : PG_GETARG_ARRAYTYPE_P(2),
					   PG_ARGISNULL(3) ? NULL : PG_GETARG_ARRAYTYPE_P(3));
	if (entry == NULL || !entry->matches)
		PG_RETURN_NULL();
	PG_RETURN_UUID_P(memcpy(palloc(UUID_LEN), &entry->group, UUID_LEN));
}

/* aggwin.series_matches(series_id, metrics): does its metric's name match? */
Datum
aggwin_series_matches(PG_FUNCTION_ARGS)
{
	GroupEntry *entry = find_entry(fcinfo, NULL, NULL);

	PG_RETURN_BOOL(entry != NULL && entry->matches);
}
