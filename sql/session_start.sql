-- sessions
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE TEMP TABLE clicks (k text, ts timestamptz);
INSERT INTO clicks VALUES ('a', '2026-03-01 10:00Z'), ('a', '2026-03-01 10:20Z'), ('a', '2026-03-01 10:50Z'), ('a', '2026-03-01 11:20:00.000001Z'),
	('a', NULL), ('b', '2026-03-01 10:30Z'), ('b', '2026-03-01 10:30Z'), ('b', '-infinity'), ('b', 'infinity'), ('b', 'infinity'), (NULL, '2026-03-01 10:59Z'), (NULL, NULL);
SELECT k, ts, aggwin.session_start(ts, '30 minutes') OVER (PARTITION BY k ORDER BY ts) FROM clicks;
SELECT k, ts, aggwin.session_start(ts, '30 minutes') OVER (PARTITION BY k ORDER BY ts NULLS FIRST ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING) FROM clicks;
SELECT ts, aggwin.session_start(ts::timestamp, '30 minutes') OVER (ORDER BY ts) FROM clicks WHERE k = 'a';
SELECT i, aggwin.session_start(i, 3::bigint) OVER (ORDER BY i) FROM unnest('{1,4,8,9223372036854775807,-9223372036854775808,NULL}'::bigint[]) AS i;
SELECT ts, aggwin.session_start(ts, NULL) OVER (ORDER BY ts) FROM clicks WHERE k = 'b';
-- What gaps and islands give.
SELECT count(*) AS rows, count(*) FILTER (WHERE mine IS DISTINCT FROM plain) AS different, count(DISTINCT (k, mine)) > 100 AS many
FROM (SELECT k, ts, mine, min(ts) OVER (PARTITION BY k, island) AS plain
	FROM (SELECT *, count(*) FILTER (WHERE ts - before > interval '50 seconds' OR before IS NULL) OVER (PARTITION BY k ORDER BY ts) AS island
		FROM (SELECT *, lag(ts) OVER (PARTITION BY k ORDER BY ts) AS before, aggwin.session_start(ts, '50 seconds') OVER (PARTITION BY k ORDER BY ts) AS mine
			FROM (SELECT i % 7 AS k, '2026-03-01Z'::timestamptz + hashint4(i) % 20000 * interval '1 second' AS ts FROM generate_series(1, 5000) AS i) AS e) AS a) AS b) AS c;
-- The order must be that of the time.
SELECT aggwin.session_start(ts, '30 minutes') OVER (PARTITION BY k) FROM clicks;
SELECT aggwin.session_start(ts, '30 minutes') OVER (ORDER BY ts DESC) FROM clicks;
SELECT aggwin.session_start(ts, '30 minutes') OVER (ORDER BY k) FROM clicks;
SELECT aggwin.session_start(ts, '30 minutes') FROM clicks;
-- Nonsense.
SELECT aggwin.session_start(ts, '0') OVER (ORDER BY ts) FROM clicks;
SELECT aggwin.session_start(ts, '-1 second') OVER (ORDER BY ts) FROM clicks;
SELECT aggwin.session_start(ts, '1 month') OVER (ORDER BY ts) FROM clicks;
SELECT aggwin.session_start(1::bigint, 0::bigint) OVER (ORDER BY ts) FROM clicks;
