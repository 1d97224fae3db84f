-- core.sql - the head of the install script, and who may use the schema

\echo Use "CREATE EXTENSION aggwin" to load this file. \quit

GRANT USAGE ON SCHEMA @extschema@ TO PUBLIC;
