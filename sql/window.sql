-- Window outputs: when windows close, and what they then hold.
-- Events lie in the past, so idle_timeout is long: only the watermark closes
-- windows here.
CREATE SCHEMA windows;
SET search_path = windows, aggwin;
SET timezone = 'UTC';
ALTER SEQUENCE aggwin.window_window_id_seq RESTART 1000;
SET intervalstyle = 'postgres';
CREATE TABLE songs (song text PRIMARY KEY, title text);
INSERT INTO songs VALUES ('a', 'Alpha'), ('b', 'Beta'), ('c', 'Gamma');
-- a source without rows, its rollup and a tier
CREATE FUNCTION begin_again() RETURNS void LANGUAGE sql SET client_min_messages = warning AS $$
	DROP TABLE IF EXISTS plays CASCADE;
	CREATE TABLE plays (ts timestamptz, song text, secs int);
	CREATE INDEX ON plays (ts);
	SELECT create_rollup('plays_1s', 'SELECT aggwin.time_bucket(''1 second'', ts) AS bucket, song, count(*) AS n, sum(secs) AS secs
		FROM plays GROUP BY 1, 2', tiers => '{1 minute}');
$$;
SELECT begin_again();
-- what happened s seconds after noon
CREATE FUNCTION play(s numeric, song text, times int = 1) RETURNS void LANGUAGE sql AS $$
	INSERT INTO plays SELECT timestamptz '2026-03-01 12:00Z' + s * interval '1 second', song, 1 FROM generate_series(1, times) $$;

-- Hopping windows over a rollup without rows: the first has the first row -----

SELECT create_window('top', $$SELECT p.song, s.title, sum(n) AS plays FROM plays_1s AS p JOIN songs AS s USING (song) GROUP BY 1, 2 ORDER BY plays DESC, song LIMIT 2$$,
	size => '10 seconds', period => '5 seconds', idle_timeout => '10 days');
\d top
\d top_latest
SELECT * FROM top;
SELECT * FROM top_latest;
SELECT close_windows();
SELECT "window", rollup, keys, size, period, grace, emit, notify, retention, idle_timeout, paused, channel, closed_to, lag, position, closed, revised, late, skipped, not_notified, last_emission, failures, last_error, query LIKE '%FROM (plays_1s p%JOIN songs s%' AS query FROM windows \gx
-- not over yet: the first ends at 5 s, and no event has that time
SELECT play(1, 'a', 3), play(2, 'b', 2), play(4.999999, 'c', 1);
SELECT close_windows('top');
SELECT * FROM changes_since('top');
-- an event at the very end closes, and does not belong to it
SELECT play(5, 'c', 4);
SELECT close_windows('top');
SELECT window_start, window_end, revision, rank, op, song, title, plays FROM top ORDER BY 1, 3, 4;
SELECT window_start, window_end, revision, rank, song, title, plays FROM top_latest;
SELECT close_windows('top');
-- windows overlap, and are closed in order
SELECT play(17, 'b');
SELECT close_windows('top');
SELECT window_start, window_end, revision, rank, op, song, plays FROM top ORDER BY 1, 3, 4;
SELECT window_start, rank, song, plays FROM top_latest;
-- every one of them is the plain query
SELECT t.window_start, (SELECT string_agg(song || ' ' || n, ', ' ORDER BY n DESC, song) FROM (SELECT song, count(*) AS n FROM plays WHERE ts >= t.window_start AND ts < t.window_end GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 2) AS p) AS plain,
	string_agg(song || ' ' || plays, ', ' ORDER BY rank) AS published
FROM top AS t GROUP BY 1, t.window_end ORDER BY 1;
-- all of a step have one time, and the table's rows that of their revision
SELECT count(*) AS rows, bool_and(o.emitted_at = e.emitted_at) AS same, bool_and(o.emitted_at <= now() + interval '1 minute' AND o.emitted_at > now() - interval '1 minute') AS recent
FROM top AS o JOIN aggwin.emission AS e USING (window_start, revision);
SELECT window_start, window_end, revision, position, rows FROM aggwin.emission ORDER BY position;

-- Empty windows: the first says that there is nothing any more, others nothing -

SELECT play(300, 'a');
SELECT close_windows('top');
SELECT window_start, revision, position, rows FROM aggwin.emission ORDER BY position;
SELECT * FROM top_latest;
SELECT closed_to, closed, position, skipped FROM windows;
SELECT play(305, 'b');
SELECT close_windows('top');
SELECT window_start, rank, song, plays FROM top_latest;
SELECT window_start, revision, position, rows FROM aggwin.emission WHERE position > 4 ORDER BY position;
-- a window's end that is far behind an empty stretch, closed in one step
SELECT play(1000, 'b'), play(3000, 'c');
SELECT close_windows('top');
SELECT window_start, revision, position, rows FROM aggwin.emission WHERE position > 6 ORDER BY position;
SELECT closed_to, closed, position, skipped FROM windows;

-- Grace: later, with what is late until then -----------------------------------

SELECT create_window('patient', 'SELECT song, sum(n) AS n FROM plays_1s GROUP BY 1 ORDER BY 1', '10 seconds', grace => '3 seconds', idle_timeout => '10 days');
-- over a rollup with rows: from the newest complete window on
SELECT close_windows('patient');
SELECT window_start, window_end, rank, song, n FROM patient;
SELECT closed_to FROM windows WHERE "window" = 'patient'::regclass;
SELECT play(3012.9, 'a');
SELECT close_windows('patient');
SELECT play(3001, 'late');
SELECT close_windows('patient');
SELECT play(3013, 'a');
SELECT close_windows('patient');
SELECT window_start, window_end, rank, song, n FROM patient ORDER BY 1, rank;

-- A size that is no multiple of the period; windows in order of their ends

SELECT create_window('odd', 'SELECT sum(n) AS n, min(bucket) AS first, max(bucket) AS last FROM plays_1s HAVING sum(n) > 0', '7 seconds', '3 seconds', idle_timeout => '10 days');
SELECT generate_series(0, 10) AS i, play(3020 + generate_series(0, 10), 'x') \g /dev/null
SELECT close_windows('odd');
SELECT window_start, window_end, n, first, last FROM odd ORDER BY 1;
SELECT play(3040, 'x');
SELECT close_windows('odd');
SELECT window_start, window_end, n, first, last FROM odd ORDER BY 1;

-- A tier, and what the rollup does not group by ---------------------------------

SELECT begin_again();
SELECT create_window('minutes', 'SELECT sum(n) AS n, sum(secs) AS secs FROM plays_1s_1m HAVING sum(n) > 0', '5 minutes', '1 minute', idle_timeout => '10 days');
SELECT rollup, query LIKE '%FROM plays_1s_1m%' AND query NOT LIKE '%_panes%' AS query FROM windows;
SELECT play(0, 'a', 2), play(61, 'b', 3), play(359, 'a', 5), play(400, 'c');
SELECT close_windows('minutes');
SELECT window_start, window_end, n, secs FROM minutes ORDER BY 1;
-- folded or not is all the same
SELECT refresh('plays_1s');
SELECT play(480, 'c');
SELECT close_windows('minutes');
SELECT refresh('plays_1s');
SELECT refresh('plays_1s_1m');
SELECT play(541, 'c');
SELECT close_windows('minutes');
SELECT window_start, window_end, n, secs FROM minutes ORDER BY 1;

-- The rollup read more than once: shares of the whole --------------------------

SELECT begin_again();
SELECT create_window('shares', $$WITH total AS (SELECT sum(n) AS n FROM plays_1s)
	SELECT song, round(sum(p.n) / (SELECT n FROM total), 2) AS share, (SELECT count(DISTINCT q.song) FROM plays_1s AS q) AS songs FROM plays_1s AS p GROUP BY song ORDER BY share DESC, song$$,
	'10 seconds', idle_timeout => '10 days');
-- shown as it was written: with the rollup, wherever it is read
SELECT (length(query) - length(replace(query, 'FROM plays_1s ', ''))) / length('FROM plays_1s ') AS reads, query NOT LIKE '%_panes%' AS query FROM windows;
SET search_path = windows;
SELECT query LIKE '%FROM plays_1s %' AND query NOT LIKE '%_panes%' AS query FROM aggwin.windows;
SET search_path = windows, aggwin;
SELECT play(1, 'a', 3), play(2, 'b'), play(11, 'a'), play(20, 'c');
SELECT close_windows();
SELECT window_start, rank, song, share, songs FROM shares ORDER BY 1, 2;
-- no ORDER BY, no key, several rollups' worth of joins
SELECT create_window('constant', 'SELECT count(*) AS buckets FROM plays_1s', '10 seconds', idle_timeout => '10 days');
SELECT play(30, 'a');
SELECT close_windows('constant');
SELECT play(60, 'a');
SELECT close_windows('constant');
-- a query that has a row for nothing has one for every window
SELECT window_start, rank, buckets FROM constant ORDER BY 1;

-- What has not been committed, and what is ahead of the clock -------------------

SELECT begin_again();
SELECT create_window('w', 'SELECT song, sum(n) AS n FROM plays_1s GROUP BY 1 ORDER BY 1', '10 seconds', idle_timeout => '10 days');
BEGIN;
SELECT play(1, 'a'), play(10, 'b');
SELECT close_windows();
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT close_windows();
ROLLBACK;
BEGIN READ ONLY;
SELECT close_windows();
ROLLBACK;
SELECT close_windows();
SELECT play(1, 'c');
-- an event of a year that is not, does not close all windows before
INSERT INTO plays VALUES (now() + interval '2 days', 'future', 1), ('infinity', 'never', 1), ('-infinity', 'ever', 1), (NULL, 'null', 1);
SELECT close_windows();
SELECT play(11, 'c');
SELECT close_windows();
SELECT window_start, rank, song, n FROM w;
SELECT drop_window('w');

-- Times without time zone, integers that are none, and another origin -----------

CREATE TABLE local (t timestamp, v int);
SELECT create_rollup('local_1m', $$SELECT count(*) AS n, aggwin.time_bucket('1 minute', t, timestamp '2000-01-01 00:00:20') AS minute, sum(v) AS v FROM local GROUP BY minute$$);
SET timezone = 'Asia/Kolkata';
SELECT create_window('of_local', 'SELECT minute, n, v FROM local_1m ORDER BY minute', '2 minutes', '1 minute', idle_timeout => '10 days', emit => 'changes');
SELECT keys FROM windows;
INSERT INTO local SELECT '2026-03-29 01:58:00'::timestamp + i * interval '10 s', i FROM generate_series(0, 20) AS i;
SELECT close_windows();
SELECT window_start, window_end, rank, minute, n, v FROM of_local ORDER BY 1, rank;
SELECT window_start, rank, n, v FROM of_local_latest;
INSERT INTO local VALUES ('2026-03-29 01:58:00', 100);
SELECT close_windows();
SELECT window_start, revision, rank, op, minute, n, v FROM of_local WHERE revision > 0 ORDER BY 1, 2, 3;
SELECT window_start, revision, rank, op, minute, n, v FROM window_at(NULL::of_local, timestamp '2026-03-29 02:00:00');
SELECT position, window_start, revision, rank, op, "row" FROM changes_since('of_local', 2);
SET timezone = 'UTC';
SELECT drop_window('of_local');
-- buckets of a day in a zone are not all of the same length; parts of a quarter are
SELECT begin_again();
SELECT create_rollup('quarters', $$SELECT aggwin.time_bucket('15 minutes', ts, 'Europe/Berlin') AS bucket, count(*) AS n FROM plays GROUP BY 1$$);
SELECT create_window('w', 'SELECT bucket, n FROM quarters', '1 hour', '30 minutes', idle_timeout => '10 days');
SELECT play(0, 'a'), play(1800, 'a'), play(3600, 'a');
SELECT close_windows();
SELECT window_start, window_end, rank, bucket, n FROM w ORDER BY 1, rank;
SELECT drop_window('w');

-- The clock stands in when nothing comes any more --------------------------------

SELECT begin_again();
SELECT create_window('w', 'SELECT song, sum(n) AS n FROM plays_1s GROUP BY 1 ORDER BY 1', '1 hour', idle_timeout => '1 second', retention => '1000 days');
INSERT INTO plays VALUES (date_trunc('hour', now()) - interval '90 minutes', 'a', 1), (date_trunc('hour', now()) - interval '5 minutes', 'b', 1);
SELECT close_windows();
SELECT song, n FROM w;
SELECT pg_sleep(1.1);
SELECT close_windows();
SELECT song, n, window_end <= now() AS over FROM w ORDER BY window_start;
SELECT closed_to = date_trunc('hour', clock_timestamp()) AS up_to_now, lag < '1 hour' AS within_the_hour FROM windows;

SET client_min_messages = warning;
DROP SCHEMA windows CASCADE;
SELECT count(*) FROM aggwin.windows;
