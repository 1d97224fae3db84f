-- verify.sql - compares what query_metric and query_counter say with the raw samples
--
-- One statement, so one snapshot: every series, in buckets of a minute, five and an
-- hour. Its row: samples, series, buckets compared, rows that only the functions have,
-- rows that only the samples have. Sums are not compared to the last digit, as that
-- depends on the order of additions.

WITH resolution (name, width) AS (
	VALUES ('1m', interval '1 minute'), ('5m', '5 minutes'), ('1h', '1 hour')
), bounds AS (
	SELECT min(ts) AS first, max(ts) + interval '1 second' AS last FROM aggwin.samples
), told AS MATERIALIZED (
	SELECT r.name, q.bucket, q.series_id, q.count, q.min, q.max, round(q.sum::numeric, 6) AS sum
	FROM resolution AS r, bounds AS b, aggwin.metrics AS m,
		aggwin.query_metric(m.metric, '', b.first, b.last, r.name, max_points => 100000, rollup => 'samples_rollup') AS q
), raw AS MATERIALIZED (
	SELECT r.name, aggwin.time_bucket(r.width, s.ts) AS bucket, s.series_id, count(*) AS count,
		min(s.value) AS min, max(s.value) AS max, round(sum(s.value)::numeric, 6) AS sum
	FROM resolution AS r, aggwin.samples AS s
	GROUP BY 1, 2, 3
), grew AS MATERIALIZED (
	SELECT q.series_id, round(sum(q.increase)::numeric, 6) AS increase
	FROM bounds AS b, aggwin.metrics AS m,
		aggwin.query_counter(m.metric, '', b.first, b.last, '1m', max_points => 100000) AS q
	WHERE m.type = 'counter'
	GROUP BY 1
), raw_grew AS MATERIALIZED (
	SELECT series_id, round(sum(CASE WHEN value < before THEN value ELSE value - coalesce(before, value) END)::numeric, 6) AS increase
	FROM (SELECT series_id, value, lag(value) OVER (PARTITION BY series_id ORDER BY ts) AS before
		FROM aggwin.samples JOIN aggwin.series USING (series_id) JOIN aggwin.metric USING (metric)
		WHERE type = 'counter') AS s
	GROUP BY 1
)
SELECT (SELECT count(*) FROM aggwin.samples), (SELECT count(*) FROM aggwin.series),
	(SELECT count(*) FROM raw),
	(SELECT count(*) FROM (TABLE told EXCEPT ALL TABLE raw) AS extra)
		+ (SELECT count(*) FROM (TABLE grew EXCEPT ALL TABLE raw_grew) AS extra),
	(SELECT count(*) FROM (TABLE raw EXCEPT ALL TABLE told) AS missing)
		+ (SELECT count(*) FROM (TABLE raw_grew EXCEPT ALL TABLE grew) AS missing);
