"""The work of a Job, from a file of variables to the result that the operator reads.

The variables come from a resource, so they are data. What Ansible reads by --extra-vars it takes
for templates; so it has the file's name, and the file is read here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InvalidInput, OperatorError, StoreUnreachable
from . import actions, options
from .create import create_artifact
from .options import Options
from .physical import actions as physical
from .read_back import keep_if_readable

RESULT_FILE = "/dev/termination-log"
"""Where the result is written if the variables do not say."""

_MISSING_ALONE = 100
"""How many UIDs a result has room for that has nothing else."""

LIMIT_BYTES = 4096
"""What Kubernetes keeps of a termination message."""

Params = dict[str, Any]

Validate = Callable[[Options, Params], Params]
"""Returns the values with their defaults, or raises InvalidInput."""


@dataclass(frozen=True)
class Work:
    """What a playbook does.

    Attributes:
        options: the variables that it takes.
        act: does it, or in check mode only finds out whether it could.
        result: what of that is written.
        failure: the reason of a failure that has none of its own.
    """

    options: Options
    act: Callable[[Params, bool], Params]
    result: Callable[[Params], Params]
    failure: str


def run_job(name: str, variables_file: Path, validate: Validate, check_mode: bool) -> Params:
    """Do one of WORKS and, except in check mode, write how it ended.

    Returns:
        ``changed`` and, if it was done, ``result``: what was written.

    Raises:
        InvalidInput: the file cannot be read, or the work does not take what is in it.
        Others: as the modules raise that the work consists of.
    """
    work = WORKS[name]
    result_file = Path(RESULT_FILE)

    def fail(reason: str, message: str) -> None:
        if not check_mode:
            # Where that is not possible either, the first failure is the one to be raised.
            with suppress(StoreUnreachable):
                write_result(result_file, {"ok": False, "reason": reason, "message": message})

    try:
        variables = read_variables(variables_file)
        result_file = Path(str(variables.pop("result_file", RESULT_FILE))).expanduser()
        done = work.act(validate(work.options, variables), check_mode)
        if check_mode:
            return {"changed": done["changed"]}
        result = {"ok": True, **work.result(done)}
        write_result(result_file, result)
    except OperatorError as error:
        fail(error.reason, error.message)
        raise
    except Exception as error:
        fail(work.failure, f"{type(error).__name__}: {error}")
        raise
    return {"changed": done["changed"], "result": result}


def read_variables(file: Path) -> Params:
    """Read a JSON object; what is null or empty in it is as good as not there.

    Raises:
        InvalidInput: there is none that can be read.
    """
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise InvalidInput(f"cannot read the variables in {file}: {error}") from error
    if not isinstance(content, dict):
        raise InvalidInput(f"the variables in {file} are not a JSON object")
    return {name: value for name, value in content.items() if value not in (None, "", {})}


def encode_result(result: dict[str, Any]) -> bytes:
    """One line of JSON of at most LIMIT_BYTES; a ``message`` or ``warning`` is cut for that.

    Raises:
        ValueError: it is too long without.
    """
    content = _dump(result)
    key = "message" if "message" in result else "warning"
    message = str(result.get(key, ""))
    while len(content) > LIMIT_BYTES:
        if not message:
            raise ValueError(f"the result exceeds {LIMIT_BYTES} bytes")
        excess = len(content) - LIMIT_BYTES
        # A character takes up to four bytes, or two when escaped: so this may need some rounds.
        message = message[: max(len(message) - max(excess // 4, 1) - 1, 0)]
        content = _dump(result | {key: message.rstrip() + "…"})
    return content


def write_result(path: Path, result: dict[str, Any]) -> None:
    """Write the document.

    In place: a termination log is a mounted file, which nothing can be renamed onto.

    Raises:
        StoreUnreachable: the file cannot be written.
    """
    content = encode_result(result)
    try:
        path.write_bytes(content)
    except OSError as error:
        raise StoreUnreachable(f"cannot write the result to {path}: {error.strerror}") from error


def _dump(result: dict[str, Any]) -> bytes:
    return json.dumps(result, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _back_up(params: Params, check_mode: bool) -> Params:
    """Dump, then read back."""
    if check_mode:
        return actions.create(params, check_mode)
    request, progress = actions.backup_request(params), options.progress(params)
    outcome = create_artifact(request, progress)
    return keep_if_readable(
        params,
        request.store,
        outcome.adopted,
        lambda: actions.read_back(request, outcome, progress),
        outcome.summary,
    )


def _part(name: str) -> Callable[[Params], Params]:
    """What takes one part of what a module returns."""
    return lambda done: dict(done[name])


def _location(done: Params) -> Params:
    return {"location": done["location"]}


def _missing(done: Params) -> Params:
    return {"missing": done["missing"][:_MISSING_ALONE]}


WORKS = {
    "adopt": Work(options.CHECK_OPTIONS, actions.check, _part("artifact"), "BackupFailed"),
    "backup": Work(options.BACKUP_OPTIONS, _back_up, _part("artifact"), "BackupFailed"),
    "copy": Work(options.COPY_OPTIONS, actions.copy, _location, "VerificationFailed"),
    "extract": Work(
        options.EXTRACT_OPTIONS, physical.extract_database, _part("artifact"), "RestoreFailed"
    ),
    "outcome": Work(
        options.OUTCOME_OPTIONS, actions.find_outcome, _part("restore"), "RestoreFailed"
    ),
    "physical": Work(options.PHYSICAL_OPTIONS, physical.create, _part("artifact"), "BackupFailed"),
    "rebuild": Work(
        options.REBUILD_OPTIONS, physical.rebuild_server, _part("restore"), "RestoreFailed"
    ),
    "recover": Work(
        options.RECOVER_OPTIONS, physical.recover_server, _part("recovered"), "RestoreFailed"
    ),
    "remove": Work(options.REMOVE_OPTIONS, actions.remove, _location, "RemovalFailed"),
    "restore": Work(options.RESTORE_OPTIONS, actions.restore, _part("restore"), "RestoreFailed"),
    "search": Work(options.SEARCH_OPTIONS, actions.search, _missing, "SearchFailed"),
    "verify": Work(
        options.VERIFY_OPTIONS, actions.verify, _part("verification"), "VerificationFailed"
    ),
}
