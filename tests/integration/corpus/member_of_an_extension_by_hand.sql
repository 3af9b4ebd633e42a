-- A table that was added to an extension: no dump has it. Plain pg_restore loses it without a word.
-- refused: "public"\."t" .*missing with its 200 rows
CREATE TABLE t AS SELECT generate_series(1, 200) AS n;
ALTER EXTENSION plpgsql ADD TABLE t;
