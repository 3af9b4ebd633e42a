"""What a client imports: it starts at every run, and imports are most of its time."""

from __future__ import annotations

import subprocess
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[3] / "image"
# Each of these, or what it imports, takes longer than all that a client does.
SLOW = {"collections", "contextlib", "dataclasses", "enum", "re", "signal", "socket", "typing"}


def test_a_client_imports_nothing_slow() -> None:
    code = (
        f"import sys; sys.path.append({str(SOURCES)!r}); import warm_runner.client;"
        " print(*sys.modules)"
    )
    done = subprocess.run(
        ["/usr/bin/python3", "-IS", "-c", code], stdout=subprocess.PIPE, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "warm_runner.client" in loaded
    assert loaded & SLOW == set()
