-- Capture of rows for logical replication, where there is none: statements count
-- once. What subscriptions apply is in test/t/026_logical.pl.
\getenv srcdir PG_ABS_SRCDIR
\set helper :srcdir/test/lib/compare.sql
CREATE SCHEMA rollup_capture_rows;
SET search_path = rollup_capture_rows;
SET timezone = 'UTC';
\set ECHO none
\i :helper
\set ECHO all

CREATE TABLE plain (id int PRIMARY KEY, ts timestamptz, v int);
CREATE TABLE parted (LIKE plain) PARTITION BY LIST (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2, 3) PARTITION BY HASH (v);
CREATE TABLE parted_2_0 PARTITION OF parted_2 FOR VALUES WITH (modulus 1, remainder 0);
CREATE TABLE without (LIKE plain);
SELECT make_rollup('of_plain', 'SELECT aggwin.time_bucket(''1 day'', ts) AS bucket, count(*) AS n, sum(v) AS v FROM plain GROUP BY 1');
SELECT make_rollup('of_parted', 'SELECT aggwin.time_bucket(''1 day'', ts) AS bucket, count(*) AS n, sum(v) AS v FROM parted GROUP BY 1');
CREATE VIEW row_triggers AS SELECT tgrelid::regclass, tgenabled, tgparentid <> 0 AS from_parent
	FROM pg_trigger WHERE tgfoid = 'aggwin.capture_row'::regproc;

-- Turning it on ----------------------------------------------------------------------------

TABLE row_triggers;
SELECT aggwin.capture_rows('plain');
SELECT aggwin.capture_rows('parted', true);
SELECT aggwin.capture_rows('parted', true);
SELECT aggwin.capture_rows(source => 'plain', enable => true);
SELECT * FROM row_triggers ORDER BY 1;
SELECT bool_or(dormant) AS dormant FROM aggwin.rollup_status;

-- Statements are counted once, in whichever role the session is.
CREATE PROCEDURE changes(base int) LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO plain SELECT base + i, timestamptz '2024-01-01' + i * interval '1 h', i FROM generate_series(1, 100) AS i;
	INSERT INTO plain VALUES (base + 101, '2024-01-03', 5);
	INSERT INTO plain VALUES (base + 101, '2024-01-03', 5) ON CONFLICT (id) DO UPDATE SET v = 6, ts = '2024-01-04';
	UPDATE plain SET v = v + 1 WHERE id % 5 = 0;
	DELETE FROM plain WHERE id % 7 = 0;
	INSERT INTO parted SELECT 1 + i % 3, timestamptz '2024-01-01' + i * interval '1 h', i FROM generate_series(1, 100) AS i;
	INSERT INTO parted_1 VALUES (1, '2024-01-05', 7);
	UPDATE parted SET id = 4 - id WHERE v % 5 = 0;
	DELETE FROM parted_2 WHERE v % 11 = 0;
END
$$;
CALL changes(0);
SELECT * FROM compare('of_plain');
SELECT * FROM fold_and_compare('of_plain');
SELECT * FROM compare('of_parted');
SELECT * FROM fold_and_compare('of_parted');
SET session_replication_role = replica;
CALL changes(1000);
COPY plain FROM stdin;
2001	2024-01-02	1
2002	2024-01-02	2
\.
RESET session_replication_role;
SELECT * FROM compare('of_plain');
SELECT * FROM fold_and_compare('of_plain');
SELECT * FROM compare('of_parted');
SELECT * FROM fold_and_compare('of_parted');
TRUNCATE parted_2;
SELECT * FROM fold_and_compare('of_parted');

-- Partitions that come have it, those that go lose it.
CREATE TABLE parted_4 PARTITION OF parted FOR VALUES IN (4);
CREATE TABLE parted_5 (LIKE parted);
ALTER TABLE parted ATTACH PARTITION parted_5 FOR VALUES IN (5);
ALTER TABLE parted DETACH PARTITION parted_1;
SELECT * FROM row_triggers ORDER BY 1;

-- Enabled again, it is what it was.
ALTER TABLE plain DISABLE TRIGGER aggwin_capture_row;
SELECT * FROM row_triggers WHERE tgrelid = 'plain'::regclass;
SELECT bool_or(dormant) AS dormant FROM aggwin.rollup_status;
ALTER TABLE plain ENABLE TRIGGER aggwin_capture_row;
ALTER TABLE parted DISABLE TRIGGER USER;
ALTER TABLE parted ENABLE TRIGGER USER;
SELECT * FROM row_triggers ORDER BY 1;
SELECT bool_or(dormant) AS dormant FROM aggwin.rollup_status;

-- Where it is not needed, nothing is invalid without it.
SELECT aggwin.refresh('of_plain');
DROP TRIGGER aggwin_capture_row ON plain;
SELECT invalid_buckets, dormant FROM aggwin.rollup_status WHERE rollup = 'of_plain'::regclass;
SELECT aggwin.capture_rows('plain');

-- Refused ------------------------------------------------------------------------------------

SELECT aggwin.capture_rows('without');
\echo :LAST_ERROR_SQLSTATE
SELECT aggwin.capture_rows('parted_2');
\echo :LAST_ERROR_SQLSTATE
SELECT aggwin.capture_rows('of_plain');
\echo :LAST_ERROR_SQLSTATE
SELECT aggwin.capture_rows(0);
\echo :LAST_ERROR_SQLSTATE
SELECT aggwin.capture_rows(NULL);
\echo :LAST_ERROR_SQLSTATE
SELECT aggwin.capture_rows('plain', NULL);
\echo :LAST_ERROR_SQLSTATE
BEGIN READ ONLY;
SELECT aggwin.capture_rows('plain');
ROLLBACK;
CREATE ROLE regress_rollup_rows;
GRANT USAGE ON SCHEMA rollup_capture_rows TO regress_rollup_rows;
GRANT SELECT ON plain TO regress_rollup_rows;
SET ROLE regress_rollup_rows;
SELECT aggwin.capture_rows('plain', false);
RESET ROLE;
GRANT TRIGGER ON plain TO regress_rollup_rows;
SET ROLE regress_rollup_rows;
SELECT aggwin.capture_rows('plain', false);
SELECT aggwin.capture_rows('plain');
RESET ROLE;
CREATE TRIGGER again AFTER INSERT ON plain FOR EACH ROW EXECUTE FUNCTION aggwin.capture_row();
CREATE TRIGGER aggwin_capture_insert AFTER INSERT ON parted_4 REFERENCING NEW TABLE AS aggwin_new FOR EACH STATEMENT EXECUTE FUNCTION aggwin.capture_row();
ALTER TRIGGER aggwin_capture_row ON plain RENAME TO mine;
CREATE TRIGGER aggwin_capture_row AFTER INSERT OR UPDATE OR DELETE ON without FOR EACH STATEMENT EXECUTE FUNCTION aggwin.capture_row();
CREATE TRIGGER aggwin_capture_row BEFORE INSERT ON without FOR EACH ROW EXECUTE FUNCTION aggwin.capture_row();
SELECT aggwin.capture_row();

-- A subscription that has not been told its tables changes nothing.
SET client_min_messages = error;
CREATE SUBSCRIPTION regress_rollup_rows CONNECTION 'dbname=nowhere' PUBLICATION p WITH (connect = false, slot_name = NONE);
RESET client_min_messages;
SELECT count(*) FROM row_triggers;
DROP SUBSCRIPTION regress_rollup_rows;

-- Turning it off -----------------------------------------------------------------------------

SELECT aggwin.capture_rows('parted', false);
SELECT aggwin.capture_rows('parted', false);
SELECT * FROM row_triggers ORDER BY 1;
INSERT INTO plain VALUES (4000, '2024-01-01', 1);
INSERT INTO parted VALUES (4, '2024-01-06', 1);
SELECT * FROM fold_and_compare('of_plain');
SELECT pending_deltas FROM aggwin.rollup_status WHERE rollup = 'of_parted'::regclass;
SELECT aggwin.drop_rollup('of_plain');
SELECT * FROM row_triggers ORDER BY 1;

\c -
SET client_min_messages = warning;
DROP SCHEMA rollup_capture_rows CASCADE;
DROP ROLE regress_rollup_rows;
