-- verify.sql - compares what query_metric and query_counter say with the raw samples
--
-- One statement, so one snapshot: every series, in buckets of a minute, five and an
-- hour, and what each counter grew by. Its row: samples, series, buckets compared, rows
-- that only the functions have, rows that only the samples have; one that differs is of
-- each kind. The last digits of sums depend on the order of additions.

WITH resolution (name, width) AS (
	VALUES ('1m', interval '1 minute'), ('5m', '5 minutes'), ('1h', '1 hour')
), bounds AS (
	SELECT min(ts) AS first, max(ts) + interval '1 second' AS last FROM aggwin.samples
), told AS MATERIALIZED (
	SELECT r.name, q.bucket, q.series_id, q.count, q.min, q.max, q.sum
	FROM resolution AS r, bounds AS b, aggwin.metrics AS m,
		aggwin.query_metric(m.metric, '', b.first, b.last, r.name, max_points => 100000, rollup => 'samples_rollup') AS q
	UNION ALL
	SELECT 'increase', NULL, q.series_id, NULL, NULL, NULL, sum(q.increase)
	FROM bounds AS b, aggwin.metrics AS m,
		aggwin.query_counter(m.metric, '', b.first, b.last, '1m', max_points => 100000) AS q
	WHERE m.type = 'counter'
	GROUP BY 3
), raw AS MATERIALIZED (
	SELECT r.name, aggwin.time_bucket(r.width, s.ts) AS bucket, s.series_id, count(*) AS count,
		min(s.value) AS min, max(s.value) AS max, sum(s.value) AS sum, sum(abs(s.value)) AS size
	FROM resolution AS r, aggwin.samples AS s
	GROUP BY 1, 2, 3
	UNION ALL
	SELECT 'increase', NULL, series_id, NULL, NULL, NULL,
		sum(CASE WHEN value < before THEN value ELSE value - coalesce(before, value) END), sum(abs(value))
	FROM (SELECT series_id, value, lag(value) OVER (PARTITION BY series_id ORDER BY ts) AS before
		FROM aggwin.samples JOIN aggwin.series USING (series_id) JOIN aggwin.metric USING (metric)
		WHERE type = 'counter') AS s
	GROUP BY 3
), compared AS (
	SELECT t.name AS told, r.name AS raw, (t.count, t.min, t.max) IS DISTINCT FROM (r.count, r.min, r.max)
		OR t.sum IS DISTINCT FROM r.sum AND abs(t.sum - r.sum) > 1e-12 * r.size AS differ
	FROM told AS t FULL JOIN raw AS r ON t.name = r.name AND t.series_id = r.series_id
		AND coalesce(t.bucket, '-infinity') = coalesce(r.bucket, '-infinity')
)
SELECT (SELECT count(*) FROM aggwin.samples), (SELECT count(*) FROM aggwin.series),
	(SELECT count(*) FROM raw WHERE name <> 'increase'),
	(SELECT count(*) FROM compared WHERE told IS NOT NULL AND (raw IS NULL OR differ)),
	(SELECT count(*) FROM compared WHERE raw IS NOT NULL AND (told IS NULL OR differ));
