-- A user's function with a setting that only a superuser can have given it.
CREATE FUNCTION mine() RETURNS int LANGUAGE sql SET log_statement = 'none' AS 'SELECT 1';
ALTER FUNCTION mine() OWNER TO corpus_one;
CREATE TABLE t (n int DEFAULT mine());
ALTER TABLE t OWNER TO corpus_one;
INSERT INTO t DEFAULT VALUES;
