-- Types and arrays whose names collide with those that PostgreSQL makes; a row type that is its own default.
CREATE TABLE _t (n int);
CREATE TABLE t (n int, x _t);
CREATE TYPE _u AS ENUM ('a');
CREATE TABLE u (e _u, a _u[]);
INSERT INTO u VALUES ('a', '{a}');
INSERT INTO t VALUES (1, ROW(2));
CREATE FUNCTION make_t() RETURNS t LANGUAGE sql AS 'SELECT NULL::public.t';
CREATE TABLE w (x t DEFAULT make_t(), y t[]);
INSERT INTO w (y) SELECT array_agg(t) FROM t;
