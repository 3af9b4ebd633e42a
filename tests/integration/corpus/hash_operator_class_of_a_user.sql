-- Hash partitions whose hash a user's function computes, with its own operator class.
CREATE FUNCTION h(int, bigint) RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT ($1 + $2)::bigint';
CREATE OPERATOR CLASS mine FOR TYPE int USING hash AS OPERATOR 1 =, FUNCTION 2 h(int, bigint);
CREATE TABLE t (n int) PARTITION BY HASH (n mine);
CREATE TABLE t0 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE t1 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO t SELECT generate_series(1, 100);
CREATE OR REPLACE FUNCTION h(int, bigint) RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT ($1 / 2 + $2)::bigint';
