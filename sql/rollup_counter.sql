-- Rollups of counters. Parts whose times overlap do not merge exactly: where that
-- happens, the view answers from the source, and the next fold computes it anew.
-- So the answers are those of the plain query, to the byte, at every moment.
\getenv srcdir PG_ABS_SRCDIR
\set helper :srcdir/test/lib/compare.sql
CREATE SCHEMA rollup_counter;
SET search_path = rollup_counter, aggwin;
\set ECHO none
\i :helper
\set ECHO all
SET timezone = 'UTC';
SET datestyle = 'ISO';
ALTER SEQUENCE aggwin.rollup_rollup_id_seq RESTART 1000;

CREATE TABLE served (ts timestamptz, host text, total float8);
CREATE INDEX ON served (ts);
\set query 'host, counter_agg(ts, total) AS c, increase(counter_agg(ts, total)) AS increase, resets(counter_agg(ts, total) FILTER (WHERE total < 40)) AS resets, is_exact(counter_agg(ts, total)) AS exact, count(*) AS n FROM served GROUP BY 1, 2'
SELECT make_rollup('m', format('SELECT time_bucket(%L, ts) AS time, %s', '1 minute', :'query'));
SELECT add_tier('m', '5 minutes'), add_tier('m', '1 hour');
CREATE VIEW m_5m_plain AS SELECT time_bucket('5 minutes', ts) AS time, :query;
CREATE VIEW m_1h_plain AS SELECT time_bucket('1 hour', ts) AS time, :query;
CREATE FUNCTION compare_tiers(OUT base bigint, OUT "5m" bigint, OUT "1h" bigint, OUT rows bigint, OUT inexact bigint) LANGUAGE sql AS $$
	SELECT a.differences, b.differences, c.differences, a.rows, (SELECT count(*) FILTER (WHERE NOT exact) FROM m)
	FROM compare('m') AS a, compare('m_5m') AS b, compare('m_1h') AS c $$;
CREATE VIEW marks AS SELECT kind, level, spans, nulls FROM aggwin._invalid_1000 ORDER BY 1, 2;
SELECT refresh('m_1h');
SELECT refresh('m_1h');
SELECT * FROM marks;
-- Counters of different keys would overlap.
SELECT add_tier('m', '1 day', keys => '{}');
SELECT add_tier('m', '1 day', keys => '{host}', name => 'daily');
SELECT drop_tier('daily');

-- In order, and in any order as long as nothing is put together that something else falls into.
INSERT INTO served VALUES ('2026-01-01 10:00:10Z', 'a', 10);
INSERT INTO served VALUES ('2026-01-01 10:00:30Z', 'a', 30);
INSERT INTO served VALUES ('2026-01-01 10:00:20Z', 'a', 5);
INSERT INTO served VALUES ('2026-01-01 10:00:20Z', 'a', 5), (NULL, 'a', 7), ('2026-01-01 10:00:25Z', 'a', NULL);
SELECT * FROM compare_tiers();
SELECT refresh('m_1h');
SELECT * FROM compare_tiers();
INSERT INTO served VALUES ('2026-01-01 10:00:25Z', 'a', 8);
SELECT refresh('m_1h');
SELECT * FROM compare_tiers();
SELECT * FROM marks;
SELECT time, host, c, increase, exact, n FROM m;

-- Statements that overlap: not before they are folded, not while spans are
-- invalid, nor when those are repaired, level by level.
CREATE FUNCTION serve(count int, step interval = '7 s', start timestamptz = '2026-01-01 10:02Z') RETURNS void LANGUAGE sql AS $$
	INSERT INTO served SELECT start + n * step, 'abc'::text, n * 3 % 50 FROM generate_series(1, count) AS n $$;
SELECT serve(50);
SELECT * FROM compare_tiers();
SELECT serve(40, '9 s');
SELECT * FROM compare_tiers();
SELECT refresh('m');
SELECT * FROM marks;
SELECT * FROM compare_tiers();
SELECT serve(3, '1 min');
SELECT * FROM compare_tiers();
SELECT refresh('m');
SELECT * FROM compare_tiers();
SELECT * FROM marks;
SELECT refresh('m_5m');
SELECT * FROM compare_tiers();
SELECT refresh('m_1h');
SELECT refresh('m_1h');
SELECT * FROM marks;
SELECT * FROM compare_tiers();
-- Fits into the base, but not into a tier, which cannot keep that many gaps open.
SELECT serve(60, '1 min', '2026-01-01 10:59:30Z');
SELECT refresh('m_1h');
SELECT serve(1, '1 s', '2026-01-01 11:00:44Z');
SELECT * FROM compare_tiers();
SELECT refresh('m_5m');
SELECT * FROM compare_tiers();
SELECT refresh('m_1h');
SELECT * FROM marks;
SELECT * FROM compare_tiers();
SELECT serve(2, '100 s', '2026-01-01 11:00:20Z');
SELECT * FROM compare_tiers();
SELECT refresh('m_1h');
SELECT * FROM marks;
SELECT * FROM compare_tiers();
SELECT refresh('m_1h');
SELECT * FROM marks;
SELECT * FROM compare_tiers();
-- No time.
INSERT INTO served SELECT NULL, 'a', n FROM generate_series(1, 40) AS n;
SELECT * FROM compare_tiers();

-- Anything, in any order.
SELECT setseed(0.5);
CREATE PROCEDURE anything(rounds int) LANGUAGE plpgsql AS $$
DECLARE
	bad text;
BEGIN
	FOR i IN 1 .. rounds LOOP
		CASE (random() * 7)::int
			WHEN 0, 1 THEN INSERT INTO served SELECT '2026-01-01 12:00Z'::timestamptz + random() * interval '12 min', 'h' || (random() * 2)::int, (random() * 100)::int
				FROM generate_series(1, 1 + (random() * 3)::int);
			WHEN 2 THEN INSERT INTO served SELECT '2026-01-01 12:00Z'::timestamptz + random() * interval '2 hours', 'h' || (random() * 2)::int, (random() * 100)::int
				FROM generate_series(1, 60);
			WHEN 3 THEN INSERT INTO served SELECT '2026-01-01 12:00Z'::timestamptz + i * interval '1 min' + n * interval '1 s', 'h1', n FROM generate_series(1, 50) AS n;
			WHEN 4 THEN UPDATE served SET total = total + 1 WHERE ts BETWEEN '2026-01-01 12:03Z' AND '2026-01-01 12:04Z';
			WHEN 5 THEN COMMIT; PERFORM refresh('m');
			WHEN 6 THEN COMMIT; PERFORM refresh('m_5m');
			ELSE COMMIT; PERFORM refresh('m_1h');
		END CASE;
		COMMIT;
		SELECT string_agg(format('%s', c), ' ') INTO bad FROM compare_tiers() AS c WHERE base + "5m" + "1h" > 0;
		IF bad IS NOT NULL THEN
			RAISE WARNING 'round %: %', i, bad;
		END IF;
	END LOOP;
END $$;
CALL anything(80);
SELECT c.base, c."5m", c."1h", c.inexact, c.rows > 100 AS many FROM compare_tiers() AS c;
SELECT refresh('m_1h');
SELECT refresh('m_1h');
SELECT refresh('m_1h');
SELECT refresh('m_1h');
SELECT * FROM marks;
SELECT c.base, c."5m", c."1h", c.inexact FROM compare_tiers() AS c;
-- What is stored is exact, too.
SELECT count(*) > 100 AS many, count(*) FILTER (WHERE NOT is_exact(p1) OR NOT is_exact(p2)) AS inexact FROM aggwin._state_1000;
DELETE FROM served WHERE host = 'h1';
SELECT c.base, c."5m", c."1h" FROM compare_tiers() AS c;
DROP VIEW marks;
SELECT drop_rollup('m');

-- Where the source must not be asked, the estimate stays, and says so.
TRUNCATE served;
SELECT aggwin.create_rollup('old', format('SELECT time_bucket(%L, ts) AS time, %s', '1 minute', :'query'), source_retention => '1 day');
INSERT INTO served VALUES ('2026-01-01 10:00Z', 'a', 1), ('2026-01-10 10:00Z', 'a', 1);
SELECT refresh('old');
SELECT serve(40, '1 s', '2026-01-01 10:00Z'), serve(40, '1.1 s', '2026-01-01 10:00Z');
SELECT time, exact, n FROM old ORDER BY 1;
SELECT refresh('old');
SELECT time, exact, n FROM old ORDER BY 1;
SELECT refresh('old');
SELECT refresh('old');
SELECT time, exact, n FROM old ORDER BY 1;
SELECT drop_rollup('old');

-- Counters of counters, which may overlap in the source.
CREATE TABLE minutely AS SELECT time_bucket('1 minute', ts) AS minute, host, counter_agg(ts, total) AS c FROM served GROUP BY 1, 2;
SELECT make_rollup('d', 'SELECT time_bucket(''1 day'', minute) AS day, increase(merge(c)), resets(merge(c)), is_exact(merge(c)), num_vals(merge(c)) FROM minutely GROUP BY 1');
INSERT INTO minutely SELECT time_bucket('1 minute', ts), host, counter_agg(ts, total) FROM served GROUP BY 1, 2;
SELECT * FROM fold_and_compare('d');
INSERT INTO minutely SELECT '2026-01-02Z'::timestamptz + n * interval '1 min', 'a', counter_agg('2026-01-02Z'::timestamptz + n * interval '1 min', n) FROM generate_series(1, 50) AS n GROUP BY n;
SELECT * FROM fold_and_compare('d');
INSERT INTO minutely SELECT '2026-01-02Z'::timestamptz + n * interval '1 min', 'a', counter_agg('2026-01-02Z'::timestamptz + n * interval '1 min', n) FROM generate_series(51, 60) AS n GROUP BY n;
INSERT INTO minutely VALUES ('2026-01-02 00:30Z', 'a', NULL);
SELECT * FROM fold_and_compare('d');
SELECT * FROM fold_and_compare('d');
SELECT * FROM d ORDER BY day;

-- Samples of equal times, of no key; rows that are too late, or expired.
CREATE TABLE ticks (ts timestamptz, total int);
CREATE INDEX ON ticks (ts);
SELECT make_rollup('t', 'SELECT time_bucket(''1 minute'', ts) AS time, counter_agg(ts, total), count(*) FROM ticks GROUP BY 1');
INSERT INTO ticks SELECT '2026-01-01Z'::timestamptz + n % 7 * interval '1 s', n % 5 FROM generate_series(1, 50) AS n;
INSERT INTO ticks SELECT '2026-01-01Z'::timestamptz + n % 7 * interval '1 s', n % 3 FROM generate_series(1, 50) AS n;
INSERT INTO ticks VALUES ('2026-01-01 00:00:06Z', 1);
INSERT INTO ticks VALUES ('2026-01-01 00:00:06Z', 2), ('2026-01-01 00:00:07Z', 1);
SELECT * FROM fold_and_compare('t');
INSERT INTO ticks VALUES ('2026-01-01 00:00:07Z', 1);
SELECT * FROM fold_and_compare('t');
SELECT * FROM fold_and_compare('t');
SELECT drop_rollup('t');
SELECT create_rollup('t', 'SELECT time_bucket(''1 minute'', ts) AS time, is_exact(counter_agg(ts, total)) AS exact, count(*) FROM ticks GROUP BY 1',
	tiers => '{1 hour}', lateness => '10 minutes', late => 'drop');
SELECT refresh('t_1h');
INSERT INTO ticks VALUES ('2026-01-01 01:00Z', 1);
SELECT refresh('t_1h');
SELECT refresh('t_1h');
INSERT INTO ticks SELECT '2026-01-01Z'::timestamptz + n * interval '1 s', n % 5 FROM generate_series(1, 50) AS n;
SELECT * FROM t ORDER BY 1;
SELECT * FROM t_1h ORDER BY 1;
SELECT refresh('t_1h');
SELECT refresh('t_1h');
SELECT * FROM t ORDER BY 1;
SELECT * FROM t_1h ORDER BY 1;
SELECT late_dropped FROM rollup_status WHERE rollup = 't'::regclass;
SELECT drop_rollup('t');

SET client_min_messages = warning;
DROP SCHEMA rollup_counter CASCADE;
