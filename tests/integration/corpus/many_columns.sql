-- 1,600 columns, the most that there can be; and 1,000 enum labels.
SELECT format('CREATE TABLE t (%s)', string_agg(format('c%s int', n), ',')) FROM generate_series(1, 1600) n \gexec
INSERT INTO t (c1, c1600) VALUES (1, 2), (3, NULL);
SELECT format('CREATE TYPE many AS ENUM (%s)', string_agg(quote_literal('label' || n), ',')) FROM generate_series(1, 1000) n \gexec
CREATE TABLE e (m many);
INSERT INTO e VALUES ('label1000');
