-- Arrays with bounds of their own, several dimensions, NULLs, of composites, of domains, empty.
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN small AS int CHECK (VALUE < 10);
CREATE DOMAIN smalls AS small[] CHECK (array_length(VALUE, 1) < 5);
CREATE TABLE t (a int[], b pair[], c smalls, d text[][], e "char"[]);
INSERT INTO t VALUES ('[-3:-1]={1,NULL,3}', ARRAY[(1, 'x')::pair, NULL, (NULL, '')::pair], '{1,2}', '{{a,b},{c,NULL}}', '{a,"\\377"}'),
    ('{}', '{}', '{}', '{}', NULL), ('[2:3][0:1]={{1,2},{3,4}}', NULL, NULL, '{{{x}}}', NULL);
