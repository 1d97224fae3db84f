-- What a query may say: WHERE, FILTER, HAVING, expressions over keys and aggregates.
\getenv srcdir PG_ABS_SRCDIR
\set helper :srcdir/test/lib/compare.sql
CREATE SCHEMA rollup_query;
SET search_path = rollup_query, aggwin;
\set ECHO none
\i :helper
\set ECHO all

CREATE TYPE level AS ENUM ('debug', 'info', 'error');
CREATE TYPE place AS (x int, y int);
CREATE DOMAIN percent AS int CHECK (VALUE BETWEEN 0 AND 100);
CREATE TABLE logs (ts timestamptz, host text, lvl level, code int, ms numeric(8,2), ok boolean, at place, cpu percent,
	labels jsonb, tags text[], note varchar(20));

CREATE FUNCTION class(code int) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT (code / 100) || 'xx' $$;
CREATE FUNCTION class_plpgsql(code int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN code / 100; END $$;
CREATE FUNCTION distance(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT abs(a - b)';
CREATE OPERATOR <~> (LEFTARG = int, RIGHTARG = int, FUNCTION = distance);

CREATE TABLE queries (name text, query text);
INSERT INTO queries VALUES
	('simple', $$SELECT time_bucket('1 hour', ts), count(*) FROM logs GROUP BY 1$$),
	('no_aggregate', $$SELECT time_bucket('1 hour', ts), host FROM logs GROUP BY 1, 2$$),
	('bucket_unseen', $$SELECT host, count(*) FROM logs GROUP BY time_bucket('1 hour', ts), host$$),
	('keys_unseen', $$SELECT count(*), sum(code) FROM logs GROUP BY host, time_bucket('1 hour', ts), lvl$$),
	('nothing_seen', $$SELECT 1 AS one FROM logs GROUP BY time_bucket('1 hour', ts)$$),
	('group_by_alias', $$SELECT time_bucket('1 hour', ts) AS hour, host AS machine, count(*) FROM logs GROUP BY hour, machine$$),
	('group_by_twice', $$SELECT time_bucket('1 hour', ts), host, host AS h, count(*) FROM logs GROUP BY 1, 2, host, 3$$),
	('group_by_list', $$SELECT time_bucket('1 hour', ts), host, code, count(*) FROM logs GROUP BY (time_bucket('1 hour', ts), host), code$$),
	('group_by_distinct', $$SELECT time_bucket('1 hour', ts), host, count(*) FROM logs GROUP BY DISTINCT 1, 2$$),
	('group_by_constant', $$SELECT time_bucket('1 hour', ts), 7 AS seven, 'x'::text AS x, count(*) + 7 AS n FROM logs GROUP BY 1, 2, 3$$),
	('aliases', $$SELECT time_bucket('1 hour', a) AS t, b, count(*) FROM logs AS l (a, b) GROUP BY t, l.b$$),
	('only', $$SELECT time_bucket('1 hour', ts), count(*) FROM ONLY logs GROUP BY 1$$),
	('all_rows', $$SELECT ALL time_bucket('1 hour', ts), count(ALL code) FROM logs GROUP BY ALL 1$$),
	('semicolon', $$ -- a comment
		SELECT /* another */ time_bucket('1 hour', ts), count(*) FROM logs GROUP BY 1 $$),

	('where', $$SELECT time_bucket('1 hour', ts), count(*) FROM logs WHERE code >= 400 AND host <> 'b' GROUP BY 1$$),
	('where_null', $$SELECT time_bucket('1 hour', ts), count(*) FROM logs WHERE host IS NULL OR ok IS NOT TRUE GROUP BY 1$$),
	('where_unknown', $$SELECT time_bucket('1 hour', ts), count(*) FROM logs WHERE NOT (host = 'a' AND ms > 10) GROUP BY 1$$),
	('where_never', $$SELECT time_bucket('1 hour', ts), count(*) FROM logs WHERE false GROUP BY 1$$),
	('where_boolean', $$SELECT time_bucket('1 hour', ts), count(*) FROM logs WHERE ok GROUP BY 1$$),
	('where_time', $$SELECT time_bucket('1 hour', ts), count(*) FROM logs WHERE ts >= '2024-01-01 03:17Z' AND ts < '2024-01-01 05:00Z' GROUP BY 1$$),
	('where_any', $$SELECT time_bucket('1 hour', ts), count(*) FROM logs WHERE host = ANY ('{a,b,NULL}') AND code IN (200, 404) GROUP BY 1$$),
	('where_enum', $$SELECT time_bucket('1 hour', ts), lvl, count(*) FROM logs WHERE lvl > 'debug' GROUP BY 1, 2$$),
	('where_like', $$SELECT time_bucket('1 hour', ts), count(*) FROM logs WHERE note LIKE '%\_o%' OR note ~ '^\d' GROUP BY 1$$),
	('where_json', $$SELECT time_bucket('1 hour', ts), labels ->> 'env' AS env, count(*) FROM logs WHERE labels ? 'env' GROUP BY 1, 2$$),
	('where_array', $$SELECT time_bucket('1 hour', ts), tags[1] AS tag, count(*) FROM logs WHERE tags && '{x,y}' GROUP BY 1, 2$$),
	('where_user_function', $$SELECT time_bucket('1 hour', ts), count(*) FROM logs WHERE class(code) = '4xx' OR class_plpgsql(code) = 5 GROUP BY 1$$),
	('where_cast', $$SELECT time_bucket('1 hour', ts), count(*) FROM logs WHERE code::text LIKE '4%' AND ms::int > 3 GROUP BY 1$$),

	('filter', $$SELECT time_bucket('1 hour', ts), count(*) FILTER (WHERE code >= 500) AS errors, count(*), sum(ms) FILTER (WHERE ok) AS ok_ms,
		avg(ms) FILTER (WHERE NOT ok) AS bad_ms, max(host) FILTER (WHERE lvl = 'error') AS last FROM logs GROUP BY 1$$),
	('filter_never', $$SELECT time_bucket('1 hour', ts), host, count(*) FILTER (WHERE code > 1000) AS n, sum(code) FILTER (WHERE NULL) AS s,
		bool_and(ok) FILTER (WHERE false) AS b, stddev(ms) FILTER (WHERE ms < 0) AS d FROM logs GROUP BY 1, 2$$),
	('filter_same', $$SELECT time_bucket('1 hour', ts), sum(code) FILTER (WHERE ok) AS a, avg(code) FILTER (WHERE ok) AS b, sum(code) AS c,
		count(code) FILTER (WHERE ok) AS d, count(code) FILTER (WHERE NOT ok) AS e, sum(code) FILTER (WHERE ok) + 1 AS f FROM logs GROUP BY 1$$),
	('filter_and_where', $$SELECT time_bucket('1 hour', ts), count(*) FILTER (WHERE code < 500 AND host = 'a') AS n FROM logs WHERE code >= 400 GROUP BY 1$$),

	('having', $$SELECT time_bucket('1 hour', ts), host, count(*) FROM logs GROUP BY 1, 2 HAVING count(*) > 3$$),
	('having_key', $$SELECT time_bucket('1 hour', ts), host, count(*) FROM logs GROUP BY 1, 2 HAVING host <> 'a' AND max(code) < 500$$),
	('having_other', $$SELECT time_bucket('1 hour', ts) AS b FROM logs GROUP BY 1 HAVING avg(ms) FILTER (WHERE ok) > 20 OR min(note) IS NULL$$),
	('having_never', $$SELECT time_bucket('1 hour', ts), count(*) FROM logs GROUP BY 1 HAVING count(*) < 0$$),
	('having_constant', $$SELECT time_bucket('1 hour', ts), count(*) FROM logs GROUP BY 1 HAVING 1 = 1$$),

	('expressions', $$SELECT (time_bucket('1 hour', ts) AT TIME ZONE 'UTC') + interval '1 hour' AS ends, upper(host) AS host, round(sum(ms) / nullif(count(ms), 0), 2) AS mean,
		100.0 * count(*) FILTER (WHERE code >= 500) / count(*) AS error_rate, (max(ms) - min(ms))::float8 AS spread,
		CASE WHEN bool_or(ok) THEN 'some' WHEN bool_and(NOT ok) THEN 'none' ELSE 'unknown' END AS quality,
		coalesce(sum(code), -1) AS codes, greatest(max(code), 300) AS top, count(*)::text || ' of ' || host AS label,
		max(code) IN (200, 404) AS known, ARRAY[min(code), max(code)] AS range, (count(*) > 2 AND avg(code) > 250) IS TRUE AS busy
		FROM logs GROUP BY time_bucket('1 hour', ts), host$$),
	('key_expressions', $$SELECT time_bucket('1 hour', ts) AS b, lower(host) || '!' AS h, code / 100 AS c, code / 100 * 2 AS c2, count(*),
		class(code) AS class, (code / 100) + sum(code) AS s FROM logs GROUP BY 1, 2, code / 100, class(code)$$),
	('key_of_key', $$SELECT time_bucket('1 hour', ts) AS b, extract(hour FROM time_bucket('1 hour', ts) AT TIME ZONE 'UTC') AS hour, count(*)
		FROM logs GROUP BY 1, 2$$),
	('key_case', $$SELECT time_bucket('1 hour', ts), CASE WHEN code < 300 THEN 'good' WHEN code < 500 THEN 'bad' END AS c, ms > 50 AS slow, ok IS TRUE AS fine,
		count(*) FROM logs GROUP BY 1, 2, 3, 4$$),
	('key_field', $$SELECT time_bucket('1 hour', ts), (at).x, coalesce((at).y, 0) AS y, cpu, sum(cpu), count(at), count(ROW(host, code)) AS rows
		FROM logs GROUP BY 1, 2, 3, 4$$),
	('key_operator', $$SELECT time_bucket('1 hour', ts), code <~> 400 AS far, max(code <~> 300) AS farthest, sum(code)::int <~> 1000 AS total
		FROM logs GROUP BY 1, 2$$),
	('arguments', $$SELECT time_bucket('1 hour', ts), sum(code * 2 + 1) AS a, avg(ms * code) AS b, max(host || coalesce(note, '')) AS c,
		bool_and(code > 300 AND ok) AS d, sum(CASE WHEN ok THEN ms END) AS e, count(nullif(host, 'a')) AS f, min(class(code)) AS g,
		sum((at).x + (at).y) AS h, bit_or(code & 7) AS i, sum(length(note)) AS j, max(labels ->> 'env') AS k, sum(1) AS l, count('x') AS m,
		max(2.50) AS n, sum(distance(code, 300)) AS o FROM logs GROUP BY 1$$),
	('window_clause', $$SELECT time_bucket('1 hour', ts), count(*) FROM logs GROUP BY 1 WINDOW w AS (ORDER BY 1)$$),
	('lengths', $$SELECT time_bucket('1 hour', ts), note, max(note)::varchar(5) AS short, sum(ms)::numeric(12,1) AS rounded, max(ms) AS ms, host COLLATE "C" AS host
		FROM logs GROUP BY 1, 2, 6$$),
	('backslashes', $$SELECT time_bucket('1 hour', ts), E'a\\b''c' AS t, count(*) FILTER (WHERE note = E'\\') AS n, count(*) FILTER (WHERE note LIKE E'100\\%') AS p
		FROM logs GROUP BY 1$$);
SELECT count(make_rollup(name, query)) AS made FROM queries;

-- The columns are those of the plain query.
SELECT q.name, r.attname, format_type(r.atttypid, r.atttypmod) AS rollup, format_type(p.atttypid, p.atttypmod) AS plain,
	r.attcollation::regcollation, p.attcollation::regcollation
FROM queries q JOIN pg_attribute p ON p.attrelid = (q.name || '_plain')::regclass AND p.attnum > 0
	LEFT JOIN pg_attribute r ON r.attrelid = q.name::regclass AND r.attnum = p.attnum
WHERE (p.attname, p.atttypid, p.atttypmod, p.attcollation) IS DISTINCT FROM (r.attname, r.atttypid, r.atttypmod, r.attcollation)
ORDER BY 1, p.attnum;

CREATE FUNCTION some_logs(first int, last int) RETURNS SETOF logs LANGUAGE sql AS $$
	SELECT timestamptz '2024-01-01Z' + i * interval '7 min', (ARRAY['a', 'b', 'c', NULL])[1 + i % 4], (ARRAY['debug', 'info', 'error', NULL])[1 + i % 5 % 4]::level,
		(ARRAY[200, 201, 404, 500, NULL])[1 + i % 5], nullif(i * 7919 % 10000 / 100.0, 33), (ARRAY[true, false, NULL])[1 + i % 3],
		CASE WHEN i % 4 > 0 THEN ROW(i % 3, nullif(i % 2, 0))::place END, nullif(i % 101, 0),
		CASE i % 3 WHEN 0 THEN '{"env": "prod"}' WHEN 1 THEN '{"env": null}' ELSE '{}' END::jsonb,
		(ARRAY['{x}', '{y,x}', '{}', NULL, '{z,NULL}'])[1 + i % 5]::text[], (ARRAY['100%', E'\\', 'a_o', '7 up', NULL, ''])[1 + i % 6]
	FROM generate_series(first, last) AS i
$$;

INSERT INTO logs SELECT * FROM some_logs(1, 1);
INSERT INTO logs SELECT * FROM some_logs(2, 30);
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();
INSERT INTO logs SELECT * FROM some_logs(20, 400);
INSERT INTO logs (host) VALUES (NULL), ('a');
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();
INSERT INTO logs SELECT * FROM some_logs(390, 410);
UPDATE logs SET code = 404, ok = NOT ok WHERE code = 200 AND ts < '2024-01-01 10:00Z';
DELETE FROM logs WHERE host = 'c' AND lvl = 'error';
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();
UPDATE logs SET host = coalesce(host, 'd'), lvl = NULL, at = NULL, labels = '[]', tags = '{y}', note = '7_o'
WHERE ts > '2024-01-02Z';
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();
-- The rollups that never have rows, and how many the others have.
SELECT string_agg(name, ', ' ORDER BY name) FILTER (WHERE rows = 0) AS empty, min(rows) FILTER (WHERE rows > 0) AS fewest_rows, count(*)
FROM queries, compare(name);

-- Settings of the session that creates or writes have no part in it ------------

SET extra_float_digits = 0;
SET transform_null_equals = on;
SET bytea_output = escape;
SET datestyle = 'SQL, DMY';
SET intervalstyle = iso_8601;
SET timezone = 'Asia/Tokyo';
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SET array_nulls = off;
CREATE TABLE numbers (ts timestamptz, f float8, b bytea, t text);
-- Constants mean what they mean here: more digits than are shown, one backslash for two, NULL as a word, day before month.
SELECT make_rollup('literals', $$
	SELECT aggwin.time_bucket('1 day', ts) AS bucket, count(*) FILTER (WHERE f < '0.30000000000000004'::float8) AS less,
		count(*) FILTER (WHERE t = '\\\\a') AS backslash, count(*) FILTER (WHERE t = ANY ('{NULL,x}')) AS word,
		count(*) FILTER (WHERE ts < '02/01/2024 00:00'::timestamptz) AS first_day, count(*) FILTER (WHERE t = NULL) AS missing
	FROM numbers GROUP BY 1
$$);
RESET extra_float_digits;
RESET bytea_output;
RESET standard_conforming_strings;
INSERT INTO numbers VALUES ('2024-01-01 10:00Z', 0.3, 'abc', '\\a'), ('2024-01-01 15:30Z', 0.1::float8 + 0.2::float8, '\x00', 'NULL'), ('2024-01-01 23:00Z', 7, NULL, NULL);
SELECT * FROM compare('literals');
SELECT less, backslash, word, first_day, missing FROM literals;

-- One writer with other settings than the next.
\c -
SET search_path = rollup_query, aggwin;
SET extra_float_digits = -3;
SET bytea_output = escape;
SET array_nulls = off;
SET transform_null_equals = on;
SET timezone = 'America/New_York';
INSERT INTO numbers VALUES ('2024-01-01 10:00Z', 0.3, 'abc', '\\a'), ('2024-01-01 15:30Z', 0.1::float8 + 0.2::float8, '\x00', 'NULL'), ('2024-01-01 23:00Z', 7, NULL, NULL);
INSERT INTO numbers SELECT '2024-01-01 10:00Z', 0.1::float8 + 0.2::float8, 'abc', 'NULL' FROM generate_series(1, 40);
RESET ALL;
SET search_path = rollup_query, aggwin;
SELECT * FROM compare('literals');
SELECT less, backslash, word, first_day, missing FROM literals;
SELECT * FROM fold_and_compare('literals');
UPDATE numbers SET f = f;
SELECT * FROM fold_and_compare('literals');

SET client_min_messages = warning;
DROP SCHEMA rollup_query CASCADE;
