-- core.sql - the head of the install script: the schema, and who may look into it

\echo Use "CREATE EXTENSION aggwin" to load this file. \quit

-- Made here, not by the control file, so that the schema is a member of the
-- extension: what users keep in it goes with DROP EXTENSION ... CASCADE, and a
-- schema that somebody else has prepared under this name is refused.
CREATE SCHEMA aggwin;
GRANT USAGE ON SCHEMA aggwin TO PUBLIC;
COMMENT ON SCHEMA aggwin IS 'aggwin: streaming aggregation';
