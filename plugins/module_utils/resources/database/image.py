"""The major version of PostgreSQL by an image's tag."""

from __future__ import annotations

import re

from ...postgres.releases import Version

_NAMED = re.compile(r"(?:^|[.\-_])(?:pg|postgres|postgresql)-?(?P<major>\d+)(?:[.\-_]|$)")
_LEADING = re.compile(r"(?P<major>\d+)(?:(?:beta|rc)\d+)?(?:[.\-]|$)")
# The tags of other images begin with a version of their own, such as pgvector's.
_POSTGRESQL = re.compile(r"(?:^|[.\-_])(?:postgres|postgresql|postgis)$")


def image_major(image: str) -> int | None:
    """Return the major version that the tag names, or None where it names none.

    >>> image_major("registry:5000/postgres:17.2-alpine"), image_major("postgres:latest")
    (17, None)
    >>> image_major("pgvector/pgvector:0.8.0-pg17")
    17
    """
    name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    found = _NAMED.search(tag)
    if found is None and _POSTGRESQL.search(name):
        found = _LEADING.match(tag)
    return int(found["major"]) if found else None


def refuse_major_change(image: str, running: str) -> tuple[str, str] | None:
    """Return reason and message where the image is of another major version than the server.

    Args:
        image: the image that the spec asks for.
        running: the running server's version, such as `17.2` or `19rc1`; empty where none has run
            yet.
    """
    wanted = image_major(image)
    current = Version.from_text(running).major if running else None
    if wanted is None or current is None or wanted == current:
        return None
    return (
        "MajorVersionChange",
        f"image {image} is PostgreSQL {wanted}, the data is of {current}: set an image of"
        f" {current} again; to change the major version, create a Database with image {image}"
        " and restore a Backup of this one into it",
    )
