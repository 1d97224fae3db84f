-- histogram.sql - counts between fixed bounds

CREATE TYPE aggwin.histogram;

CREATE FUNCTION aggwin.histogram_in(cstring) RETURNS aggwin.histogram
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_histogram_in';
COMMENT ON FUNCTION aggwin.histogram_in(cstring) IS 'private: I/O';

CREATE FUNCTION aggwin.histogram_out(aggwin.histogram) RETURNS cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_histogram_out';
COMMENT ON FUNCTION aggwin.histogram_out(aggwin.histogram) IS 'private: I/O';

CREATE FUNCTION aggwin.histogram_recv(internal) RETURNS aggwin.histogram
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_histogram_recv';
COMMENT ON FUNCTION aggwin.histogram_recv(internal) IS 'private: I/O';

CREATE FUNCTION aggwin.histogram_send(aggwin.histogram) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_histogram_send';
COMMENT ON FUNCTION aggwin.histogram_send(aggwin.histogram) IS 'private: I/O';

CREATE TYPE aggwin.histogram (
	INPUT = aggwin.histogram_in, OUTPUT = aggwin.histogram_out,
	RECEIVE = aggwin.histogram_recv, SEND = aggwin.histogram_send,
	ALIGNMENT = double, STORAGE = extended
);
COMMENT ON TYPE aggwin.histogram IS 'counts between fixed bounds';

-- aggregates

CREATE FUNCTION aggwin.histogram_transition(aggwin.histogram, value double precision, bounds double precision[]) RETURNS aggwin.histogram
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_histogram_transition';
COMMENT ON FUNCTION aggwin.histogram_transition(aggwin.histogram, double precision, double precision[]) IS 'private: adds a value';

CREATE FUNCTION aggwin.histogram_merge(aggwin.histogram, aggwin.histogram) RETURNS aggwin.histogram
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_histogram_merge_transition';
COMMENT ON FUNCTION aggwin.histogram_merge(aggwin.histogram, aggwin.histogram) IS 'private: merges two states';

CREATE FUNCTION aggwin.histogram_final(aggwin.histogram) RETURNS aggwin.histogram
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_histogram_final';
COMMENT ON FUNCTION aggwin.histogram_final(aggwin.histogram) IS 'private: finishes a state';

CREATE AGGREGATE aggwin.hist_agg(value double precision, bounds double precision[]) (
	SFUNC = aggwin.histogram_transition, STYPE = aggwin.histogram, SSPACE = 256,
	FINALFUNC = aggwin.histogram_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.histogram_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.hist_agg(double precision, double precision[]) IS 'counts between bounds';

CREATE AGGREGATE aggwin.merge(aggwin.histogram) (
	SFUNC = aggwin.histogram_merge, STYPE = aggwin.histogram, SSPACE = 256,
	FINALFUNC = aggwin.histogram_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.histogram_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.merge(aggwin.histogram) IS 'one histogram from many';

CREATE FUNCTION aggwin.linear_bounds(start double precision, width double precision, count integer) RETURNS double precision[]
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_linear_bounds';
COMMENT ON FUNCTION aggwin.linear_bounds(double precision, double precision, integer) IS 'bounds that are equally far apart';

CREATE FUNCTION aggwin.exponential_bounds(start double precision, factor double precision, count integer) RETURNS double precision[]
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_exponential_bounds';
COMMENT ON FUNCTION aggwin.exponential_bounds(double precision, double precision, integer) IS 'bounds that grow by a factor';

-- accessors

CREATE FUNCTION aggwin.num_vals(aggwin.histogram) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_histogram_num_vals';
COMMENT ON FUNCTION aggwin.num_vals(aggwin.histogram) IS 'number of values';

CREATE FUNCTION aggwin.total(aggwin.histogram) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_histogram_total';
COMMENT ON FUNCTION aggwin.total(aggwin.histogram) IS 'sum of the values';

CREATE FUNCTION aggwin.mean(aggwin.histogram) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_histogram_mean';
COMMENT ON FUNCTION aggwin.mean(aggwin.histogram) IS 'arithmetic mean';

CREATE FUNCTION aggwin.min_val(aggwin.histogram) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_histogram_min_val';
COMMENT ON FUNCTION aggwin.min_val(aggwin.histogram) IS 'smallest value';

CREATE FUNCTION aggwin.max_val(aggwin.histogram) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_histogram_max_val';
COMMENT ON FUNCTION aggwin.max_val(aggwin.histogram) IS 'greatest value';

CREATE FUNCTION aggwin.percentile(aggwin.histogram, fraction double precision) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_histogram_percentile_of';
COMMENT ON FUNCTION aggwin.percentile(aggwin.histogram, double precision) IS 'value that a fraction of the values does not exceed, by linear interpolation';

CREATE FUNCTION aggwin.percentiles(aggwin.histogram, fractions double precision[]) RETURNS double precision[]
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_histogram_percentiles';
COMMENT ON FUNCTION aggwin.percentiles(aggwin.histogram, double precision[]) IS 'percentile of each fraction';

CREATE FUNCTION aggwin.cdf(aggwin.histogram, value double precision) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_histogram_cdf_of';
COMMENT ON FUNCTION aggwin.cdf(aggwin.histogram, double precision) IS 'fraction of the values that are not above a value';

CREATE FUNCTION aggwin.bounds(aggwin.histogram) RETURNS double precision[]
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_histogram_bounds';
COMMENT ON FUNCTION aggwin.bounds(aggwin.histogram) IS 'bounds it was built with';

CREATE FUNCTION aggwin.buckets(aggwin.histogram, OUT lower double precision, OUT upper double precision, OUT count bigint)
	RETURNS SETOF record
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 10 AS 'MODULE_PATHNAME', 'aggwin_histogram_buckets';
COMMENT ON FUNCTION aggwin.buckets(aggwin.histogram) IS 'buckets with their bounds';

CREATE FUNCTION aggwin.plot(aggwin.histogram, width integer = 40) RETURNS SETOF text
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 20 AS 'MODULE_PATHNAME', 'aggwin_histogram_plot';
COMMENT ON FUNCTION aggwin.plot(aggwin.histogram, integer) IS 'bar chart, a line a row';

-- operators

CREATE FUNCTION aggwin.histogram_plus(aggwin.histogram, aggwin.histogram) RETURNS aggwin.histogram
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_histogram_merge_transition';
COMMENT ON FUNCTION aggwin.histogram_plus(aggwin.histogram, aggwin.histogram) IS 'private: implementation of + operator';

CREATE OPERATOR aggwin.+ (
	LEFTARG = aggwin.histogram, RIGHTARG = aggwin.histogram, FUNCTION = aggwin.histogram_plus, COMMUTATOR = OPERATOR(aggwin.+)
);
COMMENT ON OPERATOR aggwin.+ (aggwin.histogram, aggwin.histogram) IS 'merge';

CREATE FUNCTION aggwin.histogram_eq(aggwin.histogram, aggwin.histogram) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_summary_eq';
COMMENT ON FUNCTION aggwin.histogram_eq(aggwin.histogram, aggwin.histogram) IS 'private: implementation of = operator';

CREATE FUNCTION aggwin.histogram_ne(aggwin.histogram, aggwin.histogram) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_summary_ne';
COMMENT ON FUNCTION aggwin.histogram_ne(aggwin.histogram, aggwin.histogram) IS 'private: implementation of <> operator';

CREATE FUNCTION aggwin.histogram_hash(aggwin.histogram) RETURNS integer
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_summary_hash';
COMMENT ON FUNCTION aggwin.histogram_hash(aggwin.histogram) IS 'private: hash';

CREATE FUNCTION aggwin.histogram_hash_extended(aggwin.histogram, bigint) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_summary_hash_extended';
COMMENT ON FUNCTION aggwin.histogram_hash_extended(aggwin.histogram, bigint) IS 'private: hash';

CREATE OPERATOR aggwin.= (
	LEFTARG = aggwin.histogram, RIGHTARG = aggwin.histogram, FUNCTION = aggwin.histogram_eq,
	COMMUTATOR = OPERATOR(aggwin.=), NEGATOR = OPERATOR(aggwin.<>),
	RESTRICT = eqsel, JOIN = eqjoinsel, HASHES
);
COMMENT ON OPERATOR aggwin.= (aggwin.histogram, aggwin.histogram) IS 'equal, to the last bit';

CREATE OPERATOR aggwin.<> (
	LEFTARG = aggwin.histogram, RIGHTARG = aggwin.histogram, FUNCTION = aggwin.histogram_ne,
	COMMUTATOR = OPERATOR(aggwin.<>), NEGATOR = OPERATOR(aggwin.=),
	RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR aggwin.<> (aggwin.histogram, aggwin.histogram) IS 'not equal';

CREATE OPERATOR CLASS aggwin.histogram_ops DEFAULT FOR TYPE aggwin.histogram USING hash AS
	OPERATOR 1 aggwin.= (aggwin.histogram, aggwin.histogram),
	FUNCTION 1 aggwin.histogram_hash(aggwin.histogram),
	FUNCTION 2 aggwin.histogram_hash_extended(aggwin.histogram, bigint);
COMMENT ON OPERATOR CLASS aggwin.histogram_ops USING hash IS 'histogram by bytes';
COMMENT ON OPERATOR FAMILY aggwin.histogram_ops USING hash IS 'histogram by bytes';

-- casts

CREATE CAST (aggwin.histogram AS jsonb) WITH INOUT;
COMMENT ON CAST (aggwin.histogram AS jsonb) IS 'the text form';

CREATE CAST (aggwin.histogram AS json) WITH INOUT;
COMMENT ON CAST (aggwin.histogram AS json) IS 'the text form';
