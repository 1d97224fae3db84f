/*
 * partitions.h - sources that are partitioned
 */
#ifndef AGGWIN_PARTITIONS_H
#define AGGWIN_PARTITIONS_H

#include "postgres.h"

#include "rollup/catalog.h"
#include "utils/snapshot.h"

/* Why partitions are looked for */
typedef enum FollowReason
{
	FOLLOW_DDL,					/* some may have come or gone */
	FOLLOW_CREATED,				/* of a new rollup: its caller sees to triggers and rows */
	FOLLOW_TAKEN_UP				/* of a restored rollup: all triggers are there */
} FollowReason;

extern void aggwin_follow_partitions(Oid source, FollowReason reason);
extern void aggwin_freeze_partition(Oid partition, Oid source);
extern void aggwin_capture_truncate(const RollupRow *row, const RollupSpec *spec, Oid table);

#endif							/* AGGWIN_PARTITIONS_H */
