-- A stored generated column of the table's own OID.
-- warning: "public"\."t" column "g"
CREATE TABLE t (n int, g text GENERATED ALWAYS AS (tableoid::text) STORED);
INSERT INTO t SELECT generate_series(1, 10);
