-- Rules on tables and views, disabled and always; one that swallows inserts.
CREATE TABLE t (n int);
INSERT INTO t VALUES (1), (2);
CREATE TABLE log (n int);
CREATE RULE swallow AS ON INSERT TO t DO INSTEAD INSERT INTO log VALUES (NEW.n);
CREATE RULE also AS ON UPDATE TO t DO ALSO NOTIFY changed;
CREATE VIEW v AS SELECT * FROM t;
CREATE RULE del AS ON DELETE TO v DO INSTEAD DELETE FROM t WHERE n = OLD.n;
ALTER TABLE t DISABLE RULE also;
