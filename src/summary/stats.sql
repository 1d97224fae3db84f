-- stats.sql - count, sum, extremes and moments

CREATE TYPE aggwin.stats;

CREATE FUNCTION aggwin.stats_in(cstring) RETURNS aggwin.stats
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_stats_in';
COMMENT ON FUNCTION aggwin.stats_in(cstring) IS 'private: I/O';

CREATE FUNCTION aggwin.stats_out(aggwin.stats) RETURNS cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_stats_out';
COMMENT ON FUNCTION aggwin.stats_out(aggwin.stats) IS 'private: I/O';

CREATE FUNCTION aggwin.stats_recv(internal) RETURNS aggwin.stats
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_stats_recv';
COMMENT ON FUNCTION aggwin.stats_recv(internal) IS 'private: I/O';

CREATE FUNCTION aggwin.stats_send(aggwin.stats) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_stats_send';
COMMENT ON FUNCTION aggwin.stats_send(aggwin.stats) IS 'private: I/O';

CREATE TYPE aggwin.stats (
	INPUT = aggwin.stats_in, OUTPUT = aggwin.stats_out,
	RECEIVE = aggwin.stats_recv, SEND = aggwin.stats_send,
	ALIGNMENT = double, STORAGE = extended
);
COMMENT ON TYPE aggwin.stats IS 'count, sum, extremes and moments of numbers';

-- aggregates

CREATE FUNCTION aggwin.stats_transition(aggwin.stats, value double precision) RETURNS aggwin.stats
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_stats_transition';
COMMENT ON FUNCTION aggwin.stats_transition(aggwin.stats, double precision) IS 'private: adds a value';

CREATE FUNCTION aggwin.stats_merge(aggwin.stats, aggwin.stats) RETURNS aggwin.stats
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_stats_merge_transition';
COMMENT ON FUNCTION aggwin.stats_merge(aggwin.stats, aggwin.stats) IS 'private: merges two states';

CREATE FUNCTION aggwin.stats_final(aggwin.stats) RETURNS aggwin.stats
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_stats_final';
COMMENT ON FUNCTION aggwin.stats_final(aggwin.stats) IS 'private: finishes a state';

CREATE AGGREGATE aggwin.stats_agg(value double precision) (
	SFUNC = aggwin.stats_transition, STYPE = aggwin.stats, SSPACE = 64,
	FINALFUNC = aggwin.stats_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.stats_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.stats_agg(double precision) IS 'count, sum, extremes and moments';

CREATE AGGREGATE aggwin.merge(aggwin.stats) (
	SFUNC = aggwin.stats_merge, STYPE = aggwin.stats, SSPACE = 64,
	FINALFUNC = aggwin.stats_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.stats_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.merge(aggwin.stats) IS 'one state from many';

-- accessors

CREATE FUNCTION aggwin.num_vals(aggwin.stats) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_stats_num_vals';
COMMENT ON FUNCTION aggwin.num_vals(aggwin.stats) IS 'number of values';

CREATE FUNCTION aggwin.total(aggwin.stats) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_stats_total';
COMMENT ON FUNCTION aggwin.total(aggwin.stats) IS 'sum of the values';

CREATE FUNCTION aggwin.mean(aggwin.stats) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_stats_mean';
COMMENT ON FUNCTION aggwin.mean(aggwin.stats) IS 'arithmetic mean';

CREATE FUNCTION aggwin.min_val(aggwin.stats) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_stats_min_val';
COMMENT ON FUNCTION aggwin.min_val(aggwin.stats) IS 'smallest value';

CREATE FUNCTION aggwin.max_val(aggwin.stats) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_stats_max_val';
COMMENT ON FUNCTION aggwin.max_val(aggwin.stats) IS 'greatest value';

CREATE FUNCTION aggwin.variance(aggwin.stats) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_stats_var_samp';
COMMENT ON FUNCTION aggwin.variance(aggwin.stats) IS 'sample variance, another name of var_samp';

CREATE FUNCTION aggwin.var_samp(aggwin.stats) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_stats_var_samp';
COMMENT ON FUNCTION aggwin.var_samp(aggwin.stats) IS 'sample variance';

CREATE FUNCTION aggwin.var_pop(aggwin.stats) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_stats_var_pop';
COMMENT ON FUNCTION aggwin.var_pop(aggwin.stats) IS 'population variance';

CREATE FUNCTION aggwin.stddev(aggwin.stats) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_stats_stddev_samp';
COMMENT ON FUNCTION aggwin.stddev(aggwin.stats) IS 'sample standard deviation, another name of stddev_samp';

CREATE FUNCTION aggwin.stddev_samp(aggwin.stats) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_stats_stddev_samp';
COMMENT ON FUNCTION aggwin.stddev_samp(aggwin.stats) IS 'sample standard deviation';

CREATE FUNCTION aggwin.stddev_pop(aggwin.stats) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_stats_stddev_pop';
COMMENT ON FUNCTION aggwin.stddev_pop(aggwin.stats) IS 'population standard deviation';

-- operators

CREATE FUNCTION aggwin.stats_plus(aggwin.stats, aggwin.stats) RETURNS aggwin.stats
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_stats_merge_transition';
COMMENT ON FUNCTION aggwin.stats_plus(aggwin.stats, aggwin.stats) IS 'private: implementation of + operator';

CREATE OPERATOR aggwin.+ (
	LEFTARG = aggwin.stats, RIGHTARG = aggwin.stats, FUNCTION = aggwin.stats_plus, COMMUTATOR = OPERATOR(aggwin.+)
);
COMMENT ON OPERATOR aggwin.+ (aggwin.stats, aggwin.stats) IS 'merge';

CREATE FUNCTION aggwin.stats_eq(aggwin.stats, aggwin.stats) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_summary_eq';
COMMENT ON FUNCTION aggwin.stats_eq(aggwin.stats, aggwin.stats) IS 'private: implementation of = operator';

CREATE FUNCTION aggwin.stats_ne(aggwin.stats, aggwin.stats) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_summary_ne';
COMMENT ON FUNCTION aggwin.stats_ne(aggwin.stats, aggwin.stats) IS 'private: implementation of <> operator';

CREATE FUNCTION aggwin.stats_hash(aggwin.stats) RETURNS integer
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_summary_hash';
COMMENT ON FUNCTION aggwin.stats_hash(aggwin.stats) IS 'private: hash';

CREATE FUNCTION aggwin.stats_hash_extended(aggwin.stats, bigint) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_summary_hash_extended';
COMMENT ON FUNCTION aggwin.stats_hash_extended(aggwin.stats, bigint) IS 'private: hash';

CREATE OPERATOR aggwin.= (
	LEFTARG = aggwin.stats, RIGHTARG = aggwin.stats, FUNCTION = aggwin.stats_eq,
	COMMUTATOR = OPERATOR(aggwin.=), NEGATOR = OPERATOR(aggwin.<>),
	RESTRICT = eqsel, JOIN = eqjoinsel, HASHES
);
COMMENT ON OPERATOR aggwin.= (aggwin.stats, aggwin.stats) IS 'equal, to the last bit';

CREATE OPERATOR aggwin.<> (
	LEFTARG = aggwin.stats, RIGHTARG = aggwin.stats, FUNCTION = aggwin.stats_ne,
	COMMUTATOR = OPERATOR(aggwin.<>), NEGATOR = OPERATOR(aggwin.=),
	RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR aggwin.<> (aggwin.stats, aggwin.stats) IS 'not equal';

CREATE OPERATOR CLASS aggwin.stats_ops DEFAULT FOR TYPE aggwin.stats USING hash AS
	OPERATOR 1 aggwin.= (aggwin.stats, aggwin.stats),
	FUNCTION 1 aggwin.stats_hash(aggwin.stats),
	FUNCTION 2 aggwin.stats_hash_extended(aggwin.stats, bigint);
COMMENT ON OPERATOR CLASS aggwin.stats_ops USING hash IS 'stats by bytes';
COMMENT ON OPERATOR FAMILY aggwin.stats_ops USING hash IS 'stats by bytes';

-- casts

CREATE CAST (aggwin.stats AS jsonb) WITH INOUT;
COMMENT ON CAST (aggwin.stats AS jsonb) IS 'the text form';

CREATE CAST (aggwin.stats AS json) WITH INOUT;
COMMENT ON CAST (aggwin.stats AS json) IS 'the text form';
