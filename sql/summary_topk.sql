-- The most frequent items: counts, bounds, merging, forms, errors.
CREATE SCHEMA summary_topk;
SET search_path = summary_topk, aggwin, public;
SELECT setseed(0.44);

-- What it is made of: by count, then error, then bytes.
SELECT topk_agg(x, 2) FROM unnest('{b,a,b,c,NULL,a,B,"",b}'::text[]) AS x;
SELECT t.* FROM (SELECT topk_agg(x, 2) AS s FROM unnest('{b,a,b,c,a,b}'::text[]) AS x) AS v, top(s) AS t;
SELECT t.* FROM (SELECT topk_agg(x, 2) AS s FROM unnest('{b,a,b,c,a,b}'::text[]) AS x) AS v, top(s, 100) AS t;
SELECT num_vals(s), is_exact(s), max_error(s), capacity(s), capacity(topk_agg(1, 100)) AS of_100
FROM (SELECT topk_agg(x, 2) AS s FROM generate_series(1, 5) AS x) AS v GROUP BY s;
-- Weights; a weight of nothing is nothing.
SELECT t.* FROM (SELECT topk_agg(x, 3, w) AS s FROM (VALUES ('a', 1), ('b', 5), ('a', 3), ('c', 0), ('d', NULL), (NULL, 9)) AS v(x, w)) AS v, top(s) AS t;
SELECT topk_agg(x, 3, 0) IS NULL AS weightless FROM generate_series(1, 3) AS x;

-- Every kind of item by its text.
CREATE DOMAIN title AS varchar(20);
SELECT (topk_agg(i2, 1)::jsonb -> 'items') AS i2, (topk_agg(i4, 1)::jsonb -> 'items') AS i4, (topk_agg(i8, 1)::jsonb -> 'items') AS i8,
	(topk_agg(n, 1)::jsonb -> 'items') AS n, (topk_agg(u, 1)::jsonb -> 'items') AS u, (topk_agg(c, 1)::jsonb -> 'items') AS c,
	(topk_agg(v, 1)::jsonb -> 'items') AS v, (topk_agg(d, 1)::jsonb -> 'items') AS d, (topk_agg(na, 1)::jsonb -> 'items') AS na, (topk_agg(o, 1)::jsonb -> 'items') AS o
FROM (VALUES ((-32768)::int2, (-2147483648)::int4, (-9223372036854775808)::int8, 1.50::numeric, 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'::uuid,
	'x '::char(4), 'y '::varchar, 'z'::title, 'n'::name, 4294967295::oid)) AS t(i2, i4, i8, n, u, c, v, d, na, o);
SELECT topk_agg(1, 3) + topk_agg('1'::text, 3) AS same_text;
SELECT topk_agg('literal', 1);
SELECT topk_agg(now(), 1);
SELECT topk_agg(1.5::float8, 1);
SELECT topk_agg(ARRAY[1], 1);
-- Equality is that of bytes, whatever the collation.
CREATE COLLATION ignore_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
SELECT t.item, t.count FROM (SELECT topk_agg(x COLLATE ignore_case, 5) AS s FROM unnest('{a,A,b,B,A}'::text[]) AS x) AS v, top(s) AS t;

-- Nothing, and nothing but NULL.
SELECT topk_agg(x, 3) IS NULL AS none FROM generate_series(1, 0) AS x;
SELECT topk_agg(NULL::text, 3) IS NULL AS only_null, merge(NULL::topk) IS NULL AS merged FROM generate_series(1, 3);
SELECT (SELECT count(*) FROM top(NULL::topk)) AS top, num_vals(NULL::topk) IS NULL AS n;

-- The bounds, for every item there is: kept ones, and others. Streams that are
-- skewed, flat, sorted, in runs, with the frequent item last, with weights.
CREATE TABLE streams (kind text, n int, item text, w bigint);
INSERT INTO streams
SELECT kind, n, item, w FROM generate_series(1, 6000) AS n, LATERAL (VALUES
	('skewed', 'song ' || floor(5000 * random() ^ 5), 1), ('flat', 'i' || floor(random() * 3000), 1),
	('distinct', n::text, 1), ('runs', (n / 7)::text, 1), ('few', (n % 5)::text, 1),
	('late', CASE WHEN n > 5000 THEN 'hit' ELSE n::text END, 1), ('long and short', repeat('x', (n * 7919 % 300)), 1),
	('weights', floor(2000 * random() ^ 3)::text, floor(1000 * random() ^ 8)::bigint),
	('ascending weights', (n % 2000)::text, n), ('huge weights', (n % 1000)::text, n * 10000000000)) AS k(kind, item, w);
CREATE TABLE truth AS SELECT kind, item, sum(w)::bigint AS count FROM streams GROUP BY kind, item;
ANALYZE truth;
CREATE TABLE answers AS
SELECT kind, cap, topk_agg(item, 3, w, cap ORDER BY n) AS s FROM streams, unnest('{3, 5, 64, 65, 200, 3000, 10000}'::int[]) AS cap GROUP BY kind, cap;
CREATE TABLE kept AS SELECT kind, cap, t.item, t.count, t.error FROM answers, top(s, 10000) AS t;
ANALYZE kept;
CREATE TABLE checked AS
WITH a AS MATERIALIZED (SELECT kind, cap, max_error(s), is_exact(s), num_vals(s) FROM answers)
SELECT kind, cap, t.item, t.count AS true, k.count, k.error, max_error, is_exact, num_vals
FROM a JOIN truth AS t USING (kind) LEFT JOIN kept AS k USING (kind, cap, item);
SELECT kind, count(*) AS items, count(count) > 0 AS kept,
	count(*) FILTER (WHERE "true" NOT BETWEEN count - error AND count) AS broken,
	count(*) FILTER (WHERE count IS NULL AND "true" > max_error) AS lost,
	count(*) FILTER (WHERE is_exact AND "true" <> coalesce(count, 0)) AS inexact
FROM checked GROUP BY kind ORDER BY kind COLLATE "C";
SELECT count(*) AS lists, count(*) FILTER (WHERE num_vals(s) <> (SELECT sum(t.count) FROM truth AS t WHERE t.kind = answers.kind)
	OR is_exact(s) <> ((SELECT count(*) FROM truth AS t WHERE t.kind = answers.kind AND t.count > 0) <= cap)
	OR max_error(s) > num_vals(s) / cap) AS wrong FROM answers;
-- As many entries as there may be errors: no item of more than 1/capacity of the weight is missed.
SELECT count(*) FILTER (WHERE "true" > num_vals / cap) > 10 AS frequent, count(*) FILTER (WHERE count IS NULL AND "true" > num_vals / cap) AS missed FROM checked;

-- Any split, merged in any order: the bounds hold, and what is exact stays so.
CREATE TABLE parts AS SELECT kind, cap, part, topk_agg(item, 3, w, cap) AS s
FROM (SELECT kind, item, w, floor(random() * random() * 25) AS part FROM streams) AS v, unnest('{5, 64, 10000}'::int[]) AS cap GROUP BY kind, cap, part;
CREATE AGGREGATE plus(topk) (SFUNC = topk_plus, STYPE = topk, FINALFUNC = topk_final);
CREATE TABLE merged AS
SELECT way, kind, cap, s FROM (SELECT 1 AS way, kind, cap, merge(s) AS s FROM parts GROUP BY kind, cap
	UNION ALL SELECT 2, kind, cap, merge(s ORDER BY random()) FROM parts GROUP BY kind, cap
	UNION ALL SELECT 3, kind, cap, plus(s ORDER BY random()) FROM parts GROUP BY kind, cap) AS m;
CREATE TABLE merged_kept AS SELECT way, kind, cap, t.item, t.count, t.error FROM merged, top(s, 10000) AS t;
ANALYZE merged_kept;
WITH m AS MATERIALIZED (SELECT way, kind, cap, max_error(s) FROM merged)
SELECT kind, count(*) AS items, count(*) FILTER (WHERE "true" NOT BETWEEN count - error AND count) AS broken,
	count(*) FILTER (WHERE count IS NULL AND "true" > max_error) AS lost,
	count(*) FILTER (WHERE cap = 10000 AND (error <> 0 OR count IS NULL AND "true" > 0)) AS inexact
FROM (SELECT m.kind, cap, max_error, t.count AS true, k.count, k.error
	FROM m JOIN truth AS t USING (kind) LEFT JOIN merged_kept AS k USING (way, kind, cap, item)) AS c
GROUP BY kind ORDER BY kind COLLATE "C";
SELECT count(*) AS wrong FROM merged WHERE num_vals(s) <> (SELECT sum(t.count) FROM truth AS t WHERE t.kind = merged.kind)
	OR cap = 10000 AND s <> (SELECT a.s FROM answers AS a WHERE a.kind = merged.kind AND a.cap = merged.cap);
SELECT count(*) AS pairs, count(*) FILTER (WHERE a.s + b.s <> b.s + a.s) AS not_commuting FROM parts AS a JOIN parts AS b USING (kind)
WHERE a.part < b.part AND a.cap <= 64 AND b.cap <= 64 AND a.part < 4 AND b.part < 6;
-- Of different size: the smaller one's.
SELECT (s::jsonb -> 'k') AS k, capacity(s), num_vals(s), (SELECT count(*) FROM top(s, 100))
FROM (SELECT (SELECT topk_agg(x, 5, 1, 20) FROM generate_series(1, 18) AS x) + (SELECT topk_agg(x, 2, 1, 30) FROM generate_series(10, 35) AS x) AS s) AS v;

-- Everywhere aggregates go.
SELECT x, topk_agg(x % 2, 1) OVER w AS t FROM generate_series(1, 5) AS x WINDOW w AS (ORDER BY x ROWS BETWEEN 2 PRECEDING AND CURRENT ROW);
SELECT num_vals(topk_agg(DISTINCT x, 3)), num_vals(topk_agg(x, 3) FILTER (WHERE x > 2)) FROM (VALUES (1), (1), (2), (3), (3)) AS v(x);
SELECT a, b, topk_agg(x % 4, 1, 1, 4)::jsonb -> 'items' AS items FROM (SELECT x % 2 AS a, x % 3 AS b, x FROM generate_series(1, 12) AS x) AS v
GROUP BY GROUPING SETS ((a), (b), ()) ORDER BY a, b;
CREATE TABLE groups AS SELECT floor(300 * random() ^ 4) AS g, floor(random() * 1000)::int AS v FROM generate_series(1, 40000) AS n;
ANALYZE groups;
SET enable_hashagg = off;
CREATE TABLE sorted AS SELECT g, topk_agg(v, 3, 1, 1000) AS s FROM groups GROUP BY g;
RESET enable_hashagg;
SELECT bool_and(is_exact(s)) AS exact, count(*) AS groups FROM sorted;
SET enable_sort = off;
SET work_mem = '64kB';
SELECT count(*) AS differences FROM (SELECT g, topk_agg(v, 3, 1, 1000) AS s FROM groups GROUP BY g) AS s JOIN sorted USING (g) WHERE s.s <> sorted.s;
RESET work_mem;
RESET enable_sort;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT topk_agg(v, 3, 1, 1000) FROM groups;
SELECT topk_agg(v, 3, 1, 1000) = (SELECT merge(s) FROM sorted) AS parallel FROM groups;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
CREATE AGGREGATE unfinished(anyelement, int, bigint, int) (SFUNC = topk_transition, STYPE = topk);
CREATE TABLE raw AS SELECT g, unfinished(v, 3, 1, 1000) AS s FROM groups GROUP BY g;
SELECT count(*) AS differences FROM raw JOIN sorted USING (g) WHERE (num_vals(raw.s), raw.s::text) <> (num_vals(sorted.s), sorted.s::text);

-- Forms.
SELECT count(*) AS differences FROM (SELECT s FROM answers WHERE cap < 10000 UNION ALL SELECT s FROM sorted) AS v WHERE s::text::topk <> s OR s::jsonb::text::topk <> s;
SELECT topk_agg(x, 2)::text::topk FROM unnest(ARRAY['"', '\', E'\n', 'ä', '😀', ' ', E'\x01']) AS x;

-- Errors.
SELECT topk_agg(1, 0);
SELECT topk_agg(1, 65537);
SELECT topk_agg(1, NULL);
SELECT topk_agg(1, 10, 1, 9);
SELECT topk_agg(1, 10, 1, 1048577);
SELECT topk_agg(1, 10, 1, NULL);
SELECT topk_agg(1, 10, -1);
SELECT topk_agg(1, x) FROM generate_series(1, 2) AS x;
SELECT topk_agg(1, 1, 1, x) FROM generate_series(1, 2) AS x;
SELECT topk_agg(repeat('x', 1025), 1);
SELECT length(t.item) FROM (SELECT topk_agg(repeat('x', 1024), 1) AS s) AS v, top(s) AS t;
SELECT topk_agg(x, 1, 9223372036854775807) FROM generate_series(1, 2) AS x;
SELECT topk_agg(1, 1, 9223372036854775807) + topk_agg(2, 1);
SELECT top(topk_agg(1, 1), 0);
\set good '{"k": 2, "capacity": 3, "total": 10, "max_error": 1, "items": [["a", 5, 0], ["b", 3, 1], ["c", 3, 1]]}'
SELECT :'good'::topk;
CREATE FUNCTION refusal(t text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text;
BEGIN
	RETURN 'accepted: ' || t::topk::text;
EXCEPTION WHEN data_exception THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN concat(SQLSTATE, ' ', detail);
END $$;
SELECT change, refusal((:'good'::jsonb || change)::text) FROM unnest(ARRAY[
	'{"k": 0}', '{"k": 4}', '{"k": 99999999999}', '{"capacity": 2}', '{"capacity": 4}', '{"capacity": 99999999999}', '{"total": 4}', '{"total": 8}', '{"total": -1}',
	'{"max_error": 0}', '{"max_error": 4}', '{"max_error": -1}', '{"items": []}', '{"items": [["a", 5, 0]]}', '{"items": [["b", 3, 1], ["a", 5, 0], ["c", 3, 1]]}',
	'{"items": [["a", 5, 0], ["a", 3, 1], ["c", 3, 1]]}', '{"items": [["a", 5, 0], ["b", 3, 3], ["c", 3, 1]]}', '{"items": [["a", 5, 0], ["b", 3, -1], ["c", 3, 1]]}',
	'{"items": [["a", 5, 0], [7, 3, 1], ["c", 3, 1]]}', '{"items": [["a", 5, 0], ["b", 3], ["c", 3, 1]]}', '{"items": [["a", 5, 0], ["b", "3", 1], ["c", 3, 1]]}', '{"items": 3}', '{"more": 1}']::jsonb[]) AS change;

SET client_min_messages = warning;
DROP SCHEMA summary_topk CASCADE;
