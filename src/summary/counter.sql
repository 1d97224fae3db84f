-- counter.sql - counters that only grow, and now and then restart

CREATE TYPE aggwin.counter;

CREATE FUNCTION aggwin.counter_in(cstring) RETURNS aggwin.counter
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_counter_in';
COMMENT ON FUNCTION aggwin.counter_in(cstring) IS 'private: I/O';

CREATE FUNCTION aggwin.counter_out(aggwin.counter) RETURNS cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_counter_out';
COMMENT ON FUNCTION aggwin.counter_out(aggwin.counter) IS 'private: I/O';

CREATE FUNCTION aggwin.counter_recv(internal) RETURNS aggwin.counter
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_counter_recv';
COMMENT ON FUNCTION aggwin.counter_recv(internal) IS 'private: I/O';

CREATE FUNCTION aggwin.counter_send(aggwin.counter) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_counter_send';
COMMENT ON FUNCTION aggwin.counter_send(aggwin.counter) IS 'private: I/O';

CREATE TYPE aggwin.counter (
	INPUT = aggwin.counter_in, OUTPUT = aggwin.counter_out,
	RECEIVE = aggwin.counter_recv, SEND = aggwin.counter_send,
	ALIGNMENT = double, STORAGE = extended
);
COMMENT ON TYPE aggwin.counter IS 'samples of a counter: increase, rate and resets';

-- aggregates

CREATE FUNCTION aggwin.counter_transition(aggwin.counter, ts timestamptz, value double precision) RETURNS aggwin.counter
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_counter_transition';
COMMENT ON FUNCTION aggwin.counter_transition(aggwin.counter, timestamptz, double precision) IS 'private: adds a sample';

CREATE FUNCTION aggwin.counter_merge(aggwin.counter, aggwin.counter) RETURNS aggwin.counter
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_counter_merge';
COMMENT ON FUNCTION aggwin.counter_merge(aggwin.counter, aggwin.counter) IS 'private: merges two states';

CREATE FUNCTION aggwin.counter_final(aggwin.counter) RETURNS aggwin.counter
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_counter_final';
COMMENT ON FUNCTION aggwin.counter_final(aggwin.counter) IS 'private: finishes a state';

CREATE AGGREGATE aggwin.counter_agg(ts timestamptz, value double precision) (
	SFUNC = aggwin.counter_transition, STYPE = aggwin.counter, SSPACE = 1024,
	FINALFUNC = aggwin.counter_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.counter_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.counter_agg(timestamptz, double precision) IS 'counter from its samples, in any order';

CREATE AGGREGATE aggwin.merge(aggwin.counter) (
	SFUNC = aggwin.counter_merge, STYPE = aggwin.counter, SSPACE = 512,
	FINALFUNC = aggwin.counter_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.counter_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.merge(aggwin.counter) IS 'one counter from many, whose times do not overlap';

-- accessors

CREATE FUNCTION aggwin.num_vals(aggwin.counter) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_counter_num_vals';
COMMENT ON FUNCTION aggwin.num_vals(aggwin.counter) IS 'number of samples';

CREATE FUNCTION aggwin.increase(aggwin.counter) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_counter_increase_all';
COMMENT ON FUNCTION aggwin.increase(aggwin.counter) IS 'increase from the first sample to the last';

CREATE FUNCTION aggwin.increase(aggwin.counter, "from" timestamptz, "to" timestamptz) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_counter_increase_between';
COMMENT ON FUNCTION aggwin.increase(aggwin.counter, timestamptz, timestamptz) IS 'increase over a range, extrapolated to its ends as by Prometheus';

CREATE FUNCTION aggwin.rate(aggwin.counter) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_counter_rate_all';
COMMENT ON FUNCTION aggwin.rate(aggwin.counter) IS 'increase per second from the first sample to the last';

CREATE FUNCTION aggwin.rate(aggwin.counter, "from" timestamptz, "to" timestamptz) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_counter_rate_between';
COMMENT ON FUNCTION aggwin.rate(aggwin.counter, timestamptz, timestamptz) IS 'increase per second of a range, extrapolated to its ends as by Prometheus';

CREATE FUNCTION aggwin.resets(aggwin.counter) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_counter_resets';
COMMENT ON FUNCTION aggwin.resets(aggwin.counter) IS 'number of samples that are lower than the one before';

CREATE FUNCTION aggwin.first_val(aggwin.counter) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_counter_first_val';
COMMENT ON FUNCTION aggwin.first_val(aggwin.counter) IS 'value of the earliest sample';

CREATE FUNCTION aggwin.last_val(aggwin.counter) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_counter_last_val';
COMMENT ON FUNCTION aggwin.last_val(aggwin.counter) IS 'value of the latest sample';

CREATE FUNCTION aggwin.first_time(aggwin.counter) RETURNS timestamptz
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_counter_first_time';
COMMENT ON FUNCTION aggwin.first_time(aggwin.counter) IS 'time of the earliest sample';

CREATE FUNCTION aggwin.last_time(aggwin.counter) RETURNS timestamptz
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_counter_last_time';
COMMENT ON FUNCTION aggwin.last_time(aggwin.counter) IS 'time of the latest sample';

CREATE FUNCTION aggwin.is_exact(aggwin.counter) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_counter_is_exact';
COMMENT ON FUNCTION aggwin.is_exact(aggwin.counter) IS 'whether no parts that overlapped were merged';

CREATE FUNCTION aggwin.counter_closed(aggwin.counter) RETURNS aggwin.counter
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_counter_closed';
COMMENT ON FUNCTION aggwin.counter_closed(aggwin.counter) IS 'private: without open gaps, for nothing more comes into them';

-- operators

CREATE FUNCTION aggwin.counter_plus(aggwin.counter, aggwin.counter) RETURNS aggwin.counter
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_counter_merge';
COMMENT ON FUNCTION aggwin.counter_plus(aggwin.counter, aggwin.counter) IS 'private: implementation of + operator';

CREATE OPERATOR aggwin.+ (
	LEFTARG = aggwin.counter, RIGHTARG = aggwin.counter, FUNCTION = aggwin.counter_plus, COMMUTATOR = OPERATOR(aggwin.+)
);
COMMENT ON OPERATOR aggwin.+ (aggwin.counter, aggwin.counter) IS 'merge';

CREATE FUNCTION aggwin.counter_eq(aggwin.counter, aggwin.counter) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_summary_eq';
COMMENT ON FUNCTION aggwin.counter_eq(aggwin.counter, aggwin.counter) IS 'private: implementation of = operator';

CREATE FUNCTION aggwin.counter_ne(aggwin.counter, aggwin.counter) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_summary_ne';
COMMENT ON FUNCTION aggwin.counter_ne(aggwin.counter, aggwin.counter) IS 'private: implementation of <> operator';

CREATE FUNCTION aggwin.counter_hash(aggwin.counter) RETURNS integer
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_summary_hash';
COMMENT ON FUNCTION aggwin.counter_hash(aggwin.counter) IS 'private: hash';

CREATE FUNCTION aggwin.counter_hash_extended(aggwin.counter, bigint) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_summary_hash_extended';
COMMENT ON FUNCTION aggwin.counter_hash_extended(aggwin.counter, bigint) IS 'private: hash';

CREATE OPERATOR aggwin.= (
	LEFTARG = aggwin.counter, RIGHTARG = aggwin.counter, FUNCTION = aggwin.counter_eq,
	COMMUTATOR = OPERATOR(aggwin.=), NEGATOR = OPERATOR(aggwin.<>),
	RESTRICT = eqsel, JOIN = eqjoinsel, HASHES
);
COMMENT ON OPERATOR aggwin.= (aggwin.counter, aggwin.counter) IS 'equal, to the last bit';

CREATE OPERATOR aggwin.<> (
	LEFTARG = aggwin.counter, RIGHTARG = aggwin.counter, FUNCTION = aggwin.counter_ne,
	COMMUTATOR = OPERATOR(aggwin.<>), NEGATOR = OPERATOR(aggwin.=),
	RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR aggwin.<> (aggwin.counter, aggwin.counter) IS 'not equal';

CREATE OPERATOR CLASS aggwin.counter_ops DEFAULT FOR TYPE aggwin.counter USING hash AS
	OPERATOR 1 aggwin.= (aggwin.counter, aggwin.counter),
	FUNCTION 1 aggwin.counter_hash(aggwin.counter),
	FUNCTION 2 aggwin.counter_hash_extended(aggwin.counter, bigint);
COMMENT ON OPERATOR CLASS aggwin.counter_ops USING hash IS 'counter by bytes';
COMMENT ON OPERATOR FAMILY aggwin.counter_ops USING hash IS 'counter by bytes';

-- casts

CREATE CAST (aggwin.counter AS jsonb) WITH INOUT;
COMMENT ON CAST (aggwin.counter AS jsonb) IS 'the text form';

CREATE CAST (aggwin.counter AS json) WITH INOUT;
COMMENT ON CAST (aggwin.counter AS json) IS 'the text form';
