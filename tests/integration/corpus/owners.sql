-- Many owners: tables in schemas of others, without rights on them, of roles that may not log in.
CREATE SCHEMA s AUTHORIZATION corpus_one;
GRANT USAGE ON SCHEMA s TO corpus_two;
CREATE TABLE s.t (id serial PRIMARY KEY, x text);
ALTER TABLE s.t OWNER TO corpus_two;
INSERT INTO s.t (x) VALUES ('a');
CREATE INDEX ON s.t (x);
CREATE TYPE s.e AS ENUM ('a');
ALTER TYPE s.e OWNER TO "corpus Three";
CREATE TABLE s.u (e s.e, t int REFERENCES s.t);
ALTER TABLE s.u OWNER TO corpus_one;
INSERT INTO s.u VALUES ('a', 1);
CREATE VIEW s.v AS SELECT * FROM s.t;
ALTER VIEW s.v OWNER TO "corpus Three";
CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
ALTER FUNCTION s.f() OWNER TO corpus_two;
CREATE MATERIALIZED VIEW s.m AS SELECT count(*) FROM s.u;
ALTER MATERIALIZED VIEW s.m OWNER TO corpus_one;
REVOKE ALL ON SCHEMA s FROM corpus_two;
