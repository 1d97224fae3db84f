/*
 * series_panes.h - what rollups have of series in a window, read once for several pipelines
 */
#ifndef AGGWIN_SERIES_PANES_H
#define AGGWIN_SERIES_PANES_H

#include "postgres.h"

#include "datatype/timestamp.h"

extern void aggwin_forget_series_panes(TimestampTz ts);

#endif							/* AGGWIN_SERIES_PANES_H */
