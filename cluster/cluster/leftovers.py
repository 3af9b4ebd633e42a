"""Looking for anything that a cluster left on the host after its end."""

from __future__ import annotations

from pathlib import Path

from cluster import cgroups, network
from cluster.paths import STATE_ROOT


def find(name: str) -> list[str]:
    """Name every process, control group, mount, device and folder that is left."""
    group = cgroups.group_name(name)
    folder = STATE_ROOT / name
    found = [f"process {pid}" for pid in sorted(cgroups.members(group))]
    found += [f"control group {path}" for path in cgroups.folders(group) if path.exists()]
    found += [f"mount {path}" for path in mounts_below(folder)]
    found += [f"network device {device}" for device in network.devices(name)]
    if folder.exists():
        found.append(f"folder {folder}")
    return found


def mounts_below(folder: Path) -> list[str]:
    """List the host's mounts below a folder, the innermost first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    targets = [line.split(" ")[4] for line in lines]
    inside = f"{folder}/"
    return sorted((target for target in targets if target.startswith(inside)), reverse=True)
