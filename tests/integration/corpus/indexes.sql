-- Kinds, orders, predicates, included columns, storage parameters, comments, clustering.
CREATE TABLE t (a int, b text, c int[], d point, e tsvector, f int4range);
INSERT INTO t SELECT n, md5(n::text), ARRAY[n], point(n, n), to_tsvector('simple', n::text), int4range(n, n + 1) FROM generate_series(1, 50) n;
CREATE INDEX ON t (a DESC NULLS LAST, b text_pattern_ops) INCLUDE (c) WITH (fillfactor = 50) WHERE a > 3;
CREATE INDEX ON t USING hash (b);
CREATE INDEX ON t USING gin (c);
CREATE INDEX ON t USING gist (d);
CREATE INDEX ON t USING spgist (b);
CREATE INDEX ON t USING brin (a) WITH (pages_per_range = 2);
CREATE INDEX named ON t ((a + 1), lower(b));
ALTER INDEX named ALTER COLUMN 1 SET STATISTICS 500;
COMMENT ON INDEX named IS 'named';
ALTER TABLE t ADD EXCLUDE USING gist (f WITH &&);
SELECT :SERVER_VERSION_NUM >= 150000 AS from_15 \gset
\if :from_15
ALTER TABLE t ADD UNIQUE NULLS NOT DISTINCT (a);
\endif
CREATE INDEX cluster_here ON t (a);
ALTER TABLE t CLUSTER ON cluster_here;
CREATE UNIQUE INDEX key ON t (a);
ALTER TABLE t ALTER a SET NOT NULL;
ALTER TABLE t REPLICA IDENTITY USING INDEX key;
