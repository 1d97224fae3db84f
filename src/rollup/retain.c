/*
 * retain.c - what becomes of old rows: closed, frozen, expired
 *
 * Each boundary is a span (,x) in the invalid table, x a bucket's start; it only
 * moves forward, inside a fold, and never over what is still invalid:
 *
 *      closed 'l'     rows beyond lateness, counted from the watermark, do not
 *                     count any more, with late => 'drop'
 *      unsourced 's'  rows beyond source_retention may be gone from the source
 *      expired 'e'    state beyond the retention of its level is not shown, and
 *                     deleted, a part of it with each fold
 *
 * Whatever is beyond any of them is never repaired. What has expired at level k
 * ends where a bucket of level k + 1 does, so that the level above is either
 * whole below or not to be repaired at all.
 */
#include "postgres.h"

#include "rollup/fold.h"

#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "rollup/fold_sql.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* Rows of state that one fold deletes at most. */
#define EXPIRE_BATCH 10000

/*
 * Move a boundary to the bucket of a time, if that is later than where it is
 * and nothing before it is invalid up to a level. $1 .. are the parameters of
 * time.
 */
static void
move_boundary(Fold *fold, char kind, int level, int whole_level, const Tier *grid,
			  const char *time, int nargs, Oid *types, Datum *values)
{
	const TimeType *type = fold->spec->time;
	const char *invalid = fold->names.invalid;
	char	   *sql;

	/* Sessions have no grid, but a boundary that each fold moves would be one too many. */
	char	   *grid_time = fold->spec->gap != NULL
		? psprintf("aggwin.time_bucket(%s, %s)", fold->spec->gap, time)
		: aggwin_sql_bucket(fold->spec, grid, time);

	sql = psprintf("WITH new AS MATERIALIZED (SELECT %1$s(NULL, %2$s)::%3$s AS spans),"
				   " old AS (SELECT i.spans FROM %4$s AS i WHERE i.xid >= " AGGWIN_LAST_XID
				   " AND i.kind = '%5$c' AND i.level = %6$d),"
				   " moves AS MATERIALIZED (SELECT n.spans FROM new AS n WHERE upper(n.spans) IS NOT NULL"
				   " AND isfinite(upper(n.spans))"
				   " AND NOT EXISTS (SELECT FROM old AS o WHERE o.spans @> n.spans)"
				   " AND NOT EXISTS (SELECT FROM %4$s AS i WHERE i.xid >= " AGGWIN_LAST_XID
				   " AND i.kind = 'i' AND i.level <= %7$d AND i.spans && n.spans)),"
				   " gone AS (DELETE FROM %4$s AS i USING moves WHERE i.xid >= " AGGWIN_LAST_XID
				   " AND i.kind = '%5$c' AND i.level = %6$d)"
				   " INSERT INTO %4$s (kind, level, spans, nulls, captured_at, xid)"
				   " SELECT '%5$c', %6$d, m.spans, false, statement_timestamp(), " AGGWIN_LAST_XID
				   " FROM moves AS m",
				   type->range, grid_time,
				   type->multirange, invalid, kind, level, whole_level);
	aggwin_fold_run(fold, sql, SPI_OK_INSERT, nargs, types, values, NULL);
	if (SPI_processed > 0)
		fold->wrote = true;
}

/* The present less an interval, on the scale of the event time. */
static char *
ago(Fold *fold)
{
	return psprintf("(%s - $1)::%s", fold->spec->time->clock, fold->spec->time->name);
}

static void
delete_expired(Fold *fold, const Tier *tier)
{
	bool		of_sessions = fold->spec->gap != NULL;
	uint64		deleted;

	aggwin_fold_run(fold, psprintf("DELETE FROM %1$s AS st WHERE st.ctid = ANY (ARRAY("
								   "SELECT x.ctid FROM %1$s AS x WHERE %5$s ("
								   "SELECT %6$s FROM %2$s AS i WHERE i.xid >= " AGGWIN_LAST_XID
								   " AND i.kind = 'e' AND i.level = %3$d) LIMIT %4$d))",
								   tier->state, fold->names.invalid, fold->level, EXPIRE_BATCH,
								   of_sessions ? "x.bucket <<" : "x.bucket <",
								   of_sessions ? psprintf("%s(max(upper(i.spans)), NULL)",
														  fold->spec->time->range)
								   : "max(upper(i.spans))"),
					SPI_OK_DELETE, 0, NULL, NULL, NULL);
	deleted = SPI_processed;
	if (deleted > 0)
		fold->wrote = true;
	if (deleted == EXPIRE_BATCH)
		fold->more = true;
}

/* At the end of a fold of fold->level. */
void
aggwin_keep_boundaries(Fold *fold)
{
	int			level = fold->level;
	const Tier *tier = aggwin_tier(&fold->names, level);
	const Tier *grid = level < aggwin_top_level(&fold->names)
		? aggwin_tier(&fold->names, level + 1) : tier;
	RollupOptions options;

	if (fold->spec->time->clock == NULL)
		return;
	aggwin_rollup_options(fold->row.rollup_id, level, &options);

	if (level == 0 && options.drops_late && !fold->no_watermark)
	{
		Oid			types[] = {INTERVALOID, TEXTOID};
		Datum		values[] = {IntervalPGetDatum(options.lateness), fold->watermark};

		move_boundary(fold, 'l', 0, 0, tier,
					  psprintf("($2::%1$s - $1)::%1$s", fold->spec->time->name),
					  2, types, values);
	}
	if (level == 0 && options.source_retention != NULL)
	{
		Oid			types[] = {INTERVALOID};
		Datum		values[] = {IntervalPGetDatum(options.source_retention)};

		move_boundary(fold, 's', 0, 0, tier, ago(fold), 1, types, values);
	}
	if (options.retention != NULL)
	{
		Oid			types[] = {INTERVALOID};
		Datum		values[] = {IntervalPGetDatum(options.retention)};

		move_boundary(fold, 'e', level, level + 1, grid, ago(fold), 1, types, values);
		delete_expired(fold, tier);
	}
}
