-- The same of an array of enums, which pg_dump itself does not look for.
CREATE TYPE mood AS ENUM ('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
CREATE TABLE t (m mood[], n int) PARTITION BY HASH (m);
CREATE TABLE t0 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE t1 PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO t SELECT ARRAY[(enum_range(NULL::mood))[n % 8 + 1]], n FROM generate_series(1, 200) n;
