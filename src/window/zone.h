/*
 * zone.h - a time zone as a step function from instants to UTC offsets
 */
#ifndef AGGWIN_ZONE_H
#define AGGWIN_ZONE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "pgtime.h"

/*
 * No two offsets of one zone are this far apart: the server takes at most 167
 * hours on either side of UTC.
 */
#define AGGWIN_MAX_SHIFT	(14 * USECS_PER_DAY)

typedef struct AggwinZone
{
	pg_tz	   *tz;				/* where changes come from; NULL: never any */
	const char *abbrev;			/* abbreviation whose meaning changed over
								 * time, NULL for whole zones */
	int64		offset;			/* microseconds east of UTC if tz is NULL */
} AggwinZone;

extern void aggwin_zone_lookup(AggwinZone *zone, const char *name);
extern int64 aggwin_zone_offset(const AggwinZone *zone, TimestampTz ts,
								TimestampTz *until);

#endif							/* AGGWIN_ZONE_H */
