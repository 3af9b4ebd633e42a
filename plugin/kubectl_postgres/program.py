"""The program kubectl-postgres, which kubectl runs as `kubectl postgres`."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import click

from .commands.backups import backup, restore
from .commands.look import logs, report, status
from .commands.psql import psql
from .commands.steer import grow, hibernate, restart, switchover, wake


def _version() -> str:
    try:
        return version("kubectl-postgres")
    except PackageNotFoundError:
        return "unknown"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(_version(), prog_name="kubectl postgres")
def program() -> None:
    """See and steer PostgreSQL Databases, their Backups and Restores.

    Ends with 0 if all is done, 1 if something failed, 2 if the command is wrong, 3 if what it names
    does not exist.
    """


for command in (
    status, psql, backup, restore, switchover, restart, hibernate, wake, grow, logs, report,
):  # fmt: skip
    program.add_command(command)


def main() -> None:
    """Run the program."""
    program(prog_name="kubectl postgres")
