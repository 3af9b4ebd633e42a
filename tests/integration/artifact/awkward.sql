-- Everything that a round trip must not lose, under names that quoting must not break.
CREATE SCHEMA "Größe; DROP TABLE x; --";
CREATE EXTENSION hstore SCHEMA public;
CREATE EXTENSION pg_trgm SCHEMA public;
CREATE TYPE public."Ampel" AS ENUM ('rot', 'gelb', 'grün''s');
CREATE DOMAIN public.positive AS integer CHECK (VALUE > 0);

CREATE TABLE "Größe; DROP TABLE x; --"."tab""le 'ü' %s {x}" (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    "select" text COLLATE "C",
    "Ümläut 日本" text NOT NULL DEFAULT '日本',
    doubled bigint GENERATED ALWAYS AS (id * 2) STORED,
    light public."Ampel",
    h public.hstore,
    gone integer,
    p public.positive
);
INSERT INTO "Größe; DROP TABLE x; --"."tab""le 'ü' %s {x}" ("select", "Ümläut 日本", light, h, p)
SELECT E'a\tb\nc\\' || n, repeat('🐘', n % 7), (ARRAY['rot', 'gelb', 'grün''s'])[n % 3 + 1]::public."Ampel",
       'a=>1', n
  FROM generate_series(1, 500) n;
ALTER TABLE "Größe; DROP TABLE x; --"."tab""le 'ü' %s {x}" DROP COLUMN gone;
COMMENT ON TABLE "Größe; DROP TABLE x; --"."tab""le 'ü' %s {x}" IS E'it''s\na comment';
COMMENT ON COLUMN "Größe; DROP TABLE x; --"."tab""le 'ü' %s {x}"."select" IS 'über';

CREATE TABLE public.types (
    f4 real, f8 double precision, n numeric, t timestamptz, i interval, b bytea, j json, jb jsonb,
    a text[], r int4range, u uuid, m money, c char(5), x xml, o oid, rc regclass, ip inet, bits bit varying
);
INSERT INTO public.types VALUES
    (0.1, 0.1, 1.10, '2026-03-29 02:30:00+01', '1 mon -3 days 04:05:06.789', '\x00ff', '{"b": 1, "a": 1, "a": 2}',
     '{"b": 1, "a": 2}', ARRAY['x', NULL, '"q"'], '[1,5)', '0f8fad5b-d9cb-469f-a165-70867728950e', 12.34, 'ab',
     '<a>ü</a>', 42, 'public.types', '10.0.0.1/8', B'101'),
    ('NaN', '-Infinity', 'NaN', 'infinity', '0', '', 'null', 'null', '{}', 'empty', NULL, -1, '', NULL, 0, NULL, '::1', B''),
    (NULL, '-0', 1.1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);

CREATE TABLE public.nothing ();
INSERT INTO public.nothing DEFAULT VALUES;
INSERT INTO public.nothing DEFAULT VALUES;
CREATE UNLOGGED TABLE public.unlogged AS SELECT 1 AS one;

CREATE TABLE public.events (at date NOT NULL, kind text, payload text) PARTITION BY RANGE (at);
CREATE TABLE public.events_2025 PARTITION OF public.events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')
    PARTITION BY LIST (kind);
CREATE TABLE public.events_2025_a PARTITION OF public.events_2025 FOR VALUES IN ('a');
CREATE TABLE public.events_2025_rest PARTITION OF public.events_2025 DEFAULT;
CREATE TABLE public.events_default (payload text, kind text, at date NOT NULL);
ALTER TABLE public.events ATTACH PARTITION public.events_default DEFAULT;
INSERT INTO public.events SELECT date '2025-06-01' + n, chr(97 + n % 3), 'p' || n FROM generate_series(0, 999) n;

CREATE TABLE public.parent (a integer, b text);
CREATE TABLE public.child (c text, b text, a integer);
ALTER TABLE public.child INHERIT public.parent;
INSERT INTO public.parent VALUES (1, 'p');
INSERT INTO public.child VALUES ('c', 'b', 2);

CREATE MATERIALIZED VIEW public.totals AS SELECT kind, count(*) FROM public.events GROUP BY kind;
CREATE MATERIALIZED VIEW public.unfilled AS SELECT 1 AS one WITH NO DATA;
CREATE MATERIALIZED VIEW public.stale AS SELECT count(*) FROM public.parent;
INSERT INTO public.parent VALUES (3, 'after the refresh');
CREATE VIEW public.recent AS SELECT * FROM public.events WHERE at > '2026-01-01';
CREATE INDEX ON public.events USING gin (payload public.gin_trgm_ops);

CREATE SEQUENCE public.counter START 10 INCREMENT -3 MINVALUE -1000 MAXVALUE 1000;
SELECT nextval('public.counter') FROM generate_series(1, 4);
CREATE SEQUENCE public.untouched START 77;

SELECT lo_from_bytea(4711, '\x00010203');
SELECT lo_from_bytea(4712, decode(repeat('ab', 5000), 'hex'));
SELECT lo_create(4713);
SELECT lo_put(4713, 100000, '\xff00');
COMMENT ON LARGE OBJECT 4711 IS 'large';

CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.b := NEW.b || '!'; RETURN NEW; END$$;
CREATE TRIGGER touch BEFORE INSERT ON public.parent FOR EACH ROW EXECUTE FUNCTION public.touch();
ALTER TABLE public.parent ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.parent FORCE ROW LEVEL SECURITY;
CREATE POLICY nobody ON public.parent USING (false);

ALTER TABLE public.types OWNER TO "Owner ""ü""";
GRANT SELECT (f4), INSERT ON public.types TO reader WITH GRANT OPTION;
GRANT USAGE ON SCHEMA "Größe; DROP TABLE x; --" TO reader;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO reader;
GRANT SELECT ON LARGE OBJECT 4712 TO reader;

-- What else a definition can be.
CREATE EXTENSION btree_gist SCHEMA public;
COMMENT ON EXTENSION hstore IS 'another comment than its own';
CREATE EXTENSION postgres_fdw SCHEMA public;
CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1', dbname 'x');
CREATE USER MAPPING FOR reader SERVER far OPTIONS (user 'somebody');
CREATE FOREIGN TABLE public.far_table (a integer) SERVER far OPTIONS (table_name 'there');
CREATE COLLATION public."nach Größe" (provider = icu, locale = 'de-u-kn-true');
CREATE TYPE public.pair AS (one integer, "two 2" text COLLATE "C");
CREATE TYPE public.span AS RANGE (subtype = float8);
CREATE DOMAIN public.short AS text COLLATE "C" NOT NULL DEFAULT 'x' CONSTRAINT "is short" CHECK (length(VALUE) < 9);
COMMENT ON CONSTRAINT "is short" ON DOMAIN public.short IS 'why';

CREATE TABLE public.room (
    id integer GENERATED BY DEFAULT AS IDENTITY (START 5 INCREMENT 5 CYCLE MAXVALUE 100) PRIMARY KEY,
    name public.short UNIQUE DEFERRABLE INITIALLY DEFERRED,
    taken tsrange, size public.pair, sort text COLLATE public."nach Größe",
    EXCLUDE USING gist (name WITH =, taken WITH &&) WHERE (size IS NOT NULL)
) WITH (fillfactor = 70, autovacuum_enabled = false);
INSERT INTO public.room (name, taken, size, sort)
SELECT 'r' || n, tsrange(now()::timestamp, NULL), ROW(n, 'b'::text)::public.pair, 'a' || n FROM generate_series(1, 12) n;
CREATE TABLE public.booking (
    room integer CONSTRAINT "in a room" REFERENCES public.room ON DELETE CASCADE ON UPDATE SET NULL DEFERRABLE,
    days integer NOT NULL CHECK (days > 0) NO INHERIT
);
INSERT INTO public.booking SELECT 5 * (n % 10 + 1), n FROM generate_series(1, 50) n;
COMMENT ON CONSTRAINT "in a room" ON public.booking IS 'a comment';
ALTER TABLE public.booking ADD CONSTRAINT later CHECK (days < 40) NOT VALID;
ALTER TABLE public.booking REPLICA IDENTITY FULL;
ALTER TABLE public.room ALTER sort SET STATISTICS 500, ALTER sort SET STORAGE EXTERNAL;
ALTER TABLE public.room CLUSTER ON room_pkey;
CREATE STATISTICS public.together (dependencies, mcv) ON room, days FROM public.booking;
CREATE INDEX "by lower" ON public.room (lower(sort) DESC NULLS LAST) INCLUDE (id) WHERE id > 5;
CREATE RULE "keep" AS ON DELETE TO public.booking WHERE OLD.days = 1 DO INSTEAD NOTHING;
CREATE VIEW public.checked WITH (security_barrier) AS SELECT * FROM public.booking WHERE days > 1
    WITH CASCADED CHECK OPTION;
CREATE PROCEDURE public.proceed(INOUT x integer) LANGUAGE sql SECURITY DEFINER SET search_path = '' AS 'SELECT x + 1';
CREATE AGGREGATE public.total (integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0');
CREATE FUNCTION public.same(public.pair, public.pair) RETURNS boolean LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC SELECT ($1).one = ($2).one; END;
CREATE OPERATOR public.=== (LEFTARG = public.pair, RIGHTARG = public.pair, FUNCTION = public.same);
CREATE FUNCTION public.proceed_cast(public.pair) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT ($1).one';
CREATE CAST (public.pair AS integer) WITH FUNCTION public.proceed_cast(public.pair) AS ASSIGNMENT;
CREATE TEXT SEARCH CONFIGURATION public.plain (COPY = simple);
CREATE PUBLICATION "some" FOR TABLE public.room, public.booking WITH (publish = 'insert');
CREATE PUBLICATION everything FOR ALL TABLES WITH (publish = 'insert');
CREATE FUNCTION public.noticed() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN NULL; END';
CREATE EVENT TRIGGER noticed ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.noticed();
CREATE TRIGGER "never" AFTER UPDATE ON public.booking REFERENCING NEW TABLE AS fresh
    FOR EACH STATEMENT EXECUTE FUNCTION public.touch();
ALTER TABLE public.booking DISABLE TRIGGER "never";
ALTER TABLE public.parent ENABLE ALWAYS TRIGGER touch;
CREATE POLICY mine ON public.room AS RESTRICTIVE FOR UPDATE TO reader, "app user" USING (true) WITH CHECK (id > 0);

ALTER SCHEMA "Größe; DROP TABLE x; --" OWNER TO "app user";
ALTER FUNCTION public.same OWNER TO "Owner ""ü""";
ALTER SEQUENCE public.untouched OWNER TO reader;
GRANT EXECUTE ON FUNCTION public.same TO reader;
REVOKE EXECUTE ON PROCEDURE public.proceed FROM PUBLIC;
GRANT USAGE ON TYPE public."Ampel" TO "app user" WITH GRANT OPTION;
GRANT USAGE, SELECT ON SEQUENCE public.counter TO "app user";
GRANT USAGE ON FOREIGN SERVER far TO reader;
ALTER DEFAULT PRIVILEGES FOR ROLE "app user" REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE reader GRANT USAGE ON SCHEMAS TO "Owner ""ü""";
