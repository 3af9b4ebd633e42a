-- Publications of everything, of schemas, of columns and rows.
--
-- warning: subscribers of the replaced database.s publications
CREATE SCHEMA s;
CREATE TABLE s.t (n int PRIMARY KEY, x text);
CREATE TABLE u (n int PRIMARY KEY, x text);
CREATE PUBLICATION everything FOR ALL TABLES WITH (publish = 'insert');
CREATE PUBLICATION of_u FOR TABLE u WITH (publish_via_partition_root);
COMMENT ON PUBLICATION of_u IS 'x';
SELECT :SERVER_VERSION_NUM >= 150000 AS from_15 \gset
\if :from_15
CREATE PUBLICATION schemas FOR TABLES IN SCHEMA s;
CREATE PUBLICATION parts FOR TABLE u (n) WHERE (n > 3);
\endif
