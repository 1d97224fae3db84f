-- Who may do what, and as whom the code of a rollup's author runs.
\getenv srcdir PG_ABS_SRCDIR
\set helper :srcdir/test/lib/compare.sql
CREATE SCHEMA rollup_rights;
SET search_path = rollup_rights;
\set ECHO none
\i :helper
\set ECHO all
CREATE ROLE regress_rollup_table;
CREATE ROLE regress_rollup_maker;
CREATE ROLE regress_rollup_writer;
CREATE ROLE regress_rollup_reader;
CREATE ROLE regress_rollup_member IN ROLE regress_rollup_maker;
GRANT USAGE ON SCHEMA rollup_rights TO PUBLIC;
SET timezone = 'UTC';
ALTER SEQUENCE aggwin.rollup_rollup_id_seq RESTART 1000;

CREATE TABLE events (ts timestamptz, k text, v int);
ALTER TABLE events OWNER TO regress_rollup_table;
CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
\set create 'SELECT aggwin.create_rollup(''rollup_rights.r'', $$SELECT aggwin.time_bucket(''1 hour'', ts) AS bucket, k, count(*) AS n, sum(v) AS v FROM rollup_rights.events GROUP BY 1, 2$$)'

-- To create: SELECT and TRIGGER on the source, CREATE on the schema, nothing else -------

SET ROLE regress_rollup_maker;
:create;
RESET ROLE;
GRANT CREATE ON SCHEMA rollup_rights TO regress_rollup_maker;
SET ROLE regress_rollup_maker;
:create;
RESET ROLE;
GRANT TRIGGER ON events TO regress_rollup_maker;
SET ROLE regress_rollup_maker;
:create;
RESET ROLE;
REVOKE TRIGGER ON events FROM regress_rollup_maker;
GRANT SELECT ON events TO regress_rollup_maker;
SET ROLE regress_rollup_maker;
:create;
RESET ROLE;
REVOKE SELECT ON events FROM regress_rollup_maker;
GRANT SELECT (ts, k, v), UPDATE ON events TO regress_rollup_maker;
GRANT TRIGGER ON events TO regress_rollup_maker;
SET ROLE regress_rollup_maker;
:create;
RESET ROLE;
REVOKE USAGE ON SCHEMA rollup_rights FROM PUBLIC;
GRANT SELECT ON events TO regress_rollup_maker;
SET ROLE regress_rollup_maker;
:create;
RESET ROLE;
GRANT USAGE ON SCHEMA rollup_rights TO PUBLIC;
REVOKE EXECUTE ON FUNCTION twice FROM PUBLIC;
SET ROLE regress_rollup_maker;
SELECT aggwin.create_rollup('rollup_rights.r', $$SELECT aggwin.time_bucket('1 hour', ts), sum(rollup_rights.twice(v)) FROM rollup_rights.events GROUP BY 1$$);
:create;
RESET ROLE;
SELECT rollup, owner FROM aggwin.rollups;
SELECT count(*) AS relations FROM pg_class WHERE relnamespace = 'aggwin'::regnamespace AND relname LIKE '\_%' AND relkind <> 'i';
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'events'::regclass ORDER BY 1;

-- A writer needs no right but to write --------------------------------------------------

CREATE VIEW r_plain AS
SELECT aggwin.time_bucket('1 hour', ts) AS bucket, k, count(*) AS n, sum(v) AS v FROM events GROUP BY 1, 2;
GRANT INSERT ON events TO regress_rollup_writer;
SET ROLE regress_rollup_writer;
INSERT INTO events VALUES ('2024-01-01Z', 'a', 1), ('2024-01-01Z', 'b', 2);
INSERT INTO events SELECT timestamptz '2024-01-01Z' + i * interval '1 min', 'a', i FROM generate_series(1, 100) AS i;
COPY events FROM stdin;
2024-01-01 05:00:00Z	c	7
\.
SELECT * FROM events;
SELECT * FROM r;
RESET ROLE;
SELECT * FROM compare('r');
SET ROLE regress_rollup_maker;
SELECT aggwin.refresh('r');
RESET ROLE;
SELECT * FROM compare('r');
GRANT UPDATE, DELETE, TRUNCATE, SELECT (k) ON events TO regress_rollup_writer;
SET ROLE regress_rollup_writer;
UPDATE events SET v = 3 WHERE k = 'c';
DELETE FROM events WHERE k = 'b';
RESET ROLE;
SELECT * FROM compare('r');
SET ROLE regress_rollup_maker;
SELECT aggwin.refresh('r');
RESET ROLE;
SELECT * FROM compare('r');
SET ROLE regress_rollup_writer;
TRUNCATE events;
INSERT INTO events VALUES ('2024-01-01Z', 'a', 1);
RESET ROLE;
SELECT * FROM compare('r');

-- A reader none but to read the view -----------------------------------------------------

GRANT SELECT ON r TO regress_rollup_reader;
SET ROLE regress_rollup_reader;
SELECT k, n, v FROM r;
SELECT * FROM events;
SELECT state AS state, delta AS delta, invalid AS invalid, definition AS definition FROM aggwin.rollup \gset
\set VERBOSITY terse
SELECT count(*) > 0 AS "seen" FROM :state;
SELECT count(*) > 0 AS "seen" FROM :delta;
SELECT count(*) > 0 AS "seen" FROM :invalid;
SELECT count(*) > 0 AS "seen" FROM :definition;
\set VERBOSITY default
SELECT rollup, source FROM aggwin.rollups;
SELECT pending_deltas, last_error FROM aggwin.rollup_status;
SELECT error FROM aggwin.failure;
SELECT count(*) FROM aggwin.rollup;

-- The owner's part -------------------------------------------------------------------------

SELECT aggwin.refresh('r');
SELECT aggwin.drop_rollup('r');
DROP VIEW r;
\set VERBOSITY terse
DROP TABLE :state;
DELETE FROM :state;
INSERT INTO :delta DEFAULT VALUES;
TRUNCATE :invalid;
\set VERBOSITY default
DELETE FROM aggwin.rollup;
UPDATE aggwin.tier SET folded = pg_current_snapshot();
RESET ROLE;
-- Not even the table's owner.
SET ROLE regress_rollup_table;
SELECT aggwin.refresh('r');
SELECT aggwin.drop_rollup('r');
RESET ROLE;
-- Members of the owning role, and superusers.
SET ROLE regress_rollup_member;
SELECT aggwin.refresh('r');
RESET ROLE;
INSERT INTO events VALUES ('2024-01-01Z', 'a', 1);
SELECT aggwin.refresh('r');
SET ROLE regress_rollup_member;
SELECT aggwin.drop_rollup('r');
RESET ROLE;
SELECT count(*) AS triggers FROM pg_trigger WHERE tgrelid = 'events'::regclass;

-- One rollup's owner does not see another's, nor is hindered by it.
SET ROLE regress_rollup_table;
SELECT aggwin.create_rollup('pg_temp.r', 'SELECT 1');
RESET ROLE;
GRANT CREATE ON SCHEMA rollup_rights TO regress_rollup_table;
SET ROLE regress_rollup_table;
SELECT aggwin.create_rollup('rollup_rights.mine', $$SELECT aggwin.time_bucket('1 hour', ts) AS bucket, sum(v) AS v FROM rollup_rights.events GROUP BY 1$$);
RESET ROLE;
SET ROLE regress_rollup_maker;
:create;
SELECT * FROM mine;
SELECT aggwin.refresh('mine');
RESET ROLE;
SET ROLE regress_rollup_table;
SELECT aggwin.drop_rollup('mine');
-- Dropping the table takes another's rollup only when it is asked to.
\set VERBOSITY terse
DROP TABLE events;
\set VERBOSITY default
RESET ROLE;
SET ROLE regress_rollup_writer;
INSERT INTO events VALUES ('2024-01-01Z', 'a', 1);
RESET ROLE;
SELECT * FROM compare('r');

-- Rights that the rollup's owner loses are no hindrance to writers, and what they write from then on
-- does not get into the owner's tables.
SELECT aggwin.refresh('r');
SELECT delta AS delta, state AS state, invalid AS invalid FROM aggwin.rollup WHERE view = 'r'::regclass \gset
REVOKE ALL ON events FROM regress_rollup_maker;
SET ROLE regress_rollup_writer;
INSERT INTO events VALUES ('2024-01-01Z', 'lost', 1);
INSERT INTO events SELECT timestamptz '2024-01-01Z' + i * interval '1 min', 'lost', i FROM generate_series(1, 100) AS i;
DELETE FROM events WHERE k = 'a';
RESET ROLE;
\c -
SET search_path = rollup_rights;
REVOKE USAGE ON SCHEMA rollup_rights FROM PUBLIC;
GRANT USAGE ON SCHEMA rollup_rights TO regress_rollup_writer;
SET ROLE regress_rollup_writer;
INSERT INTO events VALUES ('2024-01-01Z', 'later', 1), ('2024-01-01Z', 'late', 1);
INSERT INTO events SELECT timestamptz '2024-01-01Z' + i * interval '1 min', 'late', i FROM generate_series(1, 100) AS i;
DELETE FROM events WHERE k = 'later';
RESET ROLE;
GRANT USAGE ON SCHEMA rollup_rights TO PUBLIC;
SET ROLE regress_rollup_maker;
SELECT k1, n FROM :delta;
SELECT DISTINCT spans, buckets FROM :invalid;
\set VERBOSITY terse
SELECT * FROM rollup_rights.r;
SELECT aggwin.refresh('rollup_rights.r');
\set VERBOSITY default
SELECT DISTINCT k1 FROM :state;
RESET ROLE;
-- All columns are as good as the table.
GRANT SELECT (ts, k, v) ON events TO regress_rollup_maker;
SET ROLE regress_rollup_writer;
INSERT INTO events VALUES ('2024-01-01Z', 'by column', 1);
SET ROLE regress_rollup_maker;
SELECT k1, n FROM :delta;
RESET ROLE;
GRANT SELECT ON events TO regress_rollup_maker;
SELECT * FROM fold_and_compare('r');

-- As whom the author's code runs -------------------------------------------------------------

-- Each row holds a command, and the rollup groups by what came of it.
CREATE SCHEMA regress_rollup_maker AUTHORIZATION regress_rollup_maker;
SET ROLE regress_rollup_maker;
SET search_path = regress_rollup_maker;
CREATE FUNCTION attempt(command text) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	answer text;
BEGIN
	EXECUTE command INTO answer;
	RETURN coalesce(answer, 'done');
EXCEPTION WHEN OTHERS THEN
	-- As PostgreSQL 16 and later say it.
	RETURN regexp_replace(sqlerrm, '^must be superuser to (alter|create) superuser.*', 'permission denied to \1 role');
END
$$;
CREATE FUNCTION outcome(command text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN regress_rollup_maker.attempt(command); END';
CREATE TABLE commands (ts timestamptz, command text);
CREATE TABLE written (by name);
GRANT USAGE ON SCHEMA regress_rollup_maker TO PUBLIC;
GRANT INSERT ON commands TO PUBLIC;
SELECT aggwin.create_rollup('outcomes', 'SELECT aggwin.time_bucket(''1 day'', ts) AS day, command, outcome(command) AS outcome FROM commands GROUP BY 1, 2, 3');
RESET ROLE;
CREATE TABLE rollup_rights.secrets AS SELECT 'hidden' AS secret;
CREATE FUNCTION rollup_rights.commands() RETURNS SETOF text LANGUAGE sql AS $$
	VALUES ('SELECT current_user'), ('SELECT session_user = current_user'), ('SHOW search_path'), ('SHOW row_security'), ('SHOW timezone'),
		('RESET ROLE'), ('SET ROLE regress_rollup_writer'), ('SET SESSION AUTHORIZATION regress_rollup_writer'),
		('SELECT secret FROM rollup_rights.secrets'), ('ALTER ROLE regress_rollup_maker SUPERUSER'), ('CREATE ROLE regress_rollup_evil SUPERUSER'),
		('CREATE TEMP TABLE left_behind ()'), ('DECLARE left_behind CURSOR WITH HOLD FOR SELECT 1'), ('PREPARE left_behind AS SELECT 1'),
		('LISTEN left_behind'), ('SELECT set_config(''lock_timeout'', ''7777'', false)'),
		('WITH w AS (INSERT INTO regress_rollup_maker.written VALUES (current_user) RETURNING by) SELECT by FROM w')
$$;

-- One by one, together, and in a fold: always its owner, in a closed room.
SET search_path = public;
INSERT INTO regress_rollup_maker.commands SELECT '2024-01-01Z', c FROM rollup_rights.commands() AS c;
SELECT command, outcome FROM regress_rollup_maker.outcomes WHERE day = '2024-01-01Z' ORDER BY command COLLATE "C";
INSERT INTO regress_rollup_maker.commands SELECT '2024-01-02Z', c FROM rollup_rights.commands() AS c, generate_series(1, 3);
SET ROLE regress_rollup_writer;
INSERT INTO regress_rollup_maker.commands VALUES ('2024-01-03Z', 'SELECT current_user'), ('2024-01-03Z', 'SHOW search_path'),
	('2024-01-03Z', 'SELECT set_config(''search_path'', ''regress_rollup_maker'', false)');
SHOW search_path;
RESET ROLE;
SELECT 'differs' FROM
	(SELECT command, outcome FROM regress_rollup_maker.outcomes WHERE day = '2024-01-01Z') AS a
	FULL JOIN (SELECT command, outcome FROM regress_rollup_maker.outcomes WHERE day = '2024-01-02Z') AS b USING (command, outcome)
WHERE a.command IS NULL OR b.command IS NULL;
SELECT command, outcome FROM regress_rollup_maker.outcomes WHERE day = '2024-01-03Z' ORDER BY command COLLATE "C";
SELECT aggwin.refresh('regress_rollup_maker.outcomes');
SELECT count(*) FROM regress_rollup_maker.outcomes;
UPDATE regress_rollup_maker.commands SET ts = '2024-01-04Z' WHERE ts = '2024-01-02Z';
SELECT aggwin.refresh('regress_rollup_maker.outcomes');
SELECT 'differs' FROM
	(SELECT command, outcome FROM regress_rollup_maker.outcomes WHERE day = '2024-01-01Z') AS a
	FULL JOIN (SELECT command, outcome FROM regress_rollup_maker.outcomes WHERE day = '2024-01-04Z') AS b USING (command, outcome)
WHERE a.command IS NULL OR b.command IS NULL;

-- Nothing of it is left.
SELECT DISTINCT by FROM regress_rollup_maker.written;
SELECT rolname, rolsuper FROM pg_roles WHERE rolname IN ('regress_rollup_maker', 'regress_rollup_evil');
SELECT name FROM pg_cursors WHERE name = 'left_behind' UNION ALL SELECT name FROM pg_prepared_statements
UNION ALL SELECT relname FROM pg_class WHERE relname = 'left_behind' UNION ALL SELECT pg_listening_channels();
SELECT current_user = session_user AS same_user, current_setting('search_path'), current_setting('lock_timeout');

-- Functions in the arguments of time_bucket run when the rollup is made: as its author, too.
SET ROLE regress_rollup_maker;
SET search_path = regress_rollup_maker;
TRUNCATE written;
CREATE FUNCTION width() RETURNS interval LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	PERFORM regress_rollup_maker.attempt('WITH w AS (INSERT INTO regress_rollup_maker.written VALUES (current_user) RETURNING by) SELECT by FROM w');
	PERFORM regress_rollup_maker.attempt('ALTER ROLE regress_rollup_maker SUPERUSER');
	RETURN '1 hour';
END
$$;
SELECT aggwin.create_rollup('by_width', 'SELECT aggwin.time_bucket(width(), ts) AS hour, command, count(*) FROM commands GROUP BY 1, 2');
RESET ROLE;
INSERT INTO regress_rollup_maker.commands VALUES ('2024-01-05 01:30Z', 'SELECT 1');
SELECT aggwin.refresh('by_width');
DELETE FROM regress_rollup_maker.commands WHERE ts = '2024-01-05 01:30Z';
SELECT aggwin.refresh('by_width');
SELECT DISTINCT by FROM written;
SELECT count(*) FROM by_width;
SELECT rolname, rolsuper FROM pg_roles WHERE rolname = 'regress_rollup_maker';

-- So do the checks of domains, which run when a constant is read.
SET ROLE regress_rollup_maker;
TRUNCATE written;
CREATE FUNCTION check_value(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	PERFORM regress_rollup_maker.attempt('WITH w AS (INSERT INTO regress_rollup_maker.written VALUES (current_user) RETURNING by) SELECT by FROM w');
	RETURN true;
END
$$;
CREATE DOMAIN checked AS int CHECK (check_value(VALUE));
CREATE TABLE numbers (ts timestamptz, v int);
SELECT aggwin.create_rollup('by_domain', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS hour, v = ANY ('{1,2}'::checked[]) AS k, count(*) FILTER (WHERE v = ANY ('{3}'::checked[])) AS n
	FROM numbers WHERE v <> ALL ('{4}'::checked[]) GROUP BY 1, 2
$$);
RESET ROLE;
INSERT INTO numbers VALUES ('2024-01-01Z', 1);
INSERT INTO numbers SELECT '2024-01-01Z', i % 5 FROM generate_series(1, 100) AS i;
SELECT aggwin.refresh('by_domain');
DELETE FROM numbers WHERE v = 2;
SELECT aggwin.refresh('by_domain');
SELECT DISTINCT by FROM written;
SELECT k, n FROM by_domain ORDER BY k;

-- Names mean what they mean to the author -----------------------------------------------------

SET search_path = DEFAULT;
CREATE SCHEMA closed;
CREATE SCHEMA open;
GRANT USAGE ON SCHEMA open TO PUBLIC;
CREATE TABLE closed.things AS SELECT timestamptz '2024-01-01Z' AS ts, 'closed' AS k;
CREATE TABLE open.things AS SELECT timestamptz '2024-01-01Z' AS ts, 'open' AS k;
CREATE FUNCTION closed.which() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'closed' $$;
CREATE FUNCTION open.which() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'open' $$;
GRANT SELECT, TRIGGER ON open.things TO regress_rollup_maker;
CREATE TABLE regress_rollup_maker.things AS SELECT timestamptz '2024-01-01Z' AS ts, 'own' AS k;
ALTER TABLE regress_rollup_maker.things OWNER TO regress_rollup_maker;
SET ROLE regress_rollup_maker;
SET search_path = closed, open;
SELECT aggwin.create_rollup('regress_rollup_maker.things_1d', 'SELECT aggwin.time_bucket(''1 day'', ts) AS day, k, which() AS which, count(*) FROM things GROUP BY 1, 2, 3');
SELECT source FROM aggwin.rollups WHERE rollup = 'regress_rollup_maker.things_1d'::regclass;
SELECT k, which, count FROM regress_rollup_maker.things_1d;
SET search_path = "$user", open;
SELECT aggwin.create_rollup('own_1d', 'SELECT aggwin.time_bucket(''1 day'', ts) AS day, k, which() AS which, count(*) FROM things GROUP BY 1, 2, 3');
SELECT rollup, source FROM aggwin.rollups WHERE rollup = 'own_1d'::regclass;
SELECT k, which, count FROM own_1d;
INSERT INTO things VALUES ('2024-01-01Z', 'own');
SELECT k, which, count FROM own_1d;
RESET ROLE;
INSERT INTO open.things VALUES ('2024-01-01Z', 'open');
SELECT aggwin.refresh('regress_rollup_maker.things_1d');
SELECT k, which, count FROM regress_rollup_maker.things_1d;

-- And nothing else to whoever writes, reads or folds: everything that aggwin uses has a false double.
CREATE SCHEMA doubles;
SET search_path = doubles, pg_catalog;
CREATE FUNCTION no() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE EXCEPTION 'a false double was called as %', current_user; END $$;
DO $$
DECLARE
	f record;
BEGIN
	FOR f IN SELECT DISTINCT proname, pg_get_function_identity_arguments(oid) AS args, prorettype::regtype AS result, provariadic
		FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f' AND NOT proretset AND provariadic = 0
			AND proname IN ('time_bucket', 'bucket_end', 'spans', 'lower', 'upper', 'isfinite', 'int8pl', 'float8_combine', 'float8_accum', 'pg_snapshot_xmax',
				'pg_current_snapshot', 'tstzrange', 'now', 'clock_timestamp', 'format', 'starts_with', 'to_regclass', 'range_merge', 'multirange')
	LOOP
		EXECUTE format('CREATE FUNCTION doubles.%I(%s) RETURNS %s LANGUAGE plpgsql IMMUTABLE AS %L', f.proname, f.args, f.result,
			'BEGIN PERFORM doubles.no(); RETURN NULL; END');
	END LOOP;
END
$$;
CREATE FUNCTION no(bigint, bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM doubles.no(); RETURN NULL; END';
CREATE FUNCTION no(bigint, int) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM doubles.no(); RETURN NULL; END';
CREATE FUNCTION no_too(xid8, xid8) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM doubles.no(); RETURN NULL; END';
CREATE FUNCTION no_too(timestamptz, timestamptz) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM doubles.no(); RETURN NULL; END';
CREATE FUNCTION no_too(oid, oid) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM doubles.no(); RETURN NULL; END';
CREATE FUNCTION no_too(text, text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM doubles.no(); RETURN NULL; END';
CREATE OPERATOR + (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = no);
CREATE OPERATOR - (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = no);
CREATE OPERATOR = (LEFTARG = xid8, RIGHTARG = xid8, FUNCTION = no_too);
CREATE OPERATOR >= (LEFTARG = xid8, RIGHTARG = xid8, FUNCTION = no_too);
CREATE OPERATOR >= (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = no_too);
CREATE OPERATOR <= (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = no_too);
CREATE OPERATOR = (LEFTARG = oid, RIGHTARG = oid, FUNCTION = no_too);
CREATE OPERATOR = (LEFTARG = text, RIGHTARG = text, FUNCTION = no_too);
CREATE AGGREGATE sum(bigint) (SFUNC = no, STYPE = bigint);
CREATE AGGREGATE sum(int) (SFUNC = no, STYPE = bigint);
CREATE TABLE pg_class (oid oid, relname name);
CREATE TABLE pg_trigger (oid oid, tgrelid oid, tgfoid oid);
CREATE TABLE pg_inherits (inhrelid oid, inhparent oid);
CREATE TEMP TABLE pg_class (oid oid, relname name);
CREATE TEMP TABLE pg_trigger (oid oid, tgrelid oid, tgfoid oid);
CREATE TEMP TABLE tier (rollup_id int, level int, folded pg_snapshot);
CREATE TEMP TABLE rollup (rollup_id int);
SELECT 1::bigint + 1::bigint;
SELECT sum(1);
GRANT USAGE ON SCHEMA doubles TO PUBLIC;
SET search_path = pg_temp, doubles, pg_catalog, aggwin, rollup_rights;
GRANT SELECT ON rollup_rights.r TO regress_rollup_reader;
SET ROLE regress_rollup_writer;
INSERT INTO rollup_rights.events VALUES ('2024-01-06Z', 'x', 1);
INSERT INTO rollup_rights.events SELECT '2024-01-06Z', 'x', i FROM generate_series(1, 100) AS i;
TRUNCATE rollup_rights.events;
INSERT INTO rollup_rights.events SELECT '2024-01-06Z', 'x', i FROM generate_series(1, 100) AS i;
RESET ROLE;
UPDATE rollup_rights.events SET v = 1;
SET ROLE regress_rollup_reader;
SELECT n, v FROM rollup_rights.r;
RESET ROLE;
SELECT aggwin.refresh('rollup_rights.r');
INSERT INTO rollup_rights.events VALUES ('2024-01-06Z', 'y', 1);
SELECT aggwin.refresh('rollup_rights.r');
SELECT k, n, v FROM rollup_rights.r ORDER BY n;
SELECT bool_or(dormant) AS dormant, max(failures) AS failures FROM aggwin.rollup_status;
SELECT aggwin.create_rollup('rollup_rights.r2', $$SELECT aggwin.time_bucket('1 day', ts) AS day, count(*) AS n, max(v) AS v FROM rollup_rights.events GROUP BY 1$$);
INSERT INTO rollup_rights.events VALUES ('2024-01-06Z', 'y', 101);
SELECT n, v FROM rollup_rights.r2;
ALTER TABLE rollup_rights.events ADD COLUMN more int;
ALTER TABLE rollup_rights.events DISABLE TRIGGER aggwin_capture_insert;
ALTER TABLE rollup_rights.events ENABLE TRIGGER aggwin_capture_insert;
CREATE TABLE rollup_rights.heir () INHERITS (rollup_rights.events);
DROP TRIGGER aggwin_capture_insert ON rollup_rights.events;
ALTER VIEW rollup_rights.r2 OWNER TO regress_rollup_maker;
SELECT aggwin.drop_rollup('rollup_rights.r2');
SET client_min_messages = warning;
DROP TABLE rollup_rights.events CASCADE;

\c -
SET client_min_messages = warning;
DROP SCHEMA rollup_rights, regress_rollup_maker, closed, open, doubles CASCADE;
DROP ROLE regress_rollup_table, regress_rollup_maker, regress_rollup_writer, regress_rollup_reader, regress_rollup_member;
SELECT count(*) AS catalog_rows FROM aggwin.rollup;
