-- Adding columns to rollups that exist: exact at once, computed in the background.
\getenv srcdir PG_ABS_SRCDIR
\set helper :srcdir/test/lib/compare.sql
CREATE SCHEMA rollup_add_column;
SET search_path = rollup_add_column, aggwin;
\set ECHO none
\i :helper
\set ECHO all
SET timezone = 'UTC';
SET datestyle = 'ISO';
ALTER SEQUENCE aggwin.rollup_rollup_id_seq RESTART 1000;

CREATE TABLE trades (ts timestamptz, venue text, symbol text, price numeric, size int);
CREATE INDEX ON trades (ts);
CREATE PROCEDURE trade(count int, start timestamptz = '2026-01-01Z') LANGUAGE sql AS $$
	INSERT INTO trades SELECT start + n * interval '100 s', 'v' || n % 2, 's' || n % 3, n % 17 + 0.5, n % 7 FROM generate_series(1, count) AS n $$;
-- The rollup r and its tiers against plain queries with these columns.
CREATE PROCEDURE plain(columns text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE OR REPLACE VIEW r_plain AS SELECT time_bucket(''5 minutes'', ts) AS bucket, venue, upper(symbol) AS symbol, %s FROM trades WHERE size > 0 GROUP BY 1, 2, 3 HAVING min(size) < 6', columns);
	EXECUTE format('CREATE OR REPLACE VIEW r_1h_plain AS SELECT time_bucket(''1 hour'', ts) AS bucket, venue, upper(symbol) AS symbol, %s FROM trades WHERE size > 0 GROUP BY 1, 2, 3 HAVING min(size) < 6', columns);
	EXECUTE format('CREATE OR REPLACE VIEW r_1d_plain AS SELECT time_bucket(''1 day'', ts) AS bucket, upper(symbol) AS symbol, %s FROM trades WHERE size > 0 GROUP BY 1, 2 HAVING min(size) < 6', columns);
END $$;
CREATE FUNCTION agree(OUT base bigint, OUT "1h" bigint, OUT "1d" bigint, OUT rows bigint) LANGUAGE sql AS $$
	SELECT a.differences, b.differences, c.differences, a.rows FROM compare('r') AS a, compare('r_1h') AS b, compare('r_1d') AS c $$;
CALL trade(500);
SELECT create_rollup('r', 'SELECT time_bucket(''5 minutes'', ts) AS bucket, venue, upper(symbol) AS symbol, sum(size) AS size, count(*) AS trades
	FROM trades WHERE size > 0 GROUP BY 1, 2, 3 HAVING min(size) < 6', tiers => '{1 hour}');
SELECT add_tier('r', '1 day', keys => '{symbol}');
CALL plain('sum(size) AS size, count(*) AS trades');
SELECT refresh('r_1d');
SELECT * FROM agree();

-- With deltas pending at all levels ---------------------------------------------

CALL trade(50, '2026-01-01 06:00Z');
SELECT refresh('r');
CALL trade(50, '2026-01-01 08:00Z');
INSERT INTO trades VALUES ('2026-01-01 09:00Z', 'v1', 's1', 99, 5);
SELECT refresh('r_1h');
CALL trade(40, '2026-01-01 09:00Z');
SELECT refresh('r');
INSERT INTO trades VALUES ('2026-01-01 09:00Z', 'v1', 's1', 100, 4);
SELECT add_column('r', 'top', 'max(price)');
CALL plain('sum(size) AS size, count(*) AS trades, max(price) AS top');
SELECT * FROM agree();
INSERT INTO trades VALUES ('2026-01-01 09:00Z', 'v1', 's1', 98, 4), (NULL, 'v1', 's2', 1, 1);
CALL trade(60, '2026-01-01 09:00Z');
DELETE FROM trades WHERE price = 100;
SELECT * FROM agree();
SELECT refresh('r');
SELECT * FROM agree();
CALL trade(10, '2026-01-01 09:00Z');
SELECT * FROM agree();
SELECT refresh('r_1h');
SELECT * FROM agree();
UPDATE trades SET price = 97 WHERE price = 99;
SELECT refresh('r_1d');
SELECT * FROM agree();
SELECT refresh('r_1d');
SELECT refresh('r_1d');
SELECT count(*) FROM aggwin._invalid_1000;
SELECT * FROM agree();
SELECT bucket, symbol, size, trades, top FROM r_1d ORDER BY 1, 2;
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'aggwin._delta_1000'::regclass AND attnum > 0 ORDER BY attnum;
-- Servers differ in whether they qualify columns.
SELECT replace(query, 'trades.', '') AS query FROM rollups WHERE rollup = 'r'::regclass;
SELECT count(*) AS relations, count(DISTINCT relowner) AS owners FROM pg_class WHERE relnamespace = 'aggwin'::regnamespace AND relname ~ '_1000(_|$)' AND relkind <> 'i';

-- What is stored already gives others at once; several columns in a transaction.
SELECT add_column('r', 'mean size', 'avg(size)');
SELECT add_column('r', 'share', 'sum(size)::numeric / count(*)');
SELECT invalid_buckets FROM rollup_status WHERE rollup IN ('r'::regclass, 'r_1h'::regclass);
BEGIN;
INSERT INTO trades VALUES ('2026-01-01 09:01Z', 'v1', 's1', 102, 3);
SELECT add_column('r', 'mean', 'avg(price)');
INSERT INTO trades VALUES ('2026-01-01 09:02Z', 'v1', 's1', 103, 3);
SAVEPOINT s;
SELECT add_column('r', 'none', 'min(price)');
INSERT INTO trades VALUES ('2026-01-01 09:03Z', 'v1', 's1', 104, 3);
ROLLBACK TO s;
SELECT add_column('r', 'hist', 'percentile(hist_agg(price::float8, ARRAY[1, 10, 100]), 0.5)');
INSERT INTO trades VALUES ('2026-01-01 09:04Z', 'v1', 's1', 105, 3);
CALL plain('sum(size) AS size, count(*) AS trades, max(price) AS top, avg(size) AS "mean size", sum(size)::numeric / count(*) AS share, avg(price) AS mean,
	percentile(hist_agg(price::float8, ARRAY[1, 10, 100]), 0.5) AS hist');
SELECT * FROM agree();
COMMIT;
SELECT * FROM agree();
CALL trade(20, '2026-01-01 10:00Z');
DELETE FROM trades WHERE price = 104;
SELECT * FROM agree();
SELECT refresh('r_1d');
SELECT * FROM agree();
SELECT refresh('r_1d');
SELECT refresh('r_1d');
SELECT count(*) FROM aggwin._invalid_1000;
SELECT * FROM agree();
SELECT * FROM query_range(NULL::r, '2026-01-01 09:00Z', '2026-01-01 09:10Z') WHERE venue = 'v1' AND symbol = 'S1' ORDER BY bucket;

-- In a transaction with an old snapshot, and undone.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) > 0 FROM r;
SELECT add_column('r', 'last', 'last(price, ts)');
SELECT count(*) > 0 AS many, count(*) FILTER (WHERE last IS NULL) AS none FROM r;
ROLLBACK;
CALL trade(5, '2026-01-01 11:00Z');
SELECT * FROM agree();
SELECT refresh('r');
SELECT * FROM agree();

-- The views are what they were otherwise -----------------------------------------

ALTER VIEW r RENAME COLUMN top TO "Höchst";
ALTER VIEW r SET (security_barrier);
COMMENT ON COLUMN r.size IS 'of all trades';
GRANT SELECT ON r TO PUBLIC;
CREATE VIEW onto AS SELECT * FROM r;
SELECT add_column('r', 'low', 'min(price)');
SELECT string_agg(attname, ', ' ORDER BY attnum) AS columns FROM pg_attribute WHERE attrelid = 'r'::regclass;
SELECT string_agg(attname, ', ' ORDER BY attnum) AS columns FROM pg_attribute WHERE attrelid = 'r_1d'::regclass;
SELECT reloptions, relacl IS NOT NULL AS granted, col_description(oid, 4) AS comment FROM pg_class WHERE oid = 'r'::regclass;
SELECT count(*) > 0 AS many FROM onto WHERE "Höchst" > 0;
CALL plain('sum(size) AS size, count(*) AS trades, max(price) AS top, avg(size) AS "mean size", sum(size)::numeric / count(*) AS share, avg(price) AS mean,
	percentile(hist_agg(price::float8, ARRAY[1, 10, 100]), 0.5) AS hist, min(price) AS low');
SELECT * FROM agree();
CREATE OR REPLACE VIEW r_1h AS TABLE r_1h_plain;
-- A column of a key that a tier does not keep is not in the tier.
SELECT add_column('r', 'kept', 'upper(symbol) || count(*)::text'), add_column('r', 'lost', 'venue || max(size)::text');
SELECT string_agg(attname, ', ' ORDER BY attnum) FILTER (WHERE attnum > 9) AS columns FROM pg_attribute WHERE attrelid = 'r_1h'::regclass;
SELECT string_agg(attname, ', ' ORDER BY attnum) FILTER (WHERE attnum > 9) AS columns FROM pg_attribute WHERE attrelid = 'r_1d'::regclass;
SELECT symbol, kept FROM r_1d ORDER BY 1;
SELECT refresh('r_1d');
SELECT symbol, kept FROM r_1d ORDER BY 1;
SELECT count(*) AS wrong FROM r WHERE lost IS DISTINCT FROM (SELECT r.venue || max(t.size)::text FROM trades AS t
	WHERE t.size > 0 AND t.venue = r.venue AND upper(t.symbol) = r.symbol AND time_bucket('5 minutes', t.ts) IS NOT DISTINCT FROM r.bucket);

-- Refused -------------------------------------------------------------------------

SELECT add_column(NULL, 'x', 'max(size)');
SELECT add_column('r', NULL, 'max(size)');
SELECT add_column('r', 'x', NULL);
SELECT add_column('r_1h', 'x', 'max(size)');
SELECT add_column('trades', 'x', 'max(size)');
SELECT add_column(0, 'x', 'max(size)');
SELECT add_column('r', 'size', 'max(size)');
SELECT add_column('r', 'top', 'max(size)');
SELECT add_column('r', 'Höchst', 'max(size)');
SELECT add_column('r', '', 'max(size)');
SELECT add_column('r', repeat('x', 64), 'max(size)');
SELECT add_column('r', 'x', '');
SELECT add_column('r', 'x', 'max(size');
SELECT add_column('r', 'x', 'max(size); SELECT 1');
SELECT add_column('r', 'x', 'max(size), min(size)');
SELECT add_column('r', 'x', 'max(size) AS y');
SELECT add_column('r', 'x', 'max(size) FROM trades');
SELECT add_column('r', 'x', 'DISTINCT max(size)');
SELECT add_column('r', 'x', '1 UNION SELECT 2');
SELECT add_column('r', 'x', '*');
SELECT add_column('r', 'x', 'trades.*');
SELECT add_column('r', 'x', 'max(size)) AS a, (min(size)');
SELECT add_column('r', 'x', 'venue');
SELECT add_column('r', 'x', '1');
SELECT add_column('r', 'x', 'price');
SELECT add_column('r', 'x', 'max(nothing)');
SELECT add_column('r', 'x', 'max(size) + price');
SELECT add_column('r', 'x', 'array_agg(size)');
SELECT add_column('r', 'x', 'count(DISTINCT size)');
SELECT add_column('r', 'x', 'sum(max(size)) OVER ()');
SELECT add_column('r', 'x', 'max(size) + (SELECT 1)');
SELECT add_column('r', 'x', 'count(*) FILTER (WHERE ts < now())');
SELECT add_column('r', 'x', 'generate_series(1, max(size))');
SELECT add_column('r', 'x', 'grouping(venue)');
SELECT add_column('r', 'x', 'increase(counter_agg(ts, price::float8))');
CREATE FUNCTION pg_temp.twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1';
\set VERBOSITY sqlstate
SELECT add_column('r', 'x', 'max(pg_temp.twice(size))');
\set VERBOSITY default
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE FUNCTION bigger(positive, positive) RETURNS positive LANGUAGE sql IMMUTABLE STRICT AS 'SELECT greatest($1, $2)';
CREATE AGGREGATE biggest(positive) (SFUNC = bigger, STYPE = positive);
SELECT register_mergeable('biggest(positive)', 'biggest(positive)');
SELECT add_column('r', 'x', 'biggest(size::positive)');
SELECT unregister_mergeable('biggest(positive)');
BEGIN READ ONLY;
SELECT add_column('r', 'x', 'max(size)');
ROLLBACK;
SELECT create_rollup('twice', 'SELECT time_bucket(''1 hour'', ts) AS bucket, hist_agg(price::float8, ARRAY[1, 10]) AS a,
	hist_agg(price::float8, ARRAY[1::float8, 10::float8]) AS b, hist_agg(size, ARRAY[1, 10]) AS c FROM trades GROUP BY 1');
SELECT add_column('twice', 'd', 'hist_agg(size, ARRAY[2, 5])');
SELECT drop_rollup('twice');
\set VERBOSITY terse
SELECT drop_rollup('r');
\set VERBOSITY default
DROP VIEW onto, r_plain, r_1h_plain, r_1d_plain;
SELECT drop_rollup('r');

-- Where the source is not asked any more ------------------------------------------

TRUNCATE trades;
CREATE FUNCTION ago(interval) RETURNS timestamptz LANGUAGE sql STABLE AS $$ SELECT date_trunc('day', now()) - $1 $$;
INSERT INTO trades VALUES (ago('20 days'), 'v', 's', 20, 1), (ago('1 day'), 'v', 's', 1, 1), (ago('0'), 'v', 's', 1, 1);
SELECT create_rollup('r', 'SELECT time_bucket(''1 hour'', ts) AS bucket, sum(size) AS size FROM trades GROUP BY 1', tiers => '{1 day}', source_retention => '10 days');
SELECT refresh('r_1d');
SELECT add_column('r', 'top', 'max(price)');
SELECT ago('0') - bucket AS ago, size, top FROM r ORDER BY 1;
SELECT refresh('r_1d');
SELECT refresh('r_1d');
INSERT INTO trades VALUES (ago('0'), 'v', 's', 2, 1);
SELECT ago('0') - bucket AS ago, size, top FROM r ORDER BY 1;
SELECT ago('0') - bucket AS ago, size, top FROM r_1d ORDER BY 1;
SELECT drop_rollup('r');
TRUNCATE trades;
INSERT INTO trades VALUES ('2026-01-01 01:00Z', 'v', 's', 1, 1), ('2026-01-01 10:00Z', 'v', 's', 1, 1);
SELECT create_rollup('r', 'SELECT time_bucket(''1 hour'', ts) AS bucket, sum(size) AS size FROM trades GROUP BY 1', lateness => '2 hours', late => 'drop');
SELECT refresh('r');
SELECT refresh('r');
INSERT INTO trades VALUES ('2026-01-01 01:00Z', 'v', 's', 5, 1), ('2026-01-01 10:10Z', 'v', 's', 1, 1);
SELECT add_column('r', 'top', 'max(price)');
SELECT * FROM r ORDER BY bucket;
SELECT refresh('r');
SELECT refresh('r');
SELECT * FROM r ORDER BY bucket;
SELECT drop_rollup('r');

-- Counters, partitions, integers, an expression that fails -------------------------

CREATE TABLE readings (n bigint, meter int, at timestamptz, total float8) PARTITION BY RANGE (n);
CREATE TABLE readings_1 PARTITION OF readings FOR VALUES FROM (0) TO (1000);
CREATE TABLE readings_2 PARTITION OF readings FOR VALUES FROM (1000) TO (2000);
INSERT INTO readings SELECT i, i % 3, '2026-01-01Z'::timestamptz + i * interval '1 s', i % 40 FROM generate_series(1, 1500) AS i;
SELECT make_rollup('m', 'SELECT time_bucket(100, n) AS bucket, meter, count(*) FROM readings GROUP BY 1, 2');
SELECT * FROM fold_and_compare('m');
INSERT INTO readings_1 VALUES (5, 1, '2026-01-01 00:00:03Z', 7);
SELECT add_column('m', 'c', 'counter_agg(at, total)');
INSERT INTO readings_1 VALUES (6, 1, '2026-01-01 00:00:04Z', 8);
INSERT INTO readings_2 VALUES (1999, 1, '2026-01-01 00:00:04Z', 8);
CREATE OR REPLACE VIEW m_plain AS SELECT time_bucket(100, n) AS bucket, meter, count(*), counter_agg(at, total) AS c FROM readings GROUP BY 1, 2;
SELECT * FROM fold_and_compare('m');
SELECT * FROM fold_and_compare('m');
INSERT INTO readings VALUES (6, 1, '2026-01-01 00:00:04.5Z', 8);
SELECT * FROM fold_and_compare('m');
SELECT * FROM fold_and_compare('m');
SELECT add_column('m', 'ratio', 'sum(1 / (total::int - 40))');
INSERT INTO readings VALUES (7, 1, '2026-01-01 00:00:05Z', 40);
SELECT count(*) FROM m;
DELETE FROM readings WHERE total = 40;
CREATE OR REPLACE VIEW m_plain AS SELECT time_bucket(100, n) AS bucket, meter, count(*), counter_agg(at, total) AS c, sum(1 / (total::int - 40)) AS ratio FROM readings GROUP BY 1, 2;
SELECT * FROM fold_and_compare('m');
SELECT * FROM fold_and_compare('m');

-- Rights -----------------------------------------------------------------------------

CREATE ROLE regress_column_owner;
CREATE ROLE regress_column_member IN ROLE regress_column_owner;
CREATE ROLE regress_column_other;
GRANT ALL ON SCHEMA rollup_add_column TO regress_column_owner, regress_column_other;
CREATE TABLE owned (ts timestamptz, v int, secret int);
GRANT TRIGGER ON owned TO regress_column_owner;
GRANT SELECT (ts, v) ON owned TO regress_column_owner;
GRANT SELECT ON owned TO regress_column_owner;
INSERT INTO owned VALUES ('2026-01-01Z', 1, 2);
SET ROLE regress_column_owner;
SELECT create_rollup('o', 'SELECT time_bucket(''1 hour'', ts) AS bucket, sum(v) FROM owned GROUP BY 1');
CREATE FUNCTION who(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE NOTICE 'as %', current_user; RETURN $1; END $$;
SET ROLE regress_column_other;
SELECT add_column('o', 'x', 'max(v)');
SET ROLE regress_column_member;
SELECT add_column('o', 'member', 'max(v)');
RESET ROLE;
-- The caller is a superuser, what the query says is done as its owner.
SELECT add_column('o', 'super', 'max(who(v) + who(1))');
SELECT refresh('o');
SELECT * FROM o;
CREATE FUNCTION closed(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
REVOKE EXECUTE ON FUNCTION closed FROM PUBLIC;
SELECT add_column('o', 'x', 'max(closed(v))');
REVOKE SELECT ON owned FROM regress_column_owner;
GRANT SELECT (ts, v) ON owned TO regress_column_owner;
SELECT add_column('o', 'x', 'max(secret)');
SELECT add_column('o', 'least', 'min(v)');
REVOKE ALL ON SCHEMA rollup_add_column FROM regress_column_owner;
SELECT add_column('o', 'x', 'min(-v)');
GRANT ALL ON SCHEMA rollup_add_column TO regress_column_owner;
SELECT DISTINCT c.relowner::regrole FROM aggwin.rollup AS r, pg_class AS c WHERE r.view = 'o'::regclass AND c.oid IN (r.view, r.state, r.delta, r.invalid, r.definition);
-- Names mean what they mean to the caller.
CREATE SCHEMA elsewhere;
CREATE FUNCTION elsewhere.scaled(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 10 * $1';
CREATE FUNCTION elsewhere.count(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT -1';
GRANT USAGE ON SCHEMA elsewhere TO regress_column_owner;
SET search_path = elsewhere, rollup_add_column, pg_catalog, aggwin;
SELECT add_column('o', 'scaled', 'max(scaled(v))');
RESET search_path;
SET search_path = rollup_add_column, aggwin;
SELECT add_column('o', 'other', 'max(scaled(v))');
SELECT replace(query, 'owned.', '') AS query FROM rollups WHERE rollup = 'o'::regclass;
SELECT * FROM o;

SET client_min_messages = warning;
DROP SCHEMA rollup_add_column, elsewhere CASCADE;
DROP ROLE regress_column_owner, regress_column_member, regress_column_other;
