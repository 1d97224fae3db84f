-- first() and last(): the value of the earliest and of the latest time.
CREATE SCHEMA summary_first_last;
SET search_path = summary_first_last, aggwin;
CREATE SCHEMA "Größe";
CREATE TYPE "Größe".mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN percent AS numeric(5, 2) CHECK (VALUE BETWEEN 0 AND 100);
SET timezone = 'UTC';
SET extra_float_digits = 1;
SELECT setseed(0.42);

CREATE TABLE t (n int, ts timestamptz, v text);
INSERT INTO t VALUES (1, '2026-01-01 10:00Z', 'b'), (2, '2026-01-01 09:00Z', 'a'), (3, '2026-01-01 11:00Z', 'c'),
	(4, '2026-01-01 12:00Z', NULL), (5, NULL, 'd'), (6, '2026-01-01 11:00Z', 'ca'), (7, '2026-01-01 09:00Z', 'aa');
SELECT first(v, ts), last(v, ts), first(n, ts), last(n, ts), pg_typeof(first(v, ts)), pg_typeof(last(n::smallint, ts)) FROM t;
SELECT first(v, ts) IS NULL AS none, last(v, ts) IS NULL AS none FROM t WHERE v IS NULL OR ts IS NULL;
SELECT first(v, ts) IS NULL AS none, last(NULL::int, ts) IS NULL AS none FROM t WHERE n > 99;
SELECT last('a'::text, 'infinity'::timestamptz), first(v, ts::timestamp), last(v, ts::date), first(v, n::bigint), last(v, n), last(v, -n::smallint) FROM t;
SELECT first(v, ts), last(v, ts) FROM (VALUES ('x', '-infinity'::timestamptz), ('y', 'infinity'), ('z', 'now')) AS s(v, ts);
SELECT first(v, d), last(v, d) FROM (VALUES ('x', '-infinity'::date), ('y', 'infinity'), ('z', '4713-01-01 BC')) AS s(v, d);

-- Whatever the type is, and whatever the order of rows: what sorting gives. Of one
-- time, first() takes the smallest and last() the greatest. Fifty times, so that
-- each has many values.
CREATE FUNCTION random_text(n int) RETURNS text LANGUAGE sql VOLATILE AS
	$$ SELECT left(md5(random()::text), 1 + (n * n) % 7) || repeat(md5(n::text), CASE WHEN n % 97 = 0 THEN 200 ELSE n % 5 END) $$;
CREATE TABLE many AS
SELECT n, timestamptz '2026-01-01Z' + floor(random() * 50) * interval '1 hour' AS ts, n % 11 AS g,
	n % 2 = 0 AS boolean, (n % 300)::smallint AS smallint, (random() * 1e9)::int AS int, (random() * 1e15)::bigint AS bigint,
	random()::real AS real, random() AS double, (random() * 1e20)::numeric(40, 10) AS numeric, random_text(n) AS text, random_text(n)::varchar AS varchar,
	left(random_text(n), 60)::name AS name, left(random_text(n), 5)::char(9) AS char, substr(random_text(n), 1, 1)::"char" AS byte,
	decode(md5(n::text), 'hex') AS bytea, md5(random()::text)::uuid AS uuid, random() * interval '1 year' AS interval,
	date '2026-01-01' + n % 99 AS date, timestamptz '2026-01-01Z' + random() * interval '1 year' AS timestamptz, ('10.0.0.' || n % 256)::inet AS inet,
	(ARRAY['sad', 'ok', 'happy'])[1 + n % 3]::"Größe".mood AS mood, (random() * 100)::percent AS percent,
	CASE WHEN n % 3 = 0 THEN NULL ELSE ROW(n % 7, nullif(random_text(n), 'c'))::pair END AS pair, ARRAY[n % 7, NULL, n] AS "int[]", ARRAY[random_text(n), NULL] AS "text[]",
	int4range(n, 2 * n) AS range, jsonb_build_object('n', n % 5, 't', random_text(n)) AS jsonb, (n::text || random())::tsvector AS tsvector
FROM generate_series(1, 2000) AS n;
CREATE FUNCTION wrong(value text, type text) RETURNS TABLE (of text, groups bigint, wrong bigint, merged_wrong bigint, forms_wrong bigint) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format($q$
		WITH whole AS (
			SELECT g, first(v, ts ORDER BY random()) AS f, last(v, ts ORDER BY random()) AS l, array_agg(v::text ORDER BY ts, v) FILTER (WHERE num_nonnulls(v) = 1) AS sorted,
				timed_first(v, ts) AS tf, timed_last(v, ts) AS tl
			FROM (SELECT g, ts, %1$I AS v FROM many) AS s GROUP BY g),
		parts AS (
			SELECT g, merge_first(f ORDER BY random()) AS mf, merge_last(l ORDER BY random()) AS ml
			FROM (SELECT g, timed_first(v, ts) AS f, timed_last(v, ts) AS l FROM (SELECT n, g, ts, %1$I AS v FROM many) AS s GROUP BY g, n / 100) AS s GROUP BY g)
		SELECT %1$L, count(*), count(*) FILTER (WHERE f::text IS DISTINCT FROM sorted[1] OR l::text IS DISTINCT FROM sorted[cardinality(sorted)]),
			count(*) FILTER (WHERE timed_value(mf, NULL::%2$s) IS DISTINCT FROM f OR timed_value(ml, NULL::%2$s) IS DISTINCT FROM l
				OR mf::text <> tf::text OR ml::text <> tl::text),
			count(*) FILTER (WHERE timed_value(tf::text::timed, NULL::%2$s) IS DISTINCT FROM f OR tl::text::timed::text <> tl::text)
		FROM whole JOIN parts USING (g) $q$, value, type);
END $$;
SELECT wrong.* FROM pg_attribute, wrong(attname, format_type(atttypid, NULL))
WHERE attrelid = 'many'::regclass AND attnum > 3 ORDER BY attnum;

-- Types without an order go by their bytes, so that the answer is still one.
SELECT bool_and(f::text = '[1,1]' AND l::text = '[1,2]') AS any_order
FROM generate_series(1, 20) AS round, LATERAL (SELECT first(v, 1 ORDER BY random() + round) AS f, last(v, 1 ORDER BY random() + round) AS l
	FROM (VALUES ('[1,2]'::json), ('[1,1]')) AS s(v)) AS x;
-- Equal, but not the same: by bytes, too.
SELECT DISTINCT f, l FROM (SELECT first(v, 1 ORDER BY random() + round) AS f, last(v, 1 ORDER BY random() + round) AS l
	FROM unnest('{1.0,1.00,1.000}'::numeric[]) AS v, generate_series(1, 20) AS round GROUP BY round) AS s;

-- Everywhere aggregates go.
SELECT n, first(v, ts) OVER w, last(v, ts) OVER w FROM t WINDOW w AS (ORDER BY n ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING);
SELECT first(v, ts) FILTER (WHERE n > 2), last(DISTINCT v, ts) FROM t;
SELECT a, b, last(n, ts) FROM (SELECT n % 2 AS a, n % 3 AS b, * FROM t) AS s GROUP BY GROUPING SETS ((a), (b), ()) ORDER BY a, b;
CREATE TABLE groups AS SELECT floor(3000 * random() ^ 2) AS g, timestamptz '2026-01-01Z' + floor(random() * 1e4) * interval '1 s' AS ts, random_text(n) AS v, n
FROM generate_series(1, 40000) AS n;
ANALYZE groups;
SET enable_hashagg = off;
CREATE TABLE sorted AS SELECT g, first(v, ts) AS f, last(v, ts) AS l, last(n, ts) AS n FROM groups GROUP BY g;
RESET enable_hashagg;
SET enable_sort = off;
SET work_mem = '64kB';
SELECT count(*) AS differences FROM (SELECT g, first(v, ts) AS f, last(v, ts) AS l, last(n, ts) AS n FROM groups GROUP BY g) AS s JOIN sorted USING (g) WHERE (s.f, s.l, s.n) <> (sorted.f, sorted.l, sorted.n);
RESET work_mem;
RESET enable_sort;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT first(v, ts), last(n, ts) FROM groups;
SELECT (SELECT ROW(first(v, ts), last(v, ts), last(n, ts))::text FROM groups) = (SELECT ROW(first(v, ts ORDER BY n), last(v, ts ORDER BY n), last(n, ts ORDER BY n))::text FROM groups) AS parallel;
SELECT count(*) AS differences FROM (SELECT g, first(v, ts) AS f, last(v, ts) AS l, last(n, ts) AS n FROM groups GROUP BY g) AS s JOIN sorted USING (g) WHERE (s.f, s.l, s.n) <> (sorted.f, sorted.l, sorted.n);
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;

-- States: what rollups keep.
SELECT timed_first(v, ts), timed_last(v, ts::timestamp), timed_last(n, ts::date), timed_last(ROW(n, v)::pair, n) FROM t;
SELECT timed_last(n % 2 = 0, ts), timed_last((CASE WHEN n < 4 THEN 'sad' ELSE 'happy' END)::"Größe".mood, n), timed_first(v, '-infinity'::timestamptz) FROM t;
SELECT timed_keep_last(timed_keep_last(NULL, 5, 2), 6, 1) AS older, timed_keep_last(timed_keep_last(NULL, 5, 2), 6, 3) AS newer, timed_keep_first(NULL, NULL::int, 1) IS NULL AS nothing;
SELECT timed_value(timed_last_of(NULL, timed_first_of(a, b)), 0), timed_value(timed_last_of(a, b), 0), timed_value(NULL, 0) IS NULL AS nothing
FROM (SELECT timed_first(n, ts) FILTER (WHERE n < 4) AS a, timed_last(n, ts) FILTER (WHERE n > 3) AS b FROM t) AS s;
CREATE AGGREGATE unfinished(anyelement, timestamptz) (SFUNC = timed_keep_last, STYPE = timed);
CREATE TABLE states AS SELECT g, unfinished(v, ts) AS s, unfinished(n, ts) AS n FROM groups GROUP BY g;
SELECT count(*) AS differences FROM states JOIN sorted USING (g) WHERE (timed_value(s, NULL::text), timed_value(states.n, 0)) <> (l, sorted.n);
SELECT timed_value(merge_last(s), ''::text) = (SELECT last(v, ts) FROM groups) AS merged FROM states;
-- the binary form, in a file beside the server's own
CREATE TABLE forms AS SELECT last(ts, 1) AS dummy, timed_last(boolean, ts) AS a, timed_last(text, ts) AS b, timed_last(numeric, ts) AS c, timed_last(pair, ts::timestamp) AS d, timed_last("text[]", ts::date) AS e,
	timed_last(mood, n) AS f, timed_last(byte, ts) AS g, timed_last(percent, ts) AS h, timed_last(jsonb, ts) AS i, timed_last(name, ts) AS j, timed_last(char, ts) AS k FROM many GROUP BY many.g;
SELECT current_setting('data_directory') || '/summary_timed.bin' AS file \gset
\set back 'cat ' :file '; rm ' :file
COPY forms TO :'file' (FORMAT binary);
CREATE TABLE restored (LIKE forms);
COPY restored FROM PROGRAM :'back' (FORMAT binary);
SELECT (SELECT count(*) FROM restored) AS complete, count(*) AS differences FROM (SELECT forms::text FROM forms EXCEPT ALL SELECT restored::text FROM restored) AS d;

-- Errors.
SELECT first(ROW(n, v), ts) FROM t;
SELECT last(v, v) FROM t;
SELECT timed_last_of(timed_last(v, ts), timed_last(v, n)) FROM t;
SELECT timed_last_of(timed_last(v, ts), timed_last(n, ts)) FROM t;
SELECT timed_value(timed_last(v, ts), 0) FROM t;
CREATE FUNCTION refusal(t text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text;
BEGIN
	RETURN 'accepted: ' || t::timed::text;
EXCEPTION WHEN data_exception OR undefined_object OR invalid_schema_name OR check_violation OR datatype_mismatch OR syntax_error THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN concat(SQLSTATE, ' ', SQLERRM, ': ', detail);
END $$;
\set good '{"time_type": "date", "time": "2026-01-01", "type": "integer", "value": "42"}'
SELECT :'good'::timed, '{"time_type": "bigint", "time": -7, "type": "summary_first_last.pair", "value": "(1,\"a b\")"}'::timed;
SELECT change, refusal((:'good'::jsonb || change)::text) FROM unnest(ARRAY['{"time_type": "time"}', '{"time_type": 1}', '{"time_type": "bigint"}', '{"time": "2026-1-1"}', '{"time": "epoch"}', '{"time": "x"}', '{"time": 1}', '{"time": "infinity"}',
	'{"type": "int4"}', '{"type": "23"}', '{"type": "60"}', '{"type": "-"}', '{"type": "nothing.there"}', '{"type": "pg_catalog.record"}', '{"type": "pg_catalog.anyelement"}', '{"type": "pg_catalog.cstring"}', '{"type": "pair", "value": "(1,)"}', '{"type": 1}', '{"value": "x"}', '{"value": 42}',
	'{"type": "summary_first_last.percent", "value": "101"}', '{"type": "summary_first_last.percent", "value": "99.999"}', '{"type": "text", "value": ""}', '{"more": 1}']::jsonb[]) AS change;
CREATE FUNCTION received(payload bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	file text := current_setting('data_directory') || '/summary_timed.bin';
	object oid := lo_from_bytea(0, '\x5047434f50590aff0d0a000000000000000000'::bytea || '\x0001' || int4send(length(payload)) || payload || '\xffff');
	detail text;
	result text;
BEGIN
	PERFORM lo_export(object, file), lo_unlink(object);
	CREATE TEMPORARY TABLE received (s aggwin.timed) ON COMMIT DROP;
	EXECUTE format('COPY received FROM PROGRAM %L (FORMAT binary)', format('cat %1$s; rm %1$s', file));
	SELECT 'accepted: ' || s::text INTO result FROM received;
	DROP TABLE received;
	RETURN result;
EXCEPTION WHEN data_exception OR protocol_violation OR undefined_object OR invalid_schema_name OR datatype_mismatch OR check_violation THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN concat(SQLSTATE, ' ', SQLERRM, ': ', detail);
END $$;
SELECT timed_send(:'good') AS bytes \gset
SELECT :'bytes'::bytea, received(:'bytes');
SELECT what, received(payload) FROM (VALUES ('nothing', ''::bytea), ('version', '\x02'), ('kind', overlay(:'bytes'::bytea placing '\x05' from 2)), ('date', overlay(:'bytes'::bytea placing '\x01' from 3)),
	('timestamp', overlay(:'bytes'::bytea placing '\x017fffffffffffff00' from 2)), ('infinite', overlay(:'bytes'::bytea placing '\x017fffffffffffffff' from 2)), ('name too long', overlay(:'bytes'::bytea placing '\x7fffffff' from 11)),
	('name below zero', overlay(:'bytes'::bytea placing '\xffffffff' from 11)), ('name', overlay(:'bytes'::bytea placing 'integre' from 15)), ('other name', overlay(:'bytes'::bytea placing 'INTEGER' from 15)),
	('shorter', substr(:'bytes'::bytea, 1, 28)), ('longer', :'bytes'::bytea || '\x00'), ('value longer', overlay(:'bytes'::bytea placing '\x00000005' from 22) || '\x00'),
	('boolean', substr(:'bytes'::bytea, 1, 10) || '\x00000007' || 'boolean' || '\x0000000102'),
	('record', substr(:'bytes'::bytea, 1, 10) || '\x00000011' || 'pg_catalog.record' || '\x00000000')) AS v(what, payload);

-- as deep as one likes, but no deeper than the stack
DO $$
DECLARE
	nested aggwin.timed := aggwin.timed_keep_last(NULL, 1, 1);
BEGIN
	FOR i IN 1 .. 20000 LOOP
		nested := aggwin.timed_keep_last(NULL, nested, 1);
	END LOOP;
	RAISE NOTICE '%', length(aggwin.timed_send(nested));
EXCEPTION WHEN statement_too_complex THEN
	RAISE NOTICE '%', SQLERRM;
END $$;

-- A type that is gone takes its values with it.
DROP TABLE many;
DROP SCHEMA "Größe" CASCADE;
DO $$ BEGIN PERFORM f::text FROM summary_first_last.forms; EXCEPTION WHEN undefined_object THEN RAISE NOTICE '%', regexp_replace(SQLERRM, '\d+', 'N'); END $$;

SET client_min_messages = warning;
DROP SCHEMA summary_first_last CASCADE;
