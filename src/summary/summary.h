/*
 * summary.h - what all summary types have in common
 *
 * A summary is a varlena with a head of eight bytes and one of these layouts:
 *
 *   stored     what tables, COPY BINARY and pg_dump see: bytes as core/wire.h
 *              writes them, with no padding; equal summaries are equal bytes
 *   working    what an aggregate mutates in place: aligned, with room to grow.
 *              It leaves an aggregate only for another process of the same
 *              query (parallel workers pass states on unfinished). Some types
 *              have a second one of these, the buffer, for their first values.
 *
 * Every function takes all, as whoever writes an aggregate of his own over the
 * transition functions may see them. What an aggregate's transition or
 * combine function gives when it is called outside of an aggregate is stored.
 */
#ifndef AGGWIN_SUMMARY_H
#define AGGWIN_SUMMARY_H

#include "postgres.h"

#include "core/compat.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "nodes/nodes.h"
#include "utils/array.h"

#include "core/wire.h"

/* In every value: never renumber. */
typedef enum SummaryType
{
	SUMMARY_HISTOGRAM = 0xA1,
	SUMMARY_EXP_HISTOGRAM = 0xA2,
	SUMMARY_TOPK = 0xA3,
	SUMMARY_COUNTER = 0xA4,
	SUMMARY_STATS = 0xA5,
	SUMMARY_TIMED = 0xA6,
} SummaryType;

#define SUMMARY_VERSION		1

#define SUMMARY_STORED		0
#define SUMMARY_WORKING		1
#define SUMMARY_BUFFER		2

typedef struct Summary
{
	int32		vl_len_;		/* varlena header: never set directly */
	uint8		type;			/* SummaryType */
	uint8		version;		/* SUMMARY_VERSION */
	uint8		layout;			/* SUMMARY_STORED, …_WORKING or …_BUFFER */
	uint8		reserved;		/* zero */
} Summary;

#define SUMMARY_PAYLOAD(summary) ((uint8 *) (summary) + sizeof(Summary))
#define SUMMARY_PAYLOAD_SIZE(summary) (VARSIZE(summary) - sizeof(Summary))

extern const char *aggwin_summary_name(SummaryType type);
extern Summary *aggwin_summary_get(Datum datum, SummaryType type);
extern Summary *aggwin_summary_alloc(SummaryType type, uint8 layout, Size size);
extern void aggwin_summary_reader(WireReader *reader, const Summary *summary);
extern Summary *aggwin_summary_finish(Summary *summary, const uint8 *end);
pg_noreturn extern void aggwin_summary_corrupt(SummaryType type, const char *detail);

extern Summary *aggwin_summary_receive(StringInfo message, SummaryType type);
pg_noreturn extern void aggwin_summary_refuse(SummaryType type, const char *detail);
extern void aggwin_summary_check_canonical(const Summary *received, const Summary *canonical);
extern bytea *aggwin_summary_send(const Summary *stored);

extern double aggwin_summary_sum(double sum, double min, double max);
extern void aggwin_check_fraction(double fraction);
typedef double (*PercentileFunction) (const void *state, double fraction);
extern Datum aggwin_percentiles(const void *state, ArrayType *fractions,
								PercentileFunction percentile);

/*
 * Is this call one of an aggregate, whose first argument is then ours to change?
 * What AggCheckCallContext() finds out, without the call: this runs for each row.
 */
static inline bool
aggwin_in_aggregate(FunctionCallInfo fcinfo)
{
	return fcinfo->context != NULL &&
		(IsA(fcinfo->context, AggState) || IsA(fcinfo->context, WindowAggState));
}

/*
 * The state that an aggregate may change in place, its first argument; NULL if
 * that is none, for whatever reason. Nothing is looked at twice, for each row.
 */
static inline Summary *
aggwin_summary_in_place(FunctionCallInfo fcinfo, SummaryType type)
{
	Summary    *state = (Summary *) PG_GETARG_POINTER(0);

	if (!PG_ARGISNULL(0) && aggwin_in_aggregate(fcinfo) &&
		!VARATT_IS_EXTENDED(state) && state->type == type &&
		state->version == SUMMARY_VERSION && state->layout != SUMMARY_STORED)
		return state;
	return NULL;
}

#endif							/* AGGWIN_SUMMARY_H */
