-- Comments and texts that look like commands of psql, of COPY or of SQL.
CREATE TABLE t (n int);
COMMENT ON TABLE t IS E'\\! touch /tmp/x\n\\.\n\\connect postgres\n-- '' ; DROP TABLE t; $$ \\restrict';
COMMENT ON COLUMN t.n IS E'\n\\copy t from program ''x''\n';
CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $f$ SELECT '$$ $function$ \. \! \unrestrict x' $f$;
COMMENT ON FUNCTION f() IS '';
