"""Commands that change one field of a Database, and wait until that is done."""

from __future__ import annotations

import time
from collections.abc import Callable

import click
from rich.text import Text

from ..access import Cluster, Connect, Failure, Object
from ..options import placed
from ..overview import condition, in_words, now
from ..screen import console

_SECONDS = 1.0
_WAITED_SECONDS = 900.0

Done = Callable[[Object], bool]


@click.command()
@click.argument("name")
@click.option("--to", "instance", required=True, help="The instance that becomes primary.")
@placed
def switchover(connect: Connect, name: str, instance: str) -> None:
    """Make another instance the primary."""
    cluster = connect()
    if cluster.get("Database", name).get("status", {}).get("primary") == instance:
        console().print(f"{instance} is the primary of Database {name} already")
        return
    changed = cluster.patch_spec("Database", name, {"switchoverTo": instance})
    if changed.get("status", {}).get("switchover", {}).get("to") == instance:
        raise Failure(
            f"switchoverTo of Database {name} was {instance} before, and each value counts once:"
            " name another instance first"
        )

    def ended(database: Object) -> bool:
        found = database["status"].get("switchover", {})
        if found.get("to") != instance or found.get("state") in {None, *_SWITCHING}:
            return False
        if found["state"] != "Completed":
            raise Failure(f"no switchover to {instance}: {found['state']}: {found.get('message')}")
        return True

    _wait(cluster, name, ended, f"{instance} is the primary of Database {name}")


_SWITCHING = frozenset({"Waiting", "WaitingForInstance", "InProgress"})


@click.command()
@click.argument("name")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@placed
def restart(connect: Connect, name: str, yes: bool) -> None:
    """Replace all instances, replicas first, with one switchover."""
    cluster = _agreed(
        connect, name, f"Replace all instances of Database {name}, one at a time?", yes
    )
    _set(cluster, name, {"restartedAt": f"{now():%Y-%m-%dT%H:%M:%SZ}"}, "is restarted")


@click.command()
@click.argument("name")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@placed
def hibernate(connect: Connect, name: str, yes: bool) -> None:
    """Stop all instances; volumes, Secrets and Backups stay."""
    question = f"Stop Database {name}? No client can connect until it is started by wake."
    cluster = _agreed(connect, name, question, yes)
    _set(cluster, name, {"hibernate": True}, "is hibernated", "Hibernated")


@click.command()
@click.argument("name")
@placed
def wake(connect: Connect, name: str) -> None:
    """Start the instances of a hibernated Database again."""
    _set(connect(), name, {"hibernate": False}, "is Ready")


@click.command()
@click.argument("name")
@click.argument("size")
@placed
def grow(connect: Connect, name: str, size: str) -> None:
    """Grow the volumes of a Database to SIZE, such as 20Gi."""
    _set(connect(), name, {"storage": {"size": size}}, f"has volumes of {size}")


def _agreed(connect: Connect, name: str, question: str, yes: bool) -> Cluster:
    """Return the cluster, once the Database is known to be there, and the answer is yes.

    Raises:
        NotFound; Abort: the answer is no.
    """
    cluster = connect()
    cluster.get("Database", name)
    if not yes:
        click.confirm(question, abort=True)
    return cluster


def _set(cluster: Cluster, name: str, fields: Object, done: str, phase: str = "Ready") -> None:
    """Change fields and wait until the Database has a phase with them."""
    changed = cluster.patch_spec("Database", name, fields)
    generation = changed["metadata"]["generation"]

    def ended(database: Object) -> bool:
        status = database.get("status", {})
        if status.get("observedGeneration", 0) < generation:
            return False
        refused = condition(database, "StorageDiffers")
        if "storage" in fields and refused.get("status") == "True":
            raise Failure(in_words(refused))
        if status.get("phase") == "Failed":
            raise Failure(f"Database {name}: {in_words(condition(database, 'Ready'))}")
        return bool(status.get("phase") == phase)

    _wait(cluster, name, ended, f"Database {name} {done}")


def _wait(cluster: Cluster, name: str, ended: Done, done: str) -> None:
    """Wait with what the Database says meanwhile.

    Raises:
        Failure: it did not end in a quarter of an hour, which changes nothing of what was asked.
    """
    screen = console()
    with screen.status(Text(f"Database {name}")) as line:
        deadline = time.monotonic() + _WAITED_SECONDS
        while not ended(found := cluster.get("Database", name)):
            said = condition(found, "Ready").get("message", "")
            phase = found.get("status", {}).get("phase", "")
            line.update(Text(f"Database {name} {phase}: {said}"))
            if time.monotonic() > deadline:
                raise Failure(f"not done after 15 minutes, it goes on: {said}")
            time.sleep(_SECONDS)
    screen.print(done)
