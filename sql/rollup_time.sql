-- The time key: every type of time, origin, time zone, months, NULL and infinity.
\getenv srcdir PG_ABS_SRCDIR
\set helper :srcdir/test/lib/compare.sql
CREATE SCHEMA rollup_time;
SET search_path = rollup_time;
\set ECHO none
\i :helper
\set ECHO all
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';

CREATE TABLE events (tz timestamptz, t timestamp, d date, i8 bigint, i4 int, i2 smallint, v int);
CREATE INDEX ON events (tz);
CREATE INDEX ON events (t);
CREATE INDEX ON events (i8);

-- One rollup for each way to write a time key.
CREATE TABLE keys (name text, key text);
INSERT INTO keys VALUES
	('tz', $$time_bucket('15 minutes', tz)$$),
	('tz_origin', $$time_bucket('1 hour', tz, timestamptz '2024-01-01 00:20Z')$$),
	('tz_zone', $$time_bucket('1 day', tz, 'Europe/Berlin')$$),
	('tz_zone_hour', $$time_bucket('1 hour', tz, 'America/St_Johns')$$),
	('tz_origin_zone', $$time_bucket('1 week', tz, timestamptz '2024-01-03 05:00Z', 'Australia/Lord_Howe')$$),
	('tz_named', $$time_bucket(ts => tz, width => '1 day', timezone => 'Asia/Kathmandu')$$),
	('tz_named_origin', $$time_bucket('2 h', origin => timestamptz '2024-01-01 01:00Z', ts => tz)$$),
	('tz_month', $$time_bucket('1 month', tz)$$),
	('tz_quarter_zone', $$time_bucket('3 months', tz, 'America/New_York')$$),
	('tz_year', $$time_bucket('10 years', tz)$$),
	('tz_expression', $$time_bucket('1 hour', to_timestamp(i8))$$),
	('tz_nested', $$time_bucket('1 day', aggwin.time_bucket('3 hours', tz), 'Asia/Tokyo')$$),
	('t', $$time_bucket('1 hour', t)$$),
	('t_origin', $$time_bucket('7 days', t, timestamp '2024-01-02 12:00')$$),
	('t_month', $$time_bucket('2 months', t)$$),
	('t_shifted', $$time_bucket('1 day', tz AT TIME ZONE 'Asia/Tokyo')$$),
	('d', $$time_bucket('1 week', d)$$),
	('d_origin', $$time_bucket('10 days', d, date '2024-01-05')$$),
	('d_month', $$time_bucket('1 month', d)$$),
	('i8', $$time_bucket(1000, i8)$$),
	('i8_origin', $$time_bucket(bigint '86400', i8, bigint '-7')$$),
	('i4', $$time_bucket(10, i4)$$),
	('i4_origin', $$time_bucket(1000000, i4, 5)$$),
	('i2', $$time_bucket(7, i2)$$),
	('i8_expression', $$time_bucket(bigint '60', i4 * bigint '3' - 1000000)$$),
	('width_expression', $$time_bucket(interval '1 minute' * 7, tz)$$);

SELECT count(make_rollup(name, format('SELECT aggwin.%1$s AS bucket, v %% 3 AS k, count(*) AS n, sum(v) AS v FROM events GROUP BY aggwin.%1$s, v %% 3', key))) AS made
FROM keys;

SELECT name, format_type(a.atttypid, a.atttypmod) AS bucket, s.tiers
FROM keys JOIN aggwin.rollups AS s ON s.rollup = name::regclass
	JOIN pg_attribute AS a ON a.attrelid = s.rollup AND a.attnum = 1 ORDER BY name COLLATE "C";

-- Single rows, both sides of zero and of the epochs, around the clock's changes.
INSERT INTO events VALUES ('2024-01-01 00:20Z', '2024-01-01 00:20', '2024-01-01', 1704067200, 1704067200, 7, 1);
INSERT INTO events VALUES ('1969-12-31 23:59:59.999999Z', '1969-12-31 23:59:59.999999', '1969-12-31', -1, -1, -1, 2);
INSERT INTO events VALUES ('1999-12-31 23:59:59.999999Z', '1999-12-31 23:59:59.999999', '1999-12-31', 946684799, 946684799, -7, 3);
INSERT INTO events VALUES ('2000-01-03Z', '2000-01-03', '2000-01-03', 0, 0, 0, 4);
INSERT INTO events VALUES ('0044-03-15 12:00Z BC', '0044-03-15 12:00 BC', '0044-03-15 BC', -63500000000, -2146000000, -32768, 5);
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();

-- Batches: a row every 49 minutes over the changes of spring and autumn.
INSERT INTO events SELECT ts, ts AT TIME ZONE 'UTC', ts::date, extract(epoch FROM ts)::bigint, i, i % 1000, i
FROM generate_series(1, 400) AS i, LATERAL (SELECT timestamptz '2024-03-25Z' + i * '49 min'::interval) AS t (ts);
INSERT INTO events SELECT ts, ts AT TIME ZONE 'UTC', ts::date, extract(epoch FROM ts)::bigint, -i, -i % 1000, i
FROM generate_series(1, 200) AS i, LATERAL (SELECT timestamptz '2024-10-24Z' + i * '49 min'::interval) AS t (ts);
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();

-- Changes, here and there.
UPDATE events SET v = v + 1 WHERE v % 100 = 0;
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();
DELETE FROM events WHERE v % 7 = 0 AND tz > '2024-10-26Z';
UPDATE events SET tz = tz + '1 day', t = t + '1 month', d = d - 100, i8 = -i8, i4 = i4 + 1, i2 = -i2 WHERE v % 50 = 1 AND i4 > -2146000000;
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();

-- No time at all.
INSERT INTO events (v) VALUES (1), (2), (NULL);
INSERT INTO events (tz, d, i4, v) SELECT '2024-05-01Z', '2024-05-01', i, i FROM generate_series(1, 50) AS i;
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();
UPDATE events SET t = '2024-05-01', i8 = NULL, d = NULL WHERE t IS NULL;
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();
DELETE FROM events WHERE v IS NULL OR d IS NULL AND v = 2;
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();

-- Both infinities, and the ends of the ranges, alone and in a batch.
INSERT INTO events VALUES ('infinity', 'infinity', 'infinity', 253402300799, 2147483647, 32767, 1);
INSERT INTO events VALUES ('-infinity', '-infinity', '-infinity', -63500000000, -2146000000, -32768, 2);
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();
INSERT INTO events SELECT 'infinity', 'infinity', 'infinity', 253402300799, 2147483647, 32767, i FROM generate_series(1, 40) AS i;
INSERT INTO events SELECT '-infinity', '-infinity', '-infinity', -63500000000, -2146000000, -32768, i FROM generate_series(1, 40) AS i;
SELECT * FROM compare_all();
UPDATE events SET v = v + 1 WHERE v = 7 AND NOT isfinite(tz);
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();
DELETE FROM events WHERE tz = 'infinity';
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();
UPDATE events SET tz = 'infinity', t = 'infinity', d = 'infinity', i4 = 2147483647 WHERE tz = '-infinity' AND v % 2 = 0;
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();

-- The same with all of it pending, and after a repair of everything.
TRUNCATE events;
INSERT INTO events SELECT ts, ts AT TIME ZONE 'UTC', ts::date, extract(epoch FROM ts)::bigint, i, i, i
FROM generate_series(-100, 100) AS i, LATERAL (SELECT timestamptz '2000-01-01Z' + i * '77 hours'::interval) AS t (ts);
INSERT INTO events VALUES ('infinity', 'infinity', 'infinity', NULL, NULL, NULL, 1), ('-infinity', '-infinity', '-infinity', NULL, NULL, NULL, 1);
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();

-- The last times that there are.
INSERT INTO events (tz, t, d) VALUES ('294276-12-30Z', '294276-12-31 23:59:59', '5874897-12-31');
UPDATE events SET v = 1 WHERE tz = '294276-12-30Z';
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();

-- A time for which there is no bucket is an error of the statement, as of the query.
SET aggwin.strict_capture = on;
INSERT INTO events (t) VALUES ('4714-11-24 BC');
INSERT INTO events (i4) VALUES (-2147483648);
RESET aggwin.strict_capture;
SELECT * FROM compare_all();

-- Rows beyond the end of the last whole bucket.
CREATE TABLE edges (i8 bigint, i4 int);
SELECT make_rollup('edges8', $$ SELECT aggwin.time_bucket(bigint '1000', i8) AS bucket, count(*) FROM edges GROUP BY 1 $$);
SELECT make_rollup('edges4', $$ SELECT aggwin.time_bucket(1000, i4) AS bucket, count(*) FROM edges GROUP BY 1 $$);
INSERT INTO edges VALUES (9223372036854775807, 2147483647), (9223372036854775000, 2147483000), (-9223372036854775000, -2147483000);
SELECT * FROM edges8 ORDER BY 1;
SELECT * FROM edges4 ORDER BY 1;
CALL fold_all();
UPDATE edges SET i8 = i8 - 1, i4 = i4 - 1 WHERE i4 = 2147483647;
SELECT * FROM compare('edges8');
SELECT * FROM compare('edges4');
CALL fold_all();
DELETE FROM edges WHERE i4 > 0;
SELECT * FROM fold_and_compare('edges8');
SELECT * FROM fold_and_compare('edges4');

SET client_min_messages = warning;
DROP SCHEMA rollup_time CASCADE;
