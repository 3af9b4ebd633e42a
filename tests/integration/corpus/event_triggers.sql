-- Event triggers that log definitions into a table.
CREATE TABLE log (tag text);
CREATE FUNCTION logs() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.log VALUES (tg_tag); END';
CREATE EVENT TRIGGER a ON ddl_command_end EXECUTE FUNCTION logs();
CREATE EVENT TRIGGER b ON sql_drop EXECUTE FUNCTION logs();
ALTER EVENT TRIGGER b ENABLE ALWAYS;
CREATE TABLE t (n int);
CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM t;
GRANT SELECT ON m TO PUBLIC;
