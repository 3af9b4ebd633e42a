-- Names and values that careless quoting breaks.
CREATE SCHEMA "Schäma 'eins'";
CREATE TABLE "Schäma 'eins'"."Tablé; DROP TABLE x; --" (
    "primary key" bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    "a ""quoted"" name" text,
    "Größe" numeric GENERATED ALWAYS AS (length("a ""quoted"" name")) STORED,
    "数据" jsonb,
    at timestamptz
);
INSERT INTO "Schäma 'eins'"."Tablé; DROP TABLE x; --" ("a ""quoted"" name", "数据", at)
SELECT repeat(chr(i) || E'\\ \t '' " ; \\. ', i % 7), jsonb_build_object('ключ', chr(i)), 'epoch'::timestamptz + i * interval '1 day'
FROM generate_series(1, 55000) AS i
WHERE i NOT BETWEEN 55296 AND 57343;
CREATE MATERIALIZED VIEW "Schäma 'eins'"."Übersicht" AS
    SELECT "Größe", count(*) FROM "Schäma 'eins'"."Tablé; DROP TABLE x; --" GROUP BY 1;
