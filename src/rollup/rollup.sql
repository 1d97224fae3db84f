-- rollup.sql - continuously maintained rollups

-- Catalog ------------------------------------------------------------------

CREATE TABLE aggwin.rollup (
	rollup_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	view regclass NOT NULL UNIQUE,
	source regclass NOT NULL,
	definition regclass NOT NULL,
	state regclass NOT NULL,
	delta regclass NOT NULL,
	invalid regclass NOT NULL,
	lateness interval,
	late text NOT NULL DEFAULT 'merge',
	source_retention interval,
	paused boolean NOT NULL DEFAULT false,
	counts_all boolean NOT NULL DEFAULT true,
	created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX rollup_source_idx ON aggwin.rollup (source);
COMMENT ON TABLE aggwin.rollup IS 'one row a rollup: the view that users query, the relations behind it, and its options';
COMMENT ON COLUMN aggwin.rollup.counts_all IS 'every row of the source has been counted so far and none is kept that is gone, so that rows may be taken away by subtraction';
GRANT SELECT ON aggwin.rollup TO PUBLIC;

CREATE TABLE aggwin.tier (
	-- no foreign key: restores fill tables of extensions in any order
	rollup_id integer NOT NULL,
	level smallint NOT NULL DEFAULT 0,
	view regclass UNIQUE,
	state regclass,
	delta regclass,
	width interval,
	int_width bigint,
	keys smallint[],
	refresh_interval interval NOT NULL,
	retention interval,
	generation integer NOT NULL DEFAULT 0,
	folded pg_snapshot,
	watermark text,
	rows_folded bigint NOT NULL DEFAULT 0,
	late_dropped bigint NOT NULL DEFAULT 0,
	repairs bigint NOT NULL DEFAULT 0,
	refused_repairs bigint NOT NULL DEFAULT 0,
	backfill_since timestamptz,
	backfill_done bigint,
	backfill_total bigint,
	last_fold timestamptz,
	last_fold_ms double precision,
	failures bigint NOT NULL DEFAULT 0,
	last_error_at timestamptz,
	watched timestamptz,
	seen pg_snapshot,
	watched_keys boolean NOT NULL DEFAULT false,
	PRIMARY KEY (rollup_id, level),
	-- the relations and the snapshot of the base: aggwin.rollup, folded
	CHECK ((level > 0) = (view IS NOT NULL AND state IS NOT NULL AND delta IS NOT NULL)),
	-- NULL at the base, too, while a rollup is being restored
	CHECK (level = 0 OR folded IS NULL)
) WITH (fillfactor = 50);
COMMENT ON TABLE aggwin.tier IS 'one row a tier of a rollup: what is folded, and what has been counted since';
-- Rollup views read this as their owner; whoever may dump the database, too.
GRANT SELECT ON aggwin.tier TO PUBLIC;

COMMENT ON COLUMN aggwin.tier.watched IS 'base: earlier buckets have been published, so folds tell of changes in them';
COMMENT ON COLUMN aggwin.tier.seen IS 'base: what had been captured when they were';
COMMENT ON COLUMN aggwin.tier.watched_keys IS 'base: folds tell also of which first key the changes are';

CREATE TABLE aggwin.touched (
	rollup_id integer NOT NULL,
	span tstzrange NOT NULL,
	changes bigint NOT NULL,
	key text
);
CREATE INDEX touched_rollup_id_idx ON aggwin.touched (rollup_id);
COMMENT ON TABLE aggwin.touched IS 'event time before aggwin.tier.watched in which a fold has changed something since, until that is looked at';
COMMENT ON COLUMN aggwin.touched.key IS 'what has changed has this first key; NULL: it may have any';
GRANT SELECT ON aggwin.touched TO PUBLIC;

CREATE TABLE aggwin.failure (
	rollup_id integer NOT NULL,
	level smallint NOT NULL,
	error text NOT NULL,
	PRIMARY KEY (rollup_id, level),
	FOREIGN KEY (rollup_id, level) REFERENCES aggwin.tier ON DELETE CASCADE
);
COMMENT ON TABLE aggwin.failure IS 'the last error of a tier; closed, because it may quote data, and not dumped';

-- Without foreign key: that would be checked under a snapshot that may be older than the rollup.
CREATE TABLE aggwin.source_partition (
	rollup_id integer NOT NULL,
	relid regclass NOT NULL,
	spans text,
	nulls boolean NOT NULL,
	PRIMARY KEY (rollup_id, relid)
);
CREATE INDEX source_partition_relid_idx ON aggwin.source_partition (relid);
COMMENT ON TABLE aggwin.source_partition IS 'one row a table below a partitioned source: the event time that its rows can have';
COMMENT ON COLUMN aggwin.source_partition.spans IS 'multirange of whole buckets; NULL: anything';
GRANT SELECT ON aggwin.source_partition TO PUBLIC;

-- Private functions --------------------------------------------------------

CREATE FUNCTION aggwin.spans(anymultirange) RETURNS SETOF anyrange
	LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE ROWS 1
	AS 'multirange_unnest';
COMMENT ON FUNCTION aggwin.spans(anymultirange) IS 'private: the ranges of a multirange, of which a rollup expects few';

CREATE FUNCTION aggwin.numeric_var_pop(count bigint, sum numeric, sum_squares numeric) RETURNS numeric
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_numeric_var_pop';
COMMENT ON FUNCTION aggwin.numeric_var_pop(bigint, numeric, numeric) IS 'private: var_pop from its partials';
CREATE FUNCTION aggwin.numeric_var_samp(count bigint, sum numeric, sum_squares numeric) RETURNS numeric
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_numeric_var_samp';
COMMENT ON FUNCTION aggwin.numeric_var_samp(bigint, numeric, numeric) IS 'private: var_samp from its partials';
CREATE FUNCTION aggwin.numeric_stddev_pop(count bigint, sum numeric, sum_squares numeric) RETURNS numeric
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_numeric_stddev_pop';
COMMENT ON FUNCTION aggwin.numeric_stddev_pop(bigint, numeric, numeric) IS 'private: stddev_pop from its partials';
CREATE FUNCTION aggwin.numeric_stddev_samp(count bigint, sum numeric, sum_squares numeric) RETURNS numeric
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'aggwin_numeric_stddev_samp';
COMMENT ON FUNCTION aggwin.numeric_stddev_samp(bigint, numeric, numeric) IS 'private: stddev_samp from its partials';

-- Private aggregates -------------------------------------------------------

CREATE AGGREGATE aggwin.bigint_sum(bigint) (
	SFUNC = int8pl, STYPE = bigint, COMBINEFUNC = int8pl, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.bigint_sum(bigint) IS 'private: sum that stays bigint, for merging counts and integer sums';

CREATE AGGREGATE aggwin.float8_moments(double precision) (
	SFUNC = float8_accum, STYPE = double precision[], INITCOND = '{0,0,0}',
	COMBINEFUNC = float8_combine, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.float8_moments(double precision) IS 'private: count, sum and sum of squared deviations, as the server keeps them';

CREATE AGGREGATE aggwin.float8_moments_merge(double precision[]) (
	SFUNC = float8_combine, STYPE = double precision[], COMBINEFUNC = float8_combine, PARALLEL = SAFE
);
COMMENT ON AGGREGATE aggwin.float8_moments_merge(double precision[]) IS 'private: merge of float8_moments';

-- Capture ------------------------------------------------------------------

CREATE FUNCTION aggwin.capture() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'aggwin_capture';
COMMENT ON FUNCTION aggwin.capture() IS 'private: trigger that records what a statement did to a source';

CREATE FUNCTION aggwin.capture_row() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'aggwin_capture_row';
COMMENT ON FUNCTION aggwin.capture_row() IS 'private: trigger that records what logical replication did to a row of a source';

CREATE FUNCTION aggwin.captures_everything(source oid) RETURNS boolean
	LANGUAGE sql STABLE STRICT PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
	BEGIN ATOMIC
		WITH RECURSIVE tables AS (
			SELECT source AS relid
			UNION ALL
			SELECT i.inhrelid FROM tables t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.relid
			WHERE NOT i.inhdetachpending
		)
		-- bits of tgtype: INSERT 4, DELETE 8, UPDATE 16, TRUNCATE 32; enabled as ALWAYS
		SELECT pg_catalog.bool_and(ARRAY(
			SELECT t.tgtype & 60
			FROM pg_catalog.pg_trigger t
			WHERE t.tgrelid = tables.relid
				AND t.tgfoid = 'aggwin.capture()'::pg_catalog.regprocedure
				AND t.tgenabled = 'A'
			ORDER BY 1
		) = ARRAY[4, 8, 16, 32])
		-- what subscriptions apply fires triggers on rows only
		AND (pg_catalog.bool_and(EXISTS (
			SELECT FROM pg_catalog.pg_trigger t
			WHERE t.tgrelid = tables.relid
				AND t.tgfoid = 'aggwin.capture_row()'::pg_catalog.regprocedure
				AND t.tgenabled IN ('A', 'R')
		))
		OR NOT pg_catalog.bool_or(EXISTS (SELECT FROM pg_catalog.pg_subscription_rel s WHERE s.srrelid = tables.relid)))
		FROM tables;
	END;
COMMENT ON FUNCTION aggwin.captures_everything(oid) IS 'private: whether a source and its partitions have all triggers that they need, enabled, once each';

-- Public functions ---------------------------------------------------------

CREATE FUNCTION aggwin.create_rollup(
	name text,
	query text,
	tiers interval[] DEFAULT '{}',
	refresh_interval interval DEFAULT '1 second',
	lateness interval DEFAULT NULL,
	late text DEFAULT 'merge',
	retention interval DEFAULT NULL,
	source_retention interval DEFAULT NULL,
	with_data boolean DEFAULT true
) RETURNS regclass
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_create_rollup';
COMMENT ON FUNCTION aggwin.create_rollup(text, text, interval[], interval, interval, text, interval, interval, boolean) IS
	'create a continuously maintained rollup of a table';

CREATE FUNCTION aggwin.alter_rollup(
	rollup regclass,
	refresh_interval interval DEFAULT NULL,
	lateness interval DEFAULT NULL,
	late text DEFAULT NULL,
	retention interval DEFAULT NULL,
	source_retention interval DEFAULT NULL,
	reset text[] DEFAULT NULL
) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_alter_rollup';
COMMENT ON FUNCTION aggwin.alter_rollup(regclass, interval, interval, text, interval, interval, text[]) IS
	'change options of a rollup; what is NULL stays as it is';

CREATE FUNCTION aggwin.pause_rollup(rollup regclass) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_pause_rollup';
COMMENT ON FUNCTION aggwin.pause_rollup(regclass) IS 'have workers leave a rollup alone; it stays exact';

CREATE FUNCTION aggwin.resume_rollup(rollup regclass) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_resume_rollup';
COMMENT ON FUNCTION aggwin.resume_rollup(regclass) IS 'have workers fold a rollup again';

CREATE FUNCTION aggwin.invalidate(rollup regclass, "from" anycompatible, "to" anycompatible) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_invalidate';
COMMENT ON FUNCTION aggwin.invalidate(regclass, anycompatible, anycompatible) IS
	'have event times of a rollup computed anew, after changes that its triggers did not see';

CREATE FUNCTION aggwin.add_tier(
	rollup regclass,
	width anycompatible,
	keys text[] DEFAULT NULL,
	name text DEFAULT NULL,
	refresh_interval interval DEFAULT NULL,
	retention interval DEFAULT NULL
) RETURNS regclass
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_add_tier';
COMMENT ON FUNCTION aggwin.add_tier(regclass, anycompatible, text[], text, interval, interval) IS
	'add a tier of wider buckets on top of a rollup';

CREATE FUNCTION aggwin.add_column(rollup regclass, name text, expression text) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_add_column';
COMMENT ON FUNCTION aggwin.add_column(regclass, text, text) IS
	'add an aggregate to a rollup and its tiers, computed for what is there in the background';

CREATE FUNCTION aggwin.set_tier(
	tier regclass,
	refresh_interval interval DEFAULT NULL,
	retention interval DEFAULT NULL,
	reset text[] DEFAULT NULL
) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_set_tier';
COMMENT ON FUNCTION aggwin.set_tier(regclass, interval, interval, text[]) IS
	'change options of one tier of a rollup; what is NULL stays as it is';

CREATE FUNCTION aggwin.drop_tier(tier regclass) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_drop_tier';
COMMENT ON FUNCTION aggwin.drop_tier(regclass) IS 'drop the topmost tier of a rollup';

CREATE FUNCTION aggwin.drop_rollup(rollup regclass) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_drop_rollup';
COMMENT ON FUNCTION aggwin.drop_rollup(regclass) IS 'drop a rollup, its view and its stored state';

CREATE FUNCTION aggwin.refresh(rollup regclass) RETURNS boolean
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_refresh';
COMMENT ON FUNCTION aggwin.refresh(regclass) IS 'fold what is pending into the rollup now; true if there was something';

CREATE FUNCTION aggwin.capture_rows(source regclass, enable boolean DEFAULT true) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_capture_rows';
COMMENT ON FUNCTION aggwin.capture_rows(regclass, boolean) IS 'have the rollups of a table see rows that logical replication applies to it';

CREATE FUNCTION aggwin.query_range(
	view anyelement,
	"from" anycompatible,
	"to" anycompatible,
	step text DEFAULT NULL,
	max_points integer DEFAULT 1000,
	keys jsonb DEFAULT '{}',
	fill text DEFAULT 'none'
) RETURNS SETOF anyelement
	LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'aggwin_query_range';
COMMENT ON FUNCTION aggwin.query_range(anyelement, anycompatible, anycompatible, text, integer, jsonb, text) IS
	'rows of a rollup''s view in a range of time at a resolution';

CREATE FUNCTION aggwin.query_range(
	view anyelement,
	"from" anycompatible,
	"to" anycompatible,
	step interval,
	max_points integer DEFAULT 1000,
	keys jsonb DEFAULT '{}',
	fill text DEFAULT 'none'
) RETURNS SETOF anyelement
	LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'aggwin_query_range';
COMMENT ON FUNCTION aggwin.query_range(anyelement, anycompatible, anycompatible, interval, integer, jsonb, text) IS
	'rows of a rollup''s view in a range of time at a resolution';

CREATE FUNCTION aggwin.query_range(
	view anyelement,
	"from" anycompatible,
	"to" anycompatible,
	step bigint,
	max_points integer DEFAULT 1000,
	keys jsonb DEFAULT '{}',
	fill text DEFAULT 'none'
) RETURNS SETOF anyelement
	LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'aggwin_query_range';
COMMENT ON FUNCTION aggwin.query_range(anyelement, anycompatible, anycompatible, bigint, integer, jsonb, text) IS
	'rows of a rollup''s view in a range of time at a resolution';

CREATE FUNCTION aggwin.rollup_pending(
	rollup_id integer,
	level smallint,
	OUT pending_deltas bigint,
	OUT lag interval,
	OUT invalid_buckets bigint
) RETURNS record
	LANGUAGE C STABLE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_rollup_pending';
COMMENT ON FUNCTION aggwin.rollup_pending(integer, smallint) IS 'private: what a rollup has not folded yet';

CREATE FUNCTION aggwin.rollup_failures(
	rollup_id integer,
	OUT failures bigint,
	OUT last_error text,
	OUT last_error_at timestamptz
) RETURNS record
	LANGUAGE C STABLE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_rollup_failures';
COMMENT ON FUNCTION aggwin.rollup_failures(integer) IS 'private: statements whose rows a rollup could not evaluate, as long as that is pending';

-- Views --------------------------------------------------------------------

CREATE VIEW aggwin.rollups AS
SELECT r.view AS rollup,
	r.source,
	pg_catalog.pg_get_userbyid(c.relowner) AS owner,
	ARRAY(SELECT t.width FROM aggwin.tier t WHERE t.rollup_id = r.rollup_id ORDER BY t.level) AS tiers,
	pg_catalog.pg_get_viewdef(r.definition) AS query,
	pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
		'refresh_interval', b.refresh_interval, 'lateness', r.lateness, 'late', r.late,
		'retention', b.retention, 'source_retention', r.source_retention)) AS options,
	r.created_at
FROM aggwin.rollup r
JOIN aggwin.tier b ON b.rollup_id = r.rollup_id AND b.level = 0
JOIN pg_catalog.pg_class c ON c.oid = r.view;
COMMENT ON VIEW aggwin.rollups IS 'one row a rollup: its source, owner, query and options';
GRANT SELECT ON aggwin.rollups TO PUBLIC;

CREATE VIEW aggwin.rollup_status AS
SELECT coalesce(t.view, r.view) AS rollup,
	t.width AS tier,
	t.watermark,
	p.pending_deltas,
	p.lag,
	t.rows_folded,
	t.late_dropped,
	p.invalid_buckets,
	t.repairs,
	t.refused_repairs,
	t.backfill_done,
	t.backfill_total,
	CASE WHEN t.backfill_since IS NOT NULL AND t.backfill_done > 0 THEN
		(t.last_fold - t.backfill_since) * (greatest(t.backfill_total - t.backfill_done, 0)::double precision / t.backfill_done)
	END AS backfill_eta,
	t.last_fold,
	t.last_fold_ms,
	pg_catalog.pg_total_relation_size(coalesce(t.state, r.state)) AS state_bytes,
	pg_catalog.pg_total_relation_size(coalesce(t.delta, r.delta)) AS delta_bytes,
	NOT aggwin.captures_everything(r.source) OR b.folded IS NULL AS dormant,
	r.paused,
	t.failures + coalesce(e.failures, 0) AS failures,
	CASE WHEN e.last_error_at >= coalesce(t.last_error_at, '-infinity') THEN e.last_error
		WHEN pg_catalog.pg_has_role(c.relowner, 'USAGE') THEN f.error END AS last_error,
	greatest(e.last_error_at, t.last_error_at) AS last_error_at
FROM aggwin.rollup r
JOIN aggwin.tier t ON t.rollup_id = r.rollup_id
JOIN aggwin.tier b ON b.rollup_id = r.rollup_id AND b.level = 0
LEFT JOIN aggwin.failure f ON (f.rollup_id, f.level) = (t.rollup_id, t.level)
JOIN pg_catalog.pg_class c ON c.oid = r.view
CROSS JOIN LATERAL aggwin.rollup_pending(r.rollup_id, t.level) p
LEFT JOIN LATERAL aggwin.rollup_failures(r.rollup_id) e ON t.level = 0;
COMMENT ON VIEW aggwin.rollup_status IS 'one row a tier of a rollup: how fresh it is, how large, what went wrong';
COMMENT ON COLUMN aggwin.rollup_status.dormant IS 'capture triggers of the source are missing or disabled, or it has not been restored to the end: the view answers from the source, nothing is folded';
GRANT SELECT ON aggwin.rollup_status TO PUBLIC;

-- Event triggers -----------------------------------------------------------

CREATE FUNCTION aggwin.on_drop() RETURNS event_trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'aggwin_on_drop';
COMMENT ON FUNCTION aggwin.on_drop() IS 'private: removes what a dropped rollup leaves behind';
CREATE EVENT TRIGGER aggwin_on_drop ON sql_drop EXECUTE FUNCTION aggwin.on_drop();
ALTER EVENT TRIGGER aggwin_on_drop ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER aggwin_on_drop IS 'removes what a dropped rollup leaves behind';

CREATE FUNCTION aggwin.on_ddl() RETURNS event_trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'aggwin_on_ddl';
COMMENT ON FUNCTION aggwin.on_ddl() IS 'private: refuses changes of a source that its rollups could not follow';
CREATE EVENT TRIGGER aggwin_on_ddl ON ddl_command_end
	WHEN TAG IN ('CREATE TABLE', 'CREATE FOREIGN TABLE', 'IMPORT FOREIGN SCHEMA', 'CREATE SCHEMA',
		'ALTER TABLE', 'ALTER FOREIGN TABLE', 'CREATE VIEW', 'ALTER VIEW', 'CREATE RULE', 'CREATE TRIGGER', 'ALTER TRIGGER',
		'CREATE SUBSCRIPTION', 'ALTER SUBSCRIPTION')
	EXECUTE FUNCTION aggwin.on_ddl();
ALTER EVENT TRIGGER aggwin_on_ddl ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER aggwin_on_ddl IS 'refuses changes of a source that its rollups could not follow';

CREATE FUNCTION aggwin.on_ddl_start() RETURNS event_trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'aggwin_on_ddl_start';
COMMENT ON FUNCTION aggwin.on_ddl_start() IS 'private: keeps what rollups have of partitions that are detached concurrently';
CREATE EVENT TRIGGER aggwin_on_ddl_start ON ddl_command_start
	WHEN TAG IN ('ALTER TABLE')
	EXECUTE FUNCTION aggwin.on_ddl_start();
ALTER EVENT TRIGGER aggwin_on_ddl_start ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER aggwin_on_ddl_start IS 'keeps what rollups have of partitions that are detached concurrently';

CREATE FUNCTION aggwin.on_rewrite() RETURNS event_trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'aggwin_on_rewrite';
COMMENT ON FUNCTION aggwin.on_rewrite() IS 'private: has rollups follow generated columns that are computed anew';
CREATE EVENT TRIGGER aggwin_on_rewrite ON table_rewrite EXECUTE FUNCTION aggwin.on_rewrite();
ALTER EVENT TRIGGER aggwin_on_rewrite ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER aggwin_on_rewrite IS 'has rollups follow generated columns that are computed anew';
