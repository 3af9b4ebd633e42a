"""What is inside of a database, as far as a Database's spec is compared with it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SchemaState:
    """One schema; `of_superuser` says whether its owner is one."""

    name: str
    owner: str
    of_superuser: bool


@dataclass(frozen=True)
class ExtensionState:
    """One extension that was created."""

    name: str
    version: str
    schema: str
    owner: str


@dataclass(frozen=True)
class AvailableVersion:
    """A version of an extension that the server's image has.

    Attributes:
        superuser: whether only a superuser may create it, or it is trusted.
        trusted: whether who may create objects in the database may create it; its script is run as
            superuser all the same.
        schema: where it has to be; empty where that can be chosen.
        requires: the extensions that its script uses.
    """

    version: str
    superuser: bool
    trusted: bool
    schema: str
    requires: tuple[str, ...]
