/*
 * begin.c - how a fold begins, and whoever else reads what is pending
 *
 * In this order: the locks, the snapshot, and under it the question whether the
 * rollup knows of all rows. Why: see fold.c.
 */
#include "postgres.h"

#include "rollup/begin.h"

#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "core/guc.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/relcache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

/*
 * The rollup's own lock, then ACCESS SHARE on its source. False if the rollup is
 * gone meanwhile, or not all of it is restored yet.
 */
bool
aggwin_lock_with_source(int32 rollup_id, RollupRow *row)
{
	aggwin_lock_rollup(rollup_id);
	if (!aggwin_find_rollup(rollup_id, row))
		return false;
	LockRelationOid(row->source, AccessShareLock);
	/* A drop of the source removes the rollup, too. */
	return aggwin_find_rollup(rollup_id, row) && aggwin_rollup_is_whole(row);
}

/*
 * Lock all partitions of a source (ACCESS SHARE), which is locked already, then
 * take the latest snapshot. What the snapshot sees attached is locked and known:
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

/*
 * Are the source's triggers all there and enabled? While they are not, the
 * rollup lies dormant: all of it is invalid, and the view answers from the
 * source. Asked under the snapshot, so that one which sees the rollup made
 * invalid by the command that disabled a trigger also finds the trigger disabled.
 * Connected to SPI.
 */
bool
aggwin_captures_everything(Oid source, Snapshot snapshot)
{
	static const char *const sql = "SELECT aggwin.captures_everything($1)";
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(source)};
	bool		isnull;

	if (plan == NULL)
		plan = aggwin_spi_prepare_kept(sql, lengthof(types), types);
	aggwin_spi_check(SPI_execute_snapshot(plan, values, NULL, snapshot, InvalidSnapshot,
										  false, true, 0), SPI_OK_SELECT, sql);
	return DatumGetBool(aggwin_spi_value(1, &isnull));
}

/* aggwin.max_future, as SQL has it. */
Datum
aggwin_max_future_interval(void)
{
	Interval   *interval = palloc0(sizeof(Interval));

	interval->time = (int64) aggwin_max_future * USECS_PER_SEC;
	return IntervalPGetDatum(interval);
}
