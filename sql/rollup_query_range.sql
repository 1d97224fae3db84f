-- Reading a range of a rollup at a resolution
CREATE SCHEMA rollup_query_range;
SET search_path = rollup_query_range, aggwin;
SET timezone = 'UTC';
SET intervalstyle = 'postgres';
SET datestyle = 'ISO';

CREATE TABLE cpu (ts timestamptz, host text, core integer, load float8, note text);
CREATE INDEX ON cpu (ts);
INSERT INTO cpu SELECT '2026-03-01 00:00Z'::timestamptz + n * interval '20 seconds', 'h' || n % 2, n % 3, n, 'n' || n
FROM generate_series(0, 4319 * 2) AS n;
SELECT aggwin.create_rollup('cpu_1m', $$
	SELECT aggwin.time_bucket('1 minute', ts) AS minute, host, core, count(*) AS samples, sum(load) AS load, max(note) AS note
	FROM cpu GROUP BY 1, 2, 3 $$, tiers => '{1 hour, 1 day}');
SELECT aggwin.add_tier('cpu_1m', '1 month', keys => '{host}', name => 'cpu_monthly');
SELECT aggwin.refresh('cpu_monthly');

-- a tier's own width, and any multiple of it
SELECT minute, host, samples, load FROM aggwin.query_range(NULL::cpu_1m, '2026-03-01 10:00', '2026-03-01 10:02', step => '1 minute') WHERE core = 0;
SELECT minute, host, core, samples, load FROM aggwin.query_range(NULL::cpu_1m, '2026-03-01 10:00', '2026-03-01 12:00', step => '1 hour', keys => '{"host": "h1"}');
SELECT minute, host, core, samples FROM aggwin.query_range(NULL::cpu_1m, '2026-03-01', '2026-03-02', step => '12 hours', keys => '{"core": [1, 2], "host": "h0"}');
SELECT minute, samples FROM aggwin.query_range(NULL::cpu_1m, '2026-03-01', '2026-03-03', step => '1 day', keys => '{"core": 1, "host": "h0"}');
-- buckets that the range touches are whole
SELECT minute, samples FROM aggwin.query_range(NULL::cpu_1m, '2026-03-01 23:59:30', '2026-03-02 00:00:01', step => '1 day', keys => '{"core": 1, "host": "h0"}');
-- without a step, the finest one that needs few enough points
SELECT count(*), count(DISTINCT minute), min(lead - minute) FROM (
	SELECT minute, lead(minute) OVER (PARTITION BY host, core ORDER BY minute) FROM aggwin.query_range(NULL::cpu_1m, '2026-03-01', '2026-03-01 12:00')) AS q;
SELECT count(DISTINCT minute), min(lead - minute) FROM (
	SELECT minute, lead(minute) OVER (PARTITION BY host, core ORDER BY minute) FROM aggwin.query_range(NULL::cpu_1m, '2026-03-01', '2026-03-02 12:00')) AS q;
SELECT count(DISTINCT minute), min(lead - minute) FROM (
	SELECT minute, lead(minute) OVER (PARTITION BY host, core ORDER BY minute) FROM aggwin.query_range(NULL::cpu_1m, '2026-03-01', '2026-03-03', max_points => 10)) AS q;
SELECT count(DISTINCT minute) FROM aggwin.query_range(NULL::cpu_1m, '2026-01-01', '2026-12-01', max_points => 3);
-- a tier's view begins with its own width
SELECT minute, host, samples FROM aggwin.query_range(NULL::cpu_monthly, '2026-03-01', '2026-04-01');
SELECT minute, host, samples FROM aggwin.query_range(NULL::cpu_monthly, '2026-01-01', '2027-01-01', step => '1 year');

-- all steps and ranges give what the plain query gives, folded or not
CREATE FUNCTION same(step interval, low timestamptz, high timestamptz) RETURNS boolean LANGUAGE sql AS $$
	WITH plain AS (SELECT aggwin.time_bucket(step, ts) AS minute, host, core, count(*) AS samples, sum(load) AS load, max(note) AS note
			FROM cpu WHERE aggwin.time_bucket(step, ts) >= aggwin.time_bucket(step, low) AND aggwin.time_bucket(step, ts) < high GROUP BY 1, 2, 3),
		range AS (SELECT * FROM aggwin.query_range(NULL::cpu_1m, low, high, step => step, max_points => 10000))
	SELECT NOT EXISTS (TABLE plain EXCEPT TABLE range) AND NOT EXISTS (TABLE range EXCEPT TABLE plain) AND EXISTS (TABLE range) $$;
CREATE VIEW all_same AS
	SELECT step, bool_and(same(step, low, high)) FROM unnest('{1 minute, 7 minutes, 1 hour, 90 minutes, 1 day, 1 month}'::interval[]) AS step,
		(VALUES ('2026-03-01 00:00Z'::timestamptz, '2026-03-03 00:00Z'::timestamptz), ('2026-03-01 13:17:40Z', '2026-03-02 01:00Z')) AS v(low, high)
	GROUP BY 1 ORDER BY 1;
TABLE all_same;
INSERT INTO cpu SELECT ts, host, core, load * 2, 'more' FROM cpu WHERE load::integer % 17 = 0;
DELETE FROM cpu WHERE ts BETWEEN '2026-03-01 13:00Z' AND '2026-03-01 14:10Z';
TABLE all_same;
SELECT aggwin.refresh('cpu_1m');
TABLE all_same;
SELECT aggwin.refresh('cpu_monthly');
TABLE all_same;

-- gaps
DELETE FROM cpu WHERE host = 'h0' AND core = 1 AND ts < '2026-03-01 20:30Z';
SELECT minute, host, samples, load, note FROM aggwin.query_range(NULL::cpu_1m, '2026-03-01 12:00', '2026-03-01 16:00', step => '1 hour', keys => '{"core": 1}');
SELECT minute, host, samples, load, note FROM aggwin.query_range(NULL::cpu_1m, '2026-03-01 12:00', '2026-03-01 16:00', step => '1 hour', keys => '{"core": 1}', fill => 'null');
SELECT minute, host, samples, load, note FROM aggwin.query_range(NULL::cpu_1m, '2026-03-01 12:00', '2026-03-01 16:00', step => '1 hour', keys => '{"core": 1}', fill => 'zero');
SELECT minute, host, samples, load, note FROM aggwin.query_range(NULL::cpu_1m, '2026-03-01 12:00', '2026-03-01 16:00', step => '1 hour', keys => '{"core": 1}', fill => 'previous');
-- a series that has nothing in the range does not appear
SELECT minute, host, samples FROM aggwin.query_range(NULL::cpu_1m, '2026-03-01 20:00', '2026-03-01 21:00', step => '20 minutes', keys => '{"core": 1}', fill => 'zero');
SELECT * FROM aggwin.query_range(NULL::cpu_1m, '2030-03-01', '2030-03-02', fill => 'zero');
-- but without keys there is one series
SELECT aggwin.create_rollup('total', $$SELECT aggwin.time_bucket('1 hour', ts) AS b, count(*) AS n, avg(load) AS load FROM cpu GROUP BY 1$$);
SELECT * FROM aggwin.query_range(NULL::total, '2026-02-28 22:00', '2026-03-01 01:00', fill => 'zero');
SELECT * FROM aggwin.query_range(NULL::total, '2030-03-01', '2030-03-01 02:00', step => '1 hour', fill => 'null');
SELECT * FROM aggwin.query_range(NULL::total, '2026-03-01 00:00+01', '2026-03-01 02:00+01');

-- keys that are NULL
INSERT INTO cpu VALUES ('2026-03-05 00:00Z', NULL, NULL, 1, NULL);
SELECT minute, host, core, samples FROM aggwin.query_range(NULL::cpu_1m, '2026-03-05', '2026-03-05 00:03', keys => '{"host": null}', fill => 'zero', step => '1 minute');
SELECT minute, host, core, samples FROM aggwin.query_range(NULL::cpu_1m, '2026-03-05', '2026-03-05 00:03', keys => '{"host": ["x%s", null]}', step => '1 minute');

-- other types of time
CREATE TABLE days (d date, at timestamp, i bigint, v integer);
INSERT INTO days SELECT '2026-03-01'::date + n, '2026-03-01'::timestamp + n * interval '1 day', n * 10, n FROM generate_series(0, 20) AS n;
SELECT aggwin.create_rollup('by_date', $$SELECT aggwin.time_bucket('1 day', d) AS b, sum(v) FROM days GROUP BY 1$$);
SELECT aggwin.create_rollup('by_timestamp', $$SELECT aggwin.time_bucket('1 day', at) AS b, sum(v) FROM days GROUP BY 1$$);
SELECT aggwin.create_rollup('by_integer', $$SELECT aggwin.time_bucket(10::bigint, i) AS b, sum(v) FROM days GROUP BY 1$$);
SELECT * FROM aggwin.query_range(NULL::by_date, '2026-03-01', '2026-03-15', step => '7 days');
SELECT * FROM aggwin.query_range(NULL::by_date, date '2026-03-01', date '2026-03-04');
SELECT * FROM aggwin.query_range(NULL::by_timestamp, '2026-03-01', '2026-03-15', step => '7 days');
SELECT * FROM aggwin.query_range(NULL::by_integer, 0, 100, step => 50);
SELECT * FROM aggwin.query_range(NULL::by_integer, 0, 30);
SELECT * FROM aggwin.query_range(NULL::by_integer, '0', '30');

-- what cannot be asked
SELECT * FROM aggwin.query_range(NULL::cpu_1m, '2026-03-01', '2026-03-02', step => '30 seconds');
SELECT * FROM aggwin.query_range(NULL::cpu_1m_1h, '2026-03-01', '2026-03-02', step => '90 minutes');
SELECT * FROM aggwin.query_range(NULL::cpu_1m, '2026-03-01', '2026-03-02', step => '-1 minute');
SELECT * FROM aggwin.query_range(NULL::cpu_1m, '2026-03-01', '2026-03-02', step => '1 minute');
SELECT * FROM aggwin.query_range(NULL::cpu_1m, '2026-03-02', '2026-03-01');
SELECT * FROM aggwin.query_range(NULL::cpu_1m, '2026-03-02', 'infinity');
SELECT * FROM aggwin.query_range(NULL::cpu_1m, '2026-03-02', NULL);
SELECT * FROM aggwin.query_range(NULL::cpu_1m, 'nonsense', '2026-03-02');
SELECT * FROM aggwin.query_range(NULL::cpu_1m, '2026-03-01', '2026-03-02', max_points => 0);
SELECT * FROM aggwin.query_range(NULL::cpu_1m, '2026-03-01', '2026-03-02', fill => 'linear');
SELECT * FROM aggwin.query_range(NULL::cpu_1m, '2026-03-01', '2026-03-02', keys => '{"samples": 1}');
SELECT * FROM aggwin.query_range(NULL::cpu_1m, '2026-03-01', '2026-03-02', keys => '{"core": "one"}');
SELECT * FROM aggwin.query_range(NULL::cpu_1m, '2026-03-01', '2026-03-02', keys => '{"core": {"a": 1}}');
SELECT * FROM aggwin.query_range(NULL::cpu_1m, '2026-03-01', '2026-03-02', keys => '{"core": [[1]]}');
SELECT * FROM aggwin.query_range(NULL::cpu_1m, '2026-03-01', '2026-03-02', keys => '[]');
SELECT * FROM aggwin.query_range(NULL::cpu, '2026-03-01', '2026-03-02');
SELECT * FROM aggwin.query_range(1, '2026-03-01', '2026-03-02');
SELECT * FROM aggwin.query_range(NULL::by_integer, 0, 100, step => '1 hour'::interval);
SELECT aggwin.create_rollup('no_bucket', $$SELECT host, count(*) AS n FROM cpu GROUP BY aggwin.time_bucket('1 hour', ts), host$$);
SELECT * FROM aggwin.query_range(NULL::no_bucket, '2026-03-01', '2026-03-02');
SELECT aggwin.create_rollup('no_host', $$SELECT aggwin.time_bucket('1 hour', ts) AS b, count(*) AS n FROM cpu GROUP BY 1, host$$);
SELECT * FROM aggwin.query_range(NULL::no_host, '2026-03-01', '2026-03-02', fill => 'zero');

-- the right to read the view is needed, and enough
CREATE ROLE rollup_query_range_reader;
GRANT USAGE ON SCHEMA rollup_query_range TO rollup_query_range_reader;
SET ROLE rollup_query_range_reader;
SELECT count(*) FROM aggwin.query_range(NULL::cpu_1m, '2026-03-01', '2026-03-02');
RESET ROLE;
GRANT SELECT ON cpu_1m TO rollup_query_range_reader;
SET ROLE rollup_query_range_reader;
SELECT count(*) > 0 AS reads FROM aggwin.query_range(NULL::cpu_1m, '2026-03-01', '2026-03-02');
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA rollup_query_range CASCADE;
DROP ROLE rollup_query_range_reader;
