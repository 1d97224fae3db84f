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

-- Tables -------------------------------------------------------------------

CREATE FUNCTION aggwin.enable_metrics() RETURNS boolean
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_enable_metrics';
COMMENT ON FUNCTION aggwin.enable_metrics() IS 'make the tables that metrics are stored in; false if they are there';
REVOKE ALL ON FUNCTION aggwin.enable_metrics() FROM PUBLIC;

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
