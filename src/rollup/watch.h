/*
 * watch.h - which buckets change that somebody has published
 */
#ifndef AGGWIN_WATCH_H
#define AGGWIN_WATCH_H

#include "postgres.h"

#include "rollup/tier.h"

extern char *aggwin_sql_touched_behind(const TimeType *time, const RollupNames *names,
									   bool by_key);

#endif							/* AGGWIN_WATCH_H */
