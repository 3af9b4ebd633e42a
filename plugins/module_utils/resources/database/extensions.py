"""What is to be done for the schemas and extensions of a database; decided from what it has.

The script of an extension is run by a superuser, in a database whose owner may have put any code
into it. So it is run only where that code is not found, or where the owner could run it too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ...errors import InvalidInput
from ...postgres.extension_state import AvailableVersion, ExtensionState, SchemaState

_DEFAULT_SCHEMA = "public"


@dataclass(frozen=True)
class NamedSchema:
    """A schema in the spec; `owner` is None where it names none."""

    name: str
    present: bool = True
    owner: str | None = None


@dataclass(frozen=True)
class NamedExtension:
    """An extension in the spec; `version` and `schema` are empty where it names none."""

    name: str
    present: bool = True
    version: str = ""
    schema: str = ""


class Action(Enum):
    """What is to be done for a schema or an extension."""

    NOTHING = "nothing"
    CREATE = "create"
    CHANGE = "change"
    """Give the schema to its owner, or bring the extension to its version."""

    DROP = "drop"


def read_schema(entry: Mapping[str, Any]) -> NamedSchema:
    """Return a schema as the spec describes it."""
    return NamedSchema(entry["name"], _is_present(entry), entry.get("owner"))


def read_extension(entry: Mapping[str, Any]) -> NamedExtension:
    """Return an extension as the spec describes it."""
    version, schema = entry.get("version", ""), entry.get("schema", "")
    return NamedExtension(entry["name"], _is_present(entry), version, schema)


def _is_present(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("ensure", "present") == "present")


def find_schema_action(wanted: NamedSchema, found: SchemaState | None) -> Action:
    """Return what is to be done for a schema.

    Raises:
        InvalidInput: it belongs to a superuser, as one for extensions does.
    """
    if found is None:
        return Action.CREATE if wanted.present else Action.NOTHING
    if wanted.present and wanted.owner in {None, found.owner}:
        return Action.NOTHING
    if found.of_superuser:
        raise InvalidInput(
            f'it belongs to "{found.owner}", a superuser: such a schema is not changed; give it to'
            " another role by ALTER SCHEMA ... OWNER TO, or write another name"
        )
    return Action.CHANGE if wanted.present else Action.DROP


def find_extension_action(wanted: NamedExtension, found: ExtensionState | None) -> Action:
    """Return what is to be done for an extension.

    Raises:
        InvalidInput: it is in another schema.
    """
    if found is None:
        return Action.CREATE if wanted.present else Action.NOTHING
    if not wanted.present:
        return Action.DROP
    if wanted.schema not in {"", found.schema}:
        raise InvalidInput(
            f'it is in schema "{found.schema}"; move it by ALTER EXTENSION ... SET SCHEMA, or write'
            f" schema: {found.schema}"
        )
    return Action.NOTHING if wanted.version in {"", found.version} else Action.CHANGE


def choose_version(
    wanted: NamedExtension, versions: Sequence[AvailableVersion], default: str
) -> AvailableVersion:
    """Return the version that is to be created, or that an extension is brought to.

    Raises:
        InvalidInput: the server's image does not have it.
    """
    name = wanted.version or default
    chosen = next((one for one in versions if one.version == name), None)
    if chosen is not None:
        return chosen
    if not versions:
        raise InvalidInput("the server does not have it; use an image that has it")
    known = ", ".join(one.version for one in versions)
    raise InvalidInput(f"the server does not have version {name}; write one of {known}")


def choose_schema(
    wanted: NamedExtension, found: ExtensionState | None, chosen: AvailableVersion
) -> str:
    """Return the schema that an extension is in, or is to be created in."""
    if found is not None:
        return found.schema
    return wanted.schema or chosen.schema or _DEFAULT_SCHEMA


def runs_as_owner(
    chosen: AvailableVersion, found: ExtensionState | None, owner: str, writable: Sequence[str]
) -> bool:
    """Return whether the database's owner is to run an extension's script, not the superuser.

    Args:
        found: None where the extension is to be created.
        owner: of the database.
        writable: schemas in which the script could find what others than superusers have made.

    Raises:
        InvalidInput: a superuser would have to run it, and could come to run others' code.
    """
    if not writable:
        return False
    # What the owner may create by CREATE EXTENSION, in whatever schema.
    if chosen.superuser and chosen.trusted and (found is None or found.owner == owner):
        return True
    schemas = " and ".join(f'"{name}"' for name in writable)
    raise InvalidInput(
        f"a superuser has to run its script, which could call what other roles have put into schema"
        f" {schemas}; write a schema that belongs to a superuser, for what it requires too, such as"
        " schema: extensions, which is made if there is none"
    )
