-- Columns, functions and tables with the names that a fingerprint's SQL uses.
CREATE TABLE hashed (hash int, count int, rows int, generated0 int GENERATED ALWAYS AS (hash) STORED, pageno int, loid int);
INSERT INTO hashed (hash, count, rows) SELECT n, n, n FROM generate_series(1, 5) n;
CREATE FUNCTION hashint4extended(int, bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';
CREATE FUNCTION hashtextextended(text, bigint) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';
CREATE FUNCTION count() RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';
CREATE TABLE public.pg_class (oid oid, relname text);
INSERT INTO public.pg_class VALUES (1, 'x');
CREATE TABLE t (oid int, "user" text, "table" text, ctid2 text);
INSERT INTO t VALUES (1, 'u', 't', 'c');
