-- time_bucket and bucket_end: every form, every error
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres';

-- what an expression returns, or all that its error says
CREATE FUNCTION pg_temp.outcome(expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	result text;
	message text;
	detail text;
	hint text;
BEGIN
	EXECUTE 'SELECT (' || expression || ')::text' INTO result;
	RETURN coalesce(result, 'NULL');
EXCEPTION WHEN others THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
		hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(' | ', SQLSTATE, message, nullif(detail, ''), nullif(hint, ''));
END $$;

--
-- fixed widths
--
SELECT w AS width,
	aggwin.time_bucket(w, timestamptz '2024-05-15 13:47:11.987654'),
	aggwin.bucket_end(w, timestamptz '2024-05-15 13:47:11.987654')
FROM unnest('{1 microsecond, 250 milliseconds, 1 second, 7 seconds, 1 minute, 5 minutes,
	1 hour, 36 hours, 1 day, 1 day 01:00, 1 day -01:00, 1 week, 2 weeks}'::interval[]) AS w;
-- weeks begin on Monday
SELECT extract(isodow FROM aggwin.time_bucket('1 week', timestamptz '2024-05-15 13:47')) AS isodow;
-- a bucket holds its start and not its end
SELECT t, aggwin.time_bucket('1 hour', t), aggwin.bucket_end('1 hour', t)
FROM unnest('{2024-05-15 13:00, 2024-05-15 13:59:59.999999, 2024-05-15 14:00}'::timestamptz[]) AS t;
-- without a time zone the session's has no say
SET TimeZone = 'Asia/Kathmandu';
SELECT aggwin.time_bucket('1 day', timestamptz '2024-05-15 13:47Z') = timestamptz '2024-05-15 00:00Z' AS utc;
SET TimeZone = 'UTC';

-- origin, by position and by name
SELECT aggwin.time_bucket('1 week', timestamptz '2024-05-15 13:47', timestamptz '2024-01-07') AS sunday,
	aggwin.bucket_end('1 week', timestamptz '2024-05-15 13:47', origin => '2030-01-06') AS later_origin,
	aggwin.time_bucket(width => '6 hours', ts => timestamptz '2024-05-15 13:47', origin => '2024-01-01 05:00') AS six;

-- before the origin, before the epoch, before Christ
SELECT t, aggwin.time_bucket('7 hours', t), aggwin.bucket_end('7 hours', t)
FROM unnest('{2000-01-03, 2000-01-02 23:59:59.999999, 1999-12-31 12:00, 1969-12-31 23:59,
	1066-10-14 09:00, 0044-03-15 11:00 BC}'::timestamptz[]) AS t;

-- timestamp without time zone
SELECT aggwin.time_bucket('15 minutes', timestamp '2024-03-31 02:47'),
	aggwin.bucket_end('15 minutes', timestamp '2024-03-31 02:47'),
	aggwin.time_bucket('15 minutes', timestamp '2024-03-31 02:47', timestamp '2000-01-01 00:05'),
	aggwin.bucket_end('15 minutes', timestamp '2024-03-31 02:47', origin => '2000-01-01 00:05');

--
-- months and years
--
SELECT w AS width,
	aggwin.time_bucket(w, timestamp '2024-05-15 13:47'),
	aggwin.bucket_end(w, timestamp '2024-05-15 13:47'),
	aggwin.time_bucket(w, timestamp '1999-12-31 23:59'),
	aggwin.bucket_end(w, timestamp '1999-12-31 23:59')
FROM unnest('{1 month, 3 months, 5 months, 1 year, 10 years, 100 years}'::interval[]) AS w;
-- an origin at the end of a month, and its time of day
SELECT t, aggwin.time_bucket('1 month', t, timestamp '2000-01-31 06:00'),
	aggwin.bucket_end('1 month', t, timestamp '2000-01-31 06:00')
FROM unnest('{2023-02-28 05:59, 2023-02-28 06:00, 2024-02-29 05:59, 2024-02-29 06:00,
	2024-03-31 05:59, 2024-04-30 06:00, 1999-11-30 05:00, 0001-02-28 06:00 BC, 0001-02-29 06:00 BC}'::timestamp[]) AS t;
SELECT aggwin.time_bucket('1 year', timestamptz '2023-03-01', timestamptz '2000-02-29') AS from_feb_28,
	aggwin.bucket_end('1 year', timestamptz '2023-03-01', timestamptz '2000-02-29') AS to_feb_29;

--
-- date
--
SELECT w AS width, aggwin.time_bucket(w, date '2024-05-15'), aggwin.bucket_end(w, date '2024-05-15'),
	aggwin.time_bucket(w, date '2024-05-15', date '2024-05-14') AS from_origin,
	aggwin.bucket_end(w, date '2024-05-15', origin => '2024-05-14') AS from_origin_end
FROM unnest('{1 day, 24 hours, 10 days, 1 week, 1 month, 1 year}'::interval[]) AS w;
SELECT aggwin.time_bucket('1 week', date '1999-12-31'), aggwin.time_bucket('1 month', date '0001-12-31 BC');

--
-- integers
--
SELECT t, aggwin.time_bucket(10, t), aggwin.bucket_end(10, t),
	aggwin.time_bucket(10, t, 3) AS from_3, aggwin.bucket_end(10, t, origin => 3) AS from_3_end
FROM unnest('{-2147483640, -11, -10, -1, 0, 2, 3, 9, 10, 2147483639}'::int[]) AS t;
SELECT t, aggwin.time_bucket(1000, t), aggwin.bucket_end(1000, t)
FROM unnest('{-9223372036854775000, -1001, -1000, -1, 0, 999, 1715780831987}'::bigint[]) AS t;
SELECT pg_typeof(aggwin.time_bucket(10, 1)) AS i4, pg_typeof(aggwin.time_bucket(10, 1::bigint)) AS i8,
	pg_typeof(aggwin.time_bucket(10, 1::smallint)) AS i2;

--
-- time zones: all buckets between two times
--
CREATE FUNCTION pg_temp.buckets(width interval, zone text, first timestamptz, upto timestamptz)
RETURNS TABLE (bucket timestamptz, wall timestamp, length interval) LANGUAGE sql AS $$
	WITH RECURSIVE b(s) AS (
		SELECT aggwin.time_bucket(width, first, zone)
		UNION ALL
		SELECT aggwin.bucket_end(width, s, zone) FROM b WHERE aggwin.bucket_end(width, s, zone) < upto
	)
	SELECT s, s AT TIME ZONE zone, aggwin.bucket_end(width, s, zone) - s FROM b
$$;

-- Berlin: 02:00 -> 03:00, 03:00 -> 02:00
SELECT * FROM pg_temp.buckets('1 hour', 'Europe/Berlin', '2024-03-30 23:00', '2024-03-31 03:00');
SELECT * FROM pg_temp.buckets('1 hour', 'Europe/Berlin', '2024-10-26 23:00', '2024-10-27 03:00');
SELECT * FROM pg_temp.buckets('15 minutes', 'Europe/Berlin', '2024-10-27 00:30', '2024-10-27 01:30');
SELECT * FROM pg_temp.buckets('90 minutes', 'Europe/Berlin', '2024-10-26 22:00', '2024-10-27 04:00');
SELECT * FROM pg_temp.buckets('2 hours', 'Europe/Berlin', '2024-03-30 23:00', '2024-03-31 04:00');
SELECT * FROM pg_temp.buckets('2 hours', 'Europe/Berlin', '2024-10-26 22:00', '2024-10-27 04:00');
SELECT * FROM pg_temp.buckets('4 hours', 'Europe/Berlin', '2024-03-30 19:00', '2024-03-31 06:00');
SELECT * FROM pg_temp.buckets('4 hours', 'Europe/Berlin', '2024-10-26 18:00', '2024-10-27 07:00');
SELECT * FROM pg_temp.buckets('1 day', 'Europe/Berlin', '2024-03-30 12:00', '2024-04-01 12:00');
SELECT * FROM pg_temp.buckets('1 day', 'Europe/Berlin', '2024-10-26 12:00', '2024-10-28 12:00');
SELECT * FROM pg_temp.buckets('1 week', 'Europe/Berlin', '2024-03-20 12:00', '2024-04-10 12:00');
SELECT * FROM pg_temp.buckets('1 month', 'Europe/Berlin', '2024-02-20 12:00', '2024-05-10 12:00');
SELECT * FROM pg_temp.buckets('1 year', 'Europe/Berlin', '2024-02-20 12:00', '2025-05-10 12:00');
-- local mean time, +00:53:28 until 1893-04-01
SELECT * FROM pg_temp.buckets('1 day', 'Europe/Berlin', '1893-03-30 23:30', '1893-04-02 12:00');
SELECT * FROM pg_temp.buckets('10 minutes', 'Europe/Berlin', '1893-03-31 22:50', '1893-03-31 23:20');
-- New York: 02:00 -> 03:00, 02:00 -> 01:00
SELECT * FROM pg_temp.buckets('1 hour', 'America/New_York', '2024-03-10 06:00', '2024-03-10 09:00');
SELECT * FROM pg_temp.buckets('1 hour', 'America/New_York', '2024-11-03 04:00', '2024-11-03 08:00');
SELECT * FROM pg_temp.buckets('12 hours', 'America/New_York', '2024-11-02 16:00', '2024-11-04 06:00');
-- Sao Paulo: midnight does not exist on 2018-11-04; 2018-02-18 00:00 -> 23:00
SELECT * FROM pg_temp.buckets('1 day', 'America/Sao_Paulo', '2018-11-03 12:00', '2018-11-05 12:00');
SELECT * FROM pg_temp.buckets('6 hours', 'America/Sao_Paulo', '2018-11-03 21:00', '2018-11-04 15:00');
SELECT * FROM pg_temp.buckets('1 hour', 'America/Sao_Paulo', '2018-02-18 00:00', '2018-02-18 05:00');
SELECT * FROM pg_temp.buckets('1 day', 'America/Sao_Paulo', '2018-02-16 12:00', '2018-02-19 12:00');
-- Havana: midnight does not exist on 2018-03-11, and comes twice on 2018-11-04 and 2015-11-01
SELECT * FROM pg_temp.buckets('1 day', 'America/Havana', '2018-03-10 12:00', '2018-03-12 12:00');
SELECT * FROM pg_temp.buckets('1 day', 'America/Havana', '2018-11-03 12:00', '2018-11-05 12:00');
SELECT * FROM pg_temp.buckets('1 hour', 'America/Havana', '2018-11-04 03:00', '2018-11-04 07:00');
SELECT * FROM pg_temp.buckets('1 month', 'America/Havana', '2015-10-15', '2015-12-15');
-- a long bucket that starts within the repeated hour starts when that comes first
SELECT t, aggwin.time_bucket('2 months', t, '2000-01-01 00:30-05', 'America/Havana')
FROM unnest('{2015-11-01 04:29:59Z, 2015-11-01 04:30Z, 2015-11-01 05:29Z, 2015-11-01 05:30Z,
	2015-12-13 05:10Z}'::timestamptz[]) AS t;
-- Lord Howe: half an hour, 02:00 -> 02:30, 02:00 -> 01:30
SELECT * FROM pg_temp.buckets('1 hour', 'Australia/Lord_Howe', '2023-09-30 14:30', '2023-09-30 18:00');
SELECT * FROM pg_temp.buckets('1 hour', 'Australia/Lord_Howe', '2024-04-06 13:00', '2024-04-06 17:00');
SELECT * FROM pg_temp.buckets('30 minutes', 'Australia/Lord_Howe', '2024-04-06 14:00', '2024-04-06 16:00');
-- Kathmandu: +05:45, and +05:30 until 1986
SELECT * FROM pg_temp.buckets('1 hour', 'Asia/Kathmandu', '2024-05-15 12:00', '2024-05-15 14:00');
SELECT * FROM pg_temp.buckets('1 day', 'Asia/Kathmandu', '1985-12-30 12:00', '1986-01-02 12:00');
-- Casablanca: back for Ramadan
SELECT * FROM pg_temp.buckets('1 day', 'Africa/Casablanca', '2023-03-18 12:00', '2023-03-20 12:00');
SELECT * FROM pg_temp.buckets('1 hour', 'Africa/Casablanca', '2023-03-19 00:00', '2023-03-19 04:00');
SELECT * FROM pg_temp.buckets('1 day', 'Africa/Casablanca', '2023-04-22 12:00', '2023-04-24 12:00');
-- Apia: no 2011-12-30
SELECT * FROM pg_temp.buckets('1 day', 'Pacific/Apia', '2011-12-29 01:00', '2011-12-31 12:00');
SELECT * FROM pg_temp.buckets('2 days', 'Pacific/Apia', '2011-12-27 12:00', '2012-01-02 12:00');
-- Monrovia: -00:44:30 until 1972-01-07
SELECT * FROM pg_temp.buckets('1 hour', 'Africa/Monrovia', '1972-01-06 22:30', '1972-01-07 03:00');

-- an origin stands for its wall time
SELECT aggwin.time_bucket('1 day', timestamptz '2024-07-15 13:47Z', timestamptz '2024-01-01 06:00+01', 'Europe/Berlin')
		AT TIME ZONE 'Europe/Berlin' AS positional,
	aggwin.time_bucket('1 week', timestamptz '2024-07-15 13:47Z', origin => '2024-01-06 23:00Z', timezone => 'Europe/Berlin')
		AT TIME ZONE 'Europe/Berlin' AS sunday,
	aggwin.bucket_end('1 day', timestamptz '2024-07-15 13:47Z', origin => '2024-01-01 06:00+01', timezone => 'Europe/Berlin')
		AT TIME ZONE 'Europe/Berlin' AS bucket_end,
	aggwin.time_bucket('1 day', timestamptz '2024-07-15 13:47Z', timezone => 'Europe/Berlin') AS by_name;

-- whatever AT TIME ZONE takes: abbreviation, offset, POSIX rule, any case
SELECT z, aggwin.time_bucket('1 day', ts, z), aggwin.bucket_end('1 day', ts, z),
	date_trunc('day', ts AT TIME ZONE z) AT TIME ZONE z = aggwin.time_bucket('1 day', ts, z) AS same
FROM unnest('{UTC, utc, EST, CEST, MSK, Europe/Berlin, eUROPE/bERLIN, +02, -03:30, <+05>-5,
	"EST5EDT,M3.2.0,M11.1.0"}'::text[]) AS z, (VALUES (timestamptz '2024-07-15 23:30Z')) AS t(ts);
-- an abbreviation that changed its meaning: +04 until 2014-10-25 22:00Z, +03 from then on
SELECT * FROM pg_temp.buckets('12 hours', 'MSK', '2014-10-25 09:00', '2014-10-26 22:00');

--
-- infinities, NULL, the ends of the range
--
SELECT aggwin.time_bucket('1 day', t), aggwin.bucket_end('1 day', t),
	aggwin.time_bucket('1 month', t, 'Europe/Berlin') AS zone, aggwin.bucket_end('1 month', t, 'Europe/Berlin') AS zone_end,
	aggwin.time_bucket('1 day', t::timestamp) AS timestamp, aggwin.bucket_end('1 day', t::timestamp) AS timestamp_end,
	aggwin.time_bucket('1 day', t::date) AS date, aggwin.bucket_end('1 day', t::date) AS date_end
FROM unnest('{-infinity, infinity}'::timestamptz[]) AS t;

SELECT aggwin.time_bucket(NULL, now()) IS NULL AND aggwin.time_bucket('1 day', NULL::timestamptz) IS NULL
	AND aggwin.time_bucket('1 day', now(), timezone => NULL) IS NULL
	AND aggwin.bucket_end('1 day', now(), origin => NULL) IS NULL
	AND aggwin.bucket_end(10, NULL::int) IS NULL AS strict;

\pset format unaligned
\pset tuples_only on
\pset fieldsep '\n  -> '
SELECT e, pg_temp.outcome(e) FROM unnest(ARRAY[
	$$aggwin.bucket_end('1 day', timestamptz '294276-12-31 12:00')$$,
	$$aggwin.bucket_end('1 day', timestamptz '294276-12-31 12:00', 'Europe/Berlin')$$,
	$$aggwin.bucket_end('1 day', timestamptz '294276-12-31 23:30', 'Europe/Berlin')$$,
	$$aggwin.time_bucket('1 day', timestamptz '294276-12-31 23:30', 'Europe/Berlin')$$,
	$$aggwin.bucket_end('1 day', timestamptz '4714-11-24 BC', 'America/New_York')$$,
	$$aggwin.bucket_end('1 month', timestamp '294276-12-31 12:00')$$,
	$$aggwin.time_bucket('1 month', timestamp '294276-12-31 12:00')$$,
	$$aggwin.bucket_end('106751991 days', timestamptz '2024-01-01')$$,
	$$aggwin.bucket_end('106751991 days', timestamptz '2024-01-01', timestamptz '294276-12-31')$$,
	$$aggwin.bucket_end('170000000 years', timestamptz '2024-01-01', 'Europe/Berlin')$$,
	$$aggwin.bucket_end('1 day', date '5874897-12-31')$$,
	$$aggwin.bucket_end('1 month', date '5874897-12-31')$$,
	$$aggwin.time_bucket('1 month', date '5874897-12-31')$$,
	$$aggwin.bucket_end('106751991 days', date '5874897-12-31')$$,
	$$aggwin.bucket_end(10, 2147483640)$$,
	$$aggwin.bucket_end(7, 2147483640)$$,
	$$aggwin.bucket_end(10, 9223372036854775800)$$,
	$$aggwin.bucket_end(7, 9223372036854775800)$$,
	$$aggwin.bucket_end(7, 9223372036854775807)$$,
	$$aggwin.bucket_end(9223372036854775807, -1, 9223372036854775807)$$,
	$$aggwin.time_bucket(9223372036854775807, 9223372036854775807, -9223372036854775808)$$,
	$$aggwin.time_bucket(2, (-9223372036854775808)::bigint)$$,
	$$aggwin.time_bucket(2, (-2147483648)::int)$$,
	$$aggwin.time_bucket('1 day', timestamp '4714-11-24 23:00 BC')$$,
	$$aggwin.time_bucket('1 month', timestamp '4714-12-01 BC')$$
]) AS e;
-- a bucket that starts before the range is an error, never a wrapped value
SELECT e, pg_temp.outcome(e) FROM unnest(ARRAY[
	$$aggwin.time_bucket('5 days', timestamptz '4714-11-24 BC')$$,
	$$aggwin.time_bucket('1 day', timestamptz '4714-11-24 BC', 'America/New_York')$$,
	$$aggwin.time_bucket('1 month', timestamptz '4714-11-24 BC', 'Europe/Berlin')$$,
	$$aggwin.time_bucket('106751991 days', timestamp '1999-12-31')$$,
	$$aggwin.time_bucket('1 month', timestamp '4714-11-30 BC')$$,
	$$aggwin.time_bucket('170000000 years', timestamp '1999-12-31')$$,
	$$aggwin.time_bucket('170000000 years', timestamptz '1999-12-31', 'Europe/Berlin')$$,
	$$aggwin.time_bucket('10 days', date '4714-11-24 BC')$$,
	$$aggwin.time_bucket('1 year', date '4714-11-24 BC')$$,
	$$aggwin.time_bucket(10, (-2147483648)::int)$$,
	$$aggwin.time_bucket(10, (-9223372036854775808)::bigint)$$
]) AS e;

--
-- errors
--
SELECT e, pg_temp.outcome(e) FROM unnest(ARRAY[
	$$aggwin.time_bucket('0', timestamptz '2024-01-01')$$,
	$$aggwin.time_bucket('-1 hour', timestamptz '2024-01-01')$$,
	$$aggwin.time_bucket('1 day -24 hours', timestamp '2024-01-01')$$,
	$$aggwin.time_bucket('-1 month', timestamp '2024-01-01')$$,
	$$aggwin.time_bucket('-2000000000 days', timestamp '2024-01-01')$$,
	$$aggwin.bucket_end('0', timestamptz '2024-01-01', 'Europe/Berlin')$$,
	$$aggwin.time_bucket('0', timestamptz 'infinity')$$,
	$$aggwin.time_bucket(0, 1)$$,
	$$aggwin.time_bucket(-5, 1::bigint)$$,
	$$aggwin.bucket_end(0, 1)$$,
	$$aggwin.time_bucket('1 month 1 day', timestamptz '2024-01-01')$$,
	$$aggwin.time_bucket('1 year 1 second', date '2024-01-01')$$,
	$$aggwin.bucket_end('1 month -1 day', timestamptz '2024-01-01', 'Europe/Berlin')$$,
	$$aggwin.time_bucket('106751992 days', timestamptz '2024-01-01')$$,
	$$aggwin.time_bucket('2147483647 days', date '2024-01-01')$$,
	$$aggwin.time_bucket('36 hours', date '2024-01-01')$$,
	$$aggwin.bucket_end('1 hour', date '2024-01-01')$$,
	$$aggwin.time_bucket('1 day', timestamptz '2024-01-01', timestamptz 'infinity')$$,
	$$aggwin.time_bucket('1 day', timestamp '2024-01-01', timestamp '-infinity')$$,
	$$aggwin.bucket_end('1 day', date '2024-01-01', date 'infinity')$$,
	$$aggwin.bucket_end('1 day', timestamptz '2024-01-01', 'infinity', 'Europe/Berlin')$$,
	$$aggwin.time_bucket('1 day', timestamptz '2024-01-01', 'Mars/Olympus_Mons')$$,
	$$aggwin.bucket_end('1 day', timestamptz '2024-01-01', timezone => '')$$,
	$$aggwin.time_bucket('1 day', timestamptz '2024-01-01', '2000-01-01')$$,
	$$aggwin.time_bucket('1 day', timestamptz 'infinity', timezone => 'nowhere')$$
]) AS e;
\pset format aligned
\pset tuples_only off

-- how the functions are declared
SELECT proname, provolatile, proisstrict, proparallel, count(*),
	count(obj_description(oid, 'pg_proc')) AS commented
FROM pg_proc
WHERE pronamespace = 'aggwin'::regnamespace AND proname IN ('time_bucket', 'bucket_end')
GROUP BY 1, 2, 3, 4 ORDER BY 1;
