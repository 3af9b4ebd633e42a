-- Policies that hide rows from the owner too, and one that always fails.
CREATE TABLE t (who text, n int);
ALTER TABLE t OWNER TO corpus_one;
INSERT INTO t VALUES ('a', 1), ('b', 2);
ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON t USING (who = current_user) WITH CHECK (false);
CREATE POLICY fails ON t AS RESTRICTIVE FOR SELECT TO corpus_two USING (1 / (n - n) = 1);
CREATE TABLE parent (n int PRIMARY KEY);
INSERT INTO parent VALUES (1);
CREATE TABLE child (n int REFERENCES parent);
INSERT INTO child VALUES (1);
ALTER TABLE parent OWNER TO corpus_one;
ALTER TABLE child OWNER TO corpus_one;
ALTER TABLE parent ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
