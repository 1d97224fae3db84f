-- hopping windows
SET timezone = 'UTC';
SET datestyle = 'ISO';
SELECT aggwin.hop(timestamptz '2026-03-01 10:00:07Z', '10 seconds', '5 seconds');
SELECT aggwin.hop(timestamptz '2026-03-01 10:00:05Z', '10 seconds', '5 seconds');
-- The size need not be a multiple of the period.
SELECT aggwin.hop(timestamptz '2026-03-01 10:00:07Z', '12 seconds', '5 seconds');
SELECT aggwin.hop(timestamptz '2026-03-01 10:00:07Z', '12 seconds', '5 seconds', '2026-03-01 10:00:02Z');
SELECT aggwin.hop(timestamp '2026-03-01 10:00:07', '1 hour', '1 hour');
SELECT aggwin.hop(timestamp '1969-12-31 23:59:59.999999', '2 days', '1 day', '1970-01-01');
SELECT aggwin.hop(7::bigint, 10::bigint, 4::bigint);
SELECT aggwin.hop(-7::bigint, 10::bigint, 4::bigint, 1::bigint);
-- Months, and what the last day of a month makes of them.
SELECT aggwin.hop(timestamptz '2026-03-30Z', '1 month', '1 month', '2026-01-31Z');
SELECT aggwin.hop(timestamptz '2026-03-15Z', '1 year', '6 months');
SELECT count(*), min(lower(w)), max(upper(w)) FROM aggwin.hop(timestamptz '2026-03-30 12:00Z', '1 month', '1 day') AS w;
SELECT aggwin.hop(timestamptz '2026-03-15Z', '40 days', '1 month');
-- Every window holds the time, starts are a period apart, and none is missing.
SELECT count(*) FILTER (WHERE NOT w @> ts), count(*) FILTER (WHERE lower(w) - before <> period),
	count(*) FILTER (WHERE upper(w) - lower(w) <> size)
FROM (SELECT ts, w, size, period, lag(lower(w)) OVER (PARTITION BY ts, size, period ORDER BY lower(w)) AS before
	FROM (SELECT '2026-03-01Z'::timestamptz + i * interval '7.7 seconds' AS ts, s * interval '1.3 seconds' AS size, p * interval '0.4 seconds' AS period
		FROM generate_series(-50, 50) AS i, generate_series(1, 9) AS s, generate_series(1, 3) AS p) AS a, aggwin.hop(ts, size, period) AS w) AS b;
SELECT i, s, p FROM generate_series(-30, 30) AS i, generate_series(1, 12) AS s, generate_series(1, 5) AS p
WHERE s >= p AND ARRAY(SELECT aggwin.hop(i::bigint, s::bigint, p::bigint)) IS DISTINCT FROM
	ARRAY(SELECT int8range(x, x + s) FROM generate_series(-60, 60) AS x WHERE x % p = 0 AND i >= x AND i < x + s ORDER BY x);
SELECT d, m FROM (SELECT '2024-01-01'::timestamp + i * interval '17 hours' AS d, m FROM generate_series(0, 1200) AS i, generate_series(1, 3) AS m) AS a
WHERE ARRAY(SELECT aggwin.hop(d, m * interval '1 month', '1 month', '2020-01-01')) IS DISTINCT FROM
	ARRAY(SELECT tsrange(x, x + m * interval '1 month') FROM generate_series('2023-01-01'::timestamp, '2027-01-01', '1 month') AS x WHERE d >= x AND d < x + m * interval '1 month' ORDER BY x);
SELECT d FROM (SELECT '2024-01-01'::timestamp + i * interval '7 hours' AS d FROM generate_series(0, 1300) AS i) AS a
WHERE ARRAY(SELECT aggwin.hop(d, '1 month', '1 day')) IS DISTINCT FROM
	ARRAY(SELECT tsrange(x, x + interval '1 month') FROM generate_series('2023-11-01'::timestamp, '2025-03-01', '1 day') AS x WHERE d >= x AND d < x + interval '1 month' ORDER BY x);
-- Ends of the types.
SELECT aggwin.hop(timestamptz 'infinity', '10 seconds', '5 seconds');
SELECT aggwin.hop(NULL::timestamptz, '10 seconds', '5 seconds');
SELECT aggwin.hop(timestamptz '294276-12-31 23:59:58Z', '10 seconds', '5 seconds');
SELECT aggwin.hop(timestamptz '4714-11-24 00:00:01Z BC', '10 seconds', '5 seconds');
SELECT aggwin.hop(9223372036854775806, 10::bigint, 5::bigint);
SELECT aggwin.hop(9223372036854775807, 10::bigint, 5::bigint);
SELECT aggwin.hop(-9223372036854775807, 10::bigint, 5::bigint);
SELECT aggwin.hop(timestamptz '2026-03-01Z', '10 seconds', '5 seconds', 'infinity');
-- Nonsense.
SELECT aggwin.hop(now(), '0', '5 seconds');
SELECT aggwin.hop(now(), '10 seconds', '-5 seconds');
SELECT aggwin.hop(now(), '5 seconds', '10 seconds');
SELECT aggwin.hop(now(), '1 month 1 day', '1 day');
SELECT aggwin.hop(now(), '1 year', '1 month 1 second');
SELECT aggwin.hop(now(), '2000000000 days', '1 day');
SELECT aggwin.hop(1::bigint, 0::bigint, 1::bigint);
SELECT aggwin.hop(1::bigint, 1::bigint, 2::bigint);
-- The planner knows how many there are.
CREATE FUNCTION expected_rows(query text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
	RETURN (plan->0->'Plan'->>'Plan Rows')::numeric;
END $$;
SELECT expected_rows('SELECT * FROM aggwin.hop(now(), ''1 hour'', ''1 minute'')'),
	expected_rows('SELECT * FROM aggwin.hop(now(), ''1 year'', ''1 month'')'),
	expected_rows('SELECT * FROM aggwin.hop(5::bigint, 100::bigint, 2::bigint)'),
	expected_rows('SELECT * FROM generate_series(1, 3) AS i, aggwin.hop(now(), i * interval ''1 hour'', ''1 minute'')');
DROP FUNCTION expected_rows;
-- Ten seconds, each five: as many groups as windows.
SELECT w, count(*), sum(v) FROM (VALUES (timestamptz '2026-03-01 10:00:01Z', 1), ('2026-03-01 10:00:06Z', 2), ('2026-03-01 10:00:11Z', 4)) AS e (ts, v),
	aggwin.hop(ts, '10 seconds', '5 seconds') AS w GROUP BY w ORDER BY w;
