/*
 * exp_histogram_type.c - the SQL type exp_histogram: its forms
 *
 * stored:   max_buckets (varint), scale (signed), zeros (varint), sum, min, max
 *           (floats), number of negative buckets (varint), the negative buckets,
 *           the positive buckets
 * working:  ExpTable
 * buffer:   ExpBuffer
 *
 * The buckets of a sign ascend by value. The first is its index (signed) and its
 * count - 1 (varint). Each further one is a varint whose upper bits are the
 * distance to the index before - 1 and whose lowest bit says that the count is
 * not 1; only then the count - 2 follows, as a varint.
 */
#include "postgres.h"

#include "core/json.h"
#include "summary/exp_buffer.h"
#include "summary/exp_histogram_type.h"

#include "utils/builtins.h"

/* The numbers before the buckets, at most. */
#define STORED_HEAD (sizeof(Summary) + 4 * WIRE_MAX_VARINT + 3 * WIRE_FLOAT8)

PG_FUNCTION_INFO_V1(aggwin_exp_histogram_in);
PG_FUNCTION_INFO_V1(aggwin_exp_histogram_out);
PG_FUNCTION_INFO_V1(aggwin_exp_histogram_recv);
PG_FUNCTION_INFO_V1(aggwin_exp_histogram_send);

static const char *const fields[] = {
	"scale", "max_buckets", "count", "sum", "min", "max", "zero", "negative", "positive"
};

/* The buckets of one sign, up to length or to the end. */
static void
read_buckets(WireReader *reader, ExpList *list, int32 sign, uint64 length)
{
	int64		index = 0;

	for (uint64 i = 0; i < length && reader->next < reader->end; i++)
	{
		ExpBucket  *bucket = &list->buckets[list->length++];
		uint64		rest;

		bucket->sign = sign;
		if (i == 0)
		{
			index = wire_get_signed(reader);
			rest = wire_get_varint(reader) + 1;
		}
		else
		{
			uint64		token = wire_get_varint(reader);

			if (token >> 1 >= EXP_KEY_MASK)
				reader->bad = true;
			else
				index += sign * ((int64) (token >> 1) + 1);
			rest = (token & 1) ? wire_get_varint(reader) + 2 : 1;
		}
		bucket->count = (int64) rest;
		list->count = (int64) ((uint64) list->count + rest);
		if (index < -(int64) EXP_KEY_BASE || index > (int64) EXP_KEY_BASE)
			reader->bad = true;
		if (reader->bad)
			return;
		bucket->index = (int32) index;
	}
}

/* The list in a stored summary; false if there is none. Not checked further. */
static bool
read_list(ExpList *list, const Summary *summary)
{
	WireReader	reader;
	uint64		max_buckets;
	int64		scale;
	uint64		negatives;

	aggwin_summary_reader(&reader, summary);
	max_buckets = wire_get_varint(&reader);
	scale = wire_get_signed(&reader);
	list->count = (int64) wire_get_varint(&reader);
	list->sum = wire_get_float8(&reader);
	list->min = wire_get_float8(&reader);
	list->max = wire_get_float8(&reader);
	negatives = wire_get_varint(&reader);
	if (reader.bad || max_buckets > EXP_MAX_BUCKETS ||
		scale < EXP_MIN_SCALE || scale > EXP_MAX_SCALE)
		return false;
	list->max_buckets = (int32) max_buckets;
	list->scale = (int32) scale;

	/* a bucket takes a byte at least */
	list->buckets = palloc((reader.end - reader.next + 1) * sizeof(ExpBucket));
	list->length = 0;
	if (list->count != 0)
	{
		list->buckets[0] = (ExpBucket) {.count = list->count};
		list->length = 1;
	}
	read_buckets(&reader, list, -1, negatives);
	if (negatives > list->length - (list->length > 0 && list->buckets[0].sign == 0))
		return false;
	if (negatives > 0 && list->length > negatives)
	{
		/* zero comes after them */
		ExpBucket	zero = list->buckets[0];

		memmove(&list->buckets[0], &list->buckets[1], negatives * sizeof(ExpBucket));
		list->buckets[negatives] = zero;
	}
	read_buckets(&reader, list, 1, PG_UINT64_MAX);
	return !reader.bad;
}

/* The buckets of a summary of any layout, in no order. */
void
aggwin_exp_histogram_list(ExpList *list, Summary *summary)
{
	Size		size = SUMMARY_PAYLOAD_SIZE(summary);

	if (summary->layout == SUMMARY_WORKING)
	{
		if (!aggwin_exp_table_valid(aggwin_exp_table_of(summary), size))
			aggwin_summary_corrupt(SUMMARY_EXP_HISTOGRAM, "Its working state is not whole.");
		aggwin_exp_list_of_table(list, aggwin_exp_table_of(summary));
	}
	else if (summary->layout == SUMMARY_BUFFER)
	{
		if (!aggwin_exp_buffer_valid(aggwin_exp_buffer_of(summary), size))
			aggwin_summary_corrupt(SUMMARY_EXP_HISTOGRAM, "Its working state is not whole.");
		aggwin_exp_list_of_buffer(list, aggwin_exp_buffer_of(summary));
	}
	else if (!read_list(list, summary))
		aggwin_summary_corrupt(SUMMARY_EXP_HISTOGRAM, "Its buckets cannot be read.");
}

/* The buckets of a summary of any layout, in order. */
void
aggwin_exp_histogram_get(ExpList *list, Datum datum)
{
	Summary    *summary = aggwin_summary_get(datum, SUMMARY_EXP_HISTOGRAM);

	aggwin_exp_histogram_list(list, summary);
	if (summary->layout != SUMMARY_STORED)
		aggwin_exp_list_sort(list);
}

Summary *
aggwin_exp_histogram_encode(const ExpList *list)
{
	Summary    *summary = aggwin_summary_alloc(SUMMARY_EXP_HISTOGRAM, SUMMARY_STORED,
											   STORED_HEAD + (Size) list->length * 2 * WIRE_MAX_VARINT);
	uint8	   *to = SUMMARY_PAYLOAD(summary);
	int64		zeros = 0;
	int32		negatives = 0;
	const ExpBucket *before = NULL;

	for (int32 i = 0; i < list->length && list->buckets[i].sign <= 0; i++)
	{
		if (list->buckets[i].sign == 0)
			zeros = list->buckets[i].count;
		else
			negatives++;
	}

	to = wire_put_varint(to, list->max_buckets);
	to = wire_put_signed(to, list->scale);
	to = wire_put_varint(to, zeros);
	to = wire_put_float8(to, list->sum);
	to = wire_put_float8(to, list->min);
	to = wire_put_float8(to, list->max);
	to = wire_put_varint(to, negatives);
	for (int32 i = 0; i < list->length; i++)
	{
		const ExpBucket *bucket = &list->buckets[i];

		if (bucket->sign == 0)
			continue;
		if (before == NULL || before->sign != bucket->sign)
		{
			to = wire_put_signed(to, bucket->index);
			to = wire_put_varint(to, bucket->count - 1);
		}
		else
		{
			uint64		distance = abs(bucket->index - before->index) - 1;

			to = wire_put_varint(to, distance << 1 | (bucket->count > 1));
			if (bucket->count > 1)
				to = wire_put_varint(to, bucket->count - 2);
		}
		before = bucket;
	}
	return aggwin_summary_finish(summary, to);
}

static void
put_buckets(StringInfo buf, const char *field, const ExpList *list, int32 sign)
{
	const char *separator = "";

	appendStringInfo(buf, ", \"%s\": [", field);
	for (int32 i = 0; i < list->length; i++)
	{
		if (list->buckets[i].sign != sign)
			continue;
		appendStringInfo(buf, "%s[%d, " INT64_FORMAT "]", separator,
						 list->buckets[i].index, list->buckets[i].count);
		separator = ", ";
	}
	appendStringInfoChar(buf, ']');
}

Datum
aggwin_exp_histogram_out(PG_FUNCTION_ARGS)
{
	ExpList		list;
	StringInfoData buf;
	int64		zeros = 0;

	aggwin_exp_histogram_get(&list, PG_GETARG_DATUM(0));
	for (int32 i = 0; i < list.length; i++)
		if (list.buckets[i].sign == 0)
			zeros = list.buckets[i].count;

	initStringInfo(&buf);
	appendStringInfo(&buf, "{\"scale\": %d, \"max_buckets\": %d, \"count\": " INT64_FORMAT
					 ", \"sum\": ", list.scale, list.max_buckets, list.count);
	aggwin_json_put_float8(&buf, list.sum);
	appendStringInfoString(&buf, ", \"min\": ");
	aggwin_json_put_float8(&buf, list.min);
	appendStringInfoString(&buf, ", \"max\": ");
	aggwin_json_put_float8(&buf, list.max);
	appendStringInfo(&buf, ", \"zero\": " INT64_FORMAT, zeros);
	put_buckets(&buf, "negative", &list, -1);
	put_buckets(&buf, "positive", &list, 1);
	appendStringInfoChar(&buf, '}');
	PG_RETURN_CSTRING(buf.data);
}

static void
parse_buckets(JsonReader *reader, ExpList *list, const char *field,
			  JsonbContainer *array, int32 sign)
{
	for (int i = 0; i < JsonContainerSize(array); i++)
	{
		JsonbContainer *pair = aggwin_json_element_array(reader, field, array, i, 2);
		int64		index = aggwin_json_element_int8(reader, field, pair, 0);

		if (index < -(int64) EXP_KEY_BASE || index > (int64) EXP_KEY_BASE)
			aggwin_json_refuse(reader, "A bucket lies beyond the range of numbers.");
		list->buckets[list->length++] = (ExpBucket) {
			.index = (int32) index,
			.sign = sign,
			.count = aggwin_json_element_int8(reader, field, pair, 1)
		};
	}
}

Datum
aggwin_exp_histogram_in(PG_FUNCTION_ARGS)
{
	JsonReader	reader;
	JsonbContainer *negative;
	JsonbContainer *positive;
	ExpList		list;
	int64		scale;
	int64		max_buckets;
	int64		zeros;
	const char *problem;

	aggwin_json_open(&reader, "aggwin.exp_histogram", PG_GETARG_CSTRING(0),
					 fields, lengthof(fields));
	negative = aggwin_json_array(&reader, "negative");
	positive = aggwin_json_array(&reader, "positive");

	/* what does not fit into 32 bits is out of the range that is checked below */
	scale = aggwin_json_int8(&reader, "scale");
	max_buckets = aggwin_json_int8(&reader, "max_buckets");
	list.scale = (int32) Max(Min(scale, PG_INT32_MAX), PG_INT32_MIN);
	list.max_buckets = (int32) Max(Min(max_buckets, PG_INT32_MAX), PG_INT32_MIN);
	list.count = aggwin_json_int8(&reader, "count");
	list.sum = aggwin_json_float8(&reader, "sum") + 0.0;
	list.min = aggwin_json_float8(&reader, "min") + 0.0;
	list.max = aggwin_json_float8(&reader, "max") + 0.0;
	list.length = 0;
	list.buckets = palloc(((Size) JsonContainerSize(negative) + JsonContainerSize(positive) + 1) *
						  sizeof(ExpBucket));
	parse_buckets(&reader, &list, "negative", negative, -1);
	zeros = aggwin_json_int8(&reader, "zero");
	if (zeros != 0)
		list.buckets[list.length++] = (ExpBucket) {.count = zeros};
	parse_buckets(&reader, &list, "positive", positive, 1);

	problem = aggwin_exp_list_check(&list);
	if (problem != NULL)
		aggwin_json_refuse(&reader, problem);
	PG_RETURN_POINTER(aggwin_exp_histogram_encode(&list));
}

Datum
aggwin_exp_histogram_recv(PG_FUNCTION_ARGS)
{
	Summary    *received = aggwin_summary_receive((StringInfo) PG_GETARG_POINTER(0),
												  SUMMARY_EXP_HISTOGRAM);
	ExpList		list;
	Summary    *canonical;
	const char *problem;

	if (!read_list(&list, received))
		aggwin_summary_refuse(SUMMARY_EXP_HISTOGRAM, "Its buckets cannot be read.");

	/* no minus zeros */
	list.sum += 0.0;
	list.min += 0.0;
	list.max += 0.0;
	problem = aggwin_exp_list_check(&list);
	if (problem != NULL)
		aggwin_summary_refuse(SUMMARY_EXP_HISTOGRAM, problem);
	canonical = aggwin_exp_histogram_encode(&list);
	aggwin_summary_check_canonical(received, canonical);
	PG_RETURN_POINTER(canonical);
}

Datum
aggwin_exp_histogram_send(PG_FUNCTION_ARGS)
{
	ExpList		list;

	aggwin_exp_histogram_get(&list, PG_GETARG_DATUM(0));
	PG_RETURN_BYTEA_P(aggwin_summary_send(aggwin_exp_histogram_encode(&list)));
}
