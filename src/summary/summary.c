/*
 * summary.c - what all summary types have in common
 */
#include "postgres.h"

#include "summary/summary.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

const char *
aggwin_summary_name(SummaryType type)
{
	switch (type)
	{
		case SUMMARY_HISTOGRAM:
			return "aggwin.histogram";
		case SUMMARY_EXP_HISTOGRAM:
			return "aggwin.exp_histogram";
		case SUMMARY_TOPK:
			return "aggwin.topk";
		case SUMMARY_COUNTER:
			return "aggwin.counter";
		case SUMMARY_STATS:
			return "aggwin.stats";
		case SUMMARY_TIMED:
			return "aggwin.timed";
	}
	elog(ERROR, "unknown summary type %d", type);
}

void
aggwin_summary_corrupt(SummaryType type, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("damaged value of type %s", aggwin_summary_name(type)),
			 errdetail("%s", detail)));
}

/* The value in a datum, detoasted and aligned: the datum itself where it is both. */
Summary *
aggwin_summary_get(Datum datum, SummaryType type)
{
	Summary    *summary = (Summary *) PG_DETOAST_DATUM(datum);

	if (unlikely(VARSIZE(summary) < sizeof(Summary) || summary->type != type ||
				 summary->layout > SUMMARY_BUFFER || summary->reserved != 0))
		aggwin_summary_corrupt(type, "It does not begin as values of this type do.");
	if (unlikely(summary->version != SUMMARY_VERSION))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a value of type %s has the format version %d, which is unknown",
						aggwin_summary_name(type), summary->version),
				 errdetail("This version of aggwin knows format version %d.", SUMMARY_VERSION),
				 errhint("Update aggwin to the version that wrote the value.")));
	return summary;
}

/* A zeroed summary of so many bytes, its head included. */
Summary *
aggwin_summary_alloc(SummaryType type, uint8 layout, Size size)
{
	Summary    *summary;

	if (!AllocSizeIsValid(size))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("value of type %s would exceed one gigabyte",
						aggwin_summary_name(type))));
	summary = palloc0(size);
	SET_VARSIZE(summary, size);
	summary->type = type;
	summary->version = SUMMARY_VERSION;
	summary->layout = layout;
	return summary;
}

/* Start to read what a stored summary holds. */
void
aggwin_summary_reader(WireReader *reader, const Summary *summary)
{
	Assert(summary->layout == SUMMARY_STORED);
	reader->next = SUMMARY_PAYLOAD(summary);
	reader->end = (const uint8 *) summary + VARSIZE(summary);
	reader->bad = false;
}

/* A stored summary was allocated for the worst case and ends here. */
Summary *
aggwin_summary_finish(Summary *summary, const uint8 *end)
{
	Size		size = end - (uint8 *) summary;

	Assert(size <= VARSIZE(summary));
	SET_VARSIZE(summary, size);
	return summary;
}

void
aggwin_summary_refuse(SummaryType type, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
			 errmsg("invalid binary value for type %s", aggwin_summary_name(type)),
			 errdetail("%s", detail)));
}

/*
 * The binary form: the version, then the payload as stored. The payload comes
 * back unchecked.
 */
Summary *
aggwin_summary_receive(StringInfo message, SummaryType type)
{
	uint8		version = pq_getmsgbyte(message);
	int			length = message->len - message->cursor;
	Summary    *summary;

	if (version != SUMMARY_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("binary value for type %s has the format version %d, which is unknown",
						aggwin_summary_name(type), version),
				 errdetail("This version of aggwin knows format version %d.", SUMMARY_VERSION)));
	summary = aggwin_summary_alloc(type, SUMMARY_STORED, sizeof(Summary) + length);
	pq_copymsgbytes(message, (char *) SUMMARY_PAYLOAD(summary), length);
	return summary;
}

/* Equal values are equal bytes: refuse what aggwin would have written differently. */
void
aggwin_summary_check_canonical(const Summary *received, const Summary *canonical)
{
	if (VARSIZE(received) != VARSIZE(canonical) ||
		memcmp(received, canonical, VARSIZE(received)) != 0)
		aggwin_summary_refuse(received->type, "It is not written as aggwin writes it.");
}

bytea *
aggwin_summary_send(const Summary *stored)
{
	StringInfoData buf;

	Assert(stored->layout == SUMMARY_STORED);
	pq_begintypsend(&buf);
	pq_sendbyte(&buf, stored->version);
	pq_sendbytes(&buf, (char *) SUMMARY_PAYLOAD(stored), SUMMARY_PAYLOAD_SIZE(stored));
	return pq_endtypsend(&buf);
}

/* A sum of values, unless values that are all finite overflowed it. */
double
aggwin_summary_sum(double sum, double min, double max)
{
	if (!isfinite(sum) && isfinite(min) && isfinite(max))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("sum of the values is out of range"),
				 errhint("Percentiles, minimum and maximum are not affected.")));
	return sum;
}

void
aggwin_check_fraction(double fraction)
{
	if (!(fraction >= 0 && fraction <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("fraction %g is out of range", fraction),
				 errdetail("A fraction lies between 0 and 1."),
				 errhint("Write 0.95, not 95, for the 95th percentile.")));
}

/* percentile() of each fraction, in an array of the same shape; NULL stays NULL. */
Datum
aggwin_percentiles(const void *state, ArrayType *fractions,
				   PercentileFunction percentile)
{
	Datum	   *elements;
	bool	   *nulls;
	int			count;

	if (ARR_NDIM(fractions) == 0)
		return PointerGetDatum(construct_empty_array(FLOAT8OID));

	deconstruct_array(fractions, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL,
					  TYPALIGN_DOUBLE, &elements, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		if (nulls[i])
			continue;
		aggwin_check_fraction(DatumGetFloat8(elements[i]));
		elements[i] = Float8GetDatum(percentile(state, DatumGetFloat8(elements[i])));
	}
	return PointerGetDatum(construct_md_array(elements, nulls, ARR_NDIM(fractions),
											  ARR_DIMS(fractions), ARR_LBOUND(fractions),
											  FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL,
											  TYPALIGN_DOUBLE));
}

PG_FUNCTION_INFO_V1(aggwin_summary_eq);
PG_FUNCTION_INFO_V1(aggwin_summary_ne);
PG_FUNCTION_INFO_V1(aggwin_summary_hash);
PG_FUNCTION_INFO_V1(aggwin_summary_hash_extended);

/*
 * Equal summaries are equal bytes. That holds for stored ones, and no others
 * get here: an aggregate's working state is not a value of a query.
 */
static bool
equal_bytes(FunctionCallInfo fcinfo)
{
	struct varlena *a = PG_GETARG_VARLENA_PP(0);
	struct varlena *b = PG_GETARG_VARLENA_PP(1);

	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

Datum
aggwin_summary_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(equal_bytes(fcinfo));
}

Datum
aggwin_summary_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!equal_bytes(fcinfo));
}

Datum
aggwin_summary_hash(PG_FUNCTION_ARGS)
{
	struct varlena *value = PG_GETARG_VARLENA_PP(0);

	return hash_any((unsigned char *) VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
}

Datum
aggwin_summary_hash_extended(PG_FUNCTION_ARGS)
{
	struct varlena *value = PG_GETARG_VARLENA_PP(0);

	return hash_any_extended((unsigned char *) VARDATA_ANY(value),
							 VARSIZE_ANY_EXHDR(value), PG_GETARG_INT64(1));
}
