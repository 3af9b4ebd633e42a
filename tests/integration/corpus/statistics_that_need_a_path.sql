-- Statistics over a function that finds its table by search_path only: PostgreSQL 17 cannot ANALYZE it.
-- warning from 17: the planner has no statistics of
CREATE TABLE z (n int);
CREATE FUNCTION f(int) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1 + (SELECT count(*) FROM z); END';
CREATE TABLE t (n int, m int);
INSERT INTO t SELECT n, n FROM generate_series(1, 20) n;
CREATE STATISTICS s ON f(n), m FROM t;
