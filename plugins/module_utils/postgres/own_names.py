"""Names that the operator gives to roles of its own on a server."""

from __future__ import annotations

ROLE_PREFIX = "postgres_operator_"
"""How the names begin of the roles that Jobs log in as for one run, and no others."""

SESSION_GROUP = f"{ROLE_PREFIX}sessions"
"""The role that these are members of where pg_hba.conf has lines of a user: it has no rights, and a
line of the operator's own lets its members in."""
