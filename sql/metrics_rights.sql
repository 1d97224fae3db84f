-- Who may do what with metrics, and what maintenance does.
SET timezone = 'UTC';
CREATE ROLE regress_metrics_owner;
CREATE ROLE regress_metrics_app;
CREATE ROLE regress_metrics_other;

SET ROLE regress_metrics_owner;
SELECT aggwin.enable_metrics(NULL);
RESET ROLE;
GRANT EXECUTE ON FUNCTION aggwin.enable_metrics(text) TO regress_metrics_owner;
SET ROLE regress_metrics_owner;
SELECT aggwin.enable_metrics(NULL);
GRANT INSERT ON aggwin.sample_input TO regress_metrics_app;
SELECT created, dropped, waiting FROM aggwin.maintain_samples();
SELECT created, dropped, waiting FROM aggwin.maintain_samples();
RESET ROLE;
SELECT c.relname, c.relowner::regrole FROM pg_class AS c
WHERE c.relnamespace = 'aggwin'::regnamespace AND c.relkind IN ('r', 'v', 'p')
	AND c.relname ~ '^(metric|metrics|series|samples|refused_sample|sample_input)$' ORDER BY 1;
SELECT count(*), count(*) FILTER (WHERE c.relowner = 'regress_metrics_owner'::regrole) AS owned
FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid WHERE i.inhparent = 'aggwin.samples'::regclass;

-- Whoever may INSERT into the view may ingest, and nothing else.
SET ROLE regress_metrics_app;
SELECT aggwin.ingest('up', '{"job": "app"}', now() - interval '3 days', 1);
SELECT aggwin.ingest(ARRAY[('up', '{"job": "app"}', now() - interval '2 days', 2)::aggwin.sample]);
SELECT aggwin.ingest_text(E'# TYPE up gauge\nup{job="app"} 3\n', now() - interval '1 day');
INSERT INTO aggwin.sample_input (metric, labels, value) VALUES ('up', '{"job": "app"}', 4);
SELECT aggwin.ingest('up', '{}', now() + interval '1 year', 1);
SELECT count(*) FROM aggwin.samples;
SELECT count(*) FROM aggwin.sample_input;
INSERT INTO aggwin.series (metric) VALUES ('x');
SELECT * FROM aggwin.maintain_samples();
SET aggwin.max_new_series = 0;
SET aggwin.sample_retention = 1;
SET aggwin.max_past = 0;
SET ROLE regress_metrics_other;
SELECT aggwin.ingest('up', '{}', now(), 1);
SELECT aggwin.ingest(ARRAY[('up', '{}', now(), 2)::aggwin.sample]);
SELECT aggwin.ingest_text(E'up 1\n');
INSERT INTO aggwin.sample_input (metric, value) VALUES ('up', 1);
CREATE TEMP TABLE mine (metric text, labels jsonb, ts timestamptz, value float8);
CREATE TRIGGER mine BEFORE INSERT ON mine FOR EACH STATEMENT EXECUTE FUNCTION aggwin.input_begin();
RESET ROLE;
SELECT value FROM aggwin.sample_input ORDER BY ts;
SELECT metric, type, series, refused FROM aggwin.metrics;

-- The owner's triggers run as the owner, and cannot do more.
SET ROLE regress_metrics_owner;
CREATE FUNCTION pg_temp.who() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE NOTICE 'as %', current_user;
	RETURN NEW;
END
$$;
CREATE TRIGGER who BEFORE INSERT ON aggwin.samples FOR EACH ROW EXECUTE FUNCTION pg_temp.who();
RESET ROLE;
SELECT aggwin.ingest('who', '{}', now(), 1);
DROP TRIGGER who ON aggwin.samples;

-- Retention counts from the newest sample, or from the clock.
SET aggwin.sample_retention = '36h';
SELECT aggwin.ingest('up', '{"job": "app"}', now() - interval '37 hours', 5);
SELECT created, dropped BETWEEN 1 AND 2 AS dropped, waiting FROM aggwin.maintain_samples();
SELECT created, dropped, waiting FROM aggwin.maintain_samples();
SELECT min(ts) >= now() - interval '60 hours' AS kept, bool_or(value = 3) AS day_before FROM aggwin.sample_input;
-- The newest is three weeks old, so everything stays.
SET aggwin.sample_retention = 0;
TRUNCATE aggwin.samples;
SELECT aggwin.ingest('up', '{"job": "app"}', now() - interval '21 days', 5);
SET aggwin.sample_retention = '36h';
SELECT dropped, waiting FROM aggwin.maintain_samples();
SELECT count(*) FROM aggwin.sample_input;
-- One that is ahead does not have more dropped than the clock.
SELECT aggwin.ingest('up', '{"job": "app"}', now() + interval '23 hours', 6), aggwin.ingest('up', '{"job": "app"}', now() - interval '35 hours', 7);
SELECT dropped > 0 AS dropped, waiting FROM aggwin.maintain_samples();
SELECT value FROM aggwin.sample_input ORDER BY 1;
RESET aggwin.sample_retention;

-- A partition that covers days is left alone, and used.
SET aggwin.max_past = 0;
CREATE TABLE aggwin.samples_2019 PARTITION OF aggwin.samples FOR VALUES FROM ('2019-01-01') TO ('2020-01-01');
SELECT aggwin.ingest('year', '{}', ts, 1) FROM unnest('{2019-01-01, 2019-06-01, 2019-12-31 23:59:59.999999, 2020-01-01}'::timestamptz[]) AS ts;
SELECT tableoid::regclass AS partition, count(*) FROM aggwin.samples WHERE ts < '2021-01-01' GROUP BY 1 ORDER BY tableoid::regclass::text;

SET client_min_messages = warning;
DROP TABLE mine;
DROP TABLE aggwin.samples, aggwin.series, aggwin.metric, aggwin.refused_sample, aggwin.metric_rollup CASCADE;
REVOKE EXECUTE ON FUNCTION aggwin.enable_metrics(text) FROM regress_metrics_owner;
DROP OWNED BY regress_metrics_owner, regress_metrics_app, regress_metrics_other;
DROP ROLE regress_metrics_owner, regress_metrics_app, regress_metrics_other;
