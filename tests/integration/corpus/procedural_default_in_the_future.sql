-- Defaults, checks and indexes that depend on the session: on its user, time zone and settings.
CREATE FUNCTION day(timestamptz) RETURNS date IMMUTABLE LANGUAGE sql AS 'SELECT $1::date';
CREATE TABLE t (at timestamptz DEFAULT now(), who text DEFAULT current_user, zone text DEFAULT current_setting('TimeZone'));
INSERT INTO t VALUES ('2020-01-01 23:30+00', 'x', 'y');
CREATE INDEX ON t (day(at));
ALTER DATABASE :"DBNAME" SET TimeZone = 'Asia/Kathmandu';
