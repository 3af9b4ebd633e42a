-- Large objects, sparse and empty, with owners, privileges and comments.
SELECT lo_create(1001), lo_from_bytea(1002, '\x00ff'), lo_from_bytea(1003, convert_to(repeat('x', 5000), 'UTF8'));
SELECT lo_put(1001, 100000, 'end');
SELECT lo_create(1004);
ALTER LARGE OBJECT 1002 OWNER TO corpus_one;
GRANT SELECT ON LARGE OBJECT 1002 TO PUBLIC;
COMMENT ON LARGE OBJECT 1003 IS 'x';
CREATE TABLE t (o oid);
INSERT INTO t VALUES (1001), (1002);
