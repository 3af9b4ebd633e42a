-- Collations of ICU, that are not deterministic, in keys and partition bounds.
CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE COLLATION de (provider = icu, locale = 'de-u-co-phonebk');
CREATE TABLE t (a text COLLATE ci PRIMARY KEY, b text COLLATE de, c text COLLATE "C");
INSERT INTO t VALUES ('Straße', 'ä', 'a'), ('x', 'z', 'B');
CREATE INDEX ON t (b, c COLLATE "POSIX");
CREATE TABLE h (a text COLLATE ci) PARTITION BY HASH (a);
CREATE TABLE h0 PARTITION OF h FOR VALUES WITH (MODULUS 1, REMAINDER 0);
INSERT INTO h VALUES ('A'), ('a');
