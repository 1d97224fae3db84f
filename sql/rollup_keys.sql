-- Keys of every kind.
\getenv srcdir PG_ABS_SRCDIR
\set helper :srcdir/test/lib/compare.sql
CREATE SCHEMA rollup_keys;
SET search_path = rollup_keys;
\set ECHO none
\i :helper
\set ECHO all

CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN short AS varchar(5) CHECK (VALUE <> 'bad');
CREATE DOMAIN pairs AS pair[];
CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);

-- Values that are one key in more than one form, such as 1.0 and 1.00, stand
-- next to each other: the first two of a list, unless it says otherwise.
CREATE TABLE kinds (name text, type text, samples text[], same boolean);
INSERT INTO kinds VALUES
	('boolean', 'boolean', '{t,f,NULL}', false),
	('smallint', 'smallint', '{-32768,32767,0,NULL}', false),
	('int', 'int', '{-2147483648,2147483647,0,NULL}', false),
	('bigint', 'bigint', '{-9223372036854775808,9223372036854775807,NULL}', false),
	('numeric', 'numeric', '{1.0,1.00,1,0,0.000,NaN,Infinity,-Infinity,1e-200,NULL}', true),
	('numeric_scaled', 'numeric(6,2)', '{1.0,1.00,1.01,NULL}', false),
	('real', 'real', '{0,-0,1.1,NaN,Infinity,-Infinity,1e-45,NULL}', true),
	('double', 'float8', '{0,-0,1.1,NaN,Infinity,-Infinity,5e-324,NULL}', true),
	('money', 'money', '{1.00,-1.00,NULL}', false),
	('text', 'text', '{a,A,"",ä,"a ",NULL}', false),
	('text_c', 'text COLLATE "C"', '{a,A,"",ä,NULL}', false),
	('text_icu', 'text COLLATE "en-x-icu"', '{a,A,"",ä,NULL}', false),
	('text_nocase', 'text COLLATE nocase', '{a,A,"",ä,Ä,b,NULL}', true),
	('varchar', 'varchar(10)', '{a,abcdefghij,"a ",NULL}', false),
	('char', 'char(3)', '{a,"a  ",abc,"",NULL}', false),
	('qchar', '"char"', '{a,"",NULL}', false),
	('name', 'name', '{a,abc,NULL}', false),
	('bytea', 'bytea', E'{"\\\\\\\\x00","\\\\\\\\x0000","",NULL}', false),
	('date', 'date', '{2024-01-01,infinity,-infinity,0001-01-01 BC,NULL}', false),
	('time', 'time', '{00:00,24:00,NULL}', false),
	('timetz', 'timetz', '{00:00+00,00:00+01,NULL}', false),
	('timestamp', 'timestamp', '{2024-01-01,infinity,-infinity,NULL}', false),
	('timestamp_3', 'timestamp(3)', '{2024-01-01 00:00:00.1234,2024-01-01 00:00:00.1231,NULL}', false),
	('timestamptz', 'timestamptz', '{2024-01-01 00:00+00,2024-01-01 01:00+01,infinity,NULL}', false),
	('interval', 'interval', '{1 month,30 days,720 hours,1 day,-1 month,NULL}', true),
	('uuid', 'uuid', '{00000000-0000-0000-0000-000000000000,ffffffff-ffff-ffff-ffff-ffffffffffff,NULL}', false),
	('inet', 'inet', '{10.0.0.1,10.0.0.1/8,::1,NULL}', false),
	('cidr', 'cidr', '{10.0.0.0/8,10.0.0.0/16,NULL}', false),
	('macaddr', 'macaddr', '{08:00:2b:01:02:03,NULL}', false),
	('bit', 'bit(3)', '{101,010,NULL}', false),
	('varbit', 'varbit', '{101,0101,"",NULL}', false),
	('oid', 'oid', '{1,4294967295,NULL}', false),
	('xid8', 'xid8', '{1,18446744073709551615,NULL}', false),
	('pg_lsn', 'pg_lsn', '{0/1,16/B374D848,NULL}', false),
	('tid', 'tid', '{"(0,1)","(1,0)",NULL}', false),
	('regclass', 'regclass', '{pg_class,pg_type,NULL}', false),
	('jsonb', 'jsonb', '{"{\"a\": 1, \"b\": [1.0]}","{\"b\": [1.00], \"a\": 1}",1,null,\"null\",[],NULL}', true),
	('tsvector', 'tsvector', '{a b,b a,"",NULL}', false),
	('enum', 'mood', '{ok,sad,NULL}', false),
	('domain', 'short', '{a,abcde,NULL}', false),
	('composite', 'pair', '{"(1,a)","(1,)","(,)",NULL}', false),
	('int_array', 'int[]', '{"{1,2}","{1,NULL}","{}","{{1},{2}}","[0:1]={1,2}",NULL}', false),
	('text_array', 'text[]', '{"{a,b}","{}",NULL}', false),
	('float_array', 'float8[]', '{"{0}","{-0}","{NaN}",NULL}', true),
	('composite_array', 'pair[]', '{"{\"(1,a)\"}","{}",NULL}', false),
	('domain_array', 'pairs', '{"{\"(1,a)\"}","{}",NULL}', false),
	('int4range', 'int4range', '{"[1,5)","[1,4]",empty,"(,)",NULL}', false),
	('tstzrange', 'tstzrange', '{"[2024-01-01,2024-01-02)","(,2024-01-01]",empty,NULL}', false),
	('multirange', 'int4multirange', '{"{[1,2),[2,3)}","{[1,3)}","{}",NULL}', false);

DO $$
DECLARE
	k kinds;
BEGIN
	FOR k IN TABLE kinds LOOP
		EXECUTE format('CREATE TABLE %I (ts timestamptz, k %s, v int)', 'of_' || k.name, k.type);
		PERFORM make_rollup(k.name, format('SELECT aggwin.time_bucket(''1 hour'', ts) AS bucket, k, count(*) AS n, sum(v) AS v FROM %I GROUP BY 1, 2', 'of_' || k.name));
	END LOOP;
END
$$;
SELECT count(*) AS made FROM aggwin.rollups;

-- Types, modifiers and collations of the keys.
SELECT name, format_type(r.atttypid, r.atttypmod) AS rollup, format_type(p.atttypid, p.atttypmod) AS plain, r.attcollation::regcollation, p.attcollation::regcollation
FROM kinds JOIN pg_attribute r ON r.attrelid = name::regclass AND r.attname = 'k'
	JOIN pg_attribute p ON p.attrelid = (name || '_plain')::regclass AND p.attname = 'k'
WHERE (r.atttypid, r.atttypmod, r.attcollation) IS DISTINCT FROM (p.atttypid, p.atttypmod, p.attcollation);

-- Where a key has several forms, any of them will do; otherwise the text must be the same.
CREATE FUNCTION compare_kinds(OUT rollups bigint, OUT rows numeric, OUT wrong text) LANGUAGE sql AS $$
	SELECT count(*), sum(c.rows), string_agg(format('%s: %s', name, differences), ', ' ORDER BY name) FILTER (WHERE differences > 0)
	FROM kinds, compare(name, NOT same) AS c
$$;
CREATE PROCEDURE insert_singly() LANGUAGE plpgsql AS $$
DECLARE
	k kinds;
	sample text;
BEGIN
	FOR k IN TABLE kinds LOOP
		FOREACH sample IN ARRAY k.samples LOOP
			EXECUTE format('INSERT INTO %I VALUES (''2024-01-01 00:10Z'', $1::%s, 1)', 'of_' || k.name, k.type) USING sample;
		END LOOP;
	END LOOP;
END
$$;
CREATE PROCEDURE insert_together() LANGUAGE plpgsql AS $$
DECLARE
	k kinds;
BEGIN
	FOR k IN TABLE kinds LOOP
		EXECUTE format('INSERT INTO %I SELECT timestamptz ''2024-01-01Z'' + i * interval ''15 min'', s::%s, i FROM generate_series(0, 40) AS i, unnest($1) AS s',
			'of_' || k.name, k.type) USING k.samples;
	END LOOP;
END
$$;
CREATE PROCEDURE run_on_each(statement text) LANGUAGE plpgsql AS $$
DECLARE
	k kinds;
BEGIN
	FOR k IN TABLE kinds LOOP
		EXECUTE format(statement, 'of_' || k.name);
	END LOOP;
END
$$;

CALL insert_singly();
SELECT * FROM compare_kinds();
CALL fold_all();
SELECT * FROM compare_kinds();
CALL insert_together();
SELECT * FROM compare_kinds();
CALL fold_all();
SELECT * FROM compare_kinds();
CALL insert_singly();
CALL insert_together();
CALL run_on_each('UPDATE %I SET v = v + 1 WHERE ts < ''2024-01-01 03:00Z''');
CALL run_on_each('DELETE FROM %I WHERE k IS NULL AND ts > ''2024-01-01 08:00Z''');
SELECT * FROM compare_kinds();
CALL fold_all();
SELECT * FROM compare_kinds();
CALL run_on_each('UPDATE %I AS t SET k = o.k FROM (SELECT k FROM %1$I WHERE k IS NOT NULL LIMIT 1) AS o WHERE t.k IS NULL');
SELECT * FROM compare_kinds();
CALL fold_all();
SELECT * FROM compare_kinds();

-- Equal keys in different forms are one group.
SELECT n FROM "numeric" WHERE k = 1 AND bucket = '2024-01-01 00:00Z';
SELECT n FROM double WHERE k = 0 AND bucket = '2024-01-01 00:00Z';
SELECT n FROM text_nocase WHERE k = 'A' AND bucket = '2024-01-01 00:00Z';
SELECT count(*) FROM text_c WHERE k IN ('a', 'A') AND bucket = '2024-01-01 00:00Z';

-- Keys that are collated otherwise than their column ---------------------------

CREATE TABLE names (ts timestamptz, a text COLLATE "C", b text COLLATE "POSIX", c text);
SELECT make_rollup('collated', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, a COLLATE rollup_keys.nocase AS a, lower(b) AS b, max(c COLLATE "en-x-icu") AS c, a || '?' AS question, count(*)
	FROM names WHERE b < 'x' COLLATE "C" AND c > 'B' COLLATE "en-x-icu" GROUP BY 1, a COLLATE rollup_keys.nocase, lower(b), a || '?', a
$$);
INSERT INTO names VALUES ('2024-01-01Z', 'a', 'b', 'c'), ('2024-01-01Z', 'A', 'B', 'C'), ('2024-01-01Z', 'á', 'b', 'a');
INSERT INTO names SELECT '2024-01-01Z', chr(65 + i), chr(97 + i), chr(130 - i) FROM generate_series(0, 57) AS i;
SELECT * FROM fold_and_compare('collated', false);
DELETE FROM names WHERE a = 'A';
SELECT * FROM fold_and_compare('collated', false);

-- Where the plain query could not compare.
SELECT aggwin.create_rollup('undecided', $$ SELECT aggwin.time_bucket('1 hour', ts), max(a || b) FROM names GROUP BY 1 $$);
SELECT aggwin.create_rollup('undecided', $$ SELECT aggwin.time_bucket('1 hour', ts) FROM names GROUP BY 1 HAVING max(a || b) IS NULL $$);
SELECT aggwin.create_rollup('undecided', $$ SELECT aggwin.time_bucket('1 hour', ts), a || b, count(*) FROM names GROUP BY 1, 2 $$);

-- Many keys --------------------------------------------------------------------

CREATE TABLE wide AS SELECT timestamptz '2024-01-01Z' AS ts, g.* FROM (SELECT) AS g WHERE false;
DO $$
BEGIN
	FOR i IN 1 .. 32 LOOP
		EXECUTE format('ALTER TABLE wide ADD c%s int', i);
	END LOOP;
END
$$;
SELECT make_rollup('keys_32', format('SELECT aggwin.time_bucket(''1 hour'', ts) AS bucket, %1$s, count(*) FROM wide GROUP BY 1, %1$s', string_agg('c' || i, ', ' ORDER BY i)))
FROM generate_series(1, 31) AS i;
SELECT aggwin.create_rollup('keys_33', format('SELECT aggwin.time_bucket(''1 hour'', ts) AS bucket, %1$s, count(*) FROM wide GROUP BY 1, %1$s', string_agg('c' || i, ', ' ORDER BY i)))
FROM generate_series(1, 32) AS i;
INSERT INTO wide (ts, c1, c31) VALUES ('2024-01-01Z', 1, 2), ('2024-01-01Z', 1, 2), ('2024-01-01Z', 1, NULL);
INSERT INTO wide (ts, c1, c31, c32) SELECT '2024-01-01Z', i % 3, i % 4, i FROM generate_series(1, 100) AS i;
SELECT * FROM fold_and_compare('keys_32');

-- Wide keys -----------------------------------------------------------------------

CREATE TABLE texts (ts timestamptz, k text, l text);
SELECT make_rollup('texts_1h', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, k, l, count(*) FROM texts GROUP BY 1, 2, 3
$$);
CREATE FUNCTION noise(seed int, length int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT left(string_agg(md5(format('%s %s', seed, i)), '' ORDER BY i), length) FROM generate_series(1, length / 32 + 1) AS i
$$;
-- What fits, what fits when it is compressed, and both together.
INSERT INTO texts VALUES ('2024-01-01Z', noise(1, 2600), NULL), ('2024-01-01Z', repeat('x', 50000), 'y'), ('2024-01-01Z', repeat('x', 50000), 'y');
INSERT INTO texts SELECT '2024-01-01Z', noise(i, 1200), noise(-i, 1200) FROM generate_series(1, 40) AS i;
SELECT * FROM fold_and_compare('texts_1h');
-- What does not fit is an error of the statement that brings it, not of a fold.
INSERT INTO texts VALUES ('2024-01-01Z', noise(1, 3000), NULL);
\set VERBOSITY terse
INSERT INTO texts SELECT '2024-01-01Z', noise(i, 3000), noise(-i, 3000) FROM generate_series(1, 40) AS i;
INSERT INTO texts VALUES ('2024-01-01Z', noise(1, 20000), NULL);
INSERT INTO texts SELECT '2024-01-01Z', noise(i, 20000), NULL FROM generate_series(1, 40) AS i;
INSERT INTO texts VALUES ('2024-01-01Z', noise(3, 1000), 'narrow');
UPDATE texts SET k = noise(1, 3000) WHERE l = 'narrow';
UPDATE texts SET k = noise(1, 20000) WHERE l = 'narrow';
SELECT * FROM fold_and_compare('texts_1h');
-- A table may hold such keys already: the rollup is answered from it until they are gone.
CREATE TABLE filled AS SELECT timestamptz '2024-01-01Z' AS ts, noise(1, 3000) AS k;
SELECT make_rollup('filled_1h', $$ SELECT aggwin.time_bucket('1 hour', ts) AS bucket, k, count(*) FROM filled GROUP BY 1, 2 $$);
SELECT * FROM compare('filled_1h');
SELECT aggwin.refresh('filled_1h');
UPDATE filled SET k = left(k, 2000);
SELECT * FROM fold_and_compare('filled_1h');
\set VERBOSITY default

-- A tier without the first key, but with the second.
CREATE TABLE two (ts timestamptz, a text, b int, v int);
SELECT make_rollup('two_1h', 'SELECT aggwin.time_bucket(''1 hour'', ts) AS bucket, a, b, sum(v), max(v) FROM two GROUP BY 1, 2, 3');
SELECT aggwin.add_tier('two_1h', '1 day', keys => '{b}', name => 'two_1d');
CREATE VIEW two_1d_plain AS SELECT aggwin.time_bucket('1 day', ts) AS bucket, b, sum(v), max(v) FROM two GROUP BY 1, 2;
INSERT INTO two SELECT timestamptz '2024-01-01Z' + n * interval '20 min', 'a' || n % 3, n % 5, n FROM generate_series(1, 200) AS n;
SELECT * FROM fold_and_compare('two_1d');
INSERT INTO two VALUES ('2024-01-01Z', NULL, 3, 1000);
SELECT * FROM fold_and_compare('two_1d');

SET client_min_messages = warning;
DROP SCHEMA rollup_keys CASCADE;
