-- Every way in which rows come, change and go.
\getenv srcdir PG_ABS_SRCDIR
\set helper :srcdir/test/lib/compare.sql
CREATE SCHEMA rollup_changes;
SET search_path = rollup_changes;
\set ECHO none
\i :helper
\set ECHO all

-- Columns: one that was dropped, one that older rows get by default, one generated.
CREATE TABLE events (id int, gone text, ts timestamptz, k text, v int);
ALTER TABLE events DROP COLUMN gone;
INSERT INTO events SELECT i, timestamptz '2024-01-01Z' + i * '1 min'::interval, 'old', i FROM generate_series(1, 200) AS i;
ALTER TABLE events ADD COLUMN twice int GENERATED ALWAYS AS (v * 2) STORED, ADD PRIMARY KEY (id);
ALTER TABLE events ADD COLUMN added int DEFAULT 7, ADD COLUMN note text;

SELECT make_rollup('by_hour', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, k, count(*) AS n, sum(v) AS v, max(twice) AS twice,
		sum(added) FILTER (WHERE added = 7) AS added
	FROM events WHERE added > 0 OR v > 1000000 GROUP BY 1, 2
$$);
SELECT make_rollup('by_day', $$
	SELECT aggwin.time_bucket('1 day', ts) AS bucket, added, avg(v) AS v, count(v) AS n FROM events GROUP BY 1, 2
$$);
SELECT * FROM fold_and_compare('by_hour');
SELECT * FROM fold_and_compare('by_day');

-- Rows that the added column is not stored in.
DELETE FROM events WHERE id = 7;
UPDATE events SET k = 'younger' WHERE id = 8;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');

-- INSERT --------------------------------------------------------------------

-- 32 rows are the most that are taken one by one.
INSERT INTO events (id, ts, k, v) VALUES (301, '2024-01-01 00:30Z', 'old', 1);
INSERT INTO events (id, ts, k, v) SELECT 1000 + i, timestamptz '2024-01-01Z' + i * '5 min'::interval, 'r' || i % 2, i FROM generate_series(1, 32) AS i;
INSERT INTO events (id, ts, k, v) SELECT 2000 + i, timestamptz '2024-01-01Z' + i * '5 min'::interval, 'b' || i % 2, i FROM generate_series(1, 33) AS i;
SELECT pending_deltas FROM aggwin.rollup_status WHERE rollup = 'by_hour'::regclass;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');

-- More groups than are written at once.
INSERT INTO events (id, ts, k, v) SELECT 3000 + i, timestamptz '2024-01-01Z' + i * '7 min'::interval, 'g' || i % 5, i FROM generate_series(1, 3000) AS i;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');

INSERT INTO events (id, ts, k, v, added) VALUES (302, NULL, NULL, NULL, NULL), (303, NULL, NULL, 5, 7), (304, '2024-01-01Z', NULL, 9, -1)
RETURNING id, twice;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');

COPY events (id, ts, k, v) FROM stdin;
401	2024-01-02 10:00:00Z	copy	1
402	2024-01-02 10:01:00Z	copy	2
403	\N	copy	3
\.
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');

-- UPDATE --------------------------------------------------------------------

-- A value, a key, the time; to NULL and back; into and out of WHERE; all rows.
UPDATE events SET v = v + 1 WHERE id = 401;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');
UPDATE events SET k = 'moved' WHERE id BETWEEN 2001 AND 2020;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');
UPDATE events SET ts = ts + '1 day' WHERE id BETWEEN 1001 AND 1020;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');
UPDATE events SET ts = NULL WHERE id BETWEEN 1001 AND 1003;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');
UPDATE events SET ts = '2024-01-05Z' WHERE ts IS NULL;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');
UPDATE events SET added = 0 WHERE id BETWEEN 3001 AND 3010;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');
UPDATE events SET added = 7 WHERE added = 0;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');
UPDATE events SET v = v + 1;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');

-- The generated column changes with its base; rows from before the columns count as they read.
UPDATE events SET v = 2000000 WHERE id = 5;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');
SELECT make_rollup('by_twice', $$
	SELECT aggwin.time_bucket('1 day', ts) AS bucket, max(twice) AS twice FROM events GROUP BY 1
$$);
SELECT * FROM fold_and_compare('by_twice');
UPDATE events SET v = 3000000 WHERE id = 6;
SELECT * FROM fold_and_compare('by_twice');
DELETE FROM events WHERE id = 6;
SELECT * FROM fold_and_compare('by_twice');
SELECT aggwin.drop_rollup('by_twice');

-- Columns that a rollup does not read do not concern it.
SELECT aggwin.refresh('by_day');
SELECT aggwin.refresh('by_hour');
UPDATE events SET note = 'seen';
SELECT rollup, invalid_buckets FROM aggwin.rollup_status ORDER BY rollup::text;
UPDATE events SET k = k WHERE id = 401;
SELECT rollup, invalid_buckets FROM aggwin.rollup_status ORDER BY rollup::text;

-- Unless a BEFORE trigger changes one that it does.
CREATE FUNCTION alter_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.v := NEW.v + 100;
	NEW.ts := NEW.ts + '1 hour';
	RETURN NEW;
END
$$;
CREATE TRIGGER alter_row BEFORE INSERT OR UPDATE ON events FOR EACH ROW EXECUTE FUNCTION alter_row();
UPDATE events SET note = 'seen again' WHERE id BETWEEN 100 AND 200;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');
INSERT INTO events (id, ts, k, v) VALUES (501, '2024-01-02 23:30Z', 'before', 1);
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');
DROP TRIGGER alter_row ON events;

-- DELETE, TRUNCATE ----------------------------------------------------------

DELETE FROM events WHERE id = 501;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');
DELETE FROM events WHERE k = 'old' AND id % 2 = 0;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');
-- The last rows of groups, of buckets.
DELETE FROM events WHERE k = 'g1' OR ts < '2024-01-02 00:00Z';
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');
INSERT INTO events (id, ts, k, v) VALUES (502, NULL, 'none', 1), (503, NULL, 'none', 2), (504, NULL, 'other', 3);
SELECT * FROM fold_and_compare('by_hour');
DELETE FROM events WHERE ts IS NULL AND id < 504;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');
DELETE FROM events WHERE ts IS NULL;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');

BEGIN;
TRUNCATE events;
SELECT * FROM compare('by_hour');
INSERT INTO events (id, ts, k, v) VALUES (1, '2024-01-01Z', 'after', 1);
SELECT * FROM compare('by_hour');
ROLLBACK;
SELECT * FROM compare('by_hour');
TRUNCATE events;
INSERT INTO events (id, ts, k, v) VALUES (1, '2024-01-01Z', 'after', 1), (2, '2024-01-01 01:00Z', 'after', 2);
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');
SELECT * FROM fold_and_compare('by_day');

-- Statements that do several things -----------------------------------------

INSERT INTO events (id, ts, k, v) VALUES (1, '2024-01-01Z', 'again', 10), (3, '2024-01-01 02:00Z', 'new', 3)
ON CONFLICT (id) DO UPDATE SET v = excluded.v, k = excluded.k;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');
INSERT INTO events (id, ts, k, v) VALUES (1, '2024-01-01Z', 'no', 10), (4, '2024-01-01 02:00Z', 'new', 3)
ON CONFLICT DO NOTHING;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');

INSERT INTO events (id, ts, k, v)
SELECT i, timestamptz '2024-01-01Z' + i * interval '10 min', 'batch', i FROM generate_series(1, 100) AS i
ON CONFLICT (id) DO UPDATE SET v = excluded.v * 100, ts = excluded.ts;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');
INSERT INTO events (id, ts, k, v)
SELECT i, timestamptz '2024-01-01Z' + i * interval '10 min', 'again', i FROM generate_series(51, 150) AS i
ON CONFLICT (id) DO UPDATE SET k = excluded.k WHERE events.v % 2 = 0;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');
DELETE FROM events WHERE id > 4;

MERGE INTO events AS e
USING (VALUES (1, 'del'), (2, 'upd'), (9, 'ins')) AS s (id, what) ON s.id = e.id
WHEN MATCHED AND what = 'del' THEN DELETE
WHEN MATCHED THEN UPDATE SET v = v + 1000, ts = ts + '1 day'
WHEN NOT MATCHED THEN INSERT (id, ts, k, v) VALUES (s.id, '2024-01-03Z', 'merged', 1);
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');

-- Two INSERTs into one table, and one of each kind, in one statement.
WITH a AS (INSERT INTO events (id, ts, k, v) VALUES (10, '2024-01-03Z', 'a', 1) RETURNING id)
INSERT INTO events (id, ts, k, v) SELECT id + 1, '2024-01-03Z', 'b', 2 FROM a;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');
WITH d AS (DELETE FROM events WHERE id = 10 RETURNING *),
	u AS (UPDATE events SET v = 77 WHERE id = 11 RETURNING *)
INSERT INTO events (id, ts, k, v) SELECT id + 10, ts, k, v FROM d UNION ALL SELECT id + 10, ts, k, v FROM u;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');

-- Two UPDATEs, the last of which concerns no rollup: one statement, then one foreign key after the other.
WITH a AS (UPDATE events SET note = 'unread' WHERE id = 9 RETURNING id)
UPDATE events SET v = v + 5000 WHERE id = 11;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');
CREATE TABLE things (id int PRIMARY KEY);
CREATE TABLE links (ts timestamptz, a int REFERENCES things ON DELETE SET NULL, b int REFERENCES things ON DELETE SET NULL);
SELECT make_rollup('by_a', $$
	SELECT aggwin.time_bucket('1 day', ts) AS bucket, count(a) AS n FROM links GROUP BY 1
$$);
SELECT make_rollup('by_b', $$
	SELECT aggwin.time_bucket('1 day', ts) AS bucket, count(b) AS n FROM links GROUP BY 1
$$);
INSERT INTO things VALUES (1), (2);
INSERT INTO links VALUES ('2024-01-01Z', 1, 1), ('2024-01-02Z', 2, 2);
DELETE FROM things WHERE id = 1;
SELECT * FROM compare('by_a');
SELECT * FROM compare('by_b');
SELECT * FROM fold_and_compare('by_a');
SELECT * FROM fold_and_compare('by_b');

-- Through a view, a cascade, a trigger that writes to the same table.
CREATE VIEW door AS SELECT id, ts, k, v FROM events;
INSERT INTO door VALUES (30, '2024-01-03Z', 'door', 1);
UPDATE door SET v = 2 WHERE id = 30;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');

CREATE TABLE parents (id int PRIMARY KEY);
INSERT INTO parents VALUES (1), (2);
ALTER TABLE events ADD COLUMN parent int REFERENCES parents ON DELETE CASCADE ON UPDATE CASCADE;
UPDATE events SET parent = 1 + id % 2;
SELECT make_rollup('by_parent', $$
	SELECT aggwin.time_bucket('1 day', ts) AS bucket, parent, count(*) AS n FROM events GROUP BY 1, 2
$$);
UPDATE parents SET id = 3 WHERE id = 2;
SELECT * FROM fold_and_compare('by_parent');
DELETE FROM parents WHERE id = 3;
SELECT * FROM compare('by_day');
SELECT * FROM compare('by_hour');
SELECT * FROM fold_and_compare('by_parent');

CREATE FUNCTION echo() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF pg_trigger_depth() < 4 THEN
		INSERT INTO events (id, ts, k, v) SELECT max(id) + 1, '2024-01-04Z', 'echo', 1 FROM events;
		UPDATE events SET v = v + 1 WHERE k = 'echo';
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER a_first AFTER INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION echo();
CREATE TRIGGER z_last AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION echo();
INSERT INTO events (id, ts, k, v) VALUES (100, '2024-01-04Z', 'shout', 1);
SELECT count(*) > 3 AS echoed FROM events WHERE k = 'echo';
SELECT * FROM compare('by_day');
SELECT * FROM compare('by_hour');
SELECT * FROM fold_and_compare('by_parent');
DROP TRIGGER a_first ON events;
DROP TRIGGER z_last ON events;

-- Transactions --------------------------------------------------------------

BEGIN;
INSERT INTO events (id, ts, k, v) VALUES (201, '2024-01-03Z', 'x', 1);
SAVEPOINT a;
INSERT INTO events (id, ts, k, v) VALUES (202, '2024-01-03Z', 'x', 2);
SELECT * FROM compare('by_hour');
ROLLBACK TO a;
SELECT * FROM compare('by_hour');
INSERT INTO events (id, ts, k, v) VALUES (203, '2024-01-03Z', 'x', 3);
SAVEPOINT b;
DELETE FROM events WHERE k = 'x';
SELECT * FROM compare('by_hour');
SAVEPOINT c;
TRUNCATE events;
SELECT * FROM compare('by_hour');
ROLLBACK TO b;
UPDATE events SET v = 1000 WHERE id = 203;
RELEASE b;
SELECT * FROM compare('by_hour');
COMMIT;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');

-- A statement that fails leaves nothing.
BEGIN;
SAVEPOINT a;
INSERT INTO events (id, ts, k, v) SELECT i, '2024-01-03Z', 'dup', 1 FROM generate_series(204, 190, -1) AS i;
ROLLBACK TO a;
INSERT INTO events (id, ts, k, v) VALUES (204, '2024-01-03Z', 'x', 4);
COMMIT;
DO $$
BEGIN
	FOR i IN 205 .. 220 LOOP
		BEGIN
			INSERT INTO events (id, ts, k, v) VALUES (i, '2024-01-03Z', 'sub', 10 / (i % 2));
		EXCEPTION WHEN division_by_zero THEN
			NULL;
		END;
	END LOOP;
END
$$;
SELECT count(*) AS survived FROM events WHERE k = 'sub';
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');

-- Insert, read and delete again and again in one transaction.
BEGIN;
INSERT INTO events (id, ts, k, v) SELECT 5000 + i, timestamptz '2024-02-01Z' + i * '1 min'::interval, 'bulk', i FROM generate_series(1, 500) AS i;
DELETE FROM events WHERE id BETWEEN 5001 AND 5100;
INSERT INTO events (id, ts, k, v) SELECT 5000 + i, timestamptz '2024-02-01Z' + i * '1 min'::interval, 'bulk', i FROM generate_series(1, 100) AS i;
UPDATE events SET ts = ts + '1 month' WHERE id BETWEEN 5050 AND 5150;
SELECT * FROM compare('by_hour');
COMMIT;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');
SELECT * FROM fold_and_compare('by_day');
SELECT * FROM fold_and_compare('by_parent');

-- A trigger that waits for the commit, and a table that is filled anew with frozen rows.
CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO events (id, ts, k, v) VALUES (NEW.id + 10000, NEW.ts, 'at commit', NEW.v);
	RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED
	FOR EACH ROW WHEN (NEW.id < 10000) EXECUTE FUNCTION at_commit();
BEGIN;
INSERT INTO events (id, ts, k, v) VALUES (9001, '2024-01-03Z', 'deferred', 1);
SELECT * FROM compare('by_hour');
COMMIT;
SELECT count(*) FROM events WHERE k = 'at commit';
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_hour');
DROP TRIGGER at_commit ON events;
CREATE TABLE other_events AS SELECT id, ts, k, v FROM events;
SELECT make_rollup('other', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, k, count(*) AS n FROM other_events GROUP BY 1, 2
$$);
SELECT * FROM fold_and_compare('other');
BEGIN;
TRUNCATE other_events;
COPY other_events FROM stdin WITH (FREEZE);
1	2024-01-03 00:00:00Z	frozen	1
2	2024-01-03 00:00:00Z	frozen	2
\.
SELECT * FROM compare('other');
COMMIT;
SELECT * FROM fold_and_compare('other');

-- A cursor shows what there was when it was opened.
BEGIN;
DECLARE plain CURSOR FOR SELECT k, n FROM other_plain ORDER BY 1;
DECLARE rollup CURSOR FOR SELECT k, n FROM other ORDER BY 1;
INSERT INTO other_events VALUES (3, '2024-01-03Z', 'later', 3);
DELETE FROM other_events WHERE id = 1;
FETCH ALL FROM plain;
FETCH ALL FROM rollup;
COMMIT;
SELECT * FROM fold_and_compare('other');

-- Errors in an expression ------------------------------------------------------

-- They are the statement's if that is wanted; where it only changes rows, those of whoever reads, like the query's.
SELECT make_rollup('quotients', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, sum(100 / v) AS q FROM other_events GROUP BY 1
$$);
SELECT * FROM fold_and_compare('quotients');
SET aggwin.strict_capture = on;
INSERT INTO other_events VALUES (4, '2024-01-03Z', 'zero', 0);
\set VERBOSITY terse
INSERT INTO other_events SELECT 5, '2024-01-03Z', 'zero', i FROM generate_series(-20, 20) AS i;
RESET aggwin.strict_capture;
UPDATE other_events SET v = 0 WHERE id = 3;
TABLE quotients_plain;
TABLE quotients;
SELECT aggwin.refresh('quotients');
\set VERBOSITY default
-- The other rollup of the table does not mind, and all is well when the row is.
SELECT * FROM fold_and_compare('other');
INSERT INTO other_events VALUES (6, '2024-01-03 05:00Z', 'six', 6);
UPDATE other_events SET v = 3 WHERE id = 3;
SELECT * FROM fold_and_compare('quotients');
SELECT * FROM fold_and_compare('other');
INSERT INTO other_events VALUES (7, '2024-01-03 05:00Z', 'seven', 7);
SELECT * FROM fold_and_compare('quotients');

-- What is invalid is exactly what was touched, whole buckets of it.
SELECT invalid FROM aggwin.rollup WHERE view = 'by_hour'::regclass \gset
SET timezone = 'UTC';
UPDATE events SET v = v WHERE id IN (5001, 5061, 5300, 5301) OR ts IS NULL;
SELECT spans, nulls, buckets FROM :invalid;
DELETE FROM events WHERE id = 5002;
UPDATE events SET ts = NULL WHERE id = 5003;
SELECT spans, nulls, buckets FROM :invalid ORDER BY ctid;
SELECT * FROM fold_and_compare('by_hour');
SELECT count(*) FROM :invalid;

SET client_min_messages = warning;
DROP SCHEMA rollup_changes CASCADE;
