-- A function of a user in every place where PostgreSQL lets a user put one. It writes to the server's log who executes
-- it, and refuses to be executed in a superuser's session.
CREATE SCHEMA mine;
SET search_path = mine, public;
CREATE FUNCTION mine.seen(place text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
    RAISE LOG 'executed % session_user=% current_user=%', place, session_user, current_user;
    IF session_user = 'postgres' AND current_setting('canary.allowed', true) IS DISTINCT FROM 'yes' THEN
        RAISE EXCEPTION 'executed in a superuser''s session: %', place;
    END IF;
    RETURN true;
END $$;
-- Immutable as its owner says: so planning evaluates it.
CREATE FUNCTION mine.seen(place text, value integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
    $$BEGIN PERFORM mine.seen(place); RETURN value; END$$;
CREATE FUNCTION mine.seen_name(name, name) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
    $$BEGIN PERFORM mine.seen('operator'); RETURN $1::text !~ $2::text; END$$;
CREATE OPERATOR public.!~ (LEFTARG = name, RIGHTARG = name, FUNCTION = mine.seen_name);
CREATE OPERATOR public.<> (LEFTARG = name, RIGHTARG = name, FUNCTION = mine.seen_name);
CREATE FUNCTION public.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS
    $$SELECT mine.seen('set_config')::text$$;
CREATE FUNCTION public.pg_is_in_recovery() RETURNS boolean LANGUAGE sql AS
    $$SELECT NOT mine.seen('pg_is_in_recovery')$$;

CREATE DOMAIN mine.checked AS integer CHECK (mine.seen('domain', VALUE) IS NOT NULL);
CREATE TYPE mine.pair AS (one mine.checked, two text);
CREATE FUNCTION mine.difference(integer, integer) RETURNS double precision LANGUAGE plpgsql IMMUTABLE AS
    $$BEGIN PERFORM mine.seen('range'); RETURN $1 - $2; END$$;
CREATE TYPE mine.span AS RANGE (subtype = integer, subtype_diff = mine.difference);
CREATE FUNCTION mine.to_integer(mine.pair) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
    $$BEGIN RETURN mine.seen('cast', ($1).one); END$$;
CREATE CAST (mine.pair AS integer) WITH FUNCTION mine.to_integer(mine.pair) AS IMPLICIT;
CREATE FUNCTION mine.add(mine.checked, integer) RETURNS mine.checked LANGUAGE plpgsql IMMUTABLE AS
    $$BEGIN RETURN mine.seen('aggregate', $1 + $2); END$$;
CREATE AGGREGATE mine.total (integer) (SFUNC = mine.add, STYPE = mine.checked, INITCOND = '0');

CREATE TABLE mine.places (
    id integer PRIMARY KEY,
    defaulted integer DEFAULT mine.seen('default', 1),
    checked integer CHECK (mine.seen('check', checked) IS NOT NULL),
    of_domain mine.checked,
    generated integer GENERATED ALWAYS AS (mine.seen('generated', id)) STORED,
    pair mine.pair,
    span mine.span,
    CHECK (mine.seen('constant check', 1) = 1),
    EXCLUDE USING btree ((mine.seen('exclusion', id)) WITH =)
);
CREATE INDEX ON mine.places (checked) WHERE mine.seen('predicate', 1) = 1;
CREATE INDEX ON mine.places ((mine.seen('index expression', checked)));
CREATE INDEX ON mine.places USING gist (span);
CREATE STATISTICS mine.computed ON (mine.seen('statistics', checked)), (mine.seen('constant statistics', 1) + id)
    FROM mine.places;
INSERT INTO mine.places (id, checked, of_domain, pair, span)
SELECT n, n, n, ROW(n, 'x')::mine.pair, mine.span(n, n + 2) FROM generate_series(1, 50) n;

CREATE FUNCTION mine.touch() RETURNS trigger LANGUAGE plpgsql AS
    $$BEGIN PERFORM mine.seen('trigger'); RETURN NEW; END$$;
CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON mine.places FOR EACH ROW EXECUTE FUNCTION mine.touch();
CREATE TRIGGER always AFTER INSERT ON mine.places FOR EACH STATEMENT EXECUTE FUNCTION mine.touch();
ALTER TABLE mine.places ENABLE ALWAYS TRIGGER touch, ENABLE ALWAYS TRIGGER always;
CREATE RULE also AS ON UPDATE TO mine.places DO ALSO SELECT mine.seen('rule');
ALTER TABLE mine.places ENABLE ROW LEVEL SECURITY;
ALTER TABLE mine.places FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON mine.places USING (mine.seen('policy'));

CREATE VIEW mine.viewed AS SELECT id, mine.seen('view', id) AS value FROM mine.places;
CREATE MATERIALIZED VIEW mine.stored AS SELECT n AS id, mine.seen('materialized view', n) AS value, mine.total(n)
    FROM generate_series(1, 3) n GROUP BY n;
CREATE INDEX ON mine.stored ((mine.seen('materialized view index', id))) WHERE mine.seen('view predicate', 1) = 1;

CREATE TABLE mine.parted (id mine.checked, other integer) PARTITION BY LIST (id);
CREATE TABLE mine.part_1 PARTITION OF mine.parted (CHECK (mine.seen('partition', 1) = 1)) FOR VALUES IN (1, 2);
CREATE TABLE mine.part_2 PARTITION OF mine.parted FOR VALUES IN (3);
INSERT INTO mine.parted SELECT n, n FROM generate_series(1, 3) n;
CREATE TABLE mine.computed (id integer) PARTITION BY RANGE ((mine.seen('partition key', id)));
CREATE TABLE mine.computed_1 PARTITION OF mine.computed FOR VALUES FROM (0) TO (100);
INSERT INTO mine.computed SELECT n FROM generate_series(1, 3) n;
CREATE TABLE mine.referring (id integer REFERENCES mine.places, CHECK (mine.seen('referring', 1) = 1));
INSERT INTO mine.referring SELECT n FROM generate_series(1, 20) n;
CREATE FUNCTION mine.defaults(value mine.checked DEFAULT 7) RETURNS integer LANGUAGE sql
    BEGIN ATOMIC SELECT mine.seen('body', value); END;
CREATE SEQUENCE mine.numbers;
SELECT nextval('mine.numbers');
CREATE PUBLICATION of_user FOR TABLE mine.places;
SELECT lo_from_bytea(0, '\x0102');
