-- Rollups of aggregates that are in the table aggwin.mergeable: registered, and presets.
\getenv srcdir PG_ABS_SRCDIR
\set helper :srcdir/test/lib/compare.sql
CREATE SCHEMA rollup_mergeable;
SET search_path = rollup_mergeable, aggwin;
\set ECHO none
\i :helper
\set ECHO all
SET timezone = 'UTC';
ALTER SEQUENCE aggwin.rollup_rollup_id_seq RESTART 1000;
CREATE ROLE regress_mergeable_maker;
CREATE ROLE regress_mergeable_other;

-- The distinct values as an array in order, and how many there are: no more than
-- a sketch of them would be kept, and two give one exactly.
CREATE FUNCTION add(text[], text) RETURNS text[] LANGUAGE sql IMMUTABLE AS
	$$ SELECT CASE WHEN $2 IS NULL THEN $1 ELSE ARRAY(SELECT DISTINCT v COLLATE "C" FROM unnest($1 || $2) AS v ORDER BY 1) END $$;
CREATE FUNCTION add(text[], text, prefix text) RETURNS text[] LANGUAGE sql IMMUTABLE
	RETURN add($1, prefix || $2);
CREATE FUNCTION add_all(text[], text[]) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT AS
	$$ SELECT ARRAY(SELECT DISTINCT v COLLATE "C" FROM unnest($1 || $2) AS v ORDER BY 1) $$;
CREATE FUNCTION size(text[]) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT coalesce(cardinality($1), 0)';
CREATE FUNCTION size(text[], bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT coalesce(cardinality($1), 0)';
CREATE AGGREGATE uniq(text) (SFUNC = add, STYPE = text[]);
CREATE AGGREGATE uniq(text, text) (SFUNC = add, STYPE = text[]);
CREATE AGGREGATE uniq_merge(text[]) (SFUNC = add_all, STYPE = text[], INITCOND = '{}');
CREATE AGGREGATE uniq_count(text) (SFUNC = add, STYPE = text[], FINALFUNC = size);
CREATE AGGREGATE "100% ""sure""(really)"(text) (SFUNC = add, STYPE = text[], FINALFUNC = size);

CREATE TABLE src (ts timestamptz, k text, v text, n int);
CREATE INDEX ON src (ts);

-- Not before they are registered -------------------------------------------------

SELECT create_rollup('r', 'SELECT time_bucket(''1 hour'', ts), uniq(v) FROM src GROUP BY 1');

-- What does not fit is refused ---------------------------------------------------

SELECT register_mergeable('uniq(text)', NULL);
SELECT register_mergeable(0, 'uniq_merge(text[])');
SELECT register_mergeable('uniq(text)', 0);
SELECT register_mergeable('size(text[])', 'uniq_merge(text[])');
SELECT register_mergeable('uniq(text)', 'size(text[])');
SELECT register_mergeable('uniq(text)', 'uniq(text)');
SELECT register_mergeable('uniq(text)', 'uniq(text, text)');
SELECT register_mergeable('uniq(text)', 'uniq_merge(text[])');
CREATE AGGREGATE uniq_merge_2(text[]) (SFUNC = add_all, STYPE = text[]);
SELECT register_mergeable('uniq_count(text)', 'uniq_merge_2(text[])', 'uniq(text)');
SELECT register_mergeable('uniq_count(text)', 'uniq_merge_2(text[])', 'uniq(text, text)');
SELECT register_mergeable('uniq_count(text)', 'uniq_merge_2(text[])', 'uniq(text)', constants => '{x}');
SELECT register_mergeable('uniq_count(text)', 'uniq_merge_2(text[])', 'uniq(text, text)', constants => '{NULL}');
SELECT register_mergeable('uniq_count(text)', 'uniq_merge_2(text[])', 'uniq(text)', 'uniq_merge_2(text[])');
SELECT register_mergeable('uniq_count(text)', 'uniq_merge_2(text[])', 'uniq(text)', 'pg_catalog.cardinality(anyarray)');
SELECT register_mergeable('uniq_count(text)', 'uniq_merge_2(text[])', 'uniq(text)', 'pg_catalog.now()');
CREATE FUNCTION changing(text[]) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT 1::bigint';
SELECT register_mergeable('uniq_count(text)', 'uniq_merge_2(text[])', 'uniq(text)', 'changing(text[])');
CREATE FUNCTION many(text[]) RETURNS SETOF bigint LANGUAGE sql IMMUTABLE AS 'SELECT 1::bigint';
SELECT register_mergeable('uniq_count(text)', 'uniq_merge_2(text[])', 'uniq(text)', 'many(text[])');
CREATE AGGREGATE pg_temp.uniq(text) (SFUNC = add, STYPE = text[]);
\set VERBOSITY sqlstate
SELECT register_mergeable('pg_temp.uniq(text)', 'uniq_merge_2(text[])');
\set VERBOSITY default
CREATE AGGREGATE arrays(VARIADIC text[]) (SFUNC = add_all, STYPE = text[]);
SELECT register_mergeable('arrays(text[])', 'arrays(text[])');
CREATE FUNCTION nothing(text[]) RETURNS void LANGUAGE sql IMMUTABLE AS '';
CREATE AGGREGATE nothing(text) (SFUNC = add, STYPE = text[], FINALFUNC = nothing);
SELECT register_mergeable('nothing(text)', 'uniq_merge_2(text[])');
CREATE FUNCTION numbered(int, text, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE AGGREGATE numbered(text, int) (SFUNC = numbered, STYPE = int);
CREATE AGGREGATE number_merge(int) (SFUNC = int4larger, STYPE = int);
CREATE FUNCTION number_final(int) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT $1::bigint';
SELECT register_mergeable('uniq_count(text)', 'number_merge(int)', 'numbered(text, int)', 'number_final(int)', '{seven}');
SELECT register_mergeable('count("any")', 'sum(bigint)');
SELECT register_mergeable('hist_agg(float8, float8[])', 'merge(histogram)');
SELECT register_mergeable('string_agg(text, text)', 'uniq_merge_2(text[])');
SELECT register_mergeable('percentile_disc(float8, anyelement)', 'uniq_merge_2(text[])');
SELECT register_mergeable('first(anyelement, timestamptz)', 'merge_first(timed)');
SELECT unregister_mergeable('uniq(text)');
SELECT unregister_mergeable('first(anyelement, timestamptz)');
SELECT unregister_mergeable(0);
SELECT register_mergeable('uniq(text)', 'uniq_merge_2(text[])', exact => 'size(text[])');
SELECT register_mergeable('uniq(text)', 'uniq_merge_2(text[])', exact => 'pg_catalog.starts_with(text, text)');
SELECT register_mergeable('uniq(text)', 'uniq_merge_2(text[])', exact => 'uniq_merge_2(text[])');
SELECT register_mergeable('uniq(text)', 'uniq_merge_2(text[])', exact => 'changing(text[])');
SELECT register_mergeable('uniq(text)', 'uniq_merge_2(text[])', exact => 0);
SELECT * FROM aggwin.mergeable WHERE NOT preset;

-- An aggregate's owner may register it, nobody else ---------------------------------

GRANT USAGE ON SCHEMA rollup_mergeable TO regress_mergeable_maker, regress_mergeable_other;
ALTER AGGREGATE uniq(text) OWNER TO regress_mergeable_maker;
SET ROLE regress_mergeable_other;
SELECT register_mergeable('uniq(text)', 'uniq_merge_2(text[])');
INSERT INTO aggwin.mergeable VALUES (NULL, 'a()', 'a()', '{}', 'a()', NULL);
SET ROLE regress_mergeable_maker;
SELECT register_mergeable('uniq(text)', 'uniq_merge_2(text[])');
SET ROLE regress_mergeable_other;
SELECT unregister_mergeable('uniq(text)');
SELECT extension, aggregate, stored, constants, merge, final FROM aggwin.mergeable WHERE NOT preset;
RESET ROLE;
SELECT register_mergeable('uniq(text)', 'uniq_merge_2(text[])');

-- What tries the aggregates runs as their owner.
CREATE FUNCTION spy(text[], text[]) RETURNS text[] LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN RAISE NOTICE 'running as %', current_user; RETURN $1; END $$;
CREATE AGGREGATE spy(text[]) (SFUNC = spy, STYPE = text[]);
ALTER AGGREGATE spy(text[]) OWNER TO regress_mergeable_maker;
BEGIN;
SELECT unregister_mergeable('uniq(text)');
SELECT register_mergeable('uniq(text)', 'spy(text[])');
ROLLBACK;

-- In rollups -----------------------------------------------------------------------

SELECT register_mergeable('uniq_count(text)', 'uniq_merge_2(text[])', 'uniq(text)', 'size(text[])');
SELECT register_mergeable('"100% ""sure""(really)"(text)', 'uniq_merge_2(text[])', 'uniq(text, text)', 'size(text[], bigint)', '{"100%s '' \\"}');
CREATE AGGREGATE all_of(anycompatiblearray) (SFUNC = array_cat, STYPE = anycompatiblearray);
CREATE FUNCTION in_order(anycompatiblearray) RETURNS anycompatiblearray LANGUAGE sql IMMUTABLE AS 'SELECT ARRAY(SELECT unnest($1) ORDER BY 1)';
CREATE AGGREGATE sorted(anycompatible) (SFUNC = array_append, STYPE = anycompatiblearray, FINALFUNC = in_order);
SELECT register_mergeable('sorted(anycompatible)', 'all_of(anycompatiblearray)', final => 'in_order(anycompatiblearray)');
SELECT aggregate, stored, constants, merge, final FROM aggwin.mergeable WHERE NOT preset ORDER BY aggregate COLLATE "C";

SELECT make_rollup('r', $$
	SELECT time_bucket('1 hour', ts) AS hour, k, uniq(v) AS v, uniq(v) FILTER (WHERE n > 40) AS late, uniq_count(v) AS c,
		uniq_count(v) + count(*) AS c2, "100% ""sure""(really)"(v || '%s') AS sure, sorted(n % 5) AS n, sorted(upper(v)) AS upper,
		first(v, ts) AS first, last(n, ts) FILTER (WHERE n % 2 = 0) AS last_even
	FROM src GROUP BY 1, 2 HAVING uniq_count(v) >= 0 $$);
SELECT add_tier('r', '1 day');
CREATE VIEW r_1d_plain AS
	SELECT time_bucket('1 day', ts) AS hour, k, uniq(v) AS v, uniq(v) FILTER (WHERE n > 40) AS late, uniq_count(v) AS c,
		uniq_count(v) + count(*) AS c2, "100% ""sure""(really)"(v || '%s') AS sure, sorted(n % 5) AS n, sorted(upper(v)) AS upper,
		first(v, ts) AS first, last(n, ts) FILTER (WHERE n % 2 = 0) AS last_even
	FROM src GROUP BY 1, 2 HAVING uniq_count(v) >= 0;
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = (SELECT state FROM aggwin.rollup WHERE view = 'r'::regclass) AND attname ~ '^p' ORDER BY attnum;
INSERT INTO src VALUES ('2026-01-01 10:00Z', 'a', 'x', 1);
INSERT INTO src VALUES ('2026-01-01 10:00Z', 'a', NULL, 2);
INSERT INTO src VALUES ('2026-01-01 10:00Z', 'b', NULL, 4), ('2026-01-01 10:00Z', 'a', 'y', 3);
SELECT * FROM fold_and_compare('r');
SELECT * FROM fold_and_compare('r_1d');
INSERT INTO src VALUES ('2026-01-01 10:01Z', 'a', 'xy', 4), ('2026-01-01 09:59Z', 'a', 'old', 50);
SELECT * FROM fold_and_compare('r');
SELECT * FROM fold_and_compare('r_1d');
INSERT INTO src SELECT '2026-01-01 10:00Z'::timestamptz + i * interval '1 min', 'k' || i % 2, 'v' || i % 17, i FROM generate_series(1, 100) AS i;
SELECT * FROM fold_and_compare('r');
SELECT * FROM fold_and_compare('r_1d');
INSERT INTO src SELECT '2026-01-01 10:30Z'::timestamptz + i * interval '1 min', 'k' || i % 2, 'v' || i % 19, i FROM generate_series(1, 100) AS i;
SELECT * FROM fold_and_compare('r');
SELECT * FROM fold_and_compare('r_1d');
UPDATE src SET v = v || '!' WHERE n % 7 = 0;
DELETE FROM src WHERE n % 5 = 0;
INSERT INTO src VALUES ('2026-01-01 10:00Z', 'a', 'z', 1);
SELECT * FROM fold_and_compare('r');
SELECT * FROM fold_and_compare('r_1d');
SELECT hour, v, late, c, c2, sure, n, first, last_even FROM r WHERE k = 'a' ORDER BY 1;
BEGIN;
INSERT INTO src VALUES ('2026-01-01 10:00Z', 'a', 'zz', 1);
SELECT * FROM compare('r');
ROLLBACK;
SELECT * FROM compare('r');

-- Names follow -------------------------------------------------------------------

CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE FUNCTION best(mood, mood) RETURNS mood LANGUAGE sql IMMUTABLE STRICT AS 'SELECT greatest($1, $2)';
CREATE AGGREGATE best(mood) (SFUNC = best, STYPE = mood);
SELECT register_mergeable('best(mood)', 'best(mood)');
CREATE TABLE moods (ts timestamptz, m mood);
SELECT make_rollup('m', 'SELECT time_bucket(''1 hour'', ts) AS hour, best(m) FROM moods GROUP BY 1');
INSERT INTO moods VALUES ('2026-01-01 10:00Z', 'sad'), ('2026-01-01 11:00Z', 'sad');
ALTER TYPE mood RENAME TO "Laune";
ALTER AGGREGATE best("Laune") RENAME TO "Das Beste";
CREATE SCHEMA "Neu.es";
ALTER AGGREGATE "Das Beste"("Laune") SET SCHEMA "Neu.es";
ALTER TYPE "Laune" SET SCHEMA "Neu.es";
ALTER AGGREGATE uniq_merge_2(text[]) RENAME TO uniq_merged;
ALTER ROUTINE size(text[]) RENAME TO size_of;
ALTER SCHEMA rollup_mergeable RENAME TO rollup_mergeable_2;
SELECT aggregate, stored, merge, final FROM aggwin.mergeable WHERE NOT preset ORDER BY aggregate COLLATE "C";
-- Not after an error in the middle, and not twice.
DO $$ BEGIN
	ALTER SCHEMA rollup_mergeable_2 RENAME TO rollup_mergeable_3;
	RAISE EXCEPTION 'back';
EXCEPTION WHEN raise_exception THEN NULL;
END $$;
ALTER SCHEMA nobodys RENAME TO somebodys;
ALTER SCHEMA rollup_mergeable_2 RENAME TO rollup_mergeable;
SELECT count(*) AS rows, count(DISTINCT aggregate) AS aggregates FROM aggwin.mergeable WHERE NOT preset;
INSERT INTO moods VALUES ('2026-01-01 10:00Z', 'happy');
INSERT INTO src VALUES ('2026-01-01 10:00Z', 'a', 'more', 1);
SELECT * FROM fold_and_compare('r');
SELECT * FROM fold_and_compare('m');
\c -
SET search_path = rollup_mergeable, aggwin;
SET timezone = 'UTC';
INSERT INTO moods VALUES ('2026-01-01 11:00Z', 'happy');
INSERT INTO src VALUES ('2026-01-01 10:00Z', 'a', 'even more', 1);
SELECT * FROM fold_and_compare('r');
SELECT * FROM fold_and_compare('m');
-- An aggregate that goes into an extension is named within it, and on the way out by its schema.
ALTER EXTENSION plpgsql ADD AGGREGATE "Neu.es"."Das Beste"("Neu.es"."Laune");
SELECT extension, aggregate, merge FROM aggwin.mergeable WHERE merge ~ 'Beste';
INSERT INTO moods VALUES ('2026-01-01 12:00Z', 'happy');
SELECT * FROM fold_and_compare('m');
ALTER EXTENSION plpgsql DROP AGGREGATE "Neu.es"."Das Beste"("Neu.es"."Laune");
SELECT extension, aggregate, merge FROM aggwin.mergeable WHERE merge ~ 'Beste';

-- Nothing goes while it is needed ---------------------------------------------------

SELECT unregister_mergeable('uniq(text)');
DROP AGGREGATE uniq(text);
DROP AGGREGATE uniq(text, text);
DROP AGGREGATE uniq_merged(text[]);
DROP FUNCTION size_of(text[]);
-- Whoever writes the table directly is told what does not fit, and that can be mended.
BEGIN;
UPDATE aggwin.mergeable SET merge = 'nowhere.nothing(text[])' WHERE aggregate = 'rollup_mergeable.uniq(text)';
SELECT create_rollup('other', 'SELECT time_bucket(''1 hour'', ts), uniq(v) FROM src GROUP BY 1');
ROLLBACK;
BEGIN;
UPDATE aggwin.mergeable SET merge = '(nothing)' WHERE aggregate = 'rollup_mergeable.uniq(text)';
SELECT register_mergeable('uniq(text)', 'uniq_merged(text[])');
SELECT count(*) FROM aggwin.mergeable WHERE aggregate = 'rollup_mergeable.uniq(text)' AND merge ~ 'uniq_merged';
ROLLBACK;
BEGIN;
UPDATE aggwin.mergeable SET merge = stored WHERE aggregate = 'rollup_mergeable.uniq(text)';
SELECT create_rollup('other', 'SELECT time_bucket(''1 hour'', ts), uniq(v) FROM src GROUP BY 1');
ROLLBACK;
DELETE FROM aggwin.mergeable WHERE aggregate = 'rollup_mergeable.uniq(text)';
\c -
SET search_path = rollup_mergeable, aggwin;
SET timezone = 'UTC';
SELECT refresh('r');
SELECT register_mergeable('uniq(text)', 'uniq_merged(text[])');
SELECT * FROM fold_and_compare('r');
SET client_min_messages = warning;
DROP AGGREGATE uniq_merged(text[]) CASCADE;
SELECT rollup FROM aggwin.rollups ORDER BY 1;
RESET client_min_messages;
-- What merged with it is forgotten.
SELECT aggregate FROM aggwin.mergeable WHERE NOT preset ORDER BY aggregate COLLATE "C";
DROP VIEW r_plain, r_1d_plain;
SELECT drop_rollup('m');
SELECT unregister_mergeable('"Neu.es"."Das Beste"("Neu.es"."Laune")');
SELECT unregister_mergeable('"Neu.es"."Das Beste"("Neu.es"."Laune")');
DROP AGGREGATE sorted(anycompatible);
SELECT count(*) FROM aggwin.mergeable WHERE NOT preset;

-- What does not always merge exactly ---------------------------------------------

-- The longest value if it is the only one of its length, otherwise the rows have to be counted.
CREATE TYPE longest AS (value text, sure boolean);
CREATE FUNCTION longer(longest, text) RETURNS longest LANGUAGE sql IMMUTABLE RETURN
	CASE WHEN $2 IS NULL OR length($2) < length(($1).value) THEN $1 WHEN length($2) = length(($1).value)
		THEN ROW(least($2 COLLATE "C", ($1).value), true)::longest ELSE ROW($2, true)::longest END;
CREATE FUNCTION longer(longest, longest) RETURNS longest LANGUAGE sql IMMUTABLE STRICT RETURN
	CASE WHEN length(($2).value) < length(($1).value) THEN $1 WHEN length(($2).value) = length(($1).value)
		THEN ROW(repeat('?', length(($1).value)), false)::longest ELSE $2 END;
CREATE FUNCTION longest_value(longest) RETURNS text LANGUAGE sql IMMUTABLE RETURN ($1).value;
CREATE FUNCTION is_sure(longest) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN ($1).sure;
CREATE AGGREGATE longest(text) (SFUNC = longer, STYPE = longest);
CREATE AGGREGATE longest_value(text) (SFUNC = longer, STYPE = longest, FINALFUNC = longest_value);
CREATE AGGREGATE longest_of(longest) (SFUNC = longer, STYPE = longest);
SELECT register_mergeable('longest_value(text)', 'longest_of(longest)', 'longest(text)', 'longest_value(longest)', exact => 'is_sure(longest)');
ALTER FUNCTION is_sure(longest) RENAME TO is_certain;
SELECT aggregate, exact FROM aggwin.mergeable WHERE exact ~ 'certain';
SELECT make_rollup('l', 'SELECT time_bucket(''1 hour'', ts) AS hour, k, longest_value(v), longest_value(v) FILTER (WHERE n > 1) AS some FROM src GROUP BY 1, 2');
INSERT INTO src VALUES ('2026-02-01 10:00Z', 'a', 'abc', 1);
INSERT INTO src VALUES ('2026-02-01 10:00Z', 'a', 'xyz', 2), ('2026-02-01 10:00Z', 'b', NULL, 2);
SELECT * FROM compare('l');
SELECT * FROM fold_and_compare('l');
INSERT INTO src VALUES ('2026-02-01 10:00Z', 'a', 'longer', 3);
INSERT INTO src VALUES ('2026-02-01 10:00Z', 'a', 'longes', 1), (NULL, 'a', 'longes', 1);
SELECT * FROM fold_and_compare('l');
SELECT * FROM fold_and_compare('l');
SELECT refresh('l');
SELECT * FROM l WHERE hour IS NULL OR hour > '2026-02-01Z' ORDER BY 1;
SELECT drop_tier(add_tier('l', '1 day', keys => '{k}'));
SELECT add_tier('l', '1 day', keys => '{}');
DROP FUNCTION is_certain(longest);
SELECT drop_rollup('l');
DROP VIEW l_plain;
DROP FUNCTION is_certain(longest);
SELECT count(*) FROM aggwin.mergeable WHERE NOT preset;

-- first() and last() ---------------------------------------------------------------

CREATE TABLE points (ts timestamptz, d date, i bigint, k int, v float8, t text, j jsonb, m "Neu.es"."Laune");
CREATE INDEX ON points (ts);
CREATE TYPE points_row AS (v float8, t text);
SELECT make_rollup('f', $$
	SELECT time_bucket('1 hour', ts) AS hour, k, first(v, ts) AS fv, last(v, ts) AS lv, first(t, ts AT TIME ZONE 'UTC') AS ft, last(t, d) AS lt,
		first(j, i) AS fj, last(m, -k) AS lm, last(v, ts) - first(v, ts) AS change, last(v, ts) FILTER (WHERE k > 1) AS some,
		first(coalesce(t, 'none'), ts) AS ct, last('x'::varchar(3), ts) AS x, last(ROW(v, t)::points_row, ts) AS row
	FROM points GROUP BY 1, 2 $$);
SELECT setseed(0.3);
CREATE PROCEDURE add_points(count int, first int = 1) LANGUAGE sql AS $$
	INSERT INTO points SELECT '2026-01-01Z'::timestamptz + floor(random() * 30) * interval '10 min', date '2026-01-01' + (random() * 3)::int,
		(random() * 5)::int, random() * 3, nullif(round(random()::numeric, 1), 0.5) / 3::float8, repeat('t' || n % 7, CASE WHEN n % 10 = 0 THEN 2000 ELSE n % 3 END),
		jsonb_build_object('n', n % 4), (enum_range(NULL::"Neu.es"."Laune"))[n % 3]
	FROM generate_series(first, first + count - 1) AS n $$;
CALL add_points(5);
INSERT INTO points (ts, k, t) VALUES ('2026-01-01 05:00Z', 9, 'a');
INSERT INTO points (ts, k, t) VALUES ('2026-01-01 05:00Z', 9, 'b');
SELECT * FROM fold_and_compare('f');
CALL add_points(300, 100);
SELECT * FROM fold_and_compare('f');
CALL add_points(20, 1000);
UPDATE points SET v = v + 1 WHERE k = 1 AND ts < '2026-01-01 02:00Z';
DELETE FROM points WHERE j ->> 'n' = '2' AND k = 2;
SELECT * FROM fold_and_compare('f');
CALL add_points(200, 2000);
CALL fold_all();
SELECT * FROM compare('f');
SELECT * FROM fold_and_compare('f');
SELECT hour, ft, ct, x, "row" FROM f WHERE k = 9;

-- Presets wait for their extensions, and are not for dumps.
SELECT extension, aggregate, stored, constants, merge FROM aggwin.mergeable WHERE preset AND extension <> 'aggwin' ORDER BY extension COLLATE "C", aggregate COLLATE "C";
SELECT extcondition[array_position(extconfig, 'aggwin.mergeable'::regclass)] FROM pg_extension WHERE extname = 'aggwin';

SET client_min_messages = warning;
DROP SCHEMA rollup_mergeable, "Neu.es" CASCADE;
DROP ROLE regress_mergeable_maker, regress_mergeable_other;
