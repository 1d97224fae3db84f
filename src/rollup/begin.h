/*
 * begin.h - how a fold begins, and whoever else reads what is pending
 */
#ifndef AGGWIN_BEGIN_H
#define AGGWIN_BEGIN_H

#include "postgres.h"

#include "rollup/catalog.h"
#include "utils/snapshot.h"

/*
 * The snapshot, and in it the own transaction as still running: a snapshot does
 * not list its own transaction, and takes it for one that is done.
 */
#define AGGWIN_SNAPSHOT_WITHOUT_ME \
	"(SELECT (least(s.xmin, s.me)::text || ':' || s.xmax::text || ':' ||" \
	" array_to_string(ARRAY(SELECT x FROM (SELECT unnest(s.xip)" \
	" UNION SELECT s.me WHERE s.me < s.xmax) AS x(x) ORDER BY x), ','))::pg_snapshot" \
	" FROM (SELECT pg_snapshot_xmin(c) AS xmin, pg_snapshot_xmax(c) AS xmax," \
	" ARRAY(SELECT pg_snapshot_xip(c)) AS xip, pg_current_xact_id() AS me" \
	" FROM pg_current_snapshot() AS c) AS s)"

extern bool aggwin_lock_with_source(int32 rollup_id, RollupRow *row);
extern Snapshot aggwin_locked_snapshot(Oid source);
extern bool aggwin_captures_everything(Oid source, Snapshot snapshot);
extern Datum aggwin_max_future_interval(void);

#endif							/* AGGWIN_BEGIN_H */
