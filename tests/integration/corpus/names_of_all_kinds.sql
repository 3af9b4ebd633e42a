-- Names with quotes, dots, newlines, backslashes, percent signs, keywords, and of full length.
CREATE SCHEMA "a.b ""c"" d";
CREATE TABLE "a.b ""c"" d"."x'; DROP TABLE y; --" ("select" int, "with space" int, "%s %(a)s {0}" int, "ünï" text, "\n\\" int);
INSERT INTO "a.b ""c"" d"."x'; DROP TABLE y; --" VALUES (1, 2, 3, '%s', 5);
CREATE TABLE "two
lines" ("a
b" int, " " int);
INSERT INTO "two
lines" VALUES (1, 2);
CREATE TABLE "0123456789012345678901234567890123456789012345678901234567890123" ("Üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü" int);
CREATE INDEX "INDEX" ON "two
lines" (" ");
CREATE SEQUENCE "a.b ""c"" d"."sel""ect";
CREATE TABLE "$$" ("$1" text DEFAULT '$$', "😀" text DEFAULT E'\\.');
INSERT INTO "$$" DEFAULT VALUES;
