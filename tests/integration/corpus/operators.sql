-- Operators, operator classes and families of users, and an index that needs them.
CREATE TYPE money2 AS (cents int);
CREATE FUNCTION lt(money2, money2) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT ($1).cents < ($2).cents';
CREATE FUNCTION eq(money2, money2) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT ($1).cents = ($2).cents';
CREATE FUNCTION cmp(money2, money2) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT ($1).cents - ($2).cents';
CREATE OPERATOR <<< (LEFTARG = money2, RIGHTARG = money2, FUNCTION = lt, COMMUTATOR = >>>);
CREATE OPERATOR >>> (LEFTARG = money2, RIGHTARG = money2, FUNCTION = lt, COMMUTATOR = <<<);
CREATE OPERATOR === (LEFTARG = money2, RIGHTARG = money2, FUNCTION = eq, HASHES, RESTRICT = eqsel);
CREATE OPERATOR FAMILY fam USING btree;
CREATE OPERATOR CLASS cls FOR TYPE money2 USING btree FAMILY fam AS OPERATOR 1 <<<, OPERATOR 3 ===, FUNCTION 1 cmp(money2, money2);
CREATE TABLE t (m money2);
INSERT INTO t VALUES (ROW(3)), (ROW(1));
CREATE INDEX ON t (m cls);
