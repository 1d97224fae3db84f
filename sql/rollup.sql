-- The life of a rollup: create, write, read, fold, drop.
\getenv srcdir PG_ABS_SRCDIR
\set helper :srcdir/test/lib/compare.sql
CREATE SCHEMA rollup_life;
SET search_path = rollup_life;
\set ECHO none
\i :helper
\set ECHO all
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';

CREATE TABLE plays (ts timestamptz NOT NULL, song int, seconds int);

-- On an empty table ---------------------------------------------------------

SELECT make_rollup('plays_1m', $$
	SELECT aggwin.time_bucket('1 minute', ts) AS bucket, song,
		count(*) AS plays, sum(seconds) AS seconds
	FROM plays GROUP BY 1, 2
$$);
SELECT * FROM compare('plays_1m');
SELECT aggwin.refresh('plays_1m');

-- Rows count at once, in their own transaction too, and after the fold.
INSERT INTO plays VALUES ('2024-01-01 00:00:10Z', 1, 100);
INSERT INTO plays VALUES ('2024-01-01 00:00:20Z', 1, 20), ('2024-01-01 00:01:00Z', 2, 3);
SELECT * FROM plays_1m ORDER BY bucket, song;
SELECT * FROM compare('plays_1m');
BEGIN;
INSERT INTO plays VALUES ('2024-01-01 00:00:30Z', 1, 7);
SELECT * FROM plays_1m ORDER BY bucket, song;
SELECT * FROM compare('plays_1m');
COMMIT;
SELECT aggwin.refresh('plays_1m');
SELECT * FROM plays_1m ORDER BY bucket, song;
SELECT * FROM compare('plays_1m');

-- The fold left no delta, one row a group, and the watermark.
SELECT delta, state, invalid FROM aggwin.rollup WHERE view = 'plays_1m'::regclass \gset
SELECT (SELECT count(*) FROM :delta) AS deltas, (SELECT count(*) FROM :invalid) AS invalid,
	(SELECT count(*) FROM :state) AS groups, (SELECT sum(n) FROM :state) AS rows;

-- A fold that finds nothing is false, takes no transaction id, and writes nothing.
SELECT t.xmin AS tier_xmin FROM aggwin.tier t JOIN aggwin.rollup r USING (rollup_id)
WHERE r.view = 'plays_1m'::regclass \gset
BEGIN;
SELECT aggwin.refresh('plays_1m');
SELECT pg_current_xact_id_if_assigned() IS NULL AS no_id;
COMMIT;
SELECT t.xmin = :'tier_xmin' AS untouched FROM aggwin.tier t JOIN aggwin.rollup r USING (rollup_id)
WHERE r.view = 'plays_1m'::regclass;

-- So is the fold after a transaction that was rolled back, or touched no row.
BEGIN;
INSERT INTO plays VALUES ('2024-01-01 00:00:30Z', 1, 1000);
SELECT * FROM compare('plays_1m');
ROLLBACK;
INSERT INTO plays SELECT * FROM plays WHERE false;
UPDATE plays SET seconds = 0 WHERE false;
DELETE FROM plays WHERE false;
SELECT * FROM compare('plays_1m');
SELECT aggwin.refresh('plays_1m');

-- What follows a fold in its own transaction is pending again.
BEGIN;
INSERT INTO plays VALUES ('2024-01-01 00:02:00Z', 3, 1);
COMMIT;
BEGIN;
SELECT aggwin.refresh('plays_1m');
SELECT * FROM compare('plays_1m');
INSERT INTO plays VALUES ('2024-01-01 00:02:00Z', 3, 2), ('2024-01-01 00:03:00Z', 3, 2);
SELECT * FROM compare('plays_1m');
DELETE FROM plays WHERE song = 2;
SELECT * FROM compare('plays_1m');
COMMIT;
SELECT * FROM compare('plays_1m');
SELECT * FROM fold_and_compare('plays_1m');

-- A fold that is rolled back has not been.
INSERT INTO plays VALUES ('2024-01-01 00:04:00Z', 4, 4);
BEGIN;
SELECT aggwin.refresh('plays_1m');
ROLLBACK;
SELECT * FROM compare('plays_1m');
SELECT * FROM fold_and_compare('plays_1m');

-- What operators see --------------------------------------------------------

SELECT attrelid::regclass AS view, attname, format_type(atttypid, atttypmod)
FROM pg_attribute
WHERE attrelid IN ('aggwin.rollups'::regclass, 'aggwin.rollup_status'::regclass) AND attnum > 0
ORDER BY attrelid::regclass::text COLLATE "C", attnum;

-- Since PostgreSQL 16 columns are not qualified where there is one table.
SELECT rollup, source, owner = current_user AS mine, tiers, replace(query, 'plays.', '') AS query, options,
	created_at <= now() AS created
FROM aggwin.rollups WHERE rollup = 'plays_1m'::regclass;

SELECT rollup, tier, watermark, pending_deltas, lag = '0' AS no_lag, rows_folded, invalid_buckets, repairs,
	last_fold <= now() AS folded, last_fold_ms >= 0 AS timed, state_bytes > 0 AS state, delta_bytes > 0 AS delta,
	failures, last_error, last_error_at
FROM aggwin.rollup_status WHERE rollup = 'plays_1m'::regclass;

-- Pending: a delta a group and statement, a bucket a statement that touched it.
INSERT INTO plays SELECT '2024-01-01 00:05:00Z', i % 3, i FROM generate_series(1, 100) AS i;
DELETE FROM plays WHERE ts < '2024-01-01 00:02Z';
SELECT pending_deltas, lag > '0' AS lag, invalid_buckets, rows_folded, repairs
FROM aggwin.rollup_status WHERE rollup = 'plays_1m'::regclass;
TRUNCATE plays;
SELECT pending_deltas, lag > '0' AS lag, invalid_buckets, rows_folded, repairs
FROM aggwin.rollup_status WHERE rollup = 'plays_1m'::regclass;
SELECT * FROM fold_and_compare('plays_1m');
SELECT pending_deltas, lag = '0' AS no_lag, invalid_buckets, rows_folded, repairs, watermark
FROM aggwin.rollup_status WHERE rollup = 'plays_1m'::regclass;

-- The watermark does not follow rows from too far ahead.
INSERT INTO plays VALUES ('2024-01-01 00:06:00Z', 1, 1), (now() + '2 days', 1, 1), ('infinity', 1, 1);
SELECT * FROM fold_and_compare('plays_1m');
SELECT watermark FROM aggwin.rollup_status WHERE rollup = 'plays_1m'::regclass;

-- Drop and create again -----------------------------------------------------

SELECT aggwin.drop_rollup('plays_1m');
SELECT to_regclass('plays_1m') IS NULL AS view_gone, to_regclass(:'state') IS NULL AS state_gone,
	to_regclass(:'delta') IS NULL AS delta_gone, to_regclass(:'invalid') IS NULL AS invalid_gone;
SELECT count(*) AS triggers FROM pg_trigger WHERE tgrelid = 'plays'::regclass;
SELECT count(*) AS relations FROM pg_class
WHERE relnamespace = 'aggwin'::regnamespace AND relname LIKE '\_%';
SELECT count(*) AS catalog_rows FROM aggwin.rollup FULL JOIN aggwin.tier USING (rollup_id);

-- Rows written in between belong to it.
INSERT INTO plays VALUES ('2024-01-01 00:06:30Z', 1, 1);
DROP VIEW plays_1m_plain;
SELECT make_rollup('plays_1m', $$
	SELECT aggwin.time_bucket('1 minute', ts) AS bucket, song, count(*), max(seconds)
	FROM plays GROUP BY 1, 2
$$);
SELECT * FROM compare('plays_1m');
INSERT INTO plays VALUES ('2024-01-01 00:06:40Z', 1, 10), ('2024-01-01 00:06:40Z', 2, 10);
SELECT * FROM fold_and_compare('plays_1m');

-- Creating is part of a transaction, with what it wrote before and writes after.
BEGIN;
INSERT INTO plays VALUES ('2024-01-01 00:07:00Z', 1, 1);
SAVEPOINT a;
SELECT make_rollup('plays_1h', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, count(*) AS plays FROM plays GROUP BY 1
$$);
INSERT INTO plays VALUES ('2024-01-01 00:07:01Z', 1, 1);
SELECT * FROM compare('plays_1h');
ROLLBACK TO a;
SELECT make_rollup('plays_1h', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, count(*) AS plays FROM plays GROUP BY 1
$$);
INSERT INTO plays VALUES ('2024-01-01 00:07:02Z', 1, 1);
SELECT * FROM compare('plays_1h');
COMMIT;
SELECT * FROM compare('plays_1h');
SELECT * FROM fold_and_compare('plays_1h');
SELECT * FROM fold_and_compare('plays_1m');

-- In the transaction that made the table, too.
BEGIN;
CREATE TABLE clicks (at timestamp, n bigint);
SELECT make_rollup('clicks_1d', $$
	SELECT aggwin.time_bucket('1 day', at) AS day, sum(n) AS n FROM clicks GROUP BY 1
$$);
INSERT INTO clicks VALUES ('2024-01-01', 1), ('2024-01-01', 2);
SELECT * FROM compare('clicks_1d');
COMMIT;
SELECT * FROM fold_and_compare('clicks_1d');

-- with_data -----------------------------------------------------------------

SELECT aggwin.drop_rollup('plays_1h');
DROP VIEW plays_1h_plain;
SELECT count(*) FROM plays;

-- With data a filled table is answered from the source until the first fold.
SELECT make_rollup('plays_1h', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, count(*) AS plays FROM plays GROUP BY 1
$$);
SELECT * FROM compare('plays_1h');
SELECT pending_deltas, invalid_buckets FROM aggwin.rollup_status WHERE rollup = 'plays_1h'::regclass;
INSERT INTO plays VALUES ('2024-01-01 03:00:00Z', 1, 1);
SELECT * FROM fold_and_compare('plays_1h');

-- Without, only rows from now on count, but whole buckets once they change.
SELECT aggwin.create_rollup('plays_new', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, count(*) AS plays
	FROM plays WHERE ts < 'infinity' GROUP BY 1
$$, with_data => false);
TABLE plays_new;
INSERT INTO plays VALUES ('2024-01-01 03:00:00Z', 1, 1);
SELECT * FROM plays_new ORDER BY bucket;
SELECT aggwin.refresh('plays_new');
SELECT * FROM plays_new ORDER BY bucket;
UPDATE plays SET ts = ts + '1 second' WHERE ts = '2024-01-01 03:00:00Z';
SELECT * FROM plays_new ORDER BY bucket;
SELECT aggwin.refresh('plays_new');
SELECT * FROM plays_new ORDER BY bucket;

-- Several on one table ------------------------------------------------------

SELECT rollup FROM aggwin.rollups WHERE source = 'plays'::regclass ORDER BY rollup::text COLLATE "C";
SELECT tgname FROM pg_trigger WHERE tgrelid = 'plays'::regclass ORDER BY tgname;
INSERT INTO plays SELECT timestamptz '2024-01-02Z' + i * '10 s'::interval, i % 3, i FROM generate_series(1, 100) AS i;
UPDATE plays SET seconds = 0 WHERE song = 2;
SELECT * FROM compare('plays_1h');
SELECT * FROM fold_and_compare('plays_1m');
SELECT * FROM compare('plays_1h');
SELECT aggwin.drop_rollup('plays_new');
SELECT aggwin.drop_rollup('plays_1m');
INSERT INTO plays VALUES ('2024-01-01 03:00:00Z', 1, 1);
SELECT count(*) AS triggers FROM pg_trigger WHERE tgrelid = 'plays'::regclass;
SELECT * FROM fold_and_compare('plays_1h');

-- Names ---------------------------------------------------------------------

CREATE SCHEMA "Rollup Names";
CREATE TABLE "Rollup Names"."The Table" ("Time of Day" timestamptz, "select" text, "a""b" int);
SELECT aggwin.create_rollup('"Rollup Names"."Über ""all"""', $$
	SELECT aggwin.time_bucket('1 day', "Time of Day") AS "Der Tag", "select" AS "from", sum("a""b") AS "100%%s"
	FROM "Rollup Names"."The Table" GROUP BY 1, 2
$$);
INSERT INTO "Rollup Names"."The Table" VALUES ('2024-01-01Z', '%s', 1), ('2024-01-01Z', '%1$s', 2);
INSERT INTO "Rollup Names"."The Table" SELECT '2024-01-01Z', '%s', i FROM generate_series(1, 50) AS i;
SELECT aggwin.refresh('"Rollup Names"."Über ""all"""');
UPDATE "Rollup Names"."The Table" SET "select" = 'it''s' WHERE "a""b" = 2;
SELECT * FROM "Rollup Names"."Über ""all""" ORDER BY "from" COLLATE "C";
SELECT aggwin.refresh('"Rollup Names"."Über ""all"""');
SELECT * FROM "Rollup Names"."Über ""all""" ORDER BY "from" COLLATE "C";

-- Columns of a source that are called like aggwin's own.
CREATE TABLE invalid (ts timestamptz, bucket int, k1 int, n int, p1 int, u int, e int, spans int, nulls int, latest int,
	xid int, captured_at int, aggwin_new int, folded int);
SELECT make_rollup('delta', $$
	SELECT bucket, k1, n, p1, e AS p2, aggwin.time_bucket('1 day', ts) AS u, sum(u) AS n1, max(spans) AS spans, min(nulls) AS nulls,
		sum(latest) AS latest, sum(xid) AS xid, sum(captured_at) AS captured_at, sum(aggwin_new) AS aggwin_new, sum(folded) AS folded
	FROM invalid GROUP BY e, 1, 2, 3, 4, 6
$$);
INSERT INTO invalid SELECT '2024-01-01Z', i % 2, i % 3, 3, 4, i, 6, i, i, 9, 10, 11, 12, 13 FROM generate_series(1, 50) AS i;
INSERT INTO invalid VALUES ('2024-01-01Z', 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13);
SELECT * FROM fold_and_compare('delta');
DELETE FROM invalid WHERE u < 10;
SELECT * FROM fold_and_compare('delta');

-- A long name is cut like every other, and the search_path finds the place.
SELECT aggwin.create_rollup(repeat('long', 20), $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, count(*) AS plays FROM plays GROUP BY 1
$$);
SELECT relname, relnamespace::regnamespace FROM pg_class WHERE relname LIKE 'longlong%';

SET client_min_messages = warning;
DROP SCHEMA rollup_life, "Rollup Names" CASCADE;
SELECT count(*) AS catalog_rows FROM aggwin.rollup;
SELECT count(*) AS relations FROM pg_class WHERE relnamespace = 'aggwin'::regnamespace AND relname LIKE '\_%';
