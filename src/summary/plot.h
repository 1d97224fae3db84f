/*
 * plot.h - buckets as a bar chart of text
 */
#ifndef AGGWIN_PLOT_H
#define AGGWIN_PLOT_H

#include "postgres.h"

#include "fmgr.h"

#define PLOT_MAX_WIDTH	1000

typedef struct PlotBucket
{
	double		lower;
	double		upper;
	int64		count;
} PlotBucket;

extern void aggwin_plot(FunctionCallInfo fcinfo, const PlotBucket *buckets, int length, int width);

#endif							/* AGGWIN_PLOT_H */
