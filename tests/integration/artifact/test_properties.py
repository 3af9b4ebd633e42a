"""What belongs to a database and is in no dump of pg_dump's: privileges, settings, limit, comment."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest
from psycopg import sql

OWNER, OTHER, GONE = "its owner", "another role", "a role that is gone"
ROLES = (OWNER, OTHER, GONE)


@pytest.fixture
def own(bench) -> Iterator[object]:
    """A bench whose database has an owner that is no superuser, and properties of its own."""
    with bench.connect("postgres") as connection:
        for role in ROLES:
            name = sql.Identifier(role)
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(name))
            connection.execute(sql.SQL("CREATE ROLE {}").format(name))
    run(
        bench,
        "ALTER DATABASE {database} OWNER TO {owner}",
        "ALTER DATABASE {database} CONNECTION LIMIT 17",
        "COMMENT ON DATABASE {database} IS 'a comment'",
        "REVOKE ALL ON DATABASE {database} FROM PUBLIC",
        "GRANT CONNECT ON DATABASE {database} TO {other} WITH GRANT OPTION",
        "GRANT CONNECT ON DATABASE {database} TO {gone}",
        "ALTER DATABASE {database} SET work_mem = '8MB'",
        'ALTER DATABASE {database} SET search_path = "$user", public',
        "ALTER DATABASE {database} SET session_preload_libraries = 'auto_explain'",
        "ALTER DATABASE {database} SET app.mode = 'a b'",
        "ALTER ROLE {other} IN DATABASE {database} SET work_mem = '9MB'",
        "ALTER ROLE postgres IN DATABASE {database} SET work_mem = '10MB'",
    )
    bench.backup()
    run(bench, "REVOKE ALL ON DATABASE {database} FROM {gone}", "DROP ROLE {gone}")
    yield bench
    with bench.connect("postgres") as connection:
        for name in bench.databases():
            connection.execute(
                sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
            )
        for role in ROLES:
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


def run(bench, *statements: str) -> None:
    names = {
        "database": sql.Identifier(bench.database),
        "owner": sql.Identifier(OWNER),
        "other": sql.Identifier(OTHER),
        "gone": sql.Identifier(GONE),
    }
    with bench.connect("postgres") as connection:
        for statement in statements:
            connection.execute(sql.SQL(statement).format(**names))


def properties(bench, database: str) -> tuple[object, ...]:
    """Limit, comment, privileges, and settings by role."""
    with bench.connect("postgres") as connection:
        row = connection.execute(
            "SELECT datconnlimit, shobj_description(oid, 'pg_database'),"
            "       ARRAY(SELECT acl::text FROM unnest(datacl) acl ORDER BY 1)"
            "  FROM pg_database WHERE datname = %s",
            [database],
        ).fetchone()
        settings = connection.execute(
            "SELECT coalesce(rolname, ''), unnest(setconfig) FROM pg_db_role_setting"
            "  JOIN pg_database d ON d.oid = setdatabase LEFT JOIN pg_roles r ON r.oid = setrole"
            " WHERE datname = %s ORDER BY 1, 2",
            [database],
        ).fetchall()
    return (*row, settings)


EXPECTED = (
    17,
    "a comment",
    [f'"{GONE}"=c/"{OWNER}"', f'"{OTHER}"=c*/"{OWNER}"', f'"{OWNER}"=CTc/"{OWNER}"'],
    [("", 'search_path="$user", public'), ("", "work_mem=8MB")],
)


def assert_told(summary: dict[str, object]) -> None:
    """What only a superuser, or another role, may set is named and not taken over."""
    for name in (
        "session_preload_libraries",
        "app.mode",
        f'work_mem of role "{OTHER}"',
        'of role "postgres"',
    ):
        assert name in str(summary["warning"])
    assert "its owner" in str(summary["warning"])


def test_a_new_database_has_those_of_the_backup(own) -> None:
    """Also those whose role is gone: that is made again."""
    parameters = replace(own.parameters, dbname="beside")
    summary = own.restore(parameters=parameters).summary
    assert properties(own, "beside") == EXPECTED
    assert_told(summary)


def test_a_database_that_is_replaced_keeps_its_own(own) -> None:
    run(own, "ALTER DATABASE {database} CONNECTION LIMIT 3")
    before = properties(own, own.database)
    assert "may not set" not in (own.restore().summary.get("warning") or "")
    assert properties(own, own.database) == before


def test_one_that_is_made_from_the_backup_has_those_of_it(own) -> None:
    with own.connect("postgres") as connection:
        name = sql.Identifier(own.database)
        connection.execute(sql.SQL("DROP DATABASE {}").format(name))
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(name, sql.Identifier(OWNER))
        )
    summary = own.restore(takes_properties=True, uid=str(uuid.uuid4())).summary
    assert properties(own, own.database) == EXPECTED
    assert_told(summary)


def test_settings_are_never_applied_with_the_rights_of_a_superuser(bench) -> None:
    """As where a backup says that its owner is one."""
    bench.execute(f'ALTER DATABASE "{bench.database}" SET log_min_duration_statement = 60000')
    bench.backup()
    bench.execute(f'ALTER DATABASE "{bench.database}" RESET ALL')
    parameters = replace(bench.parameters, dbname="beside")
    summary = bench.restore(parameters=parameters).summary
    assert "log_min_duration_statement" in summary["warning"]
    assert properties(bench, "beside")[3] == []
