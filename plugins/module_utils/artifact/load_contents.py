"""Loads a dump into an empty database: all of it, or all definitions and some tables' rows.

A plan decides in whose session each entry is restored (``load_plan``); here it is carried out.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from ..errors import InvalidInput, OperatorError
from ..postgres.cancellation import Cancellation
from ..postgres.connection import Connection, ConnectionParameters, connect
from ..postgres.labels import is_provider_loaded
from ..postgres.session_roles import SessionRoles
from ..units import first_of, join_warnings
from .artifact import Artifact, OpenArtifact
from .fingerprint import Work
from .load import run_pg_restore
from .load_plan import (
    PREDEFINED_ROLES,
    SUPERUSER,
    LoadPlan,
    Step,
    plan_as_superuser,
    plan_load,
)
from .object_labels import find_providers, leave_out_labels
from .selection import Key, Selection, narrow_manifest, quote, select_tables
from .table_of_contents import Entry, read_entries

# ANALYZE of a partitioned table is one of its partitions too: not where there are foreign tables
# among them, since other servers would be asked. The system's own tables came with template0, and
# so did their statistics.
_TO_ANALYZE = """
WITH foreign_root (oid) AS (
    SELECT DISTINCT pg_catalog.pg_partition_root(oid) FROM pg_catalog.pg_class
     WHERE relkind = 'f' AND relispartition)
SELECT n.nspname, c.relname, r.rolname
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
 WHERE c.relkind = ANY(%s::"char"[]) AND c.relpersistence <> 't'
   AND CASE WHEN pg_catalog.pg_partition_root(c.oid) IN (SELECT oid FROM foreign_root)
            THEN c.relkind = 'r' ELSE NOT c.relispartition END
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
 ORDER BY c.relkind = 'p' DESC, c.relpages DESC
"""
_FOREIGN = """
SELECT 'FOREIGN DATA WRAPPER', fdwname FROM pg_catalog.pg_foreign_data_wrapper
 UNION ALL SELECT 'FOREIGN SERVER', srvname FROM pg_catalog.pg_foreign_server
"""
# What the server can make of an extension and would not make by itself.
_OTHER_VERSIONS = """
SELECT v.name, v.version
  FROM pg_catalog.pg_available_extension_versions v
  JOIN pg_catalog.pg_available_extensions e USING (name)
 WHERE v.version <> e.default_version AND NOT v.installed
"""
# Its owner, or who has the privilege, may have put a trigger on it, which would be executed.
_OF_USERS = """
SELECT pg_catalog.format('%%I.%%I', n.nspname, c.relname), r.rolname
  FROM unnest(%s::text[], %s::text[]) AS filled(schema, name)
  JOIN pg_catalog.pg_namespace n ON n.nspname = filled.schema
  JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = filled.name
  JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
 WHERE NOT r.rolsuper OR EXISTS (
       SELECT FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
         JOIN pg_catalog.pg_roles o ON o.oid = p.proowner
        WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND NOT o.rolsuper)
 LIMIT 1
"""
_SUPERUSER_SETTINGS = "SELECT name FROM pg_catalog.pg_settings WHERE context = 'superuser'"
_BYPASSING = "SELECT rolname FROM pg_catalog.pg_roles WHERE rolsuper OR rolbypassrls"
_NOT_ALLOWED = re.compile(r"permission denied|must be (owner|superuser|member|able)")
# Classes of SQLSTATE: what a function of a user raises, and not what befalls a session.
_OF_FUNCTIONS = frozenset({"0A", "21", "22", "23", "25", "2F", "38", "39", "42", "P0"})
_ROWS = "TABLE DATA"
_FOREIGN_KEY = "FK CONSTRAINT"
_NAMED = 5


@dataclass(frozen=True)
class LoadRequest:
    """What to load and how.

    Attributes:
        parameters: the server, a superuser, and an empty database as ``dbname``.
        roles: of the run.
        jobs: processes that pg_restore works with.
        failure: the error if the reason is not recognised.
        selection: whose rows; None for all that the backup has.
        options: further ones for pg_restore.
        as_superuser: whether the superuser executes what users have written.
        database_owner: who gets the database once a superuser makes nothing more in it that could
            be executed; empty where it has its owner already.
        disposable: whether the server is thrown away, so that owners need not be kept apart where
            what they own hangs together.
    """

    parameters: ConnectionParameters
    artifact: OpenArtifact
    roles: SessionRoles
    jobs: int
    failure: type[OperatorError]
    selection: Selection | None = None
    options: tuple[str, ...] = ()
    as_superuser: bool = False
    database_owner: str = ""
    disposable: bool = False


@dataclass
class Loaded:
    """A database whose tables have their rows, but which is not handed to its owners yet.

    Attributes:
        artifact: as if it held just what was loaded: its manifest is what the database must hold.
        connection: the superuser's, see ``load_contents``.
        without_labels: which objects have no security labels, in words.
        not_analyzed: tables without statistics, and PostgreSQL's message.
    """

    request: LoadRequest
    plan: LoadPlan
    artifact: Artifact
    sessions: _Sessions
    connection: Connection
    without_labels: str = ""
    not_analyzed: dict[str, str] = field(default_factory=dict)

    @property
    def warning(self) -> str:
        """What has no statistics, and what no security labels; empty where nothing lacks them."""
        if not self.not_analyzed:
            return self.without_labels
        named = [f"{name} ({why})" for name, why in sorted(self.not_analyzed.items())]
        return join_warnings(
            f"the planner has no statistics of {first_of(named)}: ANALYZE fails on them, as it"
            " would for their owners",
            self.without_labels,
        )

    def analyses(self, cancellation: Cancellation) -> list[Work]:
        """What gives the planner its statistics, which a dump does not carry; tables only."""
        return self._analyses(["r", "p"], cancellation)

    def hand_over(self) -> None:
        """Give everything to its owner, with its privileges, and fill materialized views.

        Raises:
            OperatorError: as ``load_contents``.
        """
        self.sessions.give_to_users()
        self.sessions.run(self.plan.handover)
        self._give_database()
        self.sessions.run(self.plan.refreshes)
        for analyze in self._analyses(["m"], Cancellation()):
            analyze()
        self.sessions.give_the_rest()
        self.sessions.run(self.plan.last)

    def _give_database(self) -> None:
        """Give it to its owner, whose rights materialized views may need to be filled."""
        owner = self.request.database_owner
        if owner:
            self.connection.execute(
                sql.SQL("ALTER DATABASE {} OWNER TO {}").format(
                    sql.Identifier(self.request.parameters.dbname), sql.Identifier(owner)
                )
            )

    def _analyses(self, kinds: Sequence[str], cancellation: Cancellation) -> list[Work]:
        """As many pieces of work for each owner as there are jobs, each in one session."""
        rows: Any = self.connection.execute(_TO_ANALYZE, [list(kinds)]).fetchall()
        tables: dict[str, list[sql.Identifier]] = {}
        for schema, name, owner in rows:
            tables.setdefault(owner, []).append(sql.Identifier(schema, name))
        return [
            self._analysis(owner, mine[start :: self.request.jobs], cancellation)
            for owner, mine in tables.items()
            for start in range(min(self.request.jobs, len(mine)))
        ]

    def _analysis(
        self, owner: str, tables: Sequence[sql.Identifier], cancellation: Cancellation
    ) -> Work:
        def analyze() -> None:
            # What a statistics object computes may need the database's own search_path.
            with (
                connect(self.sessions.parameters_of(owner), own_search_path=True) as connection,
                cancellation.calls(connection.cancel_safe),
            ):
                # See ``load``.
                connection.execute("SET synchronous_commit TO off")
                for table in tables:
                    if cancellation.requested:
                        return
                    self._analyze(connection, table)

        return analyze

    def _analyze(self, connection: Connection, table: sql.Identifier) -> None:
        """Give the planner its statistics; where the owner's own functions fail, note it.

        From PostgreSQL 17 on ANALYZE has a search_path of its own, with which a function that a
        statistics object or an index uses may find nothing.
        """
        try:
            connection.execute(sql.SQL("ANALYZE {}").format(table))
        except psycopg.Error as error:
            if (error.sqlstate or "")[:2] not in _OF_FUNCTIONS:
                raise
            words = " ".join((error.diag.message_primary or "").split())
            self.not_analyzed[table.as_string()] = words


class _Sessions:
    """The roles in the places of the owners, and what they are granted while they load."""

    def __init__(
        self,
        request: LoadRequest,
        plan: LoadPlan,
        superusers: frozenset[str],
        connection: Connection,
    ) -> None:
        self._request = request
        self._plan = plan
        self._connection = connection
        self._kept = [o for o in plan.owners if o in superusers or o.startswith(PREDEFINED_ROLES)]
        self._users = [o for o in plan.owners if o not in self._kept]
        self._granted: set[tuple[str, ...]] = set()
        database, roles = request.parameters.dbname, request.roles
        self._roles = {owner: roles.make(database) for owner in plan.owners}
        self._all = roles.make(database).user if len(plan.owners) > 1 else ""
        for owner in plan.owners:
            if self._all:
                roles.grant(self._all, self._roles[owner].user)
            # Never the other way round: see ``LoadPlan.refused``.
            for user in self._users if owner in superusers else ():
                roles.grant(self._roles[user].user, self._roles[owner].user)

    def parameters_of(self, owner: str) -> ConnectionParameters:
        """Who works on what an owner, or now the role in its place, owns.

        A superuser does only where what users have written was executed by one anyway.
        """
        if self._request.as_superuser:
            return self._request.parameters
        mine = (p for p in self._roles.values() if p.user == owner)
        return self._roles.get(owner) or next(mine)

    def make_schemas(self) -> None:
        """Make all but public, which is there."""
        for owner, name in self._plan.schemas:
            self._connection.execute(
                sql.SQL("CREATE SCHEMA {} AUTHORIZATION {}").format(
                    sql.Identifier(name), sql.Identifier(self._roles[owner].user)
                )
            )

    def run(self, steps: Sequence[Step]) -> None:
        """Restore entries, each step in its session."""
        for step in steps:
            self._grant(step)
            request = self._request
            options = (*request.options, "--no-owner", "--no-privileges")
            parameters = request.parameters
            if step.owner == SUPERUSER:
                self._require_own_passwords()
                self._require_of_superuser(step)
                options = request.options
            else:
                parameters = self._roles[step.owner]
            try:
                _run(request, parameters, step.entries, options)
            except OperatorError:
                # A password that is not the role's any more is not the cause.
                self._require_own_passwords()
                raise

    def give_to_users(self) -> None:
        """Give to the owners that are no superusers what the roles in their places have made.

        From then on privileges count; the roles become members of those whose place they had.
        """
        self._require_own_passwords()
        for owner in self._users:
            self._reassign(owner)
            for member in (owner, *self._kept):
                self._request.roles.grant(owner, self._roles[member].user)
        for owner in self._kept:
            self._request.roles.grant("pg_read_all_data", self._roles[owner].user)
        bypassing = {str(name) for (name,) in self._connection.execute(_BYPASSING)}
        for owner in bypassing.intersection(self._roles):
            self._request.roles.let_bypass_row_security(self._roles[owner].user)

    def give_the_rest(self) -> None:
        """Give to superusers and predefined roles what is theirs, and take back all privileges."""
        for owner in self._kept:
            self._reassign(owner)
        for role in (*(p.user for p in self._roles.values()), self._all):
            if role:
                self._require_nothing_owned(role)
                self._connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))

    def _reassign(self, owner: str) -> None:
        self._connection.execute(
            sql.SQL("REASSIGN OWNED BY {} TO {}").format(
                sql.Identifier(self._roles[owner].user), sql.Identifier(owner)
            )
        )

    def _require_own_passwords(self) -> None:
        """Refuse to go on where a user's code may have let others log in as one of the roles.

        They could make things in the database that a superuser would execute next.
        """
        changed = self._request.roles.find_changed()
        if changed:
            raise self._request.failure(
                f"code in the backup has changed the password of the role {changed}, which loaded"
                " its rows: look for ALTER ROLE in functions that its tables use, and remove it"
                " from the database before the next backup"
            )

    def _require_of_superuser(self, step: Step) -> None:
        """Refuse to fill as superuser what a user could have attached code to.

        What an extension makes belongs to a superuser, unless its script gives it away.
        """
        if not step.filled:
            return
        schemas, names = zip(*step.filled, strict=True)
        row: Any = self._connection.execute(_OF_USERS, [list(schemas), list(names)]).fetchone()
        if row is not None:
            raise self._request.failure(
                f"the rows of {row[0]}, which an extension makes, can only be restored by a"
                f" superuser, and the table belongs to {row[1]}: if you trust {row[1]}, make a"
                " Restore with consent.loadAsSuperuser: true"
            )

    def _require_nothing_owned(self, role: str) -> None:
        """DROP OWNED, which is to take back privileges, would drop it."""
        row: Any = self._connection.execute(
            "SELECT pg_catalog.count(*) FROM pg_catalog.pg_shdepend"
            " WHERE refclassid = 'pg_catalog.pg_authid'::regclass AND deptype = 'o'"
            "   AND refobjid = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = %s)",
            [role],
        ).fetchone()
        if row[0]:
            raise self._request.failure(
                f"{row[0]} objects of the backup were not given to their owner; make a Restore with"
                " consent.loadAsSuperuser: true"
            )

    def _grant(self, step: Step) -> None:
        """What the roles need now that what came before is there."""
        if self._request.as_superuser:
            return
        schemas = {
            str(name)
            for (name,) in self._connection.execute("SELECT nspname FROM pg_catalog.pg_namespace")
            if not str(name).startswith("pg_") and name != "information_schema"
        }
        for owner, schema in self._plan.creators:
            if schema in schemas:
                self._grant_on("CREATE, USAGE", "SCHEMA", (schema,), owner)
        for owner, tablespace in self._plan.tablespaces:
            self._grant_on("CREATE", "TABLESPACE", (tablespace,), owner)
        for table in step.references:
            self._grant_on("REFERENCES", "TABLE", table, step.owner)
        foreign: Any = self._connection.execute(_FOREIGN).fetchall()
        for kind, name in foreign:
            for owner in self._plan.owners:
                self._grant_on("USAGE", kind, (name,), owner)
        for schema in sorted(schemas) if self._all else ():
            self._grant_on("USAGE", "SCHEMA", (schema,), "")

    def _grant_on(self, privileges: str, kind: str, name: tuple[str, ...], owner: str) -> None:
        """Grant once.

        Args:
            owner: to the role in whose place; empty for all of them.
        """
        if (privileges, kind, *name, owner) in self._granted:
            return
        role = self._roles[owner].user if owner else self._all
        self._connection.execute(
            # Words of this file.
            sql.SQL(f"GRANT {privileges} ON {kind} {{}} TO {{}}").format(
                sql.Identifier(*name), sql.Identifier(role)
            )
        )
        self._granted.add((privileges, kind, *name, owner))


def load_contents(request: LoadRequest, connection: Connection) -> Loaded:
    """Load definitions, rows, indexes and constraints; the rest is ``Loaded.hand_over``.

    Args:
        connection: a superuser's, in the database, for as long as what is returned is used.

    Raises:
        InvalidInput: the selection names what is not in the backup.
        OperatorError: ``failure`` unless the reason is recognised.
    """
    # A dump's table of contents is in the database's own encoding, as the session is.
    found = read_entries(request.artifact.dump, connection.info.encoding)
    missing = [p for p in find_providers(found) if not is_provider_loaded(connection, p)]
    superusers = _superusers(connection)
    settings = _superuser_settings(connection)
    labels = leave_out_labels(found, missing)
    entries, manifest = list(labels.entries), request.artifact.manifest
    if request.selection is not None or manifest.is_partial:
        keys = {entry.number for entry in entries if entry.kind == _FOREIGN_KEY}
        entries = [entry for entry in entries if not _is_left_out(entry, keys)]
    plan = _plan(request, entries, superusers, settings)
    sessions = _Sessions(request, plan, superusers, connection)
    sessions.make_schemas()
    _create_extensions(request, entries, connection)
    selected = None
    if request.selection is None:
        sessions.run(plan.steps)
    else:
        sessions.run(plan.definitions)
        selected = _resolve(request, request.selection, connection)
        rows = [e for e in entries if e.kind != _ROWS or (e.schema, e.name) in selected]
        sessions.run(_plan(request, rows, superusers, settings).contents)
    artifact = replace(request.artifact, manifest=narrow_manifest(manifest, selected))
    return Loaded(request, plan, artifact, sessions, connection, labels.warning)


def _plan(
    request: LoadRequest,
    entries: Sequence[Entry],
    superusers: frozenset[str],
    settings: frozenset[str],
) -> LoadPlan:
    """The plan of the entries.

    Raises:
        OperatorError: something can only be restored by a superuser who executes what users have
            written; nothing has been loaded yet.
    """
    if request.as_superuser:
        return plan_as_superuser(entries)
    plan = plan_load(entries, superusers, superuser_settings=settings)
    if plan.refused and request.disposable:
        plan = plan_load(entries, superusers, together=True, superuser_settings=settings)
    if plan.refused:
        raise request.failure(
            f"backup {request.artifact.location} has what only a superuser can restore, who would"
            f" then execute what users have written: {first_of(plan.refused, '; ')}; if you trust"
            " its owners, make a Restore with consent.loadAsSuperuser: true"
        )
    return plan


def _create_extensions(
    request: LoadRequest, entries: Sequence[Entry], connection: Connection
) -> None:
    """Create the extensions first whose version at the backup is not the server's default one.

    The dump does not say the version, and views and functions may use what another one has not. If
    that version cannot be created any more, pg_restore creates the default one.
    """
    # All schemas are made by pg_restore then, after these.
    if request.as_superuser:
        return
    wanted = {one.name: one.version for one in request.artifact.manifest.source.extensions}
    others = {
        str(name): str(version)
        for name, version in connection.execute(_OTHER_VERSIONS)
        if wanted.get(str(name)) == version
    }
    if not others:
        return
    # A script may change its session: so this one is for scripts only.
    with (
        connect(request.parameters) as scripts,
        suppress(psycopg.Error),
        scripts.transaction(),
    ):
        # All of them, since one may require another; in the order of the dump.
        for entry in entries:
            if entry.kind == "EXTENSION":
                scripts.execute(_creation(entry, others.get(entry.name)))


def _creation(entry: Entry, version: str | None) -> sql.Composed:
    """What pg_restore would execute, with the version."""
    statement = sql.SQL(entry.definition.strip().removesuffix(";"))
    if version is None:
        return sql.Composed([statement])
    return sql.SQL("{} VERSION {}").format(statement, sql.Literal(version))


def _superusers(connection: Connection) -> frozenset[str]:
    rows = connection.execute("SELECT rolname FROM pg_catalog.pg_roles WHERE rolsuper")
    return frozenset(str(name) for (name,) in rows)


def _superuser_settings(connection: Connection) -> frozenset[str]:
    return frozenset(str(name) for (name,) in connection.execute(_SUPERUSER_SETTINGS))


def _is_left_out(entry: Entry, keys: set[int]) -> bool:
    """Whether a part of the rows goes without it, see ``selection``; keys are the foreign ones."""
    if entry.kind == "COMMENT":
        return not keys.isdisjoint(entry.dependencies)
    return entry.kind in (_FOREIGN_KEY, "MATERIALIZED VIEW DATA")


def _run(
    request: LoadRequest,
    parameters: ConnectionParameters,
    entries: Sequence[int],
    options: Sequence[str],
) -> None:
    with tempfile.TemporaryDirectory(prefix="postgres-operator-") as folder:
        use_list = Path(folder, "list")
        use_list.write_text("".join(f"{number};\n" for number in entries), encoding="ascii")
        try:
            run_pg_restore(
                parameters,
                request.artifact.dump,
                request.jobs,
                request.failure,
                *options,
                f"--use-list={use_list}",
            )
        except OperatorError as error:
            if request.as_superuser or not _NOT_ALLOWED.search(error.message):
                raise
            raise type(error)(
                f"{error.message}; if only a superuser can restore that, and you trust the owners"
                " of what is in the backup, make a Restore with consent.loadAsSuperuser: true"
            ) from error


def _resolve(request: LoadRequest, selection: Selection, connection: Connection) -> frozenset[Key]:
    """The tables that are selected, by the definitions that are in the database already."""
    tables = request.artifact.manifest.tables
    selected = select_tables(connection, selection)
    lacking = sorted(
        f"{quote(table.schema)}.{quote(table.name)}"
        for table in tables
        if not table.populated and (table.schema, table.name) in selected
    )
    if lacking and selection.includes:
        raise InvalidInput(
            f"backup {request.artifact.location} is a partial backup without the rows of"
            f" {', '.join(lacking[:_NAMED])}: use another backup, or leave them out"
        )
    return selected - {(t.schema, t.name) for t in tables if not t.populated}
