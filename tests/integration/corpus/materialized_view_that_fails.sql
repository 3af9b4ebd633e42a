-- A materialized view that cannot be filled any more.
-- fails: division by zero
CREATE TABLE t AS SELECT generate_series(1, 5) AS n;
CREATE MATERIALIZED VIEW m AS SELECT 1 / n AS x FROM t;
INSERT INTO t VALUES (0);
