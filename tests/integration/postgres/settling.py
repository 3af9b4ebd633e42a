"""What a reconcile does once, and not again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.postgres.operator.plugins.module_utils.resources.database.differences import (
    Differences,
)


def settle(reconcile: Callable[..., Differences], *entries: Any, **more: Any) -> None:
    """Reconcile, and see that nothing is left to do."""
    first = reconcile(*entries, **more)
    assert (first.changed, first.messages) == (True, [])
    second = reconcile(*entries, **more)
    assert (second.changed, second.messages) == (False, [])
