-- pipelines: results of an hour beyond the limit
SET client_min_messages = warning;
SET timezone = 'UTC';
SET aggwin.max_past = 0;
SELECT aggwin.enable_metrics();
INSERT INTO aggwin.sample_input
SELECT 'm', jsonb_build_object('i', i::text), timestamptz '2026-03-01 12:00Z' + n * interval '30 s', n * i
FROM generate_series(1, 3) AS i, generate_series(0, 12) AS n;
SELECT action FROM aggwin.apply_pipelines($$
- {promql: 'sum by (i) (m[1m])', as: 'm:1m', limit: 8}
$$);
CREATE VIEW results AS
SELECT ts, array_agg(format('%s=%s', labels ->> 'i', value) ORDER BY labels ->> 'i') AS results
FROM aggwin.sample_input WHERE metric = 'm:1m' AND ts <= '2026-03-01 13:01Z' GROUP BY ts ORDER BY ts;

-- two windows fit; the third would go beyond, and none after it is written
SELECT aggwin.close_windows() >= 6 AS closed;
TABLE results;
SELECT state, results_this_hour, skipped >= 12 AS skipped FROM aggwin.pipelines;

-- a correction in that hour is not written either
INSERT INTO aggwin.sample_input VALUES ('m', '{"i": "2"}', '2026-03-01 12:03:10Z', 1000);
SELECT aggwin.close_windows() >= 1 AS corrected;
TABLE results;

-- the next hour begins anew; what is corrected then is written as a whole
INSERT INTO aggwin.sample_input
SELECT 'm', jsonb_build_object('i', i::text), timestamptz '2026-03-01 13:00Z' + n * interval '30 s', n * i
FROM generate_series(1, 3) AS i, generate_series(0, 2) AS n;
SELECT aggwin.close_windows() >= 1 AS closed;
INSERT INTO aggwin.sample_input VALUES ('m', '{"i": "1"}', '2026-03-01 12:04:10Z', 1000);
SELECT aggwin.close_windows() >= 1 AS corrected;
TABLE results;

DROP VIEW results;
DROP TABLE aggwin.pipeline, aggwin.pipeline_series, aggwin.pipeline_refused, aggwin.samples, aggwin.series, aggwin.metric, aggwin.refused_sample, aggwin.metric_rollup CASCADE;
SELECT count(*) FROM pg_class WHERE relname LIKE 'pipeline%' OR relname LIKE 'samples%';
