"""What a healthy primary with one replica answers, as the modules return it."""

from __future__ import annotations

from typing import Any

SERVER: dict[str, Any] = {
    "problem": [],
    "writable": True,
    "database_exists": True,
    "role_exists": True,
    "encrypted": True,
    "version": "17.6",
    "timeline": 1,
    "standbys": [{"name": "app-1", "state": "streaming", "lag_bytes": 16}],
}
