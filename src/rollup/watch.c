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
 *
 * Where "watched_keys" is set, changes are told of by the rollup's first key.
 */
#include "postgres.h"

#include "rollup/watch.h"

#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "rollup/fold.h"
#include "rollup/sql.h"

/* More rows than that are told of without their keys. */
#define MAX_KEYED "100000"

/* Pending deltas that are late, as buckets. */
static char *
late_buckets(const TimeType *time, const RollupNames *names, const char *key)
{
	char	   *bucket = aggwin_sql_utc(time, "d.bucket");

	return psprintf("SELECT %1$s AS bucket, sum(abs(d.n))::bigint AS changes%3$s"
					" FROM %2$s AS d WHERE (d.xid = ANY ($1) OR d.xid >= $2)"
					" AND isfinite(d.bucket) AND %1$s < $3 AND NOT pg_visible_in_snapshot(d.xid, $4)"
					" GROUP BY d.bucket%3$s",
					bucket, aggwin_tier(names, 0)->delta, key);
}

/* The same by key, as runs of buckets without a gap. */
static char *
late_runs(const TimeType *time, const RollupNames *names)
{
	return psprintf("SELECT r.k1::text AS key, tstzrange(min(r.bucket), max(r.bucket), '[]') AS span,"
					" sum(r.changes)::bigint AS changes FROM (SELECT g.*, count(*) FILTER (WHERE g.gap) OVER ("
					"PARTITION BY g.k1 ORDER BY g.bucket) AS nth FROM (SELECT b.*, b.bucket > lag(b.bucket) OVER ("
					"PARTITION BY b.k1 ORDER BY b.bucket) + %s AS gap FROM (%s) AS b) AS g) AS r"
					" GROUP BY r.k1, r.nth",
					aggwin_tier_width_literal(aggwin_tier(names, 0)), late_buckets(time, names, ", d.k1"));
}

/*
 * What is pending, by $1 and $2 as in fold_sql.c, about buckets before $3 and is
 * not in snapshot $4: arrays of spans, of numbers of changes, and of the first keys that
 * have changed, NULL where that may be any; or NULL. What folds themselves have left
 * invalid has been logged before, and is as it was.
 */
char *
aggwin_sql_touched_behind(const TimeType *time, const RollupNames *names, bool by_key)
{
	char	   *from = aggwin_sql_utc(time, "lower(r.span)");
	char	   *to = aggwin_sql_utc(time, "upper(r.span)");
	char	   *deltas;

	if (by_key)
		deltas = psprintf("(WITH runs AS MATERIALIZED (%s), size AS (SELECT count(*) <= " MAX_KEYED " AS fits,"
						  " range_agg(r.span) AS spans, sum(r.changes)::bigint AS changes FROM runs AS r)"
						  " SELECT r.span, r.changes, r.key FROM runs AS r, size WHERE size.fits"
						  " UNION ALL SELECT s.span, CASE WHEN s.nth = 1 THEN size.changes ELSE 0 END, NULL"
						  " FROM size CROSS JOIN LATERAL unnest(size.spans) WITH ORDINALITY AS s(span, nth)"
						  " WHERE NOT size.fits)", late_runs(time, names));
	else
		deltas = psprintf("SELECT tstzrange(b.bucket, b.bucket, '[]') AS span, b.changes, NULL::text AS key"
						  " FROM (%s) AS b", late_buckets(time, names, ""));
	return psprintf("SELECT array_agg(t.span), array_agg(t.changes), array_agg(t.key) FROM ("
					"%1$s UNION ALL SELECT tstzrange(%2$s, %3$s), 1, %5$s"
					" FROM %4$s AS i CROSS JOIN LATERAL aggwin.spans(i.spans) AS r(span)%6$s"
					" WHERE (i.xid = ANY ($1) OR i.xid >= $2) AND i.xid < " AGGWIN_LAST_XID
					" AND " AGGWIN_BASE_INVALID " AND NOT pg_visible_in_snapshot(i.xid, $4)"
					" AND (lower_inf(r.span) OR %2$s < $3)) AS t",
					deltas, from, to, names->invalid, by_key ? "k.key" : "NULL",
					by_key ? " LEFT JOIN LATERAL unnest(i.keys) AS k(key) ON true" : "");
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
	aggwin_fold_run(fold, aggwin_sql_touched_behind(fold->spec->time, &fold->names, fold->watched_keys),
					SPI_OK_SELECT, lengthof(types), types, values, NULL);
	fold->touched = aggwin_spi_value(1, &isnull);
	fold->changes = aggwin_spi_value(2, &isnull);
	fold->keys = aggwin_spi_value(3, &isnull);
	if (isnull)
		fold->touched = 0;
}

/* As superuser, in the transaction that takes it away. */
void
aggwin_log_late(Fold *fold)
{
	Oid			types[] = {INT4OID, TSTZRANGEARRAYOID, INT8ARRAYOID, TEXTARRAYOID};
	Datum		values[] = {Int32GetDatum(fold->row.rollup_id), fold->touched, fold->changes, fold->keys};

	if (fold->touched == 0)
		return;
	aggwin_fold_run(fold, "INSERT INTO aggwin.touched (rollup_id, span, changes, key)"
					" SELECT $1, t.span, t.changes, t.key FROM unnest($2, $3, $4) AS t (span, changes, key)",
					SPI_OK_INSERT, lengthof(types), types, values, NULL);
	fold->touched = 0;
}
