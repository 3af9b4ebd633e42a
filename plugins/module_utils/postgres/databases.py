"""Whole databases: their properties, creating one like another, dropping."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psycopg
from psycopg import sql

from .connection import Connection

# GUC_LIST_QUOTE settings are stored as quoted lists and must be given back element by element:
# src/bin/pg_dump/dumputils.c, variable_is_guc_list_quote().
_LIST_SETTINGS = frozenset(
    (
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    )
)

PRIVILEGES = ("CREATE", "CONNECT", "TEMPORARY")
"""Those on a database."""

_PROVIDER_NAMES = {"b": "builtin", "c": "libc", "i": "icu"}


@dataclass(frozen=True)
class Locale:
    """How a database encodes and sorts: the columns of pg_database.

    Attributes:
        provider: 'b' builtin, 'c' libc, 'i' ICU.
        locale: the provider's locale, None for libc.
    """

    encoding: str
    provider: str
    collate: str
    ctype: str
    locale: str | None
    icu_rules: str | None


@dataclass(frozen=True)
class Grant:
    """One privilege on a database; ``grantee`` None means PUBLIC."""

    grantee: str | None
    privilege: str
    grantable: bool


@dataclass(frozen=True)
class Setting:
    """One row of pg_db_role_setting; ``role`` None means all roles."""

    role: str | None
    name: str
    value: str


@dataclass(frozen=True)
class Properties:
    """What belongs to a database but is not inside it, so that no dump of it carries it.

    Attributes:
        grants: None if the privileges are the default ones.
    """

    owner: str
    tablespace: str
    connection_limit: int
    comment: str | None
    grants: tuple[Grant, ...] | None
    settings: tuple[Setting, ...]


def plain_properties(owner: str) -> Properties:
    """Those of a database of which nothing but the owner was ever set."""
    return Properties(
        owner=owner,
        tablespace="pg_default",
        connection_limit=-1,
        comment=None,
        grants=None,
        settings=(),
    )


def list_roles(connection: Connection) -> set[str]:
    """The names of the server's roles."""
    rows = connection.execute("SELECT rolname FROM pg_catalog.pg_roles")
    return {str(name) for (name,) in rows}


def database_exists(connection: Connection, name: str) -> bool:
    """Whether the server has a database of that name."""
    row = connection.execute(
        "SELECT 1 FROM pg_catalog.pg_database WHERE datname = %s", [name]
    ).fetchone()
    return row is not None


def database_size(connection: Connection, name: str) -> int:
    """Bytes that a database takes, in all tablespaces; 0 if there is none of that name."""
    row = connection.execute(
        "SELECT pg_catalog.pg_database_size(oid) FROM pg_catalog.pg_database WHERE datname = %s",
        [name],
    ).fetchone()
    return 0 if row is None else int(str(row[0]))


def is_empty(connection: Connection) -> bool:
    """Whether the session's database has no tables, views or sequences of users."""
    row = connection.execute(
        "SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace"
        " WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
        "   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend"
        "        WHERE classid = 'pg_catalog.pg_class'::regclass AND objid = c.oid"
        "          AND deptype = 'e') LIMIT 1"
    ).fetchone()
    return row is None


def read_locale(connection: Connection) -> Locale:
    """The locale of the database that the session is in."""
    major = connection.info.server_version // 10000
    columns = sql.SQL(
        {
            14: "'c', NULL, NULL",
            15: "datlocprovider, daticulocale, NULL",
            16: "datlocprovider, daticulocale, daticurules",
        }.get(major, "datlocprovider, datlocale, daticurules")
    )
    row = connection.execute(
        sql.SQL(
            "SELECT pg_encoding_to_char(encoding), datcollate, datctype, {columns}"
            "  FROM pg_catalog.pg_database WHERE datname = current_database()"
        ).format(columns=columns)
    ).fetchone()
    assert row is not None
    encoding, collate, ctype, provider, locale, rules = (
        value if value is None else str(value) for value in row
    )
    assert encoding is not None and collate is not None and ctype is not None
    return Locale(encoding, provider or "c", collate, ctype, locale, rules)


def knows_encoding(connection: Connection, encoding: str) -> bool:
    """Whether the server can store a database in that encoding."""
    row = connection.execute(
        "SELECT pg_encoding_to_char(pg_char_to_encoding(%(name)s)) = %(name)s", {"name": encoding}
    ).fetchone()
    return row is not None and row[0] is True


def read_properties(connection: Connection, name: str) -> Properties | None:
    """The properties of a database, None if it does not exist."""
    row = connection.execute(
        "SELECT pg_get_userbyid(datdba), spcname, datconnlimit, datacl IS NOT NULL,"
        "       shobj_description(d.oid, 'pg_database')"
        "  FROM pg_catalog.pg_database d JOIN pg_catalog.pg_tablespace s ON s.oid = dattablespace"
        " WHERE datname = %s",
        [name],
    ).fetchone()
    if row is None:
        return None
    owner, tablespace, limit, has_grants, comment = row
    return Properties(
        owner=str(owner),
        tablespace=str(tablespace),
        connection_limit=int(str(limit)),
        comment=None if comment is None else str(comment),
        grants=read_grants(connection, name) if has_grants else None,
        settings=_read_settings(connection, name),
    )


def read_grants(connection: Connection, name: str, default: bool = False) -> tuple[Grant, ...]:
    """The privileges on a database; the defaults where none were granted or revoked.

    Args:
        default: the defaults in any case.
    """
    defaults = "acldefault('d', datdba)"
    acl = sql.SQL(defaults if default else f"coalesce(datacl, {defaults})")
    rows = connection.execute(
        sql.SQL(
            "SELECT CASE grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(grantee) END,"
            "       privilege_type, is_grantable"
            "  FROM pg_catalog.pg_database, aclexplode({acl}) WHERE datname = {name} ORDER BY 1, 2"
        ).format(acl=acl, name=name)
    )
    return tuple(
        Grant(None if grantee is None else str(grantee), str(privilege), bool(grantable))
        for grantee, privilege, grantable in rows
    )


def _read_settings(connection: Connection, name: str) -> tuple[Setting, ...]:
    rows = connection.execute(
        "SELECT rolname, split_part(item, '=', 1), substr(item, strpos(item, '=') + 1)"
        "  FROM pg_catalog.pg_db_role_setting s"
        "  JOIN pg_catalog.pg_database d ON d.oid = setdatabase"
        "  LEFT JOIN pg_catalog.pg_roles r ON r.oid = setrole, unnest(setconfig) AS item"
        " WHERE datname = %s ORDER BY 1, 2",
        [name],
    )
    return tuple(
        Setting(None if role is None else str(role), str(setting), str(value))
        for role, setting, value in rows
    )


def create_database(
    connection: Connection, name: str, locale: Locale, properties: Properties
) -> None:
    """Create an empty database (from template0) with a locale and properties."""
    connection.execute(
        sql.SQL(
            "CREATE DATABASE {name} TEMPLATE template0 OWNER {owner} TABLESPACE {tablespace}"
            " ENCODING {encoding} LC_COLLATE {collate} LC_CTYPE {ctype} {provider}"
        ).format(
            name=sql.Identifier(name),
            owner=sql.Identifier(properties.owner),
            tablespace=sql.Identifier(properties.tablespace),
            encoding=locale.encoding,
            collate=locale.collate,
            ctype=locale.ctype,
            provider=_provider_clause(locale, connection.info.server_version // 10000),
        )
    )
    if properties.grants is not None:
        _apply_grants(connection, name, properties.owner, properties.grants)
    _apply_limit_and_comment(connection, name, properties)
    _apply_settings(connection, name, properties.settings)


def apply_settings_as(
    connection: Connection, name: str | None, role: str, settings: Iterable[Setting]
) -> list[Setting]:
    """Apply settings with the rights of a role, in a transaction.

    They come from a backup, so they are input: PostgreSQL refuses what the role may not set.

    Args:
        name: the database that they are in; None for settings of roles in all databases.

    Returns:
        Those that were refused.
    """
    refused = []
    connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
    for setting in settings:
        try:
            with connection.transaction():
                _apply_settings(connection, name, (setting,))
        except psycopg.Error:
            if connection.broken:
                raise
            refused.append(setting)
    connection.execute("RESET ROLE")
    return refused


def _provider_clause(locale: Locale, major: int) -> sql.Composable:
    if major < 15:
        return sql.SQL("")
    parts: list[sql.Composable] = [
        sql.SQL("LOCALE_PROVIDER {}").format(sql.Identifier(_PROVIDER_NAMES[locale.provider]))
    ]
    if locale.provider == "i":
        parts.append(sql.SQL("ICU_LOCALE {}").format(locale.locale))
    if locale.provider == "b":
        parts.append(sql.SQL("BUILTIN_LOCALE {}").format(locale.locale))
    if locale.icu_rules:
        parts.append(sql.SQL("ICU_RULES {}").format(locale.icu_rules))
    return sql.SQL(" ").join(parts)


def bring_up_to_date(connection: Connection, name: str, old: Properties, new: Properties) -> None:
    """Change a database that was created with ``old`` so that it has ``new``; can be rolled back.

    The tablespace stays: it cannot be changed in a transaction.
    """
    if new == old:
        return
    database = sql.Identifier(name)
    connection.execute(
        sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, sql.Identifier(new.owner))
    )
    grants = read_grants(connection, name, default=True) if new.grants is None else new.grants
    _apply_grants(connection, name, new.owner, grants)
    _apply_limit_and_comment(connection, name, new)
    for role in {setting.role for setting in old.settings}:
        connection.execute(sql.SQL("{} RESET ALL").format(_alter(name, role)))
    _apply_settings(connection, name, new.settings)


def _apply_grants(connection: Connection, name: str, owner: str, grants: tuple[Grant, ...]) -> None:
    database = sql.Identifier(name)
    for role in (sql.SQL("PUBLIC"), sql.Identifier(owner)):
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM {}").format(database, role))
    for grant in grants:
        grantee = sql.SQL("PUBLIC") if grant.grantee is None else sql.Identifier(grant.grantee)
        connection.execute(
            sql.SQL("GRANT {privilege} ON DATABASE {database} TO {grantee} {option}").format(
                privilege=sql.SQL(_known_privilege(grant.privilege)),
                database=database,
                grantee=grantee,
                option=sql.SQL("WITH GRANT OPTION" if grant.grantable else ""),
            )
        )


def _known_privilege(privilege: str) -> str:
    """A keyword cannot be quoted, so only known ones become SQL."""
    return PRIVILEGES[PRIVILEGES.index(privilege)]


def _apply_limit_and_comment(connection: Connection, name: str, properties: Properties) -> None:
    database = sql.Identifier(name)
    connection.execute(
        sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(
            database, sql.Literal(properties.connection_limit)
        )
    )
    connection.execute(
        sql.SQL("COMMENT ON DATABASE {} IS {}").format(database, sql.Literal(properties.comment))
    )


def _apply_settings(
    connection: Connection, name: str | None, settings: tuple[Setting, ...]
) -> None:
    for setting in settings:
        values = (
            split_quoted_list(setting.value) or [""]
            if setting.name.lower() in _LIST_SETTINGS
            else [setting.value]
        )
        connection.execute(
            sql.SQL("{alter} SET {setting} TO {values}").format(
                alter=_alter(name, setting.role),
                setting=sql.SQL(".").join(map(sql.Identifier, setting.name.split("."))),
                values=sql.SQL(", ").join(map(sql.Literal, values)),
            )
        )


def _alter(database: str | None, role: str | None) -> sql.Composed:
    if role is not None and database is None:
        return sql.SQL("ALTER ROLE {}").format(sql.Identifier(role))
    assert database is not None
    if role is None:
        return sql.SQL("ALTER DATABASE {}").format(sql.Identifier(database))
    return sql.SQL("ALTER ROLE {} IN DATABASE {}").format(
        sql.Identifier(role), sql.Identifier(database)
    )


def split_quoted_list(text: str) -> list[str]:
    """The elements of a list as PostgreSQL stores it in a setting.

    >>> split_quoted_list('"$user", public, "a ""b"", c"')
    ['$user', 'public', 'a "b", c']
    """
    elements: list[str] = []
    current, quoted, at = "", False, 0
    while at < len(text):
        character = text[at]
        if character == '"' and quoted and text[at + 1 : at + 2] == '"':
            current, at = current + '"', at + 1
        elif character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            elements, current = [*elements, current], ""
        elif quoted or not character.isspace():
            current += character
        at += 1
    return [*elements, current] if text.strip() else []


def drop_database(connection: Connection, name: str) -> None:
    """Drop a database and end its sessions; nothing happens if it does not exist."""
    connection.execute(
        sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    )


def drop_each(
    connection: Connection,
    names: Iterable[str],
    drop: Callable[[str], bool],
    problems: list[str],
) -> list[str]:
    """Drop databases that restores have left; one that cannot be dropped keeps no other from it.

    What keeps one, such as a subscription in it or a prepared transaction, says nothing about the
    server.

    Args:
        connection: an autocommit session of a superuser, in none of these databases.
        drop: drops one by its name, or returns False where it has to stay.
        problems: where what kept one from being dropped is added.

    Returns:
        The names of those that were dropped.

    Raises:
        psycopg.Error: the session itself broke.
    """
    dropped = []
    for name in names:
        try:
            if drop(name):
                dropped.append(name)
        except psycopg.Error as error:
            if connection.broken:
                raise
            reason = " ".join(str(error).split())
            problems.append(
                f'database "{name}", which a restore has left, cannot be dropped: {reason}; remove'
                " the cause, or drop the database by hand"
            )
    return dropped
