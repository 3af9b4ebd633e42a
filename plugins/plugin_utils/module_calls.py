"""Calls of this collection's modules in this process.

A module of this collection is a thin face of typed functions: `ARGUMENT_SPEC` and
`run(params, check_mode)`. One that was called before Ansible ran need not be called again: its
result is kept for the first task with the same arguments.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.postgres.operator.plugins.module_utils.errors import OperatorError

MODULES = "ansible_collections.postgres.operator.plugins.modules"

_kept: dict[str, dict[str, Any]] = {}


def call(name: str, arguments: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Return what a module returns, with `failed`, `msg` and `reason` where it fails.

    Raises:
        AnsibleActionFail: the arguments are not those of the module.
    """
    kept = _kept.pop(name, None)
    if kept and kept["arguments"] == arguments and not check_mode:
        result: dict[str, Any] = kept["result"]
        return result
    module: Any = import_module(f"{MODULES}.{name}")
    validated = ArgumentSpecValidator(module.ARGUMENT_SPEC).validate(arguments)
    if validated.error_messages:
        raise AnsibleActionFail(f"{name}: {'; '.join(validated.error_messages)}")
    try:
        returned: dict[str, Any] = module.run(validated.validated_parameters, check_mode)
    except OperatorError as error:
        return {"failed": True, "msg": error.message, "reason": error.reason}
    return returned


def keep(name: str, arguments: dict[str, Any], result: dict[str, Any]) -> None:
    """Keep a result for the next call of the module, if that has the same arguments."""
    _kept[name] = {"arguments": arguments, "result": result}
