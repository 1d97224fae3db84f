-- worker.sql - the processes that fold: starting, stopping and watching them

-- Public functions ---------------------------------------------------------

CREATE FUNCTION aggwin.start_worker() RETURNS integer
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_start_worker';
COMMENT ON FUNCTION aggwin.start_worker() IS 'process id of the worker that folds the rollups of this database, started if there was none';
REVOKE ALL ON FUNCTION aggwin.start_worker() FROM PUBLIC;

CREATE FUNCTION aggwin.stop_worker() RETURNS boolean
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_stop_worker';
COMMENT ON FUNCTION aggwin.stop_worker() IS 'end the worker of this database and wait until it is gone; false if there was none';
REVOKE ALL ON FUNCTION aggwin.stop_worker() FROM PUBLIC;

-- Views --------------------------------------------------------------------

CREATE VIEW aggwin.workers AS
SELECT a.datname AS database,
	a.pid,
	a.backend_start AS started_at,
	a.state,
	a.state_change AS state_since,
	nullif(a.query, '') AS activity
FROM pg_catalog.pg_stat_activity a
WHERE a.backend_type = 'aggwin worker' AND a.application_name = 'aggwin worker';
COMMENT ON VIEW aggwin.workers IS 'one row a worker, of all databases; shown to members of pg_read_all_stats';
COMMENT ON COLUMN aggwin.workers.database IS 'the database that the worker serves';
COMMENT ON COLUMN aggwin.workers.pid IS 'its process id';
COMMENT ON COLUMN aggwin.workers.started_at IS 'when the process started';
COMMENT ON COLUMN aggwin.workers.state IS 'idle while it sleeps, active while it folds or vacuums';
COMMENT ON COLUMN aggwin.workers.state_since IS 'when it entered that state';
COMMENT ON COLUMN aggwin.workers.activity IS 'what it does while active, for instance folding public.plays_1s';
GRANT SELECT ON aggwin.workers TO PUBLIC;

-- Private functions --------------------------------------------------------

CREATE FUNCTION aggwin._announce() RETURNS void
	LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'aggwin_announce';
COMMENT ON FUNCTION aggwin._announce() IS 'private: asks the launcher for a worker in this database when the transaction commits';
REVOKE ALL ON FUNCTION aggwin._announce() FROM PUBLIC;

-- The last statement of the script: everything is in place.
SELECT aggwin._announce();
