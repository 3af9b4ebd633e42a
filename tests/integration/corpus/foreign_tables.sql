-- Foreign wrappers, servers, mappings with passwords and tables that nobody answers for.
CREATE FOREIGN DATA WRAPPER nothing OPTIONS (a 'b''c');
CREATE SERVER nowhere TYPE 't' VERSION '1' FOREIGN DATA WRAPPER nothing OPTIONS (host 'x');
CREATE USER MAPPING FOR PUBLIC SERVER nowhere OPTIONS (password 'secret');
CREATE USER MAPPING FOR corpus_one SERVER nowhere;
CREATE FOREIGN TABLE f (a int OPTIONS (x 'y') NOT NULL, b text) SERVER nowhere OPTIONS (t 'z');
GRANT USAGE ON FOREIGN SERVER nowhere TO corpus_one;
CREATE TABLE p (n int) PARTITION BY LIST (n);
CREATE FOREIGN TABLE p1 PARTITION OF p FOR VALUES IN (1) SERVER nowhere;
CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
INSERT INTO p VALUES (2);
