-- Rollups of summaries: the bytes that the plain query gives, folded or not,
-- for single rows, batches, changes of rows, and over summaries themselves.
\getenv srcdir PG_ABS_SRCDIR
\set helper :srcdir/test/lib/compare.sql
CREATE SCHEMA rollup_summaries;
SET search_path = rollup_summaries, aggwin, public;
\set ECHO none
\i :helper
\set ECHO all
SELECT setseed(0.1);

CREATE TABLE requests (ts timestamptz, path text, ms int);
CREATE INDEX ON requests (ts);
-- Whole numbers: their sums do not depend on the order.
SELECT make_rollup('latency', $$
	SELECT aggwin.time_bucket('1 minute', ts) AS minute, path,
		exp_hist_agg(ms) AS h, exp_hist_agg(ms, 0.05, 40) FILTER (WHERE ms > 100) AS slow,
		percentile(exp_hist_agg(ms), 0.95) AS p95, total(stats_agg(ms)) AS total,
		max_val(stats_agg(ms)) - min_val(stats_agg(ms)) AS spread,
		hist_agg(ms, '{10, 100, 500}') AS b, topk_agg(ms, 3) AS t, topk_agg(path, 1, ms) FILTER (WHERE ms > 0) AS w
	FROM requests GROUP BY 1, 2 HAVING num_vals(exp_hist_agg(ms)) > 0 $$);

INSERT INTO requests VALUES ('2026-01-01 10:00:01Z', '/', 12);
INSERT INTO requests VALUES ('2026-01-01 10:00:02Z', '/', NULL);
INSERT INTO requests VALUES ('2026-01-01 10:00:59Z', '/', 300);
INSERT INTO requests VALUES ('2026-01-01 10:01:00Z', '/buy', NULL);
SELECT minute, path, num_vals(h), num_vals(slow) AS slow, p95, total, spread FROM latency ORDER BY minute, path;
SELECT * FROM fold_and_compare('latency');
INSERT INTO requests SELECT timestamptz '2026-01-01 10:00Z' + n * interval '0.1 s', '/' || n % 3, random() * random() * 1000
FROM generate_series(1, 5000) AS n;
SELECT * FROM fold_and_compare('latency');
INSERT INTO requests SELECT timestamptz '2026-01-01 10:00Z' + n * interval '1 s', '/' || n % 3, n FROM generate_series(1, 300) AS n;
UPDATE requests SET ms = ms + 1 WHERE path = '/1' AND ts < '2026-01-01 10:03Z';
DELETE FROM requests WHERE ms < 10;
SELECT * FROM fold_and_compare('latency');
BEGIN;
INSERT INTO requests VALUES ('2026-01-01 10:00:59Z', '/', -5);
SELECT * FROM compare('latency');
ROLLBACK;
SELECT * FROM compare('latency');

-- One and the same summary is stored once, whatever is read from it.
SELECT count(*) AS partials FROM pg_attribute
WHERE attrelid = (SELECT state FROM aggwin.rollup WHERE view = 'latency'::regclass) AND attname ~ '^p[0-9]+$';

-- A table of summaries, such as another system's or an older rollup's.
CREATE TABLE hourly (ts timestamptz, path text, h exp_histogram, s stats);
SELECT make_rollup('daily', $$
	SELECT aggwin.time_bucket('1 day', ts) AS day, path, merge(h) AS h, mean(merge(s)) AS mean
	FROM hourly GROUP BY 1, 2 $$);
INSERT INTO hourly SELECT minute, path, h, stats_agg(total) FROM latency GROUP BY 1, 2, 3;
INSERT INTO hourly VALUES ('2026-01-01 23:00Z', '/', NULL, NULL);
INSERT INTO hourly VALUES ('2026-01-01 23:00Z', '/1', exp_histogram_transition(NULL, 7), NULL);
SELECT * FROM fold_and_compare('daily');
SELECT day, path, num_vals(h) FROM daily ORDER BY day, path;

-- Errors of a row are errors of its INSERT, and leave nothing behind.
CREATE TABLE floats (ts timestamptz, v float8);
SELECT make_rollup('floats_1s', $$
	SELECT aggwin.time_bucket('1 second', ts) AS s, exp_hist_agg(v) AS h FROM floats GROUP BY 1 $$);
SET aggwin.strict_capture = on;
INSERT INTO floats VALUES ('2026-01-01 10:00Z', 'NaN');
INSERT INTO floats SELECT '2026-01-01 10:00Z', 'NaN' FROM generate_series(1, 100);
RESET aggwin.strict_capture;
SELECT * FROM fold_and_compare('floats_1s');

-- What does not merge exactly is refused; the hints show what merges.
SELECT aggwin.create_rollup('refused', $$ SELECT aggwin.time_bucket('1 second', ts) AS s,
	percentile_cont(0.95) WITHIN GROUP (ORDER BY v) FROM floats GROUP BY 1 $$);
SELECT aggwin.create_rollup('refused', $$ SELECT aggwin.time_bucket('1 second', ts) AS s,
	mode() WITHIN GROUP (ORDER BY v) FROM floats GROUP BY 1 $$);
SELECT aggwin.create_rollup('refused', $$ SELECT aggwin.time_bucket('1 second', ts) AS s,
	histogram_quantile(0.5, v, v) FROM floats GROUP BY 1 $$);
SELECT aggwin.create_rollup('refused', $$ SELECT aggwin.time_bucket('1 second', ts) AS s,
	array_agg(v) FROM floats GROUP BY 1 $$);

SET client_min_messages = warning;
DROP SCHEMA rollup_summaries CASCADE;
