/*
 * counter.h - samples of a counter that only grows, and now and then restarts
 *
 * A segment is what a run of samples leaves behind. Time before the first, after
 * the last and between two segments is open: samples of there may still come.
 * Samples are ordered by time and, at one and the same time, by value.
 */
#ifndef AGGWIN_COUNTER_H
#define AGGWIN_COUNTER_H

#include "postgres.h"

/* Gaps that stay open in a stored counter, and segments between them, at most. */
#define COUNTER_MAX_GAPS		32
#define COUNTER_MAX_SEGMENTS	(COUNTER_MAX_GAPS + 1)

typedef struct CounterPoint
{
	int64		time;			/* microseconds, as in timestamptz; finite */
	double		value;			/* finite, no -0.0 */
} CounterPoint;

typedef struct CounterSegment
{
	CounterPoint first;
	CounterPoint last;
	int64		samples;
	int64		resets;			/* samples lower than the one before */
	double		reset_sum;		/* sum of the values before them */
} CounterSegment;

typedef struct Counter
{
	bool		exact;
	int32		length;
	CounterSegment *segments;	/* ascending, no two of them touch */
} Counter;

typedef enum CounterResult
{
	COUNTER_OK,
	COUNTER_TOO_MANY,			/* more samples than int64 counts */
	COUNTER_TOO_LARGE			/* a number beyond the range of double precision */
} CounterResult;

static inline int
aggwin_counter_compare(const CounterPoint *a, const CounterPoint *b)
{
	if (a->time != b->time)
		return a->time < b->time ? -1 : 1;
	return (a->value > b->value) - (a->value < b->value);
}

extern void aggwin_counter_sort(CounterPoint *points, size_t count);
extern CounterResult aggwin_counter_of_points(CounterSegment *segment,
											  const CounterPoint *points, size_t count);
extern void aggwin_counter_of_point(CounterSegment *segment, const CounterPoint *point);
extern CounterResult aggwin_counter_settle(Counter *counter);
extern CounterResult aggwin_counter_close_gaps(Counter *counter, int32 max_segments);
extern CounterResult aggwin_counter_whole(CounterSegment *whole, const Counter *counter);
extern const char *aggwin_counter_check(const Counter *counter);

extern double aggwin_counter_increase(const CounterSegment *whole);
extern double aggwin_counter_extrapolate(const CounterSegment *whole, int64 from, int64 to, bool rate);

#endif							/* AGGWIN_COUNTER_H */
