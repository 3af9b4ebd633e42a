-- A database in LATIN1, with names that are not ASCII.
-- options: TEMPLATE template0 ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C'
\encoding UTF8
CREATE SCHEMA "größe";
CREATE TABLE "größe"."täg" ("ä" text);
INSERT INTO "größe"."täg" VALUES ('ß'), ('é');
