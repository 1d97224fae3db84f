/*
 * capture_write.c - appending to a rollup's delta and invalid tables
 *
 * Rows are put into heap and index directly, without a plan: these tables have
 * one plain index and neither triggers nor constraints. Each row carries the
 * id of the top transaction, which the snapshot rule is about (fold.c), and
 * the time of the statement.
 */
#include "postgres.h"

#include "rollup/capture_write.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

/* Rows that are kept before they go to the heap together. */
#define MAX_BUFFERED 256

struct DeltaWriter
{
	Relation	rel;
	CatalogIndexState indexes;
	Datum		xid;
	Datum		now;
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

static Datum
top_xid(void)
{
	return FullTransactionIdGetDatum(GetTopFullTransactionId());
}

DeltaWriter *
aggwin_delta_begin(Oid delta)
{
	DeltaWriter *writer = palloc0(sizeof(DeltaWriter));

	writer->rel = table_open(delta, RowExclusiveLock);
	writer->indexes = CatalogOpenIndexes(writer->rel);
	writer->xid = top_xid();
	writer->now = TimestampTzGetDatum(GetCurrentStatementStartTimestamp());
	return writer;
}

/* The leading columns of a delta: what grouping yields. */
TupleDesc
aggwin_delta_groups_desc(DeltaWriter *writer, int columns)
{
	TupleDesc	desc = CreateTemplateTupleDesc(columns);

	for (int i = 1; i <= columns; i++)
		TupleDescCopyEntry(desc, i, RelationGetDescr(writer->rel), i);
	return desc;
}

static void
flush(DeltaWriter *writer)
{
	if (writer->buffered == 1)
	{
		bool		free_tuple;
		HeapTuple	tuple = ExecFetchSlotHeapTuple(writer->slots[0], true,
												   &free_tuple);

		CatalogTupleInsertWithInfo(writer->rel, tuple, writer->indexes);
		if (free_tuple)
			heap_freetuple(tuple);
	}
	else if (writer->buffered > 1)
		CatalogTuplesMultiInsertWithInfo(writer->rel, writer->slots,
										 writer->buffered, writer->indexes);
	for (int i = 0; i < writer->buffered; i++)
		ExecClearTuple(writer->slots[i]);
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
			MakeSingleTupleTableSlot(RelationGetDescr(writer->rel),
									 &TTSOpsHeapTuple);
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
	Assert(columns + 2 == RelationGetDescr(writer->rel)->natts);

	slot->tts_values[columns] = writer->now;
	slot->tts_isnull[columns] = false;
	slot->tts_values[columns + 1] = writer->xid;
	slot->tts_isnull[columns + 1] = false;
	tuple = heap_form_tuple(RelationGetDescr(writer->rel), slot->tts_values,
							slot->tts_isnull);
	ExecStoreHeapTuple(tuple, slot, true);
	writer->buffered++;
}

void
aggwin_delta_end(DeltaWriter *writer)
{
	flush(writer);
	for (int i = 0; i < MAX_BUFFERED && writer->slots[i] != NULL; i++)
		ExecDropSingleTupleTableSlot(writer->slots[i]);
	CatalogCloseIndexes(writer->indexes);
	table_close(writer->rel, NoLock);
}

/* buckets is NULL when nobody has counted: everything. */
void
aggwin_invalid_write(Oid invalid, Datum spans, bool nulls, const int64 *buckets)
{
	Relation	rel = table_open(invalid, RowExclusiveLock);
	Datum		values[Natts_invalid] = {0};
	bool		isnull[Natts_invalid] = {0};

	values[Anum_invalid_spans - 1] = spans;
	values[Anum_invalid_nulls - 1] = BoolGetDatum(nulls);
	if (buckets != NULL)
		values[Anum_invalid_buckets - 1] = Int64GetDatum(*buckets);
	else
		isnull[Anum_invalid_buckets - 1] = true;
	values[Anum_invalid_captured_at - 1] =
		TimestampTzGetDatum(GetCurrentStatementStartTimestamp());
	values[Anum_invalid_xid - 1] = top_xid();
	CatalogTupleInsert(rel, heap_form_tuple(RelationGetDescr(rel), values, isnull));
	table_close(rel, NoLock);
}

/* All of event time is invalid, rows without a time included. */
void
aggwin_invalid_write_all(Oid invalid)
{
	Relation	rel = table_open(invalid, RowExclusiveLock);
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel),
										  Anum_invalid_spans - 1);
	Oid			input;
	Oid			ioparam;
	Datum		everything;

	getTypeInputInfo(att->atttypid, &input, &ioparam);
	everything = OidInputFunctionCall(input, pstrdup("{(,)}"), ioparam, -1);
	table_close(rel, NoLock);
	aggwin_invalid_write(invalid, everything, true, NULL);
}
