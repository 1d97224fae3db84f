-- Tiers: views at wider buckets, fed by the tier below
CREATE SCHEMA rollup_tiers;
SET search_path = rollup_tiers, aggwin;
SET timezone = 'UTC';
SET intervalstyle = 'postgres';

CREATE TABLE events (ts timestamptz, region text, item integer, value integer, price numeric(8, 2));
CREATE INDEX ON events (ts);
INSERT INTO events
SELECT '2026-01-30 00:00Z'::timestamptz + n * interval '7 minutes', CASE n % 5 WHEN 0 THEN NULL ELSE 'r' || n % 3 END,
	n % 7, CASE WHEN n % 11 > 0 THEN n END, n / 100.0
FROM generate_series(1, 2000) AS n;
INSERT INTO events VALUES (NULL, 'r1', 1, 1, 1), ('infinity', 'r1', 1, 2, 2), ('-infinity', NULL, 2, 3, 3);

SELECT aggwin.create_rollup('e', $$
	SELECT aggwin.time_bucket('10 minutes', ts) AS bucket, region, item, count(*) AS events,
		sum(value) AS total, avg(price) AS price, min(value) AS low, max(value) AS high
	FROM events WHERE item < 6 GROUP BY 1, 2, 3 $$, tiers => '{1 hour, 1 day, 1 month}');
SELECT rollup, tier, dormant, paused FROM aggwin.rollup_status ORDER BY tier;
SELECT rollup, tiers, options FROM aggwin.rollups;
\d e_1mon

-- Every view against the plain query at its width
CREATE FUNCTION differences() RETURNS TABLE (tier text, differ bigint) LANGUAGE plpgsql AS $$
DECLARE
	t record;
BEGIN
	FOR t IN SELECT * FROM (VALUES ('e', '10 minutes'), ('e_1h', '1 hour'), ('e_1d', '1 day'), ('e_1mon', '1 month')) AS v(name, width)
	LOOP
		RETURN QUERY EXECUTE format($q$
			WITH plain AS (SELECT aggwin.time_bucket(%L, ts) AS bucket, region, item, count(*) AS events,
					sum(value) AS total, avg(price) AS price, min(value) AS low, max(value) AS high
				FROM events WHERE item < 6 GROUP BY 1, 2, 3)
			SELECT %L, (SELECT count(*) FROM (SELECT v::text FROM %I AS v EXCEPT ALL SELECT p::text FROM plain AS p) AS x)
				+ (SELECT count(*) FROM (SELECT p::text FROM plain AS p EXCEPT ALL SELECT v::text FROM %I AS v) AS x) $q$,
			t.width, t.name, t.name, t.name);
	END LOOP;
END $$;
SELECT * FROM differences();
-- a view's refresh folds its tier and those below
SELECT aggwin.refresh('e');
SELECT * FROM differences();
SELECT rollup, pending_deltas, invalid_buckets FROM aggwin.rollup_status ORDER BY tier;
SELECT aggwin.refresh('e_1h');
SELECT * FROM differences();
SELECT aggwin.refresh('e_1mon');
SELECT * FROM differences();
SELECT aggwin.refresh('e_1mon');
SELECT rollup, pending_deltas, invalid_buckets, repairs FROM aggwin.rollup_status ORDER BY tier;
-- a new row goes up tier by tier
INSERT INTO events VALUES ('2026-02-01 12:00Z', 'r1', 1, 100, 1);
SELECT * FROM differences();
SELECT aggwin.refresh('e');
SELECT rollup, pending_deltas FROM aggwin.rollup_status ORDER BY tier;
SELECT aggwin.refresh('e_1h');
SELECT rollup, pending_deltas FROM aggwin.rollup_status ORDER BY tier;
SELECT * FROM differences();

-- Random changes, folds of any level in between, each state of things exact
CREATE PROCEDURE churn(rounds integer) LANGUAGE plpgsql AS $$
DECLARE
	found text;
	what float8;
	t timestamptz;
BEGIN
	PERFORM setseed(0.4);
	FOR i IN 1 .. rounds LOOP
		what := random();
		t := '2026-01-29 00:00Z'::timestamptz + random() * interval '14 days';
		IF what < 0.35 THEN
			INSERT INTO events SELECT t + random() * interval '3 hours', 'r' || (random() * 3)::int, random() * 7, random() * 1000, random() * 100
			FROM generate_series(1, (random() * 60)::int);
		ELSIF what < 0.45 THEN
			DELETE FROM events WHERE ts BETWEEN t AND t + interval '30 minutes';
		ELSIF what < 0.55 THEN
			UPDATE events SET ts = ts + interval '1 hour', value = value + 1 WHERE ts BETWEEN t AND t + interval '20 minutes';
		ELSIF what < 0.57 THEN
			DELETE FROM events WHERE ts IS NULL OR NOT isfinite(ts);
		ELSIF what < 0.60 THEN
			INSERT INTO events VALUES (NULL, 'r1', 1, i, 1), ('infinity', 'r1', 1, i, 2);
		ELSIF what < 0.75 THEN
			PERFORM aggwin.refresh('e');
		ELSIF what < 0.87 THEN
			PERFORM aggwin.refresh('e_1h');
		ELSIF what < 0.97 THEN
			PERFORM aggwin.refresh('e_1d');
		ELSE
			PERFORM aggwin.refresh('e_1mon');
		END IF;
		COMMIT;
		SELECT string_agg(d.tier || ': ' || differ, ', ') INTO found FROM differences() AS d WHERE differ > 0;
		IF found IS NOT NULL THEN
			RAISE EXCEPTION 'round %, step %: %', i, what, found;
		END IF;
	END LOOP;
END $$;
CALL churn(80);
SELECT aggwin.refresh('e_1mon') IS NOT NULL AS folded;
SELECT * FROM differences();

-- Coarser keys, on top
SELECT aggwin.add_tier('e', '1 year', keys => '{region}', name => 'e_yearly', retention => '30 years');
SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'e_yearly' ORDER BY ordinal_position;
CREATE VIEW plain_yearly AS SELECT aggwin.time_bucket('1 year', ts) AS bucket, region, count(*) AS events,
		sum(value) AS total, avg(price) AS price, min(value) AS low, max(value) AS high
	FROM events WHERE item < 6 GROUP BY 1, 2;
(TABLE e_yearly EXCEPT ALL TABLE plain_yearly) UNION ALL (TABLE plain_yearly EXCEPT ALL TABLE e_yearly);
SELECT aggwin.refresh('e_yearly');
INSERT INTO events VALUES ('2026-02-01 12:00Z', 'r1', 1, 100, 1), ('2025-02-01 12:00Z', 'r9', 1, 100, 1);
(TABLE e_yearly EXCEPT ALL TABLE plain_yearly) UNION ALL (TABLE plain_yearly EXCEPT ALL TABLE e_yearly);
SELECT aggwin.refresh('e');
(TABLE e_yearly EXCEPT ALL TABLE plain_yearly) UNION ALL (TABLE plain_yearly EXCEPT ALL TABLE e_yearly);
SELECT aggwin.refresh('e_yearly');
(TABLE e_yearly EXCEPT ALL TABLE plain_yearly) UNION ALL (TABLE plain_yearly EXCEPT ALL TABLE e_yearly);
SELECT aggwin.add_tier('e', '2 years', keys => '{item}');
SELECT aggwin.add_tier('e', '2 years', keys => '{events}');
SELECT aggwin.add_tier('e', '18 months');
SELECT aggwin.add_tier('e', '1 year');
SELECT aggwin.add_tier('e', 3600);
SELECT aggwin.add_tier('e', NULL::interval);
SELECT aggwin.add_tier('e', '-2 years');
SELECT aggwin.add_tier('e', '2 years', name => 'e_yearly');
SELECT aggwin.add_tier('events', '2 years');

-- Dropping them, from the top
SELECT aggwin.drop_tier('e_1mon');
SELECT aggwin.drop_tier('e');
SELECT aggwin.drop_tier('events');
SELECT aggwin.drop_rollup('e_1d');
DROP VIEW plain_yearly;
SELECT aggwin.drop_tier('e_yearly');
CALL churn(10);
-- a view that is dropped takes its tier and those above
DROP VIEW e_1d;
SELECT rollup FROM aggwin.rollup_status ORDER BY tier;
SELECT regexp_replace(relname, '\d+', 'N') AS relname FROM pg_class WHERE relnamespace = 'aggwin'::regnamespace AND relname LIKE '\_%' AND relkind <> 'i' ORDER BY 1;
INSERT INTO events VALUES ('2026-02-01 12:00Z', 'r1', 1, 100, 1);
SELECT aggwin.refresh('e_1h');
SELECT aggwin.add_tier('e', '1 day');
SELECT * FROM differences() WHERE false;
SELECT count(*) FROM (TABLE e_1d EXCEPT ALL SELECT aggwin.time_bucket('1 day', ts) AS bucket, region, item, count(*) AS events,
		sum(value) AS total, avg(price) AS price, min(value) AS low, max(value) AS high
	FROM events WHERE item < 6 GROUP BY 1, 2, 3) AS x;

-- Owners follow, renames do no harm
CREATE ROLE rollup_tiers_other;
GRANT CREATE, USAGE ON SCHEMA rollup_tiers TO rollup_tiers_other;
ALTER VIEW e OWNER TO rollup_tiers_other;
SELECT regexp_replace(relname, '\d+', 'N') AS relname, relowner::regrole FROM pg_class WHERE relname = 'e' OR relname ~ '^_(state|delta)_\d+_\d+$' ORDER BY 1;
ALTER VIEW e OWNER TO CURRENT_USER;
ALTER VIEW e_1h RENAME TO hourly;
ALTER TABLE events RENAME COLUMN value TO val;
INSERT INTO events VALUES ('2026-02-01 12:00Z', 'r1', 1, 100, 1);
SELECT aggwin.refresh('hourly');
SELECT sum(events) = (SELECT count(*) FROM events WHERE item < 6) AS equal FROM hourly;
CREATE OR REPLACE VIEW hourly AS SELECT NULL::timestamptz AS bucket, NULL::text AS region, 1 AS item, 1::bigint AS events, 1::bigint AS total, 1.0 AS price, 1 AS low, 1 AS high;

-- Integer times
CREATE TABLE ticks (at bigint, v integer);
INSERT INTO ticks SELECT n * 3 - 1000, n FROM generate_series(1, 3000) AS n;
SELECT aggwin.create_rollup('t', 'SELECT aggwin.time_bucket(60::bigint, at) AS bucket, sum(v) FROM ticks GROUP BY 1');
SELECT aggwin.add_tier('t', 3600);
SELECT aggwin.add_tier('t', interval '1 hour');
SELECT aggwin.add_tier('t', 'an hour');
SELECT aggwin.add_tier('t', 5400);
SELECT aggwin.refresh('t_3600');
DELETE FROM ticks WHERE at BETWEEN 100 AND 200;
INSERT INTO ticks VALUES (150, 1000);
(TABLE t_3600 EXCEPT ALL SELECT aggwin.time_bucket(3600::bigint, at), sum(v) FROM ticks GROUP BY 1)
UNION ALL (SELECT aggwin.time_bucket(3600::bigint, at), sum(v) FROM ticks GROUP BY 1 EXCEPT ALL TABLE t_3600);
SELECT aggwin.refresh('t_3600');
(TABLE t_3600 EXCEPT ALL SELECT aggwin.time_bucket(3600::bigint, at), sum(v) FROM ticks GROUP BY 1)
UNION ALL (SELECT aggwin.time_bucket(3600::bigint, at), sum(v) FROM ticks GROUP BY 1 EXCEPT ALL TABLE t_3600);

-- Time zones: days of 23, 24 and 25 hours are made of hours
CREATE TABLE zoned (ts timestamptz, v integer);
INSERT INTO zoned SELECT '2026-03-01Z'::timestamptz + n * interval '13 minutes', n FROM generate_series(1, 30000) AS n;
SELECT aggwin.create_rollup('z', $$SELECT aggwin.time_bucket('1 hour', ts, 'Europe/Berlin') AS bucket, count(*), sum(v) FROM zoned GROUP BY 1$$,
	tiers => '{1 day, 1 month}');
SELECT aggwin.refresh('z_1mon');
(TABLE z_1d EXCEPT ALL SELECT aggwin.time_bucket('1 day', ts, 'Europe/Berlin'), count(*), sum(v) FROM zoned GROUP BY 1)
UNION ALL (SELECT aggwin.time_bucket('1 month', ts, 'Europe/Berlin'), count(*), sum(v) FROM zoned GROUP BY 1 EXCEPT ALL TABLE z_1mon);

-- What does not nest
SELECT aggwin.create_rollup('bad', $$SELECT aggwin.time_bucket('1 week', ts) AS bucket, count(*) FROM events GROUP BY 1$$, tiers => '{1 month}');
SELECT aggwin.create_rollup('bad', $$SELECT aggwin.time_bucket('7 minutes', ts) AS bucket, count(*) FROM events GROUP BY 1$$, tiers => '{1 hour}');
SELECT aggwin.create_rollup('bad', $$SELECT aggwin.time_bucket('1 month', ts) AS bucket, count(*) FROM events GROUP BY 1$$, tiers => '{60 days}');
SELECT aggwin.create_rollup('bad', $$SELECT aggwin.time_bucket('1 minute', ts) AS bucket, count(*) FROM events GROUP BY 1$$, tiers => '{NULL}');
SELECT aggwin.create_rollup('a_name_that_is_nearly_as_long_as_a_name_can_be_in_postgresql_63', $$SELECT aggwin.time_bucket('1 minute', ts) AS bucket, count(*) FROM events GROUP BY 1$$, tiers => '{1 hour}');

RESET client_min_messages;
\set QUIET on
SET client_min_messages = warning;
DROP SCHEMA rollup_tiers CASCADE;
DROP ROLE rollup_tiers_other;
SELECT count(*) AS left_behind FROM pg_class WHERE relnamespace = 'aggwin'::regnamespace AND relname LIKE '\_%' AND relkind <> 'i';
