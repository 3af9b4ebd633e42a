"""A primary and a replica that streams from it, as they are read of the cluster."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.postgres.operator.plugins.module_utils.resources.database.members import (
    Member,
)

PRIMARY = Member("app-0", "u0", 0, "10.0.0.1", True, "r1", "primary", "running", 1, 1000, None)
REPLICA = replace(PRIMARY, name="app-1", uid="u1", ordinal=1, role="replica", state="streaming")
