"""The PostgreSQL images: the official ones where a registry answers, else stand-ins from Debian.

A stand-in keeps what a user of the official image relies on: the user postgres with the
ids 999, the paths, the environment, the locales and the entry point.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster import archive, builds, debian, state
from cluster.archive import Image
from cluster.errors import ClusterError
from cluster.images import image_folder, scratch
from cluster.paths import TOOL, cache_root
from cluster.progress import Progress
from cluster.shell import run

SETUP = TOOL / "images" / "postgres-setup.sh"
ENTRYPOINT = TOOL / "images" / "docker-entrypoint.sh"
PROBE_SECONDS = 15.0
PULL_SECONDS = 900.0


@dataclass(frozen=True)
class Postgres:
    """A major version of PostgreSQL and the Debian release that has it."""

    major: int
    suite: str

    @property
    def names(self) -> tuple[str, str]:
        """Its two tags: the plain one, and one that is another image of the same major."""
        return f"postgres:{self.major}", f"postgres:{self.major}-{self.suite}"


POSTGRES = (Postgres(15, "bookworm"), Postgres(17, "trixie"))


def archives(postgres: Postgres, progress: Progress) -> list[Path]:
    """Make the archives of a PostgreSQL image: the real one where it can be had, or a stand-in."""
    path = _stand_in(postgres)
    official = [_official(name) for name in postgres.names]
    with state.lock(f"image-postgres-{postgres.major}"):
        if path.exists():
            return [path]
        image_folder().mkdir(parents=True, exist_ok=True)
        if all(file.exists() for file in official) or _pull(postgres, progress):
            return official
        _build(postgres, path, progress)
    return [path]


def config(postgres: Postgres) -> Mapping[str, Any]:
    """Give the settings of the official image."""
    return {
        "Env": [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            f":/usr/lib/postgresql/{postgres.major}/bin",
            "LANG=en_US.utf8",
            f"PG_MAJOR={postgres.major}",
            "PGDATA=/var/lib/postgresql/data",
        ],
        "Entrypoint": ["docker-entrypoint.sh"],
        "Cmd": ["postgres"],
        "ExposedPorts": {"5432/tcp": {}},
        "Volumes": {"/var/lib/postgresql/data": {}},
        "StopSignal": "SIGINT",
    }


def _stand_in(postgres: Postgres) -> Path:
    """Where the cache keeps a stand-in, keyed by all that it is made from."""
    recipe = builds.fingerprint([SETUP, ENTRYPOINT, Path(debian.__file__)])
    settings = json.dumps([recipe, postgres.suite, config(postgres)], sort_keys=True)
    key = hashlib.sha256(settings.encode()).hexdigest()[:16]
    return image_folder() / f"postgres-{postgres.major}-{key}.tar"


def _build(postgres: Postgres, path: Path, progress: Progress) -> None:
    """Build a stand-in from Debian's packages."""
    log = cache_root() / "log" / f"postgres-{postgres.major}.log"
    name = f"build a stand-in for postgres:{postgres.major} from Debian {postgres.suite}"
    with progress.step(name, long=True), scratch() as folder:
        root, layer = folder / "root", folder / "layer.tar"
        debian.make_root(root, postgres.suite, log)
        shutil.copy(SETUP, root / "setup.sh")
        shutil.copy(ENTRYPOINT, root / "usr/local/bin/docker-entrypoint.sh")
        with debian.machine_settings(root):
            debian.execute(root, ["sh", "/setup.sh", str(postgres.major)], log)
        (root / "setup.sh").unlink()
        run(["tar", "-C", root, "--numeric-owner", "--sort=name", "-cf", layer, "."])
        plain, other = postgres.names
        settings = config(postgres)
        archive.write(
            path,
            layer,
            [
                Image([plain], settings),
                Image([other], {**settings, "Labels": {"image.variant": postgres.suite}}),
            ],
        )


def _pull(postgres: Postgres, progress: Progress) -> bool:
    """Fetch the official images, where a registry answers."""
    plain, _ = postgres.names
    try:
        # A short question first: some networks drop what they do not allow.
        run(["buildah", "manifest", "inspect", archive.normalised(plain)], timeout=PROBE_SECONDS)
    except ClusterError:
        return False
    for name in postgres.names:
        full, target = archive.normalised(name), _official(name)
        with progress.step(f"pull {full}", long=True):
            run(["buildah", "pull", "--quiet", full], timeout=PULL_SECONDS)
            unfinished = target.with_suffix(".new")
            unfinished.unlink(missing_ok=True)
            run(["buildah", "push", "--quiet", full, f"docker-archive:{unfinished}:{full}"])
            unfinished.rename(target)
    return True


def _official(name: str) -> Path:
    return image_folder() / f"official-{name.replace(':', '-')}.tar"
