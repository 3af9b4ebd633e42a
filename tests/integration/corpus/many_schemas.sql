-- A hundred schemas with a table each.
SELECT format('CREATE SCHEMA s%1$s CREATE TABLE t (n int DEFAULT %1$s)', n) FROM generate_series(1, 100) n \gexec
