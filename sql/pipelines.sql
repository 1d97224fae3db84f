-- Pipelines: what applying rules does, and what it refuses.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET aggwin.max_past = 0;
SELECT aggwin.apply_pipelines('- {promql: "sum(x[1m])", as: y}');
SELECT aggwin.enable_metrics();
SELECT aggwin.export_pipelines();
SELECT * FROM aggwin.apply_pipelines('- {promql: "sum(x[1m])", as: y}', dry_run => true);
SELECT to_regclass('aggwin.pipeline');
INSERT INTO aggwin.sample_input
SELECT 'x', jsonb_build_object('host', 'h' || n % 4, 'team', CASE WHEN n % 4 < 3 THEN 'a' ELSE 'b' END),
	timestamptz '2026-03-01 10:00Z' + n * interval '1 s', n
FROM generate_series(0, 1000) AS n;

CREATE FUNCTION results(name text, "limit" int DEFAULT 4) RETURNS TABLE (labels jsonb, ts timestamptz, value float8) LANGUAGE sql AS $$
	SELECT labels, ts, value FROM aggwin.sample_input WHERE metric = $1 ORDER BY ts, labels LIMIT $2
$$;

-- Create, keep, change, remove
SELECT * FROM aggwin.apply_pipelines($$
- promql: 'sum by (team) (x[2m])'
  as: x_by_team:2m
- promql: 'max(x{host!="h3"}[5m])'
  as: x_top
  labels: {scope: "all", note: "it's \"so\""}
  grace: 5s
- promql: 'sum2 without (host) (x[1m])'
  as: x_total
$$);
SELECT aggwin.close_windows() > 0 AS closed;
SELECT * FROM results('x_by_team:2m');
SELECT team, t + interval '2 min' AS ts, sum FROM (SELECT labels ->> 'team' AS team, date_bin('2 min', ts, '1970-01-01Z') AS t, sum(value)
	FROM aggwin.sample_input WHERE metric = 'x' GROUP BY 1, 2) AS q ORDER BY ts, team LIMIT 4;
SELECT * FROM results('x_top', 3);
SELECT * FROM results('x_total');
SELECT source, "as", promql, labels, state, computed_to, lag, series_in, series_out, results_this_hour, "limit", skipped, refused_series, failures, last_error
FROM aggwin.pipelines ORDER BY "as";
SELECT metric, type, help, derived FROM aggwin.metric ORDER BY metric;
SELECT action, "as", reason FROM aggwin.apply_pipelines(aggwin.export_pipelines());
SELECT aggwin.export_pipelines('default');
SELECT action, "as", reason FROM aggwin.apply_pipelines($$
- {promql: 'sum by (team) (x[4m])', as: 'x_by_team:2m'}
- {promql: 'max(x{host!="h3"}[5m])', as: x_top, labels: {scope: all, note: "it's \"so\""}, grace: 10s, limit: 7, retention: 1000d, paused: true}
$$, dry_run => true);
SELECT action, "as", reason FROM aggwin.apply_pipelines($$
- {promql: 'sum by (team) (x[4m])', as: 'x_by_team:2m'}
- {promql: 'max(x{host!="h3"}[5m])', as: x_top, labels: {scope: all, note: "it's \"so\""}, grace: 10s, limit: 7, retention: 1000d, paused: true}
$$);
SELECT aggwin.close_windows() > 0 AS closed;
SELECT * FROM results('x_by_team:2m');
SELECT "as", state FROM aggwin.pipelines ORDER BY "as";
SELECT count(*) AS kept FROM results('x_total', 1000);
SELECT action, "as", reason FROM aggwin.apply_pipelines('[]', prune => false);
SELECT action, "as", reason FROM aggwin.apply_pipelines('[]');
SELECT count(*) FROM aggwin.windows;

-- The same name again is the same metric.
SELECT action, "as" FROM aggwin.apply_pipelines('- {promql: "sum2(x[1m])", as: x_total}');
SELECT aggwin.close_windows() > 0 AS closed;
SELECT * FROM results('x_total', 2);

-- Late samples, deleted ones, new series, results of results
SELECT action, "as" FROM aggwin.apply_pipelines($$
- {promql: 'sum2(x[1m])', as: x_total}
- {promql: 'sum by (host) (increase(x[1m]))', as: x_increase}
- {promql: 'max_over_time(x_increase{host="h1"}[3m])', as: x_increase_max}
- {promql: 'topk(1, count_over_time(x[1m]))', as: x_busiest}
$$);
SELECT aggwin.close_windows() > 0 AS closed;
SELECT * FROM results('x_increase_max', 3);
SELECT aggwin.ingest('x', '{"host": "h1", "team": "a"}', '2026-03-01 10:02:10.5Z', 5000);
SELECT aggwin.ingest('x', '{"host": "new", "team": "a"}', '2026-03-01 10:03:30Z', 1);
DELETE FROM aggwin.samples AS p USING aggwin.series AS s WHERE s.series_id = p.series_id AND s.labels ->> 'host' = 'h0' AND p.ts < '2026-03-01 10:01Z';
SELECT aggwin.close_windows() > 0 AS corrected;
-- what reads results is corrected a step later
SELECT aggwin.close_windows() > 0 AS corrected;
SELECT aggwin.close_windows() > 0 AS corrected;
SELECT * FROM results('x_increase', 12);
SELECT * FROM results('x_increase_max', 3);
SELECT * FROM results('x_busiest', 4);
SELECT sum(value) FROM results('x_increase', 1000);
-- what the series have grown by since their first sample, resets included
WITH steps AS (SELECT value, lag(value) OVER (PARTITION BY labels ORDER BY ts) AS before FROM aggwin.sample_input WHERE metric = 'x' AND ts < '2026-03-01 10:16Z')
SELECT sum(CASE WHEN value >= before THEN value - before WHEN value < before THEN value END) AS grown,
	sum(CASE WHEN before IS NULL THEN value WHEN value >= before THEN value - before ELSE value END) AS running FROM steps;
SELECT max(value), bool_and(rises) AS rises FROM (SELECT value, value >= lag(value, 1, 0::float8) OVER (ORDER BY ts) AS rises FROM results('x_total', 1000)) AS q;

-- A histogram is three metrics.
INSERT INTO aggwin.sample_input
SELECT 'd_' || part, CASE WHEN part = 'bucket' THEN jsonb_build_object('le', le, 'host', host) ELSE jsonb_build_object('host', host) END,
	timestamptz '2026-03-01 10:00Z' + n * interval '10 s', n * weight
FROM generate_series(0, 40) AS n, unnest('{a,b}'::text[]) AS host,
	(VALUES ('bucket', '0.1', 3), ('bucket', '1', 8), ('bucket', '+Inf', 10), ('bucket', 'odd', 1), ('sum', NULL, 4), ('count', NULL, 10)) AS v(part, le, weight);
SELECT action, "as", promql FROM aggwin.apply_pipelines('- {promql: "sum2 by (host) (d[1m])", as: e, histogram: true}
- {promql: "histogram_quantile(0.5, sum by (le) (increase(d_bucket[1m])))", as: median}', source => 'h');
SELECT aggwin.close_windows() > 0 AS closed;
SELECT * FROM results('e_bucket', 8);
SELECT * FROM results('e_count', 2);
SELECT * FROM results('median', 2);
SELECT ts, aggwin.histogram_quantile(0.5, labels ->> 'le', increase) FROM (
	SELECT labels, bucket + interval '1 min' AS ts, increase FROM aggwin.query_counter('e_bucket', '{le!="odd"}', '2026-03-01 10:00Z', '2026-03-01 10:06Z', '1m', by => '{le}')) AS q
GROUP BY 1 ORDER BY 1 LIMIT 3;

-- Limits
SELECT action, "as" FROM aggwin.apply_pipelines('- {promql: "sum by (host) (x[1m])", as: few, max_series: 2}
- {promql: "sum by (host) (x[1m])", as: limited, limit: 9}', source => 'limits');
SELECT aggwin.close_windows() > 0 AS closed;
SELECT "as", state, series_in, series_out, results_this_hour, skipped, refused_series FROM aggwin.pipelines WHERE source = 'limits' ORDER BY 1;
SELECT ts, count(*) FROM results('limited', 1000) GROUP BY 1 ORDER BY 1;
-- What is skipped is missing, but not in what is summed up later.
INSERT INTO aggwin.sample_input SELECT 'y', '{}', timestamptz '2026-03-01 10:50Z' + n * interval '1 min', n + 1 FROM generate_series(0, 20) AS n;
SELECT count(*) FROM aggwin.apply_pipelines('- {promql: "sum2(y[1m])", as: y_total, limit: 4}', source => 'y');
SELECT aggwin.close_windows() > 0 AS closed;
SELECT ts, value FROM results('y_total', 100);
SELECT count(*) FROM aggwin.apply_pipelines('[]', source => 'y');
SELECT action, reason FROM aggwin.apply_pipelines('- {promql: "sum by (host) (x[1m])", as: few, max_series: 20}', source => 'limits');
SELECT "as", series_in, series_out, refused_series FROM aggwin.pipelines WHERE source = 'limits';
-- now it reads more, and windows that are closed have that, too
SELECT count(DISTINCT labels) FROM results('few', 1000);
SELECT aggwin.close_windows() > 0 AS corrected;
SELECT count(*) FROM (SELECT labels, ts, value FROM results('limited', 1000) EXCEPT SELECT labels, ts, value FROM results('few', 1000)) AS d;
SELECT count(DISTINCT labels) FROM results('few', 1000);

-- What results are is not for scrapes to say, and they stay while a pipeline makes them.
SELECT aggwin.ingest_text(E'# TYPE few counter\n# HELP few no\nother 1 1772359200000\n');
SELECT type, help FROM aggwin.metric WHERE metric = 'few';
DELETE FROM aggwin.series WHERE metric = 'few';

-- Nothing is added up that nobody aggregates.
SELECT count(*) FROM aggwin.apply_pipelines('- {promql: "count_over_time({__name__=~\"d_sum|d_count\"}[1m])", as: counted}
- {promql: "count_over_time(x[1m])", as: same, labels: {host: all, team: all}}', source => 'alone');
SELECT "as", series_in, series_out, refused_series FROM aggwin.pipelines WHERE source = 'alone' ORDER BY 1;
SELECT aggwin.close_windows() > 0 AS closed;
SELECT * FROM results('counted', 2);
SELECT * FROM results('same', 1);

-- Refused
SELECT aggwin.apply_pipelines(NULL);
SELECT aggwin.apply_pipelines('[]', source => '');
SELECT aggwin.apply_pipelines('- {promql: "sum(x[1m])", as: few}');
SELECT aggwin.apply_pipelines('- {promql: "sum(x[1m])", as: x}', source => 'new');
SELECT aggwin.apply_pipelines('- {promql: "sum(d_sum[1m])", as: x}', source => 'new');
SELECT aggwin.apply_pipelines('- {promql: "sum(few[1m])", as: a}
- {promql: "sum(a[1m])", as: few}', source => 'limits');
SELECT aggwin.apply_pipelines('- {promql: "sum(one[1m])", as: two}', source => 'one');
SELECT aggwin.apply_pipelines('- {promql: "sum(two[1m])", as: one}', source => 'two');
SELECT aggwin.apply_pipelines('- promql: sum(x[1m]
  as: a
- promql: x + 1
- as: 7
  promql: deriv(x[1m])
  what: else', source => 'file.yaml');
SELECT aggwin.apply_pipelines(E'- promql: sum(x[1m])\n\tas: a');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT aggwin.apply_pipelines('[]');
ROLLBACK;
BEGIN READ ONLY;
SELECT count(*) FROM aggwin.apply_pipelines('[]', dry_run => true, source => 'h');
SELECT aggwin.apply_pipelines('[]');
ROLLBACK;
-- all or nothing
SELECT aggwin.apply_pipelines('- {promql: "sum(x[1m])", as: fine}
- {promql: "sum(x[1m])", as: few}', source => 'mixed');
SELECT count(*) FROM aggwin.pipelines WHERE source = 'mixed';

-- Nobody else writes samples of results.
SELECT aggwin.ingest('few', '{"host": "h0"}', '2026-03-01 10:01Z', 7), aggwin.ingest('few', '{}', '2026-03-01 10:01Z', 7),
	aggwin.ingest_text(E'few{host="h1"} 7\nfine 1\n', '2026-03-01 10:01Z');
SELECT metric, refused FROM aggwin.metrics WHERE refused <> '{}';
SET aggwin.refused_samples = 'error';
SELECT aggwin.ingest('few', '{}', '2026-03-01 10:01Z', 7);
RESET aggwin.refused_samples;
SELECT count(*) FROM results('few', 1000) WHERE value = 7;

-- A window that is computed again adds up in another order; that is no news.
SELECT aggwin.ingest(array_agg(('temp', jsonb_build_object('h', h::text), timestamptz '2026-03-01 10:00:10Z' + n * interval '7 s', sin(n * 7919 + h) * 1000)::aggwin.sample))
FROM generate_series(0, 100) AS n, generate_series(1, 10) AS h;
SELECT count(*) FROM aggwin.apply_pipelines('- {promql: "sum(temp[2m])", as: temp_sum}
- {promql: "avg(temp[2m])", as: temp_avg}', source => 'temp');
SELECT aggwin.close_windows() > 0 AS closed;
SELECT aggwin.refresh('samples_rollup_1h');
CREATE TABLE before AS SELECT * FROM aggwin.sample_input WHERE metric LIKE 'temp\_%';
SELECT aggwin.ingest(array_agg(('other', '{}', timestamptz '2026-03-01 10:00:10Z' + n * interval '1 min', 1)::aggwin.sample)) FROM generate_series(0, 10) AS n;
SELECT aggwin.close_windows() >= 0 AS computed_again;
SELECT sum(position) AS before FROM aggwin.windows JOIN aggwin.pipelines ON output = "window" WHERE source = 'temp' \gset
SELECT aggwin.close_windows() >= 0 AS and_what_reads_it;
SELECT sum(position) - :before AS published FROM aggwin.windows JOIN aggwin.pipelines ON output = "window" WHERE source = 'temp';
SELECT count(*) FROM (TABLE before EXCEPT SELECT * FROM aggwin.sample_input) AS d;
DROP TABLE before;

-- An output that somebody drops is made again.
SELECT output AS gone FROM aggwin.pipelines WHERE "as" = 'median' \gset
SELECT aggwin.drop_window(:'gone');
SELECT "as", state FROM aggwin.pipelines WHERE state = 'broken';
SELECT action, "as", reason FROM aggwin.apply_pipelines(aggwin.export_pipelines('h'), source => 'h') WHERE action <> 'keep';

-- Rights
CREATE ROLE regress_pipelines_owner;
CREATE ROLE regress_pipelines_other;
SET ROLE regress_pipelines_other;
SELECT aggwin.apply_pipelines('[]');
SELECT aggwin.export_pipelines();
SELECT count(*) FROM aggwin.pipelines;
RESET ROLE;

SELECT action, count(*) FROM (SELECT DISTINCT source FROM aggwin.pipeline) AS q(s), aggwin.apply_pipelines('[]', source => s) GROUP BY 1;
SELECT count(*) FROM aggwin.windows;
DROP FUNCTION results;

-- Without a rollup of all metrics, one is made that fits, and shared.
SELECT aggwin.drop_rollup(rollup) FROM aggwin.rollups;
DELETE FROM aggwin.samples WHERE series_id IN (SELECT series_id FROM aggwin.series WHERE metric <> 'x');
SELECT action, "as" FROM aggwin.apply_pipelines('- {promql: "sum(x[90s])", as: nineties}
- {promql: "count(x[30s])", as: thirties}
- {promql: "count(x[3m])", as: minutes}');
SELECT rollup, tiers FROM aggwin.rollups ORDER BY 1;
SELECT aggwin.refresh('pipeline_panes_90000ms');
SELECT aggwin.refresh('pipeline_panes_30000ms');
SELECT aggwin.close_windows() > 0 AS closed;
SELECT metric, ts, value FROM aggwin.sample_input WHERE metric IN ('nineties', 'minutes') AND ts < '2026-03-01 10:04Z' ORDER BY ts, metric;
SELECT lag FROM aggwin.pipelines WHERE "as" = 'nineties';
SELECT count(*) FROM aggwin.apply_pipelines('[]');
DROP TABLE aggwin.pipeline, aggwin.pipeline_series, aggwin.pipeline_refused, aggwin.samples, aggwin.series, aggwin.metric, aggwin.refused_sample, aggwin.metric_rollup CASCADE;
DROP ROLE regress_pipelines_owner, regress_pipelines_other;
