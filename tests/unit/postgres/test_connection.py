"""How the password gets to the programs."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import (
    ConnectionParameters,
    program_environment,
)
from psycopg import conninfo


def parameters(path: Path | None) -> ConnectionParameters:
    return ConnectionParameters("h", 5432, "u", "d", path)


@pytest.mark.parametrize(
    ("content", "password"),
    [("plain", "plain"), ("line\n", "line"), ("dos\r\n", "dos"), (" spaces \n", " spaces ")],
)
def test_one_line_end_is_no_part_of_the_password(tmp_path, content: str, password: str) -> None:
    path = tmp_path / "password"
    path.write_bytes(content.encode())
    assert parameters(path).read_password() == password


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", errors.SecretMissing),
        (b"\n", errors.SecretMissing),
        (b"\xff", errors.SecretMissing),
        (b"a\nb", errors.InvalidInput),
        (b"a\0b", errors.InvalidInput),
        (None, errors.SecretMissing),
    ],
)
def test_password_files_that_cannot_be_used(tmp_path, content: bytes | None, error: type) -> None:
    path = tmp_path / "password"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match="password"):
        parameters(path).read_password()


def test_the_pgpass_file(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "of somebody else")
    path = tmp_path / "password"
    path.write_text("a:b\\c")
    with program_environment(parameters(path)) as environment:
        passfile = Path(environment["PGPASSFILE"])
        assert passfile.read_text() == "*:*:*:*:a\\:b\\\\c\n"
        assert stat.S_IMODE(passfile.stat().st_mode) == 0o600
        assert stat.S_IMODE(passfile.parent.stat().st_mode) == 0o700
        assert "PGPASSWORD" not in environment
        assert not any("a:b" in value for value in environment.values())
    assert not passfile.parent.exists()


def test_a_database_name_is_never_a_connection_string() -> None:
    name = "host=evil user='x"
    parsed = conninfo.conninfo_to_dict(parameters(None).conninfo(name))
    assert (parsed["dbname"], parsed["host"], parsed["user"]) == (name, "h", "u")
