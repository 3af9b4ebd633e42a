"""Lets the tests here import what those of the warm runner have."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "warm_runner"))
