/*
 * counter_type.c - the SQL type counter: its forms
 *
 * A stored segment is: time of the first sample (the first segment's signed, of
 * others a varint, the distance to the last sample of the segment before),
 * number of samples - 1 (varint), first value (float) and, if there is more than
 * one sample: distance of the times (varint), last value (float), number of
 * resets (varint) and, if there are any, the sum of the values before them (float).
 */
#include "postgres.h"

#include "core/json.h"
#include "summary/counter_type.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/timestamp.h"

/* Numbers of a segment, in bytes at most, and at least. */
#define SEGMENT_MAX_SIZE (4 * WIRE_MAX_VARINT + 3 * WIRE_FLOAT8)
#define SEGMENT_MIN_SIZE (2 + WIRE_FLOAT8)

PG_FUNCTION_INFO_V1(aggwin_counter_in);
PG_FUNCTION_INFO_V1(aggwin_counter_out);
PG_FUNCTION_INFO_V1(aggwin_counter_recv);
PG_FUNCTION_INFO_V1(aggwin_counter_send);

static const char *const fields[] = {"exact", "segments"};
static const char *const segment_fields[] = {
	"first_time", "first_val", "last_time", "last_val", "num_vals", "resets", "reset_sum"
};

void
aggwin_counter_fail(CounterResult result)
{
	switch (result)
	{
		case COUNTER_OK:
			break;
		case COUNTER_TOO_MANY:
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("aggwin.counter has more samples than 64 bits can count")));
			break;
		case COUNTER_TOO_LARGE:
			float_overflow_error();
			break;
	}
}

/* The segments of a stored summary; false if they cannot be read. Not checked further. */
static bool
read_counter(Counter *counter, const Summary *summary)
{
	WireReader	reader;
	uint64		head;
	int64		time = 0;

	aggwin_summary_reader(&reader, summary);
	head = wire_get_varint(&reader);
	counter->exact = (head & 1) == 0;
	if (reader.bad || head / 2 < 1 || head / 2 > COUNTER_MAX_SEGMENTS ||
		head / 2 * SEGMENT_MIN_SIZE > reader.end - reader.next)
		return false;
	counter->length = (int32) (head / 2);
	counter->segments = palloc0(counter->length * sizeof(CounterSegment));
	for (int32 i = 0; i < counter->length && !reader.bad; i++)
	{
		CounterSegment *segment = &counter->segments[i];
		uint64		distance;

		/* sums that overflow wrap to times that are out of order */
		if (i == 0)
			time = wire_get_signed(&reader);
		else
		{
			distance = wire_get_varint(&reader);
			if (distance > (uint64) END_TIMESTAMP - (uint64) time)
				return false;
			time = (int64) ((uint64) time + distance);
		}
		if (!IS_VALID_TIMESTAMP(time))
			return false;
		segment->first.time = time;
		distance = wire_get_varint(&reader);
		if (distance >= PG_INT64_MAX)
			return false;
		segment->samples = (int64) distance + 1;
		segment->first.value = wire_get_float8(&reader);
		if (segment->samples == 1)
		{
			segment->last = segment->first;
			continue;
		}
		distance = wire_get_varint(&reader);
		if (distance > (uint64) END_TIMESTAMP - (uint64) time)
			return false;
		time = (int64) ((uint64) time + distance);
		segment->last.time = time;
		segment->last.value = wire_get_float8(&reader);
		segment->resets = (int64) wire_get_varint(&reader);
		if (segment->resets != 0)
			segment->reset_sum = wire_get_float8(&reader);
	}
	return !reader.bad && reader.next == reader.end;
}

/* Is a summary that is not stored as long as it says? */
void
aggwin_counter_check_working(Summary *summary)
{
	Size		size = SUMMARY_PAYLOAD_SIZE(summary);
	bool		whole;

	if (summary->layout == SUMMARY_BUFFER)
	{
		CounterBuffer *buffer = aggwin_counter_buffer_of(summary);

		whole = size >= offsetof(CounterBuffer, points) &&
			buffer->length >= 1 && buffer->length <= buffer->capacity &&
			size == offsetof(CounterBuffer, points) + buffer->capacity * sizeof(CounterPoint);
	}
	else
	{
		CounterList *list = aggwin_counter_list_of(summary);

		whole = size >= offsetof(CounterList, segments) &&
			list->length >= 1 && list->length <= list->capacity &&
			size == offsetof(CounterList, segments) + list->capacity * sizeof(CounterSegment);
	}
	if (!whole)
		aggwin_summary_corrupt(SUMMARY_COUNTER, "Its working state is not whole.");
}

/* What counter_agg() collected, as a segment. */
static void
segment_of_buffer(CounterSegment *segment, CounterBuffer *buffer)
{
	CounterPoint *points = buffer->points;

	if (!buffer->sorted)
	{
		points = palloc(buffer->length * sizeof(CounterPoint));
		memcpy(points, buffer->points, buffer->length * sizeof(CounterPoint));
		aggwin_counter_sort(points, buffer->length);
	}
	aggwin_counter_fail(aggwin_counter_of_points(segment, points, buffer->length));
	if (points != buffer->points)
		pfree(points);
}

/* The counter in a summary of any layout, as it would be stored. */
void
aggwin_counter_get(Counter *counter, Summary *summary)
{
	CounterList *list;
	CounterSegment whole;

	if (summary->layout == SUMMARY_STORED)
	{
		if (!read_counter(counter, summary))
			aggwin_summary_corrupt(SUMMARY_COUNTER, "Its segments cannot be read.");
		return;
	}

	aggwin_counter_check_working(summary);
	if (summary->layout == SUMMARY_BUFFER)
	{
		counter->exact = true;
		counter->length = 1;
		counter->segments = palloc(sizeof(CounterSegment));
		segment_of_buffer(counter->segments, aggwin_counter_buffer_of(summary));
		return;
	}
	list = aggwin_counter_list_of(summary);
	counter->exact = list->exact;
	counter->length = list->length;
	counter->segments = palloc(list->length * sizeof(CounterSegment));
	memcpy(counter->segments, list->segments, list->length * sizeof(CounterSegment));
	aggwin_counter_fail(aggwin_counter_settle(counter));
	aggwin_counter_fail(aggwin_counter_close_gaps(counter, COUNTER_MAX_SEGMENTS));
	/* what its accessors will add up must not overflow */
	aggwin_counter_fail(aggwin_counter_whole(&whole, counter));
}

/* As aggwin_counter_get() gives it. */
Summary *
aggwin_counter_encode(Counter *counter)
{
	Summary    *summary = aggwin_summary_alloc(SUMMARY_COUNTER, SUMMARY_STORED,
											   sizeof(Summary) + WIRE_MAX_VARINT +
											   counter->length * SEGMENT_MAX_SIZE);
	uint8	   *to = SUMMARY_PAYLOAD(summary);

	to = wire_put_varint(to, (uint64) counter->length * 2 + !counter->exact);
	for (int32 i = 0; i < counter->length; i++)
	{
		const CounterSegment *segment = &counter->segments[i];

		if (i == 0)
			to = wire_put_signed(to, segment->first.time);
		else
			to = wire_put_varint(to, (uint64) segment->first.time - (uint64) segment[-1].last.time);
		to = wire_put_varint(to, segment->samples - 1);
		to = wire_put_float8(to, segment->first.value + 0.0);
		if (segment->samples == 1)
			continue;
		to = wire_put_varint(to, (uint64) segment->last.time - (uint64) segment->first.time);
		to = wire_put_float8(to, segment->last.value + 0.0);
		to = wire_put_varint(to, segment->resets);
		if (segment->resets > 0)
			to = wire_put_float8(to, segment->reset_sum + 0.0);
	}
	return aggwin_summary_finish(summary, to);
}

Datum
aggwin_counter_out(PG_FUNCTION_ARGS)
{
	Counter		counter;
	StringInfoData buf;

	aggwin_counter_get(&counter, aggwin_summary_get(PG_GETARG_DATUM(0), SUMMARY_COUNTER));
	initStringInfo(&buf);
	appendStringInfo(&buf, "{\"exact\": %s, \"segments\": [", counter.exact ? "true" : "false");
	for (int32 i = 0; i < counter.length; i++)
	{
		const CounterSegment *segment = &counter.segments[i];

		appendStringInfoString(&buf, i == 0 ? "{\"first_time\": " : ", {\"first_time\": ");
		aggwin_json_put_time(&buf, segment->first.time, TIMESTAMPTZOID);
		appendStringInfoString(&buf, ", \"first_val\": ");
		aggwin_json_put_float8(&buf, segment->first.value);
		appendStringInfoString(&buf, ", \"last_time\": ");
		aggwin_json_put_time(&buf, segment->last.time, TIMESTAMPTZOID);
		appendStringInfoString(&buf, ", \"last_val\": ");
		aggwin_json_put_float8(&buf, segment->last.value);
		appendStringInfo(&buf, ", \"num_vals\": " INT64_FORMAT ", \"resets\": " INT64_FORMAT
						 ", \"reset_sum\": ", segment->samples, segment->resets);
		aggwin_json_put_float8(&buf, segment->reset_sum);
		appendStringInfoChar(&buf, '}');
	}
	appendStringInfoString(&buf, "]}");
	PG_RETURN_CSTRING(buf.data);
}

Datum
aggwin_counter_in(PG_FUNCTION_ARGS)
{
	JsonReader	reader;
	JsonbContainer *array;
	Counter		counter;
	const char *problem;

	aggwin_json_open(&reader, "aggwin.counter", PG_GETARG_CSTRING(0), fields, lengthof(fields));
	counter.exact = aggwin_json_bool(&reader, "exact");
	array = aggwin_json_array(&reader, "segments");
	counter.length = JsonContainerSize(array);
	if (counter.length > COUNTER_MAX_SEGMENTS)
		aggwin_json_refuse(&reader, psprintf("There are more than %d segments.", COUNTER_MAX_SEGMENTS));
	counter.segments = palloc0((counter.length + 1) * sizeof(CounterSegment));
	for (int32 i = 0; i < counter.length; i++)
	{
		CounterSegment *segment = &counter.segments[i];
		JsonReader	element;

		aggwin_json_element_object(&element, &reader, "segments", array, i,
								   segment_fields, lengthof(segment_fields));
		segment->first.time = aggwin_json_time(&element, "first_time", TIMESTAMPTZOID);
		segment->first.value = aggwin_json_float8(&element, "first_val");
		segment->last.time = aggwin_json_time(&element, "last_time", TIMESTAMPTZOID);
		segment->last.value = aggwin_json_float8(&element, "last_val");
		segment->samples = aggwin_json_int8(&element, "num_vals");
		segment->resets = aggwin_json_int8(&element, "resets");
		segment->reset_sum = aggwin_json_float8(&element, "reset_sum");
	}
	problem = aggwin_counter_check(&counter);
	if (problem != NULL)
		aggwin_json_refuse(&reader, problem);
	PG_RETURN_POINTER(aggwin_counter_encode(&counter));
}

Datum
aggwin_counter_recv(PG_FUNCTION_ARGS)
{
	Summary    *received = aggwin_summary_receive((StringInfo) PG_GETARG_POINTER(0),
												  SUMMARY_COUNTER);
	Counter		counter;
	Summary    *canonical;
	const char *problem;

	if (!read_counter(&counter, received))
		aggwin_summary_refuse(SUMMARY_COUNTER, "Its segments cannot be read.");
	problem = aggwin_counter_check(&counter);
	if (problem != NULL)
		aggwin_summary_refuse(SUMMARY_COUNTER, problem);
	canonical = aggwin_counter_encode(&counter);
	aggwin_summary_check_canonical(received, canonical);
	PG_RETURN_POINTER(canonical);
}

Datum
aggwin_counter_send(PG_FUNCTION_ARGS)
{
	Counter		counter;

	aggwin_counter_get(&counter, aggwin_summary_get(PG_GETARG_DATUM(0), SUMMARY_COUNTER));
	PG_RETURN_BYTEA_P(aggwin_summary_send(aggwin_counter_encode(&counter)));
}
