/*
 * capture_write.c - appending to a rollup's delta and invalid tables
 *
 * Deltas are kept until all of a statement are there, and then written: to
 * evaluate a rollup's expressions may fail, and by then nothing may be written
 * (capture.c). Many are kept in a file.
 *
 * Rows are put into heap and indexes directly, without a plan: these tables
 * have an index on xid, now and then its double while it is built anew, and
 * neither triggers nor constraints. Each row carries the id of the top
 * transaction, which the snapshot rule is about (fold.c), and the time of the
 * statement.
 *
 * The tables belong to the rollup's owner, who may have altered them, while
 * this runs as whoever writes into the source. So whatever does not look as
 * aggwin made it is refused before it is used.
 */
#include "postgres.h"

#include "rollup/capture_write.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/heapam.h"
#include "access/itup.h"
#include "access/nbtree.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/toast_compression.h"
#include "access/toast_internals.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/xid8.h"

/* More would only slow down every INSERT of the source. */
#define MAX_INDEXES 4

/* A table and its indexes, open for appending. */
typedef struct Appender
{
	Relation	rel;
	int			index_count;
	Relation	indexes[MAX_INDEXES];
	IndexInfo  *index_infos[MAX_INDEXES];
	Datum		xid;
	Datum		now;
} Appender;

/* Rows that go to the heap together. */
#define CHUNK 64

/* Rows are kept in memory up to this size, the others in a tuplestore. */
#define MAX_BUFFERED_BYTES (4 * 1024 * 1024)

/* Which keeps this much in memory itself. */
#define TUPLESTORE_KILOBYTES 256

/* Columns at the beginning of a delta table; those of the group follow. */
enum
{
	Anum_delta_captured_at = 1,
	Anum_delta_xid,
	Natts_before_group = Anum_delta_xid
};

struct DeltaWriter
{
	Appender	to;
	TupleDesc	desc;			/* a copy: slots need not count references */
	TupleDesc	key_desc;		/* the columns that state is keyed by */
	MemoryContext context;
	ResourceOwner owner;		/* of the file, which outlives an attempt */
	HeapTuple  *tuples;
	int			count;
	int			capacity;
	Size		bytes;
	Tuplestorestate *others;	/* that came after the tuples */
	TupleTableSlot *slots[CHUNK];
	Datum	   *values;
	bool	   *isnull;
};

/* What a btree page has room for, with three items on it. */
#define MAX_KEY_SIZE \
	(MAXALIGN_DOWN((BLCKSZ - \
					MAXALIGN(SizeOfPageHeaderData + 3 * sizeof(ItemIdData)) - \
					MAXALIGN(sizeof(BTPageOpaqueData))) / 3) - \
	 MAXALIGN(sizeof(ItemPointerData)))

/* Keys of less are not worth a closer look. */
#define WIDE_KEY 1024

/* Columns of an invalid table; parts.c creates it. */
enum
{
	Anum_invalid_kind = 1,
	Anum_invalid_level,
	Anum_invalid_spans,
	Anum_invalid_nulls,
	Anum_invalid_buckets,
	Anum_invalid_error,
	Anum_invalid_keys,
	Anum_invalid_captured_at,
	Anum_invalid_xid,
	Natts_invalid = Anum_invalid_xid
};

/* Does a table have these columns from an offset on, and no more? */
static bool
has_columns(Relation rel, int offset, const Oid *types, int count)
{
	TupleDesc	desc = RelationGetDescr(rel);

	if (rel->rd_rel->relkind != RELKIND_RELATION || desc->natts != offset + count)
		return false;
	for (int i = 0; i < count; i++)
	{
		if (TupleDescAttr(desc, offset + i)->attisdropped ||
			TupleDescAttr(desc, offset + i)->atttypid != types[i])
			return false;
	}
	return true;
}

/* What aggwin itself puts into each delta. */
static bool
begins_as_delta(Relation rel)
{
	static const Oid types[] = {TIMESTAMPTZOID, XID8OID};
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < Natts_before_group; i++)
	{
		if (TupleDescAttr(desc, i)->attisdropped ||
			TupleDescAttr(desc, i)->atttypid != types[i])
			return false;
	}
	return true;
}

/* Asked before anything of the index is evaluated. */
static bool
is_plain(Relation index)
{
	return index->rd_rel->relam == BTREE_AM_OID && !index->rd_index->indisunique &&
		heap_attisnull(index->rd_indextuple, Anum_pg_index_indexprs, NULL) &&
		heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL);
}

static void
refuse_columns(Oid relid)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the rollup's table \"%s\" does not have its columns any more",
					get_rel_name(relid)),
			 errhint("Drop the rollup and create it again.")));
}

static void
open_appender(Appender *to, Oid relid, int offset, const Oid *types, int count)
{
	ListCell   *lc;

	memset(to, 0, sizeof(Appender));
	to->rel = table_open(relid, RowExclusiveLock);
	if (!has_columns(to->rel, offset, types, count))
		refuse_columns(relid);

	foreach(lc, RelationGetIndexList(to->rel))
	{
		Relation	index = index_open(lfirst_oid(lc), RowExclusiveLock);

		if (!index->rd_index->indisready)
		{
			index_close(index, NoLock);
			continue;
		}
		if (!is_plain(index) || to->index_count == MAX_INDEXES)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("index \"%s\" does not fit the rollup's table \"%s\"",
							RelationGetRelationName(index),
							RelationGetRelationName(to->rel)),
					 errdetail("Tables that changes are captured in keep their own index and a few plain ones."),
					 errhint("Drop the index.")));
		to->indexes[to->index_count] = index;
		to->index_infos[to->index_count] = BuildIndexInfo(index);
		to->index_count++;
	}
	to->xid = FullTransactionIdGetDatum(GetTopFullTransactionId());
	to->now = TimestampTzGetDatum(GetCurrentStatementStartTimestamp());
}

static void
close_appender(Appender *to)
{
	for (int i = 0; i < to->index_count; i++)
		index_close(to->indexes[i], NoLock);
	table_close(to->rel, NoLock);
}

static void
append_to_indexes(Appender *to, TupleTableSlot *slot)
{
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];

	for (int i = 0; i < to->index_count; i++)
	{
		FormIndexDatum(to->index_infos[i], slot, NULL, values, isnull);
		(void) index_insert(to->indexes[i], values, isnull, &slot->tts_tid,
							to->rel, UNIQUE_CHECK_NO, false, to->index_infos[i]);
	}
}

/*
 * Append to delta, whose columns after captured_at and xid are of these types.
 * The first of them are the key of state.
 */
DeltaWriter *
aggwin_delta_begin(Oid delta, const Oid *types, int columns, int keys)
{
	DeltaWriter *writer = palloc0(sizeof(DeltaWriter));

	open_appender(&writer->to, delta, Natts_before_group, types, columns);
	if (!begins_as_delta(writer->to.rel))
		refuse_columns(delta);
	writer->desc = CreateTupleDescCopy(RelationGetDescr(writer->to.rel));
	writer->key_desc = CreateTemplateTupleDesc(keys);
	for (int i = 1; i <= keys; i++)
		TupleDescCopyEntry(writer->key_desc, i, writer->desc, Natts_before_group + i);
	writer->context = CurrentMemoryContext;
	writer->owner = CurrentResourceOwner;
	writer->capacity = 8;
	writer->tuples = palloc(writer->capacity * sizeof(HeapTuple));
	writer->values = palloc(writer->desc->natts * sizeof(Datum));
	writer->isnull = palloc(writer->desc->natts * sizeof(bool));
	return writer;
}

/* In a short-lived context, since inserting leaves copies behind. */
static void
write_chunk(DeltaWriter *writer, HeapTuple *tuples, int count)
{
	for (int i = 0; i < count; i++)
	{
		ExecStoreHeapTuple(tuples[i], writer->slots[i], false);
	}
	table_multi_insert(writer->to.rel, writer->slots, count,
					   GetCurrentCommandId(true), 0, NULL);
	for (int i = 0; i < count; i++)
	{
		append_to_indexes(&writer->to, writer->slots[i]);
		ExecClearTuple(writer->slots[i]);
		heap_freetuple(tuples[i]);
	}
}

/* Take up to CHUNK tuples out of those kept in a tuplestore. */
static int
take_others(DeltaWriter *writer, TupleTableSlot *slot, HeapTuple *tuples)
{
	int			count = 0;

	while (count < CHUNK && tuplestore_gettupleslot(writer->others, true, false, slot))
		tuples[count++] = ExecCopySlotHeapTuple(slot);
	ExecClearTuple(slot);
	return count;
}

static void
write_others(DeltaWriter *writer, MemoryContext chunk_context)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(writer->desc, &TTSOpsMinimalTuple);
	MemoryContext old_context = MemoryContextSwitchTo(chunk_context);
	HeapTuple	tuples[CHUNK];
	int			count;

	tuplestore_rescan(writer->others);
	while ((count = take_others(writer, slot, tuples)) > 0)
	{
		write_chunk(writer, tuples, count);
		MemoryContextReset(chunk_context);
	}
	MemoryContextSwitchTo(old_context);
	ExecDropSingleTupleTableSlot(slot);
}

/* The bytes that a key's values take in an index, each compressed if it can be. */
static Size
compressed_size(DeltaWriter *writer, const Datum *values, const bool *isnull)
{
	Size		size = 0;

	for (int i = 0; i < writer->key_desc->natts; i++)
	{
		Datum		compressed;

		if (isnull[i] || TupleDescAttr(writer->key_desc, i)->attlen != -1)
			continue;
		compressed = toast_compress_datum(PointerGetDatum(PG_DETOAST_DATUM(values[i])),
										  InvalidCompressionMethod);
		if (DatumGetPointer(compressed) != NULL)
			size += VARSIZE(DatumGetPointer(compressed));
		else
			size += toast_raw_datum_size(values[i]);
	}
	return size;
}

/*
 * The size of a key in state's index, after compression. Below MAX_KEY_SIZE it
 * may be told as zero.
 */
static Size
key_size(DeltaWriter *writer, const Datum *values, const bool *isnull)
{
	Size		size = 0;
	MemoryContext context;
	MemoryContext old_context;

	for (int i = 0; i < writer->key_desc->natts; i++)
	{
		if (!isnull[i] && TupleDescAttr(writer->key_desc, i)->attlen == -1)
			size += toast_raw_datum_size(values[i]);
	}
	if (size <= WIDE_KEY)
		return 0;

	/* A batch may have many such keys, each copied here more than once. */
	context = AllocSetContextCreate(CurrentMemoryContext, "aggwin key",
									ALLOCSET_DEFAULT_SIZES);
	old_context = MemoryContextSwitchTo(context);

	/* Forming the tuple tells exactly, but has a limit of its own. */
	size = compressed_size(writer, values, isnull);
	if (size <= 2 * MAX_KEY_SIZE)
		size = IndexTupleSize(index_form_tuple(writer->key_desc,
											   unconstify(Datum *, values),
											   unconstify(bool *, isnull)));
	MemoryContextSwitchTo(old_context);
	MemoryContextDelete(context);
	return size;
}

/* Does state's index take this key? */
bool
aggwin_delta_key_fits(DeltaWriter *writer, const Datum *values, const bool *isnull)
{
	return key_size(writer, values, isnull) <= MAX_KEY_SIZE;
}

/*
 * Refuse a key that state's index would not take. At fold time it would be too
 * late: the row is there, and every fold would fail.
 */
void
aggwin_delta_check_key(DeltaWriter *writer, const Datum *values, const bool *isnull)
{
	Size		size = key_size(writer, values, isnull);

	if (size > MAX_KEY_SIZE)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("value too large for the key of a rollup"),
				 errdetail("The key takes %zu bytes after compression, at most %d fit.",
						   size, (int) MAX_KEY_SIZE),
				 errhint("Group by something shorter, such as md5(value) or left(value, 200).")));
}

/* Keep a tuple beyond those in memory, out of reach of an attempt's end. */
static void
keep_elsewhere(DeltaWriter *writer, HeapTuple tuple)
{
	if (writer->others == NULL)
	{
		ResourceOwner current = CurrentResourceOwner;

		CurrentResourceOwner = writer->owner;
		writer->others = tuplestore_begin_heap(false, false, TUPLESTORE_KILOBYTES);
		CurrentResourceOwner = current;
	}
	tuplestore_puttuple(writer->others, tuple);
	heap_freetuple(tuple);
}

/* Add a delta: its columns after captured_at and xid, which are added here. */
void
aggwin_delta_add(DeltaWriter *writer, const Datum *values, const bool *isnull,
				 int columns)
{
	MemoryContext old_context = MemoryContextSwitchTo(writer->context);
	HeapTuple	tuple;

	Assert(columns + Natts_before_group == writer->desc->natts);
	writer->values[Anum_delta_captured_at - 1] = writer->to.now;
	writer->isnull[Anum_delta_captured_at - 1] = false;
	writer->values[Anum_delta_xid - 1] = writer->to.xid;
	writer->isnull[Anum_delta_xid - 1] = false;
	memcpy(writer->values + Natts_before_group, values, columns * sizeof(Datum));
	memcpy(writer->isnull + Natts_before_group, isnull, columns * sizeof(bool));
	aggwin_delta_check_key(writer, values, isnull);
	tuple = heap_form_tuple(writer->desc, writer->values, writer->isnull);

	if (writer->bytes > MAX_BUFFERED_BYTES)
		keep_elsewhere(writer, tuple);
	else
	{
		if (writer->count == writer->capacity)
		{
			writer->capacity *= 2;
			writer->tuples = repalloc(writer->tuples,
									  writer->capacity * sizeof(HeapTuple));
		}
		writer->tuples[writer->count++] = tuple;
		writer->bytes += HEAPTUPLESIZE + tuple->t_len;
	}
	MemoryContextSwitchTo(old_context);
}

/* Write what is kept, in a context that each chunk leaves empty. */
static void
write_all(DeltaWriter *writer)
{
	int			slots = writer->others != NULL ? CHUNK : Min(CHUNK, writer->count);
	MemoryContext context;
	MemoryContext old_context;

	for (int i = 0; i < slots; i++)
		writer->slots[i] = MakeSingleTupleTableSlot(writer->desc, &TTSOpsHeapTuple);
	context = AllocSetContextCreate(CurrentMemoryContext, "aggwin chunk",
									ALLOCSET_DEFAULT_SIZES);
	old_context = MemoryContextSwitchTo(context);
	for (int done = 0; done < writer->count; done += CHUNK)
	{
		write_chunk(writer, writer->tuples + done,
					Min(CHUNK, writer->count - done));
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(old_context);
	if (writer->others != NULL)
		write_others(writer, context);
	MemoryContextDelete(context);
	for (int i = 0; i < slots; i++)
		ExecDropSingleTupleTableSlot(writer->slots[i]);
}

/* Be done, with the deltas written or forgotten. */
void
aggwin_delta_end(DeltaWriter *writer, bool write)
{
	if (write)
		write_all(writer);
	if (writer->others != NULL)
		tuplestore_end(writer->others);
	close_appender(&writer->to);
}

/*
 * Make spans of the base invalid, a value of a multirange type. buckets is NULL
 * when nobody has counted: everything. keys (text[]) are the first keys of all rows
 * that have changed, 0 if they are not known. error says why, unless it is NULL: rows
 * have changed.
 */
void
aggwin_invalid_write(Oid invalid, Oid spans_type, Datum spans, bool nulls,
					 const int64 *buckets, Datum keys, const char *error)
{
	Oid			types[Natts_invalid] = {CHAROID, INT2OID, spans_type, BOOLOID, INT8OID, TEXTOID, TEXTARRAYOID, TIMESTAMPTZOID, XID8OID};
	Appender	to;
	TupleTableSlot *slot;

	open_appender(&to, invalid, 0, types, Natts_invalid);
	slot = MakeSingleTupleTableSlot(RelationGetDescr(to.rel), &TTSOpsVirtual);
	ExecClearTuple(slot);
	memset(slot->tts_isnull, false, Natts_invalid * sizeof(bool));
	slot->tts_values[Anum_invalid_kind - 1] = CharGetDatum(AGGWIN_INVALID);
	slot->tts_values[Anum_invalid_level - 1] = Int16GetDatum(0);
	slot->tts_values[Anum_invalid_spans - 1] = spans;
	slot->tts_values[Anum_invalid_nulls - 1] = BoolGetDatum(nulls);
	if (buckets != NULL)
		slot->tts_values[Anum_invalid_buckets - 1] = Int64GetDatum(*buckets);
	else
		slot->tts_isnull[Anum_invalid_buckets - 1] = true;
	if (error != NULL)
		slot->tts_values[Anum_invalid_error - 1] = CStringGetTextDatum(error);
	else
		slot->tts_isnull[Anum_invalid_error - 1] = true;
	slot->tts_values[Anum_invalid_keys - 1] = keys;
	slot->tts_isnull[Anum_invalid_keys - 1] = keys == 0;
	slot->tts_values[Anum_invalid_captured_at - 1] = to.now;
	slot->tts_values[Anum_invalid_xid - 1] = to.xid;
	ExecStoreVirtualTuple(slot);
	table_tuple_insert(to.rel, slot, GetCurrentCommandId(true), 0, NULL);
	append_to_indexes(&to, slot);
	ExecDropSingleTupleTableSlot(slot);
	close_appender(&to);
}

/* All of event time is invalid, rows without a time included. */
void
aggwin_invalid_write_all_for(Oid invalid, const char *error)
{
	Oid			type = get_atttype(invalid, Anum_invalid_spans);
	Oid			input;
	Oid			ioparam;

	if (!type_is_multirange(type))
		refuse_columns(invalid);
	getTypeInputInfo(type, &input, &ioparam);
	aggwin_invalid_write(invalid, type,
						 OidInputFunctionCall(input, pstrdup("{(,)}"), ioparam, -1),
						 true, NULL, 0, error);
}

void
aggwin_invalid_write_all(Oid invalid)
{
	aggwin_invalid_write_all_for(invalid, NULL);
}
