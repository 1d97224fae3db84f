-- topk.sql - the most frequent items

CREATE TYPE aggwin.topk;

CREATE FUNCTION aggwin.topk_in(cstring) RETURNS aggwin.topk
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_topk_in';
COMMENT ON FUNCTION aggwin.topk_in(cstring) IS 'private: I/O';

CREATE FUNCTION aggwin.topk_out(aggwin.topk) RETURNS cstring
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_topk_out';
COMMENT ON FUNCTION aggwin.topk_out(aggwin.topk) IS 'private: I/O';

CREATE FUNCTION aggwin.topk_recv(internal) RETURNS aggwin.topk
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_topk_recv';
COMMENT ON FUNCTION aggwin.topk_recv(internal) IS 'private: I/O';

CREATE FUNCTION aggwin.topk_send(aggwin.topk) RETURNS bytea
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_topk_send';
COMMENT ON FUNCTION aggwin.topk_send(aggwin.topk) IS 'private: I/O';

CREATE TYPE aggwin.topk (
	INPUT = aggwin.topk_in, OUTPUT = aggwin.topk_out,
	RECEIVE = aggwin.topk_recv, SEND = aggwin.topk_send,
	ALIGNMENT = double, STORAGE = extended
);
COMMENT ON TYPE aggwin.topk IS 'most frequent items, with a bound on the error';

-- aggregates

CREATE FUNCTION aggwin.topk_transition(aggwin.topk, item anyelement, k integer) RETURNS aggwin.topk
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_topk_transition';
COMMENT ON FUNCTION aggwin.topk_transition(aggwin.topk, anyelement, integer) IS 'private: counts an item';

CREATE FUNCTION aggwin.topk_transition(aggwin.topk, item anyelement, k integer, weight bigint) RETURNS aggwin.topk
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_topk_transition';
COMMENT ON FUNCTION aggwin.topk_transition(aggwin.topk, anyelement, integer, bigint) IS 'private: counts an item';

CREATE FUNCTION aggwin.topk_transition(aggwin.topk, item anyelement, k integer, weight bigint, capacity integer) RETURNS aggwin.topk
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_topk_transition';
COMMENT ON FUNCTION aggwin.topk_transition(aggwin.topk, anyelement, integer, bigint, integer) IS 'private: counts an item';

CREATE FUNCTION aggwin.topk_merge(aggwin.topk, aggwin.topk) RETURNS aggwin.topk
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_topk_merge';
COMMENT ON FUNCTION aggwin.topk_merge(aggwin.topk, aggwin.topk) IS 'private: merges two states';

CREATE FUNCTION aggwin.topk_final(aggwin.topk) RETURNS aggwin.topk
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_topk_final';
COMMENT ON FUNCTION aggwin.topk_final(aggwin.topk) IS 'private: finishes a state';

CREATE AGGREGATE aggwin.topk_agg(item anyelement, k integer) (
	SFUNC = aggwin.topk_transition, STYPE = aggwin.topk, SSPACE = 4096,
	FINALFUNC = aggwin.topk_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.topk_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.topk_agg(anyelement, integer) IS 'most frequent items, as often as there are rows';

CREATE AGGREGATE aggwin.topk_agg(item anyelement, k integer, weight bigint) (
	SFUNC = aggwin.topk_transition, STYPE = aggwin.topk, SSPACE = 4096,
	FINALFUNC = aggwin.topk_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.topk_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.topk_agg(anyelement, integer, bigint) IS 'most frequent items, each row as often as its weight';

CREATE AGGREGATE aggwin.topk_agg(item anyelement, k integer, weight bigint, capacity integer) (
	SFUNC = aggwin.topk_transition, STYPE = aggwin.topk, SSPACE = 4096,
	FINALFUNC = aggwin.topk_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.topk_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.topk_agg(anyelement, integer, bigint, integer) IS 'most frequent items, weighted, with a capacity';

CREATE AGGREGATE aggwin.merge(aggwin.topk) (
	SFUNC = aggwin.topk_merge, STYPE = aggwin.topk, SSPACE = 4096,
	FINALFUNC = aggwin.topk_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.topk_merge, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.merge(aggwin.topk) IS 'one list from many';

-- accessors

CREATE FUNCTION aggwin.top(aggwin.topk, OUT rank integer, OUT item text, OUT count bigint, OUT error bigint)
	RETURNS SETOF record
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 10 AS 'MODULE_PATHNAME', 'aggwin_topk_top';
COMMENT ON FUNCTION aggwin.top(aggwin.topk) IS 'the k most frequent items';

CREATE FUNCTION aggwin.top(aggwin.topk, n integer, OUT rank integer, OUT item text, OUT count bigint, OUT error bigint)
	RETURNS SETOF record
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE ROWS 10 AS 'MODULE_PATHNAME', 'aggwin_topk_top';
COMMENT ON FUNCTION aggwin.top(aggwin.topk, integer) IS 'the n most frequent items';

CREATE FUNCTION aggwin.num_vals(aggwin.topk) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_topk_num_vals';
COMMENT ON FUNCTION aggwin.num_vals(aggwin.topk) IS 'sum of the weights';

CREATE FUNCTION aggwin.max_error(aggwin.topk) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_topk_max_error';
COMMENT ON FUNCTION aggwin.max_error(aggwin.topk) IS 'how often an item that is not kept may have been counted';

CREATE FUNCTION aggwin.is_exact(aggwin.topk) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_topk_is_exact';
COMMENT ON FUNCTION aggwin.is_exact(aggwin.topk) IS 'whether all items are kept';

CREATE FUNCTION aggwin.capacity(aggwin.topk) RETURNS integer
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_topk_capacity';
COMMENT ON FUNCTION aggwin.capacity(aggwin.topk) IS 'how many items can be kept';

-- operators

CREATE FUNCTION aggwin.topk_plus(aggwin.topk, aggwin.topk) RETURNS aggwin.topk
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_topk_merge';
COMMENT ON FUNCTION aggwin.topk_plus(aggwin.topk, aggwin.topk) IS 'private: implementation of + operator';

CREATE OPERATOR aggwin.+ (
	LEFTARG = aggwin.topk, RIGHTARG = aggwin.topk, FUNCTION = aggwin.topk_plus, COMMUTATOR = OPERATOR(aggwin.+)
);
COMMENT ON OPERATOR aggwin.+ (aggwin.topk, aggwin.topk) IS 'merge';

CREATE FUNCTION aggwin.topk_eq(aggwin.topk, aggwin.topk) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_summary_eq';
COMMENT ON FUNCTION aggwin.topk_eq(aggwin.topk, aggwin.topk) IS 'private: implementation of = operator';

CREATE FUNCTION aggwin.topk_ne(aggwin.topk, aggwin.topk) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_summary_ne';
COMMENT ON FUNCTION aggwin.topk_ne(aggwin.topk, aggwin.topk) IS 'private: implementation of <> operator';

CREATE FUNCTION aggwin.topk_hash(aggwin.topk) RETURNS integer
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_summary_hash';
COMMENT ON FUNCTION aggwin.topk_hash(aggwin.topk) IS 'private: hash';

CREATE FUNCTION aggwin.topk_hash_extended(aggwin.topk, bigint) RETURNS bigint
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_summary_hash_extended';
COMMENT ON FUNCTION aggwin.topk_hash_extended(aggwin.topk, bigint) IS 'private: hash';

CREATE OPERATOR aggwin.= (
	LEFTARG = aggwin.topk, RIGHTARG = aggwin.topk, FUNCTION = aggwin.topk_eq,
	COMMUTATOR = OPERATOR(aggwin.=), NEGATOR = OPERATOR(aggwin.<>),
	RESTRICT = eqsel, JOIN = eqjoinsel, HASHES
);
COMMENT ON OPERATOR aggwin.= (aggwin.topk, aggwin.topk) IS 'equal, to the last bit';

CREATE OPERATOR aggwin.<> (
	LEFTARG = aggwin.topk, RIGHTARG = aggwin.topk, FUNCTION = aggwin.topk_ne,
	COMMUTATOR = OPERATOR(aggwin.<>), NEGATOR = OPERATOR(aggwin.=),
	RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR aggwin.<> (aggwin.topk, aggwin.topk) IS 'not equal';

CREATE OPERATOR CLASS aggwin.topk_ops DEFAULT FOR TYPE aggwin.topk USING hash AS
	OPERATOR 1 aggwin.= (aggwin.topk, aggwin.topk),
	FUNCTION 1 aggwin.topk_hash(aggwin.topk),
	FUNCTION 2 aggwin.topk_hash_extended(aggwin.topk, bigint);
COMMENT ON OPERATOR CLASS aggwin.topk_ops USING hash IS 'topk by bytes';
COMMENT ON OPERATOR FAMILY aggwin.topk_ops USING hash IS 'topk by bytes';

-- casts

CREATE CAST (aggwin.topk AS jsonb) WITH INOUT;
COMMENT ON CAST (aggwin.topk AS jsonb) IS 'the text form';

CREATE CAST (aggwin.topk AS json) WITH INOUT;
COMMENT ON CAST (aggwin.topk AS json) IS 'the text form';
