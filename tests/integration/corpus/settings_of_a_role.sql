-- A database whose sessions are those of a role without rights.
CREATE TABLE t AS SELECT 1 AS n;
ALTER DATABASE :"DBNAME" SET role = 'corpus_two';
