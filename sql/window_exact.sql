-- Window outputs: queries that find rows where nothing is, boards that empty by a
-- correction, outputs whose owner has changed the table.
CREATE SCHEMA window_exact;
SET search_path = window_exact, aggwin;
SET timezone = 'UTC';
ALTER SEQUENCE aggwin.window_window_id_seq RESTART 2000;
CREATE TABLE readings (ts timestamptz, sensor text, value int);
SELECT create_rollup('seconds', 'SELECT aggwin.time_bucket(''1 second'', ts) AS bucket, sensor, count(*) AS n, sum(value) AS s FROM readings GROUP BY 1, 2');
CREATE FUNCTION reading(second int, sensor text, value int = 1) RETURNS void LANGUAGE sql AS $$
	INSERT INTO readings VALUES (timestamptz '2026-03-01 12:00Z' + second * interval '1 second', sensor, value) $$;

-- A window may have panes and no rows, and the next one rows of the same panes.
SELECT create_window('high', 'SELECT sum(s) / sum(n) AS mean FROM seconds HAVING sum(s) / sum(n) > 10', '10 seconds', '1 second', idle_timeout => '10 days');
SELECT reading(3, 'a', 1), reading(9, 'a', 18), reading(30, 'a', 0);
SELECT close_windows();
SELECT window_start::time, mean FROM high ORDER BY 1;
-- the plain query over the same windows
SELECT (timestamptz '2026-03-01 12:00Z' + g * interval '1 second')::time AS window_start, sum(value) / count(*) AS mean
FROM generate_series(-10, 20) AS g
JOIN readings ON ts >= timestamptz '2026-03-01 12:00Z' + g * interval '1 second' AND ts < timestamptz '2026-03-01 12:00Z' + (g + 10) * interval '1 second'
GROUP BY g HAVING sum(value) / count(*) > 10 ORDER BY g;
SELECT drop_window('high');

-- Who is silent? Also in windows in which all are.
CREATE TABLE sensor (sensor text);
INSERT INTO sensor VALUES ('a'), ('b');
SELECT create_window('silent', 'SELECT sensor FROM sensor AS s WHERE NOT EXISTS (SELECT FROM seconds AS r WHERE r.sensor = s.sensor) ORDER BY 1', '10 seconds', idle_timeout => '10 days');
SELECT reading(45, 'b'), reading(90, 'a');
SELECT close_windows();
SELECT window_start::time, rank, sensor FROM silent ORDER BY 1, 2;
SELECT drop_window('silent');

-- A correction fills a board; the empty window after it is told of.
SELECT create_window('board', 'SELECT sensor, sum(n) AS n FROM seconds GROUP BY 1 ORDER BY 2 DESC, 1', '10 seconds', emit => 'changes', idle_timeout => '10 days');
SELECT reading(100, 'a'), reading(120, 'a');
SELECT close_windows('board');
SELECT position, window_start::time, revision, rank, op, "row" FROM changes_since('board', 0) ORDER BY 1, 4;
SELECT reading(115, 'b'), reading(141, 'a');
SELECT close_windows('board');
SELECT position, window_start::time, revision, rank, op, "row" FROM changes_since('board', 0) ORDER BY 1, 4;

-- The first window is within retention, whatever comes first.
CREATE TABLE old (ts timestamptz, n int);
SELECT create_rollup('old_1s', 'SELECT aggwin.time_bucket(''1 second'', ts) AS bucket, count(*) AS n FROM old GROUP BY 1');
SELECT create_window('old_board', 'SELECT sum(n) AS n FROM old_1s HAVING sum(n) > 0', '10 seconds', retention => '1 minute', idle_timeout => '10000 days');
INSERT INTO old VALUES ('1970-01-01', 1), ('2026-03-01 12:00:00Z', 1), ('2026-03-01 12:00:30Z', 1);
SELECT close_windows('old_board');
SELECT "window", closed, skipped FROM windows WHERE "window" = 'old_board'::regclass;

-- What is attached again touches no window beyond the last.
CREATE TABLE parts (ts timestamptz, n int) PARTITION BY RANGE (ts);
CREATE TABLE parts_all PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('294276-12-31 23:59:59');
SELECT create_rollup('parts_1s', 'SELECT aggwin.time_bucket(''1 second'', ts) AS bucket, count(*) AS n FROM parts GROUP BY 1');
SELECT create_window('parts_board', 'SELECT sum(n) AS n FROM parts_1s HAVING sum(n) > 0', '10 seconds', emit => 'changes', idle_timeout => '10000 days');
INSERT INTO parts VALUES ('2026-03-01 12:00:00Z', 1), ('2026-03-01 12:00:10Z', 1);
SELECT close_windows('parts_board');
ALTER TABLE parts DETACH PARTITION parts_all;
INSERT INTO parts_all VALUES ('2026-03-01 12:00:05Z', 1);
ALTER TABLE parts ATTACH PARTITION parts_all FOR VALUES FROM ('2026-01-01') TO ('294276-12-31 23:59:59');
SELECT close_windows('parts_board');
SELECT window_start::time, revision, op, n FROM parts_board ORDER BY 1, 2;

-- A rollup whose triggers are disabled does not tell of changes: its windows wait.
ALTER TABLE old DISABLE TRIGGER ALL;
INSERT INTO old VALUES ('2026-03-01 12:00:31Z', 1), ('2026-03-01 12:01:00Z', 1);
SELECT close_windows('old_board');
ALTER TABLE old ENABLE TRIGGER ALL;
SELECT refresh('old_1s');
SELECT close_windows('old_board');
SELECT window_start::time, n FROM old_board ORDER BY 1;

-- The owner changes the table ---------------------------------------------------

SELECT window_start::time, rank, n FROM window_at(NULL::old_board, timestamptz '2026-03-01 12:00:40Z');
DROP VIEW old_board_latest;
ALTER TABLE old_board ALTER n TYPE text;
SELECT * FROM window_at(NULL::old_board, timestamptz '2026-03-01 12:00:40Z');
ALTER TABLE old_board ADD more int;
SELECT * FROM window_at(NULL::old_board, timestamptz '2026-03-01 12:00:40Z');
CREATE ROLE regress_window_reader;
GRANT USAGE ON SCHEMA window_exact TO regress_window_reader;
GRANT SELECT ON board TO regress_window_reader;
ALTER TABLE board ENABLE ROW LEVEL SECURITY;
CREATE POLICY only_b ON board USING (sensor = 'b');
SET ROLE regress_window_reader;
SELECT count(*) FROM board;
SELECT * FROM window_at(NULL::board, timestamptz '2026-03-01 12:02:00Z');
RESET ROLE;

-- No step in a step
CREATE FUNCTION step() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM aggwin.close_windows(); RETURN NULL; END $$;
CREATE TRIGGER step AFTER INSERT ON board EXECUTE FUNCTION step();
SELECT reading(160, 'a'), reading(180, 'a');
\set VERBOSITY terse
SELECT close_windows('board');
\set VERBOSITY default
SET client_min_messages = error;
DROP SCHEMA window_exact CASCADE;
DROP ROLE regress_window_reader;
