/*
 * enable.c - making the tables of metrics
 *
 * See tables.c for what they are, and why the install script does not make them.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "core/spi_util.h"
#include "fmgr.h"
#include "metrics/tables.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(aggwin_enable_metrics);
PG_FUNCTION_INFO_V1(aggwin_series_change);
PG_FUNCTION_INFO_V1(aggwin_series_gone);

static const char *const creation[] = {
	"CREATE TABLE aggwin.metric ("
	" metric text PRIMARY KEY,"
	" family text NOT NULL,"
	" type text NOT NULL DEFAULT 'unknown',"
	" help text,"
	" unit text,"
	" type_changes integer NOT NULL DEFAULT 0,"
	" type_changed_at timestamptz,"
	" series_hour timestamptz,"
	" new_series integer NOT NULL DEFAULT 0,"
	" derived boolean NOT NULL DEFAULT false,"
	" created_at timestamptz NOT NULL DEFAULT now()"
	") WITH (fillfactor = 70)",
	"COMMENT ON TABLE aggwin.metric IS 'one row a name of metrics: what exporters say of it'",
	"COMMENT ON COLUMN aggwin.metric.family IS 'the name that exporters give it together with others, such as those of a histogram'",
	"COMMENT ON COLUMN aggwin.metric.derived IS 'results of a pipeline'",
	"COMMENT ON COLUMN aggwin.metric.series_hour IS 'the hour in which it last got new series'",
	"COMMENT ON COLUMN aggwin.metric.new_series IS 'how many it got in that hour'",

	"CREATE TABLE aggwin.series ("
	" series_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
	" metric text NOT NULL,"
	" labels jsonb NOT NULL DEFAULT '{}',"
	" created_at timestamptz NOT NULL DEFAULT now(),"
	" hash bytea NOT NULL GENERATED ALWAYS AS (aggwin.series_hash(metric, labels)) STORED UNIQUE"
	")",
	"CREATE INDEX ON aggwin.series (metric)",
	"CREATE INDEX ON aggwin.series USING gin (labels jsonb_path_ops)",
	"COMMENT ON TABLE aggwin.series IS 'one row a series: a metric with labels'",
	"COMMENT ON COLUMN aggwin.series.hash IS 'what tells series apart, however long their labels are'",
	"CREATE TRIGGER aggwin_series_change BEFORE UPDATE OR DELETE OR TRUNCATE ON aggwin.series"
	" FOR EACH STATEMENT EXECUTE FUNCTION aggwin.series_change()",
	"ALTER TABLE aggwin.series ENABLE ALWAYS TRIGGER aggwin_series_change",
	"CREATE TRIGGER aggwin_series_deleted AFTER DELETE ON aggwin.series REFERENCING OLD TABLE AS gone"
	" FOR EACH STATEMENT EXECUTE FUNCTION aggwin.series_gone()",
	"CREATE TRIGGER aggwin_series_updated AFTER UPDATE ON aggwin.series"
	" REFERENCING OLD TABLE AS gone NEW TABLE AS come"
	" FOR EACH STATEMENT EXECUTE FUNCTION aggwin.series_gone()",
	"CREATE TRIGGER aggwin_series_truncated AFTER TRUNCATE ON aggwin.series"
	" FOR EACH STATEMENT EXECUTE FUNCTION aggwin.series_gone()",
	"ALTER TABLE aggwin.series ENABLE ALWAYS TRIGGER aggwin_series_deleted,"
	" ENABLE ALWAYS TRIGGER aggwin_series_updated, ENABLE ALWAYS TRIGGER aggwin_series_truncated",

	"CREATE TABLE aggwin.samples ("
	" series_id bigint NOT NULL,"
	" ts timestamptz NOT NULL,"
	" value double precision NOT NULL,"
	" PRIMARY KEY (series_id, ts)"
	") PARTITION BY RANGE (ts)",
	"CREATE INDEX ON aggwin.samples (ts)",
	"COMMENT ON TABLE aggwin.samples IS 'one row a sample; a partition holds a day of UTC'",

	"CREATE TABLE aggwin.refused_sample ("
	" metric text NOT NULL,"
	" reason text NOT NULL,"
	" samples bigint NOT NULL,"
	" refused_at timestamptz NOT NULL DEFAULT now()"
	")",
	"COMMENT ON TABLE aggwin.refused_sample IS 'how many samples were not stored, and why; rows of one metric and reason add up'",

	"CREATE TABLE aggwin.metric_rollup ("
	" view regclass PRIMARY KEY,"
	" metrics text NOT NULL,"
	" pattern text,"
	" keep text[],"
	" drop text[]"
	")",
	"COMMENT ON TABLE aggwin.metric_rollup IS 'one row a rollup that answers what is asked of metrics'",
	"COMMENT ON COLUMN aggwin.metric_rollup.metrics IS 'a regular expression of the names of metrics, as it was given'",
	"COMMENT ON COLUMN aggwin.metric_rollup.pattern IS 'the same for the server; NULL: all names'",
	"COMMENT ON COLUMN aggwin.metric_rollup.keep IS 'the labels that are kept; NULL: all but those that are dropped'",

	"CREATE VIEW aggwin.sample_input AS"
	" SELECT s.metric, s.labels, p.ts, p.value"
	" FROM aggwin.samples AS p JOIN aggwin.series AS s ON s.series_id = p.series_id",
	"ALTER VIEW aggwin.sample_input ALTER COLUMN labels SET DEFAULT '{}'",
	"ALTER VIEW aggwin.sample_input ALTER COLUMN ts SET DEFAULT now()",
	"COMMENT ON VIEW aggwin.sample_input IS 'samples with their labels; what is put in by INSERT or COPY is ingested'",
	"CREATE TRIGGER aggwin_input_begin BEFORE INSERT ON aggwin.sample_input"
	" FOR EACH STATEMENT EXECUTE FUNCTION aggwin.input_begin()",
	"CREATE TRIGGER aggwin_input_row INSTEAD OF INSERT ON aggwin.sample_input"
	" FOR EACH ROW EXECUTE FUNCTION aggwin.input_row()",
	"CREATE TRIGGER aggwin_input_end AFTER INSERT ON aggwin.sample_input"
	" FOR EACH STATEMENT EXECUTE FUNCTION aggwin.input_end()",

	"CREATE VIEW aggwin.metrics AS"
	" SELECT metric, m.family, m.type, m.unit, m.help, coalesce(s.n, 0) AS series,"
	" m.type_changes, m.type_changed_at, coalesce(r.refused, '{}') AS refused, r.refused_at"
	" FROM aggwin.metric AS m"
	" FULL JOIN (SELECT t.metric, jsonb_object_agg(t.reason, t.n) AS refused, max(t.refused_at) AS refused_at"
	" FROM (SELECT f.metric, f.reason, sum(f.samples) AS n, max(f.refused_at) AS refused_at"
	" FROM aggwin.refused_sample AS f GROUP BY f.metric, f.reason) AS t GROUP BY t.metric) AS r USING (metric)"
	" LEFT JOIN (SELECT metric, count(*) AS n FROM aggwin.series GROUP BY metric) AS s USING (metric)",
	"COMMENT ON VIEW aggwin.metrics IS 'one row a name of metrics: what it is, how many series it has, what was refused'",
	"COMMENT ON COLUMN aggwin.metrics.refused IS 'samples that were not stored, by reason'",
};

static const char *const relations[] = {
	"TABLE aggwin.metric", "TABLE aggwin.series", "TABLE aggwin.samples",
	"TABLE aggwin.refused_sample",
	"TABLE aggwin.metric_rollup", "VIEW aggwin.sample_input", "VIEW aggwin.metrics",
};

/*
 * aggwin.enable_metrics(rollup): make the tables of metrics, which belong to the
 * caller, and a rollup of that name of all series, so that there is an answer to
 * what is asked of them; none if it is NULL. False if the tables are there.
 */
Datum
aggwin_enable_metrics(PG_FUNCTION_ARGS)
{
	Oid			schema = aggwin_schema();

	/* Two at once would collide somewhere in the middle. */
	LockDatabaseObject(schema, 0, 0, ExclusiveLock);
	if (OidIsValid(get_relname_relid("samples", schema)))
		PG_RETURN_BOOL(false);

	aggwin_spi_connect();
	aggwin_make_relations(creation, lengthof(creation), relations, lengthof(relations), GetUserId());
	if (!PG_ARGISNULL(0))
		aggwin_spi_run(psprintf("SELECT aggwin.create_metric_rollup(%s)",
								quote_literal_cstr(text_to_cstring(PG_GETARG_TEXT_PP(0)))),
					   SPI_OK_SELECT);
	aggwin_spi_finish();
	PG_RETURN_BOOL(true);
}

/*
 * aggwin.series_change(): trigger before series are changed or deleted. Whoever
 * writes samples of them is waited for; whoever begins to waits, and finds that
 * what it knew of series is outdated.
 */
Datum
aggwin_series_change(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	MetricTables tables;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("aggwin.series_change() can only be the trigger that aggwin makes")));
	aggwin_metric_tables(&tables);
	LockRelationOid(tables.samples, ShareRowExclusiveLock);
	CacheInvalidateRelcacheByRelid(RelationGetRelid(trigger->tg_relation));
	return PointerGetDatum(NULL);
}

/*
 * Rollups that ask what a series is, and the time in which they have samples of
 * those that were changed: all if aggwin.series was emptied.
 */
static const char *
affected_sql(TriggerEvent event)
{
	static const char grouped[] = " FROM aggwin.metric_rollup AS m JOIN aggwin.rollup AS r ON r.view = m.view";
	static const char grouping[] = " coalesce(m.pattern, m.keep::text, m.drop::text) IS NOT NULL";

	if (TRIGGER_FIRED_BY_TRUNCATE(event))
		return psprintf("SELECT m.view::oid, '-infinity'::timestamptz, 'infinity'::timestamptz%s WHERE%s",
						grouped, grouping);
	return psprintf("SELECT m.view::oid, min(t.low), max(t.high) + interval '1 us'%s CROSS JOIN gone AS g"
					" CROSS JOIN LATERAL (SELECT min(p.ts) AS low, max(p.ts) AS high"
					" FROM aggwin.samples AS p WHERE p.series_id = g.series_id) AS t"
					" WHERE%s AND t.low IS NOT NULL AND %s GROUP BY 1", grouped, grouping,
					TRIGGER_FIRED_BY_DELETE(event)
					? "(m.pattern IS NULL OR g.metric ~ m.pattern COLLATE \"C\")"
					: "NOT EXISTS (SELECT FROM come AS c WHERE c.series_id = g.series_id"
					" AND c.metric = g.metric AND c.labels = g.labels)");
}

/*
 * aggwin.series_gone(): trigger after series were changed or deleted. Rollups that
 * have put their samples in a group do not see that these are in another one, or
 * none, so they compute anew the time in which there are such samples.
 */
Datum
aggwin_series_gone(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	MetricTables tables;
	Sandbox		saved;
	const char *sql;
	SPITupleTable *affected;
	uint64		count;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_AFTER(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("aggwin.series_gone() can only be the trigger that aggwin makes")));
	aggwin_metric_tables(&tables);
	aggwin_spi_connect_with(trigger);
	sql = affected_sql(trigger->tg_event);
	aggwin_become_owner(&saved, &tables);
	count = aggwin_spi_run(sql, SPI_OK_SELECT);
	aggwin_sandbox_leave(&saved);
	affected = SPI_tuptable;
	for (uint64 i = 0; i < count; i++)
	{
		Oid			types[] = {REGCLASSOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
		Datum		values[lengthof(types)];
		bool		isnull;
		Oid			owner;

		for (int j = 0; j < lengthof(types); j++)
			values[j] = SPI_getbinval(affected->vals[i], affected->tupdesc, j + 1, &isnull);
		owner = aggwin_relation_owner(DatumGetObjectId(values[0]));
		/* As when it was made; the table says what its owner writes in it. */
		if (!OidIsValid(owner) || !has_privs_of_role(owner, tables.owner))
			continue;
		aggwin_sandbox_enter(&saved, owner, true);
		aggwin_spi_run_args("SELECT aggwin.invalidate($1, nullif($2, '-infinity'), nullif($3, 'infinity'))",
							SPI_OK_SELECT, lengthof(types), types, values, NULL);
		aggwin_sandbox_leave(&saved);
	}
	aggwin_spi_finish();
	return PointerGetDatum(NULL);
}
