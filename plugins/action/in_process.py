"""Run a module's work inside the Ansible worker.

The ordinary way starts a Python process for every task, which costs half a second. This action
plugin, to which meta/runtime.yml routes the modules, calls them where the worker already is.
On any connection but a local one it leaves the module to the ordinary way.
"""

from __future__ import annotations

import contextlib
import pkgutil
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.postgres.operator.plugins.plugin_utils.module_calls import MODULES, call

# Ansible loads this file once and forks a worker for every task: what is imported here, each has.
# The agent in a Job's pod lacks the Kubernetes client, and with it the modules that need it.
for _found in pkgutil.iter_modules(import_module(MODULES).__path__):
    with contextlib.suppress(ImportError):
        import_module(f"{MODULES}.{_found.name}")


class ActionModule(ActionBase):
    """The action of every module of this collection."""

    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Validate the task's arguments, do the work, return the module's result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        if self._connection.transport != "local":
            result.update(self._execute_module(task_vars=task_vars))
            return result
        name = self._task.action.rpartition(".")[2]
        result.update(call(name, _plain(self._task.args), self._task.check_mode))
        return result


def _plain(value: Any) -> Any:
    """Return the value free of Ansible's own string and container types."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return str.__str__(value)
    return value
