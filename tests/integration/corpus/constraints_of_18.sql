-- Keys over time, constraints that are not enforced, NOT NULL that is named, not inherited, not valid.
-- needs: 18
CREATE EXTENSION btree_gist;
CREATE TABLE t (id int, at daterange, PRIMARY KEY (id, at WITHOUT OVERLAPS));
CREATE TABLE u (id int, at daterange, FOREIGN KEY (id, PERIOD at) REFERENCES t (id, PERIOD at));
INSERT INTO t VALUES (1, '[2020-01-01,2021-01-01)'), (1, '[2021-01-01,2022-01-01)');
INSERT INTO u VALUES (1, '[2020-06-01,2021-06-01)');
CREATE TABLE w (a int CHECK (a > 0) NOT ENFORCED, b int, c int CONSTRAINT named NOT NULL NO INHERIT);
INSERT INTO w VALUES (-1, NULL, 1);
ALTER TABLE w ADD CONSTRAINT later NOT NULL b NOT VALID;
CREATE TABLE v (n int, twice int GENERATED ALWAYS AS (n * 2));
INSERT INTO v VALUES (2);
