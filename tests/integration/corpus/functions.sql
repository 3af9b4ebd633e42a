-- Functions of each kind: SQL bodies, defaults, variadic, overloaded, settings, definer, procedures.
CREATE TABLE t (n int);
CREATE FUNCTION atomic(x int DEFAULT 3, VARIADIC y int[] DEFAULT '{}') RETURNS TABLE (a int, b text) LANGUAGE sql BEGIN ATOMIC SELECT n AS a, 'x' AS b FROM t WHERE n > x; END;
CREATE FUNCTION atomic(text) RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = public, "$user" SET work_mem = '1MB' RETURN upper($1);
CREATE FUNCTION leak(anyelement, INOUT anyarray) LANGUAGE sql LEAKPROOF STRICT COST 5 PARALLEL SAFE AS 'SELECT $2';
CREATE PROCEDURE p(INOUT a int, OUT b text) LANGUAGE plpgsql AS 'BEGIN a := a + 1; b := ''x''; END';
CREATE FUNCTION wf() RETURNS int WINDOW LANGUAGE internal AS 'window_row_number';
ALTER TABLE t ADD CHECK (atomic(n::text) <> ''), ALTER n SET DEFAULT length(atomic('abc'));
INSERT INTO t DEFAULT VALUES;
CREATE FUNCTION of_row(t) RETURNS int LANGUAGE sql AS 'SELECT $1.n';
CREATE FUNCTION syntax() RETURNS int LANGUAGE sql SET check_function_bodies = off AS 'SELECT 1';
