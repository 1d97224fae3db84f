-- Sources that are partitioned.
\getenv srcdir PG_ABS_SRCDIR
\set helper :srcdir/test/lib/compare.sql
CREATE SCHEMA rollup_partitions;
SET search_path = rollup_partitions;
SET timezone = 'UTC';
\set ECHO none
\i :helper
\set ECHO all

-- By range of time; one month by list, one by hash. The columns of tables that
-- were made by themselves have other places.
CREATE TABLE hosts (host int PRIMARY KEY);
INSERT INTO hosts VALUES (1), (2), (3), (4);
CREATE TABLE events (id int, gone text, ts timestamptz, k text, v int, host int REFERENCES hosts ON UPDATE CASCADE ON DELETE CASCADE, note text,
	UNIQUE (id, ts, k)) PARTITION BY RANGE (ts);
ALTER TABLE events DROP COLUMN gone;
CREATE TABLE january PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE february (note text, v int, k text, filler int, id int, host int, ts timestamptz) PARTITION BY LIST (k);
ALTER TABLE february DROP COLUMN filler;
CREATE TABLE february_a PARTITION OF february FOR VALUES IN ('a');
CREATE TABLE february_b (k text, ts timestamptz, note text, id int, v int, host int);
ALTER TABLE february ATTACH PARTITION february_b FOR VALUES IN ('b', 'c');
ALTER TABLE events ATTACH PARTITION february FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
CREATE TABLE march PARTITION OF events FOR VALUES FROM ('2024-03-01') TO ('2024-04-01') PARTITION BY HASH (id);
CREATE TABLE march_0 PARTITION OF march FOR VALUES WITH (modulus 2, remainder 0);
CREATE TABLE march_1 PARTITION OF march FOR VALUES WITH (modulus 2, remainder 1);
CREATE TABLE other PARTITION OF events DEFAULT;
CREATE INDEX ON events (ts);

INSERT INTO events SELECT i, timestamptz '2024-01-01' + i * interval '6 hours', CASE i % 3 WHEN 0 THEN 'a' WHEN 1 THEN 'b' ELSE 'c' END, i, i % 4 + 1 FROM generate_series(1, 400) AS i;

SELECT make_rollup('by_day', $$
	SELECT aggwin.time_bucket('1 day', ts) AS bucket, k, count(*) AS n, sum(v) AS v, avg(v) AS a, max(host) AS host
	FROM events GROUP BY 1, 2
$$);
SELECT make_rollup('by_week', $$
	SELECT aggwin.time_bucket('1 week', ts) AS bucket, host, count(v) AS n, min(id) AS id FROM events WHERE v > 2 OR v IS NULL GROUP BY 1, 2
$$);
-- Each table has the four triggers.
SELECT c.relname, string_agg(t.tgname || ' ' || t.tgenabled::text, ', ' ORDER BY t.tgname) AS triggers
FROM pg_class AS c LEFT JOIN pg_trigger AS t ON t.tgrelid = c.oid AND t.tgfoid = 'aggwin.capture'::regproc
WHERE c.oid IN (SELECT relid FROM pg_partition_tree('events')) GROUP BY 1 ORDER BY 1;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_day');
SELECT * FROM fold_and_compare('by_week');

-- INSERT and COPY, on every level -----------------------------------------------------------

-- Few rows and many.
INSERT INTO events VALUES (1001, '2024-01-05 10:00', 'a', 1, 1), (1002, '2024-02-05 10:00', 'b', 2, 2), (1003, '2024-03-05 10:00', 'c', 3, 3), (1004, '2025-01-01', 'd', 4, 4), (1005, NULL, 'a', 5, 1);
SELECT * FROM compare('by_week');
SELECT * FROM fold_and_compare('by_day');
INSERT INTO events SELECT 2000 + i, timestamptz '2024-01-01' + i * interval '13 hours', 'b', i, 1 FROM generate_series(1, 200) AS i;
SELECT * FROM compare('by_week');
SELECT * FROM fold_and_compare('by_day');
INSERT INTO february_b (id, ts, k, v, host) VALUES (1006, '2024-02-06', 'b', 6, 2), (1007, '2024-02-07', 'c', 7, NULL);
INSERT INTO february_b (id, ts, k, v, host) SELECT 3000 + i, timestamptz '2024-02-01' + i * interval '3 hours', 'c', i, 2 FROM generate_series(1, 100) AS i;
SELECT * FROM compare('by_week');
SELECT * FROM fold_and_compare('by_day');
INSERT INTO february (id, ts, k, v, host) VALUES (1008, '2024-02-08', 'a', 8, 2);
INSERT INTO february (id, ts, k, v, host) SELECT 4000 + i, timestamptz '2024-02-01' + i * interval '3 hours', chr(97 + i % 3), i, 3 FROM generate_series(1, 100) AS i;
INSERT INTO march SELECT 5000 + i, timestamptz '2024-03-01' + i * interval '3 hours', chr(97 + i % 3), i, 3 FROM generate_series(1, 100) AS i;
SELECT * FROM compare('by_week');
SELECT * FROM fold_and_compare('by_day');
COPY events (id, ts, k, v, host) FROM stdin;
6001	2024-01-06 00:00:00	a	1	1
6002	2024-02-06 00:00:00	b	1	1
6003	2024-03-06 00:00:00	b	1	1
\.
COPY february (id, ts, k, v, host) FROM stdin;
6004	2024-02-06 00:00:00	a	1	1
6005	2024-02-06 00:00:00	b	1	1
\.
COPY february_b (id, ts, k, v, host) FROM stdin;
6006	2024-02-06 00:00:00	b	1	1
\.
COPY other (id, ts, k, v, host) FROM stdin;
6007	\N	b	1	1
6008	2023-12-31 00:00:00	b	1	1
\.
SELECT * FROM compare('by_week');
SELECT * FROM fold_and_compare('by_day');
SELECT * FROM fold_and_compare('by_week');

-- UPDATE, DELETE ----------------------------------------------------------------------------

UPDATE events SET v = v + 1 WHERE id IN (1001, 1002, 1003);
SELECT * FROM compare('by_week');
SELECT * FROM fold_and_compare('by_day');
UPDATE february_b SET v = v + 1, host = 4 WHERE id IN (1002, 1006);
SELECT * FROM compare('by_week');
SELECT * FROM fold_and_compare('by_day');
UPDATE february SET v = v + 1 WHERE id % 2 = 0;
SELECT * FROM compare('by_week');
SELECT * FROM fold_and_compare('by_day');
-- Rows move to other partitions: by the time, by the key, within the level and across.
UPDATE events SET ts = ts + interval '1 month' WHERE id BETWEEN 20 AND 120;
SELECT * FROM compare('by_week');
SELECT * FROM fold_and_compare('by_day');
UPDATE february SET k = CASE k WHEN 'a' THEN 'b' ELSE 'a' END WHERE id BETWEEN 3001 AND 3050;
SELECT * FROM compare('by_week');
SELECT * FROM fold_and_compare('by_day');
UPDATE events SET ts = NULL WHERE id = 1001;
UPDATE events SET id = id + 10000 WHERE id BETWEEN 5001 AND 5050;
SELECT * FROM compare('by_week');
SELECT * FROM fold_and_compare('by_day');
SELECT * FROM fold_and_compare('by_week');
-- Columns that no rollup reads: their places are the partition's own.
UPDATE events SET note = 'a';
UPDATE february SET note = 'b';
UPDATE february_b SET note = 'c';
SELECT rollup, invalid_buckets FROM aggwin.rollup_status ORDER BY 1;
UPDATE february_b SET host = 1 WHERE id = 1006;
SELECT rollup, invalid_buckets > 0 AS invalid FROM aggwin.rollup_status ORDER BY 1;

DELETE FROM events WHERE id % 7 = 0;
SELECT * FROM compare('by_week');
SELECT * FROM fold_and_compare('by_day');
DELETE FROM february_b WHERE id % 5 = 0;
DELETE FROM march WHERE id % 5 = 0;
DELETE FROM march_1 WHERE id % 3 = 0;
SELECT * FROM compare('by_week');
SELECT * FROM fold_and_compare('by_day');

-- ON CONFLICT, MERGE, foreign keys -----------------------------------------------------------

INSERT INTO events VALUES (1003, '2024-03-05 10:00', 'c', 33, 3), (1009, '2024-03-09', 'c', 9, 3), (6002, '2024-02-06', 'b', 9, 1)
ON CONFLICT (id, ts, k) DO UPDATE SET v = excluded.v;
INSERT INTO march VALUES (1009, '2024-03-09', 'c', 99, 3), (1010, '2024-03-10', 'c', 10, 3)
ON CONFLICT (id, ts, k) DO UPDATE SET v = excluded.v;
INSERT INTO events VALUES (1009, '2024-03-09', 'c', 999, 3), (1011, '2024-03-11', 'c', 11, 3) ON CONFLICT DO NOTHING;
SELECT * FROM compare('by_week');
SELECT * FROM fold_and_compare('by_day');
MERGE INTO events AS e
USING (VALUES (1008, 'del'), (1009, 'move'), (1010, 'upd'), (1012, 'ins')) AS s (id, what) ON s.id = e.id
WHEN MATCHED AND what = 'del' THEN DELETE
WHEN MATCHED AND what = 'move' THEN UPDATE SET ts = ts - interval '1 month', k = 'a'
WHEN MATCHED THEN UPDATE SET v = v + 1000
WHEN NOT MATCHED THEN INSERT (id, ts, k, v) VALUES (s.id, '2024-01-03', 'c', 1);
SELECT * FROM compare('by_week');
SELECT * FROM fold_and_compare('by_day');
UPDATE hosts SET host = 5 WHERE host = 1;
SELECT * FROM compare('by_day');
SELECT * FROM fold_and_compare('by_week');
DELETE FROM hosts WHERE host = 5;
SELECT * FROM compare('by_week');
SELECT * FROM fold_and_compare('by_day');

-- TRUNCATE -----------------------------------------------------------------------------------

BEGIN;
TRUNCATE january;
SELECT * FROM compare('by_day');
TRUNCATE february;
SELECT * FROM compare('by_week');
ROLLBACK;
SELECT * FROM compare('by_day');
TRUNCATE february_a;
SELECT * FROM compare('by_week');
SELECT * FROM fold_and_compare('by_day');
TRUNCATE march;
SELECT * FROM compare('by_week');
SELECT * FROM fold_and_compare('by_day');
BEGIN;
TRUNCATE events;
SELECT * FROM compare('by_week');
INSERT INTO events VALUES (1, '2024-01-05 10:00', 'a', 1, 2);
SELECT * FROM compare('by_day');
ROLLBACK;
SELECT * FROM compare_all();

-- Replication roles, disabled triggers ---------------------------------------------------------

SET session_replication_role = replica;
INSERT INTO february_b (id, ts, k, v, host) VALUES (7001, '2024-02-06', 'b', 6, 2);
UPDATE january SET v = v + 1 WHERE id < 50;
RESET session_replication_role;
SELECT * FROM compare('by_week');
SELECT * FROM fold_and_compare('by_day');

SELECT bool_or(dormant) AS dormant FROM aggwin.rollup_status;
ALTER TABLE february_b DISABLE TRIGGER aggwin_capture_insert;
SELECT bool_and(dormant) AS dormant FROM aggwin.rollup_status;
INSERT INTO february_b (id, ts, k, v, host) VALUES (7002, '2024-02-06', 'b', 6, 2);
SELECT * FROM compare('by_week');
SELECT * FROM fold_and_compare('by_day');
ALTER TABLE february_b ENABLE TRIGGER aggwin_capture_insert;
SELECT bool_or(dormant) AS dormant FROM aggwin.rollup_status;
INSERT INTO february_b (id, ts, k, v, host) VALUES (7003, '2024-02-06', 'b', 6, 2);
SELECT * FROM fold_and_compare('by_day');
-- As on an intermediate level.
ALTER TABLE march DISABLE TRIGGER USER;
SELECT bool_and(dormant) AS dormant FROM aggwin.rollup_status;
DELETE FROM march_0;
INSERT INTO march VALUES (7004, '2024-03-06', 'b', 6, 2);
SELECT * FROM compare('by_week');
SELECT * FROM fold_and_compare('by_day');
ALTER TABLE march ENABLE TRIGGER USER;
SELECT bool_or(dormant) AS dormant FROM aggwin.rollup_status;
SELECT * FROM fold_and_compare('by_day');
SELECT * FROM fold_and_compare('by_week');
DROP TRIGGER aggwin_capture_insert ON february_b;
DROP TRIGGER aggwin_capture_insert ON march;
CREATE TRIGGER again AFTER INSERT ON march_0 REFERENCING NEW TABLE AS aggwin_new FOR EACH STATEMENT EXECUTE FUNCTION aggwin.capture();
SELECT bool_and(dormant) AS dormant FROM aggwin.rollup_status;
INSERT INTO february_b SELECT k, ts, note, 7005, v, host FROM february_b LIMIT 1;
SELECT * FROM compare('by_week');
SELECT aggwin.adopt_rollups();
SELECT bool_or(dormant) AS dormant FROM aggwin.rollup_status;
SELECT * FROM fold_and_compare('by_day');
SELECT * FROM fold_and_compare('by_week');
INSERT INTO february_b SELECT k, ts, note, 7006, v, host FROM february_b LIMIT 1;
SELECT * FROM fold_and_compare('by_week');

-- The last rollup takes all triggers with it ---------------------------------------------------

SELECT aggwin.drop_rollup('by_week');
SELECT count(*) FROM pg_trigger WHERE tgfoid = 'aggwin.capture'::regproc AND tgrelid IN (SELECT relid FROM pg_partition_tree('events'));
SELECT aggwin.drop_rollup('by_day');
SELECT count(*) FROM pg_trigger WHERE tgfoid = 'aggwin.capture'::regproc;

\c -
SET client_min_messages = warning;
DROP SCHEMA rollup_partitions CASCADE;
SELECT count(*) AS catalog_rows FROM aggwin.rollup;
