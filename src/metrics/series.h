/*
 * series.h - finding and making series
 */
#ifndef AGGWIN_SERIES_H
#define AGGWIN_SERIES_H

#include "postgres.h"

#include "metrics/labels.h"
#include "metrics/tables.h"

extern void aggwin_resolve_series(const MetricTables *tables, SeriesKey **keys, int count,
								  int64 *series_ids);

#endif							/* AGGWIN_SERIES_H */
