"""`psql`: a session in an instance."""

from __future__ import annotations

import base64
import os
import secrets
import subprocess

import click

from ..access import Cluster, Connect, Failure, Object
from ..options import placed

# The password comes on standard input, so it is in no argument and no environment.
_KEEP = 'umask 077; cat > "$1"'
# psql has read the file once it is connected; the file goes with the session at the latest.
_RUN = 'file=$1; shift; trap \'rm -f "$file"\' EXIT; PGPASSFILE=$file psql "$@"'


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option("--replica", is_flag=True, help="Connect to a replica, which only reads.")
@click.option("--database", "-d", "database_name", help="Another database than databaseName.")
@click.option(
    "--superuser",
    is_flag=True,
    help="As postgres: what users have put into the database runs with its rights then.",
)
@placed
def psql(
    connect: Connect,
    name: str,
    arguments: tuple[str, ...],
    replica: bool,
    database_name: str | None,
    superuser: bool,
) -> None:
    """Run psql in the primary, as the user of the Database.

    What follows NAME after -- is psql's own: kubectl postgres psql app -- -c 'SELECT 1'
    """
    cluster = connect()
    database = cluster.get("Database", name)
    pod = _instance(database, replica)
    spec = database["spec"]
    wanted = ["--dbname", database_name or spec["databaseName"]]
    interactive = ["--tty"] if os.isatty(0) and os.isatty(1) else []
    run = [
        *cluster.place.kubectl(),
        "exec",
        "--stdin",
        *interactive,
        pod,
        "--container=postgres",
        "--",
    ]
    if superuser:
        os.execvp(run[0], [*run, "psql", *wanted, *arguments])  # noqa: S606
    file = f"/tmp/kubectl-postgres-{secrets.token_hex(8)}"  # noqa: S108 (the container's own)
    _leave_password(cluster, name, pod, file)
    user = ["--username", spec["username"]]
    os.execvp(run[0], [*run, "sh", "-c", _RUN, "sh", file, *user, *wanted, *arguments])  # noqa: S606


def _instance(database: Object, replica: bool) -> str:
    """Return the pod to connect to.

    Raises:
        Failure: there is none.
    """
    status, name = database.get("status", {}), database["metadata"]["name"]
    if not replica:
        if status.get("primary"):
            return str(status["primary"])
        raise Failure(f"Database {name} has no primary now: see kubectl postgres status {name}")
    for one in status.get("instances", []):
        if one.get("ready") and one["name"] != status.get("primary"):
            return str(one["name"])
    raise Failure(f"Database {name} has no replica that is ready")


def _leave_password(cluster: Cluster, name: str, pod: str, file: str) -> None:
    """Write the file that libpq reads the password from, in the pod."""
    secret = cluster.get("Secret", f"{name}-credentials", "v1")
    password = base64.b64decode(secret["data"]["password"]).decode()
    escaped = password.replace("\\", "\\\\").replace(":", "\\:")
    command = ["exec", "--stdin", pod, "--container=postgres", "--", "sh", "-c", _KEEP, "sh", file]
    done = subprocess.run(
        [*cluster.place.kubectl(), *command],
        input=f"*:*:*:*:{escaped}\n",
        text=True,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise Failure(f"cannot reach pod {pod}: {done.stderr.strip()}")
