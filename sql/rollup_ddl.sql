-- Rollups follow what happens to the objects around them, and leave nothing behind.
\getenv srcdir PG_ABS_SRCDIR
\set helper :srcdir/test/lib/compare.sql
CREATE SCHEMA rollup_ddl;
SET search_path = rollup_ddl;
\set ECHO none
\i :helper
\set ECHO all
ALTER SEQUENCE aggwin.rollup_rollup_id_seq RESTART 1000;

CREATE SCHEMA rollup_ddl_2;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE place AS (x int, y int);
CREATE DOMAIN percent AS int CHECK (VALUE BETWEEN 0 AND 100);
CREATE COLLATION reversed FROM "POSIX";
CREATE FUNCTION half(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 / 2';
CREATE FUNCTION half_plpgsql(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 / 2; END';
CREATE FUNCTION apart(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT abs($1 - $2)';
CREATE OPERATOR <~> (LEFTARG = int, RIGHTARG = int, FUNCTION = apart);
CREATE TABLE src (id int, spare int, ts timestamptz, k text, m mood, at place, cpu percent, v int);
SELECT make_rollup('r', $$
	SELECT aggwin.time_bucket('1 hour', ts) AS bucket, k COLLATE reversed AS k, half(v) AS h, m, (at).x AS x, cpu,
		count(*) AS n, sum(v) AS v, max(v <~> 3) AS far, sum(half_plpgsql(v)) AS halves, count(*) FILTER (WHERE m = 'ok') AS fine
	FROM src WHERE m <> 'happy' AND half_plpgsql(v) < 10 GROUP BY 1, 2, 3, 4, 5, 6
$$);
-- Each change comes between statements of every kind, the first of their kind in a session or not.
CREATE PROCEDURE write_one(source text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('INSERT INTO %s SELECT 1, 2, ''2024-01-01 00:30Z'', ''a'', (enum_range(NULL::%s))[2], ''(1,2)'', 7, 5',
		source, (SELECT atttypid::regtype FROM pg_attribute WHERE attrelid = source::regclass AND attname = 'm'));
END
$$;
CREATE PROCEDURE write_many(source text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('INSERT INTO %s SELECT i, i, ''2024-01-01Z''::timestamptz + i * interval ''1 min'', chr(97 + i %% 3),
			(enum_range(NULL::%s))[1 + i %% 3], format(''(%%s,2)'', i %% 2)::%s, i, i FROM generate_series(1, 40) AS i',
		source, (SELECT atttypid::regtype FROM pg_attribute WHERE attrelid = source::regclass AND attname = 'm'),
		(SELECT atttypid::regtype FROM pg_attribute WHERE attrelid = source::regclass AND attname = 'at'));
END
$$;
CREATE PROCEDURE change(source text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('UPDATE %s SET %I = 3 WHERE id = 7', source, (SELECT attname FROM pg_attribute WHERE attrelid = source::regclass AND attnum = 8));
	EXECUTE format('DELETE FROM %s WHERE id = 8', source);
END
$$;

-- Renamed and moved ----------------------------------------------------------------

CALL write_one('src');
ALTER TABLE src RENAME COLUMN v TO "a value";
ALTER TABLE src RENAME COLUMN ts TO "when";
CALL write_many('src');
CALL change('src');
SELECT * FROM fold_and_compare('r');
ALTER TABLE src RENAME TO "The Source";
CALL write_one('"The Source"');
CALL change('"The Source"');
SELECT * FROM compare('r');
ALTER TABLE "The Source" SET SCHEMA rollup_ddl_2;
CALL write_many('rollup_ddl_2."The Source"');
SELECT * FROM fold_and_compare('r');
ALTER SCHEMA rollup_ddl_2 RENAME TO "Moved";
CALL write_one('"Moved"."The Source"');
CALL write_many('"Moved"."The Source"');
CALL change('"Moved"."The Source"');
SELECT * FROM fold_and_compare('r');
ALTER TABLE "Moved"."The Source" SET SCHEMA rollup_ddl;
ALTER TABLE "The Source" RENAME TO src;

\c -
SET search_path = rollup_ddl;
CALL write_one('src');
ALTER FUNCTION half(int) RENAME TO halved;
ALTER FUNCTION half_plpgsql(int) SET SCHEMA "Moved";
ALTER FUNCTION apart RENAME TO "Apart";
ALTER OPERATOR <~> (int, int) SET SCHEMA "Moved";
CALL write_one('src');
CALL write_many('src');
CALL change('src');
SELECT * FROM fold_and_compare('r');

\c -
SET search_path = rollup_ddl;
CALL write_one('src');
ALTER TYPE mood RENAME VALUE 'ok' TO 'fine';
CALL write_many('src');
CALL change('src');
SELECT * FROM fold_and_compare('r');
\c -
SET search_path = rollup_ddl;
CALL write_many('src');
ALTER TYPE mood RENAME VALUE 'happy' TO 'glad';
CALL write_one('src');
CALL change('src');
SELECT * FROM fold_and_compare('r');
ALTER TYPE mood ADD VALUE 'bored' BEFORE 'fine';
ALTER TYPE mood RENAME TO "Mood";
ALTER TYPE place RENAME ATTRIBUTE x TO "X" CASCADE;
ALTER TYPE place SET SCHEMA "Moved";
ALTER DOMAIN percent RENAME TO share;
CALL write_one('src');
CALL write_many('src');
CALL change('src');
SELECT * FROM fold_and_compare('r');

\c -
SET search_path = rollup_ddl;
CALL write_one('src');
ALTER COLLATION reversed RENAME TO "Ordinary";
CALL write_many('src');
CALL change('src');
SELECT * FROM fold_and_compare('r');
\c -
SET search_path = rollup_ddl;
CALL write_many('src');
ALTER COLLATION "Ordinary" SET SCHEMA "Moved";
CALL write_one('src');
CALL change('src');
SELECT * FROM fold_and_compare('r');
-- Versions differ in whether the one table's columns are qualified.
SELECT replace(query, 'src.', '') AS query FROM aggwin.rollups;

-- Columns and storage of the source ---------------------------------------------------

CALL write_one('src');
SELECT count(*) FROM src;
ALTER TABLE src ADD COLUMN note text DEFAULT 'x', DROP COLUMN spare, ALTER id TYPE bigint, ADD COLUMN more numeric;
CALL change('src');
INSERT INTO src (id, "when", k, m, at, cpu, "a value") SELECT id, "when", k, m, at, cpu, "a value" FROM src;
UPDATE src SET note = 'y';
ALTER TABLE src DROP COLUMN note;
INSERT INTO src (id, "when", k, m, at, cpu, "a value") SELECT id, "when", k, m, at, cpu, "a value" FROM src WHERE id < 5;
SELECT * FROM fold_and_compare('r');
CREATE INDEX src_when ON src ("when");
VACUUM FULL src;
SELECT * FROM compare('r');
CLUSTER src USING src_when;
INSERT INTO src (id, "when", k, m, at, cpu, "a value") SELECT id, "when", k, m, at, cpu, "a value" FROM src WHERE id < 3;
REINDEX TABLE src;
SELECT * FROM fold_and_compare('r');
ALTER TABLE src REPLICA IDENTITY FULL, ALTER "when" SET NOT NULL, ADD CHECK ("a value" >= 0), SET (fillfactor = 50);
INSERT INTO src (id, "when", k, m, at, cpu, "a value") SELECT id, "when", k, m, at, cpu, "a value" FROM src WHERE id < 3;
DELETE FROM src WHERE id = 2;
SELECT * FROM fold_and_compare('r');
-- The state's own tables can be vacuumed, rewritten and indexed again.
SELECT state, delta, invalid FROM aggwin.rollup \gset
VACUUM FULL :state;
VACUUM FULL :delta;
REINDEX TABLE :state;
REINDEX TABLE CONCURRENTLY :delta;
REINDEX TABLE :invalid;
INSERT INTO src (id, "when", k, m, at, cpu, "a value") SELECT id, "when", k, m, at, cpu, "a value" FROM src WHERE id < 3;
SELECT * FROM fold_and_compare('r');
BEGIN;
TRUNCATE src;
SELECT * FROM compare('r');
ROLLBACK;
SELECT * FROM compare('r');

-- The rollup itself ---------------------------------------------------------------------

ALTER VIEW r RENAME TO "The Rollup";
ALTER VIEW "The Rollup" RENAME COLUMN v TO total;
ALTER VIEW "The Rollup" SET SCHEMA "Moved";
SELECT rollup FROM aggwin.rollups;
INSERT INTO src (id, "when", k, m, at, cpu, "a value") SELECT id, "when", k, m, at, cpu, "a value" FROM src WHERE id < 3;
SELECT aggwin.refresh('"Moved"."The Rollup"');
SELECT * FROM differences('"Moved"."The Rollup"', 'r_plain');
ALTER VIEW "Moved"."The Rollup" SET SCHEMA rollup_ddl;
ALTER VIEW "The Rollup" RENAME TO r;
ALTER VIEW r SET (security_barrier);
SELECT * FROM compare('r');
COMMENT ON VIEW r IS 'mine';
CREATE OR REPLACE VIEW r AS SELECT bucket, k, h, m, x, cpu, n, v AS total, far, halves, fine FROM r_plain;
CREATE OR REPLACE VIEW aggwin._definition_1000 AS SELECT * FROM r_plain;
CREATE VIEW above AS SELECT bucket, sum(n) FROM r GROUP BY 1;
SELECT aggwin.drop_rollup('r');
DROP VIEW above;

-- Triggers that are off: the rollup lies dormant, answered from the source, until they are back.
ALTER TABLE src DISABLE TRIGGER aggwin_capture_insert;
INSERT INTO src (id, "when", k, m, at, cpu, "a value") SELECT id, "when", k, m, at, cpu, "a value" FROM src WHERE id < 4;
SELECT * FROM compare('r');
SELECT dormant, invalid_buckets FROM aggwin.rollup_status;
SELECT aggwin.refresh('r');
INSERT INTO src (id, "when", k, m, at, cpu, "a value") SELECT id, "when", k, m, at, cpu, "a value" FROM src WHERE id < 4;
SELECT * FROM compare('r');
ALTER TABLE src ENABLE TRIGGER aggwin_capture_insert;
INSERT INTO src (id, "when", k, m, at, cpu, "a value") SELECT id, "when", k, m, at, cpu, "a value" FROM src WHERE id < 4;
SELECT * FROM fold_and_compare('r');
SELECT dormant, invalid_buckets FROM aggwin.rollup_status;
ALTER TABLE src DISABLE TRIGGER ALL;
DELETE FROM src WHERE id = 3;
SELECT * FROM compare('r');
SELECT dormant FROM aggwin.rollup_status;
ALTER TABLE src ENABLE TRIGGER ALL;
DELETE FROM src WHERE id = 4;
SELECT * FROM fold_and_compare('r');
SELECT dormant FROM aggwin.rollup_status;
ALTER TABLE src ENABLE REPLICA TRIGGER aggwin_capture_delete;
DELETE FROM src WHERE id = 5;
SELECT * FROM compare('r');
ALTER TABLE src ENABLE ALWAYS TRIGGER aggwin_capture_delete;
SELECT * FROM fold_and_compare('r');
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE OR REPLACE TRIGGER aggwin_capture_update AFTER UPDATE ON src FOR EACH STATEMENT EXECUTE FUNCTION nothing();
UPDATE src SET "a value" = 6 WHERE id = 6;
SELECT * FROM compare('r');
SELECT dormant FROM aggwin.rollup_status;
CREATE OR REPLACE TRIGGER aggwin_capture_update AFTER UPDATE ON src
	REFERENCING OLD TABLE AS aggwin_old NEW TABLE AS aggwin_new FOR EACH STATEMENT EXECUTE FUNCTION aggwin.capture();
SELECT * FROM fold_and_compare('r');
SELECT dormant FROM aggwin.rollup_status;
-- A trigger that is off and on again in one transaction has missed something, too.
BEGIN;
ALTER TABLE src DISABLE TRIGGER USER;
DELETE FROM src WHERE id = 6;
ALTER TABLE src ENABLE TRIGGER USER;
SELECT * FROM compare('r');
COMMIT;
SELECT * FROM fold_and_compare('r');
-- Replication roles make no difference.
SET session_replication_role = replica;
INSERT INTO src (id, "when", k, m, at, cpu, "a value") SELECT id, "when", k, m, at, cpu, "a value" FROM src WHERE id < 30;
DELETE FROM src WHERE id = 10;
RESET session_replication_role;
SELECT * FROM fold_and_compare('r');

-- Dropped -------------------------------------------------------------------------------------

CREATE FUNCTION remains(OUT rollups bigint, OUT tiers bigint, OUT relations bigint, OUT triggers bigint) LANGUAGE sql AS $$
	SELECT (SELECT count(*) FROM aggwin.rollup), (SELECT count(*) FROM aggwin.tier),
		(SELECT count(*) FROM pg_class WHERE relnamespace = 'aggwin'::regnamespace AND relname LIKE '\_%' AND relkind <> 'i'),
		(SELECT count(*) FROM pg_trigger WHERE tgfoid = 'aggwin.capture'::regproc)
$$;
-- Two rollups on a table, each with a view above it.
CREATE PROCEDURE build() LANGUAGE plpgsql AS $$
BEGIN
	DROP TABLE IF EXISTS t;
	CREATE TABLE t (ts timestamptz, m "Mood", v int);
	PERFORM aggwin.create_rollup('t_1h', 'SELECT aggwin.time_bucket(''1 hour'', ts) AS ts, m, count(*) FROM t GROUP BY 1, 2');
	PERFORM aggwin.create_rollup('t_1d', 'SELECT aggwin.time_bucket(''1 day'', ts) AS ts, sum(rollup_ddl.halved(v)) FROM t GROUP BY 1');
	INSERT INTO t VALUES ('2024-01-01Z', 'sad', 7);
	CREATE VIEW above AS SELECT * FROM t_1h;
END
$$;
SET client_min_messages = warning;
DROP TABLE src CASCADE;
SELECT * FROM remains();
CALL build();
SELECT * FROM remains();
RESET client_min_messages;

-- Refused while something depends on it.
DROP TABLE t;
DROP VIEW t_1h;
\set VERBOSITY terse
DROP TYPE "Mood";
DROP FUNCTION halved;
DROP TABLE aggwin._state_1001;
DROP EXTENSION aggwin;
DROP SCHEMA aggwin;
DROP TABLE aggwin.rollup;
DROP FUNCTION aggwin.capture;
DROP TABLE aggwin._delta_1001 CASCADE;
SELECT * FROM remains();
\set VERBOSITY default
SET client_min_messages = warning;

-- In any other way the whole rollup goes, and with the last one the triggers.
DROP TABLE t CASCADE;
SELECT * FROM remains();
CALL build();
DROP VIEW t_1h CASCADE;
SELECT * FROM remains();
INSERT INTO t VALUES ('2024-01-01Z', 'sad', 7);
SELECT sum FROM t_1d;
DROP VIEW t_1d;
SELECT * FROM remains();
INSERT INTO t VALUES ('2024-01-01Z', 'sad', 7);
CALL build();
DROP TYPE "Mood" CASCADE;
SELECT * FROM remains();
CREATE TYPE "Mood" AS ENUM ('sad');
DROP TABLE t CASCADE;
CALL build();
DROP FUNCTION halved CASCADE;
SELECT * FROM remains();
CREATE FUNCTION halved(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 / 2';
DROP TABLE t CASCADE;
CALL build();
ALTER TABLE t DROP COLUMN v CASCADE;
SELECT * FROM remains();
DROP TABLE t CASCADE;
CALL build();
ALTER VIEW t_1h SET SCHEMA "Moved";
ALTER VIEW t_1d SET SCHEMA "Moved";
DROP SCHEMA "Moved" CASCADE;
SELECT * FROM remains();

-- All in one command.
CALL build();
DROP VIEW t_1h, t_1d CASCADE;
SELECT * FROM remains();
CALL build();
CREATE SCHEMA together;
ALTER TABLE t SET SCHEMA together;
ALTER VIEW t_1h SET SCHEMA together;
ALTER VIEW t_1d SET SCHEMA together;
DROP SCHEMA together CASCADE;
SELECT * FROM remains();

-- Rolled back, everything is as it was.
CALL build();
BEGIN;
DROP TABLE t CASCADE;
SELECT * FROM remains();
ROLLBACK;
SELECT * FROM remains();
BEGIN;
DROP VIEW above;
SELECT aggwin.drop_rollup('t_1h');
SELECT aggwin.drop_rollup('t_1d');
SELECT * FROM remains();
INSERT INTO t VALUES ('2024-01-01Z', 'sad', 100);
ROLLBACK;
SELECT * FROM remains();
BEGIN;
SAVEPOINT a;
DROP VIEW above, t_1h;
INSERT INTO t VALUES ('2024-01-01Z', 'sad', 1000);
ROLLBACK TO a;
INSERT INTO t VALUES ('2024-01-01Z', 'sad', 3);
COMMIT;
INSERT INTO t VALUES ('2024-01-01Z', 'sad', 5);
SELECT count FROM t_1h;
SELECT sum FROM t_1d;
SELECT aggwin.refresh('t_1h');
SELECT count FROM t_1h;
DROP VIEW above;
SELECT aggwin.drop_rollup('t_1h');
SELECT aggwin.drop_rollup('t_1d');
SELECT * FROM remains();

-- In sessions that apply what another server did, too.
CALL build();
SET session_replication_role = replica;
DROP VIEW t_1d;
ALTER TABLE t DISABLE TRIGGER aggwin_capture_insert;
RESET session_replication_role;
INSERT INTO t VALUES ('2024-01-01Z', 'sad', 8);
SELECT count FROM t_1h;
SELECT * FROM remains();
DROP TABLE t CASCADE;

-- What goes while event triggers are off hinders no writer, and is cleaned up when the next object goes.
CALL build();
ALTER EVENT TRIGGER aggwin_on_drop DISABLE;
DROP VIEW t_1h CASCADE;
ALTER EVENT TRIGGER aggwin_on_drop ENABLE ALWAYS;
INSERT INTO t VALUES ('2024-01-01Z', 'sad', 8);
UPDATE t SET v = 9;
SELECT aggwin.refresh('t_1d');
SELECT sum FROM t_1d;
SELECT rollup FROM aggwin.rollup_status;
SELECT * FROM remains();
CREATE TABLE anything ();
DROP TABLE anything;
SELECT * FROM remains();
DROP TABLE t CASCADE;
SELECT * FROM remains();

-- A generated column that is computed anew, where the server can do that.
CREATE TABLE generating (ts timestamptz, v int, double int GENERATED ALWAYS AS (v * 2) STORED);
INSERT INTO generating VALUES ('2024-01-01Z', 1), ('2024-01-02Z', 2);
SELECT make_rollup('generated', 'SELECT aggwin.time_bucket(''1 day'', ts) AS bucket, sum(double) AS d FROM generating GROUP BY 1');
SELECT * FROM fold_and_compare('generated');
DO $$
BEGIN
	IF current_setting('server_version_num')::int >= 170000 THEN
		EXECUTE 'ALTER TABLE generating ALTER double SET EXPRESSION AS (v * 3)';
	ELSE
		ALTER TABLE generating ADD more float8 DEFAULT random();
	END IF;
END
$$;
SELECT * FROM compare('generated');
SELECT invalid_buckets FROM aggwin.rollup_status WHERE rollup = 'generated'::regclass;
SELECT * FROM fold_and_compare('generated');
DROP TABLE generating CASCADE;

-- Owners ---------------------------------------------------------------------------------------

CREATE ROLE regress_rollup_owner;
CREATE ROLE regress_rollup_heir;
GRANT USAGE, CREATE ON SCHEMA rollup_ddl TO regress_rollup_owner, regress_rollup_heir;
CREATE FUNCTION owners() RETURNS TABLE (name text, owner name) LANGUAGE sql AS $$
	SELECT p.name, c.relowner::regrole
	FROM aggwin.rollup, LATERAL (VALUES ('view', view), ('definition', definition), ('state', state), ('delta', delta), ('invalid', invalid)) AS p (name, part),
		pg_class AS c
	WHERE c.oid = part ORDER BY p.name
$$;
SET ROLE regress_rollup_owner;
CREATE TABLE owned (ts timestamptz, v int);
SELECT aggwin.create_rollup('owned_1h', 'SELECT aggwin.time_bucket(''1 hour'', ts) AS ts, sum(v) FROM owned GROUP BY 1');
RESET ROLE;
SELECT * FROM owners();
ALTER VIEW owned_1h OWNER TO regress_rollup_heir;
SELECT * FROM owners();
SELECT owner FROM aggwin.rollups;
ALTER TABLE owned_1h OWNER TO regress_rollup_owner;
SELECT DISTINCT owner FROM owners();
ALTER TABLE owned OWNER TO regress_rollup_heir;
SELECT DISTINCT owner FROM owners();
INSERT INTO owned VALUES ('2024-01-01Z', 1);
-- The owner of the rollup may no longer read the table; what is captured, is.
SELECT sum FROM owned_1h;
GRANT SELECT, TRIGGER ON owned TO regress_rollup_owner;
SELECT sum FROM owned_1h;
REASSIGN OWNED BY regress_rollup_owner TO regress_rollup_heir;
SELECT DISTINCT owner FROM owners();
INSERT INTO owned VALUES ('2024-01-01Z', 1);
SELECT aggwin.refresh('owned_1h');
SELECT sum FROM owned_1h;
-- An owner that was changed while event triggers were off is followed after the next command.
ALTER EVENT TRIGGER aggwin_on_ddl DISABLE;
ALTER VIEW owned_1h OWNER TO regress_rollup_owner;
ALTER EVENT TRIGGER aggwin_on_ddl ENABLE ALWAYS;
SELECT * FROM owners();
CREATE TABLE anything ();
SELECT DISTINCT owner FROM owners();
DROP TABLE anything;
-- The table is another's, the rollup goes.
DROP OWNED BY regress_rollup_owner;
SELECT * FROM remains();
INSERT INTO owned VALUES ('2024-01-01Z', 1);
GRANT USAGE, CREATE ON SCHEMA rollup_ddl TO regress_rollup_owner;
GRANT SELECT, TRIGGER ON owned TO regress_rollup_owner;
SET ROLE regress_rollup_owner;
SELECT aggwin.create_rollup('owned_1h', 'SELECT aggwin.time_bucket(''1 hour'', ts) AS ts, sum(v) FROM owned GROUP BY 1');
RESET ROLE;
\set VERBOSITY terse
DROP ROLE regress_rollup_owner;
DROP OWNED BY regress_rollup_heir;
\set VERBOSITY default
-- The rollup is another's, the table goes.
DROP OWNED BY regress_rollup_heir CASCADE;
SELECT * FROM remains();
DROP OWNED BY regress_rollup_owner;
DROP ROLE regress_rollup_owner, regress_rollup_heir;

-- The extension -----------------------------------------------------------------------------------

CALL build();
BEGIN;
DROP EXTENSION aggwin CASCADE;
INSERT INTO t VALUES ('2024-01-01Z', 'sad', 1);
ROLLBACK;
SELECT count FROM t_1h;
DROP EXTENSION aggwin CASCADE;
SELECT relname FROM pg_class WHERE relnamespace = 'rollup_ddl'::regnamespace AND relname LIKE 't\_1%';
SELECT count(*) AS triggers FROM pg_trigger WHERE tgrelid = 't'::regclass;
SELECT nspname FROM pg_namespace WHERE nspname = 'aggwin';
SELECT evtname FROM pg_event_trigger WHERE evtname LIKE 'aggwin%';
INSERT INTO t VALUES ('2024-01-01Z', 'sad', 1);
CREATE TABLE after (LIKE t);
DROP TABLE after;
CREATE EXTENSION aggwin;
SELECT * FROM remains();
CALL build();
SELECT aggwin.refresh('t_1h');
SELECT count FROM t_1h;

DROP SCHEMA rollup_ddl CASCADE;
SELECT count(*) AS catalog_rows FROM aggwin.rollup;
