-- Statistics: count, sum, extremes and moments, as the server has them.
CREATE SCHEMA summary_stats;
SET search_path = summary_stats, aggwin;
SET extra_float_digits = 1;
SELECT setseed(0.42);

SELECT stats_agg(x) FROM (VALUES (2.5), (0), (1), (NULL), (-300)) AS v(x);
SELECT num_vals(s), total(s), mean(s), min_val(s), max_val(s), variance(s), var_samp(s), var_pop(s), stddev(s), stddev_samp(s), stddev_pop(s)
FROM (SELECT stats_agg(x) AS s FROM generate_series(1, 100) AS x) AS s;
SELECT num_vals(s), total(s), mean(s), min_val(s), max_val(s), variance(s), var_samp(s), var_pop(s), stddev(s), stddev_samp(s), stddev_pop(s)
FROM (SELECT stats_agg(7) AS s) AS s;

-- Nothing, and nothing but NULL.
SELECT stats_agg(x) IS NULL AS none FROM generate_series(1, 0) AS x;
SELECT stats_agg(NULL) IS NULL AS only_null, merge(NULL::stats) IS NULL AS merged FROM generate_series(1, 3);
SELECT mean(NULL::stats) IS NULL AS mean, (stats_agg(1) + NULL) IS NULL AS plus;

-- The server's answers to the last bit, for one order of rows: whatever the numbers
-- are. Of -0, 0 is made.
CREATE TABLE hostile (kind text, n int, v float8);
INSERT INTO hostile
SELECT kind, n, v FROM generate_series(1, 3000) AS n, LATERAL (VALUES
	('ascending', n::float8), ('descending', 3001.0 - n), ('constant', 42.1), ('uniform', random()), ('heavy tail', 1 / power(random() + 1e-9, 3)),
	('mixed signs', (random() - 0.5) * 1000), ('far from zero', 1e9 + random()), ('tiny', random() * 1e-160), ('denormal', 5e-324 * floor(random() * 1e6)),
	('huge', (random() - 0.5) * 1e150), ('all magnitudes', sign(random() - 0.5) * power(10::float8, random() * 300 - 150)), ('zero', CASE WHEN n % 2 = 0 THEN 0 ELSE '-0'::float8 END),
	('one infinity', CASE WHEN n = 1234 THEN 'Infinity' ELSE random() END), ('infinity first', CASE WHEN n = 1 THEN '-Infinity' ELSE random() END),
	('infinities', CASE WHEN n % 2 = 0 THEN 'Infinity' ELSE '-Infinity'::float8 END), ('all infinite', 'Infinity'), ('one NaN', CASE WHEN n = 2000 THEN 'NaN' ELSE random() END),
	('NaN first', CASE WHEN n = 1 THEN 'NaN' ELSE random() END), ('all NaN', 'NaN'), ('NaN and infinity', CASE n % 3 WHEN 0 THEN 'NaN' WHEN 1 THEN '-Infinity' ELSE n::float8 END)) AS k(kind, v);
CREATE FUNCTION bits(VARIADIC v float8[]) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$ SELECT string_agg(float8send(CASE WHEN x = 'NaN' THEN 'NaN' ELSE x + 0.0 END), '' ORDER BY i) FROM unnest(v) WITH ORDINALITY AS u(x, i) $$;
CREATE VIEW answers AS
SELECT kind, length, s, num_vals(s) = n AND bits(total(s), mean(s), min_val(s), max_val(s), variance(s), var_samp(s), var_pop(s), stddev(s), stddev_samp(s), stddev_pop(s))
	IS NOT DISTINCT FROM bits(sum, avg, min, max, variance, var_samp, var_pop, stddev, stddev_samp, stddev_pop) AS same
FROM (SELECT kind, length, stats_agg(v) AS s, count(v) AS n, sum(v), avg(v), min(v), max(v), variance(v), var_samp(v), var_pop(v), stddev(v), stddev_samp(v), stddev_pop(v)
	FROM (SELECT * FROM hostile, unnest('{1,2,3,10,3000}'::int[]) AS length WHERE n <= length ORDER BY kind, length, n) AS s GROUP BY kind, length) AS s;
SELECT kind, count(*), count(*) FILTER (WHERE NOT same) AS wrong FROM answers GROUP BY kind ORDER BY kind COLLATE "C";

-- Merges of a random split in random order agree to 1e-12, and exactly where sums
-- have no order.
CREATE TABLE parts AS SELECT kind, part, stats_agg(v) AS s FROM (SELECT *, floor(random() * random() * 40) AS part FROM hostile) AS s GROUP BY kind, part;
CREATE AGGREGATE plus(stats) (SFUNC = stats_plus, STYPE = stats);
CREATE FUNCTION differ(a float8, b float8, scale float8) RETURNS boolean LANGUAGE sql IMMUTABLE AS
	$$ SELECT CASE WHEN abs(a) < 'Infinity' AND abs(b) < 'Infinity' THEN abs(a - b) > 1e-12 * greatest(scale, 1e-290) ELSE a <> b END $$;
CREATE FUNCTION agree(a stats, b stats) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
	SELECT aggwin.num_vals(a) = aggwin.num_vals(b) AND aggwin.min_val(a) = aggwin.min_val(b) AND aggwin.max_val(a) = aggwin.max_val(b)
		AND NOT summary_stats.differ(aggwin.total(a), aggwin.total(b), aggwin.num_vals(a) * greatest(abs(aggwin.min_val(a)), abs(aggwin.max_val(a))))
		-- the numbers themselves have no more digits
		AND NOT summary_stats.differ(aggwin.var_samp(a), aggwin.var_samp(b), greatest(abs(aggwin.var_samp(a)), 1e-3 * greatest(abs(aggwin.min_val(a)), abs(aggwin.max_val(a)), 1e-280)))
$$;
SELECT kind, (SELECT count(*) FROM parts AS p WHERE p.kind = a.kind) > 15 AS many_parts,
	(SELECT bool_and(agree(r.s, a.s)) FROM generate_series(1, 10) AS round, LATERAL (SELECT merge(p.s ORDER BY random() + round) AS s FROM parts AS p WHERE p.kind = a.kind) AS r) AS merged,
	agree((SELECT plus(p.s ORDER BY random()) FROM parts AS p WHERE p.kind = a.kind), a.s) AS added
FROM answers AS a WHERE length = 3000 ORDER BY kind COLLATE "C";
SELECT total(merge(s ORDER BY random())) = (SELECT total(s) FROM answers WHERE kind = 'ascending' AND length = 3000) AS exact FROM parts WHERE kind = 'ascending';
SELECT count(*) AS pairs, count(*) FILTER (WHERE a.s + b.s <> b.s + a.s) AS wrong FROM parts AS a, parts AS b WHERE a.kind = b.kind;
-- what far from zero means
SELECT abs(var_pop(s) * 12 - 1) < 0.1 AS stable FROM answers WHERE kind = 'far from zero' AND length = 3000;

-- Sums that overflow are an error, as of sum() and avg(), but only when they are asked for; counts are one at once.
SELECT total(stats_agg(v)) FROM unnest('{1.7e308, 1.7e308}'::float8[]) AS v;
SELECT mean(stats_agg(v)) FROM unnest('{-1.7e308, -1.7e308, 1}'::float8[]) AS v;
SELECT var_pop(stats_agg(v)) FROM unnest('{1e200, -1e200}'::float8[]) AS v;
SELECT var_samp(stats_agg(v)) FROM unnest('{1e200, -1e200}'::float8[]) AS v;
SELECT stddev_pop(stats_agg(1e200) + stats_agg(0));
SELECT stddev(stats_agg(1e200) + stats_agg(0));
SELECT num_vals(s), min_val(s), max_val(s) FROM (SELECT stats_agg(v) + stats_agg(-1.7e308) AS s FROM unnest('{1.7e308, 1.7e308, 3}'::float8[]) AS v) AS q;
SELECT stats_agg(v) + stats_agg('-Infinity') AS infinite, stats_agg(v) + stats_agg('NaN') AS nan FROM unnest('{1.7e308, 1.7e308}'::float8[]) AS v;
SELECT (SELECT stats_agg(v) FROM unnest('{1.7e308, 1.7e308}'::float8[]) AS v) + (SELECT stats_agg(v) FROM unnest('{-1.7e308, -1.7e308}'::float8[]) AS v);
SELECT stats_agg(v) FROM unnest('{1.7e308, 1.7e308}'::float8[]) AS v;
SELECT stats_agg(v) FROM unnest('{1e200, -1e200}'::float8[]) AS v;
SELECT stats_agg(1.7e308) + stats_agg(1.7e308);
SELECT stats_agg(1e200) + stats_agg(0);
SELECT stats_agg(v) FROM unnest('{Infinity, 1.7e308, 1.7e308}'::float8[]) AS v;
\set most '{"count": 9223372036854775807, "sum": 0, "squared_deviations": 0, "min": 0, "max": 0}'
SELECT :'most'::stats + stats_agg(1);
SELECT stats_transition(:'most', 1);
SELECT :'most'::stats + :'most'::stats;
SELECT num_vals(s), mean(s), variance(s), stddev_pop(s) FROM (SELECT :'most'::stats AS s) AS s;

-- Everywhere aggregates go.
SELECT x, num_vals(stats_agg(x) OVER w), total(stats_agg(x) OVER w), max_val(merge(s) OVER w)
FROM (SELECT x, stats_transition(NULL, x) AS s FROM generate_series(1, 6) AS x) AS v
WINDOW w AS (ORDER BY x ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING);
SELECT num_vals(stats_agg(DISTINCT x)), num_vals(stats_agg(x) FILTER (WHERE x > 2)) FROM (VALUES (1), (1), (2), (3), (3)) AS v(x);
SELECT a, b, num_vals(stats_agg(x)), total(stats_agg(x)) FROM (SELECT x % 2 AS a, x % 3 AS b, x FROM generate_series(1, 12) AS x) AS v
GROUP BY GROUPING SETS ((a), (b), ()) ORDER BY a, b;
CREATE TABLE groups AS SELECT floor(3000 * random() ^ 2) AS g, floor(random() * 1000) AS v FROM generate_series(1, 40000);
ANALYZE groups;
SET enable_hashagg = off;
CREATE TABLE sorted AS SELECT g, stats_agg(v) AS s FROM groups GROUP BY g;
RESET enable_hashagg;
SELECT count(*) > 2000 AS many, count(*) FILTER (WHERE (num_vals(s), total(s), min_val(s), max_val(s)) <> (count, sum, min, max)) AS wrong
FROM sorted JOIN (SELECT g, count(*), sum(v), min(v), max(v) FROM groups GROUP BY g) AS e USING (g);
SET enable_sort = off;
SET work_mem = '64kB';
SELECT count(*) AS differences FROM (SELECT g, stats_agg(v) AS s FROM groups GROUP BY g) AS s JOIN sorted USING (g) WHERE NOT agree(s.s, sorted.s);
RESET work_mem;
RESET enable_sort;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT stats_agg(v) FROM groups;
SELECT agree(stats_agg(v), (SELECT merge(s) FROM sorted)) AS parallel FROM groups;
SELECT count(*) AS differences FROM (SELECT g, stats_agg(v) AS s FROM groups GROUP BY g) AS s JOIN sorted USING (g) WHERE NOT agree(s.s, sorted.s);
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
-- An aggregate of one's own over the transition functions, without a final step:
-- its states are values, too, and a stored one may be its beginning.
CREATE AGGREGATE unfinished(float8) (SFUNC = stats_transition, STYPE = stats);
CREATE AGGREGATE continued(float8) (SFUNC = stats_transition, STYPE = stats, FINALFUNC = stats_final, INITCOND = '{"count": 2, "sum": 10, "squared_deviations": 2, "min": 4, "max": 6}');
CREATE TABLE raw AS SELECT g, unfinished(v) AS s FROM groups GROUP BY g;
SELECT count(*) AS differences FROM raw JOIN sorted USING (g) WHERE (num_vals(raw.s), total(raw.s), min_val(raw.s), max_val(raw.s)) <> (num_vals(sorted.s), total(sorted.s), min_val(sorted.s), max_val(sorted.s));
SELECT agree(merge(raw.s), (SELECT merge(s) FROM sorted)) AS merged FROM raw;
SELECT unfinished(x) FROM unnest('{-5, -0}'::float8[]) AS x;
SELECT continued(x) FROM generate_series(5, 6) AS x;
SELECT stats_agg(x) FROM unnest('{4, 6, 5, 6}'::float8[]) AS x;
SELECT stats_transition(stats_transition(NULL, 1), 2) = stats_agg(x) AS single FROM generate_series(1, 2) AS x;

-- Forms. Equal values are equal bytes.
CREATE TABLE forms AS SELECT s FROM answers UNION ALL SELECT s FROM parts UNION ALL SELECT s FROM sorted;
SELECT count(*) AS differences FROM forms WHERE s::text::stats <> s OR s::jsonb::text::stats <> s OR s::json::text::stats <> s;
SELECT stats_agg('-0') = stats_agg(0) AS zero, stats_agg(x) AS zeros, min_val(stats_agg(x)) FROM unnest('{-0, 0, -0}'::float8[]) AS x;
CREATE TABLE hashed AS SELECT s FROM forms UNION SELECT s FROM forms;
SELECT (SELECT count(*) FROM hashed) = (SELECT count(DISTINCT s::text) FROM forms) AS distinct_by_hash;
-- the binary form, in a file beside the server's own
SELECT current_setting('data_directory') || '/summary_stats.bin' AS file \gset
\set back 'cat ' :file '; rm ' :file
COPY forms TO :'file' (FORMAT binary);
CREATE TABLE restored (s stats);
COPY restored FROM PROGRAM :'back' (FORMAT binary);
SELECT (SELECT count(*) FROM restored) = (SELECT count(*) FROM forms) AS complete, count(*) AS differences FROM (TABLE forms EXCEPT ALL TABLE restored) AS d;
SELECT pg_column_size(stats_agg(x)) AS bytes FROM generate_series(1, 100) AS x;

-- What no aggregate could have made.
\set good '{"count": 4, "sum": 10, "squared_deviations": 5, "min": 1, "max": 4}'
SELECT :'good'::stats;
SELECT ''::stats;
CREATE FUNCTION refusal(t text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text;
BEGIN
	RETURN 'accepted: ' || t::stats::text;
EXCEPTION WHEN data_exception THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN concat(SQLSTATE, ' ', SQLERRM, ': ', detail);
END $$;
SELECT change, refusal((:'good'::jsonb || change)::text) FROM unnest(ARRAY['{"count": 0}', '{"count": -1}', '{"count": 1}', '{"count": 1.5}', '{"count": "4"}', '{"count": 9223372036854775808}', '{"sum": null}', '{"sum": "NaN"}', '{"sum": "Infinity"}', '{"sum": 3}', '{"sum": 3.99}', '{"sum": 17}',
	'{"sum": -10, "min": -4, "max": -1}', '{"sum": -3, "min": -4, "max": -1}', '{"squared_deviations": -1}', '{"squared_deviations": "NaN"}', '{"squared_deviations": "Infinity"}', '{"min": 5}', '{"min": "NaN"}', '{"max": "NaN"}', '{"max": "Infinity"}',
	'{"max": "Infinity", "sum": "Infinity"}', '{"max": "Infinity", "sum": "Infinity", "squared_deviations": "NaN"}', '{"max": "Infinity", "sum": "-Infinity", "squared_deviations": "NaN"}', '{"max": "NaN", "sum": "Infinity", "squared_deviations": "NaN"}', '{"max": "NaN", "sum": "NaN", "squared_deviations": "NaN"}',
	'{"min": "-Infinity", "sum": "-Infinity", "squared_deviations": "NaN"}', '{"min": "-Infinity", "max": "Infinity", "sum": "Infinity", "squared_deviations": "NaN"}', '{"count": 1, "sum": 4, "min": 4, "squared_deviations": 0}', '{"count": 1, "sum": 4, "min": 4}', '{"more": 1}']::jsonb[]) AS change;
CREATE FUNCTION received(payload bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	file text := current_setting('data_directory') || '/summary_stats.bin';
	object oid := lo_from_bytea(0, '\x5047434f50590aff0d0a000000000000000000'::bytea || '\x0001' || int4send(length(payload)) || payload || '\xffff');
	detail text;
	result text;
BEGIN
	PERFORM lo_export(object, file), lo_unlink(object);
	TRUNCATE restored;
	EXECUTE format('COPY restored FROM PROGRAM %L (FORMAT binary)', format('cat %1$s; rm %1$s', file));
	SELECT 'accepted: ' || s::text INTO result FROM restored;
	RETURN result;
EXCEPTION WHEN data_exception OR protocol_violation THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN concat(SQLSTATE, ' ', SQLERRM, ': ', detail);
END $$;
SELECT stats_send(:'good') AS bytes \gset
SELECT :'bytes'::bytea, received(:'bytes');
SELECT what, received(payload) FROM (VALUES ('nothing', ''::bytea), ('version', '\x02'), ('no count', '\x01'), ('shorter', substr(:'bytes'::bytea, 1, 33)), ('longer', :'bytes'::bytea || '\x00'), ('long varint', overlay(:'bytes'::bytea placing '\x8400' from 2 for 1)),
	('count', overlay(:'bytes'::bytea placing '\xffffffffffffffffff01' from 2 for 1)), ('-0.0', '\x01020000000000000080000000000000000000000000000000000000000000000000'), ('0.0', '\x01020000000000000000000000000000000000000000000000000000000000000000'),
	('other NaN', '\x0101010000000000f87f010000000000f87f010000000000f87f010000000000f87f'), ('NaN', '\x0101000000000000f87f000000000000f87f000000000000f87f000000000000f87f')) AS v(what, payload);

SET client_min_messages = warning;
DROP SCHEMA summary_stats CASCADE;
