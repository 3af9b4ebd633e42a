"""`status`, `report` and `logs`: commands that change nothing."""

from __future__ import annotations

import heapq
import json
import queue
import re
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import timedelta

import click
import yaml
from rich.console import RenderableType
from rich.live import Live

from ..access import Cluster, Connect, Failure, Object
from ..options import placed
from ..overview import Overview, now, overview_of
from ..report import report_of
from ..screen import console, render, render_list

_REFRESH_SECONDS = 2.0
_CONTAINERS = ("postgres", "archiver")


@click.command()
@click.argument("name", required=False)
@click.option("--watch", "-w", is_flag=True, help="Show it again every two seconds.")
@click.option(
    "--output", "-o", type=click.Choice(["json", "yaml"]), help="All of it, for programs."
)
@placed
def status(connect: Connect, name: str | None, watch: bool, output: str | None) -> None:
    """Show a Database on one screen, or all of the namespace in one line each.

    Instances, archive, Backups, what of them is proven, Restores, and what is to be done.
    """
    cluster = connect()
    if output:
        _print(cluster, name, output)
        return
    screen = console()
    if not watch:
        screen.print(_screen(cluster, name))
        return
    with Live(console=screen, auto_refresh=False, screen=screen.is_terminal) as live:
        while True:
            live.update(_screen(cluster, name), refresh=True)
            time.sleep(_REFRESH_SECONDS)


def _screen(cluster: Cluster, name: str | None) -> RenderableType:
    moment = now()
    found = _overviews(cluster, name)
    return render(found[0], moment) if name else render_list(found, moment)


def _print(cluster: Cluster, name: str | None, output: str) -> None:
    documents = [one.document() for one in _overviews(cluster, name)]
    document = documents[0] if name else documents
    if output == "json":
        click.echo(json.dumps(document, indent=2))
    else:
        click.echo(yaml.safe_dump(document, sort_keys=False), nl=False)


def _overviews(cluster: Cluster, name: str | None) -> list[Overview]:
    databases = _databases(cluster, name)
    backups, restores = cluster.list("Backup"), cluster.list("Restore")
    return [overview_of(one, backups, restores, now()) for one in databases]


def _databases(cluster: Cluster, name: str | None) -> list[Object]:
    """Return the Database of a name, or all.

    Raises:
        Failure: there is none.
    """
    databases = [cluster.get("Database", name)] if name else cluster.list("Database")
    if not databases:
        raise Failure(f"there is no Database in namespace {cluster.namespace}: see --namespace")
    return databases


@click.command()
@click.argument("name", required=False)
@click.option("--since", default="90d", show_default=True, help="The period, such as 12h, 90d, 8w.")
@click.option("--output", "-o", type=click.Choice(["html", "json"]), default="html")
@placed
def report(connect: Connect, name: str | None, since: str, output: str) -> None:
    """Print the recovery report of a Database, or of all of the namespace.

    What was backed up, verified, rehearsed and restored, what a loss would have cost, how long a
    restore takes: kubectl postgres report > report.html
    """
    # It takes a quarter of a second to load, which the other commands do not pay.
    from ..page import page  # noqa: PLC0415

    found = re.fullmatch(r"(\d{1,5})([hdw])", since)
    if not found:
        raise click.UsageError("--since is a number and h, d or w: write it like 90d")
    unit = {"h": "hours", "d": "days", "w": "weeks"}[found[2]]
    period = timedelta(**{unit: int(found[1])})
    cluster = connect()
    backups, restores = cluster.list("Backup"), cluster.list("Restore")
    reports = [
        report_of(one, backups, restores, period, now()) for one in _databases(cluster, name)
    ]
    if output == "json":
        click.echo(json.dumps([one.document() for one in reports], indent=2))
    else:
        click.echo(page(reports))


@click.command()
@click.argument("name")
@click.option("--follow", "-f", is_flag=True, help="Go on with what comes.")
@click.option("--since", type=click.IntRange(1), help="Begin so many seconds ago.")
@placed
def logs(connect: Connect, name: str, follow: bool, since: int | None) -> None:
    """Print the logs of all instances of a Database, in the order of time."""
    cluster = connect()
    cluster.get("Database", name)
    pods = cluster.list("Pod", "v1", f"app=database,database={name}")
    sources = [
        (pod["metadata"]["name"], container["name"])
        for pod in pods
        for container in pod["spec"]["containers"]
        if container["name"] in _CONTAINERS
    ]
    if not sources:
        raise Failure(f"Database {name} has no instances now: see kubectl postgres status {name}")
    streams = [_labelled(cluster, *source, follow, since) for source in sources]
    for _, line in _together(streams) if follow else heapq.merge(*streams):
        click.echo(line)


def _labelled(
    cluster: Cluster, pod: str, container: str, follow: bool, since: int | None
) -> Iterator[tuple[str, str]]:
    """Yield the time of each line, and the line with the name of its pod."""
    label = pod if container == "postgres" else f"{pod} {container}"
    for line in cluster.log(pod, container, follow, since):
        moment, _, text = line.partition(" ")
        yield moment, f"{label}: {text}"


def _together(streams: Iterable[Iterator[tuple[str, str]]]) -> Iterator[tuple[str, str]]:
    """Yield what any of the streams has, as it comes, until each has ended."""
    lines: queue.Queue[tuple[str, str] | None] = queue.Queue()

    def read(stream: Iterator[tuple[str, str]]) -> None:
        try:
            for line in stream:
                lines.put(line)
        except Failure as error:
            lines.put(("", error.message))
        finally:
            lines.put(None)

    threads = [threading.Thread(target=read, args=(one,), daemon=True) for one in streams]
    for thread in threads:
        thread.start()
    open_streams = len(threads)
    while open_streams:
        line = lines.get()
        if line is None:
            open_streams -= 1
        else:
            yield line
