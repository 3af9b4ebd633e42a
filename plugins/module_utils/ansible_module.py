"""The one bridge from module files to Ansible: runs a module's work and reports how it ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.errors import UnsupportedError

from .errors import InvalidInput, OperatorError

RESOURCE_OPTIONS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "namespace": {"type": "str", "required": True},
}
"""Those of modules for one custom resource; see doc_fragments/resource.py."""

AGENT_OPTIONS: dict[str, dict[str, Any]] = {"agent_image": {"type": "str", "default": ""}}
"""Of those that make its Job or its instances."""

Run = Callable[[dict[str, Any], bool], dict[str, Any]]


def execute(
    argument_spec: dict[str, dict[str, Any]], run: Run, supports_check_mode: bool = True
) -> None:
    """Be the process of a module: parse the options, call ``run(params, check_mode)``, exit."""
    module = AnsibleModule(argument_spec=argument_spec, supports_check_mode=supports_check_mode)
    try:
        result = run(module.params, module.check_mode)
    except OperatorError as error:
        module.fail_json(msg=error.message, reason=error.reason)
    module.exit_json(**result)


def validated(argument_spec: dict[str, dict[str, Any]], values: dict[str, Any]) -> dict[str, Any]:
    """Return values from elsewhere as if they were a module's options, with their defaults.

    Raises:
        InvalidInput: an option is unknown, missing or of another type.
    """
    result = ArgumentSpecValidator(argument_spec).validate(values)
    errors = [
        f"{'unknown: ' if isinstance(error, UnsupportedError) else ''}{error.msg}"
        for error in result.errors.errors
    ]
    if errors:
        raise InvalidInput("; ".join(errors))
    parameters: dict[str, Any] = result.validated_parameters
    return parameters
