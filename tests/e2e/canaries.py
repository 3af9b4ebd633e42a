"""Finds secrets where none may be: in texts, in processes and on disks of this machine."""

from __future__ import annotations

import base64
import json
import re
import stat
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

# What Secrets hold besides: names, addresses, certificates.
PUBLIC_KEYS = {"type", "provider", "host", "port", "database", "username", "ca.crt", "tls.crt"}
# A shorter one would be found by chance.
SHORTEST = 12
# Of files: what is larger, such as a segment of write-ahead log, holds rows, not words.
LARGEST_FILE = 4 * 1024 * 1024
# How often a process's arguments are read: it may be another program after the first time.
READINGS = 10
# Where the embedded cluster keeps the disks of its machines.
MACHINES = Path("/var/lib/postgres-operator-cluster")


def secret_values(secrets: Iterable[Mapping[str, Any]]) -> dict[str, bytes]:
    """Every value of Secrets that is to stay secret, by a name for the report.

    Of a text of several lines, such as a private key or Patroni's file, each part counts.
    """
    found: dict[str, bytes] = {}
    for secret in secrets:
        for key, encoded in (secret.get("data") or {}).items():
            if key in PUBLIC_KEYS:
                continue
            name = f"{secret['metadata']['name']}/{key}"
            value = base64.b64decode(encoded)
            for number, part in enumerate(_parts(value)):
                found[f"{name}#{number}"] = part
    return found


def _parts(value: bytes) -> list[bytes]:
    if b"\n" not in value.strip():
        return [value.strip()] if len(value.strip()) >= SHORTEST else []
    lines = [line.strip() for line in value.splitlines()]
    words = [re.sub(rb'^[\w.-]+: *"?|"$', b"", line) for line in lines]
    return [
        word
        for word in words
        if len(word) >= SHORTEST and b" " not in word and not word.startswith((b"#", b"-----"))
    ]


def forms(value: bytes) -> set[bytes]:
    """A value as it may be written: as it is, in JSON, in an address, in base64 at any offset."""
    text = value.decode()
    written = {value, quote(text, safe="").encode(), quote_plus(text).encode()}
    written |= {
        json.dumps(text)[1:-1].encode(),
        json.dumps(text, ensure_ascii=False)[1:-1].encode(),
    }
    for offset in range(3):
        encoded = base64.b64encode(b"x" * offset + value)
        # The characters at both ends depend on what stands beside the value.
        start = (0, 2, 3)[offset]
        end = len(encoded) - (4 if (offset + len(value)) % 3 else 0)
        written |= {encoded[start:end], encoded[start:end].translate(bytes.maketrans(b"+/", b"-_"))}
    return {form for form in written if len(form) >= SHORTEST}


@dataclass
class Finder:
    """Searches bytes for values, and keeps where it found which."""

    values: Mapping[str, bytes]
    found: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._names = {form: name for name, value in self.values.items() for form in forms(value)}

    def search(self, where: str, content: bytes) -> None:
        """Note each value that the content has."""
        self.found |= {f"{where}: {name}" for form, name in self._names.items() if form in content}


class Processes:
    """Keeps the arguments and the environment of every process that this machine has meanwhile.

    Those of containers are among them. A process counts again after each exec.
    """

    def __init__(self) -> None:
        self.seen: set[tuple[bytes, bytes]] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Processes:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        readings: dict[str, int] = {}
        while not self._over.is_set():
            now = {path.name for path in Path("/proc").iterdir() if path.name.isdigit()}
            readings = {name: count for name, count in readings.items() if name in now}
            for name in now:
                if readings.get(name, 0) < READINGS:
                    readings[name] = readings.get(name, 0) + 1
                    self._keep(Path("/proc", name))
            time.sleep(0.05)

    def _keep(self, process: Path) -> None:
        with suppress(OSError):
            arguments = (process / "cmdline").read_bytes()
            if arguments:
                # Two processes of the same arguments may have another environment each.
                self.seen.add((arguments, (process / "environ").read_bytes()))


@dataclass(frozen=True)
class Disk:
    """Files that pods have written, as they lie on the disks of a cluster's machines."""

    root: Path

    def files(self, uids: Iterable[str], claims: Iterable[str]) -> Iterator[tuple[str, Path]]:
        """Yield a name for the report and the path of each file of these pods and claims."""
        for machine in sorted(self.root.glob("machines/*")):
            for uid in uids:
                pod = machine / "kubelet" / "pods" / uid
                for folder in sorted(pod.glob("volumes/kubernetes.io~empty-dir/*")):
                    # The agent is a part of the image, and 4,100 files.
                    if folder.name != "agent":
                        yield from _below(f"pod {uid} volume {folder.name}", folder)
                yield from _below(f"pod {uid} termination log", pod / "containers")
            for claim in claims:
                for folder in machine.glob(f"local-path-provisioner/*_{claim}"):
                    yield from _below(f"claim {claim}", folder)


def _below(name: str, folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield f"{name}: {path.relative_to(folder)}", path


def read_file(path: Path) -> bytes:
    """The content; nothing of a file that is gone or very large."""
    try:
        return path.read_bytes() if path.stat().st_size <= LARGEST_FILE else b""
    except OSError:
        return b""


def readable_by_others(path: Path) -> bool:
    """Return whether group or others may read or change a file.

    They may not where a folder of the file's owner lets nobody else in: Ansible gives its fact
    cache, which is empty, the mode 0644 below such a folder.
    """
    try:
        status = path.stat()
        folders = [folder.stat() for folder in path.parents]
    except OSError:
        return False
    # Root's folders are above the pods' volumes, and would hide all that is in them.
    own = [folder for folder in folders if folder.st_uid == status.st_uid != 0]
    closed = any(not stat.S_IMODE(folder.st_mode) & 0o011 for folder in own)
    return bool(stat.S_IMODE(status.st_mode) & 0o066) and not closed
