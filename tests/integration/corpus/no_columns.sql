-- Tables without columns, with and without rows.
CREATE TABLE none ();
INSERT INTO none DEFAULT VALUES;
INSERT INTO none DEFAULT VALUES;
CREATE TABLE empty ();
CREATE TABLE dropped (n int);
INSERT INTO dropped VALUES (1), (2), (3);
ALTER TABLE dropped DROP COLUMN n;
