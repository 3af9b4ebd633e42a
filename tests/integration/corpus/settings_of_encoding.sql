-- A database whose sessions speak LATIN1, with texts that LATIN1 has not.
CREATE TABLE "日本" AS SELECT '€'::text AS "ключ";
COMMENT ON TABLE "日本" IS '日本';
ALTER DATABASE :"DBNAME" SET client_encoding = 'LATIN1';
SELECT :SERVER_VERSION_NUM < 190000 AS before_19 \gset
\if :before_19
ALTER DATABASE :"DBNAME" SET standard_conforming_strings = off;
\endif
