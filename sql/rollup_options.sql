-- Options of rollups: late rows, retention, pausing, invalidation
CREATE SCHEMA rollup_options;
SET search_path = rollup_options, aggwin;
SET timezone = 'UTC';
SET intervalstyle = 'postgres';

-- Late rows: dropped beyond lateness, counted, by view and fold alike
CREATE TABLE events (ts timestamptz, k text, v integer);
CREATE INDEX ON events (ts);
SELECT aggwin.create_rollup('r', $$SELECT aggwin.time_bucket('1 minute', ts) AS bucket, k, count(*) AS n, sum(v) AS v FROM events GROUP BY 1, 2$$,
	tiers => '{1 hour}', lateness => '10 minutes', late => 'drop');
SELECT options FROM aggwin.rollups;
CREATE FUNCTION totals() RETURNS TABLE (base numeric, hours numeric, source bigint, dropped bigint) LANGUAGE sql AS $$
	SELECT (SELECT sum(n) FROM r), (SELECT sum(n) FROM r_1h), (SELECT count(*) FROM events),
		(SELECT late_dropped FROM aggwin.rollup_status WHERE rollup = 'r'::regclass) $$;
INSERT INTO events SELECT '2026-03-01 12:00Z'::timestamptz + n * interval '1 minute', 'a', n FROM generate_series(0, 59) AS n;
-- nothing is closed before the first fold, so this is not late
INSERT INTO events VALUES ('2026-03-01 11:00Z', 'early', 1);
SELECT * FROM totals();
SELECT aggwin.refresh('r');
SELECT * FROM totals();
-- the watermark is 12:59, so 12:49 is the first that is open
INSERT INTO events VALUES ('2026-03-01 12:49Z', 'in time', 1), ('2026-03-01 12:48:59Z', 'late', 1), (NULL, 'no time', 1);
SELECT * FROM totals();
SELECT k FROM r WHERE k LIKE '%time' OR k = 'late';
SELECT aggwin.refresh('r_1h');
SELECT * FROM totals();
-- in one statement and many rows, too
INSERT INTO events SELECT '2026-03-01 12:40Z'::timestamptz + n * interval '1 second', 'many', n FROM generate_series(0, 999) AS n;
SELECT count(*) AS expected FROM events WHERE k <> 'late' AND NOT (k = 'many' AND ts < '2026-03-01 12:49Z');
SELECT * FROM totals();
SELECT aggwin.refresh('r_1h');
SELECT * FROM totals();
-- what is closed is not repaired: the dropped rows would come back
DELETE FROM events WHERE ts < '2026-03-01 12:30Z';
SELECT * FROM totals();
SELECT aggwin.refresh('r_1h');
SELECT * FROM totals();
SELECT refused_repairs FROM aggwin.rollup_status WHERE rollup = 'r'::regclass;
SELECT aggwin.invalidate('r', NULL, NULL);
SELECT * FROM totals();
SELECT aggwin.refresh('r_1h');
SELECT * FROM totals();
-- what is open is
DELETE FROM events WHERE ts >= '2026-03-01 12:55Z' AND k = 'a';
SELECT * FROM totals();
SELECT aggwin.refresh('r_1h');
SELECT * FROM totals();
-- from now on rows count whatever their age
SELECT aggwin.alter_rollup('r', late => 'merge');
INSERT INTO events VALUES ('2026-03-01 11:00Z', 'very late', 1);
SELECT * FROM totals();
SELECT aggwin.refresh('r_1h');
SELECT * FROM totals();
SELECT aggwin.invalidate('r', '2026-03-01 11:00Z', '2026-03-01 14:00Z');
SELECT aggwin.refresh('r_1h');
SELECT base = source AS equal, hours = source AS equal_hours FROM totals();

-- Bad options
SELECT aggwin.alter_rollup('r', late => 'maybe');
SELECT aggwin.alter_rollup('r', late => 'drop', reset => '{lateness}');
SELECT aggwin.alter_rollup('r', lateness => '-1 second');
SELECT aggwin.alter_rollup('r', retention => '0');
SELECT aggwin.alter_rollup('r', retention => '59 minutes');
SELECT aggwin.alter_rollup('r', refresh_interval => '0');
SELECT aggwin.alter_rollup('r', reset => '{refresh_interval}');
SELECT aggwin.alter_rollup('r', reset => '{nonsense}');
SELECT aggwin.alter_rollup('r_1h', lateness => '1 hour');
SELECT aggwin.alter_rollup('events', lateness => '1 hour');
SELECT aggwin.alter_rollup(NULL);
SELECT aggwin.set_tier('r_1h', reset => '{lateness}');
SELECT aggwin.create_rollup('bad', $$SELECT aggwin.time_bucket('1 minute', ts) AS bucket, count(*) FROM events GROUP BY 1$$, late => 'drop');
SELECT aggwin.create_rollup('bad', $$SELECT aggwin.time_bucket('1 minute', ts) AS bucket, count(*) FROM events GROUP BY 1$$, tiers => '{1 day}', retention => '1 hour');
SELECT aggwin.create_rollup('bad', $$SELECT aggwin.time_bucket('1 minute', ts) AS bucket, count(*) FROM events GROUP BY 1$$, late => NULL);
SELECT aggwin.create_rollup('bad', $$SELECT aggwin.time_bucket(1, v) AS bucket, count(*) FROM events GROUP BY 1$$, retention => '1 hour');
SELECT options FROM aggwin.rollups;
SELECT aggwin.alter_rollup('r', refresh_interval => '5 seconds', retention => '2 days', source_retention => '1 day');
SELECT aggwin.set_tier('r_1h', refresh_interval => '1 minute', retention => '30 days');
SELECT options FROM aggwin.rollups;
SELECT aggwin.alter_rollup('r', reset => '{retention, source_retention, lateness}');
SELECT options FROM aggwin.rollups;

-- Invalidation
SELECT aggwin.invalidate('r', '2026-03-01 12:00Z', '2026-03-01 12:00Z');
SELECT aggwin.invalidate('r', '2026-03-01 13:00Z'::timestamptz, '2026-03-01 12:00Z');
SELECT aggwin.invalidate('r', 'nonsense', NULL);
SELECT aggwin.invalidate('events', NULL, NULL);
SELECT aggwin.invalidate(NULL, NULL, NULL);
ALTER TABLE events DISABLE TRIGGER USER;
UPDATE events SET v = 1000 WHERE ts = '2026-03-01 12:50Z';
ALTER TABLE events ENABLE TRIGGER USER;
SELECT aggwin.refresh('r_1h');
SELECT (SELECT sum(v) FROM r) = (SELECT sum(v) FROM events) AS equal;
SET session_replication_role = replica;
UPDATE events SET v = 1 WHERE ts = '2026-03-01 12:50Z';
RESET session_replication_role;
SELECT aggwin.invalidate('r', timestamp '2026-03-01 12:50', timestamp '2026-03-01 12:51');
SELECT invalid_buckets FROM aggwin.rollup_status WHERE rollup = 'r'::regclass;
SELECT (SELECT sum(v) FROM r) = (SELECT sum(v) FROM events) AS equal;
SELECT aggwin.refresh('r_1h');
SELECT (SELECT sum(v) FROM r_1h) = (SELECT sum(v) FROM events) AS equal;

-- Pausing
SELECT aggwin.pause_rollup('r');
SELECT rollup, paused FROM aggwin.rollup_status ORDER BY tier;
INSERT INTO events VALUES ('2026-03-01 12:58Z', 'paused', 1);
SELECT (SELECT sum(v) FROM r) = (SELECT sum(v) FROM events) AS equal;
SELECT aggwin.resume_rollup('r');
SELECT rollup, paused FROM aggwin.rollup_status ORDER BY tier;
SELECT aggwin.pause_rollup('events');

-- Retention: each tier its own; nothing reappears, the tiers above keep it
CREATE TABLE samples (ts timestamptz, v integer);
CREATE INDEX ON samples (ts);
INSERT INTO samples SELECT date_trunc('hour', now(), 'UTC') - n * interval '10 minutes', n FROM generate_series(0, 2000) AS n;
SELECT aggwin.create_rollup('s', $$SELECT aggwin.time_bucket('10 minutes', ts) AS bucket, count(*) AS n, sum(v) AS v FROM samples GROUP BY 1$$,
	tiers => '{1 hour, 1 day}', retention => '2 days');
SELECT aggwin.set_tier('s_1h', retention => '5 days');
CREATE VIEW kept AS
	SELECT (SELECT min(bucket) FROM s) >= now() - interval '2 days 1 hour' AS base_is_short,
		(SELECT min(bucket) FROM s_1h) >= now() - interval '6 days' AS hours_are_short,
		(SELECT count(*) FROM s) BETWEEN 280 AND 300 AS base_is_full,
		(SELECT count(*) FROM s_1h) BETWEEN 119 AND 145 AS hours_are_full,
		(SELECT sum(n) FROM s_1d) = (SELECT count(*) FROM samples) AS days_are_whole,
		(SELECT sum(v) FROM s_1d) = (SELECT sum(v) FROM samples) AS values_are_right;
-- not before the tiers above have it
SELECT aggwin.refresh('s');
SELECT days_are_whole, base_is_short FROM kept;
SELECT aggwin.refresh('s_1d');
SELECT days_are_whole, values_are_right, base_is_short FROM kept;
SELECT aggwin.refresh('s_1d');
SELECT * FROM kept;
SELECT aggwin.refresh('s_1d');
SELECT * FROM kept;
-- a late row goes up, though the base does not show it
INSERT INTO samples VALUES (now() - interval '10 days', 7), (now() - interval '3 days', 8);
SELECT * FROM kept;
SELECT aggwin.refresh('s');
SELECT * FROM kept;
SELECT aggwin.refresh('s_1h');
SELECT * FROM kept;
SELECT aggwin.refresh('s_1d');
SELECT * FROM kept;
-- changes of what has expired cannot be followed, and are counted
DELETE FROM samples WHERE ts < now() - interval '4 days';
SELECT base_is_full, hours_are_full, days_are_whole FROM kept;
SELECT aggwin.refresh('s_1d');
SELECT base_is_full, hours_are_full, days_are_whole FROM kept;
SELECT sum(n) AS history FROM s_1d;
SELECT refused_repairs FROM aggwin.rollup_status WHERE rollup = 's'::regclass;
-- changes of what has not are
DELETE FROM samples WHERE ts > now() - interval '3 hours';
SELECT (SELECT sum(n) FROM s WHERE bucket > now() - interval '1 day') = (SELECT count(*) FROM samples WHERE ts > now() - interval '1 day') AS about;
SELECT (SELECT max(bucket) FROM s) < now() - interval '2 hours' AS gone, (SELECT max(bucket) FROM s_1h) < now() - interval '2 hours' AS gone_1h;
SELECT aggwin.refresh('s_1d');
SELECT (SELECT max(bucket) FROM s) < now() - interval '2 hours' AS gone, (SELECT max(bucket) FROM s_1h) < now() - interval '2 hours' AS gone_1h;

-- a tier that keeps less than the base: those above it do not follow, and count nothing twice
CREATE TABLE short (ts timestamptz);
CREATE INDEX ON short (ts);
INSERT INTO short SELECT now() - n * interval '10 minutes' FROM generate_series(0, 1439) AS n;
SELECT aggwin.create_rollup('short_10m', $$SELECT aggwin.time_bucket('10 minutes', ts) AS bucket, count(*) AS n FROM short GROUP BY 1$$, tiers => '{1 hour, 1 day}');
SELECT aggwin.set_tier('short_10m_1h', retention => '2 days');
SELECT aggwin.refresh('short_10m_1d');
SELECT aggwin.refresh('short_10m_1d');
CREATE VIEW short_sums AS SELECT (SELECT sum(n) FROM short_10m) = (SELECT count(*) FROM short) AS base, (SELECT sum(n) FROM short_10m_1d) AS days;
DELETE FROM short WHERE ts BETWEEN now() - interval '6 days' AND now() - interval '5 days 23 hours';
TABLE short_sums;
SELECT aggwin.refresh('short_10m');
TABLE short_sums;
SELECT aggwin.refresh('short_10m_1h');
TABLE short_sums;
SELECT aggwin.refresh('short_10m_1d');
TABLE short_sums;
INSERT INTO short VALUES (now() - interval '6 days');
TABLE short_sums;
SELECT aggwin.refresh('short_10m_1d');
TABLE short_sums;

-- What is older than source_retention is never computed anew
CREATE TABLE raw (ts timestamptz, v integer);
CREATE INDEX ON raw (ts);
INSERT INTO raw SELECT now() - n * interval '1 hour', n FROM generate_series(0, 239) AS n;
SELECT aggwin.create_rollup('kept_for_ever', $$SELECT aggwin.time_bucket('1 hour', ts) AS bucket, count(*) AS n FROM raw GROUP BY 1$$,
	tiers => '{1 day}', source_retention => '2 days');
SELECT aggwin.refresh('kept_for_ever_1d');
SELECT aggwin.refresh('kept_for_ever_1d');
SELECT aggwin.refresh('kept_for_ever_1d');
DELETE FROM raw WHERE ts < now() - interval '3 days';
SELECT sum(n) FROM kept_for_ever;
SELECT aggwin.refresh('kept_for_ever_1d');
SELECT (SELECT sum(n) FROM kept_for_ever) AS hours, (SELECT sum(n) FROM kept_for_ever_1d) AS days;
TRUNCATE raw;
SELECT (SELECT sum(n) FROM kept_for_ever) BETWEEN 190 AND 193 AS hours, (SELECT sum(n) FROM kept_for_ever_1d) BETWEEN 190 AND 193 AS days;
SELECT aggwin.refresh('kept_for_ever_1d');
SELECT (SELECT sum(n) FROM kept_for_ever) BETWEEN 190 AND 193 AS hours, (SELECT sum(n) FROM kept_for_ever_1d) BETWEEN 190 AND 193 AS days;
-- new rows still count
INSERT INTO raw VALUES (now() - interval '5 days', 1);
SELECT (SELECT sum(n) FROM kept_for_ever) BETWEEN 191 AND 194 AS hours, (SELECT sum(n) FROM kept_for_ever_1d) BETWEEN 191 AND 194 AS days;
SELECT aggwin.refresh('kept_for_ever_1d');
SELECT (SELECT sum(n) FROM kept_for_ever) BETWEEN 191 AND 194 AS hours, (SELECT sum(n) FROM kept_for_ever_1d) BETWEEN 191 AND 194 AS days;

-- Only the owner
CREATE ROLE rollup_options_other;
GRANT USAGE ON SCHEMA rollup_options TO rollup_options_other;
SET ROLE rollup_options_other;
SELECT aggwin.alter_rollup('r', retention => '1 year');
SELECT aggwin.pause_rollup('r');
SELECT aggwin.resume_rollup('r');
SELECT aggwin.invalidate('r', NULL, NULL);
SELECT aggwin.add_tier('r', '1 day');
SELECT aggwin.set_tier('r_1h', retention => '1 year');
SELECT aggwin.drop_tier('r_1h');
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA rollup_options CASCADE;
DROP ROLE rollup_options_other;
