/*
 * panes.c - which rollup the windows of a pipeline are made of
 *
 * Windows begin at whole multiples of their width since 1970. They are made of the
 * widest buckets, of any tier of a rollup of all series, that fit into them. The
 * rollup that enable_metrics() makes has minutes, so pipelines of whole minutes cost
 * samples nothing more when they come. For others a rollup of fitting buckets is
 * made, and shared.
 */
#include "postgres.h"

#include "pipeline/panes.h"

#include "core/spi_util.h"
#include "datatype/timestamp.h"
#include "metrics/metric_rollup.h"
#include "rollup/catalog.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* From 1970-01-01 to 2000-01-03, which buckets are counted from, in milliseconds. */
#define ORIGIN_MS INT64CONST(946857600000)

/* The width of a tier in milliseconds, 0 if these are not whole or not always as many. */
static int64
width_ms(const Tier *tier)
{
	const Interval *interval = tier->interval;
	int64		width;

	if (interval == NULL || interval->month != 0)
		return 0;
	width = interval->day * USECS_PER_DAY + interval->time;
	return width % 1000 == 0 ? width / 1000 : 0;
}

/* Rollups of samples, of their owner, that keep each series by itself, the newest first: their views. */
static List *
candidates(void)
{
	aggwin_spi_run("SELECT r.view::oid FROM aggwin.rollup AS r"
				   " LEFT JOIN aggwin.metric_rollup AS m ON m.view = r.view JOIN pg_class AS c ON c.oid = r.view"
				   " JOIN pg_class AS s ON s.oid = r.source AND s.relowner = c.relowner"
				   " WHERE r.source = 'aggwin.samples'::regclass"
				   " AND (m.view IS NOT NULL AND m.pattern IS NULL AND m.keep IS NULL AND m.drop IS NULL"
				   " OR m.view IS NULL AND c.relname LIKE 'pipeline\\_panes\\_%')"
				   " ORDER BY r.rollup_id DESC", SPI_OK_SELECT);
	return aggwin_spi_column(1);
}

/*
 * Folds and steps of windows hold a rollup's lock when they write results, and then
 * may want the creation lock. So who makes pipelines takes these first.
 */
void
aggwin_lock_panes(void)
{
	List	   *ids = NIL;
	ListCell   *lc;

	foreach(lc, candidates())
	{
		RollupRow	row;

		if (aggwin_find_rollup_of_view(lfirst_oid(lc), &row))
			ids = lappend_int(ids, row.rollup_id);
	}
	list_sort(ids, list_int_cmp);
	foreach(lc, ids)
		aggwin_lock_rollup(lfirst_int(lc));
}

/* Where the first candidate's view is; where none is, in the schema that is given. */
static const char *
schema_of_panes(List *views, const char *schema)
{
	if (views != NIL)
		return get_namespace_name(get_rel_namespace(linitial_oid(views)));
	if (schema == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("no schema has been selected to create a rollup for pipelines in"),
				 errhint("Set search_path, or make a rollup of all metrics by aggwin.create_metric_rollup().")));
	return schema;
}

static Oid
create_panes(int64 width, const char *schema)
{
	char	   *name = quote_qualified_identifier(schema, psprintf("pipeline_panes_" INT64_FORMAT "ms", width));
	bool		isnull;

	aggwin_spi_run(psprintf("SELECT aggwin.create_rollup(%s, %s, refresh_interval => '15 seconds')",
							quote_literal_cstr(name),
							quote_literal_cstr(psprintf("SELECT aggwin.time_bucket('" INT64_FORMAT " milliseconds', ts) AS bucket,"
														" series_id, " AGGWIN_SUMMARIES("aggwin.exp_hist_agg(value)") ", "
														AGGWIN_COUNTER AGGWIN_SUMMARIZED " GROUP BY 1, 2", width))),
				   SPI_OK_SELECT);
	return DatumGetObjectId(aggwin_spi_value(1, &isnull));
}

/*
 * The view that windows of this width are made of; made if there is none, in a schema
 * if no other is. Run as the tables' owner, connected to SPI.
 */
Oid
aggwin_panes_for(int64 range_ms, const char *schema)
{
	int64		divisor = DatumGetInt64(DirectFunctionCall2(int8gcd, Int64GetDatum(range_ms), Int64GetDatum(ORIGIN_MS)));
	List	   *views = candidates();
	int64		best_width = 0;
	Oid			best = InvalidOid;
	ListCell   *lc;

	foreach(lc, views)
	{
		RollupRow	row;
		ListCell   *tier_cell;

		if (!aggwin_find_rollup_of_view(lfirst_oid(lc), &row))
			continue;
		foreach(tier_cell, aggwin_rollup_names(&row).tiers)
		{
			Tier	   *tier = lfirst(tier_cell);
			int64		width = width_ms(tier);

			if (width > best_width && divisor % width == 0)
			{
				best_width = width;
				best = tier->view_relid;
			}
		}
	}
	return OidIsValid(best) ? best : create_panes(divisor, schema_of_panes(views, schema));
}
