-- An index that CREATE INDEX CONCURRENTLY could not finish, which pg_dump leaves out.
CREATE TABLE t (n int);
INSERT INTO t VALUES (1), (1);
\set ON_ERROR_STOP off
CREATE UNIQUE INDEX CONCURRENTLY broken ON t (n);
\set ON_ERROR_STOP on
