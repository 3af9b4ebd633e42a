-- Materialized views on each other, not filled, with indexes, out of date.
CREATE TABLE t AS SELECT generate_series(1, 5) AS n;
CREATE MATERIALIZED VIEW b AS SELECT n FROM t;
CREATE MATERIALIZED VIEW a AS SELECT sum(n) FROM b;
CREATE MATERIALIZED VIEW empty AS SELECT 1 / n AS x FROM t WITH NO DATA;
CREATE MATERIALIZED VIEW c AS SELECT count(*) FROM t;
CREATE UNIQUE INDEX ON b (n);
