"""Tables that belong to extensions: no dump has them, and nobody is left to believe so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact.create import (
    create_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.selection import (
    parse_selection,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.verify import (
    VerifyRequest,
    verify_artifact,
)

NAME = "proof_of_members"

SCRIPT = """
CREATE TABLE settings (name text, value text, own boolean NOT NULL DEFAULT false);
INSERT INTO settings VALUES ('default', 'of the script', true);
SELECT pg_catalog.pg_extension_config_dump('settings', 'WHERE NOT own');
CREATE TABLE runs (n int);
CREATE TABLE words (w text);
INSERT INTO words VALUES ('of the script');
"""
SCRIPT_1_1 = SCRIPT + "ALTER TABLE words RENAME w TO word;"


def folder_of(bench_or_server) -> Path:
    """Where the server looks for extensions."""
    with bench_or_server.connect("postgres") as connection:
        row = connection.execute("SELECT setting FROM pg_config() WHERE name = 'SHAREDIR'")
        return Path(row.fetchone()[0], "extension")


@pytest.fixture
def extension(postgres_server) -> Iterator[Path]:
    """An extension's files in the server's folder; the default version is 1.0."""
    folder = folder_of(postgres_server)
    control = folder / f"{NAME}.control"
    scripts = [folder / f"{NAME}--1.0.sql", folder / f"{NAME}--1.1.sql"]
    control.write_text("default_version = '1.0'\nrelocatable = true\n")
    for path, script in zip(scripts, (SCRIPT, SCRIPT_1_1), strict=True):
        path.write_text(script)
    yield control
    for path in (control, *scripts):
        path.unlink()


@pytest.fixture
def verify(bench, scratch):
    """Verify the bench's artifact; returns what that returns."""
    return lambda: verify_artifact(VerifyRequest(bench.store, bench.location, scratch, jobs=2))


def adopt(bench) -> None:
    """Make a table with 200 rows a member of an extension."""
    bench.execute(
        "CREATE TABLE adopted AS SELECT generate_series(1, 200) AS n;"
        "ALTER EXTENSION plpgsql ADD TABLE adopted"
    )


def test_a_table_that_was_added_by_hand_is_told_at_the_backup(bench) -> None:
    adopt(bench)
    summary = create_artifact(bench.backup_request()).summary()
    assert '"public"."adopted" (extension plpgsql)' in summary["warning"]


def test_a_table_that_was_added_by_hand_fails_the_verification(bench, verify) -> None:
    adopt(bench)
    bench.backup()
    with pytest.raises(
        errors.VerificationFailed,
        match=r'"public"\."adopted" .*missing with its 200 rows'
        r'.*ALTER EXTENSION "plpgsql" DROP TABLE "public"\."adopted"',
    ):
        verify()


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_table_that_was_added_by_hand_fails_the_restore(bench, dry_run) -> None:
    adopt(bench)
    bench.backup()
    bench.execute("UPDATE version SET name = 'new'")
    before = bench.databases()
    with pytest.raises(errors.RestoreFailed, match=r'"public"\."adopted"'):
        bench.restore(dry_run=dry_run)
    assert bench.databases() == before
    assert bench.scalar("SELECT name FROM version") == "new"
    assert bench.scalar("SELECT count(*) FROM adopted") == 200


def test_what_the_message_says_helps(bench, verify) -> None:
    adopt(bench)
    bench.execute('ALTER EXTENSION "plpgsql" DROP TABLE "public"."adopted"')
    summary = create_artifact(bench.backup_request()).summary()
    assert "warning" not in summary
    assert "warning" not in verify()
    bench.execute("DROP TABLE adopted")
    bench.restore()
    assert bench.scalar("SELECT count(*) FROM adopted") == 200


def test_a_member_that_is_owned_by_a_user_is_read_as_this_user(bench, verify) -> None:
    """An index predicate of the owner is executed in no superuser's session."""
    bench.execute("DROP ROLE IF EXISTS curious; CREATE ROLE curious")
    try:
        bench.execute(
            "CREATE SCHEMA curious AUTHORIZATION curious; SET ROLE curious;"
            "CREATE FUNCTION curious.spy() RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS"
            " $$BEGIN IF (SELECT rolsuper FROM pg_roles WHERE rolname = session_user)"
            " THEN RAISE 'executed by a superuser'; END IF; RETURN true; END$$;"
            "SET SESSION AUTHORIZATION curious;"
            "CREATE TABLE curious.mine AS SELECT 1 AS n;"
            "CREATE INDEX ON curious.mine (n) WHERE curious.spy();"
            "RESET SESSION AUTHORIZATION; ALTER EXTENSION plpgsql ADD TABLE curious.mine"
        )
        summary = create_artifact(bench.backup_request()).summary()
        assert '"curious"."mine"' in summary["warning"]
    finally:
        bench.execute(
            "ALTER EXTENSION plpgsql DROP TABLE curious.mine; DROP OWNED BY curious CASCADE;"
            "DROP ROLE curious"
        )


def test_configuration_is_dumped_and_compared(bench, extension, verify) -> None:
    bench.execute(
        f"CREATE EXTENSION {NAME}; INSERT INTO settings VALUES ('mine', 'of the user'),"
        " ('yours', 'too'); UPDATE settings SET value = 'changed' WHERE own"
    )
    summary = create_artifact(bench.backup_request()).summary()
    assert '"settings"' not in summary["warning"]
    assert '"words"' in summary["warning"]
    assert '"runs"' not in summary["warning"]
    assert "warning" not in verify()
    bench.execute("DELETE FROM settings")
    outcome = bench.restore()
    assert "warning" not in outcome.summary
    assert bench.scalar("SELECT count(*) FROM settings WHERE NOT own") == 2


def test_configuration_that_the_script_gives_to_a_user_takes_consent(bench, extension) -> None:
    """Such a user could have a trigger on it, which a superuser would execute."""
    bench.execute("DROP ROLE IF EXISTS curious; CREATE ROLE curious")
    script = SCRIPT + "ALTER TABLE settings OWNER TO curious;"
    (folder_of(bench) / f"{NAME}--1.0.sql").write_text(script)
    try:
        bench.execute(f"CREATE EXTENSION {NAME}; INSERT INTO settings VALUES ('mine', 'x')")
        bench.backup()
        with pytest.raises(
            errors.RestoreFailed,
            match=r"rows of public\.settings.*belongs to curious.*consent\.loadAsSuperuser: true",
        ):
            bench.restore()
        bench.execute("DELETE FROM settings")
        bench.restore(as_superuser=True, keep_previous=timedelta(0))
        assert bench.scalar("SELECT count(*) FROM settings WHERE NOT own") == 1
    finally:
        bench.execute(f"DROP EXTENSION {NAME}; DROP ROLE curious")


def test_configuration_that_is_not_what_was_backed_up_fails(bench, extension, verify) -> None:
    bench.execute(f"CREATE EXTENSION {NAME}; INSERT INTO settings VALUES ('mine', 'x')")
    bench.backup()
    path = folder_of(bench) / f"{NAME}--1.0.sql"
    path.write_text(SCRIPT + "INSERT INTO settings VALUES ('another', 'row');")
    with pytest.raises(
        errors.VerificationFailed, match=r'configuration table "public"\."settings".* has 2 rows'
    ):
        verify()
    with pytest.raises(errors.RestoreFailed, match=r'"public"\."settings"'):
        bench.restore()


def test_rows_that_the_extension_makes_anew_are_told(bench, extension, verify) -> None:
    bench.execute(
        f"CREATE EXTENSION {NAME}; INSERT INTO runs VALUES (1), (2);"
        "INSERT INTO words VALUES ('of a user')"
    )
    summary = create_artifact(bench.backup_request()).summary()
    assert '"runs"' in summary["warning"]
    for warning in (
        verify()["warning"],
        bench.restore(dry_run=True).summary["warning"],
        bench.restore().summary["warning"],
    ):
        assert f'"public"."runs" (extension {NAME})' in warning
        assert '"words"' in warning
    assert bench.scalar("SELECT count(*) FROM runs") == 0


def test_a_part_of_the_rows_is_not_compared_by_extensions(bench) -> None:
    adopt(bench)
    selection = parse_selection({"tables": ["public.version"]}, None)
    summary = create_artifact(bench.backup_request(selection=selection)).summary()
    assert "warning" not in summary
    parameters = bench.parameters
    bench.restore(partial=True, parameters=parameters)
    assert bench.scalar("SELECT name FROM version") == "old"


def test_an_extension_is_restored_at_its_version(bench, extension, verify) -> None:
    """In a schema of its own, with a view that the server's default version cannot have."""
    bench.execute(
        f'CREATE SCHEMA "of it"; CREATE EXTENSION {NAME} SCHEMA "of it";'
        'CREATE VIEW wordy AS SELECT w FROM "of it".words'
    )
    bench.backup()
    extension.write_text("default_version = '1.1'\nrelocatable = true\n")
    verify()
    bench.restore()
    assert bench.scalar("SELECT w FROM wordy") == "of the script"
    version = f"SELECT extversion FROM pg_extension WHERE extname = '{NAME}'"
    assert bench.scalar(version) == "1.0"


def test_a_view_that_another_version_has_no_column_for_names_both(bench, extension) -> None:
    bench.execute(f"CREATE EXTENSION {NAME}; CREATE VIEW wordy AS SELECT w FROM words")
    bench.backup()
    (folder_of(bench) / f"{NAME}--1.0.sql").unlink()
    extension.write_text("default_version = '1.1'\nrelocatable = true\n")
    try:
        with pytest.raises(errors.RestoreFailed, match=rf"{NAME} 1\.0, here 1\.1"):
            bench.restore()
    finally:
        (folder_of(bench) / f"{NAME}--1.0.sql").write_text(SCRIPT)
