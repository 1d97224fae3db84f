/*
 * begin.h - how a fold begins, and whoever else reads what is pending
 */
#ifndef AGGWIN_BEGIN_H
#define AGGWIN_BEGIN_H

#include "postgres.h"

#include "rollup/catalog.h"
#include "utils/snapshot.h"

extern bool aggwin_lock_with_source(int32 rollup_id, RollupRow *row);
extern Snapshot aggwin_locked_snapshot(Oid source);
extern bool aggwin_captures_everything(Oid source, Snapshot snapshot);
extern Datum aggwin_max_future_interval(void);

#endif							/* AGGWIN_BEGIN_H */
