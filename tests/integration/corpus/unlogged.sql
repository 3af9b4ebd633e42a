-- Unlogged tables and sequences.
CREATE UNLOGGED TABLE t (n serial, x text);
INSERT INTO t (x) VALUES ('a'), ('b');
CREATE TABLE logged AS SELECT 1 AS n;
ALTER TABLE logged SET UNLOGGED;
