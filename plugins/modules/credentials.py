"""Create the Secrets of a Database."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: credentials
short_description: Create the Secrets of a Database
description:
  - C(NAME-credentials) holds what an application needs to connect (the keys of a Service Binding). One
    that is there already is adopted, and its values are never overwritten; in one that was made here C(uri) and
    C(jdbc-uri) follow a change of the password.
  - C(NAME-internal) holds the passwords of the server's own roles, and names the last primary. It is made again, and
    a key that is missing too, while a primary runs; without one it is not, since nothing else says which volume to
    start from.
  - C(NAME-ca) holds the key of the Database's own authority, C(NAME-certificates) the certificates of servers and of
    the server's own roles, which are renewed before they end.
  - Passwords and keys are neither taken nor returned.
options:
  resource:
    description: The Database.
    type: dict
    required: true
  internal_needed:
    description: Whether what is in NAME-internal cannot be made again.
    type: bool
    required: true
author: [postgres-operator maintainers]
"""

EXAMPLES = r"""
- name: Create the Secrets
  postgres.operator.credentials:
    resource: "{{ database_reconcile.resource }}"
    internal_needed: "{{ database_reconcile.internal_needed }}"
"""

RETURN = r"""
refused:
  description: A condition's reason and message where a Secret cannot be used; empty where all is well.
  type: list
  elements: str
  returned: success
"""

from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.ansible_module import execute
from ansible_collections.postgres.operator.plugins.module_utils.kube.client import connect
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.reconcile import (
    ensure_secrets,
)
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.secrets import (
    SecretInvalid,
    SecretMissing,
)

ARGUMENT_SPEC = {
    "resource": {"type": "dict", "required": True},
    "internal_needed": {"type": "bool", "required": True},
}


def run(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Ensure the Secrets; a Secret that cannot be used is an answer, not a failure."""
    try:
        changed = ensure_secrets(
            connect(), params["resource"], params["internal_needed"], check_mode
        )
    except (SecretInvalid, SecretMissing) as error:
        return {"changed": False, "refused": [error.reason, error.message]}
    return {"changed": changed, "refused": []}


if __name__ == "__main__":
    execute(ARGUMENT_SPEC, run)
