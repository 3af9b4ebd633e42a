"""The page on security names tests and files that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/explanation/security.md").read_text(encoding="utf-8")
NAMED = sorted(
    set(re.findall(r"`((?:tests|molecule|hack|plugins|build)/[\w./*-]+)(?:::(\w+))?`", PAGE))
)


@pytest.mark.parametrize(("path", "test"), NAMED)
def test_what_it_names_exists(path: str, test: str) -> None:
    found = list(ROOT.glob(path))
    assert found, path
    if test:
        assert f"def {test}(" in found[0].read_text(encoding="utf-8")


def test_it_names_a_test_for_every_row() -> None:
    table = PAGE.partition("|---|---|---|\n")[2].partition("\n\n")[0].splitlines()
    assert len(table) > 10
    for row in table:
        assert "tests/" in row or "molecule/" in row or "not yet: " in row, row
