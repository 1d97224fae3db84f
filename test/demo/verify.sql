-- verify.sql - compares the rollup with the raw table, every bucket of every song
--
-- One statement, so one snapshot. Its row: events in the raw table, groups
-- compared, groups that only the rollup has, groups that only the raw table has.
-- A wrong count makes a group of each kind.

WITH rollup AS MATERIALIZED (
	SELECT bucket, song_id, plays FROM plays_1s
), raw AS MATERIALIZED (
	SELECT aggwin.time_bucket('1 second', ts) AS bucket, song_id, count(*) AS plays
	FROM song_plays
	GROUP BY 1, 2
)
SELECT (SELECT coalesce(sum(plays), 0) FROM raw),
	(SELECT count(*) FROM raw),
	(SELECT count(*) FROM (TABLE rollup EXCEPT ALL TABLE raw) AS extra),
	(SELECT count(*) FROM (TABLE raw EXCEPT ALL TABLE rollup) AS missing);
