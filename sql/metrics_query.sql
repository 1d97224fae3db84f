-- What is asked of metrics: rollups of samples, query_metric(), query_counter(),
-- percentile_over().
SET client_min_messages = warning;
SET timezone = 'UTC';
SET aggwin.max_past = '10000 d';
SELECT aggwin.enable_metrics();
SELECT * FROM aggwin.metric_rollup;
SELECT rollup, tiers, options FROM aggwin.rollups WHERE rollup = 'samples_rollup'::regclass;

-- A sample that is late, one at the very edge of a bucket, tags, a maximum below zero.
SELECT aggwin.ingest(ARRAY[
	('api_latency', '{"env": "prod"}', '2026-03-01 10:00:10Z', 120.5),
	('api_latency', '{"env": "prod"}', '2026-03-01 10:00:20Z', 85),
	('api_latency', '{"env": "prod"}', '2026-03-01 10:01:00Z', 450),
	('api_latency', '{"env": "prod"}', '2026-03-01 10:04:59.999Z', 12),
	('api_latency', '{"env": "test"}', '2026-03-01 10:00:30Z', 9999),
	('balance', '{}', '2026-03-01 10:00:00Z', -5),
	('balance', '{}', '2026-03-01 10:00:59Z', -3)]::aggwin.sample[]);
SELECT aggwin.refresh('samples_rollup_1h');
SELECT aggwin.ingest('api_latency', '{"env": "prod"}', '2026-03-01 10:00:05Z', 1);

\pset null -
SELECT bucket, labels, count, min, max, sum, avg, p50::numeric(8,2), p95::numeric(8,2), p99::numeric(8,2)
FROM aggwin.query_metric('api_latency', '', '2026-03-01 10:00Z', '2026-03-01 10:05Z', '1m');
SELECT bucket, labels, count, min, max, sum, avg
FROM aggwin.query_metric('api_latency', '{env="prod"}', '2026-03-01 10:00Z', '2026-03-01 10:05Z', '5m');
SELECT bucket, labels, count, min, max, sum, avg
FROM aggwin.query_metric('balance', NULL, '2026-03-01 10:00Z', '2026-03-01 10:05Z', '1h');

-- Enough to compare with the plain query: 12 series, three days, resets, gaps.
SET timezone = 'America/New_York';
INSERT INTO aggwin.sample_input
SELECT 'requests_total', jsonb_build_object('env', (ARRAY['prod', 'dev', 'test'])[1 + s % 3], 'host', 'h' || s),
	timestamptz '2026-03-07 00:00:07Z' + n * interval '97 s' + s * interval '1 ms',
	CASE WHEN s = 5 THEN -1 ELSE 1 END * ((n * (s + 7)) % (1000 + 50 * s))
FROM generate_series(0, 11) AS s, generate_series(0, 3 * 86400 / 97) AS n
WHERE (n / 20 + s) % 7 > 0;
SELECT aggwin.refresh('samples_rollup_1h');

CREATE FUNCTION close(estimate float8, fraction float8, v float8[]) RETURNS boolean LANGUAGE sql AS $$
	SELECT abs(estimate - v[ceil(fraction * cardinality(v))]) <= 0.0101 * abs(v[ceil(fraction * cardinality(v))])
		OR estimate BETWEEN v[greatest(floor(fraction * cardinality(v)), 1)] AND v[least(ceil(fraction * cardinality(v)) + 1, cardinality(v))]
$$;
CREATE FUNCTION compare(width interval, "from" timestamptz, "to" timestamptz)
RETURNS TABLE (points bigint, differences bigint, off bigint) LANGUAGE sql AS $$
	WITH a AS (
		SELECT * FROM aggwin.query_metric('requests_total', '', $2, $3, $1::text, 100000)),
	b AS (
		SELECT aggwin.time_bucket($1, p.ts) AS bucket, p.series_id, s.labels, count(*), min(p.value), max(p.value), sum(p.value),
			array_agg(p.value ORDER BY p.value) AS v
		FROM aggwin.samples AS p JOIN aggwin.series AS s USING (series_id)
		WHERE s.metric = 'requests_total' AND p.ts >= aggwin.time_bucket($1, $2)
			AND p.ts < CASE WHEN $3 = aggwin.time_bucket($1, $3) THEN $3 ELSE aggwin.bucket_end($1, $3) END
		GROUP BY 1, 2, 3)
	SELECT count(*),
		count(*) FILTER (WHERE (a.count, a.min, a.max, a.sum, a.avg, a.labels) IS DISTINCT FROM (b.count, b.min, b.max, b.sum, b.sum / b.count, b.labels)),
		-- An estimate is within 1 % of the value of its rank, or between its neighbours.
		count(*) FILTER (WHERE NOT (close(a.p50, 0.5, b.v) AND close(a.p95, 0.95, b.v) AND close(a.p99, 0.99, b.v)))
	FROM a FULL JOIN b USING (bucket, series_id)
$$;
SELECT width, c.* FROM unnest('{1 minute, 5 minutes, 1 hour, 13 minutes, 3 hours, 1 day}'::interval[]) AS width,
	compare(width, '2026-03-07Z', '2026-03-10Z') AS c;
SELECT width, c.* FROM unnest('{1 minute, 5 minutes, 1 hour}'::interval[]) AS width,
	compare(width, '2026-03-07 11:11:11Z', '2026-03-08 12:34:56Z') AS c;

-- Edges
SELECT edges, min(bucket), max(bucket), count(*) FROM unnest('{inside,overlapping}'::text[]) AS edges,
	aggwin.query_metric('requests_total{host="h1"}', '', '2026-03-07 11:11:11Z', '2026-03-07 14:34:56Z', '1h', edges => edges) GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM aggwin.query_metric('requests_total', '', '2026-03-07 11:11Z', '2026-03-07 11:12Z', '1h', edges => 'inside');

-- Resolution by the number of points
SELECT points, min(b - a), count(*) FROM unnest('{5000, 1000, 100, 20, 1}'::int[]) AS points, LATERAL (
	SELECT bucket AS b, lag(bucket) OVER (ORDER BY bucket) AS a
	FROM aggwin.query_metric('requests_total', '{"host": "h2"}', '2026-03-07Z', '2026-03-10Z', max_points => points)) AS q GROUP BY 1 ORDER BY 1;

-- Matchers
CREATE FUNCTION hosts(selector text) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(DISTINCT labels ->> 'host', ' ' ORDER BY labels ->> 'host')
	FROM aggwin.query_metric('requests_total', $1, '2026-03-07Z', '2026-03-10Z', '1h')
$$;
SELECT m, hosts(m) FROM unnest(ARRAY['{host="h3"}', '{host!="h3",env="prod"}', '{host=~"h1."}', '{host=~"1"}', '{host!~"h.|h10"}',
	'{env=~"prod|dev", host=~"h[0-3]"}', '{nope=""}', '{nope!=""}', '{host=""}', '{env="prod",env!="prod"}', '{"env": "test"}', '{"nope": ""}', '{}', '']) AS m;
SELECT count(DISTINCT series_id) FROM aggwin.query_metric('requests_total', '{"env": "dev"}'::jsonb, '2026-03-07Z', '2026-03-10Z', '1h');
-- A regular expression means what it means to Prometheus.
SELECT m, hosts(m) FROM unnest(ARRAY['{host=~"h\\d"}', '{host=~"(?i)H1"}', '{host=~".*\\b1"}', '{host=~"h1|h2.*"}']) AS m;
-- Several metrics
SELECT labels, sum(count) FROM aggwin.query_metric('{__name__=~"api_.*|balance"}', '', '2026-03-01Z', '2026-03-02Z', '1d') GROUP BY 1 ORDER BY 1;

-- Over series
SELECT labels, series_id, count, min, max, sum FROM aggwin.query_metric('requests_total', '', '2026-03-07Z', '2026-03-08Z', '24h', by => '{env}');
SELECT s.labels ->> 'env' AS env, count(*), min(value), max(value), sum(value) FROM aggwin.samples JOIN aggwin.series AS s USING (series_id)
WHERE s.metric = 'requests_total' AND ts >= '2026-03-07Z' AND ts < '2026-03-08Z' GROUP BY 1 ORDER BY 1;
SELECT labels, count FROM aggwin.query_metric('requests_total', '', '2026-03-07Z', '2026-03-08Z', '1d', by => '{}');
SELECT labels, count FROM aggwin.query_metric('{__name__=~"api_.*|balance"}', '', '2026-03-01Z', '2026-03-02Z', '1d', by => '{__name__, nope}');

-- Values that are no numbers; a mark for the end of a series.
SELECT aggwin.ingest(ARRAY[
	('odd', '{}', '2026-03-01 10:00:01Z', 'NaN'), ('odd', '{}', '2026-03-01 10:00:02Z', 3), ('odd', '{}', '2026-03-01 10:00:03Z', 5),
	('odd', '{}', '2026-03-01 10:01:01Z', 'NaN'),
	('odd', '{}', '2026-03-01 10:02:01Z', '-Infinity'), ('odd', '{}', '2026-03-01 10:02:02Z', 1),
	('odd', '{}', '2026-03-01 10:03:02Z', aggwin.stale_marker()),
	('odd', '{}', '2026-03-01 10:04:02Z', 7), ('odd', '{}', '2026-03-01 10:04:03Z', aggwin.stale_marker())]::aggwin.sample[]);
SELECT bucket, count, min, max, sum, avg, p50 IS NULL AS no_percentiles
FROM aggwin.query_metric('odd', '', '2026-03-01 10:00Z', '2026-03-01 10:05Z', '1m');
SELECT bucket, increase, resets FROM aggwin.query_counter('odd', '', '2026-03-01 10:00Z', '2026-03-01 10:05Z', '1m');

-- Values whose sums overflow harm nobody else.
SELECT aggwin.ingest(array_agg(('huge', '{}', timestamptz '2026-03-01 10:00Z' + n * interval '10 s', CASE WHEN n % 2 = 0 THEN 1.7e308 ELSE 1 END)::aggwin.sample))
FROM generate_series(0, 11) AS n;
SELECT aggwin.refresh('samples_rollup_1h');
SELECT count, min, max, sum, avg, p50 > 0 AS p50 FROM aggwin.query_metric('huge', '', '2026-03-01 10:00Z', '2026-03-01 10:05Z', '5m');
SELECT count(*), max(sum) FROM aggwin.query_metric('{__name__=~"huge|odd"}', '', '2026-03-01 10:00Z', '2026-03-01 10:05Z', '5m');
SELECT increase FROM aggwin.query_counter('huge', '', '2026-03-01 10:00Z', '2026-03-01 10:05Z', '5m');

-- Counters: increases add up, whatever the buckets, and where a range is cut.
CREATE FUNCTION plain_increases() RETURNS TABLE (series_id bigint, ts timestamptz, step float8, reset int) LANGUAGE sql AS $$
	SELECT series_id, ts, CASE WHEN value >= before THEN value - before WHEN value < before THEN value ELSE 0 END, (value < before)::int
	FROM (SELECT p.series_id, p.ts, p.value, lag(p.value) OVER (PARTITION BY p.series_id ORDER BY p.ts) AS before FROM aggwin.samples AS p) AS q
$$;
CREATE TABLE plain AS SELECT p.* FROM plain_increases() AS p JOIN aggwin.series USING (series_id) WHERE metric = 'requests_total';
SELECT width, count(*), count(*) FILTER (WHERE (a.increase, a.resets) IS DISTINCT FROM (b.increase, b.resets)
	OR abs(a.rate * extract(epoch FROM width)::float8 - a.increase) > 1e-9) AS differences
FROM unnest('{1 minute, 5 minutes, 1 hour, 13 minutes, 3 hours}'::interval[]) AS width, LATERAL (
	SELECT * FROM aggwin.query_counter('requests_total', '', '2026-03-07 03:00Z', '2026-03-09 21:00Z', width::text, 100000)) AS a
FULL JOIN LATERAL (SELECT aggwin.time_bucket(width, ts) AS bucket, series_id, sum(step) AS increase, sum(reset) AS resets FROM plain
	WHERE ts >= aggwin.time_bucket(width, '2026-03-07 03:00Z') AND ts < CASE WHEN width = '13 minutes' THEN aggwin.bucket_end(width, '2026-03-09 21:00Z') ELSE '2026-03-09 21:00Z' END
	GROUP BY 1, 2) AS b ON a.bucket = b.bucket AND a.series_id = b.series_id
GROUP BY 1 ORDER BY 1;
SELECT labels, sum(increase), sum(resets) FROM aggwin.query_counter('requests_total', '{env!="test"}', '2026-03-07Z', '2026-03-10Z', '1d', by => '{env}') GROUP BY 1 ORDER BY 1;
SELECT labels ->> 'env' AS env, sum(step), sum(reset) FROM plain JOIN aggwin.series USING (series_id) WHERE labels ->> 'env' <> 'test' GROUP BY 1 ORDER BY 1;

-- One number for a range
SELECT f, percentile_over::numeric(10,3), abs(percentile_over - exact) <= 0.0101 * exact AS close FROM unnest('{0, 0.5, 0.95, 0.99, 1}'::float8[]) AS f, LATERAL (
	SELECT aggwin.percentile_over('requests_total', '{host="h3"}', '2026-03-07 01:02:00Z', '2026-03-09 22:33:00Z', f),
		percentile_disc(f) WITHIN GROUP (ORDER BY value) AS exact FROM aggwin.samples JOIN aggwin.series USING (series_id)
	WHERE metric = 'requests_total' AND labels ->> 'host' = 'h3' AND ts >= '2026-03-07 01:02:00Z' AND ts < '2026-03-09 22:33:00Z') AS q;
SELECT aggwin.percentile_over('requests_total', '{"host": "h3"}'::jsonb, '2026-03-07Z', '2026-03-07 00:01Z', 1) AS minute,
	aggwin.percentile_over('requests_total', '', '2020-03-07Z', '2020-03-08Z', 0.5) AS nothing,
	aggwin.percentile_over('nobody', '', '2020-03-07Z', '2020-03-08Z', 0.5) AS nobody;

-- Rollups of some metrics and labels, with boundaries
SELECT aggwin.create_metric_rollup('by_env', 'requests_.*', keep => '{env}', bounds => '{10, 50, 100, 250, 500, 1000}', tiers => '{1 hour}');
SELECT aggwin.create_metric_rollup('no_host', '.*', "drop" => '{host}', bucket => '1 hour', tiers => '{}');
SELECT * FROM aggwin.metric_rollup ORDER BY view::text;
SELECT labels, series_id, count, min, max, sum, p50::numeric(8,2), p95::numeric(8,2) FROM aggwin.query_metric('requests_total', '', '2026-03-07Z', '2026-03-08Z', '24h', by => '{env}', rollup => 'by_env');
SELECT labels, series_id, count, sum FROM aggwin.query_metric('requests_total', '{env=~"p.*"}', '2026-03-07Z', '2026-03-08Z', '24h', rollup => 'by_env_1h');
SELECT labels, series_id, count, sum FROM aggwin.query_metric('{__name__=~"api_latency|requests_total"}', '', '2026-03-01Z', '2026-03-10Z', '10d', rollup => 'no_host');
-- The newest that knows enough answers.
SELECT p50::numeric(8,2) FROM aggwin.query_metric('requests_total', '', '2026-03-07Z', '2026-03-08Z', '24h', by => '{}');
SELECT aggwin.drop_rollup('no_host');
SELECT p50::numeric(8,2) FROM aggwin.query_metric('requests_total', '', '2026-03-07Z', '2026-03-08Z', '24h', by => '{}');
SELECT p50::numeric(8,2) FROM aggwin.query_metric('requests_total', '', '2026-03-07Z', '2026-03-08Z', '24h', by => '{}', rollup => 'samples_rollup');
-- Late samples and new series are in it at once, deleted samples are not.
SELECT aggwin.refresh('by_env_1h');
SELECT aggwin.ingest('requests_total', '{"env": "prod", "host": "new"}', '2026-03-07 10:00Z', 123456);
SELECT count, max FROM aggwin.query_metric('requests_total', '{env="prod"}', '2026-03-07 10:00Z', '2026-03-07 11:00Z', '1h', rollup => 'by_env');
DELETE FROM aggwin.samples WHERE value = 123456;
SELECT count, max FROM aggwin.query_metric('requests_total', '{env="prod"}', '2026-03-07 10:00Z', '2026-03-07 11:00Z', '1h', rollup => 'by_env');
SELECT aggwin.drop_rollup('by_env');

-- When samples are gone, what was is still known.
SELECT aggwin.refresh('samples_rollup_1h');
SELECT sum(increase) FROM aggwin.query_counter('requests_total', '', '2026-03-08Z', '2026-03-10Z', '1h');
DO $$ DECLARE part regclass; BEGIN
	FOR part IN SELECT inhrelid FROM pg_inherits WHERE inhparent = 'aggwin.samples'::regclass AND inhrelid::regclass::text ~ '202603(0[1-7])' LOOP
		EXECUTE format('DROP TABLE %s', part);
	END LOOP;
END $$;
SELECT count(*) FROM aggwin.samples WHERE ts < '2026-03-08Z';
SELECT sum(increase) FROM aggwin.query_counter('requests_total', '', '2026-03-08Z', '2026-03-10Z', '1h');
SELECT sum(count) FROM aggwin.query_metric('requests_total', '', '2026-03-07Z', '2026-03-08Z', '1h');

-- Refused
\set SHOW_CONTEXT never
SELECT aggwin.query_metric(NULL, NULL, '2026-03-07Z', '2026-03-08Z');
SELECT aggwin.query_metric('odd', NULL, NULL, '2026-03-08Z');
SELECT aggwin.query_metric('odd', NULL, '2026-03-08Z', '2026-03-07Z');
SELECT aggwin.query_metric('nobody', NULL, '-infinity', '2026-03-07Z');
SELECT aggwin.query_metric('odd', NULL, '2026-03-07Z', '2026-03-08Z', '90 s');
SELECT aggwin.query_metric('odd', NULL, '2026-03-07Z', '2026-03-08Z', 'soon');
SELECT aggwin.query_metric('odd', NULL, '2026-03-07Z', '2026-03-08Z', '-1 min');
SELECT aggwin.query_metric('odd', NULL, '2026-03-07Z', '2026-03-08Z', '1m', 10);
SELECT aggwin.query_metric('odd', NULL, '2026-03-07Z', '2026-03-08Z', max_points => 0);
SELECT aggwin.query_metric('odd', NULL, '2026-03-07Z', '2026-03-08Z', edges => 'some');
SELECT aggwin.query_metric('odd', NULL, '2026-03-07Z', '2026-03-08Z', by => '{NULL}');
SELECT aggwin.query_metric('odd{', '', '2026-03-07Z', '2026-03-08Z');
SELECT aggwin.query_metric('odd', '{a="b"', '2026-03-07Z', '2026-03-08Z');
SELECT aggwin.query_metric('odd', '{a=~"(b"}', '2026-03-07Z', '2026-03-08Z');
SELECT aggwin.query_metric('sum(odd)', '', '2026-03-07Z', '2026-03-08Z');
SELECT aggwin.query_metric('odd', '{"a": 1}', '2026-03-07Z', '2026-03-08Z');
SELECT aggwin.query_metric('odd', '{"a"', '2026-03-07Z', '2026-03-08Z');
SELECT aggwin.query_metric('odd', '', '2026-03-07Z', '2026-03-08Z', rollup => 'pg_class');
SELECT aggwin.query_counter('odd', '', '2026-03-07Z', '2026-03-08Z', resolution => NULL);
SELECT aggwin.percentile_over('odd', '', '2026-03-07Z', '2026-03-08Z', 95);
SELECT aggwin.percentile_over('odd', '', '2026-03-07Z', '2026-03-08Z', NULL);
SELECT aggwin.create_metric_rollup(NULL);
SELECT aggwin.create_metric_rollup('m', '(');
SELECT aggwin.create_metric_rollup('m', keep => '{a}', "drop" => '{b}');
SELECT aggwin.create_metric_rollup('m', keep => '{a,__name__}');
SELECT aggwin.create_metric_rollup('m', "drop" => '{a,NULL}');
SELECT aggwin.create_metric_rollup('m', bounds => '{2,1}');
SELECT aggwin.create_metric_rollup('m', bucket => '7 minutes');
SELECT aggwin.create_metric_rollup('m', refresh_interval => '-1 s');
SELECT aggwin.create_metric_rollup('m', 'odd', keep => '{env}');
SELECT aggwin.query_metric('requests_total', '', '2026-03-07Z', '2026-03-08Z', rollup => 'm');
SELECT aggwin.query_metric('odd', '{host="a"}', '2026-03-07Z', '2026-03-08Z', rollup => 'm');
SELECT aggwin.query_metric('odd', '', '2026-03-07Z', '2026-03-08Z', by => '{host}', rollup => 'm');
SELECT aggwin.query_counter('odd', '', '2026-03-07Z', '2026-03-08Z', rollup => 'm');
SELECT aggwin.drop_rollup('samples_rollup');
SELECT aggwin.query_metric('odd', '', '2026-03-07Z', '2026-03-08Z');
SELECT aggwin.query_metric('requests_total', '', '2026-03-07Z', '2026-03-08Z', by => '{}');
SELECT aggwin.drop_rollup('m');
SELECT aggwin.query_metric('odd', '', '2026-03-07Z', '2026-03-08Z');

-- Who may ask
SELECT aggwin.create_metric_rollup('mine');
CREATE ROLE regress_metrics_reader;
GRANT CREATE ON SCHEMA public TO regress_metrics_reader;
SET ROLE regress_metrics_reader;
SELECT count(*) FROM aggwin.query_metric('odd', '', '2026-03-01Z', '2026-03-02Z');
SELECT aggwin.series_matches(1, 'x');
SELECT aggwin.create_metric_rollup('theirs');
RESET ROLE;
GRANT SELECT ON aggwin.series TO regress_metrics_reader;
SET ROLE regress_metrics_reader;
SELECT count(*) FROM aggwin.query_metric('odd', '', '2026-03-01Z', '2026-03-02Z');
RESET ROLE;
GRANT SELECT ON mine TO regress_metrics_reader;
SET ROLE regress_metrics_reader;
SELECT count(*) FROM aggwin.query_metric('requests_total', '', '2026-03-08Z', '2026-03-09Z', '1h');
RESET ROLE;

DROP TABLE plain;
DROP FUNCTION compare, close, hosts, plain_increases;
DROP TABLE aggwin.samples, aggwin.series, aggwin.metric, aggwin.refused_sample, aggwin.metric_rollup CASCADE;
DROP OWNED BY regress_metrics_reader;
DROP ROLE regress_metrics_reader;
