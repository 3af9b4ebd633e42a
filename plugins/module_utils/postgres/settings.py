"""The server's parameters: what it has, what it would take, and whether two values are the same.

PostgreSQL checks a value where it is set. Of those that need a restart it says nothing before that
restart, which a server with a wrong value does not survive. So values are compared with what the
server says of each of its parameters (pg_settings): type, unit, range and words; and what a session
may set is set in one, in a transaction that is rolled back.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from ..errors import DatabaseNotReady, InvalidInput
from .connection import Connection
from .errors import translate

_READ = """
SELECT pg_catalog.lower(name) AS name, setting, unit, context, vartype, min_val, max_val, enumvals,
       boot_val
  FROM pg_catalog.pg_settings
 WHERE pg_catalog.lower(name) = ANY (%s)
"""
# The last one counts; those of ALTER SYSTEM come last.
_READ_FILES = """
SELECT DISTINCT ON (pg_catalog.lower(name)) pg_catalog.lower(name), setting, sourcefile
  FROM pg_catalog.pg_file_settings
 WHERE pg_catalog.lower(name) = ANY (%s)
 ORDER BY pg_catalog.lower(name), seqno DESC
"""
_NAMES = "SELECT pg_catalog.lower(name) FROM pg_catalog.pg_settings"
_LIBRARIES = "SELECT setting FROM pg_catalog.pg_config() WHERE name = 'PKGLIBDIR'"
_IS_FILE = "SELECT NOT isdir FROM pg_catalog.pg_stat_file(%s, true)"
_MEMORY = "SELECT pg_catalog.pg_read_file('/proc/meminfo', 0, 4096)"

# As in the server's guc.c: bytes for memory, seconds for time.
_MEMORY_UNITS = {"B": 1, "kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30, "TB": 1 << 40}
_TIME_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BASE = re.compile(r"(?P<count>\d*)(?P<unit>[a-zA-Z]+)")
_NUMBER = re.compile(
    r"\s*(?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?))"
    r"\s*(?P<unit>[a-zA-Z]*)\s*"
)
_TRUE = {"on", "true", "yes", "1"}
_FALSE = {"off", "false", "no", "0"}
_IN_SESSION = frozenset({"user", "superuser"})


@dataclass(frozen=True)
class Setting:
    """One row of pg_settings.

    Attributes:
        name: in lower case.
        setting: the value in the base unit.
        unit: the base unit, such as `8kB`, `ms`; None for what has none.
        context: when it can be set: `internal`, `postmaster`, `sighup`, `user`, ...
        vartype: `bool`, `enum`, `integer`, `real` or `string`.
    """

    name: str
    setting: str | None
    unit: str | None
    context: str
    vartype: str
    min_val: str | None = None
    max_val: str | None = None
    enumvals: list[str] | None = None
    boot_val: str | None = None

    @property
    def needs_restart(self) -> bool:
        """Whether only a restart changes it."""
        return self.context == "postmaster"

    def parse(self, text: str) -> str:
        """Return a value in the form of `setting`.

        Raises:
            InvalidInput: the server would refuse it; the message says what it takes.
        """
        if self.vartype == "bool":
            return self._parse_bool(text)
        if self.vartype == "enum":
            return self._parse_enum(text)
        if self.vartype in {"integer", "real"}:
            return self._parse_number(text)
        return text

    def has(self, text: str) -> bool:
        """Return whether this is the value that the server has now."""
        return self.same(self.setting or "", text)

    def same(self, one: str, other: str) -> bool:
        """Return whether two ways to write a value mean the same."""
        try:
            left, right = self.parse(one), self.parse(other)
        except InvalidInput:
            return False
        if self.vartype == "real":
            return math.isclose(float(left), float(right), rel_tol=1e-6)
        return left == right

    @property
    def in_session(self) -> bool:
        """Whether a session can have a value of its own, so that one says nothing of others."""
        return self.context not in {"internal", "postmaster", "sighup"}

    def amount(self, text: str) -> float:
        """Return a number, that of a size in bytes.

        Raises:
            InvalidInput: it is none that the server takes.
        """
        base = _BASE.fullmatch(self.unit or "")
        number = float(self.parse(text))
        if base is None or base["unit"] not in _MEMORY_UNITS:
            return number
        return number * int(base["count"] or 1) * _MEMORY_UNITS[base["unit"]]

    def _parse_bool(self, text: str) -> str:
        word = text.strip().lower()
        for words, value in ((_TRUE, "on"), (_FALSE, "off")):
            # The server takes any beginning that only words of one meaning have.
            if word not in {"", "o"} and any(each.startswith(word) for each in words):
                return value
        raise InvalidInput(f"parameter {self.name} is on or off, and not {text!r}")

    def _parse_enum(self, text: str) -> str:
        values = self.enumvals or []
        found = next((value for value in values if value.lower() == text.strip().lower()), None)
        if found is None:
            # Words that the server takes and does not list, such as `true` where it lists `on`.
            found = {
                "true": "on",
                "yes": "on",
                "1": "on",
                "false": "off",
                "no": "off",
                "0": "off",
            }.get(text.strip().lower())
        if found not in values:
            raise InvalidInput(
                f"parameter {self.name} cannot be {text!r}: it is one of {', '.join(values)}"
            )
        return str(found)

    def _parse_number(self, text: str) -> str:
        number = self._in_base_unit(text)
        if self.vartype == "integer":
            number = float(round(number))
        low, high = self.min_val, self.max_val
        if (low is not None and number < float(low)) or (high is not None and number > float(high)):
            unit = f" in units of {self.unit}" if self.unit else ""
            raise InvalidInput(
                f"parameter {self.name} cannot be {text!r}: it is from {low} to {high}{unit}"
            )
        return str(int(number)) if self.vartype == "integer" else repr(number)

    def _in_base_unit(self, text: str) -> float:
        match = _NUMBER.fullmatch(text)
        if match is None:
            raise InvalidInput(f"parameter {self.name} is a number, and not {text!r}")
        written = match["number"]
        number = float(int(written, 16)) if "x" in written.lower() else float(written)
        if not match["unit"]:
            return number
        base = _BASE.fullmatch(self.unit or "")
        units = _MEMORY_UNITS if base and base["unit"] in _MEMORY_UNITS else _TIME_UNITS
        if base is None or base["unit"] not in units:
            raise InvalidInput(f"parameter {self.name} has no unit: write {written}")
        if match["unit"] not in units:
            raise InvalidInput(
                f"parameter {self.name} cannot be {text!r}: its units are {', '.join(units)}"
            )
        return number * units[match["unit"]] / (int(base["count"] or 1) * units[base["unit"]])


def read_settings(connection: Connection, names: Iterable[str]) -> dict[str, Setting]:
    """Return the server's parameters of these names (in lower case), as far as it has them.

    Raises:
        OperatorError: DatabaseNotReady unless the cause has a name of its own.
    """
    try:
        with connection.cursor(row_factory=class_row(Setting)) as cursor:
            return {found.name: found for found in cursor.execute(_READ, [sorted(names)])}
    except psycopg.Error as error:
        raise translate(error, "reading the server's parameters", DatabaseNotReady) from error


@dataclass(frozen=True)
class FileSetting:
    """What a server's files say of a parameter.

    Attributes:
        value: as it is written.
        by_alter_system: whether ALTER SYSTEM wrote it.
    """

    value: str
    by_alter_system: bool = False


def read_files(connection: Connection, names: Iterable[str]) -> dict[str, FileSetting]:
    """Return what the server's files say of the parameters of these names (in lower case).

    Raises:
        OperatorError: DatabaseNotReady unless the cause has a name of its own.
    """
    try:
        rows = connection.execute(_READ_FILES, [sorted(names)]).fetchall()
    except psycopg.Error as error:
        raise translate(error, "reading the server's files", DatabaseNotReady) from error
    return {
        str(name): FileSetting(str(value or ""), str(file).endswith("/postgresql.auto.conf"))
        for name, value, file in rows
    }


def find_similar(connection: Connection, name: str) -> str:
    """Return the name of a parameter that is written nearly so; empty where there is none."""
    names = [str(row[0]) for row in connection.execute(_NAMES)]
    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=0.75)), "")


def check_in_session(connection: Connection, setting: Setting, text: str) -> None:
    """Have the server itself judge a value, where a session may set the parameter.

    Raises:
        InvalidInput: it refuses the value; the message is the server's.
        OperatorError: DatabaseNotReady unless the cause has a name of its own.
    """
    if setting.context not in _IN_SESSION:
        return
    statement = sql.SQL("SET LOCAL {name} = {value}").format(
        name=sql.Identifier(setting.name), value=sql.Literal(text)
    )
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(statement)
    except (psycopg.errors.DataError, psycopg.errors.SyntaxErrorOrAccessRuleViolation) as error:
        raise InvalidInput(
            f"parameter {setting.name} cannot be {text!r}: {error.diag.message_primary}"
        ) from error
    except psycopg.Error as error:
        raise translate(error, "checking a parameter", DatabaseNotReady) from error


def find_missing_libraries(connection: Connection, libraries: Iterable[str]) -> list[str]:
    """Return those libraries of which the server's folder of libraries has no file.

    None is loaded, so none runs.
    """
    row = connection.execute(_LIBRARIES).fetchone()
    assert row is not None
    missing = []
    for library in libraries:
        found = connection.execute(_IS_FILE, [f"{row[0]}/{library}.so"]).fetchone()
        if found is None or not found[0]:
            missing.append(library)
    return missing


def read_memory(connection: Connection) -> int:
    """Return the memory of the server's node in bytes; 0 where it does not say."""
    try:
        row = connection.execute(_MEMORY).fetchone()
    except psycopg.Error:
        return 0
    match = re.search(r"^MemTotal:\s*(\d+) kB", str(row[0]) if row else "", re.MULTILINE)
    return int(match[1]) << 10 if match else 0
