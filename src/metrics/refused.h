/*
 * refused.h - samples that are not stored
 */
#ifndef AGGWIN_REFUSED_H
#define AGGWIN_REFUSED_H

#include "postgres.h"

#include "metrics/tables.h"

typedef enum RefusedReason
{
	REFUSED_OLD,
	REFUSED_AHEAD,
	REFUSED_SERIES,
	REFUSED_DUPLICATE,
	REFUSED_DERIVED,
} RefusedReason;

typedef struct RefusedSamples RefusedSamples;

extern RefusedSamples *aggwin_refused_create(MemoryContext context);
extern void aggwin_refuse_sample(RefusedSamples *refused, RefusedReason reason, const char *metric,
						  int length);
extern void aggwin_refuse_sample_of(RefusedSamples *refused, RefusedReason reason,
									int64 series_id);
extern int64 aggwin_refused_count(const RefusedSamples *refused);
extern void aggwin_refused_write(RefusedSamples *refused, const MetricTables *tables);

#endif							/* AGGWIN_REFUSED_H */
