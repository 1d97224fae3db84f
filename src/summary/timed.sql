-- timed.sql - the first and the last value by time

CREATE TYPE aggwin.timed;

CREATE FUNCTION aggwin.timed_in(cstring) RETURNS aggwin.timed
	LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_timed_in';
COMMENT ON FUNCTION aggwin.timed_in(cstring) IS 'private: I/O';

CREATE FUNCTION aggwin.timed_out(aggwin.timed) RETURNS cstring
	LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_timed_out';
COMMENT ON FUNCTION aggwin.timed_out(aggwin.timed) IS 'private: I/O';

CREATE FUNCTION aggwin.timed_recv(internal) RETURNS aggwin.timed
	LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_timed_recv';
COMMENT ON FUNCTION aggwin.timed_recv(internal) IS 'private: I/O';

CREATE FUNCTION aggwin.timed_send(aggwin.timed) RETURNS bytea
	LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_timed_send';
COMMENT ON FUNCTION aggwin.timed_send(aggwin.timed) IS 'private: I/O';

CREATE TYPE aggwin.timed (
	INPUT = aggwin.timed_in, OUTPUT = aggwin.timed_out,
	RECEIVE = aggwin.timed_recv, SEND = aggwin.timed_send,
	ALIGNMENT = double, STORAGE = extended
);
COMMENT ON TYPE aggwin.timed IS 'private: a value of any type with its time';

-- merging

CREATE FUNCTION aggwin.timed_first_of(aggwin.timed, aggwin.timed) RETURNS aggwin.timed
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_timed_first_of';
COMMENT ON FUNCTION aggwin.timed_first_of(aggwin.timed, aggwin.timed) IS 'private: the earlier of two';

CREATE FUNCTION aggwin.timed_last_of(aggwin.timed, aggwin.timed) RETURNS aggwin.timed
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_timed_last_of';
COMMENT ON FUNCTION aggwin.timed_last_of(aggwin.timed, aggwin.timed) IS 'private: the later of two';

CREATE FUNCTION aggwin.timed_final(aggwin.timed) RETURNS aggwin.timed
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_timed_final';
COMMENT ON FUNCTION aggwin.timed_final(aggwin.timed) IS 'private: finishes a state';

CREATE FUNCTION aggwin.timed_value(aggwin.timed, anyelement) RETURNS anyelement
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_timed_value';
COMMENT ON FUNCTION aggwin.timed_value(aggwin.timed, anyelement) IS 'private: the value, which is of the type of the second argument';

CREATE AGGREGATE aggwin.merge_first(aggwin.timed) (
	SFUNC = aggwin.timed_first_of, STYPE = aggwin.timed, SSPACE = 64,
	FINALFUNC = aggwin.timed_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.timed_first_of, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.merge_first(aggwin.timed) IS 'private: the earliest of many';

CREATE AGGREGATE aggwin.merge_last(aggwin.timed) (
	SFUNC = aggwin.timed_last_of, STYPE = aggwin.timed, SSPACE = 64,
	FINALFUNC = aggwin.timed_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.timed_last_of, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.merge_last(aggwin.timed) IS 'private: the latest of many';

-- aggregates, for each type of time

CREATE FUNCTION aggwin.timed_end(aggwin.timed, anyelement, timestamptz) RETURNS anyelement
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_timed_value';
COMMENT ON FUNCTION aggwin.timed_end(aggwin.timed, anyelement, timestamptz) IS 'private: the value of a state';

CREATE FUNCTION aggwin.timed_keep_first(aggwin.timed, value anyelement, ts timestamptz) RETURNS aggwin.timed
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_timed_keep_first_timestamptz';
COMMENT ON FUNCTION aggwin.timed_keep_first(aggwin.timed, anyelement, timestamptz) IS 'private: adds a value';

CREATE AGGREGATE aggwin.first(value anyelement, ts timestamptz) (
	SFUNC = aggwin.timed_keep_first, STYPE = aggwin.timed, SSPACE = 64,
	FINALFUNC = aggwin.timed_end, FINALFUNC_EXTRA, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.timed_first_of, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.first(anyelement, timestamptz) IS 'value of the earliest time';

CREATE AGGREGATE aggwin.timed_first(value anyelement, ts timestamptz) (
	SFUNC = aggwin.timed_keep_first, STYPE = aggwin.timed, SSPACE = 64,
	FINALFUNC = aggwin.timed_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.timed_first_of, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.timed_first(anyelement, timestamptz) IS 'private: the state of aggwin.first()';

CREATE FUNCTION aggwin.timed_keep_last(aggwin.timed, value anyelement, ts timestamptz) RETURNS aggwin.timed
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_timed_keep_last_timestamptz';
COMMENT ON FUNCTION aggwin.timed_keep_last(aggwin.timed, anyelement, timestamptz) IS 'private: adds a value';

CREATE AGGREGATE aggwin.last(value anyelement, ts timestamptz) (
	SFUNC = aggwin.timed_keep_last, STYPE = aggwin.timed, SSPACE = 64,
	FINALFUNC = aggwin.timed_end, FINALFUNC_EXTRA, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.timed_last_of, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.last(anyelement, timestamptz) IS 'value of the latest time';

CREATE AGGREGATE aggwin.timed_last(value anyelement, ts timestamptz) (
	SFUNC = aggwin.timed_keep_last, STYPE = aggwin.timed, SSPACE = 64,
	FINALFUNC = aggwin.timed_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.timed_last_of, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.timed_last(anyelement, timestamptz) IS 'private: the state of aggwin.last()';

CREATE FUNCTION aggwin.timed_end(aggwin.timed, anyelement, timestamp) RETURNS anyelement
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_timed_value';
COMMENT ON FUNCTION aggwin.timed_end(aggwin.timed, anyelement, timestamp) IS 'private: the value of a state';

CREATE FUNCTION aggwin.timed_keep_first(aggwin.timed, value anyelement, ts timestamp) RETURNS aggwin.timed
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_timed_keep_first_timestamp';
COMMENT ON FUNCTION aggwin.timed_keep_first(aggwin.timed, anyelement, timestamp) IS 'private: adds a value';

CREATE AGGREGATE aggwin.first(value anyelement, ts timestamp) (
	SFUNC = aggwin.timed_keep_first, STYPE = aggwin.timed, SSPACE = 64,
	FINALFUNC = aggwin.timed_end, FINALFUNC_EXTRA, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.timed_first_of, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.first(anyelement, timestamp) IS 'value of the earliest time';

CREATE AGGREGATE aggwin.timed_first(value anyelement, ts timestamp) (
	SFUNC = aggwin.timed_keep_first, STYPE = aggwin.timed, SSPACE = 64,
	FINALFUNC = aggwin.timed_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.timed_first_of, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.timed_first(anyelement, timestamp) IS 'private: the state of aggwin.first()';

CREATE FUNCTION aggwin.timed_keep_last(aggwin.timed, value anyelement, ts timestamp) RETURNS aggwin.timed
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_timed_keep_last_timestamp';
COMMENT ON FUNCTION aggwin.timed_keep_last(aggwin.timed, anyelement, timestamp) IS 'private: adds a value';

CREATE AGGREGATE aggwin.last(value anyelement, ts timestamp) (
	SFUNC = aggwin.timed_keep_last, STYPE = aggwin.timed, SSPACE = 64,
	FINALFUNC = aggwin.timed_end, FINALFUNC_EXTRA, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.timed_last_of, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.last(anyelement, timestamp) IS 'value of the latest time';

CREATE AGGREGATE aggwin.timed_last(value anyelement, ts timestamp) (
	SFUNC = aggwin.timed_keep_last, STYPE = aggwin.timed, SSPACE = 64,
	FINALFUNC = aggwin.timed_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.timed_last_of, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.timed_last(anyelement, timestamp) IS 'private: the state of aggwin.last()';

CREATE FUNCTION aggwin.timed_end(aggwin.timed, anyelement, date) RETURNS anyelement
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_timed_value';
COMMENT ON FUNCTION aggwin.timed_end(aggwin.timed, anyelement, date) IS 'private: the value of a state';

CREATE FUNCTION aggwin.timed_keep_first(aggwin.timed, value anyelement, ts date) RETURNS aggwin.timed
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_timed_keep_first_date';
COMMENT ON FUNCTION aggwin.timed_keep_first(aggwin.timed, anyelement, date) IS 'private: adds a value';

CREATE AGGREGATE aggwin.first(value anyelement, ts date) (
	SFUNC = aggwin.timed_keep_first, STYPE = aggwin.timed, SSPACE = 64,
	FINALFUNC = aggwin.timed_end, FINALFUNC_EXTRA, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.timed_first_of, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.first(anyelement, date) IS 'value of the earliest time';

CREATE AGGREGATE aggwin.timed_first(value anyelement, ts date) (
	SFUNC = aggwin.timed_keep_first, STYPE = aggwin.timed, SSPACE = 64,
	FINALFUNC = aggwin.timed_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.timed_first_of, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.timed_first(anyelement, date) IS 'private: the state of aggwin.first()';

CREATE FUNCTION aggwin.timed_keep_last(aggwin.timed, value anyelement, ts date) RETURNS aggwin.timed
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_timed_keep_last_date';
COMMENT ON FUNCTION aggwin.timed_keep_last(aggwin.timed, anyelement, date) IS 'private: adds a value';

CREATE AGGREGATE aggwin.last(value anyelement, ts date) (
	SFUNC = aggwin.timed_keep_last, STYPE = aggwin.timed, SSPACE = 64,
	FINALFUNC = aggwin.timed_end, FINALFUNC_EXTRA, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.timed_last_of, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.last(anyelement, date) IS 'value of the latest time';

CREATE AGGREGATE aggwin.timed_last(value anyelement, ts date) (
	SFUNC = aggwin.timed_keep_last, STYPE = aggwin.timed, SSPACE = 64,
	FINALFUNC = aggwin.timed_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.timed_last_of, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.timed_last(anyelement, date) IS 'private: the state of aggwin.last()';

CREATE FUNCTION aggwin.timed_end(aggwin.timed, anyelement, bigint) RETURNS anyelement
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_timed_value';
COMMENT ON FUNCTION aggwin.timed_end(aggwin.timed, anyelement, bigint) IS 'private: the value of a state';

CREATE FUNCTION aggwin.timed_keep_first(aggwin.timed, value anyelement, ts bigint) RETURNS aggwin.timed
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_timed_keep_first_int8';
COMMENT ON FUNCTION aggwin.timed_keep_first(aggwin.timed, anyelement, bigint) IS 'private: adds a value';

CREATE AGGREGATE aggwin.first(value anyelement, ts bigint) (
	SFUNC = aggwin.timed_keep_first, STYPE = aggwin.timed, SSPACE = 64,
	FINALFUNC = aggwin.timed_end, FINALFUNC_EXTRA, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.timed_first_of, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.first(anyelement, bigint) IS 'value of the earliest time';

CREATE AGGREGATE aggwin.timed_first(value anyelement, ts bigint) (
	SFUNC = aggwin.timed_keep_first, STYPE = aggwin.timed, SSPACE = 64,
	FINALFUNC = aggwin.timed_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.timed_first_of, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.timed_first(anyelement, bigint) IS 'private: the state of aggwin.first()';

CREATE FUNCTION aggwin.timed_keep_last(aggwin.timed, value anyelement, ts bigint) RETURNS aggwin.timed
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_timed_keep_last_int8';
COMMENT ON FUNCTION aggwin.timed_keep_last(aggwin.timed, anyelement, bigint) IS 'private: adds a value';

CREATE AGGREGATE aggwin.last(value anyelement, ts bigint) (
	SFUNC = aggwin.timed_keep_last, STYPE = aggwin.timed, SSPACE = 64,
	FINALFUNC = aggwin.timed_end, FINALFUNC_EXTRA, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.timed_last_of, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.last(anyelement, bigint) IS 'value of the latest time';

CREATE AGGREGATE aggwin.timed_last(value anyelement, ts bigint) (
	SFUNC = aggwin.timed_keep_last, STYPE = aggwin.timed, SSPACE = 64,
	FINALFUNC = aggwin.timed_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.timed_last_of, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.timed_last(anyelement, bigint) IS 'private: the state of aggwin.last()';
