/*
 * series_cache.h - what this backend knows of the numbers of series
 */
#ifndef AGGWIN_SERIES_CACHE_H
#define AGGWIN_SERIES_CACHE_H

#include "postgres.h"

#include "metrics/series_map.h"

extern void aggwin_series_cache_use(Oid series);
extern int64 *aggwin_series_cache_find(SeriesBytes key);
extern void aggwin_series_cache_put(SeriesBytes key, int64 series_id);
extern void aggwin_series_cache_distrust(void);

#endif							/* AGGWIN_SERIES_CACHE_H */
