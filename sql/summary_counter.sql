-- Counters: increase, rate, resets, merging, forms, errors.
CREATE SCHEMA summary_counter;
SET search_path = summary_counter, aggwin;
SET extra_float_digits = 1;
SET timezone = 'UTC';
SELECT setseed(0.42);

-- What it is made of, in whatever order rows come.
CREATE TABLE samples (n int, ts timestamptz, v float8);
INSERT INTO samples SELECT n, timestamptz '2026-01-01 10:00Z' + n * interval '15 s', v
FROM unnest('{10, 14, 14, 20, 3, 9, 2, 30}'::float8[]) WITH ORDINALITY AS u(v, n);
SELECT counter_agg(ts, v ORDER BY n) FROM samples;
SELECT increase(c), rate(c), resets(c), num_vals(c), first_val(c), last_val(c), first_time(c), last_time(c), is_exact(c)
FROM (SELECT counter_agg(ts, v ORDER BY n DESC) AS c FROM samples) AS s;
SELECT bool_and(c = (SELECT counter_agg(ts, v ORDER BY n) FROM samples)) AS any_order
FROM generate_series(1, 100) AS round, LATERAL (SELECT counter_agg(ts, v ORDER BY random() + round) AS c FROM samples) AS s;

-- One sample, samples of one time, a sample twice, samples below zero.
SELECT increase(c), rate(c), resets(c), num_vals(c), increase(c, '2026-01-01Z', '2026-01-02Z') AS between, c
FROM (SELECT counter_agg('2026-01-01 10:00Z', 7) AS c) AS s;
SELECT increase(c), rate(c), resets(c), num_vals(c), first_val(c), last_val(c), rate(c, '2026-01-01Z', '2026-01-02Z') AS between
FROM (SELECT counter_agg('2026-01-01 10:00Z', v) AS c FROM unnest('{3, 1, 3, 2, -0}'::float8[]) AS v) AS s;
SELECT (SELECT counter_agg(ts, v) FROM (TABLE samples UNION ALL TABLE samples) AS s) = (SELECT counter_agg(ts, v) FROM samples) AS twice;
SELECT increase(c), resets(c), first_val(c), last_val(c), c::jsonb -> 'segments' -> 0 -> 'reset_sum' AS reset_sum
FROM (SELECT counter_agg(timestamptz '2026-01-01Z' + n * interval '1 s', v) AS c
	FROM unnest('{-5, -7, 3, -2.5, -0}'::float8[]) WITH ORDINALITY AS u(v, n)) AS s;

-- Nothing, and nothing but NULL.
SELECT counter_agg(ts, v) IS NULL AS none FROM samples WHERE n > 99;
SELECT counter_agg(NULL, 1) IS NULL AS no_time, counter_agg('2026-01-01Z', NULL) IS NULL AS no_value, merge(NULL::counter) IS NULL AS merged
FROM generate_series(1, 3);
SELECT num_vals(counter_agg(ts, nullif(v, 14))), num_vals(counter_agg(CASE WHEN n > 1 THEN ts END, v)) FROM samples;
SELECT rate(NULL::counter) IS NULL AS rate, increase(counter_agg(ts, v), NULL, '2027-01-01Z') IS NULL AS increase FROM samples;

-- The definition, in plain SQL: whole numbers, so that the sums have no order.
CREATE TABLE raw AS
SELECT series, n, ts, floor(sum(step) OVER (PARTITION BY series, life ORDER BY n)) AS v
FROM (SELECT series, n, step, timestamptz '2026-01-01Z' + (n * 10 + random() * 9) * interval '1 s' AS ts,
		count(*) FILTER (WHERE restart) OVER (PARTITION BY series ORDER BY n) AS life
	FROM (SELECT series, n, random() * 100 AS step, random() < series / 40.0 AS restart
		FROM generate_series(0, 19) AS series, generate_series(1, 400) AS n) AS s) AS s;
CREATE VIEW truth AS
SELECT series, count(*) AS n, count(*) FILTER (WHERE v < before) AS resets,
	sum(CASE WHEN v < before THEN v ELSE v - before END) AS increase, min(ts) AS first_time, max(ts) AS last_time
FROM (SELECT *, lag(v) OVER (PARTITION BY series ORDER BY ts, v) AS before FROM raw) AS s GROUP BY series;
CREATE FUNCTION seen(c counter, OUT n bigint, OUT resets bigint, OUT increase float8, OUT first_time timestamptz, OUT last_time timestamptz)
	LANGUAGE sql IMMUTABLE AS 'SELECT num_vals(c), resets(c), increase(c), first_time(c), last_time(c)';
SELECT min(resets), max(resets) FROM truth;
SELECT count(*) AS wrong FROM truth AS t JOIN (SELECT series, counter_agg(ts, v ORDER BY random()) AS c FROM raw GROUP BY series) AS s USING (series)
WHERE (t.n, t.resets, t.increase, t.first_time, t.last_time) IS DISTINCT FROM (SELECT s FROM seen(c) AS s) OR NOT is_exact(c);

-- Parts that do not overlap merge exactly, whatever their order is: each part of
-- random length, one sample long at least, and through "+" up to 33 of them.
CREATE TABLE parts AS
SELECT series, cuts, part, counter_agg(ts, v) AS c
FROM (SELECT *, count(*) FILTER (WHERE random() < cuts / 400.0) OVER (PARTITION BY series, cuts ORDER BY n) AS part
	FROM raw, unnest('{0, 1, 20, 200, 400}'::int[]) AS cuts) AS s
GROUP BY series, cuts, part;
SELECT cuts, min(parts), max(parts) FROM (SELECT series, cuts, count(*) AS parts FROM parts GROUP BY 1, 2) AS s GROUP BY cuts ORDER BY cuts;
CREATE AGGREGATE plus(counter) (SFUNC = counter_plus, STYPE = counter);
SELECT cuts, count(*) AS tried, count(*) FILTER (WHERE NOT is_exact(c) OR (t.n, t.resets, t.increase, t.first_time, t.last_time) IS DISTINCT FROM (SELECT s FROM seen(c) AS s)) AS wrong
FROM truth AS t JOIN (SELECT series, cuts, merge(c ORDER BY random() + round) AS c FROM parts, generate_series(1, 5) AS round GROUP BY series, cuts, round) AS s USING (series)
GROUP BY cuts ORDER BY cuts;
SELECT count(*) AS tried, count(*) FILTER (WHERE NOT is_exact(c) OR (t.n, t.resets, t.increase, t.first_time, t.last_time) IS DISTINCT FROM (SELECT s FROM seen(c) AS s)) AS wrong
FROM truth AS t JOIN (SELECT series, cuts, plus(c ORDER BY random() + round) AS c FROM parts, generate_series(1, 5) AS round GROUP BY series, cuts, round HAVING count(DISTINCT part) <= 33) AS s USING (series);
-- in the order of time any number
SELECT count(*) AS tried, count(*) FILTER (WHERE NOT is_exact(c) OR (t.n, t.resets, t.increase, t.first_time, t.last_time) IS DISTINCT FROM (SELECT s FROM seen(c) AS s)) AS wrong
FROM truth AS t JOIN (SELECT series, cuts, plus(c ORDER BY part) AS c FROM parts GROUP BY series, cuts) AS s USING (series);
-- merging in steps
SELECT count(*) AS tried, count(*) FILTER (WHERE NOT is_exact(c) OR (t.n, t.resets, t.increase, t.first_time, t.last_time) IS DISTINCT FROM (SELECT s FROM seen(c) AS s)) AS wrong
FROM truth AS t JOIN (SELECT series, cuts, merge(c) AS c FROM (SELECT series, cuts, merge(c) AS c FROM parts GROUP BY series, cuts, part / 7) AS s GROUP BY series, cuts) AS s USING (series);
-- a + b = b + a, to the byte, overlapping or not
SELECT count(*) AS pairs, count(*) FILTER (WHERE NOT is_exact(a.c + b.c)) > 100 AS overlapping, count(*) FILTER (WHERE a.c + b.c <> b.c + a.c) AS wrong
FROM (SELECT * FROM parts WHERE random() < 0.02) AS a, (SELECT * FROM parts WHERE random() < 0.02) AS b;

-- Gaps stay open for what comes later, until there are too many: then the
-- narrowest are closed, and what comes there is not exact.
CREATE FUNCTION part(VARIADIC minutes int[]) RETURNS counter LANGUAGE sql IMMUTABLE AS
	$$ SELECT aggwin.counter_agg(timestamptz '2026-01-01Z' + m * interval '1 min', m) FROM unnest(minutes) AS m $$;
SELECT part(0, 10) + part(30, 40) + part(20) AS three;
SELECT jsonb_array_length(c::jsonb -> 'segments') AS segments, is_exact(c), num_vals(c), increase(c), resets(c),
	is_exact(c + part(15)) AS in_closed, is_exact(c + part(9995)) AS in_open, is_exact(c + part(100000)) AS after, num_vals(c + part(15))
FROM (SELECT merge(part(m)) AS c FROM (SELECT generate_series(0, 300, 10) UNION ALL SELECT generate_series(9000, 9900, 100) UNION ALL VALUES (9990), (10000)) AS s(m)) AS s;
-- The same sample at the end of one and the beginning of the other is one.
SELECT c, increase(c) FROM (SELECT part(1, 5) + part(5, 9) AS c) AS s;
SELECT part(5) + part(5) = part(5) AS a, part(1, 5) + part(5) = part(1, 5) AS b, part(5) + part(5, 6) = part(5, 6) AS c,
	(SELECT merge(c) FROM unnest(ARRAY[part(5, 9), part(1, 5), part(5), part(5)]) AS c) = part(1, 5, 9) AS d;
-- At one time, but another value: the smaller one comes first.
SELECT increase(a + b), resets(a + b), num_vals(a + b), is_exact(a + b), increase(b + a)
FROM (SELECT counter_agg('2026-01-01Z', 5) AS a, counter_agg('2026-01-01Z', 3) AS b) AS s;

-- What overlaps is estimated, and says so ever after.
SELECT (c).* , is_exact(m) FROM (SELECT part(1, 5, 9) + part(2, 3) AS m) AS s, LATERAL (SELECT seen(m) AS c) AS t;
SELECT is_exact(merge(c)) FROM (SELECT part(1, 5, 9) + part(2, 3) AS c UNION ALL SELECT part(100, 200)) AS s;
SELECT seen(a + b), is_exact(a + b), a + b FROM
	(SELECT counter_agg(timestamptz '2026-01-01Z' + n * interval '1 min', n % 30) AS a FROM generate_series(0, 89) AS n) AS a,
	(SELECT counter_agg(timestamptz '2026-01-01Z' + n * interval '1 min', n % 30) AS b FROM generate_series(60, 149) AS n) AS b;
-- whatever comes of it is a counter, and the same for any order of merging at once
CREATE TABLE random AS
SELECT g, counter_agg(ts, v) AS c FROM (SELECT floor(random() * 60) AS g, timestamptz '2026-01-01Z' + floor(random() * 12) * interval '1 s' AS ts, floor(random() * 10 - 5) AS v FROM generate_series(1, 250)) AS s GROUP BY g;
SELECT count(*) FILTER (WHERE NOT is_exact(c)) > 10000 AS overlapping, count(*) FILTER (WHERE c::text::counter <> c OR resets(c) < 0 OR (num_vals(c) > 1 AND increase(c) IS NULL)) AS wrong
FROM (SELECT x.c + y.c + z.c AS c FROM random AS x, random AS y, random AS z WHERE z.g < 10) AS s;
SELECT count(*) FILTER (WHERE (SELECT merge(c) FROM unnest(ARRAY[x.c, y.c, z.c]) AS c) <> (SELECT merge(c) FROM unnest(ARRAY[z.c, x.c, y.c]) AS c)) AS wrong
FROM random AS x, random AS y, random AS z WHERE x.g < 15 AND y.g < 15 AND z.g < 15;
-- two replicas of one scrape, shifted: close to either
SELECT is_exact(c), increase(c) / increase(a) BETWEEN 0.95 AND 1.05 AS close, resets(c) - resets(a) AS resets, num_vals(c) = num_vals(a) + num_vals(b) AS counted
FROM (SELECT counter_agg(ts, v) FILTER (WHERE n % 2 = 0) AS a, counter_agg(ts, v) FILTER (WHERE n % 2 = 1) AS b FROM raw WHERE series = 3) AS s,
	LATERAL (SELECT a + b AS c) AS t;

-- Extrapolated to a range, in the way of Prometheus.
SELECT increase(c, '2026-01-01 10:00Z', '2026-01-01 10:02Z'), rate(c, '2026-01-01 10:00Z', '2026-01-01 10:02Z'),
	abs(rate(c, first_time(c), last_time(c)) / rate(c) - 1) < 1e-15 AS whole, increase(c, '2026-01-01 09:00Z', '2026-01-01 11:00Z') AS far,
	increase(c, '4713-01-01Z BC', '294276-01-01Z') IS NOT NULL AS farther
FROM (SELECT counter_agg(ts, v) AS c FROM samples) AS s;

-- Everywhere aggregates go.
SELECT n, increase(counter_agg(ts, v) OVER w), resets(counter_agg(ts, v) OVER w), increase(merge(s) OVER w) AS merged
FROM (SELECT *, counter_transition(NULL, ts, v) AS s FROM samples) AS x WINDOW w AS (ORDER BY n ROWS BETWEEN 2 PRECEDING AND CURRENT ROW);
SELECT n, increase(counter_agg(ts, v) OVER (ORDER BY n DESC)) AS backwards FROM samples ORDER BY n;
SELECT num_vals(counter_agg(DISTINCT ts, v)), increase(counter_agg(ts, v) FILTER (WHERE v < 20)) FROM samples;
SELECT a, b, num_vals(counter_agg(ts, v)), increase(counter_agg(ts, v)) FROM (SELECT n % 2 AS a, n % 3 AS b, * FROM samples) AS s
GROUP BY GROUPING SETS ((a), (b), ()) ORDER BY a, b;
CREATE TABLE groups AS SELECT floor(1000 * random() ^ 4) AS g, timestamptz '2026-01-01Z' + random() * interval '1 day' AS ts, floor(random() * 1000) AS v
FROM generate_series(1, 40000);
ANALYZE groups;
SET enable_hashagg = off;
CREATE TABLE sorted AS SELECT g, counter_agg(ts, v) AS c FROM groups GROUP BY g;
RESET enable_hashagg;
SELECT count(*) > 500 AS many, min(num_vals(c)) AS smallest, max(num_vals(c)) > 2000 AS large FROM sorted;
SET enable_sort = off;
SET work_mem = '64kB';
SELECT count(*) AS differences FROM (SELECT g, counter_agg(ts, v) AS c FROM groups GROUP BY g) AS s JOIN sorted USING (g) WHERE s.c <> sorted.c;
RESET work_mem;
RESET enable_sort;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
EXPLAIN (COSTS OFF) SELECT counter_agg(ts, v) FROM groups;
SELECT (SELECT counter_agg(ts, v) FROM groups) = (SELECT counter_agg(ts, v ORDER BY ts DESC) FROM groups) AS parallel;
SELECT count(*) AS differences FROM (SELECT g, counter_agg(ts, v) AS c FROM groups GROUP BY g) AS s JOIN sorted USING (g) WHERE s.c <> sorted.c;
CREATE TABLE few AS SELECT c FROM parts WHERE series = 5 AND cuts = 400;
EXPLAIN (COSTS OFF) SELECT merge(c) FROM few;
SELECT (SELECT merge(c) FROM few) = (SELECT merge(c ORDER BY first_time(c) DESC) FROM few) AS parallel;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
-- An aggregate of one's own over the transition functions, without a final step:
-- its states are values, too, and a stored one may be its beginning.
CREATE AGGREGATE unfinished(timestamptz, float8) (SFUNC = counter_transition, STYPE = counter);
CREATE AGGREGATE unmerged(counter) (SFUNC = counter_merge, STYPE = counter);
CREATE TABLE states AS SELECT g, unfinished(ts, v) AS c FROM groups GROUP BY g;
SELECT count(*) AS differences FROM states JOIN sorted USING (g)
WHERE (seen(states.c), is_exact(states.c), states.c::text) <> (seen(sorted.c), is_exact(sorted.c), sorted.c::text);
SELECT (SELECT unmerged(c)::text FROM few) = (SELECT merge(c)::text FROM few) AS merged, (SELECT seen(unmerged(c)) FROM few) = (SELECT seen(merge(c)) FROM few) AS seen,
	(SELECT merge(c) FROM states) = (SELECT counter_agg(ts, v) FROM groups) AS of_states;
\set stored '{"exact": true, "segments": [{"first_time": "2026-01-01T10:00:00+00:00", "first_val": 1, "last_time": "2026-01-01T10:01:00+00:00", "last_val": 4, "num_vals": 3, "resets": 1, "reset_sum": 2}]}'
CREATE AGGREGATE continued(timestamptz, float8) (SFUNC = counter_transition, STYPE = counter, FINALFUNC = counter_final, INITCOND = :'stored');
SELECT seen(continued(ts, v)), is_exact(continued(ts, v)) FROM samples WHERE n > 4;
SELECT :'stored'::counter + counter_transition(NULL, '2026-01-01 11:00Z', 9) = counter_transition(:'stored', '2026-01-01 11:00Z', 9) AS single;

-- Forms. Equal values are equal bytes.
CREATE TABLE forms AS SELECT c FROM parts UNION ALL SELECT c FROM sorted UNION ALL SELECT merge(c) FROM parts GROUP BY series, cuts
	UNION ALL SELECT merge(c) FROM parts UNION ALL SELECT counter_agg(t, v) FROM
	(VALUES ('4714-11-24 00:00:00Z BC'::timestamptz, 5e-324), ('294276-12-31 23:59:59.999999Z', -1.7976931348623157e308), ('0001-01-01Z', 0.1)) AS u(t, v);
SET timezone = 'Asia/Kathmandu';
SET datestyle = 'German';
SELECT count(*) AS differences FROM forms WHERE c::text::counter <> c OR c::jsonb::text::counter <> c OR c::json::text::counter <> c;
RESET datestyle;
SET timezone = 'UTC';
CREATE TABLE hashed AS SELECT c FROM forms UNION SELECT c FROM forms;
SELECT (SELECT count(*) FROM hashed) = (SELECT count(DISTINCT c::text) FROM forms) AS distinct_by_hash;
-- the binary form, in a file beside the server's own
SELECT current_setting('data_directory') || '/summary_counter.bin' AS file \gset
\set back 'cat ' :file '; rm ' :file
COPY forms TO :'file' (FORMAT binary);
CREATE TABLE restored (c counter);
COPY restored FROM PROGRAM :'back' (FORMAT binary);
SELECT (SELECT count(*) FROM restored) = (SELECT count(*) FROM forms) AS complete, count(*) AS differences FROM (TABLE forms EXCEPT ALL TABLE restored) AS d;
SELECT pg_column_size(counter_agg(ts, v)) AS bytes FROM samples;

-- Errors.
SELECT counter_agg('2026-01-01Z', 'NaN');
SELECT counter_agg('2026-01-01Z', '-Infinity');
SELECT counter_agg('infinity', 1);
SELECT counter_agg(ts, CASE WHEN n < 8 THEN v ELSE 'NaN' END) FROM samples;
SELECT rate(counter_agg(ts, v), '2026-01-01 10:00:16Z', '2026-01-01 11:00Z') FROM samples;
SELECT increase(counter_agg(ts, v), '2026-01-01 10:00Z', '2026-01-01 10:01:59Z') FROM samples;
SELECT increase(counter_agg(ts, v), '2026-01-01 10:00Z', '2026-01-01 10:00Z') FROM samples;
SELECT rate(counter_agg(ts, v), '2026-01-01 10:00Z', 'infinity') FROM samples;
SELECT increase(counter_agg(timestamptz '2026-01-01Z' + n * interval '1 s', v)) FROM unnest('{-1.7e308, 1.7e308}'::float8[]) WITH ORDINALITY AS u(v, n);
SELECT counter_agg(timestamptz '2026-01-01Z' + n * interval '1 s', v) FROM unnest('{1.7e308, 1, 1.7e308, 1}'::float8[]) WITH ORDINALITY AS u(v, n);
-- What no aggregate could have made.
\set good '{"exact": true, "segments": [{"first_time": "2026-01-01T10:00:00+00:00", "first_val": 1, "last_time": "2026-01-01T10:01:00+00:00", "last_val": 4, "num_vals": 3, "resets": 1, "reset_sum": 2}, {"first_time": "2026-01-01T10:01:00+00:00", "first_val": 5, "last_time": "2026-01-01T10:01:00+00:00", "last_val": 5, "num_vals": 1, "resets": 0, "reset_sum": 0}]}'
SELECT :'good'::counter;
SELECT '[]'::counter;
CREATE FUNCTION refusal(t text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE detail text;
BEGIN
	RETURN 'accepted: ' || t::counter::text;
EXCEPTION WHEN data_exception THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN concat(SQLSTATE, ' ', SQLERRM, ': ', detail);
END $$;
SELECT change, refusal((:'good'::jsonb || change)::text) FROM unnest(ARRAY['{"exact": 1}', '{"segments": []}', '{"segments": {}}', '{"segments": [1]}', '{"segments": [{}]}', '{"more": 1}']::jsonb[]) AS change;
SELECT change, refusal(jsonb_set(:'good', '{segments,0}', :'good'::jsonb -> 'segments' -> 0 || change)::text) FROM unnest(ARRAY[
	'{"first_time": "2026-01-01T10:01:00.000001+00:00"}', '{"first_time": "2026-01-01 10:00Z"}', '{"first_time": "epoch"}', '{"first_time": "-infinity"}', '{"first_time": "x"}', '{"first_time": 5}',
	'{"first_val": "NaN"}', '{"first_val": "1"}', '{"last_val": "Infinity"}', '{"last_val": 5}', '{"last_val": 6}', '{"last_time": "2026-01-01T10:01:01+00:00"}', '{"last_time": "2026-01-01T10:00:00+00:00"}',
	'{"num_vals": 0}', '{"num_vals": -1}', '{"num_vals": 1}', '{"num_vals": 2}', '{"num_vals": 9223372036854775807}', '{"num_vals": 2.5}', '{"resets": -1}', '{"resets": 3}', '{"resets": 0}', '{"reset_sum": "Infinity"}',
	'{"resets": 0, "reset_sum": 0, "last_val": 0}', '{"more": 1}']::jsonb[]) AS change;
SELECT refusal(jsonb_set(:'good', '{segments,1}', :'good'::jsonb -> 'segments' -> 1 || change)::text) FROM unnest(ARRAY[
	'{"num_vals": 2}', '{"last_val": 6}', '{"resets": 1}']::jsonb[]) AS change;
SELECT refusal(format('{"exact": true, "segments": [%s]}', string_agg(format('{"first_time": "2026-01-%1$sT00:00:00+00:00", "first_val": 1, "last_time": "2026-01-%1$sT00:00:00+00:00", "last_val": 1, "num_vals": 1, "resets": 0, "reset_sum": 0}', 100 + n), ', '))) FROM generate_series(1, 34) AS n;
SELECT :'good'::counter + '{"exact": true, "segments": [{"first_time": "2026-01-02T10:00:00+00:00", "first_val": 1, "last_time": "2026-01-02T10:01:00+00:00", "last_val": 4, "num_vals": 9223372036854775807, "resets": 0, "reset_sum": 0}]}';

-- The same of the binary form: any bytes, as if they came by COPY.
CREATE FUNCTION received(payload bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	file text := current_setting('data_directory') || '/summary_counter.bin';
	object oid := lo_from_bytea(0, '\x5047434f50590aff0d0a000000000000000000'::bytea || '\x0001' || int4send(length(payload)) || payload || '\xffff');
	detail text;
	result text;
BEGIN
	PERFORM lo_export(object, file), lo_unlink(object);
	TRUNCATE restored;
	EXECUTE format('COPY restored FROM PROGRAM %L (FORMAT binary)', format('cat %1$s; rm %1$s', file));
	SELECT 'accepted: ' || c::text INTO result FROM restored;
	RETURN result;
EXCEPTION WHEN data_exception OR protocol_violation THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN concat(SQLSTATE, ' ', SQLERRM, ': ', detail);
END $$;
SELECT counter_send(part(1, 3) + part(7)) AS bytes \gset
SELECT :'bytes'::bytea, received(:'bytes');
SELECT what, received(payload) FROM (VALUES ('nothing', ''::bytea), ('version', '\x02'), ('no segments', '\x0100'), ('too many', '\x0144'), ('very many', '\x01ffffffffffffffff7f'),
	('more bytes', :'bytes'::bytea || '\x00'), ('fewer bytes', substr(:'bytes'::bytea, 1, length(:'bytes'::bytea) - 1)),
	('long varint', overlay(:'bytes'::bytea placing '\x8400' from 2 for 1)), ('infinite time', '\x0102ffffffffffffffffff01000000000000000000'),
	('time too late', '\x0102feffffffffffffffff01000000000000000000'), ('time overflows', '\x01020001000000000000f03fffffffffffffffffff01000000000000004000'),
	('-0.0', '\x010200000000000000000080'), ('NaN', '\x01020000010000000000f87f'), ('infinite', '\x01020000000000000000f07f'), ('good', '\x01020000000000000000f03f'),
	('many samples', '\x010200ffffffffffffffffff01000000000000f03f')) AS v(what, payload);

SET client_min_messages = warning;
DROP SCHEMA summary_counter CASCADE;
