-- No schema public; and everything in one with an odd name.
DROP SCHEMA public;
CREATE SCHEMA "PG_like";
CREATE TABLE "PG_like".t AS SELECT 1 AS n;
