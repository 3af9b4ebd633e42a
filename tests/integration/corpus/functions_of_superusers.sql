-- Functions that only a superuser may make: with settings of superusers, supported by others.
CREATE TABLE t (n int);
CREATE FUNCTION replica() RETURNS int LANGUAGE sql SET session_replication_role = 'replica' AS 'SELECT 1';
CREATE PROCEDURE quiet() LANGUAGE sql SET log_min_messages = 'panic' SET search_path = 'a b', public AS '';
CREATE FUNCTION helped(int, int) RETURNS SETOF int LANGUAGE internal SUPPORT generate_series_int4_support AS 'generate_series_int4';
CREATE FUNCTION helped_sql(int) RETURNS boolean LANGUAGE sql SUPPORT generate_series_int4_support AS 'SELECT true';
INSERT INTO t VALUES (1);
