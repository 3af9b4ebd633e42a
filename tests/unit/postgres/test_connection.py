"""How the password gets to the programs."""

from __future__ import annotations

import socket
import stat
import time
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.postgres import connection
from ansible_collections.postgres.operator.plugins.module_utils.postgres.connection import (
    ConnectionParameters,
    Tls,
    connect,
    program_environment,
    superuser_options,
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


def test_another_role_is_checked_the_same_way_and_shows_no_certificate() -> None:
    tls = Tls("verify-full", Path("/ca"), Path("/certificate"), Path("/key"))
    superuser = replace(parameters(None), tls=tls, hostaddr="10.0.0.7")
    reader = superuser.as_user("reader", Path("/password"))
    parsed = conninfo.conninfo_to_dict(reader.conninfo())
    assert parsed["user"] == "reader"
    assert (parsed["sslmode"], parsed["sslrootcert"]) == ("verify-full", "/ca")
    assert (parsed["host"], parsed["hostaddr"]) == ("h", "10.0.0.7")
    assert not {"sslcert", "sslkey"} & parsed.keys()
    assert (superuser.require_auth, reader.require_auth) == ("none", "scram-sha-256")


def test_programs_accept_what_sessions_accept(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PGREQUIREAUTH", "password")
    path = tmp_path / "password"
    path.write_text("word")
    for asked, accepted in ((parameters(path), "scram-sha-256"), (parameters(None), None)):
        with program_environment(asked) as environment:
            assert environment.get("PGREQUIREAUTH") == accepted


def test_another_server_must_have_the_same_name() -> None:
    parsed = conninfo.conninfo_to_dict(parameters(None).at("10.0.0.8").conninfo())
    assert (parsed["host"], parsed["hostaddr"]) == ("h", "10.0.0.8")


@pytest.mark.parametrize(
    ("answers", "lookups"),
    [
        ([socket.EAI_AGAIN, socket.EAI_AGAIN, socket.EAI_NONAME], 3),
        ([socket.EAI_NONAME], 1),
        ([socket.EAI_AGAIN] * 8, 8),
    ],
)
def test_a_name_server_that_cannot_answer_now_is_asked_again(
    monkeypatch, answers: list[int], lookups: int
) -> None:
    asked = []

    def look_up(host: str, *_: object, **__: object) -> None:
        asked.append(host)
        raise socket.gaierror(answers[len(asked) - 1], "as the resolver words it")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with pytest.raises(errors.DatabaseNotReady, match="as the resolver words it"):
        connect(parameters(None))
    assert asked == ["h"] * lookups


SETTINGS = "-c temp_file_limit=-1 -c lc_messages=C"


@pytest.mark.parametrize(
    ("refused", "options"),
    [
        ("", f"{SETTINGS} -c event_triggers=off"),
        ('FATAL: unrecognized configuration parameter "event_triggers"', SETTINGS),
        ("FATAL: unbekannter Konfigurationsparameter »event_triggers«", SETTINGS),
        ('FATAL: permission denied to set parameter "log_min_messages"', ""),
    ],
)
def test_a_superuser_is_bothered_by_no_event_trigger(monkeypatch, refused, options) -> None:
    tried = []

    class Session:
        def close(self) -> None:
            """As the real one."""

    def open_(_: object, options: str) -> Session:
        tried.append(options)
        if refused:
            raise psycopg.OperationalError(refused)
        return Session()

    monkeypatch.setattr(connection, "_options", {})
    monkeypatch.setattr(connection, "_open", open_)
    for _ in range(2):
        assert superuser_options(parameters(None)) == options
    assert tried == [f"-c log_min_messages=panic {SETTINGS} -c event_triggers=off"]
    assert superuser_options(parameters(None).as_user("reader", None)) == ""


def test_what_a_server_refuses_otherwise_is_no_answer(monkeypatch) -> None:
    def refuse(_: object, __: str) -> None:
        raise psycopg.OperationalError("FATAL: the database system is starting up")

    monkeypatch.setattr(connection, "_options", {})
    monkeypatch.setattr(connection, "_open", refuse)
    with pytest.raises(errors.DatabaseNotReady, match="starting up"):
        connect(parameters(None))
    assert connection._options == {}
