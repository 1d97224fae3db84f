-- setup.sql - metrics, and what a shop's response times were in the last day
--
-- psql variables: labels (of the shop's series).
--
-- The shop is made up: each second a request of each of three pages, slower in the
-- afternoons of its day of ninety minutes, and an outage that began two hours ago.

CREATE EXTENSION aggwin;
SELECT aggwin.enable_metrics();

SELECT aggwin.ingest_text($$# HELP shop_response_seconds How long a page took, made up.
# TYPE shop_response_seconds gauge
$$);

CREATE FUNCTION response_seconds(at timestamptz, page integer) RETURNS float8 AS $$
	SELECT (0.008 + 0.006 * page) * (1.5 + sin(extract(epoch FROM now() - at) / 860)) * exp(1.1 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()))
		* CASE WHEN at BETWEEN now() - interval '2 hours' AND now() - interval '108 minutes' THEN 12 ELSE 1 END
$$ LANGUAGE sql;

INSERT INTO aggwin.sample_input (metric, labels, ts, value)
SELECT 'shop_response_seconds', :'labels'::jsonb || jsonb_build_object('page', p.name), at, response_seconds(at, p.n::integer)
FROM generate_series(now() - interval '1 day', now() - interval '1 second', interval '1 second') AS at,
	unnest('{/,/search,/buy}'::text[]) WITH ORDINALITY AS p (name, n);

-- Boundaries of its own, to draw a distribution. All is folded every few seconds, for the
-- worker to be seen at work.
SELECT aggwin.create_metric_rollup('shop_seconds', 'shop_response_seconds',
	bounds => '{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1}', refresh_interval => '2 seconds');
SELECT aggwin.alter_rollup('samples_rollup', refresh_interval => '2 seconds');
SELECT aggwin.set_tier(rollup, refresh_interval => '4 seconds')
FROM aggwin.rollup_status WHERE tier > '1 minute';
