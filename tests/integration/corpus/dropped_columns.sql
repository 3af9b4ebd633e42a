-- Columns that were dropped, added with a default, and changed in type.
CREATE TABLE t (a int, b text, c numeric(10, 2), d int);
INSERT INTO t VALUES (1, 'x', 1.5, 2);
ALTER TABLE t DROP COLUMN b, ADD COLUMN e timestamptz DEFAULT '2020-01-01+00', ALTER c TYPE numeric(20, 4);
INSERT INTO t (a) VALUES (5);
ALTER TABLE t ADD COLUMN f int NOT NULL DEFAULT 7;
