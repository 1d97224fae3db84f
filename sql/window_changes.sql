-- Window outputs: late changes, revisions, positions, retention.
CREATE SCHEMA window_changes;
SET search_path = window_changes, aggwin;
SET timezone = 'UTC';
ALTER SEQUENCE aggwin.window_window_id_seq RESTART 1000;
\set SHOW_CONTEXT never
CREATE TABLE plays (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ts timestamptz, song text);
SELECT create_rollup('plays_1s', 'SELECT aggwin.time_bucket(''1 second'', ts) AS bucket, song, count(*) AS n FROM plays GROUP BY 1, 2', tiers => '{1 minute}');
CREATE FUNCTION play(s numeric, song text, times int = 1) RETURNS void LANGUAGE sql AS $$
	INSERT INTO plays (ts, song) SELECT timestamptz '2026-03-01 12:00Z' + s * interval '1 second', song FROM generate_series(1, times) $$;
-- the time of a position, seconds after noon
CREATE FUNCTION s(ts timestamptz) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT extract(epoch FROM ts - timestamptz '2026-03-01 12:00Z')::int $$;
\set since 'SELECT position, s(window_start) AS start, revision AS rev, rank, op, "row" FROM changes_since'

-- Three outputs of the same: all changes, by song; final; all changes, by rank
SELECT create_window('songs', 'SELECT song, sum(n) AS n FROM plays_1s GROUP BY song ORDER BY n DESC, song LIMIT 3', '10 seconds', '5 seconds', emit => 'changes', idle_timeout => '10 days');
SELECT create_window('final', 'SELECT song, sum(n) AS n FROM plays_1s GROUP BY song ORDER BY n DESC, song LIMIT 3', '10 seconds', '5 seconds', idle_timeout => '10 days');
SELECT create_window('ranks', 'SELECT song, sum(n) AS n FROM plays_1s GROUP BY song ORDER BY n DESC, song LIMIT 3', '10 seconds', '5 seconds', emit => 'changes', idle_timeout => '10 days', keys => '{}');
-- does every last revision hold what the plain query gives?
CREATE FUNCTION wrong(output regclass) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format($q$
		WITH published AS (SELECT s(o.window_start) AS start, o.rank, o.song, o.n FROM %s AS o JOIN LATERAL (SELECT max(e.revision) AS last
				FROM aggwin.emission AS e JOIN aggwin.window AS w USING (window_id) WHERE w.output = %L::regclass AND e.window_start = o.window_start) AS e
			ON o.revision = e.last WHERE o.op <> 'delete'),
		plain AS (SELECT g AS start, p.* FROM generate_series(-5, s((SELECT closed_to FROM windows WHERE "window" = %L::regclass)) - 10, 5) AS g
			CROSS JOIN LATERAL (SELECT row_number() OVER (ORDER BY count(*) DESC, song), song, count(*)::numeric AS n FROM plays
				WHERE ts >= timestamptz '2026-03-01 12:00Z' + g * interval '1 s' AND ts < timestamptz '2026-03-01 12:00Z' + (g + 10) * interval '1 s'
				GROUP BY song ORDER BY n DESC, song LIMIT 3) AS p)
		(SELECT 'published ' || t::text FROM (TABLE published EXCEPT ALL TABLE plain) AS t)
		UNION ALL (SELECT 'plain ' || t::text FROM (TABLE plain EXCEPT ALL TABLE published) AS t)
		$q$, output, output, output);
END $$;
-- where the first window is, is known now; what comes before it is not late
SELECT play(1, 'a', 3);
SELECT close_windows();
SELECT play(-15, 'before');
SELECT refresh('plays_1s');
SELECT close_windows();
DELETE FROM plays WHERE song = 'before';
SELECT close_windows();
SELECT "window", closed, late FROM windows ORDER BY 1;
SELECT play(1, 'b', 2), play(6, 'c', 4), play(20, 'd');
SELECT close_windows();
SELECT "window", keys, closed, revised, late FROM windows ORDER BY 1;
:since('songs');
SELECT * FROM wrong('songs');

-- A late row, pending and folded -------------------------------------------------

SELECT play(3, 'b', 2);
SELECT close_windows();
SELECT s(window_start) AS start, rank, op, song, n FROM songs WHERE revision = 1 ORDER BY 1, 2, 3;
SELECT s(window_start) AS start, rank, op, song, n FROM ranks WHERE revision = 1 ORDER BY 1, 2, 3;
SELECT count(*) FROM final WHERE revision > 0;
SELECT "window", closed, revised, late, position FROM windows ORDER BY 1;
SELECT close_windows();
SELECT refresh('plays_1s');
SELECT close_windows();
SELECT play(4, 'e', 9);
SELECT refresh('plays_1s');
SELECT count(*) FROM aggwin.touched;
SELECT close_windows();
SELECT count(*) FROM aggwin.touched;
-- of what vanished, there is what it last was
SELECT s(window_start) AS start, rank, op, song, n FROM songs WHERE revision = 2 ORDER BY 1, 2, 3;
SELECT * FROM wrong('songs') UNION ALL SELECT * FROM wrong('ranks');
-- a late row that changes nothing that is shown
SELECT play(4, 'z');
SELECT close_windows();
SELECT "window", revised, late FROM windows ORDER BY 1;
-- what is not late: it belongs to windows that are not over yet
SELECT play(18, 'd'), play(20, 'd');
SELECT close_windows();
SELECT "window", closed, revised, late FROM windows ORDER BY 1;

-- Rows deleted, changed, moved, all of them -------------------------------------

DELETE FROM plays WHERE song = 'e';
SELECT close_windows();
SELECT s(window_start) AS start, rank, op, song, n FROM songs WHERE revision = 3 ORDER BY 1, 2, 3;
UPDATE plays SET song = 'f' WHERE song = 'c' AND id % 2 = 0;
SELECT refresh('plays_1s');
SELECT close_windows();
SELECT * FROM wrong('songs') UNION ALL SELECT * FROM wrong('ranks');
-- from one window into another, in one transaction with its opposite
BEGIN;
UPDATE plays SET ts = ts + interval '5 s' WHERE song = 'b';
UPDATE plays SET ts = ts - interval '5 s' WHERE song = 'b';
COMMIT;
SELECT close_windows();
UPDATE plays SET ts = ts + interval '5 s' WHERE song = 'b';
SELECT close_windows();
SELECT * FROM wrong('songs') UNION ALL SELECT * FROM wrong('ranks');
-- a window that has nothing any more, and something once more
DELETE FROM plays WHERE ts < '2026-03-01 12:00:05Z';
SELECT close_windows();
SELECT s(window_start) AS start, revision AS rev, e.position, rows FROM aggwin.emission AS e JOIN aggwin.window USING (window_id) WHERE output = 'songs'::regclass ORDER BY e.position;
SELECT rank, op, song, n FROM songs WHERE s(window_start) = -5 AND revision = (SELECT max(revision) FROM songs WHERE s(window_start) = -5) ORDER BY 1, 2;
:since('songs', (SELECT position - 2 FROM windows WHERE "window" = 'songs'::regclass));
SELECT play(0, 'again');
SELECT close_windows();
SELECT rank, op, song, n FROM songs WHERE s(window_start) = -5 AND revision = (SELECT max(revision) FROM songs WHERE s(window_start) = -5) ORDER BY 1, 2;
SELECT * FROM wrong('songs') UNION ALL SELECT * FROM wrong('ranks');

-- A window that was passed over as empty gets a row: its first revision is the next

SELECT play(100, 'x');
SELECT close_windows('songs');
SELECT s(closed_to) FROM windows WHERE "window" = 'songs'::regclass;
SELECT s(window_start) AS start, rank, song, n FROM songs_latest;
SELECT play(60, 'y');
SELECT close_windows('songs');
SELECT s(window_start) AS start, revision AS rev, rank, op, song, n FROM songs WHERE s(window_start) > 40 ORDER BY 1, 2, 3;
SELECT s(window_start) AS start, revision AS rev, e.position, rows FROM aggwin.emission AS e JOIN aggwin.window USING (window_id) WHERE output = 'songs'::regclass AND s(window_start) > 10 ORDER BY e.position;
-- and where the first window was, there was none before
SELECT play(-30, 'before');
SELECT close_windows('songs');
SELECT count(*) FROM songs WHERE song = 'before';
SELECT * FROM wrong('songs');
-- the newest window, changed after it was published
SELECT play(99, 'late');
SELECT play(106, 'w');
SELECT close_windows();
SELECT s(window_start) AS start, revision AS rev, rank, song, n FROM songs_latest;
SELECT play(104, 'late', 2), play(102, 'v');
SELECT close_windows();
SELECT s(window_start) AS start, revision AS rev, rank, song, n FROM songs_latest;
SELECT s(window_start) AS start, revision AS rev, rank, song, n FROM final_latest;
DELETE FROM plays WHERE ts > '2026-03-01 12:01Z' AND ts < '2026-03-01 12:01:45Z';
SELECT close_windows();
SELECT s(window_start) AS start, revision AS rev, rank, song, n FROM songs_latest;
SELECT s(window_start) AS start, revision AS rev, rank, song, n FROM final_latest;
SELECT * FROM wrong('songs') UNION ALL SELECT * FROM wrong('ranks');
-- late changes are counted in both, and only once
SELECT "window", late, revised > 0 AS revised FROM windows ORDER BY 1;
-- positions have no gaps, revisions neither, nor the changes
SELECT output, count(*) = max(e.position) AND min(e.position) = 1 AS positions,
	(SELECT bool_and(r.n = r.last + 1) FROM (SELECT count(*) AS n, max(revision) AS last FROM aggwin.emission AS f WHERE f.window_id = e.window_id GROUP BY window_start) AS r) AS revisions
FROM aggwin.emission AS e JOIN aggwin.window USING (window_id) GROUP BY output, e.window_id ORDER BY 1;

-- Applied one after another, keyed by song, they give the last revision -----------

CREATE FUNCTION apply(output text, step int, key text, OUT applied bigint, OUT wrong bigint) LANGUAGE plpgsql AS $$
DECLARE
	c record;
	at bigint = 0;
	seen bigint;
	problems bigint = 0;
BEGIN
	CREATE TEMP TABLE copy (window_start timestamptz, key text, rank bigint, "row" jsonb, PRIMARY KEY (window_start, key)) ON COMMIT DROP;
	applied = 0;
	LOOP
		seen = 0;
		FOR c IN EXECUTE format('SELECT * FROM changes_since(%L, %s, %s)', output, at, step) LOOP
			IF c.position NOT IN (at, at + 1) THEN problems = problems + 1; END IF;
			at = c.position;
			seen = seen + 1;
			CONTINUE WHEN c.op IS NULL;
			applied = applied + 1;
			-- rows of a revision change places, so inserts and deletes of a rank can meet
			IF c.op = 'insert' THEN
				INSERT INTO copy VALUES (c.window_start, c."row"->>key, c.rank, c."row");
			ELSIF c.op = 'delete' THEN
				DELETE FROM copy WHERE window_start = c.window_start AND copy.key = c."row"->>apply.key;
				IF NOT FOUND THEN problems = problems + 1; END IF;
			ELSE
				UPDATE copy SET rank = c.rank, "row" = c."row" WHERE window_start = c.window_start AND copy.key = c."row"->>apply.key;
				IF NOT FOUND THEN problems = problems + 1; END IF;
			END IF;
		END LOOP;
		EXIT WHEN seen = 0;
	END LOOP;
	EXECUTE format('SELECT $1 + (SELECT count(*) FROM (SELECT window_start, "row"->>''song'' AS song, ("row"->>''n'')::numeric AS n FROM copy) AS c
		FULL JOIN (SELECT o.window_start, o.song, o.n FROM %1$s AS o WHERE o.op <> ''delete''
			AND o.revision = (SELECT max(e.revision) FROM aggwin.emission AS e JOIN aggwin.window AS w USING (window_id)
				WHERE w.output = %1$L::regclass AND e.window_start = o.window_start)) AS o
		ON (c.window_start, c.song, c.n) = (o.window_start, o.song, o.n) WHERE c.song IS NULL OR o.song IS NULL)', output) INTO wrong USING problems;
	DROP TABLE copy;
END $$;
SELECT * FROM apply('songs', 10000, 'song');
SELECT applied > 50 AS applied, wrong FROM apply('songs', 1, 'song');
SELECT applied > 50 AS applied, wrong FROM apply('songs', 4, 'song');
SELECT * FROM apply('final', 2, 'song');

-- Keys that are not unique: twins are told apart by their order ------------------

SELECT create_window('twins', 'SELECT song, n FROM plays_1s ORDER BY bucket, song', '10 seconds', emit => 'changes', idle_timeout => '10 days', keys => '{song}');
SELECT play(110, 'a'), play(111, 'a', 2), play(112, 'b'), play(113, 'a', 3), play(114, NULL), play(115, NULL), play(120, 'end');
SELECT close_windows('twins');
SELECT play(113, 'a'), play(118, 'a'), play(115, NULL);
DELETE FROM plays WHERE ts = '2026-03-01 12:01:50Z';
SELECT close_windows('twins');
SELECT revision, rank, op, song, n FROM twins ORDER BY 1, 2, 3;
-- found by the query: group keys, keys of the rollup, through subqueries, CTEs and joins
SELECT create_window('k1', 'SELECT n + 1 AS m, upper(song) AS u, song FROM plays_1s', '10 seconds');
SELECT create_window('k2', 'SELECT * FROM (SELECT song AS s, bucket AS b, max(n) AS m FROM plays_1s GROUP BY 1, 2) AS q', '10 seconds');
SELECT create_window('k3', 'WITH c AS (SELECT song AS s, n FROM plays_1s), d AS (SELECT s AS t, sum(n) AS n FROM c GROUP BY s) SELECT t, n FROM d ORDER BY n', '10 seconds');
SELECT create_window('k4', 'SELECT DISTINCT n, song FROM plays_1s', '10 seconds');
SELECT create_window('k5', 'SELECT l.x, song, n FROM plays_1s NATURAL JOIN (VALUES (''a'', 1)) AS l (song, x)', '10 seconds');
SELECT create_window('k6', 'SELECT song, n FROM plays_1s WHERE n > 5 UNION SELECT ''all'', sum(n) FROM plays_1s', '10 seconds');
SELECT create_window('k7', 'SELECT count(*) AS n FROM plays_1s', '10 seconds');
SELECT "window", keys FROM windows WHERE "window"::text ~ '^k' ORDER BY 1;
SELECT drop_window("window") FROM windows WHERE "window"::text ~ '^k|twins' \g /dev/null

-- changes_since() ----------------------------------------------------------------

SELECT count(*) > 10 AS rows, count(DISTINCT position) = max(position) AS all FROM changes_since('songs');
SELECT position AS newest FROM windows WHERE "window" = 'songs'::regclass \gset
SELECT * FROM changes_since('songs', :newest);
SELECT count(DISTINCT position) FROM changes_since('songs', max_rows => 1);
SELECT count(DISTINCT position) FROM changes_since('songs', max_rows => 3);
SELECT count(DISTINCT position) FROM changes_since('songs', max_rows => 4);
SELECT * FROM changes_since('window_changes.songs', -1);
SELECT * FROM changes_since('songs', 100000);
SELECT * FROM changes_since('songs', 0, 0);
SELECT * FROM changes_since('songs', NULL);
SELECT * FROM changes_since(NULL);
SELECT * FROM changes_since('plays');
SELECT * FROM changes_since('songs_latest');
SELECT * FROM changes_since('no_such');

-- window_at() --------------------------------------------------------------------

SELECT s(window_start) AS start, s(window_end) AS end, revision, rank, op, song, n FROM window_at(NULL::songs, timestamptz '2026-03-01 12:00:17.5Z');
SELECT s(window_start) AS start, rank, song, n FROM window_at(NULL::songs, '2026-03-01 12:00:15Z');
-- before the first window, and now
SELECT s(window_start) AS start, rank, song FROM window_at(NULL::songs, timestamptz '2026-03-01 11:59:35Z');
SELECT * FROM window_at(NULL::songs, now());
SELECT * FROM window_at(NULL::songs, NULL::timestamptz);
SELECT * FROM window_at(NULL::songs, timestamptz 'infinity');
SELECT * FROM window_at(NULL::plays, now());
SELECT * FROM window_at(1, now());
SELECT * FROM window_at(NULL, now());
SELECT * FROM window_at(NULL::songs, 5);
SELECT s(window_start) AS start, rank, song, n FROM window_at(NULL::songs, timestamp '2026-03-01 12:00:15');

-- Retention ----------------------------------------------------------------------

SELECT alter_window('songs', retention => '20 seconds');
SELECT play(130, 'r');
SELECT close_windows('songs');
SELECT min(s(window_end)) AS first, max(s(window_end)) AS last FROM songs;
SELECT min(s(window_end)) AS first, max(s(window_end)) AS last FROM aggwin.emission JOIN aggwin.window USING (window_id) WHERE output = 'songs'::regclass;
-- whoever begins takes what there is; whoever stayed away is told
SELECT min(s(window_end)), min(position) > 1 AS later FROM changes_since('songs');
SELECT min(position) - 1 AS least FROM changes_since('songs') \gset
SELECT count(*) > 0 AS can_go_on FROM changes_since('songs', :least);
DO $$
BEGIN
	PERFORM * FROM changes_since('songs', 1);
EXCEPTION WHEN object_not_in_prerequisite_state THEN
	RAISE NOTICE 'told';
END $$;
-- late rows for windows that are gone say nothing any more
SELECT play(7, 'gone');
SELECT close_windows('songs');
SELECT count(*) FROM songs WHERE song = 'gone';
-- windows beyond retention are skipped, and counted
SELECT skipped, closed FROM windows WHERE "window" = 'songs'::regclass;
SELECT pause_window('songs');
SELECT play(140 + i, 'r') FROM generate_series(0, 100, 10) AS i \g /dev/null
SELECT close_windows('songs');
SELECT paused, s(closed_to) FROM windows WHERE "window" = 'songs'::regclass;
SELECT resume_window('songs');
SELECT close_windows('songs');
SELECT paused, s(closed_to), skipped FROM windows WHERE "window" = 'songs'::regclass;
SELECT s(window_start) AS start, song, n FROM songs ORDER BY 1;

-- Options are changed ------------------------------------------------------------

SELECT alter_window('songs', grace => '30 seconds', notify => false, idle_timeout => '20 days', emit => 'final');
SELECT grace, emit, notify, retention, idle_timeout FROM windows WHERE "window" = 'songs'::regclass;
SELECT play(260, 'g');
SELECT close_windows('songs');
SELECT alter_window('songs', grace => '0');
SELECT close_windows('songs');
SELECT play(250, 'late');
SELECT close_windows('songs');
SELECT count(*) FROM songs WHERE song = 'late';
SELECT alter_window('songs', emit => 'changes');
SELECT close_windows('songs');
-- from now on: what was late before is told of when its window changes again
SELECT play(251, 'later');
SELECT close_windows('songs');
SELECT s(window_start) AS start, revision AS rev, rank, op, song, n FROM songs WHERE revision > 0 AND window_start > '2026-03-01 12:03:50Z' ORDER BY 1, 2, 3, 4;

-- A query that fails later: nothing is lost --------------------------------------

SELECT create_window('failing', 'SELECT song, 100 / (5 - sum(n)) AS x FROM plays_1s GROUP BY song ORDER BY song', '10 seconds', emit => 'changes', idle_timeout => '10 days');
SELECT play(261, 'ok', 4), play(270, 'ok', 3);
SELECT close_windows('failing');
SELECT play(272, 'bad', 5), play(280, 'end');
SELECT close_windows('failing');
SELECT s(closed_to), failures, closed FROM windows WHERE "window" = 'failing'::regclass;
-- nor of others over the same rollup
SELECT s(closed_to) FROM windows WHERE "window" = 'songs'::regclass;
DELETE FROM plays WHERE song = 'bad';
SELECT close_windows('failing');
SELECT s(window_start) AS start, song, x FROM failing ORDER BY 1, 2;
-- a late row fails it, too
SELECT play(263, 'ok');
SELECT close_windows('failing');
SELECT play(264, 'ok');
SELECT close_windows('failing');
SELECT s(window_start) AS start, revision AS rev, op, song, x FROM failing WHERE revision > 0 ORDER BY 1, 2, 3;
SELECT drop_window('failing');

-- Changed in the transaction that closed two outputs' windows: still late ---------

CREATE TABLE others (ts timestamptz);
SELECT create_rollup('others_1s', 'SELECT aggwin.time_bucket(''1 second'', ts) AS bucket, count(*) AS n FROM others GROUP BY 1');
SELECT create_window('of_others', 'SELECT sum(n) AS n FROM others_1s HAVING sum(n) > 0', '10 seconds', emit => 'changes', idle_timeout => '10 days');
INSERT INTO others VALUES ('2026-03-01 12:00:01Z'), ('2026-03-01 12:00:10Z');
SELECT play(291, 'd');
BEGIN;
SELECT close_windows();
INSERT INTO others VALUES ('2026-03-01 12:00:02Z');
SELECT close_windows();
COMMIT;
BEGIN;
SELECT play(300, 'd');
SELECT close_windows();
COMMIT;
SELECT play(310, 'd');
BEGIN;
SELECT close_windows();
INSERT INTO others VALUES ('2026-03-01 12:00:03Z');
COMMIT;
SELECT refresh('others_1s');
SELECT close_windows();
SELECT revision, rank, op, n FROM of_others ORDER BY 1, 2;

SET client_min_messages = warning;
DROP SCHEMA window_changes CASCADE;
SELECT count(*) FROM aggwin.window;
SELECT count(*) FROM aggwin.emission;
SELECT count(*) FROM aggwin.touched;
SELECT relname FROM pg_class WHERE relnamespace = 'aggwin'::regnamespace AND relname ~ '^_(window|panes)';
