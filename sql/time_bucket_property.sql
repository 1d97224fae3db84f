-- time_bucket and bucket_end against formulas that share nothing with them
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SET max_parallel_workers_per_gather = 0;	-- for setseed
SET jit = off;
SELECT setseed(0.15);

-- a number of any size up to 2^bits, either sign
CREATE FUNCTION pg_temp.any_int(bits float8) RETURNS bigint LANGUAGE sql VOLATILE AS $$
	SELECT ((random() * 2 - 1) * 2 ^ (random() * bits))::bigint
$$;
CREATE FUNCTION pg_temp.any_width(bits float8) RETURNS bigint LANGUAGE sql VOLATILE AS $$
	SELECT greatest(1, (2 ^ (random() * bits))::bigint)
$$;
CREATE FUNCTION pg_temp.usecs(bigint) RETURNS interval LANGUAGE sql IMMUTABLE AS $$
	SELECT make_interval(days => ($1 / 86400000000)::int) + ($1 % 86400000000) * interval '1 us'
$$;
-- microseconds, since 2000-01-01 or of a width
CREATE FUNCTION pg_temp.ticks(timestamp) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
	SELECT ((extract(epoch FROM $1) - 946684800) * 1000000)::bigint
$$;
CREATE FUNCTION pg_temp.ticks(interval) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
	SELECT (extract(epoch FROM $1) * 1000000)::bigint
$$;
CREATE FUNCTION pg_temp.sqlstate(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN 'none';
EXCEPTION WHEN others THEN
	RETURN SQLSTATE;
END $$;

--
-- integers against mod() of numeric
--
CREATE TEMP TABLE ints AS
SELECT w, x, o, x - mod(mod(x::numeric - o, w) + w, w) AS first
FROM (SELECT pg_temp.any_width(63) AS w, pg_temp.any_int(63) AS x,
		CASE WHEN g % 3 = 0 THEN pg_temp.any_int(63) ELSE 0 END AS o
	FROM generate_series(1, 20000) AS g OFFSET 0) AS r;

SELECT 'bigint' AS property, count(*) AS cases, count(*) FILTER (WHERE ok IS NOT TRUE) AS violations
FROM (SELECT CASE WHEN first >= -9223372036854775808 THEN aggwin.time_bucket(w, x, o) = first
				ELSE pg_temp.sqlstate(format('SELECT aggwin.time_bucket(%L::bigint, %L::bigint, %L::bigint)', w, x, o)) = '22003' END
			AND CASE WHEN first + w <= 9223372036854775807 THEN aggwin.bucket_end(w, x, o) = first + w
				ELSE aggwin.bucket_end(w, x, o) IS NULL END
			AND (o <> 0 OR aggwin.bucket_end(w, x) IS NOT DISTINCT FROM aggwin.bucket_end(w, x, o)) AS ok
	FROM ints) AS t;

SELECT 'int' AS property, count(*) AS cases, count(*) FILTER (WHERE ok IS NOT TRUE) AS violations
FROM (SELECT CASE WHEN first >= -2147483648 THEN aggwin.time_bucket(w, x, o) = first
				ELSE pg_temp.sqlstate(format('SELECT aggwin.time_bucket(%L::int, %L::int, %L::int)', w, x, o)) = '22003' END
			AND CASE WHEN first + w <= 2147483647 THEN aggwin.bucket_end(w, x, o) = first + w
				ELSE aggwin.bucket_end(w, x, o) IS NULL END AS ok
	FROM (SELECT w, x, o, x - mod(mod(x::numeric - o, w) + w, w) AS first
		FROM (SELECT least(pg_temp.any_width(31), 2147483647)::int AS w, pg_temp.any_int(30.99)::int AS x,
				pg_temp.any_int(30.99)::int AS o
			FROM generate_series(1, 10000) OFFSET 0) AS r) AS t) AS t;

--
-- widths in days and smaller units against mod() of numeric microseconds,
-- and against date_bin() where that is right in all supported versions
--
CREATE TEMP TABLE fixed AS
SELECT w, wi, ts, o, x - mod(mod(x - o_us, w) + w, w) AS first, x, o_us
FROM (SELECT w, pg_temp.usecs(w) AS wi, ts, o, pg_temp.ticks(ts)::numeric AS x,
			pg_temp.ticks(o)::numeric AS o_us
	FROM (SELECT pg_temp.any_width(62) AS w,
				timestamp '2000-01-01' + pg_temp.usecs(CASE WHEN g % 5 = 0 THEN pg_temp.any_width(62.99)
					ELSE pg_temp.any_int(57.5) END) AS ts,
				CASE WHEN g % 2 = 0 THEN timestamp '2000-01-03'
					ELSE timestamp '2000-01-01' + pg_temp.usecs(pg_temp.any_int(57.5)) END AS o
		FROM generate_series(1, 20000) AS g OFFSET 0) AS r) AS r;

SELECT 'timestamp' AS property, count(*) AS cases, count(*) FILTER (WHERE ok IS NOT TRUE) AS violations
FROM (SELECT CASE WHEN first >= pg_temp.ticks(timestamp '4714-11-24 BC')
				THEN pg_temp.ticks(aggwin.time_bucket(wi, ts, o)) = first
					AND aggwin.time_bucket(wi, ts, o) AT TIME ZONE 'UTC'
						= aggwin.time_bucket(wi, ts AT TIME ZONE 'UTC', o AT TIME ZONE 'UTC')
					AND aggwin.time_bucket(wi, ts, o) AT TIME ZONE 'UTC'
						= aggwin.time_bucket(wi, ts AT TIME ZONE 'UTC', o AT TIME ZONE 'UTC', 'UTC')
					AND CASE WHEN ts BETWEEN o AND '9999-12-31' THEN aggwin.time_bucket(wi, ts, o) = date_bin(wi, ts, o) ELSE true END
				ELSE pg_temp.sqlstate(format('SELECT aggwin.time_bucket(%L, %L::timestamp, %L::timestamp)', wi, ts, o)) = '22008' END
			AND CASE WHEN first + w < pg_temp.ticks(timestamp '294276-12-31') + 86400000000
				THEN pg_temp.ticks(aggwin.bucket_end(wi, ts, o)) = first + w
				ELSE aggwin.bucket_end(wi, ts, o) = 'infinity' END
			AND aggwin.bucket_end(wi, ts, o) AT TIME ZONE 'UTC'
				= aggwin.bucket_end(wi, ts AT TIME ZONE 'UTC', o AT TIME ZONE 'UTC', 'UTC') AS ok
	FROM fixed) AS t;

--
-- months and years against the server's own date + n * interval
--
CREATE TEMP TABLE months AS
SELECT g, make_interval(months => w) AS wi, w, o, ts, (extract(year FROM ts) * 12 + extract(month FROM ts)
		- extract(year FROM o) * 12 - extract(month FROM o))::int / w AS n
FROM (SELECT g, pg_temp.any_width(9)::int AS w, timestamp '2000-01-01' + pg_temp.usecs(pg_temp.any_int(55)) AS ts,
			timestamp '2000-01-31 23:59:59' + pg_temp.usecs(pg_temp.any_int(CASE WHEN g % 2 = 0 THEN 20 ELSE 55 END)) AS o
	FROM generate_series(1, 5000) AS g OFFSET 0) AS r;

SELECT 'months' AS property, count(*) AS cases, count(*) FILTER (WHERE ok IS NOT TRUE) AS violations
FROM (SELECT aggwin.time_bucket(wi, ts, o) = max(p) FILTER (WHERE p <= ts)
			AND aggwin.bucket_end(wi, ts, o) = min(p) FILTER (WHERE p > ts)
			AND aggwin.time_bucket(wi, ts::date, o::date)
				= max(p::date) FILTER (WHERE p::date <= ts::date)
			AND aggwin.bucket_end(wi, ts::date, o::date)
				= min(p::date) FILTER (WHERE p::date > ts::date) AS ok
	FROM months, LATERAL (SELECT o + k * wi AS p FROM generate_series(n - 3, n + 3) AS k) AS p
	GROUP BY g, wi, ts, o) AS t;

SELECT 'date' AS property, count(*) AS cases, count(*) FILTER (WHERE ok IS NOT TRUE) AS violations
FROM (SELECT aggwin.time_bucket(w, d, o) = aggwin.time_bucket(w, d::timestamp, o::timestamp)::date
			AND aggwin.bucket_end(w, d, o) = aggwin.bucket_end(w, d::timestamp, o::timestamp)::date
			AND aggwin.time_bucket(w, d) = aggwin.time_bucket(w, d::timestamp)::date AS ok
	FROM (SELECT make_interval(days => pg_temp.any_width(15)::int) AS w,
				date '2000-01-01' + pg_temp.any_int(20)::int AS d, date '2000-01-01' + pg_temp.any_int(20)::int AS o
		FROM generate_series(1, 10000) OFFSET 0) AS r) AS t;

--
-- time zones against AT TIME ZONE, applied to every instant of a lattice
-- around a change of the clock. An instant starts a bucket if wall time
-- reaches or passes a grid point there that it had not reached before; or if
-- it is on a grid point in a stretch of wall time that is repeated and not
-- shorter than the width.
--
CREATE TEMP TABLE changes (id int GENERATED ALWAYS AS IDENTITY, zone text, change timestamptz, reach interval, step interval);
INSERT INTO changes (zone, change, reach, step) VALUES
	('Europe/Berlin', '2024-03-31 01:00', '3 days', '15 min'),
	('Europe/Berlin', '2024-10-27 01:00', '3 days', '15 min'),
	('Europe/Berlin', '1893-03-31 23:06:32', '3 hours', '8 s'),
	('America/New_York', '2024-03-10 07:00', '3 days', '15 min'),
	('America/New_York', '2024-11-03 06:00', '3 days', '15 min'),
	('America/Sao_Paulo', '2018-02-18 02:00', '3 days', '15 min'),
	('America/Sao_Paulo', '2018-11-04 03:00', '3 days', '15 min'),
	('America/Havana', '2018-03-11 05:00', '3 days', '15 min'),
	('America/Havana', '2018-11-04 05:00', '3 days', '15 min'),
	('Australia/Lord_Howe', '2023-09-30 15:30', '3 days', '15 min'),
	('Australia/Lord_Howe', '2024-04-06 15:00', '3 days', '15 min'),
	('Asia/Kathmandu', '1985-12-31 18:30', '3 days', '15 min'),
	('Africa/Casablanca', '2023-03-19 02:00', '3 days', '15 min'),
	('Africa/Casablanca', '2023-04-23 02:00', '3 days', '15 min'),
	('Africa/Monrovia', '1972-01-07 00:44:30', '8 hours', '30 s'),
	('Pacific/Apia', '2011-12-30 10:00', '5 days', '15 min'),
	('Pacific/Kwajalein', '1969-09-30 13:00', '5 days', '15 min'),
	('MSK', '2000-03-25 23:00', '3 days', '15 min'),
	('MSK', '2011-03-26 23:00', '3 days', '15 min'),
	('MSK', '2014-10-25 22:00', '3 days', '15 min'),
	('EST5EDT,M3.2.0,M11.1.0', '2500-11-07 06:00', '3 days', '15 min'),
	('+03:30', '2024-01-01 00:00', '3 days', '15 min');

CREATE TEMP TABLE lattice AS
SELECT id, t, wall, lag(wall) OVER w + pg_temp.ticks(step) - wall AS back,
	max(wall) OVER (w ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
FROM (SELECT id, step, t, pg_temp.ticks(t AT TIME ZONE zone) AS wall
	FROM changes, generate_series(change - reach, change + reach, step) AS t) AS r
WINDOW w AS (PARTITION BY id ORDER BY t);

-- the stretches that are repeated
CREATE TEMP TABLE repeats AS
SELECT id, t AS first, t + back * interval '1 us' AS next, back FROM lattice WHERE back > 0;

CREATE TEMP TABLE grids AS
SELECT id, zone, step, row_number() OVER () AS grid, width, pg_temp.ticks(width) AS w,
	wall AT TIME ZONE zone AS origin, pg_temp.ticks(wall) AS o
FROM changes, unnest(CASE WHEN step < interval '1 min' THEN '{2 min, 4 min, 20 min, 1 hour, 90 min}'
		ELSE '{15 min, 30 min, 45 min, 1 hour, 90 min, 2 hours, 4 hours, 5 hours, 12 hours, 1 day, 25 hours, 2 days}' END::interval[]) AS width,
	(VALUES (timestamp '2000-01-03'), (timestamp '2000-02-01 07:30')) AS origin(wall);

SET work_mem = '64MB';
CREATE TEMP TABLE expected AS
SELECT grid, t, max(t) FILTER (WHERE boundary) OVER (g ORDER BY t) AS first,
	min(t) FILTER (WHERE boundary) OVER (g ORDER BY t DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS next
FROM (SELECT grid, l.t, point > reached OR point = wall AND r.back >= w AS boundary
	FROM lattice AS l JOIN grids USING (id)
		LEFT JOIN repeats AS r ON r.id = l.id AND l.t >= r.first AND l.t < r.next,
		LATERAL (SELECT wall - ((wall - o) % w + w) % w AS point) AS p) AS b
WINDOW g AS (PARTITION BY grid);

-- (the first and the last bucket of each lattice are cut off, and not compared)
SELECT zone AS "property: zone", count(*) AS cases,
	count(*) FILTER (WHERE whole) > count(*) / 2 AS "most compared",
	count(*) FILTER (WHERE whole AND ok IS NOT TRUE) AS violations
FROM (SELECT zone, first IS NOT NULL AND next IS NOT NULL AS whole, aggwin.time_bucket(width, t, origin, zone) = first
			AND aggwin.bucket_end(width, t, origin, zone) = next
			AND aggwin.time_bucket(width, t + step - interval '1 us', origin, zone) = first
			AND aggwin.bucket_end(width, t + step - interval '1 us', origin, zone) = next
			AND (o <> pg_temp.ticks(timestamp '2000-01-03') OR aggwin.time_bucket(width, t, zone) = first
				AND aggwin.bucket_end(width, t, zone) = next) AS ok
	FROM expected JOIN grids USING (grid)) AS t
GROUP BY zone ORDER BY zone COLLATE "C";

-- against date_trunc(), which is right where no change is at midnight and
-- every change is by whole hours
SELECT unit AS "property: date_trunc", count(*) AS cases, count(*) FILTER (WHERE ok IS NOT TRUE) AS violations
FROM (SELECT unit, aggwin.time_bucket(w, ts, zone) = date_trunc(unit, ts, zone)
			AND aggwin.bucket_end(w, ts, zone) = CASE WHEN unit = 'hour' THEN date_trunc(unit, ts, zone) + w
				ELSE (date_trunc(unit, ts, zone) AT TIME ZONE zone + w) AT TIME ZONE zone END AS ok
	FROM (SELECT timestamptz '2010-01-01' + pg_temp.usecs(pg_temp.any_int(51)) AS ts FROM generate_series(1, 1000) OFFSET 0) AS r,
		unnest('{Europe/Berlin, America/New_York, Australia/Sydney, Asia/Tokyo}'::text[]) AS zone,
		(VALUES ('hour', interval '1 hour'), ('day', '1 day'), ('week', '1 week'), ('month', '1 month'),
			('quarter', '3 months'), ('year', '1 year')) AS u(unit, w)) AS t
GROUP BY unit ORDER BY unit;

-- long buckets, beyond the years that the server tabulates for a zone
SELECT 'years' AS property, count(*) AS cases, count(*) FILTER (WHERE ok IS NOT TRUE) AS violations
FROM (SELECT aggwin.bucket_end('1 year', first, first, zone) = next
			AND aggwin.time_bucket('1 year', first, first, zone) = first
			AND aggwin.time_bucket('1 year', next - interval '1 us', first, zone) = first AS ok
	FROM (SELECT zone, make_timestamp(y, m, d, 0, 0, 0) AT TIME ZONE zone AS first,
				make_timestamp(y + 1, m, d, 0, 0, 0) AT TIME ZONE zone AS next
			FROM generate_series(1980, 2800) AS y,
				(VALUES (1, 1), (3, 1), (3, 20), (7, 1), (9, 25), (10, 20)) AS day(m, d),
				unnest('{Europe/Berlin, America/New_York, Australia/Sydney}'::text[]) AS zone) AS t) AS t;

--
-- what rollups rely on, for any two times x <= y: a bucket holds its start,
-- not its end; y is in x's bucket just if it is before the end; starts and
-- ends are starts; order is kept
--
CREATE TEMP TABLE pairs AS
SELECT zone, w, x, x + pg_temp.usecs(abs(pg_temp.any_int(43))) AS y, o
FROM (SELECT zone, change + pg_temp.usecs(pg_temp.any_int(44)) AS x,
		timestamptz '2000-01-01' + pg_temp.usecs(pg_temp.any_int(54)) AS o,
		CASE WHEN g % 4 = 0 THEN make_interval(months => pg_temp.any_width(8)::int)
			WHEN g % 4 = 1 THEN make_interval(days => pg_temp.any_width(9)::int)
			ELSE pg_temp.usecs(pg_temp.any_width(45)) END AS w
	FROM changes, generate_series(1, 1000) AS g OFFSET 0) AS r;

SELECT kind AS "property: equivalence", count(*) AS cases, count(*) FILTER (WHERE ok IS NOT TRUE) AS violations
FROM (SELECT kind, sx <= x AND x < ex AND sy <= y AND y < ey
			AND (sx = sy) = (y < ex) AND (sx = sy) = (ex = ey)
			AND sx <= sy AND (sx = sy OR ex <= sy)
			AND ssx = sx AND esx = ex AND sex = ex AS ok
	FROM (SELECT 'zone' AS kind, x, y, aggwin.time_bucket(w, x, o, zone) AS sx, aggwin.bucket_end(w, x, o, zone) AS ex,
				aggwin.time_bucket(w, y, o, zone) AS sy, aggwin.bucket_end(w, y, o, zone) AS ey,
				aggwin.time_bucket(w, aggwin.time_bucket(w, x, o, zone), o, zone) AS ssx,
				aggwin.bucket_end(w, aggwin.time_bucket(w, x, o, zone), o, zone) AS esx,
				aggwin.time_bucket(w, aggwin.bucket_end(w, x, o, zone), o, zone) AS sex
			FROM pairs
		UNION ALL
		SELECT 'no zone', x, y, aggwin.time_bucket(w, x, o), aggwin.bucket_end(w, x, o),
				aggwin.time_bucket(w, y, o), aggwin.bucket_end(w, y, o),
				aggwin.time_bucket(w, aggwin.time_bucket(w, x, o), o),
				aggwin.bucket_end(w, aggwin.time_bucket(w, x, o), o),
				aggwin.time_bucket(w, aggwin.bucket_end(w, x, o), o)
			FROM pairs) AS t) AS t
GROUP BY kind ORDER BY kind;
