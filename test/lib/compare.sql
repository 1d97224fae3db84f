-- compare.sql - a rollup beside the plain query; for the tests in sql/
--
-- Both sides of a comparison are read by one statement, so under one snapshot.
-- The number of rows is printed with the number of differences: nothing
-- compared with nothing would show.

-- Creates a rollup, and its query as a plain view: "x" and "x_plain".
CREATE FUNCTION make_rollup(name text, query text) RETURNS regclass
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE VIEW %I AS %s', name || '_plain', query);
	RETURN aggwin.create_rollup(quote_ident(name), query);
END
$$;

-- Rows that only one of them has. Rows are compared as text, so that 1.0 and
-- 1.00 differ; on request by the types' equality, where more than one text is right.
CREATE FUNCTION differences(rollup text, plain text, as_text boolean = true,
	OUT differences bigint, OUT rows bigint)
LANGUAGE plpgsql AS $$
DECLARE
	columns text := CASE WHEN as_text THEN 't.*::text' ELSE 't.*' END;
BEGIN
	EXECUTE format('WITH r AS (SELECT %1$s FROM %2$s AS t), p AS (SELECT %1$s FROM %3$s AS t)
		SELECT (SELECT count(*) FROM (TABLE r EXCEPT ALL TABLE p) AS d)
			+ (SELECT count(*) FROM (TABLE p EXCEPT ALL TABLE r) AS d),
			(SELECT count(*) FROM p)', columns, rollup, plain)
		INTO differences, rows;
END
$$;

-- A rollup made by make_rollup() against its plain view.
CREATE FUNCTION compare(name text, as_text boolean = true,
	OUT differences bigint, OUT rows bigint)
LANGUAGE sql AS $$
	SELECT d.differences, d.rows
	FROM differences(quote_ident(name), quote_ident(name || '_plain'), as_text) AS d
$$;

-- The same before and after a fold.
CREATE FUNCTION fold_and_compare(name text, as_text boolean = true,
	OUT pending bigint, OUT folded boolean, OUT differences bigint, OUT rows bigint)
LANGUAGE plpgsql AS $$
BEGIN
	SELECT c.differences FROM compare(name, as_text) AS c INTO pending;
	folded := aggwin.refresh(quote_ident(name)::regclass);
	SELECT c.differences, c.rows FROM compare(name, as_text) AS c INTO differences, rows;
END
$$;

-- All rollups of make_rollup() in this schema: how many, which of them are
-- wrong, and how many rows the smallest has.
CREATE FUNCTION compare_all(as_text boolean = true,
	OUT rollups bigint, OUT fewest_rows bigint, OUT wrong text)
LANGUAGE sql AS $$
	SELECT count(*), min(c.rows),
		string_agg(format('%s: %s', v.relname, c.differences), ', ' ORDER BY v.relname) FILTER (WHERE c.differences > 0)
	FROM aggwin.rollups AS r JOIN pg_class AS v ON v.oid = r.rollup, compare(v.relname, as_text) AS c
	WHERE v.relnamespace = current_schema()::regnamespace
		AND EXISTS (SELECT FROM pg_class AS p WHERE p.relname = v.relname || '_plain' AND p.relnamespace = v.relnamespace)
$$;

-- Folds them, each in a transaction of its own.
CREATE PROCEDURE fold_all(INOUT folded bigint = 0)
LANGUAGE plpgsql AS $$
DECLARE
	r regclass;
BEGIN
	FOR r IN SELECT s.rollup FROM aggwin.rollups AS s ORDER BY s.rollup LOOP
		COMMIT;
		folded := folded + aggwin.refresh(r)::int;
		COMMIT;
	END LOOP;
END
$$;
