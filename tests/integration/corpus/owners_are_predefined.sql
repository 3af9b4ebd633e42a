-- Objects of predefined roles: the database's owner, and one that monitors.
CREATE TABLE t AS SELECT 1 AS n;
ALTER TABLE t OWNER TO pg_database_owner;
CREATE TABLE u AS SELECT 2 AS n;
ALTER TABLE u OWNER TO pg_monitor;
