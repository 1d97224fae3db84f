-- rollup_restore.sql - rollups in dumps, and out of them

-- What pg_dump takes along, unless it is told to leave out data.
SELECT pg_catalog.pg_extension_config_dump('aggwin.rollup', '');
SELECT pg_catalog.pg_extension_config_dump('aggwin.tier', '');
SELECT pg_catalog.pg_extension_config_dump('aggwin.source_partition', '');

-- Rows of the catalog ------------------------------------------------------

CREATE FUNCTION aggwin.restore_rollup() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'aggwin_restore_rollup';
COMMENT ON FUNCTION aggwin.restore_rollup() IS 'private: trigger that lets a dump restore rollups that are there already';
REVOKE ALL ON FUNCTION aggwin.restore_rollup() FROM PUBLIC;
CREATE TRIGGER aggwin_restore BEFORE INSERT ON aggwin.rollup
	FOR EACH ROW EXECUTE FUNCTION aggwin.restore_rollup();
ALTER TABLE aggwin.rollup ENABLE ALWAYS TRIGGER aggwin_restore;
COMMENT ON TRIGGER aggwin_restore ON aggwin.rollup IS 'lets a dump restore rollups that are there already';

CREATE FUNCTION aggwin.restore_tier() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'aggwin_restore_tier';
COMMENT ON FUNCTION aggwin.restore_tier() IS 'private: trigger that forgets what a dump says of transactions';
REVOKE ALL ON FUNCTION aggwin.restore_tier() FROM PUBLIC;
CREATE TRIGGER aggwin_restore BEFORE INSERT ON aggwin.tier
	FOR EACH ROW EXECUTE FUNCTION aggwin.restore_tier();
ALTER TABLE aggwin.tier ENABLE ALWAYS TRIGGER aggwin_restore;
COMMENT ON TRIGGER aggwin_restore ON aggwin.tier IS 'forgets what a dump says of transactions';

CREATE FUNCTION aggwin.restore_partition() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'aggwin_restore_partition';
COMMENT ON FUNCTION aggwin.restore_partition() IS 'private: trigger that lets a dump restore partitions that are known already';
REVOKE ALL ON FUNCTION aggwin.restore_partition() FROM PUBLIC;
CREATE TRIGGER aggwin_restore BEFORE INSERT ON aggwin.source_partition
	FOR EACH ROW EXECUTE FUNCTION aggwin.restore_partition();
ALTER TABLE aggwin.source_partition ENABLE ALWAYS TRIGGER aggwin_restore;
COMMENT ON TRIGGER aggwin_restore ON aggwin.source_partition IS 'lets a dump restore partitions that are known already';

CREATE FUNCTION aggwin.take_up() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'aggwin_take_up_rows';
COMMENT ON FUNCTION aggwin.take_up() IS 'private: trigger that takes up rollups that have been restored';
REVOKE ALL ON FUNCTION aggwin.take_up() FROM PUBLIC;
CREATE TRIGGER aggwin_take_up AFTER INSERT ON aggwin.rollup
	FOR EACH STATEMENT EXECUTE FUNCTION aggwin.take_up();
ALTER TABLE aggwin.rollup ENABLE ALWAYS TRIGGER aggwin_take_up;
COMMENT ON TRIGGER aggwin_take_up ON aggwin.rollup IS 'takes up rollups that have been restored';
CREATE TRIGGER aggwin_take_up AFTER INSERT ON aggwin.tier
	FOR EACH STATEMENT EXECUTE FUNCTION aggwin.take_up();
ALTER TABLE aggwin.tier ENABLE ALWAYS TRIGGER aggwin_take_up;
COMMENT ON TRIGGER aggwin_take_up ON aggwin.tier IS 'takes up rollups that have been restored';

CREATE FUNCTION aggwin.guard() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'aggwin_guard_table';
COMMENT ON FUNCTION aggwin.guard() IS 'private: trigger that makes a rollup invalid whose own tables somebody writes to';
REVOKE ALL ON FUNCTION aggwin.guard() FROM PUBLIC;

-- Taking up ----------------------------------------------------------------

CREATE FUNCTION aggwin.is_complete(rollup_id integer) RETURNS boolean
	LANGUAGE sql STABLE STRICT PARALLEL SAFE
	SET search_path = pg_catalog, pg_temp
	BEGIN ATOMIC
		SELECT aggwin.captures_everything(r.source) AND NOT EXISTS (
			SELECT FROM (
				SELECT pg_catalog.unnest(ARRAY[r.state, r.delta, r.invalid])
				UNION ALL
				SELECT pg_catalog.unnest(ARRAY[t.state, t.delta]) FROM aggwin.tier t
				WHERE t.rollup_id = r.rollup_id AND t.level > 0
			) p (part)
			WHERE NOT EXISTS (
				SELECT FROM pg_catalog.pg_trigger g
				WHERE g.tgrelid = p.part AND g.tgfoid = 'aggwin.guard()'::pg_catalog.regprocedure)
		) AND NOT EXISTS (
			SELECT FROM (
				SELECT pg_catalog.unnest(ARRAY[r.state, r.delta, r.invalid])
				UNION ALL
				SELECT t.state FROM aggwin.tier t
				WHERE t.rollup_id = r.rollup_id AND t.level > 0
			) p (part)
			WHERE NOT EXISTS (
				SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = p.part AND i.indisvalid)
		) AND (
			SELECT count(*) FROM aggwin.tier t WHERE t.rollup_id = r.rollup_id AND t.level > 0
		) >= (
			SELECT count(*) FROM pg_catalog.pg_class c
			WHERE c.relnamespace = 'aggwin'::pg_catalog.regnamespace AND c.relkind = 'r'
				AND c.relname ~ pg_catalog.format('^_state_%s_\d+$', r.rollup_id))
		FROM aggwin.rollup r
		WHERE r.rollup_id = is_complete.rollup_id;
	END;
COMMENT ON FUNCTION aggwin.is_complete(integer) IS 'private: whether a rollup has its rows, which guards and indexes come after, and its source all triggers';

CREATE FUNCTION aggwin.adopt_rollups() RETURNS integer
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_adopt_rollups';
COMMENT ON FUNCTION aggwin.adopt_rollups() IS 'put your dormant rollups to work again: make the triggers that are missing, compute everything anew; the number of rollups';

CREATE FUNCTION aggwin.on_restore() RETURNS event_trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'aggwin_on_restore';
COMMENT ON FUNCTION aggwin.on_restore() IS 'private: takes up rollups that have been restored';
CREATE EVENT TRIGGER aggwin_on_restore ON ddl_command_end
	WHEN TAG IN ('ALTER TABLE', 'CREATE INDEX', 'CREATE TRIGGER')
	EXECUTE FUNCTION aggwin.on_restore();
ALTER EVENT TRIGGER aggwin_on_restore ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER aggwin_on_restore IS 'takes up rollups that have been restored';
