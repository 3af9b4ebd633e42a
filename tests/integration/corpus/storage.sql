-- Parameters of storage, autovacuum, replica identities, compression of columns.
CREATE TABLE t (a text, b int) WITH (fillfactor = 40, autovacuum_enabled = off, toast.autovacuum_enabled = off, user_catalog_table = true, parallel_workers = 3);
ALTER TABLE t ALTER a SET STORAGE MAIN, REPLICA IDENTITY FULL;
SELECT 'lz4' = ANY (enumvals) AS with_lz4 FROM pg_settings WHERE name = 'default_toast_compression' \gset
\if :with_lz4
ALTER TABLE t ALTER a SET COMPRESSION lz4;
\endif
INSERT INTO t VALUES (repeat('x', 5000), 1);
CREATE TABLE n (a int);
ALTER TABLE n REPLICA IDENTITY NOTHING;
CREATE VIEW v WITH (security_barrier = true) AS SELECT 1 AS n;
