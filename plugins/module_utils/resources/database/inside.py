"""Makes schemas and extensions inside of the databases what the spec says, on the primary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from ...errors import DatabaseNotFound, InvalidInput
from ...postgres import extensions as inside_sql
from ...postgres.connection import Connection, ConnectionParameters, connect, deadline
from ...postgres.extension_state import ExtensionState, SchemaState
from ...postgres.managed_databases import read_database_states
from .databases import refuse_superusers
from .differences import Differences
from .extensions import (
    Action,
    NamedExtension,
    NamedSchema,
    choose_schema,
    choose_version,
    find_extension_action,
    find_schema_action,
    read_extension,
    read_schema,
    runs_as_owner,
)

_LOOK_SECONDS = 30.0
# The script of a large extension, on a slow disk.
_SCRIPT_SECONDS = 120.0
_ADVICE = "drop what depends on it, or leave the entry out"


@dataclass(frozen=True)
class Inside:
    """What the spec says of the inside of one database."""

    database: str
    schemas: tuple[NamedSchema, ...]
    extensions: tuple[NamedExtension, ...]


def read_inside(databases: Iterable[Mapping[str, Any]]) -> list[Inside]:
    """Return what is to be in the databases of a spec, for each where it says anything."""
    found = (
        Inside(
            entry["name"],
            tuple(read_schema(one) for one in entry.get("schemas", ())),
            tuple(read_extension(one) for one in entry.get("extensions", ())),
        )
        for entry in databases
        if entry.get("ensure", "present") == "present"
    )
    return [one for one in found if one.schemas or one.extensions]


def ensure_insides(
    connection: Connection,
    parameters: ConnectionParameters,
    wanted: Sequence[Inside],
    differences: Differences,
) -> None:
    """Create, change and drop schemas and extensions; write only what differs.

    Args:
        connection: an autocommit session of a superuser in the maintenance database.
        parameters: how to reach the server as this superuser.
    """
    if not wanted:
        return
    states = read_database_states(connection, [one.database for one in wanted])
    for one in wanted:
        state = states[one.database]
        if not state.exists:
            continue
        with differences.of(f"database {one.database}"):
            # Users' code that runs as the owner would be a superuser's.
            refuse_superusers(state)
            _ensure_inside(parameters, one, state.owner, differences)


def _ensure_inside(
    parameters: ConnectionParameters, wanted: Inside, owner: str, differences: Differences
) -> None:
    """Do it for one database.

    A session that ends meanwhile is no difference: a Restore ends all when it swaps the databases.
    """
    try:
        with connect(parameters, wanted.database) as connection:
            # Not for a synchronous replica, as in `primary`.
            connection.execute("SET lock_timeout = '5s'; SET synchronous_commit = local")
            _Work(parameters, wanted, owner, connection, differences).do()
    except (psycopg.OperationalError, DatabaseNotFound):
        return


@dataclass(frozen=True)
class _Work:
    """Attributes: the session is one for all but the scripts of extensions."""

    parameters: ConnectionParameters
    wanted: Inside
    owner: str
    connection: Connection
    differences: Differences

    def do(self) -> None:
        with deadline(self.connection, _LOOK_SECONDS, "reading schemas and extensions"):
            schemas, extensions = self._read_schemas(), self._read_extensions()
        for schema in self.wanted.schemas:
            if schema.present:
                self._try_schema(schema, schemas.get(schema.name))
        for extension in self.wanted.extensions:
            with self.differences.of(self._entry("extension", extension.name), _ADVICE):
                self._ensure_extension(extension, extensions.get(extension.name))
        # An extension may have been in it.
        for schema in self.wanted.schemas:
            if not schema.present:
                self._try_schema(schema, schemas.get(schema.name))

    def _entry(self, kind: str, name: str) -> str:
        return f"database {self.wanted.database}, {kind} {name}"

    def _read_schemas(self) -> dict[str, SchemaState]:
        names = [one.name for one in self.wanted.schemas]
        return inside_sql.read_schemas(self.connection, names) if names else {}

    def _read_extensions(self) -> dict[str, ExtensionState]:
        names = [one.name for one in self.wanted.extensions]
        return inside_sql.read_extensions(self.connection, names) if names else {}

    def _refuse_event_triggers(self) -> None:
        """Refuse to write where a user's function would be executed for it, in this session.

        Raises:
            InvalidInput: there is such an event trigger.
        """
        trigger = inside_sql.find_users_event_trigger(self.connection)
        if trigger:
            raise InvalidInput(
                f'event trigger "{trigger}" would have a superuser execute a function of another'
                " role; disable it by ALTER EVENT TRIGGER ... DISABLE, or give the function to a"
                " superuser"
            )

    def _try_schema(self, wanted: NamedSchema, found: SchemaState | None) -> None:
        with (
            self.differences.of(self._entry("schema", wanted.name), _ADVICE),
            deadline(self.connection, _LOOK_SECONDS, "changing a schema"),
        ):
            self._ensure_schema(wanted, found)

    def _ensure_schema(self, wanted: NamedSchema, found: SchemaState | None) -> None:
        action = find_schema_action(wanted, found)
        if action is Action.NOTHING:
            return
        self._refuse_event_triggers()
        if action is Action.CREATE:
            owner = wanted.owner or self.owner
            inside_sql.create_schema(self.connection, wanted.name, owner)
        elif action is Action.DROP:
            inside_sql.drop_schema(self.connection, wanted.name)
        elif wanted.owner is not None:
            inside_sql.alter_schema_owner(self.connection, wanted.name, wanted.owner)
        self.differences.changed = True

    def _ensure_extension(self, wanted: NamedExtension, found: ExtensionState | None) -> None:
        action = find_extension_action(wanted, found)
        if action is Action.NOTHING:
            return
        self._refuse_event_triggers()
        if action is Action.DROP:
            inside_sql.drop_extension(self.connection, wanted.name)
        else:
            # A script may change its session: so this one is for a script only.
            with (
                connect(self.parameters, self.wanted.database) as scripts,
                deadline(scripts, _SCRIPT_SECONDS, "the script of the extension"),
                scripts.transaction(),
            ):
                self._run_script(scripts, wanted, found)
        self.differences.changed = True

    def _run_script(
        self, scripts: Connection, wanted: NamedExtension, found: ExtensionState | None
    ) -> None:
        """Create or update an extension, in a transaction."""
        scripts.execute("SET LOCAL lock_timeout = '5s'; SET LOCAL synchronous_commit = local")
        chosen = choose_version(wanted, *inside_sql.read_versions(scripts, wanted.name))
        schema = choose_schema(wanted, found, chosen)
        if wanted.schema and not inside_sql.read_schemas(scripts, [schema]):
            inside_sql.create_schema_for_extensions(scripts, schema)
        writable = inside_sql.writable_schemas(scripts, schema, chosen.requires)
        if runs_as_owner(chosen, found, self.owner, writable):
            inside_sql.act_as(scripts, self.owner)
        if found is not None:
            inside_sql.update_extension(scripts, wanted.name, chosen.version)
            return
        # One that has a schema of its own makes it.
        given = "" if chosen.schema and not wanted.schema else schema
        inside_sql.create_extension(scripts, wanted.name, given, chosen.version)
