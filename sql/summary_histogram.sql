-- Histograms between fixed bounds: interpolation, merging, forms, errors.
CREATE SCHEMA summary_histogram;
SET search_path = summary_histogram, aggwin, public;
SET extra_float_digits = 1;
SELECT setseed(0.43);

-- What it is made of: a bound belongs to the bucket below it.
SELECT hist_agg(x, '{10, 20, 30}') FROM unnest('{-5, 10, 10.5, NULL, 20, 30, 31}'::float8[]) AS x;
SELECT b.* FROM (SELECT hist_agg(x, '{10, 20, 30}') AS h FROM generate_series(1, 25) AS x) AS s, buckets(h) AS b;
SELECT num_vals(h), total(h), mean(h), min_val(h), max_val(h), bounds(h)
FROM (SELECT hist_agg(x, '{10, 20, 30}') AS h FROM generate_series(1, 25) AS x) AS s;

-- Interpolation: evenly within a bucket; the outer ones end at the extremes.
SELECT f, percentile(h, f) FROM (SELECT hist_agg(x, '{10, 20, 30}') AS h
	FROM unnest('{-40, 5, 12, 14, 16, 18, 50, 70}'::float8[]) AS x) AS s, unnest('{0, 0.125, 0.25, 0.5, 0.625, 0.75, 0.875, 1}'::float8[]) AS f ORDER BY f;
-- All negative, all above the bounds, all below, one value.
SELECT name, percentiles(h, '{0, 0.25, 0.5, 1}'), min_val(h), max_val(h) FROM (
	SELECT name, hist_agg(x, '{-100, 0, 100}') AS h FROM (VALUES ('negative', -90), ('negative', -10), ('above', 200), ('above', 300),
		('above', 400), ('below', -300), ('below', -200), ('one', 7), ('same', 42), ('same', 42), ('on a bound', 100), ('on a bound', 100)) AS v(name, x)
	GROUP BY name) AS s ORDER BY name COLLATE "C";
SELECT percentiles(h, '{{0.5, NULL}}'), percentiles(h, '{}') FROM (SELECT hist_agg(5, '{1}') AS h) AS s;
-- Infinities are in the outer buckets and in ranks, not in interpolation.
SELECT f, percentile(h, f) FROM (SELECT hist_agg(x, '{0, 10}') AS h FROM unnest('{-Infinity, -6, -2, 5, 20, 30, Infinity, Infinity}'::float8[]) AS x) AS s,
	unnest('{0, 0.125, 0.13, 0.375, 0.5, 0.75, 0.751, 1}'::float8[]) AS f ORDER BY f;
SELECT h, min_val(h), max_val(h), total(h), mean(h), cdf(h, '-Infinity'), cdf(h, 0), cdf(h, 1e300), cdf(h, 'Infinity')
FROM (SELECT hist_agg(x, '{0, 10}') AS h FROM unnest('{-Infinity, Infinity}'::float8[]) AS x) AS s;
SELECT percentiles(hist_agg('Infinity', '{0}'), '{0, 0.5, 1}'), percentiles(hist_agg('-Infinity', '{0}'), '{0, 0.5, 1}');

-- cdf is the inverse.
SELECT v, cdf(h, v) FROM (SELECT hist_agg(x, '{10, 20, 30}') AS h FROM generate_series(1, 40) AS x) AS s,
	unnest('{-Infinity, 0, 1, 5.5, 10, 15, 20, 39, 40, 41, Infinity}'::float8[]) AS v ORDER BY v;
CREATE TABLE hostile (kind text, n int, v float8);
INSERT INTO hostile
SELECT kind, n, v FROM generate_series(1, 3000) AS n, LATERAL (VALUES
	('ascending', n::float8), ('descending', 3001.0 - n), ('constant', 42.0),
	('uniform', random() * 1000), ('heavy tail', 1 / power(random() + 1e-9, 3)),
	('mixed signs', (random() - 0.5) * 1000), ('zeros', greatest(0, random() - 0.7) * 500),
	('huge', (random() - 0.3) * 1e308), ('denormal', 5e-324 * (1 + floor(random() * 1e6))),
	('two values', CASE WHEN n % 10 = 0 THEN 999 ELSE -999 END)) AS k(kind, v);
CREATE INDEX ON hostile (kind, v);
ANALYZE hostile;
CREATE TABLE summed AS SELECT kind, hist_agg(v, linear_bounds(-1000, 20, 101)) AS h FROM hostile GROUP BY kind;
SELECT count(*) AS fractions, count(*) FILTER (WHERE abs(cdf(h, percentile(h, f)) - f) > 1e-9) AS wrong
FROM summed, LATERAL (SELECT random() AS f FROM generate_series(1, 50) WHERE kind <> '') AS r
WHERE kind NOT IN ('constant', 'denormal', 'zeros', 'two values');
-- Counts of the buckets, and percentiles no further off than a bucket is wide.
SELECT count(*) AS buckets, count(*) FILTER (WHERE b.count <> e.count) AS wrong
FROM summed, LATERAL buckets(h) AS b, LATERAL (SELECT count(*) FROM hostile AS o
	WHERE o.kind = summed.kind AND v > b.lower AND v <= b.upper) AS e;
SELECT kind, count(*) FILTER (WHERE abs(p - d) > 20) AS far, count(*) FILTER (WHERE p NOT BETWEEN min_val(h) AND max_val(h)) AS outside,
	bool_and(percentile(h, 0) = min_val(h) AND percentile(h, 1) = max_val(h)) AS ends
FROM summed, unnest('{0.001, 0.01, 0.2, 0.5, 0.9, 0.99}'::float8[]) AS f,
	LATERAL (SELECT percentile(h, f) AS p, percentile_disc(f) WITHIN GROUP (ORDER BY v) AS d FROM hostile AS o WHERE o.kind = summed.kind) AS e
WHERE kind NOT IN ('ascending', 'descending', 'heavy tail', 'huge')
GROUP BY kind ORDER BY kind COLLATE "C";
SELECT count(*) AS wrong FROM summed JOIN (SELECT kind, count(*) AS n, avg(v) AS mean, min(v), max(v) FROM hostile WHERE kind NOT IN ('huge', 'denormal') GROUP BY kind) AS e USING (kind)
WHERE (num_vals(h), min_val(h), max_val(h)) <> (n, min, max) OR abs(mean(h) - mean) > 1e-9 * greatest(abs(mean), max);

-- Few bounds and many are searched in different ways.
SELECT length, count(*) AS buckets, count(*) FILTER (WHERE b.count <> e.count) AS wrong
FROM (SELECT length, hist_agg(v, linear_bounds(-500, 7, length)) AS h
	FROM hostile, unnest('{1, 2, 3, 15, 16, 17, 18, 31, 33, 100}'::int[]) AS length WHERE kind = 'mixed signs' GROUP BY length) AS s,
	LATERAL buckets(h) AS b, LATERAL (SELECT count(*) FROM hostile AS o WHERE kind = 'mixed signs' AND v > b.lower AND v <= b.upper) AS e
GROUP BY length ORDER BY length;

-- Nothing, and nothing but NULL.
SELECT hist_agg(x, '{1}') IS NULL AS none FROM generate_series(1, 0) AS x;
SELECT hist_agg(NULL, '{1}') IS NULL AS only_null, merge(NULL::histogram) IS NULL AS merged FROM generate_series(1, 3);
SELECT percentile(NULL::histogram, 0.5) IS NULL AS p, (SELECT count(*) FROM buckets(NULL::histogram)) AS b;

-- A random split, merged in any order, is the whole.
CREATE TABLE parts AS SELECT part, hist_agg(floor(v), '{-100, 0, 0.5, 100, 500}') AS h
FROM (SELECT v, floor(random() * random() * 40) AS part FROM hostile WHERE kind IN ('mixed signs', 'uniform', 'constant')) AS s GROUP BY part;
CREATE AGGREGATE plus(histogram) (SFUNC = histogram_plus, STYPE = histogram, FINALFUNC = histogram_final);
SELECT (SELECT count(*) FROM parts) > 20 AS many_parts, (SELECT merge(h) FROM parts) = w.h AS merged,
	(SELECT bool_and(r.h = w.h) FROM generate_series(1, 20) AS round, LATERAL (SELECT merge(p.h ORDER BY random() + round) AS h FROM parts AS p) AS r) AS any_order,
	(SELECT plus(h ORDER BY random()) FROM parts) = w.h AS added
FROM (SELECT hist_agg(floor(v), '{-100, 0, 0.5, 100, 500}') AS h FROM hostile WHERE kind IN ('mixed signs', 'uniform', 'constant')) AS w;

-- The sum may leave the range; the rest does not suffer.
SELECT percentile(h, 0.5), h = h::text::histogram AS kept FROM (SELECT hist_agg(1e308, '{0}') AS h FROM generate_series(1, 3)) AS s;
SELECT total(hist_agg(1e308, '{0}')) FROM generate_series(1, 3);
-- The end of what can be counted.
SELECT '{"bounds": [0], "counts": [0, 9223372036854775807], "count": 9223372036854775807, "sum": 9223372036854775807, "min": 1, "max": 1, "minus_infinity": 0, "plus_infinity": 0}'::histogram + hist_agg(1, '{0}');
SELECT histogram_transition('{"bounds": [0], "counts": [0, 9223372036854775807], "count": 9223372036854775807, "sum": 9223372036854775807, "min": 1, "max": 1, "minus_infinity": 0, "plus_infinity": 0}', 1, '{0}');

-- Everywhere aggregates go.
SELECT x, num_vals(hist_agg(x, '{2, 4}') OVER w), total(hist_agg(x, '{2, 4}') OVER w), max_val(merge(s) OVER w)
FROM (SELECT x, histogram_transition(NULL, x, '{3}') AS s FROM generate_series(1, 6) AS x) AS v
WINDOW w AS (ORDER BY x ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING);
SELECT num_vals(hist_agg(DISTINCT x, '{2}')), num_vals(hist_agg(x, '{2}') FILTER (WHERE x > 2)),
	min_val(hist_agg(x, '{2}' ORDER BY x DESC)) FROM (VALUES (1), (1), (2), (3), (3)) AS v(x);
SELECT a, b, num_vals(hist_agg(x, '{5}')), total(hist_agg(x, '{5}')) FROM (SELECT x % 2 AS a, x % 3 AS b, x FROM generate_series(1, 12) AS x) AS v
GROUP BY GROUPING SETS ((a), (b), ()) ORDER BY a, b;
-- Bounds that depend on the group; a constant that is no literal.
SELECT g, hist_agg(x, ARRAY[g, g + 1]::float8[])::jsonb -> 'counts' AS counts FROM generate_series(1, 2) AS g, generate_series(0, 4) AS x GROUP BY g ORDER BY g;
CREATE TABLE groups AS
SELECT floor(1000 * random() ^ 4) AS g, floor(random() * 1000) AS v FROM generate_series(1, 40000) AS n;
ANALYZE groups;
SET enable_hashagg = off;
CREATE TABLE sorted AS SELECT g, hist_agg(v, '{1, 10, 100, 500}') AS h FROM groups GROUP BY g;
RESET enable_hashagg;
SELECT count(*) AS wrong FROM sorted JOIN (SELECT g, count(*), sum(v), min(v), max(v) FROM groups GROUP BY g) AS e USING (g)
WHERE (num_vals(h), total(h), min_val(h), max_val(h)) <> (count, sum, min, max);
SET enable_sort = off;
SET work_mem = '64kB';
SELECT count(*) AS differences FROM (SELECT g, hist_agg(v, '{1, 10, 100, 500}') AS h FROM groups GROUP BY g) AS s JOIN sorted USING (g) WHERE s.h <> sorted.h;
RESET work_mem;
RESET enable_sort;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT hist_agg(v, '{1, 10, 100, 500}') FROM groups;
SELECT hist_agg(v, '{1, 10, 100, 500}') = (SELECT merge(h) FROM sorted) AS parallel FROM groups;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
CREATE AGGREGATE unfinished(float8, float8[]) (SFUNC = histogram_transition, STYPE = histogram);
CREATE TABLE raw AS SELECT g, unfinished(v, '{1, 10, 100, 500}') AS h FROM groups GROUP BY g;
SELECT count(*) AS differences FROM raw JOIN sorted USING (g)
WHERE (num_vals(raw.h), percentile(raw.h, 0.5), raw.h::text) <> (num_vals(sorted.h), percentile(sorted.h, 0.5), sorted.h::text);

-- Forms.
SELECT count(*) AS differences FROM (SELECT h FROM summed UNION ALL SELECT h FROM parts UNION ALL SELECT h FROM sorted) AS s
WHERE h::text::histogram <> h OR h::jsonb::text::histogram <> h;
SELECT plot(h, 10) FROM (SELECT hist_agg(x, '{10, 20, 30}') AS h FROM generate_series(1, 25) AS x) AS s;
SELECT plot(exp_hist_agg(x), 10) FROM generate_series(-3, 1000, 7) AS x;
SELECT plot(hist_agg(1, '{0}'), 0);

-- Bounds.
SELECT linear_bounds(0, 0.5, 4), exponential_bounds(1, 2, 5);
SELECT linear_bounds(0, 0, 4);
SELECT linear_bounds(0, 1, 0);
SELECT linear_bounds(1e300, 1, 2);
SELECT exponential_bounds(-1, 2, 3);
SELECT exponential_bounds(1, 10, 4000);
SELECT exponential_bounds(1, 2, 5000);

-- Errors.
SELECT hist_agg('NaN'::float8, '{1}');
SELECT hist_agg(1, NULL);
SELECT hist_agg(1, '{}');
SELECT hist_agg(1, '{{1}, {2}}');
SELECT hist_agg(1, '{1, NULL}');
SELECT hist_agg(1, '{1, Infinity}');
SELECT hist_agg(1, '{NaN}');
SELECT hist_agg(1, '{1, 3, 2}');
SELECT hist_agg(1, '{1, 2, 2}');
SELECT hist_agg(1, array_agg) FROM (SELECT array_agg(x::float8) FROM generate_series(1, 4097) AS x) AS s;
SELECT num_vals(hist_agg(1, array_agg)) FROM (SELECT array_agg(x::float8) FROM generate_series(1, 4096) AS x) AS s;
SELECT hist_agg(x, ARRAY[x]) FROM unnest('{1, 2}'::float8[]) AS x;
SELECT hist_agg(1, '{1, 2}') + hist_agg(1, '{1, 2.5}');
SELECT merge(h) FROM (SELECT hist_agg(1, linear_bounds(1, 1, n)) AS h FROM generate_series(19, 20) AS n GROUP BY n ORDER BY n) AS s;
SELECT percentile(hist_agg(1, '{1}'), 95);
SELECT percentiles(hist_agg(1, '{1}'), '{0.5, -1}');
SELECT cdf(hist_agg(1, '{1}'), 'NaN');
\set good '{"bounds": [0, 10], "counts": [2, 0, 3], "count": 5, "sum": 50, "min": -2, "max": 30, "minus_infinity": 0, "plus_infinity": 0}'
SELECT :'good'::histogram;
CREATE FUNCTION refusal(t text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text;
BEGIN
	RETURN 'accepted: ' || t::histogram::text;
EXCEPTION WHEN data_exception THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN concat(SQLSTATE, ' ', detail);
END $$;
SELECT change, refusal((:'good'::jsonb || change)::text) FROM unnest(ARRAY[
	'{"bounds": []}', '{"bounds": [0]}', '{"bounds": [10, 0]}', '{"bounds": [0, 0]}', '{"bounds": [0, "NaN"]}', '{"bounds": [0, "x"]}', '{"bounds": 3}',
	'{"counts": [2, 0]}', '{"counts": [2, -1, 4]}', '{"counts": [2, 1, 2]}', '{"counts": [0, 0, 5]}', '{"counts": [2, 0, 9223372036854775807]}', '{"counts": [0, 0, 0], "count": 0}',
	'{"count": 6}', '{"sum": 1000}', '{"sum": "NaN"}', '{"min": "NaN"}', '{"min": 1}', '{"min": "-Infinity"}', '{"max": 5}', '{"max": -5}',
	'{"minus_infinity": 3}', '{"minus_infinity": 2}', '{"minus_infinity": -1}', '{"plus_infinity": 1}', '{"plus_infinity": 1, "sum": "Infinity"}', '{"more": 1}']::jsonb[]) AS change;
SELECT refusal((:'good'::jsonb - field)::text) FROM jsonb_object_keys(:'good'::jsonb) AS field;

-- histogram_quantile: the rules of Prometheus. Other numbers than these are
-- compared with Prometheus itself elsewhere.
SELECT name, histogram_quantile(0, le, c) AS q0, histogram_quantile(0.5, le, c) AS q50, histogram_quantile(0.9, le, c) AS q90, histogram_quantile(1, le, c) AS q1
FROM (VALUES ('plain', '0.1', 10), ('plain', '0.5', 20), ('plain', '+Inf', 25),
	('no infinity', '0.1', 10), ('no infinity', '0.5', 20), ('infinity only', '+Inf', 5),
	('nothing seen', '1', 0), ('nothing seen', '+Inf', 0), ('empty first', '1', 0), ('empty first', '2', 10), ('empty first', '+Inf', 10),
	('negative', '-5', 4), ('negative', '-1', 8), ('negative', '+Inf', 8), ('falling', '1', 10), ('falling', '2', 5), ('falling', '4', 20), ('falling', '+Inf', 15),
	('twice', '1', 5), ('twice', '1', 5), ('twice', '2.0', 20), ('twice', '+Inf', 20), ('nulls', '1', NULL), ('nulls', NULL, 3), ('nulls', '2', 4), ('nulls', 'Inf', 4)) AS v(name, le, c)
GROUP BY name ORDER BY name COLLATE "C";
SELECT histogram_quantile(0.5, le, 1) IS NULL AS none FROM generate_series(1, 0) AS le;
SELECT histogram_quantile(0.5, NULL::float8, 1) IS NULL AS only_null;
-- The order of rows does not matter.
SELECT count(DISTINCT q) FROM generate_series(1, 20) AS round, LATERAL (
	SELECT histogram_quantile(0.77, le, c ORDER BY random() + round) AS q FROM unnest('{1, 2, 4, 8, Infinity}'::float8[], '{3, 9, 11, 30, 31}'::float8[]) AS b(le, c)) AS s;
SELECT x, histogram_quantile(0.5, x, x) OVER (ORDER BY x ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM unnest('{1, 2, Infinity}'::float8[]) AS x;
SELECT histogram_quantile(50, 1, 1);
SELECT histogram_quantile(NULL, 1, 1);
SELECT histogram_quantile(x / 10.0, x, 1) FROM generate_series(1, 3) AS x;
SELECT histogram_quantile(0.5, 'NaN', 1);
SELECT histogram_quantile(0.5, 'wide', 1);
SELECT quantile_final('{1, 2}');

SET client_min_messages = warning;
DROP SCHEMA summary_histogram CASCADE;

-- between the smallest numbers there are, too, percentiles rise
SELECT aggwin.percentiles('{"bounds": [5e-324], "counts": [40, 2080], "count": 2120, "sum": 0, "min": -2.5, "max": 1e-323, "minus_infinity": 0, "plus_infinity": 0}'::aggwin.histogram, '{0.25, 0.5, 0.75, 1}');
SELECT aggwin.percentiles(aggwin.hist_agg(v, '{1.6e308}'), '{0.25, 0.5, 0.75}') FROM unnest('{-1.5e308, 1.5e308}'::float8[]) AS v;
