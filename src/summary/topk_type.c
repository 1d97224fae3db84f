/*
 * topk_type.c - the SQL type topk: its forms
 *
 * stored:   k, capacity, total, max_error, number of items (varints); each item:
 *           how much its count is below that of the item before (that of the
 *           first: below the total), its error, its length (varints), its bytes
 * working:  TopkTable
 *
 * Items are text. The binary form of COPY has them in the client's encoding.
 */
#include "postgres.h"

#include "core/json.h"
#include "summary/topk_type.h"

#include "mb/pg_wchar.h"
#include "utils/json.h"

PG_FUNCTION_INFO_V1(aggwin_topk_in);
PG_FUNCTION_INFO_V1(aggwin_topk_out);
PG_FUNCTION_INFO_V1(aggwin_topk_recv);
PG_FUNCTION_INFO_V1(aggwin_topk_send);

static const char *const fields[] = {"k", "capacity", "total", "max_error", "items"};

/* What a stored summary holds, not checked further; false if it cannot be read. */
static bool
decode(TopkList *list, const Summary *summary)
{
	WireReader	reader;
	uint64		k;
	uint64		capacity;
	uint64		length;
	uint64		count;

	aggwin_summary_reader(&reader, summary);
	k = wire_get_varint(&reader);
	capacity = wire_get_varint(&reader);
	list->total = (int64) wire_get_varint(&reader);
	list->max_error = (int64) wire_get_varint(&reader);
	length = wire_get_varint(&reader);

	/* an item takes three bytes at least */
	if (reader.bad || k > TOPK_MAX_K || capacity > TOPK_MAX_CAPACITY ||
		length > (reader.end - reader.next) / 3)
		return false;
	list->k = (int32) k;
	list->capacity = (int32) capacity;
	list->length = (int32) length;
	list->items = palloc((length + 1) * sizeof(TopkItem));
	count = (uint64) list->total;
	for (int32 i = 0; i < list->length; i++)
	{
		TopkItem   *item = &list->items[i];
		uint64		below = wire_get_varint(&reader);
		uint64		bytes;

		if (below > count)
			return false;
		count -= below;
		item->count = (int64) count;
		item->error = (int64) wire_get_varint(&reader);
		bytes = wire_get_varint(&reader);
		/* in another encoding it may be longer */
		if (bytes > TOPK_MAX_ITEM * MAX_CONVERSION_GROWTH)
			return false;
		item->length = (uint32) bytes;
		item->item = (const char *) wire_get_bytes(&reader, bytes);
		if (reader.bad)
			return false;
	}
	return reader.next == reader.end;
}

/* The items of a summary of either layout, in order; they stay in it. */
void
aggwin_topk_get(TopkList *list, Datum datum)
{
	Summary    *summary = aggwin_summary_get(datum, SUMMARY_TOPK);

	if (summary->layout == SUMMARY_STORED)
	{
		if (!decode(list, summary))
			aggwin_summary_corrupt(SUMMARY_TOPK, "Its items cannot be read.");
		return;
	}
	if (!aggwin_topk_valid(aggwin_topk_table_of(summary), SUMMARY_PAYLOAD_SIZE(summary)))
		aggwin_summary_corrupt(SUMMARY_TOPK, "Its working state is not whole.");
	aggwin_topk_list_of_table(list, aggwin_topk_table_of(summary));
	aggwin_topk_list_sort(list);
}

Summary *
aggwin_topk_encode(const TopkList *list)
{
	Size		size = sizeof(Summary) + 5 * WIRE_MAX_VARINT;
	Summary    *summary;
	uint8	   *to;
	int64		count = list->total;

	for (int32 i = 0; i < list->length; i++)
		size += 3 * WIRE_MAX_VARINT + list->items[i].length;
	summary = aggwin_summary_alloc(SUMMARY_TOPK, SUMMARY_STORED, size);
	to = SUMMARY_PAYLOAD(summary);
	to = wire_put_varint(to, list->k);
	to = wire_put_varint(to, list->capacity);
	to = wire_put_varint(to, list->total);
	to = wire_put_varint(to, list->max_error);
	to = wire_put_varint(to, list->length);
	for (int32 i = 0; i < list->length; i++)
	{
		const TopkItem *item = &list->items[i];

		to = wire_put_varint(to, count - item->count);
		to = wire_put_varint(to, item->error);
		to = wire_put_varint(to, item->length);
		to = wire_put_bytes(to, item->item, item->length);
		count = item->count;
	}
	return aggwin_summary_finish(summary, to);
}

Datum
aggwin_topk_in(PG_FUNCTION_ARGS)
{
	JsonReader	reader;
	JsonbContainer *items;
	TopkList	list;
	int64		k;
	int64		capacity;
	const char *problem;

	aggwin_json_open(&reader, "aggwin.topk", PG_GETARG_CSTRING(0), fields, lengthof(fields));

	/* what does not fit into 32 bits is out of the range that is checked below */
	k = aggwin_json_int8(&reader, "k");
	capacity = aggwin_json_int8(&reader, "capacity");
	list.k = (int32) Max(Min(k, PG_INT32_MAX), 0);
	list.capacity = (int32) Max(Min(capacity, PG_INT32_MAX), 0);
	list.total = aggwin_json_int8(&reader, "total");
	list.max_error = aggwin_json_int8(&reader, "max_error");
	items = aggwin_json_array(&reader, "items");
	list.length = JsonContainerSize(items);
	list.items = palloc(((Size) list.length + 1) * sizeof(TopkItem));
	for (int32 i = 0; i < list.length; i++)
	{
		JsonbContainer *item = aggwin_json_element_array(&reader, "items", items, i, 3);

		list.items[i].item = aggwin_json_element_string(&reader, "items", item, 0);
		list.items[i].length = strlen(list.items[i].item);
		list.items[i].count = aggwin_json_element_int8(&reader, "items", item, 1);
		list.items[i].error = aggwin_json_element_int8(&reader, "items", item, 2);
	}
	problem = aggwin_topk_list_check(&list);
	if (problem != NULL)
		aggwin_json_refuse(&reader, problem);
	PG_RETURN_POINTER(aggwin_topk_encode(&list));
}

Datum
aggwin_topk_out(PG_FUNCTION_ARGS)
{
	TopkList	list;
	StringInfoData buf;

	aggwin_topk_get(&list, PG_GETARG_DATUM(0));
	initStringInfo(&buf);
	appendStringInfo(&buf, "{\"k\": %d, \"capacity\": %d, \"total\": " INT64_FORMAT
					 ", \"max_error\": " INT64_FORMAT ", \"items\": [",
					 list.k, list.capacity, list.total, list.max_error);
	for (int32 i = 0; i < list.length; i++)
	{
		appendStringInfoString(&buf, i > 0 ? ", [" : "[");
		escape_json(&buf, pnstrdup(list.items[i].item, list.items[i].length));
		appendStringInfo(&buf, ", " INT64_FORMAT ", " INT64_FORMAT "]",
						 list.items[i].count, list.items[i].error);
	}
	appendStringInfoString(&buf, "]}");
	PG_RETURN_CSTRING(buf.data);
}

/*
 * The order of items of the same count is that of their bytes, so a client's
 * encoding may have another. Then it is put right here, not refused.
 */
Datum
aggwin_topk_recv(PG_FUNCTION_ARGS)
{
	Summary    *received = aggwin_summary_receive((StringInfo) PG_GETARG_POINTER(0), SUMMARY_TOPK);
	Summary    *canonical;
	TopkList	list;
	bool		same_encoding = true;
	const char *problem;

	if (!decode(&list, received))
		aggwin_summary_refuse(SUMMARY_TOPK, "Its items cannot be read.");
	for (int32 i = 0; i < list.length; i++)
	{
		TopkItem   *item = &list.items[i];
		char	   *converted;

		if (memchr(item->item, '\0', item->length) != NULL)
			aggwin_summary_refuse(SUMMARY_TOPK, "An item holds a zero byte.");
		converted = pg_client_to_server(item->item, item->length);
		if (converted != item->item)
		{
			item->item = converted;
			item->length = strlen(converted);
			same_encoding = false;
		}
	}
	if (!same_encoding)
		aggwin_topk_list_sort(&list);
	problem = aggwin_topk_list_check(&list);
	if (problem != NULL)
		aggwin_summary_refuse(SUMMARY_TOPK, problem);
	canonical = aggwin_topk_encode(&list);
	if (same_encoding)
		aggwin_summary_check_canonical(received, canonical);
	PG_RETURN_POINTER(canonical);
}

Datum
aggwin_topk_send(PG_FUNCTION_ARGS)
{
	TopkList	list;

	aggwin_topk_get(&list, PG_GETARG_DATUM(0));
	for (int32 i = 0; i < list.length; i++)
	{
		TopkItem   *item = &list.items[i];
		char	   *converted = pg_server_to_client(item->item, item->length);

		if (converted != item->item)
		{
			item->item = converted;
			item->length = strlen(converted);
		}
	}
	PG_RETURN_BYTEA_P(aggwin_summary_send(aggwin_topk_encode(&list)));
}
