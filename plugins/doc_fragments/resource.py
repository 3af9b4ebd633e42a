"""Options that are shared by modules which read or change one custom resource."""

from __future__ import annotations


class ModuleDocFragment:
    """`name`: which resource; `agent`: what its Job or its instances are copied from."""

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

    AGENT = r"""
options:
  agent_image:
    description: The image that the agent is copied from; where it is empty, C($OPERATOR_IMAGE).
    type: str
    default: ''
"""
