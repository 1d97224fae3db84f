-- pipeline.sql - pipelines: rules that make metrics of others

CREATE FUNCTION aggwin.map_new_series() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'aggwin_map_new_series';
COMMENT ON FUNCTION aggwin.map_new_series() IS 'private: trigger that has pipelines take new series';
REVOKE ALL ON FUNCTION aggwin.map_new_series() FROM PUBLIC;

CREATE FUNCTION aggwin.totals_before(
	pipeline_id integer, window_start timestamptz, OUT result_id bigint, OUT value double precision
) RETURNS SETOF record
	LANGUAGE C STABLE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_totals_before';
COMMENT ON FUNCTION aggwin.totals_before(integer, timestamptz) IS 'private: what running sums had come to before a window';

CREATE FUNCTION aggwin.pipelines_touched(
	spans tstzrange[], changes bigint[], keys text[],
	OUT output regclass, OUT span tstzrange, OUT changes bigint
) RETURNS SETOF record
	LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_pipelines_touched';
COMMENT ON FUNCTION aggwin.pipelines_touched(tstzrange[], bigint[], text[]) IS
	'private: of late samples, which windows of which pipelines they change';
REVOKE ALL ON FUNCTION aggwin.pipelines_touched(tstzrange[], bigint[], text[]) FROM PUBLIC;

CREATE FUNCTION aggwin.series_panes(pipeline_id integer, rollup regclass) RETURNS SETOF record
	LANGUAGE C STABLE STRICT PARALLEL UNSAFE ROWS 10000 AS 'MODULE_PATHNAME', 'aggwin_series_panes';
COMMENT ON FUNCTION aggwin.series_panes(integer, regclass) IS
	'private: what a rollup has of the series that a pipeline reads, in the window that is being computed';

CREATE FUNCTION aggwin.write_results() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'aggwin_write_results';
COMMENT ON FUNCTION aggwin.write_results() IS 'private: trigger that writes the results of a pipeline as samples';
REVOKE ALL ON FUNCTION aggwin.write_results() FROM PUBLIC;

CREATE FUNCTION aggwin.apply_pipelines(
	rules text,
	dry_run boolean DEFAULT false,
	prune boolean DEFAULT true,
	source text DEFAULT 'default',
	OUT action text,
	OUT "as" text,
	OUT promql text,
	OUT reason text
) RETURNS SETOF record
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_apply_pipelines';
COMMENT ON FUNCTION aggwin.apply_pipelines(text, boolean, boolean, text) IS
	'make pipelines what rules in YAML say; what was done, or would be';

CREATE FUNCTION aggwin.export_pipelines(source text DEFAULT NULL) RETURNS text
	LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_export_pipelines';
COMMENT ON FUNCTION aggwin.export_pipelines(text) IS 'rules in YAML that stand for the pipelines of a source, or of all';
