"""Where everything is kept: the cache, the state of each cluster, and the checkout's links."""

from __future__ import annotations

import os
from pathlib import Path

TOOL = Path(__file__).resolve().parent.parent
CHECKOUT = TOOL.parent
GO_SOURCES = TOOL / "go"

STATE_ROOT = Path("/var/lib/postgres-operator-cluster")
"""Fixed and short: clusters are the machine's, not the checkout's or the user's."""

DEFAULT_NAME = "demo"


def cache_root() -> Path:
    """Builds and images, outside the checkout, so that they outlive a clean clone."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "postgres-operator" / "cluster"


def local_root() -> Path:
    """The checkout's own folder for what its user needs of the clusters (ignored by git)."""
    return CHECKOUT / ".cluster"


def kubeconfig_path(name: str) -> Path:
    """``.cluster/kubeconfig`` for the default cluster, ``.cluster/NAME/kubeconfig`` for others."""
    root = local_root()
    return root / "kubeconfig" if name == DEFAULT_NAME else root / name / "kubeconfig"


def kubectl_link() -> Path:
    """Give a path to kubectl that stays the same whatever was built last."""
    return local_root() / "bin" / "kubectl"


def link(path: Path, target: Path) -> None:
    """Make or change a symbolic link in one step, so that no reader finds it missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    unfinished.symlink_to(target)
    unfinished.rename(path)
