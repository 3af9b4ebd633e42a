-- Aggregates of each kind, casts of each kind, a conversion.
CREATE TYPE cents AS (n int);
CREATE FUNCTION to_cents(int) RETURNS cents IMMUTABLE LANGUAGE sql AS 'SELECT ROW($1)::cents';
CREATE CAST (int AS cents) WITH FUNCTION to_cents(int) AS IMPLICIT;
CREATE CAST (cents AS text) WITH INOUT;
CREATE FUNCTION step(int, int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + $2';
CREATE AGGREGATE total(int) (SFUNC = step, STYPE = int, INITCOND = '0', MSFUNC = step, MINVFUNC = step, MSTYPE = int, PARALLEL = SAFE);
CREATE AGGREGATE pick(float8 ORDER BY anyelement) (SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA);
CREATE DEFAULT CONVERSION conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE TABLE t (c cents);
INSERT INTO t VALUES (5);
