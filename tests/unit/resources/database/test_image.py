"""What an image's tag tells."""

from __future__ import annotations

import pytest
from ansible_collections.postgres.operator.plugins.module_utils.resources.database.image import (
    image_major,
    refuse_major_change,
)


@pytest.mark.parametrize(
    ("image", "major"),
    [
        ("postgres:17", 17),
        ("postgres:17.2-alpine", 17),
        ("postgres:19rc1-trixie", 19),
        ("postgres:19beta2", 19),
        ("registry.example.com:5000/library/postgres:14-bookworm", 14),
        ("registry.example.com:5000/postgres", None),
        ("postgres:latest", None),
        ("postgres@sha256:0000", None),
        ("postgres:16@sha256:0000", 16),
        ("pgvector/pgvector:0.8.0-pg17", 17),
        ("pgvector/pgvector:pg16", 16),
        ("timescale/timescaledb:2.17.2-pg17", 17),
        ("citusdata/citus:13.0", None),
        ("postgis/postgis:17-3.5", 17),
        ("registry.example.com/acme-postgres:15.4", 15),
    ],
)
def test_the_major_version_of_a_tag(image: str, major: int | None) -> None:
    assert image_major(image) == major


def test_another_major_version_is_refused_with_the_way_out() -> None:
    reason, message = refuse_major_change("postgres:17", "15.14")
    assert reason == "MajorVersionChange"
    assert "restore a Backup" in message


def test_the_same_or_an_unknown_version_is_not_refused() -> None:
    assert refuse_major_change("postgres:15-alpine", "15.14") is None
    assert refuse_major_change("postgres:latest", "15.14") is None
    assert refuse_major_change("postgres:17", "") is None


@pytest.mark.parametrize("running", ["19rc1", "19beta2", "19devel", "19.0 (Debian 19.0-1)"])
def test_a_version_before_the_first_release_is_read(running: str) -> None:
    assert refuse_major_change("postgres:19", running) is None
    assert refuse_major_change("postgres:18", running) is not None
