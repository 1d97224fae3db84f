-- Every aggregate over every type: values and types of the plain query.
--
-- Exact types must agree to the digit, floats to a relative 1e-12 (1e-6 where
-- the result is a real, which has seven digits).
\getenv srcdir PG_ABS_SRCDIR
\set helper :srcdir/test/lib/compare.sql
CREATE SCHEMA rollup_aggregates;
SET search_path = rollup_aggregates;
\set ECHO none
\i :helper
\set ECHO all

CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
ALTER TYPE mood ADD VALUE 'numb' BEFORE 'ok';
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN small AS int CHECK (VALUE < 1000000);
CREATE DOMAIN price AS numeric(20, 2);

-- What the server has ------------------------------------------------------

CREATE VIEW supported AS
SELECT p.proname AS aggregate, p.proargtypes[0]::regtype AS argument
FROM pg_proc p
WHERE p.prokind = 'a' AND p.pronamespace = 'pg_catalog'::regnamespace AND p.pronargs = 1
	AND p.proname IN ('count', 'sum', 'avg', 'min', 'max', 'bool_and', 'bool_or', 'every', 'bit_and', 'bit_or', 'bit_xor',
		'stddev', 'stddev_pop', 'stddev_samp', 'variance', 'var_pop', 'var_samp');
SELECT count(*) >= 101 AS enough FROM supported;

-- One row a type of column: what the aggregates take it as, and values of it. Each
-- list of values makes up a group.
CREATE TABLE samples (name text, type text, argument regtype, groups text[]);
INSERT INTO samples VALUES
	('smallint', 'smallint', 'smallint', '{"{1,-2,300,NULL,32767,-32768,0,7}", "{32767,32767,32767}", "{-32768,-32768}"}'),
	('integer', 'integer', 'integer', '{"{1,-2,70000,NULL,2147483647,-2147483648,0,7}", "{2147483647,2147483647,2147483647}", "{-2147483648,-2147483648}"}'),
	('bigint', 'bigint', 'bigint', '{"{1,-2,70000000000,NULL,9223372036854775807,-9223372036854775808,0,7}", "{9223372036854775807,9223372036854775807}", "{-9223372036854775808,-9223372036854775808}"}'),
	('numeric', 'numeric', 'numeric', '{"{1,-2.50,0.000,NULL,12345678901234567890.123456789,-1e-30,1e50,3.3333333333333333333333333333}", "{NaN,1}", "{Infinity,1,2.5}", "{-Infinity,1}", "{Infinity,-Infinity}", "{NaN,NULL,NaN}", "{1.10,1.10,1.10}", "{1e1000,-1e1000,3}", "{0.00,1.0000}", "{1,2,3,4.0000000000000000000000000000000000000000000000000000001}", "{1e-1000,2e-1000}", "{0.1,0.2,0.3,0.4,0.5,0.6,0.7}"}'),
	('numeric_scaled', 'numeric(12,4)', 'numeric', '{"{1,-2.5,0,NULL,12345678.1234,-0.0001,99999999.9999}", "{NaN,1}"}'),
	('real', 'real', 'real', '{"{1.5,-2.25,100000,NULL,0,0.125,7,-512.5}", "{NaN,1}", "{Infinity,1,2}", "{-Infinity,1}", "{Infinity,-Infinity}", "{NaN,NULL}", "{1e30,3e30}", "{1e-40,1e-40}"}'),
	('double', 'double precision', 'double precision', '{"{1.5,-2.25,1e10,NULL,0,0.1,7,-512.5}", "{NaN,1}", "{Infinity,1,2}", "{-Infinity,1}", "{Infinity,-Infinity}", "{NaN,NULL}", "{0.1,0.2,0.4,1.7}", "{1e150,3e150}", "{1e-320,2e-320}", "{2.5,2.5,2.5}"}'),
	('money', 'money', 'money', '{"{1.50,-2.25,100000,NULL,0,0.01}"}'),
	('interval', 'interval', 'interval', '{"{1 day,-2 hours,3 months 4 days 00:00:01.5,NULL,0,1 year -1 day,00:00:00.000001}", "{1 month,1 month,1 month}"}'),
	('oid', 'oid', 'oid', '{"{1,2,4294967295,NULL,0}"}'),
	('regtype', 'regtype', 'oid', '{"{int4,text,NULL,pg_type}"}'),
	('date', 'date', 'date', '{"{2024-01-01,1999-12-31,NULL,0044-03-15 BC,infinity}", "{-infinity,infinity}"}'),
	('time', 'time', 'time', '{"{00:00,23:59:59.999999,NULL,24:00,12:00}"}'),
	('timetz', 'timetz', 'timetz', '{"{00:00Z,23:59:59+05,NULL,12:00-08}"}'),
	('timestamp', 'timestamp', 'timestamp', '{"{2024-01-01,1999-12-31 23:59:59.999999,NULL,0044-03-15 BC,infinity}", "{-infinity}"}'),
	('timestamp_0', 'timestamp(0)', 'timestamp', '{"{2024-01-01 00:00:00.7,NULL,2023-01-01}"}'),
	('timestamptz', 'timestamptz', 'timestamptz', '{"{2024-01-01Z,1999-12-31 23:59:59.999999+03,NULL,-infinity}", "{infinity}"}'),
	('text', 'text', 'text', '{"{b,a,\"\",NULL,B,ä,zz,\"a \"}"}'),
	('varchar', 'varchar(5)', 'text', '{"{b,a,NULL,abcde}"}'),
	('name', 'name', 'text', '{"{b,a,NULL,abcde}"}'),
	('collated', 'text COLLATE "en-x-icu"', 'text', '{"{b,a,\"\",NULL,B,ä,zz,A}"}'),
	('char', 'char(3)', 'character', '{"{b,a,NULL,abc,ab}"}'),
	('inet', 'inet', 'inet', '{"{10.0.0.1,10.0.0.0/8,NULL,::1,192.168.0.1/24}"}'),
	('cidr', 'cidr', 'inet', '{"{10.0.0.0/8,NULL,::/0}"}'),
	('tid', 'tid', 'tid', '{"{\"(0,1)\",\"(0,2)\",NULL,\"(7,1)\"}"}'),
	('pg_lsn', 'pg_lsn', 'pg_lsn', '{"{0/0,16/B374D848,NULL}"}'),
	('xid8', 'xid8', 'xid8', '{"{1,18446744073709551615,NULL}"}'),
	('boolean', 'boolean', 'boolean', '{"{t,f,NULL,t}", "{f,NULL}", "{t,t}", "{f,f}"}'),
	('bit', 'bit(5)', 'bit', '{"{10101,01010,NULL,11100}", "{00000,11111}"}'),
	('int_array', 'int[]', 'anyarray', '{"{\"{1,2}\",\"{1,NULL}\",NULL,\"{}\",\"{{1,2},{3,4}}\"}"}'),
	('text_array', 'text[]', 'anyarray', '{"{\"{a,b}\",\"{}\",NULL,\"{B}\"}"}'),
	('enum', 'mood', 'anyenum', '{"{ok,sad,NULL,happy,numb}"}'),
	('domain_int', 'small', 'integer', '{"{1,-2,NULL,999999}"}'),
	('domain_numeric', 'price', 'numeric', '{"{1.5,-2,NULL,0.01}"}'),
	-- only count takes these
	('json', 'json', NULL, '{"{1,NULL,\"[]\"}"}'),
	('composite', 'pair', NULL, '{"{\"(1,a)\",NULL,\"(,)\"}"}'),
	('point', 'point', NULL, '{"{\"(1,2)\",NULL}"}'),
	('bytea', 'bytea', 'bytea', '{"{\"\\\\x01\",NULL,\"\\\\x0002\"}"}');

-- Is there a type without a sample? (From PostgreSQL 18 on min and max take
-- records: a record is no type for a column, so no rollup can store them.)
SELECT DISTINCT argument FROM supported
WHERE argument NOT IN ('"any"'::regtype, 'record'::regtype)
	AND NOT EXISTS (SELECT FROM samples s WHERE s.argument = supported.argument);

-- A table and a rollup a type -----------------------------------------------

CREATE TABLE calls AS
SELECT s.name, array_agg(DISTINCT a.aggregate ORDER BY a.aggregate) AS aggregates
FROM samples s JOIN supported a ON a.argument IN (s.argument, '"any"'::regtype)
GROUP BY s.name;
SELECT sum(cardinality(aggregates)) >= 140 AS enough, count(*) = (SELECT count(*) FROM samples) AS complete FROM calls;

DO $$
DECLARE
	s record;
BEGIN
	FOR s IN SELECT * FROM samples JOIN calls USING (name) LOOP
		EXECUTE format('CREATE TABLE %I (ts timestamptz, k int, b boolean, v %s)', 'of_' || s.name, s.type);
		PERFORM make_rollup(s.name, format('SELECT aggwin.time_bucket(''1 hour'', ts) AS bucket, k, %s, %s FROM %I GROUP BY 1, 2',
			(SELECT string_agg(format('%1$s(v) AS %1$s', a), ', ') FROM unnest(s.aggregates) a),
			(SELECT string_agg(format('%1$s(v) FILTER (WHERE b) AS %1$s_b', a), ', ') FROM unnest(s.aggregates) a),
			'of_' || s.name));
	END LOOP;
END
$$;

-- The columns have the plain query's names, types, modifiers and collations.
SELECT v.relname, r.attname, format_type(r.atttypid, r.atttypmod) AS rollup, format_type(p.atttypid, p.atttypmod) AS plain,
	r.attcollation::regcollation, p.attcollation::regcollation
FROM pg_class v JOIN samples s ON s.name = v.relname
	JOIN pg_attribute r ON r.attrelid = v.oid AND r.attnum > 0
	FULL JOIN pg_attribute p ON p.attrelid = (v.relname || '_plain')::regclass AND p.attnum = r.attnum
WHERE (p.attname, p.atttypid, p.atttypmod, p.attcollation) IS DISTINCT FROM (r.attname, r.atttypid, r.atttypmod, r.attcollation)
	AND (v.relname IS NULL OR v.relnamespace = current_schema()::regnamespace)
	AND (v.relname IS NOT NULL OR p.attrelid::regclass::text LIKE '%\_plain' AND p.attnum > 0)
ORDER BY 1, r.attnum;
SELECT count(*) >= 340 AS columns FROM pg_attribute JOIN aggwin.rollups ON attrelid = rollup WHERE attnum > 0;

-- Where a rollup differs: column, group, and both values.
CREATE FUNCTION compare_columns(name text, OUT groups bigint, OUT wrong text) LANGUAGE plpgsql AS $$
DECLARE
	conditions text;
BEGIN
	SELECT string_agg(format('CASE WHEN r.%1$I::text IS DISTINCT FROM p.%1$I::text %2$s
		THEN format(''%%s of group %%s: %%s, not %%s; '', %1$L, k, left(r.%1$I::text, 30), left(p.%1$I::text, 30)) END', attname,
		CASE WHEN atttypid IN ('real'::regtype, 'double precision'::regtype) THEN
			format('AND coalesce(abs(r.%1$I - p.%1$I) > %2$s * greatest(abs(r.%1$I), abs(p.%1$I)), true)',
				attname, CASE atttypid WHEN 'real'::regtype THEN 1e-6 ELSE 1e-12 END)
		END), ', ' ORDER BY attnum)
	FROM pg_attribute WHERE attrelid = quote_ident(name)::regclass AND attnum > 2
	INTO conditions;
	EXECUTE format('SELECT count(*), string_agg(concat(%s), '''' ORDER BY bucket, k) FROM %I AS r FULL JOIN %I AS p USING (bucket, k)',
		conditions, name, name || '_plain') INTO groups, wrong;
END
$$;
CREATE FUNCTION compare_types(OUT rollups bigint, OUT groups bigint, OUT wrong text) LANGUAGE sql AS $$
	SELECT count(*), sum(c.groups), string_agg(s.name || ': ' || c.wrong, '' ORDER BY s.name) FILTER (WHERE c.wrong <> '')
	FROM samples s, compare_columns(s.name) c
$$;

-- The comparison itself: it finds what is made up.
CREATE TABLE made_up AS
SELECT 1 AS bucket, k, 1 + k / 1e13::float8 AS near, 1 + k / 1e11::float8 AS far, k::numeric AS scaled FROM generate_series(0, 1) AS k;
CREATE TABLE made_up_plain AS
SELECT 1 AS bucket, k, 1::float8 AS near, 1::float8 AS far, CASE k WHEN 0 THEN 0.0 ELSE 1 END AS scaled FROM generate_series(0, 2) AS k;
SELECT * FROM compare_columns('made_up');

-- Writing --------------------------------------------------------------------

CREATE TABLE rows AS
WITH grouped AS (
	SELECT name, type, i AS k, groups[i] AS list FROM samples, generate_subscripts(groups, 1) AS i
	UNION ALL SELECT name, type, 100, groups[1] FROM samples
	UNION ALL SELECT name, type, 100, groups[1] FROM samples
	UNION ALL SELECT name, type, 101, '{NULL,NULL}' FROM samples
	UNION ALL SELECT name, type, 102, ARRAY[(groups[1]::text[])[1]]::text FROM samples
	UNION ALL SELECT name, type, 103, ARRAY[NULL, (groups[1]::text[])[2]]::text FROM samples
	UNION ALL SELECT name, type, 104, groups[1] FROM samples)
SELECT name, type, row_number() OVER (PARTITION BY name ORDER BY k, n) AS id, k, n, v, k <> 104 AND n % 3 > 0 AS b
FROM grouped, unnest(list::text[]) WITH ORDINALITY AS l (v, n);

CREATE PROCEDURE insert_singly(at timestamptz) LANGUAGE plpgsql AS $$
DECLARE
	r rows;
BEGIN
	FOR r IN SELECT * FROM rows ORDER BY name, id LOOP
		EXECUTE format('INSERT INTO %I VALUES ($1, $2, $3, $4::%s)', 'of_' || r.name, r.type) USING at, r.k, r.b, r.v;
	END LOOP;
END
$$;
-- Eight buckets, so more than the 32 rows that are taken one by one.
CREATE PROCEDURE insert_together(at timestamptz) LANGUAGE plpgsql AS $$
DECLARE
	s samples;
BEGIN
	FOR s IN TABLE samples LOOP
		EXECUTE format('INSERT INTO %I SELECT $1 + h * interval ''1 hour'', k, b, v::%s FROM rows, generate_series(0, 7) AS h WHERE name = $2 ORDER BY id',
			'of_' || s.name, s.type) USING at, s.name;
	END LOOP;
END
$$;
CREATE PROCEDURE run_on_each(statement text) LANGUAGE plpgsql AS $$
DECLARE
	s samples;
BEGIN
	FOR s IN TABLE samples LOOP
		EXECUTE format(statement, 'of_' || s.name);
	END LOOP;
END
$$;

CALL insert_singly('2024-01-01 00:10Z');
SELECT * FROM compare_types();
CALL fold_all();
SELECT * FROM compare_types();

CALL insert_together('2024-01-01 00:20Z');
SELECT * FROM compare_types();
CALL fold_all();
SELECT * FROM compare_types();

CALL insert_singly('2024-01-01 01:30Z');
CALL insert_together('2023-12-31 23:40Z');
CALL insert_together('2024-01-01 00:10Z');
SELECT * FROM compare_types();
CALL fold_all();
SELECT * FROM compare_types();

-- Values that NaN, infinity and the extremes have left.
CALL run_on_each('DELETE FROM %I WHERE v::text ~ ''NaN|Inf|inf|^9|^1'' AND ts < ''2024-01-01 03:00Z''');
CALL run_on_each('UPDATE %I SET b = NOT b WHERE k IN (2, 102, 104)');
SELECT * FROM compare_types();
CALL fold_all();
SELECT * FROM compare_types();

-- All in one repair.
CALL run_on_each('UPDATE %I SET ts = ts - interval ''1 hour''');
SELECT * FROM compare_types();
CALL fold_all();
SELECT * FROM compare_types();
CALL run_on_each('TRUNCATE %I');
CALL insert_together('2024-01-01 00:10Z');
CALL fold_all();
SELECT * FROM compare_types();

-- Random values, many folds ---------------------------------------------------

SELECT setseed(0.42);
CREATE TABLE numbers (ts timestamptz, k int, i2 smallint, i4 int, i8 bigint, n numeric, f4 real, f8 double precision, iv interval);
SELECT make_rollup('numbers_1d', $$
	SELECT aggwin.time_bucket('1 day', ts) AS bucket, k, count(*) AS count,
		sum(i2) AS i2_sum, avg(i2) AS i2_avg, stddev(i2) AS i2_stddev, var_pop(i2) AS i2_var_pop,
		sum(i4) AS i4_sum, avg(i4) AS i4_avg, stddev_pop(i4) AS i4_stddev_pop, variance(i4) AS i4_variance,
		sum(i8) AS i8_sum, avg(i8) AS i8_avg, stddev_samp(i8) AS i8_stddev_samp, var_samp(i8) AS i8_var_samp,
		sum(n) AS n_sum, avg(n) AS n_avg, stddev(n) AS n_stddev, var_pop(n) AS n_var_pop, stddev_pop(n) AS n_stddev_pop, variance(n) AS n_variance,
		avg(f8) AS f8_avg, sum(f8) AS f8_sum, stddev(f8) AS f8_stddev, var_pop(f8) AS f8_var_pop, stddev_pop(f8) AS f8_stddev_pop,
		avg(f4) AS f4_avg, variance(f4) AS f4_variance, sum(iv) AS iv_sum, avg(iv) AS iv_avg
	FROM numbers GROUP BY 1, 2
$$);
CREATE PROCEDURE write_numbers(batches int, size int) LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. batches LOOP
		INSERT INTO numbers
		SELECT timestamptz '2024-01-01Z' + random() * interval '3 days', (random() * 3)::int,
			(random() * 65000 - 32500)::smallint, (random() * 4e9 - 2e9)::int, (random() * 18e18 - 9e18)::bigint,
			round((random() * 1e6)::numeric * 10::numeric ^ (random() * 20 - 10)::int, (random() * 30)::int),
			random() * 100 + 1, random() * 1e6 + 1, random() * interval '100 days' + interval '1 month' * (random() * 10)::int
		FROM generate_series(1, size);
		IF i % 3 = 0 THEN
			COMMIT;
			PERFORM aggwin.refresh('numbers_1d');
			COMMIT;
		END IF;
	END LOOP;
END
$$;
CALL write_numbers(40, 1);
SELECT * FROM compare_columns('numbers_1d');
CALL write_numbers(20, 20);
SELECT * FROM compare_columns('numbers_1d');
CALL write_numbers(20, 200);
SELECT * FROM compare_columns('numbers_1d');
DELETE FROM numbers WHERE random() < 0.3 AND ts < '2024-01-02Z';
SELECT * FROM compare_columns('numbers_1d');
SELECT aggwin.refresh('numbers_1d');
SELECT * FROM compare_columns('numbers_1d');

-- Aggregates that share what is stored ----------------------------------------

SELECT make_rollup('shared', $$
	SELECT aggwin.time_bucket('1 day', ts) AS bucket, count(*) AS rows, count(i4), sum(i4), avg(i4), sum(i4) / count(i4) AS quotient,
		stddev(i4), avg(i4) FILTER (WHERE i4 > 0) AS above, sum(i4::bigint + i2) AS both, max(i4)::bigint - min(i4) AS width
	FROM numbers GROUP BY 1
$$);
SELECT attname FROM pg_attribute JOIN aggwin.rollup ON attrelid = state
WHERE view = 'shared'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
SELECT * FROM fold_and_compare('shared');
INSERT INTO numbers (ts, i4, i2) VALUES ('2024-01-01Z', 5, NULL), ('2024-01-01Z', NULL, 7), ('2024-01-05Z', NULL, NULL);
SELECT * FROM fold_and_compare('shared');

-- Numbers at the end of what the types hold ------------------------------------

CREATE TABLE limits (ts timestamptz, n numeric);
SELECT make_rollup('limits_1d', $$
	SELECT aggwin.time_bucket('1 day', ts) AS bucket, sum(n) AS sum, avg(n) AS avg, var_pop(n) AS var_pop, stddev(n) AS stddev, stddev_pop(n) AS stddev_pop FROM limits GROUP BY 1
$$);
INSERT INTO limits VALUES ('2024-01-01Z', '1e500'), ('2024-01-01Z', '1');
INSERT INTO limits SELECT '2024-01-02Z', '1e-16383' FROM generate_series(1, 40);
INSERT INTO limits SELECT '2024-01-03Z', 10::numeric ^ i FROM generate_series(-40, 40) AS i;
SELECT * FROM fold_and_compare('limits_1d');
DELETE FROM limits WHERE n = 10;
SELECT * FROM fold_and_compare('limits_1d');

-- Values that are stored out of line --------------------------------------------

CREATE TABLE texts (ts timestamptz, v text, a int[]);
SELECT make_rollup('texts_1h', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, min(v) AS min, max(v) AS max, max(a) AS array FROM texts GROUP BY 1
$$);
CREATE FUNCTION long_text(seed int, length int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT left(string_agg(md5(format('%s %s', seed, i)), '' ORDER BY i), length) FROM generate_series(1, length / 32 + 1) AS i
$$;
INSERT INTO texts VALUES ('2024-01-01Z', long_text(1, 3000), NULL), ('2024-01-01Z', long_text(2, 30000), NULL);
SELECT * FROM compare('texts_1h');
INSERT INTO texts SELECT timestamptz '2024-01-01Z' + i * interval '20 min', long_text(i, i * 100), array_agg(j * i)
FROM generate_series(1, 100) AS i, generate_series(1, i * 10) AS j GROUP BY i;
SELECT * FROM fold_and_compare('texts_1h');
INSERT INTO texts SELECT timestamptz '2024-01-01Z' + i * interval '1 day', long_text(i, 100000), NULL FROM generate_series(1, 40) AS i;
SET enable_seqscan = off;
SELECT * FROM compare('texts_1h');
RESET enable_seqscan;
SELECT * FROM fold_and_compare('texts_1h');
DELETE FROM texts WHERE v < 'a';
SELECT * FROM fold_and_compare('texts_1h');

SET client_min_messages = warning;
DROP SCHEMA rollup_aggregates CASCADE;
