-- Partitions that are created, attached, detached and dropped under a rollup.
\getenv srcdir PG_ABS_SRCDIR
\set helper :srcdir/test/lib/compare.sql
CREATE SCHEMA rollup_partition_ddl;
SET search_path = rollup_partition_ddl;
SET timezone = 'UTC';
SET datestyle = 'ISO';
\set ECHO none
\i :helper
\set ECHO all

CREATE FUNCTION days(first date, last date, key text = 'a') RETURNS TABLE (ts timestamptz, k text, v int, seen timestamptz) LANGUAGE sql AS $$
	SELECT t, key, extract(day FROM t)::int, t + interval '10 days' FROM generate_series(first::timestamptz, last, '6 hours') AS t
$$;
-- The marks of the base. What is frozen may end in the present, which differs from run to run.
CREATE FUNCTION marks(name regclass, OUT kind "char", OUT spans text, OUT nulls boolean) RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format('SELECT kind, CASE WHEN kind = ''f'' AND upper(spans)::text >= ''2026'' THEN ''past now'' ELSE spans::text END, nulls
		FROM %s WHERE level = 0 ORDER BY 1, 2, 3', (SELECT invalid FROM aggwin.rollup WHERE view = name));
END
$$;
CREATE FUNCTION triggers(tables regclass[]) RETURNS TABLE (relation regclass, triggers bigint) LANGUAGE sql AS $$
	SELECT r, count(t.oid) FROM unnest(tables) AS r LEFT JOIN pg_trigger AS t ON t.tgrelid = r AND t.tgfoid = 'aggwin.capture'::regproc AND t.tgenabled = 'A' GROUP BY 1 ORDER BY r::text
$$;
CREATE FUNCTION refused(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN 'not refused';
EXCEPTION WHEN wrong_object_type OR invalid_table_definition THEN
	RETURN sqlerrm;
END
$$;

CREATE TABLE events (ts timestamptz, k text, v int, seen timestamptz) PARTITION BY RANGE (ts);
CREATE TABLE january PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE february PARTITION OF events FOR VALUES FROM ('2024-02-01') TO ('2024-03-01') PARTITION BY LIST (k);
CREATE TABLE february_a PARTITION OF february FOR VALUES IN ('a');
CREATE TABLE february_rest PARTITION OF february DEFAULT;
INSERT INTO events SELECT * FROM days('2024-01-01', '2024-02-29') UNION ALL SELECT * FROM days('2024-02-10', '2024-02-20', 'b');

-- Weeks do not end where months do. One rollup goes by the partition key, one does not.
SELECT make_rollup('weeks', $$
	SELECT aggwin.time_bucket('1 week', ts) AS bucket, k, count(*) AS n, sum(v) AS v FROM events GROUP BY 1, 2
$$);
SELECT make_rollup('seen', $$
	SELECT aggwin.time_bucket('1 day', seen) AS bucket, count(*) AS n, max(v) AS v FROM events GROUP BY 1
$$);
SELECT aggwin.add_tier('weeks', '4 weeks');
SELECT r.view, p.relid, p.spans, p.nulls FROM aggwin.source_partition AS p JOIN aggwin.rollup AS r USING (rollup_id) ORDER BY 1, 2;
CALL fold_all();
SELECT * FROM compare_all();

-- Created ------------------------------------------------------------------------------------

CREATE TABLE march PARTITION OF events FOR VALUES FROM ('2024-03-01') TO ('2024-04-01');
CREATE TABLE february_c PARTITION OF february FOR VALUES IN ('c');
CREATE TABLE rest PARTITION OF events DEFAULT PARTITION BY HASH (v);
CREATE TABLE rest_0 PARTITION OF rest FOR VALUES WITH (modulus 2, remainder 0);
CREATE TABLE rest_1 PARTITION OF rest FOR VALUES WITH (modulus 2, remainder 1);
SELECT * FROM triggers('{march,february_c,rest,rest_0,rest_1}');
SELECT p.relid, p.spans, p.nulls FROM aggwin.source_partition AS p JOIN aggwin.rollup AS r USING (rollup_id) WHERE r.view = 'weeks'::regclass ORDER BY 1;
-- Nothing is invalid.
SELECT * FROM marks('weeks');
INSERT INTO march SELECT * FROM days('2024-03-01', '2024-03-30');
INSERT INTO february_c SELECT * FROM days('2024-02-02', '2024-02-05', 'c');
INSERT INTO rest SELECT * FROM days('2024-07-01', '2024-07-10');
INSERT INTO rest VALUES (NULL, 'n', 1, NULL);
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();

-- By CREATE SCHEMA, and in the transaction that writes into it.
BEGIN;
CREATE SCHEMA rollup_partition_more CREATE TABLE may PARTITION OF rollup_partition_ddl.events FOR VALUES FROM ('2024-05-01') TO ('2024-06-01');
INSERT INTO rollup_partition_more.may SELECT * FROM days('2024-05-01', '2024-05-10');
SELECT * FROM compare_all();
COMMIT;
CALL fold_all();
SELECT * FROM compare_all();

-- Attached -----------------------------------------------------------------------------------

-- Empty; filled; a tree that is filled in part. An empty table is detached without a trace.
CREATE TABLE april (v int, filler int, seen timestamptz, ts timestamptz, k text);
ALTER TABLE april DROP COLUMN filler;
ALTER TABLE events ATTACH PARTITION april FOR VALUES FROM ('2024-04-01') TO ('2024-05-01');
SELECT * FROM marks('weeks');
ALTER TABLE events DETACH PARTITION april;
INSERT INTO april SELECT v, seen, ts, k FROM days('2024-04-01', '2024-04-20');
SELECT * FROM triggers('{april}');
ALTER TABLE events ATTACH PARTITION april FOR VALUES FROM ('2024-04-01') TO ('2024-05-01');
CREATE TABLE june (LIKE events) PARTITION BY HASH (k);
CREATE TABLE june_0 PARTITION OF june FOR VALUES WITH (modulus 2, remainder 0);
CREATE TABLE june_1 PARTITION OF june FOR VALUES WITH (modulus 2, remainder 1);
INSERT INTO june SELECT * FROM days('2024-06-01', '2024-06-20');
ALTER TABLE events ATTACH PARTITION june FOR VALUES FROM ('2024-06-01') TO ('2024-07-01');
SELECT * FROM triggers('{april,june,june_0,june_1}');
SELECT * FROM marks('weeks') WHERE kind = 'i';
SELECT * FROM marks('seen') WHERE kind = 'i';
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();
INSERT INTO june SELECT * FROM days('2024-06-21', '2024-06-22');
UPDATE june SET v = v + 1 WHERE ts < '2024-06-03';
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();

-- A range that two columns bound: rows of its last day may be anywhere.
CREATE TABLE pairs (day date, id int, v int) PARTITION BY RANGE (day, id);
CREATE TABLE pairs_1 PARTITION OF pairs FOR VALUES FROM (MINVALUE, MINVALUE) TO ('2024-01-10', 100);
CREATE TABLE pairs_2 PARTITION OF pairs FOR VALUES FROM ('2024-01-10', 100) TO ('2024-01-20', MAXVALUE);
CREATE TABLE pairs_rest PARTITION OF pairs DEFAULT;
-- A list of days; integers; an expression; the column of a rollup under another name of the key.
CREATE TABLE lists (day date, v int) PARTITION BY LIST (day);
CREATE TABLE lists_1 PARTITION OF lists FOR VALUES IN ('2024-01-01', '2024-01-03', NULL);
CREATE TABLE lists_2 PARTITION OF lists FOR VALUES IN ('2024-01-31', 'infinity');
CREATE TABLE lists_rest PARTITION OF lists DEFAULT;
CREATE TABLE numbers (n bigint, v int) PARTITION BY RANGE (n);
CREATE TABLE numbers_1 PARTITION OF numbers FOR VALUES FROM (MINVALUE) TO (95);
CREATE TABLE numbers_2 PARTITION OF numbers FOR VALUES FROM (95) TO (9223372036854775807);
CREATE TABLE numbers_3 PARTITION OF numbers FOR VALUES FROM (9223372036854775807) TO (MAXVALUE);
CREATE TABLE locals (ts timestamptz, v int) PARTITION BY RANGE ((ts AT TIME ZONE 'Asia/Tokyo'));
CREATE TABLE locals_1 PARTITION OF locals FOR VALUES FROM ('-infinity') TO ('2024-01-31 12:00');
CREATE TABLE locals_2 PARTITION OF locals FOR VALUES FROM ('2024-01-31 12:00') TO ('infinity');
SELECT make_rollup('of_pairs', 'SELECT aggwin.time_bucket(''1 day'', day) AS bucket, count(*) AS n FROM pairs GROUP BY 1');
SELECT make_rollup('of_lists', 'SELECT aggwin.time_bucket(''1 week'', day) AS bucket, count(*) AS n FROM lists GROUP BY 1');
SELECT make_rollup('of_numbers', 'SELECT aggwin.time_bucket(10, n) AS bucket, count(*) AS n FROM numbers GROUP BY 1');
SELECT make_rollup('of_locals', 'SELECT aggwin.time_bucket(''1 day'', ts AT TIME ZONE ''Asia/Tokyo'') AS bucket, count(*) AS n FROM locals GROUP BY 1');
SELECT make_rollup('of_times', 'SELECT aggwin.time_bucket(''1 day'', ts) AS bucket, count(*) AS n FROM locals GROUP BY 1');
SELECT r.view, p.relid, p.spans, p.nulls FROM aggwin.source_partition AS p JOIN aggwin.rollup AS r USING (rollup_id) WHERE starts_with(r.view::text, 'of_') ORDER BY 1, 2;
INSERT INTO pairs SELECT '2024-01-01'::date + i / 10, i, i FROM generate_series(1, 250) AS i;
INSERT INTO pairs VALUES ('2024-01-10', 1, 1), ('2024-01-10', 200, 1), (NULL, 1, 1);
INSERT INTO lists VALUES ('2024-01-01', 1), ('2024-01-03', 1), (NULL, 1), ('2024-01-31', 1), ('infinity', 2), ('2024-02-01', 1);
INSERT INTO numbers VALUES (-5, 1), (94, 1), (95, 1), (99, 1), (9223372036854775807, 1);
INSERT INTO locals VALUES ('-infinity', 1), ('2024-01-31 02:00', 1), ('2024-01-31 04:00', 1), ('2025-01-31', 1);
CALL fold_all();
SELECT * FROM compare_all();
TRUNCATE pairs_1;
TRUNCATE lists_1, lists_2;
TRUNCATE numbers_3, numbers_1;
TRUNCATE locals_1;
SELECT r.view, m.* FROM aggwin.rollup AS r, marks(r.view) AS m WHERE starts_with(r.view::text, 'of_') ORDER BY 1, 2, 3;
SELECT * FROM compare_all();
CALL fold_all();
SELECT * FROM compare_all();
SELECT aggwin.drop_rollup(view) FROM aggwin.rollup WHERE starts_with(view::text, 'of_');

-- TRUNCATE of a partition: what it holds, and no more.
TRUNCATE june_0, february_c;
SELECT * FROM marks('weeks');
SELECT * FROM compare_all();
TRUNCATE june;
CALL fold_all();
SELECT * FROM compare_all();

-- Detached, dropped --------------------------------------------------------------------------

CREATE TABLE kept AS SELECT * FROM weeks;
CREATE TABLE kept_4w AS SELECT * FROM weeks_4w;
CREATE FUNCTION kept(OUT lost bigint, OUT lost_4w bigint, OUT rows bigint) LANGUAGE sql AS $$
	SELECT (SELECT count(*) FROM (TABLE kept EXCEPT ALL TABLE weeks) AS k),
		(SELECT count(*) FROM (TABLE kept_4w EXCEPT ALL TABLE weeks_4w) AS k),
		(SELECT count(*) FROM kept)
$$;
ALTER TABLE events DETACH PARTITION january;
SELECT * FROM triggers('{january}');
SELECT * FROM marks('weeks');
SELECT * FROM marks('seen');
SELECT * FROM kept();
-- What is written into a detached table does not count.
INSERT INTO january SELECT * FROM days('2024-01-01', '2024-01-31', 'detached');
DELETE FROM january WHERE k = 'a';
TRUNCATE january;
SELECT * FROM marks('weeks');
SELECT * FROM kept();
DROP TABLE january;
DROP TABLE february_a;
SELECT * FROM marks('weeks');
SELECT * FROM kept();
-- Levels at once, and through a schema.
DROP TABLE february;
ALTER TABLE events DETACH PARTITION rest;
SELECT * FROM triggers('{rest,rest_0,rest_1}');
SET client_min_messages = warning;
DROP SCHEMA rollup_partition_more CASCADE;
RESET client_min_messages;
ALTER TABLE events DETACH PARTITION april CONCURRENTLY;
SELECT * FROM triggers('{april}');
SELECT * FROM marks('weeks');
SELECT p.relid, p.spans, p.nulls FROM aggwin.source_partition AS p JOIN aggwin.rollup AS r USING (rollup_id) WHERE r.view = 'weeks'::regclass ORDER BY 1;
SELECT * FROM kept();
CALL fold_all();
SELECT * FROM kept();
-- Nothing takes it away.
TRUNCATE june;
CALL fold_all();
SELECT * FROM kept();
SELECT aggwin.invalidate('weeks', NULL, NULL);
SELECT * FROM kept();
CALL fold_all();
SELECT * FROM kept();
ALTER TABLE events DISABLE TRIGGER aggwin_capture_insert;
ALTER TABLE events ENABLE TRIGGER aggwin_capture_insert;
SELECT * FROM kept();
CALL fold_all();
SELECT * FROM kept();
TRUNCATE events;
SELECT * FROM kept();
CALL fold_all();
SELECT * FROM kept();

-- Refused ------------------------------------------------------------------------------------

CREATE FOREIGN DATA WRAPPER no_wrapper;
CREATE SERVER no_server FOREIGN DATA WRAPPER no_wrapper;
CREATE FOREIGN TABLE far (ts timestamptz, k text, v int, seen timestamptz) SERVER no_server;
CREATE UNLOGGED TABLE unlogged (LIKE events);
CREATE TABLE secured (LIKE events);
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
CREATE TABLE tree (LIKE events) PARTITION BY LIST (k);
CREATE TABLE branch PARTITION OF tree FOR VALUES IN ('a') PARTITION BY HASH (v);
CREATE UNLOGGED TABLE leaf PARTITION OF branch FOR VALUES WITH (modulus 1, remainder 0);
SELECT command, refused(command) FROM (VALUES
	($$ALTER TABLE events ATTACH PARTITION far DEFAULT$$),
	($$ALTER TABLE events ATTACH PARTITION unlogged DEFAULT$$),
	($$ALTER TABLE events ATTACH PARTITION secured DEFAULT$$),
	($$ALTER TABLE events ATTACH PARTITION tree DEFAULT$$),
	($$CREATE FOREIGN TABLE more PARTITION OF events DEFAULT SERVER no_server$$),
	($$CREATE UNLOGGED TABLE more PARTITION OF events DEFAULT$$),
	($$CREATE TEMP TABLE more PARTITION OF events DEFAULT$$),
	($$ALTER TABLE march ENABLE ROW LEVEL SECURITY$$),
	($$ALTER TABLE june_0 SET UNLOGGED$$),
	($$ALTER TABLE june ENABLE ROW LEVEL SECURITY$$),
	($$ALTER TABLE march INHERIT secured$$),
	($$CREATE TABLE heir () INHERITS (march)$$),
	($$CREATE TABLE heir () INHERITS (events)$$)) AS c(command);
CREATE TABLE above (LIKE events) PARTITION BY RANGE (ts);
SELECT refused('ALTER TABLE above ATTACH PARTITION events DEFAULT');
ALTER TABLE leaf SET LOGGED;
ALTER TABLE events ATTACH PARTITION tree DEFAULT;
SELECT * FROM triggers('{tree,branch,leaf}');
SELECT refused('ALTER TABLE tree ATTACH PARTITION far FOR VALUES IN (''b'')');
DROP FOREIGN DATA WRAPPER no_wrapper CASCADE;

-- Without event triggers ---------------------------------------------------------------------

CREATE TABLE old (ts timestamptz, v int) PARTITION BY RANGE (ts);
CREATE TABLE old_2 PARTITION OF old FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
INSERT INTO old VALUES ('2024-02-03', 1), ('2024-02-04', 1);
SELECT make_rollup('of_old', 'SELECT aggwin.time_bucket(''1 day'', ts) AS bucket, count(*) AS n FROM old GROUP BY 1');
SELECT * FROM fold_and_compare('of_old');
-- A detached table still has its triggers, but they count for nothing.
ALTER EVENT TRIGGER aggwin_on_ddl DISABLE;
ALTER TABLE old DETACH PARTITION old_2;
ALTER EVENT TRIGGER aggwin_on_ddl ENABLE ALWAYS;
SELECT * FROM triggers('{old_2}');
SELECT * FROM of_old ORDER BY 1;
INSERT INTO old_2 VALUES ('2024-02-05', 1);
UPDATE old_2 SET v = 3;
TRUNCATE old_2;
SELECT * FROM of_old ORDER BY 1;
SELECT pending_deltas, invalid_buckets FROM aggwin.rollup_status WHERE rollup = 'of_old'::regclass;
-- The next command on the source brings it up to date.
ALTER TABLE old ALTER v SET DEFAULT 1;
SELECT * FROM triggers('{old_2}');
SELECT count(*) FROM aggwin.source_partition WHERE relid = 'old_2'::regclass;

-- Restored -----------------------------------------------------------------------------------

CREATE TABLE dumped (ts timestamptz, v int) PARTITION BY RANGE (ts);
CREATE TABLE dumped_2 PARTITION OF dumped FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
CREATE TABLE dumped_3 PARTITION OF dumped FOR VALUES FROM ('2024-03-01') TO ('2024-04-01');
INSERT INTO dumped VALUES ('2024-02-03', 1), ('2024-03-03', 1);
SELECT make_rollup('of_dumped', 'SELECT aggwin.time_bucket(''1 day'', ts) AS bucket, count(*) AS n FROM dumped GROUP BY 1');
SELECT aggwin.refresh('of_dumped');
ALTER TABLE dumped DETACH PARTITION dumped_2;
SELECT * FROM of_dumped ORDER BY 1;
CREATE TEMP TABLE tier_rows AS SELECT t.* FROM aggwin.tier AS t JOIN aggwin.rollup AS r USING (rollup_id) WHERE r.view = 'of_dumped'::regclass;
CREATE TEMP TABLE partition_rows AS SELECT p.* FROM aggwin.source_partition AS p JOIN tier_rows USING (rollup_id);
-- Rows of a rollup in use are passed over.
INSERT INTO aggwin.source_partition SELECT rollup_id, 'tier_rows'::regclass, spans, nulls FROM partition_rows;
INSERT INTO aggwin.source_partition TABLE partition_rows;
-- Triggers come last; without them it is not taken up.
DROP TRIGGER aggwin_capture_insert ON dumped_3;
DELETE FROM aggwin.tier WHERE rollup_id IN (SELECT rollup_id FROM tier_rows);
DELETE FROM aggwin.source_partition WHERE rollup_id IN (SELECT rollup_id FROM tier_rows);
INSERT INTO aggwin.tier TABLE tier_rows;
ALTER TABLE dumped ALTER v SET DEFAULT 2;
INSERT INTO aggwin.source_partition TABLE partition_rows;
INSERT INTO aggwin.source_partition TABLE partition_rows;
SELECT p.relid, p.spans, t.folded FROM aggwin.source_partition AS p JOIN aggwin.tier AS t USING (rollup_id) JOIN tier_rows USING (rollup_id);
SELECT aggwin.refresh('of_dumped');
-- What is attached meanwhile is new to the list.
CREATE TABLE dumped_4 (LIKE dumped);
INSERT INTO dumped_4 VALUES ('2024-04-03', 1);
ALTER TABLE dumped ATTACH PARTITION dumped_4 FOR VALUES FROM ('2024-04-01') TO ('2024-05-01');
SELECT aggwin.adopt_rollups();
SELECT p.relid, t.folded FROM aggwin.source_partition AS p JOIN aggwin.tier AS t USING (rollup_id) JOIN tier_rows USING (rollup_id) ORDER BY 1;
SELECT * FROM triggers('{dumped,dumped_3,dumped_4}');
SELECT * FROM of_dumped ORDER BY 1;
SELECT aggwin.refresh('of_dumped');
SELECT * FROM of_dumped ORDER BY 1;
INSERT INTO dumped VALUES ('2024-03-03', 1), ('2024-04-03', 1);
-- Without its list, a source is all new, but what is frozen stays.
DELETE FROM aggwin.tier WHERE rollup_id IN (SELECT rollup_id FROM tier_rows);
DELETE FROM aggwin.source_partition WHERE rollup_id IN (SELECT rollup_id FROM tier_rows);
INSERT INTO aggwin.tier TABLE tier_rows;
SELECT aggwin.refresh('of_dumped');
SELECT * FROM of_dumped ORDER BY 1;
SELECT p.relid, p.spans FROM aggwin.source_partition AS p JOIN tier_rows USING (rollup_id) ORDER BY 1;
-- The trigger belongs to that table only.
CREATE TRIGGER restore BEFORE INSERT ON dumped_2 FOR EACH ROW EXECUTE FUNCTION aggwin.restore_partition();
INSERT INTO dumped_2 VALUES ('2024-02-03', 1);

\c -
SET client_min_messages = warning;
DROP SCHEMA rollup_partition_ddl CASCADE;
SELECT count(*) AS catalog_rows FROM aggwin.rollup;
SELECT count(*) AS partitions FROM aggwin.source_partition;
