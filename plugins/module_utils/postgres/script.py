"""psql: runs a script of SQL, all of it or nothing."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..errors import InvalidInput, ScriptFailed
from .connection import ConnectionParameters, connect, program_environment
from .programs import program_version, run_program
from .releases import require_fixes

OUTPUT_LIMIT_BYTES = 1024 * 1024


@dataclass(frozen=True)
class ScriptOutput:
    """What a script has printed.

    Attributes:
        rows: its lines, a row each, with ``|`` between the columns.
        truncated: whether there was more than OUTPUT_LIMIT_BYTES.
    """

    rows: list[str]
    truncated: bool


def check_script(parameters: ConnectionParameters, file: Path) -> None:
    """Find out whether ``run_script`` can begin.

    Raises:
        InvalidInput: there is no such file; ServerVersionUnsupported: no psql, or one that lacks
            a security fix; what ``connect`` raises.
    """
    if not file.is_file():
        raise InvalidInput(f"{file} is no file: write the path of a script, or the script itself")
    require_fixes("psql", program_version("psql"))
    connect(parameters).close()


def run_script(
    parameters: ConnectionParameters, file: Path, single_transaction: bool = True
) -> ScriptOutput:
    """Run a script in the database ``dbname``; it ends at its first error.

    psql does what the script says, including shell commands: run no scripts from untrusted sources.

    Args:
        single_transaction: whether an error undoes what came before it. Some statements, such as
            CREATE DATABASE, can only be run without.

    Raises:
        OperatorError: as ``check_script``; ScriptFailed unless the reason is recognised.
    """
    check_script(parameters, file)
    with (
        tempfile.TemporaryDirectory(prefix="postgres-operator-") as folder,
        program_environment(parameters) as environment,
    ):
        output = Path(folder, "output")
        run_program(
            [
                "psql",
                "--no-psqlrc",
                "--no-password",
                "--quiet",
                "--no-align",
                "--tuples-only",
                "--set=ON_ERROR_STOP=1",
                *(["--single-transaction"] if single_transaction else []),
                f"--file={file}",
                f"--output={output}",
                f"--dbname={parameters.conninfo()}",
            ],
            environment,
            ScriptFailed,
        )
        with output.open("rb") as stream:
            data = stream.read(OUTPUT_LIMIT_BYTES + 1)
    text = data[:OUTPUT_LIMIT_BYTES].decode(errors="replace")
    return ScriptOutput(text.splitlines(), len(data) > OUTPUT_LIMIT_BYTES)
