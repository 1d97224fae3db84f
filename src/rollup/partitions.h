/*
 * partitions.h - sources that are partitioned
 */
#ifndef AGGWIN_PARTITIONS_H
#define AGGWIN_PARTITIONS_H

#include "postgres.h"

#include "rollup/catalog.h"
#include "utils/snapshot.h"

extern Snapshot aggwin_locked_snapshot(Oid source);
extern void aggwin_follow_partitions(Oid source, bool created);
extern void aggwin_freeze_partition(Oid partition, Oid source);
extern void aggwin_capture_truncate(const RollupRow *row, const RollupSpec *spec, Oid table);

#endif							/* AGGWIN_PARTITIONS_H */
