"""Run a module's work inside the Ansible worker.

The ordinary way starts a Python process for every task, which costs half a second. A module of
this collection is a thin face of typed functions: `ARGUMENT_SPEC` and `run(params, check_mode)`.
This action plugin, to which meta/runtime.yml routes them, calls `run` where the worker already is.
On any connection but a local one it leaves the module to the ordinary way.
"""

from __future__ import annotations

import contextlib
import pkgutil
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from ansible_collections.postgres.operator.plugins.module_utils.errors import OperatorError

_MODULES = "ansible_collections.postgres.operator.plugins.modules"

# Ansible loads this file once and forks a worker for every task: what is imported here, each has.
# The agent in a Job's pod lacks the Kubernetes client, and with it the modules that need it.
for _found in pkgutil.iter_modules(import_module(_MODULES).__path__):
    with contextlib.suppress(ImportError):
        import_module(f"{_MODULES}.{_found.name}")


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
        module = import_module(f"{_MODULES}.{name}")
        arguments = ArgumentSpecValidator(module.ARGUMENT_SPEC).validate(_plain(self._task.args))
        if arguments.error_messages:
            raise AnsibleActionFail(f"{name}: {'; '.join(arguments.error_messages)}")
        try:
            result.update(module.run(arguments.validated_parameters, self._task.check_mode))
        except OperatorError as error:
            result.update(failed=True, msg=error.message, reason=error.reason)
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
