-- Functions of languages by their old names, operators without names in the path, tables with toast options.
CREATE FUNCTION old(int) RETURNS int LANGUAGE 'sql' AS 'SELECT $1' IMMUTABLE;
CREATE FUNCTION trig() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE t (n int DEFAULT old(1));
CREATE TRIGGER t BEFORE INSERT ON t FOR EACH ROW EXECUTE PROCEDURE trig();
INSERT INTO t DEFAULT VALUES;
CREATE TABLE toast (x text) WITH (toast_tuple_target = 128, toast.vacuum_truncate = off);
INSERT INTO toast VALUES (repeat('abc', 2000));
