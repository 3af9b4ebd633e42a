"""Schemas and extensions of databases whose owners may have put any code into them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import (
    ConnectionParameters,
    connect,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.provision import (
    ensure_role_and_database,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.differences import (
    Differences,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.inside import (
    ensure_insides,
    read_inside,
)
from settling import settle

Entry = dict[str, Any]
IN_EXTENSIONS = {"schema": "extensions"}


class World:
    """A server with the database appdb of the role owner, and what a reconcile does with it."""

    def __init__(self, server: Any, own: psycopg.Connection) -> None:
        self.server, self.own = server, own
        self.parameters = ConnectionParameters(
            server.host, server.port, server.user, password_file=server.password_file
        )
        with connect(self.parameters) as connection:
            ensure_role_and_database(connection, "owner", "secret", "appdb")

    def reconcile(self, *extensions: Entry, schemas: tuple[Entry, ...] = ()) -> Differences:
        differences = Differences()
        entry = {"name": "appdb", "schemas": schemas, "extensions": extensions}
        with connect(self.parameters) as connection:
            ensure_insides(connection, self.parameters, read_inside([entry]), differences)
        return differences

    def settle(self, *extensions: Entry, schemas: tuple[Entry, ...] = ()) -> None:
        settle(self.reconcile, *extensions, schemas=schemas)

    def refused(self, *extensions: Entry, schemas: tuple[Entry, ...] = ()) -> str:
        """Return the one thing that differs; nothing was changed."""
        found = self.reconcile(*extensions, schemas=schemas)
        assert not found.changed
        [message] = found.messages
        return message

    def run(self, *statements: str, user: str = "postgres") -> None:
        """Run statements of a user in the database."""
        with self.server.connect("appdb") as inside:
            inside.execute(f"SET SESSION AUTHORIZATION {user}")
            for statement in statements:
                inside.execute(statement)

    def ask(self, query: str) -> Any:
        with self.server.connect("appdb") as inside:
            return inside.execute(query).fetchone()

    def extension(self, name: str) -> tuple[str, str, str] | None:
        return self.ask(
            "SELECT extversion, extnamespace::regnamespace::text, extowner::regrole::text"
            f"  FROM pg_extension WHERE extname = '{name}'"
        )

    def schema(self, name: str) -> str | None:
        row = self.ask(f"SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = '{name}'")
        return row[0] if row else None


@pytest.fixture
def world(postgres_server) -> Iterator[World]:
    with postgres_server.connect() as own:
        clean(own)
        own.execute("CREATE ROLE alice LOGIN")
        yield World(postgres_server, own)
        clean(own)


def clean(own: psycopg.Connection) -> None:
    own.execute("DROP DATABASE IF EXISTS appdb WITH (FORCE)")
    own.execute("DROP ROLE IF EXISTS alice, owner")
    own.execute("DROP SCHEMA IF EXISTS postgres_operator CASCADE")


def test_a_trusted_extension_is_created_with_the_owners_rights(world) -> None:
    world.settle({"name": "pg_trgm"})
    _, schema, owner = world.extension("pg_trgm")
    assert (schema, owner) == ("public", "owner")


def test_any_extension_in_a_schema_of_the_superuser(world) -> None:
    world.settle(
        {"name": "cube", **IN_EXTENSIONS},
        {"name": "earthdistance", **IN_EXTENSIONS},
        {"name": "dblink", **IN_EXTENSIONS},
    )
    for name in ("cube", "earthdistance", "dblink"):
        assert world.extension(name)[1:] == ("extensions", "postgres")
    assert world.schema("extensions") == "postgres"
    assert world.ask(
        "SELECT has_schema_privilege('owner', 'extensions', 'USAGE'),"
        " has_schema_privilege('owner', 'extensions', 'CREATE')"
    ) == (True, False)


@pytest.mark.parametrize(
    ("statements", "entry"),
    [
        # The database's owner may create in it, as a member of pg_database_owner or of PUBLIC.
        ((), {}),
        ((), {"schema": "public"}),
        (("CREATE SCHEMA extensions AUTHORIZATION owner",), IN_EXTENSIONS),
        (("CREATE SCHEMA extensions", "GRANT CREATE ON SCHEMA extensions TO alice"), IN_EXTENSIONS),
        (("CREATE SCHEMA extensions", "GRANT ALL ON SCHEMA extensions TO PUBLIC"), IN_EXTENSIONS),
        *(
            (("CREATE SCHEMA extensions", made, given), IN_EXTENSIONS)
            for made, given in (
                (
                    "CREATE FUNCTION extensions.f() RETURNS int RETURN 1",
                    "ALTER FUNCTION extensions.f() OWNER TO alice",
                ),
                (
                    "CREATE OPERATOR extensions.=== (FUNCTION = int4pl, LEFTARG = int, RIGHTARG = int)",
                    "ALTER OPERATOR extensions.=== (int, int) OWNER TO owner",
                ),
                (
                    "CREATE TYPE extensions.t AS ENUM ('a')",
                    "ALTER TYPE extensions.t OWNER TO alice",
                ),
                (
                    "CREATE TABLE extensions.t ()",
                    "ALTER TABLE extensions.t OWNER TO alice",
                ),
            )
        ),
    ],
)
def test_a_superuser_runs_no_script_where_others_can_put_what_it_calls(
    world, statements: tuple[str, ...], entry: Entry
) -> None:
    world.run(*statements)
    message = world.refused({"name": "dblink", **entry})
    schema = entry.get("schema", "public")
    assert message == (
        "database appdb, extension dblink: a superuser has to run its script, which could call what"
        f' other roles have put into schema "{schema}"; write a schema that belongs to a superuser,'
        " for what it requires too, such as schema: extensions, which is made if there is none"
    )
    assert world.extension("dblink") is None


def test_nor_where_that_is_so_for_what_the_extension_requires(world) -> None:
    world.settle({"name": "cube"})
    message = world.refused({"name": "cube"}, {"name": "earthdistance", **IN_EXTENSIONS})
    assert 'what other roles have put into schema "public"' in message
    assert world.extension("earthdistance") is None
    assert world.schema("extensions") is None


def test_nor_for_an_update(world) -> None:
    """The owner could not make that of an extension that belongs to a superuser."""
    world.run("CREATE EXTENSION pg_trgm SCHEMA public VERSION '1.5'")
    message = world.refused({"name": "pg_trgm", "version": "1.6"})
    assert 'what other roles have put into schema "public"' in message
    assert world.extension("pg_trgm")[0] == "1.5"


def test_no_function_of_a_user_is_executed_by_an_event_trigger(world) -> None:
    world.run(
        "CREATE TABLE public.seen (who text)",
        "CREATE FUNCTION public.note() RETURNS event_trigger LANGUAGE plpgsql"
        " AS $$ BEGIN INSERT INTO public.seen VALUES (session_user); END $$",
        "CREATE EVENT TRIGGER noting ON ddl_command_start EXECUTE FUNCTION public.note()",
        "ALTER FUNCTION public.note() OWNER TO owner",
    )
    world.run("TRUNCATE public.seen")
    known = world.own.info.server_version < 170000
    for changes in (
        {"schemas": ({"name": "s"},)},
        {"schemas": ({"name": "public", "owner": "owner"},)},
    ):
        found = world.reconcile({"name": "pg_trgm"}, **changes)
        assert [m for m in found.messages if 'event trigger "noting" would have' not in m] == []
        assert len(found.messages) == (2 if known else 0)
    assert world.ask("SELECT count(*) FROM public.seen") == (0,)
    world.run("ALTER EVENT TRIGGER noting DISABLE")
    assert world.reconcile({"name": "pg_trgm"}, schemas=({"name": "s"},)).messages == []


def test_versions(world) -> None:
    world.settle({"name": "pg_trgm", "version": "1.5"})
    assert world.extension("pg_trgm")[0] == "1.5"
    assert not world.reconcile({"name": "pg_trgm"}).changed
    world.settle({"name": "pg_trgm", "version": "1.6"})
    assert world.extension("pg_trgm") == ("1.6", "public", "owner")
    message = world.refused({"name": "hstore", "version": "9.9"})
    assert "the server does not have version 9.9; write one of 1." in message
    message = world.refused({"name": "no-such"})
    assert message.endswith(
        "extension no-such: the server does not have it; use an image that has it"
    )


def test_an_extension_is_in_the_schema_of_the_spec(world) -> None:
    world.settle({"name": "hstore", "schema": "s"}, schemas=({"name": "s"},))
    assert world.extension("hstore")[1:] == ("s", "owner")
    message = world.refused({"name": "hstore", "schema": "t"})
    assert 'it is in schema "s"; move it by ALTER EXTENSION ... SET SCHEMA' in message


def test_an_extension_is_dropped_if_nothing_depends_on_it(world) -> None:
    world.settle({"name": "hstore"})
    world.run("CREATE TABLE public.t (h public.hstore)", user="owner")
    absent = {"name": "hstore", "ensure": "absent"}
    message = world.refused(absent)
    assert "cannot drop extension hstore because other objects depend on it" in message
    assert message.endswith("drop what depends on it, or leave the entry out")
    world.run("DROP TABLE public.t")
    world.settle(absent)
    assert world.extension("hstore") is None
    assert not world.reconcile().changed


def test_schemas(world) -> None:
    world.settle(schemas=({"name": "a"}, {"name": "b", "owner": "alice"}))
    assert (world.schema("a"), world.schema("b")) == ("owner", "alice")
    world.settle(schemas=({"name": "a", "owner": "alice"}, {"name": "b"}))
    assert (world.schema("a"), world.schema("b")) == ("alice", "alice")
    world.run("CREATE TABLE a.t ()")
    message = world.refused(schemas=({"name": "a", "ensure": "absent"},))
    assert "schema a: cannot drop schema a because other objects depend on it" in message
    world.settle(schemas=({"name": "b", "ensure": "absent"},))
    assert world.schema("b") is None
    assert not world.reconcile().changed
    assert world.schema("a") == "alice"


@pytest.mark.parametrize("change", [{"owner": "owner"}, {"ensure": "absent"}])
def test_a_schema_of_a_superuser_is_left_alone(world, change: Entry) -> None:
    world.run("CREATE SCHEMA extensions")
    message = world.refused(schemas=({"name": "extensions", **change},))
    assert 'it belongs to "postgres", a superuser: such a schema is not changed' in message
    assert world.schema("extensions") == "postgres"


def test_nothing_is_made_in_a_database_of_a_superuser(world) -> None:
    world.own.execute("ALTER DATABASE appdb OWNER TO postgres")
    message = world.refused({"name": "pg_trgm"}, schemas=({"name": "s"},))
    assert 'database "appdb" belongs to "postgres", a superuser' in message


def test_one_that_fails_does_not_stop_the_others(world) -> None:
    found = world.reconcile(
        {"name": "no-such"},
        {"name": "earthdistance", **IN_EXTENSIONS},
        {"name": "hstore"},
        schemas=({"name": "s", "owner": "nobody"}, {"name": "t"}),
    )
    assert [message.split(": ")[0] for message in found.messages] == [
        "database appdb, schema s",
        "database appdb, extension no-such",
        "database appdb, extension earthdistance",
    ]
    assert 'required extension "cube" is not installed' in found.messages[2]
    assert world.extension("hstore") is not None
    assert world.schema("t") == "owner"


def test_a_database_that_is_not_there_is_left_out(world) -> None:
    world.own.execute("DROP DATABASE appdb")
    found = world.reconcile({"name": "hstore"})
    assert (found.changed, found.messages) == (False, [])


def test_steady_state_is_one_session_and_few_queries(world, monkeypatch) -> None:
    world.settle({"name": "hstore"}, schemas=({"name": "s"},))
    statements: list[object] = []
    execute = psycopg.Connection.execute

    def counted(self: Any, query: Any, *more: Any, **options: Any) -> Any:
        statements.append(query)
        return execute(self, query, *more, **options)

    monkeypatch.setattr(psycopg.Connection, "execute", counted)
    world.reconcile({"name": "hstore"}, schemas=({"name": "s"},))
    # Two are of the sessions' starts.
    assert len(statements) == 6
