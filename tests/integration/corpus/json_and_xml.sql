-- JSON as it was written, jsonb with large numbers, XML documents and fragments.
CREATE TABLE t (a json, b jsonb, c xml, d jsonpath);
INSERT INTO t VALUES ('{"a": 1, "a":2,  "b":"\u0000"}', '{"a": 1e400, "b": -0.0, "c": 1.000}', '<a>x</a><b/>', '$.a[*] ? (@ > 1)'), ('  [1,2 ]', 'null', 'text', 'strict $');
ALTER DATABASE :"DBNAME" SET xmloption = document;
