/*
 * exact_sql.c - the SQL about partials that may not merge exactly, as text
 *
 * Some results merge exactly only if luck will have it: counters whose times do
 * not overlap. The merged result tells which it was, by Partial.exact. Where it
 * was not, the bucket is invalid: answered from below, and in the end from the
 * source, where the aggregate sees all rows at once.
 *
 *   fold    the groups that it stores are asked; the buckets of those that are
 *           not exact become invalid spans of the level, in its transaction
 *   view    the groups that have deltas are merged and asked first; the buckets
 *           of those that are not exact count as invalid for this reader
 *
 * Results of different buckets of one level never overlap, so what is merged
 * from the level below is exact, if that is.
 */
#include "postgres.h"

#include "rollup/exact_sql.h"

#include "lib/stringinfo.h"

bool
aggwin_may_be_inexact(const RollupSpec *spec)
{
	ListCell   *lc;

	foreach(lc, spec->partials)
	{
		if (((Partial *) lfirst(lc))->exact != NULL)
			return true;
	}
	return false;
}

/* Are all partials of a row exact; of a group of rows "u", if alias is NULL? */
char *
aggwin_sql_all_exact(const RollupSpec *spec, const char *alias)
{
	StringInfoData s;
	int			i = 0;
	ListCell   *lc;

	initStringInfo(&s);
	appendStringInfoString(&s, "(true");
	foreach(lc, spec->partials)
	{
		Partial    *partial = lfirst(lc);
		char	   *value = alias ? psprintf("%s.p%d", alias, ++i)
			: psprintf("%s(u.p%d)", partial->merge, ++i);

		if (partial->exact != NULL)
			appendStringInfo(&s, " AND coalesce(%s(%s), true)", partial->exact, value);
	}
	appendStringInfoChar(&s, ')');
	return s.data;
}

/* The union of the buckets that a relation "b" has, and whether it has NULL. */
static char *
spans_of_buckets(const RollupSpec *spec, const Tier *tier)
{
	return psprintf("coalesce(range_agg(%s) FILTER (WHERE b.bucket IS NOT NULL), '{}') AS spans,"
					" coalesce(bool_or(b.bucket IS NULL), false) AS nulls",
					aggwin_sql_bucket_span(spec, tier, "b.bucket"));
}

/* At the end of the statement that stores groups as "stored". */
char *
aggwin_sql_returning_exact(const RollupSpec *spec, const char *alias)
{
	return psprintf(" RETURNING %s.bucket, %s AS exact", alias, aggwin_sql_all_exact(spec, alias));
}

/* Two columns, spans and nulls: of the groups in "stored" that are not exact. */
char *
aggwin_sql_inexact_stored(const RollupSpec *spec, const Tier *tier)
{
	char	   *query = psprintf("SELECT %s FROM stored AS b WHERE NOT b.exact",
								 spans_of_buckets(spec, tier));

	return psprintf("(SELECT x.spans FROM (%1$s) AS x), (SELECT x.nulls FROM (%1$s) AS x)", query);
}

/*
 * A member of a WITH clause that has "folded": xN with the spans and nulls of
 * the buckets of level N whose groups are not exact with their deltas. Spans is
 * NULL if there are none.
 */
char *
aggwin_sql_inexact_pending(const RollupSpec *spec, const RollupNames *names, int level)
{
	const Tier *tier = aggwin_tier(names, level);
	const Tier *base = aggwin_tier(names, 0);
	char	   *from_base = aggwin_sql_row_of(spec, "d", base, tier);
	char	   *stored = aggwin_sql_row_of(spec, "st", tier, tier);
	StringInfoData s;
	ListCell   *lc;

	initStringInfo(&s);
	appendStringInfo(&s, "deltas%1$d AS MATERIALIZED ("
					 "SELECT %2$s FROM %3$s AS d WHERE d.xid = ANY ((SELECT f.xip FROM folded AS f)::xid8[])"
					 " UNION ALL "
					 "SELECT %2$s FROM %3$s AS d WHERE d.xid >= (SELECT f.xmax FROM folded AS f)"
					 " AND d.xid <= " AGGWIN_LAST_XID,
					 level, from_base, base->delta);
	for (int j = 1; j <= level; j++)
		appendStringInfo(&s, " UNION ALL SELECT %s FROM %s AS d",
						 aggwin_sql_row_of(spec, "d", aggwin_tier(names, j), tier),
						 aggwin_tier(names, j)->delta);
	appendStringInfo(&s, "), x%1$d AS MATERIALIZED ("
					 "SELECT nullif(x.spans, '{}') AS spans, x.nulls FROM (SELECT %2$s FROM ("
					 "SELECT u.bucket FROM ("
					 "SELECT * FROM deltas%1$d"
					 " UNION ALL SELECT %3$s FROM (SELECT DISTINCT d.bucket FROM deltas%1$d AS d) AS b"
					 " JOIN %4$s AS st ON st.bucket = b.bucket"
					 " UNION ALL SELECT %3$s FROM %4$s AS st WHERE st.bucket IS NULL"
					 " AND EXISTS (SELECT FROM deltas%1$d AS d WHERE d.bucket IS NULL)"
					 ") AS u GROUP BY u.bucket",
					 level, spans_of_buckets(spec, tier), stored, tier->state);
	foreach(lc, aggwin_tier_keys(spec, tier))
		appendStringInfo(&s, ", u.k%d", lfirst_int(lc));
	appendStringInfo(&s, " HAVING NOT %s) AS b) AS x)", aggwin_sql_all_exact(spec, NULL));
	return s.data;
}
