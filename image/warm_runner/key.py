"""Which parent serves a run: one that was started with the same configuration.

A parent reads Ansible's configuration once, when it imports Ansible. The key is the name of the
socket, so that a run whose configuration differs finds another parent, or none and starts one.
Before the playbook runs in its process, a run also compares what the parent really read.
"""

from __future__ import annotations

import os
import zlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PREFIXES = ("ANSIBLE_", "LC_", "PYTHON", "WARM_RUNNER")
NAMES = ("COLUMNS", "HOME", "LANG", "LANGUAGE", "LINES", "NO_COLOR", "TERM", "TZ")
# These change with every run; the run reads them anew.
RENEWED = frozenset({"ANSIBLE_CACHE_PLUGIN_CONNECTION", "ANSIBLE_ROLES_PATH"})


def is_of_the_key(name: str) -> bool:
    """Return whether a variable may change what a process is once it has imported Ansible."""
    return (name.startswith(PREFIXES) or name in NAMES) and name not in RENEWED


def environment_of(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are part of the key."""
    return {name: value for name, value in environment.items() if is_of_the_key(name)}


def of(environment: Mapping[str, str], real_runner: str) -> str:
    """Return the key of the parent that serves runs in this environment."""
    parts = [real_runner, *configuration_files(environment)]
    parts += (f"{name}={value}" for name, value in sorted(environment_of(environment).items()))
    text = "\0".join(parts).encode(errors="surrogateescape")
    return f"{zlib.crc32(text):08x}{zlib.adler32(text):08x}"


def configuration_files(environment: Mapping[str, str]) -> Iterator[str]:
    """Describe each ansible.cfg that Ansible may take, as far as it does not depend on the run."""
    home = environment.get("HOME", "")
    for path in (
        environment.get("ANSIBLE_CONFIG", ""),
        f"{home}/.ansible.cfg",
        "/etc/ansible/ansible.cfg",
    ):
        yield fingerprint(path)


def fingerprint(path: str) -> str:
    """Describe a file so that a change of it shows."""
    try:
        found = os.stat(path)
    except OSError:
        return f"{path}: none"
    return f"{path}: {found.st_mtime_ns} {found.st_size} {found.st_ino}"
