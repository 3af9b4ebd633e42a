"""Give the checkout the path that Ansible wants: ROOT/ansible_collections/postgres/operator.

Run as a program, it prints ROOT, a folder of the cache that holds a link to this checkout.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]


def cache_folder() -> Path:
    """Return the folder for what can be made again, shared by all checkouts."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "postgres-operator"


def ensure_collection_root(checkout: Path = CHECKOUT) -> Path:
    """Make the link exist and return ROOT."""
    digest = hashlib.sha256(str(checkout).encode()).hexdigest()[:12]
    root = cache_folder() / "collections" / digest
    link = root / "ansible_collections" / "postgres" / "operator"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink() or link.readlink() != checkout:
        link.unlink(missing_ok=True)
        link.symlink_to(checkout, target_is_directory=True)
    return root


if __name__ == "__main__":
    print(ensure_collection_root())
