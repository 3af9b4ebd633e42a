"""Which releases have which security fixes, and what is said of those that lack them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.postgres.releases import (
    FIXES,
    Version,
    missing_fixes,
    require_fixes,
)

ROOT = Path(__file__).resolve().parents[3]
PAGES = ("README.md", "crds/database.example.com_databases.yaml", "plugins/modules/pg_dump.py")
FIXED = {
    "pg_dump": ["14.24", "15.19", "16.15", "17.11", "18.6", "19.0"],
    "psql": ["14.24", "15.19", "16.15", "17.11", "18.6", "19.0"],
    "pg_restore": ["13.22", "14.19", "15.14", "16.10", "17.6", "18.0", "19.0"],
}
BROKEN = {
    "pg_dump": ["13.99", "14.23", "15.18", "16.14", "17.10", "18.5"],
    "psql": ["13.99", "14.23", "15.18", "16.14", "17.10", "18.5"],
    "pg_restore": ["12.99", "13.21", "14.18", "15.13", "16.9", "17.5"],
}


def pairs(versions: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(program, version) for program in versions for version in versions[program]]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("pg_dump (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)", Version(15, 20)),
        ("pg_restore (PostgreSQL) 18.0", Version(18, 0)),
        ("pg_restore (PostgreSQL) 19devel", Version(19, 0)),
    ],
)
def test_versions_are_read(text: str, version: Version) -> None:
    assert Version.from_program(text) == version


@pytest.mark.parametrize(("program", "version"), pairs(FIXED))
def test_a_program_with_the_fixes_is_run(program: str, version: str) -> None:
    require_fixes(program, Version.from_text(version))


@pytest.mark.parametrize(("program", "version"), pairs(BROKEN))
def test_a_program_without_them_is_refused(program: str, version: str) -> None:
    with pytest.raises(errors.ServerVersionUnsupported, match=r"lacks the fix.*: use \d+\.\d+"):
        require_fixes(program, Version.from_text(version))


def test_what_is_refused_names_what_it_lacks_and_what_to_use() -> None:
    with pytest.raises(errors.ServerVersionUnsupported) as caught:
        require_fixes("pg_dump", Version(15, 18))
    assert caught.value.message == (
        "pg_dump 15.18 lacks the fix of CVE-2026-19385: use 15.19 or newer"
    )
    with pytest.raises(
        errors.ServerVersionUnsupported, match=r"14\.24, .* or 18\.6, or newer ones"
    ):
        require_fixes("pg_dump", Version(13, 23))


def test_what_a_server_lacks() -> None:
    for text in ("15.20", "17.12", "18.7", "19rc1", "19beta2", "19.0", "unknown"):
        assert missing_fixes(text) == ""
    assert missing_fixes("18.6") == (
        "PostgreSQL 18.6 lacks the fix of CVE-2026-116314: use 18.7 or newer"
    )
    assert "CVE-2026-16238" in missing_fixes("18.5")
    assert "CVE-2026-16238" not in missing_fixes("17.5")
    assert "use 15.20 or newer" in missing_fixes("15.18 (Debian 15.18-0+deb12u1)")
    assert "18beta1" not in missing_fixes("18beta1") != ""


@pytest.mark.parametrize("page", PAGES)
def test_the_pages_name_the_releases_of_the_table(page: str) -> None:
    newest: dict[int, int] = {}
    for fix in FIXES:
        if fix.refused and "pg_dump" in fix.programs:
            for major, minor in fix.minors.items():
                newest[major] = max(newest.get(major, 0), minor)
    # No release of 13 has them all.
    wanted = [f"{major}.{minor}" for major, minor in sorted(newest.items()) if major > 13]
    text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
    assert re.search(r",? ?(or )?".join(map(re.escape, wanted)), text), wanted
