-- A trigger that refuses every login.
-- needs: 17
CREATE TABLE t AS SELECT 1 AS n;
CREATE FUNCTION closes() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''closed''; END';
CREATE EVENT TRIGGER closes ON login EXECUTE FUNCTION closes();
ALTER EVENT TRIGGER closes ENABLE ALWAYS;
