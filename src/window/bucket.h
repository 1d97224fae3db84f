/*
 * bucket.h - which bucket holds a time, and where that bucket ends
 *
 * Pure arithmetic. A bucket is a half-open interval [start, end); together the
 * buckets of a grid cover every value of its type exactly once.
 */
#ifndef AGGWIN_BUCKET_H
#define AGGWIN_BUCKET_H

#include "postgres.h"

#include "datatype/timestamp.h"

#include "window/zone.h"

/*
 * Grid points lie at origin + n * width for every integer n. Ticks are the
 * unit of the type: microseconds since 2000-01-01 for timestamps, days since
 * then for dates, 1 for integers.
 */
typedef struct AggwinGrid
{
	bool		by_month;		/* width counts months, not ticks */
	int64		width;			/* > 0 */
	int64		origin;			/* a grid point; by month, its time of day */

	/* by month only */
	int64		ticks_per_day;
	int64		origin_month;	/* counted from January of year 0 (1 BC) */
	int			origin_day;		/* of the month, from 1 */
} AggwinGrid;

extern void aggwin_grid_init_interval(AggwinGrid *grid, const Interval *width,
									  const int64 *origin, int64 ticks_per_day);
extern void aggwin_grid_init_integer(AggwinGrid *grid, int64 width, int64 origin);

extern int64 aggwin_grid_floor(const AggwinGrid *grid, int64 x);
extern int64 aggwin_grid_next(const AggwinGrid *grid, int64 x);
extern int64 aggwin_grid_add_months(const AggwinGrid *grid, int64 x, int64 months);
extern bool aggwin_grid_has(const AggwinGrid *grid, int64 x);

extern TimestampTz aggwin_bucket_start_in_zone(const AggwinGrid *grid,
											   const AggwinZone *zone,
											   TimestampTz ts);
extern TimestampTz aggwin_bucket_end_in_zone(const AggwinGrid *grid,
											 const AggwinZone *zone,
											 TimestampTz ts);

#endif							/* AGGWIN_BUCKET_H */
