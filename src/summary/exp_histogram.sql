-- exp_histogram.sql - histograms with a guaranteed relative error

CREATE TYPE aggwin.exp_histogram;

CREATE FUNCTION aggwin.exp_histogram_in(cstring) RETURNS aggwin.exp_histogram
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_exp_histogram_in';
COMMENT ON FUNCTION aggwin.exp_histogram_in(cstring) IS 'private: I/O';

CREATE FUNCTION aggwin.exp_histogram_out(aggwin.exp_histogram) RETURNS cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_exp_histogram_out';
COMMENT ON FUNCTION aggwin.exp_histogram_out(aggwin.exp_histogram) IS 'private: I/O';

CREATE FUNCTION aggwin.exp_histogram_recv(internal) RETURNS aggwin.exp_histogram
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_exp_histogram_recv';
COMMENT ON FUNCTION aggwin.exp_histogram_recv(internal) IS 'private: I/O';

CREATE FUNCTION aggwin.exp_histogram_send(aggwin.exp_histogram) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_exp_histogram_send';
COMMENT ON FUNCTION aggwin.exp_histogram_send(aggwin.exp_histogram) IS 'private: I/O';

CREATE TYPE aggwin.exp_histogram (
	INPUT = aggwin.exp_histogram_in, OUTPUT = aggwin.exp_histogram_out,
	RECEIVE = aggwin.exp_histogram_recv, SEND = aggwin.exp_histogram_send,
	ALIGNMENT = double, STORAGE = extended
);
COMMENT ON TYPE aggwin.exp_histogram IS 'histogram of any range with a guaranteed relative error';

-- aggregates

CREATE FUNCTION aggwin.exp_histogram_transition(aggwin.exp_histogram, value double precision) RETURNS aggwin.exp_histogram
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_exp_histogram_transition';
COMMENT ON FUNCTION aggwin.exp_histogram_transition(aggwin.exp_histogram, double precision) IS 'private: adds a value';

CREATE FUNCTION aggwin.exp_histogram_transition(aggwin.exp_histogram, value double precision, relative_error double precision) RETURNS aggwin.exp_histogram
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_exp_histogram_transition';
COMMENT ON FUNCTION aggwin.exp_histogram_transition(aggwin.exp_histogram, double precision, double precision) IS 'private: adds a value';

CREATE FUNCTION aggwin.exp_histogram_transition(aggwin.exp_histogram, value double precision, relative_error double precision, max_buckets integer) RETURNS aggwin.exp_histogram
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_exp_histogram_transition';
COMMENT ON FUNCTION aggwin.exp_histogram_transition(aggwin.exp_histogram, double precision, double precision, integer) IS 'private: adds a value';

CREATE FUNCTION aggwin.exp_histogram_merge(aggwin.exp_histogram, aggwin.exp_histogram) RETURNS aggwin.exp_histogram
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_exp_histogram_merge';
COMMENT ON FUNCTION aggwin.exp_histogram_merge(aggwin.exp_histogram, aggwin.exp_histogram) IS 'private: merges two states';

CREATE FUNCTION aggwin.exp_histogram_final(aggwin.exp_histogram) RETURNS aggwin.exp_histogram
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_exp_histogram_final';
COMMENT ON FUNCTION aggwin.exp_histogram_final(aggwin.exp_histogram) IS 'private: finishes a state';

CREATE AGGREGATE aggwin.exp_hist_agg(value double precision) (
	SFUNC = aggwin.exp_histogram_transition, STYPE = aggwin.exp_histogram, SSPACE = 1024,
	FINALFUNC = aggwin.exp_histogram_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.exp_histogram_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.exp_hist_agg(double precision) IS 'histogram of any range, relative error 1 %';

CREATE AGGREGATE aggwin.exp_hist_agg(value double precision, relative_error double precision) (
	SFUNC = aggwin.exp_histogram_transition, STYPE = aggwin.exp_histogram, SSPACE = 1024,
	FINALFUNC = aggwin.exp_histogram_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.exp_histogram_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.exp_hist_agg(double precision, double precision) IS 'histogram of any range, relative error as given';

CREATE AGGREGATE aggwin.exp_hist_agg(value double precision, relative_error double precision, max_buckets integer) (
	SFUNC = aggwin.exp_histogram_transition, STYPE = aggwin.exp_histogram, SSPACE = 1024,
	FINALFUNC = aggwin.exp_histogram_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.exp_histogram_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.exp_hist_agg(double precision, double precision, integer) IS 'histogram of any range, relative error and number of buckets as given';

CREATE AGGREGATE aggwin.merge(aggwin.exp_histogram) (
	SFUNC = aggwin.exp_histogram_merge, STYPE = aggwin.exp_histogram, SSPACE = 1024,
	FINALFUNC = aggwin.exp_histogram_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.exp_histogram_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.merge(aggwin.exp_histogram) IS 'one histogram from many';

-- accessors

CREATE FUNCTION aggwin.num_vals(aggwin.exp_histogram) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_exp_histogram_num_vals';
COMMENT ON FUNCTION aggwin.num_vals(aggwin.exp_histogram) IS 'number of values';

CREATE FUNCTION aggwin.total(aggwin.exp_histogram) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_exp_histogram_total';
COMMENT ON FUNCTION aggwin.total(aggwin.exp_histogram) IS 'sum of the values';

CREATE FUNCTION aggwin.mean(aggwin.exp_histogram) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_exp_histogram_mean';
COMMENT ON FUNCTION aggwin.mean(aggwin.exp_histogram) IS 'arithmetic mean';

CREATE FUNCTION aggwin.min_val(aggwin.exp_histogram) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_exp_histogram_min_val';
COMMENT ON FUNCTION aggwin.min_val(aggwin.exp_histogram) IS 'smallest value';

CREATE FUNCTION aggwin.max_val(aggwin.exp_histogram) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_exp_histogram_max_val';
COMMENT ON FUNCTION aggwin.max_val(aggwin.exp_histogram) IS 'greatest value';

CREATE FUNCTION aggwin.percentile(aggwin.exp_histogram, fraction double precision) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_exp_histogram_percentile';
COMMENT ON FUNCTION aggwin.percentile(aggwin.exp_histogram, double precision) IS 'value below or at which a fraction of the values lies, to the relative error';

CREATE FUNCTION aggwin.percentiles(aggwin.exp_histogram, fractions double precision[]) RETURNS double precision[]
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_exp_histogram_percentiles';
COMMENT ON FUNCTION aggwin.percentiles(aggwin.exp_histogram, double precision[]) IS 'percentile of each fraction';

CREATE FUNCTION aggwin.cdf(aggwin.exp_histogram, value double precision) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_exp_histogram_cdf';
COMMENT ON FUNCTION aggwin.cdf(aggwin.exp_histogram, double precision) IS 'fraction of the values that are not above a value';

CREATE FUNCTION aggwin.relative_error(aggwin.exp_histogram) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_exp_histogram_relative_error';
COMMENT ON FUNCTION aggwin.relative_error(aggwin.exp_histogram) IS 'relative error that holds for percentiles';

CREATE FUNCTION aggwin.buckets(aggwin.exp_histogram, OUT lower double precision, OUT upper double precision, OUT count bigint)
	RETURNS SETOF record
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 100 AS 'MODULE_PATHNAME', 'aggwin_exp_histogram_buckets';
COMMENT ON FUNCTION aggwin.buckets(aggwin.exp_histogram) IS 'buckets that are not empty, with their bounds';

CREATE FUNCTION aggwin.plot(aggwin.exp_histogram, width integer = 40) RETURNS SETOF text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 20 AS 'MODULE_PATHNAME', 'aggwin_exp_histogram_plot';
COMMENT ON FUNCTION aggwin.plot(aggwin.exp_histogram, integer) IS 'bar chart, a line a row';

-- operators

CREATE FUNCTION aggwin.exp_histogram_plus(aggwin.exp_histogram, aggwin.exp_histogram) RETURNS aggwin.exp_histogram
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_exp_histogram_merge';
COMMENT ON FUNCTION aggwin.exp_histogram_plus(aggwin.exp_histogram, aggwin.exp_histogram) IS 'private: implementation of + operator';

CREATE OPERATOR aggwin.+ (
	LEFTARG = aggwin.exp_histogram, RIGHTARG = aggwin.exp_histogram, FUNCTION = aggwin.exp_histogram_plus, COMMUTATOR = OPERATOR(aggwin.+)
);
COMMENT ON OPERATOR aggwin.+ (aggwin.exp_histogram, aggwin.exp_histogram) IS 'merge';

CREATE FUNCTION aggwin.exp_histogram_eq(aggwin.exp_histogram, aggwin.exp_histogram) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_summary_eq';
COMMENT ON FUNCTION aggwin.exp_histogram_eq(aggwin.exp_histogram, aggwin.exp_histogram) IS 'private: implementation of = operator';

CREATE FUNCTION aggwin.exp_histogram_ne(aggwin.exp_histogram, aggwin.exp_histogram) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_summary_ne';
COMMENT ON FUNCTION aggwin.exp_histogram_ne(aggwin.exp_histogram, aggwin.exp_histogram) IS 'private: implementation of <> operator';

CREATE FUNCTION aggwin.exp_histogram_hash(aggwin.exp_histogram) RETURNS integer
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_summary_hash';
COMMENT ON FUNCTION aggwin.exp_histogram_hash(aggwin.exp_histogram) IS 'private: hash';

CREATE FUNCTION aggwin.exp_histogram_hash_extended(aggwin.exp_histogram, bigint) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_summary_hash_extended';
COMMENT ON FUNCTION aggwin.exp_histogram_hash_extended(aggwin.exp_histogram, bigint) IS 'private: hash';

CREATE OPERATOR aggwin.= (
	LEFTARG = aggwin.exp_histogram, RIGHTARG = aggwin.exp_histogram, FUNCTION = aggwin.exp_histogram_eq,
	COMMUTATOR = OPERATOR(aggwin.=), NEGATOR = OPERATOR(aggwin.<>),
	RESTRICT = eqsel, JOIN = eqjoinsel, HASHES
);
COMMENT ON OPERATOR aggwin.= (aggwin.exp_histogram, aggwin.exp_histogram) IS 'equal, to the last bit';

CREATE OPERATOR aggwin.<> (
	LEFTARG = aggwin.exp_histogram, RIGHTARG = aggwin.exp_histogram, FUNCTION = aggwin.exp_histogram_ne,
	COMMUTATOR = OPERATOR(aggwin.<>), NEGATOR = OPERATOR(aggwin.=),
	RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR aggwin.<> (aggwin.exp_histogram, aggwin.exp_histogram) IS 'not equal';

CREATE OPERATOR CLASS aggwin.exp_histogram_ops DEFAULT FOR TYPE aggwin.exp_histogram USING hash AS
	OPERATOR 1 aggwin.= (aggwin.exp_histogram, aggwin.exp_histogram),
	FUNCTION 1 aggwin.exp_histogram_hash(aggwin.exp_histogram),
	FUNCTION 2 aggwin.exp_histogram_hash_extended(aggwin.exp_histogram, bigint);
COMMENT ON OPERATOR CLASS aggwin.exp_histogram_ops USING hash IS 'exp_histogram by bytes';
COMMENT ON OPERATOR FAMILY aggwin.exp_histogram_ops USING hash IS 'exp_histogram by bytes';

-- casts

CREATE CAST (aggwin.exp_histogram AS jsonb) WITH INOUT;
COMMENT ON CAST (aggwin.exp_histogram AS jsonb) IS 'the text form';

CREATE CAST (aggwin.exp_histogram AS json) WITH INOUT;
COMMENT ON CAST (aggwin.exp_histogram AS json) IS 'the text form';
