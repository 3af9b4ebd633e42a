"""What a Job does with a backup that it has written, a logical or a physical one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import OperatorError
from ..store.protocol import Location
from ..units import join_warnings
from . import actions, options
from .find import find_missing
from .stored_files import ArtifactStore

_MISSING = 40
"""How many UIDs a result has room for, beside all that a backup's has."""

Params = dict[str, Any]


def keep_if_readable(
    params: Params,
    store: ArtifactStore,
    adopted: bool,
    read_back: Callable[[], None],
    summarize: Callable[[], Params],
) -> Params:
    """Read a backup back; what this run has made and cannot be read back is removed.

    The Backup is Failed then and is not tried again, so it is not needed. An artifact that was
    adopted is another run's, and evidence.

    Args:
        params: the Job's variables, with ``completed``.
        adopted: whether the artifact was there already.
        summarize: what the result says of it; called once it was read back.

    Returns:
        What the work of a Job returns.
    """
    try:
        read_back()
    except Exception:
        if not adopted:
            _clear(params)
        raise
    summary = summarize()
    if store.key:
        summary["recipients"] = store.key.public_keys
    location, jobs = options.location(params), params["jobs"]
    summary |= _look_for_others(
        store, location, params["completed"], jobs, summary.get("warning", "")
    )
    return {"changed": not adopted, "artifact": summary}


def _look_for_others(
    store: ArtifactStore, location: Location, uids: list[str], jobs: int, warning: str
) -> Params:
    """Find out which of the Database's other backups are gone from the store.

    This backup is as good if that fails; its ``warning`` says so then.
    """
    try:
        missing = find_missing(store.files, location.namespace, location.database, uids, jobs)
    except OperatorError as error:
        failed = f"whether the other backups are still there could not be seen: {error.message}"
        return {"warning": join_warnings(warning, failed)}
    # As many as a result has room for; the next backup finds the others.
    return {"missing": missing[:_MISSING]} if missing else {}


def _clear(params: Params) -> None:
    """Remove an artifact; if that fails, the Database's next backup tries again, a day later."""
    try:
        actions.remove(params, check_mode=False)
    except OperatorError as error:
        options.progress(params).say(f"Backup {params['uid']} is not removed: {error.message}")
