-- Statistics objects of each kind, of expressions, with targets; options of columns.
CREATE TABLE t (a int, b int, c text);
INSERT INTO t SELECT n, n % 10, n::text FROM generate_series(1, 200) n;
CREATE STATISTICS s1 (ndistinct, dependencies, mcv) ON a, b FROM t;
CREATE STATISTICS s2 ON (a + b), lower(c) FROM t;
ALTER STATISTICS s2 SET STATISTICS 50;
ALTER TABLE t ALTER a SET STATISTICS 1000, ALTER b SET (n_distinct = -0.5);
ANALYZE t;
