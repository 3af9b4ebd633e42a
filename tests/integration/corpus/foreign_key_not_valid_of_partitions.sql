-- A foreign key of a partitioned table that is not valid.
-- needs: 18
CREATE TABLE p (id int PRIMARY KEY);
CREATE TABLE t (id int) PARTITION BY RANGE (id);
CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (1000);
INSERT INTO t SELECT generate_series(0, 999);
ALTER TABLE t ADD FOREIGN KEY (id) REFERENCES p NOT VALID;
