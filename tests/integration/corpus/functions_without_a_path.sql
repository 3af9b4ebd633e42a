-- An index over a function that finds its table by search_path only.
-- fails: relation "z" does not exist
CREATE TABLE z (n int);
CREATE FUNCTION f(int) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE TABLE t (n int);
INSERT INTO t VALUES (1);
CREATE INDEX ON t (f(n));
CREATE OR REPLACE FUNCTION f(int) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 + (SELECT count(*) FROM z); END';
