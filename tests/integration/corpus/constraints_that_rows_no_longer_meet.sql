-- A CHECK whose function was replaced since.
-- fails: violates check constraint
CREATE FUNCTION ok(int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true';
CREATE TABLE t (n int CHECK (ok(n)));
INSERT INTO t VALUES (1);
CREATE OR REPLACE FUNCTION ok(int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT false';
