"""The page of reasons names those that there are."""

from __future__ import annotations

import re
from pathlib import Path

from ansible_collections.postgres.operator.plugins.module_utils import errors

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/reference/conditions.md").read_text(encoding="utf-8")
NAMED = {
    reason
    for line in PAGE.splitlines()
    if line.startswith("| ") and "|---" not in line
    for reason in re.findall(r"\b[A-Z][A-Za-z]+\b", line.split("|")[1])
} - {"BackupReady", "RestoreReady"}


def test_every_error_has_its_place() -> None:
    reasons = {error.__name__ for error in errors.OperatorError.__subclasses__()}
    assert {reason for reason in reasons if reason not in PAGE} == set()


def test_nothing_is_named_that_does_not_exist() -> None:
    code = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("plugins", "roles")
        for suffix in ("py", "yml")
        for path in (ROOT / folder).rglob(f"*.{suffix}")
    )
    assert {reason for reason in NAMED if not re.search(rf"\b{reason}\b", code)} == set()
    assert len(NAMED) > 40
