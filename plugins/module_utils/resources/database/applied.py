"""Remembers what was applied, so that a later reconcile can see that nothing has changed since.

The record is an annotation of one of the applied objects: of what the definitions were made from,
and of what the API server made of them, each a digest. To see that a cluster is still as the spec
says costs a read for each object then; no definition has to be rendered and nothing is written.
Whatever changes an object, other than its status, makes its digest another one.
"""

from __future__ import annotations

import fnmatch
import functools
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...kube.client import Cluster, Object

ANNOTATION = "database.example.com/applied"
_VOLATILE = frozenset({"managedFields", "resourceVersion", "generation"})


def digest(value: Any) -> str:
    """Return a digest of anything that JSON can hold."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def content(found: Object) -> Object:
    """Return what an object is to be: without its status and the record of who set what when."""
    metadata = {key: value for key, value in found["metadata"].items() if key not in _VOLATILE}
    annotations = metadata.get("annotations")
    if annotations and ANNOTATION in annotations:
        rest = {key: value for key, value in annotations.items() if key != ANNOTATION}
        metadata["annotations"] = rest
    if not metadata.get("annotations"):
        metadata.pop("annotations", None)
    return {**{key: value for key, value in found.items() if key != "status"}, "metadata": metadata}


def files_digest(folder: Path, pattern: str) -> str:
    """Return a digest of the names and contents of the files below a folder.

    This process reads a folder again once a file of it has another time, size or inode.
    """
    return _files_digest(folder, tuple(sorted(_find(str(folder), "", pattern))))


def _find(folder: str, below: str, pattern: str) -> Iterator[tuple[str, int, int, int]]:
    """Yield the path in the folder of each file that fits, with its time, size and inode."""
    for entry in os.scandir(f"{folder}/{below}"):
        path = f"{below}{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            yield from _find(folder, f"{path}/", pattern)
        elif fnmatch.fnmatchcase(entry.name, pattern):
            found = entry.stat()
            yield path, found.st_mtime_ns, found.st_size, found.st_ino


@functools.lru_cache(maxsize=8)
def _files_digest(folder: Path, files: tuple[tuple[str, int, int, int], ...]) -> str:
    hashed = hashlib.sha256()
    for path, *_ in files:
        hashed.update(f"{path}\0".encode() + (folder / path).read_bytes() + b"\0")
    return hashed.hexdigest()[:32]


@functools.cache
def code_digest(folder: Path) -> str:
    """Return a digest of the Python code below a folder, which this process reads once."""
    return files_digest(folder, "*.py")


def record(
    inputs: str, applied: Sequence[Object], template: Mapping[str, Any] | None = None
) -> str:
    """Return what is to be remembered of objects as the API server returned them.

    Args:
        template: what the template of the last object's pods follows from; None if it has none.
    """
    names = [[o["apiVersion"], o["kind"], o["metadata"]["name"]] for o in applied]
    known: dict[str, Any] = {
        "inputs": inputs,
        "objects": names,
        "content": digest([content(o) for o in applied]),
    }
    if template is not None:
        known["template"] = describe_template(applied[-1], template)
    return json.dumps(known, separators=(",", ":"))


def describe_template(found: Object, inputs: Mapping[str, Any]) -> dict[str, str]:
    """Return digests of the template of an object's pods, and of what it follows from.

    Args:
        inputs: what it follows from; of a template that does not follow yet what is to be
            followed, `followed` has the digest of what it does.
    """
    followed = inputs["followed"] if set(inputs) == {"followed"} else digest(inputs)
    return {"inputs": followed, "content": digest(found["spec"]["template"])}


def known_template(found: Object) -> dict[str, str]:
    """Return what `describe_template` returned when the object was applied; empty if unknown."""
    try:
        known = json.loads(found["metadata"]["annotations"][ANNOTATION])["template"]
    except (KeyError, TypeError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def remember(
    cluster: Cluster,
    inputs: str,
    applied: Sequence[Object],
    template: Mapping[str, Any] | None = None,
) -> bool:
    """Write the record to the last of the applied objects; return whether it was another one."""
    last = applied[-1]
    text = record(inputs, applied, template)
    if (last["metadata"].get("annotations") or {}).get(ANNOTATION) == text:
        return False
    metadata = last["metadata"]
    patch = {"metadata": {"annotations": {ANNOTATION: text}}}
    cluster.merge(last["apiVersion"], last["kind"], metadata["namespace"], metadata["name"], patch)
    return True


def is_unchanged(cluster: Cluster, last: Object, inputs: str) -> bool:
    """Return whether the objects are what was applied, from the same inputs.

    Args:
        last: the object that carries the record, as it is now.
    """
    try:
        known = json.loads((last["metadata"].get("annotations") or {})[ANNOTATION])
        if known["inputs"] != inputs:
            return False
        objects = _read(cluster, last, known["objects"])
        return bool(digest([content(found) for found in objects]) == known["content"])
    except (KeyError, TypeError, ValueError):
        return False


def _read(cluster: Cluster, last: Object, names: Iterable[Sequence[str]]) -> list[Object]:
    """Return the objects.

    Raises:
        KeyError: one is missing.
    """
    objects = []
    for api_version, kind, name in names:
        if (kind, name) == (last["kind"], last["metadata"]["name"]):
            objects.append(last)
            continue
        found = cluster.get(api_version, kind, last["metadata"]["namespace"], name)
        if found is None:
            raise KeyError(name)
        objects.append(found)
    return objects
