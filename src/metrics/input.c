/*
 * input.c - samples whose labels are JSON
 *
 * aggwin.ingest() in its two forms, and what is put into the view
 * aggwin.sample_input by INSERT or COPY. See input_view.c for the latter.
 */
#include "postgres.h"

#include "metrics/input.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "fmgr.h"
#include "metrics/names.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(aggwin_ingest);
PG_FUNCTION_INFO_V1(aggwin_ingest_samples);

/* What tells these bytes from those of other forms of a series */
#define FORM 'j'

/* Begin a batch, in a child of a memory context; see aggwin_ingest_begin(). */
void
aggwin_json_input_begin(JsonInput *input, MemoryContext parent)
{
	MemoryContext old_context = MemoryContextSwitchTo(parent);

	input->batch = aggwin_ingest_begin(parent);
	input->scratch = AllocSetContextCreate(parent, "aggwin labels", ALLOCSET_SMALL_SIZES);
	initStringInfo(&input->bytes);
	MemoryContextSwitchTo(old_context);
}

/* Metric, NULL or not, and labels as they are, in one piece. */
static SeriesBytes
bytes_of(JsonInput *input, text *metric, Jsonb *labels)
{
	int32		length = metric != NULL ? VARSIZE_ANY_EXHDR(metric) : -1;

	resetStringInfo(&input->bytes);
	appendStringInfoCharMacro(&input->bytes, FORM);
	appendBinaryStringInfo(&input->bytes, (const char *) &length, sizeof(length));
	if (metric != NULL)
		appendBinaryStringInfo(&input->bytes, VARDATA_ANY(metric), length);
	if (labels != NULL)
		appendBinaryStringInfo(&input->bytes, VARDATA(labels), VARSIZE(labels) - VARHDRSZ);
	return aggwin_series_bytes(input->bytes.data, input->bytes.len);
}

static int64
learn(JsonInput *input, SeriesBytes bytes, text *metric, Jsonb *labels)
{
	MemoryContext old_context = MemoryContextSwitchTo(input->scratch);
	LabelPair  *pairs = NULL;
	int			count = labels != NULL ? aggwin_label_pairs(labels, &pairs) : 0;
	SeriesKey  *key = metric != NULL
		? aggwin_series_key(VARDATA_ANY(metric), VARSIZE_ANY_EXHDR(metric), pairs, count)
		: aggwin_series_key(NULL, 0, pairs, count);
	int64		handle;

	MemoryContextSwitchTo(old_context);
	handle = aggwin_ingest_learn(input->batch, bytes, key);
	MemoryContextReset(input->scratch);
	return handle;
}

/* The metric's name, for what is refused before its series is looked for. */
static void
name_of(JsonInput *input, text *metric, Jsonb *labels, const char **name, int *length)
{
	LabelPair  *pairs;
	int			count;

	*name = metric != NULL ? VARDATA_ANY(metric) : "";
	*length = metric != NULL ? VARSIZE_ANY_EXHDR(metric) : 0;
	if (metric != NULL || labels == NULL)
		return;
	count = aggwin_label_pairs(labels, &pairs);
	for (int i = 0; i < count; i++)
	{
		if (pairs[i].name_length == strlen(AGGWIN_NAME_LABEL) &&
			memcmp(pairs[i].name, AGGWIN_NAME_LABEL, pairs[i].name_length) == 0)
		{
			*name = pairs[i].value;
			*length = pairs[i].value_length;
		}
	}
}

/* Add a sample. metric may be NULL if labels has it; labels may be NULL. */
void
aggwin_json_input_add(JsonInput *input, text *metric, Jsonb *labels, TimestampTz ts, double value)
{
	SeriesBytes bytes;
	const char *name;
	int			length;
	int64		handle;

	name_of(input, metric, labels, &name, &length);
	if (aggwin_ingest_refuses(input->batch, name, length, ts))
		return;
	bytes = bytes_of(input, metric, labels);
	handle = aggwin_ingest_find(input->batch, bytes);
	if (handle == 0)
		handle = learn(input, bytes, metric, labels);
	aggwin_ingest_put(input->batch, handle, ts, value);
}

/*
 * aggwin.ingest(metric, labels, ts, value): store a sample. metric may be NULL if
 * labels has it as __name__; labels may be NULL. 1, or 0 if it was refused.
 */
Datum
aggwin_ingest(PG_FUNCTION_ARGS)
{
	text	   *metric = PG_ARGISNULL(0) ? NULL : PG_GETARG_TEXT_PP(0);
	Jsonb	   *labels = PG_ARGISNULL(1) ? NULL : PG_GETARG_JSONB_P(1);
	JsonInput	input;

	for (int i = 2; i < 4; i++)
	{
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("argument \"%s\" must not be NULL", i == 2 ? "ts" : "value")));
	}
	aggwin_json_input_begin(&input, CurrentMemoryContext);
	aggwin_ingest_check_rights(input.batch);
	aggwin_json_input_add(&input, metric, labels, PG_GETARG_TIMESTAMPTZ(2), PG_GETARG_FLOAT8(3));
	PG_RETURN_INT64(aggwin_ingest_end(input.batch));
}

/* The columns of aggwin.sample. */
enum
{
	SAMPLE_METRIC,
	SAMPLE_LABELS,
	SAMPLE_TS,
	SAMPLE_VALUE,
	SAMPLE_COLUMNS
};

static void
add_row(JsonInput *input, HeapTupleHeader row, TupleDesc desc, int number)
{
	HeapTupleData tuple = {
		.t_len = HeapTupleHeaderGetDatumLength(row),
		.t_data = row,
	};
	Datum		values[SAMPLE_COLUMNS];
	bool		nulls[SAMPLE_COLUMNS];

	heap_deform_tuple(&tuple, desc, values, nulls);
	for (int i = SAMPLE_TS; i <= SAMPLE_VALUE; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s of a sample must not be NULL", NameStr(TupleDescAttr(desc, i)->attname)),
					 errdetail("It is element %d of the array.", number)));
	}
	aggwin_json_input_add(input,
						  nulls[SAMPLE_METRIC] ? NULL : DatumGetTextPP(values[SAMPLE_METRIC]),
						  nulls[SAMPLE_LABELS] ? NULL : DatumGetJsonbP(values[SAMPLE_LABELS]),
						  DatumGetTimestampTz(values[SAMPLE_TS]), DatumGetFloat8(values[SAMPLE_VALUE]));
}

/*
 * aggwin.ingest(aggwin.sample[]): store samples, in the order of the array, and
 * return the number of those that were not refused. The elements must not be NULL;
 * for their columns the same holds as for the arguments of the other form.
 */
Datum
aggwin_ingest_samples(PG_FUNCTION_ARGS)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	Oid			type = ARR_ELEMTYPE(array);
	TupleDesc	desc = lookup_rowtype_tupdesc_copy(type, -1);
	ArrayIterator iterator = array_create_iterator(array, 0, NULL);
	MemoryContext row_context = AllocSetContextCreate(CurrentMemoryContext, "aggwin row",
													  ALLOCSET_DEFAULT_SIZES);
	JsonInput	input;
	Datum		element;
	bool		isnull;
	int			number = 0;

	aggwin_json_input_begin(&input, CurrentMemoryContext);
	aggwin_ingest_check_rights(input.batch);
	while (array_iterate(iterator, &element, &isnull))
	{
		MemoryContext old_context;

		number++;
		if (isnull)
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("a sample must not be NULL"),
					 errdetail("It is element %d of the array.", number)));
		old_context = MemoryContextSwitchTo(row_context);
		add_row(&input, DatumGetHeapTupleHeader(element), desc, number);
		MemoryContextSwitchTo(old_context);
		MemoryContextReset(row_context);
	}
	PG_RETURN_INT64(aggwin_ingest_end(input.batch));
}
