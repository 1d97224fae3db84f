-- setup.sql - the tables, the rollups and the window output of the demo
--
-- psql variables: songs (how many to invent).

CREATE EXTENSION aggwin;

-- What the queue of events would deliver.
CREATE TABLE song_plays (ts timestamptz NOT NULL, song_id bigint NOT NULL);
CREATE INDEX ON song_plays (ts);

SELECT aggwin.create_rollup('plays_1s', $$
  SELECT aggwin.time_bucket('1 second', ts) AS bucket, song_id, count(*) AS plays
  FROM song_plays GROUP BY 1, 2 $$);

SELECT aggwin.create_rollup('plays_per_second', $$
  SELECT aggwin.time_bucket('1 second', ts) AS bucket, count(*) AS plays
  FROM song_plays GROUP BY 1 $$);

-- The catalogue: titles and bands put together from word lists.
CREATE TABLE songs (song_id bigint PRIMARY KEY, title text NOT NULL, band text NOT NULL);

WITH words AS (
	SELECT '{Amber,Broken,Copper,Distant,Early,Faded,Gentle,Hollow,Idle,Jagged,Kindled,Lonely,'
		'Midnight,Northern,Open,Paper,Quiet,Restless,Silver,Tangled,Under,Velvet,Winter,Yellow,'
		'Burning,Crooked,Drifting,Electric,Frozen,Golden,Hidden,Little}'::text[] AS first,
		'{Anchors,Bridges,Candles,Daylight,Engines,Feathers,Gardens,Harbours,Islands,Jackets,'
		'Kites,Lanterns,Mirrors,Numbers,Oceans,Pockets,Quarters,Rivers,Shadows,Trains,Umbrellas,'
		'Voices,Windows,Years,Balconies,Comets,Doorways,Echoes,Fences,Gravity,Horizons,Letters}'::text[] AS second,
		'{Foxes,Magpies,Lamplighters,Cartographers,Tides,Sparrows,Telegraphs,Pilots,Gardeners,'
		'Comets,Clockmakers,Herons,Satellites,Wanderers,Beacons,Otters}'::text[] AS third
), numbered AS (
	-- four independent draws of five bits each from one hash per song
	SELECT song_id, hashint8extended(song_id, 0) & 1048575 AS draw
	FROM generate_series(1, :songs) AS song_id
)
INSERT INTO songs
SELECT song_id,
	first[1 + (draw & 31)] || ' ' || second[1 + (draw >> 5 & 31)],
	'The ' || first[1 + (draw >> 10 & 31)] || ' ' || third[1 + (draw >> 15 & 15)]
FROM numbered, words;

ANALYZE songs;

-- What the board is told of: each second the ten most played songs of the last
-- ten, and what plays that come late change in those of the last twenty seconds.
SELECT aggwin.create_window('top_songs', $$
  SELECT song_id, plays, title || ', ' || band AS song
  FROM (SELECT song_id, sum(plays) AS plays FROM plays_1s
        GROUP BY song_id ORDER BY plays DESC, song_id LIMIT 10) AS top
    JOIN songs USING (song_id)
  ORDER BY plays DESC, song_id $$,
  size => '10 seconds', period => '1 second', emit => 'changes', retention => '20 seconds');
