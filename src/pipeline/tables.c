/*
 * tables.c - the tables that pipelines are kept in
 *
 * Like those of metrics, and for the same reasons, they are no members of the
 * extension. The first pipeline makes them; they belong to the owner of the
 * metrics' tables.
 *
 *		pipeline			a rule, its options, and what became of it
 *		pipeline_series		a series that a pipeline reads, and the one that it becomes
 *		pipeline_refused	how many series a pipeline leaves out
 *
 * What ingestion writes is not in the rows of aggwin.pipeline, which steps lock.
 */
#include "postgres.h"

#include "pipeline/tables.h"

#include "core/spi_util.h"
#include "utils/lsyscache.h"

static const char *const creation[] = {
	"CREATE TABLE aggwin.pipeline ("
	" pipeline_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
	" source text NOT NULL,"
	" owner regrole NOT NULL,"
	" metric text NOT NULL UNIQUE,"
	" place integer NOT NULL,"
	" promql text NOT NULL,"
	" labels jsonb NOT NULL,"
	" grace interval NOT NULL,"
	" retention interval NOT NULL,"
	" max_series integer NOT NULL,"
	" result_limit integer NOT NULL,"
	" paused boolean NOT NULL,"
	" output regclass NOT NULL,"
	" reads text,"
	" reach text NOT NULL CHECK (reach IN ('own', 'next', 'later')),"
	" hour timestamptz,"
	" results bigint NOT NULL DEFAULT 0,"
	" skipped bigint NOT NULL DEFAULT 0,"
	" skipped_hour timestamptz,"
	" applied_at timestamptz NOT NULL DEFAULT now()"
	") WITH (fillfactor = 50)",
	"COMMENT ON TABLE aggwin.pipeline IS 'one row a pipeline: a rule that makes a metric of others'",
	"COMMENT ON COLUMN aggwin.pipeline.source IS 'the set of rules that it was applied with'",
	"COMMENT ON COLUMN aggwin.pipeline.owner IS 'the role that applied it; the table it writes belongs to the owner of metrics'",
	"COMMENT ON COLUMN aggwin.pipeline.metric IS 'the name of its results'",
	"COMMENT ON COLUMN aggwin.pipeline.place IS 'where it stands in its rules'",
	"COMMENT ON COLUMN aggwin.pipeline.output IS 'the window output that its results come from'",
	"COMMENT ON COLUMN aggwin.pipeline.reads IS 'the metric that it reads; NULL: of any name'",
	"COMMENT ON COLUMN aggwin.pipeline.reach IS 'windows that a late sample changes: its own; that of the series'' next sample, too; all later ones, too'",
	"COMMENT ON COLUMN aggwin.pipeline.hour IS 'the hour of event time that results are counted in'",
	"COMMENT ON COLUMN aggwin.pipeline.results IS 'how many were written in that hour'",
	"COMMENT ON COLUMN aggwin.pipeline.skipped IS 'results that result_limit kept from being written'",
	"COMMENT ON COLUMN aggwin.pipeline.skipped_hour IS 'the last hour that was skipped'",

	"CREATE TABLE aggwin.pipeline_series ("
	" pipeline_id integer NOT NULL REFERENCES aggwin.pipeline ON DELETE CASCADE,"
	" series_id bigint NOT NULL REFERENCES aggwin.series ON DELETE CASCADE,"
	" result_id bigint NOT NULL REFERENCES aggwin.series,"
	" le double precision,"
	" PRIMARY KEY (pipeline_id, series_id)"
	")",
	"CREATE INDEX ON aggwin.pipeline_series (series_id)",
	"CREATE INDEX ON aggwin.pipeline_series (result_id)",
	"COMMENT ON TABLE aggwin.pipeline_series IS 'one row a series that a pipeline reads'",
	"COMMENT ON COLUMN aggwin.pipeline_series.result_id IS 'the series that it becomes part of'",
	"COMMENT ON COLUMN aggwin.pipeline_series.le IS 'of a bucket of a histogram: its bound'",

	"CREATE TABLE aggwin.pipeline_refused ("
	" pipeline_id integer PRIMARY KEY REFERENCES aggwin.pipeline ON DELETE CASCADE,"
	" series bigint NOT NULL"
	")",
	"COMMENT ON TABLE aggwin.pipeline_refused IS 'series that a pipeline leaves out, since max_series was reached'",

	"CREATE TRIGGER aggwin_pipeline_series AFTER INSERT ON aggwin.series"
	" REFERENCING NEW TABLE AS aggwin_new FOR EACH STATEMENT"
	" EXECUTE FUNCTION aggwin.map_new_series()",
	"ALTER TABLE aggwin.series ENABLE ALWAYS TRIGGER aggwin_pipeline_series",

	"CREATE VIEW aggwin.pipelines AS"
	" SELECT p.source, p.metric AS \"as\", p.promql, p.labels, p.owner,"
	" CASE WHEN w.output IS NULL THEN 'broken' WHEN p.paused THEN 'paused' WHEN w.failing_since IS NOT NULL THEN 'failing'"
	" WHEN p.skipped_hour = p.hour THEN 'skipped' WHEN w.closed_to IS NULL THEN 'waiting' ELSE 'active' END AS state,"
	" w.closed_to AS computed_to, greatest(w.watermark - w.closed_to, '0') AS lag,"
	" s.series_in, s.series_out, p.results AS results_this_hour, p.result_limit AS \"limit\","
	" p.skipped, coalesce(f.series, 0) AS refused_series, w.late, w.revised AS corrections, w.failures, o.last_error,"
	" w.last_error_at, p.output, p.applied_at"
	" FROM aggwin.pipeline AS p LEFT JOIN aggwin.window AS w ON w.output = p.output"
	" LEFT JOIN aggwin.pipeline_refused AS f ON f.pipeline_id = p.pipeline_id"
	" LEFT JOIN aggwin.windows AS o ON o.\"window\" = p.output"
	" LEFT JOIN LATERAL (SELECT count(*) AS series_in, count(DISTINCT m.result_id) AS series_out"
	" FROM aggwin.pipeline_series AS m WHERE m.pipeline_id = p.pipeline_id) AS s ON true",
	"COMMENT ON VIEW aggwin.pipelines IS 'one row a pipeline: what it computes and how far it is'",
};

static const char *const relations[] = {
	"TABLE aggwin.pipeline", "TABLE aggwin.pipeline_series", "TABLE aggwin.pipeline_refused",
	"VIEW aggwin.pipelines",
};

bool
aggwin_pipelines_exist(void)
{
	return OidIsValid(get_relname_relid("pipeline", aggwin_schema()));
}

/* Make them, if they are not there; under the creation lock, connected to SPI. */
void
aggwin_make_pipeline_tables(const MetricTables *tables)
{
	if (!aggwin_pipelines_exist())
		aggwin_make_relations(creation, lengthof(creation), relations, lengthof(relations), tables->owner);
}
