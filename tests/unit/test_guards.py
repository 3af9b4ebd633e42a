"""The guards that `make test-guards` takes out are where it looks for them."""

from __future__ import annotations

import ast

import pytest
from collection_root import CHECKOUT
from guards import Guard, read_guards


@pytest.mark.parametrize("guard", read_guards(), ids=lambda guard: guard.name)
def test_a_guard_can_be_taken_out(guard: Guard) -> None:
    text = (CHECKOUT / guard.file).read_text(encoding="utf-8")
    without = guard.take_out(text)
    assert without != text
    if guard.file.endswith(".py"):
        # Else its tests do not fail, they cannot be run.
        ast.parse(without)
    for test in guard.tests:
        path, _, function = test.partition("::")
        assert f"def {function or 'test_'}" in (CHECKOUT / path).read_text(encoding="utf-8"), test
