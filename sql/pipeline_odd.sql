-- pipelines: what a review found
\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
SET aggwin.max_past = 0;
SELECT aggwin.enable_metrics();
INSERT INTO aggwin.sample_input SELECT 'a', jsonb_build_object('host', 'h' || h), timestamptz '2026-03-01 12:00Z' + n * interval '20 s', 100 * n
FROM generate_series(1, 3) AS h, generate_series(0, 60) AS n;

-- Who asks for shared panes with other columns gets an error.
SELECT count(*) FROM aggwin.apply_pipelines('- {promql: "sum by (host) (a[1m])", as: s}
- {promql: "increase by (host) (a[1m])", as: i}
- {promql: "sum2(a[1m])", as: t}');
CREATE FUNCTION quiet() RETURNS bigint LANGUAGE sql AS $$ SELECT count(aggwin.alter_window(output, idle_timeout => '1000 days')) FROM aggwin.pipelines $$;
SELECT quiet();
SELECT aggwin.close_windows() > 0 AS closed;
SELECT * FROM aggwin.series_panes(1, 'samples_rollup') AS p(a int);
SELECT aggwin.create_window('odd', $$SELECT r.series_id, count(*) AS n,
	sum((SELECT count(*) FROM aggwin.series_panes(1, 'public.samples_rollup') AS p(bucket timestamptz, series_id bigint, nans bigint, stats aggwin.stats, percentiles aggwin.exp_histogram, counter aggwin.counter))) AS good,
	max((SELECT max(md5(p.bucket)) FROM aggwin.series_panes(1, 'public.samples_rollup') AS p(bucket text, series_id text, nans text, stats text, percentiles text, counter text))) AS bad
	FROM samples_rollup AS r GROUP BY 1$$, '1 minute');
SELECT aggwin.close_windows();
SELECT aggwin.drop_window('odd');

-- Samples that go together with their series
SELECT count(DISTINCT labels), max(value) FILTER (WHERE metric = 't') AS total FROM aggwin.sample_input WHERE metric IN ('s', 't');
BEGIN;
DELETE FROM aggwin.samples AS p USING aggwin.series AS s WHERE s.series_id = p.series_id AND s.metric = 'a' AND s.labels @> '{"host": "h3"}';
DELETE FROM aggwin.series AS s WHERE s.metric = 'a' AND s.labels @> '{"host": "h3"}';
COMMIT;
SELECT aggwin.close_windows() > 0 AS corrected;
SELECT count(DISTINCT labels), max(value) FILTER (WHERE metric = 't') AS total FROM aggwin.sample_input WHERE metric IN ('s', 't');

-- Small corrections of large sums of whole numbers
INSERT INTO aggwin.sample_input SELECT 'ns', '{"host": "h1"}', timestamptz '2026-03-01 12:00Z' + n * interval '20 s', 2e15 + 100 * n FROM generate_series(0, 20) AS n;
SELECT count(*) FROM aggwin.apply_pipelines('- {promql: "sum2(ns[1m])", as: ns_total}', source => 'ns');
SELECT quiet();
SELECT aggwin.close_windows() > 0 AS closed;
INSERT INTO aggwin.sample_input VALUES ('ns', '{"host": "h2"}', '2026-03-01 12:03:30Z', 1000);
SELECT aggwin.close_windows() > 0 AS corrected;
SELECT ts, value - 2e15 AS value FROM aggwin.sample_input WHERE metric = 'ns_total' AND ts BETWEEN '2026-03-01 12:03Z' AND '2026-03-01 12:05Z' ORDER BY 1;

-- The stream jumps beyond retention while a running sum is corrected.
INSERT INTO aggwin.sample_input SELECT 'j', '{}', timestamptz '2026-03-01 12:00Z' + n * interval '20 s', n * 100 FROM generate_series(0, 30) AS n WHERE n NOT IN (10, 11);
SELECT count(*) FROM aggwin.apply_pipelines('- {promql: "sum2(j[1m])", as: j_total, retention: 1h}', source => 'j');
SELECT quiet();
SELECT aggwin.close_windows() > 0 AS closed;
INSERT INTO aggwin.sample_input VALUES ('j', '{}', '2026-03-01 12:03:30Z', 2000), ('j', '{}', '2026-03-01 15:00Z', 3100);
SELECT aggwin.close_windows() > 0 AS corrected;
SELECT ts, value FROM aggwin.sample_input WHERE metric = 'j_total' ORDER BY 1;

-- A changed rule leaves results of times whose samples are gone.
SELECT count(*), min(ts) FROM aggwin.sample_input WHERE metric = 's';
DELETE FROM aggwin.samples WHERE ts < '2026-03-01 12:10Z' AND series_id IN (SELECT s.series_id FROM aggwin.series AS s JOIN aggwin.metric AS m ON m.metric = s.metric WHERE NOT m.derived);
SELECT action, "as" FROM aggwin.apply_pipelines('- {promql: "max by (host) (a[1m])", as: s}
- {promql: "increase by (host) (a[1m])", as: i}
- {promql: "sum2(a[1m])", as: t}') WHERE action <> 'keep';
SELECT quiet();
SELECT aggwin.close_windows() > 0 AS closed;
SELECT ts, count(*), max(value) FROM aggwin.sample_input WHERE metric = 's' AND ts BETWEEN '2026-03-01 12:09Z' AND '2026-03-01 12:12Z' GROUP BY 1 ORDER BY 1;

-- A rollup of somebody else is not taken for one of pipelines.
CREATE ROLE regress_pipeline_stranger;
CREATE SCHEMA pipeline_stranger AUTHORIZATION regress_pipeline_stranger;
GRANT SELECT, TRIGGER, REFERENCES ON aggwin.samples TO regress_pipeline_stranger;
SET ROLE regress_pipeline_stranger;
SELECT aggwin.create_rollup('pipeline_stranger.pipeline_panes_evil', $$SELECT aggwin.time_bucket('2 minutes', ts) AS bucket, series_id,
	count(*) FILTER (WHERE value = 'NaN') AS nans, aggwin.stats_agg(value * 1000) AS stats, aggwin.exp_hist_agg(value) AS percentiles,
	aggwin.counter_agg(ts, value) AS counter FROM aggwin.samples GROUP BY 1, 2$$);
RESET ROLE;
SELECT count(*) FROM aggwin.apply_pipelines('- {promql: "sum by (host) (a[2m])", as: two}', source => 'two');
SELECT output FROM aggwin.pipelines WHERE "as" = 'two';

SELECT count(*) FROM unnest('{default,ns,j,two}'::text[]) AS s, aggwin.apply_pipelines('[]', source => s);
DROP FUNCTION quiet;
DROP SCHEMA pipeline_stranger CASCADE;
DROP TABLE aggwin.pipeline, aggwin.pipeline_series, aggwin.pipeline_refused, aggwin.samples, aggwin.series, aggwin.metric, aggwin.refused_sample, aggwin.metric_rollup CASCADE;
DROP OWNED BY regress_pipeline_stranger;
DROP ROLE regress_pipeline_stranger;
