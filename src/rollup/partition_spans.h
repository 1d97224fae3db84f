/*
 * partition_spans.h - the event time that a partition holds
 */
#ifndef AGGWIN_PARTITION_SPANS_H
#define AGGWIN_PARTITION_SPANS_H

#include "postgres.h"

#include "rollup/spec.h"

/* What rows of a partition can have as event time. */
typedef struct PartitionTime
{
	char	   *spans;			/* SQL of a multirange; NULL: anything */
	bool		nulls;			/* NULL, too */
	bool		by_default;		/* what others leave: changes with them */
} PartitionTime;

extern PartitionTime aggwin_partition_time(const RollupSpec *spec, Oid partition);
extern char *aggwin_sql_partition_spans(const RollupSpec *spec, const char *spans);

#endif							/* AGGWIN_PARTITION_SPANS_H */
