"""Options that are shared by modules which read or change one custom resource."""

from __future__ import annotations


class ModuleDocFragment:
    """`name`: which resource."""

    NAME = r"""
options:
  name:
    description: The resource's name.
    type: str
    required: true
  namespace:
    description: Its namespace.
    type: str
    required: true
"""
