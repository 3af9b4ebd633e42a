-- Values that are special in COPY: backslashes, the end mark, NULL's text, tabs, carriage returns.
CREATE TABLE t (a text, b text[], c bytea);
INSERT INTO t VALUES (E'\\.', ARRAY[E'\\N', NULL, 'NULL', '', '{}', '"', E'a\tb\r\nc'], '\x00'), (E'\\N', '{}', ''),
    ('', NULL, decode(repeat('00ff0a0d5c', 50), 'hex')), (E'\x01\x7f\b\v\f', NULL, NULL), (NULL, NULL, NULL), (E'\u200b\u202e', NULL, NULL);
