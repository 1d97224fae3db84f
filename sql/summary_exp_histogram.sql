-- Exponential histograms: buckets, percentiles, merging, forms, errors.
CREATE SCHEMA summary_exp_histogram;
SET search_path = summary_exp_histogram, aggwin, public;
SET extra_float_digits = 1;
SELECT setseed(0.42);

-- What it is made of.
SELECT exp_hist_agg(x) FROM (VALUES (-2.5), (0), (1), (1), (NULL), (300)) AS v(x);
SELECT b.* FROM (SELECT exp_hist_agg(x, 0.2) AS h FROM generate_series(-3, 6) AS x) AS s, buckets(h) AS b;
SELECT num_vals(h), total(h), mean(h), min_val(h), max_val(h), relative_error(h)
FROM (SELECT exp_hist_agg(x) AS h FROM generate_series(1, 100) AS x) AS s;
SELECT percentile(h, 0), percentile(h, 0.5), percentile(h, 1),
	percentiles(h, '{0.25, NULL, 0.75}'), percentiles(h, '{{0, 1}}'), percentiles(h, '{}')
FROM (SELECT exp_hist_agg(x, 0.001) AS h FROM generate_series(1, 100) AS x) AS s;
SELECT v, cdf(h, v) FROM (SELECT exp_hist_agg(x) AS h FROM (VALUES (-4), (-2), (0), (2), (4)) AS v(x)) AS s,
	unnest('{-Infinity,-5,-4,-3,-1,0,1,2,3.999,4,Infinity}'::float8[]) AS v ORDER BY v;
-- The value of one row, whatever it is.
SELECT v, bool_and(percentile(h, f) = v AND min_val(h) = v AND max_val(h) = v AND total(h) = v)
FROM (SELECT v, exp_hist_agg(v) AS h FROM unnest('{-Infinity,-1.7976931348623157e308,-1,-5e-324,0,5e-324,
	2.2250738585072014e-308,1e-300,1,3,1e300,1.7976931348623157e308,Infinity}'::float8[]) AS v GROUP BY v) AS s,
	unnest('{0,0.3,1}'::float8[]) AS f
GROUP BY v ORDER BY v;

-- Nothing, and nothing but NULL.
SELECT exp_hist_agg(x) IS NULL AS none FROM generate_series(1, 0) AS x;
SELECT exp_hist_agg(NULL::float8) IS NULL AS only_null, exp_hist_agg(NULL, 0.01) IS NULL AS with_error,
	merge(NULL::exp_histogram) IS NULL AS merged FROM generate_series(1, 3);
SELECT percentile(NULL::exp_histogram, 0.5) IS NULL AS p, num_vals(NULL::exp_histogram) IS NULL AS n;

-- Bounds belong to the bucket below them: each power of two and its neighbours,
-- at all scales. The neighbours come from the bits of the number.
CREATE FUNCTION neighbour(x float8, step bigint) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	bits bigint := ('x' || encode(float8send(x), 'hex'))::bit(64)::bigint + step;
	e int := (bits >> 52)::int;
	m bigint := bits & ((1::bigint << 52) - 1);
BEGIN
	IF e = 2047 THEN RETURN 'Infinity'; END IF;
	IF e = 0 THEN RETURN m::float8 * 4.9406564584124654e-324; END IF;
	RETURN (1 + m::float8 / 4503599627370496) * CASE
		WHEN e >= 1023 THEN power(2::float8, e - 1023)
		ELSE power(2::float8, e - 523) * power(2::float8, -500) END;
END $$;
CREATE FUNCTION index_of(x float8, err float8) RETURNS bigint LANGUAGE sql IMMUTABLE AS
	$$ SELECT (exp_histogram_transition(NULL, x, err)::jsonb -> 'positive' -> 0 -> 0)::bigint $$;
CREATE TABLE scales AS
SELECT s, 2 ^ s AS n, least(tanh(0.5 * ln(2::float8) * 2::float8 ^ -s) * (1 + 1e-12), 0.999999) AS err
FROM generate_series(-4, 12) AS s;
SELECT s, count(*), count(*) FILTER (WHERE
	(index_of(p, err), index_of(neighbour(p, -1), err), index_of(neighbour(p, 1), err))
	IS DISTINCT FROM (ceil(e * n)::bigint - 1,
		CASE WHEN e <= -1023 THEN index_of(neighbour(p, -1), err) ELSE ceil(e * n)::bigint - 1 END,
		CASE WHEN e < -1023 THEN index_of(neighbour(p, 1), err) ELSE floor(e * n)::bigint END)) AS wrong
FROM scales, generate_series(-1021, 1023) AS e,
	LATERAL (SELECT CASE WHEN e >= 0 THEN power(2::float8, e)
		ELSE power(2::float8, e / 2) * power(2::float8, e - e / 2) END AS p) AS power
WHERE s IN (-4, -1, 0, 1, 6, 12)
GROUP BY s ORDER BY s;
-- Subnormal powers of two have one bit.
SELECT count(*), count(*) FILTER (WHERE index_of(p, 0.01) <> e * 64 - 1) AS wrong
FROM generate_series(-1074, -1023) AS e, LATERAL (SELECT power(2::float8, e + 1000) * power(2::float8, -1000) AS p) AS power;
-- The bounds between them, in exact arithmetic: the greatest number that is not
-- above 2^(i/64) has a 64th power that is not above 2^i, its neighbour has.
WITH bounds AS (
	SELECT i, (exp_histogram_transition(NULL, x, 0.01)::jsonb -> 'positive' -> 0 -> 0)::int AS index, upper
	FROM generate_series(1, 63) AS i, LATERAL (SELECT power(2::float8, (i - 0.5) / 64) AS x) AS v,
		LATERAL buckets(exp_histogram_transition(NULL, x, 0.01)) AS b)
SELECT count(*), count(*) FILTER (WHERE index <> i - 1
	OR index_of(upper, 0.01) <> i - 1 OR index_of(neighbour(upper, 1), 0.01) <> i
	OR (upper * 4503599627370496)::bigint::numeric ^ 64 > 2::numeric ^ (i + 64 * 52)
	OR (neighbour(upper, 1) * 4503599627370496)::bigint::numeric ^ 64 <= 2::numeric ^ (i + 64 * 52)) AS wrong
FROM bounds;

-- The promise: the value of percentile_disc, to the relative error.
CREATE TABLE hostile (kind text, n int, v float8);
INSERT INTO hostile
SELECT kind, n, v FROM generate_series(1, 4000) AS n, LATERAL (VALUES
	('ascending', n::float8), ('descending', 4001.0 - n), ('constant', 42.0),
	('uniform', random()), ('heavy tail', 1 / power(random() + 1e-9, 3)),
	('mixed signs', (random() - 0.5) * 1000), ('zeros', greatest(0, random() - 0.7)),
	('tiny', random() * 1e-300), ('huge', (random() - 0.3) * 1e300),
	('denormal', 5e-324 * (1 + floor(random() * 1e6))),
	('all magnitudes', sign(random() - 0.5) * power(10::float8, random() * 600 - 300)),
	('two values', CASE WHEN n % 10 = 0 THEN 1e9 ELSE -1e-9 END)) AS k(kind, v);
\set fractions '{0, 0.00025, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1}'
CREATE TABLE answers AS
SELECT kind, err, h, exact, percentiles(h, :'fractions') AS estimated
FROM (SELECT kind, err, exp_hist_agg(v, err, 65536) AS h,
		percentile_disc(:'fractions'::float8[]) WITHIN GROUP (ORDER BY v) AS exact
	FROM hostile, unnest('{0.0005, 0.01, 0.2}'::float8[]) AS err
	GROUP BY kind, err) AS s;
SELECT kind, count(*) AS percentiles,
	count(*) FILTER (WHERE CASE WHEN e = 0 THEN p <> 0
		-- below 1e-300 numbers have fewer digits
		WHEN kind = 'denormal' AND abs(p - e) <= 5e-324 THEN false
		ELSE abs(p - e) / abs(e) > least(relative_error(h), err) * (1 + 1e-9) END) AS broken,
	count(*) FILTER (WHERE p NOT BETWEEN min_val(h) AND max_val(h)) AS outside
FROM answers, LATERAL unnest(exact, estimated) AS v(e, p)
GROUP BY kind ORDER BY kind COLLATE "C";
SELECT count(*) AS wrong FROM answers JOIN
	(SELECT kind, count(*) AS n, sum(v), min(v), max(v) FROM hostile GROUP BY kind) AS e USING (kind)
WHERE (num_vals(h), min_val(h), max_val(h)) <> (n, min, max) OR abs(total(h) - sum) > 1e-9 * greatest(abs(sum), max * n);

-- The scale falls when there would be too many buckets, no further than needed,
-- and says so.
SELECT m, relative_error(h), (SELECT count(*) FROM buckets(h)) AS used
FROM (SELECT m, exp_hist_agg(v, 0.001, m) AS h FROM hostile, unnest('{16, 50, 2048, 65536}'::int[]) AS m
	WHERE kind = 'all magnitudes' GROUP BY m) AS s ORDER BY m;
SELECT count(*) FILTER (WHERE abs(estimated - exact) > abs(exact) * relative_error(h) * (1 + 1e-9)) AS broken
FROM (SELECT exp_hist_agg(v, 0.001, 50) AS h FROM hostile WHERE kind = 'mixed signs') AS s,
	unnest('{0.01, 0.3, 0.5, 0.7, 0.99}'::float8[]) AS f,
	LATERAL (SELECT percentile(h, f) AS estimated, percentile_disc(f) WITHIN GROUP (ORDER BY v) AS exact
		FROM hostile WHERE kind = 'mixed signs') AS e;

-- A random split, merged in any order and through "+", is the whole. The sums
-- are of whole numbers here, so that they do not depend on the order either.
CREATE TABLE parts AS
SELECT m, part, exp_hist_agg(v, 0.001, m) AS h
FROM (SELECT m, floor(v)::float8 AS v, floor(random() * random() * 40) AS part
	FROM hostile, unnest('{16, 100, 2048}'::int[]) AS m
	WHERE kind IN ('mixed signs', 'zeros', 'ascending', 'constant')) AS s
GROUP BY m, part;
CREATE TABLE whole AS
SELECT m, exp_hist_agg(floor(v), 0.001, m) AS h FROM hostile, unnest('{16, 100, 2048}'::int[]) AS m
WHERE kind IN ('mixed signs', 'zeros', 'ascending', 'constant') GROUP BY m;
CREATE AGGREGATE plus(exp_histogram) (SFUNC = exp_histogram_plus, STYPE = exp_histogram, FINALFUNC = exp_histogram_final);
SELECT m, (SELECT count(*) FROM parts AS p WHERE p.m = w.m) > 20 AS many_parts,
	(SELECT merge(p.h) FROM parts AS p WHERE p.m = w.m) = w.h AS merged,
	(SELECT bool_and(r.h = w.h) FROM generate_series(1, 20) AS round,
		LATERAL (SELECT merge(p.h ORDER BY random() + round) AS h FROM parts AS p WHERE p.m = w.m) AS r) AS any_order,
	(SELECT plus(p.h ORDER BY random()) FROM parts AS p WHERE p.m = w.m) = w.h AS added
FROM whole AS w ORDER BY m;
-- Different scales: as if all had been built at the lower.
SELECT (a.h + b.h) = (b.h + a.h) AS commutes, relative_error(a.h + b.h) = relative_error(b.h) AS lower,
	(a.h + b.h)::jsonb - 'max_buckets' = c.h::jsonb - 'max_buckets' AS as_built
FROM (SELECT exp_hist_agg(x, 0.0005) AS h FROM generate_series(1, 500) AS x) AS a,
	(SELECT exp_hist_agg(x, 0.1, 300) AS h FROM generate_series(400, 700) AS x) AS b,
	(SELECT exp_hist_agg(x, 0.1) AS h FROM (SELECT generate_series(1, 500) UNION ALL SELECT generate_series(400, 700)) AS v(x)) AS c;
SELECT (a.h + b.h)::jsonb -> 'max_buckets' AS fewer
FROM (SELECT exp_hist_agg(1, 0.1, 300) AS h) AS b, (SELECT exp_hist_agg(1, 0.2) AS h) AS a;

-- Counts beyond 32 bits, and the end of 64.
WITH RECURSIVE doubled(n, h) AS (
	SELECT 0, exp_hist_agg(x) FROM (VALUES (0), (1), (1), (-7)) AS v(x)
	UNION ALL SELECT n + 1, h + h FROM doubled WHERE n < 60)
SELECT n, num_vals(h), h::jsonb -> 'positive' AS positive, percentile(h, 0.7) FROM doubled WHERE n IN (29, 30, 31, 32, 33, 60);
SELECT exp_histogram '{"scale": 6, "max_buckets": 2048, "count": 9223372036854775807, "sum": 9223372036854775807, "min": 1, "max": 1, "zero": 0, "negative": [], "positive": [[-1, 9223372036854775807]]}' + exp_hist_agg(1);
SELECT num_vals(exp_histogram_transition('{"scale": 6, "max_buckets": 2048, "count": 4294967295, "sum": 4294967295, "min": 1, "max": 1, "zero": 0, "negative": [], "positive": [[-1, 4294967295]]}', 1));

-- The sum may leave the range; the rest does not suffer.
SELECT percentile(h, 0.5) BETWEEN 0.99e308 AND 1.01e308 AS median, max_val(h), h = h::text::exp_histogram AS kept
FROM (SELECT exp_hist_agg(1e308) AS h FROM generate_series(1, 3)) AS s;
SELECT total(exp_hist_agg(1e308)) FROM generate_series(1, 3);
SELECT mean(exp_hist_agg(1e308)) FROM generate_series(1, 3);
SELECT total(exp_hist_agg(x)), mean(exp_hist_agg(x)), percentile(exp_hist_agg(x), 0.5)
FROM unnest('{-Infinity, 1, Infinity, Infinity}'::float8[]) AS x;

-- Everywhere aggregates go.
SELECT x, num_vals(exp_hist_agg(x) OVER w), total(exp_hist_agg(x) OVER w), max_val(merge(s) OVER w)
FROM (SELECT x, exp_histogram_transition(NULL, x) AS s FROM generate_series(1, 6) AS x) AS v
WINDOW w AS (ORDER BY x ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING);
SELECT num_vals(exp_hist_agg(DISTINCT x)), num_vals(exp_hist_agg(x) FILTER (WHERE x > 2)),
	min_val(exp_hist_agg(x ORDER BY x DESC)) FROM (VALUES (1), (1), (2), (3), (3)) AS v(x);
SELECT a, b, num_vals(exp_hist_agg(x)), total(exp_hist_agg(x)) FROM (SELECT x % 2 AS a, x % 3 AS b, x FROM generate_series(1, 12) AS x) AS v
GROUP BY GROUPING SETS ((a), (b), ()) ORDER BY a, b;
-- of every length: some a few values, some a thousand
CREATE TABLE groups AS
SELECT floor(1000 * random() ^ 4) AS g, floor(random() * 1000) AS v FROM generate_series(1, 40000) AS n;
ANALYZE groups;
SET enable_hashagg = off;
CREATE TABLE sorted AS SELECT g, exp_hist_agg(v) AS h FROM groups GROUP BY g;
SELECT count(*) AS groups, min(num_vals(h)) AS smallest, max(num_vals(h)) > 120 AS large FROM sorted;
SELECT count(*) AS wrong FROM sorted JOIN (SELECT g, count(*), sum(v), min(v), max(v) FROM groups GROUP BY g) AS e USING (g)
WHERE (num_vals(h), total(h), min_val(h), max_val(h)) <> (count, sum, min, max);
RESET enable_hashagg;
SET enable_sort = off;
SET work_mem = '64kB';
SELECT count(*) AS differences FROM (SELECT g, exp_hist_agg(v) AS h FROM groups GROUP BY g) AS s JOIN sorted USING (g) WHERE s.h <> sorted.h;
RESET work_mem;
RESET enable_sort;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT exp_hist_agg(v) FROM groups;
SELECT exp_hist_agg(v) = (SELECT merge(h) FROM sorted) AS parallel FROM groups;
SELECT count(*) AS differences FROM (SELECT g, exp_hist_agg(v) AS h FROM groups GROUP BY g) AS s JOIN sorted USING (g) WHERE s.h <> sorted.h;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
-- An aggregate of one's own over the transition functions, without a final step:
-- its states are values, too.
CREATE AGGREGATE unfinished(float8) (SFUNC = exp_histogram_transition, STYPE = exp_histogram);
CREATE TABLE raw AS SELECT g, unfinished(v) AS h FROM groups GROUP BY g;
SELECT count(*) AS differences FROM raw JOIN sorted USING (g)
WHERE (num_vals(raw.h), percentile(raw.h, 0.5), raw.h::text) <> (num_vals(sorted.h), percentile(sorted.h, 0.5), sorted.h::text);
SELECT merge(raw.h) = (SELECT merge(h) FROM sorted) AS merged FROM raw;

-- Merging fills a table to the last place, and counts each part once.
SELECT n, total(h), num_vals(h) FROM generate_series(1, 300) AS n,
	LATERAL (SELECT merge(s) AS h FROM (SELECT exp_hist_agg(x) AS s FROM generate_series(1, n) AS x GROUP BY x) AS p) AS m
WHERE (total(h), num_vals(h)) IS DISTINCT FROM (n * (n + 1) / 2.0::float8, n);
SELECT n, k FROM generate_series(1, 60) AS n, generate_series(1, 9) AS k,
	LATERAL (SELECT merge(s) AS h FROM (SELECT exp_hist_agg(x) AS s FROM generate_series(1, n) AS x GROUP BY x / k) AS p) AS m,
	LATERAL (SELECT exp_hist_agg(x) AS h FROM generate_series(1, n) AS x) AS whole
WHERE m.h <> whole.h;

-- Forms. Equal values are equal bytes.
SELECT count(*) AS differences FROM (SELECT h FROM answers UNION ALL SELECT h FROM parts UNION ALL SELECT h FROM sorted) AS s
WHERE h::text::exp_histogram <> h OR h::jsonb::text::exp_histogram <> h;
CREATE TABLE hashed AS SELECT h FROM sorted UNION SELECT h FROM sorted;
SELECT (SELECT count(*) FROM hashed) = (SELECT count(DISTINCT h::text) FROM sorted) AS distinct_by_hash;
-- Sixty values at one percent.
SELECT max(pg_column_size(h)) <= 250 AS small FROM (SELECT exp_hist_agg(v) AS h FROM hostile
	WHERE kind IN ('heavy tail', 'mixed signs', 'uniform') GROUP BY kind, n / 60) AS s;

-- Errors.
SELECT exp_hist_agg('NaN'::float8);
SELECT exp_hist_agg(1, 0);
SELECT exp_hist_agg(1, 5);
SELECT exp_hist_agg(1, 'NaN');
SELECT exp_hist_agg(1, 0.00001);
SELECT exp_hist_agg(1, NULL);
SELECT exp_hist_agg(1, 0.01, NULL);
SELECT exp_hist_agg(1, 0.01, 15);
SELECT exp_hist_agg(1, 0.01, 65537);
SELECT exp_hist_agg(x, x / 10.0) FROM generate_series(1, 3) AS x;
SELECT exp_hist_agg(x, 0.01, 100 + x) FROM generate_series(1, 3) AS x;
SELECT exp_hist_agg(1, x) FROM (SELECT CASE WHEN x < 999 THEN 0.01 END FROM generate_series(1, 1000) AS x) AS v(x);
SELECT percentile(exp_hist_agg(1), 95);
SELECT percentile(exp_hist_agg(1), -0.1);
SELECT percentile(exp_hist_agg(1), 'NaN');
SELECT percentiles(exp_hist_agg(1), '{0.5, 95}');
SELECT cdf(exp_hist_agg(1), 'NaN');
-- What no aggregate could have made.
\set good '{"scale": 6, "max_buckets": 2048, "count": 4, "sum": -1, "min": -3, "max": 2, "zero": 1, "negative": [[101, 1]], "positive": [[-1, 1], [63, 1]]}'
SELECT :'good'::exp_histogram;
SELECT ''::exp_histogram;
SELECT '[]'::exp_histogram;
SELECT '{}'::exp_histogram;
CREATE FUNCTION refusal(t text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text;
BEGIN
	RETURN 'accepted: ' || t::exp_histogram::text;
EXCEPTION WHEN data_exception THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN concat(SQLSTATE, ' ', SQLERRM, ': ', detail);
END $$;
SELECT change, refusal((:'good'::jsonb || change)::text) FROM unnest(ARRAY[
	'{"scale": 13}', '{"scale": -11}', '{"scale": 6.5}', '{"scale": 5}', '{"max_buckets": 2}', '{"max_buckets": 99999999999}',
	'{"count": 5}', '{"count": 0}', '{"count": "4"}', '{"sum": null}', '{"sum": 10}', '{"sum": "NaN"}', '{"min": -4}', '{"min": 3}', '{"max": 2.5}',
	'{"max": "NaN"}', '{"zero": -1}', '{"zero": 0}', '{"negative": [[101, 0]]}', '{"negative": [[99, 1]]}', '{"negative": {}}', '{"negative": [101, 1]}',
	'{"negative": [[101, 1, 1]]}', '{"positive": [[63, 1], [-1, 1]]}', '{"positive": [[63, 1], [63, 1]]}', '{"positive": [[63, 1], [99999999999, 1]]}',
	'{"positive": [[63, 1], [65537, 1]]}', '{"positive": [[-1, 9223372036854775807], [63, 1]]}', '{"more": 1}']::jsonb[]) AS change;
SELECT refusal((:'good'::jsonb - field)::text) FROM jsonb_object_keys(:'good'::jsonb) AS field;

SET client_min_messages = warning;
DROP SCHEMA summary_exp_histogram CASCADE;
