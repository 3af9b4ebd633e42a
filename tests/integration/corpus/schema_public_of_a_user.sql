-- The schema public with another owner, comment and privileges. pg_dump of 14 leaves out the first two.
-- needs: 15
ALTER SCHEMA public OWNER TO corpus_one;
COMMENT ON SCHEMA public IS 'ours';
GRANT CREATE ON SCHEMA public TO corpus_two;
CREATE TABLE t AS SELECT 1 AS n;
ALTER TABLE t OWNER TO corpus_two;
