-- quantile.sql - quantiles of Prometheus' classic histograms

CREATE FUNCTION aggwin.quantile_transition(double precision[], fraction double precision, le double precision, cumulative_count double precision) RETURNS double precision[]
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_quantile_transition';
COMMENT ON FUNCTION aggwin.quantile_transition(double precision[], double precision, double precision, double precision) IS 'private: adds a bucket';

CREATE FUNCTION aggwin.quantile_transition(double precision[], fraction double precision, le text, cumulative_count double precision) RETURNS double precision[]
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_quantile_transition_text';
COMMENT ON FUNCTION aggwin.quantile_transition(double precision[], double precision, text, double precision) IS 'private: adds a bucket';

CREATE FUNCTION aggwin.quantile_combine(double precision[], double precision[]) RETURNS double precision[]
	LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_quantile_combine';
COMMENT ON FUNCTION aggwin.quantile_combine(double precision[], double precision[]) IS 'private: combines two states';

CREATE FUNCTION aggwin.quantile_final(double precision[]) RETURNS double precision
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_quantile_final';
COMMENT ON FUNCTION aggwin.quantile_final(double precision[]) IS 'private: finishes a state';

CREATE AGGREGATE aggwin.histogram_quantile(fraction double precision, le double precision, cumulative_count double precision) (
	SFUNC = aggwin.quantile_transition, STYPE = double precision[], SSPACE = 256,
	FINALFUNC = aggwin.quantile_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.quantile_combine, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.histogram_quantile(double precision, double precision, double precision) IS 'quantile of cumulative buckets, as in Prometheus';

CREATE AGGREGATE aggwin.histogram_quantile(fraction double precision, le text, cumulative_count double precision) (
	SFUNC = aggwin.quantile_transition, STYPE = double precision[], SSPACE = 256,
	FINALFUNC = aggwin.quantile_final, FINALFUNC_MODIFY = READ_ONLY,
	COMBINEFUNC = aggwin.quantile_combine, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.histogram_quantile(double precision, text, double precision) IS 'quantile of cumulative buckets, their bounds as in the label le';
