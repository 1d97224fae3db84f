-- Installing and removing the extension, in a database of its own: what it
-- makes lies in one schema, is described, and goes with it.
CREATE DATABASE aggwin_extension;
\c aggwin_extension

-- Catalog rows before it, to compare with what is there after it.
CREATE TABLE public.before (catalog text, entries bigint);
CREATE FUNCTION public.catalog_entries() RETURNS TABLE (catalog text, entries bigint)
LANGUAGE plpgsql AS $$
BEGIN
	FOR catalog IN
		SELECT c.relname FROM pg_catalog.pg_class c
		WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r'
			AND NOT c.relisshared AND c.relname NOT IN ('pg_statistic', 'pg_largeobject')
		ORDER BY c.relname COLLATE "C"
	LOOP
		EXECUTE format('SELECT count(*) FROM pg_catalog.%I', catalog) INTO entries;
		RETURN NEXT;
	END LOOP;
END
$$;
INSERT INTO public.before SELECT * FROM public.catalog_entries();

CREATE EXTENSION aggwin;
SELECT e.extrelocatable, e.extversion = a.default_version AS default_version
FROM pg_extension e JOIN pg_available_extensions a ON a.name = e.extname
WHERE e.extname = 'aggwin';

CREATE VIEW public.members AS
SELECT d.classid, d.objid, d.objsubid, o.type, o.schema, o.identity
FROM pg_depend d, LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) o
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
	AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'aggwin');

-- Every member is in schema aggwin, except for what can be in none.
SELECT type, identity FROM public.members
WHERE schema <> 'aggwin' OR schema IS NULL AND type NOT IN ('schema', 'cast', 'event trigger')
ORDER BY type COLLATE "C", identity COLLATE "C";

-- Every member has a comment, except for what comes with another object:
-- sequences of columns, row types of tables and views, array types.
SELECT type, identity FROM public.members m
WHERE coalesce(obj_description(objid, classid::regclass::name), '') = ''
	AND NOT (type = 'sequence' AND EXISTS (
		SELECT FROM pg_depend c WHERE c.classid = m.classid AND c.objid = m.objid
			AND c.refclassid = 'pg_class'::regclass AND c.refobjsubid > 0))
	AND NOT (type = 'type' AND EXISTS (
		SELECT FROM pg_type t LEFT JOIN pg_class r ON r.oid = t.typrelid
			LEFT JOIN pg_type e ON e.typarray = t.oid
		WHERE t.oid = m.objid AND (r.relkind <> 'c' OR e.oid IS NOT NULL)))
ORDER BY type COLLATE "C", identity COLLATE "C";

-- The schema at least is a member: the two lists above looked at something.
SELECT type, identity FROM public.members WHERE type = 'schema';

DROP VIEW public.members;
DROP EXTENSION aggwin;
SELECT b.catalog, b.entries AS before, a.entries AS after
FROM public.before b JOIN public.catalog_entries() a USING (catalog)
WHERE a.entries <> b.entries;
SELECT to_regnamespace('aggwin') IS NULL AS schema_gone;

-- A schema of that name that somebody else has made is left alone. (Where
-- in the install script the error arose is said since PostgreSQL 18.)
\set SHOW_CONTEXT never
CREATE SCHEMA aggwin;
CREATE EXTENSION aggwin;
DROP SCHEMA aggwin;
CREATE EXTENSION aggwin;

\c contrib_regression
DROP DATABASE aggwin_extension;
