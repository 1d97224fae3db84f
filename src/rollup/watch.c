/*
 * watch.c - which buckets change that somebody has published
 *
 * Whoever publishes a rollup's buckets, and wants to know of late changes,
 * stores in aggwin.tier how far it has come, "watched", and the snapshot under
 * which it read, "seen". What a fold takes away that is about earlier buckets
 * and is not in that snapshot, it leaves word of in aggwin.touched:
 *
 *      pending under S │ in "seen"       │ not in "seen"
 *      ────────────────┼─────────────────┼───────────────
 *      before watched  │ published       │ late: logged
 *      after           │ to be published │ to be published
 *
 * The publisher holds the rollup's lock from before its snapshot to its commit,
 * as a fold does, so no fold misses what it has stored. What is still pending,
 * it looks at itself, by the same query.
 */
#include "postgres.h"

#include "rollup/watch.h"

#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "rollup/fold.h"
#include "rollup/sql.h"

/*
 * What is pending, by $1 and $2 as in fold_sql.c, about buckets before $3 and is
 * not in snapshot $4: arrays of spans and of numbers of changes, or NULL. What
 * folds themselves have left invalid has been logged before, and is as it was.
 */
char *
aggwin_sql_touched_behind(const TimeType *time, const RollupNames *names)
{
	char	   *bucket = aggwin_sql_utc(time, "d.bucket");
	char	   *from = aggwin_sql_utc(time, "lower(r.span)");
	char	   *to = aggwin_sql_utc(time, "upper(r.span)");

	return psprintf("SELECT array_agg(t.span), array_agg(t.changes) FROM ("
					"SELECT tstzrange(%1$s, %1$s, '[]') AS span, sum(abs(d.n))::bigint AS changes"
					" FROM %2$s AS d WHERE (d.xid = ANY ($1) OR d.xid >= $2)"
					" AND isfinite(d.bucket) AND %1$s < $3 AND NOT pg_visible_in_snapshot(d.xid, $4)"
					" GROUP BY d.bucket"
					" UNION ALL SELECT tstzrange(%3$s, %4$s), 1"
					" FROM %5$s AS i CROSS JOIN LATERAL aggwin.spans(i.spans) AS r(span)"
					" WHERE (i.xid = ANY ($1) OR i.xid >= $2) AND i.xid < " AGGWIN_LAST_XID
					" AND " AGGWIN_BASE_INVALID " AND NOT pg_visible_in_snapshot(i.xid, $4)"
					" AND (lower_inf(r.span) OR %3$s < $3)) AS t",
					bucket, aggwin_tier(names, 0)->delta, from, to, names->invalid);
}

/* Before the fold takes it away; as the rollup's owner. */
void
aggwin_find_late(Fold *fold)
{
	Oid			types[] = {XID8ARRAYOID, XID8OID, TIMESTAMPTZOID, PG_SNAPSHOTOID};
	Datum		values[] = {fold->xip, fold->xmax, fold->watched, fold->seen};
	bool		isnull;

	if (fold->watched == 0)
		return;
	aggwin_fold_run(fold, aggwin_sql_touched_behind(fold->spec->time, &fold->names),
					SPI_OK_SELECT, lengthof(types), types, values, NULL);
	fold->touched = aggwin_spi_value(1, &isnull);
	fold->changes = aggwin_spi_value(2, &isnull);
	if (isnull)
		fold->touched = 0;
}

/* As superuser, in the transaction that takes it away. */
void
aggwin_log_late(Fold *fold)
{
	Oid			types[] = {INT4OID, TSTZRANGEARRAYOID, INT8ARRAYOID};
	Datum		values[] = {Int32GetDatum(fold->row.rollup_id), fold->touched, fold->changes};

	if (fold->touched == 0)
		return;
	aggwin_fold_run(fold, "INSERT INTO aggwin.touched (rollup_id, span, changes)"
					" SELECT $1, t.span, t.changes FROM unnest($2, $3) AS t (span, changes)",
					SPI_OK_INSERT, lengthof(types), types, values, NULL);
	fold->touched = 0;
}
