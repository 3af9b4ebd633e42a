-- A table of one user inherits from a table of another: only a superuser can restore that.
-- consent
CREATE TABLE parent (n int);
ALTER TABLE parent OWNER TO corpus_one;
CREATE TABLE child () INHERITS (parent);
ALTER TABLE child OWNER TO corpus_two;
INSERT INTO child VALUES (1);
