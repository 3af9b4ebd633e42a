"""Roles that a backup needs and the server lacks, as after the loss of everything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact import restore

READER, WRITER = 'Reader "ü"', "gone; writer"


@pytest.fixture
def lost(bench) -> Iterator[object]:
    """A bench that was backed up, whose server then lost two roles."""
    quoted = [f'"{name.replace(chr(34), chr(34) * 2)}"' for name in (READER, WRITER)]
    bench.execute("DROP ROLE IF EXISTS " + ", ".join(quoted))
    for role in quoted:
        bench.execute(f"CREATE ROLE {role} SUPERUSER LOGIN")
    bench.execute(
        f"GRANT SELECT ON numbers TO {quoted[0]}; ALTER TABLE version OWNER TO {quoted[1]}"
    )
    bench.backup()
    bench.execute(f"ALTER TABLE version OWNER TO postgres; DROP OWNED BY {quoted[0]}")
    bench.execute("DROP ROLE " + ", ".join(quoted))
    yield bench
    with bench.connect("postgres") as connection:
        for (name,) in connection.execute(
            "SELECT datname FROM pg_database WHERE datname NOT IN"
            " ('postgres', 'template0', 'template1')"
        ).fetchall():
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        connection.execute("DROP ROLE IF EXISTS " + ", ".join(quoted))


def roles(bench) -> dict[str, tuple[bool, ...]]:
    with bench.connect("postgres") as connection:
        rows = connection.execute(
            "SELECT rolname, rolcanlogin, rolsuper FROM pg_roles WHERE rolname = ANY(%s)",
            [[READER, WRITER]],
        ).fetchall()
    return {name: (login, superuser) for name, login, superuser in rows}


def test_they_are_made_without_login_and_named(lost) -> None:
    summary = lost.restore().summary
    assert roles(lost) == {READER: (False, False), WRITER: (False, False)}
    assert (
        f'roles "Reader ""ü""", "{WRITER}" were missing, and made without login'
        in summary["warning"]
    )
    owner = "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE relname = 'version'"
    assert lost.scalar(owner) == WRITER
    granted = "SELECT has_table_privilege(oid, 'numbers', 'SELECT') FROM pg_roles WHERE rolname = "
    assert lost.scalar(granted + "'Reader \"ü\"'")
    lost.backup_request()
    assert "missing" not in (lost.restore().summary.get("warning") or "")


def test_a_dry_run_names_them_and_leaves_none(lost) -> None:
    assert WRITER in lost.restore(dry_run=True).summary["warning"]
    assert roles(lost) == {}


def test_a_restore_that_fails_leaves_none(lost, monkeypatch) -> None:
    def fail(*_: object) -> None:
        assert set(roles(lost)) == {READER, WRITER}
        raise errors.RestoreFailed("on purpose")

    monkeypatch.setattr(restore, "swap", fail)
    with pytest.raises(errors.RestoreFailed, match="on purpose"):
        lost.restore()
    assert roles(lost) == {}


def test_the_role_that_applications_log_in_as_has_to_be_there(bench) -> None:
    bench.execute("DROP ROLE IF EXISTS former; CREATE ROLE former")
    bench.execute(f'ALTER DATABASE "{bench.database}" OWNER TO former')
    bench.backup()
    bench.execute(f'ALTER DATABASE "{bench.database}" OWNER TO postgres; DROP ROLE former')
    with pytest.raises(errors.RestoreFailed, match=r'role "former", which .* username'):
        bench.restore()
