-- window.sql - bucket arithmetic
--
-- The functions with a time zone take a few times as long as the others:
-- they resolve its name and look for a change of the clock in each call.

-- the start of the bucket that holds a time

CREATE FUNCTION aggwin.time_bucket(width interval, ts timestamptz)
	RETURNS timestamptz
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_time_bucket_timestamp';
COMMENT ON FUNCTION aggwin.time_bucket(interval, timestamptz) IS
	'start of the bucket that holds a time, in UTC';

CREATE FUNCTION aggwin.time_bucket(width interval, ts timestamptz, origin timestamptz)
	RETURNS timestamptz
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_time_bucket_timestamp';
COMMENT ON FUNCTION aggwin.time_bucket(interval, timestamptz, timestamptz) IS
	'start of the bucket that holds a time, buckets counted from an origin, in UTC';

CREATE FUNCTION aggwin.time_bucket(width interval, ts timestamptz, timezone text)
	RETURNS timestamptz
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5
	AS 'MODULE_PATHNAME', 'aggwin_time_bucket_zone';
COMMENT ON FUNCTION aggwin.time_bucket(interval, timestamptz, text) IS
	'start of the bucket that holds a time, on local wall time';

CREATE FUNCTION aggwin.time_bucket(width interval, ts timestamptz, origin timestamptz, timezone text)
	RETURNS timestamptz
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5
	AS 'MODULE_PATHNAME', 'aggwin_time_bucket_zone';
COMMENT ON FUNCTION aggwin.time_bucket(interval, timestamptz, timestamptz, text) IS
	'start of the bucket that holds a time, on local wall time, buckets counted from an origin';

CREATE FUNCTION aggwin.time_bucket(width interval, ts timestamp)
	RETURNS timestamp
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_time_bucket_timestamp';
COMMENT ON FUNCTION aggwin.time_bucket(interval, timestamp) IS
	'start of the bucket that holds a time';

CREATE FUNCTION aggwin.time_bucket(width interval, ts timestamp, origin timestamp)
	RETURNS timestamp
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_time_bucket_timestamp';
COMMENT ON FUNCTION aggwin.time_bucket(interval, timestamp, timestamp) IS
	'start of the bucket that holds a time, buckets counted from an origin';

CREATE FUNCTION aggwin.time_bucket(width interval, ts date)
	RETURNS date
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_time_bucket_date';
COMMENT ON FUNCTION aggwin.time_bucket(interval, date) IS
	'start of the bucket that holds a date';

CREATE FUNCTION aggwin.time_bucket(width interval, ts date, origin date)
	RETURNS date
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_time_bucket_date';
COMMENT ON FUNCTION aggwin.time_bucket(interval, date, date) IS
	'start of the bucket that holds a date, buckets counted from an origin';

CREATE FUNCTION aggwin.time_bucket(width bigint, ts bigint)
	RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_time_bucket_int8';
COMMENT ON FUNCTION aggwin.time_bucket(bigint, bigint) IS
	'start of the bucket that holds a number';

CREATE FUNCTION aggwin.time_bucket(width bigint, ts bigint, origin bigint)
	RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_time_bucket_int8';
COMMENT ON FUNCTION aggwin.time_bucket(bigint, bigint, bigint) IS
	'start of the bucket that holds a number, buckets counted from an origin';

CREATE FUNCTION aggwin.time_bucket(width int, ts int)
	RETURNS int
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_time_bucket_int4';
COMMENT ON FUNCTION aggwin.time_bucket(int, int) IS
	'start of the bucket that holds a number';

CREATE FUNCTION aggwin.time_bucket(width int, ts int, origin int)
	RETURNS int
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_time_bucket_int4';
COMMENT ON FUNCTION aggwin.time_bucket(int, int, int) IS
	'start of the bucket that holds a number, buckets counted from an origin';

-- the end of the bucket that holds a time: the start of the next one

CREATE FUNCTION aggwin.bucket_end(width interval, ts timestamptz)
	RETURNS timestamptz
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_bucket_end_timestamp';
COMMENT ON FUNCTION aggwin.bucket_end(interval, timestamptz) IS
	'end of the bucket that holds a time, in UTC; infinity beyond the range';

CREATE FUNCTION aggwin.bucket_end(width interval, ts timestamptz, origin timestamptz)
	RETURNS timestamptz
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_bucket_end_timestamp';
COMMENT ON FUNCTION aggwin.bucket_end(interval, timestamptz, timestamptz) IS
	'end of the bucket that holds a time, buckets counted from an origin, in UTC; infinity beyond the range';

CREATE FUNCTION aggwin.bucket_end(width interval, ts timestamptz, timezone text)
	RETURNS timestamptz
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5
	AS 'MODULE_PATHNAME', 'aggwin_bucket_end_zone';
COMMENT ON FUNCTION aggwin.bucket_end(interval, timestamptz, text) IS
	'end of the bucket that holds a time, on local wall time; infinity beyond the range';

CREATE FUNCTION aggwin.bucket_end(width interval, ts timestamptz, origin timestamptz, timezone text)
	RETURNS timestamptz
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 5
	AS 'MODULE_PATHNAME', 'aggwin_bucket_end_zone';
COMMENT ON FUNCTION aggwin.bucket_end(interval, timestamptz, timestamptz, text) IS
	'end of the bucket that holds a time, on local wall time, buckets counted from an origin; infinity beyond the range';

CREATE FUNCTION aggwin.bucket_end(width interval, ts timestamp)
	RETURNS timestamp
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_bucket_end_timestamp';
COMMENT ON FUNCTION aggwin.bucket_end(interval, timestamp) IS
	'end of the bucket that holds a time; infinity beyond the range';

CREATE FUNCTION aggwin.bucket_end(width interval, ts timestamp, origin timestamp)
	RETURNS timestamp
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_bucket_end_timestamp';
COMMENT ON FUNCTION aggwin.bucket_end(interval, timestamp, timestamp) IS
	'end of the bucket that holds a time, buckets counted from an origin; infinity beyond the range';

CREATE FUNCTION aggwin.bucket_end(width interval, ts date)
	RETURNS date
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_bucket_end_date';
COMMENT ON FUNCTION aggwin.bucket_end(interval, date) IS
	'end of the bucket that holds a date; infinity beyond the range';

CREATE FUNCTION aggwin.bucket_end(width interval, ts date, origin date)
	RETURNS date
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_bucket_end_date';
COMMENT ON FUNCTION aggwin.bucket_end(interval, date, date) IS
	'end of the bucket that holds a date, buckets counted from an origin; infinity beyond the range';

CREATE FUNCTION aggwin.bucket_end(width bigint, ts bigint)
	RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_bucket_end_int8';
COMMENT ON FUNCTION aggwin.bucket_end(bigint, bigint) IS
	'end of the bucket that holds a number; NULL beyond the range';

CREATE FUNCTION aggwin.bucket_end(width bigint, ts bigint, origin bigint)
	RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_bucket_end_int8';
COMMENT ON FUNCTION aggwin.bucket_end(bigint, bigint, bigint) IS
	'end of the bucket that holds a number, buckets counted from an origin; NULL beyond the range';

CREATE FUNCTION aggwin.bucket_end(width int, ts int)
	RETURNS int
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_bucket_end_int4';
COMMENT ON FUNCTION aggwin.bucket_end(int, int) IS
	'end of the bucket that holds a number; NULL beyond the range';

CREATE FUNCTION aggwin.bucket_end(width int, ts int, origin int)
	RETURNS int
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_bucket_end_int4';
COMMENT ON FUNCTION aggwin.bucket_end(int, int, int) IS
	'end of the bucket that holds a number, buckets counted from an origin; NULL beyond the range';
