/*
 * partitions.h - sources that are partitioned
 */
#ifndef AGGWIN_PARTITIONS_H
#define AGGWIN_PARTITIONS_H

#include "postgres.h"

#include "utils/snapshot.h"

extern Snapshot aggwin_locked_snapshot(Oid source);

#endif							/* AGGWIN_PARTITIONS_H */
