"""What lies outside the database and belongs to it: its roles, what they may, their members."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact.progress import Progress
from ansible_collections.postgres.operator.plugins.module_utils.artifact.restore import (
    restore_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.verify import (
    VerifyRequest,
    verify_artifact,
)
from psycopg import sql

PEOPLE, READER, WRITER, OTHER = 'People "ü"', "reader; DROP", "{{ writer }}", "another tenant"
ALL = (PEOPLE, READER, WRITER, OTHER)


def quote(name: str) -> str:
    return sql.Identifier(name).as_string()


def drop(bench, *names: str) -> None:
    for name in names:
        bench.execute(f"DROP ROLE IF EXISTS {quote(name)}", "postgres")


@pytest.fixture
def lost(bench) -> Iterator[object]:
    """A bench that was backed up, whose server then lost all roles but one of another database."""
    drop(bench, *ALL)
    people, reader, writer, other = map(quote, ALL)
    bench.execute(
        f"CREATE ROLE {people} NOLOGIN;"
        f"CREATE ROLE {reader} LOGIN NOINHERIT CONNECTION LIMIT 7 VALID UNTIL '2031-01-02 03:04:05Z'"
        " PASSWORD 'a reader''s';"
        f"CREATE ROLE {writer} SUPERUSER CREATEDB CREATEROLE REPLICATION BYPASSRLS LOGIN;"
        f"CREATE ROLE {other} LOGIN;"
        f"COMMENT ON ROLE {reader} IS 'it''s; $(id) {{{{ 6 * 7 }}}}';"
        f"ALTER ROLE {reader} SET work_mem = '9MB';"
        f"ALTER ROLE {reader} SET search_path = \"$user\", 'a b';"
        f"ALTER ROLE {reader} SET log_statement = 'all';"
        f"ALTER ROLE {reader} IN DATABASE \"{bench.database}\" SET work_mem = '10MB';"
        f"GRANT {people} TO {reader} WITH ADMIN OPTION;"
        f"GRANT {people} TO {other}; GRANT {other} TO {reader};"
        f"GRANT pg_execute_server_program, pg_read_all_data TO {reader};"
        f"GRANT SELECT ON numbers TO {people}, {reader}; ALTER TABLE version OWNER TO {writer};"
    )
    bench.backup()
    bench.execute(
        f"ALTER TABLE version OWNER TO postgres; DROP OWNED BY {people}, {reader};"
        f"REVOKE {other} FROM {reader}"
    )
    drop(bench, PEOPLE, READER, WRITER)
    yield bench
    for name in bench.databases():
        bench.execute(f"DROP DATABASE {quote(name)} WITH (FORCE)", "postgres")
    drop(bench, *ALL)


def attributes(bench, name: str) -> tuple[object, ...]:
    with bench.connect("postgres") as connection:
        return connection.execute(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls,"
            "       rolcanlogin, rolinherit, rolconnlimit, rolvaliduntil AT TIME ZONE 'UTC',"
            "       shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = %s",
            [name],
        ).fetchone()


def members(bench) -> set[tuple[str, str, bool]]:
    with bench.connect("postgres") as connection:
        rows = connection.execute(
            "SELECT r.rolname, m.rolname, admin_option FROM pg_auth_members"
            "  JOIN pg_roles r ON r.oid = roleid JOIN pg_roles m ON m.oid = member"
            " WHERE m.rolname = ANY (%s)",
            [list(ALL)],
        ).fetchall()
    return set(rows)


def settings(bench) -> set[tuple[str, str | None, str]]:
    with bench.connect("postgres") as connection:
        rows = connection.execute(
            "SELECT rolname, datname, unnest(setconfig) FROM pg_db_role_setting"
            "  JOIN pg_roles r ON r.oid = setrole LEFT JOIN pg_database d ON d.oid = setdatabase"
            " WHERE rolname = ANY (%s)",
            [list(ALL)],
        ).fetchall()
    return set(rows)


def edit(bench, change) -> None:
    """Change what the manifest says of the server, as who made it could have done."""
    path = bench.folder / "manifest.json"
    document = json.loads(path.read_text())
    change(document["source"]["globals"])
    path.write_text(json.dumps(document))


def test_they_are_made_with_what_gives_no_right(lost) -> None:
    lost.restore()
    *rights, login, inherit, limit, until, comment = attributes(lost, READER)
    assert not any(rights)
    assert (login, inherit, limit) == (False, False, 7)
    assert str(until) == "2031-01-02 03:04:05"
    assert comment == "it's; $(id) {{ 6 * 7 }}"
    assert attributes(lost, WRITER)[:7] == (False, False, False, False, False, False, True)


def test_they_are_members_of_each_other_and_of_no_other(lost) -> None:
    """Not of a role that is there, as the owner of another database: nor is that one of them."""
    lost.restore()
    assert members(lost) == {(PEOPLE, READER, True)}


def test_settings_are_those_that_a_role_may_give_itself(lost) -> None:
    warning = lost.restore().summary["warning"]
    assert settings(lost) == {
        (READER, None, "work_mem=9MB"),
        (READER, None, 'search_path="$user", "a b"'),
    }
    assert f"log_statement of role {quote(READER)}" in warning


def test_a_new_database_gets_their_settings_in_it_too(lost) -> None:
    lost.restore(parameters=replace(lost.parameters, dbname="beside"))
    assert (READER, "beside", "work_mem=10MB") in settings(lost)


def test_what_is_not_given_is_named_with_the_statement(lost) -> None:
    warning = lost.restore().summary["warning"]
    for statement in (
        f"ALTER ROLE {quote(WRITER)} SUPERUSER CREATEDB CREATEROLE REPLICATION BYPASSRLS LOGIN",
        f"ALTER ROLE {quote(READER)} LOGIN",
        f'GRANT "pg_execute_server_program" TO {quote(READER)}',
        f"GRANT {quote(OTHER)} TO {quote(READER)}",
        f"GRANT {quote(PEOPLE)} TO {quote(OTHER)}",
    ):
        assert statement in warning
    assert f"{quote(READER)} of {quote(PEOPLE)}" in warning
    with lost.connect("postgres") as connection:
        connection.execute(f"ALTER ROLE {quote(WRITER)} SUPERUSER CREATEDB")


def test_a_role_that_is_there_is_not_changed(lost) -> None:
    lost.execute(f"CREATE ROLE {quote(READER)} CREATEDB; CREATE ROLE {quote(PEOPLE)}", "postgres")
    before = attributes(lost, READER)
    lost.restore()
    assert attributes(lost, READER) == before
    assert members(lost) == set()
    assert settings(lost) == set()


def test_one_that_another_session_makes_meanwhile_is_not_changed(lost, monkeypatch) -> None:
    from ansible_collections.postgres.operator.plugins.module_utils.artifact import made_roles

    real = made_roles.create_role

    def create(connection, role, *arguments):
        if role.name == READER:
            lost.execute(f"CREATE ROLE {quote(READER)}", "postgres")
        return real(connection, role, *arguments)

    monkeypatch.setattr(made_roles, "create_role", create)
    warning = lost.restore().summary["warning"]
    assert attributes(lost, READER)[7:] == (-1, None, None)
    assert members(lost) == set()
    assert f"ALTER ROLE {quote(READER)}" not in warning


def test_all_statements_are_in_the_log(lost, tmp_path) -> None:
    """The message has room for some."""
    log = tmp_path / "log"
    restore_artifact(lost.restore_request(), Progress(log))
    assert f"ALTER ROLE {quote(WRITER)} SUPERUSER" in log.read_text()
    assert f'GRANT "pg_read_all_data" TO {quote(READER)}' in log.read_text()


def test_a_dry_run_names_all_that_and_leaves_nothing(lost) -> None:
    warning = lost.restore(dry_run=True).summary["warning"]
    assert f"ALTER ROLE {quote(WRITER)} SUPERUSER" in warning
    assert attributes(lost, READER) is None
    assert members(lost) == {}.keys()
    assert settings(lost) == set()


def test_a_backup_cannot_make_its_roles_members_of_a_superuser(lost) -> None:
    def change(said) -> None:
        for member in (READER, WRITER, OTHER):
            said["memberships"].append(
                {"role": "postgres", "member": member, "admin": True, "inherit": None, "set": None}
            )

    edit(lost, change)
    warning = lost.restore().summary["warning"]
    assert members(lost) == {(PEOPLE, READER, True)}
    assert f'GRANT "postgres" TO {quote(READER)} WITH ADMIN OPTION' in warning


def test_members_in_a_circle_are_refused_and_named(lost) -> None:
    def change(said) -> None:
        said["memberships"].append(
            {"role": READER, "member": PEOPLE, "admin": False, "inherit": None, "set": None}
        )

    edit(lost, change)
    warning = lost.restore().summary["warning"]
    assert f"PostgreSQL refused GRANT {quote(READER)} TO {quote(PEOPLE)}" in warning
    assert members(lost) == {(PEOPLE, READER, True)}


def test_a_role_with_a_privilege_on_the_database_only(bench) -> None:
    """It is needed where the database gets the backup's privileges."""
    drop(bench, READER)
    bench.execute(f"CREATE ROLE {quote(READER)}")
    bench.execute(f'GRANT CONNECT ON DATABASE "{bench.database}" TO {quote(READER)}')
    bench.backup()
    bench.execute(f'REVOKE ALL ON DATABASE "{bench.database}" FROM {quote(READER)}')
    drop(bench, READER)
    bench.restore()
    assert attributes(bench, READER) is None
    bench.restore(parameters=replace(bench.parameters, dbname="beside"))
    granted = "SELECT has_database_privilege(oid, 'beside', 'CONNECT') FROM pg_roles WHERE rolname"
    assert bench.scalar(f"{granted} = 'reader; DROP'")
    bench.execute("DROP DATABASE beside", "postgres")
    drop(bench, READER)


def test_a_view_that_reads_through_a_group_role_is_verified(lost, scratch) -> None:
    """A verification makes the roles members, too."""
    lost.restore()
    lost.execute(
        f"GRANT CREATE ON SCHEMA public TO {quote(WRITER)}; GRANT {quote(PEOPLE)} TO {quote(WRITER)};"
        f"SET ROLE {quote(WRITER)};"
        "CREATE MATERIALIZED VIEW seen AS SELECT count(*) FROM numbers"
    )
    lost.location = replace(lost.location, uid="0f8fad5b-0000-4000-8000-0000000000aa")
    lost.backup()
    verify_artifact(VerifyRequest(lost.store, lost.location, scratch, jobs=2))


@pytest.mark.parametrize("verifier", ["in clear", "md5", "SCRAM-SHA-256$1:a$b", ""])
def test_what_would_be_a_password_in_clear_is_refused(lost, verifier) -> None:
    def change(said) -> None:
        said["roles"][0]["verifier"] = verifier

    edit(lost, change)
    with pytest.raises(errors.ChecksumMismatch, match="is not a verifier") as caught:
        lost.restore()
    assert not verifier or verifier not in str(caught.value).replace("is not a verifier", "")


@pytest.fixture
def differing(bench) -> Iterator[object]:
    """A bench that was backed up, whose roles then changed."""
    drop(bench, *ALL)
    people, reader, writer, other = map(quote, ALL)
    bench.execute(
        f"CREATE ROLE {people}; CREATE ROLE {reader} CREATEDB CONNECTION LIMIT 7;"
        f"CREATE ROLE {writer} NOINHERIT; CREATE ROLE {other};"
        f"GRANT {people} TO {reader}; GRANT SELECT ON numbers TO {people}, {reader}, {writer};"
        f"ALTER ROLE {writer} SET work_mem = '9MB'; ALTER ROLE {writer} SET app.key = 's3cret'"
    )
    bench.backup()
    yield bench
    for name in bench.databases():
        bench.execute(f"DROP DATABASE {quote(name)} WITH (FORCE)", "postgres")
    drop(bench, *ALL)


def test_roles_that_are_as_in_the_backup_are_not_named(differing) -> None:
    assert "warning" not in differing.restore().summary


@pytest.mark.parametrize("dry_run", [False, True])
def test_roles_that_are_not_as_in_the_backup_are_named(differing, dry_run) -> None:
    people, reader, writer, other = map(quote, ALL)
    differing.execute(
        f"ALTER ROLE {reader} NOCREATEDB LOGIN CONNECTION LIMIT 3; ALTER ROLE {writer} INHERIT;"
        f"REVOKE {people} FROM {reader}; GRANT {people} TO {other};"
        f"ALTER ROLE {writer} SET work_mem = '8MB'; ALTER ROLE {writer} RESET app.key"
    )
    warning = differing.restore(dry_run=dry_run).summary["warning"]
    for text in (
        f"role {reader} has CREATEDB only in the backup",
        f"role {reader} has LOGIN only here",
        f"role {reader} has CONNECTION LIMIT 7 in the backup, 3 here",
        f"only in the backup: GRANT {people} TO {reader}",
        f"only here: GRANT {people} TO {other}",
        f"setting work_mem of role {writer} differs",
        f"setting app.key of role {writer} differs",
    ):
        assert text in warning
    assert "s3cret" not in warning
    assert attributes(differing, READER)[1:8] == (False, False, False, False, True, True, 3)


def test_a_tablespace_that_is_not_used_is_named(bench) -> None:
    bench.backup()
    edit(bench, lambda said: said.update(tablespace="fast; disk"))
    warning = bench.restore().summary["warning"]
    assert f'ALTER DATABASE "{bench.database}" SET TABLESPACE "fast; disk"' in warning


def label(bench, catalog: str, name: str, provider: str, text: str) -> None:
    """Write a label into the catalog, as no provider is loaded."""
    column = {"pg_authid": "rolname", "pg_database": "datname"}[catalog]
    with bench.connect("postgres") as connection:
        connection.execute("SET allow_system_table_mods = on")
        connection.execute(
            f"INSERT INTO pg_shseclabel SELECT oid, '{catalog}'::regclass, %s, %s FROM {catalog}"
            f" WHERE {column} = %s",
            [provider, text, name],
        )


def test_labels_whose_provider_is_not_loaded_are_named(differing) -> None:
    label(differing, "pg_authid", READER, "guard", "it's secret")
    label(differing, "pg_database", differing.database, "guard", "public")
    differing.location = replace(differing.location, uid="0f8fad5b-0000-4000-8000-0000000000ab")
    differing.backup()
    with differing.connect("postgres") as connection:
        connection.execute("SET allow_system_table_mods = on; DELETE FROM pg_shseclabel")
    warning = differing.restore().summary["warning"]
    for on in (f"ROLE {quote(READER)} IS 'it''s secret'", f"DATABASE {quote(differing.database)}"):
        assert f'SECURITY LABEL FOR "guard" ON {on}' in warning
    beside = differing.restore(parameters=replace(differing.parameters, dbname="beside")).summary
    assert (
        'labels that were not set: SECURITY LABEL FOR "guard" ON DATABASE "beside"'
        in beside["warning"]
    )


def test_labels_of_the_live_database_are_named_where_they_cannot_be_set_again(bench) -> None:
    bench.backup()
    label(bench, "pg_database", bench.database, "guard", "public")
    warning = bench.restore().summary["warning"]
    assert (
        f'labels that were not set: SECURITY LABEL FOR "guard" ON DATABASE "{bench.database}"'
        in warning
    )


@pytest.fixture
def locked_out(bench, key, tmp_path) -> Iterator[object]:
    """A bench that was backed up with passwords, encrypted, whose server then lost the roles."""
    bench.key, bench.spool = key, tmp_path
    drop(bench, *ALL)
    people, reader, writer, other = map(quote, ALL)
    bench.execute(
        f"CREATE ROLE {people} NOLOGIN PASSWORD 'unused'; CREATE ROLE {other} LOGIN;"
        f"CREATE ROLE {reader} LOGIN PASSWORD 'a reader''s';"
        f"CREATE ROLE {writer} LOGIN SUPERUSER PASSWORD 'a superuser''s';"
        f"GRANT SELECT ON numbers TO {people}, {reader}, {writer}, {other}"
    )
    yield bench
    for name in bench.databases():
        bench.execute(f"DROP DATABASE {quote(name)} WITH (FORCE)", "postgres")
    drop(bench, *ALL)


def lose_roles(bench) -> None:
    bench.execute(f"DROP OWNED BY {', '.join(map(quote, ALL))}")
    drop(bench, *ALL)


def verifier(bench, name: str) -> str:
    with bench.connect("postgres") as connection:
        return connection.execute(
            "SELECT rolpassword FROM pg_authid WHERE rolname = %s", [name]
        ).fetchone()[0]


def manifest_in_clear(bench) -> str:
    content = (bench.folder / "manifest.json.age").read_bytes()
    return bench.key.decrypt(content, "manifest.json").decode()


def test_passwords_come_back_only_if_they_were_asked_for_twice(locked_out) -> None:
    stored, superusers = verifier(locked_out, READER), verifier(locked_out, WRITER)
    logged = len(locked_out.server.log)
    locked_out.backup(passwords=True)
    lose_roles(locked_out)
    assert stored in manifest_in_clear(locked_out)
    assert superusers not in manifest_in_clear(locked_out)
    summary = locked_out.restore(parameters=replace(locked_out.parameters, dbname="a")).summary
    assert attributes(locked_out, READER)[5] is False
    assert stored not in str(summary)
    lose_roles_of(locked_out, "a")
    summary = locked_out.restore(logins=True).summary
    with locked_out.server.connect(user=READER, password="a reader's") as connection:
        assert connection.execute("SELECT current_user").fetchone() == (READER,)
    assert [attributes(locked_out, name)[5] for name in (PEOPLE, WRITER, OTHER)] == [False] * 3
    assert f"role {quote(READER)} was missing, and made with the password" in summary["warning"]
    assert stored not in str(summary)
    assert stored not in locked_out.server.log[logged:]


def lose_roles_of(bench, database: str) -> None:
    bench.execute(f"DROP DATABASE {database}", "postgres")
    drop(bench, *ALL)


def test_without_the_field_no_password_is_in_the_backup(locked_out) -> None:
    stored = verifier(locked_out, READER)
    locked_out.backup()
    assert stored not in manifest_in_clear(locked_out)
    assert "SCRAM" not in manifest_in_clear(locked_out)


def test_passwords_are_not_backed_up_in_clear(bench) -> None:
    with pytest.raises(errors.InvalidInput, match="encrypted only"):
        bench.backup(passwords=True)
    assert not bench.folder.exists()


@pytest.fixture
def labelled(bench) -> object:
    """A bench with labels of a provider that is not loaded, on a table and a column."""
    with bench.connect() as connection:
        connection.execute("SET allow_system_table_mods = on")
        for column, text in ((0, "it\ns"), (1, "\nSECURITY LABEL FOR other ON x")):
            connection.execute(
                "INSERT INTO pg_seclabel VALUES"
                " ('version'::regclass, 'pg_class'::regclass, %s, 'the \"guard\"', %s)",
                [column, text],
            )
    return bench


def test_labels_in_the_database_do_not_fail_a_restore(labelled, scratch) -> None:
    labelled.backup()
    verified = verify_artifact(VerifyRequest(labelled.store, labelled.location, scratch, jobs=2))
    restored = labelled.restore().summary
    for warning in (verified["warning"], restored["warning"]):
        assert "security labels were not restored" in warning
        assert '"the ""guard"""' in warning
        assert "version" in warning
    assert labelled.scalar("SELECT name FROM version") == "old"
