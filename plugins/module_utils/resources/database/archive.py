"""The archive of a Database's WAL: what its instances get for it, and what there is to say of it.

Each instance has an archiver, a container that starts before PostgreSQL's and ends after it. It
alone has the credentials of the store: PostgreSQL's container, in which a superuser of that server
can run programs, shares a folder of markers with it and no more.
"""

from __future__ import annotations

import json
from typing import Any

from ...kube.client import Cluster, Object
from ..backup.destination import find_secret_block
from ..job_pod import AGENT, Container, Mount, bucket_mounts, bucket_options, tmp_mount
from .template import ARCHIVER

_SHARED = "/var/lib/archive"
FAILING = f"{_SHARED}/failing"
"""Where the archiver writes why it can store nothing."""

_SETTINGS = "/etc/archiver"
_SETTINGS_FILE = "archive.json"
_PARAMETERS_FILE = "archive.yml"
_DATA = "/var/lib/postgresql/data"
_RESOURCES = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}
_SPOOL_LIMIT = "4Gi"
# always: an instance that becomes primary has archived what its predecessor had not.
_PARAMETERS = f"""\
postgresql:
  parameters:
    archive_mode: always
    archive_command: {AGENT}/bin/archive-wal %f
    archive_timeout: 60s
"""

NOTHING: dict[str, Any] = {
    "sidecars": [],
    "volumes": [],
    "mounts": [],
    "sources": [],
    "files": {},
}
"""What instances without an archive get."""


def find_archive_block(cluster: Cluster, database: Object) -> tuple[str, str] | None:
    """Return reason and message where a Secret that the archive needs is missing, or keys of it.

    Raises:
        ApiError: it cannot be read.
    """
    if not database["spec"].get("archive"):
        return None
    return find_secret_block(cluster, _with_destination(database), within="archive.")


def archive_parts(database: Object, switched_on: bool) -> dict[str, Any]:
    """Return what the archive adds to the objects of a Database.

    Args:
        switched_on: whether the instances have an archiver.

    Returns:
        `sidecars`, `volumes`: of the pod; `mounts`: of PostgreSQL's container; `sources`: of the
        volume with Patroni's configuration; `files`: of the ConfigMap.
    """
    if not switched_on:
        return NOTHING
    own = _own_mounts(database)
    return {
        "sidecars": [_sidecar(database, own)],
        "volumes": [{"name": one.name, **one.source} for one in own],
        "mounts": [_shared(read_only=True).render()],
        "sources": [_source(database, _PARAMETERS_FILE, "40-archive.yml")],
        "files": {_SETTINGS_FILE: json.dumps(_settings(database)), _PARAMETERS_FILE: _PARAMETERS},
    }


def _with_destination(database: Object) -> Object:
    """Return what functions for the destination of a Backup take."""
    spec = {"destination": database["spec"]["archive"]["destination"]}
    return {"metadata": database["metadata"], "spec": spec}


def _settings(database: Object) -> dict[str, Any]:
    """Return what the archiver reads; see `module_utils/archive/archiver.py`."""
    metadata, archive = database["metadata"], database["spec"]["archive"]
    return {
        "namespace": metadata["namespace"],
        "database": metadata["name"],
        "uid": metadata["uid"],
        "recipients": archive.get("encryption", {}).get("recipients", []),
        "s3": bucket_options(_with_destination(database)),
    }


def _shared(read_only: bool) -> Mount:
    return Mount("archive", {"emptyDir": {"sizeLimit": "16Mi"}}, _SHARED, read_only)


def _own_mounts(database: Object) -> list[Mount]:
    """Return the mounts whose volumes no pod without an archive has."""
    settings = {"name": _config_map(database), "items": [_item(_SETTINGS_FILE, _SETTINGS_FILE)]}
    return [
        _shared(read_only=False),
        Mount("archiver", {"configMap": settings}, _SETTINGS, read_only=True),
        Mount("archiver-tmp", {"emptyDir": {"sizeLimit": _SPOOL_LIMIT}}, tmp_mount().path),
        *bucket_mounts(_with_destination(database)),
    ]


def _sidecar(database: Object, own: list[Mount]) -> Object:
    spool = tmp_mount().path
    container = Container(
        name=ARCHIVER,
        image=database["spec"]["image"],
        command=[
            f"{AGENT}/bin/tini", "--", f"{AGENT}/bin/archiver",
            f"--settings={_SETTINGS}/{_SETTINGS_FILE}", f"--data={_DATA}/pgdata",
            f"--shared={_SHARED}", f"--spool={spool}",
        ],
        environment={"HOME": spool, "LC_ALL": "C.UTF-8"},
        resources=_RESOURCES,
        mounts=[
            Mount("data", {}, _DATA, read_only=True),
            Mount("agent", {}, AGENT, read_only=True, sub_path="agent"),
            *own,
        ],
    )  # fmt: skip
    # It starts before the other containers of the pod, and ends after them (Kubernetes 1.29).
    return {**container.render(), "restartPolicy": "Always"}


def _config_map(database: Object) -> str:
    return f"{database['metadata']['name']}-patroni"


def _source(database: Object, key: str, path: str) -> Object:
    return {"configMap": {"name": _config_map(database), "items": [_item(key, path)]}}


def _item(key: str, path: str) -> Object:
    return {"key": key, "path": path}
