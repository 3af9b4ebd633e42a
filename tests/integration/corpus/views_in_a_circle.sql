-- Views and functions that need each other, and columns with the names of functions.
CREATE TABLE t (n int PRIMARY KEY, x text);
CREATE VIEW v AS SELECT 1 AS n, 'x'::text AS x;
CREATE FUNCTION all_v() RETURNS SETOF v LANGUAGE sql AS 'SELECT * FROM public.v';
CREATE VIEW w AS SELECT * FROM all_v();
CREATE OR REPLACE VIEW v AS SELECT n, x FROM t UNION ALL SELECT n, x FROM t WHERE n > 3;
CREATE VIEW grouped AS SELECT n, x, count(*) FROM t GROUP BY n;
CREATE OR REPLACE VIEW grouped AS SELECT n, x, count(*) FROM t GROUP BY n HAVING count(*) > 0;
CREATE VIEW updatable WITH (security_barrier) AS SELECT * FROM t WHERE n > 0 WITH LOCAL CHECK OPTION;
SELECT :SERVER_VERSION_NUM >= 150000 AS from_15 \gset
\if :from_15
ALTER VIEW updatable SET (security_invoker);
\endif
ALTER VIEW updatable ALTER x SET DEFAULT 'd';
CREATE RECURSIVE VIEW r (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM r WHERE n < 5;
INSERT INTO t VALUES (1, 'a'), (4, 'b');
