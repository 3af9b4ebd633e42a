-- Several parents, merged and local columns, constraints that are not inherited, in any order.
CREATE TABLE a (x int CHECK (x > 0), y int);
CREATE TABLE b (y int, z int DEFAULT 3);
CREATE TABLE c (z int DEFAULT 4, w int) INHERITS (a, b);
ALTER TABLE a ADD CONSTRAINT mine CHECK (y < 100) NO INHERIT;
CREATE TABLE d (x int, y int NOT NULL, z int, w int, extra text);
ALTER TABLE d ADD CONSTRAINT a_x_check CHECK (x > 0);
ALTER TABLE d INHERIT c;
INSERT INTO a VALUES (1, 2);
INSERT INTO c VALUES (1, 2, 3, 4);
INSERT INTO d VALUES (1, 2, 3, 4, 'e');
ALTER TABLE c ALTER x SET DEFAULT 9;
