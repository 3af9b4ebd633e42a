"""How many operations the kill tests do; a full run takes about 12 s of two cores for each."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("faults")
    group.addoption("--backups", type=int, default=6, help="Backups to make under kills")
    group.addoption("--restores", type=int, default=3, help="Restores to make under kills")
    group.addoption("--databases", type=int, default=2, help="Databases to work on side by side")
    group.addoption("--minutes", type=float, default=150, help="Begin no operation after them")
    group.addoption("--seed", type=int, default=1, help="what the random choices start from")
