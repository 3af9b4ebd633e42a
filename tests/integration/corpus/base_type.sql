-- A base type by functions of PostgreSQL itself, with a default and an index.
CREATE TYPE mytext;
CREATE FUNCTION in_(cstring) RETURNS mytext IMMUTABLE STRICT LANGUAGE internal AS 'textin';
CREATE FUNCTION out_(mytext) RETURNS cstring IMMUTABLE STRICT LANGUAGE internal AS 'textout';
CREATE TYPE mytext (INPUT = in_, OUTPUT = out_, LIKE = text, CATEGORY = 'S', DEFAULT = 'd');
CREATE TABLE t (m mytext DEFAULT 'x', a mytext[]);
INSERT INTO t VALUES ('y', '{a,b}');
INSERT INTO t DEFAULT VALUES;
