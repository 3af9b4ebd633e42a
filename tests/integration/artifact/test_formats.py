"""Artifacts of every format version are verified and restored.

Those in ``formats`` were made by the code of their time, of the same database. With a new version
comes a new one, so that it is there once the version is an older one.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from ansible_collections.postgres.operator.plugins.module_utils import errors
from ansible_collections.postgres.operator.plugins.module_utils.artifact.manifest import (
    FORMAT_VERSION,
)
from ansible_collections.postgres.operator.plugins.module_utils.artifact.verify import (
    VerifyRequest,
    verify_artifact,
)
from ansible_collections.postgres.operator.plugins.module_utils.store.protocol import Location
from test_verify import rewrite

FORMATS = Path(__file__).parent / "formats"
ALL = list(range(1, FORMAT_VERSION + 1))
FIRST_WITH_EXTENSION_TABLES = 3


@pytest.fixture(params=ALL, ids=lambda version: f"format {version}")
def old(request, bench):
    """A bench with an artifact of each format; its own database is another one."""
    source = FORMATS / str(request.param)
    uid = json.loads((source / "manifest.json").read_text())["uid"]
    bench.location = Location("ns", "app", uid)
    shutil.copytree(source, bench.folder)
    return bench


def assert_told(bench, summary: dict[str, object]) -> None:
    """The message names what an older format cannot be compared by; of the present one nothing."""
    version = json.loads((bench.folder / "manifest.json").read_text())["formatVersion"]
    if version < FIRST_WITH_EXTENSION_TABLES:
        message = f"not compared, since a backup of format version {version} does not say"
        assert message in summary["warning"]
    else:
        assert "warning" not in summary


def test_it_is_verified(old, scratch) -> None:
    done = verify_artifact(VerifyRequest(old.store, old.location, scratch, jobs=2))
    assert (done["tables"], done["rows"]) == (6, 38)
    assert_told(old, done)


def test_it_is_restored(old) -> None:
    done = old.restore().summary
    assert_told(old, done)
    assert old.scalar('SELECT count(*) FROM "every Type"') == 27
    assert old.scalar("SELECT last_value FROM invoices") == 1000
    assert old.scalar("SELECT length(lo_get(4242))") == 2700


def test_its_rows_are_compared(old, scratch) -> None:
    rewrite(old.folder, "grün", lambda rows: rows.replace(b"line 7", b"line 8"))
    with pytest.raises(errors.VerificationFailed, match=r'"every Type" has 27 rows with fingerp'):
        verify_artifact(VerifyRequest(old.store, old.location, scratch))
    with pytest.raises(errors.RestoreFailed, match=r'"every Type" has 27 rows with fingerprint'):
        old.restore()


def test_its_large_objects_are_compared(old) -> None:
    path = old.folder / "manifest.json"
    document = json.loads(path.read_text())
    document["largeObjects"]["fingerprint"] = "0" * 16
    path.write_text(json.dumps(document))
    with pytest.raises(errors.RestoreFailed, match="large objects"):
        old.restore()


def test_a_dry_run_compares_the_live_database_in_its_way(old) -> None:
    old.restore()
    difference = old.restore(dry_run=True).summary["difference"]
    assert (difference["different"], difference["equal"]) == (0, 6)
