"""Versions of extensions: those that a backup was made with, and those that a server has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import psycopg

from ..errors import OperatorError
from ..postgres.connection import connect
from ..units import first_of
from .load_contents import LoadRequest
from .manifest import Source

_NAME_LENGTH = 100
"""Characters; a version is any text."""

# What is created already has the version that counts, the others will get the default one.
_VERSIONS = """
SELECT name, coalesce(installed_version, default_version)
  FROM pg_catalog.pg_available_extensions
"""


@contextmanager
def naming_other_versions(request: LoadRequest) -> Iterator[None]:
    """Add to what fails in the block which extensions have another version than at the backup.

    A view may use a column, or an object a function, that another version has not.

    Raises:
        OperatorError: what the block raises, of the same class.
    """
    try:
        yield
    except request.failure as error:
        found: dict[str, str] = {}
        with suppress(OperatorError, psycopg.Error), connect(request.parameters) as connection:
            found = {str(name): str(version) for name, version in connection.execute(_VERSIONS)}
        others = describe_other_versions(request.artifact.manifest.source, found)
        if not others:
            raise
        raise type(error)(f"{error.message}; {others}") from error


def describe_other_versions(source: Source, found: Mapping[str, str]) -> str:
    """Name the extensions that have another version here; empty for none.

    Args:
        found: versions by name.
    """
    others = [
        f"{extension.name[:_NAME_LENGTH]} {extension.version[:_NAME_LENGTH]}, here"
        f" {found[extension.name][:_NAME_LENGTH]}"
        for extension in source.extensions
        if extension.version and found.get(extension.name, extension.version) != extension.version
    ]
    if not others:
        return ""
    return f"extensions of another version at the backup: {first_of(others, '; ')}"
