"""The fixtures of `conftest_physical`, which tests import from as well."""

from __future__ import annotations

from conftest_physical import archived, shared_server, standby_of, work

__all__ = ["archived", "shared_server", "standby_of", "work"]
