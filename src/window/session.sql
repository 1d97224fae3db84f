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
