-- Constraints that rows violate, since they were never validated.
CREATE TABLE p (id int PRIMARY KEY);
CREATE TABLE t (n int, d text);
INSERT INTO t VALUES (-1, 'x');
ALTER TABLE t ADD CONSTRAINT positive CHECK (n > 0) NOT VALID;
ALTER TABLE t ADD FOREIGN KEY (n) REFERENCES p NOT VALID;
CREATE DOMAIN word AS text;
CREATE TABLE w (w word);
INSERT INTO w VALUES ('two words');
ALTER DOMAIN word ADD CHECK (VALUE !~ ' ') NOT VALID;
