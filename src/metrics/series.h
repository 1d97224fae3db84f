/*
 * series.h - finding and making series
 */
#ifndef AGGWIN_SERIES_H
#define AGGWIN_SERIES_H

#include "postgres.h"

#include "metrics/labels.h"
#include "metrics/tables.h"

/* In the place of a series' number: its metric is that of a pipeline. */
#define AGGWIN_DERIVED_SERIES (-1)

extern void aggwin_resolve_series(const MetricTables *tables, SeriesKey **keys, int count,
								  int64 *series_ids);

#endif							/* AGGWIN_SERIES_H */
