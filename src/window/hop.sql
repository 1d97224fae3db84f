-- hop.sql - the hopping windows that hold a time

CREATE FUNCTION aggwin.hop_support(internal)
	RETURNS internal
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_hop_support';
COMMENT ON FUNCTION aggwin.hop_support(internal) IS
	'private: how many windows hold a time';

CREATE FUNCTION aggwin.hop(ts timestamptz, size interval, period interval)
	RETURNS SETOF tstzrange
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 10 SUPPORT aggwin.hop_support
	AS 'MODULE_PATHNAME', 'aggwin_hop_timestamptz';
COMMENT ON FUNCTION aggwin.hop(timestamptz, interval, interval) IS
	'hopping windows that hold a time, in UTC';

CREATE FUNCTION aggwin.hop(ts timestamptz, size interval, period interval, origin timestamptz)
	RETURNS SETOF tstzrange
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 10 SUPPORT aggwin.hop_support
	AS 'MODULE_PATHNAME', 'aggwin_hop_timestamptz';
COMMENT ON FUNCTION aggwin.hop(timestamptz, interval, interval, timestamptz) IS
	'hopping windows that hold a time, counted from an origin, in UTC';

CREATE FUNCTION aggwin.hop(ts timestamp, size interval, period interval)
	RETURNS SETOF tsrange
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 10 SUPPORT aggwin.hop_support
	AS 'MODULE_PATHNAME', 'aggwin_hop_timestamp';
COMMENT ON FUNCTION aggwin.hop(timestamp, interval, interval) IS
	'hopping windows that hold a time';

CREATE FUNCTION aggwin.hop(ts timestamp, size interval, period interval, origin timestamp)
	RETURNS SETOF tsrange
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 10 SUPPORT aggwin.hop_support
	AS 'MODULE_PATHNAME', 'aggwin_hop_timestamp';
COMMENT ON FUNCTION aggwin.hop(timestamp, interval, interval, timestamp) IS
	'hopping windows that hold a time, counted from an origin';

CREATE FUNCTION aggwin.hop(ts bigint, size bigint, period bigint)
	RETURNS SETOF int8range
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 10 SUPPORT aggwin.hop_support
	AS 'MODULE_PATHNAME', 'aggwin_hop_int8';
COMMENT ON FUNCTION aggwin.hop(bigint, bigint, bigint) IS
	'hopping windows that hold a number';

CREATE FUNCTION aggwin.hop(ts bigint, size bigint, period bigint, origin bigint)
	RETURNS SETOF int8range
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 10 SUPPORT aggwin.hop_support
	AS 'MODULE_PATHNAME', 'aggwin_hop_int8';
COMMENT ON FUNCTION aggwin.hop(bigint, bigint, bigint, bigint) IS
	'hopping windows that hold a number, counted from an origin';
