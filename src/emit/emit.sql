-- emit.sql - windows: results that are written when an interval of event time is over

-- Catalog ------------------------------------------------------------------

CREATE TABLE aggwin.window (
	window_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	output regclass NOT NULL UNIQUE,
	latest regclass NOT NULL,
	rollup regclass NOT NULL,
	bucket smallint NOT NULL,
	keys text[] NOT NULL,
	size interval NOT NULL,
	period interval NOT NULL,
	origin timestamptz NOT NULL,
	grace interval NOT NULL,
	emit text NOT NULL,
	notify boolean NOT NULL,
	retention interval NOT NULL,
	idle_timeout interval NOT NULL,
	paused boolean NOT NULL DEFAULT false,
	from_first boolean NOT NULL,
	touched_by regproc,
	first_end timestamptz,
	closed_to timestamptz,
	watermark timestamptz,
	active_at timestamptz NOT NULL DEFAULT now(),
	latest_start timestamptz,
	latest_revision integer,
	dirty tstzmultirange NOT NULL DEFAULT '{}',
	revised_to timestamptz,
	stale tstzmultirange NOT NULL DEFAULT '{}',
	stepped_by xid8,
	position bigint NOT NULL DEFAULT 0,
	expired_position bigint NOT NULL DEFAULT 0,
	closed bigint NOT NULL DEFAULT 0,
	revised bigint NOT NULL DEFAULT 0,
	late bigint NOT NULL DEFAULT 0,
	skipped bigint NOT NULL DEFAULT 0,
	not_notified bigint NOT NULL DEFAULT 0,
	last_emission timestamptz,
	last_duration_ms double precision,
	failures bigint NOT NULL DEFAULT 0,
	last_error_at timestamptz,
	failing_since timestamptz,
	created_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);
CREATE INDEX window_rollup_idx ON aggwin.window (rollup);
COMMENT ON TABLE aggwin.window IS 'one row a window output: its relations, its options, and how far it has come; times without zone are stored as UTC';
COMMENT ON COLUMN aggwin.window.bucket IS 'the number of the column of the rollup''s view that shows the bucket';
COMMENT ON COLUMN aggwin.window.origin IS 'where a window ends; others end whole periods before and after';
COMMENT ON COLUMN aggwin.window.from_first IS 'begins with the first window that has rows, otherwise with the newest that is complete';
COMMENT ON COLUMN aggwin.window.touched_by IS 'a function that tells which outputs late changes touch, and where; NULL: any touches those that have published its time';
COMMENT ON COLUMN aggwin.window.first_end IS 'the end of the first window that was closed, or that may be';
COMMENT ON COLUMN aggwin.window.closed_to IS 'the end of the newest window that was closed, or passed over because it was empty';
COMMENT ON COLUMN aggwin.window.active_at IS 'when the watermark was last seen to move, by the clock';
COMMENT ON COLUMN aggwin.window.dirty IS 'ends of closed windows that a late change may have touched';
COMMENT ON COLUMN aggwin.window.revised_to IS 'where the last step stopped among the dirty ends; the next goes on from there';
COMMENT ON COLUMN aggwin.window.stale IS 'event time of closed windows in which something has changed since the last step';
COMMENT ON COLUMN aggwin.window.stepped_by IS 'the last transaction that closed windows';
COMMENT ON COLUMN aggwin.window.expired_position IS 'all up to this position may have been deleted';
-- The views <name>_latest read this as their owner.
GRANT SELECT ON aggwin.window TO PUBLIC;

CREATE TABLE aggwin.emission (
	window_id integer NOT NULL,
	window_start timestamptz NOT NULL,
	window_end timestamptz NOT NULL,
	revision integer NOT NULL,
	position bigint NOT NULL,
	rows bigint NOT NULL,
	emitted_at timestamptz NOT NULL,
	PRIMARY KEY (window_id, window_start, revision)
);
CREATE UNIQUE INDEX emission_position_idx ON aggwin.emission (window_id, position);
COMMENT ON TABLE aggwin.emission IS 'one row a published revision of a window, also where that has no rows';
COMMENT ON COLUMN aggwin.emission.position IS 'counts the revisions of a window output, without gaps, in the order of their commits';
GRANT SELECT ON aggwin.emission TO PUBLIC;

CREATE TABLE aggwin.window_failure (
	window_id integer PRIMARY KEY REFERENCES aggwin.window ON DELETE CASCADE,
	error text NOT NULL
);
COMMENT ON TABLE aggwin.window_failure IS 'the last error of a window output; closed, because it may quote data, and not dumped';

-- Functions ----------------------------------------------------------------

CREATE FUNCTION aggwin.current_window_start() RETURNS timestamptz
	LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'aggwin_current_window_start';
COMMENT ON FUNCTION aggwin.current_window_start() IS 'start of the window that a query of create_window() is being run for';

CREATE FUNCTION aggwin.current_window_end() RETURNS timestamptz
	LANGUAGE C STABLE PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'aggwin_current_window_end';
COMMENT ON FUNCTION aggwin.current_window_end() IS 'end of the window that a query of create_window() is being run for';

CREATE FUNCTION aggwin.running_groups(window_id integer) RETURNS SETOF record
	LANGUAGE C STABLE STRICT PARALLEL RESTRICTED AS 'MODULE_PATHNAME', 'aggwin_running_groups';
COMMENT ON FUNCTION aggwin.running_groups(integer) IS 'groups of the window that is being computed, kept up to date; for queries that the extension makes';

CREATE FUNCTION aggwin.create_window(
	name text,
	query text,
	size interval,
	period interval DEFAULT NULL,
	grace interval DEFAULT '0',
	emit text DEFAULT 'final',
	notify boolean DEFAULT true,
	retention interval DEFAULT '1 hour',
	idle_timeout interval DEFAULT '10 seconds',
	keys text[] DEFAULT NULL
) RETURNS regclass
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_create_window';
COMMENT ON FUNCTION aggwin.create_window(text, text, interval, interval, interval, text, boolean, interval, interval, text[]) IS
	'write the result of a query over a rollup each time that a window of time is over';

CREATE FUNCTION aggwin.alter_window(
	"window" regclass,
	grace interval DEFAULT NULL,
	emit text DEFAULT NULL,
	notify boolean DEFAULT NULL,
	retention interval DEFAULT NULL,
	idle_timeout interval DEFAULT NULL
) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_alter_window';
COMMENT ON FUNCTION aggwin.alter_window(regclass, interval, text, boolean, interval, interval) IS
	'change options of a window output; what is NULL stays as it is';

CREATE FUNCTION aggwin.drop_window("window" regclass) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_drop_window';
COMMENT ON FUNCTION aggwin.drop_window(regclass) IS 'drop a window output, its table and its view';

CREATE FUNCTION aggwin.pause_window("window" regclass) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_pause_window';
COMMENT ON FUNCTION aggwin.pause_window(regclass) IS 'close no windows until resume_window()';

CREATE FUNCTION aggwin.resume_window("window" regclass) RETURNS void
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_resume_window';
COMMENT ON FUNCTION aggwin.resume_window(regclass) IS 'close windows again, those first that were missed';

CREATE FUNCTION aggwin.close_windows("window" regclass DEFAULT NULL) RETURNS bigint
	LANGUAGE C VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_close_windows';
COMMENT ON FUNCTION aggwin.close_windows(regclass) IS
	'publish now what is due of your window outputs; the number of revisions';

CREATE FUNCTION aggwin.window_at("window" anyelement, ts anycompatible) RETURNS SETOF anyelement
	LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_window_at';
COMMENT ON FUNCTION aggwin.window_at(anyelement, anycompatible) IS
	'rows of the newest window that had ended by a time, computed now';

CREATE FUNCTION aggwin.changes_since(
	name text,
	after_position bigint DEFAULT 0,
	max_rows integer DEFAULT 10000,
	OUT "position" bigint,
	OUT window_start timestamptz,
	OUT window_end timestamptz,
	OUT revision integer,
	OUT rank bigint,
	OUT op text,
	OUT "row" jsonb,
	OUT emitted_at timestamptz
) RETURNS SETOF record
	LANGUAGE C STABLE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_changes_since';
COMMENT ON FUNCTION aggwin.changes_since(text, bigint, integer) IS
	'what a window output has published after a position, in order';

-- Views --------------------------------------------------------------------

CREATE FUNCTION aggwin.window_recomputed(window_id integer) RETURNS text
	LANGUAGE C STABLE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_window_recomputed';
COMMENT ON FUNCTION aggwin.window_recomputed(integer) IS 'private: why windows are computed anew each time, NULL if they are kept up to date';

CREATE VIEW aggwin.windows AS
SELECT w.output AS "window",
	w.rollup,
	pg_catalog.pg_get_userbyid(c.relowner) AS owner,
	pg_catalog.regexp_replace(pg_catalog.pg_get_viewdef(pg_catalog.to_regclass('aggwin._window_' || w.window_id)),
		'\m(aggwin\.)?_panes_' || w.window_id || '\M', pg_catalog.replace(w.rollup::text, '\', '\\'), 'g') AS query,
	w.keys,
	w.size,
	w.period,
	w.grace,
	w.emit,
	w.notify,
	w.retention,
	w.idle_timeout,
	w.paused,
	aggwin.window_recomputed(w.window_id) AS recomputed,
	c.relname AS channel,
	w.closed_to,
	pg_catalog.clock_timestamp() - w.closed_to AS lag,
	w.position,
	w.closed,
	w.revised,
	w.late,
	w.skipped,
	w.not_notified,
	w.last_emission,
	w.last_duration_ms,
	w.failures,
	CASE WHEN pg_catalog.pg_has_role(c.relowner, 'USAGE') THEN f.error END AS last_error,
	w.last_error_at,
	w.created_at
FROM aggwin.window w
JOIN pg_catalog.pg_class c ON c.oid = w.output
LEFT JOIN aggwin.window_failure f USING (window_id);
COMMENT ON VIEW aggwin.windows IS 'one row a window output: its query and options, how far it has come, what went wrong';
COMMENT ON COLUMN aggwin.windows.recomputed IS 'why each window is computed anew; NULL: it is kept up to date from the one before';
COMMENT ON COLUMN aggwin.windows.lag IS 'how far the end of the newest closed window is behind the clock';
COMMENT ON COLUMN aggwin.windows.late IS 'changes that came after their window was closed: rows captured, ranges of time made invalid';
COMMENT ON COLUMN aggwin.windows.skipped IS 'windows that were not published because they were beyond retention already';
GRANT SELECT ON aggwin.windows TO PUBLIC;

-- Event trigger ------------------------------------------------------------

CREATE FUNCTION aggwin.on_window_drop() RETURNS event_trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'aggwin_on_window_drop';
COMMENT ON FUNCTION aggwin.on_window_drop() IS 'private: removes what a dropped window output leaves behind';
CREATE EVENT TRIGGER aggwin_on_window_drop ON sql_drop EXECUTE FUNCTION aggwin.on_window_drop();
ALTER EVENT TRIGGER aggwin_on_window_drop ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER aggwin_on_window_drop IS 'removes what a dropped window output leaves behind';

-- Dumps --------------------------------------------------------------------

SELECT pg_catalog.pg_extension_config_dump('aggwin.window', '');
SELECT pg_catalog.pg_extension_config_dump('aggwin.emission', '');
SELECT pg_catalog.pg_extension_config_dump('aggwin.touched', '');

CREATE FUNCTION aggwin.restore_window() RETURNS trigger
	LANGUAGE C AS 'MODULE_PATHNAME', 'aggwin_restore_window';
COMMENT ON FUNCTION aggwin.restore_window() IS 'private: trigger that lets a dump restore windows that are there already';
REVOKE ALL ON FUNCTION aggwin.restore_window() FROM PUBLIC;
CREATE TRIGGER aggwin_restore BEFORE INSERT ON aggwin.window
	FOR EACH ROW EXECUTE FUNCTION aggwin.restore_window();
ALTER TABLE aggwin.window ENABLE ALWAYS TRIGGER aggwin_restore;
COMMENT ON TRIGGER aggwin_restore ON aggwin.window IS 'lets a dump restore windows that are there already';
CREATE TRIGGER aggwin_restore BEFORE INSERT ON aggwin.emission
	FOR EACH ROW EXECUTE FUNCTION aggwin.restore_window();
ALTER TABLE aggwin.emission ENABLE ALWAYS TRIGGER aggwin_restore;
COMMENT ON TRIGGER aggwin_restore ON aggwin.emission IS 'lets a dump restore windows that are there already';
