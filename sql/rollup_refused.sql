-- What cannot be a rollup: each refusal with its place, its reason and its way out.
CREATE SCHEMA rollup_refused;
SET search_path = rollup_refused, aggwin;

CREATE TABLE src (id int PRIMARY KEY, ts timestamptz, d date, k text, v float8, n int, b bytea, x xid, j json, p point, tags text[]);
CREATE TABLE other (id int, ts timestamptz);
\set create 'SELECT aggwin.create_rollup(''refused'', $$'

-- The shape of the query -------------------------------------------------------

:create SELECT time_bucket('1 hour', ts), count(*) FROM src, other GROUP BY 1$$);
:create SELECT time_bucket('1 hour', src.ts), count(*) FROM src JOIN other USING (id) GROUP BY 1$$);
:create SELECT time_bucket('1 hour', src.ts), count(*) FROM src LEFT JOIN LATERAL (SELECT 1) AS l ON true GROUP BY 1$$);
:create SELECT time_bucket('1 hour', s.ts), count(*) FROM (SELECT * FROM src) AS s GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM (src) GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM (src CROSS JOIN other AS o (a, b)) GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM src TABLESAMPLE SYSTEM (10) GROUP BY 1$$);
:create SELECT time_bucket(5, i), count(*) FROM generate_series(1, 10) AS i GROUP BY 1$$);
:create SELECT time_bucket(5, i), count(*) FROM ROWS FROM (generate_series(1, 10), generate_series(1, 10)) AS g (i, j) GROUP BY 1$$);
:create SELECT time_bucket(5, i), count(*) FROM xmltable('/a' PASSING '<a/>' COLUMNS i int) GROUP BY 1$$);
:create WITH s AS (SELECT * FROM src) SELECT time_bucket('1 hour', ts), count(*) FROM s GROUP BY 1$$);
:create WITH s AS (SELECT * FROM src) SELECT time_bucket('1 hour', ts), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM src GROUP BY 1 UNION ALL SELECT time_bucket('1 hour', ts), count(*) FROM other GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts) FROM src GROUP BY 1 EXCEPT TABLE other$$);
:create (SELECT time_bucket('1 hour', ts) FROM src GROUP BY 1) INTERSECT (VALUES (now()))$$);
:create VALUES (1)$$);
:create TABLE src$$);
:create SELECT time_bucket('1 hour', now()), 1$$);
:create SELECT DISTINCT time_bucket('1 hour', ts), count(*) FROM src GROUP BY 1$$);
:create SELECT DISTINCT ON (k) time_bucket('1 hour', ts), k FROM src GROUP BY 1, 2$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM src GROUP BY 1 ORDER BY 1$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM src GROUP BY 1 LIMIT 10$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM src GROUP BY 1 OFFSET 1$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM src GROUP BY 1 FETCH FIRST ROW ONLY$$);
:create SELECT time_bucket('1 hour', ts) FROM src FOR UPDATE$$);
:create SELECT time_bucket('1 hour', ts) FROM src GROUP BY 1 FOR SHARE OF src$$);
:create SELECT time_bucket('1 hour', ts), k, count(*) FROM src GROUP BY GROUPING SETS ((1), (1, 2))$$);
:create SELECT time_bucket('1 hour', ts), k, count(*) FROM src GROUP BY 1, ROLLUP (k)$$);
:create SELECT time_bucket('1 hour', ts), k, count(*) FROM src GROUP BY CUBE (1, 2)$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM src GROUP BY (), 1$$);
:create SELECT time_bucket('1 hour', ts), count(*) INTO t FROM src GROUP BY 1$$);

-- Expressions --------------------------------------------------------------------

:create SELECT time_bucket('1 hour', ts), (SELECT 1), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM src WHERE id IN (SELECT id FROM other) GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), count(*) FILTER (WHERE EXISTS (SELECT FROM other)) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM src GROUP BY 1 HAVING count(*) > (SELECT 1)$$);
:create SELECT time_bucket('1 hour', ts), ARRAY(SELECT 1), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), count(*), sum(count(*)) OVER () FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), rank() OVER w FROM src GROUP BY 1 WINDOW w AS (ORDER BY count(*))$$);
:create SELECT time_bucket('1 hour', ts), grouping(k), k, count(*) FROM src GROUP BY 1, k$$);
:create SELECT time_bucket('1 hour', ts), count(*), generate_series(1, 2) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), unnest(tags), count(*) FROM src GROUP BY 1, 2$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM src WHERE n > $1 GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), count(src) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), (src.*)::text, count(*) FROM src GROUP BY 1, 2$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM src WHERE src IS NOT NULL GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), tableoid, count(*) FROM src GROUP BY 1, 2$$);
:create SELECT time_bucket('1 hour', ts), max(ctid) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM src WHERE xmin::text::int > 0 GROUP BY 1$$);
-- The primary key lets other columns stand alone in a plain query.
:create SELECT time_bucket('1 hour', ts), id, k, count(*) FROM src GROUP BY 1, id$$);
:create SELECT time_bucket('1 hour', ts), id, count(*) FROM src GROUP BY 1, id HAVING max(n) > v$$);

-- Functions that depend on the session or the time.
:create SELECT time_bucket('1 hour', ts), count(*) FROM src WHERE ts > now() - interval '1 day' GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM src WHERE random() < 0.1 GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), ts::date, count(*) FROM src GROUP BY 1, 2$$);
:create SELECT time_bucket('1 hour', ts), to_char(ts, 'HH24'), count(*) FROM src GROUP BY 1, 2$$);
:create SELECT time_bucket('1 hour', ts), sum(extract(hour FROM ts)) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM src WHERE ts::text LIKE '2024%' GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM src WHERE k = current_user GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), CURRENT_DATE, count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), count(*) FILTER (WHERE d < LOCALTIMESTAMP) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', d), count(*) FROM src GROUP BY 1 HAVING pg_backend_pid() > 0$$);
:create SELECT time_bucket('1 hour', k::timestamptz), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', now()), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), nextval('s'), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), concat(k, n), count(*) FROM src GROUP BY 1, 2$$);
-- Text forms that settings change, although the server calls them immutable.
:create SELECT time_bucket('1 hour', ts), v::text, count(*) FROM src GROUP BY 1, 2$$);
:create SELECT time_bucket('1 hour', ts), max(b::text) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), point(v, 0)::text, count(*) FROM src GROUP BY 1, 2$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM src WHERE v::real::varchar(3) = '1.5' GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), (ARRAY[v])::text[], count(*) FROM src GROUP BY 1, 2$$);
:create SELECT time_bucket('1 hour', ts), sum(v)::text FROM src GROUP BY 1$$);
CREATE FUNCTION volatile_one() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION stable_one() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
CREATE FUNCTION stable_plus(int, int) RETURNS int LANGUAGE sql STABLE AS 'SELECT $1 + $2';
CREATE OPERATOR <+> (LEFTARG = int, RIGHTARG = int, FUNCTION = stable_plus);
:create SELECT time_bucket('1 hour', ts), sum(n + volatile_one()) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), sum(n) + stable_one() FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), sum(n <+> 1) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM src WHERE n <+> 1 = ANY ('{1,2}') GROUP BY 1$$);

-- Aggregates ----------------------------------------------------------------------

:create SELECT time_bucket('1 hour', ts), count(DISTINCT k) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), sum(DISTINCT n) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), max(k ORDER BY n) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), percentile_cont(0.5) WITHIN GROUP (ORDER BY v) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), mode() WITHIN GROUP (ORDER BY v) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), rank(1) WITHIN GROUP (ORDER BY n) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), string_agg(k, ',') FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), array_agg(k) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), json_agg(k), jsonb_object_agg(k, n) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), xmlagg(NULL::xml) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), corr(v, n) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), regr_slope(v, n) FROM src GROUP BY 1 HAVING count(*) > 1$$);
:create SELECT time_bucket('1 hour', ts), range_agg(int4range(n, n, '[]')) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), k FROM src GROUP BY 1, 2 HAVING string_agg(k, '') <> ''$$);
CREATE AGGREGATE sum(text) (SFUNC = textcat, STYPE = text);
CREATE AGGREGATE product(float8) (SFUNC = float8mul, STYPE = float8);
:create SELECT time_bucket('1 hour', ts), rollup_refused.sum(k) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), product(v) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), bigint_sum(n) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), sum(sum(n)) FROM src GROUP BY 1$$);
DROP AGGREGATE sum(text), product(float8);

-- Keys ------------------------------------------------------------------------------

:create SELECT k, count(*) FROM src GROUP BY 1$$);
:create SELECT count(*) FROM src$$);
:create SELECT k FROM src$$);
:create SELECT date_trunc('hour', ts AT TIME ZONE 'UTC'), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts)::text, count(*) FROM src GROUP BY 1$$);
:create SELECT (time_bucket('1 hour', ts) AT TIME ZONE 'UTC'), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), time_bucket('1 day', ts), count(*) FROM src GROUP BY 1, 2$$);
:create SELECT time_bucket('1 hour', ts) AS a, time_bucket('1 hour', ts) AS b, count(*) FROM src GROUP BY 1, 2$$);
:create SELECT time_bucket('1 hour', ts), time_bucket('1 week', d), count(*) FROM src GROUP BY 1, 2$$);
:create SELECT time_bucket(n * interval '1 hour', ts), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket(n, id), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts, k), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts, d::timestamp AT TIME ZONE 'UTC'), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', timestamptz '2024-01-01Z'), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket(NULL::interval, ts), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts, NULL::text), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', NULL::timestamptz), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket('0', ts), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket('-1 hour', ts), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 month 1 day', ts), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', d), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket(0, id), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket(-5, n::bigint), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 day', ts, 'Mars/Olympus'), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 day', ts, timestamptz 'infinity'), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), x, count(*) FROM src GROUP BY 1, 2$$);
:create SELECT time_bucket('1 hour', ts), ARRAY[x] AS x, count(*) FROM src GROUP BY 1, 2$$);
:create SELECT time_bucket('1 hour', ts), ROW(k, n) AS r, count(*) FROM src GROUP BY 1, 2$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM src GROUP BY 1, ROW(k, n)$$);

-- What is no query --------------------------------------------------------------------

:create $$);
:create  -- nothing
$$);
:create SELECT$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM src GROUP BY 1; SELECT 1$$);
:create SELEC time_bucket('1 hour', ts), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM src GROUP BY$$);
:create SELECT time_bucket('1 hour', ts), 'ä€ü', nothing, count(*) FROM src GROUP BY 1$$);
:create INSERT INTO src DEFAULT VALUES$$);
:create UPDATE src SET n = 1 RETURNING n$$);
:create EXPLAIN SELECT 1$$);
:create CREATE TABLE t AS SELECT 1$$);
:create DECLARE c CURSOR FOR SELECT 1$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM missing GROUP BY 1$$);
:create SELECT time_bucket('1 hour', missing), count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), k, count(*) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), missing(k) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM src WHERE n GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), count(*) AS a, sum(n) AS a FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), sum(k) FROM src GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM src WHERE count(*) > 1 GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), count(*) FROM src GROUP BY 1, j::text, j$$);
:create SELECT time_bucket('1 hour', ts), ROW(1, 2), count(*) FROM src GROUP BY 1$$);

-- Sources -------------------------------------------------------------------------------

CREATE FUNCTION refusal(relation text, OUT state text, OUT message text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aggwin.create_rollup('refused', format('SELECT time_bucket(1, 1), count(*) FROM %s GROUP BY 1', relation));
	message := 'not refused';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, state = RETURNED_SQLSTATE;
END
$$;
CREATE VIEW a_view AS TABLE src;
CREATE MATERIALIZED VIEW a_matview AS TABLE src;
CREATE FOREIGN DATA WRAPPER no_wrapper;
CREATE SERVER no_server FOREIGN DATA WRAPPER no_wrapper;
CREATE FOREIGN TABLE a_foreign_table (ts timestamptz) SERVER no_server;
CREATE TABLE partitioned (ts timestamptz) PARTITION BY RANGE (ts);
CREATE TABLE partition PARTITION OF partitioned FOR VALUES FROM ('2024-01-01Z') TO ('2025-01-01Z');
CREATE TABLE partly_foreign (ts timestamptz, k int) PARTITION BY RANGE (ts);
CREATE TABLE inner_partition PARTITION OF partly_foreign DEFAULT PARTITION BY LIST (k);
CREATE FOREIGN TABLE foreign_partition PARTITION OF inner_partition DEFAULT SERVER no_server;
CREATE TABLE partly_unlogged (ts timestamptz) PARTITION BY RANGE (ts);
CREATE UNLOGGED TABLE unlogged_partition PARTITION OF partly_unlogged DEFAULT;
CREATE TABLE partly_secured (ts timestamptz) PARTITION BY RANGE (ts);
CREATE TABLE secured_partition PARTITION OF partly_secured DEFAULT;
ALTER TABLE secured_partition ENABLE ROW LEVEL SECURITY;
CREATE TABLE parent (ts timestamptz);
CREATE TABLE child () INHERITS (parent);
CREATE TEMP TABLE temporary (ts timestamptz);
CREATE TEMP VIEW temporary_view AS TABLE src;
CREATE FUNCTION pg_temp.temporary(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE TYPE pg_temp.temporary_enum AS ENUM ('a');
CREATE UNLOGGED TABLE unlogged (ts timestamptz);
CREATE TABLE secured (ts timestamptz);
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
CREATE SEQUENCE a_sequence;
ALTER SEQUENCE aggwin.rollup_rollup_id_seq RESTART 1000;
SELECT aggwin.create_rollup('a_rollup', 'SELECT time_bucket(''1 hour'', ts) AS ts, count(*) FROM src GROUP BY 1');
SELECT state AS rollup_state FROM aggwin.rollup \gset

\x on
SELECT source, refusal.* FROM unnest('{a_view,a_matview,a_foreign_table,partly_foreign,partly_unlogged,partly_secured,partition,inner_partition,"ONLY partitioned",parent,"ONLY parent",child,temporary,
	temporary_view,unlogged,secured,a_sequence,a_rollup,pg_class,pg_stat_activity,aggwin.rollup,aggwin.tier,aggwin.rollups}'::text[]) AS source,
	refusal(source);
\x off
\set VERBOSITY terse
SELECT aggwin.create_rollup('refused', format('SELECT time_bucket(''1 hour'', bucket), count(*) FROM %s GROUP BY 1', :'rollup_state'));
\set VERBOSITY default

-- The states of all these errors ------------------------------------------------------------

CREATE FUNCTION state_of(query text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM aggwin.create_rollup('refused', query);
	RETURN 'not refused';
EXCEPTION WHEN OTHERS THEN
	RETURN sqlstate;
END
$$;
SELECT kind, state_of(query)
FROM (VALUES
	('join', 'SELECT time_bucket(1, s.id) FROM src AS s, src AS t GROUP BY 1'),
	('subquery', 'SELECT time_bucket(1, id), (SELECT 1) FROM src GROUP BY 1'),
	('no table', 'SELECT 1'),
	('DISTINCT aggregate', 'SELECT time_bucket(1, id), count(DISTINCT n) FROM src GROUP BY 1'),
	('ordered-set aggregate', 'SELECT time_bucket(1, id), mode() WITHIN GROUP (ORDER BY n) FROM src GROUP BY 1'),
	('other aggregate', 'SELECT time_bucket(1, id), array_agg(n) FROM src GROUP BY 1'),
	('not immutable', 'SELECT time_bucket(1, id), max(now()) FROM src GROUP BY 1'),
	('text form', 'SELECT time_bucket(1, id), max(v::text) FROM src GROUP BY 1'),
	('no time key', 'SELECT k FROM src GROUP BY 1'),
	('two time keys', 'SELECT time_bucket(1, id), time_bucket(2, id) FROM src GROUP BY 1, 2'),
	('width', 'SELECT time_bucket(n, id) FROM src GROUP BY 1'),
	('time', 'SELECT time_bucket(1, 1) FROM src GROUP BY 1'),
	('zero width', 'SELECT time_bucket(0, id) FROM src GROUP BY 1'),
	('key without order', 'SELECT time_bucket(1, id), x FROM src GROUP BY 1, 2'),
	('key without type', 'SELECT time_bucket(1, id) FROM src GROUP BY 1, ROW(id, n)'),
	('no statement', ''),
	('two statements', 'SELECT 1; SELECT 1'),
	('other statement', 'ANALYZE'),
	('syntax', 'SELECT FROM WHERE'),
	('unknown column', 'SELECT time_bucket(1, id), nothing FROM src GROUP BY 1')) AS q (kind, query);

\set VERBOSITY terse
:create SELECT time_bucket('1 hour', ts), count(*) FROM src WHERE pg_temp.temporary(k) = 'a' GROUP BY 1$$);
:create SELECT time_bucket('1 hour', ts), max(CASE k WHEN 'a' THEN 'a'::pg_temp.temporary_enum END) FROM src GROUP BY 1$$);
\set VERBOSITY default

-- Names and arguments ----------------------------------------------------------------------

\set query '''SELECT time_bucket(''''1 hour'''', ts), count(*) FROM src GROUP BY 1'''
SELECT aggwin.create_rollup('src', :query);
SELECT aggwin.create_rollup('a_rollup', :query);
SELECT aggwin.create_rollup('a_sequence', :query);
CREATE TYPE a_type AS (a int);
CREATE TYPE an_enum AS ENUM ('a');
SELECT aggwin.create_rollup('a_type', :query);
SELECT aggwin.create_rollup('an_enum', :query);
SELECT aggwin.create_rollup('', :query);
SELECT aggwin.create_rollup('a b', :query);
SELECT aggwin.create_rollup('"unclosed', :query);
SELECT aggwin.create_rollup('""', :query);
SELECT aggwin.create_rollup('a.b.c.d', :query);
SELECT aggwin.create_rollup('elsewhere.a.b', :query);
SELECT aggwin.create_rollup(current_database() || '.rollup_refused.refused', :query);
SELECT aggwin.create_rollup('no_schema.refused', :query);
SELECT aggwin.create_rollup('pg_temp.refused', :query);
SELECT aggwin.create_rollup('pg_catalog.refused', :query);
SELECT aggwin.create_rollup('pg_toast.refused', :query);
SELECT aggwin.create_rollup('aggwin.refused', :query);
SELECT aggwin.create_rollup(NULL, :query);
SELECT aggwin.create_rollup('refused', NULL);
SELECT aggwin.create_rollup('refused', :query, refresh_interval => NULL);
SELECT aggwin.create_rollup('refused', :query, with_data => NULL);
SELECT aggwin.create_rollup('refused', :query, refresh_interval => '0');
SELECT aggwin.create_rollup('refused', :query, refresh_interval => '-1 second');
SELECT aggwin.create_rollup('refused', :query, refresh_interval => '1 month -31 days');
SELECT aggwin.create_rollup('refused', :query, tiers => '{1 minute}');
SET search_path = '';
SELECT aggwin.create_rollup('refused', 'SELECT aggwin.time_bucket(''1 hour'', ts), count(*) FROM rollup_refused.src GROUP BY 1');
SET search_path = rollup_refused, aggwin;
BEGIN READ ONLY;
SELECT aggwin.create_rollup('refused', :query);
ROLLBACK;
BEGIN READ ONLY;
SELECT aggwin.drop_rollup('a_rollup');
ROLLBACK;

-- Of all these, nothing has come into being.
SELECT rollup FROM aggwin.rollups;
SELECT count(*) AS relations FROM pg_class WHERE relnamespace = 'aggwin'::regnamespace AND relkind IN ('r', 'v') AND relname LIKE '\_%';
SELECT tgrelid::regclass, count(*) FROM pg_trigger WHERE tgfoid = 'aggwin.capture'::regproc GROUP BY 1;

-- refresh and drop ----------------------------------------------------------------------------

SELECT aggwin.refresh('src');
SELECT aggwin.refresh('no_such_rollup');
SELECT aggwin.refresh(4294967295::oid);
SELECT aggwin.refresh(0::oid);
SELECT aggwin.refresh(:'rollup_state');
SELECT aggwin.refresh(NULL);
SELECT aggwin.drop_rollup('src');
SELECT aggwin.drop_rollup('a_view');
SELECT aggwin.drop_rollup(4294967295::oid);
SELECT aggwin.drop_rollup(NULL);
INSERT INTO src (id, ts) VALUES (1, '2024-01-01Z');
BEGIN;
INSERT INTO other VALUES (1);
SELECT aggwin.refresh('a_rollup');
ROLLBACK;
BEGIN;
SAVEPOINT a;
INSERT INTO src (id, ts) VALUES (2, '2024-01-01Z');
RELEASE a;
SELECT aggwin.refresh('a_rollup');
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT aggwin.refresh('a_rollup');
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT aggwin.refresh('a_rollup');
ROLLBACK;
BEGIN READ ONLY;
SELECT aggwin.refresh('a_rollup');
ROLLBACK;
-- Two in one transaction: the first may have written.
BEGIN;
SELECT aggwin.refresh('a_rollup');
SELECT aggwin.refresh('a_rollup');
ROLLBACK;
-- The view is for reading.
INSERT INTO a_rollup VALUES ('2024-01-01Z', 1);
UPDATE a_rollup SET count = 1;
DELETE FROM a_rollup;

-- Afterwards --------------------------------------------------------------------------------------

-- Capture is aggwin's own affair.
SELECT aggwin.capture();
CREATE TRIGGER mine AFTER INSERT ON src FOR EACH STATEMENT EXECUTE FUNCTION aggwin.capture();
CREATE TRIGGER mine AFTER INSERT ON src REFERENCING NEW TABLE AS aggwin_new FOR EACH STATEMENT EXECUTE FUNCTION aggwin.capture();
CREATE TRIGGER aggwin_capture_more AFTER INSERT ON src REFERENCING NEW TABLE AS aggwin_new FOR EACH STATEMENT EXECUTE FUNCTION aggwin.capture();
CREATE TRIGGER mine BEFORE INSERT ON other FOR EACH ROW EXECUTE FUNCTION aggwin.capture();
CREATE TRIGGER aggwin_capture_insert BEFORE INSERT ON other FOR EACH ROW EXECUTE FUNCTION aggwin.capture();
CREATE TRIGGER aggwin_capture_insert AFTER INSERT ON other FOR EACH STATEMENT EXECUTE FUNCTION aggwin.capture();
CREATE TRIGGER aggwin_capture_insert AFTER DELETE ON src REFERENCING OLD TABLE AS aggwin_new FOR EACH STATEMENT EXECUTE FUNCTION aggwin.capture();
CREATE OR REPLACE TRIGGER aggwin_capture_insert AFTER INSERT ON src REFERENCING NEW TABLE AS aggwin_new FOR EACH STATEMENT WHEN (false) EXECUTE FUNCTION aggwin.capture();
INSERT INTO src (id, ts) VALUES (3, '2024-01-01Z');
INSERT INTO other VALUES (1);
SELECT count FROM a_rollup;
SELECT dormant, invalid_buckets FROM aggwin.rollup_status;
ALTER TRIGGER aggwin_capture_insert ON src RENAME TO mine;
ALTER TRIGGER aggwin_capture_insert ON src RENAME TO aggwin_capture_update;


-- Changes of a source after which rows could be missed.
CREATE FUNCTION refused(command text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN false;
EXCEPTION WHEN OTHERS THEN
	RETURN true;
END
$$;
CREATE TABLE heir () INHERITS (src);
CREATE SCHEMA elsewhere CREATE TABLE heir () INHERITS (rollup_refused.src);
CREATE TEMP TABLE heir () INHERITS (src);
CREATE FOREIGN TABLE heir () INHERITS (src) SERVER no_server;
CREATE TABLE heir (LIKE src);
ALTER TABLE heir INHERIT src;
-- Some versions of the server refuse this by themselves: transition tables.
SELECT refused('ALTER TABLE src INHERIT heir');
DROP TABLE heir;
CREATE FOREIGN TABLE heir (id int NOT NULL, ts timestamptz, d date, k text, v float8, n int, b bytea, x xid, j json, p point, tags text[]) SERVER no_server;
ALTER FOREIGN TABLE heir INHERIT src;
ALTER TABLE heir INHERIT src;
CREATE TABLE ids (id int NOT NULL, ts timestamptz, d date, k text, v float8, n int, b bytea, x xid, j json, p point, tags text[]) PARTITION BY RANGE (id);
SELECT refused('ALTER TABLE ids ATTACH PARTITION src FOR VALUES FROM (0) TO (1000)');
ALTER TABLE src SET UNLOGGED;
ALTER TABLE src ENABLE ROW LEVEL SECURITY;
DROP VIEW a_view, temporary_view;
DROP MATERIALIZED VIEW a_matview;
\set VERBOSITY terse
ALTER TABLE src ALTER ts TYPE timestamp;
ALTER TABLE src DROP COLUMN ts;
DROP TABLE src;
\set VERBOSITY default
-- The same is no concern of other tables, and harmless changes are none of aggwin.
ALTER TABLE other SET UNLOGGED;
ALTER TABLE other ENABLE ROW LEVEL SECURITY;
CREATE TABLE other_heir () INHERITS (other);
ALTER TABLE src ADD COLUMN more int DEFAULT 1, ALTER d SET DEFAULT '2024-01-01', ALTER v TYPE numeric, ADD CHECK (n > 0) NOT VALID;
ALTER TABLE src DROP COLUMN more, DROP COLUMN p;
INSERT INTO src (id, ts, n) VALUES (4, '2024-01-01Z', 1);
SELECT count FROM a_rollup;

\c -
SET client_min_messages = warning;
DROP SCHEMA rollup_refused CASCADE;
DROP FOREIGN DATA WRAPPER no_wrapper CASCADE;
SELECT count(*) AS catalog_rows FROM aggwin.rollup;
