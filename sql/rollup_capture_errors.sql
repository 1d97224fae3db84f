-- Rows for which an expression of a rollup fails.
\getenv srcdir PG_ABS_SRCDIR
\set helper :srcdir/test/lib/compare.sql
CREATE SCHEMA rollup_capture_errors;
SET search_path = rollup_capture_errors;
\set ECHO none
\i :helper
\set ECHO all
SET timezone = 'UTC';
SET datestyle = 'ISO';

CREATE TABLE events (id int, ts timestamptz, k text, v int);
CREATE INDEX ON events (ts);
SELECT make_rollup('quotients', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, k, sum(100 / v) AS q, max(v) AS top FROM events GROUP BY 1, 2
$$);
SELECT make_rollup('roots', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, count(*) AS n FROM events WHERE sqrt(v) < 10 GROUP BY 1
$$);
SELECT make_rollup('shifted', $$
	SELECT aggwin.time_bucket('1 day', ts AT TIME ZONE 'UTC' + make_interval(hours => 10 / v)) AS bucket, count(*) AS n FROM events GROUP BY 1
$$);
SELECT make_rollup('plain', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, k, count(*) AS n, min(v) AS least FROM events GROUP BY 1, 2
$$);

-- What is invalid, of all of them.
DO $$
DECLARE
	r record;
	q text;
BEGIN
	FOR r IN SELECT x.view, x.invalid FROM aggwin.rollup AS x WHERE x.source = 'events'::regclass ORDER BY x.rollup_id LOOP
		q := concat_ws(' UNION ALL ', q, format('SELECT %L AS rollup, spans::text, nulls, buckets, error FROM %s', r.view, r.invalid));
	END LOOP;
	EXECUTE 'CREATE VIEW invalid AS ' || q;
END $$;
CREATE VIEW status AS
SELECT s.rollup, s.pending_deltas, s.invalid_buckets, s.failures, s.last_error, s.last_error_at IS NOT NULL AS at
FROM aggwin.rollup_status AS s JOIN aggwin.rollup AS r ON r.view = s.rollup
WHERE r.source = 'events'::regclass ORDER BY r.rollup_id;

CREATE PROCEDURE fold_each() LANGUAGE plpgsql AS $$
DECLARE
	name regclass;
BEGIN
	FOR name IN SELECT view FROM aggwin.rollup WHERE source = 'events'::regclass ORDER BY rollup_id LOOP
		COMMIT;
		BEGIN
			PERFORM aggwin.refresh(name);
		EXCEPTION WHEN OTHERS THEN
			RAISE NOTICE '%: %', name, SQLERRM;
		END;
	END LOOP;
END $$;
CREATE FUNCTION outcomes() RETURNS TABLE (rollup regclass, outcome text) LANGUAGE plpgsql AS $$
BEGIN
	FOR rollup IN SELECT view FROM aggwin.rollup WHERE source = 'events'::regclass ORDER BY rollup_id LOOP
		BEGIN
			SELECT 'differences: ' || c.differences INTO outcome FROM compare(rollup::text) AS c;
		EXCEPTION WHEN OTHERS THEN
			outcome := SQLERRM;
		END;
		RETURN NEXT;
	END LOOP;
END $$;

-- Nothing fails --------------------------------------------------------------

INSERT INTO events VALUES (1, '2024-01-01 00:10Z', 'a', 1), (2, '2024-01-01 05:10Z', 'a', 2);
INSERT INTO events SELECT 100 + i, timestamptz '2024-01-02Z' + i * interval '10 min', 'b', i FROM generate_series(1, 50) AS i;
TABLE status;
SELECT * FROM outcomes();
CALL fold_each();
TABLE status;

-- INSERT ---------------------------------------------------------------------

-- One row, few rows, many rows. Those of other rollups count, and all other buckets.
INSERT INTO events VALUES (3, '2024-01-03 03:30Z', 'zero', 0);
SELECT * FROM invalid WHERE error IS NOT NULL;
SELECT bucket, q FROM quotients WHERE bucket = '2024-01-01 05:00Z';
SELECT * FROM quotients WHERE bucket = '2024-01-03 03:00Z';
SELECT * FROM outcomes();
TABLE status;
INSERT INTO events VALUES (4, '2024-01-04 03:30Z', 'four', 4), (5, NULL, 'zero', 0), (6, '2024-01-04 05:30Z', 'minus', -1);
INSERT INTO events SELECT 200 + i, timestamptz '2024-01-05Z' + i * interval '10 min', 'c', i FROM generate_series(-20, 20) AS i;
SELECT * FROM invalid WHERE error IS NOT NULL ORDER BY rollup, spans, error;
SELECT * FROM outcomes();
TABLE status;

-- The text of an error is for the owner.
CREATE ROLE rollup_capture_errors_guest;
GRANT USAGE ON SCHEMA rollup_capture_errors TO rollup_capture_errors_guest;
SET ROLE rollup_capture_errors_guest;
SELECT failures, last_error, last_error_at IS NOT NULL AS at FROM aggwin.rollup_status WHERE rollup = 'rollup_capture_errors.quotients'::regclass;
SELECT f.failures, f.last_error FROM (SELECT rollup_id FROM aggwin.rollup WHERE view = 'rollup_capture_errors.quotients'::regclass) AS r,
	aggwin.rollup_failures(r.rollup_id) AS f;
RESET ROLE;
REVOKE USAGE ON SCHEMA rollup_capture_errors FROM rollup_capture_errors_guest;
DROP ROLE rollup_capture_errors_guest;

-- As long as the rows are there, a repair fails as the query does.
CALL fold_each();
SELECT * FROM outcomes();

-- All is well when they are gone.
DELETE FROM events WHERE v <= 0;
SELECT rollup, spans, error FROM invalid WHERE rollup = 'shifted' ORDER BY spans;
SELECT * FROM outcomes();
CALL fold_each();
SELECT * FROM outcomes();
SELECT rollup, pending_deltas, invalid_buckets FROM status;

-- UPDATE, DELETE -------------------------------------------------------------

INSERT INTO events VALUES (10, '2024-02-01 03:30Z', 'ten', 10);
CALL fold_each();
UPDATE events SET v = 0, ts = ts + '1 day' WHERE id = 10;
SELECT * FROM invalid ORDER BY rollup, spans, error;
SELECT * FROM outcomes();
UPDATE events SET v = -5 WHERE id = 10;
SELECT * FROM outcomes();
CALL fold_each();
-- What fails for old rows only is no error.
UPDATE events SET v = 7 WHERE id = 10;
SELECT * FROM invalid ORDER BY rollup, spans, error;
CALL fold_each();
SELECT * FROM outcomes();
UPDATE events SET v = -7 WHERE id = 10;
CALL fold_each();
DELETE FROM events WHERE id = 10;
SELECT * FROM invalid ORDER BY rollup, spans, error;
CALL fold_each();
SELECT * FROM outcomes();
TABLE invalid;
-- Both at once.
CREATE UNIQUE INDEX ON events (id);
INSERT INTO events VALUES (1, '2024-02-02 03:30Z', 'new', 0), (11, '2024-02-02 03:30Z', 'new', 0) ON CONFLICT (id) DO UPDATE SET v = excluded.v;
SELECT * FROM invalid ORDER BY rollup, spans, error;
SELECT * FROM outcomes();
MERGE INTO events AS e USING (VALUES (1), (11), (12)) AS n(id) ON e.id = n.id
	WHEN MATCHED AND n.id = 1 THEN UPDATE SET v = 5
	WHEN MATCHED THEN DELETE
	WHEN NOT MATCHED THEN INSERT VALUES (12, '2024-02-02 05:30Z', 'new', 12);
CALL fold_each();
SELECT * FROM outcomes();
TABLE invalid;

-- Transactions ---------------------------------------------------------------

-- An attempt leaves no trace: savepoints, errors caught by others, no transaction id.
BEGIN;
SELECT pg_current_xact_id() AS xid \gset
SAVEPOINT a;
INSERT INTO events VALUES (20, '2024-03-01 03:30Z', 'zero', 0);
ROLLBACK TO a;
INSERT INTO events VALUES (21, '2024-03-01 04:30Z', 'zero', 0), (22, '2024-03-01 04:30Z', 'one', 1);
SAVEPOINT b;
INSERT INTO events VALUES (23, '2024-03-01 05:30Z', 'zero', 0);
RELEASE b;
SELECT rollup, spans FROM invalid ORDER BY rollup, spans, error;
COMMIT;
SELECT * FROM outcomes();
DO $$
BEGIN
	BEGIN
		INSERT INTO events VALUES (24, '2024-03-01 06:30Z', 'zero', 0);
		RAISE EXCEPTION 'undo';
	EXCEPTION WHEN raise_exception THEN
		NULL;
	END;
	INSERT INTO events VALUES (25, '2024-03-01 07:30Z', 'zero', 0);
END $$;
SELECT rollup, spans FROM invalid WHERE rollup = 'quotients' ORDER BY rollup, spans, error;
DELETE FROM events WHERE v = 0;
CALL fold_each();
SELECT * FROM outcomes();

-- All that is written is written by the transaction itself, not by an attempt's.
SELECT view, delta, invalid FROM aggwin.rollup WHERE view = 'quotients'::regclass \gset
BEGIN;
INSERT INTO events SELECT 300 + i, timestamptz '2024-04-01Z' + i * interval '10 min', 'd', i FROM generate_series(1, 100) AS i;
INSERT INTO events VALUES (30, '2024-04-01 03:30Z', 'zero', 0);
SELECT bool_and(xmin = pg_current_xact_id()::xid), count(*) FROM :delta WHERE xid = pg_current_xact_id();
SELECT bool_and(xmin = pg_current_xact_id()::xid), count(*) FROM :invalid WHERE xid = pg_current_xact_id();
COMMIT;

-- Many wide groups, more than are kept in memory, before one that fails, and without.
SELECT make_rollup('wide', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, k, max(repeat(k, 10 + 100 / v)) AS m FROM events GROUP BY 1, 2
$$);
DELETE FROM events WHERE v = 0;
SELECT aggwin.refresh('wide');
INSERT INTO events SELECT 1000 + i, timestamptz '2024-05-01Z' + i * interval '1 min', rpad('w' || i, 300, 'w'), 50 FROM generate_series(1, 3000) AS i;
SELECT pending_deltas FROM aggwin.rollup_status WHERE rollup = 'wide'::regclass;
SELECT * FROM compare('wide');
INSERT INTO events SELECT 5000 + i, timestamptz '2024-06-01Z' + i * interval '1 min', rpad('w' || i, 300, 'w'), 2999 - i FROM generate_series(1, 3000) AS i;
SELECT pending_deltas, invalid_buckets, last_error FROM aggwin.rollup_status WHERE rollup = 'wide'::regclass;
DELETE FROM events WHERE v = 0;
SELECT * FROM fold_and_compare('wide');
SELECT aggwin.drop_rollup('wide');
DELETE FROM events WHERE id >= 1000;
CALL fold_each();

-- Which errors are let through ------------------------------------------------

CREATE FUNCTION fails(v int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	CASE v
		WHEN 1001 THEN RAISE 'of the caller' USING ERRCODE = 'P0001';
		WHEN 1002 THEN RAISE 'of a domain' USING ERRCODE = '23514';
		WHEN 1003 THEN RAISE 'of rights' USING ERRCODE = '42501';
		WHEN 1101 THEN RAISE 'cancelled' USING ERRCODE = '57014';
		WHEN 1102 THEN RAISE 'out of memory' USING ERRCODE = '53200';
		WHEN 1103 THEN RAISE 'not serializable' USING ERRCODE = '40001';
		WHEN 1104 THEN RAISE 'deadlock' USING ERRCODE = '40P01';
		WHEN 1105 THEN RAISE 'broken' USING ERRCODE = 'XX001';
		WHEN 1106 THEN RAISE 'shut down' USING ERRCODE = '57P01';
		WHEN 1107 THEN RAISE 'too deep' USING ERRCODE = '54001';
		WHEN 1108 THEN RAISE 'lock not available' USING ERRCODE = '55P03';
		ELSE RETURN v;
	END CASE;
END $$;
SELECT make_rollup('failing', 'SELECT aggwin.time_bucket(''1 hour'', ts) AS bucket, sum(fails(v)) AS v FROM events GROUP BY 1');
SELECT aggwin.refresh('failing');
\set VERBOSITY terse
INSERT INTO events VALUES (1101, '2024-07-01Z', 'x', 1101);
INSERT INTO events VALUES (1102, '2024-07-01Z', 'x', 1102);
INSERT INTO events VALUES (1103, '2024-07-01Z', 'x', 1103);
INSERT INTO events VALUES (1104, '2024-07-01Z', 'x', 1104);
INSERT INTO events VALUES (1105, '2024-07-01Z', 'x', 1105);
INSERT INTO events VALUES (1106, '2024-07-01Z', 'x', 1106);
INSERT INTO events VALUES (1107, '2024-07-01Z', 'x', 1107);
INSERT INTO events VALUES (1108, '2024-07-01Z', 'x', 1108);
INSERT INTO events SELECT 1200 + i, '2024-07-01Z', 'x', 1101 FROM generate_series(1, 40) AS i;
-- Also in a block that catches them.
DO $$
BEGIN
	INSERT INTO events VALUES (1101, '2024-07-01Z', 'x', 1103);
EXCEPTION WHEN serialization_failure THEN
	INSERT INTO events VALUES (1101, '2024-07-01Z', 'x', 3);
END $$;
SELECT pending_deltas, invalid_buckets, failures FROM aggwin.rollup_status WHERE rollup = 'failing'::regclass;
INSERT INTO events VALUES (1001, '2024-07-01Z', 'x', 1001);
INSERT INTO events VALUES (1002, '2024-07-01Z', 'x', 1002);
INSERT INTO events VALUES (1003, '2024-07-01Z', 'x', 1003);
SELECT pending_deltas, invalid_buckets, failures, last_error FROM aggwin.rollup_status WHERE rollup = 'failing'::regclass;
\set VERBOSITY default
DELETE FROM events WHERE v > 1000;
SELECT * FROM fold_and_compare('failing');
SELECT aggwin.drop_rollup('failing');

-- A key too wide for an index is an error of the statement, on every path.
\set VERBOSITY terse
SELECT repeat(string_agg(md5(i::text), ''), 4) AS wide FROM generate_series(1, 300) AS i \gset
INSERT INTO events VALUES (1300, '2024-07-01Z', :'wide', 1);
INSERT INTO events SELECT 1300 + i, '2024-07-01Z', string_agg(md5((i * 1000 + j)::text), ''), 1 FROM generate_series(1, 40) AS i, generate_series(1, 300) AS j GROUP BY i;
UPDATE events SET k = (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 300) AS i) WHERE id = 1;
\set VERBOSITY default

-- aggwin.strict_capture ------------------------------------------------------

SET aggwin.strict_capture = on;
INSERT INTO events VALUES (40, '2024-08-01 03:30Z', 'zero', 0);
INSERT INTO events SELECT 2400 + i, '2024-08-01Z', 'zero', i FROM generate_series(-20, 20) AS i;
RESET aggwin.strict_capture;
INSERT INTO events VALUES (40, '2024-08-01 03:30Z', 'zero', 0), (41, '2024-08-01 03:30Z', 'one', 1);
-- Nothing keeps such rows from being put right, or from going.
SET aggwin.strict_capture = on;
UPDATE events SET v = 0 WHERE id = 41;
UPDATE events SET v = 3 WHERE id = 40;
UPDATE events SET v = 3 WHERE id = 41;
RESET aggwin.strict_capture;
UPDATE events SET v = 0 WHERE id IN (40, 41);
SET aggwin.strict_capture = on;
DELETE FROM events WHERE id IN (40, 41);
RESET aggwin.strict_capture;
CALL fold_each();
SELECT * FROM outcomes();
-- It is not for everybody to set.
CREATE ROLE rollup_capture_errors_writer;
SET ROLE rollup_capture_errors_writer;
SET aggwin.strict_capture = on;
RESET ROLE;
GRANT SET ON PARAMETER aggwin.strict_capture TO rollup_capture_errors_writer;
SET ROLE rollup_capture_errors_writer;
SET aggwin.strict_capture = on;
RESET ROLE;
RESET aggwin.strict_capture;
REVOKE SET ON PARAMETER aggwin.strict_capture FROM rollup_capture_errors_writer;
DROP ROLE rollup_capture_errors_writer;

-- What cannot fail ----------------------------------------------------------

-- A bucket that cannot be told, of a rollup that otherwise cannot fail.
SELECT make_rollup('ancient', 'SELECT aggwin.time_bucket(''1 hour'', ts, timestamptz ''2000-01-01 00:00:30Z'') AS bucket, count(*) AS n, sum(v) AS v, max(k) AS k FROM events WHERE v IS NOT NULL GROUP BY 1');
SELECT aggwin.refresh('ancient');
INSERT INTO events VALUES (50, '-infinity', 'x', 1), (51, '1899-12-31 23:30Z', 'x', 1), (52, NULL, 'x', 1), (53, 'infinity', 'x', 1), (54, '1900-01-01Z', 'x', 1);
SELECT * FROM compare('ancient');
INSERT INTO events VALUES (55, '4714-11-24 00:00:10Z BC', 'x', 1);
SELECT invalid_buckets, failures, last_error FROM aggwin.rollup_status WHERE rollup = 'ancient'::regclass;
SELECT n FROM ancient WHERE bucket = '2024-01-01 00:00:30Z';
DELETE FROM events WHERE id = 55;
SELECT * FROM fold_and_compare('ancient');
SELECT aggwin.drop_rollup('ancient');
-- The width does not let even the least time that is otherwise safe be told.
SELECT make_rollup('aeons', 'SELECT aggwin.time_bucket(''10000 years'', ts) AS bucket, count(*) AS n FROM events GROUP BY 1');
\set VERBOSITY terse
SELECT aggwin.refresh('aeons');
\set VERBOSITY default
DELETE FROM events WHERE ts < '2000-01-01Z';
SELECT aggwin.refresh('aeons');
INSERT INTO events VALUES (56, '1950-01-01Z', 'x', 1);
SELECT invalid_buckets, failures, last_error FROM aggwin.rollup_status WHERE rollup = 'aeons'::regclass;
DELETE FROM events WHERE id = 56;
SELECT * FROM fold_and_compare('aeons');

SET client_min_messages = warning;
DROP SCHEMA rollup_capture_errors CASCADE;
