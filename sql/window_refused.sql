-- Window outputs: what create_window() and the other functions refuse, and how;
-- who may do what; what becomes of a window whose relations are dropped.
CREATE SCHEMA window_refused;
SET search_path = window_refused, aggwin;
SET timezone = 'UTC';
ALTER SEQUENCE aggwin.window_window_id_seq RESTART 1000;
SET intervalstyle = 'postgres';
\set SHOW_CONTEXT never
CREATE TABLE plays (ts timestamptz, t timestamp, d date, i bigint, song text, p point);
CREATE VIEW no_rollup AS SELECT * FROM plays;
SELECT create_rollup('plays_1s', 'SELECT aggwin.time_bucket(''1 second'', ts) AS bucket, song, count(*) AS n FROM plays GROUP BY 1, 2', tiers => '{1 minute}');
SELECT create_rollup('other', 'SELECT aggwin.time_bucket(''1 second'', ts) AS bucket, count(*) AS n FROM plays GROUP BY 1');
SELECT create_rollup('days', 'SELECT aggwin.time_bucket(''1 day'', d) AS day, count(*) AS n FROM plays GROUP BY 1');
SELECT create_rollup('numbers', 'SELECT aggwin.time_bucket(10, i) AS ten, count(*) AS n FROM plays GROUP BY 1');
SELECT create_rollup('months', 'SELECT aggwin.time_bucket(''1 month'', ts) AS month, count(*) AS n FROM plays GROUP BY 1');
SELECT create_rollup('zone', 'SELECT aggwin.time_bucket(''1 day'', ts, ''Europe/Berlin'') AS day, count(*) AS n FROM plays GROUP BY 1');
SELECT create_rollup('hidden', 'SELECT song, count(*) AS n FROM plays GROUP BY aggwin.time_bucket(''1 second'', ts), song');
\set q '''SELECT song, sum(n) AS n FROM plays_1s GROUP BY song'''

-- Arguments --------------------------------------------------------------------

SELECT create_window(NULL, :q, '10 s');
SELECT create_window('w', NULL, '10 s');
SELECT create_window('w', :q, NULL);
SELECT create_window('w', :q, '10 s', grace => NULL);
SELECT create_window('w', :q, '10 s', emit => NULL);
SELECT create_window('w', :q, '10 s', notify => NULL);
SELECT create_window('w', :q, '10 s', retention => NULL);
SELECT create_window('w', :q, '10 s', idle_timeout => NULL);
SELECT create_window('w', :q, '0');
SELECT create_window('w', :q, '-10 s');
SELECT create_window('w', :q, '1 month');
SELECT create_window('w', :q, '400000000 days');
SELECT create_window('w', :q, '10 s', '0');
SELECT create_window('w', :q, '10 s', '11 s');
SELECT create_window('w', :q, '10.5 s');
SELECT create_window('w', :q, '10 s', '0.5 s');
SELECT create_window('w', 'SELECT n FROM plays_1s_1m', '90 s');
SELECT create_window('w', :q, '10 s', grace => '-1 s');
SELECT create_window('w', :q, '10 s', grace => '1 year');
SELECT create_window('w', :q, '10 s', emit => 'everything');
SELECT create_window('w', :q, '10 s', retention => '0');
SELECT create_window('w', :q, '10 s', idle_timeout => '0');
SELECT create_window('plays', :q, '10 s');
SELECT create_window('no_such_schema.w', :q, '10 s');
CREATE VIEW taken_latest AS SELECT 1;
SELECT create_window('taken', :q, '10 s');
SELECT create_window('w', :q, '10 s', keys => '{plays}');
SELECT create_window('w', :q, '10 s', keys => '{song, NULL}');
SELECT create_window('w', 'SELECT song, p FROM plays_1s, (SELECT point(1, 2) AS p) AS p', '10 s', keys => '{p}');
SELECT create_window(repeat('n', 60), :q, '10 s');

-- Queries ----------------------------------------------------------------------

SELECT create_window('w', '', '10 s');
SELECT create_window('w', 'SELECT', '10 s');
SELECT create_window('w', 'SELECT song FROM', '10 s');
SELECT create_window('w', 'SELECT song FROM plays_1s; SELECT 1', '10 s');
SELECT create_window('w', 'SELECT nothing FROM plays_1s', '10 s');
SELECT create_window('w', 'DELETE FROM plays', '10 s');
SELECT create_window('w', 'VALUES (1)', '10 s');
SELECT create_window('w', 'WITH d AS (DELETE FROM plays RETURNING *) SELECT d.song FROM d, plays_1s', '10 s');
SELECT create_window('w', 'SELECT song INTO x FROM plays_1s', '10 s');
SELECT create_window('w', 'SELECT song, n FROM plays_1s FOR UPDATE', '10 s');
SELECT create_window('w', 'SELECT 1 AS one', '10 s');
SELECT create_window('w', 'SELECT song FROM plays', '10 s');
SELECT create_window('w', 'SELECT song FROM no_rollup', '10 s');
SELECT create_window('w', 'SELECT a.n FROM plays_1s AS a, other AS b', '10 s');
SELECT create_window('w', 'SELECT a.n FROM plays_1s AS a WHERE EXISTS (SELECT FROM plays_1s_1m)', '10 s');
SELECT create_window('w', 'SELECT song, random() AS r FROM plays_1s', '10 s');
SELECT create_window('w', 'SELECT song, n FROM plays_1s WHERE n > $1', '10 s');
SELECT create_window('w', 'SELECT FROM plays_1s', '10 s');
SELECT create_window('w', 'SELECT song, n + 1 FROM plays_1s', '10 s');
SELECT create_window('w', 'SELECT song, song FROM plays_1s', '10 s');
SELECT create_window('w', 'SELECT song, n AS rank FROM plays_1s', '10 s');
SELECT create_window('w', 'SELECT song AS window_start FROM plays_1s', '10 s');
SELECT create_window('w', 'SELECT bucket AS emitted_at FROM plays_1s', '10 s');
SELECT create_window('w', 'SELECT n FROM days', '1 day');
SELECT create_window('w', 'SELECT n FROM numbers', '10 s');
SELECT create_window('w', 'SELECT n FROM months', '30 days');
SELECT create_window('w', 'SELECT n FROM zone', '1 day');
SELECT create_window('w', 'SELECT n FROM hidden', '10 s');
SELECT count(*) FROM aggwin.window;
SELECT relname FROM pg_class WHERE relnamespace = 'aggwin'::regnamespace AND relname ~ '^_(window|panes)';

-- Other functions --------------------------------------------------------------

SELECT create_window('w', :q, '10 s', idle_timeout => '10 days');
SELECT create_window('w', :q, '10 s');
SELECT create_window('over_w', 'SELECT song FROM w', '10 s');
SELECT alter_window(NULL, grace => '1 s');
SELECT alter_window('plays', grace => '1 s');
SELECT alter_window('w', grace => '-1 s');
SELECT alter_window('w', grace => '1 month');
SELECT alter_window('w', emit => 'nothing');
SELECT alter_window('w', retention => '0');
SELECT alter_window('w', idle_timeout => '-1 s');
SELECT drop_window(NULL);
SELECT drop_window('plays_1s');
SELECT drop_window('w_latest');
SELECT pause_window('plays');
SELECT resume_window(NULL);
SELECT close_windows('plays');
SELECT current_window_start();
SELECT 'aggwin._panes_' || window_id AS panes FROM aggwin.window \gset
SELECT * FROM :panes;
BEGIN READ ONLY;
SELECT create_window('v', :q, '10 s');
ROLLBACK;
BEGIN READ ONLY;
SELECT pause_window('w');
ROLLBACK;
BEGIN READ ONLY;
SELECT drop_window('w');
ROLLBACK;
SELECT aggwin.on_window_drop();

-- Its table is the user's, within limits -----------------------------------------

INSERT INTO plays (song) VALUES ('no time');
INSERT INTO plays (ts, song) VALUES ('2026-03-01 12:00:01Z', 'a'), ('2026-03-01 12:00:10Z', 'b');
SELECT close_windows();
CREATE INDEX ON w (song);
ALTER TABLE w ADD COLUMN note text DEFAULT 'n';
INSERT INTO plays (ts, song) VALUES ('2026-03-01 12:00:21Z', 'a');
SELECT close_windows();
SELECT window_start, rank, song, n, note FROM w ORDER BY 1, 2;
SELECT window_start, rank, song, n FROM w_latest;
ALTER TABLE w DROP COLUMN note;
ALTER TABLE w RENAME COLUMN window_start TO began;
INSERT INTO plays (ts, song) VALUES ('2026-03-01 12:00:31Z', 'a');
SELECT close_windows();
ALTER TABLE w RENAME COLUMN began TO window_start;
SELECT close_windows();
ALTER TABLE w RENAME TO renamed;
SELECT "window", channel FROM windows;
INSERT INTO plays (ts, song) VALUES ('2026-03-01 12:00:41Z', 'a');
SELECT close_windows('renamed');
SELECT count(*) FROM renamed;
SELECT count(*) FROM changes_since('renamed');
ALTER TABLE renamed RENAME TO w;

-- Dropped ------------------------------------------------------------------------

CREATE VIEW reader AS SELECT * FROM w_latest;
SELECT drop_window('w');
DROP VIEW reader;
CREATE VIEW reader AS SELECT * FROM w;
SELECT drop_window('w');
DROP TABLE w;
SELECT count(*) AS there FROM aggwin.window;
DROP VIEW reader;
SELECT drop_window('w');
SELECT count(*) AS there FROM aggwin.window;
SELECT relname FROM pg_class WHERE relnamespace = 'aggwin'::regnamespace AND relname ~ '^_(window|panes)';
SET client_min_messages = warning;
SELECT create_window('w', :q, '10 s', idle_timeout => '10 days');
INSERT INTO plays (ts, song) VALUES ('2026-03-01 12:00:51Z', 'a');
DROP TABLE w CASCADE;
SELECT count(*) AS there FROM aggwin.window;
-- the rollup with a window: not by itself, but with CASCADE
SELECT create_window('w', :q, '10 s');
SELECT create_window('w2', 'SELECT n FROM plays_1s_1m', '5 min');
\set VERBOSITY terse
SELECT drop_rollup('plays_1s');
DROP VIEW plays_1s;
DROP TABLE plays;
\set VERBOSITY default
SELECT count(*) AS there FROM aggwin.window;
DROP VIEW plays_1s CASCADE;
SELECT count(*) AS there FROM aggwin.window;
SELECT to_regclass('w'), to_regclass('w_latest'), to_regclass('w2');
SELECT create_rollup('plays_1s', 'SELECT aggwin.time_bucket(''1 second'', ts) AS bucket, song, count(*) AS n FROM plays GROUP BY 1, 2');
-- a lookup table that the query joins, and dropping it all
CREATE TABLE titles (song text, title text);
SELECT create_window('titled', 'SELECT title, n FROM plays_1s JOIN titles USING (song)', '10 s');
\set VERBOSITY terse
DROP TABLE titles;
\set VERBOSITY default
DROP TABLE titles CASCADE;
SELECT count(*) AS there FROM aggwin.window;
SELECT to_regclass('titled');
RESET client_min_messages;

-- Who may ------------------------------------------------------------------------

CREATE ROLE regress_window_maker;
CREATE ROLE regress_window_reader;
CREATE ROLE regress_window_other;
GRANT USAGE ON SCHEMA window_refused TO PUBLIC;
SET ROLE regress_window_maker;
SELECT create_window('window_refused.mine', 'SELECT song, sum(n) AS n FROM window_refused.plays_1s GROUP BY song ORDER BY song', '10 s');
RESET ROLE;
GRANT CREATE ON SCHEMA window_refused TO regress_window_maker;
SET ROLE regress_window_maker;
SELECT create_window('window_refused.mine', 'SELECT song, sum(n) AS n FROM window_refused.plays_1s GROUP BY song ORDER BY song', '10 s');
RESET ROLE;
GRANT SELECT ON plays_1s TO regress_window_maker;
SET ROLE regress_window_maker;
SELECT create_window('window_refused.mine', 'SELECT song, sum(n) AS n FROM window_refused.plays_1s GROUP BY song ORDER BY song', '10 s', idle_timeout => '10 days', emit => 'changes');
RESET ROLE;
SELECT "window", owner FROM windows ORDER BY owner;
SELECT regexp_replace(relname, '\d+', 'N') AS name, relowner::regrole FROM pg_class WHERE relname ~ '^_(panes|window)_\d|^mine' AND relkind IN ('r', 'v') ORDER BY relname;
INSERT INTO plays (ts, song) VALUES ('2026-03-01 13:00:01Z', 'a'), ('2026-03-01 13:00:10Z', 'b');
SELECT 'aggwin._window_' || window_id AS definition FROM aggwin.window WHERE output = 'mine'::regclass \gset
-- another role closes none of it, reads none of it, changes none of it
SET ROLE regress_window_other;
SELECT close_windows();
SELECT close_windows('mine');
SELECT alter_window('mine', grace => '1 s');
SELECT pause_window('mine');
SELECT resume_window('mine');
SELECT drop_window('mine');
SELECT * FROM mine;
SELECT * FROM mine_latest;
SELECT * FROM changes_since('mine');
SELECT * FROM window_at(NULL::mine, now());
SELECT * FROM :definition;
SELECT "window", owner, closed FROM windows ORDER BY owner;
SELECT * FROM aggwin.window_failure;
RESET ROLE;
SET ROLE regress_window_maker;
SELECT close_windows();
SELECT song, n FROM mine;
SELECT song, n FROM mine_latest;
GRANT SELECT ON mine TO regress_window_reader;
SET ROLE regress_window_reader;
SELECT song, n FROM mine;
SELECT song, n FROM mine_latest;
SELECT song, n FROM window_at(NULL::mine, timestamptz '2026-03-01 13:00:10Z');
SELECT position, op, "row" FROM changes_since('mine');
SELECT close_windows('mine');
RESET ROLE;
REVOKE SELECT ON mine FROM regress_window_reader;
GRANT SELECT ON mine_latest TO regress_window_reader;
SET ROLE regress_window_reader;
SELECT song, n FROM mine;
SELECT song, n FROM mine_latest;
RESET ROLE;
-- without the right to read any more, nothing is published, and nothing lost
REVOKE SELECT ON plays_1s FROM regress_window_maker;
INSERT INTO plays (ts, song) VALUES ('2026-03-01 13:00:20Z', 'c');
SELECT close_windows('mine');
GRANT SELECT ON plays_1s TO regress_window_maker;
SELECT close_windows('mine');
SELECT song, n FROM mine ORDER BY window_start;
-- code of the author runs as the author, whoever closes
CREATE FUNCTION whoami(text) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN current_user; END $$;
CREATE FUNCTION sets(text) RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN PERFORM set_config('work_mem', '77MB', false); RETURN current_setting('search_path'); END $$;
SET ROLE regress_window_maker;
SELECT create_window('window_refused.who', 'SELECT song, window_refused.whoami(song) AS me, window_refused.sets(song) AS path FROM window_refused.plays_1s', '10 s', idle_timeout => '10 days');
RESET ROLE;
INSERT INTO plays (ts, song) VALUES ('2026-03-01 13:00:30Z', 'd');
SELECT close_windows();
SELECT song, me, path FROM who ORDER BY window_start;
SELECT current_setting('work_mem') = '77MB' AS left_over;
-- given to another owner
ALTER TABLE mine OWNER TO regress_window_other;
INSERT INTO plays (ts, song) VALUES ('2026-03-01 13:00:40Z', 'e');
SELECT close_windows();
GRANT SELECT ON plays_1s TO regress_window_other;
SELECT close_windows();
SELECT regexp_replace(relname, '\d+', 'N') AS name, relowner::regrole FROM pg_class WHERE relname ~ '^_(panes|window)_\d|^mine' AND relkind IN ('r', 'v') ORDER BY relname;
SELECT song, n FROM mine_latest;
-- a rule of the owner that keeps rows from the table
CREATE RULE swallow AS ON INSERT TO mine DO INSTEAD NOTHING;
INSERT INTO plays (ts, song) VALUES ('2026-03-01 13:00:50Z', 'f');
\set VERBOSITY terse
SELECT close_windows('mine');
\set VERBOSITY default
DROP RULE swallow ON mine;
SELECT close_windows('mine');
SELECT song, n FROM mine_latest;

SET client_min_messages = warning;
DROP SCHEMA window_refused CASCADE;
DROP ROLE regress_window_maker, regress_window_reader, regress_window_other;
SELECT count(*) AS there FROM aggwin.window;
