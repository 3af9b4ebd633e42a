-- Values of megabytes, compressed, not compressed, and with another method.
CREATE TABLE t (a text, b text, c bytea);
ALTER TABLE t ALTER a SET STORAGE EXTERNAL, ALTER b SET COMPRESSION pglz;
INSERT INTO t SELECT repeat('a', 3000000), repeat(md5('x'), 100000), decode(repeat(md5('y'), 50000), 'hex');
