-- pipelines: what late samples have computed again, and what not
SET client_min_messages = warning;
SET timezone = 'UTC';
SET aggwin.max_past = 0;
SELECT aggwin.enable_metrics();
INSERT INTO aggwin.sample_input
SELECT m, jsonb_build_object('host', 'h' || h), timestamptz '2026-03-01 12:00Z' + n * interval '20 s', 10 * n + h
FROM unnest('{a,b}'::text[]) AS m, generate_series(1, 2) AS h, generate_series(0, 60) AS n;
SELECT action, "as" FROM aggwin.apply_pipelines($$
- {promql: 'sum(a[1m])', as: a_sum}
- {promql: 'sum(a{host="h1"}[1m])', as: a_sum_h1}
- {promql: 'sum by (host) (increase(a[1m]))', as: a_increase}
- {promql: 'sum2(a[2m])', as: a_total}
- {promql: 'sum(b[1m])', as: b_sum}
- {promql: 'max_over_time(b_sum[5m])', as: b_sum_max}
- {promql: 'count({__name__=~"a|b"}[1m])', as: all_count, grace: 2m}
$$);
SELECT aggwin.close_windows() > 0 AS closed;
CREATE TABLE before AS SELECT "as", late, corrections FROM aggwin.pipelines;
-- since this was asked last
CREATE FUNCTION changed() RETURNS TABLE ("as" text, late bigint, corrections bigint) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY SELECT p."as", p.late - b.late, p.corrections - b.corrections FROM aggwin.pipelines AS p JOIN before AS b USING ("as")
		WHERE (p.late, p.corrections) <> (b.late, b.corrections) ORDER BY 1;
	UPDATE before AS b SET late = p.late, corrections = p.corrections FROM aggwin.pipelines AS p WHERE p."as" = b."as";
END $$;
SELECT * FROM changed();

-- a sample of one series: its own window, that of the next sample, all later ones
INSERT INTO aggwin.sample_input VALUES ('a', '{"host": "h2"}', '2026-03-01 12:05:50Z', 500);
SELECT aggwin.close_windows() > 0 AS corrected;
SELECT * FROM changed();
SELECT ts, value FROM aggwin.sample_input WHERE metric = 'a_increase' AND labels @> '{"host": "h2"}' AND ts BETWEEN '2026-03-01 12:05Z' AND '2026-03-01 12:08Z' ORDER BY 1;
SELECT count(*) FROM aggwin.touched;

-- the same when a fold has taken it: it has left word
INSERT INTO aggwin.sample_input VALUES ('a', '{"host": "h1"}', '2026-03-01 12:05:50Z', 160.5), ('a', '{"host": "h1"}', '2026-03-01 12:06:50Z', 200.5);
SELECT aggwin.refresh('samples_rollup');
SELECT span, changes, key = s.series_id::text AS right_key, count(*) FROM aggwin.touched, aggwin.series AS s WHERE s.metric = 'a' AND s.labels @> '{"host": "h1"}'
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3;
SELECT aggwin.close_windows() > 0 AS corrected;
SELECT * FROM changed();

-- where there is no later sample, there is no later window
UPDATE aggwin.samples AS p SET value = 700 FROM aggwin.series AS s
WHERE s.series_id = p.series_id AND s.metric = 'a' AND s.labels @> '{"host": "h1"}' AND p.ts = '2026-03-01 12:19:40Z';
SELECT aggwin.close_windows() > 0 AS corrected;
SELECT * FROM changed();

-- what is corrected is late for what reads it, and for nothing else
DELETE FROM aggwin.samples AS p USING aggwin.series AS s
WHERE s.series_id = p.series_id AND s.metric = 'b' AND p.ts = '2026-03-01 12:14:40Z';
SELECT aggwin.close_windows() > 0 AS corrected;
SELECT * FROM changed();
SELECT aggwin.close_windows() > 0 AS corrected;
SELECT * FROM changed();
SELECT aggwin.close_windows() > 0 AS corrected;
SELECT * FROM changed();

-- a change of any series (here: all are gone) is everybody's
TRUNCATE aggwin.samples;
SELECT aggwin.close_windows() > 0 AS corrected;
SELECT "as" FROM changed() WHERE corrections > 0;
SELECT count(*) FROM aggwin.samples;

SELECT count(*) FROM aggwin.apply_pipelines('[]');
DROP FUNCTION changed;
DROP TABLE before;
DROP TABLE aggwin.pipeline, aggwin.pipeline_series, aggwin.pipeline_refused, aggwin.samples, aggwin.series, aggwin.metric, aggwin.refused_sample, aggwin.metric_rollup CASCADE;
