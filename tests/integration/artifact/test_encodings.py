"""Databases whose names and values are of no encoding, or of another than UTF-8."""

from __future__ import annotations

import psycopg
import pytest
from ansible_collections.postgres.operator.plugins.module_utils.artifact.create import (
    create_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.verify import (
    VerifyRequest,
    verify_artifact,
)

NAME = b"gr\xfcn\x80"
CONTENT = b"""
CREATE SCHEMA "%(n)s";
CREATE TYPE "%(n)s"."e%(n)s" AS ENUM ('%(n)s', 'b');
CREATE FUNCTION "%(n)s".f(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$SELECT $1 || '%(n)s'$$;
CREATE TABLE "%(n)s"."%(n)s" (
    id serial, "%(n)s" text DEFAULT '%(n)s', e "%(n)s"."e%(n)s", a text[],
    g text GENERATED ALWAYS AS ("%(n)s".f("%(n)s")) STORED, CHECK ("%(n)s" <> '\xff%(n)s'));
INSERT INTO "%(n)s"."%(n)s" (e, a) VALUES ('%(n)s', ARRAY['%(n)s', '\xff']), ('b', NULL);
CREATE INDEX "i%(n)s" ON "%(n)s"."%(n)s" ("%(n)s".f("%(n)s"));
CREATE MATERIALIZED VIEW "m%(n)s" AS SELECT "%(n)s" FROM "%(n)s"."%(n)s";
COMMENT ON TABLE "%(n)s"."%(n)s" IS '%(n)s';
SELECT lo_from_bytea(7, '\\x00ff');
"""


def connect(bench, encoding: str) -> psycopg.Connection:
    return bench.server.connect(bench.database, client_encoding=encoding)


def content(bench, encoding: str, name: bytes) -> object:
    with connect(bench, encoding) as connection:
        return connection.execute(
            b'SELECT array_agg(t::text::bytea ORDER BY id), (SELECT count(*) FROM "m%(n)s"),'
            b' obj_description(\'"%(n)s"."%(n)s"\'::regclass)::bytea'
            b'  FROM "%(n)s"."%(n)s" t' % {b"n": name}
        ).fetchone()


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("SQL_ASCII", NAME),
        ("LATIN1", NAME),
        ("WIN1252", b"gr\xfcn\x80"),
        ("EUC_JP", b"\xc6\xfc\xcb\xdc"),
        ("UTF8", "日本€😀".encode()),
    ],
)
def test_names_and_values(make_bench, scratch, encoding, name) -> None:
    options = f"ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    bench = make_bench(options=options)
    text = CONTENT.replace(b"\xff", b"x") if encoding in ("EUC_JP", "UTF8") else CONTENT
    with connect(bench, encoding) as connection:
        connection.execute(text % {b"n": name})
    before = content(bench, encoding, name)
    assert "warning" not in create_artifact(bench.backup_request()).summary()
    done = verify_artifact(VerifyRequest(bench.store, bench.location, scratch, jobs=2))
    assert "warning" not in done
    bench.restore()
    assert content(bench, encoding, name) == before
    difference = bench.restore(dry_run=True).summary["difference"]
    assert (difference["equal"], difference["different"]) == (2, 0)
