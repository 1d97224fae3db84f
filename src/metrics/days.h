/*
 * days.h - the partitions of aggwin.samples
 */
#ifndef AGGWIN_DAYS_H
#define AGGWIN_DAYS_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "metrics/tables.h"

/* The day of UTC that a finite time is in, counted from 2000-01-01. */
static inline int32
aggwin_day(TimestampTz ts)
{
	return ts >= 0 ? ts / USECS_PER_DAY : -((-1 - ts) / USECS_PER_DAY) - 1;
}

/* Days that have a name of four digits for the year. */
#define AGGWIN_FIRST_DAY (-730119)	/* 0001-01-01 */
#define AGGWIN_LAST_DAY 2921939 /* 9999-12-31 */

/* Numbers of partitions. */
typedef struct SampleUpkeep
{
	int			created;
	int			dropped;
	int			waiting;		/* due to be dropped, but in use */
} SampleUpkeep;

extern int	aggwin_ensure_days(const MetricTables *tables, int32 *days, int count);
extern SampleUpkeep aggwin_keep_up_samples(const MetricTables *tables);

#endif							/* AGGWIN_DAYS_H */
