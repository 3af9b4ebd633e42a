"""`backup` and `restore`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from ..access import GROUP_VERSION, Cluster, Connect, Failure, Object
from ..follow import follow
from ..options import placed
from ..overview import main_condition, now
from ..screen import console


def _new_name(database: str, what: str) -> str:
    return f"{database}-{what}-{now():%Y%m%d-%H%M%S}"


def _make(cluster: Cluster, kind: str, name: str, spec: Object) -> None:
    metadata = {"name": name}
    cluster.create({"apiVersion": GROUP_VERSION, "kind": kind, "metadata": metadata, "spec": spec})


@click.command()
@click.argument("name")
@click.option("--as", "backup_name", help="The name of the Backup; else one with the time.")
@click.option("--like", help="A Backup or a schedule whose destination and encryption to take.")
@click.option("--verify", is_flag=True, help="Restore it into a scratch server and compare.")
@click.option("--physical", is_flag=True, help="All files of the server, beside its archive.")
@click.option("--no-wait", is_flag=True, help="Do not wait for its end.")
@placed
def backup(
    connect: Connect,
    name: str,
    backup_name: str | None,
    like: str | None,
    verify: bool,
    physical: bool,
    no_wait: bool,
) -> None:
    """Back up a Database now, and wait until the Backup is Completed.

    Ends with 1 if it fails, or with --verify if it is not verified.
    """
    cluster = connect()
    database = cluster.get("Database", name)
    spec: Object = {"databaseRef": {"name": name}}
    if like:
        spec |= _destination_of(cluster.get("Backup", like))
    elif physical:
        spec |= _archive_of(database)
    if physical:
        spec["method"] = "physical"
    if verify:
        spec["verify"] = "restore"
    backup_name, screen = backup_name or _new_name(name, "by-hand"), console()
    _make(cluster, "Backup", backup_name, spec)
    if no_wait:
        screen.print(f"Backup {backup_name} is made")
        return
    status = follow(cluster, "Backup", backup_name, screen)["status"]
    proof = ", verified" if status.get("verified") else ""
    screen.print(f"Backup {backup_name} is Completed: {status['size']}{proof}")


def _destination_of(backup: Object) -> Object:
    taken = ("destination", "encryption", "compression", "parallelism")
    return {key: backup["spec"][key] for key in taken if key in backup["spec"]}


def _archive_of(database: Object) -> Object:
    """Return where a physical Backup of a Database has to be: beside its archive."""
    archive = database["spec"].get("archive")
    if not archive:
        raise Failure(
            f"Database {database['metadata']['name']} has no spec.archive, which a physical Backup"
            " needs: see docs/how-to/archive-wal.md"
        )
    recipients = archive.get("recipients")
    encryption = {"encryption": {"recipients": recipients}} if recipients else {}
    return {"destination": archive["destination"], **encryption}


@click.command()
@click.argument("name")
@click.option("--from", "backup_name", required=True, help="The Backup, or the schedule.")
@click.option("--to", "target", help="Another database of the server, made for it.")
@click.option(
    "--table", "tables", multiple=True, help="Only this table, as SCHEMA.TABLE. Needs --to."
)
@click.option("--at", "moment", help="A moment, RFC 3339 with zone, of a physical Backup.")
@click.option("--as", "restore_name", help="The name of the Restore; else one with the time.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask, and make no dry run first.")
@click.option("--no-wait", is_flag=True, help="Do not wait for its end.")
@placed
def restore(
    connect: Connect,
    name: str,
    backup_name: str,
    target: str | None,
    tables: tuple[str, ...],
    moment: str | None,
    restore_name: str | None,
    yes: bool,
    no_wait: bool,
) -> None:
    """Restore a Backup into a running Database.

    Where it replaces the live database, a dry run shows first what would change, and you are
    asked. The replaced database is kept as the Restore says, and is backed up before.
    """
    if tables and not target:
        raise click.UsageError("--table needs --to, another database to restore that table into")
    cluster = connect()
    cluster.get("Database", name)
    cluster.get("Backup", backup_name)
    spec = _restore_spec(name, backup_name, target, tables, moment)
    screen = console()
    if not yes:
        if target is None:
            _show_difference(cluster, name, spec, screen)
        place = f"into {target}" if target else "in the place of the live database"
        click.confirm(f"Restore {backup_name} {place} of Database {name}?", abort=True)
    restore_name = restore_name or _new_name(name, "restore")
    _make(cluster, "Restore", restore_name, spec)
    if no_wait:
        screen.print(f"Restore {restore_name} is made")
        return
    found = follow(cluster, "Restore", restore_name, screen)
    screen.print(Text(f"Restore {restore_name} is Completed: {main_condition(found)['message']}"))
    previous = found["status"].get("previousDatabase")
    if previous:
        screen.print(f"The replaced database is kept as {previous}")


def _restore_spec(
    name: str, backup: str, target: str | None, tables: tuple[str, ...], moment: str | None
) -> Object:
    spec: dict[str, Any] = {"databaseRef": {"name": name}, "backupRef": {"name": backup}}
    if target:
        spec["targetDatabase"] = target
    if tables:
        spec["include"] = {"tables": list(tables)}
    if moment:
        spec["pointInTime"] = _checked(moment)
    return spec


def _checked(moment: str) -> str:
    """Return a moment that has a zone, as it was written.

    Raises:
        UsageError
    """
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError as error:
        raise click.UsageError(f"--at: {error}; write it like 2026-11-30T14:03:00+01:00") from error
    if parsed.tzinfo is None:
        raise click.UsageError("--at needs a zone: write it like 2026-11-30T14:03:00+01:00")
    return moment.replace(" ", "T")


def _show_difference(cluster: Cluster, name: str, spec: Object, screen: Console) -> None:
    """Make a dry run and print what a Restore would change."""
    dry_run = _new_name(name, "dry-run")
    _make(cluster, "Restore", dry_run, {**spec, "dryRun": True})
    found = follow(cluster, "Restore", dry_run, screen)
    screen.print(Text(main_condition(found)["message"]))
    for example in found["status"].get("difference", {}).get("examples", []):
        screen.print(Text(f"  {example}"))
