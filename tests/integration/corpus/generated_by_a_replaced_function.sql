-- A stored generated column whose function was replaced after rows were stored.
-- warning: "public"\."t" column "g"
CREATE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
CREATE TABLE t (n int, g int GENERATED ALWAYS AS (f(n)) STORED);
INSERT INTO t SELECT generate_series(1, 10);
CREATE OR REPLACE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';
