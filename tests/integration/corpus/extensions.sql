-- Extensions in schemas of their own, with objects that need them.
CREATE SCHEMA ext;
CREATE EXTENSION hstore SCHEMA ext;
CREATE EXTENSION citext;
CREATE EXTENSION btree_gist SCHEMA ext;
CREATE EXTENSION pg_trgm;
CREATE TABLE t (h ext.hstore, c citext PRIMARY KEY, n int, r int4range, EXCLUDE USING gist (n WITH =, r WITH &&));
INSERT INTO t VALUES ('a=>1,b=>NULL', 'Abc', 1, '[1,2)');
CREATE INDEX ON t USING gin (c gin_trgm_ops);
CREATE VIEW v AS SELECT h OPERATOR(ext.->) 'a' AS a FROM t;
COMMENT ON EXTENSION hstore IS 'ours';
