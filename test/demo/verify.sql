-- verify.sql - compares the rollups with the raw table, every bucket of every song
--
-- One statement, so one snapshot. Its row: events in the raw table, buckets of
-- songs compared, groups that only a rollup has, groups that only the raw table
-- has. A wrong count makes a group of each kind.

WITH rollups AS MATERIALIZED (
	SELECT 'plays_1s' AS name, bucket, song_id, plays FROM plays_1s
	UNION ALL
	SELECT 'plays_per_second', bucket, NULL, plays FROM plays_per_second
), raw AS MATERIALIZED (
	SELECT 'plays_1s' AS name, aggwin.time_bucket('1 second', ts) AS bucket, song_id,
		count(*) AS plays
	FROM song_plays
	GROUP BY 2, 3
	UNION ALL
	SELECT 'plays_per_second', aggwin.time_bucket('1 second', ts), NULL, count(*)
	FROM song_plays
	GROUP BY 2
)
SELECT (SELECT count(*) FROM song_plays),
	(SELECT count(*) FROM raw WHERE name = 'plays_1s'),
	(SELECT count(*) FROM (TABLE rollups EXCEPT ALL TABLE raw) AS extra),
	(SELECT count(*) FROM (TABLE raw EXCEPT ALL TABLE rollups) AS missing);
