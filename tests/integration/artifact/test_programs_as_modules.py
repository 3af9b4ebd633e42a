"""The modules pg_dump, pg_restore and psql, in a playbook of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact import dump as dumping
from ansible_collections.postgres.operator.plugins.module_utils.postgres.programs import (
    program_version,
)
from ansible_collections.postgres.operator.plugins.modules import pg_dump, pg_restore, psql
from collection_root import ensure_collection_root

FILL = "CREATE TABLE song AS SELECT g AS id, md5(g::text) AS title FROM generate_series(1, 1000) g"
SUM = "SELECT count(*), sum(hashtext(title)) FROM song"


@pytest.fixture
def server(bench) -> dict[str, Any]:
    return {
        "host": str(bench.server.host),
        "port": bench.server.port,
        "user": bench.server.user,
        "password_file": str(bench.server.password_file),
        "sslmode": "disable",
    }


@pytest.fixture
def run(server):
    """Run a module's work with its defaults, as the action plugin does."""

    def call(module: Any, check_mode: bool = False, **options: Any) -> dict[str, Any]:
        defaults = {name: spec.get("default") for name, spec in module.ARGUMENT_SPEC.items()}
        result: dict[str, Any] = module.run(defaults | server | options, check_mode)
        return result

    return call


@pytest.fixture
def empty(bench):
    """The name of a new database."""
    name = f"loaded_{uuid.uuid4().hex[:8]}"
    bench.execute(f"CREATE DATABASE {name}", "postgres")
    yield name
    bench.execute(f"DROP DATABASE {name}", "postgres")


def test_a_playbook_moves_a_database(bench, server, empty, tmp_path: Path) -> None:
    bench.execute(FILL)
    folder = str(tmp_path / "dump")
    tasks = [
        {"postgres.operator.pg_dump": {"database": bench.database, "folder": folder, "jobs": 2}},
        {"postgres.operator.pg_restore": {"database": empty, "folder": folder, "jobs": 2}},
        {"postgres.operator.psql": {"database": empty, "script": SUM}, "register": "sums"},
        {"ansible.builtin.copy": {"content": "{{ sums | to_json }}", "dest": f"{folder}.json"}},
    ]
    names = [f"postgres.operator.{name}" for name in ("pg_dump", "pg_restore", "psql")]
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "module_defaults": dict.fromkeys(names, server),
        "tasks": tasks,
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), tmp_path / "play.yml"],
        env=os.environ | {"ANSIBLE_COLLECTIONS_PATH": str(ensure_collection_root())},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    expected = "|".join(map(str, bench.connect().execute(SUM).fetchone()))
    assert json.loads(Path(f"{folder}.json").read_text())["rows"] == [expected]


def test_check_mode_writes_nothing(bench, run, empty, tmp_path: Path) -> None:
    folder = tmp_path / "dump"
    assert run(pg_dump, True, database=bench.database, folder=str(folder))["changed"]
    assert list(tmp_path.glob("dump*")) == []
    bench.execute(FILL)
    run(pg_dump, database=bench.database, folder=str(folder))
    assert run(pg_restore, True, database=empty, folder=str(folder))["changed"]
    assert run(psql, True, database=empty, script="CREATE TABLE t ()")["changed"]
    assert run(
        psql, database=empty, script="SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
    )["rows"] == ["0"]


def test_what_is_there_is_not_touched(bench, run, tmp_path: Path) -> None:
    folder = tmp_path / "dump"
    folder.mkdir()
    with pytest.raises(errors.InvalidInput, match="already exists"):
        run(pg_dump, database=bench.database, folder=str(folder))
    bench.execute(FILL)
    run(pg_dump, database=bench.database, folder=str(tmp_path / "other"))
    with pytest.raises(errors.InvalidInput, match="is not empty"):
        run(pg_restore, database=bench.database, folder=str(tmp_path / "other"))
    with pytest.raises(errors.InvalidInput, match=r"no toc\.dat"):
        run(pg_restore, database=bench.database, folder=str(folder))


def test_a_dump_that_fails_leaves_no_folder(bench, run, monkeypatch, tmp_path: Path) -> None:
    def fail(_parameters: Any, folder: Path, *_: Any) -> None:
        folder.mkdir()
        (folder / "toc.dat").write_text("half")
        raise errors.BackupFailed("no")

    monkeypatch.setattr(dumping, "run_pg_dump", fail)
    with pytest.raises(errors.BackupFailed):
        run(pg_dump, database=bench.database, folder=str(tmp_path / "dump"))
    assert list(tmp_path.glob("dump*")) == []


def test_a_load_that_fails_says_what_is_left(bench, run, empty, tmp_path: Path) -> None:
    bench.execute(FILL)
    folder = tmp_path / "dump"
    run(pg_dump, database=bench.database, folder=str(folder), compression="none")
    data = next(
        path
        for path in folder.glob("*.dat")
        if path.name != "toc.dat" and b"\t" in path.read_bytes()
    )
    data.write_bytes(b"not a number\n")
    with pytest.raises(errors.RestoreFailed, match=f'database "{empty}" has a part of it: drop it'):
        run(pg_restore, database=empty, folder=str(folder))


def test_a_script_is_run_whole_or_not_at_all(bench, run, tmp_path: Path) -> None:
    script = tmp_path / "script.sql"
    script.write_text("CREATE TABLE first (); SELECT 1 / 0;")
    with pytest.raises(errors.ScriptFailed, match="division by zero"):
        run(psql, database=bench.database, src=str(script))
    assert bench.scalar("SELECT to_regclass('first')") is None
    with pytest.raises(errors.ScriptFailed):
        run(psql, database=bench.database, src=str(script), single_transaction=False)
    assert bench.scalar("SELECT to_regclass('first')") == "first"


def test_what_a_script_prints_is_bounded(bench, run) -> None:
    result = run(
        psql,
        database=bench.database,
        script="SELECT repeat('x', 99) FROM generate_series(1, 20000)",
    )
    assert result["truncated"]
    assert sum(len(row) + 1 for row in result["rows"]) <= 1024 * 1024 + 1
    assert not run(psql, database=bench.database, script="SELECT 1; SELECT 2")["truncated"]


@pytest.mark.parametrize("options", [{}, {"script": "SELECT 1", "src": "/tmp/x"}, {"src": "/no"}])
def test_a_script_is_a_text_or_a_file(run, options: dict[str, str]) -> None:
    with pytest.raises(errors.InvalidInput):
        run(psql, **options)


@pytest.mark.parametrize("module", [pg_dump, pg_restore, psql])
def test_a_program_that_lacks_security_fixes_is_not_run(
    bench, run, empty, tmp_path: Path, monkeypatch, module: Any
) -> None:
    # The first release of the major version that is here.
    version = f"{program_version('pg_dump').major}.0"
    folder = tmp_path / "dump"
    run(pg_dump, database=bench.database, folder=str(folder))
    name = module.__name__.rpartition(".")[2]
    tool = tmp_path / "programs" / name
    tool.parent.mkdir()
    # It says its version, and leaves a mark where it is run for anything else.
    tool.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && exec echo "{name} (PostgreSQL) {version}"\n'
        f"touch {tmp_path}/ran\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    options = {
        pg_dump: {"database": bench.database, "folder": str(tmp_path / "other")},
        pg_restore: {"database": empty, "folder": str(folder)},
        psql: {"database": bench.database, "script": "SELECT 1"},
    }[module]
    with pytest.raises(errors.ServerVersionUnsupported, match=f"{name} {version} lacks"):
        run(module, **options)
    assert not Path(tmp_path, "ran").exists()
