"""PostgreSQL's releases, and the first of each major version that has a security fix.

The only place that names them. Which program, which release: PostgreSQL's own security pages,
https://www.postgresql.org/support/security/CVE-.../.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import ServerVersionUnsupported

SERVER = "postgres"


@dataclass(frozen=True, order=True)
class Version:
    """A PostgreSQL version as 10 and later number them."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"

    @classmethod
    def from_number(cls, number: int) -> Version:
        """From server_version_num.

        >>> str(Version.from_number(150020))
        '15.20'
        """
        return cls(number // 10000, number % 10000)

    @classmethod
    def from_text(cls, text: str) -> Version:
        """From server_version; a beta or a release candidate counts as minor 0.

        >>> str(Version.from_text("17.12")), str(Version.from_text("19rc1"))
        ('17.12', '19.0')
        """
        match = re.match(r"(\d+)(?:\.(\d+))?", text)
        if match is None:
            raise ServerVersionUnsupported(f"not a version of PostgreSQL: {text.strip()!r}")
        return cls(int(match[1]), int(match[2] or 0))

    @classmethod
    def from_program(cls, text: str) -> Version:
        """From what ``pg_dump --version`` prints.

        >>> str(Version.from_program("pg_dump (PostgreSQL) 18beta1"))
        '18.0'
        """
        _, _, version = text.partition("(PostgreSQL) ")
        return cls.from_text(version or text)


@dataclass(frozen=True)
class Fix:
    """A security fix.

    Attributes:
        cve: its number.
        programs: which programs have to have it; SERVER is the server itself.
        minors: the first minor release of each major version that has it. Newer majors have it from
            their start; older ones never got it, unless ``since`` says that they do not need it.
        since: the first major version with the fault.
        refused: whether a program without it is not run. Else a condition warns.
    """

    cve: str
    programs: tuple[str, ...]
    minors: Mapping[int, int]
    since: int = 0
    refused: bool = False

    def is_missing(self, version: Version) -> bool:
        """Return whether that version has the fault."""
        if version.major < self.since or version.major > max(self.minors):
            return False
        first = self.minors.get(version.major)
        return first is None or version.minor < first


# By the day of the release.
_2025_08_14 = {13: 22, 14: 19, 15: 14, 16: 10, 17: 6}
_2026_05_14 = {14: 23, 15: 18, 16: 14, 17: 10, 18: 4}
_2026_08_13 = {14: 24, 15: 19, 16: 15, 17: 11, 18: 6}
_2026_11_12 = {14: 25, 15: 20, 16: 16, 17: 12, 18: 7}

FIXES: Sequence[Fix] = (
    # Names and text in a dump become commands when it is restored.
    Fix("CVE-2025-8714", ("pg_dump", "pg_restore", "psql"), _2025_08_14, refused=True),
    Fix("CVE-2025-8715", ("pg_dump", "pg_restore", "psql"), _2025_08_14, refused=True),
    Fix("CVE-2026-6464", ("psql",), _2026_08_13, refused=True),
    Fix("CVE-2026-18408", ("psql",), _2026_08_13, refused=True),
    # A server, or who may create a function in it, runs code in pg_dump.
    Fix("CVE-2026-6477", ("pg_dump", "psql"), _2026_05_14, refused=True),
    Fix("CVE-2026-19385", ("pg_dump",), _2026_08_13, refused=True),
    # An archive that was made for it runs code in pg_restore. It reads none whose checksum is not
    # the one that was recorded when the backup was made.
    Fix("CVE-2026-116314", ("pg_restore",), _2026_11_12),
    # A primary writes outside the folder of its replica. Patroni runs these.
    Fix("CVE-2026-6475", ("pg_basebackup", "pg_rewind"), _2026_05_14),
    # The owner of an object becomes superuser, by the text that the server makes for a dump.
    Fix("CVE-2026-15741", (SERVER,), _2026_08_13),
    # A user who may create objects runs code in the server, by statistics.
    Fix("CVE-2026-16238", (SERVER,), {18: 6}, since=18),
)


_WITH_COLUMN_VERSIONS = {**_2026_11_12, 19: 1}
"""The first minor releases that mark each new column with ``pg_attver`` in its options, the fix of
CVE-2026-6460, and whose pg_dump leaves that out. Others write it into the dump, and servers that do
not know it refuse it."""


def knows_column_versions(version: Version) -> bool:
    """Return whether a release leaves the mark of columns out of a dump."""
    first = _WITH_COLUMN_VERSIONS.get(version.major)
    if first is None:
        return version.major > max(_WITH_COLUMN_VERSIONS)
    return version.minor >= first


def with_column_versions(version: Version) -> str:
    """Return which release of the same major version does, for people.

    >>> with_column_versions(Version(17, 11))
    '17.12 or newer'
    """
    first = _WITH_COLUMN_VERSIONS.get(version.major)
    return f"{version.major}.{first} or newer" if first is not None else "a newer major version"


def require_fixes(program: str, version: Version) -> None:
    """Refuse a program that would run what a hostile server or dump smuggles in.

    Raises:
        ServerVersionUnsupported: a fix is missing without which it is not run.
    """
    missing = [
        fix for fix in FIXES if fix.refused and program in fix.programs and fix.is_missing(version)
    ]
    if missing:
        raise ServerVersionUnsupported(
            f"{program} {version} lacks the {_fixes(missing)}: use {_wanted(missing, version)}"
        )


def missing_fixes(text: str) -> str:
    """What an image of that version lacks, and which release has it; empty where it lacks nothing.

    Args:
        text: a server's version as it writes it. One that cannot be read lacks nothing.
    """
    try:
        version = Version.from_text(text)
    except ServerVersionUnsupported:
        return ""
    missing = [fix for fix in FIXES if fix.is_missing(version)]
    if not missing:
        return ""
    return f"PostgreSQL {version} lacks the {_fixes(missing)}: use {_wanted(missing, version)}"


def _fixes(missing: Sequence[Fix]) -> str:
    return f"fix{'es' if len(missing) > 1 else ''} of {', '.join(fix.cve for fix in missing)}"


def _wanted(missing: Sequence[Fix], version: Version) -> str:
    """The release of the same major version that has them all, or else those of all others.

    >>> _wanted(FIXES, Version(17, 1)), _wanted(FIXES[:1], Version(12, 1))
    ('17.12 or newer', '13.22, 14.19, 15.14, 16.10 or 17.6, or newer ones of these')
    """
    minors = [fix.minors.get(version.major) for fix in missing]
    same = [minor for minor in minors if minor is not None]
    if len(same) == len(minors):
        return f"{version.major}.{max(same)} or newer"
    newest = max((fix.minors for fix in missing), key=lambda those: max(those.values()))
    *names, last = (str(Version(*first)) for first in sorted(newest.items()))
    return f"{', '.join(names)} or {last}, or newer ones of these"
