/*
 * schedule.h - which rollup a worker folds next, and when
 */
#ifndef AGGWIN_SCHEDULE_H
#define AGGWIN_SCHEDULE_H

#include "postgres.h"

#include "datatype/timestamp.h"

typedef struct AggwinSchedule AggwinSchedule;

extern AggwinSchedule *aggwin_schedule_create(void);
extern void aggwin_schedule_read(AggwinSchedule *schedule);
extern bool aggwin_schedule_fold_next(AggwinSchedule *schedule, TimestampTz *next_due);
extern bool aggwin_schedule_vacuum_next(AggwinSchedule *schedule);

#endif							/* AGGWIN_SCHEDULE_H */
