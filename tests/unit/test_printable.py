"""What others wrote makes no second line, and stays as it is otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.artifact.progress import Progress
from ansible_collections.postgres.operator.plugins.module_utils.errors import InvalidInput
from ansible_collections.postgres.operator.plugins.module_utils.printable import printable


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ('{{ 6 * 7 }} {% if x %} $(id) ü "\\n"', '{{ 6 * 7 }} {% if x %} $(id) ü "\\n"'),
        ("a\r\nb\tc\0", "a\\r\\nb\\tc\\x00"),
        ("\x1b[31mred\x9b0m", "\\x1b[31mred\\x9b0m"),
        ("left\u202eright\u2028", "left\\u202eright\\u2028"),
        ("half\ud83d", "half\\ud83d"),
        ("", ""),
    ],
)
def test_a_text(text: str, printed: str) -> None:
    assert printable(text) == printed
    assert printed.isprintable()
    assert InvalidInput(text).message == printed


def test_a_line_of_progress_is_one(tmp_path: Path) -> None:
    log = tmp_path / "log"
    Progress(log).say('Reading "a\n2026-01-01T00:00:00Z Replacing database"')
    assert len(log.read_text().splitlines()) == 1
