-- A virtual column that cannot be computed for a row.
-- needs: 18
CREATE TABLE t (n int, v int GENERATED ALWAYS AS (1 / n) VIRTUAL);
INSERT INTO t VALUES (0), (1);
