-- session.sql - sessions: stretches of time without a gap

CREATE FUNCTION aggwin.session_start(ts timestamptz, gap interval)
	RETURNS timestamptz
	LANGUAGE c WINDOW IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_session_start_timestamp';
COMMENT ON FUNCTION aggwin.session_start(timestamptz, interval) IS
	'start of the session that a row belongs to, OVER (ORDER BY ts)';

CREATE FUNCTION aggwin.session_start(ts timestamp, gap interval)
	RETURNS timestamp
	LANGUAGE c WINDOW IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_session_start_timestamp';
COMMENT ON FUNCTION aggwin.session_start(timestamp, interval) IS
	'start of the session that a row belongs to, OVER (ORDER BY ts)';

CREATE FUNCTION aggwin.session_start(ts bigint, gap bigint)
	RETURNS bigint
	LANGUAGE c WINDOW IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_session_start_int8';
COMMENT ON FUNCTION aggwin.session_start(bigint, bigint) IS
	'start of the session that a row belongs to, OVER (ORDER BY ts)';

-- Not strict: any call is an error.
CREATE FUNCTION aggwin.session(ts timestamptz, gap interval)
	RETURNS tstzrange
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_session';
COMMENT ON FUNCTION aggwin.session(timestamptz, interval) IS
	'session that a row belongs to, as time key of a rollup';

CREATE FUNCTION aggwin.session(ts timestamp, gap interval)
	RETURNS tsrange
	LANGUAGE c IMMUTABLE PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_session';
COMMENT ON FUNCTION aggwin.session(timestamp, interval) IS
	'session that a row belongs to, as time key of a rollup';

CREATE FUNCTION aggwin.session_end(last timestamptz, gap interval)
	RETURNS timestamptz
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_session_end';
COMMENT ON FUNCTION aggwin.session_end(timestamptz, interval) IS
	'private: end of a session, by the time of its last row';

CREATE FUNCTION aggwin.session_end(last timestamp, gap interval)
	RETURNS timestamp
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
	AS 'MODULE_PATHNAME', 'aggwin_session_end';
COMMENT ON FUNCTION aggwin.session_end(timestamp, interval) IS
	'private: end of a session, by the time of its last row';
