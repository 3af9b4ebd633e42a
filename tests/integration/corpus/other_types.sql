-- Types that few use, also names of objects, which are numbers where the object is gone.
CREATE TABLE gone ();
CREATE TABLE t (a regclass, b regproc, c regtype, d regnamespace, e inet, f macaddr8, g bit varying, h "char", i name, j pg_lsn, k txid_snapshot, l xid8, m tsvector, n tsquery, o path, p circle, q uuid, r regprocedure, s cidr, u regoperator, w tid);
INSERT INTO t VALUES ('gone', 'now', 'int[]', 'public', '::1/64', '08:00:2b:01:02:03:04:05', B'', '', 'n', '16/B374D848', '10:20:10,14', '123', '''a b'':1A,2B', '!a & (b | c:*)', '[(0,0),(1e300,-1)]', '<(0,0),1>', NULL, 'lower(text)', '10/8', '+(int,int)', '(1,2)');
INSERT INTO t (h) VALUES (E'\\377'), ('a');
INSERT INTO t (a) VALUES (4294967295::oid);
