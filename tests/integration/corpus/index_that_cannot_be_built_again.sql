-- A unique index over a function that was replaced since.
-- fails: could not create unique index
CREATE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE TABLE t (n int);
INSERT INTO t VALUES (1), (2);
CREATE UNIQUE INDEX ON t (f(n));
CREATE OR REPLACE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 0';
