/*
 * write.h - the statements that put samples into aggwin.samples
 */
#ifndef AGGWIN_WRITE_H
#define AGGWIN_WRITE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "metrics/refused.h"

typedef struct Sample
{
	int64		handle;			/* of its series; when it is written, the number */
	TimestampTz ts;
	double		value;
	int			place;			/* in the order of arrival */
} Sample;

extern void aggwin_write_samples(const Sample *samples, int count, RefusedSamples *refused);

#endif							/* AGGWIN_WRITE_H */
