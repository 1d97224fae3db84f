-- Metrics where things are odd: other encodings, settings, tables that were changed.
SET client_min_messages = warning;
SET timezone = 'UTC';
SET aggwin.max_past = '10000 d';
\set SHOW_CONTEXT never

-- The server's encoding is not that of regular expressions.
CREATE DATABASE regress_aggwin_latin1 ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C';
CREATE DATABASE regress_aggwin_euc ENCODING 'EUC_JP' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C';
SELECT current_database() AS own \gset
\c regress_aggwin_latin1
SET client_min_messages = warning;
SET client_encoding = 'UTF8';
\set SHOW_CONTEXT never
CREATE EXTENSION aggwin;
SELECT aggwin.enable_metrics();
SELECT aggwin.create_metric_rollup('escaped', 'm|\x{e4}', keep => '{a}');
SELECT aggwin.create_metric_rollup('literal', U&'m|\00e4', keep => '{b}');
SELECT aggwin.create_metric_rollup('bad', U&'(\00e4');
SELECT aggwin.create_metric_rollup('unknown', '\x{3042}');
SELECT octet_length(metrics) AS metrics, octet_length(pattern) AS pattern FROM aggwin.metric_rollup ORDER BY view::text;
\c regress_aggwin_euc
SET client_min_messages = warning;
CREATE EXTENSION aggwin;
\c :own
SET client_min_messages = warning;
SET timezone = 'UTC';
SET aggwin.max_past = '10000 d';
\set SHOW_CONTEXT never
DROP DATABASE regress_aggwin_latin1;
DROP DATABASE regress_aggwin_euc;

SELECT aggwin.enable_metrics();

-- Boundaries are those that were given, however the session shows numbers.
SELECT aggwin.ingest('exact', '{}', '2026-03-05 10:00Z', 1);
SET extra_float_digits = -12;
SELECT aggwin.create_metric_rollup('bounded', 'exact', bounds => '{0.1234567, 0.1234568}', tiers => '{}');
RESET extra_float_digits;
SELECT percentiles FROM bounded;
SELECT aggwin.drop_rollup('bounded');

-- A counter whose earlier samples are gone, all or some of them.
SELECT aggwin.ingest('steps', '{}', '2026-03-05 10:00Z', 100), aggwin.ingest('steps', '{}', '2026-03-06 10:00Z', 150),
	aggwin.ingest('steps', '{}', '2026-03-07 10:00Z', 170);
SELECT aggwin.refresh('samples_rollup_1h');
DROP TABLE aggwin.samples_20260306;
SELECT increase FROM aggwin.query_counter('steps', '', '2026-03-07Z', '2026-03-08Z', '1h');
SELECT increase FROM aggwin.query_counter('steps', '', '2026-03-05Z', '2026-03-08Z', '1h');
-- A later sample of a day that is there tells more than the rollup.
SELECT aggwin.ingest('steps', '{}', '2026-03-07 09:00Z', 160);
SELECT increase FROM aggwin.query_counter('steps', '', '2026-03-07 10:00Z', '2026-03-08Z', '1h');
-- The base has expired, the hours have not, and the samples are gone.
SELECT aggwin.ingest('recent', '{}', now() - interval '3 d', 100), aggwin.ingest('recent', '{}', now(), 150);
SELECT aggwin.refresh('samples_rollup_1h');
SELECT aggwin.set_tier('samples_rollup', retention => '1 day');
SELECT aggwin.refresh('samples_rollup_1h');
SELECT format('DROP TABLE aggwin.samples_%s', to_char(now() AT TIME ZONE 'UTC' - interval '3 d', 'YYYYMMDD')) \gexec
SELECT sum(count) FROM aggwin.query_metric('recent', '', now() - interval '4 d', now() + interval '1 h', '1m', 10000);
SELECT sum(increase) FROM aggwin.query_counter('recent', '', now() - interval '2 h', now() + interval '1 h', '1m');
SELECT aggwin.set_tier('samples_rollup', reset => '{retention}');

-- Series that are deleted or changed: rollups that group put their samples elsewhere.
SELECT aggwin.create_metric_rollup('by_env', 'k', keep => '{env}', tiers => '{1 hour}');
SELECT aggwin.create_metric_rollup('without_h', "drop" => '{h}', tiers => '{1 hour}');
SELECT aggwin.ingest(ARRAY[('k', '{"env": "p", "h": "1"}', '2026-03-10 10:00Z', 1), ('k', '{"env": "p", "h": "2"}', '2026-03-10 10:00Z', 2),
	('k', '{"env": "q", "h": "3"}', '2026-03-10 11:00Z', 3), ('k', '{"env": "q", "h": "4"}', '2026-03-10 11:00Z', 4)]::aggwin.sample[]);
CREATE FUNCTION counts() RETURNS TABLE (env text, by_env numeric, without_h numeric, samples bigint) LANGUAGE sql AS $$
	SELECT env, e.n, h.n, r.n
	FROM (SELECT labels ->> 'env' AS env, sum(count) AS n FROM aggwin.query_metric('k', '', '2026-03-10Z', '2026-03-11Z', '1h', rollup => 'by_env') GROUP BY 1) AS e
	FULL JOIN (SELECT labels ->> 'env' AS env, sum(count) AS n FROM aggwin.query_metric('k', '', '2026-03-10Z', '2026-03-11Z', '1h', rollup => 'without_h') GROUP BY 1) AS h USING (env)
	FULL JOIN (SELECT labels ->> 'env' AS env, count(*) AS n FROM aggwin.samples JOIN aggwin.series USING (series_id) WHERE metric = 'k' GROUP BY 1) AS r USING (env)
	ORDER BY env
$$;
SELECT aggwin.refresh('by_env_1h');
SELECT aggwin.refresh('without_h_1h');
SELECT * FROM counts();
DELETE FROM aggwin.series WHERE labels ->> 'h' = '1';
SELECT * FROM counts();
SELECT aggwin.refresh('by_env_1h');
SELECT aggwin.refresh('without_h_1h');
DELETE FROM aggwin.samples WHERE series_id NOT IN (SELECT series_id FROM aggwin.series);
SELECT aggwin.refresh('by_env_1h');
SELECT aggwin.refresh('without_h_1h');
SELECT * FROM counts();
UPDATE aggwin.series SET labels = '{"env": "p", "h": "3"}' WHERE labels ->> 'h' = '3';
SELECT * FROM counts();
-- What changes nothing has nothing computed anew.
SELECT aggwin.refresh('by_env_1h');
UPDATE aggwin.series SET created_at = now();
SELECT aggwin.refresh('by_env_1h');
BEGIN;
DELETE FROM aggwin.series WHERE labels ->> 'h' = '4';
ROLLBACK;
BEGIN;
SAVEPOINT a;
DELETE FROM aggwin.series WHERE labels ->> 'h' = '4';
ROLLBACK TO a;
SELECT * FROM counts();
COMMIT;
DELETE FROM aggwin.samples WHERE series_id IN (SELECT series_id FROM aggwin.series WHERE labels ->> 'h' = '2');
DELETE FROM aggwin.series WHERE labels ->> 'h' = '2';
SELECT * FROM counts();
SELECT aggwin.series_gone();

-- A tier that has put the groups together
SELECT aggwin.add_tier('by_env', interval '1 day', keys => '{}');
SELECT aggwin.percentile_over('k', '', '2026-03-10Z', '2026-03-12Z', 1, rollup => 'by_env');
SELECT count FROM aggwin.query_metric('k', '', '2026-03-10Z', '2026-03-12Z', '1 day', rollup => 'by_env');
SELECT count FROM aggwin.query_metric('k', '', '2026-03-10Z', '2026-03-12Z', '1 day', rollup => 'by_env_1d');

-- Who may read a view may read it also where it asks for groups.
CREATE ROLE regress_metrics_odd;
GRANT SELECT ON by_env_1h TO regress_metrics_odd;
SELECT aggwin.ingest('k', '{"env": "r", "h": "5"}', '2026-03-10 10:00Z', 1);
SELECT aggwin.invalidate('by_env', NULL, NULL);
SET ROLE regress_metrics_odd;
SELECT count(*) FROM by_env_1h;
SELECT aggwin.series_group(1, NULL, '{h}', NULL);
SELECT aggwin.series_matches(1, '.');
RESET ROLE;

-- Policies are not answered past.
GRANT SELECT ON aggwin.series, samples_rollup, without_h TO regress_metrics_odd;
ALTER TABLE aggwin.series ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON aggwin.series TO regress_metrics_odd USING (labels ->> 'env' = 'r');
SET ROLE regress_metrics_odd;
SELECT count(*) FROM aggwin.query_metric('k', '', '2026-03-10Z', '2026-03-11Z', '1h');
SELECT aggwin.percentile_over('k', '', '2026-03-10Z', '2026-03-11Z', 0.5);
SELECT aggwin.series_matches(1, '.');
RESET ROLE;
SELECT count(*) FROM aggwin.query_metric('k', '', '2026-03-10Z', '2026-03-11Z', '1h');
DROP POLICY own ON aggwin.series;
ALTER TABLE aggwin.series DISABLE ROW LEVEL SECURITY;

-- A session that asks in many ways does not remember all.
SET aggwin.series_cache_size = '1MB';
SELECT count(aggwin.series_matches(series_id, 'x' || i)) FROM generate_series(1, 2000) AS i, aggwin.series WHERE metric = 'exact';
SELECT sum(total_bytes) < 4 * 1024 * 1024 AS bounded FROM pg_backend_memory_contexts WHERE name = 'aggwin groups of series';
RESET aggwin.series_cache_size;

-- Regular expressions that the server would follow for ever
SELECT count(*) FROM aggwin.query_metric('k', '{h=~`' || repeat('(?m)(?:^|$|a)*', 20) || '`}', '2026-03-10Z', '2026-03-11Z', '1h');
SELECT count(*) FROM aggwin.query_metric('k', '{h!~`(?m)' || repeat('(^|a|$)', 50) || '`}', '2026-03-10Z', '2026-03-11Z', '1h');
SELECT count(*) FROM aggwin.query_metric('k', '{h!~`' || repeat('\ba\b ', 40) || '|' || repeat('\b5\b|', 40) || '`}', '2026-03-10Z', '2026-03-11Z', '1h');

-- Its owner alters aggwin.series.
ALTER TABLE aggwin.series ADD COLUMN note text, DROP CONSTRAINT series_pkey, ADD PRIMARY KEY (hash);
SELECT aggwin.series_group(series_id, NULL, '{a}', NULL) IS NOT NULL AS found FROM aggwin.series WHERE metric = 'exact';
ALTER TABLE aggwin.series RENAME COLUMN labels TO tags;
SELECT aggwin.series_group(series_id, NULL, '{b}', NULL) FROM aggwin.series WHERE metric = 'exact';

DROP FUNCTION counts;
DROP TABLE aggwin.samples, aggwin.series, aggwin.metric, aggwin.refused_sample, aggwin.metric_rollup CASCADE;
DROP ROLE regress_metrics_odd;
