-- mergeable.sql - aggregates whose results merge, beside those that aggwin knows

CREATE TABLE aggwin.mergeable (
	extension name,
	aggregate text NOT NULL,
	stored text NOT NULL,
	constants text[] NOT NULL DEFAULT '{}',
	merge text NOT NULL,
	final text,
	exact text,
	preset boolean NOT NULL DEFAULT false,
	UNIQUE NULLS NOT DISTINCT (extension, aggregate)
);
COMMENT ON TABLE aggwin.mergeable IS 'aggregates that rollups can store and merge by other aggregates';
COMMENT ON COLUMN aggwin.mergeable.extension IS 'what the aggregate belongs to; functions and types of this extension are named without a schema';
COMMENT ON COLUMN aggwin.mergeable.aggregate IS 'as called in a rollup query';
COMMENT ON COLUMN aggwin.mergeable.stored IS 'aggregate over the same arguments whose result is stored';
COMMENT ON COLUMN aggwin.mergeable.constants IS 'further arguments of the stored aggregate';
COMMENT ON COLUMN aggwin.mergeable.merge IS 'aggregate that makes one of many stored results';
COMMENT ON COLUMN aggwin.mergeable.final IS 'function from the merged result to what the called aggregate returns';
COMMENT ON COLUMN aggwin.mergeable.exact IS 'function that says of a merged result whether merging has lost nothing';
COMMENT ON COLUMN aggwin.mergeable.preset IS 'came with aggwin';
GRANT SELECT ON aggwin.mergeable TO PUBLIC;
SELECT pg_catalog.pg_extension_config_dump('aggwin.mergeable', 'WHERE NOT preset');

-- Where hll takes fewer arguments, the session's settings fill in; two sketches
-- of different settings do not merge. So what is stored has all arguments.
INSERT INTO aggwin.mergeable (extension, aggregate, stored, constants, merge, final, preset) VALUES
	('hll', 'hll_add_agg(hll_hashval)',
		'hll_add_agg(hll_hashval,integer,integer,bigint,integer)', '{11,5,-1,1}', 'hll_union_agg(hll)', NULL, true),
	('hll', 'hll_add_agg(hll_hashval,integer)',
		'hll_add_agg(hll_hashval,integer,integer,bigint,integer)', '{5,-1,1}', 'hll_union_agg(hll)', NULL, true),
	('hll', 'hll_add_agg(hll_hashval,integer,integer)',
		'hll_add_agg(hll_hashval,integer,integer,bigint,integer)', '{-1,1}', 'hll_union_agg(hll)', NULL, true),
	('hll', 'hll_add_agg(hll_hashval,integer,integer,bigint)',
		'hll_add_agg(hll_hashval,integer,integer,bigint,integer)', '{1}', 'hll_union_agg(hll)', NULL, true),
	('hll', 'hll_add_agg(hll_hashval,integer,integer,bigint,integer)',
		'hll_add_agg(hll_hashval,integer,integer,bigint,integer)', '{}', 'hll_union_agg(hll)', NULL, true),
	('hll', 'hll_union_agg(hll)', 'hll_union_agg(hll)', '{}', 'hll_union_agg(hll)', NULL, true),
	('tdigest', 'tdigest(double precision,integer)', 'tdigest(double precision,integer)', '{}', 'tdigest(tdigest)', NULL, true),
	('tdigest', 'tdigest(double precision,bigint,integer)', 'tdigest(double precision,bigint,integer)', '{}', 'tdigest(tdigest)', NULL, true),
	('tdigest', 'tdigest(tdigest)', 'tdigest(tdigest)', '{}', 'tdigest(tdigest)', NULL, true),
	('ddsketch', 'ddsketch(double precision,double precision,integer)', 'ddsketch(double precision,double precision,integer)', '{}', 'ddsketch(ddsketch)', NULL, true),
	('ddsketch', 'ddsketch(double precision,bigint,double precision,integer)', 'ddsketch(double precision,bigint,double precision,integer)', '{}', 'ddsketch(ddsketch)', NULL, true),
	('ddsketch', 'ddsketch(ddsketch)', 'ddsketch(ddsketch)', '{}', 'ddsketch(ddsketch)', NULL, true);

INSERT INTO aggwin.mergeable (extension, aggregate, stored, merge, final, preset)
SELECT 'aggwin',
	pg_catalog.format('%s(anyelement,%s)', s.side, t.type),
	pg_catalog.format('timed_%s(anyelement,%s)', s.side, t.type),
	pg_catalog.format('merge_%s(timed)', s.side),
	'timed_value(timed,anyelement)',
	true
FROM (VALUES ('first'), ('last')) AS s (side),
	(VALUES ('timestamp with time zone'), ('timestamp without time zone'), ('date'), ('bigint')) AS t (type);

-- Gaps of a bucket's counter need not stay open once all of its rows are in.
INSERT INTO aggwin.mergeable (extension, aggregate, stored, merge, final, exact, preset) VALUES
	('aggwin', 'counter_agg(timestamp with time zone,double precision)', 'counter_agg(timestamp with time zone,double precision)',
		'merge(counter)', 'counter_closed(counter)', 'is_exact(counter)', true),
	('aggwin', 'merge(counter)', 'merge(counter)', 'merge(counter)', NULL, 'is_exact(counter)', true);

CREATE FUNCTION aggwin.register_mergeable(
	aggregate regprocedure,
	merge regprocedure,
	stored regprocedure DEFAULT NULL,
	final regprocedure DEFAULT NULL,
	constants text[] DEFAULT '{}',
	exact regprocedure DEFAULT NULL
) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_register_mergeable';
COMMENT ON FUNCTION aggwin.register_mergeable(regprocedure, regprocedure, regprocedure, regprocedure, text[], regprocedure)
	IS 'let rollups use an aggregate whose results another one merges';

CREATE FUNCTION aggwin.unregister_mergeable(aggregate regprocedure) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_unregister_mergeable';
COMMENT ON FUNCTION aggwin.unregister_mergeable(regprocedure) IS 'take back register_mergeable(), unless a rollup uses the aggregate';

-- Names in the table follow what they name.

CREATE FUNCTION aggwin.mergeable_on_start() RETURNS event_trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'aggwin_mergeable_on_start';
COMMENT ON FUNCTION aggwin.mergeable_on_start() IS 'private: remembers what registered names mean';
CREATE EVENT TRIGGER aggwin_mergeable_on_start ON ddl_command_start
	WHEN TAG IN ('ALTER AGGREGATE', 'ALTER FUNCTION', 'ALTER ROUTINE', 'ALTER SCHEMA', 'ALTER EXTENSION',
		'ALTER TYPE', 'ALTER DOMAIN', 'ALTER TABLE', 'ALTER FOREIGN TABLE', 'ALTER VIEW', 'ALTER MATERIALIZED VIEW')
	EXECUTE FUNCTION aggwin.mergeable_on_start();
ALTER EVENT TRIGGER aggwin_mergeable_on_start ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER aggwin_mergeable_on_start IS 'remembers what registered names mean';

CREATE FUNCTION aggwin.mergeable_on_end() RETURNS event_trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'aggwin_mergeable_on_end';
COMMENT ON FUNCTION aggwin.mergeable_on_end() IS 'private: renames what was registered under another name';
CREATE EVENT TRIGGER aggwin_mergeable_on_end ON ddl_command_end
	WHEN TAG IN ('ALTER AGGREGATE', 'ALTER FUNCTION', 'ALTER ROUTINE', 'ALTER SCHEMA', 'ALTER EXTENSION',
		'ALTER TYPE', 'ALTER DOMAIN', 'ALTER TABLE', 'ALTER FOREIGN TABLE', 'ALTER VIEW', 'ALTER MATERIALIZED VIEW')
	EXECUTE FUNCTION aggwin.mergeable_on_end();
ALTER EVENT TRIGGER aggwin_mergeable_on_end ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER aggwin_mergeable_on_end IS 'renames what was registered under another name';

CREATE FUNCTION aggwin.mergeable_on_drop() RETURNS event_trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'aggwin_mergeable_on_drop';
COMMENT ON FUNCTION aggwin.mergeable_on_drop() IS 'private: forgets what was registered and is gone';
CREATE EVENT TRIGGER aggwin_mergeable_on_drop ON sql_drop EXECUTE FUNCTION aggwin.mergeable_on_drop();
ALTER EVENT TRIGGER aggwin_mergeable_on_drop ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER aggwin_mergeable_on_drop IS 'forgets what was registered and is gone';
