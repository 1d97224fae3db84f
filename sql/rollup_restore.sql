-- What restores do to rollups, step by step, and triggers that are gone. Whole
-- dumps are in test/t/025_dump_restore.pl.
\getenv srcdir PG_ABS_SRCDIR
\set helper :srcdir/test/lib/compare.sql
CREATE SCHEMA rollup_restore;
SET search_path = rollup_restore;
\set ECHO none
\i :helper
\set ECHO all
ALTER SEQUENCE aggwin.rollup_rollup_id_seq RESTART 2000;

CREATE TABLE events (ts timestamptz, k text, v int);
CREATE INDEX ON events (ts);
SELECT make_rollup('r', $$SELECT aggwin.time_bucket('1 hour', ts) AS hour, k, count(*) AS n, sum(v) AS v, max(v) AS top FROM events GROUP BY 1, 2$$);
INSERT INTO events SELECT timestamptz '2024-01-01Z' + n * interval '1 minute', n % 3, n FROM generate_series(1, 1000) AS n;
SELECT aggwin.refresh('r');
CREATE VIEW status AS SELECT dormant, pending_deltas, invalid_buckets, rows_folded FROM aggwin.rollup_status;
CREATE VIEW triggers AS SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'events'::regclass;

-- What a dump takes along.
SELECT c::regclass, condition FROM pg_extension, unnest(extconfig, extcondition) AS u (c, condition) WHERE extname = 'aggwin' ORDER BY 1;

-- Rows that are there already are passed over, others begin without a snapshot.
CREATE TEMP TABLE rollup_rows AS TABLE aggwin.rollup;
CREATE TEMP TABLE tier_rows AS TABLE aggwin.tier;
INSERT INTO aggwin.rollup OVERRIDING SYSTEM VALUE TABLE rollup_rows;
INSERT INTO aggwin.tier TABLE tier_rows;
SELECT folded IS NOT NULL AS known FROM aggwin.tier;
UPDATE rollup_rows SET source = 'rollup_rows'::regclass;
\set VERBOSITY terse
INSERT INTO aggwin.rollup OVERRIDING SYSTEM VALUE TABLE rollup_rows;
INSERT INTO aggwin.tier DEFAULT VALUES;
\set VERBOSITY default

-- Where everything else is there, a rollup is taken up with its row.
INSERT INTO events VALUES ('2024-01-01Z', 'pending', 1);
DELETE FROM events WHERE v = 500;
BEGIN;
DELETE FROM aggwin.tier;
INSERT INTO aggwin.tier TABLE tier_rows;
SELECT folded FROM aggwin.tier;
SELECT * FROM status;
SELECT * FROM compare('r');
ROLLBACK;

-- Without an index it is not taken up, by commands or by folds: the view answers from the source,
-- nothing is folded.
SELECT indexrelid::regclass AS index, pg_get_indexdef(indexrelid) AS definition FROM pg_index WHERE indrelid = 'aggwin._delta_2000'::regclass \gset
DROP INDEX :index;
DELETE FROM aggwin.tier;
INSERT INTO aggwin.tier TABLE tier_rows;
ALTER TABLE events DISABLE TRIGGER aggwin_capture_insert;
ALTER TABLE events ENABLE TRIGGER aggwin_capture_insert;
SELECT * FROM status;
SELECT aggwin.captures_everything('events'::regclass), aggwin.is_complete(rollup_id) FROM aggwin.rollup;
SELECT aggwin.refresh('r');
SELECT folded FROM aggwin.tier;
SELECT * FROM compare('r');
-- What happens now and is captured is not lost, even if folds of another cluster had seen the transaction.
INSERT INTO events VALUES ('2024-01-01Z', 'meanwhile', 1);
SELECT * FROM compare('r');
:definition;
SELECT folded FROM aggwin.tier;
SELECT * FROM status;
SELECT * FROM fold_and_compare('r');
SELECT folded::text <> '1:1:' AS by_fold FROM aggwin.tier;
SELECT * FROM status;

-- A fold takes it up as well, for instance where two sessions had restored the last two parts.
SELECT state AS before FROM (SELECT md5(string_agg(s::text, ' ' ORDER BY s::text)) AS state FROM aggwin._state_2000 AS s) AS s \gset
UPDATE aggwin.tier SET folded = NULL;
SELECT aggwin.refresh('r');
SELECT folded FROM aggwin.tier;
SELECT md5(string_agg(s::text, ' ' ORDER BY s::text)) = :'before' AS unchanged FROM aggwin._state_2000 AS s;
SELECT repairs FROM aggwin.tier;
SELECT * FROM fold_and_compare('r');

-- The transactions of a dump may lie in the past and in the future of this cluster.
CREATE PROCEDURE restore(id int) LANGUAGE plpgsql AS $$
BEGIN
	TRUNCATE tier_rows;
	INSERT INTO tier_rows SELECT * FROM aggwin.tier WHERE rollup_id = id;
	DELETE FROM aggwin.tier WHERE rollup_id = id;
	INSERT INTO aggwin.tier TABLE tier_rows;
END
$$;
CREATE PROCEDURE unguard(part regclass) LANGUAGE plpgsql AS $$
BEGIN
	ALTER EVENT TRIGGER aggwin_on_restore DISABLE;
	EXECUTE format('ALTER TABLE %s DISABLE TRIGGER aggwin_guard', part);
	ALTER EVENT TRIGGER aggwin_on_restore ENABLE ALWAYS;
END
$$;
CALL unguard('aggwin._delta_2000');
CALL unguard('aggwin._invalid_2000');
INSERT INTO events SELECT timestamptz '2024-01-01Z' + n * interval '1 hour', 'late', n FROM generate_series(1, 30) AS n;
UPDATE events SET v = v + 1 WHERE k = '1';
UPDATE aggwin._delta_2000 SET xid = CASE WHEN p1 < 15 THEN '3' ELSE '18446744073709551614' END::xid8;
UPDATE aggwin._invalid_2000 SET xid = '18446744073709551614';
CALL restore(2000);
SELECT * FROM status;
SELECT * FROM compare('r');
INSERT INTO events SELECT timestamptz '2024-01-01Z' + n * interval '1 hour', 'later', n FROM generate_series(1, 30) AS n;
UPDATE events SET v = v + 1 WHERE k = '2';
SELECT * FROM compare('r');
SELECT * FROM fold_and_compare('r');
SELECT * FROM status;

-- A dump without the rollup's rows: of a schema only, or with these tables left out.
SELECT make_rollup('empty', $$SELECT aggwin.time_bucket('1 hour', ts) AS hour, count(*) AS n FROM events GROUP BY 1$$);
SELECT aggwin.refresh('empty');
CALL unguard('aggwin._state_2001');
TRUNCATE aggwin._state_2001;
SELECT * FROM compare('empty');
CALL restore(2001);
SELECT rows_folded, watermark FROM aggwin.tier WHERE rollup_id = 2001;
SELECT * FROM compare('empty');
SELECT * FROM fold_and_compare('empty');
SELECT rows_folded, watermark FROM aggwin.tier WHERE rollup_id = 2001;
SELECT aggwin.drop_rollup('empty');
DROP VIEW empty_plain;
-- Guards -------------------------------------------------------------------------------------

-- Folds are not noticed,
ALTER TABLE aggwin._delta_2000 ENABLE TRIGGER aggwin_guard;
ALTER TABLE aggwin._invalid_2000 ENABLE TRIGGER aggwin_guard;
INSERT INTO events VALUES ('2024-01-01Z', 'guarded', 1);
SELECT aggwin.refresh('r');
SELECT invalid_buckets FROM status;
-- other writers are, in all three tables.
CREATE FUNCTION guarded(command text) RETURNS TABLE (noticed boolean, differences bigint) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN QUERY SELECT s.invalid_buckets IS NULL, c.differences FROM status AS s, compare('r') AS c;
	RAISE EXCEPTION 'back' USING errcode = 'P0099';
EXCEPTION WHEN SQLSTATE 'P0099' THEN
	NULL;
END
$$;
SELECT command, g.* FROM (VALUES
	('UPDATE aggwin._state_2000 SET n = n + 1'),
	('UPDATE aggwin._state_2000 SET n = n + 1 WHERE false'),
	('DELETE FROM aggwin._state_2000'),
	('TRUNCATE aggwin._state_2000'),
	('INSERT INTO aggwin._state_2000 (bucket, k1, n) VALUES (now(), ''x'', 1)'),
	('INSERT INTO aggwin._delta_2000 (bucket, k1, n, captured_at, xid) VALUES (now(), ''x'', 1, now(), pg_current_xact_id())'),
	('DELETE FROM aggwin._delta_2000'),
	('TRUNCATE aggwin._invalid_2000'),
	('DELETE FROM aggwin._invalid_2000'),
	('UPDATE aggwin._invalid_2000 SET spans = ''{}'''),
	('INSERT INTO aggwin._invalid_2000 VALUES (''i'', 0, ''{(,)}'', true, NULL, NULL, NULL, now(), pg_current_xact_id())')) AS c (command),
	guarded(command) AS g;
-- Restores of data disable all triggers of a table first.
BEGIN;
ALTER TABLE aggwin._state_2000 DISABLE TRIGGER ALL;
ALTER TABLE aggwin.rollup DISABLE TRIGGER ALL;
ALTER TABLE aggwin.tier DISABLE TRIGGER aggwin_restore;
SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger
WHERE tgrelid IN ('aggwin.rollup'::regclass, 'aggwin.tier'::regclass, 'aggwin._state_2000'::regclass) AND NOT tgisinternal ORDER BY tgrelid, tgname;
SET session_replication_role = replica;
UPDATE aggwin._state_2000 SET n = n + 1;
RESET session_replication_role;
SELECT invalid_buckets IS NULL AS noticed FROM status;
COMMIT;
SELECT * FROM fold_and_compare('r');
-- Nobody else's table.
CREATE TABLE unguarded (v int);
CREATE TRIGGER guard BEFORE INSERT ON unguarded FOR EACH STATEMENT EXECUTE FUNCTION aggwin.guard('_invalid_2000');
INSERT INTO unguarded VALUES (1);
CREATE TRIGGER restored BEFORE INSERT ON unguarded FOR EACH ROW EXECUTE FUNCTION aggwin.restore_tier();
INSERT INTO unguarded VALUES (1);
DROP TRIGGER restored ON unguarded;
CREATE TRIGGER restored BEFORE INSERT ON unguarded FOR EACH ROW EXECUTE FUNCTION aggwin.restore_rollup();
INSERT INTO unguarded VALUES (1);
SELECT * FROM unguarded;
SELECT invalid_buckets FROM status;
DROP TABLE unguarded;

-- Triggers that are dropped ------------------------------------------------------------------

DROP TRIGGER aggwin_capture_insert ON events;
INSERT INTO events VALUES ('2024-01-01Z', 'not captured', 1);
SELECT dormant, invalid_buckets FROM status;
SELECT * FROM fold_and_compare('r');
SELECT * FROM triggers ORDER BY 1;
CREATE ROLE regress_rollup_adopter;
GRANT USAGE ON SCHEMA rollup_restore TO regress_rollup_adopter;
SET ROLE regress_rollup_adopter;
SELECT aggwin.adopt_rollups();
RESET ROLE;
SELECT aggwin.adopt_rollups();
SELECT * FROM triggers ORDER BY 1;
SELECT dormant, invalid_buckets FROM status;
SELECT * FROM fold_and_compare('r');
SELECT aggwin.adopt_rollups();
-- All of them, and one that is disabled only; for its owner, who needs the privilege to.
ALTER VIEW r OWNER TO regress_rollup_adopter;
GRANT SELECT ON events, status, r, r_plain, triggers TO regress_rollup_adopter;
DROP TRIGGER IF EXISTS aggwin_capture_insert ON events;
DROP TRIGGER aggwin_capture_update ON events;
DROP TRIGGER aggwin_capture_delete ON events CASCADE;
ALTER TABLE events DISABLE TRIGGER ALL;
TRUNCATE events;
INSERT INTO events VALUES ('2024-01-01Z', 'not captured', 1);
SET ROLE regress_rollup_adopter;
SELECT aggwin.adopt_rollups();
RESET ROLE;
GRANT TRIGGER ON events TO regress_rollup_adopter;
SET ROLE regress_rollup_adopter;
BEGIN READ ONLY;
SELECT aggwin.adopt_rollups();
ROLLBACK;
SELECT aggwin.adopt_rollups();
RESET ROLE;
INSERT INTO events VALUES ('2024-01-01Z', 'captured', 1);
SELECT * FROM triggers ORDER BY 1;
SELECT dormant, invalid_buckets FROM status;
SELECT * FROM fold_and_compare('r');
-- A restored rollup that was left without triggers for long is not trusted.
CALL unguard('aggwin._invalid_2000');
ALTER TABLE events DISABLE TRIGGER aggwin_capture_insert;
CALL restore(2000);
TRUNCATE aggwin._invalid_2000;
INSERT INTO events VALUES ('2024-01-01Z', 'not captured', 1);
SELECT * FROM compare('r');
SELECT aggwin.adopt_rollups();
SELECT * FROM fold_and_compare('r');
ALTER VIEW r OWNER TO CURRENT_USER;
DROP OWNED BY regress_rollup_adopter;
DROP ROLE regress_rollup_adopter;

-- The extension stays where it is.
ALTER EXTENSION aggwin SET SCHEMA rollup_restore;

SET client_min_messages = warning;
DROP SCHEMA rollup_restore CASCADE;
SELECT count(*) AS catalog_rows FROM aggwin.rollup;
