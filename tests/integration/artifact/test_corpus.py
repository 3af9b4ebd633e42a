"""Every database of ``tests/integration/corpus`` comes back as it was, or the reason is named.

A file there is run by psql. The comments at its top say what is awkward, and then what is special:

    needs: VERSION     the first major version of PostgreSQL that can have it
    options: TEXT      of CREATE DATABASE
    warning: PATTERN   of the warning that verification and Restore give
    fails: PATTERN     of the error; plain pg_restore fails too, or the test does
    refused: PATTERN   of the error; plain pg_restore loses what is there
    consent            only a superuser can restore it, who executes what is in it

With `from VERSION` before the colon that is so from that major version on.

What is compared is what pg_dump writes of the database before and after, with rows as statements,
and what lies outside the database.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact.verify import (
    VerifyRequest,
    verify_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres import releases

FOLDER = Path(__file__).parents[1] / "corpus"
ROLES = ("corpus_one", "corpus_two", '"corpus Three"')
NOTE = re.compile(r"-- (needs|options|warning|fails|refused|consent)(?: from (\d+))?(?:: (.*))?")
FIRST_WITH_LOGIN_TRIGGERS = 17

# What is of the database and in no dump of it.
PROPERTIES = """
SELECT datdba::regrole, datconnlimit, encoding, datcollate,
       ARRAY(SELECT unnest(coalesce(datacl, acldefault('d', datdba)))::text ORDER BY 1),
       shobj_description(oid, 'pg_database'),
       ARRAY(SELECT concat(setrole::regrole, ' ', ARRAY(SELECT unnest(setconfig) ORDER BY 1)) FROM pg_db_role_setting
              WHERE setdatabase = oid ORDER BY 1)
  FROM pg_database WHERE datname = %s
"""
VIEWS = """
SELECT format('SELECT %%L, md5(string_agg(m::text, '','' ORDER BY m::text)) FROM %%s m', c, c)
  FROM (SELECT oid::regclass AS c FROM pg_class WHERE relkind = 'm' AND relispopulated) v
 ORDER BY 1
"""


@dataclass(frozen=True)
class Awkward:
    """One of them."""

    path: Path
    notes: tuple[tuple[str, int, str], ...]

    def notes_for(self, major: int) -> dict[str, str]:
        """What is special for a version of PostgreSQL."""
        return {name: text for name, first, text in self.notes if major >= first}


def read(path: Path) -> Awkward:
    matches = map(NOTE.fullmatch, path.read_text(encoding="utf-8").splitlines())
    return Awkward(path, tuple((m[1], int(m[2] or 0), m[3] or "") for m in matches if m))


CORPUS = [read(path) for path in sorted(FOLDER.glob("*.sql"))]


@pytest.fixture
def people(postgres_server) -> Iterator[None]:
    """The roles that the databases of the corpus may have."""
    with postgres_server.connect() as connection:
        for role in ROLES:
            connection.execute(f"CREATE ROLE {role}")
    yield
    with postgres_server.connect() as connection:
        connection.execute(f"DROP ROLE {', '.join(ROLES)}")


@pytest.fixture
def no_subscriptions_stay(postgres_server, make_bench) -> Iterator[None]:
    """They would keep databases from being dropped."""
    yield
    with postgres_server.connect() as connection:
        rows = connection.execute(
            "SELECT d.datname, s.subname FROM pg_subscription s JOIN pg_database d ON d.oid = subdbid"
        ).fetchall()
        for database, name in rows:
            connection.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS true')
            with postgres_server.connect(database) as inside:
                inside.execute(f"ALTER SUBSCRIPTION {name} SET (slot_name = NONE)")
                inside.execute(f"DROP SUBSCRIPTION {name}")


@pytest.fixture(autouse=True)
def releases_without_fixes(pytestconfig, monkeypatch) -> None:
    """Of some majors only older releases can be had; what a database comes back as is the same."""
    if pytestconfig.getoption("any_release"):
        monkeypatch.setattr(releases, "FIXES", ())


def major_of(server) -> int:
    with server.connect() as connection:
        return connection.info.server_version // 10000


def run(bench, *command: str, dbname: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program of PostgreSQL against the bench's server, in a session that fires nothing."""
    silent = major_of(bench.server) >= FIRST_WITH_LOGIN_TRIGGERS
    environment = os.environ | {
        "PGHOST": bench.server.host,
        "PGPORT": str(bench.server.port),
        "PGUSER": bench.server.user,
        "PGPASSWORD": bench.server.password,
        "PGDATABASE": dbname or bench.database,
        "PGCLIENTENCODING": "UTF8",
        "PGOPTIONS": "-c role=none -c statement_timeout=0 -c lock_timeout=0"
        " -c idle_in_transaction_session_timeout=0 -c default_transaction_read_only=off"
        + (" -c event_triggers=off" if silent else ""),
    }
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def build(bench, path: Path) -> None:
    done = run(bench, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(path))
    assert done.returncode == 0, done.stderr


def state(bench) -> list[str]:
    """All that is in the database, as pg_dump and the catalogs say it."""
    dumped = run(bench, "pg_dump", "--column-inserts", "--load-via-partition-root")
    assert dumped.returncode == 0, dumped.stderr
    lines = [
        line
        for line in dumped.stdout.splitlines()
        if line and not line.startswith(("-- ", "\\restrict ", "\\unrestrict "))
    ]
    with bench.server.connect() as connection:
        properties = connection.execute(PROPERTIES, [bench.database]).fetchone()
    queries = run(bench, "psql", "-X", "-A", "-t", "-c", VIEWS.replace("%%", "%")).stdout
    views = [run(bench, "psql", "-X", "-A", "-t", "-c", one).stdout for one in queries.split("\n")]
    return [str(properties), *views, *sorted(lines)]


def difference(before: list[str], after: list[str]) -> list[str]:
    """The lines that are not the same."""
    lines = list(unified_diff(before, after, n=0, lineterm=""))
    print("\n".join(lines))
    return lines


def fails_plainly(bench, folder: Path) -> bool:
    """Whether pg_restore, without any of this project, cannot restore the database either."""
    dump, database = folder / "plain.dump", f"{bench.database}_plain"
    assert run(bench, "pg_dump", "-Fc", f"--file={dump}").returncode == 0
    with bench.server.connect() as connection:
        connection.execute(f"CREATE DATABASE {database} TEMPLATE template0")
    done = run(bench, "pg_restore", "--exit-on-error", f"--dbname={database}", str(dump))
    return done.returncode != 0


@pytest.mark.parametrize("awkward", CORPUS, ids=lambda awkward: awkward.path.stem)
def test_it_comes_back(
    postgres_server, people, make_bench, no_subscriptions_stay, scratch, tmp_path, awkward
) -> None:
    major = major_of(postgres_server)
    notes = awkward.notes_for(major)
    if major < int(notes.get("needs", 0)):
        pytest.skip(f"needs PostgreSQL {notes['needs']}")
    bench = make_bench(options=notes.get("options", ""))
    build(bench, awkward.path)
    before, databases = state(bench), bench.databases()
    bench.backup()
    verification = VerifyRequest(bench.store, bench.location, scratch, jobs=2)
    expected = notes.get("fails") or notes.get("refused")
    if expected:
        with pytest.raises(errors.VerificationFailed, match=expected):
            verify_artifact(verification)
        with pytest.raises(errors.RestoreFailed, match=expected):
            bench.restore()
        assert difference(before, state(bench)) == []
        assert bench.databases() == databases
        assert "fails" not in notes or fails_plainly(bench, tmp_path)
        return
    verified = verify_artifact(verification)
    restored = bench.restore(as_superuser="consent" in notes, ends_replication=True).summary
    assert difference(before, state(bench)) == []
    if "warning" in notes:
        assert re.search(notes["warning"], restored["warning"])
    else:
        assert "warning" not in verified | restored


def test_there_are_enough() -> None:
    assert len(CORPUS) >= 60
