/*
 * histogram_type.h - the layouts of the SQL type histogram
 */
#ifndef AGGWIN_HISTOGRAM_TYPE_H
#define AGGWIN_HISTOGRAM_TYPE_H

#include "postgres.h"

#include "summary/histogram.h"
#include "summary/summary.h"

extern Histogram *aggwin_histogram_get(Datum datum);
extern Summary *aggwin_histogram_encode(const Histogram *histogram);
extern Summary *aggwin_histogram_new(const double *bounds, int nbounds);

static inline Histogram *
aggwin_histogram_of(Summary *summary)
{
	return (Histogram *) SUMMARY_PAYLOAD(summary);
}

#endif							/* AGGWIN_HISTOGRAM_TYPE_H */
