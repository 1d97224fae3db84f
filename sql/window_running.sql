-- Windows that are kept up to date: the same rows as computed anew.
\set VERBOSITY terse
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE SCHEMA window_running;
SET search_path = window_running, aggwin;

CREATE TABLE plays (ts timestamptz NOT NULL, song integer, artist text, ms bigint, price numeric, rating double precision);
CREATE INDEX ON plays (ts);
SELECT create_rollup('by_second', $$
	SELECT time_bucket('1 second', ts) AS bucket, song, artist, count(*) AS n, count(price) AS prices,
		sum(ms) AS ms, sum(ms::integer) AS ms4, sum(price) AS price, min(ms) AS shortest, max(ms) AS longest,
		min(artist) AS first_artist, sum(rating) AS rating, bool_and(ms > 100) AS long, bit_or(ms::integer) AS bits,
		exp_hist_agg(ms) AS lengths, hist_agg(ms, '{100,500}') AS bins, topk_agg(artist, 3) AS artists,
		stats_agg(ms) AS stats, last(ms, ts) AS latest
	FROM plays GROUP BY 1, 2, 3 $$);

-- A number of songs that comes and goes, NULLs, different scales
CREATE FUNCTION play(second integer) RETURNS void LANGUAGE sql AS $$
	INSERT INTO plays
	SELECT '2026-01-01'::timestamptz + second * interval '1 second' + n * interval '10 milliseconds',
		nullif((n * 7 + second) % 11, 3), CASE WHEN n % 5 > 0 THEN 'artist ' || n % 3 END,
		(n * 37 + second * 11) % 1000, CASE WHEN n % 4 > 0 THEN ((n * 3 + second) % 100)::numeric / 10 ^ (n % 3) END,
		(n + second) % 7
	FROM generate_series(1, second * 17 % 23) AS n $$;

-- Rows that the newest revisions of an output have, and the definition does not, or the other way round
CREATE FUNCTION differences(output regclass, OUT windows bigint, OUT rows bigint, OUT different bigint)
	LANGUAGE plpgsql AS $$
DECLARE
	strip text := '(to_jsonb(x) - ''{window_start,window_end,revision,rank,op,emitted_at}''::text[])';
	e record;
	n bigint;
BEGIN
	windows := 0; rows := 0; different := 0;
	FOR e IN SELECT DISTINCT ON (m.window_start) m.* FROM aggwin.emission AS m JOIN aggwin.window AS w USING (window_id)
		WHERE w.output = $1 ORDER BY m.window_start, m.revision DESC
	LOOP
		EXECUTE format('WITH told AS (SELECT %1$s AS j FROM %2$s AS x WHERE x.window_start = %3$L AND x.revision = %4$L AND x.op <> ''delete''),
			plain AS (SELECT %1$s AS j FROM aggwin.window_at(NULL::%2$s, %5$L::timestamptz) AS x)
			SELECT count(*) FROM ((TABLE told EXCEPT ALL TABLE plain) UNION ALL (TABLE plain EXCEPT ALL TABLE told)) AS d',
			strip, output, e.window_start, e.revision, e.window_end) INTO n;
		windows := windows + 1; rows := rows + e.rows; different := different + n;
	END LOOP;
END $$;
CREATE FUNCTION output(name text, query text, size interval DEFAULT '6 seconds', period interval DEFAULT '1 second') RETURNS void
	LANGUAGE sql AS $$ SELECT create_window(name, query, size, period, retention => '1 day', emit => 'changes', notify => false,
		idle_timeout => '1000 days') $$;

SELECT output('counts', 'SELECT song, sum(n) AS n, count(*) AS c, count(artist) AS a, sum(ms4) AS ms4, sum(ms) AS ms,
	avg(ms) AS mean, sum(price) AS price, avg(price) AS mean_price, stddev(n) AS sd, variance(price) AS v
	FROM by_second GROUP BY song');
SELECT output('extremes', 'SELECT artist, min(shortest) AS shortest, max(longest) AS longest, min(first_artist COLLATE "C") AS name,
	bool_and(long) AS long, bool_or(n > 1) AS often, bit_or(bits) AS bits, sum(rating) AS rating, avg(rating) AS mean
	FROM by_second GROUP BY 1');
SELECT output('summaries', 'SELECT artist, num_vals(merge(lengths)) AS n, percentile(merge(lengths), 0.9) AS p90,
	merge(bins) AS bins, merge(artists) AS artists, round(stddev(merge(stats))::numeric, 6) AS sd, max(latest) AS latest, sum(n) AS plays
	FROM by_second WHERE song > 1 GROUP BY artist');
SELECT output('all_of_it', 'SELECT count(*) AS c, sum(n) AS n, max(longest) AS longest, merge(lengths) AS lengths FROM by_second');
SELECT output('all_if_many', 'SELECT sum(n) AS n FROM by_second HAVING sum(n) > 50');
SELECT output('filtered', 'SELECT song % 3 AS third, sum(n) FILTER (WHERE ms > 500) AS n, min(ms) FILTER (WHERE artist IS NOT NULL) AS ms,
	count(*) FILTER (WHERE price > 1) AS c FROM by_second GROUP BY song % 3 HAVING count(*) > 2');
SELECT output('top_songs', 'SELECT song, sum(n) AS n FROM by_second GROUP BY song ORDER BY n DESC, song NULLS FIRST LIMIT 3');
SELECT output('best_songs', 'SELECT song, artist, round(sum(ms) / sum(n)) AS mean FROM by_second GROUP BY 1, 2
	HAVING sum(n) > 1 AND min(shortest) < 700 ORDER BY sum(ms) / sum(n) DESC, min(shortest), 1, 2 OFFSET 1 LIMIT 3');
SELECT output('ties', 'SELECT song, max(longest) / 100 AS longest FROM by_second GROUP BY song
	ORDER BY max(longest) / 100 DESC NULLS LAST FETCH FIRST 2 ROWS WITH TIES');
SELECT output('by_name', 'SELECT artist, sum(n) AS n FROM by_second GROUP BY artist ORDER BY artist DESC NULLS LAST LIMIT 2');
SELECT output('joined', 'SELECT v.genre, t.* FROM (SELECT song, sum(n) AS n, max(longest) AS longest FROM by_second GROUP BY song) AS t
	JOIN (VALUES (1, ''rock''), (2, ''pop''), (5, ''pop'')) AS v (song, genre) USING (song) ORDER BY t.n DESC, song');
SELECT output('named', 'WITH t AS (SELECT song + 1 AS next, sum(n) AS n FROM by_second GROUP BY 1)
	SELECT x.next, x.n, (SELECT max(y.n) FROM t AS y) AS most FROM t AS x WHERE x.n > 2');
SELECT output('ranked', 'SELECT song, sum(n) AS n, rank() OVER (ORDER BY sum(n) DESC) AS r, sum(sum(n)) OVER () AS total
	FROM by_second GROUP BY song ORDER BY 3, 1 LIMIT 4');
SELECT output('distinct_sums', 'SELECT DISTINCT sum(n) AS n FROM by_second GROUP BY song ORDER BY 1 DESC LIMIT 3');
SELECT output('songs', 'SELECT song FROM by_second GROUP BY song');
SELECT output('uneven', 'SELECT song, sum(n) AS n, min(shortest) AS s FROM by_second GROUP BY song', '6 seconds', '4 seconds');
SELECT output('ordered', 'SELECT artist, string_agg(first_artist, '','' ORDER BY song) AS names FROM by_second GROUP BY 1');
SELECT output('plain_rows', 'SELECT song, n FROM by_second WHERE n > 2');
SELECT output('different', 'SELECT count(DISTINCT song) AS songs FROM by_second');
SELECT output('sets', 'SELECT song, artist, sum(n) AS n FROM by_second GROUP BY GROUPING SETS (song, artist)');
SELECT output('joined_first', 'SELECT v.genre, sum(n) AS n FROM by_second AS r JOIN (VALUES (1, ''rock''), (2, ''pop'')) AS v (song, genre) USING (song) GROUP BY 1');
SELECT output('twice', 'SELECT song, sum(n) AS n, (SELECT sum(n) FROM by_second) AS total FROM by_second GROUP BY song');
SELECT output('whole', 'SELECT song, sum(n) AS n FROM by_second GROUP BY song', '5 seconds', '5 seconds');
SELECT "window", recomputed FROM windows ORDER BY "window"::text COLLATE "C";

SELECT bool_and(drop_window("window") IS NOT NULL) FROM windows WHERE recomputed IS NOT NULL;

-- As time goes by: closed one by one, and several at once
DO $$ BEGIN
	FOR second IN 0 .. 13 LOOP
		PERFORM play(second);
		COMMIT;
		IF second % 5 = 4 THEN PERFORM refresh('by_second'); COMMIT; END IF;
		IF second < 9 OR second % 4 = 0 THEN PERFORM close_windows(); COMMIT; END IF;
	END LOOP;
END $$;
SELECT w.output, d.* FROM aggwin.window AS w, differences(w.output) AS d ORDER BY w.window_id;

-- Late rows, deletes, updates; windows of the past as well as those to come
DO $$ BEGIN
	FOR second IN 14 .. 22 LOOP
		PERFORM play(second);
		IF second % 2 = 0 THEN
			INSERT INTO plays SELECT ts - n * interval '3 seconds', song, artist, ms + 5, price, rating
			FROM plays, generate_series(1, 3) AS n WHERE ts >= (SELECT max(ts) - interval '30 milliseconds' FROM plays);
		END IF;
		COMMIT;
		IF second % 3 = 0 THEN
			DELETE FROM plays WHERE ms % 13 = second % 13 AND ts > (SELECT max(ts) - interval '8 seconds' FROM plays);
		ELSIF second % 3 = 1 THEN
			UPDATE plays SET ms = ms + 200, song = song + 1 WHERE ms % 17 = second % 17
				AND ts > (SELECT max(ts) - interval '6 seconds' FROM plays);
		END IF;
		COMMIT;
		IF second % 7 = 0 THEN PERFORM refresh('by_second'); COMMIT; END IF;
		PERFORM close_windows();
		COMMIT;
	END LOOP;
END $$;
SELECT w.output, d.* FROM aggwin.window AS w, differences(w.output) AS d ORDER BY w.window_id;

-- What is rolled back has not happened.
SELECT output('again', 'SELECT song, sum(n) AS n, max(longest) AS longest FROM by_second GROUP BY song');
SELECT close_windows('again') > 0;
SELECT play(23), play(24);
BEGIN;
SELECT close_windows('again') > 0;
ROLLBACK;
SELECT play(25);
SELECT close_windows('again') > 0;
DELETE FROM plays WHERE song = 2;
SELECT play(26);
BEGIN;
SAVEPOINT s;
SELECT close_windows('again') > 0;
ROLLBACK TO s;
COMMIT;
SELECT play(27);
SELECT close_windows('again') > 0;
SELECT * FROM differences('again');

-- The rollup's columns, and the tables around it, are renamed.
ALTER VIEW by_second RENAME COLUMN n TO plays;
ALTER VIEW by_second RENAME TO each_second;
SELECT play(28);
SELECT close_windows('again') > 0;
SELECT * FROM differences('again');

-- Only for the query of a window
SELECT * FROM running_groups(1) AS g (k1 integer);

-- Extremes of sums
CREATE TABLE numbers (ts timestamptz NOT NULL, n bigint);
SELECT create_rollup('numbers_all', $$ SELECT time_bucket('1 second', ts) AS bucket, n, min(n) AS m FROM numbers GROUP BY 1, 2 $$);
SELECT create_window('sums', 'SELECT sum(n) AS n, sum(n) * 2 AS twice, avg(n) AS mean FROM numbers_all', '3 seconds', '1 second',
	retention => '1 day', notify => false, idle_timeout => '1000 days');
INSERT INTO numbers SELECT '2026-01-01'::timestamptz + s * interval '1 second', 9223372036854775807 - s * 10 FROM generate_series(0, 7) AS s;
INSERT INTO numbers SELECT '2026-01-01'::timestamptz + s * interval '1 second', -9223372036854775807 + s FROM generate_series(6, 12) AS s;
SELECT close_windows('sums');
SELECT window_end, n, twice, mean FROM sums ORDER BY 1;
SELECT * FROM differences('sums');
DROP SCHEMA window_running CASCADE;
