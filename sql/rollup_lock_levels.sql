-- Which locks everything takes; the table in doc/internals.md says the same.
CREATE SCHEMA rollup_lock_levels;
SET search_path = rollup_lock_levels;
SET timezone = 'UTC';

CREATE TABLE events (ts timestamptz, k text, v int) PARTITION BY RANGE (ts);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2024-01-01Z') TO ('2024-02-01Z');
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2024-02-01Z') TO ('2024-03-01Z');
INSERT INTO events SELECT timestamptz '2024-01-01Z' + n * interval '7 hours', n % 2, n FROM generate_series(1, 100) AS n;
SELECT aggwin.create_rollup('r', 'SELECT aggwin.time_bucket(''1 hour'', ts) AS hour, k, count(*) AS n, max(v) AS v FROM events GROUP BY 1, 2',
	tiers => '{1 day}');
SELECT aggwin.refresh('r_1d');

-- The strongest lock that this transaction has on each table and rollup.
CREATE TABLE known AS
SELECT r.view::oid AS id, 'r' AS name FROM aggwin.rollup AS r
UNION ALL SELECT r.source, 'source' FROM aggwin.rollup AS r
UNION ALL SELECT 'events_1'::regclass, 'partition 1'
UNION ALL SELECT 'events_2'::regclass, 'partition 2'
UNION ALL SELECT r.definition, 'definition' FROM aggwin.rollup AS r
UNION ALL SELECT r.state, 'state' FROM aggwin.rollup AS r
UNION ALL SELECT r.delta, 'delta' FROM aggwin.rollup AS r
UNION ALL SELECT r.invalid, 'invalid' FROM aggwin.rollup AS r
UNION ALL SELECT t.view, 'r_1d' FROM aggwin.tier AS t WHERE level = 1
UNION ALL SELECT t.state, 'state of r_1d' FROM aggwin.tier AS t WHERE level = 1
UNION ALL SELECT t.delta, 'delta of r_1d' FROM aggwin.tier AS t WHERE level = 1;
CREATE FUNCTION locks(weakest int DEFAULT 1, OUT mode text, OUT tables text) RETURNS SETOF record LANGUAGE sql AS $$
	SELECT (ARRAY['AccessShare', 'RowShare', 'RowExclusive', 'ShareUpdateExclusive', 'Share', 'ShareRowExclusive', 'Exclusive', 'AccessExclusive'])[l.level],
		string_agg(l.name, ', ' ORDER BY l.name COLLATE "C")
	FROM (
		SELECT coalesce(k.name, 'rollup') AS name, max(array_position(ARRAY['AccessShareLock', 'RowShareLock', 'RowExclusiveLock', 'ShareUpdateExclusiveLock',
			'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock'], p.mode)) AS level
		FROM pg_locks AS p LEFT JOIN known AS k ON p.locktype = 'relation' AND p.relation = k.id
		WHERE p.pid = pg_backend_pid() AND p.granted
			AND (k.id IS NOT NULL OR p.locktype = 'object' AND p.classid = 'aggwin.rollup'::regclass)
		GROUP BY 1) AS l
	WHERE l.level >= weakest
	GROUP BY l.level ORDER BY l.level
$$;

-- Readers
BEGIN;
SELECT count(*) FROM r;
SELECT * FROM locks();
ROLLBACK;
BEGIN;
SELECT count(*) FROM r_1d;
SELECT * FROM locks();
ROLLBACK;
BEGIN;
SELECT count(*) FROM aggwin.query_range(NULL::r, timestamptz '2024-01-01Z', '2024-02-01Z', step => '1 day');
SELECT * FROM locks();
ROLLBACK;

-- Writers; what they look up when they meet a rollup for the first time takes AccessShare.
BEGIN;
INSERT INTO events VALUES ('2024-01-01Z', 'a', 1);
SELECT * FROM locks(2);
ROLLBACK;
BEGIN;
INSERT INTO events_1 VALUES ('2024-01-01Z', repeat('a', 2000), 1);
SELECT * FROM locks(2);
ROLLBACK;
BEGIN;
DELETE FROM events_1 WHERE v = 1;
SELECT * FROM locks(2);
ROLLBACK;
BEGIN;
UPDATE events_1 SET v = v + 1 WHERE v = 1;
SELECT * FROM locks(2);
ROLLBACK;
BEGIN;
TRUNCATE events_1;
SELECT * FROM locks(2);
ROLLBACK;

-- Folds: with nothing to do, of the base, of both, with repairs.
BEGIN;
SELECT aggwin.refresh('r');
SELECT * FROM locks();
ROLLBACK;
INSERT INTO events VALUES ('2024-01-01Z', 'a', 1);
BEGIN;
SELECT aggwin.refresh('r');
SELECT * FROM locks();
ROLLBACK;
DELETE FROM events WHERE v = 1;
BEGIN;
SELECT aggwin.refresh('r_1d');
SELECT * FROM locks();
ROLLBACK;

-- What changes rollups
BEGIN;
SELECT aggwin.create_rollup('other', 'SELECT aggwin.time_bucket(''1 hour'', ts) AS hour, count(*) AS n FROM events GROUP BY 1');
SELECT * FROM locks();
ROLLBACK;
BEGIN;
SELECT aggwin.add_column('r', 's', 'sum(v)');
SELECT * FROM locks();
ROLLBACK;
BEGIN;
SELECT aggwin.add_tier('r', interval '2 days');
SELECT * FROM locks();
ROLLBACK;
BEGIN;
SELECT aggwin.drop_tier('r_1d');
SELECT * FROM locks();
ROLLBACK;
BEGIN;
SELECT aggwin.alter_rollup('r', retention => '1 year');
SELECT * FROM locks();
ROLLBACK;
BEGIN;
SELECT aggwin.alter_rollup('r', lateness => '1 year', late => 'drop');
SELECT aggwin.alter_rollup('r', late => 'merge');
SELECT * FROM locks();
ROLLBACK;
BEGIN;
SELECT aggwin.set_tier('r_1d', retention => '1 year');
SELECT * FROM locks();
ROLLBACK;
BEGIN;
SELECT aggwin.pause_rollup('r');
SELECT aggwin.resume_rollup('r');
SELECT * FROM locks();
ROLLBACK;
BEGIN;
SELECT aggwin.invalidate('r', timestamptz '2024-01-01Z', '2024-01-02Z');
SELECT * FROM locks();
ROLLBACK;
BEGIN;
SELECT aggwin.drop_rollup('r');
SELECT * FROM locks();
ROLLBACK;

-- And what adopts them
ALTER TABLE events DISABLE TRIGGER aggwin_capture_insert;
BEGIN;
SELECT aggwin.adopt_rollups();
SELECT * FROM locks();
ROLLBACK;

SET client_min_messages = warning;
DROP SCHEMA rollup_lock_levels CASCADE;
SELECT count(*) AS catalog_rows FROM aggwin.rollup;
