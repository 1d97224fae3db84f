-- Samples of metrics by function, INSERT and COPY: names, labels, time, values,
-- what is refused, and statements within statements.
SET timezone = 'UTC';
SELECT aggwin.ingest('up', '{}', now(), 1);
SELECT * FROM aggwin.maintain_samples();
SELECT aggwin.enable_metrics(NULL);
SELECT aggwin.enable_metrics(NULL);
SET aggwin.max_past = 0;

-- One series, however it is written; the newest value stays.
SELECT aggwin.ingest('up', '{"job": "a", "instance": "x"}', '2020-01-01 00:00', 1);
SELECT aggwin.ingest('up', '{"instance": "x", "job": "a", "empty": ""}', '2020-01-01 00:00', 2);
SELECT aggwin.ingest(NULL, '{"__name__": "up", "job": "a", "instance": "x"}', '2020-01-01 00:01', 3);
SELECT aggwin.ingest('up', '{"__name__": "up", "job": "a", "instance": "x"}', '2020-01-01 00:02', 4);
SELECT aggwin.ingest('up', NULL, '2020-01-01 00:02', 5);
SELECT aggwin.ingest(ARRAY[
	('up', '{}', '2020-01-01 00:03', 6)::aggwin.sample,
	('up', '{}', '2020-01-01 00:03', 7)::aggwin.sample,
	('down', '{"job": "a"}', '2019-12-31 23:59:59.999999', 8)::aggwin.sample]);
SELECT aggwin.ingest('{}'::aggwin.sample[]);
COPY aggwin.sample_input FROM stdin;
up	{"job": "b"}	2020-01-02 00:00:00+00	NaN
up	{"job": "b"}	2020-01-02 00:00:01+00	-Infinity
up	{"job": "b"}	2020-01-02 00:00:02+00	-0
\.
INSERT INTO aggwin.sample_input VALUES ('up', '{"job": "b"}', '2020-01-02 00:00:03', 'Infinity')
	RETURNING metric, labels, value;
SELECT * FROM aggwin.sample_input ORDER BY metric COLLATE "C", labels::text COLLATE "C", ts;
SELECT metric, labels FROM aggwin.series ORDER BY series_id;
SELECT p.tableoid::regclass AS partition, count(*) FROM aggwin.samples AS p GROUP BY p.tableoid ORDER BY p.tableoid::regclass::text;

-- Labels and time have defaults; several INSERTs of one statement.
BEGIN;
WITH a AS (INSERT INTO aggwin.sample_input (metric, value) VALUES ('one', 1), ('two', 2) RETURNING *),
	b AS (INSERT INTO aggwin.sample_input (metric, value) VALUES ('three', 3) RETURNING *)
SELECT metric, value FROM a UNION ALL SELECT metric, value FROM b;
SELECT metric, labels, ts = now() AS now, value FROM aggwin.sample_input
WHERE metric IN ('one', 'two', 'three') ORDER BY metric COLLATE "C";
ROLLBACK;

-- What is no metric.
\set SHOW_CONTEXT never
SELECT aggwin.ingest('http.requests', '{}', '2020-01-01', 1);
SELECT aggwin.ingest('1up', '{}', '2020-01-01', 1);
SELECT aggwin.ingest('', '{}', '2020-01-01', 1);
SELECT aggwin.ingest(NULL, '{}', '2020-01-01', 1);
SELECT aggwin.ingest('ns:up', '{"a:b": "c"}', '2020-01-01', 1);
SELECT aggwin.ingest('up', '{"": "c"}', '2020-01-01', 1);
SELECT aggwin.ingest('up', '{"code": 200}', '2020-01-01', 1);
SELECT aggwin.ingest('up', '{"code": null}', '2020-01-01', 1);
SELECT aggwin.ingest('up', '{"code": ["a"]}', '2020-01-01', 1);
SELECT aggwin.ingest('up', '["code"]', '2020-01-01', 1);
SELECT aggwin.ingest('up', '"code"', '2020-01-01', 1);
SELECT aggwin.ingest('up', '{"__name__": "down"}', '2020-01-01', 1);
SELECT aggwin.ingest('up', '{}', NULL, 1);
SELECT aggwin.ingest('up', '{}', '2020-01-01', NULL);
SELECT aggwin.ingest('up', '{}', 'infinity', 1);
SELECT aggwin.ingest(ARRAY[('up', '{}', '2020-01-01', 1)::aggwin.sample, NULL]);
SELECT aggwin.ingest(ARRAY[('up', '{}', '2020-01-01', NULL)::aggwin.sample]);
SELECT aggwin.ingest(repeat('x', 1025), '{}', '2020-01-01', 1);
SELECT aggwin.ingest('up', jsonb_build_object('x', repeat('y', 65536)), '2020-01-01', 1);
\set SHOW_CONTEXT always
COPY aggwin.sample_input FROM stdin;
up	{}	2020-01-05 00:00:00+00	1
up	{"a-b": "c"}	2020-01-05 00:00:00+00	1
\.
INSERT INTO aggwin.sample_input VALUES ('up', '{}', '2020-01-05', 1), ('up', '{}', '2020-01-05', NULL);
\set SHOW_CONTEXT errors
-- Nothing of what failed is there.
SELECT count(*) FROM aggwin.samples WHERE ts >= '2020-01-05';
UPDATE aggwin.sample_input SET value = 1;

-- Labels may be long, and hold anything.
SELECT aggwin.ingest('long', jsonb_build_object('x', repeat(md5('y'), 313)), '2020-01-01', 1) FROM generate_series(1, 2);
SELECT aggwin.ingest('long', jsonb_build_object(repeat('x', 1024), E'line\nfeed, "quotes", \\ and ü'), '2020-01-01', 1);
SELECT series_id IS NOT NULL AS there, length(labels::text) FROM aggwin.series WHERE metric = 'long' ORDER BY 2;

-- Bits stay as they are: marks of the end, zeros of either sign.
SELECT aggwin.is_stale(aggwin.stale_marker()), aggwin.is_stale('NaN'), aggwin.is_stale(0), aggwin.is_stale(NULL),
	encode(float8send(aggwin.stale_marker()), 'hex') AS bits, aggwin.stale_marker() AS shown;
SELECT aggwin.ingest('stale', '{}', '2020-01-01', v) FROM (VALUES ('NaN'::float8), (aggwin.stale_marker())) AS t(v);
SELECT value, aggwin.is_stale(value) FROM aggwin.sample_input WHERE metric = 'stale';

-- The same bits again are no change, which a trigger would see.
CREATE FUNCTION pg_temp.tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE '% of % rows', tg_op, (SELECT count(*) FROM changed);
	RETURN NULL;
END
$$;
CREATE TRIGGER tell_insert AFTER INSERT ON aggwin.samples REFERENCING NEW TABLE AS changed
	FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.tell();
CREATE TRIGGER tell_update AFTER UPDATE ON aggwin.samples REFERENCING NEW TABLE AS changed
	FOR EACH STATEMENT EXECUTE FUNCTION pg_temp.tell();
SELECT aggwin.ingest('stale', '{}', '2020-01-01', aggwin.stale_marker());
SELECT aggwin.ingest('stale', '{}', '2020-01-01', 'NaN');
SELECT aggwin.ingest('stale', '{}', '2020-01-01', 0);
SELECT aggwin.ingest('stale', '{}', '2020-01-01', '-0');
SELECT aggwin.ingest('stale', '{}', '2020-01-02', 0);
DROP TRIGGER tell_insert ON aggwin.samples;
DROP TRIGGER tell_update ON aggwin.samples;

-- Many: new ones without a conflict, the same again, half of them new. Of what is
-- there twice in the array the last counts.
CREATE FUNCTION pg_temp.many(first integer, last integer, value float8) RETURNS bigint LANGUAGE sql AS $$
	SELECT aggwin.ingest(array_agg(('many', jsonb_build_object('n', (i % 10)::text),
		'2020-02-01'::timestamptz + i * interval '1 minute', value + k)::aggwin.sample))
	FROM generate_series(first, last) AS i, generate_series(0, 1) AS k
$$;
SELECT pg_temp.many(1, 3000, 1);
SELECT pg_temp.many(1, 3000, 1);
SELECT value, count(*), count(DISTINCT labels) FROM aggwin.sample_input WHERE metric = 'many' GROUP BY 1;
SELECT pg_temp.many(-1500, 4500, 5);
SELECT value, count(*) FROM aggwin.sample_input WHERE metric = 'many' GROUP BY 1;
SELECT pg_temp.many(4000, 6000, 7);
SELECT value, count(*) FROM aggwin.sample_input WHERE metric = 'many' GROUP BY 1 ORDER BY 1;

-- Some are there, but neither the first nor the last nor that in the middle.
SELECT aggwin.ingest('some', '{}', '2020-03-01'::timestamptz + i * interval '1 minute', -1) FROM unnest('{100, 700}'::int[]) AS i;
INSERT INTO aggwin.sample_input SELECT 'some', '{}', '2020-03-01'::timestamptz + i * interval '1 minute', i FROM generate_series(1, 1000) AS i;
SELECT count(*), sum(value) FROM aggwin.sample_input WHERE metric = 'some';
-- Long labels of many series.
INSERT INTO aggwin.sample_input SELECT 'long', jsonb_build_object('x', repeat('y', 60000), 'n', i::text), '2020-03-01', i FROM generate_series(1, 600) AS i;
SELECT count(*), sum(value) FROM aggwin.sample_input WHERE metric = 'long' AND ts = '2020-03-01';

-- Duplicates: refused and counted, or an error.
SET aggwin.duplicate_samples = 'refuse';
SELECT aggwin.ingest('first', '{}', '2020-01-01', 1);
SELECT aggwin.ingest('first', '{}', '2020-01-01', 1);
SELECT aggwin.ingest('first', '{}', '2020-01-01', 2);
SELECT aggwin.ingest(array_agg(('first', '{}', '2020-01-01'::timestamptz + i * interval '1 hour', v)::aggwin.sample))
FROM generate_series(0, 2) AS i, generate_series(1, 3) AS v;
SELECT ts, value FROM aggwin.sample_input WHERE metric = 'first' ORDER BY ts;
SELECT series, refused FROM aggwin.metrics WHERE metric = 'first';
SET aggwin.refused_samples = 'error';
SELECT aggwin.ingest('first', '{}', '2020-01-01', 2);
SELECT aggwin.ingest('first', '{}', '2020-01-01', 1);
RESET aggwin.refused_samples;
RESET aggwin.duplicate_samples;

-- Time: neither far behind nor far ahead of the clock.
SET aggwin.max_past = '30d';
SELECT aggwin.ingest('far', '{}', now() - interval '31 days', 1), aggwin.ingest('far', '{}', now() - interval '29 days', 1),
	aggwin.ingest('far', '{}', now() + interval '25 hours', 1), aggwin.ingest('far', '{}', now() + interval '23 hours', 1);
SELECT series, refused FROM aggwin.metrics WHERE metric = 'far';
SET aggwin.refused_samples = 'error';
SELECT aggwin.ingest('far', '{}', now() - interval '31 days', 1);
SELECT aggwin.ingest('far', '{}', now() + interval '25 hours', 1);
RESET aggwin.refused_samples;
SET aggwin.max_past = 0;
SELECT aggwin.ingest('far', '{}', '0001-01-01 00:00 BC', 1), aggwin.ingest('far', '{}', '4713-11-24 BC', 1),
	aggwin.ingest('far', '{}', '0001-01-01 00:00', 1), aggwin.ingest('far', '{}', '294276-12-31', 1);
-- Counted once a metric and reason after maintenance, and not less.
SELECT count(*) FROM aggwin.refused_sample WHERE metric = 'far';
SELECT created > 0 AS created, dropped, waiting FROM aggwin.maintain_samples();
SELECT reason, samples FROM aggwin.refused_sample WHERE metric = 'far' ORDER BY reason COLLATE "C";

-- Too many new series within an hour: old ones go on.
SET aggwin.max_new_series = 3;
-- in an hour that does not end while the test runs
INSERT INTO aggwin.metric (metric, family, series_hour)
VALUES ('explosion', 'explosion', now() + interval '2 hours'), ('burst', 'burst', now() + interval '2 hours');
SELECT aggwin.ingest('explosion', jsonb_build_object('id', i::text), '2020-01-01', i) FROM generate_series(1, 5) AS i;
INSERT INTO aggwin.sample_input SELECT 'explosion', jsonb_build_object('id', i::text), '2020-01-02', i FROM generate_series(1, 9) AS i;
INSERT INTO aggwin.sample_input SELECT 'burst', jsonb_build_object('id', i::text), '2020-01-02', i FROM generate_series(1, 9) AS i;
SELECT metric, series, refused FROM aggwin.metrics WHERE metric IN ('explosion', 'burst') ORDER BY 1;
SELECT labels, count(*) FROM aggwin.sample_input WHERE metric = 'explosion' GROUP BY 1 ORDER BY 1;
SET aggwin.refused_samples = 'error';
SELECT aggwin.ingest('explosion', '{"id": "x"}', '2020-01-01', 1);
RESET aggwin.refused_samples;
-- An hour later; a clock that has been set back is no new hour.
UPDATE aggwin.metric SET series_hour = series_hour + interval '1 hour' WHERE metric = 'explosion';
SELECT aggwin.ingest('explosion', '{"id": "x"}', '2020-01-01', 1);
UPDATE aggwin.metric SET series_hour = series_hour - interval '9 hours' WHERE metric = 'explosion';
SELECT aggwin.ingest('explosion', '{"id": "x"}', '2020-01-01', 1);
SELECT series, refused FROM aggwin.metrics WHERE metric = 'explosion';
RESET aggwin.max_new_series;

-- Series that a rolled back transaction made are forgotten.
BEGIN;
SELECT aggwin.ingest('rolled', '{}', '2020-01-01', 1);
SAVEPOINT a;
SELECT aggwin.ingest('rolled', '{"a": "b"}', '2020-01-01', 1);
ROLLBACK TO a;
SELECT aggwin.ingest('rolled', '{"a": "b"}', '2020-01-01', 2);
SELECT labels, value FROM aggwin.sample_input WHERE metric = 'rolled' ORDER BY 1;
ROLLBACK;
SELECT aggwin.ingest('rolled', '{}', '2020-01-01', 3);
SELECT labels, value FROM aggwin.sample_input WHERE metric = 'rolled' ORDER BY 1;
-- And those that are deleted or get other labels.
UPDATE aggwin.series SET labels = '{"c": "d"}' WHERE metric = 'rolled';
SELECT aggwin.ingest('rolled', '{"c": "d"}', '2020-01-02', 4);
SELECT aggwin.ingest('rolled', '{}', '2020-01-02', 5);
SELECT labels, ts, value FROM aggwin.sample_input WHERE metric = 'rolled' ORDER BY 1, 2;
DELETE FROM aggwin.series WHERE metric = 'rolled';
SELECT aggwin.ingest('rolled', '{}', '2020-01-02', 6);
SELECT labels, ts, value FROM aggwin.sample_input WHERE metric = 'rolled' ORDER BY 1, 2;

-- A small cache begins again, and again.
SET aggwin.series_cache_size = 64;
INSERT INTO aggwin.sample_input SELECT 'cache', jsonb_build_object('id', (i % 2000)::text), '2020-01-01'::timestamptz + i * interval '1 s', i
FROM generate_series(1, 6000) AS i;
RESET aggwin.series_cache_size;
SELECT count(*), count(DISTINCT labels), bool_and((labels ->> 'id')::int = value::int % 2000) AS right FROM aggwin.sample_input WHERE metric = 'cache';

-- Statements in the middle of statements, and those that fail there.
CREATE FUNCTION pg_temp.nested(i integer) RETURNS float8 LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO aggwin.sample_input SELECT 'inner', '{}', '2020-01-01'::timestamptz + i * interval '1 s', i;
	BEGIN
		INSERT INTO aggwin.sample_input SELECT 'failed', '{}', '2020-01-01'::timestamptz + n * interval '1 s', 1 / (3 - n)
		FROM generate_series(1, 5) AS n;
	EXCEPTION WHEN division_by_zero THEN
		RETURN i;
	END;
	RETURN NULL;
END
$$;
INSERT INTO aggwin.sample_input SELECT 'outer', '{}', '2020-01-01'::timestamptz + i * interval '1 s', pg_temp.nested(i)
FROM generate_series(1, 3) AS i;
SELECT metric, count(*), sum(value) FROM aggwin.sample_input WHERE metric IN ('outer', 'inner', 'failed') GROUP BY 1 ORDER BY 1;

-- Triggers of aggwin are for aggwin's view.
CREATE TABLE other (metric text, labels jsonb, ts timestamptz, value float8);
CREATE TRIGGER begin BEFORE INSERT ON other FOR EACH STATEMENT EXECUTE FUNCTION aggwin.input_end();
CREATE TRIGGER finish AFTER INSERT ON other FOR EACH STATEMENT EXECUTE FUNCTION aggwin.input_end();
INSERT INTO other VALUES ('up', '{}', now(), 1);
DROP TRIGGER begin ON other;
INSERT INTO other VALUES ('up', '{}', now(), 1);
DROP TABLE other;

-- Rights are those of whoever owns a view on the view.
CREATE ROLE regress_metrics_writer;
CREATE VIEW attic AS SELECT metric, value FROM aggwin.sample_input WHERE labels @> '{"room": "attic"}';
CREATE RULE attic AS ON INSERT TO attic DO INSTEAD
	INSERT INTO aggwin.sample_input VALUES (new.metric, '{"room": "attic"}', '2020-01-01', new.value);
GRANT INSERT ON attic TO regress_metrics_writer;
SET ROLE regress_metrics_writer;
INSERT INTO attic VALUES ('celsius', 20);
SELECT aggwin.ingest('celsius', '{"room": "attic"}', '2020-01-01', 30);
RESET ROLE;
TABLE attic;
DROP VIEW attic;
DROP ROLE regress_metrics_writer;

-- The tables may go, and come back.
DROP TABLE aggwin.samples, aggwin.series, aggwin.metric, aggwin.refused_sample, aggwin.metric_rollup CASCADE;
SELECT aggwin.ingest('up', '{}', now(), 1);
SELECT aggwin.enable_metrics(NULL);
SELECT aggwin.ingest('up', '{"job": "a", "instance": "x"}', '2020-01-01', 1), aggwin.ingest_text(E'up 2\n', '2020-01-01');
SELECT labels, value FROM aggwin.sample_input ORDER BY value;
SET client_min_messages = warning;
DROP TABLE aggwin.samples, aggwin.series, aggwin.metric, aggwin.refused_sample, aggwin.metric_rollup CASCADE;
