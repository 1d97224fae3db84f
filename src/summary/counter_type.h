/*
 * counter_type.h - the layouts of the SQL type counter
 *
 * stored:   number of segments * 2 + 1 if not exact (varint), the segments
 * working:  CounterList, segments in any order, what merge() collects
 * buffer:   CounterBuffer, samples, what counter_agg() collects
 */
#ifndef AGGWIN_COUNTER_TYPE_H
#define AGGWIN_COUNTER_TYPE_H

#include "postgres.h"

#include "summary/counter.h"
#include "summary/summary.h"

typedef struct CounterBuffer
{
	uint32		length;
	uint32		capacity;
	bool		sorted;			/* no sample is before the one in front of it */
	uint8		unused[7];		/* zero */
	CounterPoint points[FLEXIBLE_ARRAY_MEMBER];
} CounterBuffer;

typedef struct CounterList
{
	int32		length;
	int32		capacity;
	bool		exact;
	uint8		unused[7];		/* zero */
	CounterSegment segments[FLEXIBLE_ARRAY_MEMBER];
} CounterList;

extern void aggwin_counter_check_working(Summary *summary);
extern void aggwin_counter_get(Counter *counter, Summary *summary);
extern Summary *aggwin_counter_encode(Counter *counter);
extern void aggwin_counter_fail(CounterResult result);

static inline CounterBuffer *
aggwin_counter_buffer_of(Summary *summary)
{
	return (CounterBuffer *) SUMMARY_PAYLOAD(summary);
}

static inline CounterList *
aggwin_counter_list_of(Summary *summary)
{
	return (CounterList *) SUMMARY_PAYLOAD(summary);
}

#endif							/* AGGWIN_COUNTER_TYPE_H */
