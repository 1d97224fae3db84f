-- UPDATE and DELETE of rows that are taken away from what is stored.
\getenv srcdir PG_ABS_SRCDIR
\set helper :srcdir/test/lib/compare.sql
CREATE SCHEMA rollup_subtract;
SET search_path = rollup_subtract;
\set ECHO none
\i :helper
\set ECHO all
SET timezone = 'UTC';
SET datestyle = 'ISO';

CREATE TABLE sales (id int PRIMARY KEY, ts timestamptz, shop text, v int, small smallint, big bigint,
	price numeric(10,2), n numeric, f float8);
CREATE INDEX ON sales (ts);
CREATE FUNCTION doubled(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 2 * $1; END';

-- These can be subtracted.
SELECT make_rollup('counts', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, shop, count(*) AS n, count(v) AS vs,
		count(*) FILTER (WHERE v > 5) AS large, count(price) FILTER (WHERE v > 5) AS priced
	FROM sales GROUP BY 1, 2
$$);
SELECT make_rollup('sums', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, shop,
		sum(v) AS v, sum(small) AS small, sum(big) AS big, sum(price) AS price, sum(n::numeric(20,5)) AS n,
		avg(v) AS avg_v, avg(big) AS avg_big, avg(price) AS avg_price,
		sum(v) FILTER (WHERE price > 5) AS v_of_dear, avg(price) FILTER (WHERE v > 5) AS price_of_large,
		sum(v) + count(*) AS both
	FROM sales GROUP BY 1, 2
$$);
SELECT make_rollup('deviations', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, stddev(v) AS v, var_pop(big) AS big, stddev_pop(price) AS price,
		variance(small) AS small
	FROM sales GROUP BY 1
$$);
SELECT make_rollup('few', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, v % 3 AS class, sum(big) AS big
	FROM sales WHERE price IS NOT NULL GROUP BY 1, 2 HAVING sum(big) > 10 OR count(*) = 1
$$);
SELECT make_rollup('by_id', $$
	SELECT aggwin.time_bucket(10, id) AS bucket, sum(big) AS big FROM sales GROUP BY 1
$$);

-- These cannot.
SELECT make_rollup('extremes', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, shop, count(*) AS n, min(v) AS least FROM sales GROUP BY 1, 2
$$);
SELECT make_rollup('floats', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, shop, sum(f) AS f FROM sales GROUP BY 1, 2
$$);
SELECT make_rollup('of_any_scale', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, shop, sum(n) AS n FROM sales GROUP BY 1, 2
$$);
SELECT make_rollup('by_price', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, n, count(*) AS c FROM sales GROUP BY 1, 2
$$);
SELECT make_rollup('by_padded', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, shop::bpchar, count(*) AS c FROM sales GROUP BY 1, 2
$$);
SELECT make_rollup('of_users', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, sum(doubled(v)) AS v FROM sales GROUP BY 1
$$);
SELECT make_rollup('summaries', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, count(*) AS n, aggwin.hist_agg(f, '{1,10}') AS f FROM sales GROUP BY 1
$$);

CREATE VIEW status AS
SELECT s.rollup, s.pending_deltas, s.invalid_buckets, s.repairs
FROM aggwin.rollup_status AS s JOIN aggwin.rollup AS r ON r.view = s.rollup
WHERE r.source = 'sales'::regclass ORDER BY r.rollup_id;

-- What becomes a delta ---------------------------------------------------------

INSERT INTO sales
SELECT i, timestamptz '2024-01-01 00:00Z' + i * interval '7 min', chr(97 + i % 3), i % 11, i % 7, i * 1000000000::bigint, i / 4.0, i / 8.0, i / 8.0
FROM generate_series(1, 100) AS i;
CALL fold_all();
UPDATE sales SET v = v + 1, price = price - 1, n = n + 1, f = f + 1 WHERE id = 7;
DELETE FROM sales WHERE id = 8;
TABLE status;
SELECT * FROM compare_all();
CALL fold_all();
TABLE status;
SELECT * FROM compare_all();

-- Many rows, each path.
UPDATE sales SET v = v + 1, price = price - 1, n = n + 1, f = f + 1 WHERE id % 2 = 0;
DELETE FROM sales WHERE id BETWEEN 20 AND 60 AND id % 5 <> 0;
UPDATE sales SET big = 1, v = NULL, f = 2 WHERE id BETWEEN 61 AND 65;
TABLE status;
SELECT * FROM compare_all();
CALL fold_all();
TABLE status;
SELECT * FROM compare_all();

-- Nothing that the rollups read.
ALTER TABLE sales ADD note text;
UPDATE sales SET note = 'x';
SELECT * FROM aggwin.rollup_status AS s WHERE s.pending_deltas > 0 OR s.invalid_buckets IS DISTINCT FROM 0;

-- What is left of a group --------------------------------------------------------

-- Only NULL: the sum is NULL. Nothing: there is no group, before and after a fold.
INSERT INTO sales (id, ts, shop, v, small, big, price, n) VALUES
	(201, '2024-02-01Z', 'x', 1, 1, 1, 1, 1), (202, '2024-02-01Z', 'x', NULL, NULL, NULL, NULL, NULL), (203, '2024-02-01Z', 'y', 3, 3, 3, 3, 3);
CALL fold_all();
DELETE FROM sales WHERE id IN (201, 203);
SELECT * FROM sums WHERE bucket >= '2024-02-01Z';
SELECT * FROM counts WHERE bucket >= '2024-02-01Z';
SELECT * FROM deviations WHERE bucket >= '2024-02-01Z';
CALL fold_all();
SELECT * FROM sums WHERE bucket >= '2024-02-01Z';
SELECT * FROM counts WHERE bucket >= '2024-02-01Z';
SELECT * FROM deviations WHERE bucket >= '2024-02-01Z';
SELECT state FROM aggwin.rollup WHERE view = 'sums'::regclass \gset
SELECT bucket, k1, n FROM :state WHERE bucket >= '2024-02-01Z';
SELECT * FROM compare_all();
INSERT INTO sales (id, ts, shop, v, small, big, price, n) VALUES (203, '2024-02-01Z', 'y', 3, 3, 3, 3, 3);
CALL fold_all();
DELETE FROM sales WHERE id IN (202, 203);
SELECT * FROM sums WHERE bucket >= '2024-02-01Z';
CALL fold_all();
SELECT count(*) FROM :state WHERE bucket >= '2024-02-01Z';
SELECT * FROM compare_all();

-- Come and gone between two folds: in one transaction, in two, undone.
BEGIN;
INSERT INTO sales (id, ts, shop, v) VALUES (210, '2024-02-02Z', 'x', 1);
UPDATE sales SET v = 2 WHERE id = 210;
SELECT bucket, shop, v FROM sums WHERE bucket = '2024-02-02Z';
SAVEPOINT a;
DELETE FROM sales WHERE id = 210;
SELECT bucket, shop, v FROM sums WHERE bucket = '2024-02-02Z';
ROLLBACK TO a;
UPDATE sales SET shop = 'z' WHERE id = 210;
SELECT bucket, shop, v FROM sums WHERE bucket = '2024-02-02Z';
COMMIT;
DELETE FROM sales WHERE id = 210;
INSERT INTO sales (id, ts, shop, v) VALUES (211, '2024-02-03Z', 'x', 1);
UPDATE sales SET ts = '2024-02-04Z' WHERE id = 211;
UPDATE sales SET ts = NULL WHERE id = 211;
UPDATE sales SET ts = 'infinity' WHERE id = 211;
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();
UPDATE sales SET ts = NULL WHERE id = 211;
CALL fold_all();
DELETE FROM sales WHERE id = 211;
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();
SELECT count(*) FROM :state WHERE n <= 0 OR bucket IS NULL OR bucket = 'infinity';

-- Statements that do several things.
INSERT INTO sales (id, ts, shop, v) VALUES (1, '2024-02-05Z', 'x', 1), (220, '2024-02-05Z', 'x', 1)
	ON CONFLICT (id) DO UPDATE SET v = excluded.v + 40;
MERGE INTO sales AS s USING (VALUES (1), (2), (221)) AS m(id) ON s.id = m.id
	WHEN MATCHED AND m.id = 1 THEN UPDATE SET shop = 'm'
	WHEN MATCHED THEN DELETE
	WHEN NOT MATCHED THEN INSERT (id, ts, shop, v) VALUES (m.id, '2024-02-05Z', 'm', 7);
SELECT rollup, pending_deltas, invalid_buckets FROM status WHERE rollup IN ('sums'::regclass, 'extremes'::regclass);
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();

-- What is invalid stays so; the repair counts what is there.
SELECT aggwin.invalidate('sums', '2024-01-01', '2024-01-02');
DELETE FROM sales WHERE id IN (3, 30);
UPDATE sales SET v = v + 1 WHERE id BETWEEN 4 AND 9;
SELECT rollup, pending_deltas, invalid_buckets FROM status WHERE rollup = 'sums'::regclass;
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();
TRUNCATE sales;
SELECT rollup, invalid_buckets FROM status WHERE rollup = 'sums'::regclass;
SELECT (compare('sums')).differences;
CALL fold_all();
SELECT count(*) FROM :state;

-- What cannot be subtracted for its values ---------------------------------------

INSERT INTO sales (id, ts, shop, v, price) SELECT i, '2024-03-01Z', 'x', i, 0.5 FROM generate_series(1, 5) AS i;
UPDATE sales SET price = 'NaN' WHERE id = 1;
SELECT pending_deltas, invalid_buckets FROM status WHERE rollup = 'sums'::regclass;
SELECT price FROM sums;
DELETE FROM sales WHERE id = 2;
SELECT pending_deltas, invalid_buckets FROM status WHERE rollup = 'sums'::regclass;
SELECT * FROM compare_all();
DELETE FROM sales WHERE id = 1;
SELECT pending_deltas, invalid_buckets FROM status WHERE rollup = 'sums'::regclass;
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();

-- Expressions that fail, of rows that come and of rows that go.
SELECT make_rollup('quotients', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, sum(100 / v) AS q FROM sales GROUP BY 1
$$);
CALL fold_all();
UPDATE sales SET v = 10 WHERE id = 3;
SELECT pending_deltas, invalid_buckets, failures, last_error FROM aggwin.rollup_status WHERE rollup = 'quotients'::regclass;
UPDATE sales SET v = 0 WHERE id = 4;
SELECT pending_deltas, invalid_buckets, failures, last_error FROM aggwin.rollup_status WHERE rollup = 'quotients'::regclass;
SELECT * FROM quotients;
UPDATE sales SET v = 20 WHERE id = 4;
SELECT pending_deltas, invalid_buckets, failures, last_error FROM aggwin.rollup_status WHERE rollup = 'quotients'::regclass;
SELECT * FROM quotients;
CALL fold_all();
SELECT * FROM compare_all();
SET aggwin.strict_capture = on;
UPDATE sales SET v = 0 WHERE id = 4;
RESET aggwin.strict_capture;
DELETE FROM sales WHERE id = 4;
SELECT pending_deltas, invalid_buckets, failures, last_error FROM aggwin.rollup_status WHERE rollup = 'quotients'::regclass;
CALL fold_all();
SELECT * FROM compare_all();
SELECT aggwin.drop_rollup('quotients');

-- A key that state cannot hold.
\set VERBOSITY terse
UPDATE sales SET shop = (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 300) AS i) WHERE id = 3;
\set VERBOSITY default
SELECT * FROM compare_all();

-- Tiers --------------------------------------------------------------------------

TRUNCATE sales;
SELECT make_rollup('tiered', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, shop, count(*) AS n, sum(v) AS v, avg(price) AS price FROM sales GROUP BY 1, 2
$$);
SELECT aggwin.add_tier('tiered', '1 day');
SELECT aggwin.add_tier('tiered_1d', '1 month');
CREATE VIEW tiered_1d_plain AS
	SELECT aggwin.time_bucket('1 day', ts) AS bucket, shop, count(*) AS n, sum(v) AS v, avg(price) AS price FROM sales GROUP BY 1, 2;
CREATE VIEW tiered_1mon_plain AS
	SELECT aggwin.time_bucket('1 month', ts) AS bucket, shop, count(*) AS n, sum(v) AS v, avg(price) AS price FROM sales GROUP BY 1, 2;
CREATE FUNCTION compare_tiers() RETURNS TABLE (tier text, differences bigint, rows bigint) LANGUAGE sql AS $$
	SELECT t.tier, d.differences, d.rows FROM unnest('{tiered,tiered_1d,tiered_1mon}'::text[]) AS t(tier),
		differences(t.tier, t.tier || '_plain') AS d
$$;
CALL fold_all();
INSERT INTO sales (id, ts, shop, v, price)
SELECT i, timestamptz '2024-01-01Z' + i * interval '5 hours', chr(97 + i % 3), i, i / 4.0 FROM generate_series(1, 300) AS i;
SELECT aggwin.refresh('tiered');
SELECT * FROM compare_tiers();
-- Negative deltas wait at the base, at a tier, at the next.
DELETE FROM sales WHERE ts < '2024-01-02Z';
UPDATE sales SET v = v + 1, price = NULL WHERE id % 7 = 0;
SELECT * FROM compare_tiers();
SELECT aggwin.refresh('tiered');
SELECT * FROM compare_tiers();
SELECT aggwin.refresh('tiered_1d');
SELECT * FROM compare_tiers();
SELECT aggwin.refresh('tiered_1mon');
SELECT * FROM compare_tiers();
-- A net of nothing takes a group away.
INSERT INTO sales (id, ts, shop, v, price) VALUES (1000, '2025-01-01Z', 'x', 0, 0);
SELECT aggwin.refresh('tiered');
DELETE FROM sales WHERE id = 1000;
SELECT aggwin.refresh('tiered');
SELECT * FROM compare_tiers();
SELECT aggwin.refresh('tiered_1mon');
SELECT * FROM compare_tiers();
SELECT aggwin.refresh('tiered_1mon');
INSERT INTO sales (id, ts, shop, v, price) VALUES (1000, '2025-01-01Z', 'x', 0, 0), (1001, '2025-01-02Z', 'x', 0, 0);
SELECT aggwin.refresh('tiered_1mon');
DELETE FROM sales WHERE id = 1000;
SELECT aggwin.refresh('tiered_1mon');
SELECT * FROM tiered_1mon WHERE bucket >= '2025-01-01Z';
DELETE FROM sales WHERE id = 1001;
SELECT * FROM tiered_1mon WHERE bucket >= '2025-01-01Z';
SELECT aggwin.refresh('tiered_1mon');
SELECT * FROM compare_tiers();
SELECT rollup, tier, pending_deltas, invalid_buckets FROM aggwin.rollup_status WHERE rollup::text LIKE 'tiered%' ORDER BY 1;

-- Rows that may not have been counted --------------------------------------------

-- These take no row away but by repair: older rows were left out at first,
SELECT date_trunc('hour', now()) AS present \gset
CREATE TABLE visits (id int, ts timestamptz, v int);
CREATE INDEX ON visits (ts);
INSERT INTO visits SELECT i, :'present'::timestamptz - i * interval '1 day', i FROM generate_series(1, 20) AS i;
SELECT aggwin.create_rollup('without', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, count(*) AS n, sum(v) AS v FROM visits GROUP BY 1 $$, with_data => false);
-- late rows are not counted,
SELECT aggwin.create_rollup('drops', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, count(*) AS n, sum(v) AS v FROM visits GROUP BY 1 $$, lateness => '2 days', late => 'drop');
-- or rows that are gone are remembered: by all, or by the tier above.
SELECT aggwin.create_rollup('keeps', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, count(*) AS n, sum(v) AS v FROM visits GROUP BY 1 $$, source_retention => '5 days');
SELECT aggwin.create_rollup('remembers', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, count(*) AS n, sum(v) AS v FROM visits GROUP BY 1 $$, tiers => '{1 day}', retention => '5 days');
-- These do.
SELECT aggwin.create_rollup('expires', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, count(*) AS n, sum(v) AS v FROM visits GROUP BY 1 $$, retention => '10 days');
SELECT aggwin.create_rollup('expires_above', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, count(*) AS n, sum(v) AS v FROM visits GROUP BY 1 $$, tiers => '{1 day}');
SELECT aggwin.set_tier('expires_above_1d', retention => '10 days');
CREATE PROCEDURE fold_visits() LANGUAGE plpgsql AS $$
DECLARE
	r regclass;
BEGIN
	FOREACH r IN ARRAY '{without,drops,keeps,remembers_1d,expires,expires_above_1d}'::regclass[] LOOP
		COMMIT;
		PERFORM aggwin.refresh(r);
	END LOOP;
	COMMIT;
END $$;
CREATE FUNCTION totals() RETURNS TABLE (rollup text, n numeric, v numeric) LANGUAGE plpgsql AS $$
BEGIN
	FOREACH rollup IN ARRAY '{without,drops,keeps,remembers_1d,expires_above}'::text[] LOOP
		EXECUTE format('SELECT sum(n), sum(v) FROM %I', rollup) INTO n, v;
		RETURN NEXT;
	END LOOP;
	-- What is certainly not expired yet.
	FOREACH rollup IN ARRAY '{expires,expires_above_1d}'::text[] LOOP
		EXECUTE format('SELECT sum(n), sum(v) FROM %I WHERE bucket > $1', rollup) USING now() - interval '8 days' INTO n, v;
		RETURN NEXT;
	END LOOP;
END $$;
CALL fold_visits();
INSERT INTO visits SELECT 100 + i, :'present'::timestamptz - i * interval '1 day', i FROM generate_series(1, 20) AS i;
CALL fold_visits();
SELECT * FROM totals();
DELETE FROM visits WHERE id IN (1, 15, 101, 115);
UPDATE visits SET v = v + 1 WHERE id IN (6, 16, 116);
CREATE VIEW visits_status AS
SELECT s.rollup, s.pending_deltas, s.invalid_buckets, s.refused_repairs FROM aggwin.rollup_status AS s JOIN aggwin.rollup AS r ON r.view = s.rollup
WHERE r.source = 'visits'::regclass ORDER BY r.rollup_id;
TABLE visits_status;
SELECT * FROM totals();
CALL fold_visits();
TABLE visits_status;
SELECT * FROM totals();
-- A repair that is refused leaves rows uncounted.
SELECT aggwin.invalidate('expires', now() - interval '17 days', now() - interval '16 days');
CALL fold_visits();
DELETE FROM visits WHERE id IN (2, 102);
TABLE visits_status;
SELECT * FROM totals();
-- So does an option that comes later, and goes again.
SELECT aggwin.create_rollup('altered', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, count(*) AS n, sum(v) AS v FROM visits GROUP BY 1 $$);
SELECT aggwin.refresh('altered');
DELETE FROM visits WHERE id = 3;
SELECT s.rollup, s.pending_deltas, s.invalid_buckets FROM aggwin.rollup_status AS s WHERE rollup = 'altered'::regclass;
SELECT aggwin.alter_rollup('altered', lateness => '2 days', late => 'drop');
SELECT aggwin.refresh('altered');
INSERT INTO visits VALUES (200, :'present'::timestamptz - interval '9 days', 1);
SELECT aggwin.refresh('altered');
SELECT aggwin.alter_rollup('altered', reset => '{late}');
DELETE FROM visits WHERE id = 200;
SELECT s.rollup, s.pending_deltas, s.invalid_buckets FROM aggwin.rollup_status AS s WHERE rollup = 'altered'::regclass;
SELECT aggwin.refresh('altered');
SELECT (SELECT sum(n) FROM altered) - (SELECT count(*) FROM visits) AS difference;

SELECT aggwin.drop_rollup(rollup) FROM aggwin.rollups WHERE source = 'visits'::regclass ORDER BY rollup::text;

-- Partitions ---------------------------------------------------------------------

CREATE TABLE logs (id int, ts timestamptz, k text, v int) PARTITION BY RANGE (ts);
CREATE TABLE january PARTITION OF logs FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE february (v int, k text, gone int, ts timestamptz, id int);
ALTER TABLE february DROP COLUMN gone;
ALTER TABLE logs ATTACH PARTITION february FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
CREATE INDEX ON logs (ts);
INSERT INTO logs SELECT i, timestamptz '2024-01-01Z' + i * interval '7 hours', chr(97 + i % 3), i FROM generate_series(1, 180) AS i;
SELECT make_rollup('logged', $$
	SELECT aggwin.time_bucket('1 day', ts) AS bucket, k, count(*) AS n, sum(v) AS v, avg(v) AS a FROM logs GROUP BY 1, 2
$$);
SELECT aggwin.refresh('logged');
-- By way of the source and of a partition, from one to another, few and many.
UPDATE logs SET ts = ts + interval '3 days', v = v + 1 WHERE id BETWEEN 95 AND 102;
UPDATE logs SET ts = ts - interval '20 days', k = 'z' WHERE id BETWEEN 120 AND 170;
UPDATE february SET v = NULL WHERE id % 2 = 0;
UPDATE january SET v = 7 WHERE id = 5;
DELETE FROM february WHERE id % 3 = 0;
DELETE FROM logs WHERE id IN (1, 175);
SELECT pending_deltas > 0 AS deltas, invalid_buckets FROM aggwin.rollup_status WHERE rollup = 'logged'::regclass;
SELECT * FROM fold_and_compare('logged');
-- What was folded of a partition that is gone remains. What comes and goes there still counts.
SELECT count(*), sum(n) AS n, sum(v) AS v FROM logged WHERE bucket < '2024-02-01Z';
DROP TABLE january;
CREATE TABLE january PARTITION OF logs FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
INSERT INTO logs VALUES (500, '2024-01-02Z', 'a', 1000), (501, '2024-01-02Z', 'a', 1000);
SELECT aggwin.refresh('logged');
DELETE FROM logs WHERE id = 500;
DELETE FROM logs WHERE id = 172;
SELECT pending_deltas, invalid_buckets FROM aggwin.rollup_status WHERE rollup = 'logged'::regclass;
SELECT count(*), sum(n) AS n, sum(v) AS v FROM logged WHERE bucket < '2024-02-01Z';
SELECT aggwin.refresh('logged');
SELECT count(*), sum(n) AS n, sum(v) AS v FROM logged WHERE bucket < '2024-02-01Z';
-- Rows of a partition that comes there are not counted, so they are not taken away.
ALTER TABLE logs DETACH PARTITION january;
INSERT INTO january VALUES (502, '2024-01-02Z', 'a', 1), (503, '2024-01-02Z', 'a', 1);
ALTER TABLE logs ATTACH PARTITION january FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
DELETE FROM logs WHERE id IN (502, 503);
SELECT pending_deltas, invalid_buckets > 0 OR invalid_buckets IS NULL AS invalid FROM aggwin.rollup_status WHERE rollup = 'logged'::regclass;
SELECT aggwin.refresh('logged');
SELECT count(*), sum(n) AS n, sum(v) AS v FROM logged WHERE bucket < '2024-02-01Z';
SELECT d.differences FROM differences('(SELECT * FROM logged WHERE bucket >= ''2024-02-01Z'')', '(SELECT * FROM logged_plain WHERE bucket >= ''2024-02-01Z'')') AS d;
SELECT aggwin.drop_rollup('logged');

-- Whatever happens ----------------------------------------------------------------

CREATE PROCEDURE anything(statements int, seed float8) LANGUAGE plpgsql AS $$
DECLARE
	wrong bigint := 0;
	rows bigint := 0;
	c record;
	low int;
	r regclass;
BEGIN
	PERFORM setseed(seed);
	FOR i IN 1 .. statements LOOP
		low := (random() * 400)::int;
		CASE (random() * 9)::int
			WHEN 0, 1, 2 THEN
				INSERT INTO sales SELECT low + j, CASE WHEN random() < 0.97 THEN timestamptz '2024-01-01Z' + random() * interval '3 days' END,
					nullif(chr(97 + (random() * 4)::int), 'a'), nullif((random() * 20)::int, 7) - 10, (random() * 9)::int, (random() * 1e12)::bigint,
					CASE WHEN random() < 0.99 THEN (random() * 1000)::numeric(10,2) ELSE 'NaN' END, round(random()::numeric, (random() * 6)::int), (random() * 64)::int / 64.0
				FROM generate_series(0, (random() * random() * 60)::int) AS j ON CONFLICT (id) DO UPDATE SET v = excluded.v, price = excluded.price;
			WHEN 3 THEN
				DELETE FROM sales WHERE id BETWEEN low AND low + (random() * 50)::int;
			WHEN 4 THEN
				UPDATE sales SET v = v + 1, big = big - 7, price = price + 0.5, n = n * 10 WHERE id BETWEEN low AND low + (random() * 50)::int;
			WHEN 5 THEN
				UPDATE sales SET shop = chr(97 + (random() * 4)::int) WHERE id BETWEEN low AND low + (random() * 50)::int;
			WHEN 6 THEN
				UPDATE sales SET ts = ts + interval '40 min' WHERE id BETWEEN low AND low + (random() * 50)::int;
			WHEN 7 THEN
				BEGIN
					DELETE FROM sales WHERE id % 10 = low % 10;
					UPDATE sales SET v = NULL, price = NULL WHERE id % 10 = low % 7;
					IF random() < 0.5 THEN
						RAISE EXCEPTION 'undo';
					END IF;
				EXCEPTION WHEN raise_exception THEN
					NULL;
				END;
			ELSE
				COMMIT;
				FOR r IN SELECT s.rollup FROM aggwin.rollup_status AS s
					WHERE s.rollup::text IN ('counts', 'sums', 'deviations', 'few', 'by_id', 'tiered', 'tiered_1d', 'tiered_1mon') AND random() < 0.5 LOOP
					PERFORM aggwin.refresh(r);
					COMMIT;
				END LOOP;
		END CASE;
		FOR c IN SELECT d.* FROM unnest('{counts,sums,deviations,few,by_id,tiered,tiered_1d,tiered_1mon}'::text[]) AS t(name),
			differences(t.name, t.name || '_plain') AS d WHERE i % 5 = 0 LOOP
			wrong := wrong + c.differences;
			rows := rows + c.rows;
		END LOOP;
		IF random() < 0.7 THEN
			COMMIT;
		END IF;
	END LOOP;
	RAISE NOTICE 'differences %, enough rows %', wrong, rows > statements * 20;
END $$;
-- Equal keys that look different: either may be shown.
SELECT aggwin.drop_rollup('by_price');
CALL anything(150, 0.25);
CALL anything(150, 0.75);
DO $$
DECLARE
	folded bigint;
BEGIN
	CALL fold_all(folded);
END $$;
SELECT aggwin.refresh('tiered_1mon') IS NOT NULL AS tiers;
SELECT rollups, fewest_rows > 10 AS enough, wrong FROM compare_all();
SELECT tier, differences, rows > 2 AS enough FROM compare_tiers();
SELECT s.rollup, s.pending_deltas, s.invalid_buckets FROM aggwin.rollup_status AS s WHERE s.pending_deltas > 0 OR s.invalid_buckets > 0;
-- Only what TRUNCATE made invalid was repaired, and nothing is left of groups that are gone.
SELECT rollup, repairs FROM status WHERE rollup IN ('counts'::regclass, 'by_id'::regclass);
SELECT count(*) FROM :state WHERE n <= 0;

SET client_min_messages = warning;
DROP SCHEMA rollup_subtract CASCADE;
