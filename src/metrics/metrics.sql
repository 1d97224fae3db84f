-- metrics.sql - samples of metrics: storing them

-- Types --------------------------------------------------------------------

CREATE TYPE aggwin.sample AS (
	metric text,
	labels jsonb,
	ts timestamptz,
	value double precision
);
COMMENT ON TYPE aggwin.sample IS 'a sample of a metric, for aggwin.ingest()';

-- Values -------------------------------------------------------------------

CREATE FUNCTION aggwin.is_stale(value double precision) RETURNS boolean
	LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_is_stale';
COMMENT ON FUNCTION aggwin.is_stale(double precision) IS 'whether a value is Prometheus'' mark for the end of a series';

CREATE FUNCTION aggwin.stale_marker() RETURNS double precision
	LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_stale_marker';
COMMENT ON FUNCTION aggwin.stale_marker() IS 'Prometheus'' mark for the end of a series, a NaN of its own';

CREATE FUNCTION aggwin.same_bits(double precision, double precision) RETURNS boolean
	LANGUAGE C IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_same_bits';
COMMENT ON FUNCTION aggwin.same_bits(double precision, double precision) IS 'private: whether two values are the same, also where = says so of others';

CREATE FUNCTION aggwin.series_hash(metric text, labels jsonb) RETURNS bytea
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_series_hash';
COMMENT ON FUNCTION aggwin.series_hash(text, jsonb) IS 'private: what tells series apart';

CREATE FUNCTION aggwin.series_group(series_id bigint, metrics text, keep text[], "drop" text[]) RETURNS uuid
	LANGUAGE C IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_series_group';
COMMENT ON FUNCTION aggwin.series_group(bigint, text, text[], text[]) IS
	'private: what a series has in common with others that have the same metric and the same of some labels';

CREATE FUNCTION aggwin.series_matches(series_id bigint, metrics text) RETURNS boolean
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_series_matches';
COMMENT ON FUNCTION aggwin.series_matches(bigint, text) IS 'private: whether the name of a series'' metric matches';

-- Tables -------------------------------------------------------------------

CREATE FUNCTION aggwin.enable_metrics(rollup text DEFAULT 'samples_rollup') RETURNS boolean
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_enable_metrics';
COMMENT ON FUNCTION aggwin.enable_metrics(text) IS
	'make the tables that metrics are stored in, and a rollup of all series; false if they are there';
REVOKE ALL ON FUNCTION aggwin.enable_metrics(text) FROM PUBLIC;

CREATE FUNCTION aggwin.maintain_samples(
	OUT created integer,
	OUT dropped integer,
	OUT waiting integer
) RETURNS record
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_maintain_samples';
COMMENT ON FUNCTION aggwin.maintain_samples() IS
	'make partitions of aggwin.samples for the next days, drop those beyond retention';

-- Ingestion ----------------------------------------------------------------

CREATE FUNCTION aggwin.ingest(metric text, labels jsonb, ts timestamptz, value double precision) RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_ingest';
COMMENT ON FUNCTION aggwin.ingest(text, jsonb, timestamptz, double precision) IS
	'store a sample; 0 if it was refused';

CREATE FUNCTION aggwin.ingest(samples aggwin.sample[]) RETURNS bigint
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_ingest_samples';
COMMENT ON FUNCTION aggwin.ingest(aggwin.sample[]) IS
	'store samples; the number of those that were not refused';

CREATE FUNCTION aggwin.ingest_text(
	exposition text,
	ts timestamptz DEFAULT NULL,
	labels jsonb DEFAULT '{}',
	format text DEFAULT 'auto'
) RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_ingest_text';
COMMENT ON FUNCTION aggwin.ingest_text(text, timestamptz, jsonb, text) IS
	'store the samples of a text in Prometheus'' or OpenMetrics'' format; the number of those that were not refused';

-- Triggers -----------------------------------------------------------------

CREATE FUNCTION aggwin.input_begin() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'aggwin_input_begin';
COMMENT ON FUNCTION aggwin.input_begin() IS 'private: trigger that begins to ingest';
REVOKE ALL ON FUNCTION aggwin.input_begin() FROM PUBLIC;

CREATE FUNCTION aggwin.input_row() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'aggwin_input_row';
COMMENT ON FUNCTION aggwin.input_row() IS 'private: trigger that ingests a row';
REVOKE ALL ON FUNCTION aggwin.input_row() FROM PUBLIC;

CREATE FUNCTION aggwin.input_end() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'aggwin_input_end';
COMMENT ON FUNCTION aggwin.input_end() IS 'private: trigger that ends to ingest';
REVOKE ALL ON FUNCTION aggwin.input_end() FROM PUBLIC;

CREATE FUNCTION aggwin.series_change() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'aggwin_series_change';
COMMENT ON FUNCTION aggwin.series_change() IS 'private: trigger that has sessions forget what they know of series';
REVOKE ALL ON FUNCTION aggwin.series_change() FROM PUBLIC;

CREATE FUNCTION aggwin.series_gone() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'aggwin_series_gone';
COMMENT ON FUNCTION aggwin.series_gone() IS 'private: trigger that has rollups group samples anew whose series were changed or deleted';
REVOKE ALL ON FUNCTION aggwin.series_gone() FROM PUBLIC;

-- Rollups ------------------------------------------------------------------

CREATE FUNCTION aggwin.create_metric_rollup(
	name text,
	metrics text DEFAULT '.*',
	keep text[] DEFAULT NULL,
	"drop" text[] DEFAULT NULL,
	bounds double precision[] DEFAULT NULL,
	bucket interval DEFAULT '1 minute',
	tiers interval[] DEFAULT '{5 minutes, 1 hour}',
	refresh_interval interval DEFAULT '15 seconds',
	with_data boolean DEFAULT true
) RETURNS regclass
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_create_metric_rollup';
COMMENT ON FUNCTION aggwin.create_metric_rollup(text, text, text[], text[], double precision[], interval, interval[], interval, boolean) IS
	'make a rollup of samples that query_metric() and its kin answer from';

-- Questions ----------------------------------------------------------------

CREATE FUNCTION aggwin.query_metric(
	metric text,
	labels text,
	"from" timestamptz,
	"to" timestamptz,
	resolution text DEFAULT 'auto',
	max_points integer DEFAULT 1000,
	edges text DEFAULT 'overlapping',
	by text[] DEFAULT NULL,
	rollup regclass DEFAULT NULL,
	OUT bucket timestamptz,
	OUT series_id bigint,
	OUT labels jsonb,
	OUT count bigint,
	OUT min double precision,
	OUT max double precision,
	OUT sum double precision,
	OUT avg double precision,
	OUT p50 double precision,
	OUT p95 double precision,
	OUT p99 double precision
) RETURNS SETOF record
	LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_query_metric';
COMMENT ON FUNCTION aggwin.query_metric(text, text, timestamptz, timestamptz, text, integer, text, text[], regclass) IS
	'samples of metrics by buckets of time: how many, extremes, sum, average, percentiles';

CREATE FUNCTION aggwin.query_metric(
	metric text,
	labels jsonb,
	"from" timestamptz,
	"to" timestamptz,
	resolution text DEFAULT 'auto',
	max_points integer DEFAULT 1000,
	edges text DEFAULT 'overlapping',
	by text[] DEFAULT NULL,
	rollup regclass DEFAULT NULL,
	OUT bucket timestamptz,
	OUT series_id bigint,
	OUT labels jsonb,
	OUT count bigint,
	OUT min double precision,
	OUT max double precision,
	OUT sum double precision,
	OUT avg double precision,
	OUT p50 double precision,
	OUT p95 double precision,
	OUT p99 double precision
) RETURNS SETOF record
	LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_query_metric';
COMMENT ON FUNCTION aggwin.query_metric(text, jsonb, timestamptz, timestamptz, text, integer, text, text[], regclass) IS
	'samples of metrics by buckets of time: how many, extremes, sum, average, percentiles';

CREATE FUNCTION aggwin.query_counter(
	metric text,
	labels text,
	"from" timestamptz,
	"to" timestamptz,
	resolution text DEFAULT 'auto',
	max_points integer DEFAULT 1000,
	edges text DEFAULT 'overlapping',
	by text[] DEFAULT NULL,
	rollup regclass DEFAULT NULL,
	OUT bucket timestamptz,
	OUT series_id bigint,
	OUT labels jsonb,
	OUT increase double precision,
	OUT rate double precision,
	OUT resets bigint
) RETURNS SETOF record
	LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_query_counter';
COMMENT ON FUNCTION aggwin.query_counter(text, text, timestamptz, timestamptz, text, integer, text, text[], regclass) IS
	'increases of counters by buckets of time';

CREATE FUNCTION aggwin.query_counter(
	metric text,
	labels jsonb,
	"from" timestamptz,
	"to" timestamptz,
	resolution text DEFAULT 'auto',
	max_points integer DEFAULT 1000,
	edges text DEFAULT 'overlapping',
	by text[] DEFAULT NULL,
	rollup regclass DEFAULT NULL,
	OUT bucket timestamptz,
	OUT series_id bigint,
	OUT labels jsonb,
	OUT increase double precision,
	OUT rate double precision,
	OUT resets bigint
) RETURNS SETOF record
	LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_query_counter';
COMMENT ON FUNCTION aggwin.query_counter(text, jsonb, timestamptz, timestamptz, text, integer, text, text[], regclass) IS
	'increases of counters by buckets of time';

CREATE FUNCTION aggwin.percentile_over(
	metric text,
	labels text,
	"from" timestamptz,
	"to" timestamptz,
	fraction double precision,
	rollup regclass DEFAULT NULL
) RETURNS double precision
	LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_percentile_over';
COMMENT ON FUNCTION aggwin.percentile_over(text, text, timestamptz, timestamptz, double precision, regclass) IS
	'the value that a fraction of all samples does not exceed';

CREATE FUNCTION aggwin.percentile_over(
	metric text,
	labels jsonb,
	"from" timestamptz,
	"to" timestamptz,
	fraction double precision,
	rollup regclass DEFAULT NULL
) RETURNS double precision
	LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_percentile_over';
COMMENT ON FUNCTION aggwin.percentile_over(text, jsonb, timestamptz, timestamptz, double precision, regclass) IS
	'the value that a fraction of all samples does not exceed';
