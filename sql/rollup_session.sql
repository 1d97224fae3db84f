-- Rollups by session: unaligned stretches of a key's rows that grow, merge and split
\getenv srcdir PG_ABS_SRCDIR
\set helper :srcdir/test/lib/compare.sql
CREATE SCHEMA rollup_session;
SET search_path = rollup_session, aggwin;
SET timezone = 'UTC';
SET datestyle = 'ISO';
SET intervalstyle = 'postgres';
SET client_min_messages = warning;
\set ECHO none
\i :helper
\set ECHO all

-- The plain form of a rollup is not of create_rollup()'s own text: session() cannot be called.
CREATE FUNCTION make_sessions(name text, keys text, columns text, source text = 'clicks', gap interval = '30 minutes', filter text = 'true')
RETURNS regclass LANGUAGE plpgsql AS $$
DECLARE
	list text := CASE WHEN keys = '' THEN '' ELSE keys || ', ' END;
	by_key text := CASE WHEN keys = '' THEN '' ELSE ', ' || keys END;
	over text := 'PARTITION BY ' || list || ' ts IS NULL ORDER BY ts';
	ordinals text := (SELECT string_agg(n::text, ', ') FROM generate_series(1, 1 + CASE WHEN keys = '' THEN 0 ELSE array_length(string_to_array(keys, ', '), 1) END) AS n);
BEGIN
	EXECUTE format($view$CREATE VIEW %1$I AS
		SELECT CASE WHEN isfinite(min(ts)) THEN tstzrange(min(ts), max(ts) + %2$L::interval) WHEN min(ts) IS NOT NULL THEN tstzrange(min(ts), min(ts), '[]') END AS session, %3$s %4$s
		FROM (SELECT *, count(*) FILTER (WHERE begins) OVER (%6$s) AS island
			FROM (SELECT *, ts > lag(ts) OVER (%6$s) + %2$L::interval OR NOT isfinite(ts) AND ts > lag(ts) OVER (%6$s) AS begins FROM %5$s AS e) AS e) AS e
		GROUP BY ts IS NULL, island %7$s HAVING %8$s$view$, name || '_plain', gap, list, columns, source, over, by_key, filter);
	RETURN aggwin.create_rollup(quote_ident(name), format('SELECT aggwin.session(ts, %L) AS session, %s %s FROM %s GROUP BY %s HAVING %s',
		gap, list, columns, source, ordinals, filter));
END
$$;

CREATE TABLE clicks (id integer GENERATED ALWAYS AS IDENTITY, ts timestamptz, visitor text, page text, ms integer);
CREATE INDEX ON clicks (visitor, ts);
INSERT INTO clicks (ts, visitor, page, ms) VALUES ('2026-03-01 09:00', 'ann', 'home', 5), ('2026-03-01 09:10', 'ann', 'shop', 7);
SELECT make_sessions('visits', 'visitor', 'count(*) AS clicks, sum(ms) AS ms, min(page) AS page, last(page, ts) AS left_at');
SELECT make_sessions('busy', '', 'count(*) AS clicks, avg(ms) AS ms', filter => 'count(*) > 2');
SELECT make_sessions('pages', 'visitor, page', 'count(*) FILTER (WHERE ms > 5) AS slow, exp_hist_agg(ms)::text AS ms');
SELECT make_sessions('odd', 'length(visitor), page, ms % 2', 'count(*) AS clicks, stddev(ms) AS ms');

-- Whatever was there before the rollup
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM visits;

-- A gap that is just reached belongs to the session; sessions of one key neither overlap nor touch
INSERT INTO clicks (ts, visitor, page, ms) VALUES ('2026-03-01 09:40', 'ann', 'cart', 3), ('2026-03-01 10:10:00.000001', 'ann', 'home', 4), ('2026-03-01 09:40', 'ann', 'cart', 3);
SELECT * FROM visits ORDER BY session;
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM visits ORDER BY session;
-- A late row bridges two, before and after it is folded
INSERT INTO clicks (ts, visitor, page, ms) VALUES ('2026-03-01 10:00', 'ann', 'cart', 2);
SELECT * FROM visits ORDER BY session;
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();
SELECT repairs FROM rollup_status WHERE rollup = 'visits'::regclass;
-- A row that goes splits it, at the front, in the middle or as a whole
DELETE FROM clicks WHERE ts = '2026-03-01 10:00';
SELECT * FROM visits ORDER BY session;
DELETE FROM clicks WHERE ts = '2026-03-01 09:00';
SELECT * FROM visits ORDER BY session;
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();
SELECT repairs FROM rollup_status WHERE rollup = 'visits'::regclass;
-- A row that moves, to another time or another visitor
UPDATE clicks SET ts = ts + '2 hours' WHERE page = 'shop';
SELECT * FROM compare_all();
UPDATE clicks SET visitor = 'bob' WHERE ms = 3;
SELECT * FROM visits ORDER BY visitor, session;
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();
-- One that nobody reads is no change
UPDATE clicks SET id = DEFAULT;
SELECT pending_deltas FROM rollup_status WHERE rollup = 'visits'::regclass;

-- No key, no time, no bounds of time
INSERT INTO clicks (ts, visitor, page, ms) VALUES (NULL, 'ann', 'home', 1), (NULL, NULL, NULL, NULL), (NULL, 'ann', 'home', 2),
	('2026-03-01 09:20', NULL, 'home', 1), ('2026-03-01 09:45', NULL, NULL, 2), ('infinity', 'ann', 'home', 1), ('infinity', 'ann', 'shop', 1),
	('-infinity', 'ann', 'home', 1), ('294276-12-31 23:59', 'ann', 'home', 1);
SELECT * FROM visits WHERE visitor IS NULL OR session IS NULL OR upper(session) = 'infinity' OR session = '[-infinity,-infinity]' ORDER BY visitor, session;
DELETE FROM clicks WHERE ts > '290000-01-01' AND isfinite(ts);
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();
INSERT INTO clicks (ts, visitor, page, ms) VALUES (NULL, 'ann', 'home', 3), ('2026-03-01 10:15', NULL, NULL, 2), ('infinity', 'ann', 'home', 1);
SELECT * FROM compare_all();
CALL fold_all();
DELETE FROM clicks WHERE ts IS NULL AND ms = 2 OR ts = '2026-03-01 09:45' OR ts = 'infinity' AND page = 'shop';
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();

-- Many rows in a statement, as many as make up sessions by themselves
INSERT INTO clicks (ts, visitor, page, ms)
SELECT '2026-03-02'::timestamptz + n * n % 5003 * interval '1 minute', chr(97 + n % 7), chr(97 + n % 3), n % 10 FROM generate_series(1, 1500) AS n;
SELECT * FROM compare_all();
SELECT pending_deltas < 1500 AS grouped FROM rollup_status WHERE rollup = 'visits'::regclass;
CALL fold_all();
SELECT * FROM compare_all();
DELETE FROM clicks WHERE id % 5 = 0;
UPDATE clicks SET ts = ts + '45 minutes' WHERE id % 11 = 0;
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();

-- Conditions on the session find it by an index
SET enable_seqscan = off;
CREATE FUNCTION index_conditions(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		IF line ~ 'Index Cond: .*2026' THEN
			RETURN NEXT regexp_replace(line, '^ *', '');
		END IF;
	END LOOP;
END
$$;
SELECT * FROM index_conditions($$SELECT * FROM visits WHERE session && tstzrange('2026-03-02 10:00', '2026-03-02 11:00')$$);
RESET enable_seqscan;

-- All of a span, of all keys
ALTER TABLE clicks DISABLE TRIGGER USER;
INSERT INTO clicks (ts, visitor, page, ms) SELECT '2026-03-02'::timestamptz + n * interval '7 minutes', chr(97 + n % 3), 'x', n FROM generate_series(1, 50) AS n;
DELETE FROM clicks WHERE ts BETWEEN '2026-03-02 02:00' AND '2026-03-02 05:00' AND id % 2 = 0;
SELECT * FROM compare_all();
SELECT adopt_rollups();
CALL fold_all();
SELECT * FROM compare_all();
-- or as much of it as somebody asks for
SELECT invalidate(r.rollup, '2026-03-02 01:00', '2026-03-02 03:00') FROM rollups AS r;
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();
TRUNCATE clicks;
SELECT * FROM compare_all();
INSERT INTO clicks (ts, visitor, page, ms) VALUES ('2026-03-03 09:00', 'ann', 'home', 5);
SELECT * FROM visits;
CALL fold_all();
SELECT * FROM visits;

-- Counters say when two parts of a session cannot be merged exactly
CREATE TABLE readings (ts timestamptz, host text, value float8);
SELECT make_sessions('counters', 'host', 'counter_agg(ts, value)::text AS c', 'readings', '10 minutes');
INSERT INTO readings VALUES ('2026-03-01 09:00', 'a', 10), ('2026-03-01 09:04', 'a', 30);
CALL fold_all();
INSERT INTO readings VALUES ('2026-03-01 09:02', 'a', 5), ('2026-03-01 09:06', 'a', 40);
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();
DROP TABLE readings CASCADE;

-- Equality is that of the type, NULL or not; a day is a day in all time zones
CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE named (ts timestamptz, name text COLLATE blind, "User" numeric);
SELECT make_sessions('by_name', 'name', 'count(*) AS n', 'named', '1 day');
SELECT make_sessions('by_number', '"User"', 'count(*) AS n', 'named', '1 day');
INSERT INTO named VALUES ('2026-03-28 12:00+01', 'Ann', 1.0), ('2026-03-29 13:00+02', 'ann', 1.00);
CALL fold_all();
INSERT INTO named VALUES ('2026-03-29 13:00+02', 'ANN', 1.000), ('2026-03-28 11:00+01', 'aNN', 1);
SET timezone = 'Europe/Berlin';
SELECT n, session FROM by_name;
SELECT n, session FROM by_number;
CALL fold_all();
SELECT n, session FROM by_name;
SELECT n, session FROM by_number;
SET timezone = 'UTC';
DROP TABLE named CASCADE;
-- also without a time zone
CREATE TABLE local (ts timestamp, k integer);
SELECT create_rollup('by_local', $$SELECT session(ts, '1 hour') AS s, k, count(*), upper(session(ts, '1 hour')) - lower(session(ts, '1 hour')) AS length FROM local GROUP BY 1, 2$$);
INSERT INTO local VALUES ('2026-03-01 09:00', 1), ('2026-03-01 10:00', 1), ('2026-03-01 11:00:00.1', 1);
SELECT * FROM by_local;
SELECT refresh('by_local');
SELECT * FROM by_local;
DROP TABLE local CASCADE;

-- Late rows: by the time of the row
DROP VIEW visits, busy, pages, odd;
TRUNCATE clicks;
SELECT create_rollup('open', $$SELECT session(ts, '30 minutes') AS session, visitor, count(*) AS n FROM clicks GROUP BY 1, 2$$,
	lateness => '1 hour', late => 'drop');
INSERT INTO clicks (ts, visitor) VALUES ('2026-03-01 09:00', 'ann'), ('2026-03-01 11:00', 'ann'), ('2026-03-01 12:00', 'bob');
SELECT refresh('open');
-- the watermark is 12:00, so 11:00 is the first that is open
INSERT INTO clicks (ts, visitor) VALUES ('2026-03-01 09:10', 'ann');
INSERT INTO clicks (ts, visitor) VALUES ('2026-03-01 10:59', 'ann');
INSERT INTO clicks (ts, visitor) VALUES ('2026-03-01 11:01', 'ann');
SELECT * FROM open ORDER BY visitor, session;
SELECT refresh('open');
SELECT * FROM open ORDER BY visitor, session;
SELECT late_dropped, refused_repairs FROM rollup_status WHERE rollup = 'open'::regclass;
-- a row by itself, not with those that came in the same statement
INSERT INTO clicks (ts, visitor) SELECT '2026-03-01 10:50'::timestamptz + n * interval '10 seconds', 'dan' FROM generate_series(0, 119) AS n;
SELECT * FROM open WHERE visitor = 'dan';
SELECT refresh('open');
SELECT * FROM open WHERE visitor = 'dan';
-- what has begun in closed time remains, what has begun after it is repaired
INSERT INTO clicks (ts, visitor) VALUES ('2026-03-01 11:40', 'cat'), ('2026-03-01 11:50', 'cat');
SELECT refresh('open');
DELETE FROM clicks WHERE ts IN ('2026-03-01 09:00', '2026-03-01 11:40');
SELECT * FROM open ORDER BY visitor, session;
SELECT refresh('open');
SELECT * FROM open ORDER BY visitor, session;
SELECT late_dropped, refused_repairs FROM rollup_status WHERE rollup = 'open'::regclass;
SELECT invalidate('open', NULL, NULL);
SELECT * FROM open ORDER BY visitor, session;
SELECT refresh('open');
SELECT * FROM open ORDER BY visitor, session;

-- Retention drops sessions that have ended long ago
DROP VIEW open;
TRUNCATE clicks;
SELECT create_rollup('recent', $$SELECT session(ts, '30 minutes') AS session, visitor, count(*) AS n FROM clicks GROUP BY 1, 2$$, retention => '1 day');
INSERT INTO clicks (ts, visitor) SELECT now() - interval '50 hours' + n * interval '20 minutes', 'ann' FROM generate_series(1, 10) AS n;
INSERT INTO clicks (ts, visitor) SELECT now() - interval '30 hours' + n * interval '20 minutes', 'bob' FROM generate_series(1, 60) AS n;
SELECT visitor, n FROM recent ORDER BY 1;
SELECT refresh('recent');
SELECT visitor, n FROM recent ORDER BY 1;
SELECT refresh('recent');
INSERT INTO clicks (ts, visitor) VALUES (now() - interval '49 hours', 'ann'), (now() - interval '29 hours', 'bob'), (now() - interval '4 hours', 'bob');
SELECT visitor, n FROM recent ORDER BY 1, 2;
SELECT refresh('recent');
SELECT visitor, n FROM recent ORDER BY 1, 2;
-- all of a session that goes on is counted anew
DELETE FROM clicks WHERE ts > now() - interval '15 hours' AND ts < now() - interval '14 hours';
SELECT visitor, n FROM recent ORDER BY 1, 2;
SELECT refresh('recent');
SELECT visitor, n FROM recent ORDER BY 1, 2;
-- also a row that has changed past the triggers
SELECT invalidate('recent', NULL, NULL);
SELECT visitor, n FROM recent ORDER BY 1, 2;
SELECT refresh('recent');
SELECT visitor, n FROM recent ORDER BY 1, 2;
DROP VIEW recent;

-- Partitions that go leave their sessions behind
CREATE TABLE events (ts timestamptz, k integer) PARTITION BY RANGE (ts);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-03-01') TO ('2026-03-02');
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2026-03-02') TO ('2026-03-03');
SELECT create_rollup('parted', $$SELECT session(ts, '1 hour') AS session, k, count(*) AS n FROM events GROUP BY 1, 2$$);
INSERT INTO events SELECT '2026-03-01 20:00'::timestamptz + n * interval '30 minutes', n / 20 FROM generate_series(0, 39) AS n;
SELECT refresh('parted');
SELECT * FROM parted ORDER BY k, session;
DROP TABLE events_1;
SELECT * FROM parted ORDER BY k, session;
INSERT INTO events VALUES ('2026-03-02 06:30', 0);
SELECT * FROM parted ORDER BY k, session;
-- what reaches back into them is not counted anew
DELETE FROM events WHERE ts IN ('2026-03-02 01:00', '2026-03-02 12:00');
UPDATE events SET ts = ts + '1 minute' WHERE ts = '2026-03-02 05:00';
SELECT * FROM parted ORDER BY k, session;
SELECT refresh('parted');
SELECT * FROM parted ORDER BY k, session;
SELECT refused_repairs FROM rollup_status WHERE rollup = 'parted'::regclass;
SELECT invalidate('parted', NULL, NULL);
SELECT * FROM parted ORDER BY k, session;
SELECT refresh('parted');
SELECT * FROM parted ORDER BY k, session;
CREATE TABLE events_3 PARTITION OF events FOR VALUES FROM ('2026-03-03') TO ('2026-03-04');
CREATE TABLE events_4 (LIKE events);
INSERT INTO events_4 SELECT '2026-03-04'::timestamptz + n * interval '30 minutes', 7 FROM generate_series(0, 3) AS n;
ALTER TABLE events ATTACH PARTITION events_4 FOR VALUES FROM ('2026-03-04') TO ('2026-03-05');
INSERT INTO events VALUES ('2026-03-03 23:30', 7);
SELECT * FROM parted WHERE k = 7;
SELECT refresh('parted');
SELECT * FROM parted WHERE k = 7;
DROP TABLE events CASCADE;

-- An expression that fails for a row does not stop its statement
CREATE TABLE fragile (ts timestamptz, k integer, v integer);
SELECT make_sessions('fractions', 'k', 'sum(100 / v) AS s', 'fragile');
INSERT INTO fragile VALUES ('2026-03-01 09:00', 1, 5), ('2026-03-01 09:10', 2, 5);
CALL fold_all();
INSERT INTO fragile VALUES ('2026-03-01 09:20', 1, 0);
SELECT * FROM fractions;
SELECT failures, last_error FROM rollup_status WHERE rollup = 'fractions'::regclass;
DELETE FROM fragile WHERE v = 0;
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();
-- nor does one that only a change of the row makes fail
INSERT INTO fragile VALUES ('2026-03-01 09:20', 1, 3);
UPDATE fragile SET v = 0 WHERE v = 3;
SELECT * FROM fractions;
UPDATE fragile SET v = 1 WHERE v = 0;
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();

-- What else is done to rollups
SELECT add_column('fractions', 'most', 'max(v)');
SELECT * FROM fractions ORDER BY k;
SELECT refresh('fractions');
SELECT * FROM fractions ORDER BY k;
SELECT pause_rollup('fractions');
SELECT resume_rollup('fractions');
SELECT alter_rollup('fractions', refresh_interval => '5 seconds', source_retention => '1000 years');
SELECT rollup, tiers, options FROM rollups;
SELECT refresh('fractions');
SELECT tier, watermark, pending_deltas, invalid_buckets FROM rollup_status;
SELECT add_tier('fractions', '1 hour'::interval);
SELECT * FROM query_range(NULL::fractions, '2026-03-01'::timestamptz, '2026-03-02'::timestamptz);
SELECT drop_rollup('fractions');

-- Refused
SELECT aggwin.session(now(), '5 minutes');
SELECT aggwin.session(NULL::timestamp, '5 minutes');
SELECT count(*) FROM clicks GROUP BY aggwin.session(ts, '5 minutes');
\set VERBOSITY terse
SELECT create_rollup('no', 'SELECT session(ts, NULL), count(*) FROM clicks GROUP BY 1');
SELECT create_rollup('no', 'SELECT session(ts, ms * interval ''1 second''), count(*) FROM clicks GROUP BY 1');
SELECT create_rollup('no', 'SELECT session(ts, ''0''), count(*) FROM clicks GROUP BY 1');
SELECT create_rollup('no', 'SELECT session(ts, ''-1 day''), count(*) FROM clicks GROUP BY 1');
SELECT create_rollup('no', 'SELECT session(ts, ''1 month''), count(*) FROM clicks GROUP BY 1');
SELECT create_rollup('no', 'SELECT session(timestamptz ''2026-03-01 00:00Z'', ''1 hour''), count(*) FROM clicks GROUP BY 1');
SELECT create_rollup('no', 'SELECT session(ts, ''1 hour''), session(ts, ''2 hours''), count(*) FROM clicks GROUP BY 1, 2');
SELECT create_rollup('no', 'SELECT session(ts, ''1 hour''), time_bucket(''2 hours'', ts), count(*) FROM clicks GROUP BY 1, 2');
SELECT create_rollup('no', 'SELECT session(ts, ''1 hour''), lower(session(ts, ''1 hour'')), count(*) FROM clicks GROUP BY 1, 2');
SELECT create_rollup('no', 'SELECT session(ts, ''1 hour''), max(lower(session(ts, ''1 hour''))) FROM clicks GROUP BY 1');
SELECT create_rollup('no', 'SELECT time_bucket(''1 hour'', ts), count(session(ts, ''1 hour'')) FROM clicks GROUP BY 1');
SELECT create_rollup('no', 'SELECT session(ts, ''1 hour''), count(*) FROM clicks WHERE isempty(session(ts, ''1 hour'')) GROUP BY 1');
SELECT create_rollup('no', 'SELECT lower(session(ts, ''1 hour'')), count(*) FROM clicks GROUP BY 1');
SELECT create_rollup('no', 'SELECT session(ts, ''1 hour''), count(*) FROM clicks GROUP BY 1', tiers => '{1 day}');
SELECT create_rollup('named', 'SELECT session(gap => ''1 hour'', ts => ts) AS session, count(*) FROM clicks GROUP BY 1');
\set VERBOSITY default
SELECT count FROM named ORDER BY session LIMIT 1;

DROP SCHEMA rollup_session CASCADE;
