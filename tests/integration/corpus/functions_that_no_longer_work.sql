-- Functions over tables and functions that are gone; bodies are not checked.
CREATE TABLE t (n int);
CREATE FUNCTION f() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM t';
CREATE FUNCTION g() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN nobody(1); END';
DROP TABLE t;
