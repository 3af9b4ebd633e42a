"""What pg_dump is asked for, by its version."""

from __future__ import annotations

import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact.dump import (
    Compression,
)
from ansible_collections.postgres.operator.plugins.module_utils.postgres.releases import Version

OLD, NEW = Version(15, 20), Version(17, 6)


@pytest.mark.parametrize(
    ("client", "method", "level", "option"),
    [
        (OLD, None, None, "6"),
        (NEW, None, None, "zstd"),
        (OLD, "gzip", 9, "9"),
        (NEW, "gzip", 9, "gzip:9"),
        (OLD, "none", None, "0"),
        (NEW, "none", None, "none"),
        (NEW, "zstd", 22, "zstd:22"),
        (NEW, "lz4", None, "lz4"),
    ],
)
def test_options(client: Version, method: str | None, level: int | None, option: str) -> None:
    assert Compression(method, level).option(client) == option


@pytest.mark.parametrize("method", ["zstd", "lz4"])
def test_what_an_old_pg_dump_cannot_do(method: str) -> None:
    with pytest.raises(errors.ServerVersionUnsupported, match=r"write compression\.method gzip"):
        Compression(method).option(OLD)


@pytest.mark.parametrize(
    ("method", "level"), [(None, 3), ("none", 1), ("gzip", 10), ("lz4", 13), ("zstd", 0)]
)
def test_levels_that_do_not_fit(method: str | None, level: int) -> None:
    with pytest.raises(errors.InvalidInput, match=r"compression\.level"):
        Compression(method, level).option(NEW)
