/*
 * histogram_type.c - the SQL type histogram: its forms
 *
 * stored:   number of bounds (varint), the bounds, sum, min, max (floats), how
 *           many are -Infinity and Infinity (varints), the counts (varints)
 * working:  Histogram
 */
#include "postgres.h"

#include "core/json.h"
#include "summary/histogram_type.h"

PG_FUNCTION_INFO_V1(aggwin_histogram_in);
PG_FUNCTION_INFO_V1(aggwin_histogram_out);
PG_FUNCTION_INFO_V1(aggwin_histogram_recv);
PG_FUNCTION_INFO_V1(aggwin_histogram_send);

static const char *const fields[] = {
	"bounds", "counts", "count", "sum", "min", "max", "minus_infinity", "plus_infinity"
};

/* A working state without values. */
Summary *
aggwin_histogram_new(const double *bounds, int nbounds)
{
	Summary    *summary = aggwin_summary_alloc(SUMMARY_HISTOGRAM, SUMMARY_WORKING,
											   sizeof(Summary) + HISTOGRAM_SIZE(nbounds));

	aggwin_histogram_init(aggwin_histogram_of(summary), bounds, nbounds);
	return summary;
}

/* What a stored summary holds, not checked further; NULL if it cannot be read. */
static Histogram *
decode(const Summary *summary)
{
	WireReader	reader;
	Histogram  *histogram;
	int64	   *counts;
	uint64		nbounds;

	aggwin_summary_reader(&reader, summary);
	nbounds = wire_get_varint(&reader);
	if (nbounds < 1 || nbounds > HISTOGRAM_MAX_BOUNDS)
		return NULL;
	histogram = palloc0(HISTOGRAM_SIZE(nbounds));
	histogram->nbounds = (int32) nbounds;
	for (int i = 0; i < nbounds; i++)
		histogram->bounds[i] = wire_get_float8(&reader);
	histogram->sum = wire_get_float8(&reader);
	histogram->min = wire_get_float8(&reader);
	histogram->max = wire_get_float8(&reader);
	histogram->minus_infinity = (int64) wire_get_varint(&reader);
	histogram->plus_infinity = (int64) wire_get_varint(&reader);
	counts = aggwin_histogram_counts(histogram);
	for (int i = 0; i <= nbounds; i++)
	{
		counts[i] = (int64) wire_get_varint(&reader);
		histogram->count = (int64) ((uint64) histogram->count + (uint64) counts[i]);
	}
	if (reader.bad || reader.next != reader.end)
		return NULL;
	return histogram;
}

/* The histogram in a summary of either layout; to be read only. */
Histogram *
aggwin_histogram_get(Datum datum)
{
	Summary    *summary = aggwin_summary_get(datum, SUMMARY_HISTOGRAM);
	Histogram  *histogram;

	if (summary->layout == SUMMARY_WORKING)
	{
		histogram = aggwin_histogram_of(summary);
		if (SUMMARY_PAYLOAD_SIZE(summary) < HISTOGRAM_SIZE(1) ||
			histogram->nbounds < 1 || histogram->nbounds > HISTOGRAM_MAX_BOUNDS ||
			SUMMARY_PAYLOAD_SIZE(summary) != HISTOGRAM_SIZE(histogram->nbounds))
			aggwin_summary_corrupt(SUMMARY_HISTOGRAM, "Its working state is not whole.");
		return histogram;
	}
	histogram = decode(summary);
	if (histogram == NULL)
		aggwin_summary_corrupt(SUMMARY_HISTOGRAM, "Its buckets cannot be read.");
	return histogram;
}

Summary *
aggwin_histogram_encode(const Histogram *histogram)
{
	const int64 *counts = aggwin_histogram_counts(histogram);
	Size		size = sizeof(Summary) + (3 + histogram->nbounds) * WIRE_FLOAT8 +
		(3 + histogram->nbounds + 1) * WIRE_MAX_VARINT;
	Summary    *summary = aggwin_summary_alloc(SUMMARY_HISTOGRAM, SUMMARY_STORED, size);
	uint8	   *to = SUMMARY_PAYLOAD(summary);

	to = wire_put_varint(to, histogram->nbounds);
	for (int i = 0; i < histogram->nbounds; i++)
		to = wire_put_float8(to, histogram->bounds[i]);
	to = wire_put_float8(to, histogram->sum);
	to = wire_put_float8(to, histogram->min);
	to = wire_put_float8(to, histogram->max);
	to = wire_put_varint(to, histogram->minus_infinity);
	to = wire_put_varint(to, histogram->plus_infinity);
	for (int i = 0; i <= histogram->nbounds; i++)
		to = wire_put_varint(to, counts[i]);
	return aggwin_summary_finish(summary, to);
}

Datum
aggwin_histogram_in(PG_FUNCTION_ARGS)
{
	JsonReader	reader;
	JsonbContainer *bounds;
	JsonbContainer *counts;
	Histogram  *histogram;
	int			nbounds;
	const char *problem;

	aggwin_json_open(&reader, "aggwin.histogram", PG_GETARG_CSTRING(0), fields, lengthof(fields));
	bounds = aggwin_json_array(&reader, "bounds");
	counts = aggwin_json_array(&reader, "counts");
	nbounds = JsonContainerSize(bounds);
	if (nbounds < 1 || nbounds > HISTOGRAM_MAX_BOUNDS)
		aggwin_json_refuse(&reader, psprintf("There have to be 1 to %d bounds.", HISTOGRAM_MAX_BOUNDS));
	if (JsonContainerSize(counts) != nbounds + 1)
		aggwin_json_refuse(&reader, "There has to be one count more than there are bounds.");

	histogram = palloc0(HISTOGRAM_SIZE(nbounds));
	histogram->nbounds = nbounds;
	for (int i = 0; i < nbounds; i++)
		histogram->bounds[i] = aggwin_json_element_float8(&reader, "bounds", bounds, i) + 0.0;
	for (int i = 0; i <= nbounds; i++)
		aggwin_histogram_counts(histogram)[i] =
			aggwin_json_element_int8(&reader, "counts", counts, i);
	histogram->count = aggwin_json_int8(&reader, "count");
	histogram->sum = aggwin_json_float8(&reader, "sum") + 0.0;
	histogram->min = aggwin_json_float8(&reader, "min") + 0.0;
	histogram->max = aggwin_json_float8(&reader, "max") + 0.0;
	histogram->minus_infinity = aggwin_json_int8(&reader, "minus_infinity");
	histogram->plus_infinity = aggwin_json_int8(&reader, "plus_infinity");
	problem = aggwin_histogram_check(histogram);
	if (problem != NULL)
		aggwin_json_refuse(&reader, problem);
	PG_RETURN_POINTER(aggwin_histogram_encode(histogram));
}

Datum
aggwin_histogram_out(PG_FUNCTION_ARGS)
{
	Histogram  *histogram = aggwin_histogram_get(PG_GETARG_DATUM(0));
	const int64 *counts = aggwin_histogram_counts(histogram);
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "{\"bounds\": [");
	for (int i = 0; i < histogram->nbounds; i++)
	{
		if (i > 0)
			appendStringInfoString(&buf, ", ");
		aggwin_json_put_float8(&buf, histogram->bounds[i]);
	}
	appendStringInfoString(&buf, "], \"counts\": [");
	for (int i = 0; i <= histogram->nbounds; i++)
		appendStringInfo(&buf, "%s" INT64_FORMAT, i > 0 ? ", " : "", counts[i]);
	appendStringInfo(&buf, "], \"count\": " INT64_FORMAT ", \"sum\": ", histogram->count);
	aggwin_json_put_float8(&buf, histogram->sum);
	appendStringInfoString(&buf, ", \"min\": ");
	aggwin_json_put_float8(&buf, histogram->min);
	appendStringInfoString(&buf, ", \"max\": ");
	aggwin_json_put_float8(&buf, histogram->max);
	appendStringInfo(&buf, ", \"minus_infinity\": " INT64_FORMAT ", \"plus_infinity\": " INT64_FORMAT "}",
					 histogram->minus_infinity, histogram->plus_infinity);
	PG_RETURN_CSTRING(buf.data);
}

Datum
aggwin_histogram_recv(PG_FUNCTION_ARGS)
{
	Summary    *received = aggwin_summary_receive((StringInfo) PG_GETARG_POINTER(0),
												  SUMMARY_HISTOGRAM);
	Histogram  *histogram = decode(received);
	Summary    *canonical;
	const char *problem;

	if (histogram == NULL)
		aggwin_summary_refuse(SUMMARY_HISTOGRAM, "Its buckets cannot be read.");
	problem = aggwin_histogram_check(histogram);
	if (problem != NULL)
		aggwin_summary_refuse(SUMMARY_HISTOGRAM, problem);
	for (int i = 0; i < histogram->nbounds; i++)
		histogram->bounds[i] += 0.0;
	histogram->sum += 0.0;
	histogram->min += 0.0;
	histogram->max += 0.0;
	canonical = aggwin_histogram_encode(histogram);
	aggwin_summary_check_canonical(received, canonical);
	PG_RETURN_POINTER(canonical);
}

Datum
aggwin_histogram_send(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(aggwin_summary_send(aggwin_histogram_encode(aggwin_histogram_get(PG_GETARG_DATUM(0)))));
}
