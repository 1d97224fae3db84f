-- What owners of tables and of rollups may try on whoever writes or folds.
CREATE ROLE regress_hostile;
CREATE SCHEMA rollup_hostile AUTHORIZATION regress_hostile;
SET ROLE regress_hostile;
SET search_path = rollup_hostile;
CREATE TABLE events (ts bigint, v int);
SELECT aggwin.create_rollup('r', 'SELECT aggwin.time_bucket(10::bigint, ts) AS b, sum(v) AS v, max(v) AS top FROM events GROUP BY 1');
SELECT view::oid AS id, delta, invalid, state, definition FROM aggwin.rollup WHERE view = 'r'::regclass \gset

-- A rollup's tables belong to its owner. Altered, they stop the writer by an error, nothing else.
CREATE PROCEDURE attempt(VARIADIC commands text[]) LANGUAGE plpgsql AS $$
DECLARE
	command text;
BEGIN
	FOREACH command IN ARRAY commands LOOP
		BEGIN
			EXECUTE command;
			RAISE NOTICE '%', command;
		EXCEPTION WHEN OTHERS THEN
			RAISE NOTICE '%: %', command, regexp_replace(sqlerrm, '\d+', 'N', 'g');
		END;
	END LOOP;
END
$$;
CREATE PROCEDURE write() LANGUAGE sql AS $$
	CALL rollup_hostile.attempt('UPDATE events SET v = 2 WHERE ts = 5', 'DELETE FROM events WHERE ts = 5', 'TRUNCATE events',
		'INSERT INTO events VALUES (1, 1)', 'INSERT INTO events SELECT i, i FROM generate_series(1, 100) AS i')
$$;
RESET ROLE;
CALL write();
BEGIN;
ALTER TABLE :delta ALTER latest TYPE text;
CALL write();
ROLLBACK;
BEGIN;
ALTER TABLE :delta ALTER captured_at TYPE text;
ALTER TABLE :invalid ALTER captured_at TYPE text;
CALL write();
ROLLBACK;
BEGIN;
ALTER TABLE :delta ADD more text;
ALTER TABLE :invalid ADD more text;
CALL write();
ROLLBACK;
BEGIN;
ALTER TABLE :delta DROP captured_at;
ALTER TABLE :invalid DROP buckets;
CALL write();
ROLLBACK;
CALL write();

-- Indexes run functions of whoever made them, even when they are only looked at.
SET ROLE regress_hostile;
CREATE FUNCTION tell(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE WARNING 'called as %', current_user; RETURN $1; END $$;
SET client_min_messages = error;
ALTER TABLE :delta SET SCHEMA rollup_hostile;
ALTER TABLE :invalid SET SCHEMA rollup_hostile;
SELECT delta, invalid FROM aggwin.rollup WHERE view = :id \gset
CREATE INDEX telling_delta ON :delta ((tell(1)));
CREATE INDEX telling_invalid ON :invalid (xid) WHERE tell(1) = 1;
RESET client_min_messages;
RESET ROLE;
\c -
SET search_path = rollup_hostile;
CALL write();
CALL attempt('ALTER TABLE events DISABLE TRIGGER aggwin_capture_delete');
DROP INDEX telling_delta, telling_invalid;
CALL write();
-- Whoever creates a rollup plans a query of its source as for any other SELECT; nobody else does.
SET client_min_messages = error;
CREATE INDEX on_source ON events (ts) WHERE tell(2) = 2;
RESET client_min_messages;
\c -
SET search_path = rollup_hostile;
SET ROLE regress_hostile;
\set VERBOSITY terse
SELECT aggwin.create_rollup('r2', 'SELECT aggwin.time_bucket(10::bigint, ts) AS b, count(*) FROM events GROUP BY 1');
\set VERBOSITY default
DROP INDEX on_source;
SELECT aggwin.drop_rollup('r2');

-- The definition and the view are what was checked.
CREATE OR REPLACE RULE "_RETURN" AS ON SELECT TO :definition DO INSTEAD SELECT e.ts AS b, 1::bigint AS v, 1 AS top FROM events AS e CROSS JOIN events AS f;
CREATE OR REPLACE RULE "_RETURN" AS ON SELECT TO r DO INSTEAD SELECT 1::bigint AS b, 1::bigint AS v, 1 AS top;
CREATE RULE swallow AS ON INSERT TO r DO INSTEAD NOTHING;
TRUNCATE events;
INSERT INTO events VALUES (1, 1);
SELECT * FROM r ORDER BY b;

-- A function of a rollup's query that writes to its source, while it is used.
CREATE TABLE echoes (ts bigint, v int);
CREATE FUNCTION echo(int) RETURNS int LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	IF $1 > 0 THEN
		INSERT INTO rollup_hostile.echoes VALUES (100, $1 - 1), (110, $1 - 1);
	END IF;
	RETURN $1;
END
$$;
CREATE FUNCTION echoing(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN rollup_hostile.echo($1); END';
SELECT aggwin.create_rollup('echoed', 'SELECT aggwin.time_bucket(10::bigint, ts) AS b, sum(echoing(v)) AS v, count(*) AS n FROM echoes GROUP BY 1');
INSERT INTO echoes VALUES (1, 3), (2, 3), (3, 2), (5, 1);
SELECT * FROM echoed ORDER BY b;
SELECT aggwin.time_bucket(10::bigint, ts) AS b, sum(v) AS v, count(*) AS n FROM echoes GROUP BY 1 ORDER BY 1;

-- And while it is planned.
CREATE TABLE plans (ts bigint, v int);
CREATE FUNCTION write_once() RETURNS int LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	IF current_setting('regress.write', true) = 'yes' THEN
		INSERT INTO rollup_hostile.plans VALUES (100, 1);
	END IF;
	RETURN 1;
END
$$;
CREATE FUNCTION planned() RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN rollup_hostile.write_once(); END';
SELECT aggwin.create_rollup('planned', 'SELECT aggwin.time_bucket(10::bigint, ts) AS b, sum(v + planned()) AS v FROM plans GROUP BY 1');
SET regress.write = 'yes';
\set VERBOSITY terse
INSERT INTO plans VALUES (1, 1);
INSERT INTO plans VALUES (1, 1);
\set VERBOSITY default
SET regress.write = 'no';
INSERT INTO plans VALUES (1, 1);
SELECT * FROM planned;

-- Settings that a function changes while a rollup is folded do not reach the statements that follow as superuser.
CREATE FUNCTION false_plus(bigint, bigint) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'called as %', current_user; RETURN 0; END $$;
CREATE OPERATOR + (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = false_plus);
CREATE DOMAIN text AS bigint;
CREATE FUNCTION change_path() RETURNS int LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	PERFORM set_config('search_path', 'rollup_hostile, pg_catalog', false);
	RETURN 1;
END
$$;
CREATE FUNCTION changing(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 * rollup_hostile.change_path(); END';
CREATE TABLE paths (ts bigint, v int);
CREATE INDEX ON paths (ts) WHERE changing(1) = 1;
INSERT INTO paths VALUES (1, 1);
SELECT aggwin.create_rollup('by_path', 'SELECT aggwin.time_bucket(10::bigint * changing(1), ts) AS b, sum(changing(v)) AS v FROM paths GROUP BY 1');
RESET ROLE;
SELECT aggwin.refresh('by_path');
INSERT INTO paths VALUES (1, 1), (11, 2);
UPDATE paths SET v = 3 WHERE ts = 1;
SELECT aggwin.refresh('by_path');
SELECT * FROM by_path ORDER BY b;
SELECT rows_folded, watermark FROM aggwin.rollup_status WHERE rollup = 'by_path'::regclass;
SHOW search_path;

-- Expressions are made ready as the rollup's owner, so the writer's rights to functions do not matter.
RESET ROLE;
CREATE ROLE regress_hostile_writer;
GRANT USAGE ON SCHEMA rollup_hostile TO regress_hostile_writer;
CREATE TABLE plain (ts bigint, v int);
ALTER TABLE plain OWNER TO regress_hostile;
GRANT INSERT ON plain TO regress_hostile_writer;
BEGIN;
SET LOCAL ROLE regress_hostile;
SELECT aggwin.create_rollup('by_plain', 'SELECT aggwin.time_bucket(10::bigint, ts) AS b, sum(int4abs(v)) AS v FROM plain GROUP BY 1');
RESET ROLE;
REVOKE EXECUTE ON FUNCTION pg_catalog.int4abs(int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_catalog.int4abs(int) TO regress_hostile;
SET LOCAL ROLE regress_hostile_writer;
INSERT INTO plain VALUES (1, -1);
INSERT INTO plain VALUES (1, -2);
RESET ROLE;
SELECT * FROM by_plain;
ROLLBACK;

DROP OPERATOR + (bigint, bigint);
DROP DOMAIN text;
SET timezone = 'UTC';

-- What is a constant when the query is checked, and no more when the rollup is made: not made into a
-- text that is run as superuser, nor later a crash.
SET ROLE regress_hostile;
CREATE FUNCTION change_to(text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	IF current_user <> 'regress_hostile' THEN
		RAISE WARNING 'called as %', current_user;
	END IF;
	EXECUTE 'ALTER FUNCTION rollup_hostile.shifting(int) ' || $1;
END
$$;
CREATE FUNCTION shifting(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
	'BEGIN PERFORM rollup_hostile.change_to(''VOLATILE''); RETURN $1; END';
CREATE TABLE shifts (ts timestamptz, v int);
SELECT aggwin.create_rollup('shifted', 'SELECT aggwin.time_bucket(interval ''1 hour'' * shifting(1), ts) AS b, sum(v) AS v FROM shifts GROUP BY 1');
CREATE OR REPLACE FUNCTION shifting(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
SELECT aggwin.create_rollup('shifted', 'SELECT aggwin.time_bucket(interval ''1 hour'' * shifting(1), ts) AS b, sum(v) AS v FROM shifts GROUP BY 1');
INSERT INTO shifts VALUES ('2024-01-01Z', 1);
CREATE OR REPLACE FUNCTION shifting(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT NULL::int';
RESET ROLE;
INSERT INTO shifts VALUES ('2024-01-01Z', 2);
SELECT aggwin.refresh('shifted');
SELECT v FROM shifted;
SELECT aggwin.invalidate('shifted', NULL::timestamptz, NULL);
SELECT * FROM aggwin.query_range(NULL::shifted, timestamptz '2024-01-01Z', '2024-01-02Z');
SELECT aggwin.drop_rollup('shifted');

-- Tables of tiers, too, are their owner's: triggers, rules, defaults and constraints run as the owner,
-- whoever folds, and cannot become anybody else.
SET ROLE regress_hostile;
CREATE TABLE levels (ts timestamptz, big numeric, small float8);
SELECT aggwin.create_rollup('leveled', 'SELECT aggwin.time_bucket(''1 hour'', ts) AS b, max(big) AS big, max(small) AS small FROM levels GROUP BY 1',
	tiers => '{1 day}');
SELECT r.delta AS delta, r.state AS state, r.invalid AS invalid, t.state AS state_1, t.delta AS delta_1
FROM aggwin.rollup AS r JOIN aggwin.tier AS t USING (rollup_id) WHERE r.view = 'leveled'::regclass AND t.level = 1 \gset
CREATE FUNCTION climb() RETURNS text LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	command text;
	told text := current_user;
BEGIN
	FOREACH command IN ARRAY ARRAY['RESET ROLE', 'SET ROLE NONE', 'SET SESSION AUTHORIZATION DEFAULT', 'CREATE TEMP TABLE mine ()', 'LISTEN mine'] LOOP
		BEGIN
			EXECUTE command;
			told := told || ', ' || command;
		EXCEPTION WHEN OTHERS THEN
			NULL;
		END;
	END LOOP;
	RAISE WARNING 'is %', told;
	RETURN told;
END
$$;
CREATE FUNCTION climbing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM rollup_hostile.climb(); RETURN coalesce(NEW, OLD); END';
CREATE TRIGGER climbing BEFORE INSERT OR UPDATE OR DELETE ON :state FOR EACH ROW EXECUTE FUNCTION climbing();
CREATE TRIGGER climbing AFTER INSERT OR DELETE ON :delta FOR EACH ROW EXECUTE FUNCTION climbing();
CREATE TRIGGER climbing AFTER INSERT ON :state_1 FOR EACH STATEMENT EXECUTE FUNCTION climbing();
CREATE TRIGGER climbing AFTER INSERT ON :delta_1 FOR EACH STATEMENT EXECUTE FUNCTION climbing();
CREATE TRIGGER climbing AFTER DELETE ON :invalid FOR EACH STATEMENT EXECUTE FUNCTION climbing();
RESET ROLE;
INSERT INTO levels VALUES ('2024-01-01Z', 1, 1e30);
SELECT aggwin.refresh('leveled_1d');
SET ROLE regress_hostile;
DROP TRIGGER climbing ON :state;
DROP TRIGGER climbing ON :delta;
DROP TRIGGER climbing ON :state_1;
DROP TRIGGER climbing ON :delta_1;
DROP TRIGGER climbing ON :invalid;
-- Not by a trigger that waits for the end of the transaction,
CREATE CONSTRAINT TRIGGER climbing AFTER INSERT OR UPDATE ON :state_1 DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION climbing();
RESET ROLE;
INSERT INTO levels VALUES ('2024-01-02Z', 2, 2);
\set VERBOSITY terse
SELECT aggwin.refresh('leveled_1d');
SET ROLE regress_hostile;
DROP TRIGGER climbing ON :state_1;
-- a rule,
CREATE RULE climbing AS ON INSERT TO :state DO ALSO SELECT climb();
RESET ROLE;
SELECT aggwin.refresh('leveled_1d');
SET ROLE regress_hostile;
DROP RULE climbing ON :state;
CREATE RULE climbing AS ON DELETE TO :delta DO ALSO SELECT climb();
RESET ROLE;
SELECT aggwin.refresh('leveled_1d');
SET ROLE regress_hostile;
DROP RULE climbing ON :delta;
\set VERBOSITY default
-- a default of a new column, or a constraint.
CREATE FUNCTION climbed(numeric) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RAISE WARNING ''is %'', current_user; RETURN true; END';
ALTER TABLE :state_1 ADD COLUMN more text;
ALTER TABLE :state_1 ALTER COLUMN more SET DEFAULT climb();
ALTER TABLE :state ADD CONSTRAINT climbed CHECK (climbed(p1));
RESET ROLE;
SELECT aggwin.refresh('leveled_1d');
SELECT big, small FROM leveled_1d ORDER BY b;
-- A tier is made from them.
SELECT aggwin.add_tier('leveled', interval '2 days');
SELECT aggwin.drop_tier('leveled_2d');
SET ROLE regress_hostile;
ALTER TABLE :state_1 DROP COLUMN more;
ALTER TABLE :state DROP CONSTRAINT climbed;
-- Nor by a function of the query that leaves something behind for the end of the transaction.
CREATE TABLE traps (v int);
CREATE CONSTRAINT TRIGGER climbing AFTER INSERT ON traps DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION climbing();
CREATE FUNCTION set_trap(int) RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN IF $1 > 10 THEN INSERT INTO rollup_hostile.traps VALUES (1); END IF; RETURN $1; END';
CREATE FUNCTION trapping(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN rollup_hostile.set_trap($1); END';
CREATE TABLE bait (ts bigint, v int);
SELECT aggwin.create_rollup('trapped', 'SELECT aggwin.time_bucket(10::bigint, ts) AS b, sum(trapping(v)) AS v FROM bait GROUP BY 1');
RESET ROLE;
INSERT INTO bait VALUES (1, 1);
INSERT INTO bait VALUES (1, 11);
INSERT INTO bait SELECT 1, i FROM generate_series(1, 100) AS i;
\set VERBOSITY terse
SELECT aggwin.refresh('trapped');
SET aggwin.strict_capture = on;
INSERT INTO bait VALUES (1, 11);
INSERT INTO bait SELECT 1, i FROM generate_series(1, 100) AS i;
RESET aggwin.strict_capture;
\set VERBOSITY default
SELECT * FROM traps;

-- Columns that change places make a value of one type look like another's.
SET ROLE regress_hostile;
ALTER TABLE :state RENAME p1 TO p0;
ALTER TABLE :state RENAME p2 TO p1;
ALTER TABLE :state RENAME p0 TO p2;
ALTER TABLE :delta RENAME p1 TO p0;
ALTER TABLE :delta RENAME p2 TO p1;
ALTER TABLE :delta RENAME p0 TO p2;
RESET ROLE;
INSERT INTO levels VALUES ('2024-01-01Z', 3, 3);
SELECT * FROM aggwin.query_range(NULL::leveled, timestamptz '2024-01-01Z', '2024-01-02Z');
SELECT * FROM aggwin.query_range(NULL::leveled_1d, timestamptz '2024-01-01Z', '2024-01-02Z');
SET ROLE regress_hostile;
ALTER TABLE :state_1 RENAME p1 TO p0;
ALTER TABLE :state_1 RENAME p2 TO p1;
ALTER TABLE :state_1 RENAME p0 TO p2;
ALTER TABLE :delta_1 RENAME p1 TO p0;
ALTER TABLE :delta_1 RENAME p2 TO p1;
ALTER TABLE :delta_1 RENAME p0 TO p2;
ALTER TABLE :state RENAME p1 TO p0;
ALTER TABLE :state RENAME p2 TO p1;
ALTER TABLE :state RENAME p0 TO p2;
ALTER TABLE :delta RENAME p1 TO p0;
ALTER TABLE :delta RENAME p2 TO p1;
ALTER TABLE :delta RENAME p0 TO p2;
RESET ROLE;
SELECT * FROM aggwin.query_range(NULL::leveled_1d, timestamptz '2024-01-01Z', '2024-01-02Z');
INSERT INTO levels SELECT '2024-01-01Z', i, i FROM generate_series(1, 100) AS i;
SELECT big, small FROM leveled_1d ORDER BY b;
SELECT p.* FROM aggwin.rollup, aggwin.rollup_pending(rollup_id, (-1)::smallint) AS p WHERE view = 'leveled'::regclass;
\set VERBOSITY terse
SELECT aggwin.add_column('leveled', 'least', 'min(big)');
\set VERBOSITY default

SET client_min_messages = warning;
DROP SCHEMA rollup_hostile CASCADE;
DROP ROLE regress_hostile, regress_hostile_writer;
SELECT count(*) AS catalog_rows FROM aggwin.rollup;
