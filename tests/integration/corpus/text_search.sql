-- Text search: configurations, dictionaries, parsers.
CREATE TEXT SEARCH DICTIONARY dict (TEMPLATE = simple, accept = false);
CREATE TEXT SEARCH CONFIGURATION conf (COPY = english);
ALTER TEXT SEARCH CONFIGURATION conf ALTER MAPPING FOR asciiword WITH dict, english_stem;
CREATE TABLE t (x text, v tsvector GENERATED ALWAYS AS (to_tsvector('conf', x)) STORED);
INSERT INTO t VALUES ('The quick foxes');
CREATE INDEX ON t USING gin (to_tsvector('conf', x));
