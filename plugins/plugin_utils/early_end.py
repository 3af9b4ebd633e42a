"""Whether a reconcile has nothing to do, found out before Ansible runs.

The warm runner calls the function of the role that it is to run; its README has the contract.
Each function does what its role does up to where most reconciles end, by the same modules. It asks
nothing where the resource, as the operator has it, shows that the role has more to do.
"""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.resources.job import needs_work

from .module_calls import call, keep

_GO_ON: dict[str, Any] = {"end": False}
# In other phases it waits for something, and each reconcile has more to do.
_SETTLED = {"Ready", "Hibernated", "Failed"}


def end_database(variables: dict[str, Any], role_path: str) -> dict[str, Any]:
    """End where the Database is in its steady state: tasks/main.yml of the role."""
    database = _known(variables, "database")
    if (database and not _is_settled(database)) or _is_set(variables, "database"):
        return _GO_ON
    options = {"role_path": role_path, "agent_image": ""}
    arguments, result = _call("database_reconcile", variables, options)
    if result.get("failed") or result["plan"]:
        return _go_on_with("database_reconcile", arguments, result)
    again = result.get("again", "")
    return {"end": True, "requeue_after": again}


def end_backup(variables: dict[str, Any], _role_path: str) -> dict[str, Any]:
    """End where the Backup has ended and its files are not to be searched for."""
    backup = _known(variables, "backup")
    if (backup and needs_work(backup)) or _is_set(variables, "backup"):
        return _GO_ON
    # The limits of the role are for those that have not ended.
    period = os.environ.get("BACKUP_SEARCH_PERIOD") or "24h"
    _, info = _call("backup_info", variables, {"search_period": period})
    if info.get("failed") or info["resource"] or info["missing"] or info["search"]:
        return _GO_ON
    _, released = _call("backup_release", variables, {})
    return {"end": not released.get("failed")}


def end_restore(variables: dict[str, Any], _role_path: str) -> dict[str, Any]:
    """End where the Restore has ended."""
    restore = _known(variables, "restore")
    if (restore and needs_work(restore)) or _is_set(variables, "restore"):
        return _GO_ON
    arguments, info = _call("restore_info", variables, {"agent_image": ""})
    if info.get("failed") or info["resource"]:
        return _go_on_with("restore_info", arguments, info)
    return {"end": True}


EARLY_ENDS = {"database": end_database, "backup": end_backup, "restore": end_restore}


def hand_over(found: dict[str, Any]) -> None:
    """Keep what a function has found for the role's first task."""
    keep(**found)


def _known(variables: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return the resource as the operator has it, which may be out of date; empty without one."""
    resource: dict[str, Any] = variables.get(f"_database_example_com_{kind}") or {}
    return resource


def _is_settled(database: dict[str, Any]) -> bool:
    status = database.get("status") or {}
    is_seen = status.get("observedGeneration") == database["metadata"].get("generation")
    return is_seen and status.get("phase") in _SETTLED


def _is_set(variables: dict[str, Any], role: str) -> bool:
    """Return whether a variable of the role is given, which may be a template."""
    return any(name.startswith(f"{role}_") for name in variables)


def _call(
    module: str, variables: dict[str, Any], options: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Call a module; return its arguments, as the role's task has them, and its result."""
    meta = variables["ansible_operator_meta"]
    arguments = {"name": meta["name"], "namespace": meta["namespace"], **options}
    return arguments, call(module, arguments, check_mode=False)


def _go_on_with(module: str, arguments: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    found = {"name": module, "arguments": arguments, "result": result}
    return {"end": False, "found": found}
