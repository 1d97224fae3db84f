/*
 * range.c - a range of time, at a resolution, from the tiers of a rollup
 *
 * The answer is the query of a rollup's view, at buckets of the step that was
 * asked for, from the coarsest tier whose buckets these are made of.
 */
#include "postgres.h"

#include "rollup/range.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "rollup/catalog.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* The view is to be read; an error if it is none of a rollup's, or forbidden. */
void
aggwin_range_lock(RangeQuery *query, Oid view)
{
	AclResult	result;

	query->view = view;
	/* Before the tables behind it, as readers of the view do. */
	LockRelationOid(view, AccessShareLock);
	query->rollup_id = aggwin_rollup_of_view(view, false);
	query->lowest = aggwin_level_of_view(query->rollup_id, view);
	result = pg_class_aclcheck(view, GetUserId(), ACL_SELECT);
	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_VIEW, get_rel_name(view));
}

/* What the rollup is, connected to SPI. What follows is to be run as its owner. */
void
aggwin_range_load(RangeQuery *query)
{
	RollupRow	row;
	Sandbox		saved;

	aggwin_get_rollup(query->rollup_id, &row);
	query->names = aggwin_rollup_names(&row);
	query->owner = aggwin_rollup_owner(&row);
	aggwin_sandbox_enter(&saved, query->owner, true);
	query->spec = aggwin_load_spec(row.definition);
	aggwin_sandbox_leave(&saved);
}

/* Run a query of one row; its values are in the memory of the SPI connection. */
static void
ask(RangeQuery *query, const char *sql)
{
	Oid			types[] = {query->spec->time->type, query->spec->time->type, INT8OID};
	Datum		values[] = {query->ends[0], query->ends[1], Int64GetDatum(query->max_points)};

	if (aggwin_spi_read(sql, lengthof(types), types, values) != 1)
		elog(ERROR, "not one row from: %s", sql);
}

/* The coarsest tier that has the view's keys, as all below it have. */
int
aggwin_range_top(const RangeQuery *query)
{
	const Tier *own = aggwin_tier(&query->names, query->lowest);
	int			top = query->lowest;

	while (top < aggwin_top_level(&query->names) &&
		   equal(aggwin_tier_keys(query->spec, aggwin_tier(&query->names, top + 1)),
				 aggwin_tier_keys(query->spec, own)))
		top++;
	return top;
}

/*
 * Answer from the coarsest tier that has the view's keys and whose buckets the
 * step is made of.
 */
static void
choose_level(RangeQuery *query)
{
	const Tier *own = aggwin_tier(&query->names, query->lowest);

	query->level = -1;
	for (int i = query->lowest; i <= aggwin_range_top(query); i++)
	{
		if (aggwin_tier_nests(&query->shown, aggwin_tier(&query->names, i)))
			query->level = i;
	}
	if (query->level < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a step of %s is not made of whole buckets of view %s",
						aggwin_tier_width_text(&query->shown),
						aggwin_relation_name(query->view)),
				 errdetail("Its buckets are %s wide.", aggwin_tier_width_text(own)),
				 errhint("Use a multiple of that, or the view of a finer tier.")));
}

/* How many of the buckets of a tier does the range touch, at most max_points + 1? */
static int64
count_points(RangeQuery *query, const Tier *tier)
{
	bool		isnull;
	const char *bucket = aggwin_sql_bucket(query->spec, tier, "$1");
	const char *next = aggwin_sql_bucket_end(query->spec, tier, "g.b");

	ask(query, psprintf("WITH RECURSIVE g(b, n) AS (SELECT %s, 1::bigint"
						" UNION ALL SELECT %s, g.n + 1 FROM g WHERE g.n <= $3 AND %s < $2)"
						" SELECT max(n) FROM g", bucket, next, next));
	return DatumGetInt64(aggwin_spi_value(1, &isnull));
}

/* Without a step: the finest tier with few enough points, or multiples of the last. */
void
aggwin_range_choose_step(RangeQuery *query)
{
	const Tier *last = NULL;

	for (int i = query->lowest; i <= aggwin_range_top(query); i++)
	{
		last = aggwin_tier(&query->names, i);
		if (count_points(query, last) <= query->max_points)
			break;
	}
	query->shown = *last;
	query->shown.width = aggwin_tier_width_literal(last);
	if (last->interval != NULL)
		query->shown.interval = memcpy(palloc(sizeof(Interval)), last->interval, sizeof(Interval));
	while (count_points(query, &query->shown) > query->max_points)
	{
		bool		too_wide;

		if (query->shown.interval == NULL)
			too_wide = pg_mul_s64_overflow(query->shown.int_width, 2, &query->shown.int_width);
		else
			too_wide = pg_mul_s32_overflow(query->shown.interval->month, 2, &query->shown.interval->month) ||
				pg_mul_s32_overflow(query->shown.interval->day, 2, &query->shown.interval->day) ||
				pg_mul_s64_overflow(query->shown.interval->time, 2, &query->shown.interval->time);
		if (too_wide)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("no step is wide enough for so few points"),
					 errhint("Ask for a shorter range or for more points.")));
		query->shown.width = aggwin_tier_width_literal(&query->shown);
	}
	choose_level(query);
}

/* The step that was asked for is the width of shown. */
void
aggwin_range_take_step(RangeQuery *query)
{
	query->shown.width = aggwin_tier_width_literal(&query->shown);
	/* time_bucket() knows best what it does not accept as a width. */
	ask(query, psprintf("SELECT %s, $2, $3", aggwin_sql_bucket(query->spec, &query->shown, "$1")));
	choose_level(query);
	if (count_points(query, &query->shown) > query->max_points)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the range has more than %lld steps", (long long) query->max_points),
				 errhint("Use a wider step, or raise max_points.")));
}

void
aggwin_refuse_range(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("the range must begin before it ends, and both ends must be finite")));
}

void
aggwin_range_check_ends(RangeQuery *query)
{
	bool		isnull;

	ask(query, query->spec->time->clock != NULL
		? "SELECT $1 >= $2 OR NOT isfinite($1) OR NOT isfinite($2) OR $3 IS NULL"
		: "SELECT $1 >= $2 OR $3 IS NULL");
	if (DatumGetBool(aggwin_spi_value(1, &isnull)))
		aggwin_refuse_range();
}

/*
 * Move the ends to those of whole buckets: of all that the range touches, or of
 * those that lie inside. False if there are none.
 */
bool
aggwin_range_align(RangeQuery *query, bool inside)
{
	char	   *low = aggwin_sql_bucket(query->spec, &query->shown, "$1");
	char	   *high = aggwin_sql_bucket(query->spec, &query->shown, "$2");
	bool		isnull;

	if (inside)
		low = psprintf("CASE WHEN $1 = %s THEN $1 ELSE %s END", low,
					   aggwin_sql_bucket_end(query->spec, &query->shown, "$1"));
	else
		high = psprintf("CASE WHEN $2 = %s THEN $2 ELSE %s END", high,
						aggwin_sql_bucket_end(query->spec, &query->shown, "$2"));
	ask(query, psprintf("SELECT %s, %s, $3", low, high));
	query->ends[0] = aggwin_spi_value(1, &isnull);
	query->ends[1] = aggwin_spi_value(2, &isnull);
	if (!inside)
		return true;
	ask(query, "SELECT $1 < $2, $3");
	return DatumGetBool(aggwin_spi_value(1, &isnull));
}

/*
 * The rows of the rollup's query between two times, which are ends of buckets, as
 * SQL. restriction is a format for more conditions on the columns of state, given
 * its alias; it begins with " AND ", or is empty.
 */
char *
aggwin_range_answer(const RangeQuery *query, const char *from, const char *to,
					const char *restriction)
{
	const TimeType *time = query->spec->time;

	return aggwin_sql_answer(query->spec, &query->names, query->level, &query->shown,
							 psprintf("%%1$s.bucket >= %s AND %%1$s.bucket < %s%s", from, to, restriction),
							 psprintf("%s(%s(%s, %s))", time->multirange, time->range, from, to));
}
