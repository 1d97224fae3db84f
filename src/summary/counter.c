/*
 * counter.c - samples of a counter that only grows, and now and then restarts
 *
 * A sample that is lower than the one before is a reset: the counter began anew
 * at 0. So the increase over a run of samples is
 *
 *     last - first + the sum of the values just before each reset
 *
 * which needs nothing of the samples in between, telescopes when runs are put
 * end to end, and is exact as long as the numbers are whole and below 2^53.
 *
 *     value |        /|                     first, last, samples, resets and
 *           |      /  |     /|              reset_sum of a segment stand for
 *           |    /    |   /  |    /         all that lies in it; between
 *           |  /      | /    |  /           segments are open gaps
 *           +--------------------------> time
 *              [---segment---]  [segment]
 *
 * Whether there was a reset between two segments is known as soon as nothing
 * can come in between, and never before: gaps are closed as late as possible,
 * so that parts may come in any order.
 *
 * What overlaps cannot be put together exactly, since of the samples inside a
 * segment nothing is left. Then both have seen the same counter, and the estimate
 * is: what each saw where the other was blind, spread evenly over its time, and
 * where both looked what the one saw that saw more resets.
 */
#include "postgres.h"

#include "summary/counter.h"

#include <math.h>

#include "common/int.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#define ST_SORT sort_points
#define ST_ELEMENT_TYPE CounterPoint
#define ST_COMPARE(a, b) aggwin_counter_compare(a, b)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

typedef struct Gap
{
	uint64		width;
	int32		after;			/* the segment before it */
} Gap;

static inline int
compare_gaps(const Gap *a, const Gap *b)
{
	if (a->width != b->width)
		return a->width < b->width ? -1 : 1;
	return (a->after > b->after) - (a->after < b->after);
}

#define ST_SORT sort_gaps
#define ST_ELEMENT_TYPE Gap
#define ST_COMPARE(a, b) compare_gaps(a, b)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Total, so that what comes of segments does not depend on where they come from. */
static int
compare_segments(const CounterSegment *a, const CounterSegment *b)
{
	int			result = aggwin_counter_compare(&a->first, &b->first);

	if (result == 0)
		result = aggwin_counter_compare(&a->last, &b->last);
	if (result == 0)
		result = (a->samples > b->samples) - (a->samples < b->samples);
	if (result == 0)
		result = (a->resets > b->resets) - (a->resets < b->resets);
	if (result == 0)
		result = (a->reset_sum > b->reset_sum) - (a->reset_sum < b->reset_sum);
	return result;
}

#define ST_SORT sort_segments
#define ST_ELEMENT_TYPE CounterSegment
#define ST_COMPARE(a, b) compare_segments(a, b)
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

void
aggwin_counter_sort(CounterPoint *points, size_t count)
{
	sort_points(points, count);
}

void
aggwin_counter_of_point(CounterSegment *segment, const CounterPoint *point)
{
	memset(segment, 0, sizeof(CounterSegment));
	segment->first = *point;
	segment->last = *point;
	segment->samples = 1;
}

/* The segment of sorted points, at least one. Equal points are one sample. */
CounterResult
aggwin_counter_of_points(CounterSegment *segment, const CounterPoint *points, size_t count)
{
	const CounterPoint *last = points;
	int64		samples = 1;
	int64		resets = 0;
	double		reset_sum = 0;

	for (size_t i = 1; i < count; i++)
	{
		const CounterPoint *point = &points[i];

		if (point->time == last->time && point->value == last->value)
			continue;
		samples++;
		if (point->value < last->value)
		{
			resets++;
			reset_sum += last->value;
		}
		last = point;
	}
	segment->first = *points;
	segment->last = *last;
	segment->samples = samples;
	segment->resets = resets;
	segment->reset_sum = reset_sum + 0.0;
	return isfinite(reset_sum) ? COUNTER_OK : COUNTER_TOO_LARGE;
}

/* Nothing comes in between any more: put a later segment to the end of another. */
static CounterResult
append(CounterSegment *into, const CounterSegment *next)
{
	bool		shared = aggwin_counter_compare(&into->last, &next->first) == 0;

	if (pg_add_s64_overflow(into->samples - shared, next->samples, &into->samples))
		return COUNTER_TOO_MANY;
	into->resets += next->resets;
	into->reset_sum += next->reset_sum;
	if (next->first.value < into->last.value)
	{
		into->resets++;
		into->reset_sum += into->last.value;
	}
	into->last = next->last;
	return isfinite(into->reset_sum) ? COUNTER_OK : COUNTER_TOO_LARGE;
}

/* Resets that the ends of two segments show by themselves. */
static void
visible_resets(const CounterSegment *a, const CounterSegment *b,
			   int64 *resets, double *reset_sum)
{
	CounterPoint ends[] = {a->first, a->last, b->first, b->last};

	sort_points(ends, lengthof(ends));
	*resets = 0;
	*reset_sum = 0;
	for (int i = 1; i < lengthof(ends); i++)
	{
		if (ends[i].value < ends[i - 1].value)
		{
			++*resets;
			*reset_sum += ends[i - 1].value;
		}
	}
}

/* How much of a segment's time lies in from .. to. */
static double
share(const CounterSegment *segment, int64 from, int64 to)
{
	double		duration = (double) segment->last.time - (double) segment->first.time;

	if (duration == 0)
		return 1;
	return Max(0, Min(1, ((double) to - (double) from) / duration));
}

/* Estimate what two segments that overlap have seen together. */
static CounterResult
blend(CounterSegment *into, const CounterSegment *other)
{
	CounterSegment a = *into;
	CounterSegment b = *other;
	int64		from = Max(a.first.time, b.first.time);
	int64		to = Min(a.last.time, b.last.time);
	double		share_a = share(&a, from, to);
	double		share_b = share(&b, from, to);
	int64		resets;
	double		reset_sum;
	double		estimate;

	if (pg_add_s64_overflow(a.samples, b.samples, &into->samples))
		return COUNTER_TOO_MANY;
	if (aggwin_counter_compare(&b.first, &a.first) < 0)
		into->first = b.first;
	if (aggwin_counter_compare(&b.last, &a.last) > 0)
		into->last = b.last;

	visible_resets(&a, &b, &resets, &reset_sum);
	estimate = ((1 - share_a) * a.resets + (1 - share_b) * b.resets) +
		Max(share_a * a.resets, share_b * b.resets);
	if (estimate < (double) (into->samples - 1))
		into->resets = (int64) rint(estimate);
	else
		into->resets = into->samples - 1;
	into->resets = Max(Max(into->resets, resets), Max(a.resets, b.resets));

	estimate = ((1 - share_a) * a.reset_sum + (1 - share_b) * b.reset_sum) +
		(share_a * a.resets > share_b * b.resets ? share_a * a.reset_sum :
		 share_a * a.resets < share_b * b.resets ? share_b * b.reset_sum :
		 Max(share_a * a.reset_sum, share_b * b.reset_sum));
	into->reset_sum = (resets > 0 ? Max(estimate, reset_sum) : estimate) + 0.0;
	return isfinite(into->reset_sum) ? COUNTER_OK : COUNTER_TOO_LARGE;
}

/*
 * Bring segments in any order into theirs. Those that touch, since the last sample
 * of one is the first of the other, become one; those that overlap likewise, and
 * the counter is not exact from then on.
 */
CounterResult
aggwin_counter_settle(Counter *counter)
{
	CounterSegment *segments = counter->segments;
	int32		settled = 0;

	sort_segments(segments, counter->length);
	for (int32 i = 1; i < counter->length; i++)
	{
		CounterSegment *last = &segments[settled];
		int			order = aggwin_counter_compare(&last->last, &segments[i].first);
		CounterResult result = COUNTER_OK;

		if (order < 0)
			segments[++settled] = segments[i];
		else if (order == 0)
			result = append(last, &segments[i]);
		else
		{
			counter->exact = false;
			result = blend(last, &segments[i]);
		}
		if (result != COUNTER_OK)
			return result;
	}
	counter->length = settled + 1;
	return COUNTER_OK;
}

/* Close the narrowest gaps, of equal ones the earliest, until few enough remain. */
CounterResult
aggwin_counter_close_gaps(Counter *counter, int32 max_segments)
{
	CounterSegment *segments = counter->segments;
	int32		excess = counter->length - max_segments;
	Gap		   *gaps;
	bool	   *closed;
	int32		length = 0;
	CounterResult result = COUNTER_OK;

	if (excess <= 0)
		return COUNTER_OK;
	gaps = palloc((counter->length - 1) * sizeof(Gap));
	closed = palloc0(counter->length);
	for (int32 i = 0; i < counter->length - 1; i++)
	{
		gaps[i].width = (uint64) segments[i + 1].first.time - (uint64) segments[i].last.time;
		gaps[i].after = i;
	}
	sort_gaps(gaps, counter->length - 1);
	for (int32 i = 0; i < excess; i++)
		closed[gaps[i].after] = true;

	for (int32 i = 1; i < counter->length && result == COUNTER_OK; i++)
	{
		if (closed[i - 1])
			result = append(&segments[length], &segments[i]);
		else
			segments[++length] = segments[i];
	}
	counter->length = length + 1;
	pfree(closed);
	pfree(gaps);
	return result;
}

/* All of a counter in one segment, with what its gaps tell as they are. */
CounterResult
aggwin_counter_whole(CounterSegment *whole, const Counter *counter)
{
	CounterResult result = COUNTER_OK;

	*whole = counter->segments[0];
	for (int32 i = 1; i < counter->length && result == COUNTER_OK; i++)
		result = append(whole, &counter->segments[i]);
	return result;
}

static bool
is_point(const CounterPoint *point)
{
	return IS_VALID_TIMESTAMP(point->time) && isfinite(point->value);
}

/* What no samples could have given, as a sentence; NULL if there is nothing. */
const char *
aggwin_counter_check(const Counter *counter)
{
	CounterSegment whole;

	if (counter->length < 1)
		return "There has to be a segment.";
	if (counter->length > COUNTER_MAX_SEGMENTS)
		return "There are too many segments.";
	for (int32 i = 0; i < counter->length; i++)
	{
		const CounterSegment *segment = &counter->segments[i];

		if (!is_point(&segment->first) || !is_point(&segment->last) ||
			!isfinite(segment->reset_sum))
			return "Times and values have to be finite.";
		if (segment->samples < 1)
			return "The number of samples has to be positive.";
		if (segment->resets < 0 || segment->resets >= segment->samples)
			return "The number of resets has to be below that of samples.";
		if (segment->resets == 0 && segment->reset_sum != 0)
			return "Without resets the sum of values before them has to be 0.";
		if (segment->resets == 0 && segment->last.value < segment->first.value)
			return "Without resets the last value has to be at least the first.";
		if (segment->resets > 0 && segment->first.time == segment->last.time)
			return "Samples of one time ascend, so there is no reset.";
		if (segment->samples == 1 &&
			aggwin_counter_compare(&segment->first, &segment->last) != 0)
			return "A single sample has to be the first and the last.";
		if (segment->samples > 1 &&
			aggwin_counter_compare(&segment->first, &segment->last) >= 0)
			return "The first of several samples has to be before the last.";
		if (counter->exact && segment->samples == 2 && segment->resets == 1 &&
			segment->reset_sum != segment->first.value)
			return "The value before the reset from the first to the second sample has to be the first.";
		if (i > 0 && aggwin_counter_compare(&segment[-1].last, &segment->first) >= 0)
			return "Segments have to be in order and must not touch.";
	}
	switch (aggwin_counter_whole(&whole, counter))
	{
		case COUNTER_OK:
			break;
		case COUNTER_TOO_MANY:
			return "The number of samples exceeds 64 bits.";
		case COUNTER_TOO_LARGE:
			return "The sum of values before resets is out of range.";
	}
	return NULL;
}

/* From the first sample to the last; infinite if that is out of range. */
double
aggwin_counter_increase(const CounterSegment *whole)
{
	return whole->last.value - whole->first.value + whole->reset_sum;
}

static double
seconds(int64 from, int64 to)
{
	return ((double) ((uint64) to - (uint64) from)) / USECS_PER_SEC;
}

/*
 * The increase between two times around the samples, of which there are two at
 * least, at different times; or its rate per second. As Prometheus 2 computes them: the samples are taken to
 * go on at their rate up to the end of the range, if that is no more than 1.1
 * times the average distance of samples away, and by half of that distance
 * otherwise; and not back beyond where the counter would have been at 0.
 */
double
aggwin_counter_extrapolate(const CounterSegment *whole, int64 from, int64 to, bool rate)
{
	double		increase = aggwin_counter_increase(whole);
	double		to_start = seconds(from, whole->first.time);
	double		to_end = seconds(whole->last.time, to);
	double		sampled = seconds(whole->first.time, whole->last.time);
	double		average = sampled / (double) (whole->samples - 1);
	double		threshold = average * 1.1;
	double		covered = sampled;
	double		factor;

	if (increase > 0 && whole->first.value >= 0)
		to_start = Min(to_start, sampled * (whole->first.value / increase));
	covered += to_start < threshold ? to_start : average / 2;
	covered += to_end < threshold ? to_end : average / 2;
	factor = covered / sampled;
	if (rate)
	{
		uint64		range = (uint64) to - (uint64) from;

		/* Prometheus has the seconds of a range rounded in this way */
		factor /= (double) (range / USECS_PER_SEC) +
			(double) (range % USECS_PER_SEC) / USECS_PER_SEC;
	}
	return increase * factor;
}
