/*
 * partitions.c - sources that are partitioned
 */
#include "postgres.h"

#include "rollup/partitions.h"

#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "utils/lsyscache.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"

/*
 * Lock a source with all its partitions (ACCESS SHARE), then take the latest
 * snapshot. What the snapshot sees attached is locked and known:
 *
 * ATTACH conflicts with none of these locks. A partition that came between them
 * and the snapshot is locked, too, before another snapshot is taken. And a
 * commit is visible before its invalidation messages are sent: what this
 * backend thinks the partitions are could be older than the snapshot.
 *
 * The snapshot is registered. Takes no transaction id.
 */
Snapshot
aggwin_locked_snapshot(Oid source)
{
	for (;;)
	{
		List	   *locked = find_all_inheritors(source, AccessShareLock, NULL);
		Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
		List	   *tables = find_all_inheritors(source, NoLock, NULL);

		if (list_difference_oid(tables, locked) == NIL)
		{
			ListCell   *lc;

			foreach(lc, tables)
			{
				if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_PARTITIONED_TABLE)
					RelationCacheInvalidateEntry(lfirst_oid(lc));
			}
			return snapshot;
		}
		UnregisterSnapshot(snapshot);
	}
}
