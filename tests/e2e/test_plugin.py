"""kubectl postgres, as kubectl runs it, on a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import runner

NAMESPACE = "scenario-plugin"
PLUGIN = runner.CHECKOUT / "plugin"
DATABASE = """
apiVersion: database.example.com/v1
kind: Database
metadata: {name: app}
spec: {image: "postgres:15", replicas: 2, databaseName: shop, username: owner, storage: {size: 1Gi}}
"""

pytestmark = pytest.mark.e2e


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A PATH with kubectl and its plugin, and a namespace."""
    program = tmp_path / "kubectl-postgres"
    program.write_text(
        f'#!/bin/sh\nPYTHONPATH={PLUGIN} exec {sys.executable} -m kubectl_postgres "$@"\n'
    )
    program.chmod(0o755)
    folders = [str(tmp_path), str(runner.CHECKOUT / ".cluster" / "bin"), os.environ["PATH"]]
    runner.kubectl("create", "namespace", NAMESPACE)
    yield os.environ | {"PATH": os.pathsep.join(folders), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    runner.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def kubectl(*arguments: str, text: str = "") -> str:
    return runner.kubectl("-n", NAMESPACE, *arguments, text=text)


def sql(statement: str) -> str:
    primary = kubectl("get", "database/app", "-o", "jsonpath={.status.primary}")
    return kubectl("exec", primary, "-c", "postgres", "--", "psql", "-Atc", statement, "shop")


def test_a_new_user_looks_backs_up_restores_and_switches_over(environment) -> None:
    def postgres(*arguments: str, answer: str = "", code: int = 0) -> str:
        done = subprocess.run(
            ["kubectl", "postgres", *arguments, "--namespace", NAMESPACE],
            input=answer,
            capture_output=True,
            text=True,
            env=environment,
            timeout=600,
            check=False,
        )
        assert done.returncode == code, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    kubectl("apply", "-f", "-", text=DATABASE)
    assert postgres("status", "app").startswith(f"{NAMESPACE}/app  ")
    kubectl("wait", "database/app", "--for=condition=Ready", "--timeout=200s")
    assert "No Backup is Completed" in postgres("status", "app")
    # psql's own options come last, so the namespace has to stand before them.
    session = ("psql", "-n", NAMESPACE, "app")

    def query(statement: str, *options: str) -> str:
        done = subprocess.run(
            ["kubectl", "postgres", *session, *options, "--", "-qAtc", statement],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=environment,
            timeout=120,
            check=True,
        )
        return done.stdout.strip()

    query("CREATE TABLE song AS SELECT n FROM generate_series(1, 100) n")
    assert query("SELECT current_user || pg_is_in_recovery()") == "ownerfalse"
    assert query("SELECT pg_is_in_recovery()", "--replica") == "t"
    assert query("SELECT current_user", "--superuser") == "postgres"
    left = kubectl("exec", "app-0", "-c", "postgres", "--", "sh", "-c", "ls /tmp/kubectl* || true")
    assert left == "", "the file with the password is gone"

    assert "verified" in postgres("backup", "app", "--verify", "--as", "first")
    assert kubectl("get", "backup/first", "-o", "jsonpath={.status.verified}") == "true"
    query("DELETE FROM song WHERE n > 10")
    shown = postgres("restore", "app", "--from", "first", answer="n\n", code=1)
    assert '"public"."song": 100 rows in the backup, 10 in the database' in shown
    assert sql("SELECT count(*) FROM song") == "10\n"
    done = postgres("restore", "app", "--from", "first", "--yes", "--as", "undo")
    assert "is kept as shop_before_" in done
    assert sql("SELECT count(*) FROM song") == "100\n"

    other = {"app-0": "app-1", "app-1": "app-0"}[
        kubectl("get", "database/app", "-o", "jsonpath={.status.primary}")
    ]
    assert f"{other} is the primary" in postgres("switchover", "app", "--to", other)
    role = kubectl("get", "pod", other, "-o", "jsonpath={.metadata.labels.role}")
    assert role in {"primary", "master"}
    assert "the leader with the lock" in postgres("logs", "app", "--since", "60")
    document = json.loads(postgres("status", "app", "-o", "json"))
    assert (document["primary"], document["backups"][-1]["proof"]) == (other, "verified")
    assert "does not exist" in postgres("status", "none", code=3)
