/*
 * capture_write.c - appending to a rollup's delta and invalid tables
 *
 * Rows are put into heap and indexes directly, without a plan: these tables
 * have an index on xid, now and then its double while it is built anew, and
 * neither triggers nor constraints. Each row carries the id of the top
 * transaction, which the snapshot rule is about (fold.c), and the time of the
 * statement.
 */
#include "postgres.h"

#include "rollup/capture_write.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
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

/* Rows that are kept before they go to the heap together. */
#define MAX_BUFFERED 64

struct DeltaWriter
{
	Appender	to;
	TupleDesc	desc;			/* a copy: slots need not count references */
	int			buffered;
	TupleTableSlot *slots[MAX_BUFFERED];
};

/* Columns of an invalid table; ddl.c creates it. */
enum
{
	Anum_invalid_spans = 1,
	Anum_invalid_nulls,
	Anum_invalid_buckets,
	Anum_invalid_captured_at,
	Anum_invalid_xid,
	Natts_invalid = Anum_invalid_xid
};

static void
open_appender(Appender *to, Oid relid)
{
	ListCell   *lc;

	memset(to, 0, sizeof(Appender));
	to->rel = table_open(relid, RowExclusiveLock);
	foreach(lc, RelationGetIndexList(to->rel))
	{
		Relation	index = index_open(lfirst_oid(lc), RowExclusiveLock);
		IndexInfo  *info = BuildIndexInfo(index);

		if (!info->ii_ReadyForInserts)
		{
			index_close(index, NoLock);
			continue;
		}
		if (info->ii_Expressions != NIL || info->ii_Predicate != NIL ||
			info->ii_Unique || to->index_count == MAX_INDEXES)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("index \"%s\" does not fit the rollup's table \"%s\"",
							RelationGetRelationName(index),
							RelationGetRelationName(to->rel)),
					 errdetail("Tables that changes are captured in keep their own index and a few plain ones."),
					 errhint("Drop the index.")));
		to->indexes[to->index_count] = index;
		to->index_infos[to->index_count] = info;
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

DeltaWriter *
aggwin_delta_begin(Oid delta)
{
	DeltaWriter *writer = palloc0(sizeof(DeltaWriter));

	open_appender(&writer->to, delta);
	writer->desc = CreateTupleDescCopy(RelationGetDescr(writer->to.rel));
	return writer;
}

/* The leading columns of a delta: what grouping yields. */
TupleDesc
aggwin_delta_groups_desc(DeltaWriter *writer, int columns)
{
	TupleDesc	desc = CreateTemplateTupleDesc(columns);

	for (int i = 1; i <= columns; i++)
		TupleDescCopyEntry(desc, i, writer->desc, i);
	return desc;
}

static void
flush(DeltaWriter *writer)
{
	if (writer->buffered == 0)
		return;
	table_multi_insert(writer->to.rel, writer->slots, writer->buffered,
					   GetCurrentCommandId(true), 0, NULL);
	for (int i = 0; i < writer->buffered; i++)
	{
		append_to_indexes(&writer->to, writer->slots[i]);
		ExecClearTuple(writer->slots[i]);
	}
	writer->buffered = 0;
}

/* An empty slot to fill with the leading columns of a delta. */
TupleTableSlot *
aggwin_delta_slot(DeltaWriter *writer)
{
	TupleTableSlot *slot;

	if (writer->buffered == MAX_BUFFERED)
		flush(writer);
	if (writer->slots[writer->buffered] == NULL)
		writer->slots[writer->buffered] =
			MakeSingleTupleTableSlot(writer->desc, &TTSOpsHeapTuple);
	slot = writer->slots[writer->buffered];
	ExecClearTuple(slot);
	return slot;
}

/* Take the slot that was filled. What its values point to may go after this. */
void
aggwin_delta_store(DeltaWriter *writer, TupleTableSlot *slot, int columns)
{
	HeapTuple	tuple;

	Assert(slot == writer->slots[writer->buffered]);
	Assert(columns + 2 == writer->desc->natts);

	slot->tts_values[columns] = writer->to.now;
	slot->tts_isnull[columns] = false;
	slot->tts_values[columns + 1] = writer->to.xid;
	slot->tts_isnull[columns + 1] = false;
	tuple = heap_form_tuple(writer->desc, slot->tts_values, slot->tts_isnull);
	ExecStoreHeapTuple(tuple, slot, true);
	writer->buffered++;
}

void
aggwin_delta_end(DeltaWriter *writer)
{
	flush(writer);
	for (int i = 0; i < MAX_BUFFERED && writer->slots[i] != NULL; i++)
		ExecDropSingleTupleTableSlot(writer->slots[i]);
	close_appender(&writer->to);
}

/* buckets is NULL when nobody has counted: everything. */
void
aggwin_invalid_write(Oid invalid, Datum spans, bool nulls, const int64 *buckets)
{
	Appender	to;
	TupleTableSlot *slot;

	open_appender(&to, invalid);
	slot = MakeSingleTupleTableSlot(RelationGetDescr(to.rel), &TTSOpsVirtual);
	ExecClearTuple(slot);
	memset(slot->tts_isnull, false, Natts_invalid * sizeof(bool));
	slot->tts_values[Anum_invalid_spans - 1] = spans;
	slot->tts_values[Anum_invalid_nulls - 1] = BoolGetDatum(nulls);
	if (buckets != NULL)
		slot->tts_values[Anum_invalid_buckets - 1] = Int64GetDatum(*buckets);
	else
		slot->tts_isnull[Anum_invalid_buckets - 1] = true;
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
aggwin_invalid_write_all(Oid invalid)
{
	Oid			type = get_atttype(invalid, Anum_invalid_spans);
	Oid			input;
	Oid			ioparam;

	getTypeInputInfo(type, &input, &ioparam);
	aggwin_invalid_write(invalid,
						 OidInputFunctionCall(input, pstrdup("{(,)}"), ioparam, -1),
						 true, NULL);
}
