/*
 * build.c - making, changing and removing pipelines
 *
 * A pipeline is a row, the series that it reads (mapping.c), a window output whose query
 * is its rule (query.c), and a trigger on that which writes samples (results.c).
 */
#include "postgres.h"

#include "pipeline/plan.h"

#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "metrics/matchers.h"
#include "miscadmin.h"
#include "pipeline/mapping.h"
#include "pipeline/panes.h"
#include "pipeline/query.h"
#include "pipeline/tables.h"
#include "rollup/sql.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/* An interval as SQL. */
static char *
milliseconds(int64 value)
{
	return psprintf("'" INT64_FORMAT " milliseconds'::interval", value);
}

static int32
next_id(void)
{
	bool		isnull;

	aggwin_spi_run("SELECT nextval(pg_get_serial_sequence('aggwin.pipeline', 'pipeline_id'))::int", SPI_OK_SELECT);
	return DatumGetInt32(aggwin_spi_value(1, &isnull));
}

/* Have the output's panes come from aggwin.series_panes(): a row a series, and shared. */
static void
share_panes(const PlanItem *item, Oid rollup)
{
	Oid			types[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(item->output)};
	bool		isnull;

	/* Somebody may have added columns to the rollup. */
	aggwin_spi_run_args("SELECT c.oid::regclass::text,"
						" string_agg(CASE WHEN a.attname = ANY (k.names) THEN 'p.' || a.attname"
						" ELSE format('NULL::%s AS %I', format_type(a.atttypid, a.atttypmod), a.attname) END, ', ' ORDER BY a.attnum),"
						" string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', '"
						" ORDER BY array_position(k.names, a.attname)) FILTER (WHERE a.attname = ANY (k.names))"
						" FROM aggwin.window AS w JOIN pg_class AS c ON c.oid = to_regclass('aggwin._panes_' || w.window_id)"
						" JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
						" CROSS JOIN (SELECT '{bucket,series_id,nans,stats,percentiles,counter}'::name[] AS names) AS k"
						" WHERE w.output = $1 GROUP BY c.oid",
						SPI_OK_SELECT, lengthof(types), types, values, NULL);
	aggwin_spi_run(psprintf("CREATE OR REPLACE VIEW %s AS SELECT %s FROM aggwin.series_panes(%d, %s::regclass) AS p (%s)",
							TextDatumGetCString(aggwin_spi_value(1, &isnull)), TextDatumGetCString(aggwin_spi_value(2, &isnull)),
							item->pipeline_id, quote_literal_cstr(aggwin_relation_name(rollup)),
							TextDatumGetCString(aggwin_spi_value(3, &isnull))), SPI_OK_UTILITY);
}

static void
create_output(PlanItem *item, const char *schema)
{
	const PipelineSpec *spec = &item->spec;
	Oid			panes = aggwin_panes_for(spec->rule.range, schema);
	char	   *name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(panes)),
												  psprintf("pipeline_%d", item->pipeline_id));
	Sandbox		saved;
	bool		isnull;

	aggwin_spi_run(psprintf("SELECT aggwin.create_window(%s, %s, %s, grace => %s, emit => 'changes',"
							" notify => false, retention => %s, keys => '{result_id}')",
							quote_literal_cstr(name),
							quote_literal_cstr(aggwin_pipeline_query(item->pipeline_id, &spec->rule,
																	 aggwin_relation_name(panes))),
							milliseconds(spec->rule.range), milliseconds(spec->grace),
							milliseconds(spec->retention)), SPI_OK_SELECT);
	item->output = DatumGetObjectId(aggwin_spi_value(1, &isnull));
	/* The trigger's function is nobody's but ours. */
	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	share_panes(item, panes);
	if (spec->rule.aggregation == PROM_SUM2)
		aggwin_spi_run(psprintf("CREATE INDEX ON %s (result_id, window_end)", aggwin_relation_name(item->output)),
					   SPI_OK_UTILITY);
	aggwin_spi_run(psprintf("CREATE TRIGGER aggwin_write_results AFTER INSERT ON %s"
							" REFERENCING NEW TABLE AS aggwin_new FOR EACH STATEMENT"
							" EXECUTE FUNCTION aggwin.write_results(%d)",
							aggwin_relation_name(item->output), item->pipeline_id), SPI_OK_UTILITY);
	aggwin_sandbox_leave(&saved);
}

static void
insert_row(const PlanItem *item, const char *source, Oid caller)
{
	const PipelineSpec *spec = &item->spec;
	const char *read = spec->rule.selector.metric;
	Oid			types[] = {INT4OID, TEXTOID, TEXTOID, TEXTOID, JSONBOID, INT4OID, INT4OID, BOOLOID, OIDOID, INT4OID, OIDOID, TEXTOID, TEXTOID};
	Datum		values[] = {
		Int32GetDatum(item->pipeline_id), CStringGetTextDatum(source), CStringGetTextDatum(spec->metric),
		CStringGetTextDatum(spec->promql), spec->labels, Int32GetDatum(spec->max_series),
		Int32GetDatum(spec->result_limit), BoolGetDatum(spec->paused), ObjectIdGetDatum(item->output),
		Int32GetDatum(spec->place), ObjectIdGetDatum(caller), CStringGetTextDatum(aggwin_rule_reach(&spec->rule)),
		read ? CStringGetTextDatum(aggwin_from_utf8(read)) : 0
	};

	aggwin_spi_run_args(psprintf("INSERT INTO aggwin.pipeline (pipeline_id, source, metric, promql, labels, max_series,"
								 " result_limit, paused, output, place, owner, reach, reads, grace, retention)"
								 " OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, %s, %s)",
								 milliseconds(spec->grace), milliseconds(spec->retention)),
						SPI_OK_INSERT, lengthof(types), types, values, read ? NULL : "            n");
	aggwin_spi_run_args("INSERT INTO aggwin.metric AS m (metric, family, type, help, derived)"
						" VALUES ($3, $3, $1, $4, true) ON CONFLICT (metric) DO UPDATE"
						" SET type = excluded.type, help = excluded.help, derived = true",
						SPI_OK_INSERT, 4,
						(Oid[]) {TEXTOID, TEXTOID, TEXTOID, TEXTOID},
						(Datum[]) {
							CStringGetTextDatum(spec->rule.aggregation == PROM_SUM2 ? "counter" : "gauge"),
							values[1], values[2], values[3]
						}, NULL);
}

static void
map_all(const PlanItem *item)
{
	bool		isnull;
	Datum		series;

	const char *metric = item->spec.rule.selector.metric;

	aggwin_spi_run(psprintf("SELECT array_agg(s.series_id) FROM aggwin.series AS s WHERE %s",
							metric ? psprintf("s.metric = %s", quote_literal_cstr(aggwin_from_utf8(metric))) : "true"),
				   SPI_OK_SELECT);
	series = aggwin_spi_value(1, &isnull);
	if (!isnull)
		aggwin_map_series(item->pipeline_id, &item->spec.rule, CStringGetTextDatum(item->spec.metric),
						  item->spec.labels, item->spec.max_series, series);
}

/*
 * Windows begin at whole multiples of their width since 1970, the first of them with
 * the first sample that is there. What comes of times before is late, and has results,
 * too. Results of an earlier rule go, from the first sample of all that could be read: those
 * before could not be computed again.
 */
static void
begin_windows(const PlanItem *item)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(item->pipeline_id)};
	Oid			window_types[] = {OIDOID, TIMESTAMPTZOID, INT8OID};
	Datum		window_values[] = {ObjectIdGetDatum(item->output), 0, Int64GetDatum(item->spec.rule.range)};
	char		nulls[] = "   ";
	bool		isnull;
	Sandbox		saved;

	aggwin_spi_run_args("SELECT min(f.ts) FROM aggwin.pipeline_series AS m CROSS JOIN LATERAL ("
						"SELECT p.ts FROM aggwin.samples AS p WHERE p.series_id = m.series_id ORDER BY p.ts LIMIT 1) AS f"
						" WHERE m.pipeline_id = $1", SPI_OK_SELECT, lengthof(types), types, values, NULL);
	window_values[1] = aggwin_spi_value(1, &isnull);
	nulls[1] = isnull ? 'n' : ' ';
	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_spi_run_args("UPDATE aggwin.window AS w SET origin = to_timestamp(0), from_first = true,"
						" touched_by = 'aggwin.pipelines_touched',"
						" closed_to = t.ts, first_end = '0001-01-01 00:00Z'"
						" FROM (SELECT date_bin($3 * '1 millisecond'::interval, $2, to_timestamp(0)) AS ts) AS t"
						" WHERE w.output = $1", SPI_OK_UPDATE, lengthof(window_types), window_types, window_values, nulls);
	aggwin_sandbox_leave(&saved);
	aggwin_spi_run_args("DELETE FROM aggwin.samples AS p USING aggwin.series AS s"
						" WHERE s.metric = $1 AND p.series_id = s.series_id AND p.ts > ("
						"SELECT f.ts FROM aggwin.samples AS f JOIN aggwin.series AS o ON o.series_id = f.series_id"
						" JOIN aggwin.metric AS m ON m.metric = o.metric WHERE NOT m.derived ORDER BY f.ts LIMIT 1)",
						SPI_OK_DELETE, 1, (Oid[]) {TEXTOID},
						(Datum[]) {CStringGetTextDatum(item->spec.metric)}, NULL);
}

static void
set_paused(const PlanItem *item)
{
	aggwin_spi_run(psprintf("SELECT aggwin.%s_window(%s)", item->spec.paused ? "pause" : "resume",
							quote_literal_cstr(aggwin_relation_name(item->output))), SPI_OK_SELECT);
}

static void
create(PlanItem *item, const char *source, Oid caller, const char *schema)
{
	item->pipeline_id = next_id();
	create_output(item, schema);
	insert_row(item, source, caller);
	map_all(item);
	begin_windows(item);
	if (item->spec.paused)
		set_paused(item);
}

/* What it has written stays. */
static void
drop(const PlanItem *item)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(item->pipeline_id)};

	aggwin_spi_run_args("DELETE FROM aggwin.pipeline AS p WHERE p.pipeline_id = $1",
						SPI_OK_DELETE, lengthof(types), types, values, NULL);
	if (OidIsValid(item->output))
		aggwin_spi_run(psprintf("SELECT aggwin.drop_window(%s)",
								quote_literal_cstr(aggwin_relation_name(item->output))), SPI_OK_SELECT);
}

/* The series that it reads. */
static Datum
mapped_series(const PlanItem *item)
{
	bool		isnull;

	aggwin_spi_run(psprintf("SELECT coalesce(array_agg(m.series_id), '{}') FROM aggwin.pipeline_series AS m"
							" WHERE m.pipeline_id = %d", item->pipeline_id), SPI_OK_SELECT);
	return aggwin_spi_value(1, &isnull);
}

/* Series that it reads from now on: to its windows, all samples of theirs are late. */
static void
touch_new_series(const PlanItem *item, Datum known)
{
	Oid			types[] = {INT4OID, INT8ARRAYOID};
	Datum		values[] = {Int32GetDatum(item->pipeline_id), known};
	Sandbox		saved;

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_spi_run_args("INSERT INTO aggwin.touched (rollup_id, span, changes, key)"
						" SELECT o.rollup_id, tstzrange(f.ts, NULL), 0, m.series_id"
						" FROM aggwin.pipeline AS p JOIN aggwin.pipeline_series AS m USING (pipeline_id)"
						" JOIN aggwin.window AS w ON w.output = p.output"
						" JOIN aggwin.rollup AS o ON w.rollup IN (" AGGWIN_VIEWS_OF("o.rollup_id") ")"
						" CROSS JOIN LATERAL (SELECT s.ts FROM aggwin.samples AS s WHERE s.series_id = m.series_id"
						" ORDER BY s.ts LIMIT 1) AS f"
						" WHERE p.pipeline_id = $1 AND m.series_id <> ALL ($2)",
						SPI_OK_INSERT, lengthof(types), types, values, NULL);
	aggwin_sandbox_leave(&saved);
}

/* Options that are changed without computing everything anew. */
static void
alter(const PlanItem *item)
{
	Datum		known = mapped_series(item);
	const PipelineSpec *spec = &item->spec;
	Oid			types[] = {INT4OID, INT4OID, INT4OID, BOOLOID};
	Datum		values[] = {Int32GetDatum(item->pipeline_id), Int32GetDatum(spec->max_series),
	Int32GetDatum(spec->result_limit), BoolGetDatum(spec->paused)};

	aggwin_spi_run_args(psprintf("UPDATE aggwin.pipeline AS p SET max_series = $2, result_limit = $3, paused = $4,"
								 " grace = %s, retention = %s, applied_at = now(),"
								 " skipped_hour = CASE WHEN $3 > p.result_limit THEN NULL ELSE p.skipped_hour END"
								 " WHERE p.pipeline_id = $1",
								 milliseconds(spec->grace), milliseconds(spec->retention)),
						SPI_OK_UPDATE, lengthof(types), types, values, NULL);
	aggwin_spi_run_args("DELETE FROM aggwin.pipeline_refused AS r WHERE r.pipeline_id = $1",
						SPI_OK_DELETE, 1, types, values, NULL);
	aggwin_spi_run(psprintf("SELECT aggwin.alter_window(%s, grace => %s, retention => %s)",
							quote_literal_cstr(aggwin_relation_name(item->output)),
							milliseconds(spec->grace), milliseconds(spec->retention)), SPI_OK_SELECT);
	set_paused(item);
	map_all(item);
	touch_new_series(item, known);
}

static void
store_place(const PlanItem *item)
{
	aggwin_spi_run_args("UPDATE aggwin.pipeline AS p SET place = $2 WHERE p.pipeline_id = $1 AND p.place <> $2",
						SPI_OK_UPDATE, 2, (Oid[]) {INT4OID, INT4OID},
						(Datum[]) {Int32GetDatum(item->pipeline_id), Int32GetDatum(item->spec.place)}, NULL);
}

/*
 * Do what a plan says. Connected to SPI, as the tables' owner. schema is where the caller
 * makes relations, NULL if nowhere.
 */
void
aggwin_carry_out(const MetricTables *tables, List *plan, const char *source, Oid caller,
				 const char *schema)
{
	ListCell   *lc;

	/* What goes first leaves its name to what comes. */
	foreach(lc, plan)
	{
		PlanItem   *item = lfirst(lc);

		if (item->action == PLAN_REMOVE || item->rebuild)
			drop(item);
	}
	foreach(lc, plan)
	{
		PlanItem   *item = lfirst(lc);

		if (item->action == PLAN_CREATE || item->rebuild)
			create(item, source, caller, schema);
		else if (item->action == PLAN_CHANGE)
			alter(item);
		if (item->action != PLAN_REMOVE)
			store_place(item);
	}
}
