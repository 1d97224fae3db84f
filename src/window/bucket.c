/*
 * bucket.c - which bucket holds a time, and where that bucket ends
 *
 * Without a time zone a bucket starts at the last grid point that is not
 * after the time, and ends at the next one. Results saturate: PG_INT64_MIN
 * and PG_INT64_MAX stand for a point below or above the range of int64, and
 * the caller checks against the range of its type. Nothing wraps around.
 *
 * With a time zone the grid lies on local wall time, and buckets are intervals
 * of instants. Let wall(t) be the wall time at instant t. A boundary is
 *
 *	 (1) an instant t whose wall(t) is a grid point,
 *	 (2) an instant T at which the clock jumps forward over a grid point,
 *
 * but where the clock goes back by s, (1) counts in the repeated stretch only
 * if the width is at most s. So hourly buckets have two entries for a repeated
 * hour, while a longer bucket just grows, even where it is midnight twice:
 *
 *	 back from 03:00 to 02:00				on from 00:00 to 01:00
 *
 *	 wall	01   02   02   03   04			wall	22   23   01   02
 *	 1 h	|----|----|----|----|			1 h 	|----|----|----|
 *	 2 h	-----|--------------|			2 h 	|---------|----|
 *	 1 day	--------------------- (25 h)	1 day	----------|-----
 *
 * A bucket starts at the greatest boundary that is not after the time, and
 * ends at the smallest boundary after it. Both functions below answer from
 * this one set of boundaries; that makes buckets contiguous and disjoint.
 */
#include "postgres.h"

#include "common/int.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

#include "window/bucket.h"

/* Monday 2000-01-03 for weeks and shorter widths, 2000-01-01 for months */
#define DEFAULT_ORIGIN_DAY	2

/* The server's calendar functions are right from this year on. */
#define FIRST_YEAR	(-4799)

/*
 * A stretch of time with one UTC offset: [start, end). If it does not begin
 * with a change, start is merely where the search began, and before = offset.
 */
typedef struct Segment
{
	TimestampTz start;
	TimestampTz end;
	int64		offset;
	int64		before;			/* the offset just before start */
	bool		begins_with_change;
} Segment;

static inline int64
saturated_add(int64 a, int64 b)
{
	int64		sum;

	if (pg_add_s64_overflow(a, b, &sum))
		return b < 0 ? PG_INT64_MIN : PG_INT64_MAX;
	return sum;
}

static inline int64
saturated_sub(int64 a, int64 b)
{
	int64		difference;

	if (pg_sub_s64_overflow(a, b, &difference))
		return b < 0 ? PG_INT64_MAX : PG_INT64_MIN;
	return difference;
}

static inline int64
floor_div(int64 a, int64 b)
{
	return a / b - (a % b < 0 ? 1 : 0);
}

/* a mod b in [0, b) */
static inline int64
floor_mod(int64 a, int64 b)
{
	int64		rest = a % b;

	return rest < 0 ? rest + b : rest;
}

static void
width_not_positive(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("bucket width must be greater than zero"),
			 errhint("Give the length of one bucket, such as '1 minute', or 60 for integers.")));
}

/* x as a month, counted like AggwinGrid.origin_month, and a day of it */
static void
split_month(int64 ticks_per_day, int64 x, int64 *month, int *day)
{
	int			y;
	int			m;

	j2date((int) (floor_div(x, ticks_per_day) + POSTGRES_EPOCH_JDATE),
		   &y, &m, day);
	*month = (int64) y * MONTHS_PER_YEAR + m - 1;
}

/*
 * A grid for timestamps (ticks_per_day = USECS_PER_DAY) or dates (1). origin
 * is NULL for the default: Monday 2000-01-03, or 2000-01-01 for months and
 * years. A day of the width is 24 hours of wall time.
 *
 * Errors: a width that is zero, negative or infinite, that mixes months with
 * smaller units, that exceeds int64 microseconds, or that for dates is not a
 * whole number of days.
 */
void
aggwin_grid_init_interval(AggwinGrid *grid, const Interval *width,
						  const int64 *origin, int64 ticks_per_day)
{
	int64		usecs;

#ifdef INTERVAL_NOT_FINITE
	if (INTERVAL_NOT_FINITE(width))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("bucket width must be finite"),
				 errhint("Give the length of one bucket, such as '1 minute'.")));
#endif

	if (width->month != 0)
	{
		int64		first = origin ? *origin : 0;

		if (width->day != 0 || width->time != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("bucket width must not mix months with smaller units"),
					 errdetail("Months differ in length, so such buckets would overlap or leave gaps."),
					 errhint("Use either months and years, or weeks, days and smaller units.")));
		if (width->month < 0)
			width_not_positive();

		grid->by_month = true;
		grid->width = width->month;
		grid->ticks_per_day = ticks_per_day;
		split_month(ticks_per_day, first, &grid->origin_month, &grid->origin_day);
		grid->origin = floor_mod(first, ticks_per_day);
		return;
	}

	if (unlikely(pg_mul_s64_overflow(width->day, USECS_PER_DAY, &usecs) ||
				 pg_add_s64_overflow(usecs, width->time, &usecs)))
	{
		/* Only the days can be that long, so they decide the sign. */
		if (width->day < 0)
			width_not_positive();
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("bucket width out of range"),
				 errhint("Use at most 106751991 days, or give the width in months or years.")));
	}
	if (usecs <= 0)
		width_not_positive();

	grid->by_month = false;
	grid->width = usecs;
	grid->origin = origin ? *origin : DEFAULT_ORIGIN_DAY * ticks_per_day;

	if (ticks_per_day == 1)
	{
		if (usecs % USECS_PER_DAY != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("bucket width for dates must be a whole number of days"),
					 errhint("Use whole days, months or years, or cast the date to timestamp.")));
		grid->width = usecs / USECS_PER_DAY;
	}
}

/*
 * A grid for integers. Error: a width that is not positive.
 */
void
aggwin_grid_init_integer(AggwinGrid *grid, int64 width, int64 origin)
{
	if (width <= 0)
		width_not_positive();
	grid->by_month = false;
	grid->width = width;
	grid->origin = origin;
}

/*
 * How far x lies beyond the last grid point, in [0, width). Not by month.
 */
static inline int64
ticks_into_bucket(const AggwinGrid *grid, int64 x)
{
	int64		distance;

	if (likely(!pg_sub_s64_overflow(x, grid->origin, &distance)))
		return floor_mod(distance, grid->width);

	distance = floor_mod(x, grid->width) - floor_mod(grid->origin, grid->width);
	return distance < 0 ? distance + grid->width : distance;
}

/*
 * A day of a month that is counted like AggwinGrid.origin_month, or the last day
 * of that month if it has no such day, as the server does when it adds months to
 * a date; and a time of that day.
 */
static int64
point_in_month(int64 month, int day, int64 ticks_per_day, int64 time_of_day)
{
	int64		year = floor_div(month, MONTHS_PER_YEAR);
	int64		point;
	int			last_day;

	if (year < FIRST_YEAR)
		return PG_INT64_MIN;
	if (year >= JULIAN_MAXYEAR)
		return PG_INT64_MAX;

	month = floor_mod(month, MONTHS_PER_YEAR);
	last_day = day_tab[isleap(year) ? 1 : 0][month];
	point = date2j((int) year, (int) month + 1, Min(day, last_day));
	point -= POSTGRES_EPOCH_JDATE;
	if (pg_mul_s64_overflow(point, ticks_per_day, &point))
		return PG_INT64_MAX;
	return saturated_add(point, time_of_day);
}

/*
 * Point n of a grid by month: the origin moved by n * width months. The points
 * keep their order, one at most a month.
 */
static int64
month_point(const AggwinGrid *grid, int64 n)
{
	return point_in_month(grid->origin_month + n * grid->width, grid->origin_day,
						  grid->ticks_per_day, grid->origin);
}

/*
 * The n of the last point of a grid by month that is not after x.
 */
static int64
month_index(const AggwinGrid *grid, int64 x)
{
	int64		month;
	int64		n;
	int			day;

	split_month(grid->ticks_per_day, x, &month, &day);
	n = floor_div(month - grid->origin_month, grid->width);

	/* Point n lies in an earlier month than x, or in the same, maybe later. */
	if (month_point(grid, n) > x)
		n--;
	return n;
}

/*
 * The last grid point that is not after x; PG_INT64_MIN if it lies below what
 * int64 or the calendar can hold. By month, x must lie in the range of its
 * type or at most AGGWIN_MAX_SHIFT / 2 outside it.
 */
int64
aggwin_grid_floor(const AggwinGrid *grid, int64 x)
{
	if (grid->by_month)
		return month_point(grid, month_index(grid, x));
	return saturated_sub(x, ticks_into_bucket(grid, x));
}

/*
 * The first grid point after x; PG_INT64_MAX if it lies above. Otherwise like
 * aggwin_grid_floor.
 */
int64
aggwin_grid_next(const AggwinGrid *grid, int64 x)
{
	if (grid->by_month)
		return month_point(grid, month_index(grid, x) + 1);
	return saturated_add(x, grid->width - ticks_into_bucket(grid, x));
}

/*
 * What lies a number of months, or less than none, after grid point x. On a grid
 * by month it is on the origin's day of its month, as all points are. Saturates
 * like aggwin_grid_floor.
 */
int64
aggwin_grid_add_months(const AggwinGrid *grid, int64 x, int64 months)
{
	int64		ticks_per_day = grid->by_month ? grid->ticks_per_day : USECS_PER_DAY;
	int64		month;
	int			day;

	split_month(ticks_per_day, x, &month, &day);
	if (grid->by_month)
		day = grid->origin_day;
	return point_in_month(month + months, day, ticks_per_day,
						  floor_mod(x, ticks_per_day));
}

/*
 * Is x itself a grid point? Tells a true PG_INT64_MIN or PG_INT64_MAX from a
 * saturated one. Not by month.
 */
bool
aggwin_grid_has(const AggwinGrid *grid, int64 x)
{
	return ticks_into_bucket(grid, x) == 0;
}

/*
 * The width, as far as it matters around a change of the clock: no shift is
 * longer than AGGWIN_MAX_SHIFT, and no month shorter.
 */
static inline int64
width_near_change(const AggwinGrid *grid)
{
	if (grid->by_month)
		return AGGWIN_MAX_SHIFT;
	return Min(grid->width, AGGWIN_MAX_SHIFT);
}

static void
next_segment(const AggwinZone *zone, Segment *segment)
{
	segment->before = segment->offset;
	segment->start = segment->end;
	segment->begins_with_change = true;
	segment->offset = aggwin_zone_offset(zone, segment->start, &segment->end);
}

/*
 * The segment that holds x, with its beginning searched for no further back
 * than the given distance.
 */
static void
find_segment(const AggwinZone *zone, TimestampTz x, int64 distance,
			 Segment *segment)
{
	segment->start = x - distance;
	segment->begins_with_change = false;
	segment->offset = aggwin_zone_offset(zone, segment->start, &segment->end);
	segment->before = segment->offset;
	while (segment->end <= x)
		next_segment(zone, segment);
}

/*
 * Where rule (1) begins to count in a segment: after the repeated stretch, if
 * the width is greater than that.
 */
static TimestampTz
first_counted(const AggwinGrid *grid, const Segment *segment)
{
	int64		repeated = segment->before - segment->offset;

	if (repeated > 0 && repeated < width_near_change(grid))
		return segment->start + repeated;
	return segment->start;
}

/*
 * Rule (2): does the clock jump over a grid point where the segment begins?
 */
static bool
jumps_over_point(const AggwinGrid *grid, const Segment *segment)
{
	return segment->offset > segment->before &&
		aggwin_grid_next(grid, segment->start + segment->before - 1) <
		segment->start + segment->offset;
}

/*
 * The start of the bucket that holds ts, on a grid of wall times. ts must be
 * a valid finite timestamp, the grid's origin a wall time. DT_NOBEGIN or any
 * other value below MIN_TIMESTAMP: the bucket starts before the first valid
 * timestamp.
 */
TimestampTz
aggwin_bucket_start_in_zone(const AggwinGrid *grid, const AggwinZone *zone,
							TimestampTz ts)
{
	int64		width = width_near_change(grid);
	TimestampTz x = ts;

	/*
	 * Each turn looks at one segment, backwards: no boundary lies in (x, ts].
	 * Far enough back for one turn to suffice mostly.
	 */
	while (x >= MIN_TIMESTAMP)
	{
		Segment		segment;
		int64		wall;
		TimestampTz candidate;

		find_segment(zone, x,
					 width < AGGWIN_MAX_SHIFT ? 2 * width : 3 * AGGWIN_MAX_SHIFT,
					 &segment);
		wall = aggwin_grid_floor(grid, x + segment.offset);
		candidate = saturated_sub(wall, segment.offset);

		if (segment.begins_with_change)
		{
			if (candidate >= first_counted(grid, &segment))
				return candidate;
			if (jumps_over_point(grid, &segment))
				return segment.start;
			x = segment.start - 1;
		}
		else
		{
			/* A repeated stretch from before segment.start ends by then. */
			if (candidate >= segment.start + width)
				return candidate;

			/*
			 * Wall times in between lie strictly between two grid points,
			 * whatever the offset, so there is no boundary to be missed.
			 */
			x = Min(segment.start + width,
					saturated_add(candidate, AGGWIN_MAX_SHIFT));
		}
	}
	return DT_NOBEGIN;
}

/*
 * The end of the bucket that holds ts: the smallest boundary after it. Values
 * from END_TIMESTAMP on, DT_NOEND among them: it lies after the last valid
 * timestamp. Otherwise like aggwin_bucket_start_in_zone.
 */
TimestampTz
aggwin_bucket_end_in_zone(const AggwinGrid *grid, const AggwinZone *zone,
						  TimestampTz ts)
{
	int64		width = width_near_change(grid);
	TimestampTz x = ts + 1;
	Segment		segment;

	/* Far enough back to see a repeated stretch that reaches beyond ts. */
	find_segment(zone, x, width, &segment);

	/* Each turn looks at one segment, forwards: none lies in (ts, x). */
	for (;;)
	{
		int64		wall;
		TimestampTz candidate;

		if (segment.start == x && jumps_over_point(grid, &segment))
			return x;

		x = Max(x, first_counted(grid, &segment));
		if (x >= END_TIMESTAMP)
			return DT_NOEND;
		wall = aggwin_grid_next(grid, x + segment.offset - 1);
		candidate = saturated_sub(wall, segment.offset);
		if (candidate < segment.end || segment.end >= END_TIMESTAMP)
			return candidate;

		/* As above, there is none between x and candidate but near them. */
		if (segment.end - AGGWIN_MAX_SHIFT >= x &&
			candidate - AGGWIN_MAX_SHIFT > segment.end)
		{
			x = candidate - AGGWIN_MAX_SHIFT;
			find_segment(zone, Min(x, END_TIMESTAMP), width, &segment);
			continue;
		}

		next_segment(zone, &segment);
		x = segment.start;
	}
}
