"""Makes the checkout importable under the collection's name."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "hack"))

from collection_root import ensure_collection_root

sys.path.insert(0, str(ensure_collection_root()))
